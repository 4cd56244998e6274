//! Bodies and parameters, and what is wrong with them.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use upswing_privacy::redact::{Kind, Redactor};

use crate::problem::{Code, Problem};

/// How many bytes a body may have.
pub(crate) const MAX_BODY: usize = 8 * 1024 * 1024;
/// How much more is read and thrown away, so that the client sees the answer instead of a broken connection.
const MAX_DISCARDED: usize = 64 * 1024 * 1024;

/// A JSON body of type `T`.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let bytes = read_json(request).await?;
        parse(&bytes).map(Self)
    }
}

/// A JSON body of type `T` in which an administrator may not leave a secret: what configures is stored as it is, shown to
/// who reads it, and hashed, so that it is refused rather than changed.
#[derive(Debug)]
pub(crate) struct Vetted<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Vetted<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let bytes = read_json(request).await?;
        vet(&bytes)?;
        parse(&bytes).map(Self)
    }
}

/// A body that may be absent.
impl<S: Sync, T: DeserializeOwned> OptionalFromRequest<S> for Vetted<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Option<Self>, Problem> {
        let media_type = media_type(request.headers());
        let bytes = read(request.into_body()).await?;
        if bytes.trim_ascii().is_empty() {
            return Ok(None);
        }
        if media_type? != MediaType::Json {
            return Err(unsupported());
        }
        vet(&bytes)?;
        parse(&bytes).map(|value| Some(Self(value)))
    }
}

/// Refuses secrets, card and account numbers and the like, and outside of configurations addresses of mail. Within a
/// version's configuration an organisation's own address or telephone number belongs into many a prompt, and changing it
/// would change what the agent says.
fn vet(bytes: &[u8]) -> Result<(), Problem> {
    let Ok(value) = serde_json::from_slice(bytes) else { return Ok(()) };
    match secret_path(&value, "") {
        None => Ok(()),
        Some((path, kind)) => {
            let place = if path.is_empty() { "the body" } else { &path };
            let detail = format!("{place} holds what looks like {}, which is not stored", article(kind));
            Err(Problem::new(Code::SecretFound, detail).about(path))
        }
    }
}

fn article(kind: Kind) -> String {
    match kind {
        Kind::Email | Kind::Iban | Kind::Ip | Kind::Ssn => format!("an {}", kind.name()),
        _ => format!("a {}", kind.name()),
    }
}

fn secret_path(value: &serde_json::Value, path: &str) -> Option<(String, Kind)> {
    let grave = |text: &str| {
        let mut found = Redactor::new().find(text).into_iter().map(|finding| finding.kind);
        let configured = path.split('.').next().is_some_and(|top| top == "config" || top == "output_schema");
        found.find(|kind| match kind {
            Kind::Phone | Kind::Ip => false,
            Kind::Email => !configured,
            _ => true,
        })
    };
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        serde_json::Value::String(text) => grave(text).map(|kind| (path.to_owned(), kind)),
        serde_json::Value::Array(items) => {
            items.iter().enumerate().find_map(|(index, item)| secret_path(item, &below(&index.to_string())))
        }
        serde_json::Value::Object(map) => map.iter().find_map(|(name, item)| {
            grave(name).map(|kind| (path.to_owned(), kind)).or_else(|| secret_path(item, &below(name)))
        }),
        _ => None,
    }
}

/// Answers with `value` as JSON.
impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(bytes) => bytes_response(bytes),
            Err(error) => Problem::internal(&error.to_string()).into_response(),
        }
    }
}

/// Answers with bytes that are JSON already.
pub(crate) fn bytes_response(bytes: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(bytes));
    let json = axum::http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// The types of body that are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MediaType {
    Json,
    NdJson,
}

/// The body's type. A body without one is taken for JSON, as the simplest clients send it.
pub(crate) fn media_type(headers: &HeaderMap) -> Result<MediaType, Problem> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(MediaType::Json) };
    let name = value.as_bytes().split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
    if name.eq_ignore_ascii_case(b"application/json") {
        Ok(MediaType::Json)
    } else if [&b"application/x-ndjson"[..], b"application/ndjson", b"application/jsonl"]
        .iter()
        .any(|n| name.eq_ignore_ascii_case(n))
    {
        Ok(MediaType::NdJson)
    } else {
        Err(unsupported())
    }
}

fn unsupported() -> Problem {
    let detail = "send Content-Type: application/json, or application/x-ndjson to a route that takes batches";
    Problem::new(Code::UnsupportedMediaType, detail)
}

/// Reads a body that says it is JSON.
async fn read_json(request: Request) -> Result<Bytes, Problem> {
    if media_type(request.headers())? != MediaType::Json {
        return Err(unsupported());
    }
    read(request.into_body()).await
}

/// How long the next piece of a body may take.
const STALL: Duration = Duration::from_secs(30);

/// Reads a body up to [`MAX_BODY`].
pub(crate) async fn read(mut body: Body) -> Result<Bytes, Problem> {
    let mut first: Option<Bytes> = None;
    let mut joined: Vec<u8> = Vec::new();
    let mut length = 0_usize;
    let stalled = |_| {
        let detail = format!("the body is not complete, and nothing more came for {} s", STALL.as_secs());
        Problem::new(Code::MalformedJson, detail)
    };
    while let Some(frame) = tokio::time::timeout(STALL, body.frame()).await.map_err(stalled)? {
        let frame = frame.map_err(|error| {
            Problem::new(Code::MalformedJson, format!("the body ended before it was complete: {error}"))
        })?;
        let Ok(data) = frame.into_data() else { continue };
        length += data.len();
        if length > MAX_BODY {
            joined = Vec::new();
            first = None;
            if length > MAX_DISCARDED {
                break;
            }
        } else if let Some(start) = &first {
            if joined.is_empty() {
                joined.extend_from_slice(start);
            }
            joined.extend_from_slice(&data);
        } else {
            first = Some(data);
        }
    }
    if length > MAX_BODY {
        let detail = format!("the body has more than {MAX_BODY} bytes");
        return Err(Problem::new(Code::BodyTooLarge, detail));
    }
    Ok(if joined.is_empty() { first.unwrap_or_default() } else { joined.into() })
}

/// Reads JSON into a type. On failure the text is read again to find the field, which is not paid for when all is well.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    refuse_nul(bytes)?;
    serde_json::from_slice(bytes).map_err(|error| explain::<T>(bytes, &error))
}

fn explain<T: DeserializeOwned>(bytes: &[u8], error: &serde_json::Error) -> Problem {
    if error.classify() != serde_json::error::Category::Data {
        return Problem::new(Code::MalformedJson, error.to_string());
    }
    // A wrong type may stand before a broken end: what is not JSON at all is called so.
    if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(bytes) {
        return Problem::new(Code::MalformedJson, error.to_string());
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let Err(located) = serde_path_to_error::deserialize::<_, T>(&mut deserializer) else {
        return Problem::new(Code::InvalidBody, error.to_string());
    };
    let path = located.path().to_string();
    let message = located.inner().to_string();
    // "unknown field `x`" and "missing field `x`" are reported at the object: the field is in the message.
    let named = ["unknown field `", "missing field `"]
        .iter()
        .find_map(|start| message.strip_prefix(start)?.split('`').next());
    let field = match (path.as_str(), named) {
        (".", Some(name)) => Some(name.to_owned()),
        (path, Some(name)) if path.ends_with(name) => Some(path.to_owned()),
        (path, Some(name)) => Some(format!("{path}.{name}")),
        (".", None) => None,
        (path, None) => Some(path.to_owned()),
    };
    let problem = Problem::new(Code::InvalidBody, message);
    match field {
        Some(field) => problem.about(field),
        None => problem,
    }
}

/// U+0000 cannot be stored by every database, so that no text may hold it.
pub(crate) fn refuse_nul(bytes: &[u8]) -> Result<(), Problem> {
    const ESCAPE: &[u8] = b"\\u0000";
    let Some(_) = memchr::memmem::find(bytes, ESCAPE) else { return Ok(()) };
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(bytes) else { return Ok(()) };
    match nul_path(&value) {
        None => Ok(()),
        Some(path) => {
            let detail = "a text holds U+0000, which cannot be stored";
            Err(Problem::new(Code::ValueOutOfRange, detail).about(path))
        }
    }
}

fn nul_path(value: &serde_json::Value) -> Option<String> {
    let join =
        |head: &str, rest: String| if rest.is_empty() { head.to_owned() } else { format!("{head}.{rest}") };
    match value {
        serde_json::Value::String(text) => text.contains('\0').then(String::new),
        serde_json::Value::Array(items) => {
            let found = items.iter().enumerate().find_map(|(i, item)| Some((i, nul_path(item)?)));
            found.map(|(i, rest)| join(&i.to_string(), rest))
        }
        serde_json::Value::Object(map) => map.iter().find_map(|(key, item)| {
            if key.contains('\0') {
                Some(key.replace('\0', "\u{fffd}"))
            } else {
                Some(join(key, nul_path(item)?))
            }
        }),
        _ => None,
    }
}

/// The parameters of the query.
#[derive(Debug)]
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        axum::extract::Query::<T>::try_from_uri(&parts.uri)
            .map(|query| Self(query.0))
            .map_err(|error| Problem::new(Code::InvalidParameter, source(&error)))
    }
}

/// The parameters within the path.
#[derive(Debug)]
pub(crate) struct Path<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        axum::extract::Path::<T>::from_request_parts(parts, state)
            .await
            .map(|path| Self(path.0))
            .map_err(|error| Problem::new(Code::InvalidParameter, error.body_text()))
    }
}

/// The innermost cause, which is the one that says something.
fn source(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(deeper) = innermost.source() {
        innermost = deeper;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only its type matters")]
        inner: Inner,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only its type matters")]
        count: u8,
    }

    fn problem(text: &str) -> (Code, Option<String>) {
        let problem = parse::<Outer>(text.as_bytes()).unwrap_err();
        (problem.code, problem.field)
    }

    #[test]
    fn what_is_not_json_is_told_from_what_has_the_wrong_shape() {
        let field = |name: &str| Some(name.to_owned());
        assert_eq!(problem(r#"{"inner": {"count": "#), (Code::MalformedJson, None));
        assert_eq!(problem(r#"{"inner": {"count": NaN}}"#), (Code::MalformedJson, None));
        assert_eq!(problem(r#"{"inner": {"count": "x"}"#), (Code::MalformedJson, None));
        assert_eq!(problem(r#"{"inner": {"count": "x"}}"#), (Code::InvalidBody, field("inner.count")));
        assert_eq!(
            problem(r#"{"inner": {"count": 1, "more": 2}}"#),
            (Code::InvalidBody, field("inner.more"))
        );
        assert_eq!(problem(r#"{"inner": {}}"#), (Code::InvalidBody, field("inner.count")));
        assert_eq!(problem("{}"), (Code::InvalidBody, field("inner")));
        assert_eq!(problem("[]").0, Code::InvalidBody);
    }

    #[test]
    fn nul_is_refused_with_its_place_and_a_backslash_is_not_nul() {
        let refused = refuse_nul(br#"{"a": ["x", "b\u0000"]}"#).unwrap_err();
        assert_eq!(refused.field.as_deref(), Some("a.1"));
        assert!(refuse_nul(br#"{"a": "\\u0000"}"#).is_ok());
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused() {
        assert_eq!(read(Body::from(vec![b' '; MAX_BODY])).await.unwrap().len(), MAX_BODY);
        assert_eq!(read(Body::from(vec![b' '; MAX_BODY + 1])).await.unwrap_err().code, Code::BodyTooLarge);
    }
}
