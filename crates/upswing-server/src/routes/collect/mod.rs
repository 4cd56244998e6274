//! Collect: what was done, how it was received.

pub(super) mod executions;
pub(super) mod export;
pub(super) mod feedback;
mod proof;
