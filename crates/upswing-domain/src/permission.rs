//! Who may do what.

use serde::{Deserialize, Serialize};

/// What a key is allowed to be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A browser's key (`up_pk_`): gives feedback for the execution that a signed token names, nothing else.
    Publishable,
    /// An application: decides, reports executions and feedback, reads.
    Member,
    /// A reviewer: what a member may, to read what people wrote, and to approve versions.
    Expert,
    /// An administrator: everything in the organisation.
    Admin,
}

/// What a route asks for. Every route declares exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Needs no key: health, metrics, the pages and the API's description.
    Public,
    /// Give feedback.
    GiveFeedback,
    /// Ask which version to use.
    Decide,
    /// Report executions.
    ReportExecutions,
    /// Read agents, versions, statistics, one's own feedback's effects.
    Read,
    /// Read what people wrote, and export.
    ReadContent,
    /// Approve a version before it meets traffic.
    Approve,
    /// Change agents, versions, reward definitions, policies; promote and roll back.
    ManageAgents,
    /// Create, list and revoke keys; read the audit log.
    ManageKeys,
}

impl Role {
    /// Whether a key of this role may be used where `permission` is asked for.
    pub fn can(self, permission: Permission) -> bool {
        use Permission as P;
        match self {
            Self::Publishable => matches!(permission, P::Public | P::GiveFeedback),
            Self::Member => {
                matches!(permission, P::Public | P::GiveFeedback | P::Decide | P::ReportExecutions | P::Read)
            }
            Self::Expert => !matches!(permission, P::ManageAgents | P::ManageKeys),
            Self::Admin => true,
        }
    }

    /// The role's name, as stored and on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Publishable => "publishable",
            Self::Member => "member",
            Self::Expert => "expert",
            Self::Admin => "admin",
        }
    }

    /// The role of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Publishable, Self::Member, Self::Expert, Self::Admin]
            .into_iter()
            .find(|role| role.name() == name)
    }
}
