//! A ratio of sums: cost a request, clicks a view, where units have several of both.

use super::error::SummaryError;
use super::sample::{Sample, co_deviations};

/// A ratio of two sums over the same units, with its variance by the delta method.
///
/// Good when the denominator's mean is many of its standard errors away from zero, which some hundred units give.
///
/// Source: A. Deng, U. Knoblich, J. Lu, "Applying the delta method in metric analytics", KDD 2018, arXiv 1803.06336.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RatioSample {
    numerator: Sample,
    denominator: Sample,
    co_deviations: f64,
}

impl RatioSample {
    /// The numerator and the denominator of each unit, and the sum of their products over units.
    ///
    /// # Errors
    /// Parts of different units, a sum of products that these parts cannot have, or a denominator of zero.
    pub fn new(numerator: Sample, denominator: Sample, sum_products: f64) -> Result<Self, SummaryError> {
        let co_deviations = co_deviations(&numerator, &denominator, sum_products)?;
        if denominator.average().abs() <= 0.0 {
            return Err(SummaryError::ZeroDenominator);
        }
        Ok(Self { numerator, denominator, co_deviations })
    }

    /// How many units.
    pub fn units(&self) -> u64 {
        self.numerator.units()
    }

    /// The ratio of the sums.
    pub fn ratio(&self) -> f64 {
        self.numerator.average() / self.denominator.average()
    }

    /// What one unit adds to the variance of the ratio: divided by the units, the variance of [`RatioSample::ratio`].
    pub fn variance(&self) -> Option<f64> {
        let units = self.units();
        if units < 2 {
            return None;
        }
        let both = self.numerator.binary() && self.denominator.binary();
        let covariance = self.co_deviations / if both { units } else { units - 1 } as f64;
        let (ratio, mean) = (self.ratio(), self.denominator.average());
        let numerator = self.numerator.variance()?;
        let denominator = self.denominator.variance()?;
        let residual = numerator - 2.0 * ratio * covariance + ratio * ratio * denominator;
        Some(residual / mean / mean)
    }
}
