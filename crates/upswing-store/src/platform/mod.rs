//! Organisations, keys, the audit log, leases, checkpoints, lineage.

pub(crate) mod audit;
mod audit_chain;
pub(crate) mod audit_walk;
pub(crate) mod checkpoint;
pub(crate) mod consent;
pub(crate) mod key;
pub(crate) mod lease;
pub(crate) mod organisation;

pub use audit_walk::{AuditBreak, AuditFault, AuditHead, AuditVerdict};
