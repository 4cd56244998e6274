//! Bodies of real emitters (`tests/fixtures/README.md`): each run is four executions, whoever recorded it and how often.

use upswing_otlp::{
    Annotator, Content, Format, Received, RecordedExecution, Role, Target, assemble, read_logs, read_traces,
    resolve,
};

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../fixtures/", $name)).as_slice()
    };
}

pub(crate) const TRACES: &[(&str, &[u8])] = &[
    ("genai-off", fixture!("genai-off-traces.pb")),
    ("genai", fixture!("genai-traces.pb")),
    ("genai-event", fixture!("genai-event-traces.pb")),
    ("openinference", fixture!("openinference-traces.pb")),
    ("openinference-both", fixture!("openinference-both-traces.pb")),
    ("traceloop", fixture!("traceloop-traces.pb")),
    ("two", fixture!("two-traces.pb")),
    ("three", fixture!("three-traces.pb")),
];
pub(crate) const LOGS: &[&[u8]] = &[fixture!("genai-off-logs.pb"), fixture!("genai-event-logs.pb")];
pub(crate) const JAVASCRIPT: &[u8] = fixture!("javascript-traces.json");

fn captured(name: &str) -> Received {
    let (_, body) = TRACES.iter().find(|(known, _)| *known == name).unwrap();
    let received = read_traces(Format::Protobuf, body).unwrap();
    assert_eq!(received.rejected, upswing_otlp::Rejected::default(), "{name}");
    received
}

fn text(content: &Option<Content>) -> String {
    content.as_ref().map(Content::to_text).unwrap_or_default()
}

fn chats(executions: &[RecordedExecution]) -> Vec<&RecordedExecution> {
    let mut chats: Vec<_> = executions.iter().filter(|execution| execution.run.role == Role::Chat).collect();
    chats.sort_by_key(|execution| execution.run.started_at);
    chats
}

#[test]
fn every_run_is_three_calls_and_one_agent_with_each_token_counted_once() {
    for (name, _) in TRACES {
        let received = captured(name);
        let executions = assemble(&received.spans);
        assert_eq!(executions.len(), 4, "{name}");
        assert!(executions.iter().all(RecordedExecution::complete), "{name}");

        let chats = chats(&executions);
        let [asked, streamed, failed] = chats.as_slice() else { panic!("{name}: {}", chats.len()) };
        for call in [asked, streamed] {
            let tokens = call.run.tokens;
            assert_eq!(
                (tokens.input, tokens.output, tokens.cache_read),
                (Some(9), Some(10), Some(2)),
                "{name}"
            );
            assert_eq!(
                (call.steps, call.response_ids.len(), call.run.error.as_deref()),
                (1, 1, None),
                "{name}"
            );
            assert_eq!(call.run.finish_reasons, ["stop"], "{name}");
            assert_eq!(call.run.response_model.as_deref(), Some("stub-small-2026"), "{name}");
            assert_eq!(call.run.provider.as_deref(), Some("openai"), "{name}");
        }
        assert!(failed.run.error.as_deref().unwrap().ends_with("BadRequestError"), "{name}");
        assert_eq!(
            (failed.run.tokens.input, failed.run.output.as_ref()),
            (None, None),
            "{name}: missing, not 0"
        );
        assert_eq!(failed.run.request_model.as_deref(), Some("stub-small"), "{name}");

        let agent = executions.iter().find(|execution| execution.run.role == Role::Agent).unwrap();
        assert_eq!((agent.steps, agent.response_ids.len()), (2, 2), "{name}");
        assert_eq!((agent.run.tokens.input, agent.run.tokens.output), (Some(15), Some(17)), "{name}");
        assert_eq!(agent.run.tokens.reasoning, Some(6), "{name}");
        assert_eq!(agent.run.agent.name.as_deref(), Some("shop-assistant"), "{name}");
        assert_eq!(agent.run.session.as_deref(), Some("visit-7"), "{name}");
        assert_eq!(agent.run.upswing.context.to_json(), r#"{"topic":"arithmetic"}"#, "{name}");
        assert_eq!(agent.run.resource["service.name"], "shop-assistant", "{name}");
        assert_eq!(agent.supersedes.len(), agent.members.len(), "{name}");

        if *name != "genai-off" {
            assert_eq!(text(&asked.run.output), "The answer to 'What is six times seven?' is 42.", "{name}");
            assert_eq!(
                text(&asked.run.input),
                "system: Answer in one sentence.\n\nuser: What is six times seven?",
                "{name}"
            );
            assert_eq!(
                text(&streamed.run.output).trim_end(),
                "The answer to 'What is seven times six?' is 42.",
                "{name}"
            );
            assert!(
                text(&agent.run.input).ends_with("user: What is a dozen?"),
                "{name}: that of the first call"
            );
            assert_eq!(
                text(&agent.run.output),
                "The answer to 'And two dozen?' is 42.",
                "{name}: that of the last"
            );
        }
    }
}

#[test]
fn a_call_that_several_instrumentations_saw_leaves_a_span_each_and_one_execution() {
    for (name, views) in [("two", 2), ("three", 3)] {
        let received = captured(name);
        let executions = assemble(&received.spans);
        for call in chats(&executions) {
            assert_eq!(call.members.len(), views - 1, "{name}");
        }
        let agent = executions.iter().find(|execution| execution.run.role == Role::Agent).unwrap();
        assert_eq!(agent.members.len(), 2 * views, "{name}");
    }
}

#[test]
fn two_conventions_on_one_span_are_read_once() {
    let received = captured("openinference-both");
    for span in received.spans.iter().filter(|span| span.role == Role::Chat) {
        let doubled = [
            "llm.token_count.prompt",
            "llm.token_count.completion",
            "llm.finish_reason",
            "gen_ai.input.messages",
        ];
        assert!(doubled.iter().all(|name| !span.attributes.contains_key(*name)), "{:?}", span.attributes);
    }
}

#[test]
fn a_rating_on_a_carrier_span_is_about_the_span_it_is_linked_to() {
    for (name, _) in TRACES {
        let received = captured(name);
        let executions = assemble(&received.spans);
        let [rating] = received.feedback.as_slice() else { panic!("{name}: {:?}", received.feedback) };
        assert_eq!(
            (rating.name.as_str(), rating.score, rating.label.as_deref()),
            ("helpful", Some(1.0), Some("thumbs up"))
        );
        assert_eq!(rating.annotator, Some(Annotator::Human));
        let agent = executions.iter().find(|execution| execution.run.role == Role::Agent).unwrap();
        assert_eq!(resolve(&rating.target, &received.spans, &executions), [agent.id], "{name}");
    }
}

#[test]
fn an_evaluation_in_a_log_finds_the_call_by_its_response_id() {
    let received = captured("genai-off");
    let executions = assemble(&received.spans);
    let logs = read_logs(Format::Protobuf, LOGS[0]).unwrap();
    let [evaluation] = logs.feedback.as_slice() else { panic!("{logs:?}") };
    assert_eq!((evaluation.name.as_str(), evaluation.score), ("relevance", Some(0.75)));
    assert_eq!(evaluation.target, Target::Response("chatcmpl-stub-1".to_owned()));
    let asked = chats(&executions)[0].id;
    assert_eq!(resolve(&evaluation.target, &received.spans, &executions), [asked]);
}

#[test]
fn content_in_logs_is_that_on_spans_and_is_not_said_twice() {
    let mut received = captured("genai-event");
    let logs = read_logs(Format::Protobuf, LOGS[1]).unwrap();
    assert_eq!((logs.contents.len(), logs.feedback.len(), logs.rejected.count), (5, 1, 0));
    for span in received.spans.iter_mut().filter(|span| span.role == Role::Chat) {
        let written = span.clone();
        span.attach(&logs.contents);
        assert_eq!(*span, written);
        span.input = None;
        span.output = None;
        span.attach(&logs.contents);
        assert_eq!((&span.input, &span.output), (&written.input, &written.output));
    }
}

#[test]
fn javascript_sends_json_and_cuts_texts_within_a_character() {
    let received = read_traces(Format::Json, JAVASCRIPT).unwrap();
    assert_eq!((received.spans.len(), received.rejected.count), (2, 0));
    let executions = assemble(&received.spans);
    let [agent] = executions.as_slice() else { panic!("{executions:?}") };
    assert_eq!((agent.run.tokens.input, agent.run.tokens.output), (Some(9), Some(10)));
    assert_eq!(agent.run.attributes["app.tags"], serde_json::json!(["a", "b"]));
    assert!(received.spans[0].attributes["app.cut"].as_str().unwrap().ends_with("x\u{fffd}"));
    let [evaluation] = received.feedback.as_slice() else { panic!("{:?}", received.feedback) };
    assert_eq!(resolve(&evaluation.target, &received.spans, &executions), [agent.id]);
}
