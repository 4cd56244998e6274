//! The normal mixture: sub-Gaussian sums.

use super::{Mixture, Tuning};
use crate::sequential::InputError;

/// Mixes over a normal distribution, or half of one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NormalMixture {
    precision: f64,
    one_sided: bool,
}

impl NormalMixture {
    /// For `|S|`.
    pub fn two_sided(tuning: Tuning) -> Self {
        Self { precision: tuning.two_sided(), one_sided: false }
    }

    /// For S.
    ///
    /// # Errors
    /// A tuning of level 1/2 or more.
    pub fn one_sided(tuning: Tuning) -> Result<Self, InputError> {
        Ok(Self { precision: tuning.one_sided()?, one_sided: true })
    }
}

impl Mixture for NormalMixture {
    fn log_e(&self, s: f64, v: f64) -> f64 {
        let total = v + self.precision;
        let two_sided = 0.5 * (self.precision / total).ln() + s * s / (2.0 * total);
        if self.one_sided { two_sided + (2.0 * crate::normal::cdf(s / total.sqrt())).ln() } else { two_sided }
    }
}
