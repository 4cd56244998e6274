//! Taking what is known out of a span's attributes, so that what is left is what is not.

use serde_json::Value as Json;

use crate::bounds::{MAX_NAME_CHARS, Map};
use crate::content::structured;

/// The first of these that holds a short text. One that is longer is no name or id, and stays.
pub(crate) fn take_name(attributes: &mut Map, names: &[&str]) -> Option<String> {
    take(attributes, names, |value| match value {
        Json::String(text) if !text.is_empty() && text.chars().count() <= MAX_NAME_CHARS => {
            Some(text.clone())
        }
        // Ids of users and sessions are numbers in some applications.
        Json::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        _ => None,
    })
}

/// The first of these that holds a count.
pub(crate) fn take_count(attributes: &mut Map, names: &[&str]) -> Option<u64> {
    take(attributes, names, |value| match value {
        Json::Number(number) => {
            let whole = |float: &f64| float.fract() == 0.0 && (0.0..=9e15).contains(float);
            number.as_u64().or_else(|| number.as_f64().filter(whole).map(|float| float as u64))
        }
        Json::String(text) => text.parse().ok(),
        _ => None,
    })
    // Beyond it a count is no count, and sums could overflow.
    .filter(|count| *count <= 9_000_000_000_000_000)
}

/// The first of these that holds a finite number.
pub(crate) fn take_number(attributes: &mut Map, names: &[&str]) -> Option<f64> {
    take(attributes, names, |value| match value {
        Json::Number(number) => number.as_f64(),
        Json::String(text) => text.parse().ok(),
        _ => None,
    })
    .filter(|number| number.is_finite())
}

/// The first of these that holds texts: a list of them, a text of JSON that is one, or one text.
pub(crate) fn take_texts(attributes: &mut Map, names: &[&str]) -> Vec<String> {
    let list = |items: &[Json]| -> Option<Vec<String>> {
        let texts = items.iter().filter(|item| !item.is_null()).map(|item| item.as_str().map(str::to_owned));
        texts.collect::<Option<Vec<_>>>().filter(|texts| !texts.is_empty())
    };
    take(attributes, names, |value| match value {
        Json::Array(items) => list(items),
        Json::String(text) => match structured(text) {
            Some(Json::Array(items)) => list(&items),
            _ => (!text.is_empty()).then(|| vec![text.clone()]),
        },
        _ => None,
    })
    .unwrap_or_default()
}

/// Takes the first, and with it those that say the same under another convention's name. What differs stays.
fn take<T: PartialEq>(attributes: &mut Map, names: &[&str], read: impl Fn(&Json) -> Option<T>) -> Option<T> {
    let value = names.iter().find_map(|name| read(attributes.get(*name)?))?;
    for name in names {
        if attributes.get(*name).and_then(&read).as_ref() == Some(&value) {
            attributes.remove(*name);
        }
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_taken_is_gone_and_what_is_odd_stays() {
        let mut map: Map = serde_json::from_value(json!({
            "a": "", "b": "name", "c": -1, "d": 7.0, "e": "12", "f": ["stop", null], "g": "[\"length\"]", "h": "x".repeat(201),
        }))
        .unwrap();
        assert_eq!(take_name(&mut map, &["absent", "a", "h", "b"]).as_deref(), Some("name"));
        assert_eq!(take_count(&mut map, &["c", "d"]), Some(7));
        assert_eq!(take_count(&mut map, &["e"]), Some(12));
        assert_eq!(take_texts(&mut map, &["f"]), ["stop"]);
        assert_eq!(take_texts(&mut map, &["g"]), ["length"]);
        map.extend([("i".to_owned(), json!(5)), ("j".to_owned(), json!("5")), ("k".to_owned(), json!(6))]);
        assert_eq!(take_count(&mut map, &["i", "j", "k"]), Some(5), "one of them, not the sum");
        assert_eq!(map.into_keys().collect::<Vec<_>>(), ["a", "c", "h", "k"]);
    }
}
