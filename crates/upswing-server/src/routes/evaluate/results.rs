//! What an experiment has found, now and at each time before.

use axum::extract::State;
use serde::Serialize;
use serde_json::value::RawValue;
use upswing_domain::{Timestamp, VersionId};
use upswing_learn::evaluate::Results;
use utoipa::ToSchema;
use uuid::Uuid;

use super::experiments;
use crate::app::Shared;
use crate::auth::Caller;
use crate::problem::{Problem, Problems};
use crate::wire::json::{Json, Path};
use crate::wire::time;

/// What an experiment has found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExperimentResultsResponse {
    /// The experiment.
    experiment_id: Uuid,
    /// Where it stands.
    status: &'static str,
    /// What is compared, the control first; results name arms by their place in this list.
    arms: Vec<ComparedVersion>,
    /// When this was known.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// `verdict`, `summary` and `reasons` in words, then the numbers: `metrics` with `sequential` (valid at every look),
    /// `fixed_horizon` (valid at one) and `bayesian` views, `sample_ratio`, `forecast`, `segments`.
    #[schema(value_type = Object)]
    results: Results,
}

/// A version that is compared.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ComparedVersion {
    /// The version.
    #[schema(value_type = String)]
    version: VersionId,
    /// Its name for people.
    label: Option<String>,
    /// Its share of the units now.
    weight: f64,
}

/// What was known at one time.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExperimentLookResponse {
    /// When.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// As results were then.
    #[schema(value_type = Object)]
    results: Box<RawValue>,
}

/// What was known at each time.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExperimentHistoryResponse {
    /// The experiment.
    experiment_id: Uuid,
    /// Oldest first: one whenever a twentieth more was known, and at most one an hour otherwise.
    looks: Vec<ExperimentLookResponse>,
}

/// What an experiment has found, valid whenever it is asked for.
///
/// Read from sums that are kept as it happens: the time it takes does not grow with the number of units.
#[utoipa::path(
    get,
    path = "/api/learning/experiments/{experiment_id}/results",
    tag = "evaluate",
    operation_id = "experiment_results",
    params(("experiment_id" = Uuid, Path)),
    responses((status = 200, description = "The results", body = ExperimentResultsResponse), Problems)
)]
pub(crate) async fn results(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<ExperimentResultsResponse>, Problem> {
    let organisation = caller.organisation();
    let experiment = experiments::find(&app, organisation, id).await?;
    let results = experiments::results(&app, organisation, &experiment).await?;
    let agent = app.registry.agent(organisation, experiment.agent);
    let label = |version: VersionId| Some(agent.as_ref()?.serving().arm(version)?.label.clone());
    let arms = experiment.plan.arms.iter().map(|arm| ComparedVersion {
        version: arm.version,
        label: label(arm.version),
        weight: arm.weight,
    });
    Ok(Json(ExperimentResultsResponse {
        experiment_id: id,
        status: experiment.status.name(),
        arms: arms.collect(),
        at: app.now(),
        results,
    }))
}

/// The effect over time, as it was known at each time.
#[utoipa::path(
    get,
    path = "/api/learning/experiments/{experiment_id}/history",
    tag = "evaluate",
    operation_id = "experiment_history",
    params(("experiment_id" = Uuid, Path)),
    responses((status = 200, description = "What was known when", body = ExperimentHistoryResponse), Problems)
)]
pub(crate) async fn history(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<ExperimentHistoryResponse>, Problem> {
    let organisation = caller.organisation();
    let experiment = experiments::find(&app, organisation, id).await?;
    let looks = app.store.experiment_looks(organisation, experiment.id).await?;
    let look = |look: upswing_store::ExperimentLook| {
        let results = RawValue::from_string(look.results)
            .map_err(|error| Problem::internal(&format!("a look of experiment {id}: {error}")))?;
        Ok::<_, Problem>(ExperimentLookResponse { at: look.at, results })
    };
    let looks = looks.into_iter().map(look).collect::<Result<_, _>>()?;
    Ok(Json(ExperimentHistoryResponse { experiment_id: id, looks }))
}
