//! The beta-binomial confidence sequence for one rate.

use super::boundaries::{BetaBinomialMixture, Mixture, Tuning};
use super::{Alpha, Bounds, InputError, error};

/// An interval for a rate that is valid at every look, from the counts alone.
///
/// Use it to display one version's rate where only counts are kept: unlike [`super::BettingSequence`] it does not depend
/// on the order, so counts may be merged. It is exact for independent outcomes of one rate, and narrowest after about the
/// planned number of trials.
///
/// Source: Howard, Ramdas, McAuliffe, Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences", Annals
/// of Statistics 49 (2021), arXiv 1810.08240, the two-sided beta-binomial mixture, inverted.
///
/// ```
/// use upswing_stats::sequential::{Alpha, BernoulliSequence};
/// let rate = BernoulliSequence::new(100.0, Alpha::new(0.05)?)?;
/// let bounds = rate.interval(38, 50)?;
/// assert!((bounds.low - 0.551_154).abs() < 1e-6 && (bounds.high - 0.910_958).abs() < 1e-6);
/// # Ok::<(), upswing_stats::sequential::InputError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BernoulliSequence {
    planned: f64,
    alpha: Alpha,
    tuned_for: Alpha,
}

impl BernoulliSequence {
    /// Narrowest after about `planned` trials.
    ///
    /// # Errors
    /// Not positive.
    pub fn new(planned: f64, alpha: Alpha) -> Result<Self, InputError> {
        error::require("planned", planned, "positive", planned > 0.0)?;
        Ok(Self { planned, alpha, tuned_for: alpha })
    }

    /// The same, narrowest as if it were of another level.
    #[must_use]
    pub fn tuned_for(self, alpha: Alpha) -> Self {
        Self { tuned_for: alpha, ..self }
    }

    /// The log e-value against a rate, after these counts.
    ///
    /// # Errors
    /// More successes than trials, a rate outside of [0, 1].
    pub fn log_e(&self, rate: f64, successes: u64, trials: u64) -> Result<f64, InputError> {
        let (s, n) = counts(successes, trials)?;
        let p = error::outcome(rate)?;
        // At an end one outcome is impossible: it refutes the rate, and nothing else says anything.
        if p <= 0.0 || p >= 1.0 {
            let possible = if p <= 0.0 { successes == 0 } else { successes == trials };
            return Ok(if possible { 0.0 } else { f64::INFINITY });
        }
        let variance = p * (1.0 - p);
        let tuning = Tuning::new(variance * self.planned, self.tuned_for)?;
        let log_e = BetaBinomialMixture::two_sided(tuning, p, 1.0 - p)?.log_e(s - n * p, n * variance);
        error::require("rate", log_e, "not so close to 0 or 1", true)
    }

    /// The rates against which the e-value is below `1/alpha`; all of [0, 1] without trials. Some hundred evaluations.
    ///
    /// # Errors
    /// More successes than trials.
    pub fn interval(&self, successes: u64, trials: u64) -> Result<Bounds, InputError> {
        let (s, n) = counts(successes, trials)?;
        if trials == 0 {
            return Ok(Bounds::UNIT);
        }
        let mean = s / n;
        let low = if successes == 0 { 0.0 } else { self.edge(0.0, mean, successes, trials)? };
        let high = if successes == trials { 1.0 } else { self.edge(1.0, mean, successes, trials)? };
        Ok(Bounds { low, high })
    }

    /// The last excluded rate on the way from an end to the mean, which is never excluded.
    fn edge(&self, end: f64, mean: f64, successes: u64, trials: u64) -> Result<f64, InputError> {
        let (mut outside, mut inside) = (end, mean);
        for _ in 0..100 {
            let middle = 0.5 * (outside + inside);
            if self.log_e(middle, successes, trials)? < self.alpha.log_threshold() {
                inside = middle;
            } else {
                outside = middle;
            }
            if (outside - inside).abs() < 1e-15 {
                break;
            }
        }
        Ok(outside)
    }
}

fn counts(successes: u64, trials: u64) -> Result<(f64, f64), InputError> {
    let (s, n) = (successes as f64, trials as f64);
    Ok((error::require("successes", s, "at most the trials", successes <= trials)?, n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_mirrored_and_counts_are_checked() {
        let sequence = BernoulliSequence::new(100.0, Alpha::default()).unwrap();
        for (s, n) in [(0, 1), (0, 30), (3, 30), (1, 1), (499, 500), (100_000, 1_000_000)] {
            let (a, b) = (sequence.interval(s, n).unwrap(), sequence.interval(n - s, n).unwrap());
            assert!(
                (a.low - (1.0 - b.high)).abs() < 1e-9 && (a.high - (1.0 - b.low)).abs() < 1e-9,
                "{a:?} {b:?}"
            );
            assert!(a.contains(s as f64 / n as f64));
        }
        assert_eq!(sequence.interval(0, 0), Ok(Bounds::UNIT));
        assert!(sequence.interval(2, 1).is_err());
        assert!(sequence.log_e(f64::NAN, 1, 1).is_err() && sequence.log_e(1.1, 1, 1).is_err());
        assert!(BernoulliSequence::new(0.0, Alpha::default()).is_err());
    }
}
