//! The beta-binomial mixture: sums of steps within two bounds.

use statrs::function::beta;

use super::{Mixture, Tuning};
use crate::sequential::{InputError, error};

/// Mixes over a beta distribution, for sums of steps within `[-g, h]`.
///
/// One-sided, the incomplete beta function loses digits at large intrinsic times: a bound has ten digits up to about
/// 100,000, and five at a million, where the normal mixture is as good.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BetaBinomialMixture {
    precision: f64,
    down: f64,
    up: f64,
    one_sided: bool,
    constant: f64,
}

impl BetaBinomialMixture {
    /// For S; steps lie within `[-g, h]`.
    ///
    /// # Errors
    /// A g or h that is not positive, a tuning of level 1/2 or more.
    pub fn one_sided(tuning: Tuning, g: f64, h: f64) -> Result<Self, InputError> {
        Self::new(tuning.one_sided()?, g, h, true)
    }

    /// For `|S|`.
    ///
    /// # Errors
    /// A g or h that is not positive.
    pub fn two_sided(tuning: Tuning, g: f64, h: f64) -> Result<Self, InputError> {
        Self::new(tuning.two_sided(), g, h, false)
    }

    fn new(precision: f64, g: f64, h: f64, one_sided: bool) -> Result<Self, InputError> {
        let down = error::require("g", g, "positive", g > 0.0)?;
        let up = error::require("h", h, "positive", h > 0.0)?;
        // The prior counts as one step already; tuned to fewer than one, it still has to be a distribution.
        let precision = (precision - down * up).max(1e-3 * down * up);
        let mut mixture = Self { precision, down, up, one_sided, constant: 0.0 };
        let constant = mixture.log_beta(precision, precision);
        mixture.constant = error::require("g and h", constant, "comparable to each other", true)?;
        Ok(mixture)
    }

    /// The log of the beta function of what has gathered below and above, incomplete for one side.
    fn log_beta(&self, below: f64, above: f64) -> f64 {
        let range = self.down + self.up;
        let (a, b) = (below / (self.down * range), above / (self.up * range));
        let Ok(complete) = beta::checked_ln_beta(a, b) else { return f64::NAN };
        if self.one_sided {
            beta::checked_beta_reg(a, b, self.up / range).map_or(f64::NAN, |share| complete + share.ln())
        } else {
            complete
        }
    }
}

impl Mixture for BetaBinomialMixture {
    fn log_e(&self, s: f64, v: f64) -> f64 {
        let (g, h) = (self.down, self.up);
        let range = g + h;
        v / (g * h) * range.ln() - (v + h * s) / (h * range) * g.ln() - (v - g * s) / (g * range) * h.ln()
            + self.log_beta(self.precision + v - g * s, self.precision + v + h * s)
            - self.constant
    }

    fn largest(&self, v: f64) -> f64 {
        v / self.down
    }
}
