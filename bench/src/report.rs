//! What was found, as a table for people and as JSON for machines.

use std::fmt::Write as _;

use serde::Serialize;

/// One measured claim.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    /// Which database.
    pub(crate) database: &'static str,
    /// What was measured.
    pub(crate) what: String,
    /// The measured value.
    pub(crate) value: f64,
    /// The smallest and the largest of the pairs, where there were pairs.
    pub(crate) spread: Option<(f64, f64)>,
    /// The value's unit; empty for a ratio.
    pub(crate) unit: &'static str,
    /// What it is to be.
    pub(crate) target: String,
    /// Whether it is.
    pub(crate) met: bool,
    /// What stands behind it, for people.
    pub(crate) details: Vec<String>,
}

impl Finding {
    /// A ratio that is to reach something: the median of pairs.
    pub(crate) fn ratio(database: &'static str, what: &str, ratios: &[f64], least: f64) -> Self {
        Self {
            database,
            what: what.to_owned(),
            value: median(ratios),
            spread: Some(spread(ratios)),
            unit: "",
            target: format!(">= {least}"),
            met: median(ratios) >= least,
            details: Vec::new(),
        }
    }

    /// A value that is not to exceed something.
    pub(crate) fn at_most(
        database: &'static str,
        what: &str,
        value: f64,
        unit: &'static str,
        most: f64,
    ) -> Self {
        Self {
            database,
            what: what.to_owned(),
            value,
            spread: None,
            unit,
            target: format!("<= {}", number(most)),
            met: value <= most,
            details: Vec::new(),
        }
    }

    /// A value that is to reach something.
    pub(crate) fn at_least(
        database: &'static str,
        what: &str,
        value: f64,
        unit: &'static str,
        least: f64,
    ) -> Self {
        let target = format!(">= {}", number(least));
        Self { target, met: value >= least, ..Self::at_most(database, what, value, unit, least) }
    }

    /// The same with what stands behind it.
    #[must_use]
    pub(crate) fn details(mut self, details: impl IntoIterator<Item = String>) -> Self {
        self.details.extend(details);
        self
    }
}

/// How everything was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Who made the load.
    pub(crate) generator: &'static str,
    /// What the server is compared with.
    pub(crate) baseline: &'static str,
    /// Pairs in a comparison.
    pub(crate) pairs: usize,
    /// Seconds in each half of a pair.
    pub(crate) seconds: f64,
    /// Processors of the machine.
    pub(crate) processors: usize,
    /// What was found.
    pub(crate) findings: Vec<Finding>,
}

impl Report {
    /// Whether everything is as it should be.
    pub(crate) fn met(&self) -> bool {
        self.findings.iter().all(|finding| finding.met)
    }

    /// The table.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "\nGenerator  {}\nBaseline   {}", self.generator, self.baseline);
        let _ = writeln!(
            out,
            "Each ratio is the median of {} interleaved pairs of {} s (smallest to largest); only 2xx counts. \
             Processors: {}.\n",
            self.pairs, self.seconds, self.processors
        );
        let header = ["database", "what", "measured", "spread", "target", ""].map(str::to_owned);
        let rows = self.findings.iter().map(|finding| {
            let unit = if finding.unit.is_empty() { String::new() } else { format!(" {}", finding.unit) };
            [
                finding.database.to_owned(),
                finding.what.clone(),
                format!("{}{unit}", number(finding.value)),
                finding
                    .spread
                    .map(|(low, high)| format!("{} to {}", number(low), number(high)))
                    .unwrap_or_default(),
                format!("{}{unit}", finding.target),
                if finding.met { "ok" } else { "short" }.to_owned(),
            ]
        });
        let rows: Vec<_> = std::iter::once(header).chain(rows).collect();
        let widths: [usize; 6] = std::array::from_fn(|column| {
            rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)
        });
        for (index, row) in rows.iter().enumerate() {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
            let _ = writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
            let finding = index.checked_sub(1).and_then(|index| self.findings.get(index));
            for detail in finding.map(|finding| finding.details.as_slice()).unwrap_or_default() {
                let _ = writeln!(out, "{:indent$}{detail}", "", indent = widths[0] + 4);
            }
        }
        out
    }
}

/// The middle one, or the mean of the two in the middle.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.get(middle), sorted.len() % 2) {
        (None, _) => f64::NAN,
        (Some(upper), 1) => *upper,
        (Some(upper), _) => (sorted[middle - 1] + upper) / 2.0,
    }
}

fn spread(values: &[f64]) -> (f64, f64) {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    (low, values.iter().copied().fold(f64::NEG_INFINITY, f64::max))
}

/// With about three digits, and groups of thousands.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "-".to_owned();
    }
    if value.abs() < 100.0 {
        let digits = if value.abs() < 10.0 { 3 } else { 1 };
        let text = format!("{value:.digits$}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_numbers() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-12);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-12);
        assert!(median(&[]).is_nan());
        let shown = [0.3514, 12.34, 50.0, 123_456.7, 999.0, 0.0, f64::NAN].map(number);
        assert_eq!(shown, ["0.351", "12.3", "50", "123,457", "999", "0", "-"]);
    }

    #[test]
    fn a_ratio_is_judged_by_its_median() {
        let finding = Finding::ratio("SQLite", "x", &[0.3, 0.4, 0.5], 0.35);
        assert!(finding.met && finding.spread == Some((0.3, 0.5)));
        assert!(!Finding::at_most("SQLite", "x", f64::NAN, "ms", 50.0).met);
    }
}
