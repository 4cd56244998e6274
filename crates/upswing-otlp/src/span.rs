//! One span, as far as it says something about a run of an agent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use upswing_domain::{Context, DecisionId, ExecutionId};

use crate::content::{self, Content};
use crate::id::{SpanId, TraceId, execution_id};
use crate::log::RecordedContent;

/// What a span stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A run of an agent or of a workflow of agents.
    Agent,
    /// One call of a model that generates.
    Chat,
    /// Anything else: tools, retrieval, embeddings, HTTP. It links what is around it.
    Other,
}

/// Which agent is meant, as far as the emitter says. The server's configuration decides.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentHints {
    /// `gen_ai.agent.id`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `gen_ai.agent.name`, or what other conventions call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `gen_ai.agent.version`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// `gen_ai.workflow.name`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// `gen_ai.prompt.name`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
}

/// What an application says to Upswing in attributes `upswing.*`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UpswingHints {
    /// `upswing.agent`: name or id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// `upswing.version`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// `upswing.decision_id`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision_id: Option<DecisionId>,
    /// `upswing.token`: the sealed token that came with the decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// `upswing.context.*`
    #[serde(skip_serializing_if = "Context::is_empty")]
    pub context: Context,
}

impl UpswingHints {
    /// Whether it names what was decided.
    pub fn names_decision(&self) -> bool {
        self.version.is_some() || self.decision_id.is_some() || self.token.is_some()
    }
}

/// Tokens that were counted. What was not counted is absent, not 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tokens {
    /// All tokens that went in, cached ones included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<u64>,
    /// All tokens that came out, reasoning included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<u64>,
    /// Of the input: read from a cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<u64>,
    /// Of the input: written to a cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<u64>,
    /// Of the output: reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<u64>,
}

impl Tokens {
    /// Whether input or output was counted.
    pub fn counted(&self) -> bool {
        self.input.is_some() || self.output.is_some()
    }
}

/// What is kept of one span. Serialises, so that it can wait in a store for the rest of its trace.
///
/// A span of another kind than generative AI keeps ids, name and times alone: it is needed to follow ancestry, and what
/// else it holds (statements, addresses) is not Upswing's business.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordedSpan {
    /// Its trace.
    pub trace_id: TraceId,
    /// Its id within the trace.
    pub span_id: SpanId,
    /// The span within which it happened; absent for a root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_span_id: Option<SpanId>,
    /// Whether that parent is in another process, where the emitter says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_is_remote: Option<bool>,
    /// What it stands for.
    pub role: Role,
    /// The span's name.
    pub name: String,
    /// Which agent is meant.
    #[serde(default)]
    pub agent: AgentHints,
    /// What the application says to Upswing.
    #[serde(default)]
    pub upswing: UpswingHints,
    /// Those attributes of the resource that say who sent it: `service.*`, `deployment.*`, the project's name, `upswing.*`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub resource: BTreeMap<String, String>,
    /// The instrumentation that wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope_name: Option<String>,
    /// That instrumentation's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope_version: Option<String>,
    /// When it began, in microseconds since 1970.
    pub started_at: i64,
    /// When it ended.
    pub ended_at: i64,
    /// How long it took, to the nanosecond.
    pub latency_ms: f64,
    /// What went wrong, if anything: a short type, not a message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whose model it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The model that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_model: Option<String>,
    /// The model that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_model: Option<String>,
    /// The provider's id of the answer; feedback may name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_id: Option<String>,
    /// The conversation or session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Whom it served, as the application names them: to be pseudonymised, not stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What went in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Content>,
    /// What came out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Content>,
    /// Tokens that were counted.
    #[serde(default)]
    pub tokens: Tokens,
    /// Why the model stopped, an entry an answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub finish_reasons: Vec<String>,
    /// What it cost, where the emitter says; in its currency, which is United States dollars for all known ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// All other attributes, unknown ones included. What people wrote may be among the unknown.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, Json>,
    /// How many attributes were dropped and texts cut, by the emitter or here.
    #[serde(default)]
    pub shortened: u32,
}

impl RecordedSpan {
    /// The id of the execution, should it become one.
    pub fn execution_id(&self) -> ExecutionId {
        execution_id(self.trace_id, self.span_id)
    }

    /// Adds content that came as log records for this span, in the order of their times. What the span has itself stays:
    /// instrumentations that write both write the same twice.
    pub fn attach(&mut self, contents: &[RecordedContent]) {
        let mut mine: Vec<&RecordedContent> = contents
            .iter()
            .filter(|content| content.trace_id == self.trace_id && content.span_id == self.span_id)
            .collect();
        mine.sort_by_key(|content| content.at);
        let all = |side: fn(&RecordedContent) -> &Vec<content::Message>| {
            let messages: Vec<_> = mine.iter().flat_map(|content| side(content)).cloned().collect();
            (!messages.is_empty()).then_some(Content::Messages(messages))
        };
        if self.input.is_none() {
            self.input = all(|content| &content.input);
        }
        if self.output.is_none() {
            self.output = all(|content| &content.output);
        }
    }
}
