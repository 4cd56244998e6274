//! How much of a request is read, so that no body makes the server hold many times its own size.

use std::collections::BTreeMap;

use serde_json::Value as Json;

/// How many spans or log records one request may carry; those beyond it are refused, the first are kept. The
/// batch processors of the SDKs send 512 at a time, a collector some 8,000.
pub const MAX_RECORDS: usize = 10_000;
/// How many attributes a span, event or log record may have; those beyond it are dropped and counted. OpenInference
/// writes several for each message, so the SDKs' default of 128 would be too few.
pub const MAX_ATTRIBUTES: usize = 4_096;
/// How many events and links of a span are read; those beyond it are ignored.
pub const MAX_EVENTS: usize = 512;
/// How many values, at any depth, one span or log record may have; one with more is refused.
pub const MAX_VALUES: usize = 65_536;
/// How deep lists and maps of one attribute may nest; a record with a deeper one is refused. `serde_json` refuses a whole
/// text at 128 levels, and each of these takes up to four.
pub const MAX_DEPTH: usize = 16;
/// How long one text may be, in bytes; a longer one is cut at a character.
pub const MAX_TEXT_BYTES: usize = 1 << 20;
/// How many characters a name, an id or a key may have where a short one is meant; a longer text is not taken for one.
pub const MAX_NAME_CHARS: usize = 200;
/// How many reasons of refusals are told; all are counted.
pub const MAX_REASONS: usize = 8;

/// Attributes by name.
pub(crate) type Map = BTreeMap<String, Json>;

/// What one record may still cost, and what was left out of it.
#[derive(Debug)]
pub(crate) struct Budget {
    values: usize,
    /// How many attributes were dropped and texts cut.
    pub(crate) shortened: u32,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Self { values: MAX_VALUES, shortened: 0 }
    }

    /// Takes one value from the budget, at that depth.
    pub(crate) fn value(&mut self, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("a value is nested more than {MAX_DEPTH} deep"));
        }
        match self.values.checked_sub(1) {
            Some(left) => self.values = left,
            None => return Err(format!("it has more than {MAX_VALUES} values")),
        }
        Ok(())
    }

    /// A text as it is kept: cut to the bound, and without U+0000, which PostgreSQL cannot store.
    pub(crate) fn text(&mut self, text: &str) -> String {
        let kept = prefix(text, MAX_TEXT_BYTES);
        if kept.len() < text.len() {
            self.shortened = self.shortened.saturating_add(1);
        }
        if kept.contains('\0') { kept.replace('\0', "\u{fffd}") } else { kept.to_owned() }
    }

    /// Sets an attribute. The last of two with one name holds.
    pub(crate) fn insert(&mut self, map: &mut Map, key: &str, value: Json) {
        if key.is_empty() || key.chars().count() > MAX_NAME_CHARS {
            self.shortened = self.shortened.saturating_add(1);
            return;
        }
        let key = self.text(key);
        if map.len() >= MAX_ATTRIBUTES && !map.contains_key(&key) {
            self.shortened = self.shortened.saturating_add(1);
            return;
        }
        map.insert(key, value);
    }
}

/// The longest beginning of a text that has at most so many bytes.
pub(crate) fn prefix(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    let mut end = most;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// A number as JSON; what JSON cannot say is a text, as in protobuf's JSON mapping.
pub(crate) fn number(value: f64) -> Json {
    match serde_json::Number::from_f64(value) {
        Some(number) => Json::Number(number),
        None if value.is_nan() => Json::from("NaN"),
        None if value > 0.0 => Json::from("Infinity"),
        None => Json::from("-Infinity"),
    }
}

/// How deep a value nests; a scalar is 0.
pub(crate) fn depth(value: &Json) -> usize {
    match value {
        Json::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Json::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_at_a_character_and_hold_no_nul() {
        let mut budget = Budget::new();
        assert_eq!(budget.text("a\0b"), "a\u{fffd}b");
        assert_eq!(budget.shortened, 0);
        let long = "é".repeat(MAX_TEXT_BYTES / 2 + 1);
        assert_eq!(budget.text(&long).len(), MAX_TEXT_BYTES);
        assert_eq!(prefix("aé", 2), "a");
        assert_eq!(budget.shortened, 1);
    }

    #[test]
    fn attributes_beyond_the_bound_are_counted() {
        let (mut budget, mut map) = (Budget::new(), Map::new());
        for n in 0..MAX_ATTRIBUTES + 3 {
            budget.insert(&mut map, &n.to_string(), Json::Null);
        }
        budget.insert(&mut map, "0", Json::from(1));
        assert_eq!((map.len(), budget.shortened), (MAX_ATTRIBUTES, 3));
        assert_eq!(map["0"], Json::from(1), "the last of two holds");
    }

    #[test]
    fn numbers_that_json_lacks_are_texts() {
        assert_eq!(number(0.5), Json::from(0.5));
        assert_eq!(number(f64::NAN), Json::from("NaN"));
        assert_eq!(number(f64::NEG_INFINITY), Json::from("-Infinity"));
    }
}
