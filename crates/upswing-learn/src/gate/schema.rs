//! Shapes of JSON: the part of JSON Schema (draft 2020-12) that says what an answer looks like.
//!
//! Known are `type`, `enum`, `const`, `properties`, `required`, `additionalProperties` (a truth value), `items`, `minItems`,
//! `maxItems`, `minLength`, `maxLength`, `minimum`, `maximum`; `title`, `description` and `$schema` are passed over. A
//! schema with another keyword is refused when it comes: passed over in silence, it would pass what it should not.

use serde_json::{Map, Value};

/// How deep schemas and answers are looked into.
const DEEPEST: usize = 32;

/// Whether a schema says nothing but what is known here.
///
/// # Errors
/// With a sentence that names the keyword.
pub fn check(schema: &Value) -> Result<(), String> {
    checked(schema, 0)
}

fn checked(schema: &Value, depth: usize) -> Result<(), String> {
    if depth > DEEPEST {
        return Err(format!("the schema is deeper than {DEEPEST}"));
    }
    let Some(schema) = schema.as_object() else { return Err("a schema is an object".to_owned()) };
    for (keyword, value) in schema {
        let fits = match keyword.as_str() {
            "type" => match value {
                Value::String(name) => is_type(name),
                Value::Array(names) => names.iter().all(|name| name.as_str().is_some_and(is_type)),
                _ => false,
            },
            "enum" => value.is_array(),
            "const" | "title" | "description" | "$schema" => true,
            "required" => value.as_array().is_some_and(|names| names.iter().all(Value::is_string)),
            "additionalProperties" => value.is_boolean(),
            "minItems" | "maxItems" | "minLength" | "maxLength" => value.is_u64(),
            "minimum" | "maximum" => value.is_number(),
            "items" => {
                checked(value, depth + 1)?;
                true
            }
            "properties" => {
                let Some(inner) = value.as_object() else {
                    return Err("properties must be an object".to_owned());
                };
                inner.values().try_for_each(|schema| checked(schema, depth + 1))?;
                true
            }
            _ => return Err(format!("the keyword {keyword} is not known")),
        };
        if !fits {
            return Err(format!("{keyword} cannot be {value}"));
        }
    }
    Ok(())
}

fn is_type(name: &str) -> bool {
    matches!(name, "object" | "array" | "string" | "number" | "integer" | "boolean" | "null")
}

/// The first place where a value is not as the schema says, and how; `None` when it is. O(size of value times schema).
pub fn fault(schema: &Value, value: &Value) -> Option<String> {
    let schema = schema.as_object()?;
    found(schema, value, "", 0)
}

fn found(schema: &Map<String, Value>, value: &Value, path: &str, depth: usize) -> Option<String> {
    let here = if path.is_empty() { "the answer" } else { path };
    if depth > DEEPEST {
        return Some(format!("{here} is too deep"));
    }
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    for (keyword, wanted) in schema {
        let holds = match keyword.as_str() {
            "type" => match wanted {
                Value::String(name) => has_type(value, name),
                Value::Array(names) => names.iter().any(|n| n.as_str().is_some_and(|n| has_type(value, n))),
                _ => false,
            },
            "enum" => wanted.as_array().is_some_and(|all| all.contains(value)),
            "const" => wanted == value,
            "required" => match (value, wanted.as_array()) {
                (Value::Object(map), Some(names)) => {
                    names.iter().all(|n| n.as_str().is_some_and(|n| map.contains_key(n)))
                }
                _ => true,
            },
            "additionalProperties" => match value {
                Value::Object(map) if *wanted == Value::Bool(false) => {
                    let known = schema.get("properties").and_then(Value::as_object);
                    map.keys().all(|key| known.is_some_and(|known| known.contains_key(key)))
                }
                _ => true,
            },
            "minItems" => length(value.as_array().map(Vec::len), wanted, |a, b| a >= b),
            "maxItems" => length(value.as_array().map(Vec::len), wanted, |a, b| a <= b),
            "minLength" => length(value.as_str().map(|text| text.chars().count()), wanted, |a, b| a >= b),
            "maxLength" => length(value.as_str().map(|text| text.chars().count()), wanted, |a, b| a <= b),
            "minimum" => bounded(value, wanted, |a, b| a >= b),
            "maximum" => bounded(value, wanted, |a, b| a <= b),
            "items" => {
                if let (Value::Array(items), Some(inner)) = (value, wanted.as_object()) {
                    let each = items.iter().enumerate();
                    let fault = each
                        .into_iter()
                        .find_map(|(i, v)| found(inner, v, &below(&i.to_string()), depth + 1));
                    if fault.is_some() {
                        return fault;
                    }
                }
                true
            }
            "properties" => {
                if let (Value::Object(map), Some(inner)) = (value, wanted.as_object()) {
                    let both = inner
                        .iter()
                        .filter_map(|(name, schema)| Some((name, schema.as_object()?, map.get(name)?)));
                    let fault =
                        both.into_iter().find_map(|(name, s, v)| found(s, v, &below(name), depth + 1));
                    if fault.is_some() {
                        return fault;
                    }
                }
                true
            }
            _ => true,
        };
        if !holds {
            return Some(format!("{here} breaks {keyword}: {wanted}"));
        }
    }
    None
}

fn has_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|v| v.fract() == 0.0),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => false,
    }
}

/// What a keyword does not speak of holds.
fn length(found: Option<usize>, wanted: &Value, holds: impl Fn(u64, u64) -> bool) -> bool {
    match (found, wanted.as_u64()) {
        (Some(found), Some(wanted)) => holds(found as u64, wanted),
        _ => true,
    }
}

fn bounded(value: &Value, wanted: &Value, holds: impl Fn(f64, f64) -> bool) -> bool {
    match (value.as_f64(), wanted.as_f64()) {
        (Some(value), Some(wanted)) => holds(value, wanted),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn shapes_are_told_apart() {
        let schema = json!({
            "type": "object", "required": ["city", "days"], "additionalProperties": false,
            "properties": {
                "city": {"type": "string", "minLength": 1, "maxLength": 4},
                "days": {"type": "array", "minItems": 1, "maxItems": 2, "items": {"type": "integer", "minimum": 1, "maximum": 7}},
                "unit": {"enum": ["C", "F"]},
                "kind": {"const": "x"},
                "note": {"type": ["string", "null"]}
            }
        });
        assert_eq!(check(&schema), Ok(()));
        let right = json!({"city": "Bonn", "days": [1, 7.0], "unit": "C", "kind": "x", "note": null});
        assert_eq!(fault(&schema, &right), None);
        for (pointer, wrong) in [
            ("/city", json!("")),
            ("/city", json!("Berlin")),
            ("/days", json!([])),
            ("/days", json!([1, 2, 3])),
            ("/days/0", json!(1.5)),
            ("/days/0", json!(0)),
            ("/unit", json!("K")),
            ("/kind", json!("y")),
            ("/note", json!(1)),
        ] {
            let mut value = right.clone();
            *value.pointer_mut(pointer).unwrap() = wrong;
            let place = pointer[1..].replace('/', ".");
            let said = fault(&schema, &value).unwrap();
            assert!(said.starts_with(&place), "{said} is about {place}");
        }
        assert!(fault(&schema, &json!({"city": "Bonn"})).unwrap().contains("required"));
        assert!(
            fault(&schema, &json!({"city": "Bonn", "days": [1], "more": 1})).unwrap().contains("additional")
        );
    }

    #[test]
    fn what_is_not_known_is_refused_and_depth_is_bounded() {
        for schema in
            [json!({"pattern": "a"}), json!({"type": "text"}), json!([]), json!({"items": {"anyOf": []}})]
        {
            assert!(check(&schema).is_err(), "{schema}");
        }
        let deep = (0..100).fold(json!({}), |inner, _| json!({"items": inner}));
        assert!(check(&deep).is_err());
    }
}
