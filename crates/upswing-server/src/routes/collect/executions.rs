//! Executions: what an agent did.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use upswing_domain::{
    AgentId, Context, DecisionId, Enrichment, Execution, ExecutionId, Invalid, Origin, Permission, RolloutId,
    ShadowExecution, Timestamp, VersionId,
};
use upswing_privacy::redact::Redactor;
use upswing_privacy::{Token, TokenUse};
use upswing_store::{Ack, Event, Fingerprint, StoredExecution};
use utoipa::ToSchema;
use uuid::Uuid;

use super::proof;
use crate::app::{App, Shared};
use crate::auth::Caller;
use crate::problem::{Code, Problem, Problems};
use crate::runtime::ids;
use crate::trust;
use crate::wire::batch::{self, BatchResponse, Items};
use crate::wire::json::{self, Json, Path};
use crate::wire::redact::Redact as _;
use crate::wire::schema::{ContextSchema, EnrichmentSchema, OriginSchema};
use crate::wire::time;

/// The largest value of a metric, either way.
const LARGEST_METRIC: f64 = 1e12;
/// How many metrics one execution may carry.
const MAX_METRICS: usize = 64;

/// What was done. Only `agent_id` is required.
///
/// The fields that are serialised, in this order, are what the fingerprint covers: all that the client sent, except the
/// id, which it is stored under, and the token, which may be a fresh one of the same decision.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExecutionRequest {
    /// Its id. The decision's unless given, or a fresh one where there was no decision.
    #[serde(skip_serializing)]
    id: Option<Uuid>,
    /// Who ran.
    agent_id: Uuid,
    /// The decision it followed from.
    #[serde(skip_serializing_if = "Option::is_none")]
    decision_id: Option<Uuid>,
    /// The token that came with the decision: restores the record of it, should it have been lost. With the one that stands
    /// under `shadow` there, it is what ran beside the decision: it is compared with what was served, and nothing else.
    #[serde(skip_serializing)]
    token: Option<String>,
    /// The version that ran; the decision's unless given.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<VersionId>,
    /// Whom it served; kept as a keyed hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    /// Whose data this is, for erasure; kept as a keyed hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    /// The conversation or visit.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    /// The trace it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
    /// The execution that called this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_id: Option<Uuid>,
    /// Its place within the trace.
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<i64>,
    /// Attributes known before it ran.
    #[schema(value_type = Option<ContextSchema>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<Context>,
    /// What went in.
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<String>,
    /// What came out.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    /// Named measurements: `latency_ms`, `input_tokens`, `output_tokens`, `cost`, `confidence` and your own.
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<BTreeMap<String, f64>>,
    /// What went wrong, if anything: a short type, not a message.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Where the traffic comes from; the decision's where its token is sent, otherwise `live`. `shadow` needs its token.
    #[schema(value_type = Option<OriginSchema>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<Origin>,
    /// When it happened; now unless given.
    #[schema(format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    occurred_at: Option<String>,
}

/// Where it is stored.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExecutionStoredResponse {
    /// Its id.
    id: Uuid,
    /// Its place in the organisation's sequence.
    position: i64,
    /// `stored`, or `duplicate` when it had been stored before.
    status: &'static str,
    /// With this a browser may give feedback about it. Nobody sees what ran in a shadow: there it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    feedback_token: Option<String>,
}

/// An execution that is ready to be written.
struct Prepared {
    id: ExecutionId,
    agent: AgentId,
    proof: Option<Token>,
    event: Event,
}

/// Reports one execution, or a batch as a JSON array or NDJSON.
///
/// 2xx means: on disk. One object answers 201, or 200 when it had been stored before; a batch answers 200 and refuses bad
/// items by their index. Sending the same ids again changes nothing.
#[utoipa::path(
    post,
    path = "/api/learning/executions",
    tag = "collect",
    operation_id = "report_executions",
    params(("Idempotency-Key" = Option<String>, Header, description = "Stands for the id of a single object")),
    request_body(content(
        (ExecutionRequest = "application/json"),
        (String = "application/x-ndjson")
    )),
    responses(
        (status = 201, description = "Stored", body = ExecutionStoredResponse),
        (status = 200, description = "A batch, or one that had been stored before", body = BatchResponse),
        Problems
    )
)]
pub(crate) async fn report(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    json::media_type(&headers)?;
    let body = json::read(body).await?;
    let organisation = caller.organisation();
    let key = batch::idempotency_key(&headers, organisation.0, "execution")?;
    match batch::read::<ExecutionRequest>(&headers, &body)? {
        Items::One(request) => {
            let Prepared { id, agent, proof, event } = prepare(&app, &caller, *request, key)?;
            let shadow = matches!(event, Event::Shadow { .. });
            let acks = app.store.write(organisation, app.now(), vec![event]).await?;
            let ack = acks.into_iter().next().ok_or_else(|| Problem::internal("a write was not answered"))?;
            let (position, status, name) = match ack {
                Ack::Stored { position, .. } => (position, StatusCode::CREATED, "stored"),
                Ack::Duplicate { position, .. } => (position, StatusCode::OK, "duplicate"),
                refused => return Err(refusal(refused, "execution", id.0)),
            };
            let token = || proof::feedback_token(&app, organisation, agent, id, proof);
            let feedback_token = (!shadow).then(token).transpose()?;
            let response =
                ExecutionStoredResponse { id: id.0, position: position.0, status: name, feedback_token };
            Ok((status, Json(response)).into_response())
        }
        Items::Many(items) => {
            batch::refuse_key(key)?;
            let mut response = BatchResponse::default();
            let mut events = Vec::with_capacity(items.len());
            let mut places = Vec::with_capacity(items.len());
            for (index, item) in items.into_iter().enumerate() {
                match item.and_then(|request| prepare(&app, &caller, request, None)) {
                    Ok(prepared) => {
                        places.push((index, prepared.id.0));
                        events.push(prepared.event);
                    }
                    Err(problem) => response.rejected(index, &problem),
                }
            }
            write_batch(&app, &caller, "execution", places, events, &mut response).await?;
            Ok(Json(response).into_response())
        }
    }
}

/// Writes a batch and notes what became of each item.
pub(super) async fn write_batch(
    app: &App,
    caller: &Caller,
    noun: &str,
    places: Vec<(usize, Uuid)>,
    events: Vec<Event>,
    response: &mut BatchResponse,
) -> Result<(), Problem> {
    if events.is_empty() {
        return Ok(());
    }
    let acks = app.store.write(caller.organisation(), app.now(), events).await?;
    for ((index, id), ack) in places.into_iter().zip(acks) {
        match ack {
            Ack::Stored { position, .. } => response.stored(position, false),
            Ack::Duplicate { position, .. } => response.stored(position, true),
            refused => response.rejected(index, &refusal(refused, noun, id)),
        }
    }
    response.rejected.sort_by_key(|item| item.index);
    Ok(())
}

/// Why an event was not stored.
pub(super) fn refusal(ack: Ack, noun: &str, id: Uuid) -> Problem {
    match ack {
        Ack::Conflict => {
            Problem::new(Code::IdConflict, format!("{noun} {id} is stored with other content")).about("id")
        }
        Ack::TokenExhausted => {
            Problem::new(Code::TokenExhausted, "the token has been used as often as it may be").about("token")
        }
        Ack::NoConsent(purpose) => {
            let detail = format!("the person has not agreed to {}", purpose.name());
            Problem::new(Code::ConsentMissing, detail)
        }
        Ack::OtherAgent(reason) => Problem::new(Code::Conflict, reason).about("agent_id"),
        Ack::Refused(reason) => {
            tracing::warn!(reason, noun, %id, "the database refused an event");
            Problem::new(Code::ValueOutOfRange, format!("the database cannot store {noun} {id}"))
        }
        Ack::Stored { .. } | Ack::Duplicate { .. } => {
            Problem::internal("a stored event was taken for a refused one")
        }
    }
}

/// Checks one item and makes it an event; `key` stands for its id where it has none.
fn prepare(
    app: &App,
    caller: &Caller,
    mut request: ExecutionRequest,
    key: Option<Uuid>,
) -> Result<Prepared, Problem> {
    let organisation = caller.organisation();
    let agent = app
        .registry
        .agent(organisation, AgentId(request.agent_id))
        .ok_or_else(|| Problem::unknown_agent(request.agent_id).about("agent_id"))?;
    if let Some(version) = request.version
        && agent.serving().arm(version).is_none()
    {
        return Err(Problem::unknown_version(version).about("version"));
    }
    check(&request)?;
    let canonical = serde_json::to_vec(&request).map_err(|e| Problem::internal(&e.to_string()))?;
    let fingerprints = app.keyring.fingerprints(organisation, &canonical);
    request.redact();
    let proof =
        request.token.as_deref().map(|token| proof::open_any(app, organisation, token)).transpose()?;
    if let Some(token) = &proof
        && let TokenUse::Shadow(rollout) = token.token_use
    {
        return beside(app, caller, request, (rollout, token), fingerprints);
    }
    if request.origin == Some(Origin::Shadow) {
        let detail = "origin is shadow, but no token says beside which decision this ran";
        return Err(Problem::new(Code::ShadowUnproven, detail).about("token"));
    }
    let mut decision = request.decision_id.map(DecisionId);
    if let Some(token) = &proof {
        proof::check(token.agent == agent.id, "agent")?;
        proof::check(decision.is_none_or(|id| id == token.decision), "decision")?;
        let proved = (!token.decision.0.is_nil()).then_some(token.decision);
        let version_agrees =
            request.version.is_none_or(|version| proved.is_none() || version == token.version);
        proof::check(version_agrees, "version")?;
        decision = proved;
    }
    let now = app.now();
    let id = request.id.or(key).or(decision.map(|id| id.0)).unwrap_or_else(|| ids::fresh(now));
    let pseudonym = |identity: &Option<String>| {
        identity.as_ref().map(|identity| app.keyring.pseudonym(organisation, identity))
    };
    let unit = pseudonym(&request.unit);
    let occurred_at = match &request.occurred_at {
        Some(text) => time::parse("occurred_at", text)?,
        None => now,
    };
    let restore = proof.as_ref().and_then(|token| proof::restored(token, unit));
    let enrichment = trust::enrichment(app, request.input.as_deref());
    let execution = Execution {
        id: ExecutionId(id),
        agent: agent.id,
        decision,
        version: request.version.or(restore.as_ref().map(|decision| decision.version)),
        unit,
        subject: pseudonym(&request.subject),
        session: request.session,
        trace: request.trace,
        parent: request.parent_id.map(ExecutionId),
        step: request.step,
        context: request.context,
        input: request.input,
        output: request.output,
        metrics: request.metrics.unwrap_or_default(),
        error: request.error,
        record: None,
        enrichment,
        origin: request.origin.or(proof.as_ref().map(|token| token.origin)).unwrap_or_default(),
        occurred_at,
    };
    Ok(Prepared {
        id: execution.id,
        agent: agent.id,
        proof,
        event: Event::Execution { execution: Box::new(execution), fingerprints, restore },
    })
}

/// What ran beside a decision, as its token proves it; the token names it, whatever key it is sent with. Of texts only what the
/// comparison needs goes on from here.
fn beside(
    app: &App,
    caller: &Caller,
    request: ExecutionRequest,
    (rollout, token): (RolloutId, &Token),
    fingerprints: Vec<Fingerprint>,
) -> Result<Prepared, Problem> {
    let organisation = caller.organisation();
    proof::check(token.agent == AgentId(request.agent_id), "agent")?;
    proof::check(request.decision_id.is_none_or(|id| DecisionId(id) == token.decision), "decision")?;
    proof::check(request.version.is_none_or(|version| version == token.version), "version")?;
    proof::check(request.id.is_none_or(|id| ExecutionId(id) == token.execution), "execution")?;
    proof::check(request.origin.is_none_or(|origin| origin == Origin::Shadow), "origin")?;
    let occurred_at = match &request.occurred_at {
        Some(text) => time::parse("occurred_at", text)?,
        None => app.now(),
    };
    let shadow = ShadowExecution {
        rollout,
        decision: token.decision,
        agent: token.agent,
        version: token.version,
        subject: request.subject.as_ref().map(|subject| app.keyring.pseudonym(organisation, subject)),
        metrics: request.metrics.unwrap_or_default(),
        error: request.error,
        output: request.output,
        occurred_at,
    };
    Ok(Prepared {
        id: token.execution,
        agent: token.agent,
        proof: None,
        event: Event::Shadow { shadow: Box::new(shadow), fingerprints },
    })
}

/// The nil UUID stands for "none" in too many programs to name anything.
pub(in crate::routes) fn not_nil(field: &str, id: Option<Uuid>) -> Result<(), Invalid> {
    match id {
        Some(id) if id.is_nil() => Err(Invalid::new(field, id, "a UUID that is not nil")),
        _ => Ok(()),
    }
}

impl ExecutionRequest {
    fn redact(&mut self) {
        let redactor = Redactor::new();
        for text in [&mut self.session, &mut self.trace, &mut self.error, &mut self.input, &mut self.output] {
            text.redact(&redactor);
        }
        self.context.redact(&redactor);
        self.metrics.redact(&redactor);
    }
}

/// What no type checks.
fn check(request: &ExecutionRequest) -> Result<(), Invalid> {
    for (field, id) in [("id", request.id), ("decision_id", request.decision_id)] {
        not_nil(field, id)?;
    }
    let short = [
        ("unit", &request.unit, 500),
        ("subject", &request.subject, 500),
        ("session", &request.session, 200),
        ("trace", &request.trace, 200),
        ("error", &request.error, 200),
    ];
    for (field, text, most) in short {
        if let Some(text) = text
            && (text.is_empty() || text.chars().count() > most)
        {
            return Err(Invalid::new(field, text, format!("1 to {most} characters")));
        }
    }
    let metrics = request.metrics.iter().flatten();
    if let Some(count) = request.metrics.as_ref().map(BTreeMap::len).filter(|count| *count > MAX_METRICS) {
        return Err(Invalid::new("metrics", count, format!("at most {MAX_METRICS} metrics")));
    }
    for (name, value) in metrics {
        // What rewards and feedback are counted under.
        if name == "reward" || name == "executions" || name.starts_with("feedback.") {
            return Err(Invalid::new("metrics", name, "another name: rewards are given as feedback"));
        }
        if name.is_empty() || name.chars().count() > 100 {
            return Err(Invalid::new("metrics", name, "names of 1 to 100 characters"));
        }
        // Beyond it sums and sketches would have to cut the value off.
        if !(-LARGEST_METRIC..=LARGEST_METRIC).contains(value) {
            return Err(Invalid::new(format!("metrics.{name}"), value, "a number from -1e12 to 1e12"));
        }
    }
    Ok(())
}

/// A stored execution with its outcome.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Execution)]
pub(crate) struct ExecutionResponse {
    id: Uuid,
    agent_id: Uuid,
    decision_id: Option<Uuid>,
    /// The version that ran, as reported or as decided.
    #[schema(value_type = Option<String>)]
    version: Option<VersionId>,
    /// The unit's keyed hash.
    unit: Option<String>,
    /// The subject's keyed hash.
    subject: Option<String>,
    session: Option<String>,
    trace: Option<String>,
    parent_id: Option<Uuid>,
    step: Option<i64>,
    #[schema(value_type = Option<ContextSchema>)]
    context: Option<Context>,
    /// What went in; only for keys that may read content.
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<String>,
    /// What came out; only for keys that may read content.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    metrics: BTreeMap<String, f64>,
    error: Option<String>,
    #[schema(value_type = OriginSchema)]
    origin: Origin,
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    occurred_at: Timestamp,
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    received_at: Timestamp,
    /// Its place in the organisation's sequence.
    position: i64,
    /// Its reward now; `null` where nothing is known.
    reward: Option<f64>,
    /// The shape of `record`.
    #[serde(skip_serializing_if = "Option::is_none")]
    record_type: Option<String>,
    /// What the run was taken from: a product's own record, or its spans; only for keys that may read content.
    #[schema(value_type = Option<Object>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<Box<RawValue>>,
    /// What the input is about; only for keys that may read content.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<EnrichmentSchema>)]
    enrichment: Option<Enrichment>,
    /// The execution that this one turned out to be part of, where spans that came later said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    superseded_by: Option<Uuid>,
}

impl ExecutionResponse {
    /// The stored execution, with what people and models wrote where the caller may read that.
    pub(super) fn new(stored: StoredExecution, with_content: bool) -> Self {
        let StoredExecution { execution, position, received_at, reward } = stored;
        let (record_type, record) = execution.record.map(|record| (record.kind, record.body)).unzip();
        Self {
            id: execution.id.0,
            agent_id: execution.agent.0,
            decision_id: execution.decision.map(|id| id.0),
            version: execution.version,
            unit: execution.unit.map(|unit| unit.to_string()),
            subject: execution.subject.map(|subject| subject.to_string()),
            session: execution.session,
            trace: execution.trace,
            parent_id: execution.parent.map(|id| id.0),
            step: execution.step,
            context: execution.context,
            input: execution.input.filter(|_| with_content),
            output: execution.output.filter(|_| with_content),
            metrics: execution.metrics,
            error: execution.error,
            origin: execution.origin,
            occurred_at: execution.occurred_at,
            received_at,
            position: position.0,
            reward: reward.map(upswing_domain::Reward::get),
            record_type,
            record: record.filter(|_| with_content).and_then(|body| RawValue::from_string(body).ok()),
            enrichment: execution.enrichment.filter(|_| with_content),
            superseded_by: None,
        }
    }
}

/// One execution with its outcome.
#[utoipa::path(
    get,
    path = "/api/learning/executions/{execution_id}",
    tag = "collect",
    operation_id = "get_execution",
    params(("execution_id" = Uuid, Path)),
    responses((status = 200, description = "The execution", body = ExecutionResponse), Problems)
)]
pub(crate) async fn get(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<ExecutionResponse>, Problem> {
    let stored = app.store.execution(caller.organisation(), ExecutionId(id)).await?;
    let stored = stored.ok_or_else(|| Problem::not_found("execution", id))?;
    let superseded_by = app.store.superseded_by(caller.organisation(), ExecutionId(id)).await?;
    Ok(Json(ExecutionResponse {
        superseded_by: superseded_by.map(|id| id.0),
        ..ExecutionResponse::new(stored, caller.can(Permission::ReadContent))
    }))
}
