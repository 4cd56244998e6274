//! The contract of the store: every test runs on SQLite and on PostgreSQL.

mod collect;
mod deploy;
mod durability;
mod followers;
mod isolation;
mod platform;
mod support;
