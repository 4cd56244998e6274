//! Gates: what an agent's versions have to pass before they meet traffic, what was found, and who approved.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use upswing_domain::{Invalid, Timestamp, VersionId};
use upswing_learn::gate::{GatePlan, GateState};
use upswing_privacy::redact::Redactor;
use upswing_store::{GateApproval, GateResult, GateSetting};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::app::{App, Shared};
use crate::auth::Caller;
use crate::gates::{self, Runner, Settings};
use crate::problem::{Problem, Problems};
use crate::registry::AgentEntry;
use crate::routes::deploy::agents;
use crate::routes::deploy::rollouts::{ChangedKey, differences};
use crate::wire::json::{Json, Params, Path, Vetted};
use crate::wire::time;

/// Which gates, in which order, with which thresholds.
#[derive(ToSchema)]
#[schema(as = GatePlan)]
#[expect(dead_code, reason = "describes the body, which is read as the plan itself")]
pub(crate) struct GatePlanSchema {
    /// `regression`, `off_policy`, `safety`, `approval`, first to last; the first that fails ends a run.
    #[schema(required = false)]
    order: Vec<String>,
    /// Whether two people have to approve instead of one.
    #[schema(required = false)]
    sensitive: bool,
    /// `dataset`, `threshold` (0.9), `margin` below the parent's share (0), `scorer` (`{"name": "exact"}`).
    #[schema(value_type = Option<Object>)]
    regression: Option<Value>,
    /// `margin` of the champion's value (0.95), `confidence` (0.95).
    #[schema(value_type = Option<Object>)]
    off_policy: Option<Value>,
    /// `dataset` (the regression suite's), `most_characters`, `most_latency_ms`, `most_cost`.
    #[schema(value_type = Option<Object>)]
    safety: Option<Value>,
}

/// An agent's gates as they are set.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GateSettingsResponse {
    /// The gates.
    #[schema(value_type = GatePlanSchema)]
    gates: GatePlan,
    /// What runs a version; `null` while nothing does.
    runner: Option<Runner>,
}

/// What a gate found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GateResult)]
pub(crate) struct GateResultResponse {
    /// Its number among the version's results, from 1.
    number: i64,
    /// Which gate.
    gate: String,
    /// `passed`, `failed`, `insufficient` or `not_applicable`. Only the first passes.
    outcome: String,
    /// Why.
    why: String,
    /// The numbers.
    #[schema(value_type = Object)]
    details: Box<RawValue>,
    /// Whether it was found under the settings that hold now.
    current: bool,
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The key that asked.
    key_id: Option<Uuid>,
}

/// An approval.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GateApproval)]
pub(crate) struct GateApprovalResponse {
    /// The key that approved.
    key_id: Uuid,
    /// Its role.
    role: String,
    /// Why, as somebody wrote.
    reason: String,
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

/// Where a version stands before its gates.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GatesResponse {
    /// `unconfigured`, `passed`, `failed` or `missing`.
    state: &'static str,
    /// The gate that it failed.
    failed: Option<&'static str>,
    /// Why.
    why: Option<String>,
    /// Gates that it neither passed nor failed.
    missing: Vec<&'static str>,
    /// How many different keys have to approve.
    approvals_needed: usize,
    /// Who did, oldest first.
    approvals: Vec<GateApprovalResponse>,
    /// What was found, newest first.
    results: Vec<GateResultResponse>,
}

/// Why.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApproveRequest {
    /// For people who look later; at most 1000 characters.
    #[serde(default)]
    reason: String,
}

/// With what to compare.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DiffParams {
    /// Another version; the first parent unless given, or, without one, the champion.
    against: Option<String>,
}

/// What differs between two versions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DiffResponse {
    /// What it was made from, or was named; `null` where there is nothing to compare with.
    #[schema(value_type = Option<String>)]
    before: Option<VersionId>,
    /// The version.
    #[schema(value_type = String)]
    after: VersionId,
    /// Every key that differs.
    changed: Vec<ChangedKey>,
}

/// Sets which gates an agent's versions have to pass. What was found under other settings does not count any more.
#[utoipa::path(
    put,
    path = "/api/learning/agents/{agent_id}/gates",
    tag = "deploy",
    operation_id = "set_gates",
    params(("agent_id" = Uuid, Path)),
    request_body = GatePlanSchema,
    responses((status = 200, description = "The settings", body = GateSettingsResponse), Problems)
)]
pub(crate) async fn set(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
    Vetted(plan): Vetted<GatePlan>,
) -> Result<Json<GateSettingsResponse>, Problem> {
    let agent = agents::find(&app, &caller, id)?;
    plan.validate()?;
    for dataset in [plan.regression.as_ref().map(|gate| &gate.dataset), plan.safety.dataset.as_ref()] {
        let Some(dataset) = dataset else { continue };
        let unknown = || Problem::unknown_dataset(dataset);
        let id: VersionId = dataset.parse().map_err(|_| unknown())?;
        app.store.dataset(caller.organisation(), id.0).await?.ok_or_else(unknown)?;
    }
    change(&app, &caller, &agent, GateSetting::Plan, &plan).await
}

/// Sets what runs an agent's versions.
#[utoipa::path(
    put,
    path = "/api/learning/agents/{agent_id}/runner",
    tag = "deploy",
    operation_id = "set_runner",
    params(("agent_id" = Uuid, Path)),
    request_body = Runner,
    responses((status = 200, description = "The settings", body = GateSettingsResponse), Problems)
)]
pub(crate) async fn set_runner(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
    Vetted(runner): Vetted<Runner>,
) -> Result<Json<GateSettingsResponse>, Problem> {
    let agent = agents::find(&app, &caller, id)?;
    runner.check(&app.runners)?;
    change(&app, &caller, &agent, GateSetting::Runner, &runner).await
}

async fn change(
    app: &App,
    caller: &Caller,
    agent: &AgentEntry,
    setting: GateSetting,
    body: &impl Serialize,
) -> Result<Json<GateSettingsResponse>, Problem> {
    let body = serde_json::to_string(body).map_err(|error| Problem::internal(&error.to_string()))?;
    app.store.set_gates(caller.actor(app.now()), agent.id, setting, body).await?;
    let Settings { plan, runner, .. } = Settings::load(app, caller.organisation(), agent.id).await?;
    Ok(Json(GateSettingsResponse { gates: plan, runner }))
}

/// An agent's gates.
#[utoipa::path(
    get,
    path = "/api/learning/agents/{agent_id}/gates",
    tag = "deploy",
    operation_id = "get_gates",
    params(("agent_id" = Uuid, Path)),
    responses((status = 200, description = "The settings", body = GateSettingsResponse), Problems)
)]
pub(crate) async fn settings(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<GateSettingsResponse>, Problem> {
    let agent = agents::find(&app, &caller, id)?;
    let Settings { plan, runner, .. } = Settings::load(&app, caller.organisation(), agent.id).await?;
    Ok(Json(GateSettingsResponse { gates: plan, runner }))
}

/// Runs a version's gates in their order, up to the first that fails. Answers when they have run.
#[utoipa::path(
    post,
    path = "/api/learning/agents/{agent_id}/versions/{version}/gates",
    tag = "deploy",
    operation_id = "run_gates",
    params(("agent_id" = Uuid, Path), ("version" = String, Path)),
    responses((status = 200, description = "Where the version stands", body = GatesResponse), Problems)
)]
pub(crate) async fn run(
    State(app): State<Shared>,
    caller: Caller,
    Path((id, version)): Path<(Uuid, String)>,
) -> Result<Json<GatesResponse>, Problem> {
    let agent = agents::find(&app, &caller, id)?;
    let version = known(&agent, &version)?;
    Box::pin(gates::run(&app, caller.actor(app.now()), &agent, version)).await?;
    respond(&app, &caller, &agent, version).await
}

/// Where a version stands: what was found, what is missing.
#[utoipa::path(
    get,
    path = "/api/learning/agents/{agent_id}/versions/{version}/gates",
    tag = "deploy",
    operation_id = "list_gate_results",
    params(("agent_id" = Uuid, Path), ("version" = String, Path)),
    responses((status = 200, description = "Where the version stands", body = GatesResponse), Problems)
)]
pub(crate) async fn results(
    State(app): State<Shared>,
    caller: Caller,
    Path((id, version)): Path<(Uuid, String)>,
) -> Result<Json<GatesResponse>, Problem> {
    let agent = agents::find(&app, &caller, id)?;
    let version = known(&agent, &version)?;
    respond(&app, &caller, &agent, version).await
}

/// Approves a version. Look at the difference first. The same key again changes nothing.
#[utoipa::path(
    post,
    path = "/api/learning/agents/{agent_id}/versions/{version}/approve",
    tag = "deploy",
    operation_id = "approve_version",
    params(("agent_id" = Uuid, Path), ("version" = String, Path)),
    request_body(content = Option<ApproveRequest>),
    responses((status = 200, description = "Where the version stands", body = GatesResponse), Problems)
)]
pub(crate) async fn approve(
    State(app): State<Shared>,
    caller: Caller,
    Path((id, version)): Path<(Uuid, String)>,
    body: Option<Vetted<ApproveRequest>>,
) -> Result<Json<GatesResponse>, Problem> {
    let agent = agents::find(&app, &caller, id)?;
    let version = known(&agent, &version)?;
    let reason = body.map(|Vetted(request)| request.reason).unwrap_or_default();
    let reason = Redactor::new().text(&reason).text.into_owned();
    if reason.chars().count() > 1000 {
        return Err(Invalid::new("reason", reason, "at most 1000 characters").into());
    }
    let now = app.now();
    let approval =
        GateApproval { key: caller.key.id, role: caller.key.role.name().to_owned(), reason, at: now };
    app.store.approve(caller.actor(now), agent.id, version, approval).await?;
    respond(&app, &caller, &agent, version).await
}

/// What a version changes.
#[utoipa::path(
    get,
    path = "/api/learning/agents/{agent_id}/versions/{version}/diff",
    tag = "deploy",
    operation_id = "diff_versions",
    params(("agent_id" = Uuid, Path), ("version" = String, Path), DiffParams),
    responses((status = 200, description = "The difference", body = DiffResponse), Problems)
)]
pub(crate) async fn diff(
    State(app): State<Shared>,
    caller: Caller,
    Path((id, version)): Path<(Uuid, String)>,
    Params(params): Params<DiffParams>,
) -> Result<Json<DiffResponse>, Problem> {
    let agent = agents::find(&app, &caller, id)?;
    let after = known(&agent, &version)?;
    let named = params.against.map(|against| known(&agent, &against)).transpose()?;
    let serving = agent.serving();
    let parent = || {
        let own = serving.state.versions.iter().find(|known| known.id == after)?;
        own.parents.first().copied().or(serving.state.agent.champion).filter(|id| *id != after)
    };
    let before = named.or_else(parent);
    let config = |version: VersionId| {
        let text = serving.arm(version).map_or("null", |arm| arm.config.get());
        serde_json::from_str(text).unwrap_or(Value::Null)
    };
    let empty = || Value::Object(serde_json::Map::new());
    let changed = differences(&before.map_or_else(empty, config), &config(after));
    Ok(Json(DiffResponse { before, after, changed }))
}

fn known(agent: &AgentEntry, version: &str) -> Result<VersionId, Problem> {
    let id: VersionId = version.parse().map_err(|_| Problem::unknown_version(version))?;
    if agent.serving().arm(id).is_none() {
        return Err(Problem::unknown_version(id));
    }
    Ok(id)
}

async fn respond(
    app: &App,
    caller: &Caller,
    agent: &AgentEntry,
    version: VersionId,
) -> Result<Json<GatesResponse>, Problem> {
    let organisation = caller.organisation();
    let settings = Settings::load(app, organisation, agent.id).await?;
    let record = app.store.gate_record(organisation, agent.id, version).await?;
    let state = settings.state(&record);
    let name = state.name();
    let (failed, why, missing) = match state {
        GateState::Unconfigured | GateState::Passed => (None, None, Vec::new()),
        GateState::Failed { gate, why } => (Some(gate.name()), Some(why), Vec::new()),
        GateState::Missing(gates) => (None, None, gates.into_iter().map(|gate| gate.name()).collect()),
    };
    let result = |result: GateResult| {
        Ok(GateResultResponse {
            number: result.number,
            gate: result.gate,
            outcome: result.outcome,
            why: result.why,
            details: RawValue::from_string(result.details).map_err(|e| Problem::internal(&e.to_string()))?,
            current: result.settings == settings.hash,
            at: result.at,
            key_id: result.key.map(|key| key.0),
        })
    };
    let approval = |approval: GateApproval| GateApprovalResponse {
        key_id: approval.key.0,
        role: approval.role,
        reason: approval.reason,
        at: approval.at,
    };
    Ok(Json(GatesResponse {
        state: name,
        failed,
        why,
        missing,
        approvals_needed: settings.plan.approvals(),
        approvals: record.approvals.into_iter().map(approval).collect(),
        results: record.results.into_iter().map(result).collect::<Result<_, Problem>>()?,
    }))
}
