//! Requests in few words, in JSON and from it in protobuf.

use prost::Message as _;
use serde_json::{Map, Value as Json, json};
use upswing_otlp::{Format, Received, read_logs, read_traces};

use crate::wire;

pub(crate) const TRACE: &str = "5b8efff798038103d269b633813fc60c";
pub(crate) const START: u64 = 1_700_000_000_000_000_000;

/// An id of that number.
pub(crate) fn id(number: u64) -> String {
    format!("{number:016x}")
}

fn value(value: &Json) -> Json {
    match value {
        Json::Null => json!({}),
        Json::Bool(flag) => json!({"boolValue": flag}),
        // A JSON number, as the JavaScript exporter writes it.
        Json::Number(number) if number.is_f64() => json!({"doubleValue": number}),
        Json::Number(number) => json!({"intValue": number}),
        Json::String(text) => json!({"stringValue": text}),
        Json::Array(items) => {
            json!({"arrayValue": {"values": items.iter().map(self::value).collect::<Vec<_>>()}})
        }
        Json::Object(fields) => json!({"kvlistValue": {"values": attributes(fields)}}),
    }
}

fn attributes(fields: &Map<String, Json>) -> Vec<Json> {
    fields.iter().map(|(key, value)| json!({"key": key, "value": self::value(value)})).collect()
}

/// A span of that number and with those attributes, a second long, each beginning a microsecond after the number before.
pub(crate) fn span(number: u64, parent: Option<u64>, given: Json) -> Json {
    json!({
        "traceId": TRACE,
        "spanId": id(number),
        "parentSpanId": parent.map(id).unwrap_or_default(),
        "name": format!("span {number}"),
        "startTimeUnixNano": (START + number * 1_000).to_string(),
        "endTimeUnixNano": (START + number * 1_000 + 1_000_000_000).to_string(),
        "attributes": attributes(given.as_object().unwrap()),
    })
}

/// The same with other fields.
pub(crate) fn with(mut span: Json, more: Json) -> Json {
    span.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    span
}

pub(crate) fn event(name: &str, given: Json) -> Json {
    json!({"name": name, "timeUnixNano": (START + 5_000).to_string(), "attributes": attributes(given.as_object().unwrap())})
}

pub(crate) fn log(name: &str, given: Json) -> Json {
    with(event(name, given), json!({"eventName": name}))
}

pub(crate) fn body(value: &Json) -> Json {
    self::value(value)
}

/// A request of spans of one instrumentation.
pub(crate) fn traces(spans: Vec<Json>) -> Json {
    json!({"resourceSpans": [{
        "resource": {"attributes": attributes(json!({"service.name": "shop", "host.name": "h"}).as_object().unwrap())},
        "scopeSpans": [{"scope": {"name": "tests", "version": "1"}, "spans": spans}],
    }]})
}

pub(crate) fn logs(records: Vec<Json>) -> Json {
    json!({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]})
}

pub(crate) fn read_json(request: &Json) -> Received {
    let body = request.to_string();
    if request.get("resourceLogs").is_some() {
        read_logs(Format::Json, body.as_bytes()).unwrap()
    } else {
        read_traces(Format::Json, body.as_bytes()).unwrap()
    }
}

/// Reads a request in both encodings, which must agree.
pub(crate) fn read(request: &Json) -> Received {
    let from_json = read_json(request);
    let from_protobuf = if request.get("resourceLogs").is_some() {
        read_logs(Format::Protobuf, &protobuf(request)).unwrap()
    } else {
        read_traces(Format::Protobuf, &protobuf(request)).unwrap()
    };
    assert_eq!(from_json, from_protobuf);
    from_json
}

pub(crate) fn read_spans(spans: Vec<Json>) -> Received {
    read(&traces(spans))
}

/// The request in protobuf, written by `prost`.
pub(crate) fn protobuf(request: &Json) -> Vec<u8> {
    let (groups, scoped, is_log) = match request.get("resourceLogs") {
        Some(groups) => (groups, "scopeLogs", true),
        None => (&request["resourceSpans"], "scopeSpans", false),
    };
    let record = |record: &Json| {
        if is_log { log_message(record).encode_to_vec() } else { span_message(record).encode_to_vec() }
    };
    let groups = items(groups).map(|group| wire::Group {
        resource: Some(wire::Resource { attributes: key_values(&group["resource"]["attributes"]) }),
        scoped: items(&group[scoped])
            .map(|scoped| wire::Scoped {
                scope: scoped.get("scope").map(|scope| wire::Scope {
                    name: text(&scope["name"]),
                    version: text(&scope["version"]),
                }),
                records: items(&scoped[if is_log { "logRecords" } else { "spans" }]).map(record).collect(),
            })
            .collect(),
        schema_url: "https://opentelemetry.io/schemas/1.42.0".to_owned(),
    });
    wire::Request { groups: groups.collect() }.encode_to_vec()
}

fn items(value: &Json) -> impl Iterator<Item = &Json> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Json) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn bytes(value: &Json) -> Vec<u8> {
    let text = text(value);
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
}

fn nanoseconds(value: &Json) -> u64 {
    text(value).parse().unwrap_or_default()
}

fn key_values(value: &Json) -> Vec<wire::KeyValue> {
    items(value)
        .map(|pair| wire::KeyValue { key: text(&pair["key"]), value: Some(any_value(&pair["value"])) })
        .collect()
}

fn any_value(value: &Json) -> wire::AnyValue {
    let (kind, value) = match value.as_object().and_then(|fields| fields.iter().next()) {
        Some(field) => field,
        None => return wire::AnyValue { value: None },
    };
    let value = match kind.as_str() {
        "stringValue" => wire::Value::Text(text(value)),
        "boolValue" => wire::Value::Flag(value.as_bool().unwrap()),
        "intValue" => wire::Value::Int(value.as_i64().unwrap()),
        "doubleValue" => wire::Value::Double(value.as_f64().unwrap()),
        "arrayValue" => {
            wire::Value::List(wire::List { values: items(&value["values"]).map(any_value).collect() })
        }
        "kvlistValue" => wire::Value::Fields(wire::Fields { values: key_values(&value["values"]) }),
        other => panic!("no value of kind {other} is written here"),
    };
    wire::AnyValue { value: Some(value) }
}

fn span_message(span: &Json) -> wire::Span {
    wire::Span {
        trace_id: bytes(&span["traceId"]),
        span_id: bytes(&span["spanId"]),
        parent_span_id: bytes(&span["parentSpanId"]),
        flags: span["flags"].as_u64().unwrap_or_default().try_into().unwrap(),
        name: text(&span["name"]),
        kind: 1,
        start: nanoseconds(&span["startTimeUnixNano"]),
        end: nanoseconds(&span["endTimeUnixNano"]),
        attributes: key_values(&span["attributes"]),
        events: items(&span["events"])
            .map(|event| wire::Event {
                time: nanoseconds(&event["timeUnixNano"]),
                name: text(&event["name"]),
                attributes: key_values(&event["attributes"]),
            })
            .collect(),
        links: items(&span["links"])
            .map(|link| wire::Link { trace_id: bytes(&link["traceId"]), span_id: bytes(&link["spanId"]) })
            .collect(),
        status: span.get("status").map(|status| wire::Status {
            message: text(&status["message"]),
            code: status["code"].as_i64().unwrap_or_default().try_into().unwrap(),
        }),
    }
}

fn log_message(record: &Json) -> wire::LogRecord {
    wire::LogRecord {
        time: nanoseconds(&record["timeUnixNano"]),
        observed: nanoseconds(&record["observedTimeUnixNano"]),
        body: record.get("body").map(any_value),
        attributes: key_values(&record["attributes"]),
        trace_id: bytes(&record["traceId"]),
        span_id: bytes(&record["spanId"]),
        event_name: text(&record["eventName"]),
    }
}
