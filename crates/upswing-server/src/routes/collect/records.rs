//! Products' own records of a run: taken as they are documented, kept whole, and read for what teaches.
//!
//! `optimization` and `interaction` say what was done: an execution, with its feedback where the record holds some.
//! `performance` and `outcome` say how an execution went: feedback on the one that `execution_id` names. Fields that are not
//! known are kept. What is kept has lost what identifies people, like everything people write.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use upswing_domain::{
    AgentId, Context, ContextValue, Dimensions, Execution, ExecutionId, Feedback, FeedbackId, FeedbackSource,
    FeedbackType, InputHash, Invalid, Origin, Permission, Standing, Target, Timestamp,
};
use upswing_privacy::redact::Redactor;
use upswing_store::{Ack, Event};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::corrections::the_agent;
use super::executions::{not_nil, refusal};
use crate::app::{App, Shared};
use crate::auth::Caller;
use crate::problem::{Code, Problem, Problems};
use crate::trust::{self, Statement};
use crate::wire::details::payload;
use crate::wire::json::{self, Json, Params, Path};
use crate::wire::redact::Redact as _;
use crate::wire::time;

/// Whose record it is.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RecordParams {
    /// The agent; may be left out where the organisation has one.
    agent_id: Option<Uuid>,
    /// The execution that `performance` and `outcome` are about.
    execution_id: Option<Uuid>,
}

/// An optimisation with what each stage made of it, and how it was received.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "some fields are only held to their types; the record is kept whole")]
pub(crate) struct OptimizationRecord {
    /// Becomes the execution's id.
    optimization_id: Uuid,
    /// When.
    #[schema(format = DateTime)]
    timestamp: Option<String>,
    /// What went in, by its features: `length`, `sections`, `ats_score`.
    #[schema(value_type = Option<Object>)]
    input_resume: Option<Features>,
    /// What it was made for.
    job_description: Option<JobDescription>,
    /// A hash of the input, of 64 hexadecimal characters, where the product keeps the text to itself. Kept under a key.
    input_resume_hash: Option<String>,
    /// The same of what it was made for.
    job_description_hash: Option<String>,
    /// What came out.
    optimization_result: OptimizationResult,
    /// How it was received.
    user_feedback: Option<UserFeedback>,
}

#[derive(Debug, Deserialize)]
struct Features {
    length: Option<f64>,
    ats_score: Option<f64>,
}

/// What an optimisation was made for.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct JobDescription {
    /// The industry.
    industry: Option<String>,
    /// The level of experience.
    level: Option<String>,
    /// What matters.
    #[serde(default)]
    keywords: Vec<String>,
}

/// What each stage of an optimisation made.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct OptimizationResult {
    /// What the analysis found.
    stage1_analysis: Option<String>,
    /// What was written.
    stage2_rewrite: Option<String>,
    /// Scores from 0 to 10 by name.
    #[serde(default)]
    stage3_validation: BTreeMap<String, f64>,
    /// Seconds.
    processing_time: Option<f64>,
    /// In the currency of the organisation.
    cost: Option<f64>,
}

/// How an optimisation was received.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct UserFeedback {
    /// Stars, 1 to 5.
    rating: Option<f64>,
    /// What the person wrote.
    comments: Option<String>,
    /// Which share of the changes was taken over.
    accepted_changes: Option<f64>,
    /// Whether more came of it than before.
    callback_improvement: Option<bool>,
}

/// What somebody put in, and what was made of it.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "some fields are only held to their types; the record is kept whole")]
pub(crate) struct InteractionRecord {
    /// Becomes the execution's id.
    interaction_id: Uuid,
    /// When.
    #[schema(format = DateTime)]
    timestamp: Option<String>,
    /// The visit.
    session_id: Option<String>,
    /// The person; kept as a keyed hash.
    user_id: Option<String>,
    /// What was put in.
    input_data: InputData,
    /// Where.
    context_data: Option<ContextData>,
    /// What was made of it.
    enhancement_data: Option<EnhancementData>,
}

/// What somebody put in.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "some fields are only held to their types; the record is kept whole")]
pub(crate) struct InputData {
    /// As it was written.
    raw_prompt: String,
    /// Cleaned.
    processed_input: Option<String>,
    /// How many tokens.
    token_count: Option<f64>,
    /// How complex, 0 to 10.
    complexity_score: Option<f64>,
    /// What it is about, in words.
    #[serde(default)]
    detected_keywords: Vec<String>,
    /// What it is about.
    domain: Option<String>,
}

/// Where somebody worked.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "some fields are only held to their types; the record is kept whole")]
pub(crate) struct ContextData {
    /// The program.
    ide_detected: Option<String>,
    /// The branch.
    git_branch: Option<String>,
    /// The folder.
    working_directory: Option<String>,
    /// Files that were open.
    #[serde(default)]
    recent_files: Vec<String>,
}

/// What was made of what somebody put in.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct EnhancementData {
    /// The template.
    selected_template: Option<String>,
    /// Which version of it.
    template_version: Option<String>,
    /// Whether it was applied.
    enhancement_applied: Option<bool>,
    /// Milliseconds.
    enhancement_time_ms: Option<f64>,
    /// Characters.
    enhanced_prompt_length: Option<f64>,
}

/// How an execution ran.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct PerformanceRecord {
    /// Times, resources and cache hits by name.
    #[schema(value_type = Object)]
    performance_metrics: serde_json::Map<String, Value>,
}

/// How an execution turned out.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct OutcomeRecord {
    /// What is known of it.
    outcome_data: OutcomeData,
}

/// How an execution turned out.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct OutcomeData {
    /// Milliseconds until the answer came, by whatever name: every number here is kept as a metric.
    claude_response_time_ms: Option<f64>,
    /// 0 to 10.
    response_quality_score: Option<f64>,
    /// 0 to 10.
    user_satisfaction_rating: Option<f64>,
    /// Shares, 0 to 1, by name.
    #[serde(default)]
    quality_metrics: BTreeMap<String, f64>,
    /// What the person said and did.
    feedback_data: Option<FeedbackData>,
}

/// What the person said and did.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct FeedbackData {
    /// In words.
    explicit_feedback: Option<String>,
    /// Counts and shares by name.
    #[serde(default)]
    implicit_feedback: BTreeMap<String, f64>,
}

/// Where a record is stored.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecordStoredResponse {
    /// `optimization`, `interaction`, `performance` or `outcome`.
    kind: &'static str,
    /// Gives it back under `GET /api/learning/records/{kind}/{id}`.
    id: Uuid,
    /// The execution that it is, or is about.
    execution_id: Uuid,
    /// The feedback that it is, or holds.
    feedback_id: Option<Uuid>,
    /// What went into an `optimization`, by a keyed hash of 64 hexadecimal characters: equal inputs have equal ones.
    input_resume_hash: Option<String>,
    /// What an `optimization` was made for, likewise.
    job_description_hash: Option<String>,
    /// The last place in the organisation's sequence.
    position: i64,
    /// `stored`, or `duplicate` when all of it had been stored before.
    status: &'static str,
}

/// A stored record.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecordResponse {
    /// Its kind.
    kind: String,
    /// Its id.
    id: Uuid,
    /// The execution that it is, or is about.
    execution_id: Option<Uuid>,
    /// What went into an `optimization`, by a keyed hash of 64 hexadecimal characters: equal inputs have equal ones.
    input_resume_hash: Option<String>,
    /// What an `optimization` was made for, likewise.
    job_description_hash: Option<String>,
    /// The record.
    #[schema(value_type = Object)]
    record: Option<Box<RawValue>>,
}

/// The inputs of an optimisation, as its record names them.
const INPUT_RESUME: &str = "input_resume";
const JOB_DESCRIPTION: &str = "job_description";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Optimization,
    Interaction,
    Performance,
    Outcome,
}

impl Kind {
    fn named(name: &str) -> Result<Self, Problem> {
        Ok(match name {
            "optimization" => Self::Optimization,
            "interaction" => Self::Interaction,
            "performance" => Self::Performance,
            "outcome" => Self::Outcome,
            other => {
                let detail =
                    format!("kind is {other}, but must be optimization, interaction, performance or outcome");
                return Err(Problem::new(Code::InvalidParameter, detail).about("kind"));
            }
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Optimization => "optimization",
            Self::Interaction => "interaction",
            Self::Performance => "performance",
            Self::Outcome => "outcome",
        }
    }
}

/// A record, read.
#[derive(Default)]
struct Read {
    execution: Option<Run>,
    feedback: Option<Said>,
}

/// What a record says was done.
struct Run {
    id: Uuid,
    session: Option<String>,
    person: Option<String>,
    input: Option<String>,
    output: Option<String>,
    context: BTreeMap<String, ContextValue>,
    /// Whether the context has what the input is about.
    enriched: bool,
    metrics: BTreeMap<String, f64>,
}

/// What a record says of how it was received.
struct Said {
    id: Uuid,
    execution: Uuid,
    feedback_type: FeedbackType,
    source: FeedbackSource,
    rating: Option<f64>,
    text: Option<String>,
    metrics: BTreeMap<String, f64>,
}

/// Takes a product's record of a run.
#[utoipa::path(
    post,
    path = "/api/learning/records/{kind}",
    tag = "collect",
    operation_id = "report_record",
    params(("kind" = String, Path, description = "`optimization`, `interaction`, `performance` or `outcome`"), RecordParams),
    request_body(content(
        (OptimizationRecord = "application/json"),
        (InteractionRecord = "application/json"),
        (PerformanceRecord = "application/json"),
        (OutcomeRecord = "application/json")
    )),
    responses(
        (status = 201, description = "Stored", body = RecordStoredResponse),
        (status = 200, description = "It had been stored before", body = RecordStoredResponse),
        Problems
    )
)]
pub(crate) async fn report(
    State(app): State<Shared>,
    caller: Caller,
    Path(kind): Path<String>,
    Params(params): Params<RecordParams>,
    headers: axum::http::HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    if json::media_type(&headers)? != json::MediaType::Json {
        return Err(Problem::new(Code::UnsupportedMediaType, "send one record as application/json"));
    }
    let kind = Kind::named(&kind)?;
    let bytes = json::read(body).await?;
    not_nil("execution_id", params.execution_id)?;
    let agent = the_agent(&app, &caller, params.agent_id)?;
    let read = read(kind, &bytes, &params)?;
    let document: Value = json::parse(&bytes)?;
    let occurred_at = match document["timestamp"].as_str() {
        Some(text) => time::parse("timestamp", text)?,
        None => app.now(),
    };
    let Written { events, id, execution_id, feedback_id, hashes } =
        events(&app, &caller, &agent, kind, read, document, occurred_at)?;
    let acks = app.store.write(caller.organisation(), app.now(), events).await?;
    let (mut position, mut fresh) = (0, false);
    for ack in acks {
        match ack {
            Ack::Stored { position: at, .. } => (position, fresh) = (at.0, true),
            Ack::Duplicate { position: at, .. } => position = position.max(at.0),
            refused => return Err(refusal(refused, "record", id)),
        }
    }
    let hash = |name: &str| hashes.get(name).map(InputHash::to_string);
    let (input_resume_hash, job_description_hash) = (hash(INPUT_RESUME), hash(JOB_DESCRIPTION));
    if !hashes.is_empty() {
        // After the events, so that a record that is refused leaves none; also for one that was stored before, in case
        // that the server ended in between.
        app.store.keep_input_hashes(caller.organisation(), ExecutionId(execution_id), hashes).await?;
    }
    let status = if fresh { StatusCode::CREATED } else { StatusCode::OK };
    let response = RecordStoredResponse {
        kind: kind.name(),
        id,
        execution_id,
        feedback_id,
        input_resume_hash,
        job_description_hash,
        position,
        status: if fresh { "stored" } else { "duplicate" },
    };
    Ok((status, Json(response)).into_response())
}

/// Gives a record back as it is kept.
#[utoipa::path(
    get,
    path = "/api/learning/records/{kind}/{id}",
    tag = "collect",
    operation_id = "get_record",
    params(("kind" = String, Path), ("id" = Uuid, Path)),
    responses((status = 200, description = "The record", body = RecordResponse), Problems)
)]
pub(crate) async fn get(
    State(app): State<Shared>,
    caller: Caller,
    Path((kind, id)): Path<(String, Uuid)>,
) -> Result<Json<RecordResponse>, Problem> {
    let kind = Kind::named(&kind)?;
    let organisation = caller.organisation();
    let (execution_id, payload) = match kind {
        Kind::Optimization | Kind::Interaction => {
            let stored = app.store.execution(organisation, ExecutionId(id)).await?;
            (Some(id), stored.and_then(|stored| stored.execution.record))
        }
        Kind::Performance | Kind::Outcome => {
            let stored = app.store.feedback(organisation, FeedbackId(id)).await?;
            let execution = stored.as_ref().and_then(|s| s.feedback.target.execution()).map(|id| id.0);
            (execution, stored.and_then(|stored| stored.feedback.details))
        }
    };
    let payload = payload.filter(|payload| payload.kind == kind.name());
    let payload = payload.ok_or_else(|| Problem::not_found("record", id))?;
    let hashes = match kind {
        Kind::Optimization => app.store.input_hashes(organisation, ExecutionId(id)).await?,
        _ => BTreeMap::new(),
    };
    let hash = |name: &str| hashes.get(name).map(InputHash::to_string);
    let record = RawValue::from_string(payload.body).ok().filter(|_| caller.can(Permission::ReadContent));
    Ok(Json(RecordResponse {
        kind: payload.kind,
        id,
        execution_id,
        input_resume_hash: hash(INPUT_RESUME),
        job_description_hash: hash(JOB_DESCRIPTION),
        record,
    }))
}

fn read(kind: Kind, bytes: &[u8], params: &RecordParams) -> Result<Read, Problem> {
    let about = || {
        let detail = format!("a record of kind {} needs ?execution_id=", kind.name());
        params.execution_id.ok_or_else(|| Problem::new(Code::InvalidParameter, detail).about("execution_id"))
    };
    match kind {
        Kind::Optimization => optimization(json::parse(bytes)?),
        Kind::Interaction => interaction(json::parse(bytes)?),
        Kind::Performance => performance(json::parse(bytes)?, about()?, bytes),
        Kind::Outcome => outcome(json::parse(bytes)?, about()?, bytes),
    }
}

/// How many kinds of record the bytes could be.
pub(super) fn understood(bytes: &[u8]) -> usize {
    let params = RecordParams { agent_id: None, execution_id: Some(Uuid::from_u128(1)) };
    let kinds = [Kind::Optimization, Kind::Interaction, Kind::Performance, Kind::Outcome];
    kinds.into_iter().filter(|kind| read(*kind, bytes, &params).is_ok()).count()
}

fn optimization(record: OptimizationRecord) -> Result<Read, Problem> {
    let OptimizationRecord { optimization_id: id, job_description, optimization_result: result, .. } = record;
    not_nil("optimization_id", Some(id))?;
    let given = [
        ("input_resume_hash", &record.input_resume_hash),
        ("job_description_hash", &record.job_description_hash),
    ];
    for (field, hash) in given {
        if let Some(hash) = hash.as_ref().filter(|hash| !is_hash(hash)) {
            return Err(Invalid::new(field, hash, "64 hexadecimal characters, as SHA-256 gives them").into());
        }
    }
    let mut metrics = BTreeMap::new();
    for (name, score) in &result.stage3_validation {
        within(&format!("optimization_result.stage3_validation.{name}"), Some(*score), 0.0, 10.0)?;
        metrics.insert(name.clone(), *score);
    }
    within("optimization_result.processing_time", result.processing_time, 0.0, 1e9)?;
    within("optimization_result.cost", result.cost, 0.0, 1e9)?;
    let features = record.input_resume.as_ref();
    let named = [
        ("latency_ms", result.processing_time.map(|seconds| seconds * 1000.0)),
        ("cost", result.cost),
        ("input_length", features.and_then(|f| f.length)),
        ("input_ats_score", features.and_then(|f| f.ats_score)),
    ];
    metrics.extend(named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    let mut context = BTreeMap::new();
    if let Some(job) = &job_description {
        category(&mut context, "industry", job.industry.as_deref())?;
        category(&mut context, "level", job.level.as_deref())?;
        context.insert("keywords".to_owned(), ContextValue::Number(job.keywords.len() as f64));
    }
    let feedback = match record.user_feedback {
        None => None,
        Some(said) => {
            within("user_feedback.accepted_changes", said.accepted_changes, 0.0, 1.0)?;
            let metrics = [
                ("accepted_changes", said.accepted_changes),
                ("callback_improvement", said.callback_improvement.map(|yes| f64::from(u8::from(yes)))),
            ];
            let metrics = metrics.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
            Some(Said {
                id: Uuid::new_v5(&id, b"user_feedback"),
                execution: id,
                feedback_type: FeedbackType::DetailedFeedback,
                source: FeedbackSource::User,
                rating: said.rating,
                text: said.comments,
                metrics: metrics.collect(),
            })
        }
    };
    let run = Run {
        id,
        session: None,
        person: None,
        input: result.stage1_analysis,
        output: result.stage2_rewrite,
        context,
        enriched: false,
        metrics,
    };
    Ok(Read { execution: Some(run), feedback })
}

fn interaction(record: InteractionRecord) -> Result<Read, Problem> {
    let InteractionRecord { interaction_id: id, input_data: input, .. } = record;
    not_nil("interaction_id", Some(id))?;
    within("input_data.token_count", input.token_count, 0.0, 1e9)?;
    within("input_data.complexity_score", input.complexity_score, 0.0, 10.0)?;
    let mut context = BTreeMap::new();
    category(&mut context, "domain", input.domain.as_deref())?;
    if let Some(score) = input.complexity_score {
        context.insert("complexity".to_owned(), ContextValue::Number(score));
    }
    let place = record.context_data.as_ref();
    category(&mut context, "ide", place.and_then(|place| place.ide_detected.as_deref()))?;
    let made = record.enhancement_data.as_ref();
    category(&mut context, "template", made.and_then(|made| made.selected_template.as_deref()))?;
    category(&mut context, "template_version", made.and_then(|made| made.template_version.as_deref()))?;
    within("enhancement_data.enhancement_time_ms", made.and_then(|m| m.enhancement_time_ms), 0.0, 1e9)?;
    let metrics = [
        ("input_tokens", input.token_count),
        ("latency_ms", made.and_then(|made| made.enhancement_time_ms)),
        ("output_length", made.and_then(|made| made.enhanced_prompt_length)),
        ("enhancement_applied", made.and_then(|m| m.enhancement_applied).map(|yes| f64::from(u8::from(yes)))),
    ];
    let run = Run {
        id,
        session: record.session_id,
        person: record.user_id,
        input: Some(input.raw_prompt),
        output: None,
        context,
        enriched: true,
        metrics: metrics.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect(),
    };
    Ok(Read { execution: Some(run), feedback: None })
}

fn performance(record: PerformanceRecord, execution: Uuid, bytes: &[u8]) -> Result<Read, Problem> {
    let mut metrics = BTreeMap::new();
    numbers("", &record.performance_metrics, &mut metrics);
    for (name, value) in &metrics {
        within(&format!("performance_metrics.{name}"), Some(*value), 0.0, 1e12)?;
    }
    if metrics.is_empty() {
        return Err(
            Invalid::new("performance_metrics", "without a number", "at least one measurement").into()
        );
    }
    let said = Said {
        id: Uuid::new_v5(&execution, bytes),
        execution,
        feedback_type: FeedbackType::Metric,
        source: FeedbackSource::Program,
        rating: None,
        text: None,
        metrics,
    };
    Ok(Read { execution: None, feedback: Some(said) })
}

fn outcome(record: OutcomeRecord, execution: Uuid, bytes: &[u8]) -> Result<Read, Problem> {
    let data = record.outcome_data;
    let mut metrics = BTreeMap::new();
    let named = [
        ("claude_response_time_ms", data.claude_response_time_ms, 1e12),
        ("response_quality_score", data.response_quality_score, 10.0),
        ("user_satisfaction_rating", data.user_satisfaction_rating, 10.0),
    ];
    for (name, value, most) in named {
        within(&format!("outcome_data.{name}"), value, 0.0, most)?;
        metrics.extend(value.map(|value| (name.to_owned(), value)));
    }
    for (name, value) in &data.quality_metrics {
        within(&format!("outcome_data.quality_metrics.{name}"), Some(*value), 0.0, 1.0)?;
        metrics.insert(format!("quality.{name}"), *value);
    }
    let said = data
        .feedback_data
        .unwrap_or(FeedbackData { explicit_feedback: None, implicit_feedback: BTreeMap::new() });
    for (name, value) in &said.implicit_feedback {
        within(&format!("outcome_data.feedback_data.implicit_feedback.{name}"), Some(*value), 0.0, 1e12)?;
        metrics.insert(name.clone(), *value);
    }
    let said = Said {
        id: Uuid::new_v5(&execution, bytes),
        execution,
        feedback_type: FeedbackType::DetailedFeedback,
        source: FeedbackSource::User,
        rating: None,
        text: said.explicit_feedback,
        metrics,
    };
    Ok(Read { execution: None, feedback: Some(said) })
}

/// What a record becomes.
struct Written {
    events: Vec<Event>,
    id: Uuid,
    execution_id: Uuid,
    feedback_id: Option<Uuid>,
    hashes: BTreeMap<String, InputHash>,
}

fn events(
    app: &App,
    caller: &Caller,
    agent: &crate::registry::AgentEntry,
    kind: Kind,
    read: Read,
    document: Value,
    occurred_at: Timestamp,
) -> Result<Written, Problem> {
    let organisation = caller.organisation();
    let canonical = serde_json::to_vec(&document).map_err(|e| Problem::internal(&e.to_string()))?;
    let fingerprints = app.keyring.fingerprints(organisation, &canonical);
    let mut document = document;
    // Who it was stands as a keyed hash beside the record.
    if let Some(person) = document.get_mut("user_id").filter(|person| person.is_string()) {
        let name = person.as_str().unwrap_or_default();
        *person = Value::String(app.keyring.pseudonym(organisation, name).to_string());
    }
    let hashes = match kind {
        Kind::Optimization => input_hashes(app, organisation, &mut document)?,
        _ => BTreeMap::new(),
    };
    let mut events = Vec::new();
    let (mut id, mut execution_id, mut feedback_id) = (None, None, None);
    let record = payload(kind.name(), document)?;
    if let Some(run) = read.execution {
        (id, execution_id) = (Some(run.id), Some(run.id));
        let execution = execution(app, organisation, agent.id, run, record.clone(), occurred_at)?;
        events.push(Event::Execution {
            execution: Box::new(execution),
            fingerprints: fingerprints.clone(),
            restore: None,
        });
    }
    if let Some(said) = read.feedback {
        feedback_id = Some(said.id);
        execution_id = execution_id.or(Some(said.execution));
        let details = id.is_none().then_some(record);
        id = id.or(Some(said.id));
        events.push(feedback(app, organisation, agent, said, details, (fingerprints, occurred_at))?);
    }
    let missing = || Problem::internal("a record became nothing");
    let (id, execution_id) = (id.ok_or_else(missing)?, execution_id.ok_or_else(missing)?);
    Ok(Written { events, id, execution_id, feedback_id, hashes })
}

/// Hashes of an optimisation's inputs: of the hash that the product gives, otherwise of all that the record says of the
/// input, before anything is taken out of it. A hash that the product gives stands in the record under the key as well.
fn input_hashes(
    app: &App,
    organisation: upswing_domain::OrganisationId,
    document: &mut Value,
) -> Result<BTreeMap<String, InputHash>, Problem> {
    let mut hashes = BTreeMap::new();
    for name in [INPUT_RESUME, JOB_DESCRIPTION] {
        let given = document.get_mut(format!("{name}_hash")).filter(|given| given.is_string());
        if let Some(given) = given {
            // One hash, however its letters are written.
            let lower = given.as_str().unwrap_or_default().to_ascii_lowercase();
            let hash = app.keyring.input_hash(organisation, name, lower.as_bytes());
            *given = Value::String(hash.to_string());
            hashes.insert(name.to_owned(), hash);
            continue;
        }
        let said = document.get(name).filter(|input| input.as_object().is_some_and(|said| !said.is_empty()));
        if let Some(input) = said {
            let input = serde_json::to_vec(input).map_err(|e| Problem::internal(&e.to_string()))?;
            hashes.insert(name.to_owned(), app.keyring.input_hash(organisation, name, &input));
        }
    }
    Ok(hashes)
}

/// Whether a text is a hash of 32 bytes.
fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn execution(
    app: &App,
    organisation: upswing_domain::OrganisationId,
    agent: AgentId,
    run: Run,
    record: upswing_domain::Payload,
    occurred_at: Timestamp,
) -> Result<Execution, Problem> {
    let redactor = Redactor::new();
    let (mut session, mut input, mut output, mut metrics) = (run.session, run.input, run.output, run.metrics);
    if let Some(session) = session.as_ref().filter(|s| !(1..=200).contains(&s.chars().count())) {
        return Err(Invalid::new("session_id", session, "1 to 200 characters").into());
    }
    session.redact(&redactor);
    input.redact(&redactor);
    output.redact(&redactor);
    metrics.redact(&redactor);
    let person = run.person.map(|person| app.keyring.pseudonym(organisation, &person));
    let enrichment = trust::enrichment(app, input.as_deref());
    let mut context = run.context;
    if let Some(found) = enrichment.as_ref().filter(|_| run.enriched) {
        // What the application says of its input is not contradicted.
        let domain = || ContextValue::Category(found.domain.clone());
        context.entry("domain".to_owned()).or_insert_with(domain);
        let complexity = ContextValue::Number(f64::from(found.complexity_score));
        context.entry("complexity".to_owned()).or_insert(complexity);
    }
    let mut context = Context::new(context)?;
    context.redact(&redactor);
    Ok(Execution {
        id: ExecutionId(run.id),
        agent,
        decision: None,
        version: None,
        unit: person,
        subject: person,
        session,
        trace: None,
        parent: None,
        step: None,
        context: (!context.is_empty()).then_some(context),
        input,
        output,
        metrics,
        error: None,
        record: Some(record),
        enrichment,
        origin: Origin::Live,
        occurred_at,
    })
}

fn feedback(
    app: &App,
    organisation: upswing_domain::OrganisationId,
    agent: &crate::registry::AgentEntry,
    said: Said,
    details: Option<upswing_domain::Payload>,
    (fingerprints, occurred_at): (Vec<upswing_store::Fingerprint>, Timestamp),
) -> Result<Event, Problem> {
    let rating = super::feedback::stars("user_feedback.rating", said.rating)?;
    let statement = Statement {
        organisation,
        author: None,
        execution: Some(ExecutionId(said.execution)),
        text: said.text.as_deref(),
        correction: None,
        rating: rating.map(|stars| (f64::from(stars) - 1.0) / 4.0),
        at: occurred_at,
    };
    if said.source == FeedbackSource::User {
        trust::judge(app, &statement)?;
    }
    let redactor = Redactor::new();
    let (mut text, mut metrics) = (said.text, said.metrics);
    text.redact(&redactor);
    metrics.redact(&redactor);
    let defence = (said.source == FeedbackSource::User)
        .then(|| trust::defence(app.limits.caps, &app.keyring, organisation, text.as_deref()));
    let findings = trust::findings(app, text.as_deref());
    let feedback = Feedback {
        id: FeedbackId(said.id),
        agent: agent.id,
        target: Target::Execution(ExecutionId(said.execution)),
        feedback_type: said.feedback_type,
        source: said.source,
        author: None,
        rating,
        dimensions: Dimensions::default(),
        issue_categories: Vec::new(),
        metrics,
        text,
        correction: None,
        details,
        standing: Standing::Counted,
        findings,
        occurred_at,
    };
    feedback.validate()?;
    feedback.signals(&agent.serving().state.agent.reward_definition)?;
    Ok(Event::Feedback {
        feedback: Box::new(feedback),
        fingerprints,
        restore: None,
        token_uses: None,
        defence,
    })
}

/// Every number in an object, by its path. Flags are no measurements.
fn numbers(path: &str, object: &serde_json::Map<String, Value>, into: &mut BTreeMap<String, f64>) {
    for (name, value) in object {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match value {
            Value::Number(number) => into.extend(number.as_f64().map(|number| (path, number))),
            Value::Object(inner) => numbers(&path, inner, into),
            _ => {}
        }
    }
}

fn category(
    into: &mut BTreeMap<String, ContextValue>,
    name: &str,
    value: Option<&str>,
) -> Result<(), Invalid> {
    match value {
        Some(text) if text.is_empty() || text.chars().count() > Context::MAX_CHARS => {
            Err(Invalid::new(name, text, format!("1 to {} characters", Context::MAX_CHARS)))
        }
        Some(text) => {
            into.insert(name.to_owned(), ContextValue::Category(text.to_owned()));
            Ok(())
        }
        None => Ok(()),
    }
}

fn within(field: &str, value: Option<f64>, least: f64, most: f64) -> Result<(), Invalid> {
    match value {
        Some(v) if !(least..=most).contains(&v) => {
            Err(Invalid::new(field, v, format!("a number from {least} to {most}")))
        }
        _ => Ok(()),
    }
}
