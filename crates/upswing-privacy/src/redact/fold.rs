//! One spelling for what looks the same, with the way back.
//!
//! Folding goes character by character, so folding a part is a part of the folding. Nothing that is folded changes what a
//! text says to a reader: digits of any script, full-width and mathematical forms, dashes, spaces, what has no width.

use std::borrow::Cow;

/// A text in one spelling, and where its parts stand in the original.
pub(super) struct Folded<'t> {
    /// The folded text.
    pub(super) text: Cow<'t, str>,
    shifts: Vec<Shift>,
}

/// A place at which folded and original positions move against each other.
#[derive(Debug, Clone, Copy)]
struct Shift {
    folded: usize,
    /// Where the character before it ends in the original.
    end: usize,
    /// Where the character after it starts in the original.
    start: usize,
}

enum Fold {
    Same,
    Gone,
    Ascii(u8),
}

impl<'t> Folded<'t> {
    /// Folds a text; what is ASCII, or has nothing to fold, is borrowed.
    pub(super) fn new(text: &'t str) -> Self {
        let first = if text.is_ascii() {
            None
        } else {
            text.char_indices().find(|(_, c)| !c.is_ascii() && !matches!(fold(*c), Fold::Same))
        };
        let Some((first, _)) = first else {
            return Self { text: Cow::Borrowed(text), shifts: Vec::new() };
        };
        let mut folded = String::with_capacity(text.len());
        let mut shifts: Vec<Shift> = Vec::new();
        let (kept, rest) = text.split_at(first);
        folded.push_str(kept);
        for (at, c) in rest.char_indices() {
            let (before, after) = (first + at, first + at + c.len_utf8());
            match if c.is_ascii() { Fold::Same } else { fold(c) } {
                Fold::Same => folded.push(c),
                Fold::Gone => match shifts.last_mut() {
                    Some(last) if last.folded == folded.len() => last.start = after,
                    _ => shifts.push(Shift { folded: folded.len(), end: before, start: after }),
                },
                Fold::Ascii(byte) => {
                    folded.push(char::from(byte));
                    shifts.push(Shift { folded: folded.len(), end: after, start: after });
                }
            }
        }
        Self { text: Cow::Owned(folded), shifts }
    }

    /// A span of the folded text in the original: without what has no width at its ends, with what has none inside.
    pub(super) fn original(&self, start: usize, end: usize) -> (usize, usize) {
        let after = self.shifts.partition_point(|shift| shift.folded <= start);
        let original_start = self.shift_before(after).map_or(start, |s| s.start + (start - s.folded));
        let from = self.shifts.partition_point(|shift| shift.folded < end);
        let original_end = match self.shifts.get(from) {
            Some(shift) if shift.folded == end => shift.end,
            _ => self.shift_before(from).map_or(end, |s| s.start + (end - s.folded)),
        };
        (original_start, original_end)
    }

    fn shift_before(&self, index: usize) -> Option<&Shift> {
        index.checked_sub(1).and_then(|index| self.shifts.get(index))
    }
}

/// The zeros of all decimal digits outside ASCII, each followed by its nine others. From UnicodeData.txt of Unicode 16,
/// general category Nd.
const ZEROS: [u32; 69] = [
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50, 0xed0,
    0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50,
    0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30, 0x10d40, 0x11066,
    0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950,
    0x11bf0, 0x11c50, 0x11d50, 0x11da0, 0x11f50, 0x16a60, 0x16ac0, 0x16b50, 0x16d70, 0x1ccf0, 0x1d7ce,
    0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e4f0,
];

/// The others that are not sorted in above because they came with later blocks.
const LATER_ZEROS: [u32; 3] = [0x1e5f1, 0x1e950, 0x1fbf0];

fn fold(c: char) -> Fold {
    let code = u32::from(c);
    match code {
        0xff01..=0xff5e => u8::try_from(code - 0xff01 + 0x21).map_or(Fold::Same, Fold::Ascii),
        0xa0 | 0x1680 | 0x2000..=0x200a | 0x202f | 0x205f | 0x3000 => Fold::Ascii(b' '),
        0x58a | 0x5be | 0x1806 | 0x2010..=0x2015 | 0x2043 | 0x2212 | 0x2e3a | 0x2e3b | 0xfe58 | 0xfe63 => {
            Fold::Ascii(b'-')
        }
        0xad
        | 0x34f
        | 0x61c
        | 0x180e
        | 0x200b..=0x200f
        | 0x202a..=0x202e
        | 0x2060..=0x2064
        | 0x2066..=0x206f
        | 0x20e3
        | 0xfe00..=0xfe0f
        | 0xfeff => Fold::Gone,
        0xfe6b => Fold::Ascii(b'@'),
        0xfe52 | 0x2024 => Fold::Ascii(b'.'),
        0xfe55 => Fold::Ascii(b':'),
        0xfe59 => Fold::Ascii(b'('),
        0xfe5a => Fold::Ascii(b')'),
        0xfe62 => Fold::Ascii(b'+'),
        0x2044 | 0x2215 => Fold::Ascii(b'/'),
        ..0x660 => Fold::Same,
        // Han, kana and hangul, the most frequent of what is left, have no digits.
        0x2e80..=0xa4cf | 0xac00..=0xd7ff => Fold::Same,
        _ => digit(code).map_or(Fold::Same, |digit| Fold::Ascii(b'0' + digit)),
    }
}

fn digit(code: u32) -> Option<u8> {
    let index = ZEROS.partition_point(|zero| *zero <= code);
    let below = index.checked_sub(1).and_then(|index| ZEROS.get(index));
    let zero = below.into_iter().chain(&LATER_ZEROS).find(|zero| (**zero..**zero + 10).contains(&code))?;
    u8::try_from(code - zero).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_the_same_is_the_same() {
        for (text, folded) in [
            ("plain", "plain"),
            ("４１１１", "4111"),
            ("٤١١١ ۴۱ ४१", "4111 41 41"),
            ("𝟒𝟏", "41"),
            ("1\u{200b}2\u{ad}3", "123"),
            ("1\u{a0}2\u{2009}3\u{202f}4", "1 2 3 4"),
            ("1‐2‑3–4−5", "1-2-3-4-5"),
            ("ａ＠ｂ．ｃ：", "a@b.c:"),
            ("größe 漢字", "größe 漢字"),
            ("4\u{fe0f}\u{20e3}", "4"),
        ] {
            assert_eq!(Folded::new(text).text, folded, "{text:?}");
        }
    }

    #[test]
    fn spans_lead_back() {
        let text = "x\u{200b}４\u{200b}１\u{200b}é-";
        let folded = Folded::new(text);
        assert_eq!(folded.text, "x41é-");
        let (start, end) = folded.original(1, 3);
        assert_eq!(&text[start..end], "４\u{200b}１");
        let (start, end) = folded.original(0, 1);
        assert_eq!(&text[start..end], "x");
        let (start, end) = folded.original(3, folded.text.len());
        assert_eq!(&text[start..end], "é-");
    }

    #[test]
    fn zeros_are_in_order() {
        assert!(ZEROS.is_sorted());
        assert_eq!(
            (digit(0x669), digit(0x66a), digit(0x1e959), digit(0x1e5f1)),
            (Some(9), None, Some(9), Some(0))
        );
    }
}
