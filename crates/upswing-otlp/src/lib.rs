//! OpenTelemetry for generative AI: bytes in, what was recorded out.
//!
//! Pure: no IO, no clock, no HTTP, no SQL. The server decompresses a body, knows who sent it, decides which of its
//! agents is meant and when a trace is assembled, and stores what this crate returns.
//!
//! ```
//! use upswing_otlp::{Format, Kind, assemble, read_traces, resolve, response};
//!
//! // What an OpenTelemetry SDK posts to /v1/traces.
//! let body = br#"{"resourceSpans": [{"scopeSpans": [{"scope": {"name": "my.app"}, "spans": [{
//!     "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "chat small",
//!     "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000000812000000",
//!     "attributes": [
//!         {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
//!         {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "90"}},
//!         {"key": "annotations.0.annotation.name", "value": {"stringValue": "helpful"}},
//!         {"key": "annotations.0.annotation.score", "value": {"doubleValue": 1}}
//!     ]}]}]}]}"#;
//! let format = Format::of_content_type("application/json; charset=utf-8").expect("one of the two");
//! let received = read_traces(format, body)?;
//!
//! // The spans are stored with what else is known of their trace. Once it is idle, or its root has come:
//! let executions = assemble(&received.spans);
//! assert_eq!(executions.len(), 1);
//! assert_eq!(executions[0].run.tokens.input, Some(90));
//! assert!(executions[0].complete());
//!
//! // Feedback is stored as well, and settles when what it is about is there.
//! let feedback = &received.feedback[0];
//! assert_eq!(resolve(&feedback.target, &received.spans, &executions), [executions[0].id]);
//!
//! // Nothing was refused, so the answer is the empty message.
//! assert_eq!(response(Kind::Traces, format, &received.rejected), b"{}");
//! # Ok::<(), upswing_otlp::DecodeError>(())
//! ```
//!
//! # What is read
//!
//! The semantic conventions for generative AI of OpenTelemetry, in today's names and older ones; OpenInference
//! (`openinference.span.kind`, `llm.*`); Traceloop (`traceloop.*`, `gen_ai.prompt.N.*`). Where a span follows several of them,
//! each fact is read from one: nothing is counted twice. What is not known is kept among the attributes. Content stands
//! in `input` and `output` alone.
//!
//! An application can say what no convention has words for: `upswing.agent` (name or id), `upswing.decision_id`,
//! `upswing.token`, `upswing.version` and `upswing.context.*`, on the run's span, on any span around it or within it;
//! `upswing.agent` and `upswing.version` on the resource as well.
//!
//! # What is refused
//!
//! A span or log record with a bad id, a value of the wrong type, a span that ends before it begins, an evaluation without
//! name: each alone, counted in [`Received::rejected`]. Only a body that is no OTLP at all is a [`DecodeError`]. Bounds
//! are constants of this crate.

mod assemble;
mod attributes;
mod bounds;
mod content;
mod feedback;
mod forest;
mod format;
mod id;
mod json;
mod log;
mod mapping;
mod model;
mod protobuf;
mod received;
mod response;
mod span;
mod wire;

pub use assemble::{Ancestry, RecordedExecution, assemble, resolve};
pub use bounds::{
    MAX_ATTRIBUTES, MAX_DEPTH, MAX_EVENTS, MAX_NAME_CHARS, MAX_REASONS, MAX_RECORDS, MAX_TEXT_BYTES,
    MAX_VALUES,
};
pub use content::{Content, Message};
pub use feedback::{Annotator, RecordedFeedback, Target};
pub use format::Format;
pub use id::{BadId, NAMESPACE, SpanId, TraceId, execution_id};
pub use log::RecordedContent;
pub use received::{DecodeError, Received, read_logs, read_traces};
pub use response::{Kind, Rejected, response, status};
pub use span::{AgentHints, RecordedSpan, Role, Tokens, UpswingHints};
pub use wire::Malformed;
