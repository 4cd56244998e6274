//! What a learner knows, as a value that serialises.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use upswing_domain::{Context, PolicyConfig, Reward, VersionId};

use crate::bandit::PolicySnapshot;
use crate::encoder::{self, ENCODER_VERSION, Feature};
use crate::statistics::{ArmStatistics, Groups};

/// Changes when the layout of a serialised state changes.
pub const STATE_VERSION: u16 = 1;

const CHECKSUM: usize = 8;

/// One entry of the reward ledger for a decision the agent made.
#[derive(Debug, Clone, Copy)]
pub struct Observation<'a> {
    /// The version that served.
    pub version: VersionId,
    /// What was known when it was chosen.
    pub context: Option<&'a Context>,
    /// The probability it was chosen with. The present policies model rewards given the context, where it cancels.
    pub propensity: f64,
    /// The reward that the execution had; `None` if this is its first.
    pub old: Option<Reward>,
    /// The reward that it has now; `None` if it was erased.
    pub new: Option<Reward>,
}

/// One agent's learner: a policy and exact statistics of what was rewarded.
///
/// Statistics are integer sums, so that entries may come in any order and any batches, be revised and be erased, and leave
/// what a clean replay would leave, bit for bit. Memory does not grow with history: it is bounded by the pairs among 2,049
/// feature slots a version, and in practice by the pairs that occur (some thousands for a handful of attributes).
///
/// ```
/// use upswing_domain::{PolicyConfig, Reward, VersionId};
/// use upswing_learn::{LearnerState, Observation};
///
/// let version = VersionId([1; 32]);
/// let entry = |old, new| Observation { version, context: None, propensity: 1.0, old, new };
/// let mut revised = LearnerState::new(PolicyConfig::Thompson);
/// revised.observe(&[entry(None, Some(Reward::ZERO)), entry(Some(Reward::ZERO), Some(Reward::ONE))]);
/// let mut clean = LearnerState::new(PolicyConfig::Thompson);
/// clean.observe(&[entry(None, Some(Reward::ONE))]);
/// assert_eq!(revised.to_bytes(), clean.to_bytes());
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct LearnerState {
    config: PolicyConfig,
    statistics: Statistics,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Statistics {
    arms: BTreeMap<VersionId, ArmStatistics>,
    groups: Groups,
}

/// Why a serialised state cannot be used. The caller replays the ledger instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Its contexts were encoded otherwise.
    #[error(
        "the state was encoded by version {found} of the context encoder, but this is version {expected}: replay the ledger"
    )]
    Encoder {
        /// The version it was written with.
        found: u16,
        /// The version that can be read.
        expected: u16,
    },
    /// Its layout is another one.
    #[error("the state has layout {found}, but this is layout {expected}: replay the ledger")]
    State {
        /// The layout it was written with.
        found: u16,
        /// The layout that can be read.
        expected: u16,
    },
    /// It is not what was written.
    #[error("the state is damaged ({0}): replay the ledger")]
    Corrupt(&'static str),
}

impl LearnerState {
    /// A learner that knows nothing. `config` must have passed [`PolicyConfig::validate`].
    pub fn new(config: PolicyConfig) -> Self {
        Self { config, statistics: Statistics::default() }
    }

    /// The policy.
    pub fn config(&self) -> &PolicyConfig {
        &self.config
    }

    /// Folds ledger entries in, in any order. O(active features squared) an entry for linear policies: some microseconds.
    pub fn observe(&mut self, batch: &[Observation<'_>]) {
        let linear = linear(&self.config);
        let mut features: Vec<Feature> = Vec::with_capacity(64);
        for entry in batch {
            if entry.old.is_none() && entry.new.is_none() {
                continue;
            }
            encoder::encode(entry.context.filter(|_| linear), &mut features);
            let arm = self.statistics.arms.entry(entry.version).or_default();
            arm.observe(&features, entry.old, entry.new);
            if arm.is_empty() {
                self.statistics.arms.remove(&entry.version);
            }
            let change = i64::from(entry.new.is_some()) - i64::from(entry.old.is_some());
            self.statistics.groups.observe(&features, change);
        }
    }

    /// How many executions have a reward now.
    pub fn observations(&self) -> u64 {
        self.statistics.arms.values().map(|arm| arm.count).sum::<i64>().max(0).unsigned_abs()
    }

    /// The policy as it stands. A pure function of the state; O(versions * d^3) for linear policies with d active features
    /// (at most 128): a fraction of a millisecond for some dozens of features.
    pub fn snapshot(&self) -> PolicySnapshot {
        PolicySnapshot::new(&self.config, &self.statistics.arms, &self.statistics.groups)
    }

    /// The state as bytes: versions of encoder and layout, then the content, then a checksum. Equal states give equal bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(ENCODER_VERSION.to_le_bytes());
        bytes.extend(STATE_VERSION.to_le_bytes());
        // Writing plain values to memory does not fail; were it to, the state reads as damaged and is rebuilt.
        let content = postcard::to_stdvec(&(stored(&self.config), &self.statistics)).unwrap_or_default();
        bytes.extend(content);
        let checksum = blake3::hash(&bytes);
        bytes.extend(&checksum.as_bytes()[..CHECKSUM]);
        bytes
    }

    /// Reads what [`LearnerState::to_bytes`] wrote.
    ///
    /// # Errors
    /// When it was written by another version of encoder or layout, or is damaged. All mean: replay the ledger.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StateError> {
        let word = |at: usize| match bytes.get(at..at + 2) {
            Some(&[low, high]) => Ok(u16::from_le_bytes([low, high])),
            _ => Err(StateError::Corrupt("too short")),
        };
        let (encoder, state) = (word(0)?, word(2)?);
        if encoder != ENCODER_VERSION {
            return Err(StateError::Encoder { found: encoder, expected: ENCODER_VERSION });
        }
        if state != STATE_VERSION {
            return Err(StateError::State { found: state, expected: STATE_VERSION });
        }
        let end = bytes.len().saturating_sub(CHECKSUM);
        let (Some(signed), Some(content)) = (bytes.get(..end), bytes.get(4..end)) else {
            return Err(StateError::Corrupt("too short"));
        };
        if blake3::hash(signed).as_bytes()[..CHECKSUM] != bytes[end..] {
            return Err(StateError::Corrupt("the checksum differs"));
        }
        let ((tag, parameter), statistics): ((u8, f64), Statistics) =
            postcard::from_bytes(content).map_err(|_| StateError::Corrupt("the content does not parse"))?;
        let config = restored(tag, parameter).ok_or(StateError::Corrupt("there is no such policy"))?;
        Ok(Self { config, statistics })
    }

    /// The same knowledge under another policy, or `None` where it does not suffice: a policy that does not look at the
    /// context has kept nothing of it, so a linear one has to replay the ledger. What a policy does not need is dropped.
    pub fn with_config(&self, config: PolicyConfig) -> Option<Self> {
        let statistics = match (linear(&self.config), linear(&config)) {
            (false, true) if self.statistics.arms.is_empty() => Statistics::default(),
            (false, true) => return None,
            (true, false) => {
                let totals = self.statistics.arms.iter().map(|(id, arm)| (*id, arm.totals()));
                Statistics { arms: totals.filter(|a| !a.1.is_empty()).collect(), groups: Groups::default() }
            }
            _ => self.statistics.clone(),
        };
        Some(Self { config, statistics })
    }
}

fn linear(config: &PolicyConfig) -> bool {
    matches!(config, PolicyConfig::LinearThompson { .. } | PolicyConfig::LinUcb { .. })
}

/// The policy as a number and a parameter: its own form is tagged by name, which compact formats cannot read back.
fn stored(config: &PolicyConfig) -> (u8, f64) {
    match *config {
        PolicyConfig::Fixed => (0, 0.0),
        PolicyConfig::EpsilonGreedy { epsilon } => (1, epsilon),
        PolicyConfig::Thompson => (2, 0.0),
        PolicyConfig::LinearThompson { floor } => (3, floor),
        PolicyConfig::LinUcb { width } => (4, width),
    }
}

fn restored(tag: u8, parameter: f64) -> Option<PolicyConfig> {
    let config = match tag {
        0 => PolicyConfig::Fixed,
        1 => PolicyConfig::EpsilonGreedy { epsilon: parameter },
        2 => PolicyConfig::Thompson,
        3 => PolicyConfig::LinearThompson { floor: parameter },
        4 => PolicyConfig::LinUcb { width: parameter },
        _ => return None,
    };
    config.validate().ok().map(|()| config)
}
