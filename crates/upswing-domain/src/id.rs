//! Identifiers. Each is a type of its own, so that an agent's id cannot stand where an execution's is meant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Invalid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
    };
}

uuid_id!(
    /// The tenant. Every stored row belongs to one.
    OrganisationId
);
uuid_id!(
    /// Something that answers and can learn.
    AgentId
);
uuid_id!(
    /// One choice of a version. The execution that follows from it carries the same id unless the client names another.
    DecisionId
);
uuid_id!(
    /// One run of an agent.
    ExecutionId
);
uuid_id!(
    /// One statement about how an execution was received.
    FeedbackId
);
uuid_id!(
    /// An API key (its public name, not the secret).
    KeyId
);

/// A version's name: BLAKE3 of its canonical configuration. Shown as 64 hexadecimal characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionId(pub [u8; 32]);

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}
impl fmt::Debug for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VersionId({})", &hex(&self.0)[..12])
    }
}
impl FromStr for VersionId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        unhex(text)
            .map(Self)
            .ok_or_else(|| Invalid::new("version", text, "a version id of 64 hexadecimal characters"))
    }
}
impl Serialize for VersionId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}
impl<'de> Deserialize<'de> for VersionId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
            text.parse().map_err(serde::de::Error::custom)
        } else {
            <[u8; 32]>::deserialize(deserializer).map(Self)
        }
    }
}

/// A person or another unit, known only by a keyed hash that differs between organisations.
///
/// The first two bytes name the key it was made with, so that keys can be rotated.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pseudonym(pub [u8; 18]);

impl Pseudonym {
    /// Stands for one decision where each is a unit of its own: nobody's identity, so there is nothing to hide. Made one after
    /// the other they lie beside each other in an index, which hashes would not.
    #[must_use]
    pub fn of_decision(id: DecisionId) -> Self {
        let mut bytes = [0; 18];
        bytes[2..].copy_from_slice(id.0.as_bytes());
        Self(bytes)
    }
}

impl fmt::Display for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}
impl fmt::Debug for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pseudonym({})", &hex(&self.0)[..12])
    }
}
impl FromStr for Pseudonym {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        unhex(text)
            .map(Self)
            .ok_or_else(|| Invalid::new("pseudonym", text, "a pseudonym of 36 hexadecimal characters"))
    }
}

/// What went into a run, known only by a keyed hash that differs between organisations. Shown as 64 hexadecimal
/// characters, of which the first four name the key it was made with, so that keys can be rotated.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InputHash(pub [u8; 32]);

impl fmt::Display for InputHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}
impl fmt::Debug for InputHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InputHash({})", &hex(&self.0)[..12])
    }
}

/// A place in an organisation's commit-ordered sequence of events. The first event has position 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub i64);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)] as char);
        text.push(DIGITS[usize::from(byte & 15)] as char);
    }
    text
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != N * 2 || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digit = |c: u8| char::from(c).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_id_reads_back_what_it_prints() {
        let id = VersionId(*blake3::hash(b"x").as_bytes());
        assert_eq!(id.to_string().parse::<VersionId>().unwrap(), id);
        assert!("xyz".parse::<VersionId>().is_err());
        assert!("é".repeat(32).parse::<VersionId>().is_err());
    }
}
