//! What runs underneath: the clock, tasks, measurements, randomness, the end.

pub(crate) mod clock;
pub(crate) mod connections;
pub(crate) mod ids;
pub(crate) mod logs;
pub(crate) mod metrics;
pub(crate) mod shutdown;
pub(crate) mod tasks;
