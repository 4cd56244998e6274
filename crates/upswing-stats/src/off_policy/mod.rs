//! Off-policy evaluation: what another policy would have earned, from decisions that were logged with their probabilities.
//!
//! A [`Log`] holds, for each decision, the reward, the probability with which the logging policy chose what it chose, and the
//! probability with which the *target* policy would have; an [`Estimator`] turns it into the target's mean reward, an
//! [`Evidence`] says whether that is worth anything, and [`interval`] how far it may be off.
//!
//! What all of it assumes, and what no log can prove:
//! - **Overlap.** Where the target may act, the logging policy had a positive probability. A log shows only actions that were
//!   taken, so an action that was impossible leaves no trace except that the weights do not average 1: see
//!   [`Weights::mean_z`].
//! - **The probabilities are those that were drawn from**, at the time, after floors and eligibility.
//! - **Decisions are independent** given what the policies saw. Rewards of one person that hang together make intervals too
//!   narrow; group them before.
//!
//! Memory is O(n): a log keeps its events, some 56 bytes each, because self-normalised estimators and the bootstrap need
//! them again. Every estimator is O(n) time.
//!
//! ```
//! use upswing_stats::off_policy::{Estimator, Event, Evidence, Log, Model, Side, interval};
//!
//! // A fair coin chose between two versions; the target always takes the one that earns more.
//! let events = (0..2000).map(|i| {
//!     let (better, reward) = (i % 2 == 0, f64::from(u8::from(i % 2 == 0 && i % 3 > 0)));
//!     let expected = if better { 2.0 / 3.0 } else { 0.0 };
//!     Event {
//!         reward,
//!         propensity: 0.5,
//!         target: if better { 1.0 } else { 0.0 },
//!         model: Some(Model { logged: expected, target: 2.0 / 3.0 }),
//!     }
//! });
//! let log = Log::new(events)?;
//! let contributions = Estimator::DoublyRobust.contributions(&log)?;
//! assert!((contributions.value() - 2.0 / 3.0).abs() < 0.01);
//! let interval = interval::student_t(&contributions, 0.95, Side::Both)?;
//! assert!(interval.low < 2.0 / 3.0 && 2.0 / 3.0 < interval.high);
//! assert!(Evidence::of(&log)?.verdict(&Default::default()).is_sufficient());
//! # Ok::<(), upswing_stats::off_policy::OffPolicyError>(())
//! ```
//!
//! Sources: Dudík, Erhan, Langford, Li, "Doubly Robust Policy Evaluation and Optimization", Statistical Science 29 (2014),
//! arXiv 1503.02834; Saito, Aihara, Matsutani, Narita, "Open Bandit Dataset and Pipeline", arXiv 2008.07146; those of each
//! estimator stand with it.

mod bootstrap;
mod contributions;
mod error;
mod estimator;
mod event;
mod evidence;
pub mod interval;
mod moments;
mod weights;

pub use contributions::Contributions;
pub use error::OffPolicyError;
pub use estimator::Estimator;
pub use event::{Event, Log, Model};
pub use evidence::{Evidence, Minimum, Reason, Verdict};
pub use interval::{Bounds, Side};
pub use moments::Moments;
pub use weights::Weights;
