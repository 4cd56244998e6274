//! Agents: what answers and can learn.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use upswing_domain::{Agent, AgentId, AgentName, Invalid, PolicyConfig, RewardDefinition, VersionId};
use upswing_store::NewAgent;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::{App, Shared};
use crate::auth::Caller;
use crate::problem::{Problem, Problems};
use crate::registry::AgentEntry;
use crate::runtime::ids;
use crate::wire::json::{Json, Params, Path, Vetted};
use crate::wire::page::PageParams;
use crate::wire::schema::{PolicySchema, RewardDefinitionSchema};

/// A new agent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateAgentRequest {
    /// 1 to 100 letters, digits, `-`, `_` or `.`; unique in the organisation.
    name: String,
    /// For people.
    #[serde(default)]
    description: String,
    /// The context keys by which performance is reported, at most four.
    #[serde(default)]
    segments: Vec<String>,
    /// How versions are chosen; `linear_thompson` unless given.
    #[serde(default)]
    #[schema(value_type = Option<PolicySchema>)]
    policy: PolicyConfig,
    /// How feedback becomes a reward; ratings, thumbs, corrections and a metric `reward` on [0, 1] unless given.
    #[serde(default)]
    #[schema(value_type = Option<RewardDefinitionSchema>)]
    reward_definition: RewardDefinition,
    /// What the policy's draws are hashed with; the same salt, policy state and decision ids give the same decisions.
    salt: Option<String>,
    /// What the agent's outputs look like, as a JSON Schema.
    #[schema(value_type = Option<Object>)]
    output_schema: Option<serde_json::Value>,
}

/// An agent as it stands now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Agent)]
pub(crate) struct AgentResponse {
    /// Its id.
    id: Uuid,
    /// Its name.
    name: String,
    /// For people.
    description: String,
    /// The context keys by which performance is reported.
    segments: Vec<String>,
    /// How versions are chosen.
    #[schema(value_type = PolicySchema)]
    policy: PolicyConfig,
    /// How feedback becomes a reward.
    #[schema(value_type = RewardDefinitionSchema)]
    reward_definition: RewardDefinition,
    /// Which of the reward definitions this is; the first is 1.
    definition_version: i64,
    /// The version that serves when nothing else decides.
    #[schema(value_type = Option<String>)]
    champion: Option<VersionId>,
    /// Counts changes to champion, policy and eligible versions.
    epoch: i64,
    /// What draws are hashed with.
    salt: String,
    /// What outputs look like.
    #[schema(value_type = Option<Object>)]
    output_schema: Option<Box<serde_json::value::RawValue>>,
}

impl AgentResponse {
    pub(super) fn new(agent: &Agent) -> Self {
        Self {
            id: agent.id.0,
            name: agent.name.as_str().to_owned(),
            description: agent.description.clone(),
            segments: agent.segments.clone(),
            policy: agent.policy,
            reward_definition: agent.reward_definition.clone(),
            definition_version: agent.definition_version,
            champion: agent.champion,
            epoch: agent.epoch,
            salt: agent.salt.clone(),
            output_schema: agent
                .output_schema
                .clone()
                .and_then(|schema| serde_json::value::RawValue::from_string(schema).ok()),
        }
    }
}

/// Agents of the organisation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AgentsResponse {
    /// By name.
    agents: Vec<AgentResponse>,
    /// For the next page; `null` on the last.
    next_cursor: Option<String>,
}

/// The agent of that id.
pub(crate) fn find(app: &App, caller: &Caller, id: Uuid) -> Result<std::sync::Arc<AgentEntry>, Problem> {
    app.registry.agent(caller.organisation(), AgentId(id)).ok_or_else(|| Problem::unknown_agent(id))
}

/// Makes an agent.
#[utoipa::path(
    post,
    path = "/api/learning/agents",
    tag = "deploy",
    operation_id = "create_agent",
    request_body = CreateAgentRequest,
    responses((status = 201, description = "The new agent", body = AgentResponse), Problems)
)]
pub(crate) async fn create(
    State(app): State<Shared>,
    caller: Caller,
    Vetted(request): Vetted<CreateAgentRequest>,
) -> Result<Response, Problem> {
    let agent = checked(&app, request)?;
    let now = app.now();
    let state = app.store.create_agent(caller.actor(now), agent).await?;
    app.registry.reload_agent(&app.store, caller.organisation(), state.agent.id).await?;
    Ok((StatusCode::CREATED, Json(AgentResponse::new(&state.agent))).into_response())
}

fn checked(app: &App, request: CreateAgentRequest) -> Result<NewAgent, Invalid> {
    let id = AgentId(ids::fresh(app.now()));
    let short = |field: &str, text: &str, chars: usize| {
        if text.is_empty() || text.chars().count() > chars {
            return Err(Invalid::new(field, text, format!("1 to {chars} characters")));
        }
        Ok(())
    };
    if request.segments.len() > Agent::MAX_SEGMENTS {
        let expected = format!("at most {} keys", Agent::MAX_SEGMENTS);
        return Err(Invalid::new("segments", request.segments.len(), expected));
    }
    for (index, key) in request.segments.iter().enumerate() {
        short("segments", key, 200)?;
        if request.segments[..index].contains(key) {
            return Err(Invalid::new("segments", key, "named once"));
        }
    }
    if request.description.len() > 10_000 {
        return Err(Invalid::new("description", request.description.len(), "at most 10000 bytes"));
    }
    if let Some(salt) = &request.salt {
        short("salt", salt, 200)?;
    }
    if let Some(schema) = &request.output_schema
        && !schema.is_object()
    {
        return Err(Invalid::new("output_schema", schema, "a JSON Schema, which is an object"));
    }
    request.policy.validate()?;
    request.reward_definition.validate().map_err(|invalid| invalid.under("reward_definition"))?;
    Ok(NewAgent {
        id,
        name: AgentName::new(request.name)?,
        description: request.description,
        salt: request.salt.unwrap_or_else(|| id.to_string()),
        segments: request.segments,
        output_schema: request.output_schema.map(|schema| schema.to_string()),
        policy: request.policy,
        reward_definition: request.reward_definition,
    })
}

/// The organisation's agents.
#[utoipa::path(
    get,
    path = "/api/learning/agents",
    tag = "deploy",
    operation_id = "list_agents",
    params(PageParams),
    responses((status = 200, description = "A page of agents", body = AgentsResponse), Problems)
)]
pub(crate) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    Params(page): Params<PageParams>,
) -> Result<Json<AgentsResponse>, Problem> {
    let agents = app.registry.agents(caller.organisation());
    let (agents, next_cursor) = page.of(agents, |agent| agent.id.to_string())?;
    let agents = agents.iter().map(|agent| AgentResponse::new(&agent.serving().state.agent)).collect();
    Ok(Json(AgentsResponse { agents, next_cursor }))
}

/// One agent.
#[utoipa::path(
    get,
    path = "/api/learning/agents/{agent_id}",
    tag = "deploy",
    operation_id = "get_agent",
    params(("agent_id" = Uuid, Path)),
    responses((status = 200, description = "The agent", body = AgentResponse), Problems)
)]
pub(crate) async fn get(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<AgentResponse>, Problem> {
    let agent = find(&app, &caller, id)?;
    Ok(Json(AgentResponse::new(&agent.serving().state.agent)))
}

/// Changes how feedback becomes a reward. The stored feedback is folded again, which takes a moment.
#[utoipa::path(
    put,
    path = "/api/learning/agents/{agent_id}/reward-definition",
    tag = "deploy",
    params(("agent_id" = Uuid, Path)),
    request_body = RewardDefinitionSchema,
    responses((status = 200, description = "The agent with the new definition", body = AgentResponse), Problems)
)]
pub(crate) async fn set_reward_definition(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
    Vetted(definition): Vetted<RewardDefinition>,
) -> Result<Json<AgentResponse>, Problem> {
    let agent = find(&app, &caller, id)?;
    definition.validate()?;
    let state = app.store.set_reward_definition(caller.actor(app.now()), agent.id, definition).await?;
    app.registry.reload_agent(&app.store, caller.organisation(), agent.id).await?;
    // The receiver lives as long as the server does; the next start goes on with what is left.
    let _ = app.refold.send((caller.organisation(), agent.id));
    Ok(Json(AgentResponse::new(&state.agent)))
}
