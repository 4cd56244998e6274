//! Deployments: what may serve from when on, who said so, and why.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use upswing_domain::{Invalid, PolicyConfig, Timestamp, VersionId};
use upswing_privacy::redact::Redactor;
use upswing_store::Deployment;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::{App, Shared};
use crate::auth::Caller;
use crate::gates;
use crate::problem::{Code, Problem, Problems};
use crate::routes::deploy::agents::{self, AgentResponse};
use crate::wire::json::{Json, Params, Path, Vetted};
use crate::wire::page::PageParams;
use crate::wire::schema::PolicySchema;
use crate::wire::time;

/// Why.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeployRequest {
    /// For people who look later; at most 1000 characters.
    #[serde(default)]
    reason: String,
    /// Promotes also a version that has not passed its agent's gates; needs a reason, and is recorded.
    #[serde(default, rename = "override")]
    overriding: bool,
}

/// An epoch of an agent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Deployment)]
pub(crate) struct DeploymentResponse {
    /// The epoch that begins.
    epoch: i64,
    /// `created`, `version_added`, `promoted`, `rolled_back` or `policy_changed`.
    kind: String,
    /// The version it is about.
    #[schema(value_type = Option<String>)]
    version: Option<VersionId>,
    /// The champion from then on.
    #[schema(value_type = Option<String>)]
    champion: Option<VersionId>,
    /// What policies may serve from then on, in the order of a decision's probabilities.
    #[schema(value_type = Vec<String>)]
    eligible: Vec<VersionId>,
    /// The policy from then on.
    #[schema(value_type = PolicySchema)]
    policy: PolicyConfig,
    /// Why, as somebody wrote.
    reason: String,
    /// The key that was used; `null` for the command line.
    key_id: Option<Uuid>,
    /// When.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Where in the organisation's sequence of events.
    position: i64,
}

impl From<Deployment> for DeploymentResponse {
    fn from(deployment: Deployment) -> Self {
        Self {
            epoch: deployment.epoch,
            kind: deployment.kind,
            version: deployment.version,
            champion: deployment.champion,
            eligible: deployment.eligible,
            policy: deployment.policy,
            reason: deployment.reason,
            key_id: deployment.key.map(|key| key.0),
            at: deployment.at,
            position: deployment.position.0,
        }
    }
}

/// Epochs of an agent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeploymentsResponse {
    /// Newest first.
    deployments: Vec<DeploymentResponse>,
    /// For the next page; `null` on the last.
    next_cursor: Option<String>,
}

#[derive(Clone, Copy)]
enum Change {
    Promote,
    RollBack,
}

/// Makes a version the champion.
#[utoipa::path(
    post,
    path = "/api/learning/agents/{agent_id}/versions/{version}/promote",
    tag = "deploy",
    operation_id = "promote_version",
    params(("agent_id" = Uuid, Path), ("version" = String, Path)),
    request_body(content = Option<DeployRequest>),
    responses((status = 200, description = "The agent with its new champion", body = AgentResponse), Problems)
)]
pub(crate) async fn promote(
    State(app): State<Shared>,
    caller: Caller,
    Path((id, version)): Path<(Uuid, String)>,
    body: Option<Vetted<DeployRequest>>,
) -> Result<Json<AgentResponse>, Problem> {
    change(&app, &caller, id, &version, body, Change::Promote).await
}

/// Takes a version out of every policy at once.
#[utoipa::path(
    post,
    path = "/api/learning/agents/{agent_id}/versions/{version}/rollback",
    tag = "deploy",
    operation_id = "roll_back_version",
    params(("agent_id" = Uuid, Path), ("version" = String, Path)),
    request_body(content = Option<DeployRequest>),
    responses((status = 200, description = "The agent without that version", body = AgentResponse), Problems)
)]
pub(crate) async fn roll_back(
    State(app): State<Shared>,
    caller: Caller,
    Path((id, version)): Path<(Uuid, String)>,
    body: Option<Vetted<DeployRequest>>,
) -> Result<Json<AgentResponse>, Problem> {
    change(&app, &caller, id, &version, body, Change::RollBack).await
}

async fn change(
    app: &App,
    caller: &Caller,
    id: Uuid,
    version: &str,
    body: Option<Vetted<DeployRequest>>,
    change: Change,
) -> Result<Json<AgentResponse>, Problem> {
    let agent = agents::find(app, caller, id)?;
    let version: VersionId = version.parse().map_err(|_| Problem::unknown_version(version))?;
    if agent.serving().arm(version).is_none() {
        return Err(Problem::unknown_version(version));
    }
    let DeployRequest { reason, overriding } = body.map(|Vetted(request)| request).unwrap_or_default();
    let reason = Redactor::new().text(&reason).text.into_owned();
    if reason.chars().count() > 1000 {
        return Err(Invalid::new("reason", reason, "at most 1000 characters").into());
    }
    let mut reason = reason;
    if let Change::Promote = change {
        match gates::require(app, caller.organisation(), agent.id, version).await {
            Ok(()) => {}
            Err(problem) if problem.code == Code::GateFailed && overriding && !reason.is_empty() => {
                reason = format!("{reason} (overruled: {})", problem.detail);
            }
            Err(problem) => return Err(problem),
        }
    }
    let actor = caller.actor(app.now());
    let state = match change {
        Change::Promote => app.store.promote(actor, agent.id, version, reason).await?,
        Change::RollBack => app.store.roll_back(actor, agent.id, version, reason).await?,
    };
    app.registry.reload_agent(&app.store, caller.organisation(), agent.id).await?;
    Ok(Json(AgentResponse::new(&state.agent)))
}

/// Every epoch: what changed, who, why.
#[utoipa::path(
    get,
    path = "/api/learning/agents/{agent_id}/deployments",
    tag = "deploy",
    operation_id = "list_deployments",
    params(("agent_id" = Uuid, Path), PageParams),
    responses((status = 200, description = "A page of epochs", body = DeploymentsResponse), Problems)
)]
pub(crate) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
    Params(page): Params<PageParams>,
) -> Result<Json<DeploymentsResponse>, Problem> {
    let agent = agents::find(&app, &caller, id)?;
    let limit = page.limit()?;
    // One more than asked for tells whether there is a next page.
    let mut found = app.store.deployments(caller.organisation(), agent.id, page.number()?, limit + 1).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next_cursor = found.last().filter(|_| more).map(|d| d.epoch.to_string());
    Ok(Json(DeploymentsResponse { deployments: found.into_iter().map(Into::into).collect(), next_cursor }))
}
