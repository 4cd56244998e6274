//! Ids of traces and spans, and the ids that Upswing derives from them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use upswing_domain::ExecutionId;
use uuid::{Uuid, uuid};

/// The namespace of derived ids: version 5 of `https://upswing.dev/otlp` in the namespace of URLs.
pub const NAMESPACE: Uuid = uuid!("cf6f4159-a8b7-5807-80ca-4e695360aa9b");

/// Why a text is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadId {
    /// Another length.
    #[error("has {found} bytes, but must have {expected}")]
    Length {
        /// How many bytes it has.
        found: usize,
        /// How many it should have.
        expected: usize,
    },
    /// A character that is no hexadecimal digit, or an odd number of digits.
    #[error("must be hexadecimal digits, two a byte")]
    Digits,
    /// All zero, which stands for no id.
    #[error("is all zero")]
    Zero,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// The id with these bytes.
            ///
            /// # Errors
            /// When there are too many or too few, or all are zero.
            pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadId> {
                let bytes: [u8; $bytes] = bytes
                    .try_into()
                    .map_err(|_| BadId::Length { found: bytes.len(), expected: $bytes })?;
                if bytes == [0; $bytes] { Err(BadId::Zero) } else { Ok(Self(bytes)) }
            }

            /// Its bytes.
            pub fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                Self::from_bytes(&hexadecimal(text)?)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// What the spans of one request have in common. Never zero. Written in hexadecimal.
    TraceId,
    16
);
id!(
    /// One span within its trace. Never zero. Written in hexadecimal.
    SpanId,
    8
);

/// The bytes of hexadecimal digits in either case. A text that is far too long is measured, not read.
fn hexadecimal(text: &str) -> Result<Vec<u8>, BadId> {
    if text.len() > 64 {
        return Err(BadId::Length { found: text.len() / 2, expected: 16 });
    }
    if text.len() % 2 == 1 {
        return Err(BadId::Digits);
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(BadId::Digits);
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| Ok(u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).unwrap_or_default()))
        .collect()
}

/// The id of the execution that a span stands for: the same however often and in whatever order spans come.
pub fn execution_id(trace: TraceId, span: SpanId) -> ExecutionId {
    ExecutionId(derive("execution", &[&trace.0, &span.0]))
}

/// A UUID of version 5 over parts, each preceded by its length so that no two lists are one text.
pub(crate) fn derive(kind: &str, parts: &[&[u8]]) -> Uuid {
    let mut name = kind.as_bytes().to_vec();
    for part in parts {
        name.extend_from_slice(&(part.len() as u64).to_be_bytes());
        name.extend_from_slice(part);
    }
    Uuid::new_v5(&NAMESPACE, &name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_namespace_is_what_it_says() {
        assert_eq!(NAMESPACE, Uuid::new_v5(&Uuid::NAMESPACE_URL, b"https://upswing.dev/otlp"));
    }

    #[test]
    fn ids_are_hexadecimal_of_either_case_and_not_zero() {
        let id: SpanId = "EEE19b7ec3c1b174".parse().unwrap();
        assert_eq!(id.to_string(), "eee19b7ec3c1b174");
        let refused = |text: &str| text.parse::<SpanId>().unwrap_err();
        assert_eq!(refused("0000000000000000"), BadId::Zero);
        assert_eq!(refused("eee19b7ec3c1b1"), BadId::Length { found: 7, expected: 8 });
        assert_eq!(refused("eee19b7ec3c1b17"), BadId::Digits);
        assert_eq!(refused("7uGbfsPBsXQ="), BadId::Digits, "base64 is for other bytes");
        assert_eq!(refused("ß0000000000000"), BadId::Digits);
    }

    #[test]
    fn an_execution_has_one_id_for_ever() {
        let trace = "5b8efff798038103d269b633813fc60c".parse().unwrap();
        let span = "eee19b7ec3c1b174".parse().unwrap();
        // Python: uuid.uuid5(NAMESPACE, ...) over the same bytes.
        assert_eq!(execution_id(trace, span).to_string(), "dfde24f1-4b55-57d7-bf32-82eab0a30e21");
    }
}
