//! `POST /api/learning/decide`: which version should serve this?

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use upswing_domain::{
    AgentId, Assignment, Context, Decision, DecisionId, DecisionReason, ExecutionId, Invalid, Origin,
    Placement, Position, Pseudonym, RolloutId, Timestamp, VersionId,
};
use upswing_privacy::redact::Redactor;
use upswing_privacy::{Token, TokenUse};
use upswing_store::StoreError;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::{App, Shared};
use crate::auth::Caller;
use crate::decide::{Asked, Choice, Who, choose, safe};
use crate::problem::{Code, Problem, Problems};
use crate::profiles::enriched;
use crate::registry::{AgentEntry, Arm, Serving};
use crate::routes::collect::executions::not_nil;
use crate::routes::deploy::config::confirmed;
use crate::runtime::ids;
use crate::wire::json::{self, Json};
use crate::wire::redact::Redact as _;
use crate::wire::schema::{ContextSchema, OriginSchema};

/// How long to wait for room in the write queue.
const PATIENCE: Duration = Duration::from_millis(5);
/// How long to wait for the learner, where `min_position` asks for it.
const LEARNER_PATIENCE: Duration = Duration::from_secs(2);

/// What is known before deciding.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecideRequest {
    /// The agent, or `agent`.
    agent_id: Option<Uuid>,
    /// The agent's name, instead of `agent_id`.
    agent: Option<String>,
    /// Whom it serves; kept as a keyed hash.
    unit: Option<String>,
    /// The visit or conversation, for experiments that assign those; kept as a keyed hash.
    session: Option<String>,
    /// Attributes known before deciding.
    #[schema(value_type = Option<ContextSchema>)]
    context: Option<Context>,
    /// The decision's id, where the client wants to choose it. Asking again with it gives the same decision.
    decision_id: Option<Uuid>,
    /// Wait, up to two seconds, until the learner has read that far.
    min_position: Option<i64>,
    /// Forces a version; the origin becomes `forced`, which teaches nothing.
    #[schema(value_type = Option<String>)]
    version: Option<VersionId>,
    /// `live` (the default), `replay` or `simulated`.
    origin: Option<DecideOrigin>,
    /// Whether to add a token with which a browser may give feedback.
    #[serde(default)]
    feedback_token: bool,
}

/// Where the traffic comes from.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DecideOrigin {
    /// Real use.
    Live,
    /// Recorded outcomes, played again.
    Replay,
    /// A simulation.
    Simulated,
}

/// What to serve, and why.
#[derive(Serialize, ToSchema)]
pub(crate) struct DecideResponse<'a> {
    /// Names the decision: the execution that follows carries it.
    decision_id: Uuid,
    /// The agent.
    agent_id: Uuid,
    /// The version to serve.
    #[schema(value_type = String)]
    version: VersionId,
    /// Its name for people.
    label: &'a str,
    /// Its configuration.
    #[schema(value_type = Object)]
    config: &'a RawValue,
    /// `forced`, `canary`, `holdout`, `experiment`, `policy`, `champion`, `safe` or `restored`.
    #[schema(value_type = String)]
    reason: DecisionReason,
    /// The probability with which this version was chosen, over all stages.
    propensity: f64,
    /// The experiment that assigned it, or keeps this unit out.
    #[serde(skip_serializing_if = "Option::is_none")]
    experiment_id: Option<Uuid>,
    /// `live`, `replay`, `simulated` or `forced`.
    #[schema(value_type = OriginSchema)]
    origin: Origin,
    /// The policy's name.
    policy: &'static str,
    /// The agent's deployment epoch.
    epoch: i64,
    /// Names the state of the policy that chose: the position of the last entry it had learned from.
    policy_revision: i64,
    /// How far the learner has read now.
    learner_position: i64,
    /// Proof of the decision. Sent with the execution or the feedback it restores a record that a crash has lost.
    token: String,
    /// Whether the person should be asked: the configured share of decisions is, always the same ones.
    ask_for_feedback: bool,
    /// With this a browser may give feedback, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    feedback_token: Option<String>,
    /// A version to execute as well, without showing anybody what it answers: a rollout's, before it serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow: Option<ShadowResponse<'a>>,
}

/// A version to execute beside the one that serves. What it did is reported as an execution with this token.
#[derive(Serialize, ToSchema)]
#[schema(as = Shadow)]
pub(crate) struct ShadowResponse<'a> {
    /// The rollout it is compared for.
    rollout_id: Uuid,
    /// The id of its execution.
    execution_id: Uuid,
    /// The version.
    #[schema(value_type = String)]
    version: VersionId,
    /// Its name for people.
    label: &'a str,
    /// Its configuration.
    #[schema(value_type = Object)]
    config: &'a RawValue,
    /// Proof of the pair: an execution that is reported with it is compared with what was served.
    token: String,
}

/// Which version should serve this?
///
/// Answered from memory; the record follows within milliseconds.
#[utoipa::path(
    post,
    path = "/api/learning/decide",
    tag = "deploy",
    request_body = DecideRequest,
    responses((status = 200, description = "The version to serve", body = DecideResponse<'static>), Problems)
)]
pub(crate) async fn decide(
    State(app): State<Shared>,
    caller: Caller,
    Json(request): Json<DecideRequest>,
) -> Result<Response, Problem> {
    let agent = find_agent(&app, &caller, &request)?;
    if let Some(position) = request.min_position {
        wait_for_learner(&agent, Position(position)).await?;
    }
    let wants_feedback_token = request.feedback_token;
    not_nil("decision_id", request.decision_id)?;
    let answer = match request.decision_id {
        None => {
            let decision = fresh(&app, &caller, &agent, request, DecisionId(ids::fresh(app.now())))?;
            let answer = respond(&app, &caller, &agent, &decision, wants_feedback_token)?;
            app.store.record_decision(caller.organisation(), decision, true, PATIENCE).await?;
            answer
        }
        Some(id) => {
            let decision = named(&app, &caller, &agent, request, DecisionId(id)).await?;
            respond(&app, &caller, &agent, &decision, wants_feedback_token)?
        }
    };
    app.counts.decisions.fetch_add(1, Relaxed);
    Ok(answer)
}

fn find_agent(app: &App, caller: &Caller, request: &DecideRequest) -> Result<Arc<AgentEntry>, Problem> {
    let organisation = caller.organisation();
    match (request.agent_id, &request.agent) {
        (Some(id), None) => {
            let agent = app.registry.agent(organisation, AgentId(id));
            agent.ok_or_else(|| Problem::unknown_agent(id).about("agent_id"))
        }
        (None, Some(name)) => {
            let agent = app.registry.agent_named(organisation, name);
            agent.ok_or_else(|| Problem::unknown_agent(name).about("agent"))
        }
        _ => {
            Err(Problem::new(Code::InvalidBody, "name the agent by agent_id, or by agent").about("agent_id"))
        }
    }
}

async fn wait_for_learner(agent: &AgentEntry, position: Position) -> Result<(), Problem> {
    let mut learned = agent.learned();
    if *learned.borrow() >= position {
        return Ok(());
    }
    if let Ok(Ok(_)) = tokio::time::timeout(LEARNER_PATIENCE, learned.wait_for(|p| *p >= position)).await {
        return Ok(());
    }
    let reached = agent.policy().position;
    let detail = format!("the learner has read up to position {reached}, not yet to {position}");
    Err(Problem::new(Code::PositionNotReached, detail).about("min_position"))
}

/// Decides.
fn fresh(
    app: &App,
    caller: &Caller,
    agent: &AgentEntry,
    request: DecideRequest,
    id: DecisionId,
) -> Result<Decision, Problem> {
    let mut request = request;
    request.context.redact(&Redactor::new());
    for (field, text) in [("unit", &request.unit), ("session", &request.session)] {
        if let Some(text) = text.as_ref().filter(|text| text.is_empty() || text.chars().count() > 500) {
            return Err(Invalid::new(field, text, "1 to 500 characters").into());
        }
    }
    let unit = request.unit.as_ref().map(|unit| app.keyring.pseudonym(caller.organisation(), unit));
    let profile = unit.and_then(|unit| app.profiles.get(&(caller.organisation(), agent.id, unit)));
    if let Some(profile) = profile {
        request.context = enriched(request.context.take(), &profile);
    }
    let serving = agent.serving();
    let policy = agent.policy();
    let decision = id.to_string();
    let who = Who { unit: request.unit.as_deref(), session: request.session.as_deref(), decision: &decision };
    let now = app.now();
    let asked = Asked { forced: request.version, context: request.context.as_ref(), id, who, now };
    let Choice { version, reason, propensity, probabilities, seat } = match confirmed(app) {
        Ok(()) => choose(&serving, &policy, asked)?,
        Err(problem) => safe(&serving).ok_or(problem)?,
    };
    let assignment = seat.map(|seat| Assignment {
        experiment: seat.experiment,
        allocation: seat.allocation,
        arm: match seat.placement {
            Placement::Arm(arm) => u16::try_from(arm).ok(),
            Placement::Holdout => None,
        },
        unit: if seat.unit == decision {
            Pseudonym::of_decision(id)
        } else {
            app.keyring.pseudonym(caller.organisation(), seat.unit)
        },
    });
    let origin = match (reason, request.origin) {
        (DecisionReason::Forced, _) => Origin::Forced,
        (_, None | Some(DecideOrigin::Live)) => Origin::Live,
        (_, Some(DecideOrigin::Replay)) => Origin::Replay,
        (_, Some(DecideOrigin::Simulated)) => Origin::Simulated,
    };
    Ok(Decision {
        id,
        agent: agent.id,
        version,
        unit,
        context: request.context,
        reason,
        origin,
        propensity,
        probabilities,
        assignment,
        epoch: serving.state.agent.epoch,
        policy_revision: policy.revision.0,
        decided_at: now,
    })
}

/// The decision of an id that the client chose: the one there is, or a new one.
async fn named(
    app: &App,
    caller: &Caller,
    agent: &AgentEntry,
    request: DecideRequest,
    id: DecisionId,
) -> Result<Arc<Decision>, Problem> {
    let organisation = caller.organisation();
    let known = match app.recent.get(organisation, id) {
        Some(decision) => Some(decision),
        None => match app.store.decision(organisation, id).await {
            Ok(stored) => stored.map(|stored| app.recent.insert(organisation, stored.decision).0),
            // Deciding goes on from memory. Should there be a record after all, the first one stands.
            Err(StoreError::Unavailable(_)) => None,
            Err(error) => return Err(error.into()),
        },
    };
    let (decision, new) = match known {
        Some(decision) => (decision, false),
        None => app.recent.insert(organisation, fresh(app, caller, agent, request, id)?),
    };
    if decision.agent != agent.id {
        let detail = format!("decision {id} was made for agent {}", decision.agent);
        return Err(Problem::new(Code::IdConflict, detail).about("decision_id"));
    }
    if new
        && let Err(error) =
            app.store.record_decision(organisation, Decision::clone(&decision), false, PATIENCE).await
    {
        // What is not recorded must not be remembered: asking again then records it.
        app.recent.forget(organisation, id);
        return Err(error.into());
    }
    Ok(decision)
}

/// What is to be executed beside a decision: the version of a rollout that is in its shadow, for the share that is drawn.
/// Only beside what was decided as if there were no rollout: what was forced, or is safe, is no comparison.
fn shadow<'a>(serving: &'a Serving, decision: &Decision) -> Option<(RolloutId, &'a Arm)> {
    let decided = matches!(decision.reason, DecisionReason::Policy | DecisionReason::Champion);
    let mut rollouts = serving.state.rollouts.iter().filter(|_| decided && decision.origin.teaches());
    // What was decided before is asked for again: its execution may be long over.
    let rollout = rollouts.find(|rollout| decision.decided_at >= rollout.created_at)?;
    let rollout = Some(rollout).filter(|rollout| rollout.shadows(decision.id))?;
    let arm = serving.arm(rollout.version).filter(|arm| arm.version != decision.version)?;
    Some((rollout.id, arm))
}

fn respond(
    app: &App,
    caller: &Caller,
    agent: &AgentEntry,
    decision: &Decision,
    wants_feedback_token: bool,
) -> Result<Response, Problem> {
    let serving = agent.serving();
    let policy = agent.policy();
    let arm = serving.arm(decision.version).ok_or_else(|| Problem::unknown_version(decision.version))?;
    let now = app.now();
    let token = Token {
        token_use: TokenUse::Decision,
        agent: decision.agent,
        execution: ExecutionId(decision.id.0),
        decision: decision.id,
        version: decision.version,
        propensity: decision.propensity,
        origin: decision.origin,
        epoch: decision.epoch,
        policy_revision: decision.policy_revision,
        issued_at: decision.decided_at,
        expires_at: Timestamp(0),
    };
    let organisation = caller.organisation();
    let feedback_token = wants_feedback_token.then(|| {
        let expires_at = now.plus_seconds(app.limits.feedback_token_seconds);
        Token { token_use: TokenUse::Feedback, expires_at, ..token.clone() }.seal(&app.keyring, organisation)
    });
    let shadow = shadow(&serving, decision);
    let mut room = 1024 + arm.config.get().len();
    let shadow = match shadow {
        Some((rollout, arm)) => {
            room += 512 + arm.config.get().len();
            let execution = rollout.shadow_of(decision.id);
            let token = Token {
                token_use: TokenUse::Shadow(rollout),
                execution,
                version: arm.version,
                origin: Origin::Shadow,
                ..token.clone()
            };
            Some(ShadowResponse {
                rollout_id: rollout.0,
                execution_id: execution.0,
                version: arm.version,
                label: &arm.label,
                config: &arm.config,
                token: token.seal(&app.keyring, organisation)?,
            })
        }
        None => None,
    };
    let response = DecideResponse {
        decision_id: decision.id.0,
        agent_id: decision.agent.0,
        version: decision.version,
        label: &arm.label,
        config: &arm.config,
        reason: decision.reason,
        propensity: decision.propensity.get(),
        experiment_id: decision.assignment.map(|assignment| assignment.experiment.0),
        origin: decision.origin,
        policy: policy.config.name(),
        epoch: decision.epoch,
        policy_revision: decision.policy_revision,
        learner_position: policy.position.0,
        token: token.seal(&app.keyring, organisation)?,
        ask_for_feedback: app.limits.collects(decision.id.0.as_bytes()),
        feedback_token: feedback_token.transpose()?,
        shadow,
    };
    // Room for everything but the configuration, tokens included.
    let mut bytes = Vec::with_capacity(room);
    serde_json::to_writer(&mut bytes, &response).map_err(|e| Problem::internal(&e.to_string()))?;
    Ok(json::bytes_response(bytes))
}
