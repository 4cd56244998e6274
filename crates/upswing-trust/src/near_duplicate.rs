//! Whether two texts are copies of one another, and what copies weigh together.
//!
//! Three lengths, because what coincides by chance depends on it:
//!
//! - below [`COMMON_WORDS`] words everybody writes the same ("the answer is wrong"). Equal texts are copies only when they
//!   are by the same author;
//! - below [`SHINGLED_WORDS`] words, texts are copies when they are equal after normalisation;
//! - longer ones are copies when they share most of their words. A MinHash of 18 rows estimates the Jaccard similarity of
//!   their sets of words; [`same`] asks for 10 equal rows. One word changed in ten is a similarity of 0.82 and found with
//!   a probability of 0.99; texts that share a fifth of their words are told apart in all but 9 of 10,000 cases.
//!
//! A store finds candidates without comparing all: it keeps the [`Fingerprint::keys`] of accepted texts, six for a long
//! text (rows three by three) and one for a short one, and looks up the keys of a new one by equality. A similarity of
//! 0.82 shares a key with a probability of 0.99; one of 0.05 (two texts with nothing in common but "the") with 0.0008.
//!
//! Case, accents, look-alikes, invisible characters, punctuation and the order of words do not matter, and all numbers are
//! one. Hashes are keyed with the organisation's secret: otherwise a text that was erased could be guessed from its
//! fingerprint, and copies be made to miss each other. Fingerprints are personal data like the text, and go when it goes.
//!
//! Sources: Broder 1997, DOI 10.1109/SEQUEN.1997.666900; bands: Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets",
//! section 3.4. Rather than SimHash, whose bits flip too often to be banded when one word of ten changes.
//!
//! ```
//! use upswing_trust::{fingerprint, same};
//!
//! let key = [7; 32];
//! let text = "This tool changed my life, everybody should try version two right now";
//! let copy = "this tool changed my life!! everybody should try version 2 right now";
//! assert!(same(&fingerprint(text, &key), &fingerprint(copy, &key)));
//! assert!(!same(&fingerprint(text, &key), &fingerprint("The second step of the recipe lacks salt and takes too long", &key)));
//! ```

use serde::{Deserialize, Serialize};

use crate::Weight;
use crate::fold::{fold, words};

/// From this many words on, equal texts of different authors are copies.
pub const COMMON_WORDS: usize = 6;
/// From this many different words on, similar texts are copies.
pub const SHINGLED_WORDS: usize = 8;

const ROWS: usize = 18;
/// Rows that must be equal.
const EQUAL_ROWS: usize = 10;
/// Rows of a key.
const BAND: usize = 3;
/// Longer texts are judged by their beginning.
const MOST_WORDS: usize = 4_096;

/// What a text is compared by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fingerprint {
    /// No words at all: signs and pictures alone. Equal to nothing.
    Empty,
    /// So short that different people write the same: a hash of the normalised text.
    Common(u64),
    /// Short: a hash of the normalised text.
    Exact(u64),
    /// The MinHash of the words.
    Similar([u16; ROWS]),
}

/// The fingerprint of a text under the organisation's key. O(words * 18).
pub fn fingerprint(text: &str, key: &[u8; 32]) -> Fingerprint {
    let mut words: Vec<String> = words(&fold(text));
    words.truncate(MOST_WORDS);
    for word in &mut words {
        if word.chars().all(|c| c.is_ascii_digit()) {
            "0".clone_into(word);
        }
    }
    if words.is_empty() {
        return Fingerprint::Empty;
    }
    let mut distinct = words.clone();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() >= SHINGLED_WORDS {
        let mut rows = [u64::MAX; ROWS];
        for word in &distinct {
            let mut stream = hash(key, word.as_bytes());
            for row in &mut rows {
                stream = next(stream);
                *row = (*row).min(mix(stream));
            }
        }
        // The lowest bits of a minimum are as good as random; the highest are zeros.
        return Fingerprint::Similar(rows.map(|row| row as u16));
    }
    let hash = hash(key, words.join(" ").as_bytes());
    if words.len() >= COMMON_WORDS { Fingerprint::Exact(hash) } else { Fingerprint::Common(hash) }
}

/// Whether two texts are copies. A [`Fingerprint::Common`] text counts as a copy only within one author; the caller looks
/// it up under the author.
pub fn same(a: &Fingerprint, b: &Fingerprint) -> bool {
    match (a, b) {
        (Fingerprint::Common(a), Fingerprint::Common(b)) | (Fingerprint::Exact(a), Fingerprint::Exact(b)) => {
            a == b
        }
        (Fingerprint::Similar(a), Fingerprint::Similar(b)) => {
            a.iter().zip(b).filter(|(a, b)| a == b).count() >= EQUAL_ROWS
        }
        _ => false,
    }
}

impl Fingerprint {
    /// Two sketches that agree in so many of their rows are of copies.
    pub const EQUAL_ROWS: usize = EQUAL_ROWS;

    /// What a store looks candidates up by: texts that share a key may be copies, and [`same`] decides.
    pub fn keys(&self) -> Vec<i64> {
        match self {
            Self::Empty => Vec::new(),
            Self::Common(hash) | Self::Exact(hash) => vec![hash.cast_signed()],
            Self::Similar(rows) => rows
                .chunks_exact(BAND)
                .enumerate()
                .map(|(band, rows)| {
                    let joined = rows.iter().fold(band as u64 + 1, |all, &row| all << 16 | u64::from(row));
                    joined.cast_signed()
                })
                .collect(),
        }
    }

    /// Whether copies by others count as copies.
    pub fn across_authors(&self) -> bool {
        matches!(self, Self::Exact(_) | Self::Similar(_))
    }
}

/// The weight of a text of which there are `copies` already: the k-th of a group weighs 1/k, so that k together weigh
/// `1 + 1/2 + ... + 1/k`, less than `1 + ln k`: a thousand copies weigh less than eight voices. Not exactly one voice, because copies may
/// also be people who quote the same; and no earlier entry has to be revised when another copy comes.
pub fn copy_weight(copies: u32) -> Weight {
    Weight::nearest(1.0 / (f64::from(copies) + 1.0))
}

fn hash(key: &[u8; 32], bytes: &[u8]) -> u64 {
    let hash = blake3::keyed_hash(key, bytes);
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_le_bytes(first)
}

/// SplitMix64 (Steele, Lea, Flood 2014, DOI 10.1145/2660193.2660195): one keyed hash a word seeds all rows.
fn next(state: u64) -> u64 {
    state.wrapping_add(0x9E37_79B9_7F4A_7C15)
}

fn mix(state: u64) -> u64 {
    let x = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: [u8; 32] = [3; 32];

    fn copies(a: &str, b: &str) -> bool {
        same(&fingerprint(a, &KEY), &fingerprint(b, &KEY))
    }

    #[test]
    fn copies_are_found() {
        for (a, b) in [
            (
                "This is the best assistant I have ever used for my daily work",
                "this is the BEST assistant i have ever used, for my daily work!!!",
            ),
            (
                "Ordered 3 items on 5 May and the total in the summary was wrong",
                "Ordered 7 items on 12 May and the total in the summary was wrong",
            ),
            (
                "Das Ergebnis war völlig falsch und die Quelle gibt es gar nicht",
                "das ergebnis war vollig falsch und die quelle gibt es gar nicht.",
            ),
            ("bad", "BAD!!"),
            ("it did not answer the question", "It did not answer the question."),
        ] {
            assert!(copies(a, b), "{a} / {b}");
        }
    }

    #[test]
    fn different_texts_are_not() {
        for (a, b) in [
            ("bad", "good"),
            ("the answer is wrong", "the answer is right"),
            ("it did not answer the question", "it did answer the question well"),
            (
                "The summary misses the second half of the report entirely, please add it",
                "The translation uses the wrong tone for a letter to a customer in Japan",
            ),
            ("👍", "👍"),
            ("", ""),
        ] {
            assert!(!copies(a, b), "{a} / {b}");
        }
    }

    /// With similarity s an estimate of 18 rows has a standard error of sqrt(s (1 - s) / 18).
    #[test]
    fn one_word_in_ten_does_not_hide_a_copy() {
        let base: Vec<String> = (0..10).map(|i| format!("word{i}x")).collect();
        let (mut found, mut listed) = (0, 0);
        for trial in 0..1_000 {
            let original: Vec<String> = base.iter().map(|word| format!("{word}{trial}y")).collect();
            let mut changed = original.clone();
            changed[trial % 10] = format!("other{trial}y");
            let (a, b) = (fingerprint(&original.join(" "), &KEY), fingerprint(&changed.join(" "), &KEY));
            found += usize::from(same(&a, &b));
            listed += usize::from(a.keys().iter().any(|key| b.keys().contains(key)));
        }
        // Binomial with p = 0.99: five standard errors are 0.016 of 1,000.
        assert!(found >= 974 && listed >= 974, "{found} {listed}");
    }

    #[test]
    fn another_key_gives_other_fingerprints() {
        let text = "one two three four five six seven eight nine ten";
        assert!(!same(&fingerprint(text, &KEY), &fingerprint(text, &[4; 32])));
    }

    #[test]
    fn short_texts_are_copies_within_an_author_alone() {
        assert!(!fingerprint("the answer is wrong", &KEY).across_authors());
        assert!(fingerprint("it did not answer the question", &KEY).across_authors());
    }

    #[test]
    fn a_thousand_copies_are_less_than_eight_voices() {
        let sum: f64 = (0..1_000).map(|k| copy_weight(k).get()).sum();
        assert!(sum < 8.0 && copy_weight(0) == Weight::ONE);
    }

    proptest! {
        #[test]
        fn any_text_has_a_fingerprint_equal_to_itself(text in any::<String>()) {
            let print = fingerprint(&text, &KEY);
            prop_assert_eq!(same(&print, &print), print != Fingerprint::Empty);
            prop_assert_eq!(print.keys().is_empty(), print == Fingerprint::Empty);
        }

        #[test]
        fn case_and_punctuation_do_not_matter(words in prop::collection::vec("[a-z]{2,8}", 1..30)) {
            let plain = words.join(" ");
            let dressed = words.join("... ").to_uppercase() + "!";
            prop_assert_eq!(fingerprint(&plain, &KEY), fingerprint(&dressed, &KEY));
        }
    }
}
