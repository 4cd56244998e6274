//! One agent's ledger, folded up to a position: the policy's state and the learning curve.

use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use upswing_domain::{PolicyConfig, Position};
use upswing_learn::{ENCODER_VERSION, LearnerState, LearningCurve, Observation, STATE_VERSION};
use upswing_store::{Checkpoint, LedgerEntry};

use super::Inspection;
use crate::registry::PolicyNow;

/// Changes when the layout of [`Saved`] changes.
const FORMAT: u16 = 1;

pub(super) struct Folded {
    pub(super) state: LearnerState,
    pub(super) curve: LearningCurve,
    /// Every entry up to here is in it.
    pub(super) position: Position,
    /// The last entry that taught the policy.
    pub(super) revision: Position,
    /// Whether there is something that no checkpoint has.
    pub(super) changed: bool,
    pub(super) saved_position: Position,
    pub(super) saved_at: Instant,
    /// How large the last checkpoint was.
    saved_bytes: usize,
}

/// How much an agent's checkpoints may write: beside what they are for, they share the disk with the events.
const SAVED_BYTES_PER_SECOND: f64 = 1e6;

/// What a checkpoint holds.
#[derive(Serialize, Deserialize)]
struct Saved {
    format: u16,
    state: Vec<u8>,
    curve: LearningCurve,
}

impl Folded {
    pub(super) fn new(config: PolicyConfig) -> Self {
        Self {
            state: LearnerState::new(config),
            curve: LearningCurve::default(),
            position: Position(0),
            revision: Position(0),
            changed: false,
            saved_position: Position(0),
            saved_at: Instant::now(),
            saved_bytes: 0,
        }
    }

    /// Folds entries in; how many the policy learned from.
    pub(super) fn fold(&mut self, entries: &[LedgerEntry]) -> u64 {
        let mut taught = Vec::with_capacity(entries.len());
        for entry in entries {
            self.curve.observe(entry.first_position, entry.version, entry.old, entry.new);
            if teaches(entry) {
                self.revision = entry.position;
                taught.push(Observation {
                    version: entry.version,
                    context: entry.context.as_deref(),
                    propensity: entry.propensity,
                    old: entry.old,
                    new: entry.new,
                });
            }
        }
        self.state.observe(&taught);
        if let Some(last) = entries.last() {
            self.position = last.position;
            self.changed = true;
        }
        taught.len() as u64
    }

    pub(super) fn policy(&self) -> PolicyNow {
        PolicyNow {
            snapshot: Arc::new(self.state.snapshot()),
            config: *self.state.config(),
            position: self.position,
            revision: self.revision,
        }
    }

    pub(super) fn inspect(&self) -> Inspection {
        Inspection {
            policy: *self.state.config(),
            position: self.position,
            revision: self.revision,
            observations: self.state.observations(),
            arms: self.state.snapshot().arms(),
            state_hash: blake3::hash(&self.state.to_bytes()).to_hex().to_string(),
            curve: self.curve.bins(),
        }
    }

    pub(super) fn to_checkpoint(&self, definition_version: i64) -> Checkpoint {
        let saved = Saved { format: FORMAT, state: self.state.to_bytes(), curve: self.curve.clone() };
        let made_with = serde_json::json!({
            "code": env!("CARGO_PKG_VERSION"),
            "format": FORMAT,
            "state": STATE_VERSION,
            "encoder": ENCODER_VERSION,
            "policy": self.state.config(),
            "definition_version": definition_version,
        });
        Checkpoint {
            position: self.position,
            revision: self.revision.0,
            // Writing plain values to memory does not fail; were it to, the checkpoint would read as damaged.
            state: postcard::to_stdvec(&saved).unwrap_or_default(),
            made_with: made_with.to_string(),
        }
    }

    /// Whether another checkpoint would write more than its share: a large state is saved less often.
    pub(super) fn rests(&self) -> bool {
        self.saved_at.elapsed().as_secs_f64() * SAVED_BYTES_PER_SECOND < self.saved_bytes as f64
    }

    /// Notes that a checkpoint has everything.
    pub(super) fn saved(&mut self, bytes: usize) {
        self.saved_bytes = bytes;
        self.changed = false;
        self.saved_position = self.position;
        self.saved_at = Instant::now();
    }

    /// What a checkpoint holds, under the policy that it was made with.
    pub(super) fn as_saved(checkpoint: &Checkpoint) -> Result<Self, String> {
        let saved: Saved = postcard::from_bytes(&checkpoint.state).map_err(|e| e.to_string())?;
        if saved.format != FORMAT {
            return Err(format!("the checkpoint has format {}, but this is format {FORMAT}", saved.format));
        }
        Ok(Self {
            state: LearnerState::from_bytes(&saved.state).map_err(|e| e.to_string())?,
            curve: saved.curve,
            position: checkpoint.position,
            revision: Position(checkpoint.revision),
            changed: false,
            saved_position: checkpoint.position,
            saved_at: Instant::now(),
            saved_bytes: checkpoint.state.len(),
        })
    }

    /// What a checkpoint holds, under the policy that the agent has now.
    pub(super) fn from_checkpoint(checkpoint: &Checkpoint, config: PolicyConfig) -> Result<Self, String> {
        let mut folded = Self::as_saved(checkpoint)?;
        if *folded.state.config() != config {
            folded.state = folded.state.with_config(config).ok_or_else(|| {
                format!("the policy is {} now, which needs what was not kept", config.name())
            })?;
            folded.changed = true;
        }
        Ok(folded)
    }
}

/// Whether the policy learns from it: somebody decided, and not for a purpose of its own.
pub(crate) fn teaches(entry: &LedgerEntry) -> bool {
    entry.decision.is_some() && entry.origin.teaches()
}

#[cfg(test)]
mod tests {
    use upswing_domain::{DecisionId, ExecutionId, Origin, Reward, Timestamp, VersionId};
    use uuid::Uuid;

    use super::*;

    fn entry(position: i64, origin: Origin, decided: bool) -> LedgerEntry {
        LedgerEntry {
            position: Position(position),
            first_position: Position(position),
            execution: ExecutionId(Uuid::from_u128(position.unsigned_abs().into())),
            decision: decided.then(|| DecisionId(Uuid::from_u128(1))),
            version: VersionId([1; 32]),
            context: None,
            propensity: 0.5,
            origin,
            definition_version: 1,
            old: None,
            new: Some(Reward::ONE),
            cause: None,
            occurred_at: Timestamp(0),
        }
    }

    #[test]
    fn what_was_not_decided_or_was_forced_is_drawn_but_does_not_teach() {
        let mut folded = Folded::new(PolicyConfig::Thompson);
        let entries =
            [entry(1, Origin::Live, true), entry(2, Origin::Forced, true), entry(3, Origin::Live, false)];
        assert_eq!(folded.fold(&entries), 1);
        assert_eq!((folded.position, folded.revision), (Position(3), Position(1)));
        assert_eq!(folded.state.observations(), 1);
        assert_eq!(folded.inspect().curve.iter().map(|bin| bin.count).sum::<u64>(), 3);
    }

    #[test]
    fn a_checkpoint_half_way_leads_to_the_same_state() {
        let entries: Vec<_> = (1..=100).map(|p| entry(p, Origin::Live, p % 3 > 0)).collect();
        let mut whole = Folded::new(PolicyConfig::default());
        whole.fold(&entries);
        let mut half = Folded::new(PolicyConfig::default());
        half.fold(&entries[..50]);
        let mut resumed = Folded::from_checkpoint(&half.to_checkpoint(1), PolicyConfig::default()).unwrap();
        resumed.fold(&entries[50..]);
        assert_eq!(resumed.inspect().state_hash, whole.inspect().state_hash);
        assert_eq!(resumed.inspect().curve, whole.inspect().curve);
        assert_eq!((resumed.position, resumed.revision), (whole.position, whole.revision));
    }
}
