//! How things look on the wire, where several routes share it: bodies, parameters, times, pages, shapes of domain values.

pub(crate) mod batch;
pub(crate) mod json;
pub(crate) mod page;
pub(crate) mod schema;
pub(crate) mod time;
