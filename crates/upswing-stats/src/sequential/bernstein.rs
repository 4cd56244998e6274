//! The predictable plug-in empirical-Bernstein sequence for one bounded mean.

use super::predictable::Plugin;
use super::{Alpha, Bounds, InputError, error};

/// Around what the squares of the margin are taken; both are valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Centring {
    /// The smoothed mean of the past, `(1/2 + sum X) / (t + 1)`, as in the paper.
    Smoothed,
    /// The plain mean of the past, which starts at the near end: 0 for the lower bound, 1 for the upper one. The package
    /// confseq has this.
    Plain,
}

/// A confidence sequence for the mean of outcomes in [0, 1] that adapts to their variance, in closed form.
///
/// Use it where [`super::BettingSequence`] costs too much: O(1) an outcome. It is wider, much so for few outcomes.
///
/// With bets `l_t` as there, at most 1/2: the centre is `sum(l X) / sum l`, and the half-width
/// `[ln(2/alpha) + sum (X_i - mean_(i-1))^2 (-ln(1 - l_i) - l_i)] / sum l`.
///
/// Source: Waudby-Smith, Ramdas, "Estimating means of bounded random variables by betting", JRSS B 86 (2024), arXiv
/// 2010.09686, theorem 2.
///
/// ```
/// use upswing_stats::sequential::{Alpha, BernsteinSequence};
/// let mut stars = BernsteinSequence::new(Alpha::new(0.05)?);
/// for i in 0..1000 {
///     stars.observe(f64::from(i % 2) / 4.0 + 0.5)?;
/// }
/// assert!(stars.running().contains(0.625) && !stars.running().contains(0.7));
/// # Ok::<(), upswing_stats::sequential::InputError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct BernsteinSequence {
    alpha: Alpha,
    centring: Centring,
    plugin: Plugin,
    /// Sums of bets, of bets times outcomes, and of weighted squares for the lower and the upper bound.
    bets: f64,
    weighted: f64,
    squares: [f64; 2],
    running: Bounds,
}

/// A larger bet would gain little and could lose all.
const BOLDEST: f64 = 0.5;

impl BernsteinSequence {
    /// One that has seen nothing, with the paper's centring.
    pub fn new(alpha: Alpha) -> Self {
        Self::centred(alpha, Centring::Smoothed)
    }

    /// One that has seen nothing.
    pub fn centred(alpha: Alpha, centring: Centring) -> Self {
        let plugin = Plugin::new();
        Self { alpha, centring, plugin, bets: 0.0, weighted: 0.0, squares: [0.0; 2], running: Bounds::UNIT }
    }

    /// Takes an outcome.
    ///
    /// # Errors
    /// Outside of [0, 1]. Nothing changes then.
    pub fn observe(&mut self, outcome: f64) -> Result<(), InputError> {
        let x = error::outcome(outcome)?;
        let bet = self.plugin.bet(self.alpha).min(BOLDEST);
        let means = match self.centring {
            Centring::Smoothed => [self.plugin.mean(); 2],
            Centring::Plain if self.plugin.count() == 0 => [0.0, 1.0],
            Centring::Plain => [self.plugin.sum() / self.plugin.count() as f64; 2],
        };
        let weight = -(-bet).ln_1p() - bet;
        for (squares, mean) in self.squares.iter_mut().zip(means) {
            *squares += (x - mean) * (x - mean) * weight;
        }
        self.bets += bet;
        self.weighted += bet * x;
        self.plugin.add(x);
        self.running = self.running.intersect(self.now());
        Ok(())
    }

    /// The interval now; all of [0, 1] before the first outcome.
    pub fn now(&self) -> Bounds {
        if self.plugin.count() == 0 {
            return Bounds::UNIT;
        }
        let centre = self.weighted / self.bets;
        let [low, high] = self.squares.map(|squares| ((2.0 / self.alpha.value()).ln() + squares) / self.bets);
        Bounds { low: (centre - low).max(0.0), high: (centre + high).min(1.0) }
    }

    /// The intersection of all intervals so far, which is valid too.
    pub fn running(&self) -> Bounds {
        self.running
    }
}
