//! Numbers that must be in range.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// A reward in [0, 1], kept as millionths, so that sums are exact, free of order, and can be subtracted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reward(u32);

impl Reward {
    /// Millionths in one.
    pub const SCALE: u32 = 1_000_000;
    /// The smallest reward.
    pub const ZERO: Self = Self(0);
    /// The largest reward.
    pub const ONE: Self = Self(Self::SCALE);

    /// A reward from a number in [0, 1], rounded to the nearest millionth.
    ///
    /// # Errors
    /// When the number is not finite or lies outside of [0, 1].
    pub fn new(value: f64) -> Result<Self, Invalid> {
        if (0.0..=1.0).contains(&value) {
            Ok(Self((value * f64::from(Self::SCALE)).round() as u32))
        } else {
            Err(Invalid::new("reward", value, "a number from 0 to 1"))
        }
    }

    /// A reward from millionths.
    ///
    /// # Errors
    /// When there are more than a million.
    pub fn from_millionths(millionths: i64) -> Result<Self, Invalid> {
        match u32::try_from(millionths) {
            Ok(m) if m <= Self::SCALE => Ok(Self(m)),
            _ => Err(Invalid::new("reward", millionths, "0 to 1000000 millionths")),
        }
    }

    /// The reward in millionths.
    pub fn millionths(self) -> i64 {
        i64::from(self.0)
    }

    /// The reward as a number in [0, 1].
    pub fn get(self) -> f64 {
        f64::from(self.0) / f64::from(Self::SCALE)
    }
}

impl fmt::Display for Reward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// A probability in [0, 1].
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Probability(f64);

impl Probability {
    /// Certainty.
    pub const ONE: Self = Self(1.0);

    /// A probability.
    ///
    /// # Errors
    /// When the number is not finite or lies outside of [0, 1].
    pub fn new(value: f64) -> Result<Self, Invalid> {
        if (0.0..=1.0).contains(&value) {
            Ok(Self(value))
        } else {
            Err(Invalid::new("probability", value, "a number from 0 to 1"))
        }
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Probability {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(f64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_of_the_range_becomes_a_reward() {
        for value in [f64::NAN, f64::INFINITY, -0.000_001, 1.000_001] {
            assert!(Reward::new(value).is_err(), "{value}");
            assert!(Probability::new(value).is_err(), "{value}");
        }
        assert_eq!(Reward::new(1.0).unwrap(), Reward::ONE);
        assert_eq!(Reward::new(0.333_333_4).unwrap().millionths(), 333_333);
    }
}
