//! Thompson sampling on a Bayesian linear model of the context: the default.
//!
//! When to use: whenever there may be a context. It learns per context where the context matters, and falls back to each
//! version's mean where it does not. Each version has the probability with which it is the best in this context under the
//! model's posterior. Assumes that effects add up over attributes and pairs of categories, and do not drift.
//!
//! Probabilities are those of a posterior whose standard deviations are reshaped by [`SCALE`]: drawing from the posterior
//! itself explores as if there were no end, and a model with many weights is never done.
//!
//! Source: Agrawal, Goyal, arXiv 1209.3352; the reshaping: Chapelle, Li, "An Empirical Evaluation of Thompson Sampling",
//! NeurIPS 2011, section 3. How priors are learned, see the linear model beside this file.

use upswing_domain::{Context, VersionId};

use super::linear_model::LinearModel;
use crate::best_arm::best_arm_probabilities;

/// Factor on standard deviations: half the variance. Chapelle and Li found 0.5 to have the smallest mean regret and 1 the
/// smallest risk of a poor run; this lies between them.
const SCALE: f64 = std::f64::consts::FRAC_1_SQRT_2;

/// The model and the smallest probability.
#[derive(Debug, Clone)]
pub(super) struct LinearThompson {
    pub(super) model: LinearModel,
    pub(super) floor: f64,
}

impl LinearThompson {
    pub(super) fn probabilities(&self, context: Option<&Context>, eligible: &[VersionId]) -> Vec<f64> {
        let mut beliefs = self.model.beliefs(context, eligible);
        beliefs.iter_mut().for_each(|belief| belief.1 *= SCALE);
        let mut shares = best_arm_probabilities(&beliefs);
        // Every version gets the floor first and its share of what is left, so that normalising cannot undercut it.
        let floor = self.floor.min(1.0 / eligible.len() as f64);
        if floor > 0.0 {
            let left = 1.0 - floor * eligible.len() as f64;
            shares.iter_mut().for_each(|share| *share = floor + left * *share);
        }
        shares
    }
}
