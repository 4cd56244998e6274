//! The walk through a JSON value.

use serde_json::{Map, Value};

use super::secret::name::{Strength, parts, strength};
use super::secret::value;
use super::{Counts, Kind, Redactor, card, phone};

/// A number with fewer digits is none of what is found in numbers.
const SHORTEST_NUMBER: usize = 9;

/// Redacts in place.
pub(super) fn redact(redactor: &Redactor, value: &mut Value, counts: &mut Counts) {
    walk(redactor, value, "", counts);
}

fn walk(redactor: &Redactor, value: &mut Value, key: &str, counts: &mut Counts) {
    match value {
        Value::String(text) => {
            if let Some(kept) = string(redactor, text, key, counts) {
                *text = kept;
            }
        }
        Value::Number(number) => {
            if let Some(kind) = number_kind(redactor, &number.to_string(), key) {
                counts.add(kind);
                *value = Value::String(kind.label().to_owned());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| walk(redactor, item, key, counts)),
        Value::Object(fields) => object(redactor, fields, counts),
        Value::Null | Value::Bool(_) => {}
    }
}

fn object(redactor: &Redactor, fields: &mut Map<String, Value>, counts: &mut Counts) {
    // A value is read with its key as it is kept, so that redacting again reads the same.
    for (key, value) in fields.iter_mut() {
        let mut name = redactor.text(key).text.into_owned();
        Kind::ALL.iter().for_each(|kind| name = name.replace(kind.label(), ""));
        walk(redactor, value, &name, counts);
    }
    if fields.keys().all(|key| redactor.find(key).is_empty()) {
        return;
    }
    let mut kept = Map::with_capacity(fields.len());
    for (key, value) in std::mem::take(fields) {
        let redacted = redactor.text(&key);
        redacted.findings.iter().for_each(|finding| counts.add(finding.kind));
        let name = redacted.text.into_owned();
        let mut free = name.clone();
        let mut number = 1_u32;
        while kept.contains_key(&free) {
            number += 1;
            free = format!("{name}#{number}");
        }
        kept.insert(free, value);
    }
    *fields = kept;
}

/// The string to keep, when it is another.
fn string(redactor: &Redactor, text: &str, key: &str, counts: &mut Counts) -> Option<String> {
    if is_label(text) {
        return None;
    }
    if is_secret(text, key) {
        counts.add(Kind::Secret);
        return Some(Kind::Secret.label().to_owned());
    }
    if !key.is_empty() {
        return with_key(redactor, text, key, counts);
    }
    let redacted = redactor.text(text);
    redacted.findings.iter().for_each(|finding| counts.add(finding.kind));
    (!redacted.findings.is_empty()).then(|| redacted.text.into_owned())
}

fn is_label(text: &str) -> bool {
    Kind::ALL.iter().any(|kind| kind.label() == text)
}

fn is_secret(text: &str, key: &str) -> bool {
    let plain = !text.trim().is_empty() && !value::is_placeholder(text);
    let whole = !text.contains(' ') && !Kind::ALL.iter().any(|kind| text.contains(kind.label()));
    match strength(key) {
        Some(Strength::Strong) => plain,
        Some(Strength::Token) if parts(key).last().is_some_and(|last| last == "authorization") => plain,
        Some(Strength::Token) => plain && whole && text.len() >= 8 && value::is_chosen(text),
        Some(Strength::Weak) => plain && whole && text.len() >= 16 && value::is_random(text),
        None => false,
    }
}

/// Looks at the value as it would stand in a sentence after its key, which says whether `1.2.3.4` is a version.
fn with_key(redactor: &Redactor, text: &str, key: &str, counts: &mut Counts) -> Option<String> {
    let line = format!("{}: {text}", parts(key).join(" "));
    let value = line.len() - text.len();
    let mut kept = String::with_capacity(text.len());
    let mut from = value;
    for finding in redactor.find(&line).into_iter().filter(|finding| finding.start >= value) {
        counts.add(finding.kind);
        kept.push_str(line.get(from..finding.start).unwrap_or_default());
        kept.push_str(finding.kind.label());
        from = finding.end;
    }
    (from > value).then(|| kept + line.get(from..).unwrap_or_default())
}

/// What an integer is: a card's number by itself, a social security or phone number by its key, a password by its key.
fn number_kind(redactor: &Redactor, digits: &str, key: &str) -> Option<Kind> {
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    if strength(key) == Some(Strength::Strong) && digits.len() >= 4 {
        return Some(Kind::Secret);
    }
    if digits.len() < SHORTEST_NUMBER {
        return None;
    }
    let line = format!("{}: {digits}", parts(key).join(" "));
    let found = redactor.find(&line);
    let finding = found
        .iter()
        .find(|finding| finding.end == line.len() && finding.start + digits.len() == line.len())?;
    match finding.kind {
        Kind::Card => card::LENGTHS.contains(&digits.len()).then_some(Kind::Card),
        Kind::Ssn => Some(Kind::Ssn),
        Kind::Phone => {
            parts(key).iter().any(|part| phone::KEYS.contains(&part.as_str())).then_some(Kind::Phone)
        }
        _ => None,
    }
}
