//! Rollouts: a version on its way from 0 to 100 % of the traffic, or back.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use upswing_domain::{
    Invalid, Judgement, Rollout, RolloutError, RolloutId, RolloutPlan, RolloutState, Timestamp, Transition,
    VersionId,
};
use upswing_store::{RolloutTransition, StoreError};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::{App, Shared};
use crate::auth::Caller;
use crate::gates;
use crate::jobs::rollouts::judged;
use crate::problem::{Code, Problem, Problems};
use crate::routes::deploy::agents;
use crate::routes::deploy::evidence::{self, NamedEvidence};
use crate::runtime::ids;
use crate::wire::json::{Json, Path, Vetted};
use crate::wire::time;

/// A version to roll out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartRolloutRequest {
    /// The version.
    #[schema(value_type = String)]
    version: VersionId,
    /// How; a canary of 5 % for ten minutes, then 10, 25 and 50 % unless given. Takes `shadow` (share, seconds,
    /// minimum_pairs), `steps` (weights that rise, seconds, minimum_units), `guardrails`, `goal`, `alpha`, `margin`, `unit`, `deadline_seconds`, `freeze`, `automatic`.
    #[serde(default)]
    #[schema(value_type = Object)]
    plan: RolloutPlan,
    /// For people who look later; at most 1000 characters.
    #[serde(default)]
    reason: String,
    /// Starts also where a gate is not passed; needs a reason, and is recorded.
    #[serde(default, rename = "override")]
    overriding: bool,
}

/// Why, and whether although.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MoveRolloutRequest {
    /// For people who look later; at most 1000 characters.
    #[serde(default)]
    reason: String,
    /// Promotes also without proof; needs a reason, and is recorded.
    #[serde(default, rename = "override")]
    overriding: bool,
}

/// A rollout.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Rollout)]
pub(crate) struct RolloutResponse {
    id: Uuid,
    agent_id: Uuid,
    /// The new version.
    #[schema(value_type = String)]
    version: VersionId,
    /// The one it is compared with, which serves again after a rollback.
    #[schema(value_type = String)]
    previous: VersionId,
    /// `running`, `held`, `promoted` or `rolled_back`.
    state: &'static str,
    /// Whether it is in the shadow before its first step, or ended there: executed beside what is served, seen by nobody.
    shadow: bool,
    /// Which step, from 1; 0 in the shadow.
    step: usize,
    /// How many there are.
    steps: usize,
    /// The new version's share of the traffic now.
    weight: f64,
    /// When the step's time is over.
    #[serde(serialize_with = "time::serialize_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    step_ends_at: Option<Timestamp>,
    /// What is not known then is not waited for.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    deadline: Timestamp,
    /// What is known: harm, silence, proof, and how strong each is.
    #[schema(value_type = Object)]
    evidence: Judgement,
    /// The plan.
    #[schema(value_type = Object)]
    plan: RolloutPlan,
    /// Why, as somebody wrote.
    reason: String,
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl RolloutResponse {
    fn new(rollout: Rollout, evidence: Judgement) -> Self {
        let running = rollout.state == RolloutState::Running;
        let seconds = rollout.stage_seconds().filter(|_| running);
        let ends = seconds.map(|seconds| rollout.step_since.plus_seconds(i64::from(seconds)));
        Self {
            id: rollout.id.0,
            agent_id: rollout.agent.0,
            version: rollout.version,
            previous: rollout.previous,
            state: rollout.state.name(),
            shadow: rollout.shadow,
            step: if rollout.shadow { 0 } else { rollout.step + 1 },
            steps: rollout.plan.steps.len(),
            weight: rollout.weight(),
            step_ends_at: ends,
            deadline: rollout.deadline,
            evidence,
            plan: rollout.plan,
            reason: rollout.reason,
            created_at: rollout.created_at,
        }
    }
}

/// Rollouts of an agent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RolloutsResponse {
    /// Oldest first.
    rollouts: Vec<RolloutResponse>,
}

/// Why a version serves or not: what was decided about a rollout, when, by whom or which rule, and on which evidence.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DecisionRecord)]
pub(crate) struct DecisionRecordResponse {
    /// The rollout as it stands.
    rollout: RolloutResponse,
    /// What each configuration key was and became.
    changed: Vec<ChangedKey>,
    /// Everything that was decided, oldest first.
    decisions: Vec<DecidedResponse>,
    /// The executions and the feedback that it rests on.
    evidence: NamedEvidence,
    /// Where all of that stands, and what the version was made from.
    links: Links,
}

/// A key of a configuration that differs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangedKey {
    /// Its path.
    path: String,
    /// What it was; `null` where it was not there.
    #[schema(value_type = Object)]
    before: Value,
    /// What it became; `null` where it is gone.
    #[schema(value_type = Object)]
    after: Value,
}

/// One decision.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DecidedResponse {
    /// `start`, `advance`, `hold`, `resume`, `promote` or `roll_back`.
    kind: String,
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Where the rollout stood afterwards.
    state: &'static str,
    /// At which step, from 1; 0 in the shadow before the first.
    step: usize,
    /// Why.
    why: String,
    /// The key of whoever decided; `null` where a rule did.
    key_id: Option<Uuid>,
    /// What was known.
    #[schema(value_type = Object)]
    evidence: Box<RawValue>,
}

/// From a decision to what it rests on, and back.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Links {
    /// All executions that it was judged by, with what was said of them. From a piece of feedback
    /// `GET /api/learning/feedback/{id}/effects` leads back here.
    evidence: String,
    /// The agent's executions.
    executions: String,
    /// The agent's feedback.
    feedback: String,
    /// The agent's deployments.
    deployments: String,
    /// What the version was made from.
    lineage: String,
}

/// Starts a rollout. The version's share is taken from what is served otherwise, which is what it is compared with.
#[utoipa::path(
    post,
    path = "/api/learning/agents/{agent_id}/rollouts",
    tag = "deploy",
    operation_id = "start_rollout",
    params(("agent_id" = Uuid, Path)),
    request_body = StartRolloutRequest,
    responses((status = 201, description = "The rollout", body = RolloutResponse), Problems)
)]
pub(crate) async fn start(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
    Vetted(request): Vetted<StartRolloutRequest>,
) -> Result<Response, Problem> {
    let agent = agents::find(&app, &caller, id)?;
    reasonable(&request.reason)?;
    request.plan.check()?;
    if agent.serving().arm(request.version).is_none() {
        return Err(Problem::unknown_version(request.version).about("version"));
    }
    let now = app.now();
    let deadline = i64::try_from(request.plan.deadline_seconds).unwrap_or(i64::MAX);
    let rollout = Rollout {
        id: RolloutId(ids::fresh(now)),
        agent: agent.id,
        version: request.version,
        // The champion, as it is when the rollout begins.
        previous: request.version,
        state: RolloutState::Running,
        shadow: request.plan.shadow.is_some(),
        step: 0,
        step_since: now,
        plan: request.plan,
        reason: request.reason,
        created_at: now,
        deadline: now.plus_seconds(deadline),
        revision: 0,
    };
    let gates = gates::require(&app, caller.organisation(), agent.id, rollout.version).await;
    let note = match gates {
        Ok(()) => json!({ "gates": "passed" }),
        Err(problem) if problem.code == Code::GateFailed => {
            if !request.overriding || rollout.reason.is_empty() {
                return Err(problem.about("override"));
            }
            json!({ "gates": problem.detail, "overridden": true })
        }
        Err(problem) => return Err(problem),
    };
    let rollout = app.store.start_rollout(caller.actor(now), rollout, note).await?;
    app.registry.reload_agent(&app.store, caller.organisation(), agent.id).await?;
    let response = respond(&app, &caller, rollout).await?;
    Ok((StatusCode::CREATED, Json(response)).into_response())
}

/// An agent's rollouts.
#[utoipa::path(
    get,
    path = "/api/learning/agents/{agent_id}/rollouts",
    tag = "deploy",
    operation_id = "list_rollouts",
    params(("agent_id" = Uuid, Path)),
    responses((status = 200, description = "The rollouts", body = RolloutsResponse), Problems)
)]
pub(crate) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<RolloutsResponse>, Problem> {
    let agent = agents::find(&app, &caller, id)?;
    let mut rollouts = Vec::new();
    for rollout in app.store.rollouts(caller.organisation(), agent.id).await? {
        rollouts.push(respond(&app, &caller, rollout).await?);
    }
    Ok(Json(RolloutsResponse { rollouts }))
}

/// A rollout, with what is known of it now.
#[utoipa::path(
    get,
    path = "/api/learning/rollouts/{rollout_id}",
    tag = "deploy",
    operation_id = "get_rollout",
    params(("rollout_id" = Uuid, Path)),
    responses((status = 200, description = "The rollout", body = RolloutResponse), Problems)
)]
pub(crate) async fn get(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<RolloutResponse>, Problem> {
    let rollout = app.store.rollout(caller.organisation(), RolloutId(id)).await?;
    respond(&app, &caller, rollout).await.map(Json)
}

async fn respond(app: &App, caller: &Caller, rollout: Rollout) -> Result<RolloutResponse, Problem> {
    let evidence = judged(app, caller.organisation(), &rollout).await?;
    Ok(RolloutResponse::new(rollout, evidence))
}

fn reasonable(reason: &str) -> Result<(), Problem> {
    if reason.chars().count() > 1_000 {
        return Err(Invalid::new("reason", reason, "at most 1000 characters").into());
    }
    Ok(())
}

/// How often somebody's decision is made again when a rule was quicker.
const ATTEMPTS: usize = 20;

async fn make(
    app: &App,
    caller: &Caller,
    id: Uuid,
    request: Option<Vetted<MoveRolloutRequest>>,
    choose: impl Fn(&Judgement, &MoveRolloutRequest) -> Result<Transition, Problem>,
) -> Result<Json<RolloutResponse>, Problem> {
    let request = request.map(|Vetted(request)| request).unwrap_or_default();
    reasonable(&request.reason)?;
    let organisation = caller.organisation();
    let mut attempt = 0;
    loop {
        let rollout = app.store.rollout(organisation, RolloutId(id)).await?;
        let evidence = judged(app, organisation, &rollout).await?;
        let transition = choose(&evidence, &request)?;
        let told = serde_json::to_value(&evidence).unwrap_or_default();
        let agent = rollout.agent;
        let (actor, reason) = (caller.actor(app.now()), request.reason.clone());
        let made = app.store.transition_rollout(actor, rollout, transition, told, reason).await;
        app.registry.reload_agent(&app.store, organisation, agent).await?;
        match made {
            Err(StoreError::LeaseLost) if attempt < ATTEMPTS => attempt += 1,
            made => return Ok(Json(RolloutResponse::new(made?, evidence))),
        }
    }
}

/// Gives everybody the new version. Without proof that it is not worse this needs `override` and a reason.
#[utoipa::path(
    post,
    path = "/api/learning/rollouts/{rollout_id}/promote",
    tag = "deploy",
    operation_id = "promote_rollout",
    params(("rollout_id" = Uuid, Path)),
    request_body = Option<MoveRolloutRequest>,
    responses((status = 200, description = "It serves everybody", body = RolloutResponse), Problems)
)]
pub(crate) async fn promote(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
    request: Option<Vetted<MoveRolloutRequest>>,
) -> Result<Json<RolloutResponse>, Problem> {
    make(&app, &caller, id, request, |judged, request| {
        if judged.not_inferior && judged.harm.is_none() && judged.silent.is_none() {
            return Ok(Transition::Promote { why: "somebody promoted it, on proof".to_owned() });
        }
        if !request.overriding || request.reason.is_empty() {
            let why = match (&judged.harm, &judged.silent) {
                (Some(guardrail), _) => format!("{guardrail} is worse"),
                (None, Some(stream)) => format!("nothing was heard of {stream}"),
                (None, None) => format!("not proven to be as good: {}", judged.unproven.join(", ")),
            };
            return Err(RolloutError::NotProven(why).into());
        }
        Ok(Transition::Promote { why: "somebody promoted it although it was not proven".to_owned() })
    })
    .await
}

/// Keeps the share as it is until somebody decides. Harm still takes the version back.
#[utoipa::path(
    post,
    path = "/api/learning/rollouts/{rollout_id}/hold",
    tag = "deploy",
    operation_id = "hold_rollout",
    params(("rollout_id" = Uuid, Path)),
    request_body = Option<MoveRolloutRequest>,
    responses((status = 200, description = "It is held", body = RolloutResponse), Problems)
)]
pub(crate) async fn hold(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
    request: Option<Vetted<MoveRolloutRequest>>,
) -> Result<Json<RolloutResponse>, Problem> {
    make(&app, &caller, id, request, |_, _| Ok(Transition::Hold { why: "somebody held it".to_owned() })).await
}

/// Lets a held rollout go on.
#[utoipa::path(
    post,
    path = "/api/learning/rollouts/{rollout_id}/resume",
    tag = "deploy",
    operation_id = "resume_rollout",
    params(("rollout_id" = Uuid, Path)),
    request_body = Option<MoveRolloutRequest>,
    responses((status = 200, description = "It goes on", body = RolloutResponse), Problems)
)]
pub(crate) async fn resume(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
    request: Option<Vetted<MoveRolloutRequest>>,
) -> Result<Json<RolloutResponse>, Problem> {
    make(&app, &caller, id, request, |_, _| Ok(Transition::Resume)).await
}

/// Takes the new version back, at once.
#[utoipa::path(
    post,
    path = "/api/learning/rollouts/{rollout_id}/rollback",
    tag = "deploy",
    operation_id = "rollback_rollout",
    params(("rollout_id" = Uuid, Path)),
    request_body = Option<MoveRolloutRequest>,
    responses((status = 200, description = "It serves nobody", body = RolloutResponse), Problems)
)]
pub(crate) async fn roll_back(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
    request: Option<Vetted<MoveRolloutRequest>>,
) -> Result<Json<RolloutResponse>, Problem> {
    make(&app, &caller, id, request, |_, _| {
        Ok(Transition::RollBack { why: "somebody took it back".to_owned() })
    })
    .await
}

/// Why the version serves or not: every decision with its evidence. A page for people where the client asks for HTML.
#[utoipa::path(
    get,
    path = "/api/learning/rollouts/{rollout_id}/record",
    tag = "deploy",
    operation_id = "rollout_record",
    params(("rollout_id" = Uuid, Path)),
    responses((status = 200, description = "The record", body = DecisionRecordResponse), Problems)
)]
pub(crate) async fn record(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let organisation = caller.organisation();
    let rollout = app.store.rollout(organisation, RolloutId(id)).await?;
    let transitions = app.store.rollout_transitions(organisation, rollout.id).await?;
    let evidence = evidence::named(&app, organisation, &rollout, &transitions).await?;
    let decisions = transitions.into_iter().map(decided).collect::<Result<Vec<_>, _>>()?;
    let agent = agents::find(&app, &caller, rollout.agent.0)?;
    let changed = {
        let serving = agent.serving();
        let config = |version: VersionId| {
            let text = serving.arm(version).map_or("null", |arm| arm.config.get());
            serde_json::from_str(text).unwrap_or(Value::Null)
        };
        let mut changed = Vec::new();
        difference(String::new(), &config(rollout.previous), &config(rollout.version), &mut changed);
        changed
    };
    let (of, version) = (rollout.agent, rollout.version);
    let links = Links {
        evidence: evidence.all().to_owned(),
        executions: format!("/api/learning/export/executions?agent_id={of}"),
        feedback: format!("/api/learning/export/feedback?agent_id={of}"),
        deployments: format!("/api/learning/agents/{of}/deployments"),
        lineage: format!("/api/learning/lineage/version/{version}"),
    };
    let rollout = respond(&app, &caller, rollout).await?;
    let record = DecisionRecordResponse { rollout, changed, decisions, evidence, links };
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accepts.contains("text/html") && !accepts.contains("application/json") {
        let html = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (
                header::CONTENT_SECURITY_POLICY,
                "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
            ),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
        ];
        return Ok((html, page(&record)).into_response());
    }
    Ok(Json(record).into_response())
}

fn decided(transition: RolloutTransition) -> Result<DecidedResponse, Problem> {
    Ok(DecidedResponse {
        kind: transition.kind,
        at: transition.at,
        state: transition.state.name(),
        step: transition.step.map_or(0, |step| step + 1),
        why: transition.why,
        key_id: transition.key.map(|key| key.0),
        evidence: RawValue::from_string(transition.evidence)
            .map_err(|error| Problem::internal(&format!("the evidence of a transition: {error}")))?,
    })
}

/// What differs between two configurations, key by key.
pub(crate) fn differences(before: &Value, after: &Value) -> Vec<ChangedKey> {
    let mut changed = Vec::new();
    difference(String::new(), before, after, &mut changed);
    changed
}

fn difference(path: String, before: &Value, after: &Value, into: &mut Vec<ChangedKey>) {
    match (before, after) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))) {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let of =
                    |object: &serde_json::Map<String, Value>| object.get(key).cloned().unwrap_or(Value::Null);
                difference(path, &of(a), &of(b), into);
            }
        }
        (before, after) if before != after => {
            into.push(ChangedKey { path, before: before.clone(), after: after.clone() });
        }
        _ => {}
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The record for people.
fn page(record: &DecisionRecordResponse) -> String {
    let rows: String = record
        .decisions
        .iter()
        .map(|decision| {
            let who = decision.key_id.map_or_else(|| "by rule".to_owned(), |key| format!("by key {key}"));
            format!(
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td><code>{}</code></td></tr>",
                escaped(&time::to_text(decision.at)),
                escaped(&decision.kind),
                decision.step,
                escaped(&decision.why),
                escaped(&who),
                escaped(decision.evidence.get()),
            )
        })
        .collect();
    let changed: String = record
        .changed
        .iter()
        .map(|key| {
            let (before, after) = (key.before.to_string(), key.after.to_string());
            format!(
                "<tr><td>{}</td><td>{}</td><td>{}</td></tr>",
                escaped(&key.path),
                escaped(&before),
                escaped(&after)
            )
        })
        .collect();
    let rollout = &record.rollout;
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Rollout {id}</title><style>body{{font:16px/1.5 \
         system-ui;margin:2rem auto;max-width:70rem;padding:0 1rem}}table{{border-collapse:collapse;width:100%}}td,th{{\
         border-bottom:1px solid #ccc;padding:.4rem;text-align:left;vertical-align:top}}code{{font-size:.8rem;\
         overflow-wrap:anywhere}}h1,p,td{{overflow-wrap:anywhere}}h1{{font-size:1.5rem}}</style><h1>Version {version}: {state}</h1><p>{reason}</p><p>It was compared with \
         {previous}. Its share of the traffic is {weight:.0} %.</p><h2>What changed</h2><table><tr><th>Key<th>Before<th>After\
         </tr>{changed}</table><h2>What was decided</h2><table><tr><th>When<th>What<th>Step<th>Why<th>Who<th>On which \
         evidence</tr>{rows}</table>{evidence}</html>",
        evidence = evidence::html(&record.evidence, escaped),
        id = rollout.id,
        version = rollout.version,
        state = escaped(&rollout.state.replace('_', " ")),
        reason = escaped(&rollout.reason),
        previous = rollout.previous,
        weight = rollout.weight * 100.0,
    )
}

impl From<RolloutError> for Problem {
    fn from(error: RolloutError) -> Self {
        let detail = error.to_string();
        let (code, field) = match error {
            RolloutError::Invalid(invalid) => return Self::from(invalid.under("plan")),
            RolloutError::StepsFall { .. } => (Code::RolloutSteps, "plan.steps"),
            RolloutError::AlreadyLive(_) => (Code::AlreadyLive, "version"),
            RolloutError::Retired(_) => (Code::VersionRetired, "version"),
            RolloutError::NoChampion => (Code::NoChampion, "version"),
            RolloutError::Busy(_) => (Code::TrafficBusy, "agent_id"),
            RolloutError::State { .. } => return Self::new(Code::RolloutState, detail),
            RolloutError::NotProven(_) => (Code::NotProven, "override"),
        };
        Self::new(code, detail).about(field)
    }
}
