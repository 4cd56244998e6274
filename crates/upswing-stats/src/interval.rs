//! Intervals for one mean or one rate, looked at once.
//!
//! These have a fixed horizon. For something that is watched while it grows, use a confidence sequence.

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::normal;

/// An estimate between two bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The estimate.
    pub estimate: f64,
    /// The lower bound.
    pub low: f64,
    /// The upper bound.
    pub high: f64,
}

/// Student's interval for the mean of independent replicates, such as the runs of a shuffled replay.
///
/// Exact for normal replicates; good for means of many events by the central limit theorem. `None` where it does not
/// exist: fewer than two values, a value that is not finite, or a confidence outside of (0, 1). O(n), two passes.
///
/// ```
/// let runs = [0.731, 0.738, 0.735, 0.74];
/// let interval = upswing_stats::interval::mean(&runs, 0.95).unwrap();
/// assert!(interval.low < 0.736 && 0.736 < interval.high);
/// ```
pub fn mean(values: &[f64], confidence: f64) -> Option<Interval> {
    if values.len() < 2 || !level(confidence) || values.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let n = values.len() as f64;
    let estimate = values.iter().sum::<f64>() / n;
    let squares = values.iter().map(|v| (v - estimate) * (v - estimate)).sum::<f64>();
    let t = StudentsT::new(0.0, 1.0, n - 1.0).ok()?.inverse_cdf(0.5 + confidence / 2.0);
    let half = t * (squares / (n - 1.0) / n).sqrt();
    Some(Interval { estimate, low: estimate - half, high: estimate + half })
}

/// The same from a mean and its standard error, with normal quantiles: for counts so large that Student's t does not matter.
///
/// `None` when a number is not finite, the standard error is negative, or the confidence lies outside of (0, 1).
pub fn normal_mean(estimate: f64, standard_error: f64, confidence: f64) -> Option<Interval> {
    let fine = estimate.is_finite() && standard_error.is_finite() && standard_error >= 0.0;
    if !fine || !level(confidence) {
        return None;
    }
    let half = normal::quantile(0.5 + confidence / 2.0) * standard_error;
    Some(Interval { estimate, low: estimate - half, high: estimate + half })
}

/// Wilson's score interval for a rate. The estimate is the raw share, which always lies within.
///
/// `None` without trials, with more successes than trials, or with a confidence outside of (0, 1).
///
/// Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927),
/// DOI 10.1080/01621459.1927.10502953.
///
/// ```
/// let rate = upswing_stats::interval::wilson(0, 10, 0.95).unwrap();
/// assert!(rate.low == 0.0 && rate.high < 0.28);
/// ```
pub fn wilson(successes: u64, trials: u64, confidence: f64) -> Option<Interval> {
    if trials == 0 || successes > trials || !level(confidence) {
        return None;
    }
    let (n, p) = (trials as f64, successes as f64 / trials as f64);
    let z = normal::quantile(0.5 + confidence / 2.0);
    let z2 = z * z;
    let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = z / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    // At the ends the bound is exactly the share; rounding must not push it past.
    let low = if successes == 0 { 0.0 } else { (centre - half).clamp(0.0, p) };
    let high = if successes == trials { 1.0 } else { (centre + half).clamp(p, 1.0) };
    Some(Interval { estimate: p, low, high })
}

fn level(confidence: f64) -> bool {
    confidence > 0.0 && confidence < 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-6, "{a} {b}");
    }

    #[test]
    fn student_meets_golden_values() {
        // t(0.975; 4) = 2.776445105; the values have mean 3 and standard error sqrt(0.5).
        let interval = mean(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.95).unwrap();
        near(interval.estimate, 3.0);
        near(interval.high - 3.0, 2.776_445_105 * 0.5_f64.sqrt());
        near(3.0 - interval.low, interval.high - 3.0);
    }

    #[test]
    fn wilson_meets_golden_values() {
        // Newcombe 1998 (DOI 10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E), table I, method 3.
        for (successes, trials, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let interval = wilson(successes, trials, 0.95).unwrap();
            assert!((interval.low - low).abs() < 6e-5, "{successes}/{trials}: {interval:?}");
            assert!((interval.high - high).abs() < 6e-5, "{successes}/{trials}: {interval:?}");
        }
    }

    #[test]
    fn what_does_not_exist_is_none() {
        assert_eq!(mean(&[1.0], 0.95), None);
        assert_eq!(mean(&[1.0, f64::NAN], 0.95), None);
        assert_eq!(mean(&[1.0, 2.0], 1.0), None);
        assert_eq!(wilson(0, 0, 0.95), None);
        assert_eq!(wilson(3, 2, 0.95), None);
        assert_eq!(normal_mean(0.0, -1.0, 0.95), None);
    }
}
