//! Organisations, keys, the audit log, leases, checkpoints, lineage.

pub(crate) mod audit;
pub(crate) mod checkpoint;
pub(crate) mod consent;
pub(crate) mod key;
pub(crate) mod lease;
pub(crate) mod organisation;
