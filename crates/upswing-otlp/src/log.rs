//! Log records that say something about a span.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::bounds::Map;
use crate::content::{self, Message};
use crate::feedback::{RecordedFeedback, evaluation};
use crate::id::{SpanId, TraceId};
use crate::model::{LogRecord, microseconds};

/// Content that came apart from its span. [`RecordedSpan::attach`](crate::RecordedSpan::attach) puts it there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordedContent {
    /// The span's trace.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
    /// When it was written, in nanoseconds since 1970: records of one span are often less than a microsecond apart.
    pub at: u64,
    /// What went in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub input: Vec<Message>,
    /// What came out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub output: Vec<Message>,
}

/// What a log record is to Upswing.
pub(crate) enum Meaning {
    Feedback(RecordedFeedback),
    Content(RecordedContent),
    Nothing,
}

/// What a log record says.
///
/// # Errors
/// When it is an evaluation that is not complete.
pub(crate) fn meaning(record: LogRecord) -> Result<Meaning, String> {
    let name = event_name(&record);
    if name == "gen_ai.evaluation.result" {
        // Emitters of the older event format wrote into the body.
        let mut attributes = fields(&record.body);
        attributes.extend(record.attributes);
        let at = (record.at > 0).then(|| microseconds(record.at));
        let span = record.trace_id.zip(record.span_id);
        return evaluation(attributes, record.trace_id, span, at, record.at).map(Meaning::Feedback);
    }
    let found = content::of_event(&name, &record.attributes, &record.body);
    let (Some((input, output)), Some(trace_id), Some(span_id)) = (found, record.trace_id, record.span_id)
    else {
        return Ok(Meaning::Nothing);
    };
    if input.is_empty() && output.is_empty() {
        return Ok(Meaning::Nothing);
    }
    Ok(Meaning::Content(RecordedContent { trace_id, span_id, at: record.at, input, output }))
}

/// The name of an event: its own field since OTLP 1.5, an attribute before.
fn event_name(record: &LogRecord) -> String {
    if !record.event_name.is_empty() {
        return record.event_name.clone();
    }
    record.attributes.get("event.name").and_then(Json::as_str).unwrap_or_default().to_owned()
}

fn fields(body: &Json) -> Map {
    match body {
        Json::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        _ => Map::new(),
    }
}
