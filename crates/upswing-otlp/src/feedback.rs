//! Evaluations and annotations: how a run was received.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map as Object, Value as Json};
use upswing_domain::FeedbackId;

use crate::attributes::{take_name, take_number};
use crate::bounds::{MAX_NAME_CHARS, Map};
use crate::content::{structured, unflatten};
use crate::id::{SpanId, TraceId, derive};
use crate::model::{Span, microseconds};

/// What a piece of feedback is about. [`resolve`](crate::resolve) finds the executions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// One span.
    Span {
        /// Its trace.
        trace_id: TraceId,
        /// The span.
        span_id: SpanId,
    },
    /// A whole trace.
    Trace(TraceId),
    /// The answer with a provider's id.
    Response(String),
    /// A whole session.
    Session(String),
}

/// Who judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Annotator {
    /// A person.
    Human,
    /// A model.
    Llm,
    /// A program.
    Code,
    /// Another word of the application's.
    Other(String),
}

impl Annotator {
    fn named(name: &str) -> Self {
        match name.to_ascii_uppercase().as_str() {
            "HUMAN" => Self::Human,
            "LLM" => Self::Llm,
            "CODE" => Self::Code,
            _ => Self::Other(name.to_owned()),
        }
    }

    /// `human`, `llm`, `code`, or the application's word.
    pub fn name(&self) -> &str {
        match self {
            Self::Human => "human",
            Self::Llm => "llm",
            Self::Code => "code",
            Self::Other(name) => name,
        }
    }
}

/// One statement about how a run was received.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordedFeedback {
    /// Its id, made of all it says, by what it was carried and when: sent again it is the same, another judgement of the same
    /// target is another.
    pub id: FeedbackId,
    /// What it is about.
    pub target: Target,
    /// The criterion or metric.
    pub name: String,
    /// The number, in whatever range the evaluator uses. Absent where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// The category.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The reason, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<String>,
    /// Who judged, where it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotator: Option<Annotator>,
    /// The producer's own id among results of the same name for the same target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier: Option<String>,
    /// The trace and span on which it came. Where a response is named that nobody recorded, this may still be the span.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<(TraceId, SpanId)>,
    /// When, in microseconds since 1970, where it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<i64>,
    /// What else was said.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, Json>,
}

/// What one statement says, before it has a target.
struct Statement {
    name: Option<String>,
    score: Option<f64>,
    label: Option<String>,
    explanation: Option<String>,
    annotator: Option<Annotator>,
    identifier: Option<String>,
    metadata: BTreeMap<String, Json>,
}

impl Statement {
    /// The feedback. `carrier` is the span on which it came, `nanoseconds` the time to the last digit.
    fn about(
        self,
        target: Target,
        carrier: Option<(TraceId, SpanId)>,
        at: Option<i64>,
        nanoseconds: u64,
    ) -> Result<RecordedFeedback, String> {
        let name = self.name.ok_or("an evaluation or annotation has no name")?;
        if self.score.is_none() && self.label.is_none() && self.explanation.is_none() {
            return Err(format!("evaluation {name} has neither score nor label nor explanation"));
        }
        let told = Json::from(vec![
            serde_json::to_value(&target).map_err(|error| error.to_string())?,
            Json::from(name.clone()),
            Json::from(self.score.map(f64::to_bits)),
            Json::from(self.label.clone()),
            Json::from(self.explanation.clone()),
            Json::from(self.annotator.as_ref().map(|annotator| annotator.name().to_owned())),
            Json::from(self.identifier.clone()),
        ]);
        let (trace, span) = carrier.unzip();
        let id = derive(
            "feedback",
            &[
                told.to_string().as_bytes(),
                trace.as_ref().map_or(&[], |trace| trace.as_bytes().as_slice()),
                span.as_ref().map_or(&[], |span| span.as_bytes().as_slice()),
                &nanoseconds.to_be_bytes(),
            ],
        );
        Ok(RecordedFeedback {
            id: FeedbackId(id),
            target,
            name,
            score: self.score,
            label: self.label,
            explanation: self.explanation,
            annotator: self.annotator,
            identifier: self.identifier,
            carrier,
            at,
            metadata: self.metadata,
        })
    }
}

/// A text of any length; what is no text but a scalar is written out.
fn take_text(fields: &mut Map, names: &[&str]) -> Option<String> {
    let name = names.iter().find(|name| fields.get(**name).is_some_and(|value| !value.is_null()))?;
    match fields.remove(*name)? {
        Json::String(text) => (!text.is_empty()).then_some(text),
        other => Some(other.to_string()),
    }
}

/// The feedback in a `gen_ai.evaluation.result`. The response's id names the target where there is one, otherwise the
/// span around the event, otherwise its trace.
pub(crate) fn evaluation(
    mut attributes: Map,
    trace: Option<TraceId>,
    span: Option<(TraceId, SpanId)>,
    at: Option<i64>,
    nanoseconds: u64,
) -> Result<RecordedFeedback, String> {
    attributes.remove("event.name");
    let statement = Statement {
        name: take_name(&mut attributes, &["gen_ai.evaluation.name"]),
        score: take_number(&mut attributes, &["gen_ai.evaluation.score.value", "gen_ai.evaluation.score"]),
        label: take_text(&mut attributes, &["gen_ai.evaluation.score.label", "gen_ai.evaluation.label"]),
        explanation: take_text(&mut attributes, &["gen_ai.evaluation.explanation"]),
        annotator: take_name(&mut attributes, &["gen_ai.evaluation.annotator_kind"])
            .map(|n| Annotator::named(&n)),
        identifier: take_name(&mut attributes, &["gen_ai.evaluation.identifier"]),
        metadata: BTreeMap::new(),
    };
    if let Some(kind) = attributes.get("error.type").and_then(Json::as_str)
        && statement.score.is_none()
        && statement.label.is_none()
    {
        let kind: String = kind.chars().take(MAX_NAME_CHARS).collect();
        return Err(format!("an evaluation failed ({kind}), so that it says nothing"));
    }
    let response = take_name(&mut attributes, &["gen_ai.response.id"]);
    let target = response
        .map(Target::Response)
        .or(span.map(|(trace_id, span_id)| Target::Span { trace_id, span_id }))
        .or(trace.map(Target::Trace))
        .ok_or("an evaluation names neither a response nor a span nor a trace")?;
    let statement = Statement { metadata: attributes, ..statement };
    statement.about(target, span, at, nanoseconds)
}

/// Which span or what around it an annotation is about.
#[derive(Clone, Copy)]
enum Level {
    Span,
    Trace,
    Session,
}

/// Where annotations stand: the list's name and each item's. OpenInference has two words for the same.
const LISTS: &[(&str, &str, Level)] = &[
    ("annotations", "annotation", Level::Span),
    ("evaluations", "evaluation", Level::Span),
    ("trace.annotations", "annotation", Level::Trace),
    ("trace.evaluations", "evaluation", Level::Trace),
    ("session.annotations", "annotation", Level::Session),
    ("session.evaluations", "evaluation", Level::Session),
];

/// Takes feedback out of a span: its annotations, and the evaluations among its events. What cannot be read is a warning.
///
/// `judged` says that the span is a run or call itself. Otherwise, and with exactly one link, it is a carrier: the link
/// names what the annotations are about.
pub(crate) fn of_span(span: &mut Span, judged: bool, warnings: &mut Vec<String>) -> Vec<RecordedFeedback> {
    let own = (span.trace_id, span.span_id);
    let about = match span.links.as_slice() {
        [link] if !judged => *link,
        _ => own,
    };
    let session = span.attributes.get("session.id").and_then(Json::as_str).filter(|id| !id.is_empty());
    let session = session.map(str::to_owned);
    let at = microseconds(span.end);
    let mut found: Vec<RecordedFeedback> = Vec::new();
    let mut keep = |feedback: Result<RecordedFeedback, String>| match feedback {
        // Both words may carry the same result.
        Ok(feedback) if found.iter().any(|known| known.id == feedback.id) => {}
        Ok(feedback) => found.push(feedback),
        Err(reason) => warnings.push(reason),
    };
    for (list, item, level) in LISTS {
        for statement in annotations(&mut span.attributes, list, item) {
            let target = match level {
                Level::Span => Ok(Target::Span { trace_id: about.0, span_id: about.1 }),
                Level::Trace => Ok(Target::Trace(about.0)),
                Level::Session => {
                    session.clone().map(Target::Session).ok_or_else(|| format!("{list} without a session.id"))
                }
            };
            keep(target.and_then(|target| statement.about(target, Some(own), Some(at), span.end)));
        }
    }
    let evaluations = span.events.extract_if(.., |event| event.name == "gen_ai.evaluation.result");
    for event in evaluations {
        let at = if event.at == 0 { span.end } else { event.at };
        let feedback = evaluation(event.attributes, Some(own.0), Some(own), Some(microseconds(at)), at);
        keep(feedback);
    }
    found
}

/// The annotations of one list.
fn annotations(attributes: &mut Map, list: &str, item: &str) -> Vec<Statement> {
    let Some(value) = unflatten(attributes, list) else { return Vec::new() };
    let items = match value {
        Json::Array(items) => items,
        other => vec![other],
    };
    let objects = items.into_iter().filter_map(|value| match value {
        Json::Object(mut fields) => match fields.remove(item) {
            Some(Json::Object(fields)) => Some(fields),
            _ => None,
        },
        _ => None,
    });
    objects.map(statement).collect()
}

fn statement(fields: Object<String, Json>) -> Statement {
    let mut fields: Map = fields.into_iter().collect();
    let annotator = take_name(&mut fields, &["annotator_kind"]).map(|name| Annotator::named(&name));
    let metadata = match fields.remove("metadata") {
        None | Some(Json::Null) => BTreeMap::new(),
        // Kept as it is when it is no object: it is somebody's.
        Some(Json::String(text)) => match structured(&text) {
            Some(Json::Object(fields))
                if crate::bounds::depth(&Json::Object(fields.clone())) <= crate::MAX_DEPTH =>
            {
                fields.into_iter().collect()
            }
            _ => BTreeMap::from([("metadata".to_owned(), Json::String(text))]),
        },
        Some(Json::Object(fields)) => fields.into_iter().collect(),
        Some(other) => BTreeMap::from([("metadata".to_owned(), other)]),
    };
    let mut statement = Statement {
        name: take_name(&mut fields, &["name"]),
        score: take_number(&mut fields, &["score"]),
        label: take_text(&mut fields, &["label"]),
        explanation: take_text(&mut fields, &["explanation"]),
        annotator,
        identifier: take_name(&mut fields, &["identifier"]),
        metadata,
    };
    for (name, value) in fields {
        statement.metadata.entry(name).or_insert(value);
    }
    statement
}
