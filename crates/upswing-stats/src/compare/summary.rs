//! What an arm can be summarised as.

use super::{AdjustedSample, QuantileSample, RatioSample, Sample};

/// All that is known of an arm. Both arms of a comparison are summarised alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Summary {
    /// A number a unit: a mean, a rate, a count.
    Mean(Sample),
    /// A ratio of two sums.
    Ratio(RatioSample),
    /// A number a unit, adjusted by one from before.
    Adjusted(AdjustedSample),
    /// A quantile.
    Quantile(QuantileSample),
}

impl Summary {
    /// How many units the arm has.
    pub fn units(&self) -> u64 {
        match self {
            Self::Mean(sample) => sample.units(),
            Self::Ratio(sample) => sample.units(),
            Self::Adjusted(sample) => sample.units(),
            Self::Quantile(sample) => sample.units(),
        }
    }

    /// What is compared, as it was measured: the mean, the ratio or the quantile, before any adjustment.
    pub fn value(&self) -> f64 {
        match self {
            Self::Mean(sample) => sample.average(),
            Self::Ratio(sample) => sample.ratio(),
            Self::Adjusted(sample) => sample.after().average(),
            Self::Quantile(sample) => sample.value(),
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Mean(_) => "a mean",
            Self::Ratio(_) => "a ratio",
            Self::Adjusted(_) => "an adjusted mean",
            Self::Quantile(_) => "a quantile",
        }
    }
}
