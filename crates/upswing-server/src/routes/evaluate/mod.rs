//! Evaluate: is it better?

pub(super) mod experiments;
pub(super) mod power;
pub(super) mod results;
