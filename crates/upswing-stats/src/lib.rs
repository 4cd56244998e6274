//! Inference that stands alone: two arms compared, tests that are valid at every look, off-policy evaluation, intervals, the
//! normal distribution, sketches of quantiles.
//!
//! Depends on nothing else of Upswing: no agents, no versions, no storage, no clock, no randomness that a seed does not determine. Each method names
//! its source and is tested against golden values or against the property that defines it.
#![warn(missing_docs)]

pub mod compare;
pub mod interval;
pub mod normal;
pub mod off_policy;
pub mod sequential;
pub mod sketch;

pub use interval::Interval;
pub use sketch::{Sketch, SketchError};
