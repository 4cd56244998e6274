//! The crate as the server uses it: bodies in, executions and feedback out.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test and its helpers fail by panicking"
)]

mod assembly;
mod captures;
mod decoding;
mod feedback;
mod fuzzing;
mod mapping;
mod mutation;
mod responses;
mod support;
mod wire;
