//! Shares that find the best of several arms sooner.

use upswing_domain::{Direction, ExperimentPlan, MetricRole};

use super::Tally;
use crate::best_arm_probabilities;

/// How often the likeliest arm itself is served, and not its challenger.
const LEADER: f64 = 0.5;

/// The shares of top-two Thompson sampling: half of the time the arm that a draw of the posteriors finds best, otherwise the best
/// of another draw that is not that one, so that the second best is not starved of what would tell the two apart. Each arm
/// keeps at least `floor`, applied before the rest is shared.
///
/// The probabilities are computed, not drawn: with p the arms' probabilities to be best, arm i has
/// `p_i (1/2 + 1/2 sum over the others of p_j / (1 - p_j))`. Equal shares while an arm has fewer than two outcomes. O(arms^2).
///
/// Source: Russo, "Simple Bayesian algorithms for best-arm identification", Operations Research 68 (2020), arXiv 1602.08448.
pub fn top_two_shares(plan: &ExperimentPlan, tally: &Tally, floor: f64) -> Vec<f64> {
    let arms = plan.arms.len();
    let equal = || vec![1.0 / arms as f64; arms];
    let goal = plan.metrics.iter().zip(&tally.metrics).find(|(metric, _)| metric.role == MetricRole::Goal);
    let Some((metric, goal)) = goal else { return equal() };
    let mut posteriors = Vec::with_capacity(arms);
    for arm in &goal.arms {
        let Some(sample) = arm.sums.sample().filter(|sample| sample.units() > 1) else { return equal() };
        let n = sample.units() as f64;
        // One unit in the middle of the bounds keeps an arm whose first outcomes are all alike from being certain.
        let (mut mean, mut variance) = (sample.average(), sample.variance().unwrap_or(0.0));
        if let Some([low, high]) = metric.outcome_bounds() {
            let (middle, width) = (f64::midpoint(low, high), high - low);
            variance = (variance * n + (mean - middle).powi(2) + width * width / 4.0) / (n + 1.0);
            mean = (mean * n + middle) / (n + 1.0);
        }
        let sign = if metric.direction == Direction::Increase { 1.0 } else { -1.0 };
        posteriors.push((sign * mean, (variance / n).sqrt()));
    }
    let best = best_arm_probabilities(&posteriors);
    let odds = |p: f64| p / (1.0 - p).max(1e-12);
    let all: f64 = best.iter().map(|p| odds(*p)).sum();
    let shares: Vec<f64> =
        best.iter().map(|p| p * (LEADER + (1.0 - LEADER) * (all - odds(*p)).max(0.0))).collect();
    let sum: f64 = shares.iter().sum();
    if !(sum > 0.0 && sum.is_finite()) {
        return equal();
    }
    let free = (1.0 - floor * arms as f64).max(0.0);
    shares.into_iter().map(|share| floor + free * share / sum).collect()
}
