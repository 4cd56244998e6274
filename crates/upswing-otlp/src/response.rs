//! What is answered, in the request's encoding.

use serde_json::{Value as Json, json};

use crate::bounds::{MAX_REASONS, prefix};
use crate::format::Format;
use crate::wire::Writer;

/// Which kind of request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `ExportTraceServiceRequest`, sent to `/v1/traces`.
    Traces,
    /// `ExportLogsServiceRequest`, sent to `/v1/logs`.
    Logs,
}

/// What was refused of a request, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rejected {
    /// How many spans or log records.
    pub count: u64,
    /// The first reasons, at most [`MAX_REASONS`]. Reasons without a count are warnings: a span was
    /// kept, but a piece of feedback on it could not be read.
    pub reasons: Vec<String>,
}

impl Rejected {
    /// Counts records that were refused for one reason.
    pub fn refuse(&mut self, count: u64, reason: impl Into<String>) {
        self.count = self.count.saturating_add(count);
        self.warn(reason);
    }

    /// Notes what could not be read of a record that was kept.
    pub fn warn(&mut self, reason: impl Into<String>) {
        let reason = reason.into();
        if self.reasons.len() < MAX_REASONS && !self.reasons.contains(&reason) {
            self.reasons.push(prefix(&reason, 300).to_owned());
        }
    }

    /// The reasons in one text.
    pub fn message(&self) -> String {
        self.reasons.join("; ")
    }
}

/// The body of a 200: `ExportTraceServiceResponse` or `ExportLogsServiceResponse`. Where nothing was refused
/// the message is empty: no bytes in protobuf, `{}` in JSON.
pub fn response(kind: Kind, format: Format, rejected: &Rejected) -> Vec<u8> {
    let message = rejected.message();
    let nothing = rejected.count == 0 && message.is_empty();
    match format {
        Format::Protobuf if nothing => Vec::new(),
        Format::Protobuf => {
            let partial = Writer::default().number(1, rejected.count).text(2, &message).done();
            Writer::default().message(1, &partial).done()
        }
        Format::Json if nothing => b"{}".to_vec(),
        Format::Json => {
            let field = match kind {
                Kind::Traces => "rejectedSpans",
                Kind::Logs => "rejectedLogRecords",
            };
            // An int64 is a text in protobuf's JSON mapping.
            let partial = json!({field: rejected.count.to_string(), "errorMessage": message});
            text(&json!({"partialSuccess": partial}))
        }
    }
}

/// The body of an error: `google.rpc.Status`. `code` is one of gRPC's (3 is an invalid argument, 8 an exhausted
/// resource, 14 unavailable, 16 unauthenticated).
pub fn status(format: Format, code: u32, message: &str) -> Vec<u8> {
    match format {
        Format::Protobuf => Writer::default().number(1, u64::from(code)).text(2, message).done(),
        Format::Json => text(&json!({"code": code, "message": message})),
    }
}

fn text(value: &Json) -> Vec<u8> {
    value.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_message_says_that_all_went_well() {
        let rejected = Rejected::default();
        for kind in [Kind::Traces, Kind::Logs] {
            assert_eq!(response(kind, Format::Protobuf, &rejected), b"");
            assert_eq!(response(kind, Format::Json, &rejected), b"{}");
        }
    }

    #[test]
    fn reasons_are_bounded_and_told_once() {
        let mut rejected = Rejected::default();
        for n in 0..100 {
            rejected.refuse(1, format!("reason {}", n % 20));
        }
        assert_eq!((rejected.count, rejected.reasons.len()), (100, MAX_REASONS));
    }
}
