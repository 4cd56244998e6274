//! The gamma-Poisson mixture: sums of steps that are bounded above.

use statrs::function::gamma;

use super::{Mixture, Tuning, scale};
use crate::sequential::{InputError, error};

/// Mixes over a gamma distribution, for sub-Poisson sums.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GammaPoissonMixture {
    precision: f64,
    scale: f64,
    constant: f64,
}

impl GammaPoissonMixture {
    /// With scale c.
    ///
    /// # Errors
    /// A scale that is not positive, a tuning of level 1/2 or more.
    pub fn new(tuning: Tuning, c: f64) -> Result<Self, InputError> {
        let (precision, scale) = (tuning.one_sided()?, scale(c)?);
        let shape = precision / (scale * scale);
        let constant = shape * shape.ln() - gamma::ln_gamma(shape) - upper_gamma(shape, shape).ln();
        Ok(Self {
            precision,
            scale,
            constant: error::require("scale", constant, "comparable to the tuning", true)?,
        })
    }
}

impl Mixture for GammaPoissonMixture {
    fn log_e(&self, s: f64, v: f64) -> f64 {
        let square = self.scale * self.scale;
        let rate = (v + self.precision) / square;
        let shape = s / self.scale + rate;
        self.constant + gamma::ln_gamma(shape) + upper_gamma(shape, rate).ln() - shape * rate.ln()
            + v / square
    }
}

/// The regularised upper incomplete gamma function; NaN where it fails.
fn upper_gamma(shape: f64, x: f64) -> f64 {
    gamma::checked_gamma_ur(shape, x).unwrap_or(f64::NAN)
}
