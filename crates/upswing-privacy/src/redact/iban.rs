//! International bank account numbers (ISO 13616): a country's letters, its length, and the remainder by 97.

use std::ops::Range;

use super::context::{before, is_word};
use super::numbers::Numbers;

/// Countries with the length of their numbers. Source: SWIFT's IBAN registry, release 99.
pub(super) const LENGTHS: &[(&str, usize)] = &[
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BI", 27),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DJ", 27),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FK", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HN", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LC", 32),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("LY", 25),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MN", 20),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("NI", 28),
    ("NL", 18),
    ("NO", 15),
    ("OM", 23),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("RU", 33),
    ("SA", 24),
    ("SC", 31),
    ("SD", 18),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("SO", 23),
    ("ST", 25),
    ("SV", 28),
    ("TL", 23),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VA", 22),
    ("VG", 24),
    ("XK", 20),
    ("YE", 30),
];

/// Finds them. Each begins two letters before a group of digits, or three when a space divides letters and check digits.
pub(super) fn find(text: &str, numbers: &Numbers, found: &mut Vec<Range<usize>>) {
    let bytes = text.as_bytes();
    let mut free = 0;
    for group in numbers.groups() {
        let gap = usize::from(group.len() == 2 && group.start > 0 && bytes[group.start - 1] == b' ');
        let Some(start) = group.start.checked_sub(2 + gap).filter(|start| *start >= free) else { continue };
        let Some(end) = read(text, start) else { continue };
        found.push(start..end);
        free = end;
    }
}

/// Where the number that starts here ends.
fn read(text: &str, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let country = [bytes.get(start)?.to_ascii_uppercase(), bytes.get(start + 1)?.to_ascii_uppercase()];
    let index = LENGTHS.binary_search_by(|(letters, _)| letters.as_bytes().cmp(&country)).ok()?;
    let (_, length) = LENGTHS.get(index)?;
    if before(text, start).is_some_and(is_word) && !ends_with_its_name(&bytes[..start]) {
        return None;
    }
    let (mut characters, mut remainder, mut at) = (0, Remainder::default(), start);
    // The first four characters count last.
    let mut head = [0; 4];
    while characters < *length {
        let byte = *bytes.get(at)?;
        match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                match head.get_mut(characters) {
                    Some(place) => *place = byte,
                    None => remainder.push(byte),
                }
                characters += 1;
                at += 1;
            }
            b' ' | b'-' | b'.' if bytes.get(at + 1).is_some_and(u8::is_ascii_alphanumeric) => at += 1,
            _ => return None,
        }
        // Check digits are 98 less a remainder by 97: 02 to 98.
        let check = || {
            head[2].is_ascii_digit()
                && head[3].is_ascii_digit()
                && !matches!(&head[2..], b"00" | b"01" | b"99")
        };
        if characters == 4 && !check() {
            return None;
        }
    }
    head.into_iter().for_each(|byte| remainder.push(byte));
    let ends = text[at..].chars().next().is_none_or(|c| !is_word(c));
    (ends && remainder.0 == 1).then_some(at)
}

fn ends_with_its_name(bytes: &[u8]) -> bool {
    bytes.len() >= 4 && bytes[bytes.len() - 4..].eq_ignore_ascii_case(b"iban")
}

/// The remainder by 97 of a number that comes character by character; a letter stands for two digits, A for 10.
#[derive(Default)]
struct Remainder(u32);

impl Remainder {
    fn push(&mut self, byte: u8) {
        self.0 = match byte {
            b'0'..=b'9' => self.0 * 10 + u32::from(byte - b'0'),
            _ => self.0 * 100 + u32::from(byte.to_ascii_uppercase() - b'A') + 10,
        } % 97;
    }
}
