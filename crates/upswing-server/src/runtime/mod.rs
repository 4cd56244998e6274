//! What runs underneath: the clock, tasks, measurements, randomness, the end.

pub mod clock;
pub(crate) mod ids;
pub mod logs;
pub(crate) mod metrics;
pub(crate) mod shutdown;
pub(crate) mod tasks;
