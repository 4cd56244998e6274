//! What is taken out of telemetry before it is stored or logged: what identifies people, and what is secret. Whom a run
//! served becomes a keyed hash. Ids stay, so that what belongs together is found; an id that looks like a secret becomes a
//! keyed hash too, since one label for all of them would make them one.

use serde::Serialize;
use serde::de::DeserializeOwned;
use upswing_domain::OrganisationId;
use upswing_otlp::{RecordedContent, RecordedFeedback, RecordedSpan, Target};
use upswing_privacy::Keyring;
use upswing_privacy::redact::Redactor;

use crate::wire::redact::Redact as _;

/// How many characters of a verdict and of its reason are kept.
const MAX_LABEL: usize = 200;
const MAX_EXPLANATION: usize = 16_000;
/// How many characters the name of an evaluation may have: it is the name of a metric.
pub(crate) const MAX_NAME: usize = 80;

/// Takes out of telemetry what is not to be stored.
pub(crate) struct Intake<'a> {
    pub(crate) keyring: &'a Keyring,
    pub(crate) organisation: OrganisationId,
    pub(crate) redactor: Redactor,
}

impl Intake<'_> {
    /// An id by which things are found.
    pub(crate) fn id(&self, id: &mut String) {
        if !self.redactor.find(id).is_empty() {
            *id = self.keyring.pseudonym(self.organisation, id).to_string();
        }
    }

    /// Whatever serialises to texts.
    fn texts<T: Serialize + DeserializeOwned + Default>(&self, value: &mut T) {
        let redacted = serde_json::to_value(&*value).and_then(|mut json| {
            self.redactor.json(&mut json);
            serde_json::from_value(json)
        });
        // What cannot be cleaned is not kept.
        *value = redacted.unwrap_or_default();
    }

    pub(crate) fn span(&self, span: &mut RecordedSpan) {
        span.user = span.user.take().map(|user| self.keyring.pseudonym(self.organisation, &user).to_string());
        if let Some(id) = &mut span.response_id {
            self.id(id);
        }
        span.name.redact(&self.redactor);
        for text in [
            &mut span.scope_name,
            &mut span.scope_version,
            &mut span.error,
            &mut span.provider,
            &mut span.request_model,
            &mut span.response_model,
            &mut span.session,
            &mut span.upswing.agent,
        ] {
            text.redact(&self.redactor);
        }
        // A version is known by its hash, which has the look of a key.
        let version = &mut span.upswing.version;
        let hash = |text: &String| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        if !version.as_ref().is_some_and(hash) {
            version.redact(&self.redactor);
        }
        let mut context = Some(std::mem::take(&mut span.upswing.context));
        context.redact(&self.redactor);
        span.upswing.context = context.unwrap_or_default();
        self.texts(&mut span.agent);
        self.texts(&mut span.resource);
        self.texts(&mut span.input);
        self.texts(&mut span.output);
        self.texts(&mut span.finish_reasons);
        self.texts(&mut span.attributes);
    }

    pub(crate) fn content(&self, content: &mut RecordedContent) {
        self.texts(&mut content.input);
        self.texts(&mut content.output);
    }

    pub(crate) fn feedback(&self, feedback: &mut RecordedFeedback) {
        match &mut feedback.target {
            Target::Response(id) => self.id(id),
            Target::Session(session) => session.redact(&self.redactor),
            Target::Span { .. } | Target::Trace(_) => {}
        }
        feedback.name.redact(&self.redactor);
        for (text, most) in [(&mut feedback.label, MAX_LABEL), (&mut feedback.explanation, MAX_EXPLANATION)] {
            text.redact(&self.redactor);
            if let Some((end, _)) = text.as_ref().and_then(|text| text.char_indices().nth(most)) {
                text.as_mut().map(|text| text.truncate(end)).unwrap_or_default();
            }
        }
        feedback.identifier.redact(&self.redactor);
        self.texts(&mut feedback.metadata);
        if let Some(upswing_otlp::Annotator::Other(word)) = &mut feedback.annotator {
            word.redact(&self.redactor);
        }
    }
}
