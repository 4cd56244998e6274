//! A run of an agent, from its spans, as an execution.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use upswing_domain::{
    Context, ContextValue, Execution, OrganisationId, Origin, Payload, Timestamp, VersionId,
};
use upswing_otlp::{Content, RecordedExecution, RecordedSpan};
use upswing_privacy::{Token, TokenUse};
use upswing_store::{Alias, Event};

use crate::app::App;
use crate::registry::AgentEntry;
use crate::routes::restored;

/// Beyond it sums and sketches would cut a value off, as for executions that are reported otherwise.
const LARGEST_METRIC: f64 = 1e12;

/// The execution of a run. `spans` are all spans of its trace.
///
/// Its fingerprint covers the id alone: assembled again with more spans it is the same execution, and what is stored stays.
pub(crate) fn event(
    app: &App,
    organisation: OrganisationId,
    agent: &AgentEntry,
    recorded: &RecordedExecution,
    spans: &[RecordedSpan],
) -> Event {
    let run = &recorded.run;
    let now = app.now();
    let proof = run.upswing.token.as_ref().and_then(|token| {
        // It was good when it came in.
        let token = Token::open(token, &app.keyring, organisation, now).ok();
        token.filter(|token| token.agent == agent.id && !matches!(token.token_use, TokenUse::Shadow(_)))
    });
    let proved = proof.as_ref().map(|token| token.decision).filter(|id| !id.0.is_nil());
    let decision = proved.or(run.upswing.decision_id);
    let unit = run.user.as_ref().and_then(|user| user.parse().ok());
    let restore = proof.as_ref().and_then(|token| restored(token, unit));
    let version = match &restore {
        Some(decision) => Some(decision.version),
        None => run.upswing.version.as_ref().and_then(|name| version(agent, name)),
    };
    let started_at = Timestamp(run.started_at);
    let input = run.input.as_ref().map(Content::to_text);
    let execution = Execution {
        id: recorded.id,
        agent: agent.id,
        decision,
        version,
        unit,
        subject: unit,
        session: run.session.clone(),
        trace: Some(run.trace_id.to_string()),
        parent: None,
        step: None,
        context: context(run),
        input: input.clone(),
        output: run.output.as_ref().map(Content::to_text),
        metrics: metrics(recorded),
        error: run.error.clone(),
        record: Some(Payload { kind: "span".to_owned(), body: record(recorded, spans).to_string() }),
        enrichment: crate::trust::enrichment(app, input.as_deref()),
        origin: proof.as_ref().map_or(Origin::Live, |token| token.origin),
        // An emitter without a clock begins in 1970.
        occurred_at: if started_at.0 > 0 { started_at } else { now },
    };
    let fingerprints = app.keyring.fingerprints(organisation, recorded.id.0.as_bytes());
    Event::Execution { execution: Box::new(execution), fingerprints, restore }
}

/// The same without what it says of a decision, where that belongs to another agent.
pub(crate) fn undecided(event: Event) -> Event {
    match event {
        Event::Execution { mut execution, fingerprints, .. } => {
            execution.decision = None;
            Event::Execution { execution, fingerprints, restore: None }
        }
        other => other,
    }
}

/// A version of the agent by its hash or its label.
fn version(agent: &AgentEntry, name: &str) -> Option<VersionId> {
    let serving = agent.serving();
    let by_hash = name.parse().ok().filter(|id| serving.arm(*id).is_some());
    by_hash.or_else(|| serving.arms.iter().find(|arm| arm.label == name).map(|arm| arm.version))
}

/// What was known of the run: what the application says, and which model answered, unless the application says that itself.
fn context(run: &RecordedSpan) -> Option<Context> {
    let mut values: BTreeMap<String, ContextValue> =
        run.upswing.context.iter().map(|(key, value)| (key.to_owned(), value.clone())).collect();
    let model = run.response_model.as_ref().or(run.request_model.as_ref());
    for (key, text) in [("model", model), ("provider", run.provider.as_ref())] {
        if let Some(text) = text
            && values.len() < Context::MAX_KEYS
        {
            values.entry(key.to_owned()).or_insert_with(|| ContextValue::Category(text.clone()));
        }
    }
    Context::new(values).ok().filter(|context| !context.is_empty())
}

/// What was measured. What was not counted is absent, not 0.
fn metrics(recorded: &RecordedExecution) -> BTreeMap<String, f64> {
    let run = &recorded.run;
    let count = |value: Option<u64>| value.map(|value| value as f64);
    let steps = (recorded.steps > 0).then(|| f64::from(recorded.steps));
    let all = [
        ("latency_ms", Some(run.latency_ms)),
        ("input_tokens", count(run.tokens.input)),
        ("output_tokens", count(run.tokens.output)),
        ("cache_read_tokens", count(run.tokens.cache_read)),
        ("cache_write_tokens", count(run.tokens.cache_write)),
        ("reasoning_tokens", count(run.tokens.reasoning)),
        ("cost", run.cost),
        ("steps", steps),
    ];
    all.into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .filter(|(_, value)| (-LARGEST_METRIC..=LARGEST_METRIC).contains(value))
        .collect()
}

/// What else the spans say: everything that has no place of its own, so that nothing unknown is lost. Content stands in
/// input and output alone.
fn record(recorded: &RecordedExecution, spans: &[RecordedSpan]) -> Value {
    let run = &recorded.run;
    let members = spans.iter().filter(|span| recorded.members.contains(&span.span_id));
    let members: Vec<Value> = members
        .map(|span| {
            json!({
                "span_id": span.span_id,
                "parent_span_id": span.parent_span_id,
                "role": span.role,
                "name": span.name,
                "scope": span.scope_name,
                "latency_ms": span.latency_ms,
                "tokens": span.tokens,
                "error": span.error,
                "attributes": span.attributes,
            })
        })
        .collect();
    json!({
        "trace_id": run.trace_id,
        "span_id": run.span_id,
        "parent_span_id": run.parent_span_id,
        "role": run.role,
        "name": run.name,
        "scope": run.scope_name,
        "scope_version": run.scope_version,
        "resource": run.resource,
        "agent": run.agent,
        "request_model": run.request_model,
        "response_model": run.response_model,
        "response_ids": recorded.response_ids,
        "finish_reasons": run.finish_reasons,
        "attributes": run.attributes,
        "members": members,
        "shortened": run.shortened,
    })
}

/// The names under which feedback may name the execution.
pub(crate) fn aliases(agent: &AgentEntry, recorded: &RecordedExecution) -> Vec<Alias> {
    let trace = recorded.run.trace_id;
    let responses = recorded.response_ids.iter().map(|id| format!("response:{id}"));
    let spans = [&recorded.run.span_id].into_iter().chain(&recorded.members);
    let spans = spans.map(|span| format!("span:{trace}-{span}"));
    let session = recorded.run.session.iter().map(|session| format!("session:{session}"));
    responses
        .chain(spans)
        .chain(session)
        .map(|alias| Alias { alias, execution: recorded.id, agent: agent.id })
        .collect()
}

/// What a span says of a decision, checked as it comes in: a token that is not good is left out, with the reason.
pub(crate) fn check_token(
    app: &App,
    organisation: OrganisationId,
    span: &mut RecordedSpan,
) -> Result<(), String> {
    let Some(token) = &span.upswing.token else { return Ok(()) };
    match Token::open(token, &app.keyring, organisation, app.now()) {
        Ok(Token { token_use: TokenUse::Shadow(_), .. }) => {
            span.upswing.token = None;
            Err("upswing.token is a shadow's: what it did is reported as an execution".to_owned())
        }
        Ok(proof) => {
            if span.upswing.decision_id.is_some_and(|id| id != proof.decision) {
                span.upswing.token = None;
                return Err("upswing.token belongs to another decision than upswing.decision_id".to_owned());
            }
            Ok(())
        }
        Err(error) => {
            span.upswing.token = None;
            Err(format!("upswing.token: {error}"))
        }
    }
}
