//! What every test takes and gives.

use super::error::ParameterError;
use crate::Interval;

/// How often one accepts to be wrong where there is nothing: alpha, within (0, 1).
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Level(f64);

impl Level {
    /// A level such as 0.05.
    ///
    /// # Errors
    /// When it lies outside of (0, 1).
    pub fn new(alpha: f64) -> Result<Self, ParameterError> {
        ParameterError::within("the level", alpha, 0.0, 1.0, "within (0, 1)").map(Self)
    }

    /// The number.
    pub fn alpha(self) -> f64 {
        self.0
    }
}

/// Which effects a test is to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Alternative {
    /// Any effect; the interval has two ends.
    #[default]
    TwoSided,
    /// Effects above zero; the interval reaches to plus infinity.
    Greater,
    /// Effects below zero; the interval reaches to minus infinity.
    Less,
}

/// An interval and how surprising the data would be without any effect.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Inference {
    /// The estimate within its bounds. One-sided tests leave one end infinite.
    pub interval: Interval,
    /// The p-value of "there is no effect in this direction", within [0, 1].
    pub p_value: f64,
}

impl Inference {
    /// An interval of this half width, cut open where the alternative leaves an end out.
    pub(crate) fn around(estimate: f64, half: f64, alternative: Alternative, p_value: f64) -> Self {
        let low = if alternative == Alternative::Less { f64::NEG_INFINITY } else { estimate - half };
        let high = if alternative == Alternative::Greater { f64::INFINITY } else { estimate + half };
        Self { interval: Interval { estimate, low, high }, p_value }
    }
}
