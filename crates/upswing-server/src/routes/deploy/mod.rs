//! Deploy: serve it carefully.

pub(super) mod agents;
pub(super) mod config;
pub(super) mod datasets;
pub(super) mod decide;
pub(super) mod deployments;
pub(super) mod evidence;
pub(super) mod gates;
pub(super) mod policies;
pub(super) mod rollouts;
pub(super) mod versions;
