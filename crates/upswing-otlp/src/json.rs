//! OTLP in JSON.
//!
//! As lenient as emitters are different: names in camelCase or snake_case, ids in hexadecimal of either case, 64-bit
//! numbers as numbers or texts, enumerations as numbers or names, `null` for absent, unknown fields ignored. The field names
//! are those of `opentelemetry/proto`.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Map as Object, Value as Json};

use crate::bounds::{Budget, MAX_EVENTS, MAX_NAME_CHARS, MAX_TEXT_BYTES, Map, number, prefix};
use crate::id::{SpanId, TraceId};
use crate::model::{Draft, Event, LogRecord, Source, Span};

/// A field's name in camelCase and in snake_case.
type Name = [&'static str; 2];

/// Where the records of a kind of request stand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Places {
    groups: Name,
    scoped: Name,
    records: Name,
}

/// Those of traces.
pub(crate) const TRACES: Places = Places {
    groups: ["resourceSpans", "resource_spans"],
    scoped: ["scopeSpans", "scope_spans"],
    records: ["spans", "spans"],
};
/// Those of logs.
pub(crate) const LOGS: Places = Places {
    groups: ["resourceLogs", "resource_logs"],
    scoped: ["scopeLogs", "scope_logs"],
    records: ["logRecords", "log_records"],
};

/// Reads the records of a request one by one. What is wrong within a record is that record's alone.
///
/// # Errors
/// When the body is no JSON object, or the objects around the records are something else.
pub(crate) fn records<T>(
    body: &[u8],
    places: Places,
    read: impl Fn(&Json) -> Result<T, String>,
    mut found: impl FnMut(&Source, Result<T, String>),
) -> Result<(), String> {
    let request = parse(body)?;
    let request = object(&request, "the body")?;
    for group in list(request, places.groups)? {
        let group = object(group, places.groups[0])?;
        let mut source = Source::default();
        if let Some(resource) = get(group, ["resource", "resource"]) {
            let resource = object(resource, "resource")?;
            let mut budget = Budget::new();
            for attribute in list(resource, ["attributes", "attributes"])? {
                // A resource attribute that cannot be read is no reason to lose what the resource sent.
                let _ = key_value(attribute, &mut budget, &mut source.resource);
            }
        }
        for scoped in list(group, places.scoped)? {
            let scoped = object(scoped, places.scoped[0])?;
            let scope = get(scoped, ["scope", "scope"]).map(|scope| object(scope, "scope")).transpose()?;
            let name = |name| scope.and_then(|scope| short(scope.get(name)?));
            (source.scope_name, source.scope_version) = (name("name"), name("version"));
            for record in list(scoped, places.records)? {
                found(&source, read(record));
            }
        }
    }
    Ok(())
}

/// Parses a body. JavaScript cuts texts within a surrogate pair and escapes the half that is left, which no parser of
/// valid JSON reads: such escapes are replaced, so that one cut text does not cost the request.
fn parse(body: &[u8]) -> Result<Json, String> {
    match serde_json::from_slice(body) {
        Ok(value) => Ok(value),
        Err(error) => match without_lone_surrogates(body) {
            Some(mended) => serde_json::from_slice(&mended).map_err(|error| error.to_string()),
            None => Err(error.to_string()),
        },
    }
}

/// The body with each escape of half a surrogate pair replaced by that of U+FFFD, if it has any.
fn without_lone_surrogates(body: &[u8]) -> Option<Vec<u8>> {
    let unit = |at: usize| {
        let digits = body.get(at..at + 6).filter(|escape| escape.starts_with(b"\\u"))?;
        u16::from_str_radix(std::str::from_utf8(&digits[2..]).ok()?, 16).ok()
    };
    let mut mended: Option<Vec<u8>> = None;
    let mut at = 0;
    while let Some(found) = body[at..].iter().position(|byte| *byte == b'\\') {
        at += found;
        at += match unit(at) {
            Some(0xd800..=0xdbff) if matches!(unit(at + 6), Some(0xdc00..=0xdfff)) => 12,
            Some(0xd800..=0xdfff) => {
                mended.get_or_insert_with(|| body.to_vec())[at..at + 6].copy_from_slice(b"\\ufffd");
                6
            }
            // The backslash and what it escapes, so that `\\u` is not taken for an escape.
            _ => 2,
        };
        if at >= body.len() {
            break;
        }
    }
    mended
}

fn get(object: &Object<String, Json>, name: Name) -> Option<&Json> {
    name.iter().find_map(|name| object.get(*name)).filter(|value| !value.is_null())
}

fn object<'a>(value: &'a Json, name: &str) -> Result<&'a Object<String, Json>, String> {
    value.as_object().ok_or_else(|| wrong(name, value, "an object"))
}

fn list(object: &Object<String, Json>, name: Name) -> Result<&[Json], String> {
    match get(object, name) {
        None => Ok(&[]),
        Some(Json::Array(items)) => Ok(items),
        Some(other) => Err(wrong(name[0], other, "a list")),
    }
}

/// Says the type, not the value: it may be what people wrote.
fn wrong(name: &str, value: &Json, expected: &str) -> String {
    let found = match value {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    };
    format!("{name} is {found}, but must be {expected}")
}

fn short(value: &Json) -> Option<String> {
    let text = Budget::new().text(value.as_str()?);
    (!text.is_empty()).then(|| text.chars().take(MAX_NAME_CHARS).collect())
}

fn string(object: &Object<String, Json>, name: Name, budget: &mut Budget) -> Result<String, String> {
    match get(object, name) {
        None => Ok(String::new()),
        Some(Json::String(text)) => Ok(budget.text(text)),
        Some(other) => Err(wrong(name[0], other, "a text")),
    }
}

/// A whole number, as a number (also `1e3` or `5.0`) or as a text.
fn whole(name: &str, value: &Json) -> Result<i128, String> {
    let float = |float: f64| {
        // Beyond 2^64 no field could hold it, and the conversion would not be exact.
        (float.fract() == 0.0 && float.abs() < 2_f64.powi(64)).then_some(float as i128)
    };
    let number = match value {
        Json::Number(number) => number
            .as_i64()
            .map(i128::from)
            .or_else(|| number.as_u64().map(i128::from))
            .or_else(|| number.as_f64().and_then(float)),
        Json::String(text) => text.trim().parse().ok().or_else(|| text.trim().parse().ok().and_then(float)),
        _ => None,
    };
    number.ok_or_else(|| wrong(name, value, "a whole number or a text of one"))
}

fn unsigned<T: TryFrom<i128>>(object: &Object<String, Json>, name: Name) -> Result<Option<T>, String> {
    let Some(value) = get(object, name) else { return Ok(None) };
    let number = whole(name[0], value)?;
    T::try_from(number).map(Some).map_err(|_| format!("{} is out of range", name[0]))
}

fn nanoseconds(object: &Object<String, Json>, name: Name) -> Result<u64, String> {
    Ok(unsigned(object, name)?.unwrap_or(0))
}

fn id<T: std::str::FromStr<Err = crate::id::BadId>>(
    object: &Object<String, Json>,
    name: Name,
) -> Result<Option<T>, String> {
    match get(object, name) {
        None => Ok(None),
        Some(Json::String(text)) => text.parse().map(Some).map_err(|error| format!("{} {error}", name[0])),
        Some(other) => Err(wrong(name[0], other, "a text of hexadecimal digits")),
    }
}

/// Nothing where an id is empty or zero: some emitters write a root's parent so.
fn optional_id<T: std::str::FromStr<Err = crate::id::BadId>>(
    object: &Object<String, Json>,
    name: Name,
) -> Result<Option<T>, String> {
    match get(object, name) {
        Some(Json::String(text)) if text.bytes().all(|byte| byte == b'0') => Ok(None),
        _ => id(object, name),
    }
}

fn attributes(object: &Object<String, Json>, budget: &mut Budget) -> Result<Map, String> {
    let mut map = Map::new();
    for attribute in list(object, ["attributes", "attributes"])? {
        key_value(attribute, budget, &mut map)?;
    }
    Ok(map)
}

pub(crate) fn span(value: &Json) -> Result<Span, String> {
    let fields = object(value, "a span")?;
    let mut budget = Budget::new();
    let dropped: Option<u32> = unsigned(fields, ["droppedAttributesCount", "dropped_attributes_count"])?;
    let events = list(fields, ["events", "events"])?;
    let links = list(fields, ["links", "links"])?;
    let draft = Draft {
        trace_id: id(fields, ["traceId", "trace_id"])?,
        span_id: id(fields, ["spanId", "span_id"])?,
        parent: optional_id(fields, ["parentSpanId", "parent_span_id"])?,
        flags: unsigned(fields, ["flags", "flags"])?.unwrap_or(0),
        name: string(fields, ["name", "name"], &mut budget)?,
        start: nanoseconds(fields, ["startTimeUnixNano", "start_time_unix_nano"])?,
        end: nanoseconds(fields, ["endTimeUnixNano", "end_time_unix_nano"])?,
        failed: failed(fields)?,
        attributes: attributes(fields, &mut budget)?,
        events: events.iter().take(MAX_EVENTS).map(|e| event(e, &mut budget)).collect::<Result<_, _>>()?,
        links: links.iter().take(MAX_EVENTS).map(link).collect::<Result<_, _>>()?,
    };
    draft.checked(budget.shortened.saturating_add(dropped.unwrap_or(0)))
}

fn event(value: &Json, budget: &mut Budget) -> Result<Event, String> {
    let fields = object(value, "an event")?;
    Ok(Event {
        at: nanoseconds(fields, ["timeUnixNano", "time_unix_nano"])?,
        name: string(fields, ["name", "name"], budget)?,
        attributes: attributes(fields, budget)?,
    })
}

fn link(value: &Json) -> Result<(TraceId, SpanId), String> {
    let fields = object(value, "a link")?;
    let trace = id(fields, ["traceId", "trace_id"])?;
    let span = id(fields, ["spanId", "span_id"])?;
    trace.zip(span).ok_or_else(|| "a link has no trace_id or no span_id".to_owned())
}

/// Whether a status says error (2).
fn failed(span: &Object<String, Json>) -> Result<bool, String> {
    let Some(status) = get(span, ["status", "status"]) else { return Ok(false) };
    match get(object(status, "status")?, ["code", "code"]) {
        None => Ok(false),
        Some(Json::String(name)) if name.parse::<i64>().is_err() => {
            Ok(name.eq_ignore_ascii_case("STATUS_CODE_ERROR") || name.eq_ignore_ascii_case("ERROR"))
        }
        Some(code) => Ok(whole("status.code", code)? == 2),
    }
}

pub(crate) fn log_record(value: &Json) -> Result<LogRecord, String> {
    let fields = object(value, "a log record")?;
    let mut budget = Budget::new();
    let at = nanoseconds(fields, ["timeUnixNano", "time_unix_nano"])?;
    let observed = nanoseconds(fields, ["observedTimeUnixNano", "observed_time_unix_nano"])?;
    let body = get(fields, ["body", "body"]).map(|body| any_value(body, 0, &mut budget)).transpose()?;
    Ok(LogRecord {
        at: if at == 0 { observed } else { at },
        event_name: string(fields, ["eventName", "event_name"], &mut budget)?,
        trace_id: optional_id(fields, ["traceId", "trace_id"])?,
        span_id: optional_id(fields, ["spanId", "span_id"])?,
        attributes: attributes(fields, &mut budget)?,
        body: body.unwrap_or_default(),
    })
}

fn key_value(value: &Json, budget: &mut Budget, map: &mut Map) -> Result<(), String> {
    let (key, value) = pair(value, 0, budget)?;
    budget.insert(map, &key, value);
    Ok(())
}

fn pair(value: &Json, depth: usize, budget: &mut Budget) -> Result<(String, Json), String> {
    let fields = object(value, "an attribute")?;
    let key = string(fields, ["key", "key"], budget)?;
    let value = match get(fields, ["value", "value"]) {
        None => Json::Null,
        Some(value) => any_value(value, depth, budget).map_err(|error| {
            // Which attribute it is, once.
            if depth == 0 { format!("attribute {}: {error}", prefix(&key, 80)) } else { error }
        })?,
    };
    Ok((key, value))
}

fn any_value(value: &Json, depth: usize, budget: &mut Budget) -> Result<Json, String> {
    budget.value(depth)?;
    let fields = object(value, "a value")?;
    let items = |value: &Json, name: &str| -> Result<Vec<Json>, String> {
        Ok(list(object(value, name)?, ["values", "values"])?.to_vec())
    };
    if let Some(value) = get(fields, ["stringValue", "string_value"]) {
        let text = value.as_str().ok_or_else(|| wrong("stringValue", value, "a text"))?;
        Ok(Json::from(budget.text(text)))
    } else if let Some(value) = get(fields, ["boolValue", "bool_value"]) {
        value.as_bool().map(Json::from).ok_or_else(|| wrong("boolValue", value, "a boolean"))
    } else if let Some(value) = get(fields, ["intValue", "int_value"]) {
        let number = i64::try_from(whole("intValue", value)?);
        number.map(Json::from).map_err(|_| "intValue is out of range".to_owned())
    } else if let Some(value) = get(fields, ["doubleValue", "double_value"]) {
        // "NaN", "Infinity" and "-Infinity" are what Rust reads as well.
        let text = value.as_str().and_then(|text| text.trim().parse().ok());
        let float = value.as_f64().or(text).ok_or_else(|| wrong("doubleValue", value, "a number"))?;
        Ok(number(float))
    } else if let Some(value) = get(fields, ["arrayValue", "array_value"]) {
        let items = items(value, "arrayValue")?;
        Ok(Json::Array(
            items.iter().map(|item| any_value(item, depth + 1, budget)).collect::<Result<_, _>>()?,
        ))
    } else if let Some(value) = get(fields, ["kvlistValue", "kvlist_value"]) {
        let items = items(value, "kvlistValue")?;
        Ok(Json::Object(items.iter().map(|item| pair(item, depth + 1, budget)).collect::<Result<_, _>>()?))
    } else if let Some(value) = get(fields, ["bytesValue", "bytes_value"]) {
        let text = value.as_str().ok_or_else(|| wrong("bytesValue", value, "base64"))?;
        let bytes = STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text));
        let bytes = bytes.map_err(|_| "bytesValue is no base64".to_owned())?;
        Ok(Json::from(prefix(&STANDARD.encode(bytes), MAX_TEXT_BYTES)))
    } else {
        Ok(Json::Null)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn value(value: Json) -> Result<Json, String> {
        any_value(&value, 0, &mut Budget::new())
    }

    #[test]
    fn values_of_every_kind_in_both_cases() {
        for (given, read) in [
            (json!({"stringValue": "a"}), json!("a")),
            (json!({"string_value": "a"}), json!("a")),
            (json!({"boolValue": true}), json!(true)),
            (json!({"intValue": 7}), json!(7)),
            (json!({"intValue": "-7"}), json!(-7)),
            (json!({"intValue": 7.0}), json!(7)),
            (json!({"int_value": "9223372036854775807"}), json!(i64::MAX)),
            (json!({"doubleValue": 1}), json!(1.0)),
            (json!({"doubleValue": "0.25"}), json!(0.25)),
            (json!({"doubleValue": "NaN"}), json!("NaN")),
            (json!({"doubleValue": "-Infinity"}), json!("-Infinity")),
            (json!({"bytesValue": "AQI="}), json!("AQI=")),
            (json!({"bytesValue": "-_8="}), json!("+/8=")),
            (json!({"arrayValue": {"values": [{"intValue": 1}, {}]}}), json!([1, null])),
            (json!({"arrayValue": {}}), json!([])),
            (
                json!({"kvlistValue": {"values": [{"key": "a", "value": {"boolValue": false}}]}}),
                json!({"a": false}),
            ),
            (json!({"newKindOfValue": 1}), json!(null)),
            (json!({"stringValue": null, "intValue": 1}), json!(1)),
        ] {
            assert_eq!(value(given.clone()), Ok(read), "{given}");
        }
    }

    #[test]
    fn values_of_the_wrong_type_say_so() {
        for (given, part) in [
            (json!("a"), "a value is a text, but must be an object"),
            (json!({"stringValue": 1}), "stringValue is a number, but must be a text"),
            (json!({"intValue": "seven"}), "intValue is a text, but must be a whole number"),
            (json!({"intValue": 0.5}), "intValue is a number, but must be a whole number"),
            (json!({"intValue": "9223372036854775808"}), "intValue is out of range"),
            (json!({"boolValue": "true"}), "boolValue is a text"),
            (json!({"bytesValue": "%"}), "bytesValue is no base64"),
            (json!({"arrayValue": [1]}), "arrayValue is a list, but must be an object"),
        ] {
            let error = value(given).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn nesting_has_a_bound() {
        let nested = |levels: usize| {
            (0..levels).fold(json!({"intValue": 1}), |inner, _| json!({"arrayValue": {"values": [inner]}}))
        };
        assert!(value(nested(crate::MAX_DEPTH)).is_ok());
        assert!(value(nested(crate::MAX_DEPTH + 1)).unwrap_err().contains("nested"));
    }

    #[test]
    fn half_a_surrogate_pair_costs_one_character() {
        let read = |body: &str| parse(body.as_bytes()).unwrap();
        assert_eq!(read(r#""cut \ud83d""#), json!("cut \u{fffd}"));
        assert_eq!(read(r#""\ude00\ud83d\ude00\ud83dx""#), json!("\u{fffd}\u{1f600}\u{fffd}x"));
        assert_eq!(read(r#"["\ud83d", "\\ud83d"]"#), json!(["\u{fffd}", "\\ud83d"]));
        assert!(parse(br#"{"a": "#).is_err());
        assert!(parse(br#""\"#).is_err());
    }
}
