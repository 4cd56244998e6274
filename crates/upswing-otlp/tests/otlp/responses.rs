//! What is answered, read again by an independent reader.

use prost::Message as _;
use serde_json::{Value as Json, json};
use upswing_otlp::{Format, Kind, Rejected, response, status};

use crate::support::{START, id, log, logs, read, span, traces, with};
use crate::wire;

#[test]
fn a_partial_success_says_how_many_and_why() {
    let mut rejected = Rejected::default();
    rejected.refuse(2, "spans[0]: trace_id is all zero");
    rejected.warn("a warning – not in ASCII");
    let message = "spans[0]: trace_id is all zero; a warning – not in ASCII";
    for kind in [Kind::Traces, Kind::Logs] {
        let read = wire::Response::decode(response(kind, Format::Protobuf, &rejected).as_slice()).unwrap();
        let partial = read.partial_success.unwrap();
        assert_eq!((partial.rejected, partial.error_message.as_str()), (2, message));
    }
    let read = |kind| serde_json::from_slice::<Json>(&response(kind, Format::Json, &rejected)).unwrap();
    assert_eq!(
        read(Kind::Traces),
        json!({"partialSuccess": {"rejectedSpans": "2", "errorMessage": message}})
    );
    assert_eq!(
        read(Kind::Logs),
        json!({"partialSuccess": {"rejectedLogRecords": "2", "errorMessage": message}})
    );
}

#[test]
fn an_error_is_a_status() {
    let read = wire::RpcStatus::decode(status(Format::Protobuf, 3, "no OTLP").as_slice()).unwrap();
    assert_eq!((read.code, read.message.as_str()), (3, "no OTLP"));
    let read: Json = serde_json::from_slice(&status(Format::Json, 3, "no \"OTLP\"")).unwrap();
    assert_eq!(read, json!({"code": 3, "message": "no \"OTLP\""}));
}

#[test]
fn bad_spans_are_refused_alone() {
    let good = span(1, None, json!({"gen_ai.operation.name": "chat"}));
    let bad = [
        (json!({"traceId": ""}), "trace_id"),
        (json!({"traceId": "00000000000000000000000000000000"}), "all zero"),
        (json!({"traceId": "5b8efff798038103d269b633813fc6"}), "has 15 bytes"),
        (json!({"spanId": id(0)}), "all zero"),
        (json!({"parentSpanId": "0102"}), "has 2 bytes"),
        (json!({"startTimeUnixNano": "0"}), "start_time_unix_nano"),
        (json!({"endTimeUnixNano": (START - 1).to_string()}), "before its start"),
        (json!({"links": [{"traceId": "5b8efff798038103d269b633813fc60c"}]}), "link"),
    ];
    for (change, reason) in bad {
        // Reasons name fields as the encoding does, so that the two are compared without them.
        let request = traces(vec![with(good.clone(), change.clone()), good.clone()]);
        let read = |received: upswing_otlp::Received| {
            assert_eq!((received.spans.len(), received.rejected.count), (1, 1), "{change}");
            received.rejected.message()
        };
        let told = read(upswing_otlp::read_traces(Format::Json, request.to_string().as_bytes()).unwrap());
        let protobuf = crate::support::protobuf(&request);
        let told_again = read(upswing_otlp::read_traces(Format::Protobuf, &protobuf).unwrap());
        for told in [told, told_again] {
            assert!(told.starts_with("spans[0]: "), "{told}");
            let known = told.contains(reason) || told.to_lowercase().contains(&reason.replace('_', ""));
            assert!(known, "{told} does not say {reason}");
        }
    }
}

#[test]
fn what_is_no_otlp_is_refused_as_a_whole() {
    let json = |body: &str| upswing_otlp::read_traces(Format::Json, body.as_bytes()).unwrap_err().to_string();
    assert!(json("").contains("no OTLP in JSON"));
    assert!(json("[]").contains("the body is a list, but must be an object"));
    assert!(json(r#"{"resourceSpans": {}}"#).contains("resourceSpans is an object, but must be a list"));
    assert!(json(r#"{"resourceSpans": [{"scopeSpans": [1]}]}"#).contains("scopeSpans is a number"));
    let protobuf = |body: &[u8]| upswing_otlp::read_logs(Format::Protobuf, body).unwrap_err().to_string();
    assert!(protobuf(&[0x0a, 5, 1]).contains("it ends within a field"));
    assert!(protobuf(b"{\"resourceLogs\": []}").contains("no OTLP in protobuf"));
    // The empty message is a request without anything.
    assert_eq!(upswing_otlp::read_logs(Format::Protobuf, b"").unwrap(), upswing_otlp::Received::default());
    assert_eq!(upswing_otlp::read_logs(Format::Json, b"{}").unwrap(), upswing_otlp::Received::default());
}

#[test]
fn more_records_than_the_bound_are_counted() {
    let one = log("other", json!({}));
    let received = read(&logs(vec![one; upswing_otlp::MAX_RECORDS + 3]));
    assert_eq!((received.ignored, received.rejected.count), (upswing_otlp::MAX_RECORDS as u64, 3));
}
