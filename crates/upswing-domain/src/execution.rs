//! One run of an agent.

use std::collections::BTreeMap;

use crate::{
    AgentId, Context, DecisionId, Enrichment, ExecutionId, Origin, Payload, Pseudonym, Timestamp, VersionId,
};

/// The facts of one run. What people and models wrote (`input`, `output`) is stored apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Execution {
    /// Its id.
    pub id: ExecutionId,
    /// Who ran.
    pub agent: AgentId,
    /// The decision it followed from, if any.
    pub decision: Option<DecisionId>,
    /// The version that ran. Taken from the decision when the client does not say.
    pub version: Option<VersionId>,
    /// Whom it served, for assignment.
    pub unit: Option<Pseudonym>,
    /// Whose data this is, for erasure.
    pub subject: Option<Pseudonym>,
    /// The conversation or visit.
    pub session: Option<String>,
    /// The trace it belongs to.
    pub trace: Option<String>,
    /// The execution that called this one.
    pub parent: Option<ExecutionId>,
    /// Its place within the trace.
    pub step: Option<i64>,
    /// Attributes known before it ran.
    pub context: Option<Context>,
    /// What went in.
    pub input: Option<String>,
    /// What came out.
    pub output: Option<String>,
    /// Named measurements: `latency_ms`, `input_tokens`, `output_tokens`, `cost`, `confidence` and the client's own.
    pub metrics: BTreeMap<String, f64>,
    /// What went wrong, if anything: a short type, not a message.
    pub error: Option<String>,
    /// A product's own record of the run, from which the rest was taken.
    pub record: Option<Payload>,
    /// What the input is about, where that is looked at.
    pub enrichment: Option<Enrichment>,
    /// Where the traffic comes from.
    pub origin: Origin,
    /// When it happened, as the client says.
    pub occurred_at: Timestamp,
}

/// What a piece of feedback is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// One execution.
    Execution(ExecutionId),
    /// A whole session.
    Session(String),
    /// A unit: a person, whatever they were served.
    Unit(Pseudonym),
}

impl Target {
    /// The execution, where it is one.
    pub fn execution(&self) -> Option<ExecutionId> {
        match self {
            Self::Execution(id) => Some(*id),
            Self::Session(_) | Self::Unit(_) => None,
        }
    }
}
