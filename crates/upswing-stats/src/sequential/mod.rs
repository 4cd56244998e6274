//! Tests and intervals that stay valid at every look at a growing stream, however often one looks and whenever one stops.
//!
//! | question | method |
//! | --- | --- |
//! | do two versions' rates or ratings differ? is the new one worse? (exact, any logged allocation) | [`RandomisationTest`] |
//! | is the new one worse on the same inputs, where both were executed? | [`PairedTest`], [`PairedInterval`] |
//! | is the new version at least nearly as good? | [`NonInferiorityTest`] |
//! | may a canary advance, take over, or must it go? | [`Canary`] |
//! | by how much do they differ, in an unbounded metric or with features? (many units) | [`AsymptoticSequence`], [`DoublyRobust`] |
//! | where does one version's rate or rating lie? | [`BettingSequence`], cheaper [`BernsteinSequence`], from counts [`BernoulliSequence`] |
//! | what would other tools show? | [`MixtureSprt`], [`AsymptoticSequence::approximate`] |
//!
//! An *e-process* is a non-negative process whose expectation is at most 1 under the null hypothesis at every stopping
//! time. By Ville's inequality it reaches `1/alpha` with probability at most alpha, ever. Every function here takes what
//! was observed as an argument: no clock, no randomness, no storage.

mod alpha;
pub mod asymptotic;
pub mod bernoulli;
pub mod bernoulli_kt;
pub mod bernstein;
pub mod betting;
pub mod boundaries;
mod bounds;
mod bytes;
pub mod canary;
pub mod doubly_robust;
mod error;
mod evidence;
mod grid;
pub mod hoeffding;
pub mod mixture_sprt;
pub mod noninferiority;
pub mod paired;
mod predictable;
pub mod randomisation;
mod wealth;

pub use alpha::Alpha;
pub use asymptotic::AsymptoticSequence;
pub use bernoulli::BernoulliSequence;
pub use bernoulli_kt::BernoulliKtTest;
pub use bernstein::{BernsteinSequence, Centring};
pub use betting::BettingSequence;
pub use bounds::Bounds;
pub use canary::{Canary, Stream, Unit, Verdict};
pub use doubly_robust::{DoublyRobust, Prediction};
pub use error::{InputError, StateError};
pub use grid::Grid;
pub use hoeffding::HoeffdingSequence;
pub use mixture_sprt::MixtureSprt;
pub use noninferiority::{Margin, NonInferiorityTest};
pub use paired::{PairedInterval, PairedTest};
pub use randomisation::{RandomisationTest, Sides, Tilts};

/// Which of two versions a unit got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// The current version.
    Control,
    /// The new version.
    Treatment,
}

/// The probability of the treatment for a unit that got one of two out of several arms.
///
/// Pairs of many arms are tested with the units of either arm only. Given that a unit is among them, it was the treatment
/// with probability `p_t / (p_t + p_c)`, and this is the probability to observe it with; it stays exact, since whether
/// the unit is in the pair and which arm it got were drawn before its outcome was known.
///
/// # Errors
/// Probabilities outside of (0, 1], or that sum to more than 1.
///
/// ```
/// assert_eq!(upswing_stats::sequential::within_pair(0.1, 0.3), Ok(0.25));
/// ```
pub fn within_pair(treatment: f64, control: f64) -> Result<f64, InputError> {
    for value in [treatment, control] {
        if !(value > 0.0 && value <= 1.0) {
            return Err(InputError::Allocation(value));
        }
    }
    // Probabilities that were normalised in floating point may sum to a little more.
    if treatment + control > 1.0 + 1e-9 {
        return Err(InputError::Allocation(treatment + control));
    }
    error::allocation(treatment / (treatment + control))
}
