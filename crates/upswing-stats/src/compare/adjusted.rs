//! A mean with what was known before taken out of it (CUPED).

use super::error::SummaryError;
use super::sample::{Sample, co_deviations};

/// A metric of each unit and the same or another number of it from before the assignment.
///
/// The part of the metric that the earlier number predicts is taken away, which narrows intervals by the factor
/// `sqrt(1 - correlation^2)` and leaves the effect where it is, since what was before cannot be an effect. Both arms
/// are adjusted by the same slope, from their units taken together. Without any variation before, nothing is adjusted.
///
/// Source: A. Deng, Y. Xu, R. Kohavi, T. Walker, "Improving the sensitivity of online controlled experiments by utilizing
/// pre-experiment data", WSDM 2013, DOI 10.1145/2433396.2433413.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdjustedSample {
    after: Sample,
    before: Sample,
    co_deviations: f64,
}

impl AdjustedSample {
    /// The metric after the assignment, the number before it, and the sum over units of their products.
    ///
    /// Units of which nothing is known before count with a zero or a mean there, for all arms alike, not left out.
    ///
    /// # Errors
    /// Parts of different units, or a sum of products that these parts cannot have.
    pub fn new(after: Sample, before: Sample, sum_products: f64) -> Result<Self, SummaryError> {
        let co_deviations = co_deviations(&after, &before, sum_products)?;
        Ok(Self { after, before, co_deviations })
    }

    /// How many units.
    pub fn units(&self) -> u64 {
        self.after.units()
    }

    /// The metric as it was measured.
    pub fn after(&self) -> Sample {
        self.after
    }

    /// The number from before.
    pub fn before(&self) -> Sample {
        self.before
    }

    /// The slope of the metric on the number from before, over the units of both arms as one sample; 0 when nothing varied
    /// before.
    pub fn pooled_slope(&self, other: &Self) -> f64 {
        let (n, m) = (self.units() as f64, other.units() as f64);
        let between = n * (m / (n + m));
        let before = other.before.average() - self.before.average();
        let after = other.after.average() - self.after.average();
        let squares = self.before.deviations() + other.before.deviations() + between * before * before;
        let products = self.co_deviations + other.co_deviations + between * before * after;
        let slope = products / squares;
        if slope.is_finite() { slope } else { 0.0 }
    }

    /// The covariance of after and before in one unit.
    pub fn covariance(&self) -> Option<f64> {
        let units = self.units();
        let both = self.after.binary() && self.before.binary();
        (units > 1).then(|| self.co_deviations / if both { units } else { units - 1 } as f64)
    }

    /// The mean less what the number from before predicts.
    pub(super) fn adjusted_mean(&self, slope: f64) -> f64 {
        self.after.average() - slope * self.before.average()
    }

    /// The variance of one unit after adjusting.
    pub(super) fn adjusted_variance(&self, slope: f64) -> Option<f64> {
        let (after, before) = (self.after.variance()?, self.before.variance()?);
        Some(after - 2.0 * slope * self.covariance()? + slope * slope * before)
    }
}
