//! Which spans are executions.

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use upswing_otlp::{Ancestry, RecordedExecution, RecordedSpan, Role, Target, assemble, resolve};

use crate::support::{TRACE, id, read_json, read_spans, span, traces, with};

fn recorded(spans: Vec<Json>) -> Vec<RecordedSpan> {
    let received = read_spans(spans);
    assert_eq!(received.rejected.count, 0, "{:?}", received.rejected);
    received.spans
}

fn agent(number: u64, parent: Option<u64>) -> Json {
    span(number, parent, json!({"gen_ai.operation.name": "invoke_agent"}))
}

fn chat(number: u64, parent: Option<u64>, input: u64, output: u64) -> Json {
    span(
        number,
        parent,
        json!({
            "gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": input, "gen_ai.usage.output_tokens": output,
            "gen_ai.request.model": format!("model {number}"), "gen_ai.response.id": format!("r{number}"), "llm.cost.total": 0.5,
            "gen_ai.input.messages": format!("question {number}"), "gen_ai.output.messages": format!("answer {number}"),
        }),
    )
}

fn other(number: u64, parent: Option<u64>) -> Json {
    span(number, parent, json!({"http.route": "/"}))
}

/// The number of an execution's span and those of its members.
fn shape(executions: &[RecordedExecution]) -> Vec<(u64, Vec<u64>)> {
    let number = |id: upswing_otlp::SpanId| u64::from_be_bytes(*id.as_bytes());
    let shape =
        |e: &RecordedExecution| (number(e.run.span_id), e.members.iter().map(|m| number(*m)).collect());
    executions.iter().map(shape).collect()
}

#[test]
fn the_outermost_agent_is_the_execution_and_its_calls_are_added_up() {
    let spans = recorded(vec![
        other(1, None),
        agent(2, Some(1)),
        chat(3, Some(2), 10, 1),
        span(4, Some(2), json!({"gen_ai.operation.name": "execute_tool"})),
        agent(5, Some(4)),
        chat(6, Some(5), 20, 2),
    ]);
    let executions = assemble(&spans);
    assert_eq!(shape(&executions), [(2, vec![3, 5, 6])]);
    let execution = &executions[0];
    assert_eq!(
        (execution.run.tokens.input, execution.run.tokens.output, execution.steps),
        (Some(30), Some(3), 2)
    );
    assert_eq!(execution.run.cost, Some(1.0));
    assert_eq!(execution.run.input.as_ref().unwrap().to_text(), "question 3");
    assert_eq!(execution.run.output.as_ref().unwrap().to_text(), "answer 6");
    assert_eq!(execution.run.request_model.as_deref(), Some("model 6"));
    assert_eq!(execution.response_ids, ["r3", "r6"]);
    assert_eq!((execution.ancestry, execution.complete()), (Ancestry::Root, true));
}

#[test]
fn what_an_agent_says_itself_is_not_added_to() {
    let own = span(
        1,
        None,
        json!({
            "gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 30, "gen_ai.usage.output_tokens": 3,
            "gen_ai.input.messages": "asked", "gen_ai.output.messages": "answered",
        }),
    );
    let executions = assemble(&recorded(vec![own, chat(2, Some(1), 10, 1), chat(3, Some(1), 20, 2)]));
    assert_eq!((executions[0].run.tokens.input, executions[0].run.tokens.output), (Some(30), Some(3)));
    assert_eq!(executions[0].run.input.as_ref().unwrap().to_text(), "asked");
}

#[test]
fn a_sum_of_what_is_not_all_known_is_not_known() {
    let unknown = span(3, Some(1), json!({"gen_ai.operation.name": "chat"}));
    let executions = assemble(&recorded(vec![agent(1, None), chat(2, Some(1), 10, 1), unknown]));
    assert_eq!(
        (executions[0].run.tokens.input, executions[0].run.cost, executions[0].steps),
        (None, None, 2)
    );
}

#[test]
fn a_call_that_failed_does_not_hide_what_its_retry_took() {
    let failed = with(
        span(2, Some(1), json!({"gen_ai.operation.name": "chat", "error.type": "timeout"})),
        json!({"status": {"code": 2}}),
    );
    let executions = assemble(&recorded(vec![agent(1, None), failed.clone(), chat(3, Some(1), 10, 1)]));
    assert_eq!((executions[0].run.tokens.input, executions[0].run.cost), (Some(10), Some(0.5)));
    assert_eq!((executions[0].run.error.as_ref(), executions[0].steps), (None, 2));
    let executions = assemble(&recorded(vec![agent(1, None), failed]));
    assert_eq!(executions[0].run.tokens.input, None);
}

#[test]
fn which_agent_is_meant_may_stand_above_or_below_the_run() {
    let above = span(1, None, json!({"traceloop.span.kind": "task", "traceloop.workflow.name": "w"}));
    let below = span(3, None, json!({"gen_ai.operation.name": "chat", "gen_ai.agent.name": "helper"}));
    let below = with(below, json!({"parentSpanId": id(2)}));
    let executions = assemble(&recorded(vec![above, chat(4, Some(1), 1, 1), agent(2, None), below]));
    assert_eq!(shape(&executions), [(2, vec![3]), (4, vec![])]);
    assert_eq!(executions[0].run.agent.name.as_deref(), Some("helper"));
    assert_eq!(executions[1].run.agent.workflow.as_deref(), Some("w"));
}

#[test]
fn without_an_agent_each_outermost_call_is_an_execution() {
    let spans = recorded(vec![
        other(1, None),
        chat(2, Some(1), 10, 1),
        chat(3, Some(1), 20, 2),
        chat(4, Some(3), 20, 2),
    ]);
    let executions = assemble(&spans);
    assert_eq!(shape(&executions), [(2, vec![]), (3, vec![4])]);
    assert_eq!(
        (executions[1].run.tokens.input, executions[1].steps),
        (Some(20), 1),
        "a wrapper is the same call"
    );
}

#[test]
fn a_wrapper_that_counts_nothing_has_what_is_within_it() {
    let wrapper = span(1, None, json!({"openinference.span.kind": "LLM"}));
    let executions = assemble(&recorded(vec![wrapper, chat(2, Some(1), 10, 1)]));
    assert_eq!(shape(&executions), [(1, vec![2])]);
    assert_eq!(
        (executions[0].run.tokens.input, executions[0].run.request_model.as_deref()),
        (Some(10), Some("model 2"))
    );
    assert_eq!(executions[0].response_ids, ["r2"]);
}

#[test]
fn a_call_around_an_agent_is_how_the_agent_was_reached() {
    let executions =
        assemble(&recorded(vec![chat(1, None, 10, 1), agent(2, Some(1)), chat(3, Some(2), 20, 2)]));
    assert_eq!(shape(&executions), [(2, vec![1, 3])]);
    assert_eq!(executions[0].run.tokens.input, Some(20));
}

#[test]
fn calls_beside_each_other_with_one_response_are_one() {
    let same = json!({"gen_ai.operation.name": "chat", "gen_ai.response.id": "r"});
    let counted = json!({"openinference.span.kind": "LLM", "gen_ai.response.id": "r", "llm.token_count.prompt": 9, "llm.token_count.completion": 1});
    let mut request = traces(vec![span(2, Some(1), same.clone())]);
    let second = traces(vec![span(3, Some(1), counted)])["resourceSpans"][0]["scopeSpans"][0].clone();
    let second = with(second, json!({"scope": {"name": "another"}}));
    request["resourceSpans"][0]["scopeSpans"].as_array_mut().unwrap().push(second);
    let mut spans = read_json(&request).spans;
    let executions = assemble(&spans);
    assert_eq!(shape(&executions), [(2, vec![3])]);
    assert_eq!((executions[0].run.tokens.input, executions[0].steps), (Some(9), 1));
    // Within an agent they are one step.
    spans.extend(recorded(vec![agent(1, None)]));
    let executions = assemble(&spans);
    assert_eq!(shape(&executions), [(1, vec![2, 3])]);
    assert_eq!((executions[0].run.tokens.input, executions[0].steps), (Some(9), 1));
    // One instrumentation saw two calls that were answered alike: from a cache.
    let cached = recorded(vec![span(2, Some(1), same.clone()), span(3, Some(1), same)]);
    assert_eq!(shape(&assemble(&cached)), [(2, vec![]), (3, vec![])]);
}

#[test]
fn an_agent_that_comes_late_supersedes_what_its_calls_were() {
    let children = recorded(vec![chat(3, Some(2), 10, 1), chat(4, Some(2), 20, 2)]);
    let before = assemble(&children);
    assert_eq!(shape(&before), [(3, vec![]), (4, vec![])]);
    assert!(before.iter().all(|execution| !execution.complete()));
    assert_eq!(before[0].ancestry, Ancestry::Unseen(id(2).parse().unwrap()));

    let mut all = children;
    all.extend(recorded(vec![agent(2, Some(1))]));
    let after = assemble(&all);
    assert_eq!(shape(&after), [(2, vec![3, 4])]);
    assert_eq!(after[0].supersedes, before.iter().map(|execution| execution.id).collect::<Vec<_>>());
    assert_eq!((after[0].ancestry, after[0].complete()), (Ancestry::Unseen(id(1).parse().unwrap()), false));

    all.extend(recorded(vec![other(1, None)]));
    let last = assemble(&all);
    assert_eq!((last[0].id, last[0].complete()), (after[0].id, true));
}

#[test]
fn a_parent_in_another_process_is_told_apart() {
    let remote = with(agent(2, Some(1)), json!({"flags": 0x301}));
    let executions = assemble(&recorded(vec![remote, chat(3, Some(2), 1, 1)]));
    assert_eq!(executions[0].ancestry, Ancestry::Remote(id(1).parse().unwrap()));
    assert!(!executions[0].complete());
}

#[test]
fn what_is_said_around_a_run_holds_for_it() {
    let decision = "0192f0c1-7a3e-7cc0-8000-000000000001";
    let root = span(
        1,
        None,
        json!({"upswing.agent": "helper", "session.id": "s", "user.id": "u", "upswing.context.task": "x"}),
    );
    let within = span(3, Some(2), json!({"gen_ai.operation.name": "chat", "upswing.decision_id": decision}));
    let executions = assemble(&recorded(vec![root, agent(2, Some(1)), within]));
    let run = &executions[0].run;
    assert_eq!(
        (run.upswing.agent.as_deref(), run.session.as_deref(), run.user.as_deref()),
        (Some("helper"), Some("s"), Some("u"))
    );
    assert_eq!(run.upswing.decision_id.unwrap().to_string(), decision);
    assert_eq!(run.upswing.context.to_json(), r#"{"task":"x"}"#);
}

#[test]
fn parents_in_a_circle_are_not_followed() {
    let spans = recorded(vec![
        agent(1, Some(2)),
        chat(2, Some(1), 1, 1),
        chat(3, Some(3), 1, 1),
        chat(4, Some(1), 1, 1),
    ]);
    let executions = assemble(&spans);
    assert_eq!(shape(&executions), [(1, vec![4]), (2, vec![]), (3, vec![])]);
    assert!(executions.iter().all(|execution| execution.ancestry == Ancestry::Circle));
    assert!(!resolve(&about(4), &spans, &executions).is_empty());
    assert!(resolve(&about(9), &spans, &executions).is_empty());
}

fn about(number: u64) -> Target {
    Target::Span { trace_id: TRACE.parse().unwrap(), span_id: id(number).parse().unwrap() }
}

#[test]
fn feedback_finds_the_execution_around_or_below_its_span() {
    let spans = recorded(vec![
        other(1, None),
        agent(2, Some(1)),
        other(3, Some(2)),
        chat(4, Some(3), 1, 1),
        chat(5, Some(1), 1, 1),
    ]);
    let executions = assemble(&spans);
    assert_eq!(shape(&executions), [(2, vec![4]), (5, vec![])]);
    let [agent, call] = [executions[0].id, executions[1].id];
    let found = |target: &Target| resolve(target, &spans, &executions);
    for within in [2, 3, 4] {
        assert_eq!(found(&about(within)), [agent], "{within}");
    }
    assert_eq!(found(&about(5)), [call]);
    assert_eq!(found(&about(1)), [agent, call]);
    assert_eq!(found(&Target::Trace(TRACE.parse().unwrap())), [agent, call]);
    assert_eq!(found(&Target::Response("r4".to_owned())), [agent]);
    assert_eq!(found(&Target::Response("r9".to_owned())), []);
}

#[test]
fn a_deep_trace_needs_neither_stack_nor_patience() {
    let deep: Vec<Json> = (1..=9_000)
        .map(|n| if n % 3 == 0 { chat(n, Some(n - 1), 1, 1) } else { other(n, (n > 1).then(|| n - 1)) })
        .collect();
    let executions = assemble(&recorded(deep));
    assert_eq!((executions.len(), executions[0].members.len(), executions[0].steps), (1, 2_999, 1));
}

/// A trace: for each span its parent (also one that is not there, or itself) and its role.
fn trace() -> impl Strategy<Value = Vec<RecordedSpan>> {
    proptest::collection::vec((0_u64..14, 0_u8..4, 0_u64..3), 1..12).prop_map(|spans| {
        let spans = spans.into_iter().zip(1..).map(|((parent, role, response), number)| {
            let parent = (parent > 0).then_some(parent);
            match role {
                0 => agent(number, parent),
                1 => other(number, parent),
                _ => with_scope(chat(number, parent, number, 1), response),
            }
        });
        let mut all = Vec::new();
        for (number, span) in spans.enumerate() {
            let mut read = read_json(&traces(vec![span])).spans;
            read[0].scope_name = Some(format!("scope {}", number % 2));
            all.append(&mut read);
        }
        all
    })
}

fn with_scope(mut chat: Json, response: u64) -> Json {
    chat["attributes"][4]["value"]["stringValue"] = json!(format!("shared {response}"));
    chat
}

proptest! {
    #[test]
    fn order_and_repetition_change_nothing((spans, shuffled) in trace().prop_flat_map(|spans| {
        let twice: Vec<_> = spans.iter().chain(&spans).cloned().collect();
        (Just(spans), Just(twice).prop_shuffle())
    })) {
        prop_assert_eq!(assemble(&spans), assemble(&shuffled));
    }

    #[test]
    fn every_run_and_call_is_in_exactly_one_execution(spans in trace()) {
        let executions = assemble(&spans);
        let mut found: Vec<_> = executions.iter().flat_map(|e| e.members.iter().copied().chain([e.run.span_id])).collect();
        found.sort_unstable();
        let ours = spans.iter().filter(|span| span.role != Role::Other).map(|span| span.span_id);
        prop_assert_eq!(found, ours.collect::<Vec<_>>());
    }

    /// Whatever was an execution when fewer spans were known is one later, or another one names it.
    #[test]
    fn nothing_that_was_an_execution_is_forgotten((spans, known) in trace().prop_flat_map(|spans| {
        let count = spans.len();
        (Just(spans), 0..=count)
    })) {
        let after = assemble(&spans);
        for before in assemble(&spans[..known]) {
            let named = after.iter().any(|e| e.id == before.id || e.supersedes.contains(&before.id));
            prop_assert!(named, "{:?}", before.run.span_id);
            if before.complete() && before.ancestry == Ancestry::Root && before.run.role == Role::Agent {
                prop_assert!(after.iter().any(|e| e.id == before.id));
            }
        }
    }
}
