//! Feedback: how an execution was received.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use upswing_domain::{
    AgentId, Dimensions, Enrichment, ExecutionId, Feedback, FeedbackId, FeedbackSource, FeedbackType, Flag,
    Invalid, OrganisationId, Permission, Reward, Role, Standing, Target, Timestamp,
};
use upswing_otlp::TraceId;
use upswing_privacy::TokenUse;
use upswing_privacy::redact::Redactor;
use upswing_store::{Ack, Arrived, Event, NewWaiting, StoredFeedback};
use upswing_trust::{Dependencies, check_dependencies};
use utoipa::ToSchema;
use uuid::Uuid;

use super::executions::{not_nil, refusal, write_batch};
use super::proof;
use crate::app::{App, Shared};
use crate::auth::Caller;
use crate::problem::{Code, Problem, Problems};
use crate::runtime::ids;
use crate::telemetry::intake::Intake;
use crate::telemetry::statement::{Given, Waiting};
use crate::trust::{self, Statement};
use crate::wire::batch::{self, BatchResponse, Items};
use crate::wire::details::Details;
use crate::wire::json::{self, Json, Path};
use crate::wire::redact::Redact as _;
use crate::wire::schema::{EnrichmentSchema, FeedbackSourceSchema, FeedbackTypeSchema, FlagSchema};
use crate::wire::time;

/// How an execution was received.
///
/// The fields that are serialised, in this order, are what the fingerprint covers: all that the client sent, except the
/// id, which it is stored under, and the token, which may be a fresh one of the same execution.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FeedbackRequest {
    /// Its id; a fresh one unless given.
    #[serde(skip_serializing)]
    id: Option<Uuid>,
    /// The execution it is about; the token's unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    execution_id: Option<Uuid>,
    /// Whose execution it is; the token's unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_id: Option<Uuid>,
    /// Instead of an execution: a whole session.
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
    /// Instead of an execution: whom the agent serves; kept as a keyed hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    /// What kind of statement.
    #[schema(value_type = FeedbackTypeSchema)]
    feedback_type: FeedbackType,
    /// Stars, 1 to 5.
    #[schema(value_type = Option<u8>, minimum = 1, maximum = 5)]
    #[serde(skip_serializing_if = "Option::is_none")]
    rating: Option<f64>,
    /// What the person wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    feedback_text: Option<String>,
    /// What the answer should have been.
    #[serde(skip_serializing_if = "Option::is_none")]
    correction_text: Option<String>,
    /// What is wrong, in the application's categories.
    #[serde(skip_serializing_if = "Option::is_none")]
    issue_categories: Option<Vec<String>>,
    /// Stars by dimension.
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<DimensionsRequest>,
    /// The statement in full, where it has a shape of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details>,
    /// Measured outcomes by name, within the bounds of the agent's reward definition.
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<BTreeMap<String, f64>>,
    /// Who speaks; `user` unless given.
    #[schema(value_type = Option<FeedbackSourceSchema>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<FeedbackSource>,
    /// The person; kept as a keyed hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<String>,
    /// The token of the decision, or the feedback token of the execution. Publishable keys need the latter.
    #[serde(skip_serializing)]
    token: Option<String>,
    /// When it was said; now unless given.
    #[schema(format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    occurred_at: Option<String>,
    /// Instead of an execution: the trace that it is, or will be, of. 32 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    /// Instead of an execution: the provider's id of the answer, as telemetry reports it.
    #[serde(skip_serializing_if = "Option::is_none")]
    response_id: Option<String>,
}

impl FeedbackRequest {
    /// What can be said of it without knowing what it is about.
    pub(super) fn is_sound(&self) -> bool {
        self.details.as_ref().is_none_or(|details| details.validate().is_ok() && details.payload().is_ok())
            && stars("rating", self.rating).is_ok()
            && dimensions(self.dimensions).is_ok()
    }
}

/// Stars by dimension, 1 to 5 each.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Dimensions)]
pub(crate) struct DimensionsRequest {
    /// Is it right?
    #[serde(skip_serializing_if = "Option::is_none")]
    accuracy: Option<f64>,
    /// Does it help?
    #[serde(skip_serializing_if = "Option::is_none")]
    helpfulness: Option<f64>,
    /// Is it clear?
    #[serde(skip_serializing_if = "Option::is_none")]
    clarity: Option<f64>,
    /// Is anything missing?
    #[serde(skip_serializing_if = "Option::is_none")]
    completeness: Option<f64>,
}

/// Where it is stored, and what the execution's reward is now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FeedbackStoredResponse {
    /// Its id.
    id: Uuid,
    /// Its place in the organisation's sequence; `decide` takes it as `min_position`. `null` while it waits, stored, for
    /// the execution that its `trace_id` or `response_id` names.
    position: Option<i64>,
    /// `stored`, or `duplicate` when it had been stored before.
    status: &'static str,
    /// The execution; `null` where it is about a session, a unit or several executions, and while it waits.
    execution_id: Option<Uuid>,
    /// The execution's reward now; `null` where nothing is known.
    reward: Option<f64>,
    /// Whether the person should be asked for details: few stars, and nothing said yet.
    ask_for_details: bool,
}

/// Feedback that is ready to be written.
pub(super) struct Prepared {
    pub(super) id: FeedbackId,
    /// Telemetry of what is not among the collected share: acknowledged, and not kept.
    pub(super) sampled_out: bool,
    pub(super) execution: Option<ExecutionId>,
    pub(super) event: Event,
    /// Under which name it looks for its execution, where it does not name it itself.
    pub(super) wants: Option<String>,
}

/// Feedback that knows what it is about, or that waits to know.
enum Placed {
    Here(Box<Prepared>),
    Waits(NewWaiting),
}

/// Finds the execution that feedback names by its trace or answer. Where there is none yet it waits; where there are
/// several, it waits to be written about each.
async fn place(app: &App, organisation: OrganisationId, mut prepared: Prepared) -> Result<Placed, Problem> {
    let Some(wants) = prepared.wants.take() else { return Ok(Placed::Here(Box::new(prepared))) };
    let found = app.store.executions_named(organisation, &wants).await?;
    match (&found[..], prepared.event) {
        ([(execution, _)], Event::Feedback { mut feedback, fingerprints, restore, token_uses, defence }) => {
            feedback.target = Target::Execution(*execution);
            let event = Event::Feedback { feedback, fingerprints, restore, token_uses, defence };
            let execution = Some(*execution);
            Ok(Placed::Here(Box::new(Prepared { execution, event, wants: None, ..prepared })))
        }
        (_, Event::Feedback { feedback, fingerprints, .. }) => {
            let waiting = Waiting::Given(Box::new(Given::new(*feedback, &fingerprints)));
            let body = serde_json::to_string(&waiting).map_err(|e| Problem::internal(&e.to_string()))?;
            Ok(Placed::Waits(NewWaiting { id: prepared.id, fingerprints, wants, body }))
        }
        (_, event) => Ok(Placed::Here(Box::new(Prepared { event, ..prepared }))),
    }
}

/// Keeps one statement until what it names is there.
async fn keep_one(
    app: &App,
    caller: &Caller,
    waiting: NewWaiting,
    ask_for_details: bool,
) -> Result<Response, Problem> {
    let id = waiting.id.0;
    let arrived = app.store.wait_feedback(caller.organisation(), app.now(), vec![waiting]).await?;
    let (code, status) = match arrived.first() {
        Some(Arrived::New) => (StatusCode::CREATED, "stored"),
        Some(Arrived::Known) => (StatusCode::OK, "duplicate"),
        Some(Arrived::Conflict) => return Err(refusal(Ack::Conflict, "feedback", id)),
        None => return Err(Problem::internal("a write was not answered")),
    };
    let response = FeedbackStoredResponse {
        id,
        position: None,
        status,
        execution_id: None,
        reward: None,
        ask_for_details,
    };
    Ok((code, Json(response)).into_response())
}

/// Gives feedback: one object, or a batch as a JSON array or NDJSON.
///
/// 2xx means: on disk, and learned from within moments. With a publishable key `token` must be the `feedback_token` of that
/// execution, and the page's origin one that the key declares.
#[utoipa::path(
    post,
    path = "/api/learning/feedback",
    tag = "collect",
    operation_id = "give_feedback",
    params(("Idempotency-Key" = Option<String>, Header, description = "Stands for the id of a single object")),
    request_body(content(
        (FeedbackRequest = "application/json"),
        (String = "application/x-ndjson")
    )),
    responses(
        (status = 201, description = "Stored", body = FeedbackStoredResponse),
        (status = 200, description = "A batch, or one that had been stored before", body = BatchResponse),
        Problems
    )
)]
pub(crate) async fn give(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    take(
        &app,
        &caller,
        &headers,
        body,
        |request: &mut FeedbackRequest, key| request.id = request.id.or(key),
        prepare,
    )
    .await
}

/// Takes one item or a batch, whatever its shape, and writes it as feedback.
pub(super) async fn take<T: DeserializeOwned>(
    app: &App,
    caller: &Caller,
    headers: &HeaderMap,
    body: Body,
    name: impl Fn(&mut T, Option<Uuid>),
    prepare: impl Fn(&App, &Caller, T) -> Result<Prepared, Problem>,
) -> Result<Response, Problem> {
    json::media_type(headers)?;
    let body = json::read(body).await?;
    let organisation = caller.organisation();
    let key = batch::idempotency_key(headers, organisation.0, "feedback")?;
    match batch::read::<T>(headers, &body)? {
        Items::One(mut request) => {
            name(&mut request, key);
            let prepared = prepare(app, caller, *request)?;
            if prepared.wants.is_none() {
                return write_one(app, caller, prepared).await;
            }
            // Boxed, as below: what comes rarely is not to take room in the future of what comes most.
            Box::pin(place_one(app, caller, prepared)).await
        }
        Items::Many(items) => {
            batch::refuse_key(key)?;
            let items = items.into_iter().map(|item| item.and_then(|request| prepare(app, caller, request)));
            Box::pin(take_many(app, caller, items.collect())).await
        }
    }
}

/// Writes one statement about what it names, or keeps it until that is there.
async fn place_one(app: &App, caller: &Caller, prepared: Prepared) -> Result<Response, Problem> {
    let ask_for_details = asks_for_details(app, &prepared.event);
    match place(app, caller.organisation(), prepared).await? {
        Placed::Here(prepared) => write_one(app, caller, *prepared).await,
        Placed::Waits(waiting) => keep_one(app, caller, waiting, ask_for_details).await,
    }
}

/// Writes a batch of what was understood, and says what became of each item.
async fn take_many(
    app: &App,
    caller: &Caller,
    items: Vec<Result<Prepared, Problem>>,
) -> Result<Response, Problem> {
    let organisation = caller.organisation();
    let mut response = BatchResponse::default();
    let mut events = Vec::with_capacity(items.len());
    let mut places = Vec::with_capacity(items.len());
    let (mut waiting, mut waiting_places) = (Vec::new(), Vec::new());
    for (index, item) in items.into_iter().enumerate() {
        let prepared = match item {
            Ok(prepared) if prepared.sampled_out => {
                response.sampled_out += 1;
                continue;
            }
            Ok(prepared) => prepared,
            Err(problem) => {
                response.rejected(index, &problem);
                continue;
            }
        };
        match place(app, organisation, prepared).await? {
            Placed::Here(prepared) => {
                places.push((index, prepared.id.0));
                events.push(prepared.event);
            }
            Placed::Waits(new) => {
                waiting_places.push((index, new.id.0));
                waiting.push(new);
            }
        }
    }
    if !waiting.is_empty() {
        let arrived = app.store.wait_feedback(organisation, app.now(), waiting).await?;
        for ((index, id), arrived) in waiting_places.into_iter().zip(arrived) {
            match arrived {
                Arrived::New => response.accepted += 1,
                Arrived::Known => response.duplicates += 1,
                Arrived::Conflict => response.rejected(index, &refusal(Ack::Conflict, "feedback", id)),
            }
        }
    }
    write_batch(app, caller, "feedback", places, events, &mut response).await?;
    Ok(Json(response).into_response())
}

/// Writes one statement and says where it stands.
pub(super) async fn write_one(app: &App, caller: &Caller, prepared: Prepared) -> Result<Response, Problem> {
    let Prepared { id, execution, event, sampled_out, wants: _ } = prepared;
    let mut response = FeedbackStoredResponse {
        id: id.0,
        position: None,
        status: "sampled_out",
        execution_id: execution.map(|id| id.0),
        reward: None,
        ask_for_details: asks_for_details(app, &event),
    };
    if sampled_out {
        return Ok(Json(response).into_response());
    }
    let acks = app.store.write(caller.organisation(), app.now(), vec![event]).await?;
    let ack = acks.into_iter().next().ok_or_else(|| Problem::internal("a write was not answered"))?;
    let (position, reward, code, status) = match ack {
        Ack::Stored { position, reward } => (position, reward, StatusCode::CREATED, "stored"),
        Ack::Duplicate { position, reward } => (position, reward, StatusCode::OK, "duplicate"),
        refused => return Err(refusal(refused, "feedback", id.0)),
    };
    response.position = Some(position.0);
    response.status = status;
    response.reward = reward.map(Reward::get);
    Ok((code, Json(response)).into_response())
}

fn asks_for_details(app: &App, event: &Event) -> bool {
    let Event::Feedback { feedback, .. } = event else { return false };
    let silent =
        feedback.text.is_none() && feedback.correction.is_none() && feedback.issue_categories.is_empty();
    silent && feedback.rating.is_some_and(|stars| stars <= app.limits.details_threshold)
}

/// Checks one item and makes it an event.
fn prepare(app: &App, caller: &Caller, mut request: FeedbackRequest) -> Result<Prepared, Problem> {
    for (field, id) in [("id", request.id), ("execution_id", request.execution_id)] {
        not_nil(field, id)?;
    }
    let organisation = caller.organisation();
    let from_browser = caller.key.role == Role::Publishable;
    if from_browser && request.token.is_none() {
        return Err(Problem::new(Code::TokenRequired, Code::TokenRequired.title()).about("token"));
    }
    let redactor = Redactor::new();
    let canonical = serde_json::to_vec(&request).map_err(|e| Problem::internal(&e.to_string()))?;
    let proof = request.token.as_deref().map(|token| proof::open(app, organisation, token)).transpose()?;
    if let Some(token) = &proof {
        if from_browser && token.token_use != TokenUse::Feedback {
            let detail = "a page sends the feedback_token, not the token of the decision";
            return Err(Problem::new(Code::TokenInvalid, detail).about("token"));
        }
        proof::check(request.agent_id.is_none_or(|id| AgentId(id) == token.agent), "agent")?;
        // A decision's token proves the decision, whatever id its execution was given.
        let same = |id: Uuid| ExecutionId(id) == token.execution;
        let any_execution = token.token_use == TokenUse::Decision;
        proof::check(any_execution || request.execution_id.is_none_or(same), "execution")?;
    }
    let missing = |field: &str| {
        let detail = format!("{field} is missing; it may only be left out with a token, which names it");
        Problem::new(Code::InvalidBody, detail).about(field)
    };
    let agent = request.agent_id.map(AgentId).or(proof.as_ref().map(|token| token.agent));
    let agent = agent.ok_or_else(|| missing("agent_id"))?;
    let execution = request.execution_id.map(ExecutionId).or(proof.as_ref().map(|token| token.execution));
    let wants = wants(app, organisation, &mut request)?;
    if let Some(name) = wants
        .as_ref()
        .filter(|_| execution.is_some() || request.session_id.is_some() || request.unit.is_some())
    {
        let field = if name.starts_with("trace:") { "trace_id" } else { "response_id" };
        let detail = "feedback is about one thing: an execution (or its token), a trace, an answer, a session, or a unit";
        return Err(Problem::new(Code::InvalidBody, detail).about(field));
    }
    // Its place is taken by what is found.
    let execution = execution.or(wants.as_ref().map(|_| ExecutionId(Uuid::nil())));
    let target = match (execution, request.session_id.take(), request.unit.take()) {
        (Some(execution), None, None) => Target::Execution(execution),
        (None, Some(session), None) if (1..=200).contains(&session.chars().count()) => {
            Target::Session(redactor.text(&session).text.into_owned())
        }
        (None, Some(session), None) => {
            return Err(Invalid::new("session_id", session, "1 to 200 characters").into());
        }
        (None, None, Some(unit)) if (1..=500).contains(&unit.chars().count()) => {
            Target::Unit(app.keyring.pseudonym(organisation, &unit))
        }
        (None, None, Some(unit)) => return Err(Invalid::new("unit", unit, "1 to 500 characters").into()),
        (None, None, None) => return Err(missing("execution_id")),
        _ => {
            let detail = "feedback is about one thing: an execution (or its token), a session, or a unit";
            return Err(Problem::new(Code::InvalidBody, detail).about("execution_id"));
        }
    };
    let agent = app
        .registry
        .agent(organisation, agent)
        .ok_or_else(|| Problem::unknown_agent(agent).about("agent_id"))?;
    let source = request.source.unwrap_or_default();
    if source == FeedbackSource::Absence {
        return Err(Invalid::new("source", source.name(), "one of user, expert, program").into());
    }
    if from_browser && source != FeedbackSource::User {
        let detail = format!("a publishable key speaks for users, not as {}", source.name());
        return Err(Problem::new(Code::Forbidden, detail).about("source"));
    }
    if let Some(author) = &request.author
        && (author.is_empty() || author.chars().count() > 500)
    {
        return Err(Invalid::new("author", author, "1 to 500 characters").into());
    }
    let now = app.now();
    let occurred_at = match &request.occurred_at {
        Some(text) => time::parse("occurred_at", text)?,
        None => now,
    };
    let author = request.author.as_ref().map(|author| app.keyring.pseudonym(organisation, author));
    let details = request.details.take();
    if let Some(details) = &details {
        details.validate()?;
    }
    let rating = stars("rating", request.rating.or(details.as_ref().and_then(Details::rating)))?;
    let mut metrics = request.metrics.take().unwrap_or_default();
    metrics.extend(details.iter().flat_map(Details::metrics));
    if source == FeedbackSource::User {
        let statement = Statement {
            organisation,
            author,
            execution: target.execution().filter(|_| wants.is_none()),
            text: request.feedback_text.as_deref(),
            correction: request.correction_text.as_deref(),
            rating: rating.map(|stars| (f64::from(stars) - 1.0) / 4.0),
            at: if from_browser { now } else { occurred_at },
        };
        trust::judge(app, &statement)?;
    }
    request.feedback_text.redact(&redactor);
    request.correction_text.redact(&redactor);
    request.issue_categories.redact(&redactor);
    metrics.redact(&redactor);
    let defence = (source == FeedbackSource::User).then(|| {
        trust::defence(app.limits.caps, &app.keyring, organisation, request.feedback_text.as_deref())
    });
    let findings = trust::findings(app, request.feedback_text.as_deref());
    let execution = target.execution().filter(|_| wants.is_none());
    let feedback = Feedback {
        id: FeedbackId(request.id.unwrap_or_else(|| ids::fresh(now))),
        agent: agent.id,
        target,
        feedback_type: request.feedback_type,
        source,
        author,
        rating,
        dimensions: dimensions(request.dimensions)?,
        issue_categories: request.issue_categories.unwrap_or_default(),
        metrics,
        text: request.feedback_text,
        correction: request.correction_text,
        details: details.as_ref().map(Details::payload).transpose()?,
        standing: Standing::Counted,
        findings,
        occurred_at,
    };
    feedback.validate()?;
    check_dependencies(&feedback, &Dependencies { received_at: Some(now), ..Dependencies::default() })?;
    feedback.signals(&agent.serving().state.agent.reward_definition)?;
    Ok(Prepared {
        id: feedback.id,
        sampled_out: false,
        execution,
        event: Event::Feedback {
            feedback: Box::new(feedback),
            fingerprints: app.keyring.fingerprints(organisation, &canonical),
            restore: proof.as_ref().and_then(|token| proof::restored(token, None)),
            token_uses: from_browser.then_some(app.limits.feedback_token_uses),
            defence,
        },
        wants,
    })
}

/// Under which name feedback looks for its execution, where it names a trace or an answer.
fn wants(
    app: &App,
    organisation: OrganisationId,
    request: &mut FeedbackRequest,
) -> Result<Option<String>, Problem> {
    match (request.trace_id.take(), request.response_id.take()) {
        (None, None) => Ok(None),
        (Some(trace), None) => {
            let id: TraceId = trace
                .parse()
                .map_err(|_| Invalid::new("trace_id", trace, "32 hexadecimal digits, not all zero"))?;
            Ok(Some(format!("trace:{id}")))
        }
        (None, Some(id)) if id.is_empty() || id.chars().count() > 200 => {
            Err(Invalid::new("response_id", id, "1 to 200 characters").into())
        }
        (None, Some(mut id)) => {
            Intake { keyring: &app.keyring, organisation, redactor: Redactor::new() }.id(&mut id);
            Ok(Some(format!("response:{id}")))
        }
        (Some(_), Some(_)) => {
            let detail = "feedback names a trace or an answer, not both";
            Err(Problem::new(Code::InvalidBody, detail).about("response_id"))
        }
    }
}

/// Stars are whole numbers from 1 to 5.
pub(super) fn stars(field: &str, value: Option<f64>) -> Result<Option<u8>, Invalid> {
    let Some(value) = value else { return Ok(None) };
    let whole = (1..=5_u8).find(|star| (f64::from(*star) - value).abs() < f64::EPSILON);
    whole.map(Some).ok_or_else(|| Invalid::new(field, value, "a whole number from 1 to 5"))
}

fn dimensions(given: Option<DimensionsRequest>) -> Result<Dimensions, Invalid> {
    let Some(given) = given else { return Ok(Dimensions::default()) };
    Ok(Dimensions {
        accuracy: stars("dimensions.accuracy", given.accuracy)?,
        helpfulness: stars("dimensions.helpfulness", given.helpfulness)?,
        clarity: stars("dimensions.clarity", given.clarity)?,
        completeness: stars("dimensions.completeness", given.completeness)?,
    })
}

/// Tells a browser whether a page of this origin may give feedback. Its answer needs no key, because the question has none.
#[utoipa::path(
    options,
    path = "/api/learning/feedback",
    tag = "collect",
    operation_id = "feedback_preflight",
    responses((status = 204, description = "With the allowed methods and headers, where the origin is declared"), Problems)
)]
pub(crate) async fn preflight(State(app): State<Shared>, headers: HeaderMap) -> Response {
    allow(&app, &headers)
}

/// The answer to a preflight question.
pub(super) fn allow(app: &App, headers: &HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    if origin.is_some_and(|origin| app.keys.declares_origin(origin)) {
        let allowed = [
            (header::ACCESS_CONTROL_ALLOW_METHODS, "POST"),
            (
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                "Authorization, Content-Type, Idempotency-Key, X-Request-Id",
            ),
            (header::ACCESS_CONTROL_MAX_AGE, "600"),
        ];
        for (name, value) in allowed {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
    }
    response
}

/// A stored piece of feedback.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Feedback)]
pub(crate) struct FeedbackResponse {
    id: Uuid,
    agent_id: Uuid,
    /// What it is about; `null` where that is a session or a unit.
    execution_id: Option<Uuid>,
    /// The session that it is about, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
    /// The keyed hash of the unit that it is about, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    #[schema(value_type = FeedbackTypeSchema)]
    feedback_type: FeedbackType,
    /// `user`, `expert`, `program`, or `absence` where Upswing itself noted that nothing came.
    #[schema(value_type = String)]
    source: FeedbackSource,
    /// The person's keyed hash.
    author: Option<String>,
    rating: Option<u8>,
    #[schema(value_type = DimensionsRequest)]
    dimensions: Dimensions,
    issue_categories: Vec<String>,
    metrics: BTreeMap<String, f64>,
    /// What the person wrote; only for keys that may read content.
    #[serde(skip_serializing_if = "Option::is_none")]
    feedback_text: Option<String>,
    /// What the answer should have been; only for keys that may read content.
    #[serde(skip_serializing_if = "Option::is_none")]
    correction_text: Option<String>,
    /// The shape of `details`.
    #[serde(skip_serializing_if = "Option::is_none")]
    details_type: Option<String>,
    /// The statement in full; only for keys that may read content.
    #[schema(value_type = Option<Object>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Box<RawValue>>,
    /// `counted`, or why it does not teach: `capped`, `near_duplicate`, `distrusted`.
    #[schema(value_type = String)]
    standing: Standing,
    /// Why a person should look at the text before it is shown to others; absent where nothing was found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<FlagSchema>)]
    flags: Vec<Flag>,
    /// What the text is about; only for keys that may read content.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<EnrichmentSchema>)]
    enrichment: Option<Enrichment>,
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    occurred_at: Timestamp,
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    received_at: Timestamp,
    /// Its place in the organisation's sequence.
    position: i64,
}

impl FeedbackResponse {
    /// The stored feedback, with what people wrote where the caller may read that.
    pub(super) fn new(stored: StoredFeedback, with_content: bool) -> Self {
        let StoredFeedback { feedback, position, received_at } = stored;
        let (details_type, details) = feedback.details.map(|d| (d.kind, d.body)).unzip();
        let (session_id, unit) = match &feedback.target {
            Target::Execution(_) => (None, None),
            Target::Session(session) => (Some(session.clone()), None),
            Target::Unit(unit) => (None, Some(unit.to_string())),
        };
        Self {
            id: feedback.id.0,
            agent_id: feedback.agent.0,
            execution_id: feedback.target.execution().map(|id| id.0),
            session_id,
            unit,
            details_type,
            details: details.filter(|_| with_content).and_then(|body| RawValue::from_string(body).ok()),
            standing: feedback.standing,
            flags: feedback.findings.flags,
            enrichment: feedback.findings.enrichment.filter(|_| with_content),
            feedback_type: feedback.feedback_type,
            source: feedback.source,
            author: feedback.author.map(|author| author.to_string()),
            rating: feedback.rating,
            dimensions: feedback.dimensions,
            issue_categories: feedback.issue_categories,
            metrics: feedback.metrics,
            feedback_text: feedback.text.filter(|_| with_content),
            correction_text: feedback.correction.filter(|_| with_content),
            occurred_at: feedback.occurred_at,
            received_at,
            position: position.0,
        }
    }
}

/// One piece of feedback.
#[utoipa::path(
    get,
    path = "/api/learning/feedback/{feedback_id}",
    tag = "collect",
    operation_id = "get_feedback",
    params(("feedback_id" = Uuid, Path)),
    responses((status = 200, description = "The feedback", body = FeedbackResponse), Problems)
)]
pub(crate) async fn get(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<FeedbackResponse>, Problem> {
    let stored = app.store.feedback(caller.organisation(), FeedbackId(id)).await?;
    let stored = stored.ok_or_else(|| Problem::not_found("feedback", id))?;
    Ok(Json(FeedbackResponse::new(stored, caller.can(Permission::ReadContent))))
}
