//! What an application would send.

use crate::generate::{FRESH, TAKEN};
use crate::process::Server;

/// Where decisions are asked for.
pub(crate) const DECIDE: &str = "/api/learning/decide";
/// Where feedback is given.
pub(crate) const FEEDBACK: &str = "/api/learning/feedback";
/// Where executions are reported.
pub(crate) const EXECUTIONS: &str = "/api/learning/executions";

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
