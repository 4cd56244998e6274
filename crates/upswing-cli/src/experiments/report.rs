//! What came of an experiment, for people and as JSON.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use upswing_domain::{Direction, MetricRole, SequentialMethod};
use upswing_learn::evaluate::{Comparison, MetricResults, SegmentResults, Verdict, letter};

use super::units::Analysed;
use crate::failure::Failure;

/// The server's results with the arms' names before them.
pub(crate) fn json(analysed: &Analysed) -> Result<Value, Failure> {
    let results = serde_json::to_value(&analysed.results)
        .map_err(|error| Failure::new(format!("the results cannot be written: {error}")))?;
    let mut object = Map::new();
    object.insert("arms".to_owned(), json!(analysed.arms));
    if let Value::Object(results) = results {
        object.extend(results);
    }
    object.insert("notes".to_owned(), json!(analysed.notes));
    Ok(Value::Object(object))
}

/// The verdict in words, then the numbers.
pub(crate) fn text(analysed: &Analysed) -> String {
    let Analysed { arms, results, notes } = analysed;
    let mut text = format!("{}: {}\n", capitals(results.verdict), named(&results.summary, arms));
    if results.verdict != Verdict::Inconclusive || results.reasons.len() > 1 {
        for reason in &results.reasons {
            let _ = writeln!(text, "  {}", named(reason, arms));
        }
    } else if let Some(reason) = results.reasons.first() {
        let _ = writeln!(text, "  {reason}");
    }
    for metric in &results.metrics {
        text.push('\n');
        of_metric(&mut text, metric, arms);
    }
    for SegmentResults { key, value, comparisons, .. } in &results.segments {
        for comparison in comparisons {
            let _ = writeln!(text, "\n  {key} = {value}: {}", comparison.why);
        }
    }
    if let Some(p) = results.sample_ratio.p_value {
        let as_assigned =
            if results.sample_ratio.mismatch { "NOT as large as assigned" } else { "as large as assigned" };
        let _ = writeln!(text, "\nArms are {as_assigned}: p = {}", short(p));
    }
    for note in notes {
        let _ = writeln!(text, "Note: {note}.");
    }
    text
}

fn of_metric(text: &mut String, metric: &MetricResults, arms: &[String]) {
    let role = match metric.role {
        MetricRole::Goal => "goal",
        MetricRole::Secondary => "secondary",
        MetricRole::Guardrail => "guardrail",
    };
    let way = if metric.direction == Direction::Increase { "larger" } else { "smaller" };
    let method = match metric.method {
        SequentialMethod::EProcess => "the e-process",
        SequentialMethod::Asymptotic => "the asymptotic sequence",
    };
    let _ = writeln!(text, "{} ({role}; {way} is better; judged by {method})", metric.name);
    let width = arms.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(3);
    let _ = writeln!(text, "  {:width$}  {:>10}  {:>12}", "arm", "units", "value");
    for (name, arm) in arms.iter().zip(&metric.arms) {
        let value = arm.value.map_or("-".to_owned(), short);
        let absent =
            if arm.absent > 0 { format!("  ({} without a value)", arm.absent) } else { String::new() };
        let _ = writeln!(text, "  {name:width$}  {:>10}  {value:>12}{absent}", arm.units);
    }
    for comparison in &metric.comparisons {
        of_comparison(text, comparison, arms);
    }
}

fn of_comparison(text: &mut String, comparison: &Comparison, arms: &[String]) {
    let name = |place: usize| arms.get(place).map_or("?", String::as_str);
    let _ =
        writeln!(text, "  {} against {}: {}", name(comparison.treatment), name(0), comparison.verdict.name());
    let Some(effect) = comparison.effect else {
        let _ = writeln!(text, "    {}", comparison.why);
        return;
    };
    let relative = comparison.relative_effect.map_or(String::new(), |r| format!(" ({:+.1} %)", r * 100.0));
    let _ = writeln!(text, "    effect            {}{relative}", signed(effect));
    let range = |[low, high]: [f64; 2]| format!("{} to {}", signed(low), signed(high));
    if let Some(sequential) = comparison.sequential {
        let evidence = sequential.e_value.map_or(String::new(), |e| format!(", evidence {} to 1", short(e)));
        let _ = writeln!(
            text,
            "    at any look       {}, p = {}, adjusted {}{evidence}",
            range(sequential.interval),
            short(sequential.p_value),
            short(sequential.adjusted_p_value)
        );
        let _ = writeln!(text, "    that it does harm p = {} at any look", short(sequential.harm_p_value));
    }
    if let Some(fixed) = comparison.fixed_horizon {
        let _ =
            writeln!(text, "    at one look only  {}, p = {}", range(fixed.interval), short(fixed.p_value));
    }
    if let Some(belief) = comparison.bayesian {
        let _ = writeln!(
            text,
            "    by belief         chance to win {}, expected loss {}",
            short(belief.chance_to_win),
            short(belief.expected_loss)
        );
    }
}

fn capitals(verdict: Verdict) -> String {
    verdict.name().to_uppercase()
}

/// With the arms' names instead of their places.
fn named(text: &str, arms: &[String]) -> String {
    let mut text = text.to_owned();
    for (place, name) in arms.iter().enumerate().rev() {
        let letter = letter(place);
        text = text.replace(&format!("Arm {letter} "), &format!("'{name}' "));
        text = text.replace(&format!("arm {letter}:"), &format!("'{name}':"));
    }
    if let Some(control) = arms.first() {
        text = text.replace("the control", &format!("'{control}'"));
    }
    text
}

/// Four significant digits.
pub(crate) fn short(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let magnitude = value.abs().log10().floor() as i32;
    if !(-5..15).contains(&magnitude) {
        return format!("{value:.2e}");
    }
    let digits = usize::try_from(3 - magnitude).unwrap_or(0);
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn signed(value: f64) -> String {
    if value > 0.0 { format!("+{}", short(value)) } else { short(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_four_digits_and_arms_their_names() {
        assert_eq!(
            [0.123_456, 12_345.6, 1e-9, 0.0, 0.5].map(short),
            ["0.1235", "12346", "1.00e-9", "0", "0.5"]
        );
        let arms = ["a".to_owned(), "b".to_owned()];
        assert_eq!(named("Arm B is better than the control: x.", &arms), "'b' is better than 'a': x.");
    }
}
