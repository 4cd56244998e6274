//! Quantiles of any number of values in little memory, that can be merged and taken back.

use std::collections::BTreeMap;

/// A log-bucketed sketch of quantiles, relative accuracy 1 %.
///
/// A value falls into the bucket `ceil(ln |x| / ln gamma)` of its sign, `gamma = 1.01 / 0.99`; zero has a bucket of its own. A
/// sketch is counts, so merging and subtracting are exact and order does not matter: what was added with a negative count
/// is as if it had never been there.
///
/// Memory: magnitudes below 1e-9 count as zero, those above 1e12 as 1e12, and others have at most 2,420 buckets a sign, of
/// which only those that occur are kept. This bound is fixed, unlike a collapsing one, because collapsing depends on order.
/// `add` is O(log buckets), `quantile` O(buckets).
///
/// Source: Masson, Rim, Lee, "DDSketch", VLDB 2019, arXiv 1908.10693.
///
/// ```
/// let mut sketch = upswing_stats::Sketch::default();
/// for latency in 1..=1000 {
///     sketch.add(f64::from(latency), 1);
/// }
/// assert!((sketch.quantile(0.5).unwrap() / 500.0 - 1.0).abs() <= 0.01);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sketch {
    /// Buckets in the order of the values they hold: the key's sign is the values' sign, 0 holds zero.
    buckets: BTreeMap<i32, i64>,
}

/// Why bytes are not a sketch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SketchError {
    /// Written in another layout.
    #[error("the sketch has layout {0}, but 1 is expected")]
    Version(u8),
    /// Cut off, or not a sketch at all.
    #[error("the bytes are not a sketch")]
    Corrupt,
}

const VERSION: u8 = 1;
const ACCURACY: f64 = 0.01;
const SMALLEST: f64 = 1e-9;
const LARGEST: f64 = 1e12;

fn log_gamma() -> f64 {
    ((1.0 + ACCURACY) / (1.0 - ACCURACY)).ln()
}

/// Where the smallest magnitude lies; shifts indices so that magnitudes have positive ones.
fn offset() -> i32 {
    (SMALLEST.ln() / log_gamma()).floor() as i32 - 1
}

fn largest_key() -> i32 {
    (LARGEST.ln() / log_gamma()).ceil() as i32 - offset()
}

fn key(value: f64) -> i32 {
    let magnitude = value.abs();
    if magnitude < SMALLEST {
        return 0;
    }
    let index =
        ((magnitude.min(LARGEST).ln() / log_gamma()).ceil() as i32 - offset()).clamp(1, largest_key());
    if value < 0.0 { -index } else { index }
}

fn value(key: i32) -> f64 {
    if key == 0 {
        return 0.0;
    }
    // The point of the bucket (gamma^(i-1), gamma^i] whose relative distance to both ends is the accuracy.
    let gamma = log_gamma().exp();
    let magnitude = (f64::from(key.abs() + offset()) * log_gamma()).exp() * 2.0 / (gamma + 1.0);
    if key < 0 { -magnitude } else { magnitude }
}

impl Sketch {
    /// Adds a value `count` times; a negative count takes it back. A value that is NaN is ignored: it has no rank.
    pub fn add(&mut self, value: f64, count: i64) {
        if !value.is_nan() {
            self.change(key(value), count);
        }
    }

    /// Adds everything another sketch holds.
    pub fn merge(&mut self, other: &Self) {
        for (&key, &count) in &other.buckets {
            self.change(key, count);
        }
    }

    /// Takes back everything another sketch holds.
    pub fn subtract(&mut self, other: &Self) {
        for (&key, &count) in &other.buckets {
            self.change(key, count.saturating_neg());
        }
    }

    fn change(&mut self, key: i32, by: i64) {
        let count = self.buckets.entry(key).or_default();
        *count = count.saturating_add(by);
        if *count == 0 {
            self.buckets.remove(&key);
        }
    }

    /// How many values it holds, less those taken back.
    pub fn count(&self) -> i64 {
        self.buckets.values().fold(0, |sum, &count| sum.saturating_add(count))
    }

    /// The value below which a share `q` of the values lies, within 1 %. The rank is `q (count - 1)`, rounded down, as the
    /// source has it. `None` when there are no values or `q` lies outside of [0, 1].
    pub fn quantile(&self, q: f64) -> Option<f64> {
        if !(0.0..=1.0).contains(&q) {
            return None;
        }
        // What was taken back before it was added does not count until it is.
        let filled = || self.buckets.iter().filter(|(_, count)| **count > 0);
        let total = filled().fold(0_i64, |sum, (_, &count)| sum.saturating_add(count));
        let rank = ((q * (total - 1) as f64) as i64).min(total - 1);
        let mut below = 0_i64;
        filled()
            .find(|(_, count)| {
                below = below.saturating_add(**count);
                below > rank
            })
            .map(|(&key, _)| value(key))
    }

    /// The smallest value, within 1 %.
    pub fn minimum(&self) -> Option<f64> {
        self.quantile(0.0)
    }

    /// The largest value, within 1 %.
    pub fn maximum(&self) -> Option<f64> {
        self.quantile(1.0)
    }

    /// The sketch as bytes: a version, then for each bucket the difference of keys and the count, as variable-length
    /// integers. Two or three bytes a bucket for everyday counts; equal sketches give equal bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        let mut last = 0;
        for (&key, &count) in &self.buckets {
            write(&mut bytes, i64::from(key - last));
            write(&mut bytes, count);
            last = key;
        }
        bytes
    }

    /// Reads what [`Sketch::to_bytes`] wrote.
    ///
    /// # Errors
    /// When the layout is another one, or the bytes are not exactly what would be written for a sketch.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SketchError> {
        let (&version, mut rest) = bytes.split_first().ok_or(SketchError::Corrupt)?;
        if version != VERSION {
            return Err(SketchError::Version(version));
        }
        let mut sketch = Self::default();
        let mut key = 0_i64;
        while !rest.is_empty() {
            let (difference, after) = read(rest).ok_or(SketchError::Corrupt)?;
            let (count, after) = read(after).ok_or(SketchError::Corrupt)?;
            rest = after;
            let first = sketch.buckets.is_empty();
            key = key.checked_add(difference).ok_or(SketchError::Corrupt)?;
            let bounded = i32::try_from(key).ok().filter(|k| k.abs() <= largest_key());
            let bounded = bounded.filter(|_| count != 0 && (first || difference > 0));
            sketch.buckets.insert(bounded.ok_or(SketchError::Corrupt)?, count);
        }
        Ok(sketch)
    }
}

/// Seven bits a byte, the sign in the lowest bit.
fn write(bytes: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 128 {
        bytes.push(rest as u8 | 128);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

fn read(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let mut value = 0_u64;
    for (place, &byte) in bytes.iter().enumerate().take(10) {
        let bits = u64::from(byte & 127);
        // The tenth byte holds one bit; a last byte of zero would be another way to write the same number.
        if (place == 9 && bits > 1) || (place > 0 && byte == 0) {
            return None;
        }
        value |= bits << (7 * place);
        if byte < 128 {
            return Some(((value >> 1) as i64 ^ -((value & 1) as i64), &bytes[place + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sketch(values: &[f64]) -> Sketch {
        let mut sketch = Sketch::default();
        values.iter().for_each(|&v| sketch.add(v, 1));
        sketch
    }

    fn values() -> impl Strategy<Value = Vec<f64>> {
        let value =
            prop_oneof![Just(0.0), -1e6..1e6, 0.0..1.0, (-8.0..11.0).prop_map(|e: f64| 10_f64.powf(e))];
        prop::collection::vec(value, 1..200)
    }

    proptest! {
        #[test]
        fn quantiles_are_within_one_percent(mut values in values(), q in 0.0..=1.0) {
            let estimate = sketch(&values).quantile(q).unwrap();
            values.sort_by(f64::total_cmp);
            let exact = values[(q * (values.len() - 1) as f64) as usize];
            prop_assert!((estimate - exact).abs() <= exact.abs() * (ACCURACY + 1e-9) + SMALLEST, "{estimate} {exact}");
        }

        #[test]
        fn merging_is_concatenation_and_subtracting_undoes_it(a in values(), b in values()) {
            let mut merged = sketch(&a);
            merged.merge(&sketch(&b));
            prop_assert_eq!(&merged, &sketch(&[a.clone(), b.clone()].concat()));
            merged.subtract(&sketch(&b));
            prop_assert_eq!(merged, sketch(&a));
        }

        #[test]
        fn bytes_read_back(values in values(), count in any::<i64>()) {
            let mut sketch = sketch(&values);
            sketch.add(7.0, count);
            prop_assert_eq!(Sketch::from_bytes(&sketch.to_bytes()), Ok(sketch));
        }

        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..50)) {
            if let Some(first) = bytes.first_mut() {
                *first = VERSION;
            }
            if let Ok(sketch) = Sketch::from_bytes(&bytes) {
                prop_assert_eq!(sketch.to_bytes(), bytes);
            }
        }
    }

    #[test]
    fn a_sketch_of_rewards_is_small() {
        // Everything from a millionth to 1: the most buckets that rewards of ordinary precision fill.
        let ratings = sketch(&[0.0, 0.25, 0.5, 0.75, 1.0].repeat(1000));
        assert!(ratings.to_bytes().len() < 25);
        let percentages = sketch(&(0..=100).map(|p| f64::from(p) / 100.0).collect::<Vec<_>>());
        assert!(percentages.to_bytes().len() < 256);
        let fine = sketch(&(0..=1000).map(|p| f64::from(p) / 1000.0).collect::<Vec<_>>());
        assert!(fine.to_bytes().len() < 1000, "{}", fine.to_bytes().len());
    }

    #[test]
    fn extremes_are_bounded_and_nothing_is_none() {
        assert_eq!(Sketch::default().quantile(0.5), None);
        assert_eq!(sketch(&[1.0]).quantile(1.5), None);
        let extremes = sketch(&[f64::INFINITY, f64::MAX, f64::MIN, 5e-324, -0.0, f64::NAN]);
        assert_eq!(extremes.count(), 5);
        assert!((extremes.maximum().unwrap() / LARGEST - 1.0).abs() < 0.01);
        assert!((extremes.minimum().unwrap() / LARGEST + 1.0).abs() < 0.01);
        assert_eq!(extremes.quantile(0.5), Some(0.0));
        assert_eq!(Sketch::from_bytes(&[]), Err(SketchError::Corrupt));
        assert_eq!(Sketch::from_bytes(&[9]), Err(SketchError::Version(9)));
        assert!(largest_key() < 2421);
    }
}
