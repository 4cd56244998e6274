//! `upswing replay`: what a policy is worth, by what is known already.
//!
//! A file whose every outcome is known is played through a server's public API; `play` alone speaks with one. A log of
//! decisions, of which only the outcome of what was chosen is known, is evaluated off-policy, without a server. Reading,
//! arithmetic and drawing are pure.

pub(crate) mod curve;
pub(crate) mod decisions;
pub(crate) mod estimates;
pub(crate) mod evaluate;
pub(crate) mod export;
mod lines;
pub(crate) mod open_bandit;
pub(crate) mod outcomes;
pub(crate) mod play;
pub(crate) mod progress;
pub(crate) mod report;
mod reward_model;
pub(crate) mod table;
pub(crate) mod target;
