//! Comparisons against another implementation, on the properties that define them, and on hostile inputs.

#![expect(clippy::unwrap_used, reason = "a test that meets an error fails")]

mod cases;
mod coverage;
mod golden;
mod properties;

use upswing_stats::compare::{AdjustedSample, Level, QuantileSample, RatioSample, Sample, Summary};

pub(crate) fn level(alpha: f64) -> Level {
    Level::new(alpha).unwrap()
}

pub(crate) fn mean(units: u64, sum: f64, sum_squares: f64) -> Sample {
    Sample::mean(units, sum, sum_squares).unwrap()
}

pub(crate) fn rate(units: u64, successes: u64) -> Sample {
    Sample::proportion(units, successes).unwrap()
}

pub(crate) fn ratio(numerator: Sample, denominator: Sample, products: f64) -> Summary {
    Summary::Ratio(RatioSample::new(numerator, denominator, products).unwrap())
}

pub(crate) fn adjusted(after: Sample, before: Sample, products: f64) -> Summary {
    Summary::Adjusted(AdjustedSample::new(after, before, products).unwrap())
}

pub(crate) fn quantile(
    units: u64,
    interval_units: u64,
    level: f64,
    value: f64,
    interval: (f64, f64),
) -> Summary {
    Summary::Quantile(QuantileSample::new(units, interval_units, level, value, interval).unwrap())
}
