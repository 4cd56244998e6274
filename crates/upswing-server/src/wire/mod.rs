//! How things look on the wire, where several routes share it: bodies, parameters, times, pages, shapes of domain values.

pub(crate) mod batch;
pub(crate) mod details;
pub(crate) mod json;
pub(crate) mod otlp;
pub(crate) mod page;
pub(crate) mod redact;
pub(crate) mod schema;
pub(crate) mod time;
