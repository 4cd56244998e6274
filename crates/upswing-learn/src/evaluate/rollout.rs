//! What a rollout's tally says: harm, silence, or proof that the new version is as good.

use upswing_domain::{Direction, ExperimentPlan, Judgement, MetricRole, ShadowFindings};
use upswing_stats::sequential::Sides;

use super::{MetricTally, Tally};

/// Judges a rollout by what is known now. Harm is found when the average of the guardrails' one-sided e-values reaches
/// `1/alpha`: an average of e-values is one however they depend on each other, so that alpha covers all guardrails and all looks
/// together. A version may take over when the goal and every guardrail are proven not to be worse by their margins. Without an outcome of both versions in every stream nothing is said. O(metrics).
///
/// Source: Vovk, Wang, "E-values: calibration, combination, and applications", Annals of Statistics 49 (2021), arXiv 1912.06116.
pub fn judge(plan: &ExperimentPlan, tally: &Tally) -> Judgement {
    judge_after(plan, tally, None)
}

/// The same where a shadow comes before, or came: harm is found when the mean of the shadow's e-value and of that on traffic
/// reaches `1/alpha`. Both are 1 in expectation at most while the version is no worse, so their mean is, and one alpha covers
/// the rollout as a whole; what that costs either is `ln 2` of log evidence. O(metrics).
pub fn judge_after(plan: &ExperimentPlan, tally: &Tally, shadow: Option<ShadowFindings>) -> Judgement {
    let streams = || plan.metrics.iter().zip(&tally.metrics);
    let units = |tally: &MetricTally, arm: usize| {
        tally.arms.get(arm).map_or(0, |arm| u64::try_from(arm.sums.n).unwrap_or(0))
    };
    // Where only one of the two versions says anything there is nothing to compare, however bad it looks.
    let is_silent = |tally: &MetricTally| units(tally, 0) == 0 || units(tally, 1) == 0;
    let guardrails = streams().filter(|(metric, _)| metric.role == MetricRole::Guardrail);
    let evidence: Vec<(&str, f64)> = guardrails
        .clone()
        .map(|(metric, tally)| {
            let worse = match metric.direction {
                Direction::Increase => Sides::TreatmentLess,
                Direction::Decrease => Sides::TreatmentGreater,
            };
            let test = tally.pairs.first().filter(|_| !is_silent(tally)).and_then(|pair| pair.test.as_ref());
            (metric.name.as_str(), test.map_or(0.0, |test| test.log_e(worse)))
        })
        .collect();
    let count = evidence.len().max(1) as f64;
    let on_traffic = evidence.iter().map(|(_, log_e)| log_e.exp()).sum::<f64>() / count;
    let culprit = evidence.iter().max_by(|a, b| a.1.total_cmp(&b.1)).map(|(name, _)| *name);
    let (harm_e_value, culprit) = match &shadow {
        None => (on_traffic, culprit),
        Some(found) => {
            let stronger = if found.e_value > on_traffic { Some(found.worst.as_str()) } else { culprit };
            ((found.e_value + on_traffic) / 2.0, stronger)
        }
    };
    let harm = culprit.filter(|_| harm_e_value >= 1.0 / plan.alpha).map(str::to_owned);
    let goal = streams().find(|(metric, _)| metric.role == MetricRole::Goal);
    let proof = goal.and_then(|(_, tally)| tally.pairs.first()?.noninferiority.as_ref());
    let proven = |tally: &MetricTally| {
        let test = tally.pairs.first().and_then(|pair| pair.noninferiority.as_ref());
        test.is_some_and(|test| test.rejected_at().is_some())
    };
    let unproven = streams()
        .filter(|(_, tally)| !proven(tally))
        .map(|(metric, _)| metric.name.clone())
        .collect::<Vec<_>>();
    let silent = streams().find(|(_, tally)| is_silent(tally));
    let least = |arm: usize| guardrails.clone().map(|(_, tally)| units(tally, arm)).min().unwrap_or(0);
    Judgement {
        harm,
        harm_e_value,
        silent: silent.map(|(metric, _)| metric.name.clone()),
        not_inferior: unproven.is_empty(),
        unproven,
        goal_e_value: proof.map_or(1.0, |test| test.largest_log_e().exp()),
        units: least(1),
        current_units: least(0),
        shadow,
    }
}
