//! What happens without being asked: learning, weighing accounts, rolling up, closing windows, assembling traces, following other
//! servers.

pub(crate) mod absences;
pub(crate) mod experiments;
pub(crate) mod follow;
pub(crate) mod learner;
pub(crate) mod news;
pub(crate) mod refold;
pub(crate) mod reputation;
pub(crate) mod retention;
pub(crate) mod rollouts;
pub(crate) mod rollups;
pub(crate) mod telemetry;
pub(crate) mod windows;
