//! Versions: immutable configurations, named by their content.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use upswing_domain::{Invalid, Timestamp, Version, VersionId};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::Shared;
use crate::auth::Caller;
use crate::gates;
use crate::problem::{Code, Problem, Problems};
use crate::routes::deploy::agents;
use crate::wire::json::{Json, Params, Path, Vetted};
use crate::wire::page::PageParams;
use crate::wire::time;

/// A version to store.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddVersionRequest {
    /// A short name for people, unique in the agent.
    label: String,
    /// The configuration: whatever the application needs to run this version.
    #[schema(value_type = Object)]
    config: serde_json::Value,
    /// What it was made from.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    parents: Vec<VersionId>,
    /// Whether policies may serve it. Unless given: yes, except where the agent has gates, which it has to pass first.
    eligible: Option<bool>,
}

/// A version.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Version)]
pub(crate) struct VersionResponse {
    /// BLAKE3 of the canonical configuration.
    #[schema(value_type = String)]
    version: VersionId,
    /// For people.
    label: String,
    /// The canonical configuration.
    #[schema(value_type = Object)]
    config: Box<RawValue>,
    /// What it was made from.
    #[schema(value_type = Vec<String>)]
    parents: Vec<VersionId>,
    /// Whether policies may serve it.
    eligible: bool,
    /// Whether it is the one that serves when nothing else decides.
    champion: bool,
    /// When it was first stored.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl VersionResponse {
    fn new(version: &Version, champion: Option<VersionId>) -> Result<Self, Problem> {
        Ok(Self {
            version: version.id,
            label: version.label.clone(),
            config: RawValue::from_string(version.config.clone())
                .map_err(|e| Problem::internal(&format!("version {}: {e}", version.id)))?,
            parents: version.parents.clone(),
            eligible: version.eligible,
            champion: champion == Some(version.id),
            created_at: version.created_at,
        })
    }
}

/// Versions of an agent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VersionsResponse {
    /// Oldest first.
    versions: Vec<VersionResponse>,
    /// For the next page; `null` on the last.
    next_cursor: Option<String>,
}

/// Stores a version. The same configuration again changes nothing.
#[utoipa::path(
    post,
    path = "/api/learning/agents/{agent_id}/versions",
    tag = "deploy",
    operation_id = "add_version",
    params(("agent_id" = Uuid, Path)),
    request_body = AddVersionRequest,
    responses(
        (status = 201, description = "The new version", body = VersionResponse),
        (status = 200, description = "The version, which was there", body = VersionResponse),
        Problems
    )
)]
pub(crate) async fn add(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
    Vetted(request): Vetted<AddVersionRequest>,
) -> Result<Response, Problem> {
    let agent = agents::find(&app, &caller, id)?;
    let now = app.now();
    if request.label.is_empty() || request.label.chars().count() > 100 {
        return Err(Invalid::new("label", &request.label, "1 to 100 characters").into());
    }
    let (version, config) = Version::content(&request.config)?;
    {
        let serving = agent.serving();
        if let Some(unknown) = request.parents.iter().find(|parent| serving.arm(**parent).is_none()) {
            return Err(Problem::unknown_version(unknown).about("parents"));
        }
    }
    // What has to pass gates meets no traffic before it has.
    let open = gates::require(&app, caller.organisation(), agent.id, version).await;
    let eligible = match (request.eligible, open) {
        (Some(true), Err(problem)) => return Err(problem.about("eligible")),
        (None, Err(problem)) if problem.code == Code::GateFailed => false,
        (None, Err(problem)) => return Err(problem),
        (asked, _) => asked.unwrap_or(true),
    };
    let version = Version {
        id: version,
        agent: agent.id,
        label: request.label,
        config,
        parents: request.parents,
        eligible,
        created_at: now,
    };
    let id = version.id;
    let (state, new) = app.store.add_version(caller.actor(now), version).await?;
    app.registry.reload_agent(&app.store, caller.organisation(), agent.id).await?;
    let stored = state.versions.iter().find(|v| v.id == id);
    let stored = stored.ok_or_else(|| Problem::internal("a version that was stored is not there"))?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(VersionResponse::new(stored, state.agent.champion)?)).into_response())
}

/// An agent's versions.
#[utoipa::path(
    get,
    path = "/api/learning/agents/{agent_id}/versions",
    tag = "deploy",
    operation_id = "list_versions",
    params(("agent_id" = Uuid, Path), PageParams),
    responses((status = 200, description = "A page of versions", body = VersionsResponse), Problems)
)]
pub(crate) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
    Params(page): Params<PageParams>,
) -> Result<Json<VersionsResponse>, Problem> {
    let agent = agents::find(&app, &caller, id)?;
    let serving = agent.serving();
    let champion = serving.state.agent.champion;
    let (versions, next_cursor) =
        page.of(serving.state.versions.iter().collect(), |version| version.id.to_string())?;
    let versions =
        versions.into_iter().map(|v| VersionResponse::new(v, champion)).collect::<Result<_, _>>()?;
    Ok(Json(VersionsResponse { versions, next_cursor }))
}
