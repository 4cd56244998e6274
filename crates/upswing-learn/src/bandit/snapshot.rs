//! What `decide` reads.

use std::collections::BTreeMap;

use upswing_domain::{Context, PolicyConfig, VersionId};

use super::lin_ucb::LinUcb;
use super::linear_model::LinearModel;
use super::linear_thompson::LinearThompson;
use super::thompson::Thompson;
use super::{epsilon_greedy, fixed};
use crate::best_arm::normalise;
use crate::statistics::{ArmStatistics, Groups};

/// How a version did so far.
#[derive(Debug, Clone, PartialEq)]
pub struct ArmSummary {
    /// The version.
    pub version: VersionId,
    /// How many of its executions have a reward; at least 1.
    pub count: u64,
    /// Their mean reward.
    pub mean_reward: f64,
    /// The mean's standard error, from the rewards' sample variance; `None` below two rewards.
    pub standard_error: Option<f64>,
}

/// A policy as it was after some number of rewards: immutable, and a pure function of the learner's state.
#[derive(Debug, Clone)]
pub struct PolicySnapshot {
    arms: Vec<ArmSummary>,
    policy: Policy,
}

#[derive(Debug, Clone)]
enum Policy {
    Fixed,
    EpsilonGreedy(f64),
    Thompson(Thompson),
    LinearThompson(LinearThompson),
    LinUcb(LinUcb),
}

impl PolicySnapshot {
    pub(crate) fn new(
        config: &PolicyConfig,
        arms: &BTreeMap<VersionId, ArmStatistics>,
        groups: &Groups,
    ) -> Self {
        let policy = match *config {
            PolicyConfig::Fixed => Policy::Fixed,
            PolicyConfig::EpsilonGreedy { epsilon } => Policy::EpsilonGreedy(epsilon),
            PolicyConfig::Thompson => Policy::Thompson(Thompson::new(arms)),
            PolicyConfig::LinearThompson { floor } => {
                Policy::LinearThompson(LinearThompson { model: LinearModel::new(arms, groups), floor })
            }
            PolicyConfig::LinUcb { width } => {
                Policy::LinUcb(LinUcb { model: LinearModel::new(arms, groups), width })
            }
        };
        let arms = arms.iter().filter(|(_, arm)| arm.count > 0).map(|(id, arm)| summary(*id, arm)).collect();
        Self { arms, policy }
    }

    /// The probability of each eligible version, in the order given; they sum to 1 and are never NaN. Empty for none.
    ///
    /// A version that was never tried gets what its prior deserves. O(versions * active features squared) for linear
    /// models, O(versions) otherwise, and a quadrature for Thompson sampling among more than two.
    pub fn probabilities(&self, context: Option<&Context>, eligible: &[VersionId]) -> Vec<f64> {
        if eligible.is_empty() {
            return Vec::new();
        }
        let mut probabilities = match &self.policy {
            Policy::Fixed => fixed::probabilities(eligible.len()),
            Policy::EpsilonGreedy(epsilon) => epsilon_greedy::probabilities(&self.arms, eligible, *epsilon),
            Policy::Thompson(thompson) => thompson.probabilities(eligible),
            Policy::LinearThompson(linear) => linear.probabilities(context, eligible),
            Policy::LinUcb(linear) => linear.probabilities(context, eligible),
        };
        normalise(&mut probabilities);
        probabilities
    }

    /// How each version did, sorted by version; those that have no reward are not listed.
    pub fn arms(&self) -> Vec<ArmSummary> {
        self.arms.clone()
    }
}

fn summary(version: VersionId, arm: &ArmStatistics) -> ArmSummary {
    let n = arm.n();
    let mean_reward = arm.sum_of_rewards() / n;
    // In integers, so that nothing cancels: n sum r^2 - (sum r)^2.
    let spread = i128::from(arm.count) * arm.squares - i128::from(arm.sum) * i128::from(arm.sum);
    let scale = f64::from(upswing_domain::Reward::SCALE);
    let standard_error =
        (arm.count > 1).then(|| (spread.max(0) as f64 / (scale * scale) / (n * n * (n - 1.0))).sqrt());
    ArmSummary { version, count: arm.count.unsigned_abs(), mean_reward, standard_error }
}
