//! A quantile with an interval from order statistics.

use super::error::SummaryError;
use super::sample::finite;
use crate::normal;

/// A quantile of an arm's values, such as the 90th percentile of latency, with the 95 % interval that order statistics give.
///
/// The interval is read at the levels that [`QuantileSample::bounds`] says. It may be
/// read for fewer units than there are, where the quantiles come from a sketch too coarse for the narrow one: the standard
/// error is scaled by the root of their ratio. Values are taken as independent: one value a unit.
///
/// Source: A. Deng, U. Knoblich, J. Lu, "Applying the delta method in metric analytics", KDD 2018, arXiv 1803.06336,
/// section 4.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantileSample {
    units: u64,
    interval_units: u64,
    level: f64,
    value: f64,
    width: f64,
}

impl QuantileSample {
    /// `units` values, of which the quantile of this `level` is `value`, between `low` and `high` at 95 % for
    /// `interval_units` of them.
    ///
    /// # Errors
    /// No units, a level outside of (0, 1), bounds that are not finite or not around the value.
    pub fn new(
        units: u64,
        interval_units: u64,
        level: f64,
        value: f64,
        (low, high): (f64, f64),
    ) -> Result<Self, SummaryError> {
        if units == 0 || interval_units == 0 {
            return Err(SummaryError::NoUnits);
        }
        if !(level > 0.0 && level < 1.0) {
            return Err(SummaryError::QuantileLevel(level));
        }
        finite("the quantile", value)?;
        finite("the quantile's interval", high - low)?;
        if !(low <= value && value <= high) {
            return Err(SummaryError::Contradiction("the quantile lies outside of its interval"));
        }
        Ok(Self { units, interval_units, level, value, width: high - low })
    }

    /// At which levels to read the bounds of the interval of a quantile of this `level` from `units` values, or from as many
    /// as the source of quantiles can tell apart. `None` where they fall off the ends, or the level lies outside of (0, 1).
    ///
    /// ```
    /// let (low, high) = upswing_stats::compare::QuantileSample::bounds(0.9, 1000).unwrap();
    /// assert!((low - 0.8814).abs() < 1e-4 && (high - 0.9186).abs() < 1e-4);
    /// ```
    pub fn bounds(level: f64, units: u64) -> Option<(f64, f64)> {
        let half = normal::quantile(0.975) * (level * (1.0 - level) / units as f64).sqrt();
        let (low, high) = (level - half, level + half);
        (low > 0.0 && high < 1.0).then_some((low, high))
    }

    /// How many values.
    pub fn units(&self) -> u64 {
        self.units
    }

    /// Which quantile.
    pub fn level(&self) -> f64 {
        self.level
    }

    /// The quantile.
    pub fn value(&self) -> f64 {
        self.value
    }

    /// What one value adds to the variance of the quantile. `None` with so few values that the ranks of the interval fall
    /// off the ends.
    pub fn variance(&self) -> Option<f64> {
        let z = normal::quantile(0.975);
        let (n, odds) = (self.units as f64, self.level / (1.0 - self.level));
        if n <= z * z * odds.max(1.0 / odds) {
            return None;
        }
        let error = self.width / (2.0 * z);
        Some(self.interval_units as f64 / n * (n - 1.0) * error * error)
    }
}
