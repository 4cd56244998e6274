//! One number a unit: a mean, a rate, a count.

use super::error::SummaryError;

/// The relative error that sums may have brought along: sums of squares that contradict their sum by less are rounded.
const ROUNDING: f64 = 1e-9;

/// One number of each unit of an arm, as its count, mean and sum of squared deviations.
///
/// A unit is what was assigned, not what happened to it: with several events a unit, sum them per unit first, or compare
/// them as a [`super::RatioSample`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    units: u64,
    mean: f64,
    /// Around the mean. Kept instead of the sum of squares because differences of large numbers happen once, here.
    deviations: f64,
    /// Whether the values are 0 and 1 alone.
    binary: bool,
}

impl Sample {
    /// Values of any kind: a mean, a count of events a unit.
    ///
    /// Variance is lost when the mean is about 10^7 times the standard deviation or more: there, use [`Sample::exact`] or
    /// [`Sample::centred`]. What is left of squares after taking the mean away is compared with the last digit of
    /// the sum of squares, and is no variance when it is of that size.
    ///
    /// # Errors
    /// No units, sums that are not finite, or a sum of squares that is too small for the sum.
    pub fn mean(units: u64, sum: f64, sum_squares: f64) -> Result<Self, SummaryError> {
        check(units, "the sum", sum)?;
        finite("the sum of squares", sum_squares)?;
        let n = units as f64;
        let mean = sum / n;
        // sum^2/n in twice the precision: the product's and the quotient's rounding are exact numbers themselves.
        let product = sum * mean;
        let rest = sum.mul_add(mean, -product) + sum * ((-mean).mul_add(n, sum) / n);
        let left = (sum_squares - product) - rest;
        if left < -ROUNDING * sum_squares.abs() || sum_squares < 0.0 {
            return Err(SummaryError::Contradiction("the sum of squares is below the squared sum a unit"));
        }
        let deviations = if left <= 8.0 * f64::EPSILON * sum_squares { 0.0 } else { left };
        Ok(Self { units, mean, deviations, binary: false })
    }

    /// Sums of integers, such as micro-units of a reward, and how much of the value one integer stands for.
    ///
    /// Exact whatever the size of mean and variance, as long as `units * sum_squares` stays below 2^127.
    ///
    /// # Errors
    /// No units, a scale that is not finite, a sum of squares that is too small for the sum, or sums beyond that size.
    ///
    /// ```
    /// use upswing_stats::compare::Sample;
    /// // A million values 1,000,000.000001 and as many 1,000,000: their squares differ in the 19th digit.
    /// let (a, b) = (1_000_000_000_001_i128, 1_000_000_000_000_i128);
    /// let n = 1_000_000;
    /// let sample = Sample::exact(2 * n as u64, n * (a + b), n * (a * a + b * b), 1e-6)?;
    /// assert!((sample.variance().unwrap() / 0.25e-12 - 1.0).abs() < 1e-5);
    /// # Ok::<(), upswing_stats::compare::SummaryError>(())
    /// ```
    pub fn exact(units: u64, sum: i128, sum_squares: i128, scale: f64) -> Result<Self, SummaryError> {
        let too_large =
            SummaryError::NotFinite { name: "units times the sum of squares", value: f64::INFINITY };
        check(units, "the scale", scale)?;
        let squares = i128::from(units).checked_mul(sum_squares).ok_or(too_large)?;
        let square = sum.checked_mul(sum).ok_or(too_large)?;
        let left = squares.checked_sub(square).ok_or(too_large)?;
        if left < 0 {
            return Err(SummaryError::Contradiction("the sum of squares is below the squared sum a unit"));
        }
        let n = units as f64;
        Self::centred(units, sum as f64 * scale / n, left as f64 / n * scale * scale)
    }

    /// The mean and the sum of squared deviations from it, for callers that keep those (Welford's way).
    ///
    /// # Errors
    /// No units, numbers that are not finite, or deviations below zero.
    pub fn centred(units: u64, mean: f64, deviations: f64) -> Result<Self, SummaryError> {
        check(units, "the mean", mean)?;
        finite("the sum of squared deviations", deviations)?;
        if deviations < 0.0 {
            return Err(SummaryError::Contradiction("squared deviations below zero"));
        }
        Ok(Self { units, mean, deviations, binary: false })
    }

    /// How many of the units did what was hoped for.
    ///
    /// # Errors
    /// No units, or more successes than units.
    pub fn proportion(units: u64, successes: u64) -> Result<Self, SummaryError> {
        if successes > units {
            return Err(SummaryError::TooManySuccesses { successes, units });
        }
        let (n, yes, no) = (units as f64, successes as f64, (units - successes) as f64);
        check(units, "successes", yes)?;
        Ok(Self { units, mean: yes / n, deviations: yes * (no / n), binary: true })
    }

    /// How many units.
    pub fn units(&self) -> u64 {
        self.units
    }

    /// The mean or rate.
    pub fn average(&self) -> f64 {
        self.mean
    }

    /// The variance of one unit: `p (1 - p)` for a rate, otherwise the unbiased estimate, which a single unit does not have.
    pub fn variance(&self) -> Option<f64> {
        if self.binary {
            return Some(self.mean * (1.0 - self.mean));
        }
        (self.units > 1).then(|| self.deviations / (self.units - 1) as f64)
    }

    pub(super) fn deviations(&self) -> f64 {
        self.deviations
    }

    pub(super) fn binary(&self) -> bool {
        self.binary
    }
}

/// The sum of products of deviations of two numbers of the same units.
pub(super) fn co_deviations(first: &Sample, second: &Sample, sum_products: f64) -> Result<f64, SummaryError> {
    if first.units != second.units {
        return Err(SummaryError::DifferentUnits { first: first.units, second: second.units });
    }
    finite("the sum of products", sum_products)?;
    let n = first.units as f64;
    let left = (-n * first.mean).mul_add(second.mean, sum_products);
    // Cauchy and Schwarz, with room for the rounding of the caller's sums.
    let most = first.deviations.sqrt() * second.deviations.sqrt();
    let noise = ROUNDING * (sum_products.abs() + (n * first.mean * second.mean).abs());
    if !left.is_finite() || left.abs() > most * (1.0 + ROUNDING) + noise {
        return Err(SummaryError::Contradiction(
            "the sum of products is out of what the sums of squares allow",
        ));
    }
    Ok(left.clamp(-most, most))
}

fn check(units: u64, name: &'static str, value: f64) -> Result<(), SummaryError> {
    if units == 0 {
        return Err(SummaryError::NoUnits);
    }
    finite(name, value)?;
    finite(name, value * value).map_err(|_| SummaryError::NotFinite { name, value })
}

pub(super) fn finite(name: &'static str, value: f64) -> Result<(), SummaryError> {
    if value.is_finite() { Ok(()) } else { Err(SummaryError::NotFinite { name, value }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variance_survives_a_large_mean() {
        // Values m - 1 and m + 1 in turn: the variance is n / (n - 1) whatever m.
        for m in [0.0_f64, 1e3, 1e6] {
            let n = 10_000_000_u64;
            let half = (n / 2) as f64;
            let squares = half * ((m - 1.0) * (m - 1.0) + (m + 1.0) * (m + 1.0));
            let sample = Sample::mean(n, n as f64 * m, squares).unwrap();
            assert!((sample.variance().unwrap() - 1.0).abs() < 1e-3, "{m} {sample:?}");
        }
    }

    #[test]
    fn values_that_do_not_vary_have_no_variance() {
        let squares = 0.1 * 0.1 * 1000.0;
        assert_eq!(Sample::mean(1000, 100.0, 10.0).unwrap().variance(), Some(0.0));
        assert_eq!(Sample::mean(1000, 0.1 * 1000.0, squares).unwrap().variance(), Some(0.0));
        assert_eq!(Sample::mean(1, 3.0, 9.0).unwrap().variance(), None);
    }

    #[test]
    fn impossible_sums_are_refused() {
        assert_eq!(Sample::mean(0, 0.0, 0.0), Err(SummaryError::NoUnits));
        assert!(matches!(Sample::mean(10, 10.0, 5.0), Err(SummaryError::Contradiction(_))));
        assert!(matches!(Sample::mean(10, 0.0, -1.0), Err(SummaryError::Contradiction(_))));
        assert!(matches!(Sample::mean(10, f64::NAN, 5.0), Err(SummaryError::NotFinite { .. })));
        assert!(matches!(Sample::mean(10, 1e200, f64::MAX), Err(SummaryError::NotFinite { .. })));
        assert!(matches!(Sample::proportion(3, 4), Err(SummaryError::TooManySuccesses { .. })));
        assert!(matches!(Sample::exact(u64::MAX, 1, i128::MAX, 1.0), Err(SummaryError::NotFinite { .. })));
        assert!(matches!(Sample::exact(10, 10, 5, 1.0), Err(SummaryError::Contradiction(_))));
    }
}
