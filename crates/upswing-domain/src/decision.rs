//! Which version was to serve whom, why, and with what probability.

use serde::{Deserialize, Serialize};

use crate::{AgentId, Assignment, Context, DecisionId, Probability, Pseudonym, Timestamp, VersionId};

/// Where traffic comes from. Only [`Origin::teaches`] ones are learned from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Real use.
    #[default]
    Live,
    /// Executed beside the served version, not shown to anybody.
    Shadow,
    /// The version was named by the caller.
    Forced,
    /// Recorded outcomes, played again.
    Replay,
    /// A simulation.
    Simulated,
}

impl Origin {
    /// Whether policies learn from it. What was forced or shadowed was not the policy's choice.
    pub fn teaches(self) -> bool {
        matches!(self, Self::Live | Self::Replay | Self::Simulated)
    }

    /// As stored and on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Shadow => "shadow",
            Self::Forced => "forced",
            Self::Replay => "replay",
            Self::Simulated => "simulated",
        }
    }

    /// The origin of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Live, Self::Shadow, Self::Forced, Self::Replay, Self::Simulated]
            .into_iter()
            .find(|o| o.name() == name)
    }
}

/// Why a version was chosen: the stage of deciding that named it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecisionReason {
    /// The caller named it.
    Forced,
    /// The unit is kept out of experiments and gets the champion.
    Holdout,
    /// A rollout gave it the new version.
    Canary,
    /// An experiment assigned it.
    Experiment,
    /// The agent's policy drew it.
    Policy,
    /// The agent's champion: a fixed policy, or nothing else was eligible.
    Champion,
    /// What was to be served could not be confirmed: the agent's safe version.
    Safe,
    /// The record was lost in a crash and restored from its token.
    Restored,
}

impl DecisionReason {
    /// As stored and on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Forced => "forced",
            Self::Holdout => "holdout",
            Self::Canary => "canary",
            Self::Experiment => "experiment",
            Self::Policy => "policy",
            Self::Champion => "champion",
            Self::Safe => "safe",
            Self::Restored => "restored",
        }
    }

    /// The reason of that name.
    pub fn named(name: &str) -> Option<Self> {
        [
            Self::Forced,
            Self::Canary,
            Self::Holdout,
            Self::Experiment,
            Self::Policy,
            Self::Champion,
            Self::Safe,
            Self::Restored,
        ]
        .into_iter()
        .find(|reason| reason.name() == name)
    }
}

/// A decision as it is recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Its id; the key of the policy's draw.
    pub id: DecisionId,
    /// Whose versions were chosen from.
    pub agent: AgentId,
    /// The version to serve.
    pub version: VersionId,
    /// Whom it serves, for assignment.
    pub unit: Option<Pseudonym>,
    /// What was known. `None` where the record was restored from a token, which carries no context.
    pub context: Option<Context>,
    /// The stage that chose.
    pub reason: DecisionReason,
    /// Where the traffic comes from.
    pub origin: Origin,
    /// Marginal probability with which this version was chosen.
    pub propensity: Probability,
    /// The experiment that assigned it, or kept its unit out.
    pub assignment: Option<Assignment>,
    /// The probability of every eligible version, in the order of the epoch's list; empty where none was drawn.
    pub probabilities: Vec<f64>,
    /// The agent's deployment epoch, which names the eligible versions and the policy.
    pub epoch: i64,
    /// How far the policy had learned: the position of the last event its state contains.
    pub policy_revision: i64,
    /// When it was decided.
    pub decided_at: Timestamp,
}
