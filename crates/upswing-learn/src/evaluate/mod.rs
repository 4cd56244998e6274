//! What experiments measure: each unit's outcomes as they happen, and the sums, e-processes and sketches of all of them.
//!
//! A unit is exposed once, may act many times, and has one outcome a metric, which closes once: at the end of its window, or
//! with its first value. Everything that is analysed is made of closed outcomes, so that each look is as valid as the last.

mod analysis;
mod forecast;
mod planning;
mod results;
mod rollout;
mod shadow;
mod sums;
mod tally;
mod top_two;
mod unit;
mod verdict;

pub use analysis::{analyse, analyse_without_forecast};
pub use planning::{Planned, Planning};
pub use results::{
    ArmResults, Bayesian, Comparison, FixedHorizon, Forecast, MetricResults, Results, SampleRatio,
    SegmentResults, Sequential, Verdict,
};
pub use rollout::{judge, judge_after};
pub use shadow::{SHADOW_VERSION, ShadowTally};
pub use sums::Sums;
pub use tally::{ArmTally, MetricTally, PairTally, Scores, SegmentTally, TALLY_VERSION, Tally, TallyError};
pub use top_two::top_two_shares;
pub use unit::{Total, Unit};
pub use verdict::letter;
