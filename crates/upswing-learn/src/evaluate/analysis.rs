//! From a tally to results: what is known of each metric, and what it comes to. Reads sums alone: O(arms * metrics + segments),
//! whatever the number of units.

use upswing_domain::{
    Allocation, Direction, ExperimentMetric, ExperimentPlan, MetricKind, MetricRole, SequentialMethod,
    Timestamp,
};
use upswing_stats::compare::{
    AdjustedSample, Alternative, Effect, Inference, Level, QuantileSample, RatioSample, Sample, Scale,
    Summary, asymptotic, bayes, effect, fixed, multiple, ratio_mismatch,
};
use upswing_stats::sequential::{RandomisationTest, Sides};
use upswing_stats::{Sketch, normal};

use super::results::{
    ArmResults, Bayesian, Comparison, FixedHorizon, MetricResults, Results, SampleRatio, SegmentResults,
    Sequential, Verdict,
};
use super::tally::{ArmTally, MetricTally, Scores};
use super::{Sums, Tally, verdict};

/// A mismatch of the sample ratio is told from this p-value on: it is looked at always, and a false alarm stops an experiment.
const MISMATCH: f64 = 0.001;
/// How close to the assigned shares the mismatch that is feared may be: half a percentage point of a half.
const CONCENTRATION: f64 = 10_000.0;

/// Analyses what a tally knows at a moment. Errors of the statistics (too few units, no variance) leave that number out.
pub fn analyse(
    plan: &ExperimentPlan,
    allocations: &[Allocation],
    tally: &Tally,
    started_at: Option<Timestamp>,
    now: Timestamp,
) -> Results {
    results(plan, allocations, tally, (started_at, now), true)
}

/// As [`analyse`], without the forecast, which takes a third of its time: for whoever looks thousands of times.
pub fn analyse_without_forecast(
    plan: &ExperimentPlan,
    allocations: &[Allocation],
    tally: &Tally,
    started_at: Option<Timestamp>,
    now: Timestamp,
) -> Results {
    results(plan, allocations, tally, (started_at, now), false)
}

fn results(
    plan: &ExperimentPlan,
    allocations: &[Allocation],
    tally: &Tally,
    (started_at, now): (Option<Timestamp>, Timestamp),
    with_forecast: bool,
) -> Results {
    let arms = plan.arms.len();
    let exposed = tally.exposed_by_arm(arms);
    let varied = plan.adaptive.is_some() || tally.exposed.len() > 1;
    let reading = Reading { plan, exposed: &exposed, varied };
    let mut metrics: Vec<MetricResults> = plan
        .metrics
        .iter()
        .zip(&tally.metrics)
        .map(|(metric, tally)| reading.metric(metric, tally))
        .collect();
    adjust(&mut metrics);
    let sample_ratio = sample_ratio(allocations, tally, arms);
    let elapsed = started_at.map(|started| (now.0 - started.0).max(0) as f64 / 1e6);
    for (metric, results) in plan.metrics.iter().zip(&mut metrics) {
        verdict::judge(plan, metric, results);
    }
    let segments = reading.segments(tally);
    let mut results = Results {
        verdict: Verdict::Inconclusive,
        summary: String::new(),
        reasons: Vec::new(),
        winner: None,
        exposed,
        held_out: tally.held_out,
        closed: 0,
        sample_ratio,
        forecast: None,
        metrics,
        segments,
    };
    verdict::conclude(plan, tally, elapsed, with_forecast, &mut results);
    results
}

fn sample_ratio(allocations: &[Allocation], tally: &Tally, arms: usize) -> SampleRatio {
    // Epochs are independent of each other given the split: their Bayes factors multiply.
    let mut log_e = 0.0;
    let mut seen = false;
    for (epoch, counts) in &tally.exposed {
        let Some(allocation) = allocations.iter().find(|allocation| allocation.epoch == *epoch) else {
            continue;
        };
        let shares = allocation.split.shares(arms);
        // An arm without a share has no units to compare.
        let (shares, counts): (Vec<f64>, Vec<u64>) =
            shares.into_iter().zip(counts.iter().copied()).filter(|(share, _)| *share > 0.0).unzip();
        if let Ok(mut monitor) = ratio_mismatch::Monitor::new(&shares, CONCENTRATION)
            && monitor.add(&counts).is_ok()
        {
            seen |= counts.iter().sum::<u64>() > 0;
            log_e += monitor.log_e_value();
        }
    }
    let p_value = seen.then(|| (-log_e).exp().min(1.0));
    SampleRatio { p_value, mismatch: p_value.is_some_and(|p| p < MISMATCH) }
}

struct Reading<'a> {
    plan: &'a ExperimentPlan,
    exposed: &'a [u64],
    /// Whether shares changed on the way: then plain means mix times, and scores are compared instead.
    varied: bool,
}

impl Reading<'_> {
    fn metric(&self, metric: &ExperimentMetric, tally: &MetricTally) -> MetricResults {
        let arms: Vec<ArmResults> = tally
            .arms
            .iter()
            .zip(self.exposed)
            .map(|(arm, exposed)| arm_results(metric, arm, *exposed))
            .collect();
        let held_out = (tally.held_out.n > 0).then(|| {
            let arm = ArmTally { sums: tally.held_out, ..ArmTally::default() };
            arm_results(metric, &arm, 0)
        });
        let comparisons = tally.pairs.iter().zip(1..).filter_map(|(pair, treatment)| {
            let (control, arm) = (tally.arms.first()?, tally.arms.get(treatment)?);
            let found = if self.varied && linear(metric) {
                of_scores(metric, &pair.scores, treatment, tally)
            } else {
                difference(metric, control, arm)
            };
            let relative = relative(metric, control, arm, found.as_ref());
            Some(self.comparison(metric, treatment, found, relative, pair.test.as_ref()))
        });
        MetricResults {
            name: metric.name.clone(),
            kind: metric.kind,
            role: metric.role,
            direction: metric.direction,
            method: metric.method(),
            comparisons: comparisons.collect(),
            arms,
            held_out,
        }
    }

    fn comparison(
        &self,
        metric: &ExperimentMetric,
        treatment: usize,
        found: Option<Effect>,
        relative_effect: Option<f64>,
        test: Option<&RandomisationTest>,
    ) -> Comparison {
        let level = Level::new(self.plan.alpha).ok();
        let shown = found.as_ref().zip(level);
        // What has bounds cannot differ by more than they do.
        let most = metric.outcome_bounds().map_or(f64::INFINITY, |[low, high]| high - low);
        let within = |low: f64, high: f64| [low.max(-most), high.min(most)];
        let worse = match metric.direction {
            Direction::Increase => (Alternative::Less, Sides::TreatmentLess),
            Direction::Decrease => (Alternative::Greater, Sides::TreatmentGreater),
        };
        let plan = asymptotic::Plan::new(self.plan.planned_units).unwrap_or_default();
        let sequential = shown.and_then(|(found, level)| {
            let two = asymptotic::infer(found, plan, level, Alternative::TwoSided).ok()?;
            let harm = asymptotic::infer(found, plan, level, worse.0).ok()?;
            let (p_value, harm_p_value, e_value) = match test {
                Some(test) => (
                    test.p_value(Sides::Two),
                    test.p_value(worse.1),
                    Some(test.largest_log_e(Sides::Two).exp()),
                ),
                None => (two.p_value, harm.p_value, None),
            };
            let interval = within(two.interval.low, two.interval.high);
            Some(Sequential { interval, p_value, adjusted_p_value: p_value, e_value, harm_p_value })
        });
        let fixed_horizon = shown
            .and_then(|(found, level)| fixed::infer(found, level, Alternative::TwoSided).ok())
            .map(|Inference { interval, p_value }| FixedHorizon {
                interval: within(interval.low, interval.high),
                p_value,
            });
        let bayesian = shown
            .and_then(|(found, level)| bayes::posterior(found, bayes::Prior::Flat, level).ok())
            .map(|posterior| {
                let interval = within(posterior.interval.low, posterior.interval.high);
                let above = posterior.probability_above_zero;
                match metric.direction {
                    Direction::Increase => {
                        Bayesian { chance_to_win: above, expected_loss: posterior.expected_loss, interval }
                    }
                    Direction::Decrease => Bayesian {
                        chance_to_win: 1.0 - above,
                        expected_loss: posterior.expected_gain,
                        interval,
                    },
                }
            });
        Comparison {
            treatment,
            verdict: Verdict::Inconclusive,
            why: String::new(),
            effect: found.as_ref().map(Effect::estimate),
            standard_error: found.as_ref().map(Effect::standard_error),
            relative_effect,
            sequential,
            fixed_horizon,
            bayesian,
        }
    }

    fn segments(&self, tally: &Tally) -> Vec<SegmentResults> {
        let goal = self.plan.metrics.iter().position(|metric| metric.role == MetricRole::Goal);
        let Some((index, metric)) = goal.and_then(|index| Some((index, self.plan.metrics.get(index)?)))
        else {
            return Vec::new();
        };
        let mut segments = Vec::new();
        for ((key, value), segment) in &tally.segments {
            let Some(sums) = segment.sums.get(index) else { continue };
            let arms: Vec<ArmTally> =
                sums.iter().map(|sums| ArmTally { sums: *sums, ..ArmTally::default() }).collect();
            let results =
                arms.iter().zip(&segment.exposed).map(|(arm, exposed)| arm_results(metric, arm, *exposed));
            let comparisons = (1..arms.len()).filter_map(|treatment| {
                let (control, arm) = (arms.first()?, arms.get(treatment)?);
                let found = difference(metric, control, arm);
                let relative = relative(metric, control, arm, found.as_ref());
                let mut comparison = self.comparison(metric, treatment, found, relative, None);
                if self.varied {
                    // Scores are not kept by segment: there is a difference to show, and nothing to judge it by.
                    (comparison.sequential, comparison.fixed_horizon, comparison.bayesian) =
                        (None, None, None);
                }
                Some(comparison)
            });
            segments.push(SegmentResults {
                key: key.clone(),
                value: value.clone(),
                comparisons: comparisons.collect(),
                arms: results.collect(),
            });
        }
        let all = segments.iter_mut().flat_map(|segment| &mut segment.comparisons);
        holm(all.filter_map(|comparison| comparison.sequential.as_mut()));
        for comparison in segments.iter_mut().flat_map(|segment| &mut segment.comparisons) {
            verdict::compare(self.plan, metric, comparison);
            if self.varied {
                comparison.why = "shares changed on the way, and a segment's means mix the times".to_owned();
            }
        }
        segments
    }
}

/// Goals share alpha among treatments; secondary metrics are told apart from chance together; so are guardrails.
fn adjust(metrics: &mut [MetricResults]) {
    for role in [MetricRole::Goal, MetricRole::Secondary, MetricRole::Guardrail] {
        let of_role = metrics.iter_mut().filter(|metric| metric.role == role);
        let comparisons = of_role.flat_map(|metric| &mut metric.comparisons);
        holm(comparisons.filter_map(|comparison| comparison.sequential.as_mut()));
    }
}

/// Holm's correction, which needs nothing of how the comparisons depend on each other.
fn holm<'a>(comparisons: impl Iterator<Item = &'a mut Sequential>) {
    let mut all: Vec<&mut Sequential> = comparisons.collect();
    let p_values: Vec<f64> = all.iter().map(|sequential| sequential.p_value).collect();
    if let Ok(adjusted) = multiple::holm(&p_values) {
        for (sequential, adjusted) in all.iter_mut().zip(adjusted) {
            sequential.adjusted_p_value = adjusted;
        }
    }
}

/// Whether a metric is a mean over units, of which scores can be made.
fn linear(metric: &ExperimentMetric) -> bool {
    !matches!(metric.kind, MetricKind::Ratio | MetricKind::Quantile)
}

/// The effect by the arms' means, ratios or quantiles.
fn difference(metric: &ExperimentMetric, control: &ArmTally, arm: &ArmTally) -> Option<Effect> {
    let found = summaries(metric, control, arm).and_then(|(a, b)| effect(&a, &b, Scale::Absolute).ok());
    found.or_else(|| without_variation(metric, control, arm))
}

/// The effect where an arm's outcomes are all the same, as when nobody has converted yet: that they do not vary is then a matter
/// of their number. Its standard error is that of arms with one more unit at either bound.
///
/// Source: A. Agresti, B. Caffo, "Simple and effective confidence intervals for proportions and differences of proportions
/// result from adding two successes and two failures", The American Statistician 54 (2000), DOI 10.1080/00031305.2000.10474560.
fn without_variation(metric: &ExperimentMetric, control: &ArmTally, arm: &ArmTally) -> Option<Effect> {
    let (a, b) = (control.sums.sample()?, arm.sums.sample()?);
    if !linear(metric) || a.units() < 2 || b.units() < 2 {
        return None;
    }
    let share = |arm: &ArmTally| {
        let sample = with_bounds(metric, &arm.sums)?.sample()?;
        Some(sample.variance()? / sample.units() as f64)
    };
    let units = a.units() + b.units();
    let error = (share(control)? + share(arm)?).sqrt();
    Effect::new(b.average() - a.average(), error, units, (units - 2) as f64).ok()
}

/// The sums with one more unit at either bound; `None` without bounds.
fn with_bounds(metric: &ExperimentMetric, sums: &Sums) -> Option<Sums> {
    let bounds = metric.outcome_bounds()?;
    let mut sums = *sums;
    bounds.iter().for_each(|bound| sums.add(*bound, 0.0));
    Some(sums)
}

/// The effect by the scores of a pair.
///
/// Their variance is taken as the larger of what it was and of what the shares make of the outcomes' variance, each arm's
/// being at least that of all arms together. An arm that had bad luck early is served less, and until something happens in it its
/// scores do not vary at all: by the first alone, one experiment in eight at a rate of 0.02 finds an effect that is not there.
/// Where the arms' variances differ, the larger one only widens the interval.
fn of_scores(
    metric: &ExperimentMetric,
    scores: &Scores,
    treatment: usize,
    tally: &MetricTally,
) -> Option<Effect> {
    let n = scores.n as f64;
    if scores.n < 2 {
        return None;
    }
    let mean = scores.sum / n;
    let seen = (scores.squares - n * mean * mean).max(0.0) / (n - 1.0);
    let mut all = Sums::default();
    tally.arms.iter().for_each(|arm| all.merge(&arm.sums));
    let variance = |sums: &Sums| sums.sample().and_then(|sample| sample.variance()).unwrap_or(0.0);
    let together = with_bounds(metric, &all).map_or_else(|| variance(&all), |all| variance(&all));
    let [of_control, of_treatment] = scores.weights.map(|weight| weight / n);
    let arm = |arm: usize| tally.arms.get(arm).map_or(together, |arm| variance(&arm.sums).max(together));
    let expected = arm(0) * of_control + arm(treatment) * of_treatment;
    Effect::new(mean, (seen.max(expected) / n).sqrt(), scores.n, n - 1.0).ok()
}

fn relative(
    metric: &ExperimentMetric,
    control: &ArmTally,
    arm: &ArmTally,
    found: Option<&Effect>,
) -> Option<f64> {
    let (baseline, _) = summaries(metric, control, arm)?;
    let baseline = baseline.value();
    found.filter(|_| baseline != 0.0).map(|found| found.estimate() / baseline.abs())
}

/// Both arms, summarised alike: adjusted by what was known before where that is known of every unit.
fn summaries(metric: &ExperimentMetric, control: &ArmTally, arm: &ArmTally) -> Option<(Summary, Summary)> {
    let known = |arm: &ArmTally| arm.sums.n > 1 && arm.adjusted.n == arm.sums.n;
    if linear(metric)
        && known(control)
        && known(arm)
        && let Some(pair) = adjusted(&control.adjusted).zip(adjusted(&arm.adjusted))
    {
        return Some(pair);
    }
    Some((summary(metric, control)?, summary(metric, arm)?))
}

fn adjusted(sums: &Sums) -> Option<Summary> {
    AdjustedSample::new(sums.sample()?, sums.other_sample()?, sums.products()).ok().map(Summary::Adjusted)
}

/// One arm.
fn summary(metric: &ExperimentMetric, arm: &ArmTally) -> Option<Summary> {
    let units = u64::try_from(arm.sums.n).ok()?;
    match metric.kind {
        MetricKind::Proportion => {
            Sample::proportion(units, arm.sums.sum().round().max(0.0) as u64).ok().map(Summary::Mean)
        }
        MetricKind::Mean | MetricKind::Count | MetricKind::Duration => arm.sums.sample().map(Summary::Mean),
        MetricKind::Ratio => {
            RatioSample::new(arm.sums.sample()?, arm.sums.other_sample()?, arm.sums.products())
                .ok()
                .map(Summary::Ratio)
        }
        MetricKind::Quantile => {
            let sketch = Sketch::from_bytes(&arm.sketch).ok()?;
            let (n, q) = (sketch.count(), metric.quantile?);
            let units = u64::try_from(n).ok()?;
            // Ranks of the binomial interval of a quantile, at 95 %.
            let reach = normal::quantile(0.975) * (q * (1.0 - q) / n as f64).sqrt();
            let value = sketch.quantile(q)?;
            let low = sketch.quantile((q - reach).max(0.0))?.min(value);
            let high = sketch.quantile((q + reach).min(1.0))?.max(value);
            QuantileSample::new(units, units, q, value, (low, high)).ok().map(Summary::Quantile)
        }
    }
}

fn arm_results(metric: &ExperimentMetric, arm: &ArmTally, exposed: u64) -> ArmResults {
    let closed = u64::try_from(arm.sums.n).unwrap_or(0);
    let (units, open) = match metric.kind {
        MetricKind::Quantile => {
            (Sketch::from_bytes(&arm.sketch).map_or(0, |s| u64::try_from(s.count()).unwrap_or(0)), 0)
        }
        _ => (closed, exposed.saturating_sub(closed + arm.absent)),
    };
    ArmResults { units, open, absent: arm.absent, value: summary(metric, arm).map(|summary| summary.value()) }
}

/// Whether a metric is judged by the e-process.
pub(super) fn exact(metric: &ExperimentMetric) -> bool {
    metric.method() == SequentialMethod::EProcess
}
