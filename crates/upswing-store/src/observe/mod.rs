//! What it came to: hourly rollups with sketches, and what is read from them.

pub(crate) mod absence;
pub(crate) mod rollup;
pub(crate) mod summary;
