//! OTLP over HTTP: bodies that may be compressed, and answers in the request's encoding, errors included.

use std::io::Read as _;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use upswing_otlp::{Format, Kind, Rejected};

use crate::problem::{Code, Problem};
use crate::wire::json;

/// How many bytes a body may have once it is decompressed. Telemetry shrinks to a tenth or less, so that the bound on what is
/// sent (8 MiB) says little about what it becomes.
pub(crate) const MAX_DECOMPRESSED: usize = 32 << 20;

/// The encoding of a request's body, which is the answer's.
pub(crate) fn format(headers: &HeaderMap) -> Option<Format> {
    Format::of_content_type(headers.get(header::CONTENT_TYPE)?.to_str().ok()?)
}

/// Reads a body and decompresses it.
pub(crate) async fn read(headers: &HeaderMap, body: Body) -> Result<(Format, Bytes), Problem> {
    let unsupported = |detail: &str| Problem::new(Code::UnsupportedMediaType, detail);
    let format = format(headers).ok_or_else(|| {
        unsupported("send Content-Type: application/x-protobuf or application/json, as OTLP over HTTP does")
    })?;
    let coding = headers.get(header::CONTENT_ENCODING).map_or(&b""[..], HeaderValue::as_bytes).trim_ascii();
    let is = |name: &[u8]| coding.eq_ignore_ascii_case(name);
    let compressed = is(b"gzip") || is(b"x-gzip");
    if !compressed && !coding.is_empty() && !is(b"identity") {
        return Err(unsupported("send Content-Encoding: gzip, or none"));
    }
    let body = json::read(body).await?;
    Ok((format, if compressed { decompress(&body)? } else { body }))
}

fn decompress(body: &[u8]) -> Result<Bytes, Problem> {
    let mut text = Vec::new();
    // One byte more than may be, to notice that there is more, however much it would become.
    let mut decoder = flate2::read::MultiGzDecoder::new(body).take(MAX_DECOMPRESSED as u64 + 1);
    decoder.read_to_end(&mut text).map_err(|error| {
        Problem::new(Code::MalformedTelemetry, format!("the body is not what gzip makes: {error}"))
    })?;
    if text.len() > MAX_DECOMPRESSED {
        let detail = format!("the body has more than {MAX_DECOMPRESSED} bytes once it is decompressed");
        return Err(Problem::new(Code::BodyTooLarge, detail));
    }
    Ok(text.into())
}

/// What was taken: 200, with what was not.
pub(crate) fn taken(kind: Kind, format: Format, rejected: &Rejected) -> Response {
    respond(StatusCode::OK, format, upswing_otlp::response(kind, format, rejected))
}

fn respond(status: StatusCode, format: Format, body: Vec<u8>) -> Response {
    let content_type = HeaderValue::from_static(format.content_type());
    (status, [(header::CONTENT_TYPE, content_type)], body).into_response()
}

/// A problem as `google.rpc.Status`, which is what exporters read. The message begins with the stable code.
pub(crate) fn problem(problem: &Problem, format: Format, request_id: &str) -> Response {
    let document = problem.document(None);
    let status = problem.code.status();
    // The codes of gRPC.
    let code = match status.as_u16() {
        401 => 16,
        403 => 7,
        404 => 5,
        429 => 8,
        503 => 14,
        500..=599 => 13,
        _ => 3,
    };
    let message = format!("{}: {}", document.code, document.detail);
    let mut response = problem.answer(request_id);
    // Retry-After and the like stay; what is said changes its form.
    let told = respond(status, format, upswing_otlp::status(format, code, &message));
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    *response.body_mut() = told.into_body();
    response
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_bomb_is_refused_before_it_is_unpacked_and_what_is_no_gzip_is_called_so() {
        let pack = |bytes: usize| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&vec![b' '; bytes]).unwrap();
            encoder.finish().unwrap()
        };
        assert_eq!(decompress(&pack(MAX_DECOMPRESSED)).unwrap().len(), MAX_DECOMPRESSED);
        assert_eq!(decompress(&pack(MAX_DECOMPRESSED + 1)).unwrap_err().code, Code::BodyTooLarge);
        assert_eq!(decompress(b"{}").unwrap_err().code, Code::MalformedTelemetry);
    }
}
