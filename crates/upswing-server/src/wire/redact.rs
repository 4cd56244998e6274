//! What people write loses, on its way in, what identifies them and what should be secret. Identities that are kept as keyed
//! hashes (`unit`, `author`, `subject`) are hashed as they come: redacted first, all addresses of mail would be one person.

use std::collections::BTreeMap;

use upswing_domain::{Context, ContextValue};
use upswing_privacy::redact::Redactor;

/// Takes personal data and secrets out of every text within.
pub(crate) trait Redact {
    /// In place.
    fn redact(&mut self, redactor: &Redactor);
}

impl Redact for String {
    fn redact(&mut self, redactor: &Redactor) {
        if let std::borrow::Cow::Owned(redacted) = redactor.text(self).text {
            *self = redacted;
        }
    }
}

impl<T: Redact> Redact for Option<T> {
    fn redact(&mut self, redactor: &Redactor) {
        if let Some(inner) = self {
            inner.redact(redactor);
        }
    }
}

impl<T: Redact> Redact for Vec<T> {
    fn redact(&mut self, redactor: &Redactor) {
        for item in self {
            item.redact(redactor);
        }
    }
}

/// Names of measurements. Two names that become one keep both values apart by a number.
impl Redact for BTreeMap<String, f64> {
    fn redact(&mut self, redactor: &Redactor) {
        if self.keys().all(|name| redactor.find(name).is_empty()) {
            return;
        }
        for (name, value) in std::mem::take(self) {
            let redacted = redactor.text(&name).text.into_owned();
            let mut place = redacted.clone();
            let mut number = 1;
            while self.contains_key(&place) {
                number += 1;
                place = format!("{redacted}#{number}");
            }
            self.insert(place, value);
        }
    }
}

impl Redact for Context {
    fn redact(&mut self, redactor: &Redactor) {
        let harmless = |value: &ContextValue| match value {
            ContextValue::Category(text) => redactor.find(text).is_empty(),
            ContextValue::Number(_) | ContextValue::Flag(_) => true,
        };
        if self.iter().all(|(key, value)| redactor.find(key).is_empty() && harmless(value)) {
            return;
        }
        let redacted = self.iter().map(|(key, value)| {
            let value = match value {
                ContextValue::Category(text) => ContextValue::Category(redactor.text(text).text.into_owned()),
                other => other.clone(),
            };
            (redactor.text(key).text.into_owned(), value)
        });
        // Labels are shorter than what they replace, or than the limit: what was a context stays one.
        if let Ok(context) = Context::new(redacted.collect()) {
            *self = context;
        } else {
            *self = Context::default();
        }
    }
}

impl Redact for serde_json::Value {
    fn redact(&mut self, redactor: &Redactor) {
        redactor.json(self);
    }
}
