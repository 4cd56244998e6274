//! Time-uniform boundaries: what a sum may reach, ever, given how much variance it has gathered.
//!
//! A process S with *intrinsic time* V is sub-psi when `exp(l S - psi(l) V)` is bounded by a supermartingale for every l. Mixing
//! over l gives one supermartingale, and the boundary u(V) is where that reaches `1/alpha`: S exceeds u(V) at any time with
//! probability at most alpha.
//!
//! | what a step of S is | mixture |
//! | --- | --- |
//! | sub-Gaussian; in [0, 1] with V a quarter a step | [`NormalMixture`] |
//! | sub-exponential with scale c; bounded, with V its squared deviations | [`GammaExponentialMixture`] |
//! | bounded by c from above, with V its variance | [`GammaPoissonMixture`] |
//! | within `[-g, h]`, with V = g h a step; a centred Bernoulli variable | [`BetaBinomialMixture`] |
//! | sub-gamma with scale c, in closed form | [`PolyStitching`] |
//!
//! Source: Howard, Ramdas, McAuliffe, Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences", Annals of
//! Statistics 49 (2021), arXiv 1810.08240. S and V have squared units of each other: V is measured in S squared.

use statrs::function::{beta, gamma};

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

    /// The sum at which the mixture reaches `1/alpha`: exceeded, ever, with probability at most alpha. Where that lies beyond the
    /// largest possible sum, the latter. Found by bisection to the last digits, some 60 evaluations.
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

/// Mixes over a beta distribution, for sums of steps within `[-g, h]`.
///
/// One-sided, the incomplete beta function loses digits at large intrinsic times: a bound has ten digits up to about 100,000, and
/// five at a million, where the normal mixture is as good.
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

/// A boundary stitched together of linear ones over epochs of intrinsic time: closed form, grows with the iterated logarithm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PolyStitching {
    start: f64,
    scale: f64,
    power: f64,
    spacing: f64,
    zeta: f64,
}

impl PolyStitching {
    /// For sums that are sub-gamma with scale `c` (0: sub-Gaussian), from intrinsic time `start` on, with the usual power 1.4 and
    /// spacing 2.
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

/// The regularised lower incomplete gamma function; NaN where it fails.
fn lower_gamma(shape: f64, x: f64) -> f64 {
    gamma::checked_gamma_lr(shape, x).unwrap_or(f64::NAN)
}

/// The regularised upper incomplete gamma function; NaN where it fails.
fn upper_gamma(shape: f64, x: f64) -> f64 {
    gamma::checked_gamma_ur(shape, x).unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuning(v: f64, alpha: f64) -> Tuning {
        Tuning::new(v, Alpha::new(alpha).unwrap()).unwrap()
    }

    #[test]
    fn zeta_meets_known_values() {
        for (s, value) in
            [(2.0, 1.644_934_066_848_226_4), (4.0, 1.082_323_233_711_138_2), (1.4, 3.105_547_277_977_580_6)]
        {
            assert!((zeta(s) - value).abs() < 1e-12, "{s}: {}", zeta(s));
        }
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
