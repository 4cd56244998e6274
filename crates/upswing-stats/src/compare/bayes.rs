//! What to believe of an effect: a normal posterior, with a flat or a normal prior.
//!
//! Read once, at a size fixed beforehand, its statements mean what they say under the prior. Stopping when the probability is
//! high enough does not keep any error rate: that is what [`super::asymptotic`] is for.

use super::{Effect, Level, ParameterError, Scale};
use crate::{Interval, normal};

/// What was believed before.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Prior {
    /// Nothing: every effect is as likely as any other.
    #[default]
    Flat,
    /// Effects are normal around `mean`. On the relative scale 0.3 says that lifts beyond 30 % either way are unusual.
    Normal {
        /// The effect expected.
        mean: f64,
        /// How far effects are spread around it; above zero.
        standard_deviation: f64,
        /// The scale of both. Relative and absolute ones are brought to the effect's scale by the control's mean.
        scale: Scale,
    },
}

/// What is believed after seeing the arms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Posterior {
    /// The expected effect, and the central credible interval.
    pub interval: Interval,
    /// The standard deviation of the effect.
    pub standard_deviation: f64,
    /// The probability that the effect is above zero: the chance to win where larger is better.
    pub probability_above_zero: f64,
    /// The expectation of `max(effect, 0)`: what keeping the control is expected to lose where larger is better.
    pub expected_gain: f64,
    /// The expectation of `max(-effect, 0)`: what changing to the treatment is expected to lose where larger is better.
    pub expected_loss: f64,
}

/// The posterior of the effect, its credible interval of probability `1 - level`.
///
/// # Errors
/// A prior that is not finite, has no spread, or is on a scale that the effect cannot be brought to.
///
/// ```
/// use upswing_stats::compare::bayes::{Prior, posterior};
/// use upswing_stats::compare::{Effect, Level};
/// let found = posterior(&Effect::new(0.04, 0.02, 2000, 1990.0)?, Prior::Flat, Level::new(0.05)?)?;
/// assert!((found.probability_above_zero - 0.977_249_868_051_820_8).abs() < 1e-12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn posterior(effect: &Effect, prior: Prior, level: Level) -> Result<Posterior, ParameterError> {
    let (mean, sd) = match prior {
        Prior::Flat => (effect.estimate(), effect.standard_error()),
        Prior::Normal { mean, standard_deviation, scale } => {
            let factor = rescale(effect, scale)?;
            let mean = ParameterError::within("the prior's mean", mean, f64::MIN, f64::MAX, "finite")?;
            let sd = ParameterError::within(
                "the prior's standard deviation",
                standard_deviation,
                0.0,
                f64::MAX,
                "above zero and finite",
            )?;
            combine(effect, mean * factor, sd * factor)?
        }
    };
    let half = -normal::quantile(level.alpha() / 2.0) * sd;
    let z = mean / sd;
    Ok(Posterior {
        interval: Interval { estimate: mean, low: mean - half, high: mean + half },
        standard_deviation: sd,
        probability_above_zero: normal::cdf(z),
        expected_gain: mean.max(0.0) + sd * tail_loss(z.abs()),
        expected_loss: (-mean).max(0.0) + sd * tail_loss(z.abs()),
    })
}

/// By what a prior is multiplied to be on the effect's scale.
fn rescale(effect: &Effect, prior: Scale) -> Result<f64, ParameterError> {
    let baseline = effect.baseline().map(f64::abs).filter(|b| *b > 0.0);
    match (prior, effect.scale(), baseline) {
        (from, to, _) if from == to => Ok(1.0),
        (Scale::Relative, Scale::Absolute, Some(baseline)) => Ok(baseline),
        (Scale::Absolute, Scale::Relative, Some(baseline)) => Ok(1.0 / baseline),
        (prior, effect, _) => Err(ParameterError::PriorScale { prior, effect }),
    }
}

/// The precision-weighted mean, by the share of each precision, which neither overflows nor vanishes.
fn combine(effect: &Effect, mean: f64, sd: f64) -> Result<(f64, f64), ParameterError> {
    let range = "above zero and finite on the effect's scale";
    let sd = ParameterError::within("the prior's standard deviation", sd, 0.0, f64::INFINITY, range)?;
    let ratio = effect.standard_error() / sd;
    // The share of the prior; exactly 1 where it is infinitely surer than the data.
    let share = 1.0 - 1.0 / (1.0 + ratio * ratio);
    let share = if ratio < 1.0 { ratio * ratio / (1.0 + ratio * ratio) } else { share };
    let combined = effect.standard_error() / 1.0_f64.hypot(ratio);
    let mean = effect.estimate() * (1.0 - share) + mean * share;
    let mean = ParameterError::within("the prior's mean", mean, f64::MIN, f64::MAX, "finite")?;
    let combined = ParameterError::within("the prior's standard deviation", combined, 0.0, f64::MAX, range)?;
    Ok((mean, combined))
}

/// The expectation of `max(X - z, 0)` for a standard normal X and `z >= 0`: `density(z) - z cdf(-z)`.
fn tail_loss(z: f64) -> f64 {
    if z < 2.0 {
        return normal::density(z) - z * normal::cdf(-z);
    }
    // Both terms nearly cancel: with Mills' ratio 1 / (z + k), k = 1/(z + 2/(z + 3/(z + ...))), it is density k / (z + k).
    let k = (2..200).rev().fold(z, |below, i| z + f64::from(i) / below).recip();
    normal::density(z) * k / (z + k)
}
