//! May this be believed, and how much may it weigh?
//!
//! [`check_dependencies`], [`moderate`] and [`spam_score`] say whether feedback is accepted. What is accepted weighs the product of three weights:
//! [`cap_weight`], so that one person does not outvote many; [`copy_weight`], so that many copies of one text do not; and
//! [`Reputation::weight`], so that many accounts with one script do not. [`enrich`] finds out what a text is about.
//! What each of them withstands and what not, with numbers, is in `docs/trust.md`.
//!
//! No IO, no clock, no randomness, no SQL and no HTTP: what a store knows, the caller looks up.
//!
//! ```
//! use upswing_trust::{AuthorCounts, Weight, cap_weight, copy_weight};
//!
//! let accepted_before = AuthorCounts { on_version: 9, on_agent: 12 };
//! let weight = cap_weight(accepted_before).times(copy_weight(1)).times(Weight::ONE);
//! assert_eq!(weight, Weight::nearest(0.125));
//! ```
#![warn(missing_docs)]

mod cap;
mod dependency;
mod enrichment;
mod fold;
mod moderation;
mod near_duplicate;
mod reputation;
mod spam;
mod weight;

pub use cap::{AuthorCounts, CAP_WINDOW_SECONDS, Cap, cap_weight};
pub use dependency::{CLOCK_SKEW_SECONDS, Dependencies, check_dependencies};
pub use enrichment::{Domain, Enrichment, enrich};
pub use moderation::{Category, Moderation, Verdict, moderate};
pub use near_duplicate::{COMMON_WORDS, Fingerprint, SHINGLED_WORDS, copy_weight, fingerprint, same};
pub use reputation::{Change, Direction, Item, REPUTATION_VERSION, Refit, Reputation, Suspicion, Unreadable};
pub use spam::{Behaviour, Reason, ReasonCode, SPAM_LIMIT, SpamInput, SpamScore, spam_score};
pub use weight::Weight;
