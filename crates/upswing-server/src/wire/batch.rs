//! One object, a JSON array, or NDJSON: a bad item is refused by its index while the rest is taken.

use axum::body::Bytes;
use axum::http::HeaderMap;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use upswing_domain::Position;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::problem::{Code, Problem, ProblemResponse};
use crate::wire::json::{self, MediaType};

/// How many items a batch may have.
pub(crate) const MAX_ITEMS: usize = 10_000;

/// What a body holds.
#[derive(Debug)]
pub(crate) enum Items<T> {
    /// One object.
    One(Box<T>),
    /// A batch, item by item.
    Many(Vec<Result<T, Problem>>),
}

/// Reads a body.
///
/// # Errors
/// When the whole of it cannot be understood, or has too many items.
pub(crate) fn read<T: DeserializeOwned>(headers: &HeaderMap, body: &Bytes) -> Result<Items<T>, Problem> {
    match json::media_type(headers)? {
        MediaType::NdJson => {
            let lines = body.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
            let lines: Vec<&[u8]> = lines.collect();
            check_count(lines.len())?;
            Ok(Items::Many(lines.into_iter().map(json::parse).collect()))
        }
        MediaType::Json if body.trim_ascii_start().first() == Some(&b'[') => array(body).map(Items::Many),
        MediaType::Json => json::parse(body).map(|item| Items::One(Box::new(item))),
    }
}

fn array<T: DeserializeOwned>(body: &[u8]) -> Result<Vec<Result<T, Problem>>, Problem> {
    // All at once when all is well; item by item when not.
    if json::refuse_nul(body).is_ok()
        && let Ok(items) = serde_json::from_slice::<Vec<T>>(body)
    {
        check_count(items.len())?;
        return Ok(items.into_iter().map(Ok).collect());
    }
    let items: Vec<&RawValue> =
        serde_json::from_slice(body).map_err(|error| Problem::new(Code::MalformedJson, error.to_string()))?;
    check_count(items.len())?;
    Ok(items.into_iter().map(|item| json::parse(item.get().as_bytes())).collect())
}

fn check_count(count: usize) -> Result<(), Problem> {
    if count <= MAX_ITEMS {
        return Ok(());
    }
    let detail = format!("the batch has {count} items, but may have at most {MAX_ITEMS}");
    Err(Problem::new(Code::BodyTooLarge, detail))
}

/// The id that the `Idempotency-Key` header stands for: itself where it is a UUID, otherwise one derived from it.
///
/// # Errors
/// When it is not visible ASCII of 1 to 255 characters.
pub(crate) fn idempotency_key(headers: &HeaderMap, scope: Uuid, noun: &str) -> Result<Option<Uuid>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let text = value.to_str().ok().filter(|text| (1..=255).contains(&text.len())).ok_or_else(|| {
        Problem::new(Code::InvalidParameter, "the header must have 1 to 255 visible ASCII characters")
            .about("Idempotency-Key")
    })?;
    Ok(Some(
        Uuid::parse_str(text).unwrap_or_else(|_| Uuid::new_v5(&scope, format!("{noun}:{text}").as_bytes())),
    ))
}

/// Refuses the header for a batch, where one id cannot stand for many.
pub(crate) fn refuse_key(key: Option<Uuid>) -> Result<(), Problem> {
    let Some(_) = key else { return Ok(()) };
    let detail =
        "the header stands for the id of a single object: give every item of a batch an id of its own";
    Err(Problem::new(Code::InvalidParameter, detail).about("Idempotency-Key"))
}

/// An item that was refused; the rest of its batch was not.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct RejectedItem {
    /// Its place in the batch, from 0.
    pub(crate) index: usize,
    /// What is wrong with it.
    pub(crate) problem: ProblemResponse,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// What became of a batch.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct BatchResponse {
    /// Items that are on disk now and were not before.
    pub(crate) accepted: usize,
    /// Telemetry that is not among the collected share: acknowledged, and not kept.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) sampled_out: usize,
    /// Items that had been stored before.
    pub(crate) duplicates: usize,
    /// Items that were refused.
    pub(crate) rejected: Vec<RejectedItem>,
    /// The last position of those that are stored; `null` when none is.
    pub(crate) position: Option<i64>,
}

impl BatchResponse {
    /// Notes where an item is stored.
    pub(crate) fn stored(&mut self, position: Position, duplicate: bool) {
        if duplicate {
            self.duplicates += 1;
        } else {
            self.accepted += 1;
        }
        self.position = self.position.max(Some(position.0));
    }

    /// Notes why an item is not.
    pub(crate) fn rejected(&mut self, index: usize, problem: &Problem) {
        self.rejected.push(RejectedItem { index, problem: problem.document(None) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_with(content_type: &'static str, body: &'static str) -> Items<u8> {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", content_type.parse().unwrap());
        read(&headers, &Bytes::from_static(body.as_bytes())).unwrap()
    }

    #[test]
    fn a_bad_item_does_not_take_the_others_with_it() {
        for (content_type, body) in
            [("application/json", " [1, \"x\", 3]"), ("application/x-ndjson", "1\n\n\"x\"\r\n3")]
        {
            let Items::Many(items) = read_with(content_type, body) else { panic!("{body} is a batch") };
            let codes: Vec<_> = items.iter().map(|item| item.as_ref().map_err(|p| p.code)).collect();
            assert_eq!(codes, [Ok(&1), Err(Code::InvalidBody), Ok(&3)]);
        }
        assert!(matches!(read_with("application/json", "7"), Items::One(_)));
    }

    #[test]
    fn an_idempotency_key_that_is_no_uuid_becomes_the_same_one_every_time() {
        let id = |text: &str, noun: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("idempotency-key", text.parse().unwrap());
            idempotency_key(&headers, Uuid::from_u128(1), noun).unwrap().unwrap()
        };
        assert_eq!(id("order 17", "feedback"), id("order 17", "feedback"));
        assert_ne!(id("order 17", "feedback"), id("order 17", "execution"));
        assert_eq!(id("00000000-0000-0000-0000-000000000005", "x"), Uuid::from_u128(5));
    }
}
