//! What both encodings are read into.

use crate::bounds::Map;
use crate::id::{SpanId, TraceId};
use serde_json::Value as Json;

/// Who sent a group of records: resource attributes and instrumentation scope.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Source {
    pub(crate) resource: Map,
    pub(crate) scope_name: Option<String>,
    pub(crate) scope_version: Option<String>,
}

/// A span whose ids and times are sound. Times are nanoseconds since 1970.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Span {
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    pub(crate) parent: Option<SpanId>,
    /// Whether the parent is in another process, where the sender says.
    pub(crate) parent_is_remote: Option<bool>,
    pub(crate) name: String,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) failed: bool,
    pub(crate) attributes: Map,
    pub(crate) events: Vec<Event>,
    /// The spans that it is linked to.
    pub(crate) links: Vec<(TraceId, SpanId)>,
    pub(crate) shortened: u32,
}

/// Something that happened during a span.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Event {
    pub(crate) at: u64,
    pub(crate) name: String,
    pub(crate) attributes: Map,
}

/// A log record.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct LogRecord {
    pub(crate) at: u64,
    pub(crate) event_name: String,
    pub(crate) trace_id: Option<TraceId>,
    pub(crate) span_id: Option<SpanId>,
    pub(crate) attributes: Map,
    pub(crate) body: Json,
}

/// The parts of a span before they are checked.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) trace_id: Option<TraceId>,
    pub(crate) span_id: Option<SpanId>,
    pub(crate) parent: Option<SpanId>,
    pub(crate) flags: u32,
    pub(crate) name: String,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) failed: bool,
    pub(crate) attributes: Map,
    pub(crate) events: Vec<Event>,
    pub(crate) links: Vec<(TraceId, SpanId)>,
}

/// `SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK` and `SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK` of OTLP.
const KNOWS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

impl Draft {
    /// The span, if its ids are there and its times make sense.
    pub(crate) fn checked(self, shortened: u32) -> Result<Span, String> {
        let trace_id = self.trace_id.ok_or("trace_id is absent")?;
        let span_id = self.span_id.ok_or("span_id is absent")?;
        if self.start == 0 {
            return Err("start_time_unix_nano is absent".to_owned());
        }
        if self.end < self.start {
            return Err(format!(
                "end_time_unix_nano is {}, but must not be before its start {}",
                self.end, self.start
            ));
        }
        Ok(Span {
            trace_id,
            span_id,
            parent: self.parent,
            parent_is_remote: (self.flags & KNOWS_REMOTE != 0).then_some(self.flags & IS_REMOTE != 0),
            name: self.name,
            start: self.start,
            end: self.end,
            failed: self.failed,
            attributes: self.attributes,
            events: self.events,
            links: self.links,
            shortened,
        })
    }
}

/// Microseconds of nanoseconds, as Upswing stores times. Always fits: 2^64 nanoseconds are 2^54 microseconds.
pub(crate) fn microseconds(nanoseconds: u64) -> i64 {
    i64::try_from(nanoseconds / 1_000).unwrap_or(i64::MAX)
}
