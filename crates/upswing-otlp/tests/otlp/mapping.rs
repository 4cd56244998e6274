//! What is read of a span, by every convention.

use serde_json::{Value as Json, json};
use upswing_otlp::{Content, RecordedSpan, Role};

use crate::support::{TRACE, body, event, id, log, logs, read, read_spans, span, with};

fn one(given: Json) -> RecordedSpan {
    let received = read_spans(vec![span(1, None, given)]);
    assert_eq!(received.rejected.count, 0, "{:?}", received.rejected);
    received.spans.into_iter().next().unwrap()
}

fn text(content: &Option<Content>) -> &str {
    match content {
        Some(Content::Messages(messages)) if messages.len() == 1 => &messages[0].text,
        Some(Content::Text(text)) => text,
        _ => "",
    }
}

#[test]
fn todays_conventions() {
    let span = one(json!({
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic", "gen_ai.request.model": "small",
        "gen_ai.response.model": "small-2026", "gen_ai.response.id": "msg_1", "gen_ai.response.finish_reasons": ["stop", "length"],
        "gen_ai.usage.input_tokens": 90, "gen_ai.usage.output_tokens": 12, "gen_ai.usage.cache_read.input_tokens": 40,
        "gen_ai.usage.cache_creation.input_tokens": 5, "gen_ai.usage.reasoning.output_tokens": 3,
        "gen_ai.conversation.id": "c", "user.id": 17, "gen_ai.agent.id": "a1", "gen_ai.agent.name": "helper", "gen_ai.agent.version": "3",
        "gen_ai.workflow.name": "w", "gen_ai.prompt.name": "greeting", "gen_ai.request.temperature": 0.5,
        "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "hello"}]}],
        "gen_ai.output.messages": "[{\"role\": \"assistant\", \"parts\": [{\"type\": \"text\", \"content\": \"hi\"}], \"finish_reason\": \"stop\"}]",
        "gen_ai.something.new": {"a": 1},
    }));
    assert_eq!(span.role, Role::Chat);
    assert_eq!((span.provider.as_deref(), span.response_id.as_deref()), (Some("anthropic"), Some("msg_1")));
    assert_eq!(
        (span.request_model.as_deref(), span.response_model.as_deref()),
        (Some("small"), Some("small-2026"))
    );
    assert_eq!(span.finish_reasons, ["stop", "length"]);
    let tokens = serde_json::to_value(span.tokens).unwrap();
    assert_eq!(
        tokens,
        json!({"input": 90, "output": 12, "cache_read": 40, "cache_write": 5, "reasoning": 3})
    );
    assert_eq!((span.session.as_deref(), span.user.as_deref()), (Some("c"), Some("17")));
    let agent = serde_json::to_value(&span.agent).unwrap();
    assert_eq!(
        agent,
        json!({"id": "a1", "name": "helper", "version": "3", "workflow": "w", "prompt": "greeting"})
    );
    assert_eq!((text(&span.input), text(&span.output)), ("hello", "hi"));
    assert_eq!(
        span.attributes.keys().collect::<Vec<_>>(),
        ["gen_ai.operation.name", "gen_ai.request.temperature", "gen_ai.something.new"]
    );
    assert_eq!(
        (span.resource.len(), &span.resource["service.name"]),
        (1, &"shop".to_owned()),
        "not the host"
    );
    assert_eq!((span.scope_name.as_deref(), span.scope_version.as_deref()), (Some("tests"), Some("1")));
}

#[test]
fn openinference() {
    let span = one(json!({
        "openinference.span.kind": "LLM", "llm.model_name": "m", "llm.provider": "azure", "llm.system": "openai",
        "llm.token_count.prompt": 9, "llm.token_count.completion": 10, "llm.token_count.total": 19,
        "llm.token_count.prompt_details.cache_read": 2, "llm.token_count.completion_details.reasoning": 3,
        "llm.cost.prompt": 0.25, "llm.cost.completion": 0.5, "session.id": "s", "user.id": "u",
        "llm.input_messages.0.message.role": "user", "llm.input_messages.0.message.content": "hello",
        "llm.output_messages.0.message.role": "assistant", "llm.output_messages.0.message.content": "hi",
        "input.value": "{\"messages\": []}", "output.value": "{\"id\": \"chatcmpl-1\", \"object\": \"chat.completion\"}",
        "llm.invocation_parameters": "{\"model\": \"asked\"}",
    }));
    assert_eq!(
        (span.role, span.provider.as_deref(), span.response_id.as_deref()),
        (Role::Chat, Some("azure"), Some("chatcmpl-1"))
    );
    assert_eq!((span.request_model.as_deref(), span.response_model.as_deref()), (Some("asked"), Some("m")));
    assert_eq!((text(&span.input), text(&span.output)), ("hello", "hi"));
    assert_eq!((span.tokens.input, span.tokens.output, span.tokens.cache_read), (Some(9), Some(10), Some(2)));
    assert_eq!(span.cost, Some(0.75));
    assert!(!span.attributes.keys().any(|name| name.ends_with(".value") || name.contains("_messages")));

    let agent = one(
        json!({"openinference.span.kind": "AGENT", "agent.name": "a", "input.value": "in", "output.value": "out"}),
    );
    assert_eq!((agent.role, agent.agent.name.as_deref()), (Role::Agent, Some("a")));
    assert_eq!((text(&agent.input), text(&agent.output)), ("in", "out"));
}

#[test]
fn traceloop_and_older_names() {
    let span = one(json!({
        "gen_ai.system": "OpenAI", "llm.request.type": "chat", "gen_ai.request.model": "m",
        "gen_ai.usage.prompt_tokens": 9, "gen_ai.usage.completion_tokens": 10, "llm.usage.total_tokens": 19,
        "gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "hello",
        "gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.content": "hi", "gen_ai.completion.0.finish_reason": "stop",
        "traceloop.association.properties.session_id": "s", "traceloop.association.properties.user_id": "u",
    }));
    assert_eq!((span.role, span.provider.as_deref()), (Role::Chat, Some("OpenAI")));
    assert_eq!((span.tokens.input, span.tokens.output), (Some(9), Some(10)));
    assert_eq!(
        (text(&span.input), text(&span.output), span.finish_reasons.as_slice()),
        ("hello", "hi", &["stop".to_owned()][..])
    );
    assert_eq!((span.session.as_deref(), span.user.as_deref()), (Some("s"), Some("u")));

    let workflow = one(json!({
        "traceloop.span.kind": "workflow", "traceloop.entity.name": "answer",
        "traceloop.entity.input": "{\"args\": []}", "traceloop.entity.output": "\"done\"",
    }));
    assert_eq!((workflow.role, workflow.agent.name.as_deref()), (Role::Agent, Some("answer")));
    assert_eq!((text(&workflow.input), text(&workflow.output)), ("{\"args\": []}", "\"done\""));
}

#[test]
fn two_conventions_on_one_span_are_one_count() {
    let span = one(json!({
        "gen_ai.operation.name": "chat", "openinference.span.kind": "LLM",
        "gen_ai.usage.input_tokens": 90, "llm.token_count.prompt": 90, "gen_ai.usage.prompt_tokens": 90,
        "gen_ai.usage.output_tokens": 10, "llm.token_count.completion": 11,
        "gen_ai.input.messages": "[{\"role\": \"user\", \"content\": \"once\"}]",
        "llm.input_messages.0.message.role": "user", "llm.input_messages.0.message.content": "once",
    }));
    assert_eq!((span.tokens.input, span.tokens.output), (Some(90), Some(10)));
    assert_eq!(text(&span.input), "once");
    assert_eq!(span.attributes["llm.token_count.completion"], 11, "what differs is kept");
    assert_eq!(span.attributes.len(), 3);
}

#[test]
fn what_is_odd_is_missing_and_not_zero() {
    let span = one(json!({
        "gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": -1, "gen_ai.usage.output_tokens": "many",
        "llm.cost.total": -2.0, "gen_ai.response.id": "x".repeat(300), "session.id": "", "gen_ai.input.messages": "",
    }));
    assert!(!span.tokens.counted());
    assert_eq!(
        (span.cost, span.response_id.as_ref(), span.session.as_ref(), span.input.as_ref()),
        (None, None, None, None)
    );
    assert_eq!(span.attributes["gen_ai.usage.input_tokens"], -1);
}

#[test]
fn errors_are_types() {
    let failed = |given: Json, events: Json| {
        let failed = json!({"status": {"code": 2, "message": "a long story"}, "events": events});
        let received = read_spans(vec![with(span(1, None, given), failed)]);
        received.spans[0].error.clone().unwrap()
    };
    assert_eq!(failed(json!({"error.type": "timeout"}), json!([])), "timeout");
    assert_eq!(
        failed(json!({}), json!([event("exception", json!({"exception.type": "ValueError"}))])),
        "ValueError"
    );
    assert_eq!(failed(json!({}), json!([])), "error");
}

#[test]
fn what_an_application_says_to_upswing() {
    let decision = "0192f0c1-7a3e-7cc0-8000-000000000001";
    let span = one(json!({
        "upswing.agent": "helper", "upswing.version": "ab", "upswing.decision_id": decision, "upswing.token": "t".repeat(500),
        "upswing.context.task": "x", "upswing.context.chars": 301, "upswing.context.options": true,
    }));
    assert_eq!(
        (span.role, span.upswing.agent.as_deref(), span.upswing.version.as_deref()),
        (Role::Other, Some("helper"), Some("ab"))
    );
    assert_eq!(span.upswing.decision_id.unwrap().to_string(), decision);
    assert_eq!(span.upswing.token.as_ref().unwrap().len(), 500);
    assert_eq!(span.upswing.context.to_json(), r#"{"chars":301.0,"options":true,"task":"x"}"#);
    assert!(span.attributes.is_empty());

    let received = read_spans(vec![crate::support::span(
        1,
        None,
        json!({"upswing.decision_id": "none", "upswing.context.a": "x".repeat(300)}),
    )]);
    assert_eq!(
        (received.spans.len(), received.rejected.count, received.rejected.reasons.len()),
        (1, 0, 2),
        "warnings"
    );
    assert_eq!(received.spans[0].attributes.len(), 1);
}

#[test]
fn spans_of_other_kinds_keep_their_place_alone() {
    let span = one(
        json!({"db.statement": "select secret", "http.url": "https://a/?token=b", "user_agent.original": "x"}),
    );
    assert_eq!((span.role, span.attributes.len(), span.resource.len()), (Role::Other, 0, 0));
}

#[test]
fn content_on_span_events() {
    let span = |events: Json| {
        let received = read_spans(vec![with(
            span(1, None, json!({"gen_ai.operation.name": "chat"})),
            json!({"events": events}),
        )]);
        received.spans.into_iter().next().unwrap()
    };
    let oldest = span(json!([
        event(
            "gen_ai.content.prompt",
            json!({"gen_ai.prompt": "[{\"role\": \"user\", \"content\": \"hello\"}]"})
        ),
        event(
            "gen_ai.content.completion",
            json!({"gen_ai.completion": "[{\"role\": \"assistant\", \"content\": \"hi\"}]"})
        ),
    ]));
    assert_eq!((text(&oldest.input), text(&oldest.output)), ("hello", "hi"));
    let older = span(json!([
        event("gen_ai.user.message", json!({"gen_ai.system": "openai", "content": "hello"})),
        event(
            "gen_ai.choice",
            json!({"index": 0, "finish_reason": "stop", "message": "{\"role\": \"assistant\", \"content\": \"hi\"}"})
        ),
    ]));
    assert_eq!((text(&older.input), text(&older.output)), ("hello", "hi"));
}

#[test]
fn content_in_logs_is_attached_in_the_order_of_its_times() {
    let about = json!({"traceId": TRACE, "spanId": id(1)});
    let message = |name: &str, at: u64, content: Json| {
        with(
            with(log(name, json!({"gen_ai.system": "openai"})), about.clone()),
            json!({"timeUnixNano": at.to_string(), "body": body(&content)}),
        )
    };
    let received = read(&logs(vec![
        message(
            "gen_ai.choice",
            30,
            json!({"index": 0, "finish_reason": "stop", "message": {"content": "hi"}}),
        ),
        message("gen_ai.user.message", 20, json!({"content": "hello"})),
        message("gen_ai.system.message", 10, json!({"content": "be brief"})),
        message("something.else", 40, json!({"content": "no"})),
        log("gen_ai.user.message", json!({"content": "of no span"})),
    ]));
    assert_eq!((received.contents.len(), received.ignored, received.rejected.count), (3, 2, 0));
    let mut span = one(json!({"gen_ai.operation.name": "chat"}));
    span.attach(&received.contents);
    assert_eq!(span.input.as_ref().unwrap().to_text(), "system: be brief\n\nuser: hello");
    assert_eq!(text(&span.output), "hi");
}
