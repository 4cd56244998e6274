//! What was acknowledged is there after every crash: of the server, of PostgreSQL, of a disk that is full.
//!
//! `UPSWING_CRASH_CYCLES` says how often each of them crashes (`make crash`: 200), `UPSWING_CRASH_SEED` repeats the
//! choices of an earlier run; the moments at which processes end are never quite the same.
//!
//! A child `upswing serve` is put under load (`load.rs`), everything sent and everything acknowledged is noted
//! (`journal.rs`), and after the crash the database is compared with the notes (`checks.rs`, `ledger.rs`).
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod away;
mod checks;
mod client;
mod cluster;
mod drain;
mod flushes;
mod full_disk;
mod journal;
mod kill;
mod ledger;
mod load;
mod place;
mod random;
mod rollouts;
mod support;
mod table;
