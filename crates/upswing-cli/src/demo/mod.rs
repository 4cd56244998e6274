//! The demonstration: a simulated support desk that asks Upswing which way of answering to use.
//!
//! `world` is what is true in it, `tracker` what has been seen; both only compute. `application` speaks with the server
//! through the public HTTP API alone, as any application would.

pub(crate) mod application;
pub(crate) mod tracker;
pub(crate) mod world;
