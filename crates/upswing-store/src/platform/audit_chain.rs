//! The chain of the audit log: what a line's value is made of.
//!
//! Each line carries a keyed hash of everything that stands in it and of the value of the line before. Whoever changes a
//! line, takes one out or lets two change places would have to make every later value anew, which takes the key; the key
//! is not in the database. Only a tail that is cut off leaves a whole chain behind, and is missed by who kept the last
//! value elsewhere. The idea is Haber and Stornetta's, "How to time-stamp a digital document" (1991).

use upswing_domain::{KeyId, OrganisationId, Timestamp};

use crate::value::Row;
use crate::{AuditSeal, StoreError};

/// A value of the chain.
pub(super) type Link = [u8; 32];

/// What comes before the first chained line.
pub(super) const GENESIS: Link = [0; 32];

/// The columns of a line, in the order of [`Line::read`].
pub(super) const COLUMNS: &str = "sequence, chain, chain_key, at, api_key, action, subject, details, request";

/// A line as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub(super) sequence: i64,
    /// Its value, with the id of the key; `None` for lines from before the chain.
    pub(super) link: Option<(u16, Link)>,
    pub(super) content: Content,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Content {
    pub(super) at: Timestamp,
    pub(super) key: Option<KeyId>,
    pub(super) action: String,
    pub(super) subject: String,
    pub(super) details: String,
    pub(super) request: Option<String>,
}

impl Line {
    pub(super) fn read(mut row: Row) -> Result<Self, StoreError> {
        let sequence = row.take()?;
        let link: Option<Vec<u8>> = row.take()?;
        let key: Option<i64> = row.take()?;
        Ok(Self {
            sequence,
            // A value of another length, or without its key, is no value that was written here: no hash matches it.
            link: link.map(|link| {
                let id = key.and_then(|key| u16::try_from(key).ok()).unwrap_or(0);
                (id, Link::try_from(link.as_slice()).unwrap_or(GENESIS))
            }),
            content: Content {
                at: row.take()?,
                key: row.take()?,
                action: row.take()?,
                subject: row.take()?,
                details: row.take()?,
                request: row.take()?,
            },
        })
    }
}

impl Content {
    /// The value of a line that says this, at this place; with the id of the key that was used. `None` when there is no
    /// such key.
    pub(super) fn link(
        &self,
        seal: &AuditSeal,
        organisation: OrganisationId,
        key: Option<u16>,
        previous: &Link,
        sequence: i64,
    ) -> Option<(u16, Link)> {
        let mut bytes = Vec::with_capacity(160 + self.details.len());
        bytes.extend_from_slice(previous);
        bytes.extend_from_slice(&sequence.to_be_bytes());
        bytes.extend_from_slice(&self.at.0.to_be_bytes());
        match self.key {
            Some(key) => {
                bytes.push(1);
                bytes.extend_from_slice(key.0.as_bytes());
            }
            None => bytes.push(0),
        }
        // With its length before it, no text can pass for part of its neighbour.
        let mut text = |text: &str| {
            bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        };
        text(&self.action);
        text(&self.subject);
        text(&self.details);
        match &self.request {
            Some(request) => {
                text("request");
                text(request);
            }
            None => text(""),
        }
        seal(organisation, key, &bytes)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn every_field_is_part_of_the_value_and_none_passes_for_its_neighbour() {
        let seal =
            |_: OrganisationId, _: Option<u16>, bytes: &[u8]| Some((1, *blake3::hash(bytes).as_bytes()));
        let content = Content {
            at: Timestamp(5),
            key: None,
            action: "a".to_owned(),
            subject: "b".to_owned(),
            details: "{}".to_owned(),
            request: None,
        };
        let of = |content: &Content, previous: &Link, sequence| {
            content.link(&seal, OrganisationId(Uuid::nil()), None, previous, sequence)
        };
        let mut values =
            vec![of(&content, &GENESIS, 1), of(&content, &[1; 32], 1), of(&content, &GENESIS, 2)];
        let mut change = |change: &dyn Fn(&mut Content)| {
            let mut changed = content.clone();
            change(&mut changed);
            values.push(of(&changed, &GENESIS, 1));
        };
        change(&|c| c.at = Timestamp(6));
        change(&|c| c.key = Some(KeyId(Uuid::nil())));
        change(&|c| c.action = "c".to_owned());
        change(&|c| (c.action, c.subject) = ("ab".to_owned(), String::new()));
        change(&|c| c.details = "[]".to_owned());
        change(&|c| c.request = Some(String::new()));
        for (index, value) in values.iter().enumerate() {
            assert!(!values[..index].contains(value), "{index}");
        }
    }
}
