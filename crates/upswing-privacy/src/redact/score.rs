//! How good the redaction is on labelled texts: per kind, what was found, missed and found where nothing is.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{Finding, Kind};

/// What one kind came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Spans that a person labelled.
    pub labelled: u64,
    /// Those of them that a finding of their kind covers by at least half.
    pub found: u64,
    /// Those of them that a finding covers exactly.
    pub exact: u64,
    /// Findings that cover half of no labelled span of their kind.
    pub wrong: u64,
}

impl Tally {
    /// What was labelled and not found.
    pub fn missed(&self) -> u64 {
        self.labelled - self.found
    }

    /// The share of labelled spans that were found; `None` when nothing was labelled.
    pub fn recall(&self) -> Option<f64> {
        share(self.found, self.labelled)
    }

    /// The share of findings that are right, a span that was found counting once; `None` when nothing was found.
    pub fn precision(&self) -> Option<f64> {
        share(self.found, self.found + self.wrong)
    }

    /// The share of labelled spans whose bounds were found exactly.
    pub fn exact_share(&self) -> Option<f64> {
        share(self.exact, self.labelled)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a file stay far below 2^53")]
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The tallies of many texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Score(BTreeMap<Kind, Tally>);

impl Score {
    /// Takes in a text with its labels, in bytes, and what was found in it.
    ///
    /// A label is found when findings of its kind cover at least half of its characters together: two findings side by side
    /// hide a span as well as one does.
    pub fn add(&mut self, text: &str, labels: &[(Kind, Range<usize>)], found: &[Finding]) {
        let overlap = |label: &Range<usize>, finding: &Finding| {
            let range = label.start.max(finding.start)..label.end.min(finding.end);
            text.get(range).map_or(0, |part| part.chars().count())
        };
        for (kind, label) in labels {
            let length = text.get(label.clone()).map_or(0, |part| part.chars().count());
            let same = || found.iter().filter(|finding| finding.kind == *kind);
            let covered: usize = same().map(|finding| overlap(label, finding)).sum();
            let tally = self.0.entry(*kind).or_default();
            tally.labelled += 1;
            tally.found += u64::from(covered > 0 && covered * 2 >= length);
            tally.exact += u64::from(same().any(|finding| finding.range() == *label));
        }
        for finding in found {
            let right = labels.iter().any(|(kind, label)| {
                let length = text.get(label.clone()).map_or(0, |part| part.chars().count());
                let own = text.get(finding.range()).map_or(0, |part| part.chars().count());
                let covered = overlap(label, finding);
                // A part of a label is no error: the rest may be covered by others.
                *kind == finding.kind && covered > 0 && (covered * 2 >= length || covered * 2 >= own)
            });
            self.0.entry(finding.kind).or_default().wrong += u64::from(!right);
        }
    }

    /// What a kind came to.
    pub fn of(&self, kind: Kind) -> Tally {
        self.0.get(&kind).copied().unwrap_or_default()
    }
}
