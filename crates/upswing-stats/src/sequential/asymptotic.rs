//! Asymptotic confidence sequences: the default for large samples and unbounded metrics.

use super::{Alpha, InputError, error};

/// The boundary of an asymptotic confidence sequence, tuned to be narrowest at a planned number of units.
///
/// Use it around any estimate that is asymptotically a mean: a difference of means, of ratios, a doubly robust effect. It
/// holds at every look once units are many, like the central limit theorem does for one look; with few events it does
/// not, so use [`super::RandomisationTest`] there. Do not apply it to a *relative* effect by the delta method: that has
/// 12 to 19 % false positives at a nominal 5 % when conversions are few. Test the absolute effect, or the log ratio, and
/// report the relative one.
///
/// With standard deviation s of what a unit adds and t units the half-width is
/// `s sqrt(2 (t r^2 + 1) / (t^2 r^2) ln(sqrt(t r^2 + 1) / alpha))`.
///
/// Source: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, "Time-uniform central limit theory and asymptotic confidence
/// sequences", Annals of Statistics 52 (2024), arXiv 2103.06476.
///
/// ```
/// use upswing_stats::sequential::{Alpha, AsymptoticSequence};
/// let sequence = AsymptoticSequence::exact(500.0, Alpha::new(0.05)?)?;
/// assert!((sequence.half_width(1.0, 100.0)? - 0.334_705_615).abs() < 1e-9);
/// # Ok::<(), upswing_stats::sequential::InputError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AsymptoticSequence {
    alpha: Alpha,
    /// `r^2`.
    tuning: f64,
}

impl AsymptoticSequence {
    /// Narrowest at `planned` units, exactly: `r^2 = (-W(-alpha^2 / e) - 1) / planned`, W the lower branch of Lambert's
    /// function.
    ///
    /// # Errors
    /// A planned number that is not positive.
    pub fn exact(planned: f64, alpha: Alpha) -> Result<Self, InputError> {
        // y = -W solves y - ln y = 1 - 2 ln alpha, for y > 1. Newton's method from above converges monotonically.
        let right = 1.0 + 2.0 * alpha.log_threshold();
        let mut y = right + (2.0 * right).ln();
        for _ in 0..100 {
            let next = y - (y - y.ln() - right) / (1.0 - 1.0 / y);
            if (y - next).abs() <= 1e-15 * y {
                break;
            }
            y = next;
        }
        Self::tuned((y - 1.0) / planned_units(planned)?, alpha)
    }

    /// Nearly narrowest at `planned` units, by the approximation `r^2 = (-2 ln alpha + ln(1 - 2 ln alpha)) / planned`
    /// that other tools use: 5,000 reproduces GrowthBook.
    ///
    /// # Errors
    /// A planned number that is not positive.
    pub fn approximate(planned: f64, alpha: Alpha) -> Result<Self, InputError> {
        let log = 2.0 * alpha.log_threshold();
        Self::tuned((log + log.ln_1p()) / planned_units(planned)?, alpha)
    }

    /// With `r^2` given.
    ///
    /// # Errors
    /// Not positive.
    pub fn tuned(tuning: f64, alpha: Alpha) -> Result<Self, InputError> {
        Ok(Self { alpha, tuning: error::require("tuning", tuning, "positive", tuning > 0.0)? })
    }

    /// `r^2`.
    pub fn tuning(self) -> f64 {
        self.tuning
    }

    /// The half-width around the mean of `units`, of a standard deviation each.
    ///
    /// # Errors
    /// A standard deviation that is negative, no units, or one that is not finite.
    pub fn half_width(self, standard_deviation: f64, units: f64) -> Result<f64, InputError> {
        let s =
            error::require("standard_deviation", standard_deviation, "0 or more", standard_deviation >= 0.0)?;
        Ok(s * self.boundary(1.0, units)?)
    }

    /// The half-width around an estimate with a standard error, made of `units` in all: the standard deviation that one
    /// unit would have is `standard_error sqrt(units)`.
    ///
    /// # Errors
    /// A standard error that is negative, no units, or one that is not finite.
    pub fn around(self, standard_error: f64, units: f64) -> Result<f64, InputError> {
        let s = error::require("standard_error", standard_error, "0 or more", standard_error >= 0.0)?;
        error::require("units", units, "positive", units > 0.0)?;
        self.half_width(s * units.sqrt(), units)
    }

    /// The half-width around the mean of `units` whose average conditional variance is `variance`, where that may change
    /// on the way (Lyapunov's condition): `sqrt(2 (t v r^2 + 1) / (t^2 r^2) ln(sqrt(t v r^2 + 1) / alpha))`.
    ///
    /// Here r is tuned in units of variance: for a typical variance v, plan for `planned v`.
    ///
    /// # Errors
    /// A variance that is negative, no units, or one that is not finite.
    pub fn lyapunov(self, variance: f64, units: f64) -> Result<f64, InputError> {
        let v = error::require("variance", variance, "0 or more", variance >= 0.0)?;
        self.boundary(v, units)
    }

    fn boundary(self, variance: f64, units: f64) -> Result<f64, InputError> {
        let t = error::require("units", units, "positive", units > 0.0)?;
        let information = t * variance * self.tuning;
        let log = 0.5 * information.ln_1p() + self.alpha.log_threshold();
        Ok((2.0 * (information + 1.0) / (t * self.tuning) * log / t).sqrt())
    }
}

fn planned_units(planned: f64) -> Result<f64, InputError> {
    error::require("planned", planned, "positive", planned > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exact_tuning_is_narrowest_at_the_plan() {
        for (planned, alpha) in [(500.0, 0.05), (5000.0, 0.05), (50.0, 0.2), (1e6, 1e-6), (100.0, 0.9)] {
            let alpha = Alpha::new(alpha).unwrap();
            let best = AsymptoticSequence::exact(planned, alpha).unwrap();
            for factor in [0.9, 1.1] {
                let other = AsymptoticSequence::tuned(best.tuning() * factor, alpha).unwrap();
                assert!(best.half_width(1.0, planned).unwrap() < other.half_width(1.0, planned).unwrap());
            }
            let near = AsymptoticSequence::approximate(planned, alpha).unwrap();
            let loss = near.half_width(1.0, planned).unwrap() / best.half_width(1.0, planned).unwrap();
            assert!((1.0..1.1).contains(&loss), "{planned} {alpha:?}: {loss}");
        }
    }

    #[test]
    fn what_has_no_meaning_is_refused() {
        let sequence = AsymptoticSequence::exact(500.0, Alpha::default()).unwrap();
        for bad in [f64::NAN, f64::INFINITY, -1.0] {
            assert!(sequence.half_width(bad, 10.0).is_err() && sequence.half_width(1.0, bad).is_err());
            assert!(sequence.around(bad, 10.0).is_err() && sequence.around(1.0, bad).is_err());
            assert!(sequence.lyapunov(bad, 10.0).is_err());
            assert!(AsymptoticSequence::exact(bad, Alpha::default()).is_err());
            assert!(AsymptoticSequence::approximate(bad, Alpha::default()).is_err());
        }
        assert!(sequence.half_width(1.0, 0.0).is_err() && sequence.around(1.0, 0.0).is_err());
    }
}
