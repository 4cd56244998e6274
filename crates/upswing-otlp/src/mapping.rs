//! From a span's attributes and events to what is kept of it.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use upswing_domain::{Context, ContextValue, DecisionId};
use uuid::Uuid;

use crate::attributes::{take_count, take_name, take_number, take_texts};
use crate::bounds::{MAX_NAME_CHARS, Map};
use crate::content::{self, Content};
use crate::model::{Event, Source, Span, microseconds};
use crate::span::{AgentHints, RecordedSpan, Role, Tokens, UpswingHints};

/// What is kept of a span. Feedback has been taken out of the attributes before.
pub(crate) fn record(span: Span, source: &Source, warnings: &mut Vec<String>) -> RecordedSpan {
    let mut attributes = span.attributes;
    let role = role(&attributes);
    let foreign = role == Role::Other && !attributes.keys().any(|name| is_ours(name));
    let failed = span.failed;
    let error = take_name(&mut attributes, &["error.type"])
        .or_else(|| failed.then(|| exception(&span.events)).flatten())
        .or_else(|| failed.then(|| "error".to_owned()));
    let mut recorded = RecordedSpan {
        trace_id: span.trace_id,
        span_id: span.span_id,
        parent_span_id: span.parent,
        parent_is_remote: span.parent_is_remote.filter(|_| span.parent.is_some()),
        role,
        name: span.name,
        agent: AgentHints::default(),
        upswing: UpswingHints::default(),
        resource: BTreeMap::new(),
        scope_name: source.scope_name.clone(),
        scope_version: source.scope_version.clone(),
        started_at: microseconds(span.start),
        ended_at: microseconds(span.end),
        latency_ms: (span.end - span.start) as f64 / 1e6,
        error,
        provider: None,
        request_model: None,
        response_model: None,
        response_id: None,
        session: None,
        user: None,
        input: None,
        output: None,
        tokens: Tokens::default(),
        finish_reasons: Vec::new(),
        cost: None,
        attributes: BTreeMap::new(),
        shortened: span.shortened,
    };
    if foreign {
        return recorded;
    }
    recorded.resource = identity(&source.resource);
    recorded.upswing = upswing(&mut attributes, warnings);
    read_content(&mut recorded, &mut attributes, &span.events);
    read_names(&mut recorded, &mut attributes);
    read_numbers(&mut recorded, &mut attributes);
    content::strip(&mut attributes);
    recorded.attributes = attributes;
    recorded
}

/// What a span stands for. Where conventions disagree, OpenTelemetry's own comes first.
pub(crate) fn role(attributes: &Map) -> Role {
    let text = |name: &str| attributes.get(name).and_then(Json::as_str);
    match text("gen_ai.operation.name") {
        Some("invoke_agent" | "invoke_workflow") => return Role::Agent,
        Some("chat" | "generate_content" | "text_completion") => return Role::Chat,
        Some("embeddings" | "retrieval" | "execute_tool" | "create_agent" | "plan") => return Role::Other,
        _ => {}
    }
    match text("openinference.span.kind").map(str::to_ascii_uppercase).as_deref() {
        Some("AGENT") => return Role::Agent,
        Some("LLM") => return Role::Chat,
        Some("UNKNOWN") | None => {}
        Some(_) => return Role::Other,
    }
    match text("traceloop.span.kind") {
        Some("workflow" | "agent") => return Role::Agent,
        Some("task" | "tool") => return Role::Other,
        _ => {}
    }
    match text("llm.request.type") {
        Some("chat" | "completion") => return Role::Chat,
        Some(_) => return Role::Other,
        None => {}
    }
    let generated = attributes.keys().any(|name| {
        let prompt = name
            .strip_prefix("gen_ai.prompt.")
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        prompt
            || name.starts_with("gen_ai.completion.")
            || name.starts_with("llm.output_messages.")
            || matches!(
                name.as_str(),
                "gen_ai.output.messages"
                    | "gen_ai.response.finish_reasons"
                    | "gen_ai.usage.output_tokens"
                    | "gen_ai.usage.completion_tokens"
                    | "llm.token_count.completion"
            )
    });
    if generated { Role::Chat } else { Role::Other }
}

/// Whether an attribute is of a convention for generative AI, or of Upswing.
fn is_ours(name: &str) -> bool {
    const STARTS: &[&str] = &[
        "gen_ai.",
        "openinference.",
        "llm.",
        "traceloop.",
        "upswing.",
        "input.",
        "output.",
        "session.",
        "user.",
        "tool.",
        "agent.",
        "retrieval.",
    ];
    // Browsers and HTTP instrumentations write it as well.
    name != "user.agent"
        && !name.starts_with("user_agent.")
        && STARTS.iter().any(|start| name.starts_with(start))
}

fn exception(events: &[Event]) -> Option<String> {
    let exception = events.iter().rev().find(|event| event.name == "exception")?;
    let kind = exception.attributes.get("exception.type")?.as_str()?;
    Some(kind.chars().take(MAX_NAME_CHARS).collect()).filter(|kind: &String| !kind.is_empty())
}

/// How many attributes of a resource are kept with each of its spans, and how long they may be: a request names a
/// resource once and may have thousands of spans.
const MAX_IDENTITY: usize = 16;

fn identity(resource: &Map) -> BTreeMap<String, String> {
    let names = |name: &str| {
        ["service.", "deployment.", "upswing."].iter().any(|start| name.starts_with(start))
            || name == "openinference.project.name"
    };
    let texts = resource.iter().filter(|(name, _)| names(name)).filter_map(|(name, value)| {
        let text = value.as_str().filter(|text| text.chars().count() <= MAX_NAME_CHARS)?;
        Some((name.clone(), text.to_owned()))
    });
    texts.take(MAX_IDENTITY).collect()
}

fn upswing(attributes: &mut Map, warnings: &mut Vec<String>) -> UpswingHints {
    const CONTEXT: &str = "upswing.context.";
    let decision = take_name(attributes, &["upswing.decision_id"]);
    let decision_id = decision.and_then(|text| match Uuid::parse_str(&text) {
        Ok(id) if !id.is_nil() => Some(DecisionId(id)),
        _ => {
            warnings.push("upswing.decision_id is no UUID".to_owned());
            None
        }
    });
    // Sealed tokens are longer than names.
    let token = match attributes.get("upswing.token") {
        Some(Json::String(token)) if !token.is_empty() && token.len() <= 4_096 => Some(token.clone()),
        _ => None,
    };
    if token.is_some() {
        attributes.remove("upswing.token");
    }
    let values: BTreeMap<String, ContextValue> = attributes
        .range(CONTEXT.to_owned()..)
        .take_while(|(name, _)| name.starts_with(CONTEXT))
        .filter_map(|(name, value)| {
            let value = match value {
                Json::Bool(flag) => ContextValue::Flag(*flag),
                Json::Number(number) => ContextValue::Number(number.as_f64()?),
                Json::String(text) => ContextValue::Category(text.clone()),
                _ => return None,
            };
            Some((name[CONTEXT.len()..].to_owned(), value))
        })
        .collect();
    let names: Vec<String> = values.keys().map(|name| format!("{CONTEXT}{name}")).collect();
    let context = match Context::new(values) {
        Ok(context) => {
            for name in names {
                attributes.remove(&name);
            }
            context
        }
        Err(invalid) => {
            warnings.push(invalid.under("upswing").to_string());
            Context::default()
        }
    };
    UpswingHints {
        agent: take_name(attributes, &["upswing.agent"]),
        version: take_name(attributes, &["upswing.version"]),
        decision_id,
        token,
        context,
    }
}

/// Input and output: of the attributes, otherwise of the span's events.
fn read_content(recorded: &mut RecordedSpan, attributes: &mut Map, events: &[Event]) {
    // OpenInference keeps the provider's answer whole, and its id with it.
    let raw = attributes.get("output.value").and_then(Json::as_str).and_then(content::structured);
    if recorded.role == Role::Chat
        && let Some(answer) = raw
        && (answer.get("object").is_some() || answer.get("choices").is_some())
    {
        let id = answer.get("id").and_then(Json::as_str);
        recorded.response_id =
            id.filter(|id| !id.is_empty() && id.chars().count() <= MAX_NAME_CHARS).map(str::to_owned);
    }
    (recorded.input, recorded.output) = content::take(attributes);
    let (mut input, mut output) = (Vec::new(), Vec::new());
    for event in events {
        if let Some((more_input, more_output)) =
            content::of_event(&event.name, &event.attributes, &Json::Null)
        {
            input.extend(more_input);
            output.extend(more_output);
        }
    }
    if recorded.input.is_none() && !input.is_empty() {
        recorded.input = Some(Content::Messages(input));
    }
    if recorded.output.is_none() && !output.is_empty() {
        recorded.output = Some(Content::Messages(output));
    }
}

fn read_names(recorded: &mut RecordedSpan, attributes: &mut Map) {
    let agent_span = recorded.role == Role::Agent;
    let entity = if agent_span { take_name(attributes, &["traceloop.entity.name"]) } else { None };
    recorded.agent = AgentHints {
        id: take_name(attributes, &["gen_ai.agent.id"]),
        name: take_name(attributes, &["gen_ai.agent.name", "agent.name"]).or(entity),
        version: take_name(attributes, &["gen_ai.agent.version"]),
        workflow: take_name(attributes, &["gen_ai.workflow.name", "traceloop.workflow.name"]),
        prompt: take_name(attributes, &["gen_ai.prompt.name", "prompt.id"]),
    };
    recorded.provider =
        take_name(attributes, &["gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system"]);
    recorded.request_model = take_name(attributes, &["gen_ai.request.model", "llm.request.model_name"]);
    if recorded.request_model.is_none() {
        // OpenInference has the model that was asked for among the parameters of the call alone.
        let parameters = attributes.get("llm.invocation_parameters").and_then(Json::as_str);
        let model = parameters.and_then(content::structured);
        let model = model.as_ref().and_then(|parameters| parameters.get("model")?.as_str());
        recorded.request_model = model
            .filter(|name| !name.is_empty() && name.chars().count() <= MAX_NAME_CHARS)
            .map(str::to_owned);
    }
    recorded.response_model =
        take_name(attributes, &["gen_ai.response.model", "llm.response.model_name", "llm.model_name"]);
    let response_id = take_name(attributes, &["gen_ai.response.id", "llm.response.id"]);
    recorded.response_id = response_id.or(recorded.response_id.take());
    recorded.session = take_name(
        attributes,
        &[
            "gen_ai.conversation.id",
            "session.id",
            "traceloop.association.properties.session_id",
            "traceloop.association.properties.conversation_id",
            "traceloop.association.properties.chat_id",
        ],
    );
    recorded.user = take_name(
        attributes,
        &["user.id", "enduser.id", "enduser.pseudo.id", "traceloop.association.properties.user_id"],
    );
    let on_messages = match &recorded.output {
        Some(Content::Messages(messages)) => {
            messages.iter().filter_map(|m| m.finish_reason.clone()).collect()
        }
        _ => Vec::new(),
    };
    let names = ["gen_ai.response.finish_reasons", "llm.finish_reason", "gen_ai.response.finish_reason"];
    recorded.finish_reasons = take_texts(attributes, &names);
    if recorded.finish_reasons.is_empty() {
        recorded.finish_reasons = on_messages;
    }
}

/// Tokens and cost. Each is read under the first name that holds one, and never added up over conventions: they count the
/// same call.
fn read_numbers(recorded: &mut RecordedSpan, attributes: &mut Map) {
    let mut count = |names: &[&str]| take_count(attributes, names);
    recorded.tokens = Tokens {
        input: count(&[
            "gen_ai.usage.input_tokens",
            "gen_ai.usage.prompt_tokens",
            "llm.token_count.prompt",
            "llm.usage.prompt_tokens",
            "usage.prompt_tokens",
        ]),
        output: count(&[
            "gen_ai.usage.output_tokens",
            "gen_ai.usage.completion_tokens",
            "llm.token_count.completion",
            "llm.usage.completion_tokens",
            "usage.completion_tokens",
        ]),
        cache_read: count(&[
            "gen_ai.usage.cache_read.input_tokens",
            "gen_ai.usage.cache_read_input_tokens",
            "llm.token_count.prompt_details.cache_read",
            "llm.usage.cache_read_input_tokens",
        ]),
        cache_write: count(&[
            "gen_ai.usage.cache_creation.input_tokens",
            "gen_ai.usage.cache_creation_input_tokens",
            "llm.token_count.prompt_details.cache_write",
        ]),
        reasoning: count(&[
            "gen_ai.usage.reasoning.output_tokens",
            "gen_ai.usage.reasoning_tokens",
            "llm.token_count.completion_details.reasoning",
            "llm.usage.reasoning_tokens",
        ]),
    };
    let cost = take_number(attributes, &["llm.cost.total", "gen_ai.usage.cost", "gen_ai.cost.total_cost"]);
    let parts = || {
        let part = |name: &str| attributes.get(name).and_then(Json::as_f64);
        Some(part("llm.cost.prompt")? + part("llm.cost.completion")?)
    };
    recorded.cost = cost.or_else(parts).filter(|cost| *cost >= 0.0);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn role_of(attributes: Json) -> Role {
        role(&serde_json::from_value(attributes).unwrap())
    }

    #[test]
    fn roles_by_every_convention() {
        for (attributes, expected) in [
            (json!({"gen_ai.operation.name": "invoke_agent"}), Role::Agent),
            (json!({"gen_ai.operation.name": "invoke_workflow"}), Role::Agent),
            (json!({"gen_ai.operation.name": "create_agent"}), Role::Other),
            (json!({"gen_ai.operation.name": "chat"}), Role::Chat),
            (json!({"gen_ai.operation.name": "generate_content"}), Role::Chat),
            (json!({"gen_ai.operation.name": "text_completion"}), Role::Chat),
            (json!({"gen_ai.operation.name": "embeddings", "gen_ai.usage.input_tokens": 3}), Role::Other),
            (json!({"gen_ai.operation.name": "execute_tool"}), Role::Other),
            (json!({"gen_ai.operation.name": "chat", "openinference.span.kind": "AGENT"}), Role::Chat),
            (json!({"gen_ai.operation.name": "something_new", "openinference.span.kind": "LLM"}), Role::Chat),
            (json!({"openinference.span.kind": "AGENT"}), Role::Agent),
            (json!({"openinference.span.kind": "llm"}), Role::Chat),
            (json!({"openinference.span.kind": "CHAIN", "llm.token_count.completion": 3}), Role::Other),
            (json!({"openinference.span.kind": "EMBEDDING"}), Role::Other),
            (json!({"traceloop.span.kind": "workflow"}), Role::Agent),
            (json!({"traceloop.span.kind": "task"}), Role::Other),
            (json!({"gen_ai.system": "OpenAI", "llm.request.type": "chat"}), Role::Chat),
            (json!({"gen_ai.system": "OpenAI", "llm.request.type": "embedding"}), Role::Other),
            (json!({"gen_ai.system": "openai", "gen_ai.response.finish_reasons": ["stop"]}), Role::Chat),
            (json!({"gen_ai.prompt.0.content": "a"}), Role::Chat),
            (json!({"gen_ai.prompt.name": "a"}), Role::Other),
            (json!({"http.request.method": "POST"}), Role::Other),
        ] {
            assert_eq!(role_of(attributes.clone()), expected, "{attributes}");
        }
    }
}
