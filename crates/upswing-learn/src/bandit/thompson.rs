//! Thompson sampling on each version's mean reward.
//!
//! When to use: without a context, or where it is known not to matter. Each version has the probability with which it is
//! the best under the Gaussian posterior of its mean; the variance of rewards is learned, so that it works for rates,
//! ratings and small differences alike. Assumes that means do not drift. Ignores the context.
//!
//! The model is the linear one without features. Source: Agrawal, Goyal, "Further Optimal Regret Bounds for Thompson
//! Sampling", arXiv 1209.3353.

use std::collections::BTreeMap;

use upswing_domain::VersionId;

use super::linear_model::LinearModel;
use crate::best_arm::best_arm_probabilities;
use crate::statistics::{ArmStatistics, Groups};

/// Posteriors of the means.
#[derive(Debug, Clone)]
pub(super) struct Thompson(LinearModel);

impl Thompson {
    pub(super) fn new(arms: &BTreeMap<VersionId, ArmStatistics>) -> Self {
        let totals = arms.iter().map(|(id, arm)| (*id, arm.totals())).collect();
        Self(LinearModel::new(&totals, &Groups::default()))
    }

    pub(super) fn probabilities(&self, eligible: &[VersionId]) -> Vec<f64> {
        best_arm_probabilities(&self.0.beliefs(None, eligible))
    }
}
