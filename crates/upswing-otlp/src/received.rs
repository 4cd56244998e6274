//! From bytes to what was recorded.

use crate::feedback::{self, RecordedFeedback};
use crate::format::Format;
use crate::log::{self, Meaning, RecordedContent};
use crate::mapping;
use crate::model::{Source, Span};
use crate::response::Rejected;
use crate::span::{RecordedSpan, Role};
use crate::{MAX_RECORDS, json, protobuf};

/// Why a request cannot be read at all. A single record that cannot be read is no such error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The body is no protobuf message.
    #[error("the body is no OTLP in protobuf: {0}")]
    Protobuf(#[from] crate::Malformed),
    /// The body is no JSON, or JSON of another shape.
    #[error("the body is no OTLP in JSON: {0}")]
    Json(String),
}

/// What was recorded in a request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Received {
    /// Its spans, in the order in which they came.
    pub spans: Vec<RecordedSpan>,
    /// Feedback on spans, traces, responses and sessions of any request.
    pub feedback: Vec<RecordedFeedback>,
    /// Content of spans of any request.
    pub contents: Vec<RecordedContent>,
    /// Log records that are sound but say nothing about generative AI.
    pub ignored: u64,
    /// What was refused.
    pub rejected: Rejected,
}

/// Reads an `ExportTraceServiceRequest`.
///
/// # Errors
/// When the body as a whole is not one. Single bad spans are counted in [`Received::rejected`].
pub fn read_traces(format: Format, body: &[u8]) -> Result<Received, DecodeError> {
    let mut received = Received::default();
    let mut bounded = Bounded::new("spans");
    let found = |source: &Source, span: Result<Span, String>| {
        let Some(span) = bounded.admit(span, &mut received.rejected) else { return };
        received.span(span, source);
    };
    match format {
        Format::Protobuf => protobuf::records(body, protobuf::span, found)?,
        Format::Json => json::records(body, json::TRACES, json::span, found).map_err(DecodeError::Json)?,
    }
    Ok(received)
}

/// Reads an `ExportLogsServiceRequest`.
///
/// # Errors
/// When the body as a whole is not one. Single bad log records are counted in [`Received::rejected`].
pub fn read_logs(format: Format, body: &[u8]) -> Result<Received, DecodeError> {
    let mut received = Received::default();
    let mut bounded = Bounded::new("log records");
    let found = |_: &Source, record: Result<crate::model::LogRecord, String>| {
        let Some(record) = bounded.admit(record, &mut received.rejected) else { return };
        match log::meaning(record) {
            Ok(Meaning::Feedback(feedback)) => received.feedback.push(feedback),
            Ok(Meaning::Content(content)) => received.contents.push(content),
            Ok(Meaning::Nothing) => received.ignored += 1,
            Err(reason) => received.rejected.refuse(1, reason),
        }
    };
    match format {
        Format::Protobuf => protobuf::records(body, protobuf::log_record, found)?,
        Format::Json => {
            json::records(body, json::LOGS, json::log_record, found).map_err(DecodeError::Json)?
        }
    }
    Ok(received)
}

impl Received {
    fn span(&mut self, mut span: Span, source: &Source) {
        let mut warnings = Vec::new();
        let judged = mapping::role(&span.attributes) != Role::Other;
        self.feedback.extend(feedback::of_span(&mut span, judged, &mut warnings));
        let recorded = mapping::record(span, source, &mut warnings);
        for warning in warnings {
            self.rejected.warn(format!("span {}: {warning}", recorded.span_id));
        }
        self.spans.push(recorded);
    }
}

/// Admits records up to the bound and tells of those that are refused where they stood.
struct Bounded {
    noun: &'static str,
    seen: usize,
}

impl Bounded {
    fn new(noun: &'static str) -> Self {
        Self { noun, seen: 0 }
    }

    fn admit<T>(&mut self, record: Result<T, String>, rejected: &mut Rejected) -> Option<T> {
        let index = self.seen;
        self.seen += 1;
        if index >= MAX_RECORDS {
            rejected.refuse(1, format!("more than {MAX_RECORDS} {} in one request", self.noun));
            return None;
        }
        match record {
            Ok(record) => Some(record),
            Err(reason) => {
                rejected.refuse(1, format!("{}[{index}]: {reason}", self.noun));
                None
            }
        }
    }
}
