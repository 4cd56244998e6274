//! Collect: what was done, how it was received.

pub(super) mod corrections;
pub(in crate::routes) mod executions;
pub(super) mod export;
pub(super) mod feedback;
pub(in crate::routes) mod proof;
pub(super) mod records;
pub(super) mod signals;
pub(super) mod telemetry;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, header};
use serde::de::DeserializeOwned;
use upswing_privacy::redact::Redactor;
use upswing_trust::{fingerprint, moderate};

use crate::wire::batch::{self, Items};

/// What [`crate::read_collected`] says.
pub(super) fn read_all(bytes: &[u8], ndjson: bool) -> usize {
    let name = if ndjson { "application/x-ndjson" } else { "application/json" };
    let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(name))]);
    let body = Bytes::copy_from_slice(bytes);
    if let Ok(mut value) = serde_json::from_slice(bytes) {
        Redactor::new().json(&mut value);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let (_, _) = (moderate(text), fingerprint(text, &[7; 32]));
    }
    items(&headers, &body, |request: &feedback::FeedbackRequest| request.is_sound())
        + items(&headers, &body, |request: &signals::SignalRequest| request.is_sound())
        + items(&headers, &body, |_: &executions::ExecutionRequest| true)
        + items(&headers, &body, |_: &corrections::CorrectionRequest| true)
        + records::understood(bytes)
}

fn items<T: DeserializeOwned>(headers: &HeaderMap, body: &Bytes, sound: impl Fn(&T) -> bool) -> usize {
    match batch::read::<T>(headers, body) {
        Ok(Items::One(item)) => usize::from(sound(&item)),
        Ok(Items::Many(items)) => items.iter().flatten().filter(|item| sound(item)).count(),
        Err(_) => 0,
    }
}
