//! How an agent's mean reward moved.

use std::collections::BTreeMap;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::Shared;
use crate::auth::Caller;
use crate::problem::{Problem, Problems};
use crate::routes::deploy::{agents, policies};
use crate::wire::json::{Json, Path};

/// How the mean reward moved.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LearningCurveResponse {
    /// Stretches of equal width, at most 200, oldest first. Those without a reward are left out.
    bins: Vec<BinResponse>,
    /// How many executions have a reward.
    observations: u64,
    /// How far the learner has read.
    position: i64,
}

/// One stretch.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CurveBin)]
pub(crate) struct BinResponse {
    /// The first position that it covers. An execution counts where it first had a reward.
    from: i64,
    /// The last position that it covers.
    to: i64,
    /// How many executions in it have a reward.
    count: u64,
    /// Their mean reward.
    mean_reward: f64,
    /// How many of them each version served.
    versions: BTreeMap<String, u64>,
}

/// How an agent's mean reward moved, and which versions served.
#[utoipa::path(
    get,
    path = "/api/learning/agents/{agent_id}/learning-curve",
    tag = "observe",
    operation_id = "get_learning_curve",
    params(("agent_id" = Uuid, Path)),
    responses((status = 200, description = "The curve", body = LearningCurveResponse), Problems)
)]
pub(crate) async fn learning_curve(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<LearningCurveResponse>, Problem> {
    let agent = agents::find(&app, &caller, id)?;
    let known = policies::inspect(&app, (agent.organisation, agent.id)).await?;
    let bins = known.curve.into_iter().map(|bin| BinResponse {
        from: bin.from.0,
        to: bin.to.0,
        count: bin.count,
        mean_reward: bin.mean_reward,
        versions: bin.by_version.into_iter().map(|(version, count)| (version.to_string(), count)).collect(),
    });
    let bins: Vec<_> = bins.collect();
    let observations = bins.iter().map(|bin| bin.count).sum();
    Ok(Json(LearningCurveResponse { bins, observations, position: known.position.0 }))
}
