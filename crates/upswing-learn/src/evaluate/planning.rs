//! How large an experiment has to be.

use serde::Serialize;
use upswing_stats::compare::asymptotic::Plan;
use upswing_stats::compare::power::{Design, days};
use upswing_stats::compare::{Alternative, Level, ParameterError};

/// What is expected of an experiment with one treatment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Planning {
    /// The control's mean, or rate.
    pub baseline: f64,
    /// The smallest difference that is to be found, in the metric's unit.
    pub effect: f64,
    /// The standard deviation of one unit; without it, the metric is a rate.
    pub standard_deviation: Option<f64>,
    /// How often at most an experiment without effect may say that there is one.
    pub alpha: f64,
    /// How often an effect of that size is to be found.
    pub power: f64,
    /// The treatment's share of the units.
    pub treatment_share: f64,
    /// New units a day.
    pub units_a_day: Option<f64>,
}

/// How large it has to be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Planned {
    /// Units in both arms for one look at the end.
    pub fixed_horizon_units: f64,
    /// Units in both arms at most where it is looked at all the time: the sequence planned for that many.
    pub sequential_units: f64,
    /// Days for these.
    pub sequential_days: Option<f64>,
}

impl Planning {
    /// Computes it.
    ///
    /// # Errors
    /// Names the number that is out of its range.
    pub fn plan(&self) -> Result<Planned, ParameterError> {
        let design = Design::new(Level::new(self.alpha)?, self.power, Alternative::TwoSided)?
            .allocating(self.treatment_share)?;
        let units = |design: Design| match self.standard_deviation {
            Some(deviation) => design.units_for_means(self.effect, deviation, deviation),
            None => design.units_for_rates(self.baseline, self.baseline + self.effect),
        };
        let fixed = units(design)?;
        // The sequence is narrowest where it is planned for; it needs more units than one look does.
        let planned = Plan::new((fixed.ceil() as u64).max(2))?;
        let sequential = units(design.sequential(planned))?;
        let sequential_days = self.units_a_day.map(|daily| days(sequential, daily)).transpose()?;
        Ok(Planned {
            fixed_horizon_units: fixed.ceil(),
            sequential_units: sequential.ceil(),
            sequential_days,
        })
    }
}
