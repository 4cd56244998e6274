//! Feedback, counted.

use std::collections::BTreeMap;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::app::Shared;
use crate::auth::Caller;
use crate::jobs::rollups;
use crate::problem::{Problem, Problems};
use crate::routes::deploy::agents;
use crate::routes::observe::performance;
use crate::wire::json::{Json, Params};

/// Whose, and since when.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StatsParams {
    /// Only this agent's.
    agent_id: Option<Uuid>,
    /// For so many days back, 1 to 3650; 30 unless given.
    #[param(minimum = 1, maximum = 3650, default = 30)]
    days: Option<i64>,
}

/// What people said, counted. What there is no evidence for is `null`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatsResponse {
    /// All pieces.
    total_feedback: i64,
    /// Mean of the ratings.
    avg_rating: Option<f64>,
    /// Share of thumbs up and of four and five stars among thumbs and stars.
    satisfaction_rate: Option<f64>,
    /// By type.
    feedback_by_type: BTreeMap<String, i64>,
    /// Those with a text that a person should look at before it is shown to others.
    flagged: i64,
    /// Everything up to here is counted.
    as_of_position: i64,
}

/// What people said, counted.
#[utoipa::path(
    get,
    path = "/api/learning/feedback/stats",
    tag = "observe",
    operation_id = "get_feedback_stats",
    params(StatsParams),
    responses((status = 200, description = "The counts", body = StatsResponse), Problems)
)]
pub(crate) async fn stats(
    State(app): State<Shared>,
    caller: Caller,
    Params(params): Params<StatsParams>,
) -> Result<Json<StatsResponse>, Problem> {
    let organisation = caller.organisation();
    let since = performance::since(&app, params.days)?;
    let agent = match params.agent_id {
        Some(id) => Some(agents::find(&app, &caller, id)?.id),
        None => None,
    };
    if let Some(agent) = agent {
        rollups::catch_up(&app, (organisation, agent)).await?;
    }
    let stats = app.store.feedback_stats(organisation, agent, since).await?;
    Ok(Json(StatsResponse {
        total_feedback: stats.total,
        avg_rating: stats.average_rating,
        satisfaction_rate: stats.satisfaction_rate,
        feedback_by_type: stats.by_type,
        flagged: stats.flagged,
        as_of_position: stats.as_of.0,
    }))
}
