//! What the importance weights say about a comparison, before any reward is looked at.

use super::{Log, OffPolicyError};

/// The importance weights of a log, summarised. O(n) time, O(1) memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// How many events there are.
    pub events: usize,
    /// The mean weight. Its expectation is 1 where the logging policy could take whatever the target may, and the
    /// target's probability of actions that could be taken otherwise.
    pub mean: f64,
    /// The smallest.
    pub smallest: f64,
    /// The largest in the sample, which is *not* a bound of what could come.
    pub largest: f64,
    /// The mean of their squares.
    pub mean_square: f64,
    /// How many events of the target policy itself would tell as much, after Kish: `(sum w)^2 / sum w^2`; 0 where all
    /// weights are. At most the number of events.
    ///
    /// Source: L. Kish, "Survey Sampling", 1965, section 11.2C.
    pub effective_sample_size: f64,
    /// The share of all weight that the heaviest event carries, in (0, 1]; 0 where all weights are.
    pub heaviest_share: f64,
}

impl Weights {
    /// Those of a log.
    ///
    /// # Errors
    /// [`OffPolicyError::Overflow`] where squares of weights are beyond what numbers hold.
    pub fn of(log: &Log) -> Result<Self, OffPolicyError> {
        let (mut sum, mut squares, mut smallest, mut largest) = (0.0, 0.0, f64::INFINITY, 0.0_f64);
        for event in log.events() {
            let weight = event.weight();
            sum += weight;
            squares += weight * weight;
            smallest = smallest.min(weight);
            largest = largest.max(weight);
        }
        if !(sum * sum).is_finite() || !squares.is_finite() {
            return Err(OffPolicyError::Overflow);
        }
        let n = log.events().len() as f64;
        let (effective_sample_size, heaviest_share) =
            if squares > 0.0 { (sum * sum / squares, largest / sum) } else { (0.0, 0.0) };
        Ok(Self {
            events: log.events().len(),
            mean: sum / n,
            smallest,
            largest,
            mean_square: squares / n,
            effective_sample_size,
            heaviest_share,
        })
    }

    /// How many standard errors the mean weight lies from 1; `None` below two events.
    ///
    /// Far below: the target takes actions that the logging policy could not. Far above: logged propensities are too small.
    /// Infinite where the weights do not vary and are not 1. It cannot be trusted where few events carry most weight: then
    /// the standard error itself is unknown, and the effective sample size says so.
    pub fn mean_z(&self) -> Option<f64> {
        if self.events < 2 {
            return None;
        }
        let n = self.events as f64;
        let variance = (self.mean_square - self.mean * self.mean).max(0.0) * n / (n - 1.0);
        let error = (variance / n).sqrt();
        let distance = self.mean - 1.0;
        // What rounding alone does to weights that are all 1 is no distance.
        Some(if distance.abs() < 1e-9 { 0.0 } else { distance / error })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Event;
    use super::*;

    fn log(weights: &[(f64, f64)]) -> Log {
        Log::new(weights.iter().map(|&(target, propensity)| Event {
            reward: 0.0,
            propensity,
            target,
            model: None,
        }))
        .unwrap()
    }

    #[test]
    fn a_hand_computed_example() {
        // Weights 2, 1, 0, 1.
        let weights = Weights::of(&log(&[(1.0, 0.5), (0.5, 0.5), (0.0, 0.5), (0.25, 0.25)])).unwrap();
        assert!((weights.mean - 1.0).abs() < 1e-15);
        assert!((weights.effective_sample_size - 16.0 / 6.0).abs() < 1e-12);
        assert!((weights.heaviest_share - 0.5).abs() < 1e-15);
        assert_eq!(weights.mean_z(), Some(0.0));
    }

    #[test]
    fn no_overlap_is_zero_effective_events_and_not_a_number_that_is_none() {
        let weights = Weights::of(&log(&[(0.0, 0.5), (0.0, 0.5)])).unwrap();
        assert_eq!((weights.effective_sample_size, weights.heaviest_share), (0.0, 0.0));
        assert_eq!(weights.mean_z(), Some(f64::NEG_INFINITY));
        let heavy = Weights::of(&log(&[(1.0, 1e-200)]));
        assert_eq!(heavy, Err(OffPolicyError::Overflow));
    }
}
