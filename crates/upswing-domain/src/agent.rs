//! Something that answers and can learn.

use serde::Serialize;

use crate::{AgentId, Context, Invalid, PolicyConfig, RewardDefinition, VersionId};

/// How many values of a segment key are counted apart; the rest is [`SEGMENT_OTHER`].
pub const MAX_SEGMENT_VALUES: usize = 100;
/// The segment of everything beyond the first [`MAX_SEGMENT_VALUES`] values.
pub const SEGMENT_OTHER: &str = "other";

/// An agent's name: 1 to 100 letters, digits, `-`, `_`, `.`; unique in the organisation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct AgentName(String);

impl AgentName {
    /// Checks a name.
    ///
    /// # Errors
    /// When it is empty, too long, or holds another character.
    pub fn new(name: impl Into<String>) -> Result<Self, Invalid> {
        let name = name.into();
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > 100 || !name.chars().all(allowed) {
            return Err(Invalid::new("name", name, "1 to 100 letters, digits, '-', '_' or '.'"));
        }
        Ok(Self(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An agent as it stands now.
#[derive(Debug, Clone, PartialEq)]
pub struct Agent {
    /// Its id.
    pub id: AgentId,
    /// Its name.
    pub name: AgentName,
    /// For people.
    pub description: String,
    /// What the policy's draws and the splits are hashed with.
    pub salt: String,
    /// The context keys by which performance is reported, at most four.
    pub segments: Vec<String>,
    /// What the agent's outputs look like, as a JSON Schema.
    pub output_schema: Option<String>,
    /// How versions are chosen.
    pub policy: PolicyConfig,
    /// The version that serves when nothing else decides.
    pub champion: Option<VersionId>,
    /// The version that is served where nothing can be confirmed.
    pub safe_version: Option<VersionId>,
    /// How feedback becomes a reward.
    pub reward_definition: RewardDefinition,
    /// Which of the reward definitions this is; the first is 1.
    pub definition_version: i64,
    /// Counts changes to champion, policy and eligible versions; the first is 1.
    pub epoch: i64,
}

impl Agent {
    /// How many segment keys an agent may declare.
    pub const MAX_SEGMENTS: usize = 4;
}

/// One value of one segment key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Segment {
    /// The context key; empty for everything together.
    pub key: String,
    /// Its value; empty for everything together.
    pub value: String,
}

impl Segment {
    /// Everything together.
    pub fn all() -> Self {
        Self { key: String::new(), value: String::new() }
    }

    /// The segments that a context falls into: everything, and one for each declared key that the context has.
    pub fn of(context: Option<&Context>, keys: &[String]) -> Vec<Self> {
        let mut segments = vec![Self::all()];
        for key in keys {
            if let Some(value) = context.and_then(|c| c.get(key)) {
                segments.push(Self { key: key.clone(), value: value.label() });
            }
        }
        segments
    }
}
