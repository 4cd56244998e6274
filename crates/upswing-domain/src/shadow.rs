//! A rollout's first stage: the new version is executed beside what is served, and nobody sees what it answers.
//!
//! Only the comparison is kept: what both did by each metric, and whether they said the same.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::assignment::{BUCKETS, bucket};
use crate::{
    AgentId, DecisionId, ExecutionId, ExperimentMetric, Invalid, Pseudonym, Rollout, RolloutId, Timestamp,
    VersionId,
};

/// A stretch before the first step in which nobody is served the new version.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShadowStage {
    /// The share of decisions beside which the version is named as well.
    pub share: f64,
    /// For how many seconds at least.
    pub seconds: u32,
    /// Until so many pairs have a value of both versions by every guardrail that executions carry.
    pub minimum_pairs: u64,
}

impl Default for ShadowStage {
    fn default() -> Self {
        Self { share: 0.1, seconds: 3_600, minimum_pairs: 100 }
    }
}

impl ShadowStage {
    /// Checks it, and that one of the guardrails can be seen in a shadow at all.
    pub(crate) fn check(&self, guardrails: &[ExperimentMetric]) -> Result<(), Invalid> {
        if !(self.share > 0.0 && self.share <= 1.0) {
            return Err(Invalid::new("shadow.share", self.share, "above 0, at most 1"));
        }
        if !(1..=1_000_000).contains(&self.minimum_pairs) {
            return Err(Invalid::new("shadow.minimum_pairs", self.minimum_pairs, "1 to 1000000"));
        }
        if !guardrails.iter().any(is_of_executions) {
            let named: Vec<&str> = guardrails.iter().map(|metric| metric.name.as_str()).collect();
            let expected = "a guardrail that executions carry, such as error: nobody rates a shadow";
            return Err(Invalid::new("shadow", named.join(", "), expected));
        }
        Ok(())
    }
}

/// Whether a metric is one that an execution carries by itself. What people say they do not say of a shadow.
pub fn is_of_executions(metric: &ExperimentMetric) -> bool {
    let source = metric.source();
    !matches!(source, "reward" | "rating" | "satisfied" | "executions")
        && !source.starts_with("feedback.")
        && !source.starts_with("implicit.")
}

impl RolloutId {
    /// The id of the shadow execution beside a decision: it follows from both, so that there is one at most.
    pub fn shadow_of(self, decision: DecisionId) -> ExecutionId {
        ExecutionId(Uuid::new_v5(&self.0, decision.0.as_bytes()))
    }
}

impl Rollout {
    /// Whether the version is to be executed beside this decision. A hash of both, as every draw is: nobody sees what it
    /// answers, so nobody has to stay with it, and each decision is drawn by itself.
    pub fn shadows(&self, decision: DecisionId) -> bool {
        let Some(stage) = self.plan.shadow.filter(|_| self.shadow && self.state.active()) else {
            return false;
        };
        let drawn = bucket(&format!("{}:shadow", self.id), &decision.to_string());
        f64::from(drawn) < stage.share * f64::from(BUCKETS)
    }
}

/// What the version did beside a decision, as it was reported.
#[derive(Debug, Clone, PartialEq)]
pub struct ShadowExecution {
    /// For which rollout.
    pub rollout: RolloutId,
    /// Beside which decision.
    pub decision: DecisionId,
    /// Whose version.
    pub agent: AgentId,
    /// The version that ran.
    pub version: VersionId,
    /// Whose data went in: only asked for consent, not kept.
    pub subject: Option<Pseudonym>,
    /// Named measurements.
    pub metrics: BTreeMap<String, f64>,
    /// What went wrong, if anything: a short type, not a message.
    pub error: Option<String>,
    /// What came out: only its keyed hash is kept.
    pub output: Option<String>,
    /// When it happened, as the client says.
    pub occurred_at: Timestamp,
}

/// What one execution of a pair did.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Did {
    /// Whether it failed.
    pub failed: bool,
    /// Its named measurements.
    pub metrics: BTreeMap<String, f64>,
}

impl Did {
    /// By a source of metrics; `None` where it does not say.
    pub fn value(&self, source: &str) -> Option<f64> {
        match source {
            "error" => Some(f64::from(u8::from(self.failed))),
            name => self.metrics.get(name).copied(),
        }
    }
}

/// A decision that both versions were executed for.
#[derive(Debug, Clone, PartialEq)]
pub struct ShadowPair {
    /// The decision.
    pub decision: DecisionId,
    /// The execution of what was served.
    pub execution: ExecutionId,
    /// What was served did.
    pub current: Did,
    /// What the new version did.
    pub shadow: Did,
    /// Whether both said the same; `None` where one of them did not report what it said.
    pub same: Option<bool>,
}

/// What the shadow has shown so far.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShadowFindings {
    /// Decisions that both versions were executed for.
    pub pairs: u64,
    /// Pairs with a value of both by every guardrail that executions carry.
    pub judged: u64,
    /// The guardrail that the fewest pairs have a value of.
    pub least: String,
    /// Pairs of which both reported what they said.
    pub outputs: u64,
    /// The share of those that said the same; `null` where there are none.
    pub agreement: Option<f64>,
    /// The average of the guardrails' e-values against "the new version is no worse on the same input".
    pub e_value: f64,
    /// The guardrail with the most evidence.
    pub worst: String,
    /// The guardrails that executions carry, each in its bounds.
    pub guardrails: Vec<PairedDifference>,
    /// Every metric that both versions' executions carry.
    pub metrics: Vec<PairedDifference>,
}

/// How both versions did on the same inputs, by one metric.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairedDifference {
    /// The metric.
    pub name: String,
    /// Pairs with a value of both. What one of them does not say is left out, and is no zero.
    pub pairs: u64,
    /// The mean of what was served; `null` without pairs.
    pub current: Option<f64>,
    /// The mean of the new version.
    pub shadow: Option<f64>,
    /// The mean of the differences, new less current.
    pub difference: Option<f64>,
    /// The ends of an interval for it that is valid at every look; `null` while there is too little for one.
    pub low: Option<f64>,
    /// Its upper end.
    pub high: Option<f64>,
    /// `exact` where values have bounds, `asymptotic` otherwise.
    pub method: &'static str,
    /// Of a guardrail: the e-value against "no worse".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub e_value: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RolloutPlan, RolloutState};

    #[test]
    fn the_share_of_decisions_is_drawn_always_the_same_and_none_outside_of_the_stage() {
        let stage = ShadowStage { share: 0.25, ..ShadowStage::default() };
        let mut rollout = Rollout {
            id: RolloutId(Uuid::from_u128(7)),
            agent: AgentId(Uuid::nil()),
            version: VersionId([1; 32]),
            previous: VersionId([2; 32]),
            state: RolloutState::Running,
            shadow: true,
            step: 0,
            step_since: Timestamp(0),
            plan: RolloutPlan { shadow: Some(stage), ..RolloutPlan::default() },
            reason: String::new(),
            created_at: Timestamp(0),
            deadline: Timestamp(0),
            revision: 0,
        };
        let decisions: Vec<DecisionId> = (0..10_000_u128).map(|n| DecisionId(Uuid::from_u128(n))).collect();
        let drawn = |rollout: &Rollout| decisions.iter().filter(|id| rollout.shadows(**id)).count();
        // 2,500 are expected; four standard errors are 173.
        assert!((2_327..=2_673).contains(&drawn(&rollout)), "{}", drawn(&rollout));
        let first: Vec<bool> = decisions.iter().map(|id| rollout.shadows(*id)).collect();
        assert!(decisions.iter().zip(first).all(|(id, was)| rollout.shadows(*id) == was));
        rollout.state = RolloutState::Held;
        assert!(drawn(&rollout) > 0, "what is held goes on with its share");
        rollout.shadow = false;
        assert_eq!(drawn(&rollout), 0);
        rollout.shadow = true;
        rollout.state = RolloutState::RolledBack;
        assert_eq!(drawn(&rollout), 0);
    }

    #[test]
    fn a_shadow_has_one_id_beside_each_decision() {
        let (a, b) = (RolloutId(Uuid::from_u128(1)), RolloutId(Uuid::from_u128(2)));
        let decision = DecisionId(Uuid::from_u128(3));
        assert_eq!(a.shadow_of(decision), a.shadow_of(decision));
        assert_ne!(a.shadow_of(decision), b.shadow_of(decision));
        assert_ne!(a.shadow_of(decision).0, decision.0);
    }
}
