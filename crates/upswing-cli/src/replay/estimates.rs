//! The report of an evaluation, for people and as JSON.

use serde_json::{Value, json};
use upswing_stats::Interval;
use upswing_stats::off_policy::{Estimator, Verdict};

use super::decisions::Decisions;
use super::evaluate::{Evaluation, OnPolicy};
use super::target::MOST_FIXED;

/// All that the report says.
pub(crate) struct Report<'a> {
    /// The log.
    pub(crate) decisions: &'a Decisions,
    /// What was found.
    pub(crate) evaluation: &'a Evaluation,
    /// What the target policy earned in its own log, where that was given.
    pub(crate) target: Option<OnPolicy>,
    /// How intervals were made, in words.
    pub(crate) method: &'static str,
}

fn ends(interval: Option<&Interval>) -> Option<[f64; 2]> {
    interval.map(|interval| [interval.low, interval.high])
}

fn on_policy(found: &OnPolicy) -> Value {
    json!({
        "policy": found.policy,
        "value": found.value,
        "interval": ends(found.interval.as_ref()),
        "events": found.events,
    })
}

impl Report<'_> {
    /// One object.
    pub(crate) fn json(&self) -> Value {
        let estimates: Vec<Value> = self
            .evaluation
            .estimates
            .iter()
            .map(|estimate| {
                json!({
                    "policy": estimate.policy,
                    "estimator": estimate.estimator.name(),
                    "value": estimate.value,
                    "interval": ends(estimate.interval.as_ref()),
                    "effective_sample_size": estimate.effective_sample_size,
                    "events": estimate.events,
                    "verdict": estimate.verdict.name(),
                })
            })
            .collect();
        let mut found = on_policy(&self.evaluation.on_policy);
        if let (Some(target), Value::Object(found)) = (&self.target, &mut found) {
            found.insert("target".to_owned(), on_policy(target));
        }
        json!({ "estimates": estimates, "on_policy": found })
    }

    /// A header and a table.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for note in &self.decisions.notes {
            text.push_str(&format!("{note}\n"));
        }
        text.push_str(&self.earned(&self.evaluation.on_policy));
        if let Some(target) = &self.target {
            text.push_str(&self.earned(target));
        }
        let (folds, how) = self.evaluation.folds;
        text.push_str(&format!(
            "Learned policies and expected rewards are cross-fitted: {folds} folds, {how}; intervals are 95 %, {}.\n",
            self.method
        ));
        if self.decisions.arms.len() > MOST_FIXED {
            text.push_str(&format!(
                "Of {} {}s none is judged by itself: that is done for up to {MOST_FIXED}.\n",
                self.decisions.arms.len(),
                self.decisions.noun
            ));
        }
        text.push_str(&self.table());
        text.push_str(
            "\n  dm rests on its model alone: its interval leaves the model's error out. clipped, switched and shrunken ones are\n  biased towards 0 or the model by what they cut. Where estimators disagree by more than their intervals, trust none.\n",
        );
        text
    }

    fn earned(&self, found: &OnPolicy) -> String {
        let interval = found
            .interval
            .map_or_else(String::new, |i| format!(", 95 % interval {} to {}", number(i.low), number(i.high)));
        let (policy, value) = (&found.policy, number(found.value));
        format!("Earned by {policy} itself: {value} a decision{interval}, {} decisions\n", found.events)
    }

    fn table(&self) -> String {
        let rows: Vec<[String; 6]> = self
            .evaluation
            .estimates
            .iter()
            .enumerate()
            .map(|(index, estimate)| {
                let before = index.checked_sub(1).and_then(|before| self.evaluation.estimates.get(before));
                let again = before.is_some_and(|before| before.policy == estimate.policy);
                let interval = estimate.interval.map_or_else(
                    || "none".to_owned(),
                    |i| format!("{} to {}", number(i.low), number(i.high)),
                );
                [
                    if again { String::new() } else { short(&estimate.policy) },
                    label(&estimate.estimator),
                    estimate.value.map_or_else(|| "unknown".to_owned(), number),
                    interval,
                    if again {
                        String::new()
                    } else {
                        format!("{:.0} of {}", estimate.effective_sample_size, estimate.events)
                    },
                    if again { String::new() } else { words(&estimate.verdict) },
                ]
            })
            .collect();
        let header = ["policy", "estimator", "value", "interval", "effective", "verdict"].map(str::to_owned);
        let widths: Vec<usize> = (0..header.len())
            .map(|c| rows.iter().chain([&header]).map(|row| row[c].chars().count()).max().unwrap_or(0))
            .collect();
        let mut text = String::new();
        for row in std::iter::once(&header).chain(&rows) {
            if !row[0].is_empty() {
                text.push('\n');
            }
            let cells: Vec<String> =
                row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            text.push_str(format!("  {}", cells.join("  ")).trim_end());
            text.push('\n');
        }
        text
    }
}

fn label(estimator: &Estimator) -> String {
    estimator.to_string()
}

fn words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Sufficient => "sufficient".to_owned(),
        Verdict::Insufficient(reason) => format!("insufficient: {reason}"),
    }
}

/// Five decimals, because rates of clicks are small.
fn number(value: f64) -> String {
    format!("{value:.5}")
}

/// A name that fits into a column: versions are named by 64 hexadecimal digits.
fn short(name: &str) -> String {
    const MOST: usize = 40;
    if name.chars().count() <= MOST {
        return name.to_owned();
    }
    format!("{}…", name.chars().take(MOST - 1).collect::<String>())
}
