//! Agents, their versions, and what serves when.

pub(crate) mod agent;
pub(crate) mod deployment;
pub(crate) mod evidence;
pub(crate) mod gate;
pub(crate) mod rollout;
pub(crate) mod shadow;
