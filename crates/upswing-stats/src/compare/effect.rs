//! The difference between two arms and its standard error.

use super::{Arm, EffectError, Summary};

/// On which scale a difference is expressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// Treatment less control, in the metric's unit. The one to test.
    #[default]
    Absolute,
    /// The same as a share of the control's mean, by the delta method: 0.1 is 10 % more than the control. To report, not to
    /// test while it grows: where conversions are few, the control's mean in the denominator makes sequential tests of
    /// it wrong in 12 to 19 % of cases at a nominal 5 %.
    Relative,
    /// The logarithm of treatment over control, for means above zero. Nearly the relative effect when that is small, but
    /// tested as safely as the absolute one.
    LogRatio,
}

/// An estimated difference of a treatment from a control.
///
/// All numbers are finite and the standard error is above zero, so every inference on it exists.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effect {
    estimate: f64,
    standard_error: f64,
    units: u64,
    degrees_of_freedom: f64,
    scale: Scale,
    baseline: Option<f64>,
}

impl Effect {
    /// An absolute effect that was estimated elsewhere, such as one adjusted for several covariates by a regression, of
    /// `units` of both arms together.
    ///
    /// # Errors
    /// [`EffectError::OutOfRange`] when the estimate is not finite, or the standard error or the degrees of freedom are not
    /// above zero and finite.
    pub fn new(
        estimate: f64,
        standard_error: f64,
        units: u64,
        degrees_of_freedom: f64,
    ) -> Result<Self, EffectError> {
        let positive = |x: f64| x.is_finite() && x > 0.0;
        if !estimate.is_finite() || !positive(standard_error) || !positive(degrees_of_freedom) || units == 0 {
            return Err(EffectError::OutOfRange { estimate, standard_error });
        }
        Ok(Self {
            estimate,
            standard_error,
            units,
            degrees_of_freedom,
            scale: Scale::Absolute,
            baseline: None,
        })
    }

    /// The difference, on its scale.
    pub fn estimate(&self) -> f64 {
        self.estimate
    }

    /// The standard error of the difference.
    pub fn standard_error(&self) -> f64 {
        self.standard_error
    }

    /// Units of both arms together.
    pub fn units(&self) -> u64 {
        self.units
    }

    /// Degrees of freedom of the standard error, by Welch and Satterthwaite.
    pub fn degrees_of_freedom(&self) -> f64 {
        self.degrees_of_freedom
    }

    /// The scale.
    pub fn scale(&self) -> Scale {
        self.scale
    }

    /// The control's mean before any adjustment, if the effect was made of two arms.
    pub fn baseline(&self) -> Option<f64> {
        self.baseline
    }

    /// The same effect seen from a null hypothesis at `margin` instead of at zero: testing the result for
    /// [`super::Alternative::Greater`] with a margin below zero tests that the treatment is not worse by more than that.
    ///
    /// # Errors
    /// [`EffectError::OutOfRange`] when the margin is not finite.
    pub fn minus(&self, margin: f64) -> Result<Self, EffectError> {
        let estimate = self.estimate - margin;
        if !estimate.is_finite() {
            return Err(EffectError::OutOfRange { estimate, standard_error: self.standard_error });
        }
        Ok(Self { estimate, ..*self })
    }

    /// The estimate in standard errors.
    pub(super) fn z(&self) -> f64 {
        self.estimate / self.standard_error
    }
}

/// What the treatment changes, of arms that are summarised alike.
///
/// Variances are the arms' own (unequal), the relative scale follows from the delta method. Of an adjusted mean, the
/// difference is the adjusted one and the baseline the control's mean as measured, with their covariance taken into account.
/// O(1).
///
/// # Errors
/// Arms of different kinds, arms that do not vary or have too few units to tell, or no baseline for the scale.
pub fn effect(control: &Summary, treatment: &Summary, scale: Scale) -> Result<Effect, EffectError> {
    let (a, b) = arms(control, treatment)?;
    let shares = [a.variance / a.units, b.variance / b.units];
    let variance = shares[0] + shares[1];
    // Welch and Satterthwaite with the variances as shares of their sum, which neither overflow nor vanish.
    let share = shares[0] / variance;
    let degrees = 1.0 / (share * share / (a.units - 1.0) + (1.0 - share) * (1.0 - share) / (b.units - 1.0));
    let difference = b.adjusted - a.adjusted;
    let (estimate, standard_error) = match scale {
        Scale::Absolute => (difference, variance.sqrt()),
        Scale::Relative | Scale::LogRatio => {
            if a.measured.abs() <= 0.0 {
                return Err(EffectError::Baseline(a.measured));
            }
            let (lift, error) = relative(&a, &b, difference);
            if scale == Scale::Relative {
                (lift, error)
            } else if a.measured > 0.0 && lift > -1.0 {
                (lift.ln_1p(), error / (1.0 + lift))
            } else {
                return Err(EffectError::Baseline(a.measured));
            }
        }
    };
    let units = control.units().saturating_add(treatment.units());
    let effect = Effect::new(estimate, standard_error, units, degrees)?;
    Ok(Effect { scale, baseline: Some(a.measured), ..effect })
}

/// What a difference needs to know of an arm.
struct ArmMoments {
    units: f64,
    /// The mean as measured.
    measured: f64,
    /// The mean that is compared.
    adjusted: f64,
    /// The variance of what is compared, of one unit.
    variance: f64,
    /// The variance of what was measured.
    variance_measured: f64,
    /// The covariance of the adjustment with what was measured: `slope * cov(after, before)`.
    covariance: f64,
    /// The variance of the adjustment: `slope^2 * var(before)`.
    variance_adjustment: f64,
}

impl ArmMoments {
    fn plain(summary: &Summary, variance: f64) -> Self {
        Self {
            units: summary.units() as f64,
            measured: summary.value(),
            adjusted: summary.value(),
            variance,
            variance_measured: variance,
            covariance: 0.0,
            variance_adjustment: 0.0,
        }
    }
}

fn arms(control: &Summary, treatment: &Summary) -> Result<(ArmMoments, ArmMoments), EffectError> {
    if let (Summary::Quantile(a), Summary::Quantile(b)) = (control, treatment)
        && (a.level() - b.level()).abs() > 0.0
    {
        return Err(EffectError::DifferentQuantiles { control: a.level(), treatment: b.level() });
    }
    if let (Summary::Adjusted(a), Summary::Adjusted(b)) = (control, treatment) {
        let slope = a.pooled_slope(b);
        return Ok((
            adjusted(control, a, slope, Arm::Control)?,
            adjusted(treatment, b, slope, Arm::Treatment)?,
        ));
    }
    if control.kind() != treatment.kind() {
        return Err(EffectError::DifferentKinds { control: control.kind(), treatment: treatment.kind() });
    }
    Ok((plain(control, Arm::Control)?, plain(treatment, Arm::Treatment)?))
}

fn plain(summary: &Summary, arm: Arm) -> Result<ArmMoments, EffectError> {
    let variance = match summary {
        Summary::Mean(sample) => sample.variance(),
        Summary::Ratio(sample) => sample.variance(),
        Summary::Quantile(sample) => sample.variance(),
        Summary::Adjusted(sample) => sample.after().variance(),
    };
    Ok(ArmMoments::plain(summary, varies(variance, summary, arm)?))
}

fn adjusted(
    summary: &Summary,
    sample: &super::AdjustedSample,
    slope: f64,
    arm: Arm,
) -> Result<ArmMoments, EffectError> {
    let variance = varies(sample.adjusted_variance(slope), summary, arm)?;
    let measured = varies(sample.after().variance(), summary, arm)?;
    Ok(ArmMoments {
        adjusted: sample.adjusted_mean(slope),
        variance_measured: measured,
        covariance: slope * sample.covariance().unwrap_or_default(),
        variance_adjustment: slope * slope * sample.before().variance().unwrap_or_default(),
        ..ArmMoments::plain(summary, variance)
    })
}

fn varies(variance: Option<f64>, summary: &Summary, arm: Arm) -> Result<f64, EffectError> {
    let units = summary.units();
    let variance = variance.filter(|_| units > 1).ok_or(EffectError::TooFewUnits { arm, units })?;
    if variance > 0.0 { Ok(variance) } else { Err(EffectError::NoVariance { arm }) }
}

/// The relative effect and its standard error.
///
/// With A, B the means as measured, X the adjustments, the estimate is `(B - X_b - A + X_a) / |A|`. Its derivative by A is
/// `-B / A^2` up to the sign of A, where the adjustments of the two arms cancel in expectation; by `X_a` it is `1 / |A|`.
fn relative(a: &ArmMoments, b: &ArmMoments, difference: f64) -> (f64, f64) {
    let ratio = b.measured / a.measured;
    let control = a.variance_measured * ratio * ratio - 2.0 * a.covariance * ratio + a.variance_adjustment;
    let variance = b.variance / b.units + control / a.units;
    (difference / a.measured.abs(), variance.sqrt() / a.measured.abs())
}
