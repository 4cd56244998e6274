//! The gamma-exponential mixture: sub-exponential sums.

use statrs::function::gamma;

use super::{Mixture, Tuning, scale};
use crate::sequential::{InputError, error};

/// Mixes over a gamma distribution, for sub-exponential sums.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GammaExponentialMixture {
    precision: f64,
    scale: f64,
    constant: f64,
}

impl GammaExponentialMixture {
    /// With scale c.
    ///
    /// # Errors
    /// A scale that is not positive, a tuning of level 1/2 or more.
    pub fn new(tuning: Tuning, c: f64) -> Result<Self, InputError> {
        let (precision, scale) = (tuning.one_sided()?, scale(c)?);
        let shape = precision / (scale * scale);
        let constant = shape * shape.ln() - gamma::ln_gamma(shape) - lower_gamma(shape, shape).ln();
        Ok(Self {
            precision,
            scale,
            constant: error::require("scale", constant, "comparable to the tuning", true)?,
        })
    }
}

impl Mixture for GammaExponentialMixture {
    fn log_e(&self, s: f64, v: f64) -> f64 {
        let square = self.scale * self.scale;
        let sum = (self.scale * s + v) / square;
        let (shape, rate) = ((v + self.precision) / square, sum + self.precision / square);
        self.constant + gamma::ln_gamma(shape) + lower_gamma(shape, rate).ln() - shape * rate.ln() + sum
    }
}

/// The regularised lower incomplete gamma function; NaN where it fails.
fn lower_gamma(shape: f64, x: f64) -> f64 {
    gamma::checked_gamma_lr(shape, x).unwrap_or(f64::NAN)
}
