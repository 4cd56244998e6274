//! Personal data and secrets in free text: found, and replaced before anything is stored.
//!
//! A [`Redactor`] finds e-mail addresses, phone numbers, payment cards, IBANs, IP addresses, US social security numbers
//! and secrets, and puts a label such as `[email]` in their place. What identifies itself is checked (Luhn, mod 97,
//! numbering plans), the rest needs words around it that say what it is.
//!
//! ```
//! use upswing_privacy::redact::{Kind, Redactor};
//!
//! let redacted = Redactor::new().text("Write to ada@example.com, not to @ada");
//! assert_eq!(redacted.text, "Write to [email], not to @ada");
//! assert_eq!(redacted.findings[0].kind, Kind::Email);
//! ```
//!
//! Three things hold. *Redacting twice changes nothing*: labels divide a text into stretches that are looked at alone, and
//! what is left between labels is looked at again. *Findings never overlap* and lie on character boundaries. *Time is
//! linear*: every detector looks a bounded distance around what wakes it.
//!
//! Detectors read a folded text, see [`Folded`](fold::Folded): digits of all scripts are ASCII digits, all dashes are one
//! dash, what has no width is gone. They know nothing of that; spans are translated back at the end.

mod card;
mod context;
pub mod corpus;
mod email;
mod fold;
mod iban;
mod ip;
mod json;
mod numbers;
mod phone;
pub mod score;
mod secret;
mod ssn;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use fold::Folded;
use numbers::Numbers;
use secret::Secrets;

/// What kind of thing was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// An e-mail address, also one that is spelled out.
    Email,
    /// A phone number.
    Phone,
    /// A payment card's number.
    Card,
    /// An international bank account number.
    Iban,
    /// An address of the internet protocol, version 4 or 6.
    Ip,
    /// A social security number of the United States.
    Ssn,
    /// A password, key, token or whatever else opens something.
    Secret,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Email, Self::Phone, Self::Card, Self::Iban, Self::Ip, Self::Ssn, Self::Secret];

    /// Its name in files and reports.
    pub fn name(self) -> &'static str {
        let label = self.label();
        &label[1..label.len() - 1]
    }

    /// What stands in its place.
    pub fn label(self) -> &'static str {
        match self {
            Self::Email => "[email]",
            Self::Phone => "[phone]",
            Self::Card => "[card]",
            Self::Iban => "[iban]",
            Self::Ip => "[ip]",
            Self::Ssn => "[ssn]",
            Self::Secret => "[secret]",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What was found, and where: bytes of the text as it was given, on character boundaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// Its first byte.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
}

impl Finding {
    /// Its bytes.
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }
}

/// A text without what was found in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redacted<'t> {
    /// The text to keep; borrowed when nothing was found.
    pub text: Cow<'t, str>,
    /// What was found in the original, in order, without overlaps.
    pub findings: Vec<Finding>,
}

/// The same spans counted in Unicode scalar values instead of bytes, which is how most other languages count.
///
/// `text` is the text in which `findings` were found, and they are in order, as [`Redactor::find`] gives them.
pub fn in_characters(text: &str, findings: &[Finding]) -> Vec<Finding> {
    let (mut bytes, mut characters) = (0, 0);
    let mut advance = |to: usize| {
        characters += text.get(bytes..to).map_or(0, |part| part.chars().count());
        bytes = to;
        characters
    };
    findings
        .iter()
        .map(|finding| Finding { start: advance(finding.start), end: advance(finding.end), ..*finding })
        .collect()
}

/// How many of each kind were replaced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts([u64; Kind::ALL.len()]);

impl Counts {
    /// How many of one kind.
    pub fn of(&self, kind: Kind) -> u64 {
        self.0[kind as usize]
    }

    /// How many of all kinds.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Each kind that occurred, with its number.
    pub fn iter(&self) -> impl Iterator<Item = (Kind, u64)> + '_ {
        Kind::ALL.into_iter().map(|kind| (kind, self.of(kind))).filter(|(_, count)| *count > 0)
    }

    fn add(&mut self, kind: Kind) {
        self.0[kind as usize] += 1;
    }
}

/// How often what is left between findings is looked at again. Each look finds what the last one could not see for what
/// stood beside it; in practice the second finds nothing.
const LOOKS: usize = 4;

/// Finds and replaces. Costs nothing to make, copy and share: what it needs is compiled once for the process.
#[derive(Debug, Clone, Copy)]
pub struct Redactor {
    secrets: &'static Secrets,
}

impl Default for Redactor {
    fn default() -> Self {
        Self::new()
    }
}

impl Redactor {
    /// The redactor.
    pub fn new() -> Self {
        Self { secrets: Secrets::shared() }
    }

    /// What is in a text, in order.
    pub fn find(&self, text: &str) -> Vec<Finding> {
        let folded = Folded::new(text);
        let mut found = self.find_in_folded(&folded.text);
        for finding in &mut found {
            (finding.start, finding.end) = folded.original(finding.start, finding.end);
        }
        found
    }

    /// The text with a label in place of everything found.
    pub fn text<'t>(&self, text: &'t str) -> Redacted<'t> {
        let findings = self.find(text);
        if findings.is_empty() {
            return Redacted { text: Cow::Borrowed(text), findings };
        }
        let mut kept = String::with_capacity(text.len());
        let mut from = 0;
        for finding in &findings {
            kept.push_str(text.get(from..finding.start).unwrap_or_default());
            kept.push_str(finding.kind.label());
            from = finding.end;
        }
        kept.push_str(text.get(from..).unwrap_or_default());
        Redacted { text: Cow::Owned(kept), findings }
    }

    /// Redacts a JSON value in place: its strings, its keys, and numbers that are card numbers.
    ///
    /// A key says what its value is: the string under `password` or `api_key` goes as a whole, nine digits under `ssn` are a
    /// social security number. Two keys that become the same label are kept apart by a number: `[email]`, `[email]#2`.
    pub fn json(&self, value: &mut serde_json::Value) -> Counts {
        let mut counts = Counts::default();
        json::redact(self, value, &mut counts);
        counts
    }

    fn find_in_folded(&self, text: &str) -> Vec<Finding> {
        let mut found = Vec::new();
        let mut open: Vec<Range<usize>> = stretches(text);
        for _ in 0..LOOKS {
            let mut next = Vec::new();
            for stretch in open {
                let findings = self.look(&text[stretch.clone()]);
                if findings.is_empty() {
                    continue;
                }
                let mut from = stretch.start;
                for finding in findings {
                    let (start, end) = (stretch.start + finding.start, stretch.start + finding.end);
                    next.push(from..start);
                    found.push(Finding { start, end, ..finding });
                    from = end;
                }
                next.push(from..stretch.end);
            }
            next.retain(|stretch| stretch.len() >= SHORTEST);
            if next.is_empty() {
                break;
            }
            open = next;
        }
        found.sort_unstable_by_key(|finding| finding.start);
        found
    }

    /// One look at a stretch without labels.
    fn look(&self, text: &str) -> Vec<Finding> {
        let mut all: [Vec<Range<usize>>; Kind::ALL.len()] = Default::default();
        let numbers = Numbers::read(text);
        for chain in numbers.chains() {
            card::find(text, chain, &mut all[Kind::Card as usize]);
            ip::find_v4(text, chain, &mut all[Kind::Ip as usize]);
            ssn::find(text, chain, &mut all[Kind::Ssn as usize]);
            phone::find(text, chain, &mut all[Kind::Phone as usize]);
        }
        if !numbers.is_empty() {
            iban::find(text, &numbers, &mut all[Kind::Iban as usize]);
            ip::find_v6(text, &mut all[Kind::Ip as usize]);
        }
        email::find(text, &mut all[Kind::Email as usize]);
        self.secrets.find(text, &mut all[Kind::Secret as usize]);
        resolve(all)
    }
}

/// The shortest thing that is found: `::1`.
const SHORTEST: usize = 3;

/// Who wins where two kinds claim the same characters: what is checked or says its name before what only looks so.
const PRECEDENCE: [Kind; 7] =
    [Kind::Secret, Kind::Email, Kind::Iban, Kind::Card, Kind::Ip, Kind::Ssn, Kind::Phone];

fn resolve(mut all: [Vec<Range<usize>>; Kind::ALL.len()]) -> Vec<Finding> {
    let mut taken: Vec<Finding> = Vec::new();
    for kind in PRECEDENCE {
        let mut ranges = std::mem::take(&mut all[kind as usize]);
        if ranges.is_empty() {
            continue;
        }
        ranges.sort_unstable_by_key(|range| (range.start, range.end));
        let mut merged: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match merged.last_mut() {
                Some(last) if range.start < last.end => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        let before = taken.len();
        for Range { start, end } in merged {
            let next = taken[..before].partition_point(|other| other.end <= start);
            if taken[..before].get(next).is_none_or(|other| other.start >= end) {
                taken.push(Finding { kind, start, end });
            }
        }
        taken.sort_unstable_by_key(|finding| finding.start);
    }
    taken
}

/// The stretches between labels that are there already. Nothing is read across a label, so that a text reads the same
/// before and after redaction.
fn stretches(text: &str) -> Vec<Range<usize>> {
    let mut stretches = Vec::new();
    let mut from = 0;
    for at in memchr::memchr_iter(b'[', text.as_bytes()) {
        let rest = &text[at..];
        if let Some(kind) = Kind::ALL.into_iter().find(|kind| rest.starts_with(kind.label())) {
            stretches.push(from..at);
            from = at + kind.label().len();
        }
    }
    stretches.push(from..text.len());
    stretches.retain(|stretch| stretch.len() >= SHORTEST);
    stretches
}

#[cfg(test)]
mod tests;
