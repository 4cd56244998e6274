//! Policies: how an agent chooses among its versions, and what that has learned.

use axum::extract::State;
use serde::Serialize;
use tokio::sync::oneshot;
use upswing_domain::{PolicyConfig, VersionId};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::{App, Shared};
use crate::auth::Caller;
use crate::jobs::learner::{Inspection, Question};
use crate::jobs::news::AgentKey;
use crate::problem::{Code, Problem, Problems};
use crate::routes::deploy::agents::{self, AgentResponse};
use crate::wire::json::{Json, Path, Vetted};
use crate::wire::schema::PolicySchema;

/// What a policy knows.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PolicyResponse {
    /// The policy's name.
    policy: &'static str,
    /// With its parameters.
    #[schema(value_type = PolicySchema)]
    config: PolicyConfig,
    /// Names the state: the position of the last entry that taught it.
    revision: i64,
    /// How far the learner has read.
    position: i64,
    /// How many rewards it knows.
    observations: u64,
    /// BLAKE3 of the state: equal knowledge has equal hashes.
    state_hash: String,
    /// By version; those without a reward have a count of 0.
    arms: Vec<ArmResponse>,
}

/// What is known of one version.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ArmResponse {
    /// The version.
    #[schema(value_type = String)]
    version: VersionId,
    /// Its name for people.
    label: String,
    /// Whether policies may serve it.
    eligible: bool,
    /// How many rewards.
    count: u64,
    /// Their mean; `null` without any.
    mean: Option<f64>,
    /// The mean's standard error; `null` below two.
    standard_error: Option<f64>,
}

/// Asks the learner what it knows.
pub(crate) async fn inspect(app: &App, agent: AgentKey) -> Result<Inspection, Problem> {
    let (answer, answered) = oneshot::channel();
    let gone = || Problem::new(Code::ShuttingDown, "the learner has stopped");
    app.learner.send(Question { agent, answer }).await.map_err(|_| gone())?;
    answered.await.map_err(|_| {
        // It answers nothing when it cannot read its checkpoint.
        Problem::new(Code::DatabaseUnavailable, "the learner's state cannot be read now")
    })
}

/// What an agent's policy has learned.
#[utoipa::path(
    get,
    path = "/api/learning/agents/{agent_id}/policy",
    tag = "deploy",
    operation_id = "get_policy",
    params(("agent_id" = Uuid, Path)),
    responses((status = 200, description = "The policy and what it knows", body = PolicyResponse), Problems)
)]
pub(crate) async fn get(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<PolicyResponse>, Problem> {
    let agent = agents::find(&app, &caller, id)?;
    let known = inspect(&app, (agent.organisation, agent.id)).await?;
    let serving = agent.serving();
    let arms = serving.state.versions.iter().map(|version| {
        let arm = known.arms.iter().find(|arm| arm.version == version.id);
        ArmResponse {
            version: version.id,
            label: version.label.clone(),
            eligible: version.eligible,
            count: arm.map_or(0, |arm| arm.count),
            mean: arm.map(|arm| arm.mean_reward),
            standard_error: arm.and_then(|arm| arm.standard_error),
        }
    });
    Ok(Json(PolicyResponse {
        policy: known.policy.name(),
        config: known.policy,
        revision: known.revision.0,
        position: known.position.0,
        observations: known.observations,
        state_hash: known.state_hash,
        arms: arms.collect(),
    }))
}

/// Changes how an agent chooses. What is known is kept where the new policy can use it, and learned anew where not.
#[utoipa::path(
    put,
    path = "/api/learning/agents/{agent_id}/policy",
    tag = "deploy",
    operation_id = "set_policy",
    params(("agent_id" = Uuid, Path)),
    request_body = PolicySchema,
    responses((status = 200, description = "The agent with the new policy", body = AgentResponse), Problems)
)]
pub(crate) async fn set(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
    Vetted(policy): Vetted<PolicyConfig>,
) -> Result<Json<AgentResponse>, Problem> {
    let agent = agents::find(&app, &caller, id)?;
    policy.validate()?;
    let state = app.store.set_policy(caller.actor(app.now()), agent.id, policy).await?;
    app.registry.reload_agent(&app.store, caller.organisation(), agent.id).await?;
    app.news.learner.wake();
    Ok(Json(AgentResponse::new(&state.agent)))
}
