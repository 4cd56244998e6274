//! What the numbers come to, in a word, a sentence, and with how much longer it may take.

use upswing_domain::{Direction, ExperimentMetric, ExperimentPlan, MetricRole};
use upswing_stats::compare::{Alternative, Level, asymptotic};
use upswing_stats::normal;

use super::Tally;
use super::forecast::forecast;
use super::results::{Comparison, MetricResults, Results, Verdict};

/// Below this chance of finding what matters within the planned units, going on is not worth it.
const FUTILE: f64 = 0.1;

/// The effect, larger being better.
fn gain(metric: &ExperimentMetric, effect: f64) -> f64 {
    match metric.direction {
        Direction::Increase => effect,
        Direction::Decrease => -effect,
    }
}

/// Judges each comparison of a metric.
pub(super) fn judge(plan: &ExperimentPlan, metric: &ExperimentMetric, results: &mut MetricResults) {
    for comparison in &mut results.comparisons {
        compare(plan, metric, comparison);
    }
}

/// Judges one comparison.
pub(super) fn compare(plan: &ExperimentPlan, metric: &ExperimentMetric, comparison: &mut Comparison) {
    let (Some(effect), Some(sequential)) = (comparison.effect, comparison.sequential) else {
        comparison.why = "one of the versions has too few outcomes to compare".to_owned();
        return;
    };
    let size = in_words(metric, comparison);
    let evidence = match sequential.e_value {
        Some(e) if e >= 1e4 => format!("the evidence is {e:.0e} to 1"),
        Some(e) => format!("the evidence is {e:.1} to 1"),
        None if sequential.adjusted_p_value < 1e-4 => {
            format!("p = {:.1e} at any look", sequential.adjusted_p_value)
        }
        None => format!("p = {} at any look", number(sequential.adjusted_p_value)),
    };
    let [low, high] = sequential.interval;
    let matters = metric.minimum_effect;
    if sequential.adjusted_p_value <= plan.alpha && effect != 0.0 {
        let better = gain(metric, effect) > 0.0;
        comparison.verdict = if better { Verdict::Better } else { Verdict::Worse };
        comparison.why = format!("{size}; {evidence}");
    } else if let Some(matters) = matters.filter(|matters| -matters < low && high < *matters) {
        comparison.verdict = Verdict::Equivalent;
        comparison.why = format!("{size}; whatever the difference is, it is less than {}", number(matters));
    } else {
        let range = format!("the difference may be anything from {} to {}", number(low), number(high));
        comparison.why = format!("{size}, which may be chance: {evidence}, and {range}");
    }
}

fn in_words(metric: &ExperimentMetric, comparison: &Comparison) -> String {
    let effect = comparison.effect.unwrap_or(0.0);
    let way = if effect >= 0.0 { "higher" } else { "lower" };
    let relative =
        comparison.relative_effect.map_or(String::new(), |relative| format!(" ({:+.1} %)", relative * 100.0));
    format!("{} is {}{} {way}", metric.name, number(effect.abs()), relative)
}

/// What people call an arm by its place: the control is A.
pub fn letter(arm: usize) -> char {
    u8::try_from(arm).map_or('?', |arm| char::from(b'A'.saturating_add(arm)))
}

/// A number as people read it: four significant digits.
pub(super) fn number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let digits = (3 - value.abs().log10().floor() as i32).clamp(0, 9);
    let text = format!("{value:.*}", usize::try_from(digits).unwrap_or(0));
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// What all comparisons together come to, with or without a forecast.
pub(super) fn conclude(
    plan: &ExperimentPlan,
    tally: &Tally,
    elapsed: Option<f64>,
    with_forecast: bool,
    results: &mut Results,
) {
    let place = plan.metrics.iter().position(|metric| metric.role == MetricRole::Goal);
    let goal = place.and_then(|place| {
        Some((plan.metrics.get(place)?, results.metrics.get(place)?.clone(), tally.metrics.get(place)?))
    });
    let Some((metric, goal, known)) = goal else { return };
    results.closed = goal.arms.iter().map(|arm| arm.units).sum();
    for comparison in &goal.comparisons {
        results.reasons.push(named(plan, comparison));
    }
    let harmed = harmed(plan, results);
    results.reasons.extend(harmed.iter().map(|(_, reason)| reason.clone()));
    if results.sample_ratio.mismatch {
        results.summary =
            "The arms are not as large as they were assigned: something loses units of one version, so \
                           nothing that is measured can be trusted. Find out what before going on."
                .to_owned();
        return;
    }
    if with_forecast {
        results.forecast = forecast(plan, metric, &goal, known, elapsed);
    }
    if results.closed < plan.minimum_units
        || elapsed.is_some_and(|elapsed| elapsed < plan.minimum_seconds as f64)
    {
        results.summary = format!(
            "Still collecting: {} of at least {} units have an outcome{}.",
            results.closed,
            plan.minimum_units,
            waiting(plan, elapsed)
        );
        return;
    }
    let is_harmed = |treatment: usize| harmed.iter().any(|(of, _)| *of == treatment);
    let best = goal
        .comparisons
        .iter()
        .filter(|comparison| comparison.verdict == Verdict::Better && !is_harmed(comparison.treatment))
        .max_by(|a, b| {
            let gain = |c: &Comparison| gain(metric, c.effect.unwrap_or(0.0));
            gain(a).total_cmp(&gain(b))
        });
    if let Some(best) = best {
        results.verdict = Verdict::Better;
        results.winner = Some(best.treatment);
        results.summary = format!("Arm {} is better than the control: {}.", letter(best.treatment), best.why);
    } else if goal.comparisons.iter().all(|c| c.verdict == Verdict::Worse || is_harmed(c.treatment)) {
        results.verdict = Verdict::Worse;
        results.winner = Some(0);
        results.summary = match harmed.first() {
            Some((_, reason)) => format!("Keep the control: {reason}."),
            None => format!("Keep the control: {}.", results.reasons.join("; ")),
        };
    } else if goal.comparisons.iter().all(|c| c.verdict == Verdict::Equivalent) {
        results.verdict = Verdict::Equivalent;
        results.summary =
            "It makes no difference that matters: keep the control, or choose by other reasons.".to_owned();
    } else {
        results.summary = match (&results.forecast, futile(plan, metric, &goal)) {
            (_, true) => format!(
                "Not known, and unlikely to be known within the planned {} units: a difference that matters would \
                 probably have shown. Stop, or plan for more.",
                plan.planned_units
            ),
            (Some(forecast), false) => {
                format!(
                    "Not known yet: if things go on as they did, it takes some {:.0} more units.",
                    forecast.units
                )
            }
            (None, false) => "Not known yet.".to_owned(),
        };
    }
}

fn waiting(plan: &ExperimentPlan, elapsed: Option<f64>) -> String {
    let left = elapsed.map_or(0.0, |elapsed| plan.minimum_seconds as f64 - elapsed);
    if left <= 0.0 {
        return String::new();
    }
    let (amount, unit) =
        if left >= 172_800.0 { (left / 86_400.0, "days") } else { (left / 3_600.0, "hours") };
    format!(", and it runs for at least {amount:.1} {unit} more")
}

fn named(plan: &ExperimentPlan, comparison: &Comparison) -> String {
    if plan.arms.len() == 2 {
        comparison.why.clone()
    } else {
        format!("arm {}: {}", letter(comparison.treatment), comparison.why)
    }
}

/// Treatments that do harm by a guardrail, alpha shared among all guardrails and treatments.
fn harmed(plan: &ExperimentPlan, results: &Results) -> Vec<(usize, String)> {
    let guardrails: Vec<&MetricResults> =
        results.metrics.iter().filter(|metric| metric.role == MetricRole::Guardrail).collect();
    let tests = guardrails.iter().map(|metric| metric.comparisons.len()).sum::<usize>().max(1) as f64;
    let mut harmed = Vec::new();
    for metric in guardrails {
        for comparison in &metric.comparisons {
            if comparison.sequential.is_some_and(|s| s.harm_p_value * tests <= plan.alpha) {
                let reason = format!("guardrail {} is worse: {}", metric.name, comparison.why);
                harmed.push((comparison.treatment, reason));
            }
        }
    }
    harmed
}

/// The effect that is found at least, given what is planned and known: futility by conditional power, under the smallest effect
/// that matters, or under what is seen where none was named.
fn futile(plan: &ExperimentPlan, metric: &ExperimentMetric, goal: &MetricResults) -> bool {
    let units = goal.arms.iter().map(|arm| arm.units).sum::<u64>() as f64;
    let planned = plan.planned_units as f64;
    if units >= planned || units < planned / 4.0 {
        return false;
    }
    let chance = |comparison: &Comparison| {
        let (effect, error) = (comparison.effect?, comparison.standard_error?);
        let at_end = error * (units / planned).sqrt();
        let level = Level::new(plan.alpha).ok()?;
        let design = asymptotic::Plan::new(plan.planned_units).ok()?;
        let rho = design.rho_squared(level, Alternative::TwoSided).ok()?;
        let bound = asymptotic::margin(planned, rho, level).ok()? * planned.sqrt() * at_end;
        let assumed = metric.minimum_effect.map_or(effect.abs(), |matters| matters.max(effect.abs()));
        // At the end the estimate is what is seen now and what comes, which is normal around the assumption.
        let share = units / planned;
        let expected = share * effect.abs() + (1.0 - share) * assumed;
        let spread = at_end * (1.0 - share).sqrt();
        Some(1.0 - normal::cdf((bound - expected) / spread.max(f64::MIN_POSITIVE)))
    };
    let chances: Vec<f64> = goal.comparisons.iter().filter_map(chance).collect();
    !chances.is_empty() && chances.iter().all(|chance| *chance < FUTILE)
}
