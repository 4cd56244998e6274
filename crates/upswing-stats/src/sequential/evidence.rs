//! The strongest evidence so far, and when it sufficed.

use super::{Alpha, StateError, bytes};

/// The running maximum of a log e-process that starts at 0, and the first observation at which it reached the threshold.
///
/// By Ville's inequality the maximum itself reaches `1/alpha` with probability at most alpha under the null, so a
/// rejection stays one whatever comes afterwards, and `1/maximum` is a p-value at any time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Evidence {
    maximum: f64,
    rejected_at: Option<u64>,
}

impl Evidence {
    /// Whether a value of at most `bound` could change anything.
    #[inline]
    pub(super) fn may_rise(&self, bound: f64) -> bool {
        bound > self.maximum
    }

    /// Takes the log e-value after observation `time`, counted from 1.
    #[inline]
    pub(super) fn see(&mut self, log_e: f64, time: u64, alpha: Alpha) {
        if log_e > self.maximum {
            self.maximum = log_e;
        }
        if self.rejected_at.is_none() && log_e >= alpha.log_threshold() {
            self.rejected_at = Some(time);
        }
    }

    pub(super) fn maximum(&self) -> f64 {
        self.maximum
    }

    pub(super) fn rejected_at(&self) -> Option<u64> {
        self.rejected_at
    }

    pub(super) fn p_value(&self) -> f64 {
        (-self.maximum).exp()
    }

    pub(super) fn write(&self, to: &mut bytes::Writer) {
        to.float(self.maximum);
        // Times count from 1, so 0 is free for "never".
        to.count(self.rejected_at.unwrap_or(0));
    }

    pub(super) fn read(from: &mut bytes::Reader<'_>, now: u64, alpha: Alpha) -> Result<Self, StateError> {
        let maximum = from.finite(|m| m >= 0.0)?;
        let rejected_at = Some(from.count()?).filter(|&at| at > 0);
        let consistent = rejected_at.is_some() == (maximum >= alpha.log_threshold())
            && rejected_at.is_none_or(|at| at <= now);
        if consistent { Ok(Self { maximum, rejected_at }) } else { Err(StateError::Corrupt) }
    }
}

/// `ln(mean(exp(x)))` of log values, without overflow.
#[inline]
pub(super) fn log_mean_exp(logs: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = logs.clone().fold(f64::NEG_INFINITY, f64::max);
    if !largest.is_finite() {
        return largest;
    }
    let (sum, count) = logs.fold((0.0, 0.0), |(sum, count), log| (sum + (log - largest).exp(), count + 1.0));
    largest + (sum / count).ln()
}
