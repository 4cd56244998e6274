//! Sequences for one bounded mean that do not look at the variance.

use super::boundaries::{Mixture, NormalMixture, Tuning};
use super::{Alpha, Bounds, InputError, error};

/// A predictable plug-in Hoeffding sequence for the mean of outcomes in [0, 1].
///
/// For comparison: [`super::BernsteinSequence`] costs the same and is narrower unless outcomes are as spread as a fair
/// coin's. With `l_t = min(1, sqrt(8 ln(2/alpha) / (t ln(1 + t))))` the centre is `sum(l X) / sum l`, and the half-width
/// `[ln(2/alpha) + sum l^2/8] / sum l`. O(1) an outcome.
///
/// Source: Waudby-Smith, Ramdas, "Estimating means of bounded random variables by betting", JRSS B 86 (2024), arXiv
/// 2010.09686, proposition 1.
#[derive(Debug, Clone, PartialEq)]
pub struct HoeffdingSequence {
    alpha: Alpha,
    count: u64,
    bets: f64,
    weighted: f64,
    squares: f64,
    running: Bounds,
}

impl HoeffdingSequence {
    /// One that has seen nothing.
    pub fn new(alpha: Alpha) -> Self {
        Self { alpha, count: 0, bets: 0.0, weighted: 0.0, squares: 0.0, running: Bounds::UNIT }
    }

    /// Takes an outcome.
    ///
    /// # Errors
    /// Outside of [0, 1]. Nothing changes then.
    pub fn observe(&mut self, outcome: f64) -> Result<(), InputError> {
        let x = error::outcome(outcome)?;
        self.count += 1;
        let time = self.count as f64;
        let bet = (8.0 * (2.0 / self.alpha.value()).ln() / (time * (1.0 + time).ln())).sqrt().min(1.0);
        self.bets += bet;
        self.weighted += bet * x;
        self.squares += bet * bet;
        self.running = self.running.intersect(self.now());
        Ok(())
    }

    /// The interval now; all of [0, 1] before the first outcome.
    pub fn now(&self) -> Bounds {
        if self.count == 0 {
            return Bounds::UNIT;
        }
        let centre = self.weighted / self.bets;
        let half = ((2.0 / self.alpha.value()).ln() + self.squares / 8.0) / self.bets;
        Bounds { low: (centre - half).max(0.0), high: (centre + half).min(1.0) }
    }

    /// The intersection of all intervals so far, which is valid too.
    pub fn running(&self) -> Bounds {
        self.running
    }
}

/// A Hoeffding interval with the boundary of a normal mixture, for the sum of `count` outcomes in [0, 1]; valid at every
/// look, and narrowest after about `optimal_count` outcomes. O(1).
///
/// Source: Howard, Ramdas, McAuliffe, Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences", Annals
/// of Statistics 49 (2021), arXiv 1810.08240: an outcome in [0, 1] is sub-Gaussian with variance 1/4.
///
/// # Errors
/// No outcome, a sum outside of [0, count], or an optimal count that is not positive.
pub fn mixture_interval(
    sum: f64,
    count: u64,
    optimal_count: f64,
    alpha: Alpha,
) -> Result<Bounds, InputError> {
    let n = count as f64;
    error::require("count", n, "at least 1", count > 0)?;
    let mean = error::require("sum", sum, "from 0 to count", (0.0..=n).contains(&sum))? / n;
    error::require("optimal_count", optimal_count, "positive", optimal_count > 0.0)?;
    let half = NormalMixture::two_sided(Tuning::new(optimal_count / 4.0, alpha)?).bound(n / 4.0, alpha)? / n;
    Ok(Bounds { low: (mean - half).max(0.0), high: (mean + half).min(1.0) })
}
