//! What an application would send.

use crate::generate::{FRESH, TAKEN};
use crate::process::Server;

/// Where decisions are asked for.
pub(crate) const DECIDE: &str = "/api/learning/decide";
/// Where feedback is given.
pub(crate) const FEEDBACK: &str = "/api/learning/feedback";
/// Where executions are reported.
pub(crate) const EXECUTIONS: &str = "/api/learning/executions";

/// Where behaviour is told.
pub(crate) const SIGNALS: &str = "/api/learning/signals";

/// How many different requests take turns.
const TURNS: usize = 32;

fn context(turn: usize) -> String {
    format!(
        r#"{{"task":"task-{}","chars":{},"options":{}}}"#,
        turn % 8,
        40 + turn * 37,
        turn.is_multiple_of(3)
    )
}

/// Questions which version to serve: a unit and three attributes, one of them a number.
pub(crate) fn decisions(server: &Server) -> Vec<String> {
    let body = |turn| {
        let (agent, context) = (server.agent, context(turn));
        format!(r#"{{"agent_id":"{agent}","unit":"user-{turn}","context":{context}}}"#)
    };
    (0..TURNS).map(body).collect()
}

/// Feedback on decisions: a measured reward.
pub(crate) fn feedback(server: &Server, execution: &str) -> Vec<String> {
    let body = |turn: usize| {
        let (agent, reward) = (server.agent, (turn * 7 % 11) as f64 / 10.0);
        format!(
            r#"{{"id":"{FRESH}","execution_id":"{execution}","agent_id":"{agent}","feedback_type":"metric","metrics":{{"reward":{reward}}},"source":"program"}}"#
        )
    };
    (0..TURNS).map(body).collect()
}

/// Feedback on decisions out of the load generator's file.
pub(crate) fn feedback_on_taken(server: &Server) -> Vec<String> {
    feedback(server, TAKEN)
}

/// Batches of executions, each with context, measurements, and an input and an output of its own.
pub(crate) fn batches(server: &Server, size: usize) -> Vec<String> {
    let item = |turn: usize| {
        let agent = server.agent;
        let version = &server.versions[turn % server.versions.len()];
        let context = context(turn);
        let latency = 300 + turn * 13 % 700;
        format!(
            r#"{{"id":"{FRESH}","agent_id":"{agent}","version":"{version}","unit":"user-{turn}","session":"session-{turn}","context":{context},"input":"How do I return what I bought last week, and who pays for the parcel? {FRESH}","output":"Within thirty days: print the label from your account, put it on the parcel and leave it at any counter. We pay for it when something was wrong with the goods. {FRESH}","metrics":{{"latency_ms":{latency},"input_tokens":{turn},"output_tokens":42}}}}"#
        )
    };
    // Two, so that the bodies differ and the generator stays small.
    let batch = |first: usize| {
        let items: Vec<_> = (first..first + size).map(item).collect();
        format!("[{}]", items.join(","))
    };
    vec![batch(0), batch(1)]
}

/// Feedback with what somebody wrote: some hundred comments of different people, some with what has to be taken out.
pub(crate) fn comments(server: &Server) -> Vec<String> {
    let things = [
        "the tax table",
        "the summary",
        "the second step",
        "this recipe",
        "the translation",
        "the SQL query",
    ];
    let verdicts = [
        "is wrong",
        "helped me a lot",
        "misses the point",
        "could be shorter",
        "is exactly right",
        "is out of date",
    ];
    let more = [
        "I had to look it up myself, and it took me half an hour that I did not have.",
        "Please write to me at jane.doe@mail.example.com or call +44 20 7946 0958 when it is mended.",
        "My colleague said the same last week, so it is not only me who stumbles over it.",
        "The card 4111 1111 1111 1111 should not have been in the example at all.",
    ];
    let body = |turn: usize| {
        let agent = server.agent;
        let text = format!(
            "In answer {turn}, {} {}. {}",
            things[turn % things.len()],
            verdicts[turn / 6 % verdicts.len()],
            more[turn / 36 % more.len()]
        );
        format!(
            r#"{{"id":"{FRESH}","execution_id":"{FRESH}","agent_id":"{agent}","feedback_type":"star_rating","rating":{},"feedback_text":"{text}"}}"#,
            1 + turn % 5
        )
    };
    (0..288).map(body).collect()
}

/// Batches of behaviour: many people, some of it strong.
pub(crate) fn signals(server: &Server, size: usize) -> Vec<String> {
    let item = |turn: usize| {
        let agent = server.agent;
        let scroll = 0.3 + (turn * 7 % 7) as f64 / 10.0;
        format!(
            r#"{{"id":"{FRESH}","agent_id":"{agent}","session_id":"visit-{turn}","user_id":"user-{}","type":"content_reading","category":"topic-{}","scroll_depth":{scroll},"words_per_minute":210}}"#,
            turn % 2000,
            turn % 12
        )
    };
    let batch = |first: usize| {
        let items: Vec<_> = (first..first + size).map(item).collect();
        format!("[{}]", items.join(","))
    };
    (0..20).map(|n| batch(n * size)).collect()
}
