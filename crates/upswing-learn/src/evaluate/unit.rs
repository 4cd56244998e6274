//! One unit of an experiment: what it was served, and what it did since.

use serde::{Deserialize, Serialize};
use upswing_domain::{
    Absence, ContextValue, ExperimentMetric, ExperimentPlan, MetricKind, Segment, Timestamp,
};

use super::sums::{from_millionths, millionths};
use super::tally::TallyError;

/// What one unit did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unit {
    /// The arm of its first exposure, which it is analysed under whatever it is served later; `None` in the holdout.
    pub arm: Option<u16>,
    /// The epoch of the split by which it got that arm.
    pub allocation: i64,
    /// When it was first exposed.
    pub exposed_at: Timestamp,
    /// The agent's segments it was in then.
    pub segments: Vec<(String, String)>,
    /// What was known of it before.
    pub covariate: Option<f64>,
    /// One for each metric.
    pub totals: Vec<Total>,
}

/// What one unit did, by one metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Total {
    /// How many values.
    count: i64,
    /// Their sum, in millionths.
    sum: i64,
    /// How many denominators, and their sum.
    denominators: i64,
    denominator_sum: i64,
    /// Whether its outcome is closed.
    pub closed: bool,
}

impl Total {
    /// Takes a value, or takes it back.
    pub(super) fn take(&mut self, metric: &ExperimentMetric, source: &str, value: f64, count: i64) {
        if metric.source() == source {
            let value =
                if metric.kind == MetricKind::Proportion { f64::from(u8::from(value > 0.0)) } else { value };
            self.count += count;
            self.sum = self.sum.saturating_add(millionths(value).saturating_mul(count));
        }
        if metric.denominator.as_deref() == Some(source) {
            self.denominators += count;
            self.denominator_sum =
                self.denominator_sum.saturating_add(millionths(value).saturating_mul(count));
        }
    }

    /// Whether there is any value.
    pub(super) fn has_value(&self) -> bool {
        self.count > 0
    }

    /// The unit's outcome, and its denominator where the metric has one; `None` where nothing is known.
    pub(super) fn outcome(&self, metric: &ExperimentMetric) -> Option<(f64, f64)> {
        let sum = from_millionths(self.sum);
        if metric.kind == MetricKind::Ratio {
            let nothing = self.count <= 0 && self.denominators <= 0;
            let absent = nothing && metric.absence == Absence::Missing;
            return (!absent).then(|| (sum, from_millionths(self.denominator_sum)));
        }
        let value = match (self.count, metric.absence) {
            (count, Absence::Missing) if count <= 0 => return None,
            (count, _) if count <= 0 => 0.0,
            (count, _) => match metric.kind {
                MetricKind::Proportion => f64::from(u8::from(self.sum > 0)),
                MetricKind::Count => sum,
                MetricKind::Mean | MetricKind::Duration | MetricKind::Ratio | MetricKind::Quantile => {
                    sum / count as f64
                }
            },
        };
        let bounded = metric.outcome_bounds().or(metric.bounds);
        Some((bounded.map_or(value, |[low, high]| value.clamp(low, high)), 0.0))
    }
}

impl Unit {
    /// A unit at its first exposure.
    pub fn exposed(
        plan: &ExperimentPlan,
        (arm, allocation): (Option<u16>, i64),
        at: Timestamp,
        context: Option<&upswing_domain::Context>,
        segments: &[String],
    ) -> Self {
        let covariate = plan.covariate.as_ref().and_then(|key| context.and_then(|context| context.get(key)));
        let covariate = match covariate {
            Some(ContextValue::Number(number)) => Some(*number),
            Some(ContextValue::Flag(flag)) => Some(f64::from(u8::from(*flag))),
            Some(ContextValue::Category(_)) | None => None,
        };
        let segments = Segment::of(context, segments).into_iter().filter(|segment| !segment.key.is_empty());
        Self {
            arm,
            allocation,
            exposed_at: at,
            segments: segments.map(|segment| (segment.key, segment.value)).collect(),
            covariate,
            totals: vec![Total::default(); plan.metrics.len()],
        }
    }

    /// When the next of its outcomes closes; `None` where none waits for a moment.
    pub fn closes_at(&self, plan: &ExperimentPlan) -> Option<Timestamp> {
        let open = plan.metrics.iter().zip(&self.totals).filter(|(_, total)| !total.closed);
        open.filter_map(|(metric, _)| self.end(metric)).min()
    }

    /// The end of a metric's window for this unit. Quantiles are of values, not of units: nothing closes.
    pub(super) fn end(&self, metric: &ExperimentMetric) -> Option<Timestamp> {
        let window = metric.window().filter(|_| metric.kind != MetricKind::Quantile)?;
        Some(self.exposed_at.plus_seconds(i64::from(window)))
    }

    /// As it is stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Nothing in it can fail to be written.
        postcard::to_stdvec(self).unwrap_or_default()
    }

    /// Reads what [`Unit::to_bytes`] wrote.
    ///
    /// # Errors
    /// When it is something else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TallyError> {
        postcard::from_bytes(bytes).map_err(|error| TallyError::Corrupt(error.to_string()))
    }
}
