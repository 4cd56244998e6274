//! Asymptotic confidence sequences: intervals that hold at every look.
//!
//! The right tool for means, counts, ratios and adjusted means of many units, looked at whenever one likes. As the central
//! limit theorem in it takes hold the error over *all* looks together stays at the level. While either arm has few units, or
//! few conversions, it has not taken hold: use an e-process there, which is exact.
//!
//! Source: I. Waudby-Smith, D. Arbour, R. Sinha, E. H. Kennedy, A. Ramdas, "Time-uniform central limit theory and asymptotic
//! confidence sequences", Annals of Statistics 52 (2024), arXiv 2103.06476: equation 9 for the sequence, 134 for
//! one side, 155 for the p-value, 161 for the tuning.

use super::fixed::one_sided;
use super::{Alternative, Effect, Inference, Level, ParameterError};

/// The smallest one-sided p-value that is given.
const LEAST: f64 = 1e-5;
/// The largest: the one-sided boundary exists for levels below 1/2 only.
const MOST: f64 = 0.4999;

/// At how many units, of both arms together, the interval is to be narrowest compared with what it could be.
///
/// It is valid at any other number too, only wider; 5,000 unless one knows better.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    units: f64,
}

impl Default for Plan {
    fn default() -> Self {
        Self { units: 5000.0 }
    }
}

impl Plan {
    /// A plan for this many units.
    ///
    /// # Errors
    /// When there are none.
    pub fn new(units: u64) -> Result<Self, ParameterError> {
        let units = ParameterError::within(
            "the planned number of units",
            units as f64,
            0.0,
            f64::INFINITY,
            "one or more",
        )?;
        Ok(Self { units })
    }

    /// The mixture's variance `rho^2` that suits the plan, `(-2 ln alpha + ln(1 - 2 ln alpha)) / units`, with twice
    /// alpha for one side.
    ///
    /// # Errors
    /// A one-sided level of 1/2 or more.
    pub fn rho_squared(&self, level: Level, alternative: Alternative) -> Result<f64, ParameterError> {
        let alpha = match alternative {
            Alternative::TwoSided => level.alpha(),
            Alternative::Greater | Alternative::Less => 2.0 * one_sided(level)?,
        };
        let a = -2.0 * alpha.ln();
        Ok((a + a.ln_1p()) / self.units)
    }

    /// The best `rho^2` for two sides instead of its approximation: `x / units` where `x - ln(1 + x) = -2 ln alpha`.
    pub fn best_rho_squared(&self, level: Level) -> f64 {
        let a = -2.0 * level.alpha().ln();
        let mut x = a + a.ln_1p();
        // Newton on a convex function from a point right of its minimum: a dozen steps reach the last digit.
        for _ in 0..50 {
            let step = (x - x.ln_1p() - a) * (1.0 + x) / x;
            x -= step;
            if step.abs() <= 1e-16 * x {
                break;
            }
        }
        x / self.units
    }
}

/// The half width of the two-sided sequence for the mean of `units` values of variance 1.
///
/// # Errors
/// Numbers that are not above zero and finite, or so extreme that the margin is not.
pub fn margin(units: f64, rho_squared: f64, level: Level) -> Result<f64, ParameterError> {
    margin_of_varying(units, 1.0, rho_squared, level)
}

/// The same where each value has its own variance, such as under adaptive allocation; `variance` is their average so far.
///
/// # Errors
/// Numbers that are not above zero and finite, or so extreme that the margin is not.
pub fn margin_of_varying(
    units: f64,
    variance: f64,
    rho_squared: f64,
    level: Level,
) -> Result<f64, ParameterError> {
    let positive =
        |name, value| ParameterError::within(name, value, 0.0, f64::INFINITY, "above zero and finite");
    let (units, variance) = (positive("the number of units", units)?, positive("the variance", variance)?);
    let rho_squared = positive("rho squared", rho_squared)?;
    let mass = units * variance * rho_squared;
    let logarithm = 0.5 * mass.ln_1p() - level.alpha().ln();
    let margin = (2.0 * (variance + 1.0 / (units * rho_squared)) * logarithm / units).sqrt();
    positive("the margin", margin)
}

/// The interval at this look of a sequence that covers at all looks together, and the always-valid p-value of it.
///
/// Looks may be taken and ended by any rule. Where the share that gets the treatment changes while the experiment runs, or a
/// bandit chooses it, the effect has to be estimated with the propensities ([`Effect::new`]) instead of from the arms' sums.
///
/// One-sided p-values are given within [0.00001, 0.4999]: an end means "at most" and "at least".
///
/// # Errors
/// A one-sided level of 1/2 or more.
pub fn infer(
    effect: &Effect,
    plan: Plan,
    level: Level,
    alternative: Alternative,
) -> Result<Inference, ParameterError> {
    let rho_squared = plan.rho_squared(level, alternative)?;
    infer_tuned(effect, rho_squared, level, alternative)
}

/// The same with `rho^2` given, as sequences of the same experiment at different levels have to share it.
///
/// # Errors
/// A `rho^2` that is not above zero and finite, or a one-sided level of 1/2 or more.
pub fn infer_tuned(
    effect: &Effect,
    rho_squared: f64,
    level: Level,
    alternative: Alternative,
) -> Result<Inference, ParameterError> {
    // N rho^2, and ln sqrt(N rho^2 + 1).
    let mass = effect.units() as f64 * rho_squared;
    let range = "above zero and finite, also times the units";
    ParameterError::within("rho squared", mass, 1e-300, f64::INFINITY, range)?;
    let root = 0.5 * mass.ln_1p();
    // What the logarithm in the boundary has to reach for the bound to be at zero.
    let z = effect.z();
    let evidence = z * (z / spread(mass));
    let p = match alternative {
        Alternative::TwoSided => (root - evidence).exp().min(1.0),
        Alternative::Greater | Alternative::Less => {
            one_sided(level)?;
            let towards = if alternative == Alternative::Greater { z > 0.0 } else { z < 0.0 };
            // ln(1 + sqrt(N rho^2 + 1) / (2 p)) = evidence, solved for p.
            let p = if towards { 0.5 * root.exp() / evidence.exp_m1() } else { MOST };
            p.clamp(LEAST, MOST)
        }
    };
    let half = effect.standard_error() * boundary(mass, level, alternative);
    Ok(Inference::around(effect.estimate(), half, alternative, p))
}

/// How many standard errors an estimate has to be away from zero, given `mass = N rho^2`.
pub(super) fn boundary(mass: f64, level: Level, alternative: Alternative) -> f64 {
    let root = 0.5 * mass.ln_1p();
    let logarithm = match alternative {
        Alternative::TwoSided => root - level.alpha().ln(),
        Alternative::Greater | Alternative::Less => (0.5 * root.exp() / level.alpha()).ln_1p(),
    };
    (spread(mass) * logarithm).sqrt()
}

/// The factor before the logarithm in the squared boundary.
fn spread(mass: f64) -> f64 {
    2.0 * (1.0 + 1.0 / mass)
}
