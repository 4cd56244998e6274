//! Two arms compared from their sums: what an experiment asks of a control and of a treatment.
//!
//! The way is always the same. A [`Summary`] of each arm, made of sums alone; [`effect`] makes an [`Effect`] of the two; an
//! inference says how sure it is:
//!
//! | question | answer |
//! | --- | --- |
//! | one look, at a size fixed beforehand | [`fixed::infer`]: Welch's t |
//! | a look whenever one likes | [`asymptotic::infer`]: an asymptotic confidence sequence |
//! | what to believe, with or without a prior | [`bayes::posterior`] |
//! | how many units it takes | [`power`] |
//! | are the arms as large as they were assigned? | [`ratio_mismatch`] |
//! | a few values an arm, without a distribution | [`rank::mann_whitney`] |
//! | many metrics or many arms at once | [`multiple`] |
//!
//! Test [`Scale::Absolute`] and report [`Scale::Relative`]: a sequential test of the relative effect finds something in 12
//! to 19 % of experiments without any effect, at a nominal 5 %, when conversions are few (2 % of at most 2,000 units).
//!
//! ```
//! use upswing_stats::compare::{Alternative, Level, Sample, Scale, Summary, asymptotic, effect, fixed};
//!
//! let control = Summary::Mean(Sample::proportion(1000, 200)?);
//! let treatment = Summary::Mean(Sample::proportion(1050, 252)?);
//! let level = Level::new(0.05)?;
//!
//! let difference = effect(&control, &treatment, Scale::Absolute)?;
//! let once = fixed::infer(&difference, level, Alternative::TwoSided)?;
//! assert!(once.interval.low > 0.0 && once.p_value < 0.05);
//!
//! // The same evidence is not enough for someone who looks as often as they like.
//! let plan = asymptotic::Plan::default();
//! let always = asymptotic::infer(&difference, plan, level, Alternative::TwoSided)?;
//! assert!(always.interval.low < 0.0 && always.p_value > 0.3);
//!
//! let lift = effect(&control, &treatment, Scale::Relative)?;
//! assert!((lift.estimate() - 0.2).abs() < 1e-12);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod adjusted;
pub mod asymptotic;
pub mod bayes;
mod effect;
mod error;
pub mod fixed;
mod inference;
pub mod multiple;
pub mod power;
mod quantile;
pub mod rank;
mod ratio;
pub mod ratio_mismatch;
mod sample;
mod student;
mod summary;

pub use adjusted::AdjustedSample;
pub use effect::{Effect, Scale, effect};
pub use error::{Arm, EffectError, ParameterError, SummaryError};
pub use inference::{Alternative, Inference, Level};
pub use quantile::QuantileSample;
pub use ratio::RatioSample;
pub use sample::Sample;
pub use summary::Summary;
