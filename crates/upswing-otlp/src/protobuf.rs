//! OTLP in protobuf.
//!
//! Field numbers are those of `opentelemetry/proto` (`trace.proto`, `logs.proto`, `common.proto`, `resource.proto`), where
//! both kinds of request nest alike: groups by resource (1), in them the resource (1) and groups by scope (2), in those the
//! scope (1) and the records (2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;

use crate::bounds::{Budget, MAX_EVENTS, MAX_NAME_CHARS, Map, number, prefix};
use crate::id::{SpanId, TraceId};
use crate::model::{Draft, Event, LogRecord, Source, Span};
use crate::wire::{Field, Fields, Malformed};

/// Reads the records of a request one by one. What is wrong within a record is that record's alone.
///
/// # Errors
/// When the messages around the records are broken.
pub(crate) fn records<T>(
    body: &[u8],
    read: impl Fn(&[u8]) -> Result<T, String>,
    mut found: impl FnMut(&Source, Result<T, String>),
) -> Result<(), Malformed> {
    for group in messages(body, 1, "resource_spans or resource_logs") {
        let group = group?;
        let mut source = Source::default();
        for resource in messages(group, 1, "resource") {
            read_resource(resource?, &mut source)?;
        }
        for scoped in messages(group, 2, "scope_spans or scope_logs") {
            let scoped = scoped?;
            (source.scope_name, source.scope_version) = (None, None);
            for scope in messages(scoped, 1, "scope") {
                read_scope(scope?, &mut source)?;
            }
            for record in messages(scoped, 2, "spans or log_records") {
                found(&source, read(record?));
            }
        }
    }
    Ok(())
}

/// The messages in one repeated field.
fn messages<'a>(
    message: &'a [u8],
    number: u32,
    name: &'static str,
) -> impl Iterator<Item = Result<&'a [u8], Malformed>> {
    Fields::new(message).filter_map(move |field| match field {
        Ok((found, value)) if found == number => Some(value.bytes(name)),
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    })
}

/// A resource attribute that cannot be read is left out: it is no reason to lose what the resource sent.
fn read_resource(message: &[u8], source: &mut Source) -> Result<(), Malformed> {
    let mut budget = Budget::new();
    for attribute in messages(message, 1, "resource.attributes") {
        let _ = key_value(attribute?, &mut budget, &mut source.resource);
    }
    Ok(())
}

fn read_scope(message: &[u8], source: &mut Source) -> Result<(), Malformed> {
    for field in Fields::new(message) {
        match field? {
            (1, value) => source.scope_name = short(value.bytes("scope.name")?),
            (2, value) => source.scope_version = short(value.bytes("scope.version")?),
            _ => {}
        }
    }
    Ok(())
}

fn short(bytes: &[u8]) -> Option<String> {
    let text = text(bytes, &mut Budget::new());
    (!text.is_empty()).then(|| text.chars().take(MAX_NAME_CHARS).collect())
}

/// Some emitters cut texts within a character; what is left of it is replaced, and the span is kept.
fn text(bytes: &[u8], budget: &mut Budget) -> String {
    budget.text(&String::from_utf8_lossy(bytes))
}

pub(crate) fn span(message: &[u8]) -> Result<Span, String> {
    let mut budget = Budget::new();
    let mut draft = Draft::default();
    for field in Fields::new(message) {
        let (number, value) = field.map_err(told)?;
        match number {
            1 => draft.trace_id = Some(trace_id(value, "trace_id")?),
            2 => draft.span_id = Some(span_id(value, "span_id")?),
            4 => {
                draft.parent =
                    optional(value, "parent_span_id")?.map(|v| span_id(v, "parent_span_id")).transpose()?
            }
            5 => draft.name = text(value.bytes("name").map_err(told)?, &mut budget),
            7 => draft.start = value.fixed64("start_time_unix_nano").map_err(told)?,
            8 => draft.end = value.fixed64("end_time_unix_nano").map_err(told)?,
            9 => attribute(value, &mut budget, &mut draft.attributes)?,
            10 => {
                let dropped = value.varint("dropped_attributes_count").map_err(told)?;
                budget.shortened =
                    budget.shortened.saturating_add(u32::try_from(dropped).unwrap_or(u32::MAX));
            }
            11 if draft.events.len() < MAX_EVENTS => {
                draft.events.push(event(value.bytes("events").map_err(told)?, &mut budget)?);
            }
            13 if draft.links.len() < MAX_EVENTS => {
                draft.links.push(link(value.bytes("links").map_err(told)?)?);
            }
            15 => draft.failed = failed(value.bytes("status").map_err(told)?)?,
            16 => draft.flags = value.fixed32("flags").map_err(told)?,
            _ => {}
        }
    }
    draft.checked(budget.shortened)
}

fn told(error: Malformed) -> String {
    error.to_string()
}

fn trace_id(value: Field<'_>, name: &'static str) -> Result<TraceId, String> {
    TraceId::from_bytes(value.bytes(name).map_err(told)?).map_err(|error| format!("{name} {error}"))
}

fn span_id(value: Field<'_>, name: &'static str) -> Result<SpanId, String> {
    SpanId::from_bytes(value.bytes(name).map_err(told)?).map_err(|error| format!("{name} {error}"))
}

/// Nothing where an id is empty or zero: some emitters write a root's parent so.
fn optional<'a>(value: Field<'a>, name: &'static str) -> Result<Option<Field<'a>>, String> {
    let bytes = value.bytes(name).map_err(told)?;
    Ok(bytes.iter().any(|byte| *byte != 0).then_some(value))
}

fn attribute(value: Field<'_>, budget: &mut Budget, map: &mut Map) -> Result<(), String> {
    key_value(value.bytes("attributes").map_err(told)?, budget, map)
}

fn event(message: &[u8], budget: &mut Budget) -> Result<Event, String> {
    let mut event = Event::default();
    for field in Fields::new(message) {
        let (number, value) = field.map_err(told)?;
        match number {
            1 => event.at = value.fixed64("events.time_unix_nano").map_err(told)?,
            2 => event.name = text(value.bytes("events.name").map_err(told)?, budget),
            3 => attribute(value, budget, &mut event.attributes)?,
            _ => {}
        }
    }
    Ok(event)
}

fn link(message: &[u8]) -> Result<(TraceId, SpanId), String> {
    let (mut trace, mut span) = (None, None);
    for field in Fields::new(message) {
        match field.map_err(told)? {
            (1, value) => trace = Some(trace_id(value, "links.trace_id")?),
            (2, value) => span = Some(span_id(value, "links.span_id")?),
            _ => {}
        }
    }
    trace.zip(span).ok_or_else(|| "a link has no trace_id or no span_id".to_owned())
}

/// Whether a status says error (2).
fn failed(message: &[u8]) -> Result<bool, String> {
    let mut failed = false;
    for field in Fields::new(message) {
        if let (3, value) = field.map_err(told)? {
            failed = value.varint("status.code").map_err(told)? == 2;
        }
    }
    Ok(failed)
}

pub(crate) fn log_record(message: &[u8]) -> Result<LogRecord, String> {
    let mut budget = Budget::new();
    let mut record = LogRecord::default();
    let mut observed = 0;
    for field in Fields::new(message) {
        let (number, value) = field.map_err(told)?;
        match number {
            1 => record.at = value.fixed64("time_unix_nano").map_err(told)?,
            5 => record.body = any_value(value.bytes("body").map_err(told)?, 0, &mut budget)?,
            6 => attribute(value, &mut budget, &mut record.attributes)?,
            9 => {
                record.trace_id = optional(value, "trace_id")?.map(|v| trace_id(v, "trace_id")).transpose()?
            }
            10 => record.span_id = optional(value, "span_id")?.map(|v| span_id(v, "span_id")).transpose()?,
            11 => observed = value.fixed64("observed_time_unix_nano").map_err(told)?,
            12 => record.event_name = text(value.bytes("event_name").map_err(told)?, &mut budget),
            _ => {}
        }
    }
    if record.at == 0 {
        record.at = observed;
    }
    Ok(record)
}

fn key_value(message: &[u8], budget: &mut Budget, map: &mut Map) -> Result<(), String> {
    let (key, value) = pair(message, 0, budget)?;
    budget.insert(map, &key, value);
    Ok(())
}

fn pair(message: &[u8], depth: usize, budget: &mut Budget) -> Result<(String, Json), String> {
    let (mut key, mut value) = (String::new(), Ok(Json::Null));
    for field in Fields::new(message) {
        match field.map_err(told)? {
            (1, found) => key = text(found.bytes("key").map_err(told)?, budget),
            (2, found) => value = any_value(found.bytes("value").map_err(told)?, depth, budget),
            _ => {}
        }
    }
    // Which attribute it is, once.
    let value = value
        .map_err(|error| if depth == 0 { format!("attribute {}: {error}", prefix(&key, 80)) } else { error });
    Ok((key, value?))
}

fn any_value(message: &[u8], depth: usize, budget: &mut Budget) -> Result<Json, String> {
    budget.value(depth)?;
    let mut value = Json::Null;
    for field in Fields::new(message) {
        let (which, found) = field.map_err(told)?;
        value = match which {
            1 => Json::from(text(found.bytes("string_value").map_err(told)?, budget)),
            2 => Json::from(found.varint("bool_value").map_err(told)? != 0),
            // An int64 is a varint of its two's complement.
            3 => Json::from(found.varint("int_value").map_err(told)?.cast_signed()),
            4 => number(f64::from_bits(found.fixed64("double_value").map_err(told)?)),
            5 => {
                let list = found.bytes("array_value").map_err(told)?;
                let items = messages(list, 1, "array_value.values");
                Json::Array(
                    items
                        .map(|item| any_value(item.map_err(told)?, depth + 1, budget))
                        .collect::<Result<_, _>>()?,
                )
            }
            6 => {
                let list = found.bytes("kvlist_value").map_err(told)?;
                let items = messages(list, 1, "kvlist_value.values");
                Json::Object(
                    items
                        .map(|item| pair(item.map_err(told)?, depth + 1, budget))
                        .collect::<Result<_, _>>()?,
                )
            }
            7 => {
                let bytes = found.bytes("bytes_value").map_err(told)?;
                let encoded = STANDARD.encode(bytes);
                Json::from(prefix(&encoded, crate::bounds::MAX_TEXT_BYTES))
            }
            _ => continue,
        };
    }
    Ok(value)
}
