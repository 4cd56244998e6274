//! Choosing a version, from memory alone: forced, then canary, holdout and experiment, then the policy, then the champion.
//!
//! The same agent state, policy state, context and decision id always choose the same version.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use upswing_domain::{
    Allocation, AssignmentUnit, Context, Decision, DecisionId, DecisionReason, Experiment, ExperimentId,
    ExperimentStatus, OrganisationId, Placement, PolicyConfig, Probability, Timestamp, VersionId,
};
use upswing_learn::draw;

use crate::problem::{Code, Problem};
use crate::registry::{PolicyNow, Serving};

/// Whom a decision serves, as the application names it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Who<'a> {
    pub(crate) unit: Option<&'a str>,
    pub(crate) session: Option<&'a str>,
    pub(crate) decision: &'a str,
}

impl<'a> Who<'a> {
    /// What an experiment of that unit hashes; `None` where the application does not say.
    fn named(self, unit: AssignmentUnit) -> Option<&'a str> {
        match unit {
            AssignmentUnit::User => self.unit,
            AssignmentUnit::Session => self.session,
            AssignmentUnit::Execution => Some(self.decision),
        }
    }
}

/// A unit's place in an experiment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Seat<'a> {
    pub(crate) experiment: ExperimentId,
    pub(crate) allocation: i64,
    pub(crate) placement: Placement,
    /// The unit, as the application names it.
    pub(crate) unit: &'a str,
}

/// What was chosen, and how.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Choice<'a> {
    /// The version.
    pub(crate) version: VersionId,
    /// The stage that chose.
    pub(crate) reason: DecisionReason,
    /// Marginal probability of this choice.
    pub(crate) propensity: Probability,
    /// The probability of every eligible version; empty where none was drawn.
    pub(crate) probabilities: Vec<f64>,
    /// The unit's place in an experiment, where it has one.
    pub(crate) seat: Option<Seat<'a>>,
}

impl Choice<'_> {
    /// A choice that was not drawn.
    fn certain(version: VersionId, reason: DecisionReason) -> Self {
        Self { version, reason, propensity: Probability::ONE, probabilities: Vec::new(), seat: None }
    }
}

/// What is decided upon.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) forced: Option<VersionId>,
    pub(crate) context: Option<&'a Context>,
    pub(crate) id: DecisionId,
    pub(crate) who: Who<'a>,
    pub(crate) now: Timestamp,
}

/// Chooses.
///
/// # Errors
/// When the forced version is not one of the agent's, or there is nothing to serve.
pub(crate) fn choose<'a>(
    serving: &Serving,
    policy: &PolicyNow,
    asked: Asked<'a>,
) -> Result<Choice<'a>, Problem> {
    let certain = Choice::certain;
    if let Some(version) = asked.forced {
        let arm = serving.arm(version).ok_or_else(|| Problem::unknown_version(version).about("version"))?;
        return Ok(certain(arm.version, DecisionReason::Forced));
    }
    let seat = seat(serving, asked);
    let champion = || serving.champion.and_then(|index| serving.arms.get(index));
    let placed = seat.and_then(|(experiment, seat)| match seat.placement {
        // Of a rollout the control is what is served otherwise.
        Placement::Arm(0) if experiment.plan.rollout.is_some() => None,
        Placement::Arm(_) if experiment.plan.rollout.is_some() => {
            Some((experiment, seat, DecisionReason::Canary))
        }
        Placement::Arm(_) => Some((experiment, seat, DecisionReason::Experiment)),
        Placement::Holdout => Some((experiment, seat, DecisionReason::Holdout)),
    });
    let mut choice = match placed {
        Some((experiment, seat, reason)) => {
            let version = match seat.placement {
                Placement::Holdout => champion().map(|arm| arm.version),
                Placement::Arm(arm) => experiment.plan.arms.get(arm).map(|arm| arm.version),
            };
            certain(version.ok_or_else(|| nothing_to_serve(serving))?, reason)
        }
        None => {
            let (probabilities, drawn) = drawn(serving, policy, asked);
            match drawn {
                Some(version) => Choice { probabilities, ..certain(version, DecisionReason::Policy) },
                None if !probabilities.is_empty() => {
                    return Err(Problem::internal("the policy drew a version that is not eligible"));
                }
                None => match champion() {
                    Some(arm) => certain(arm.version, DecisionReason::Champion),
                    None => return Err(nothing_to_serve(serving)),
                },
            }
        }
    };
    choice.seat = seat.map(|(_, seat)| seat);
    choice.propensity = marginal(serving, policy, asked, &choice)?;
    Ok(choice)
}

/// What is served where nothing can be confirmed.
pub(crate) fn safe<'a>(serving: &Serving) -> Option<Choice<'a>> {
    serving.state.agent.safe_version.map(|version| Choice::certain(version, DecisionReason::Safe))
}

/// The first running experiment that takes the unit. Their layers keep it the only one.
fn seat<'s, 'a>(serving: &'s Serving, asked: Asked<'a>) -> Option<(&'s Experiment, Seat<'a>)> {
    running(serving, asked.now).find_map(|(experiment, allocation)| {
        let unit = asked.who.named(experiment.plan.unit)?;
        let placement = experiment.plan.assign(&allocation.split, unit, asked.context)?;
        let seat = Seat { experiment: experiment.id, allocation: allocation.epoch, placement, unit };
        Some((experiment, seat))
    })
}

fn running(serving: &Serving, now: Timestamp) -> impl Iterator<Item = (&Experiment, &Allocation)> {
    let running = serving.state.experiments.iter().filter(|e| e.status == ExperimentStatus::Running);
    running.filter_map(move |experiment| Some((experiment, experiment.allocation(now)?)))
}

/// The policy's draw, with the probability of every eligible version; nothing where the policy does not draw.
fn drawn(serving: &Serving, policy: &PolicyNow, asked: Asked<'_>) -> (Vec<f64>, Option<VersionId>) {
    // Both are asked: a policy that was just changed to or from `fixed` is so at once.
    let fixed = |config: &PolicyConfig| matches!(config, PolicyConfig::Fixed);
    if fixed(&serving.state.agent.policy) || fixed(&policy.config) || serving.eligible.is_empty() {
        return (Vec::new(), None);
    }
    let probabilities = policy.snapshot.probabilities(asked.context, &serving.eligible);
    let index = draw(&serving.state.agent.salt, asked.id.0.as_bytes(), &probabilities);
    let version = serving.eligible.get(index).copied();
    (probabilities, version)
}

/// The probability of a choice over all stages: the experiments' shares of units like this one, and what follows them.
fn marginal(
    serving: &Serving,
    policy: &PolicyNow,
    asked: Asked<'_>,
    choice: &Choice<'_>,
) -> Result<Probability, Problem> {
    let champion = serving.champion.and_then(|index| serving.arms.get(index)).map(|arm| arm.version);
    let (mut chosen, mut placed) = (0.0, 0.0);
    for (experiment, allocation) in running(serving, asked.now) {
        let plan = &experiment.plan;
        let targeted = plan.targeting.iter().all(|condition| condition.holds(asked.context));
        if !targeted || asked.who.named(plan.unit).is_none() {
            continue;
        }
        let shares = allocation.split.shares(plan.arms.len());
        // Of a rollout the control is what is served otherwise.
        let passed = usize::from(plan.rollout.is_some());
        for (arm, share) in plan.arms.iter().zip(shares).skip(passed) {
            let share = plan.reach() * share;
            placed += share;
            chosen += if arm.version == choice.version { share } else { 0.0 };
        }
        if let Some(holdout) = &plan.holdout {
            placed += holdout.share;
            chosen += if champion == Some(choice.version) { holdout.share } else { 0.0 };
        }
    }
    let rest = (1.0 - placed).max(0.0);
    if rest > 0.0 {
        let computed;
        let placed = !matches!(choice.reason, DecisionReason::Policy | DecisionReason::Champion);
        let probabilities = if placed {
            computed = drawn(serving, policy, asked).0;
            &computed
        } else {
            &choice.probabilities
        };
        let next = if probabilities.is_empty() {
            f64::from(u8::from(champion == Some(choice.version)))
        } else {
            let place = serving.eligible.iter().position(|version| *version == choice.version);
            place.and_then(|place| probabilities.get(place)).copied().unwrap_or(0.0)
        };
        chosen += rest * next;
    }
    Ok(Probability::new(chosen.clamp(0.0, 1.0))?)
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
    use upswing_domain::{AgentId, Origin};
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
            assignment: None,
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
