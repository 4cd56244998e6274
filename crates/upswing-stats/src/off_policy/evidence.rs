//! Whether a log says enough about a target policy.

use std::collections::HashMap;

use super::{Event, Log, OffPolicyError, Weights};

/// How much a log tells about a target policy, whatever the estimator.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evidence {
    /// The weights.
    pub weights: Weights,
    /// How many of the effective events tell rewards apart: the effective sample size times the share of weight on other
    /// rewards than the commonest (the clicks among impressions, the failures among successes).
    ///
    /// Where rewards are 0 and 1 and one is rare, this and not the number of events is what intervals hang on.
    pub effective_informative: f64,
}

/// What evidence has to reach to be sufficient.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Minimum {
    /// Effective sample size. Default 100: below it the relative standard error of the weights' sum alone exceeds about 10 %,
    /// and intervals by the central limit theorem cannot be relied on.
    pub effective_sample_size: f64,
    /// Effective informative events. Default 10, the usual condition for the normal approximation of a count. With weights
    /// up to 18 and some clicks in a thousand, a nominal 95 % interval by Student's t held the truth in 40 % of logs with
    /// 0.5 such events on average, 64 % with 1.1, 87 % with 2.4, 91 % with 5 and 9, and 94 % with 19
    /// (`tests/off_policy_calibration.rs`).
    pub informative: f64,
    /// How many standard errors the mean weight may lie from 1. Default 5: with weights as heavy as they are here, smaller
    /// distances occur by chance; greater ones mean that the target acts where the logging policy could not, or that
    /// propensities are wrong.
    pub mean_weight_z: f64,
}

impl Default for Minimum {
    fn default() -> Self {
        Self { effective_sample_size: 100.0, informative: 10.0, mean_weight_z: 5.0 }
    }
}

/// Whether to use an estimate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// There is enough, for an interval by the central limit theorem to be about right.
    Sufficient,
    /// There is not, and why.
    Insufficient(Reason),
}

impl Verdict {
    /// Whether there is enough.
    pub fn is_sufficient(&self) -> bool {
        *self == Self::Sufficient
    }

    /// `sufficient` or `insufficient`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sufficient => "sufficient",
            Self::Insufficient(_) => "insufficient",
        }
    }
}

/// What is insufficient; numbers are those found and those needed.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum Reason {
    /// Few events count as the target policy's.
    #[error("{found:.0} effective events, {least} are needed")]
    EffectiveSampleSize {
        /// The effective sample size.
        found: f64,
        /// What is needed.
        least: f64,
    },
    /// Few rewards differ from the commonest one.
    #[error("{found:.1} effective events have another than the commonest reward, {least} are needed")]
    Informative {
        /// How many in effect.
        found: f64,
        /// What is needed.
        least: f64,
    },
    /// The weights do not average 1.
    #[error(
        "the weights average {mean:.3}, not 1: the target acts where the log could not, or propensities are wrong"
    )]
    Overlap {
        /// The mean weight.
        mean: f64,
        /// How many standard errors from 1.
        z: f64,
    },
}

impl Evidence {
    /// That of a log. O(n) expected time; memory for each distinct reward.
    ///
    /// # Errors
    /// Those of [`Weights::of`].
    pub fn of(log: &Log) -> Result<Self, OffPolicyError> {
        let weights = Weights::of(log)?;
        let effective_informative = weights.effective_sample_size * informative_share(log.events());
        Ok(Self { weights, effective_informative })
    }

    /// Whether it suffices.
    pub fn verdict(&self, minimum: &Minimum) -> Verdict {
        let found = self.weights.effective_sample_size;
        if !at_least(found, minimum.effective_sample_size) {
            let least = minimum.effective_sample_size;
            return Verdict::Insufficient(Reason::EffectiveSampleSize { found, least });
        }
        match self.weights.mean_z() {
            Some(z) if z.abs() <= minimum.mean_weight_z => {}
            z => {
                let (mean, z) = (self.weights.mean, z.unwrap_or(f64::INFINITY));
                return Verdict::Insufficient(Reason::Overlap { mean, z });
            }
        }
        let found = self.effective_informative;
        if !at_least(found, minimum.informative) {
            return Verdict::Insufficient(Reason::Informative { found, least: minimum.informative });
        }
        Verdict::Sufficient
    }
}

/// Never where the minimum is not a number.
fn at_least(found: f64, least: f64) -> bool {
    found >= least
}

/// The share of all weight that lies on other rewards than the one that has most of it; 0 without weight.
fn informative_share(events: &[Event]) -> f64 {
    let mut shares: HashMap<u64, f64> = HashMap::new();
    for event in events {
        // Adding 0 makes one of the two zeros.
        *shares.entry((event.reward + 0.0).to_bits()).or_default() += event.weight();
    }
    let mut shares: Vec<f64> = shares.into_values().collect();
    // Sorted, so that the sum does not depend on the order of a hash table; the largest comes last.
    shares.sort_unstable_by(f64::total_cmp);
    let Some(commonest) = shares.pop() else { return 0.0 };
    let others: f64 = shares.iter().sum();
    if others > 0.0 { others / (others + commonest) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(n: u32, target: f64, reward: impl Fn(u32) -> f64) -> Log {
        Log::new((0..n).map(|i| Event { reward: reward(i), propensity: 0.5, target, model: None })).unwrap()
    }

    fn verdict(log: &Log) -> Verdict {
        Evidence::of(log).unwrap().verdict(&Minimum::default())
    }

    #[test]
    fn each_reason_has_its_verdict() {
        let clicks = |every: u32| move |i: u32| f64::from(u8::from(i.is_multiple_of(every)));
        assert_eq!(verdict(&log(100, 0.5, clicks(10))), Verdict::Sufficient);
        let few = verdict(&log(99, 0.5, clicks(2)));
        assert!(matches!(few, Verdict::Insufficient(Reason::EffectiveSampleSize { .. })), "{few:?}");
        let rare = verdict(&log(900, 0.5, clicks(100)));
        assert_eq!(rare, Verdict::Insufficient(Reason::Informative { found: 9.0, least: 10.0 }));
        assert_eq!(verdict(&log(900, 0.5, |_| 0.0)).name(), "insufficient");
        let apart = verdict(&log(900, 0.25, clicks(2)));
        assert!(matches!(apart, Verdict::Insufficient(Reason::Overlap { .. })), "{apart:?}");
        let nothing = verdict(&log(900, 0.0, clicks(2)));
        assert!(matches!(nothing, Verdict::Insufficient(Reason::EffectiveSampleSize { .. })), "{nothing:?}");
        assert!(verdict(&log(200, 0.5, f64::from)).is_sufficient());
        let never = Minimum { informative: f64::NAN, ..Minimum::default() };
        assert!(!Evidence::of(&log(900, 0.5, clicks(2))).unwrap().verdict(&never).is_sufficient());
    }
}
