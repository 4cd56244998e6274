//! Contexts as sets of features, without state and on any scale.
//!
//! A context becomes a sorted set of *slots*: small integers, each a feature whose value is 1. Everything that is learned
//! from is a count or a sum over slots, hence an exact integer.
//!
//! - **Bias**: slot 0, always there.
//! - **Categories and flags**: two slots each, by two independent hashes of (key, value) into 512. Two values that share one
//!   slot still differ in the other, so that a linear model tells them apart; the columns of a value that collides with
//!   nothing are identical, and the learner keeps one.
//! - **Numbers**: one slot a level of resolution. A level is the sign and a prefix of the binary floating-point
//!   representation: groups of 16 octaves, octaves, halves, quarters, ... down to 1/256 of an octave. Prefixes are
//!   relative, so a number multiplied by a million is told apart just as well; which resolutions carry information is for
//!   the learner to find out. Zero, of either sign, has cells of its own. Cells to a quarter octave and finer ones are
//!   hashed apart, 256 slots each, so that many rare fine cells do not blur the coarse ones.
//! - **Crosses**: each pair among the first [`MAX_CROSSED`] categories and flags, and each of these with each of the first
//!   [`MAX_CROSSED_NUMBERS`] numbers at half an octave, hashed into 1,024 slots.
//!
//! Collisions: of two features with shares p and q of the traffic, the estimate for one is blurred by q/(p + q) of the other.
//! An identifier with 100,000 values spreads thinly over all slots: 2/512 of the traffic in each.
//!
//! Source: feature hashing, Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", arXiv 0902.2206.

use upswing_domain::{Context, ContextValue};

/// Changes when a context would be encoded into other slots: statistics of another version mean something else.
pub const ENCODER_VERSION: u16 = 1;

/// How many slots there are.
pub(crate) const SLOTS: u16 = NUMBERS_FINE_FROM + NUMBERS;
/// The slot that every context has.
pub(crate) const BIAS: u16 = 0;
const CATEGORIES_FROM: u16 = 1;
const CATEGORIES: u16 = 512;
const CROSSES_FROM: u16 = CATEGORIES_FROM + CATEGORIES;
const CROSSES: u16 = 1024;
const NUMBERS_COARSE_FROM: u16 = CROSSES_FROM + CROSSES;
const NUMBERS: u16 = 256;
const NUMBERS_FINE_FROM: u16 = NUMBERS_COARSE_FROM + NUMBERS;

/// How many categories and flags are crossed with each other: 8 make 28 pairs.
pub(crate) const MAX_CROSSED: usize = 8;
/// How many numbers are crossed with each of these.
pub(crate) const MAX_CROSSED_NUMBERS: usize = 4;
const CROSSED_LEVEL: i32 = 1;
/// Resolutions of a number, in bits after the leading one; negative: octaves are grouped. The most useful come first, for
/// contexts with so many numbers that not all resolutions are affordable.
const LEVELS: [i32; 8] = [0, 1, 2, -4, 3, 4, 6, 8];
/// The finest level among the coarse cells.
const COARSE: i32 = 2;
/// How many cells all numbers of a context may have together.
const MAX_NUMBER_CELLS: usize = 64;

/// What a slot stands for, as far as the learner needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Bias,
    Category,
    Cross,
    Number,
}

/// What a slot stands for.
pub(crate) fn kind(slot: u16) -> Kind {
    match slot {
        BIAS => Kind::Bias,
        CATEGORIES_FROM..CROSSES_FROM => Kind::Category,
        CROSSES_FROM..NUMBERS_COARSE_FROM => Kind::Cross,
        _ => Kind::Number,
    }
}

/// A feature of a context: its slot, and the group (attribute, pair of attributes, or attribute and resolution) whose
/// features are expected to matter equally much. Groups are hashed to a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Feature {
    pub(crate) slot: u16,
    pub(crate) group: u8,
}

/// Writes the context's features into `features`: sorted, each slot once, the bias first. O(keys + pairs of categories).
pub(crate) fn encode(context: Option<&Context>, features: &mut Vec<Feature>) {
    features.clear();
    features.push(Feature { slot: BIAS, group: 0 });
    let Some(context) = context else { return };
    let numbers = context.iter().filter(|(_, v)| matches!(v, ContextValue::Number(_))).count();
    let levels = (MAX_NUMBER_CELLS / numbers.max(1)).clamp(1, LEVELS.len());
    let mut crossed = [(0_u64, 0_u64); MAX_CROSSED];
    let mut crossable = 0;
    let mut crossed_numbers = [(0_u64, 0_u64); MAX_CROSSED_NUMBERS];
    let mut numeric = 0;
    for (key, value) in context.iter() {
        let name = hash(SEED, key.as_bytes());
        let cell = match value {
            ContextValue::Flag(flag) => mix(name ^ if *flag { 0xF1A6 } else { 0xF1A5 }),
            ContextValue::Category(category) => hash(name, category.as_bytes()),
            ContextValue::Number(number) => {
                for &level in &LEVELS[..levels] {
                    features.push(number_cell(name, level, *number));
                }
                if numeric < MAX_CROSSED_NUMBERS {
                    crossed_numbers[numeric] = (name, mix(name ^ prefix(CROSSED_LEVEL, *number)));
                    numeric += 1;
                }
                continue;
            }
        };
        let group = byte(mix(name));
        for half in [cell, mix(cell ^ SEED)] {
            features.push(Feature { slot: CATEGORIES_FROM + below(half, CATEGORIES), group });
        }
        for &(other_name, other_cell) in &crossed[..crossable] {
            features.push(cross((name, cell), (other_name, other_cell)));
        }
        if crossable < MAX_CROSSED {
            crossed[crossable] = (name, cell);
            crossable += 1;
        }
    }
    for &category in &crossed[..crossable] {
        for &number in &crossed_numbers[..numeric] {
            features.push(cross(category, number));
        }
    }
    features.sort_unstable();
    features.dedup_by_key(|f| f.slot);
}

/// The cell of two attributes together, each given by the hashes of its key and of its key and value; order does not matter.
fn cross(one: (u64, u64), other: (u64, u64)) -> Feature {
    Feature {
        slot: CROSSES_FROM + below(mix(one.1.wrapping_add(other.1)), CROSSES),
        group: byte(mix(one.0.wrapping_add(other.0))),
    }
}

fn number_cell(name: u64, level: i32, number: f64) -> Feature {
    let from = if level <= COARSE { NUMBERS_COARSE_FROM } else { NUMBERS_FINE_FROM };
    let resolution = mix(name ^ (level + 64) as u64);
    Feature { slot: from + below(mix(resolution ^ prefix(level, number)), NUMBERS), group: byte(resolution) }
}

/// The cell of a number at a level of resolution.
fn prefix(level: i32, number: f64) -> u64 {
    if number == 0.0 {
        return u64::MAX;
    }
    // Subnormal numbers are brought into the normal range first, so that they too have a leading one.
    let (scaled, shift) = if number.abs() < f64::MIN_POSITIVE { (number * TWO_54, 54) } else { (number, 0) };
    let bits = scaled.to_bits();
    let octave = ((bits >> 52) & 0x7FF) as i64 - shift;
    let mantissa = bits & ((1 << 52) - 1);
    let cell =
        if level < 0 { octave >> -level } else { (octave << level) | (mantissa >> (52 - level)) as i64 };
    cell.unsigned_abs() << 2 | u64::from(cell < 0) << 1 | bits >> 63
}

const TWO_54: f64 = 18_014_398_509_481_984.0;
const SEED: u64 = 0x9E37_79B9_7F4A_7C15;

/// Eight bytes at a time, multiplied and folded. Not for adversaries: who floods it only blurs his own agent's features.
#[inline]
fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let mut state = seed ^ (bytes.len() as u64).wrapping_mul(SEED);
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        state = mix(state ^ u64::from_le_bytes(word));
    }
    let mut word = [0; 8];
    let rest = chunks.remainder();
    word[..rest.len()].copy_from_slice(rest);
    mix(state ^ u64::from_le_bytes(word))
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood, DOI 10.1145/2660193.2660195): every input bit reaches every output bit.
#[inline]
fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(SEED);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[inline]
fn below(hash: u64, n: u16) -> u16 {
    ((u64::from((hash >> 32) as u32) * u64::from(n)) >> 32) as u16
}

#[inline]
fn byte(hash: u64) -> u8 {
    (hash >> 56) as u8
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn features(values: &[(&str, ContextValue)]) -> Vec<Feature> {
        let values: BTreeMap<String, ContextValue> =
            values.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
        let mut features = Vec::new();
        encode(Some(&Context::new(values).unwrap()), &mut features);
        features
    }

    fn number(value: f64) -> Vec<Feature> {
        features(&[("n", ContextValue::Number(value))])
    }

    #[test]
    fn the_encoding_is_pinned() {
        let encoded = features(&[
            ("chars", ContextValue::Number(301.0)),
            ("options", ContextValue::Flag(true)),
            ("task", ContextValue::Category("navigate".to_owned())),
        ]);
        let slots: Vec<u16> = encoded.iter().map(|f| f.slot).collect();
        assert_eq!(slots, PINNED, "bump ENCODER_VERSION when the encoding changes");
    }
    const PINNED: [u16; 16] =
        [0, 30, 307, 308, 426, 844, 893, 996, 1674, 1722, 1729, 1765, 1818, 1827, 1951, 2015];

    #[test]
    fn no_context_is_the_bias_alone() {
        let mut encoded = vec![Feature { slot: 9, group: 9 }];
        encode(None, &mut encoded);
        assert_eq!(encoded, [Feature { slot: BIAS, group: 0 }]);
        encode(Some(&Context::default()), &mut encoded);
        assert_eq!(encoded, [Feature { slot: BIAS, group: 0 }]);
    }

    #[test]
    fn numbers_differ_by_sign_and_magnitude_on_any_scale() {
        assert_eq!(number(0.0), number(-0.0));
        for scale in [f64::MIN_POSITIVE, 1e-9, 1.0, 1e6, 1e300, 5e-324 * 1024.0] {
            let cells = [-3.0, -1.5, 0.0, 1.5, 3.0].map(|x| number(x * scale));
            assert_eq!(cells.iter().collect::<BTreeSet<_>>().len(), 5, "{scale}");
        }
        // Neighbours share the coarse cells and differ in fine ones.
        let (a, b) = (number(1000.0), number(1010.0));
        let common = a.iter().filter(|f| b.contains(f)).count();
        assert!(common >= 5 && common < a.len(), "{common}");
    }

    #[test]
    fn slots_are_sorted_distinct_and_in_range() {
        let values: BTreeMap<String, ContextValue> = (0..32)
            .map(|i| {
                let value = match i % 3 {
                    0 => ContextValue::Number(1e308 * if i % 2 == 0 { 1.0 } else { -1.0 }),
                    1 => ContextValue::Flag(i % 2 == 0),
                    _ => ContextValue::Category(format!("value {i}")),
                };
                (format!("key {i}"), value)
            })
            .collect();
        let mut encoded = Vec::new();
        encode(Some(&Context::new(values).unwrap()), &mut encoded);
        assert!(encoded.windows(2).all(|w| w[0].slot < w[1].slot));
        assert!(encoded.iter().all(|f| f.slot < SLOTS));
    }
}
