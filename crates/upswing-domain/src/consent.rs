//! What a person agreed to.

use serde::{Deserialize, Serialize};

use crate::{Pseudonym, Timestamp};

/// What for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// What the person says and does may teach.
    Learning,
    /// What is known of the person may change what the person is served.
    Personalisation,
}

impl Purpose {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Learning, Self::Personalisation];

    /// As stored and on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Learning => "learning",
            Self::Personalisation => "personalisation",
        }
    }

    /// The purpose of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.name() == name)
    }
}

/// One decision of a person about one purpose. The latest version holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// Who.
    pub subject: Pseudonym,
    /// What for.
    pub purpose: Purpose,
    /// Counts this person's decisions about this purpose, from 1.
    pub version: i64,
    /// Whether it was given, or taken back.
    pub granted: bool,
    /// Which text the person was shown.
    pub policy: String,
    /// When.
    pub recorded_at: Timestamp,
}

/// What holds where nobody has decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentRule {
    /// Whoever has not refused may be learned from.
    #[default]
    UnlessRefused,
    /// Only who has agreed may be learned from.
    Required,
}

impl ConsentRule {
    /// Whether a purpose may be pursued, given the person's latest decision about it.
    pub fn allows(self, latest: Option<bool>) -> bool {
        latest.unwrap_or(self == Self::UnlessRefused)
    }
}
