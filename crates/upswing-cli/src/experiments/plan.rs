//! The plan of an experiment whose data lies in a file.

use upswing_domain::assignment::Split;
use upswing_domain::{
    Allocation, AssignmentUnit, ExperimentArm, ExperimentMetric, ExperimentPlan, Timestamp, VersionId,
};

use super::metric::{Bounds, MetricSpec, Weight};
use crate::failure::Failure;

/// What is asked of a file.
#[derive(Debug, clap::Args)]
pub(crate) struct Asked {
    /// A metric, by its column: NAME:KIND[:decrease][:guardrail]..., KIND being proportion, mean, count, duration, ratio or
    /// quantile; repeat it [default: every column of numbers, the first of them the goal]
    #[arg(long = "metric", value_name = "NAME:KIND...")]
    pub(crate) metrics: Vec<MetricSpec>,
    /// The arm that others are compared with [default: the one called control, or else the first]
    #[arg(long, value_name = "ARM")]
    pub(crate) control: Option<String>,
    /// A column with what was known of each unit before (CUPED)
    #[arg(long, value_name = "COLUMN")]
    pub(crate) covariate: Option<String>,
    /// An arm's share of the units, where shares are not equal; repeat it for each arm
    #[arg(long = "weight", value_name = "ARM=SHARE")]
    pub(crate) weights: Vec<Weight>,
    /// The smallest and largest value of a metric; repeat it
    #[arg(long = "bounds", value_name = "METRIC=LOW,HIGH", allow_hyphen_values = true)]
    pub(crate) bounds: Vec<Bounds>,
    /// How often at most an experiment without effect may say that there is one
    #[arg(long, default_value_t = 0.05)]
    pub(crate) alpha: f64,
    /// No verdict before so many units
    #[arg(long, default_value_t = 0)]
    pub(crate) minimum_units: u64,
    /// For how many units the asymptotic sequence is narrowest
    #[arg(long, default_value_t = 5_000)]
    pub(crate) planned_units: u64,
}

impl Asked {
    /// The metrics that were asked for, with their bounds.
    pub(crate) fn specs(&self) -> Vec<MetricSpec> {
        let mut specs = self.metrics.clone();
        specs.iter_mut().for_each(|spec| self.bound(spec));
        specs
    }

    /// Gives a metric the bounds that were given by its name.
    pub(crate) fn bound(&self, spec: &mut MetricSpec) {
        if let Some(bounds) = self.bounds.iter().find(|bounds| bounds.metric == spec.name) {
            spec.bounds = Some(bounds.bounds);
        }
    }

    /// The arms' names in order, the control first.
    pub(crate) fn order(&self, found: Vec<String>) -> Result<Vec<String>, Failure> {
        let control = match &self.control {
            Some(name) => found.iter().position(|arm| arm == name).ok_or_else(|| {
                Failure::new(format!("no arm is called '{name}'"))
                    .hint(format!("--control with one of {}", found.join(", ")))
            })?,
            None => found.iter().position(|arm| arm.eq_ignore_ascii_case("control")).unwrap_or(0),
        };
        let mut arms = found;
        if control < arms.len() {
            let name = arms.remove(control);
            arms.insert(0, name);
        }
        Ok(arms)
    }

    /// The plan and its only split.
    pub(crate) fn plan(
        &self,
        arms: &[String],
        metrics: Vec<ExperimentMetric>,
    ) -> Result<(ExperimentPlan, Vec<Allocation>), Failure> {
        let mut shares = vec![1.0 / arms.len().max(1) as f64; arms.len()];
        if !self.weights.is_empty() {
            for (arm, share) in arms.iter().zip(&mut shares) {
                let weight = self.weights.iter().find(|weight| weight.arm == *arm);
                *share = weight.map(|weight| weight.share).ok_or_else(|| {
                    Failure::new(format!("arm '{arm}' has no --weight")).hint(
                        "name the share of every arm, as in --weight control=0.9 --weight treatment=0.1",
                    )
                })?;
            }
            if let Some(unknown) = self.weights.iter().find(|weight| !arms.contains(&weight.arm)) {
                return Err(Failure::new(format!("--weight names '{}', which is no arm", unknown.arm))
                    .hint(format!("the arms are {}", arms.join(", "))));
            }
        }
        if let Some(unknown) = self.bounds.iter().find(|b| !metrics.iter().any(|m| m.name == b.metric)) {
            return Err(Failure::new(format!("--bounds names '{}', which is no metric", unknown.metric)));
        }
        let plan = ExperimentPlan {
            arms: (0_u8..)
                .zip(&shares)
                .map(|(place, weight)| ExperimentArm { version: VersionId([place; 32]), weight: *weight })
                .collect(),
            unit: AssignmentUnit::User,
            seed: "file".to_owned(),
            coverage: 1.0,
            layer: None,
            holdout: None,
            targeting: Vec::new(),
            metrics,
            covariate: self.covariate.clone(),
            alpha: self.alpha,
            minimum_units: self.minimum_units,
            minimum_seconds: 0,
            planned_units: self.planned_units,
            rollout: None,
            adaptive: None,
        };
        plan.check(&|_| true).map_err(|error| Failure::new(error.to_string()))?;
        let split = Split::fresh(&shares, 1.0);
        Ok((plan, vec![Allocation { epoch: 1, effective_at: Timestamp(0), split }]))
    }
}
