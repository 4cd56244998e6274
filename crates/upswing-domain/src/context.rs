//! What is known before deciding.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// One attribute: a category, a number or a flag.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ContextValue {
    /// Yes or no.
    Flag(bool),
    /// A finite number on any scale.
    Number(f64),
    /// A category.
    Category(String),
}

impl ContextValue {
    /// The value as the name of a segment.
    pub fn label(&self) -> String {
        match self {
            Self::Flag(flag) => flag.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Category(category) => category.clone(),
        }
    }
}

/// Attributes known before deciding: platform, domain, task, hour. At most [`Context::MAX_KEYS`].
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(transparent)]
pub struct Context(BTreeMap<String, ContextValue>);

impl Context {
    /// How many attributes a context may have.
    pub const MAX_KEYS: usize = 32;
    /// How many characters a key or a category may have.
    pub const MAX_CHARS: usize = 200;

    /// Checks attributes.
    ///
    /// # Errors
    /// When there are too many, a key is empty, too long or holds U+0000, a category is too long, or a number is not finite.
    pub fn new(values: BTreeMap<String, ContextValue>) -> Result<Self, Invalid> {
        if values.len() > Self::MAX_KEYS {
            let expected = format!("at most {} attributes", Self::MAX_KEYS);
            return Err(Invalid::new("context", format!("{} attributes", values.len()), expected));
        }
        for (key, value) in &values {
            let text = |text: &str| !text.contains('\0') && text.chars().count() <= Self::MAX_CHARS;
            if key.is_empty() || !text(key) {
                let expected = format!("a key of 1 to {} characters", Self::MAX_CHARS);
                return Err(Invalid::new("context", key, expected));
            }
            match value {
                ContextValue::Number(number) if !number.is_finite() => {
                    return Err(Invalid::new(format!("context.{key}"), number, "a finite number"));
                }
                ContextValue::Category(category) if !text(category) => {
                    let expected = format!("at most {} characters without U+0000", Self::MAX_CHARS);
                    return Err(Invalid::new(format!("context.{key}"), category, expected));
                }
                _ => {}
            }
        }
        Ok(Self(values))
    }

    /// The attributes, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ContextValue)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// One attribute.
    pub fn get(&self, key: &str) -> Option<&ContextValue> {
        self.0.get(key)
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The context as stored: JSON with sorted keys.
    pub fn to_json(&self) -> String {
        serde_json::to_string(&self.0).unwrap_or_else(|_| "{}".to_owned())
    }

    /// Reads a stored context.
    ///
    /// # Errors
    /// When the text is not a context.
    pub fn from_json(text: &str) -> Result<Self, Invalid> {
        let values = serde_json::from_str(text)
            .map_err(|_| Invalid::new("context", text, "an object of categories, numbers and flags"))?;
        Self::new(values)
    }
}

/// Contexts are read with every decision and every reward: trying one form after the other would cost more than the rest.
impl<'de> Deserialize<'de> for ContextValue {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;

        impl serde::de::Visitor<'_> for Reading {
            type Value = ContextValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a category, a number or a flag")
            }

            fn visit_bool<E>(self, flag: bool) -> Result<ContextValue, E> {
                Ok(ContextValue::Flag(flag))
            }

            fn visit_i64<E>(self, number: i64) -> Result<ContextValue, E> {
                Ok(ContextValue::Number(number as f64))
            }

            fn visit_u64<E>(self, number: u64) -> Result<ContextValue, E> {
                Ok(ContextValue::Number(number as f64))
            }

            fn visit_f64<E>(self, number: f64) -> Result<ContextValue, E> {
                Ok(ContextValue::Number(number))
            }

            fn visit_str<E>(self, category: &str) -> Result<ContextValue, E> {
                Ok(ContextValue::Category(category.to_owned()))
            }

            fn visit_string<E>(self, category: String) -> Result<ContextValue, E> {
                Ok(ContextValue::Category(category))
            }
        }

        deserializer.deserialize_any(Reading)
    }
}

impl<'de> Deserialize<'de> for Context {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(BTreeMap::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
