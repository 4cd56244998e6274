//! Social security numbers of the United States: area, group and serial as they have been assigned.
//!
//! The Social Security Administration assigns no area 000, 666 or 900 to 999, no group 00 and no serial 0000. Nine digits
//! without dashes are too many other things: they need words that say what they are.

use std::ops::Range;

use super::context::{List, Words, ends_free, starts_free};
use super::numbers::{Group, gap};

static NAMES: List = List::new(&["ssn", "ssns", "social", "tin", "socsec", "ss"]);
static OTHERS: List = List::new(&[
    "ticket",
    "case",
    "order",
    "part",
    "invoice",
    "ref",
    "reference",
    "sku",
    "serial",
    "tracking",
    "item",
    "model",
    "claim",
    "batch",
    "lot",
    "job",
    "po",
    "issue",
    "incident",
    "docket",
    "receipt",
    "booking",
    "product",
    "catalog",
    "catalogue",
    "phone",
    "tel",
    "fax",
    "isbn",
    "asset",
    "confirmation",
    "shipment",
    "parcel",
    "rma",
    "quote",
    "bug",
    "acct",
    "account",
    "member",
    "zip",
    "routing",
    "id",
    "employee",
    "customer",
    "user",
    "policy",
    "npi",
    "ein",
]);

/// Finds the windows of a chain that are social security numbers.
pub(super) fn find(text: &str, chain: &[Group], found: &mut Vec<Range<usize>>) {
    for (index, group) in chain.iter().enumerate() {
        match group.len() {
            3 => {
                if let Some(end) = grouped(text, chain, index) {
                    found.push(group.start..end);
                }
            }
            9 if bare(text, chain, index) => found.push(group.start..group.end),
            _ => {}
        }
    }
}

fn grouped(text: &str, chain: &[Group], first: usize) -> Option<usize> {
    let [area, group, serial] = chain.get(first..first + 3)? else { return None };
    if group.len() != 2 || serial.len() != 4 {
        return None;
    }
    let separator = gap(text, chain, first).trim();
    let known = matches!(separator, "" | "-" | "." | "/");
    if !known
        || gap(text, chain, first + 1).trim() != separator
        || !is_assigned(area.value(text)?, group.value(text)?, serial.value(text)?)
    {
        return None;
    }
    if !starts_free(text, area.start)
        || !ends_free(text, serial.end)
        || touches(text, chain, first, separator)
    {
        return None;
    }
    let (left, right) = (Words::before(text, area.start), Words::after(text, serial.end));
    let named = left.back(&NAMES).is_some_and(|back| back <= 5)
        || right.ahead(&NAMES).is_some_and(|ahead| ahead <= 3);
    let other = left.back(&OTHERS).is_some_and(|back| back <= 2) || left.ends_with("#");
    // Dots and slashes are how dates and sections are written.
    (named || (!other && matches!(separator, "-" | ""))).then_some(serial.end)
}

/// Whether what would be the number is a part of a longer one, or of an identifier.
fn touches(text: &str, chain: &[Group], first: usize, separator: &str) -> bool {
    let same = |gap: &str| gap.trim() == separator;
    let left = first.checked_sub(1).is_some_and(|left| same(gap(text, chain, left)));
    let right = first + 3 < chain.len() && same(gap(text, chain, first + 2));
    let (before, after) = (&text[..chain[first].start], &text[chain[first + 2].end..]);
    let letter = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric());
    let dashed = before.strip_suffix(['-', '/', '_']).is_some_and(|rest| letter(rest.chars().next_back()))
        || after.strip_prefix(['-', '/', '_']).is_some_and(|rest| letter(rest.chars().next()));
    left || right
        || (dashed && Words::before(text, chain[first].start).back(&NAMES).is_none_or(|back| back != 0))
}

fn bare(text: &str, chain: &[Group], index: usize) -> bool {
    let group = chain[index];
    let Some(number) = group.value(text) else { return false };
    if !is_assigned(number / 1_000_000, number / 10_000 % 100, number % 10_000) {
        return false;
    }
    if !starts_free(text, group.start) || !ends_free(text, group.end) {
        return false;
    }
    let joined = |gap: &str| gap == "-" || gap == ".";
    if index.checked_sub(1).is_some_and(|left| joined(gap(text, chain, left)))
        || joined(gap(text, chain, index))
    {
        return false;
    }
    let (left, right) = (Words::before(text, group.start), Words::after(text, group.end));
    let near = left.back(&NAMES);
    let other = left.back(&OTHERS);
    near.is_some_and(|back| back <= 5 && other.is_none_or(|other| other > back))
        || (right.ahead(&NAMES).is_some_and(|ahead| ahead <= 3) && other.is_none())
}

fn is_assigned(area: u32, group: u32, serial: u32) -> bool {
    area != 0 && area != 666 && area < 900 && group != 0 && serial != 0
}
