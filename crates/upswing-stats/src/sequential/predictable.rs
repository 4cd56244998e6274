//! The predictable bets that the sequences for one bounded mean share.

use super::Alpha;

/// Mean and variance of the outcomes so far, smoothed with one that never happened, of mean 1/2 and variance 1/4.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Plugin {
    count: u64,
    sum: f64,
    /// Of squared distances to the smoothed mean at the time, the outcome itself included.
    squares: f64,
}

impl Plugin {
    pub(super) fn new() -> Self {
        Self { count: 0, sum: 0.0, squares: 0.0 }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn sum(&self) -> f64 {
        self.sum
    }

    /// `(1/2 + sum X) / (t + 1)`.
    pub(super) fn mean(&self) -> f64 {
        (0.5 + self.sum) / (self.count as f64 + 1.0)
    }

    pub(super) fn add(&mut self, outcome: f64) {
        self.count += 1;
        self.sum += outcome;
        let distance = outcome - self.mean();
        self.squares += distance * distance;
    }

    /// The bet on the next outcome, `sqrt(2 ln(2/alpha) / (v t ln(1 + t)))` with the variance so far and its time t.
    pub(super) fn bet(&self, alpha: Alpha) -> f64 {
        let time = self.count as f64 + 1.0;
        let variance = (0.25 + self.squares) / time;
        (2.0 * (2.0 / alpha.value()).ln() / (variance * time * (1.0 + time).ln())).sqrt()
    }
}
