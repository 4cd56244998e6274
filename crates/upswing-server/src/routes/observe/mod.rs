//! Observe: did it help?

pub(super) mod effects;
pub(super) mod feedback_stats;
pub(super) mod health;
pub(super) mod learning_curve;
pub(super) mod lineage;
pub(super) mod metrics;
pub(super) mod performance;
pub(super) mod trust;
