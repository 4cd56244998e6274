//! Payment cards: 13 to 19 digits with an issuer's prefix, its lengths, a grouping as on cards, and the Luhn digit.
//!
//! The Luhn digit alone is right for one number in ten, so the prefix carries the precision: ISO/IEC 7812 gives each
//! network its ranges.

use std::ops::Range;

use super::context::{List, Words, ends_free, starts_free};
use super::numbers::{Group, gap};

/// The shortest and longest number.
pub(super) const LENGTHS: std::ops::RangeInclusive<usize> = 13..=19;

/// Longer rows of groups of four are a table, not a card.
const LONGEST_ROW: usize = 16;

/// Six digits from, six digits to, lengths. Sources: the networks' own published ranges as of 2025.
const ISSUERS: &[(u32, u32, &[usize])] = &[
    // Visa
    (400_000, 499_999, &[13, 16, 19]),
    // Mastercard
    (222_100, 272_099, &[16]),
    (510_000, 559_999, &[16]),
    // American Express
    (340_000, 349_999, &[15]),
    (370_000, 379_999, &[15]),
    // Diners Club
    (300_000, 305_999, &[14, 16, 17, 18, 19]),
    (309_500, 309_599, &[14, 16, 17, 18, 19]),
    (360_000, 369_999, &[14, 15, 16, 17, 18, 19]),
    (380_000, 399_999, &[14, 16, 17, 18, 19]),
    // Discover
    (601_100, 601_199, &[16, 17, 18, 19]),
    (644_000, 659_999, &[16, 17, 18, 19]),
    // JCB
    (352_800, 358_999, &[16, 17, 18, 19]),
    (180_000, 180_099, &[15]),
    (213_100, 213_199, &[15]),
    // UnionPay
    (620_000, 629_999, &[16, 17, 18, 19]),
    (810_000, 817_199, &[16, 17, 18, 19]),
    // Maestro
    (500_000, 509_999, &[13, 14, 15, 16, 17, 18, 19]),
    (560_000, 589_999, &[13, 14, 15, 16, 17, 18, 19]),
    (630_400, 630_499, &[13, 14, 15, 16, 17, 18, 19]),
    (639_000, 639_099, &[13, 14, 15, 16, 17, 18, 19]),
    (670_000, 679_999, &[13, 14, 15, 16, 17, 18, 19]),
    // InstaPayment
    (637_000, 639_999, &[16]),
    // RuPay
    (600_000, 608_999, &[16]),
    (820_000, 829_999, &[16]),
    // Mir
    (220_000, 220_499, &[16, 17, 18, 19]),
    // Troy
    (979_200, 979_289, &[16]),
];

/// Words that say that a number is a product's or a device's.
static OTHERS: List =
    List::new(&["ean", "gtin", "upc", "isbn", "imei", "barcode", "iccid", "sscc", "uuid", "meid"]);

/// Finds the windows of a chain that are card numbers.
pub(super) fn find(text: &str, chain: &[Group], found: &mut Vec<Range<usize>>) {
    let mut first = 0;
    while let Some(group) = chain.get(first) {
        match window(text, chain, first) {
            Some(last) => {
                found.push(group.start..chain[last].end);
                first = last + 1;
            }
            None => first += 1,
        }
    }
}

/// The last group of the card number that begins with a group.
fn window(text: &str, chain: &[Group], first: usize) -> Option<usize> {
    if !matches!(text.as_bytes().get(chain[first].start)?, b'2'..=b'6' | b'8' | b'9' | b'1') {
        return None;
    }
    if !starts_free(text, chain[first].start) {
        return None;
    }
    let mut digits = Digits::default();
    let mut longest = None;
    for last in first..chain.len() {
        if last > first && !joins(gap(text, chain, last - 1)) {
            break;
        }
        if !digits.push(chain[last].of(text)) {
            break;
        }
        if LENGTHS.contains(&digits.len)
            && is_card_grouping(&chain[first..=last])
            && ends_free(text, chain[last].end)
            && is_card(digits.get())
            && !is_in_table(text, chain, first, last)
            && !is_other(text, chain[first].start, digits.get())
        {
            longest = Some(last);
            // After a space stands what is printed next to the number: a date, a check code.
            if gap(text, chain, last).contains(' ') {
                break;
            }
        }
    }
    longest
}

fn joins(gap: &str) -> bool {
    matches!(gap, " " | "-" | "." | "  " | " - " | "--" | "_")
}

/// One run, groups of one size (the last may be shorter), or the groupings of American Express and Diners Club.
fn is_card_grouping(groups: &[Group]) -> bool {
    let mut sizes = [0; 19];
    for (size, group) in sizes.iter_mut().zip(groups) {
        *size = group.len();
    }
    match sizes.get(..groups.len()) {
        None | Some([]) => false,
        Some([4, 6, 5] | [4, 6, 4] | [4, 4, 5] | [6, 13]) => true,
        Some([first, middle @ .., last]) => middle.iter().all(|size| size == first) && last <= first,
        Some([_]) => true,
    }
}

/// A chain of many groups of four is a table. So is a row of decimals.
fn is_in_table(text: &str, chain: &[Group], first: usize, last: usize) -> bool {
    if first == last {
        let (left, right) =
            (first.checked_sub(1).map_or("", |i| gap(text, chain, i)), gap(text, chain, last));
        return left == "." || right == ".";
    }
    let same = |group: &&Group| group.len() == chain[first].len();
    let row = chain[..first].iter().rev().take(LONGEST_ROW).take_while(same).count()
        + chain[last..].iter().take(LONGEST_ROW).take_while(same).count();
    chain[first].len() > 1 && row + (last - first) > LONGEST_ROW
}

/// A product's number: an EAN has its own check digit, and those of Germany begin as old Visa numbers of thirteen digits.
fn is_other(text: &str, start: usize, digits: &[u8]) -> bool {
    if digits.len() == 13 && is_ean(digits) {
        return true;
    }
    Words::before(text, start).back(&OTHERS).is_some_and(|back| back <= 2)
}

fn is_ean(digits: &[u8]) -> bool {
    let sum: u32 =
        digits.iter().rev().enumerate().map(|(i, d)| u32::from(*d) * if i % 2 == 0 { 1 } else { 3 }).sum();
    sum.is_multiple_of(10)
}

/// Whether digits (0 to 9) are a card's: prefix, length and check digit.
pub(super) fn is_card(digits: &[u8]) -> bool {
    let prefix = digits.iter().take(6).fold(0, |n, d| n * 10 + u32::from(*d));
    LENGTHS.contains(&digits.len())
        && ISSUERS
            .iter()
            .any(|(from, to, lengths)| (*from..=*to).contains(&prefix) && lengths.contains(&digits.len()))
        && luhn(digits)
}

/// ISO/IEC 7812-1, annex B: every second digit from the right counts twice.
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, digit)| {
            let digit = u32::from(*digit);
            if i % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Up to nineteen digits.
#[derive(Default)]
pub(super) struct Digits {
    digits: [u8; 19],
    len: usize,
}

impl Digits {
    /// Adds ASCII digits; whether they had room.
    pub(super) fn push(&mut self, ascii: &str) -> bool {
        let Some(room) = self.digits.get_mut(self.len..self.len + ascii.len()) else { return false };
        for (to, from) in room.iter_mut().zip(ascii.bytes()) {
            *to = from.wrapping_sub(b'0');
        }
        self.len += ascii.len();
        true
    }

    /// The digits so far.
    pub(super) fn get(&self) -> &[u8] {
        self.digits.get(..self.len).unwrap_or_default()
    }
}
