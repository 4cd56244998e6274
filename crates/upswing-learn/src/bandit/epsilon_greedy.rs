//! Epsilon-greedy: the best mean so far, and with probability epsilon any version.
//!
//! When to use: as a plain baseline, and where every version must keep a known minimum of traffic. Ignores the context.
//! Assumes that means do not drift. Versions with equal means share; one that was never tried counts as best, so that it is
//! tried. Source: Sutton, Barto, "Reinforcement Learning", 2nd edition, section 2.2.

use upswing_domain::VersionId;

use super::ArmSummary;
use super::shares_of_largest;

/// The share `epsilon` spread evenly, the best included; the rest to the best.
pub(super) fn probabilities(arms: &[ArmSummary], eligible: &[VersionId], epsilon: f64) -> Vec<f64> {
    let means: Vec<f64> = eligible
        .iter()
        .map(|id| arms.iter().find(|a| a.version == *id).map_or(f64::INFINITY, |a| a.mean_reward))
        .collect();
    let even = epsilon / eligible.len() as f64;
    let best = shares_of_largest(&means);
    best.into_iter().map(|share| even + (1.0 - epsilon) * share).collect()
}
