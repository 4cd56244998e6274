//! What happens without being asked: learning, rolling up, closing windows, following other servers.

pub(crate) mod absences;
pub(crate) mod follow;
pub(crate) mod learner;
pub(crate) mod news;
pub(crate) mod refold;
pub(crate) mod rollups;
