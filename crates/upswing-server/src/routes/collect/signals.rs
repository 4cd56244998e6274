//! Implicit feedback: what somebody did with an answer, a search, an item, a page.

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use upswing_domain::{
    AgentId, Behaviour, Dimensions, ExecutionId, Feedback, FeedbackId, FeedbackSource, FeedbackType,
    Findings, Invalid, Role, Standing, Target,
};
use upswing_privacy::redact::Redactor;
use upswing_store::{Defence, Event};
use utoipa::ToSchema;
use uuid::Uuid;

use super::executions::not_nil;
use super::feedback::{self, FeedbackStoredResponse, Prepared};
use super::proof;
use crate::app::{App, Shared};
use crate::auth::Caller;
use crate::problem::{Code, Problem, Problems};
use crate::runtime::ids;
use crate::wire::batch::BatchResponse;
use crate::wire::details::payload;
use crate::wire::schema::BehaviourSchema;
use crate::wire::time;

/// How many signals of one kind a page may send about one execution.
const PER_KIND: u8 = 20;

/// What somebody did. Unknown fields are ignored: this is telemetry. The documented camelCase names are taken as well.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct SignalRequest {
    /// Its id; a fresh one unless given. From a page it follows from the execution, `type` and `sequence`.
    #[serde(skip_serializing)]
    id: Option<Uuid>,
    /// The execution it is about; the token's unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    execution_id: Option<Uuid>,
    /// Whose execution it is; the token's unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_id: Option<Uuid>,
    /// The visit; what the signal is about where there is no execution.
    #[serde(default, alias = "sessionId", skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
    /// The person, as in `unit` of a decision; kept as a keyed hash.
    #[serde(default, alias = "userId", alias = "author", skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    /// Counts a page's signals of one kind about one execution, from 0 to 19.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sequence: Option<u8>,
    /// The token of the decision, or the feedback token of the execution. Publishable keys need the latter.
    #[serde(skip_serializing)]
    token: Option<String>,
    /// When it was done; now unless given.
    #[schema(format = DateTime)]
    #[serde(default, alias = "timestamp", skip_serializing_if = "Option::is_none")]
    occurred_at: Option<String>,
    /// What was done.
    #[schema(value_type = BehaviourSchema)]
    #[serde(flatten)]
    behaviour: Behaviour,
}

impl SignalRequest {
    /// What can be said of it without knowing what it is about.
    pub(super) fn is_sound(&self) -> bool {
        let mut behaviour = self.behaviour.clone();
        anonymise(&mut behaviour);
        let reading = behaviour.reading();
        behaviour.validate().is_ok() && (0.0..=1.0).contains(&reading.strength)
    }
}

/// Says what somebody did: one object, or a batch as a JSON array or NDJSON.
///
/// Each becomes a strength and a value in [0, 1] by published formulas; the value is the metric `implicit.<type>`, which a
/// reward definition may name. Queries lose what identifies people. Strong signals of a person change what the person's
/// next decision sees, within a window's time. With a publishable key `token` must be the `feedback_token`.
#[utoipa::path(
    post,
    path = "/api/learning/signals",
    tag = "collect",
    operation_id = "give_signals",
    params(("Idempotency-Key" = Option<String>, Header, description = "Stands for the id of a single object")),
    request_body(content(
        (SignalRequest = "application/json"),
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
    let name = |request: &mut SignalRequest, key| request.id = request.id.or(key);
    feedback::take(&app, &caller, &headers, body, name, prepare).await
}

/// Tells a browser whether a page of this origin may send signals.
#[utoipa::path(
    options,
    path = "/api/learning/signals",
    tag = "collect",
    operation_id = "signals_preflight",
    responses((status = 204, description = "With the allowed methods and headers, where the origin is declared"), Problems)
)]
pub(crate) async fn preflight(State(app): State<Shared>, headers: HeaderMap) -> Response {
    feedback::allow(&app, &headers)
}

fn prepare(app: &App, caller: &Caller, mut request: SignalRequest) -> Result<Prepared, Problem> {
    not_nil("id", request.id)?;
    not_nil("execution_id", request.execution_id)?;
    let organisation = caller.organisation();
    let from_browser = caller.key.role == Role::Publishable;
    let canonical = serde_json::to_vec(&request).map_err(|e| Problem::internal(&e.to_string()))?;
    let proof =
        proof::of_statement(app, caller, request.token.as_deref(), request.agent_id, request.execution_id)?;
    request.behaviour.validate()?;
    let redactor = Redactor::new();
    let agent = request.agent_id.map(AgentId).or(proof.as_ref().map(|token| token.agent));
    let agent = agent.ok_or_else(|| {
        Problem::new(Code::InvalidBody, "agent_id is missing; only a token stands for it").about("agent_id")
    })?;
    let agent = app.registry.agent(organisation, agent);
    let agent = agent
        .ok_or_else(|| Problem::unknown_agent(request.agent_id.unwrap_or_default()).about("agent_id"))?;
    let execution = request.execution_id.map(ExecutionId).or(proof.as_ref().map(|token| token.execution));
    let session = request.session_id.take();
    if let Some(session) = session.as_ref().filter(|s| !(1..=200).contains(&s.chars().count())) {
        return Err(Invalid::new("session_id", session, "1 to 200 characters").into());
    }
    let target = match (execution, session) {
        (Some(execution), _) => Target::Execution(execution),
        (None, Some(session)) => Target::Session(redactor.text(&session).text.into_owned()),
        (None, None) => {
            let detail =
                "a signal is about an execution (or its token) or a session: send execution_id or session_id";
            return Err(Problem::new(Code::InvalidBody, detail).about("execution_id"));
        }
    };
    if let Some(person) = request.user_id.as_ref().filter(|p| !(1..=500).contains(&p.chars().count())) {
        return Err(Invalid::new("user_id", person, "1 to 500 characters").into());
    }
    let kind = request.behaviour.kind();
    let sequence = request.sequence.unwrap_or(0);
    let now = app.now();
    let id = match target.execution() {
        // A page cannot say more than so much about its execution, whatever it sends.
        Some(execution) if from_browser => {
            if sequence >= PER_KIND {
                return Err(Invalid::new("sequence", sequence, "a whole number from 0 to 19").into());
            }
            Uuid::new_v5(&execution.0, format!("signal:{kind}:{sequence}").as_bytes())
        }
        _ => request.id.unwrap_or_else(|| ids::fresh(now)),
    };
    anonymise(&mut request.behaviour);
    let metric = format!("implicit.{kind}");
    let teaches = agent.serving().state.agent.reward_definition.metrics.contains_key(&metric);
    let document = serde_json::to_value(&request.behaviour).map_err(|e| Problem::internal(&e.to_string()))?;
    let feedback = Feedback {
        id: FeedbackId(id),
        agent: agent.id,
        target,
        feedback_type: FeedbackType::Implicit,
        source: FeedbackSource::User,
        author: request.user_id.as_ref().map(|person| app.keyring.pseudonym(organisation, person)),
        rating: None,
        dimensions: Dimensions::default(),
        issue_categories: Vec::new(),
        metrics: [(metric, request.behaviour.reading().value)].into(),
        text: None,
        correction: None,
        details: Some(payload(kind, document)?),
        standing: Standing::Counted,
        findings: Findings::default(),
        occurred_at: match &request.occurred_at {
            Some(text) => time::parse("occurred_at", text)?,
            None => now,
        },
    };
    feedback.validate()?;
    feedback.signals(&agent.serving().state.agent.reward_definition)?;
    let sampled = match &feedback.target {
        Target::Execution(execution) => app.limits.collects(execution.0.as_bytes()),
        Target::Session(session) => app.limits.collects(session.as_bytes()),
        Target::Unit(_) => true,
    };
    Ok(Prepared {
        id: feedback.id,
        sampled_out: !sampled,
        execution: feedback.target.execution(),
        wants: None,
        event: Event::Feedback {
            feedback: Box::new(feedback),
            fingerprints: app.keyring.fingerprints(organisation, &canonical),
            restore: proof.as_ref().and_then(|token| proof::restored(token, None)),
            token_uses: None,
            // What does not teach cannot outvote anybody.
            defence: teaches.then_some(Defence {
                author_cap: app.limits.caps.per_author,
                copies: app.limits.caps.copies,
                text: None,
            }),
        },
    })
}

/// Queries are kept for what they are about, not for who asked: without what identifies people, in lower case, long numbers
/// as one sign, at most 200 characters.
fn anonymise(behaviour: &mut Behaviour) {
    let Behaviour::Search(search) = behaviour else { return };
    let Some(query) = &search.query else { return };
    let redacted = Redactor::new().text(query).text.to_lowercase();
    let mut kept = String::with_capacity(redacted.len());
    let mut digits = String::new();
    for c in redacted.chars().chain([' ']) {
        if c.is_numeric() {
            digits.push(c);
            continue;
        }
        kept.push_str(if digits.chars().count() > 3 { "[number]" } else { &digits });
        digits.clear();
        kept.push(c);
    }
    search.query = Some(kept.trim().chars().take(200).collect());
}
