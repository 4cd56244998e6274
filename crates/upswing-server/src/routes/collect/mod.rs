//! Collect: what was done, how it was received.

pub(in crate::routes) mod executions;
pub(super) mod export;
pub(super) mod feedback;
mod proof;
