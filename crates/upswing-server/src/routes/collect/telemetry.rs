//! OpenTelemetry: `/v1/traces` and `/v1/logs`, OTLP over HTTP.
//!
//! What is taken is on disk before the answer. Runs become executions a moment later (`jobs/telemetry.rs`), when their trace
//! has come.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use upswing_domain::{AgentId, FeedbackSource, OrganisationId};
use upswing_otlp::{
    Format, Kind, Received, RecordedFeedback, RecordedSpan, Role, SpanId, Target, TraceId, assemble,
    read_logs, read_traces,
};
use upswing_privacy::redact::Redactor;
use upswing_store::{Arrival, NewSpan, NewSpanContent, NewWaiting, StoreError, Telemetry};

use crate::app::{App, Shared};
use crate::auth::Caller;
use crate::problem::{Code, Problem, Problems};
use crate::runtime::tasks::compute;
use crate::telemetry::intake::{Intake, MAX_NAME};
use crate::telemetry::statement::{self, Waiting};
use crate::telemetry::{agent, run};
use crate::trust::{self, Statement};
use crate::wire::json::Params;
use crate::wire::otlp;

/// Which agent is meant where the spans do not say.
#[derive(Debug, Deserialize)]
pub(crate) struct ExportParams {
    agent: Option<String>,
}

/// Takes spans as OpenTelemetry exports them: protobuf or JSON, gzip or not.
///
/// 200 means: on disk. What could not be taken is told in `partialSuccess`; sending the same again changes nothing.
#[utoipa::path(
    post,
    path = "/v1/traces",
    tag = "collect",
    operation_id = "export_traces",
    params(
        ("agent" = Option<String>, Query, description = "Name or id of the agent of runs that name none"),
        ("upswing-agent" = Option<String>, Header, description = "The same as a header"),
        ("Content-Encoding" = Option<String>, Header, description = "`gzip`, or absent")
    ),
    request_body(content((Vec<u8> = "application/x-protobuf"), (serde_json::Value = "application/json"))),
    responses(
        (status = 200, description = "An `ExportTraceServiceResponse` in the request's encoding", body = serde_json::Value),
        Problems
    )
)]
pub(crate) async fn traces(
    State(app): State<Shared>,
    caller: Caller,
    Params(params): Params<ExportParams>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    export(&app, &caller, Kind::Traces, params, &headers, body).await
}

/// Takes log records as OpenTelemetry exports them: evaluations, and content of calls.
///
/// 200 means: on disk. Records that say nothing about generative AI are ignored.
#[utoipa::path(
    post,
    path = "/v1/logs",
    tag = "collect",
    operation_id = "export_logs",
    params(("Content-Encoding" = Option<String>, Header, description = "`gzip`, or absent")),
    request_body(content((Vec<u8> = "application/x-protobuf"), (serde_json::Value = "application/json"))),
    responses(
        (status = 200, description = "An `ExportLogsServiceResponse` in the request's encoding", body = serde_json::Value),
        Problems
    )
)]
pub(crate) async fn logs(
    State(app): State<Shared>,
    caller: Caller,
    Params(params): Params<ExportParams>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    export(&app, &caller, Kind::Logs, params, &headers, body).await
}

async fn export(
    app: &Shared,
    caller: &Caller,
    kind: Kind,
    params: ExportParams,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let (format, body) = otlp::read(headers, body).await?;
    let organisation = caller.organisation();
    let of_request = agent_of_request(app, organisation, params, headers)?;
    let broken = |error: tokio::task::JoinError| Problem::internal(&error.to_string());
    let shared = Arc::clone(app);
    let (mut received, unnamed) = compute(move || {
        let mut received = decode(kind, format, &body)?;
        let unnamed = unnamed(&shared, organisation, of_request, &mut received);
        Ok::<_, Problem>((received, unnamed))
    })
    .await
    .map_err(broken)??;
    refuse_unnamed(app, organisation, of_request, &mut received, unnamed).await?;
    let shared = Arc::clone(app);
    let (telemetry, rejected) = compute(move || {
        let telemetry = prepare(&shared, organisation, of_request, kind, &mut received);
        (telemetry, received.rejected)
    })
    .await
    .map_err(broken)?;
    app.store.receive_telemetry(organisation, app.now(), telemetry).await?;
    Ok(otlp::taken(kind, format, &clean(rejected)))
}

fn decode(kind: Kind, format: Format, body: &Bytes) -> Result<Received, Problem> {
    let received = match kind {
        Kind::Traces => read_traces(format, body),
        Kind::Logs => read_logs(format, body),
    };
    received.map_err(|error| Problem::new(Code::MalformedTelemetry, error.to_string()))
}

/// The agent that the endpoint or a header names. It must exist: it stands in a configuration, where it is put right once.
fn agent_of_request(
    app: &App,
    organisation: OrganisationId,
    params: ExportParams,
    headers: &HeaderMap,
) -> Result<Option<AgentId>, Problem> {
    let header = headers.get("upswing-agent").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let Some(name) = params.agent.or(header) else { return Ok(None) };
    match agent::find(app, organisation, &name) {
        Some(agent) => Ok(Some(agent.id)),
        None => Err(Problem::unknown_agent(name).about("agent")),
    }
}

/// The traces with runs of which no agent is named, though everything above them is known: what else could name one has come,
/// in this request or before. Other runs are kept, with a warning.
fn unnamed(
    app: &App,
    organisation: OrganisationId,
    of_request: Option<AgentId>,
    received: &mut Received,
) -> BTreeMap<TraceId, String> {
    let mut unnamed: BTreeMap<TraceId, String> = BTreeMap::new();
    for execution in assemble(&received.spans) {
        match agent::of_run(app, organisation, &execution.run, of_request) {
            Ok(_) => {}
            Err(reason) if execution.complete() => {
                unnamed.insert(execution.run.trace_id, reason);
            }
            Err(reason) => received.rejected.warn(format!("kept, and not assigned yet: {reason}")),
        }
    }
    unnamed
}

/// Refuses these runs, unless spans that came earlier name their agent.
async fn refuse_unnamed(
    app: &App,
    organisation: OrganisationId,
    of_request: Option<AgentId>,
    received: &mut Received,
    unnamed: BTreeMap<TraceId, String>,
) -> Result<(), StoreError> {
    if unnamed.is_empty() {
        return Ok(());
    }
    let mut refused: HashSet<(TraceId, SpanId)> = HashSet::new();
    for trace in unnamed.keys() {
        let stored = app.store.trace(organisation, &trace.to_string()).await?;
        let mut spans: Vec<RecordedSpan> =
            stored.spans.iter().filter_map(|(_, body)| serde_json::from_str(body).ok()).collect();
        spans.extend(received.spans.iter().filter(|span| span.trace_id == *trace).cloned());
        let fallback = of_request.or_else(|| stored.spans.iter().find_map(|(agent, _)| *agent));
        for execution in assemble(&spans).into_iter().filter(upswing_otlp::RecordedExecution::complete) {
            if agent::of_run(app, organisation, &execution.run, fallback).is_err() {
                refused.insert((*trace, execution.run.span_id));
                refused.extend(execution.members.iter().map(|member| (*trace, *member)));
            }
        }
    }
    received.spans.retain(|span| {
        let gone = refused.contains(&(span.trace_id, span.span_id));
        if gone {
            let reason = unnamed.get(&span.trace_id).cloned().unwrap_or_default();
            received.rejected.refuse(1, reason);
        }
        !gone
    });
    Ok(())
}

/// What is stored: without what identifies people.
fn prepare(
    app: &App,
    organisation: OrganisationId,
    of_request: Option<AgentId>,
    kind: Kind,
    received: &mut Received,
) -> Telemetry {
    let intake = Intake { keyring: &app.keyring, organisation, redactor: Redactor::new() };
    let timing = app.limits.telemetry;
    let mut telemetry = Telemetry {
        settle_seconds: timing.settle_seconds,
        idle_seconds: timing.idle_seconds,
        ..Telemetry::default()
    };
    let mut arrivals: BTreeMap<TraceId, Arrival> = BTreeMap::new();
    for mut span in std::mem::take(&mut received.spans) {
        if let Err(reason) = run::check_token(app, organisation, &mut span) {
            received.rejected.warn(format!("span {}: {reason}", span.span_id));
        }
        intake.span(&mut span);
        let Ok(body) = serde_json::to_string(&span) else {
            received.rejected.refuse(1, "a span cannot be written as JSON");
            continue;
        };
        let arrival = arrivals.entry(span.trace_id).or_insert_with(|| Arrival {
            trace: span.trace_id.to_string(),
            complete: false,
            settle_seconds: timing.settle_seconds,
        });
        arrival.complete |= span.parent_span_id.is_none();
        if span.role == Role::Chat && span.output.is_none() && span.error.is_none() {
            // Its text may be on its way as a log record, which has an exporter and a timer of its own.
            arrival.settle_seconds = timing.content_seconds;
        }
        telemetry.spans.push(NewSpan {
            trace: span.trace_id.to_string(),
            span: span.span_id.to_string(),
            agent: of_request,
            ended_at: span.ended_at,
            body,
        });
    }
    telemetry.traces = arrivals.into_values().collect();
    for mut content in std::mem::take(&mut received.contents) {
        intake.content(&mut content);
        let (trace, span) = (content.trace_id.to_string(), content.span_id.to_string());
        if let Ok(body) = serde_json::to_string(&content) {
            telemetry.contents.push(NewSpanContent { trace, span, body });
        }
    }
    for mut said in std::mem::take(&mut received.feedback) {
        if let Err(reason) = judge(app, organisation, &said) {
            match kind {
                // The span itself was taken.
                Kind::Traces => received.rejected.warn(reason),
                Kind::Logs => received.rejected.refuse(1, reason),
            }
            continue;
        }
        intake.feedback(&mut said);
        let (id, wants) = (said.id, wants(&said));
        if let Ok(body) = serde_json::to_string(&Waiting::Telemetry(Box::new(said))) {
            let fingerprints = statement::fingerprints(app, organisation, id);
            telemetry.feedback.push(NewWaiting { id, fingerprints, wants, body });
        }
    }
    telemetry
}

/// Under which name feedback waits for what it is about. Which execution a span is part of is known with its trace.
fn wants(said: &RecordedFeedback) -> String {
    match &said.target {
        Target::Span { trace_id, .. } | Target::Trace(trace_id) => format!("trace:{trace_id}"),
        Target::Response(id) => format!("response:{id}"),
        Target::Session(session) => format!("session:{session}"),
    }
}

/// Refuses what feedback that is given otherwise is refused for.
fn judge(app: &App, organisation: OrganisationId, said: &RecordedFeedback) -> Result<(), String> {
    let length = said.name.chars().count();
    if length > MAX_NAME {
        return Err(format!("the name of an evaluation has {length} characters, but may have {MAX_NAME}"));
    }
    if statement::source(said) != FeedbackSource::User {
        return Ok(());
    }
    let statement = Statement {
        organisation,
        author: None,
        execution: None,
        text: said.explanation.as_deref(),
        correction: None,
        rating: None,
        at: app.now(),
    };
    trust::judge(app, &statement).map_err(|problem| problem.detail)
}

/// Reasons name what was sent, which may hold anything.
fn clean(mut rejected: upswing_otlp::Rejected) -> upswing_otlp::Rejected {
    let redactor = Redactor::new();
    for reason in &mut rejected.reasons {
        *reason = redactor.text(reason).text.into_owned();
    }
    rejected
}
