//! What stands around a candidate: the characters that touch it and the words before and after it.

use std::collections::HashSet;
use std::sync::OnceLock;

/// How far words are looked for, in bytes.
const REACH: usize = 48;

/// The character before a position.
pub(super) fn before(text: &str, at: usize) -> Option<char> {
    text[..at].chars().next_back()
}

/// The character after a position.
pub(super) fn after(text: &str, at: usize) -> Option<char> {
    text[at..].chars().next()
}

/// Whether a script writes words without spaces between them, so that a number or an address may touch a letter.
pub(super) fn is_unspaced(c: char) -> bool {
    matches!(u32::from(c),
        0xe00..=0xeff | 0x1000..=0x109f | 0x1100..=0x11ff | 0x1780..=0x17ff | 0x2e80..=0x9fff | 0xac00..=0xd7ff
        | 0xf900..=0xfaff | 0x20000..=0x3ffff)
}

/// Whether a character belongs to a word that a number next to it would be part of.
pub(super) fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || (!c.is_ascii() && c.is_alphanumeric() && !is_unspaced(c))
}

/// Whether a number may start here: no letter, and no larger number, before it.
pub(super) fn starts_free(text: &str, at: usize) -> bool {
    let mut left = text[..at].chars().rev();
    match left.next() {
        None => true,
        Some(c) if is_word(c) => false,
        Some('.' | ',') => !left.next().is_some_and(|c| c.is_ascii_digit()),
        Some('$' | '€' | '£' | '¥' | '₹') => false,
        Some(_) => true,
    }
}

/// Whether a number may end here: no letter after it, no decimals, no percent.
pub(super) fn ends_free(text: &str, at: usize) -> bool {
    let mut right = text[at..].chars();
    match right.next() {
        None => true,
        Some(c) if is_word(c) => false,
        Some('.' | ',') => !right.next().is_some_and(|c| c.is_ascii_digit()),
        Some('%' | '€' | '£' | '°') => false,
        Some(_) => true,
    }
}

/// The words before or after a place, in lower case.
pub(super) struct Words(String);

impl Words {
    /// Those before.
    pub(super) fn before(text: &str, at: usize) -> Self {
        let mut from = at.saturating_sub(REACH);
        while !text.is_char_boundary(from) {
            from += 1;
        }
        Self(text[from..at].to_lowercase())
    }

    /// Those after.
    pub(super) fn after(text: &str, at: usize) -> Self {
        let mut to = (at + REACH / 2).min(text.len());
        while !text.is_char_boundary(to) {
            to -= 1;
        }
        Self(text[at..to].to_lowercase())
    }

    /// How many words back one of a list stands, the nearest being 0.
    pub(super) fn back(&self, list: &List) -> Option<usize> {
        self.words().rev().position(|word| list.has(word))
    }

    /// How many words ahead one of a list stands, the nearest being 0.
    pub(super) fn ahead(&self, list: &List) -> Option<usize> {
        self.words().position(|word| list.has(word))
    }

    /// Whether the text has this, as it is.
    pub(super) fn contains(&self, part: &str) -> bool {
        self.0.contains(part)
    }

    /// What stands nearest before, without the spaces between.
    pub(super) fn ends_with(&self, end: &str) -> bool {
        self.0.trim_end().ends_with(end)
    }

    fn words(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split(|c: char| !c.is_alphanumeric() && c != '§').filter(|word| !word.is_empty())
    }
}

/// Words that say what a number is. Those in ASCII are looked up whole; others may be a part of a word, since not all
/// scripts divide words.
pub(super) struct List {
    words: &'static [&'static str],
    ascii: OnceLock<HashSet<&'static str>>,
}

impl List {
    /// The list of these.
    pub(super) const fn new(words: &'static [&'static str]) -> Self {
        Self { words, ascii: OnceLock::new() }
    }

    fn has(&self, word: &str) -> bool {
        if word.is_ascii() {
            let ascii = || self.words.iter().copied().filter(|word| word.is_ascii()).collect();
            self.ascii.get_or_init(ascii).contains(word)
        } else {
            self.words.iter().any(|entry| !entry.is_ascii() && word.contains(entry))
        }
    }
}
