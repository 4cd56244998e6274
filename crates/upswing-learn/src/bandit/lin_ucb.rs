//! LinUCB: the version with the highest upper confidence bound of a linear model of the context.
//!
//! When to use: where decisions should be reproducible without a draw. Its probabilities are 0 and 1 (ties share), so its
//! data cannot be used to evaluate other policies: for that, prefer linear Thompson sampling. Same model and assumptions.
//!
//! Source: Li, Chu, Langford, Schapire, "A Contextual-Bandit Approach to Personalized News Article Recommendation",
//! arXiv 1003.0146.

use upswing_domain::{Context, VersionId};

use super::linear_model::LinearModel;
use super::shares_of_largest;

/// The model and how many standard deviations above the mean the bound lies.
#[derive(Debug, Clone)]
pub(super) struct LinUcb {
    pub(super) model: LinearModel,
    pub(super) width: f64,
}

impl LinUcb {
    pub(super) fn probabilities(&self, context: Option<&Context>, eligible: &[VersionId]) -> Vec<f64> {
        let beliefs = self.model.beliefs(context, eligible);
        shares_of_largest(&beliefs.iter().map(|(mean, sd)| mean + self.width * sd).collect::<Vec<f64>>())
    }
}
