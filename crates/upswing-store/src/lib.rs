//! All SQL of Upswing. One text runs on SQLite and on PostgreSQL.
//!
//! Nothing here reads a clock: times are arguments.

mod error;
mod types;
mod store;

pub use error::StoreError;
pub use store::{Store, StoreOptions};
pub use types::*;
