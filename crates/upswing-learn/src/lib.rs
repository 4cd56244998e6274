//! Learners: they take observed rewards in and give probabilities of versions out.
//!
//! [`LearnerState`] is what is checkpointed: exact integer statistics, so that rewards may come in any order, be revised
//! and be erased. [`PolicySnapshot`] is what `decide` reads: posteriors computed once from that state, immutable.
//! [`draw`] turns probabilities into a version by a hash, so that a replay draws the same.
//!
//! No clock, no randomness, no storage and no HTTP here: time is not needed, and chance is a hash of what the caller gives.
//!
//! ```
//! use upswing_domain::{PolicyConfig, Reward, VersionId};
//! use upswing_learn::{LearnerState, Observation};
//!
//! let (a, b) = (VersionId([1; 32]), VersionId([2; 32]));
//! let mut state = LearnerState::new(PolicyConfig::default());
//! for _ in 0..20 {
//!     for (version, new) in [(a, Reward::ONE), (b, Reward::ZERO)] {
//!         state.observe(&[Observation { version, context: None, propensity: 0.5, old: None, new: Some(new) }]);
//!     }
//! }
//! assert!(state.snapshot().probabilities(None, &[a, b])[0] > 0.99);
//! ```
#![warn(missing_docs)]

pub mod bandit;
mod best_arm;
mod curve;
mod draw;
mod encoder;
pub mod evaluate;
pub mod gate;
mod gaussian;
mod state;
mod statistics;
pub mod stream;
mod variance_components;

pub use bandit::{ArmSummary, PolicySnapshot};
pub use best_arm::best_arm_probabilities;
pub use curve::{CurveBin, LearningCurve};
pub use draw::draw;
pub use encoder::ENCODER_VERSION;
pub use state::{LearnerState, Observation, STATE_VERSION, StateError};
