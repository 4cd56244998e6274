//! The contract of the store: every test runs on SQLite and on PostgreSQL.
#![expect(clippy::unwrap_used, reason = "a test that meets an error fails")]
#![expect(clippy::disallowed_methods, reason = "where the database is comes from the environment")]

mod audit;
mod collect;
mod deploy;
mod durability;
mod followers;
mod isolation;
mod platform;
mod remembered;
mod reputation;
mod shadow;
mod support;
mod telemetry;
mod trust;
