//! How many units an experiment takes, and what it can find with those it gets.
//!
//! All by the normal approximation for two arms and a single look. A sequential test takes more: see
//! [`Design::sequential`].
//!
//! Source: J. M. Lachin, "Introduction to sample size determination and power analysis for clinical trials", Controlled
//! Clinical Trials 2 (1981), DOI 10.1016/0197-2456(81)90001-5.

use super::asymptotic::{self, Plan};
use super::fixed::one_sided;
use super::{Alternative, Level, ParameterError};
use crate::normal;

/// What an experiment is asked to decide, and how surely.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Design {
    level: Level,
    alternative: Alternative,
    /// Normal quantile of the test.
    critical: f64,
    /// Normal quantile of the power.
    reach: f64,
    /// The share of units in the treatment.
    share: f64,
    plan: Option<Plan>,
}

impl Design {
    /// A test at this level that finds the effect in question with probability `power`, with half of the units in each arm.
    ///
    /// # Errors
    /// A power outside of (level, 1), or a one-sided level of 1/2 or more.
    pub fn new(level: Level, power: f64, alternative: Alternative) -> Result<Self, ParameterError> {
        ParameterError::within("the power", power, level.alpha(), 1.0, "above the level and below 1")?;
        let tail = if alternative == Alternative::TwoSided { level.alpha() / 2.0 } else { one_sided(level)? };
        let critical = -normal::quantile(tail);
        Ok(Self { level, alternative, critical, reach: normal::quantile(power), share: 0.5, plan: None })
    }

    /// The same with another share of the units in the treatment.
    ///
    /// # Errors
    /// A share outside of (0, 1).
    pub fn allocating(self, share: f64) -> Result<Self, ParameterError> {
        let share = ParameterError::within("the treatment's share", share, 0.0, 1.0, "within (0, 1)")?;
        Ok(Self { share, ..self })
    }

    /// The same for an asymptotic confidence sequence, counted as if its last look were the only one: what it takes at most
    /// to have this power; it often ends earlier.
    pub fn sequential(self, plan: Plan) -> Self {
        Self { plan: Some(plan), ..self }
    }

    /// Units of both arms together that find a difference between two rates, with variances not pooled. Round up.
    ///
    /// # Errors
    /// Rates outside of [0, 1], rates that are the same, or both without variance.
    ///
    /// ```
    /// use upswing_stats::compare::{Alternative, Level, power::Design};
    /// let design = Design::new(Level::new(0.05)?, 0.8, Alternative::TwoSided)?;
    /// assert_eq!((design.units_for_rates(0.20, 0.21)? / 2.0).ceil(), 25_580.0);
    /// # Ok::<(), upswing_stats::compare::ParameterError>(())
    /// ```
    pub fn units_for_rates(&self, control: f64, treatment: f64) -> Result<f64, ParameterError> {
        for (name, rate) in [("the control's rate", control), ("the treatment's rate", treatment)] {
            if !(0.0..=1.0).contains(&rate) {
                return Err(ParameterError::Range { name, value: rate, range: "within [0, 1]" });
            }
        }
        let deviation = |p: f64| (p * (1.0 - p)).sqrt();
        self.units_for_means(treatment - control, deviation(control), deviation(treatment))
    }

    /// Units of both arms together that find a difference of means, given each arm's standard deviation. Round up.
    ///
    /// # Errors
    /// A difference of zero, or deviations that are negative, not finite or both zero.
    pub fn units_for_means(
        &self,
        difference: f64,
        control: f64,
        treatment: f64,
    ) -> Result<f64, ParameterError> {
        let distance = difference.abs();
        ParameterError::within("the difference", distance, 0.0, f64::INFINITY, "finite and not zero")?;
        let a = spread("the control's standard deviation", control)? / distance;
        let b = spread("the treatment's standard deviation", treatment)? / distance;
        let unit = a * a / (1.0 - self.share) + b * b / self.share;
        let unit = ParameterError::within(
            "the deviations in units of the difference",
            unit,
            0.0,
            1e300,
            "above zero and finite",
        )?;
        let Some(plan) = self.plan else {
            return Ok((self.critical + self.reach).powi(2) * unit);
        };
        // The sequence's boundary in standard errors depends on the units: the smallest n at which it is passed. Their
        // ratio falls with n, so bisection finds it.
        let rho_squared = plan.rho_squared(self.level, self.alternative)?;
        let passed = |n: f64| self.boundary(n, rho_squared) + self.reach <= (n / unit).sqrt();
        let (mut low, mut high) = (0.0, unit.max(1.0));
        while !passed(high) {
            if high > 1e305 {
                return Err(ParameterError::Undetectable);
            }
            low = high;
            high *= 2.0;
        }
        for _ in 0..100 {
            let middle = 0.5 * (low + high);
            *(if passed(middle) { &mut high } else { &mut low }) = middle;
        }
        Ok(high)
    }

    /// The smallest difference of means that `units` of both arms together find, when both have this standard deviation.
    ///
    /// # Errors
    /// Fewer than two units, or a deviation that is negative or not finite.
    pub fn detectable_difference(&self, units: f64, standard_deviation: f64) -> Result<f64, ParameterError> {
        let units = at_least_two(units)?;
        let deviation = spread("the standard deviation", standard_deviation)?;
        let error = deviation / (units * self.share * (1.0 - self.share)).sqrt();
        let difference = (self.quantile(units)? + self.reach) * error;
        spread("the detectable difference", difference)
    }

    /// The smallest relative effect that `units` of both arms together find, when the control has this mean and both arms
    /// this variance: 0.1 is 10 % more than the control. The relative effect's own standard error grows with it.
    ///
    /// # Errors
    /// [`ParameterError::Undetectable`] when the control's mean is so uncertain that no ratio to it would be found; a mean
    /// of zero, a variance below zero, or fewer than two units.
    pub fn detectable_lift(&self, units: f64, mean: f64, variance: f64) -> Result<f64, ParameterError> {
        let units = at_least_two(units)?;
        let size =
            ParameterError::within("the mean's size", mean.abs(), 0.0, f64::INFINITY, "finite and not zero")?;
        let deviation = spread("the standard deviation", variance.sqrt())? / size;
        let z = self.quantile(units)? + self.reach;
        // z^2 [variance of the treatment's mean + (1 + lift)^2 variance of the control's] = lift^2 in units of the mean.
        let control = (z * deviation).powi(2) / (units * (1.0 - self.share));
        let treatment = (z * deviation).powi(2) / (units * self.share);
        let left = 1.0 - control;
        if left <= 0.0 || !treatment.is_finite() {
            return Err(ParameterError::Undetectable);
        }
        Ok((control + (control + treatment * left).sqrt()) / left)
    }

    /// The probability of finding an effect of this many standard errors, at this number of units of both arms together.
    ///
    /// # Errors
    /// An effect that is NaN, or fewer than two units.
    pub fn power(&self, standardised: f64, units: f64) -> Result<f64, ParameterError> {
        if standardised.is_nan() {
            let range = "a number";
            return Err(ParameterError::Range { name: "the effect", value: standardised, range });
        }
        let units = at_least_two(units)?;
        let critical = self.quantile(units)?;
        Ok(match self.alternative {
            Alternative::TwoSided => {
                normal::cdf(standardised - critical) + normal::cdf(-standardised - critical)
            }
            Alternative::Greater => normal::cdf(standardised - critical),
            Alternative::Less => normal::cdf(-standardised - critical),
        })
    }

    /// How many standard errors an estimate has to be away from zero.
    fn quantile(&self, units: f64) -> Result<f64, ParameterError> {
        match self.plan {
            None => Ok(self.critical),
            Some(plan) => Ok(self.boundary(units, plan.rho_squared(self.level, self.alternative)?)),
        }
    }

    fn boundary(&self, units: f64, rho_squared: f64) -> f64 {
        asymptotic::boundary(units * rho_squared, self.level, self.alternative)
    }
}

/// Days until an experiment has its units, at so many new units a day in both arms together. Round up to whole weeks where
/// weekdays differ.
///
/// # Errors
/// Numbers that are not above zero and finite.
pub fn days(units: f64, units_a_day: f64) -> Result<f64, ParameterError> {
    let range = "above zero and finite";
    let units = ParameterError::within("the units", units, 0.0, f64::INFINITY, range)?;
    let daily = ParameterError::within("the units a day", units_a_day, 0.0, f64::INFINITY, range)?;
    ParameterError::within("the days", units / daily, 0.0, f64::INFINITY, range)
}

/// An arm needs a unit to be an arm.
fn at_least_two(units: f64) -> Result<f64, ParameterError> {
    if units >= 2.0 && units.is_finite() {
        Ok(units)
    } else {
        Err(ParameterError::Range { name: "the units", value: units, range: "two or more, and finite" })
    }
}

fn spread(name: &'static str, value: f64) -> Result<f64, ParameterError> {
    if value >= 0.0 && value.is_finite() {
        Ok(value)
    } else {
        Err(ParameterError::Range { name, value, range: "zero or more, and finite" })
    }
}
