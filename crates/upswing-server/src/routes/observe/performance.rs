//! How an agent's versions do, together and by segment.

use std::collections::BTreeMap;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF as _, StudentsT};
use upswing_domain::{Timestamp, VersionId};
use upswing_store::MetricSummary;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::app::{App, Shared};
use crate::auth::Caller;
use crate::jobs::{retention, rollups};
use crate::problem::{Code, Problem, Problems};
use crate::registry::Serving;
use crate::routes::deploy::agents;
use crate::wire::json::{Json, Params, Path};
use crate::wire::time;

/// How to look at it.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PerformanceParams {
    /// `version`, which is the only one yet.
    by: Option<String>,
    /// One of the segment keys that the agent declares; everything together unless given.
    segment: Option<String>,
    /// For so many days back, 1 to 3650; 30 unless given.
    #[param(minimum = 1, maximum = 3650, default = 30)]
    days: Option<i64>,
}

/// How an agent's versions do.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PerformanceResponse {
    /// The agent.
    agent_id: Uuid,
    /// `version`.
    by: &'static str,
    /// The segment key; `null` for everything together.
    segment: Option<String>,
    /// From the hour of this moment on.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// Everything up to here is counted.
    as_of_position: i64,
    /// One for each version, or for each version and value of the segment.
    groups: Vec<GroupResponse>,
}

/// One version, or one version in one segment.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GroupResponse {
    /// The version.
    #[schema(value_type = String)]
    version: VersionId,
    /// Its name for people.
    label: Option<String>,
    /// The segment's value; `null` for everything together. `other` is what came after the first hundred values.
    segment_value: Option<String>,
    /// By name: `reward`, `latency_ms`, ...
    metrics: BTreeMap<String, MetricResponse>,
}

/// One metric. What there is not enough evidence for is `null`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MetricResponse {
    /// How many values.
    count: i64,
    /// Their mean.
    mean: f64,
    /// 95 % confidence interval of the mean (Student's t); `null` below two values. For values that are looked at once: not
    /// a licence to stop when it looks good.
    interval: Option<[f64; 2]>,
    /// Sample standard deviation; `null` below two values.
    standard_deviation: Option<f64>,
    /// Within 1 %; `null` without any.
    quantiles: Option<QuantilesResponse>,
}

/// Quantiles from a mergeable sketch.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Quantiles)]
pub(crate) struct QuantilesResponse {
    /// The median.
    p50: f64,
    /// 95 of 100 are below.
    p95: f64,
    /// 99 of 100 are below.
    p99: f64,
}

impl From<&MetricSummary> for MetricResponse {
    fn from(summary: &MetricSummary) -> Self {
        Self {
            count: summary.count,
            mean: summary.mean,
            interval: summary
                .variance
                .and_then(|variance| interval(summary.mean, variance, summary.count))
                .map(
                    // A reward's mean cannot lie outside of where rewards lie.
                    |bounds| {
                        if summary.metric == "reward" { bounds.map(|b| b.clamp(0.0, 1.0)) } else { bounds }
                    },
                ),
            standard_deviation: summary.variance.map(f64::sqrt),
            quantiles: summary.quantiles.map(|[p50, p95, p99]| QuantilesResponse { p50, p95, p99 }),
        }
    }
}

/// The mean's 95 % interval by Student's t.
fn interval(mean: f64, variance: f64, count: i64) -> Option<[f64; 2]> {
    if count < 2 || !variance.is_finite() {
        return None;
    }
    let n = count as f64;
    let t = StudentsT::new(0.0, 1.0, n - 1.0).ok()?.inverse_cdf(0.975);
    let half = t * (variance / n).sqrt();
    Some([mean - half, mean + half])
}

/// So many days ago, but not before what is kept: what was revised after its retention is no whole hour.
pub(super) fn since(app: &App, days: Option<i64>) -> Result<Timestamp, Problem> {
    match days.unwrap_or(30) {
        days @ 1..=3650 => {
            Ok(retention::before(app.now(), days.min(app.retention.performance.unwrap_or(days))))
        }
        days => {
            let detail = format!("days is {days}, but must be a whole number from 1 to 3650");
            Err(Problem::new(Code::InvalidParameter, detail).about("days"))
        }
    }
}

/// How an agent's versions do: count, mean, interval and quantiles of every metric.
#[utoipa::path(
    get,
    path = "/api/learning/agents/{agent_id}/performance",
    tag = "observe",
    operation_id = "get_performance",
    params(("agent_id" = Uuid, Path), PerformanceParams),
    responses((status = 200, description = "By version, and segment", body = PerformanceResponse), Problems)
)]
pub(crate) async fn performance(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
    Params(params): Params<PerformanceParams>,
) -> Result<Json<PerformanceResponse>, Problem> {
    let agent = agents::find(&app, &caller, id)?;
    let since = since(&app, params.days)?;
    check(&params, &agent.serving())?;
    rollups::catch_up(&app, (agent.organisation, agent.id)).await?;
    let segment = params.segment.unwrap_or_default();
    let (summaries, as_of) = app.store.performance(agent.organisation, agent.id, &segment, since).await?;
    let serving = agent.serving();
    Ok(Json(PerformanceResponse {
        agent_id: id,
        by: "version",
        groups: groups(&summaries, &serving),
        segment: Some(segment).filter(|key| !key.is_empty()),
        since: since.hour(),
        as_of_position: as_of.0,
    }))
}

fn check(params: &PerformanceParams, serving: &Serving) -> Result<(), Problem> {
    let invalid =
        |field: &str, detail: String| Err(Problem::new(Code::InvalidParameter, detail).about(field));
    if let Some(by) = params.by.as_deref().filter(|by| *by != "version") {
        return invalid("by", format!("by is {by}, but must be version"));
    }
    let declared = &serving.state.agent.segments;
    match &params.segment {
        Some(key) if !declared.contains(key) => {
            let keys = if declared.is_empty() { "none".to_owned() } else { declared.join(", ") };
            invalid("segment", format!("segment is {key}, but the agent declares {keys}"))
        }
        _ => Ok(()),
    }
}

fn groups(summaries: &[MetricSummary], serving: &Serving) -> Vec<GroupResponse> {
    let mut groups: BTreeMap<(VersionId, &str), BTreeMap<String, MetricResponse>> = BTreeMap::new();
    for summary in summaries {
        let metrics = groups.entry((summary.version, summary.segment_value.as_str())).or_default();
        metrics.insert(summary.metric.clone(), summary.into());
    }
    let groups = groups.into_iter().map(|((version, value), metrics)| GroupResponse {
        version,
        label: serving.arm(version).map(|arm| arm.label.clone()),
        segment_value: Some(value.to_owned()).filter(|value| !value.is_empty()),
        metrics,
    });
    groups.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_students() {
        // scipy.stats.t.interval(0.95, 9, 0.5, (0.04/10)**0.5)
        let [low, high] = interval(0.5, 0.04, 10).unwrap();
        assert!((low - 0.356_928_6).abs() < 1e-6 && (high - 0.643_071_4).abs() < 1e-6, "{low} {high}");
        assert_eq!(interval(0.5, 0.0, 1), None);
    }
}
