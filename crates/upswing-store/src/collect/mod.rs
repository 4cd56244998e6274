//! What happened and how it was received: decisions, executions, feedback, and the ledger of rewards that follows.

mod definition;
pub(crate) mod export;
mod facts;
pub(crate) mod input_hash;
pub(crate) mod plan;
pub(crate) mod read;
pub(crate) mod refold;
mod remembered;
pub(crate) mod rows;
pub(crate) mod telemetry;
pub(crate) mod trust;
mod wanted;
mod write;

pub(crate) use read::{assignment, context_of, decision_of};
pub(crate) use refold::reset_refold;
pub(crate) use remembered::Remembered;
pub(crate) use wanted::Item;
pub(crate) use write::{Draft, Meanwhile, Rules, write_batch};
