//! `POST /api/agent?mode=feedback`: what was taken from a page, and what is right.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use upswing_domain::correction::{CorrectionKind, FieldDifference, differences, origin_of};
use upswing_domain::{
    AgentId, Dimensions, ExecutionId, Feedback, FeedbackId, FeedbackSource, FeedbackType, Invalid, Standing,
    Target,
};
use upswing_privacy::redact::Redactor;
use upswing_store::{Ack, Event};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::executions::{not_nil, refusal};
use crate::app::{App, Shared};
use crate::auth::Caller;
use crate::problem::{Code, Problem, Problems};
use crate::registry::AgentEntry;
use crate::runtime::ids;
use crate::trust;
use crate::wire::batch;
use crate::wire::details::payload;
use crate::wire::json::{Json, Params};
use crate::wire::time;

/// What to do, and for which agent.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CorrectionParams {
    /// `feedback`.
    mode: String,
    /// The agent that took it; may be left out where the organisation has one agent.
    agent_id: Option<Uuid>,
}

/// A correction, as the page sends it. Fields that are not listed are kept as well.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CorrectionRequest {
    /// Its id; a fresh one unless given.
    #[serde(skip_serializing)]
    id: Option<Uuid>,
    /// The execution that took it, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    execution_id: Option<Uuid>,
    /// The page.
    url: String,
    /// What was taken.
    #[schema(value_type = Object)]
    original_data: Map<String, Value>,
    /// What is right.
    #[schema(value_type = Object)]
    corrected_data: Map<String, Value>,
    /// `incorrect`, `missing` or `improvement`; found from the fields unless given.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    feedback_type: Option<CorrectionKind>,
    /// How sure the person is, 0 to 1; 1 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<f64>,
    /// Whose page the client takes it for; found from the URL unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<String>,
    /// Who corrects; kept as a keyed hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    corrected_by: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    correction_reason: Option<String>,
    /// What took it: a parser's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    parser_used: Option<String>,
    /// Which version of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    parser_version: Option<String>,
    /// How: by rules, by a model.
    #[serde(skip_serializing_if = "Option::is_none")]
    extraction_method: Option<String>,
    /// Which model.
    #[serde(skip_serializing_if = "Option::is_none")]
    webllm_model: Option<String>,
    /// How sure the model was, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    webllm_confidence: Option<f64>,
    /// Whether somebody has checked it.
    #[serde(skip_serializing_if = "Option::is_none")]
    is_verified: Option<bool>,
    /// When; now unless given.
    #[schema(format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
    /// The page's user agent; its family is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    #[schema(ignore)]
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// What became of a correction.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CorrectionStoredResponse {
    success: bool,
    /// Its id: it is feedback, `GET /api/learning/feedback/{id}` gives it back.
    id: Uuid,
    /// Its place in the organisation's sequence.
    position: i64,
    /// `stored`, or `duplicate` when it had been stored before.
    status: &'static str,
    /// Whose page it is.
    platform: String,
    /// What differs.
    #[schema(value_type = Vec<Object>)]
    fields: Vec<FieldDifference>,
    /// The execution's reward now, where it names one.
    reward: Option<f64>,
}

/// Corrects what was taken from a page, field by field.
#[utoipa::path(
    post,
    path = "/api/agent",
    tag = "collect",
    operation_id = "correct_extraction",
    params(CorrectionParams),
    request_body = CorrectionRequest,
    responses((status = 201, description = "Stored", body = CorrectionStoredResponse), Problems)
)]
pub(crate) async fn correct(
    State(app): State<Shared>,
    caller: Caller,
    Params(params): Params<CorrectionParams>,
    headers: HeaderMap,
    Json(mut request): Json<CorrectionRequest>,
) -> Result<Response, Problem> {
    if params.mode != "feedback" {
        let detail = format!("mode is {}, but must be feedback", params.mode);
        return Err(Problem::new(Code::InvalidParameter, detail).about("mode"));
    }
    let organisation = caller.organisation();
    request.id = request.id.or(batch::idempotency_key(&headers, organisation.0, "feedback")?);
    let agent = the_agent(&app, &caller, params.agent_id)?;
    let (feedback, canonical, platform, fields) = prepare(&app, &caller, &agent, request)?;
    let id = feedback.id.0;
    let defence = trust::defence(app.limits.caps, &app.keyring, organisation, None);
    let event = Event::Feedback {
        feedback: Box::new(feedback),
        fingerprints: app.keyring.fingerprints(organisation, &canonical),
        restore: None,
        token_uses: None,
        defence: Some(defence),
    };
    let acks = app.store.write(organisation, app.now(), vec![event]).await?;
    let ack = acks.into_iter().next().ok_or_else(|| Problem::internal("a write was not answered"))?;
    let (position, reward, code, status) = match ack {
        Ack::Stored { position, reward } => (position, reward, axum::http::StatusCode::CREATED, "stored"),
        Ack::Duplicate { position, reward } => (position, reward, axum::http::StatusCode::OK, "duplicate"),
        refused => return Err(refusal(refused, "feedback", id)),
    };
    let reward = reward.map(upswing_domain::Reward::get);
    let response = CorrectionStoredResponse {
        success: true,
        id,
        position: position.0,
        status,
        platform,
        fields,
        reward,
    };
    Ok((code, Json(response)).into_response())
}

/// The agent that is named, or the only one there is.
pub(super) fn the_agent(
    app: &App,
    caller: &Caller,
    named: Option<Uuid>,
) -> Result<std::sync::Arc<AgentEntry>, Problem> {
    let organisation = caller.organisation();
    if let Some(id) = named {
        let agent = app.registry.agent(organisation, AgentId(id));
        return agent.ok_or_else(|| Problem::unknown_agent(id).about("agent_id"));
    }
    match app.registry.agents(organisation).as_slice() {
        [agent] => Ok(std::sync::Arc::clone(agent)),
        agents => {
            let detail = format!("the organisation has {} agents: name one with ?agent_id=", agents.len());
            Err(Problem::new(Code::InvalidParameter, detail).about("agent_id"))
        }
    }
}

type Correction = (Feedback, Vec<u8>, String, Vec<FieldDifference>);

fn prepare(
    app: &App,
    caller: &Caller,
    agent: &AgentEntry,
    mut request: CorrectionRequest,
) -> Result<Correction, Problem> {
    not_nil("id", request.id)?;
    not_nil("executionId", request.execution_id)?;
    let organisation = caller.organisation();
    let canonical = serde_json::to_vec(&request).map_err(|e| Problem::internal(&e.to_string()))?;
    for (field, value) in
        [("confidence", request.confidence), ("webllmConfidence", request.webllm_confidence)]
    {
        if let Some(value) = value.filter(|value| !(0.0..=1.0).contains(value)) {
            return Err(Invalid::new(field, value, "a number from 0 to 1").into());
        }
    }
    let redactor = Redactor::new();
    let origin = origin_of(&request.url).ok_or_else(|| {
        Invalid::new("url", redactor.text(&request.url).text, "an http or https URL with a host")
    })?;
    let author = match request.corrected_by.take() {
        Some(person) if !(1..=500).contains(&person.chars().count()) => {
            return Err(Invalid::new("correctedBy", person, "1 to 500 characters").into());
        }
        person => person.map(|person| app.keyring.pseudonym(organisation, &person)),
    };
    // What is compared is what is kept.
    let mut original = Value::Object(request.original_data.clone());
    let mut corrected = Value::Object(request.corrected_data.clone());
    redactor.json(&mut original);
    redactor.json(&mut corrected);
    let empty = Map::new();
    let fields = differences(
        original.as_object().unwrap_or(&empty),
        corrected.as_object().unwrap_or(&empty),
        request.feedback_type,
    );
    if fields.is_empty() {
        return Err(Invalid::new(
            "correctedData",
            "the same as originalData",
            "at least one field that differs",
        )
        .into());
    }
    let now = app.now();
    let occurred_at = match &request.timestamp {
        Some(text) => time::parse("timestamp", text)?,
        None => now,
    };
    request.user_agent = request.user_agent.as_deref().map(browser_family);
    let platform = origin.platform;
    let mut document = json!({
        "platform": platform,
        "domain": origin.domain,
        "url_pattern": origin.url_pattern,
        "kind": request.feedback_type,
        "confidence": request.confidence.unwrap_or(1.0),
        "verified": request.is_verified.unwrap_or(false),
        "fields": fields,
    });
    document["received"] = serde_json::to_value(&request).map_err(|e| Problem::internal(&e.to_string()))?;
    let target = match request.execution_id {
        Some(id) => Target::Execution(ExecutionId(id)),
        None => {
            let page: String = redactor.text(&origin.url_pattern).text.chars().take(190).collect();
            Target::Session(format!("page:{page}"))
        }
    };
    let text = request.correction_reason.as_deref().map(|reason| redactor.text(reason).text.into_owned());
    let findings = trust::findings(app, text.as_deref());
    let feedback = Feedback {
        id: FeedbackId(request.id.unwrap_or_else(|| ids::fresh(now))),
        agent: agent.id,
        target,
        feedback_type: FeedbackType::Correction,
        source: FeedbackSource::User,
        author,
        rating: None,
        dimensions: Dimensions::default(),
        issue_categories: Vec::new(),
        metrics: [("correction.fields".to_owned(), fields.len() as f64)].into(),
        text,
        correction: Some(corrected.to_string()),
        details: Some(payload("field_correction", document)?),
        standing: Standing::Counted,
        findings,
        occurred_at,
    };
    feedback.validate()?;
    feedback.signals(&agent.serving().state.agent.reward_definition)?;
    Ok((feedback, canonical, platform, fields))
}

/// The browser without what tells one person's from another's.
fn browser_family(user_agent: &str) -> String {
    let families = ["Firefox", "Edg", "OPR", "Chrome", "Safari"];
    let found = families.iter().find(|family| user_agent.contains(**family));
    found
        .map_or("other", |family| {
            if *family == "Edg" {
                "Edge"
            } else if *family == "OPR" {
                "Opera"
            } else {
                family
            }
        })
        .to_owned()
}
