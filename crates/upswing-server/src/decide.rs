//! Choosing a version, from memory alone: forced, then the policy, then the champion.
//!
//! The same agent state, policy state, context and decision id always choose the same version.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use upswing_domain::{
    Context, Decision, DecisionId, DecisionReason, OrganisationId, PolicyConfig, Probability, VersionId,
};
use upswing_learn::draw;

use crate::problem::{Code, Problem};
use crate::registry::{PolicyNow, Serving};

/// What was chosen, and how.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Choice {
    /// The version.
    pub(crate) version: VersionId,
    /// The stage that chose.
    pub(crate) reason: DecisionReason,
    /// Marginal probability of this choice.
    pub(crate) propensity: Probability,
    /// The probability of every eligible version; empty where none was drawn.
    pub(crate) probabilities: Vec<f64>,
}

/// Chooses.
///
/// # Errors
/// When the forced version is not one of the agent's, or there is nothing to serve.
pub(crate) fn choose(
    serving: &Serving,
    policy: &PolicyNow,
    forced: Option<VersionId>,
    context: Option<&Context>,
    id: DecisionId,
) -> Result<Choice, Problem> {
    let certain =
        |version, reason| Choice { version, reason, propensity: Probability::ONE, probabilities: Vec::new() };
    if let Some(version) = forced {
        let arm = serving.arm(version).ok_or_else(|| Problem::unknown_version(version).about("version"))?;
        return Ok(certain(arm.version, DecisionReason::Forced));
    }
    // Both are asked: a policy that was just changed to or from `fixed` is so at once.
    let fixed = |config: &PolicyConfig| matches!(config, PolicyConfig::Fixed);
    let draws = !fixed(&serving.state.agent.policy) && !fixed(&policy.config) && !serving.eligible.is_empty();
    if !draws {
        let champion = serving.champion.and_then(|index| serving.arms.get(index));
        return match champion {
            Some(arm) => Ok(certain(arm.version, DecisionReason::Champion)),
            None => Err(nothing_to_serve(serving)),
        };
    }
    let probabilities = policy.snapshot.probabilities(context, &serving.eligible);
    let index = draw(&serving.state.agent.salt, id.0.as_bytes(), &probabilities);
    let (Some(version), Some(probability)) = (serving.eligible.get(index), probabilities.get(index)) else {
        return Err(Problem::internal("the policy drew a version that is not eligible"));
    };
    let propensity = Probability::new(probability.clamp(0.0, 1.0))?;
    Ok(Choice { version: *version, reason: DecisionReason::Policy, propensity, probabilities })
}

fn nothing_to_serve(serving: &Serving) -> Problem {
    let detail = if serving.eligible.is_empty() {
        "the agent has no eligible version and no champion: add a version, or promote one"
    } else {
        "the agent's policy is fixed, but it has no champion: promote a version"
    };
    Problem::new(Code::NoEligibleVersion, detail)
}

const SHARDS: usize = 16;
/// How many decisions with ids of the clients' own are remembered. Older ones are found in the database.
const REMEMBERED: usize = 65_536;

/// Decisions whose ids came from clients, so that asking again gives the same answer also before the record is on disk.
#[derive(Debug, Default)]
pub(crate) struct RecentDecisions([Mutex<Shard>; SHARDS]);

#[derive(Debug, Default)]
struct Shard {
    decisions: HashMap<(OrganisationId, DecisionId), Arc<Decision>>,
    order: VecDeque<(OrganisationId, DecisionId)>,
}

impl RecentDecisions {
    fn shard(&self, id: DecisionId) -> &Mutex<Shard> {
        // The last byte of a UUID is random in every version that clients use.
        &self.0[usize::from(id.0.as_bytes()[15]) % SHARDS]
    }

    /// The decision of that id.
    pub(crate) fn get(&self, organisation: OrganisationId, id: DecisionId) -> Option<Arc<Decision>> {
        let shard = self.shard(id).lock().unwrap_or_else(PoisonError::into_inner);
        shard.decisions.get(&(organisation, id)).cloned()
    }

    /// Remembers a decision unless there is one of that id; gives the one that is remembered afterwards, and whether it
    /// is this.
    pub(crate) fn insert(&self, organisation: OrganisationId, decision: Decision) -> (Arc<Decision>, bool) {
        let key = (organisation, decision.id);
        let mut shard = self.shard(decision.id).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = shard.decisions.get(&key) {
            return (Arc::clone(first), false);
        }
        if shard.order.len() >= REMEMBERED / SHARDS
            && let Some(oldest) = shard.order.pop_front()
        {
            shard.decisions.remove(&oldest);
        }
        let decision = Arc::new(decision);
        shard.decisions.insert(key, Arc::clone(&decision));
        shard.order.push_back(key);
        (decision, true)
    }

    /// Forgets a decision that could not be recorded.
    pub(crate) fn forget(&self, organisation: OrganisationId, id: DecisionId) {
        let key = (organisation, id);
        let mut shard = self.shard(id).lock().unwrap_or_else(PoisonError::into_inner);
        shard.decisions.remove(&key);
        shard.order.retain(|k| *k != key);
    }
}

#[cfg(test)]
mod tests {
    use upswing_domain::{AgentId, Origin, Timestamp};
    use uuid::Uuid;

    use super::*;

    fn decision(id: u128, version: u8) -> Decision {
        Decision {
            id: DecisionId(Uuid::from_u128(id)),
            agent: AgentId(Uuid::from_u128(1)),
            version: VersionId([version; 32]),
            unit: None,
            context: None,
            reason: DecisionReason::Policy,
            origin: Origin::Live,
            propensity: Probability::ONE,
            probabilities: Vec::new(),
            epoch: 1,
            policy_revision: 0,
            decided_at: Timestamp(0),
        }
    }

    #[test]
    fn the_first_decision_of_an_id_stands_and_the_memory_is_bounded() {
        let recent = RecentDecisions::default();
        let organisation = OrganisationId(Uuid::from_u128(1));
        assert!(recent.insert(organisation, decision(1, 1)).1);
        let (kept, new) = recent.insert(organisation, decision(1, 2));
        assert!(!new && kept.version == VersionId([1; 32]));
        for id in 2..200_000 {
            recent.insert(organisation, decision(id, 1));
        }
        let total: usize = recent.0.iter().map(|s| s.lock().unwrap().decisions.len()).sum();
        assert!(total <= REMEMBERED);
        assert!(recent.get(organisation, DecisionId(Uuid::from_u128(1))).is_none());
        recent.forget(organisation, DecisionId(Uuid::from_u128(199_999)));
        assert!(recent.get(organisation, DecisionId(Uuid::from_u128(199_999))).is_none());
    }
}
