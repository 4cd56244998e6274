//! How much a statement may weigh, in millionths.

use serde::{Deserialize, Serialize};

/// A weight in [0, 1], kept as millionths, so that sums of weights are exact and can be subtracted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Weight(u32);

impl Weight {
    /// Millionths in one.
    pub const SCALE: u32 = 1_000_000;
    /// It does not count.
    pub const ZERO: Self = Self(0);
    /// It counts in full.
    pub const ONE: Self = Self(Self::SCALE);

    /// The weight nearest to a number. What lies outside of [0, 1] is moved to its end; what is no number weighs nothing.
    pub fn nearest(value: f64) -> Self {
        Self((value.clamp(0.0, 1.0) * f64::from(Self::SCALE)).round() as u32)
    }

    /// The weight in millionths.
    pub fn millionths(self) -> u32 {
        self.0
    }

    /// The weight as a number in [0, 1].
    pub fn get(self) -> f64 {
        f64::from(self.0) / f64::from(Self::SCALE)
    }

    /// Both weights together, rounded down: what is limited for two reasons weighs the product.
    #[must_use]
    pub fn times(self, other: Self) -> Self {
        let product = u64::from(self.0) * u64::from(other.0) / u64::from(Self::SCALE);
        // A product of two numbers up to a million, divided by a million, is at most a million.
        Self(product as u32)
    }

    /// The smaller weight.
    #[must_use]
    pub fn at_most(self, other: Self) -> Self {
        self.min(other)
    }
}

impl From<Weight> for u32 {
    fn from(weight: Weight) -> Self {
        weight.0
    }
}

impl TryFrom<u32> for Weight {
    type Error = upswing_domain::Invalid;

    fn try_from(millionths: u32) -> Result<Self, Self::Error> {
        if millionths <= Self::SCALE {
            Ok(Self(millionths))
        } else {
            Err(upswing_domain::Invalid::new("weight", millionths, "0 to 1000000 millionths"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_weighs_more_than_one() {
        assert_eq!(Weight::nearest(7.0), Weight::ONE);
        assert_eq!(Weight::nearest(-1.0), Weight::ZERO);
        assert_eq!(Weight::nearest(f64::NAN), Weight::ZERO);
        assert!(Weight::try_from(1_000_001).is_err());
        assert_eq!(Weight::ONE.times(Weight::nearest(0.25)), Weight::nearest(0.25));
        assert_eq!(Weight::nearest(0.5).times(Weight::nearest(0.5)), Weight::nearest(0.25));
    }
}
