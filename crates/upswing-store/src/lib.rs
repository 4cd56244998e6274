//! All SQL of Upswing. One text runs on SQLite and on PostgreSQL.
//!
//! A write is queued, and acknowledged when it is on disk ([`Store::write`]); everything that follows from it (rewards,
//! their ledger, what waited for it) is in the same transaction. Followers read by position and keep their state with
//! the position they have read up to.
//!
//! Nothing here reads a clock of the day: times are arguments. No HTTP, no learner.

mod collect;
mod deploy;
mod engine;
mod error;
mod evaluate;
mod observe;
mod platform;
mod pool;
mod recent;
mod recognise;
mod store;
mod types;
mod value;
mod writer;

pub use deploy::gate::{Dataset, GateApproval, GateRecord, GateResult, GateSetting, GateSettings};
pub use error::StoreError;
pub use evaluate::{
    ExperimentChanges, ExperimentEvent, ExperimentLook, ExperimentPiece, ExperimentProgress, ExperimentUnit,
    Happened,
};
pub use platform::{AuditBreak, AuditFault, AuditHead, AuditVerdict};
pub use store::{Store, StoreOptions};
pub use types::*;
