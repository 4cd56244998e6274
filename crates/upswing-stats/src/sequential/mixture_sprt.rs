//! The mixture sequential probability ratio test, as several experimentation tools have it.

use super::{InputError, error};

/// Compares two arms' means by always-valid p-values, for parity with what other tools show.
///
/// It relies on the normal approximation from the first look on. For rates with few events prefer
/// [`super::RandomisationTest`]. With n units an arm, the difference d of means and the sum V of both arms' variances: `L
/// = sqrt(V / (V + n t^2)) exp(n^2 t^2 d^2 / (2 V (V + n t^2)))`, where `t^2` is the variance of the differences that one
/// expects; the p-value is 1 over the largest L so far. O(1) a look.
///
/// Source: Johari, Pekelis, Walsh, "Always valid inference", arXiv 1512.04922.
///
/// ```
/// let mut test = upswing_stats::sequential::MixtureSprt::new(0.01)?;
/// test.look(1000.0, 0.1, 2.0)?;
/// assert!((test.p_value() - 1.0 / 3.278_721_627_53).abs() < 1e-9);
/// # Ok::<(), upswing_stats::sequential::InputError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MixtureSprt {
    expected_variance: f64,
    largest: f64,
}

impl MixtureSprt {
    /// A test that expects differences of this variance (`t^2`, positive).
    ///
    /// # Errors
    /// Not positive.
    pub fn new(expected_variance: f64) -> Result<Self, InputError> {
        error::require("expected_variance", expected_variance, "positive", expected_variance > 0.0)?;
        Ok(Self { expected_variance, largest: 0.0 })
    }

    /// The log of the likelihood ratio L after `units` an arm.
    ///
    /// # Errors
    /// No units, a difference that is not finite, or a sum of variances that is not positive.
    pub fn log_ratio(self, units: f64, difference: f64, variances: f64) -> Result<f64, InputError> {
        let n = error::require("units", units, "positive", units > 0.0)?;
        let d = error::require("difference", difference, "finite", true)?;
        let v = error::require("variances", variances, "positive", variances > 0.0)?;
        let prior = n * self.expected_variance;
        // In an order in which no intermediate overflows before the result does.
        let log = 0.5 * (v / (v + prior)).ln() + 0.5 * (n * d / v) * (prior / (v + prior)) * d;
        error::require("difference", log, "of a size that can be squared", true)
    }

    /// Takes what one look shows, and gives the p-value after it.
    ///
    /// # Errors
    /// As [`Self::log_ratio`]. Nothing changes then.
    pub fn look(&mut self, units: f64, difference: f64, variances: f64) -> Result<f64, InputError> {
        self.largest = self.largest.max(self.log_ratio(units, difference, variances)?);
        Ok(self.p_value())
    }

    /// The p-value after the looks so far: 1 before the first, never rising.
    pub fn p_value(self) -> f64 {
        (-self.largest).exp()
    }
}
