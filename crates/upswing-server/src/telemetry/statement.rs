//! What was said of a run, as feedback: from telemetry, or given before the run that it names was known.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use upswing_domain::{
    AgentId, Dimensions, Feedback, FeedbackId, FeedbackSource, FeedbackType, OrganisationId, Payload,
    Pseudonym, Standing, Target, Timestamp,
};
use upswing_otlp::{Annotator, RecordedFeedback};
use upswing_store::{Event, Fingerprint};

use crate::app::App;
use crate::problem::Problem;
use crate::trust;
use crate::wire::details::Details;

/// A statement that waits for what it names. Without what identifies people; serialises, so that it can wait in the store.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Waiting {
    /// An evaluation or annotation of telemetry.
    Telemetry(Box<RecordedFeedback>),
    /// Feedback that was given with a trace's or answer's id.
    Given(Box<Given>),
}

/// Feedback that was checked and waits.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Given {
    agent: AgentId,
    feedback_type: FeedbackType,
    source: FeedbackSource,
    author: Option<String>,
    rating: Option<u8>,
    dimensions: Dimensions,
    issue_categories: Vec<String>,
    metrics: BTreeMap<String, f64>,
    text: Option<String>,
    correction: Option<String>,
    details: Option<(String, String)>,
    occurred_at: i64,
    fingerprints: Vec<Vec<u8>>,
}

impl Given {
    /// Keeps feedback whose target is not known.
    pub(crate) fn new(feedback: Feedback, fingerprints: &[Fingerprint]) -> Self {
        Self {
            agent: feedback.agent,
            feedback_type: feedback.feedback_type,
            source: feedback.source,
            author: feedback.author.map(|author| author.to_string()),
            rating: feedback.rating,
            dimensions: feedback.dimensions,
            issue_categories: feedback.issue_categories,
            metrics: feedback.metrics,
            text: feedback.text,
            correction: feedback.correction,
            details: feedback.details.map(|details| (details.kind, details.body)),
            occurred_at: feedback.occurred_at.0,
            fingerprints: fingerprints.iter().map(|fingerprint| fingerprint.to_vec()).collect(),
        }
    }

    pub(crate) fn agent(&self) -> AgentId {
        self.agent
    }

    /// The event, now that the target is known.
    pub(crate) fn event(
        &self,
        app: &App,
        organisation: OrganisationId,
        id: FeedbackId,
        target: Target,
    ) -> Event {
        let defence = (self.source == FeedbackSource::User)
            .then(|| trust::defence(app.limits.caps, &app.keyring, organisation, self.text.as_deref()));
        let author: Option<Pseudonym> = self.author.as_ref().and_then(|author| author.parse().ok());
        let feedback = Feedback {
            id,
            agent: self.agent,
            target,
            feedback_type: self.feedback_type,
            source: self.source,
            author,
            rating: self.rating,
            dimensions: self.dimensions,
            issue_categories: self.issue_categories.clone(),
            metrics: self.metrics.clone(),
            text: self.text.clone(),
            correction: self.correction.clone(),
            details: self.details.clone().map(|(kind, body)| Payload { kind, body }),
            standing: Standing::Counted,
            findings: trust::findings(app, self.text.as_deref()),
            occurred_at: Timestamp(self.occurred_at),
        };
        let fingerprints = self.fingerprints.iter().filter_map(|bytes| bytes.as_slice().try_into().ok());
        Event::Feedback {
            feedback: Box::new(feedback),
            fingerprints: fingerprints.collect(),
            restore: None,
            token_uses: None,
            defence,
        }
    }
}

/// The fingerprints of a statement of telemetry, whose id is made of all it says.
pub(crate) fn fingerprints(app: &App, organisation: OrganisationId, id: FeedbackId) -> Vec<Fingerprint> {
    app.keyring.fingerprints(organisation, id.0.as_bytes())
}

/// Who said it: a person where that is stated, otherwise a program.
pub(crate) fn source(said: &RecordedFeedback) -> FeedbackSource {
    match said.annotator {
        Some(Annotator::Human) => FeedbackSource::User,
        Some(Annotator::Llm | Annotator::Code | Annotator::Other(_)) | None => FeedbackSource::Program,
    }
}

/// A thumb, where a person's verdict is one of the words for it.
fn thumb(said: &RecordedFeedback) -> Option<FeedbackType> {
    if source(said) != FeedbackSource::User {
        return None;
    }
    let label = said.label.as_ref()?.to_lowercase().replace(['_', '-'], " ");
    match label.trim() {
        "thumbs up" | "thumb up" | "👍" => Some(FeedbackType::ThumbsUp),
        "thumbs down" | "thumb down" | "👎" => Some(FeedbackType::ThumbsDown),
        _ => None,
    }
}

/// Telemetry's statement as feedback: the score is the metric `evaluation.NAME`. Without a score there is no metric.
pub(crate) fn event(
    app: &App,
    organisation: OrganisationId,
    (agent, id, target): (AgentId, FeedbackId, Target),
    said: &RecordedFeedback,
    received_at: Timestamp,
) -> Result<Event, Problem> {
    let details = Details::Evaluation {
        name: said.name.clone(),
        score: said.score,
        label: said.label.clone(),
        explanation: said.explanation.clone(),
    };
    details.validate()?;
    let metrics: BTreeMap<String, f64> = details.metrics().into_iter().collect();
    let measured = if metrics.is_empty() { FeedbackType::DetailedFeedback } else { FeedbackType::Metric };
    let source = source(said);
    let defence = (source == FeedbackSource::User)
        .then(|| trust::defence(app.limits.caps, &app.keyring, organisation, said.explanation.as_deref()));
    let feedback = Feedback {
        id,
        agent,
        target,
        feedback_type: thumb(said).unwrap_or(measured),
        source,
        author: None,
        rating: None,
        dimensions: Dimensions::default(),
        issue_categories: Vec::new(),
        metrics,
        text: said.explanation.clone(),
        correction: None,
        details: Some(details.payload()?),
        standing: Standing::Counted,
        findings: trust::findings(app, said.explanation.as_deref()),
        occurred_at: said.at.filter(|at| *at > 0).map_or(received_at, Timestamp),
    };
    feedback.validate()?;
    let fingerprints = fingerprints(app, organisation, said.id);
    Ok(Event::Feedback {
        feedback: Box::new(feedback),
        fingerprints,
        restore: None,
        token_uses: None,
        defence,
    })
}
