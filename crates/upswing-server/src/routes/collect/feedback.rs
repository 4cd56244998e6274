//! Feedback: how an execution was received.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use upswing_domain::{
    AgentId, Dimensions, ExecutionId, Feedback, FeedbackId, FeedbackSource, FeedbackType, Invalid,
    Permission, Reward, Role, Timestamp,
};
use upswing_privacy::TokenUse;
use upswing_store::{Ack, Event, StoredFeedback};
use utoipa::ToSchema;
use uuid::Uuid;

use super::executions::{not_nil, refusal, write_batch};
use super::proof;
use crate::app::{App, Shared};
use crate::auth::Caller;
use crate::problem::{Code, Problem, Problems};
use crate::runtime::ids;
use crate::wire::batch::{self, BatchResponse, Items};
use crate::wire::json::{self, Json, Path};
use crate::wire::schema::{FeedbackSourceSchema, FeedbackTypeSchema};
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
    /// Its place in the organisation's sequence; `decide` takes it as `min_position`.
    position: i64,
    /// `stored`, or `duplicate` when it had been stored before.
    status: &'static str,
    /// The execution.
    execution_id: Uuid,
    /// The execution's reward now; `null` where nothing is known.
    reward: Option<f64>,
}

struct Prepared {
    id: FeedbackId,
    execution: ExecutionId,
    event: Event,
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
    json::media_type(&headers)?;
    let body = json::read(body).await?;
    let organisation = caller.organisation();
    let key = batch::idempotency_key(&headers, organisation.0, "feedback")?;
    match batch::read::<FeedbackRequest>(&headers, &body)? {
        Items::One(mut request) => {
            request.id = request.id.or(key);
            let Prepared { id, execution, event } = prepare(&app, &caller, *request)?;
            let acks = app.store.write(organisation, app.now(), vec![event]).await?;
            let ack = acks.into_iter().next().ok_or_else(|| Problem::internal("a write was not answered"))?;
            let (position, reward, code, status) = match ack {
                Ack::Stored { position, reward } => (position, reward, StatusCode::CREATED, "stored"),
                Ack::Duplicate { position, reward } => (position, reward, StatusCode::OK, "duplicate"),
                refused => return Err(refusal(refused, "feedback", id.0)),
            };
            let response = FeedbackStoredResponse {
                id: id.0,
                position: position.0,
                status,
                execution_id: execution.0,
                reward: reward.map(Reward::get),
            };
            Ok((code, Json(response)).into_response())
        }
        Items::Many(items) => {
            batch::refuse_key(key)?;
            let mut response = BatchResponse::default();
            let mut events = Vec::with_capacity(items.len());
            let mut places = Vec::with_capacity(items.len());
            for (index, item) in items.into_iter().enumerate() {
                match item.and_then(|request| prepare(&app, &caller, request)) {
                    Ok(prepared) => {
                        places.push((index, prepared.id.0));
                        events.push(prepared.event);
                    }
                    Err(problem) => response.rejected(index, &problem),
                }
            }
            write_batch(&app, &caller, "feedback", places, events, &mut response).await?;
            Ok(Json(response).into_response())
        }
    }
}

/// Checks one item and makes it an event.
fn prepare(app: &App, caller: &Caller, request: FeedbackRequest) -> Result<Prepared, Problem> {
    for (field, id) in [("id", request.id), ("execution_id", request.execution_id)] {
        not_nil(field, id)?;
    }
    let organisation = caller.organisation();
    let from_browser = caller.key.role == Role::Publishable;
    if from_browser && request.token.is_none() {
        return Err(Problem::new(Code::TokenRequired, Code::TokenRequired.title()).about("token"));
    }
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
    let execution = execution.ok_or_else(|| missing("execution_id"))?;
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
    let feedback = Feedback {
        id: FeedbackId(request.id.unwrap_or_else(|| ids::fresh(now))),
        agent: agent.id,
        execution,
        feedback_type: request.feedback_type,
        source,
        author: request.author.as_ref().map(|author| app.keyring.pseudonym(organisation, author)),
        rating: stars("rating", request.rating)?,
        dimensions: dimensions(request.dimensions)?,
        issue_categories: request.issue_categories.unwrap_or_default(),
        metrics: request.metrics.unwrap_or_default(),
        text: request.feedback_text,
        correction: request.correction_text,
        occurred_at: match &request.occurred_at {
            Some(text) => time::parse("occurred_at", text)?,
            None => now,
        },
    };
    feedback.validate()?;
    feedback.signals(&agent.serving().state.agent.reward_definition)?;
    Ok(Prepared {
        id: feedback.id,
        execution,
        event: Event::Feedback {
            feedback,
            fingerprints: app.keyring.fingerprints(organisation, &canonical),
            restore: proof.as_ref().and_then(|token| proof::restored(token, None)),
            token_uses: from_browser.then_some(app.limits.feedback_token_uses),
        },
    })
}

/// Stars are whole numbers from 1 to 5.
fn stars(field: &str, value: Option<f64>) -> Result<Option<u8>, Invalid> {
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
    execution_id: Uuid,
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
        Self {
            id: feedback.id.0,
            agent_id: feedback.agent.0,
            execution_id: feedback.execution.0,
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
