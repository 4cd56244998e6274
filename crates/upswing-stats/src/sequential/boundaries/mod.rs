//! Time-uniform boundaries: what a sum may reach, ever, given how much variance it has gathered.
//!
//! A process S with *intrinsic time* V is sub-psi when `exp(l S - psi(l) V)` is bounded by a supermartingale for every l.
//! Mixing over l gives one supermartingale, and the boundary u(V) is where that reaches `1/alpha`: S exceeds u(V) at any
//! time with probability at most alpha.
//!
//! | what a step of S is | mixture |
//! | --- | --- |
//! | sub-Gaussian; in [0, 1] with V a quarter a step | [`NormalMixture`] |
//! | sub-exponential with scale c; bounded, with V its squared deviations | [`GammaExponentialMixture`] |
//! | bounded by c from above, with V its variance | [`GammaPoissonMixture`] |
//! | within `[-g, h]`, with V = g h a step; a centred Bernoulli variable | [`BetaBinomialMixture`] |
//! | sub-gamma with scale c, in closed form | [`PolyStitching`] |
//!
//! Source: Howard, Ramdas, McAuliffe, Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences", Annals
//! of Statistics 49 (2021), arXiv 1810.08240. S and V have squared units of each other: V is measured in S squared.

mod beta_binomial;
mod gamma_exponential;
mod gamma_poisson;
mod normal;
mod poly_stitching;

pub use beta_binomial::BetaBinomialMixture;
pub use gamma_exponential::GammaExponentialMixture;
pub use gamma_poisson::GammaPoissonMixture;
pub use normal::NormalMixture;
pub use poly_stitching::PolyStitching;

use super::{Alpha, InputError, error};

/// Where a mixture is narrowest: at intrinsic time `v` for a boundary of level `alpha`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tuning {
    v: f64,
    alpha: Alpha,
}

impl Tuning {
    /// # Errors
    /// An intrinsic time that is not positive.
    pub fn new(v: f64, alpha: Alpha) -> Result<Self, InputError> {
        Ok(Self { v: error::require("optimal intrinsic time", v, "positive", v > 0.0)?, alpha })
    }

    /// The precision of the normal mixture that is about narrowest there.
    fn two_sided(self) -> f64 {
        let log = 2.0 * self.alpha.log_threshold();
        self.v / (log + log.ln_1p())
    }

    /// The same for one side: half a two-sided boundary of twice the level.
    fn one_sided(self) -> Result<f64, InputError> {
        let doubled = 2.0 * self.alpha.value();
        let alpha = Alpha::new(doubled).map_err(|_| InputError::Parameter {
            name: "alpha of a one-sided tuning",
            value: self.alpha.value(),
            allowed: "below 1/2",
        })?;
        Ok(Self { alpha, ..self }.two_sided())
    }
}

/// A mixture of exponential supermartingales.
pub trait Mixture {
    /// The logarithm of the mixture at sum `s` and intrinsic time `v`: a log e-value. NaN outside of its domain.
    fn log_e(&self, s: f64, v: f64) -> f64;

    /// The largest possible sum.
    fn largest(&self, _v: f64) -> f64 {
        f64::INFINITY
    }

    /// The sum at which the mixture reaches `1/alpha`: exceeded, ever, with probability at most alpha. Where that lies
    /// beyond the largest possible sum, the latter. Found by bisection to the last digits, some 60 evaluations.
    ///
    /// # Errors
    /// An intrinsic time that is not positive, or so large that the special functions fail.
    fn bound(&self, v: f64, alpha: Alpha) -> Result<f64, InputError> {
        let v = positive_time(v)?;
        let threshold = alpha.log_threshold();
        let failed = InputError::Parameter {
            name: "intrinsic time",
            value: v,
            allowed: "in the range of the gamma and beta functions",
        };
        let mut high = self.largest(v);
        if high.is_finite() {
            if self.log_e(high, v) < threshold {
                return Ok(high);
            }
        } else {
            high = v;
            let doubled = (0..100).find(|_| {
                let reached = self.log_e(high, v) > threshold;
                high *= if reached { 1.0 } else { 2.0 };
                reached
            });
            doubled.ok_or(failed)?;
        }
        let mut low = 0.0;
        loop {
            let middle = 0.5 * (low + high);
            // No number is left in between.
            if middle <= low || middle >= high {
                return Ok(high);
            }
            match self.log_e(middle, v) {
                e if e.is_nan() => return Err(failed),
                e if e < threshold => low = middle,
                _ => high = middle,
            }
        }
    }
}

fn positive_time(v: f64) -> Result<f64, InputError> {
    error::require("intrinsic time", v, "positive", v > 0.0)
}

fn scale(c: f64) -> Result<f64, InputError> {
    error::require("scale", c, "positive", c > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuning(v: f64, alpha: f64) -> Tuning {
        Tuning::new(v, Alpha::new(alpha).unwrap()).unwrap()
    }

    #[test]
    fn mixtures_are_one_at_the_start_and_the_threshold_at_the_bound() {
        let alpha = Alpha::default();
        let mixtures: [&dyn Mixture; 6] = [
            &NormalMixture::two_sided(tuning(10.0, 0.05)),
            &NormalMixture::one_sided(tuning(10.0, 0.05)).unwrap(),
            &GammaExponentialMixture::new(tuning(10.0, 0.05), 0.5).unwrap(),
            &GammaPoissonMixture::new(tuning(10.0, 0.05), 0.5).unwrap(),
            &BetaBinomialMixture::one_sided(tuning(10.0, 0.05), 0.3, 0.7).unwrap(),
            &BetaBinomialMixture::two_sided(tuning(10.0, 0.05), 0.3, 0.7).unwrap(),
        ];
        for mixture in mixtures {
            assert!(mixture.log_e(0.0, 0.0).abs() < 1e-12);
            for v in [5.0, 10.0, 300.0, 10_000.0] {
                let bound = mixture.bound(v, alpha).unwrap();
                assert!((mixture.log_e(bound, v) - 20_f64.ln()).abs() < 1e-6, "{v}: {bound}");
            }
            for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
                assert!(mixture.bound(bad, alpha).is_err());
            }
        }
    }

    #[test]
    fn what_has_no_meaning_is_refused() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Tuning::new(bad, Alpha::default()).is_err());
            assert!(GammaExponentialMixture::new(tuning(1.0, 0.05), bad).is_err());
            assert!(GammaPoissonMixture::new(tuning(1.0, 0.05), bad).is_err());
            assert!(BetaBinomialMixture::one_sided(tuning(1.0, 0.05), bad, 0.5).is_err());
            assert!(BetaBinomialMixture::two_sided(tuning(1.0, 0.05), 0.5, bad).is_err());
            assert!(PolyStitching::new(bad, 0.0).is_err());
        }
        assert!(NormalMixture::one_sided(tuning(1.0, 0.6)).is_err());
        assert!(PolyStitching::new(1.0, -1.0).is_err() && PolyStitching::shaped(1.0, 0.0, 1.0, 2.0).is_err());
        assert!(PolyStitching::new(1.0, 0.0).unwrap().bound(f64::NAN, Alpha::default()).is_err());
    }
}
