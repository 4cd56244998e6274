//! Polynomial stitching: a boundary in closed form.

use super::positive_time;
use crate::sequential::{Alpha, InputError, error};

/// A boundary stitched together of linear ones over epochs of intrinsic time: closed form, grows with the iterated
/// logarithm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PolyStitching {
    start: f64,
    scale: f64,
    power: f64,
    spacing: f64,
    zeta: f64,
}

impl PolyStitching {
    /// For sums that are sub-gamma with scale `c` (0: sub-Gaussian), from intrinsic time `start` on, with the usual power
    /// 1.4 and spacing 2.
    ///
    /// # Errors
    /// A start that is not positive or a negative scale.
    pub fn new(start: f64, c: f64) -> Result<Self, InputError> {
        Self::shaped(start, c, 1.4, 2.0)
    }

    /// With the power s of the epochs' weights (above 1) and the spacing eta of epochs (above 1).
    ///
    /// # Errors
    /// Parameters outside of their ranges.
    pub fn shaped(start: f64, c: f64, s: f64, eta: f64) -> Result<Self, InputError> {
        Ok(Self {
            start: error::require("start", start, "positive", start > 0.0)?,
            scale: error::require("scale", c, "0 or more", c >= 0.0)?,
            power: error::require("power", s, "above 1, up to 20", s > 1.0 && s <= 20.0)?,
            spacing: error::require("spacing", eta, "above 1", eta > 1.0)?,
            zeta: zeta(s),
        })
    }

    /// What the sum reaches at intrinsic time `v`, ever, with probability at most alpha. Constant before the start.
    ///
    /// # Errors
    /// An intrinsic time that is not positive.
    pub fn bound(&self, v: f64, alpha: Alpha) -> Result<f64, InputError> {
        let v = positive_time(v)?.max(self.start);
        let (k1, k2) = (
            (self.spacing.powf(0.25) + self.spacing.powf(-0.25)) / 2_f64.sqrt(),
            (self.spacing.sqrt() + 1.0) / 2.0,
        );
        let epoch = (self.spacing * v / self.start).ln();
        let log = self.power * (epoch / self.spacing.ln()).ln() + self.zeta.ln() + alpha.log_threshold();
        let linear = k2 * self.scale * log;
        error::require(
            "intrinsic time",
            (k1 * k1 * v * log + linear * linear).sqrt() + linear,
            "smaller",
            true,
        )
    }
}

/// Riemann's zeta function above 1: twenty terms, and the rest by the formula of Euler and Maclaurin, to 15 digits.
fn zeta(s: f64) -> f64 {
    const TERMS: f64 = 20.0;
    let sum: f64 = (1..20).map(|k| f64::from(k).powf(-s)).sum();
    let last = TERMS.powf(-s);
    // Each term is the rising factorial of s times B_2k/(2k)! over the terms to the power 2k - 1.
    let mut correction = 0.0;
    let mut rising = s;
    for (k, coefficient) in [(1.0, 12.0), (3.0, -720.0), (5.0, 30_240.0), (7.0, -1_209_600.0)] {
        correction += rising / (coefficient * TERMS.powf(k));
        rising *= (s + k) * (s + k + 1.0);
    }
    sum + last * (TERMS / (s - 1.0) + 0.5 + correction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeta_meets_known_values() {
        for (s, value) in
            [(2.0, 1.644_934_066_848_226_4), (4.0, 1.082_323_233_711_138_2), (1.4, 3.105_547_277_977_580_6)]
        {
            assert!((zeta(s) - value).abs() < 1e-12, "{s}: {}", zeta(s));
        }
    }
}
