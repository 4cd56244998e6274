//! Immutable configurations, named by their content.

use serde_json::Value;

use crate::{AgentId, Invalid, Timestamp, VersionId};

/// An immutable configuration of an agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    /// BLAKE3 of the canonical configuration.
    pub id: VersionId,
    /// Whose configuration this is.
    pub agent: AgentId,
    /// A short name for people; not part of the content. Unique in the agent.
    pub label: String,
    /// The configuration as canonical JSON.
    pub config: String,
    /// What this was made from; empty for a first version.
    pub parents: Vec<VersionId>,
    /// Whether policies may serve it.
    pub eligible: bool,
    /// When it was first stored.
    pub created_at: Timestamp,
}

impl Version {
    /// How many bytes a canonical configuration may have.
    pub const MAX_CONFIG_BYTES: usize = 256 * 1024;

    /// Canonical text and name of a configuration.
    ///
    /// # Errors
    /// When the configuration is not an object or is larger than [`Version::MAX_CONFIG_BYTES`].
    pub fn content(config: &Value) -> Result<(VersionId, String), Invalid> {
        if !config.is_object() {
            return Err(Invalid::new("config", config, "a JSON object"));
        }
        let text = canonical_json(config);
        if text.len() > Self::MAX_CONFIG_BYTES {
            let expected = format!("at most {} bytes of JSON", Self::MAX_CONFIG_BYTES);
            return Err(Invalid::new("config", format!("{} bytes", text.len()), expected));
        }
        Ok((VersionId(*blake3::hash(text.as_bytes()).as_bytes()), text))
    }
}

/// JSON with sorted keys, without white space, numbers as serde_json prints them: equal values give equal bytes.
pub fn canonical_json(value: &Value) -> String {
    fn write(value: &Value, out: &mut String) {
        match value {
            Value::Object(map) => {
                let mut entries: Vec<_> = map.iter().collect();
                entries.sort_by(|a, b| a.0.cmp(b.0));
                out.push('{');
                for (i, (key, value)) in entries.into_iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    out.push_str(&Value::String(key.clone()).to_string());
                    out.push(':');
                    write(value, out);
                }
                out.push('}');
            }
            Value::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    write(item, out);
                }
                out.push(']');
            }
            scalar => out.push_str(&scalar.to_string()),
        }
    }
    let mut out = String::new();
    write(value, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_order_of_keys_does_not_change_the_name() {
        let a = serde_json::from_str(r#"{"b": [1, {"y": 1, "x": 2}], "a": "\u00e9"}"#).unwrap();
        let b = serde_json::from_str(r#"{"a": "é", "b": [1, {"x": 2, "y": 1}]}"#).unwrap();
        assert_eq!(Version::content(&a).unwrap(), Version::content(&b).unwrap());
        assert_ne!(Version::content(&a).unwrap().0, Version::content(&json!({"a": 1})).unwrap().0);
        assert!(Version::content(&json!([])).is_err());
    }
}
