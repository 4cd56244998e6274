//! Intervals for one bounded mean by betting against every value it could have.

use super::predictable::Plugin;
use super::{Alpha, Bounds, InputError, error};

/// How much is bet.
#[derive(Debug, Clone, PartialEq)]
enum Bets {
    /// One predictable bet for each side, and the larger of the two wealths.
    Hedged(Plugin),
    /// Equally many fixed shares of what could be lost, and the mean of all wealths.
    DiversifiedKelly(usize),
}

/// A confidence sequence for the mean of outcomes in [0, 1], usually the tightest there is for few outcomes.
///
/// Use it to display one version's rate or rating while it grows. To compare versions use [`super::RandomisationTest`]:
/// that two intervals overlap says little. It is exact for outcomes whose mean given the past is constant.
///
/// A gambler against each value m wins money when the mean lies elsewhere, fairly when m is the mean; values against
/// which `1/alpha` was won are excluded. *Hedged* bets the variance-dependent amounts of `l_t = sqrt(2 ln(2/alpha) /
/// (v_(t-1) t ln(1 + t)))`, capped at `1/(2 m)` upwards and `1/(2 (1 - m))` downwards, and keeps m when neither half of
/// the capital has won. *Diversified Kelly* spreads the capital over fixed shares `i/(D + 1)` of the bets that could lose
/// everything: it needs no variance and is tighter at first.
///
/// m runs over a grid, 1,000 steps by default, to whose width intervals are rounded outwards. An outcome costs O(steps),
/// a few microseconds (times D for diversified bets), and so does the memory.
///
/// Source: Waudby-Smith, Ramdas, "Estimating means of bounded random variables by betting", JRSS B 86 (2024), arXiv
/// 2010.09686: theorem 3 (hedged), appendix B (diversified Kelly).
///
/// ```
/// use upswing_stats::sequential::{Alpha, BettingSequence};
/// let mut rate = BettingSequence::hedged(Alpha::new(0.05)?);
/// for i in 0..300 {
///     rate.observe(f64::from(i % 4 != 0))?;
/// }
/// let bounds = rate.running();
/// assert!(bounds.contains(0.75) && bounds.high - bounds.low < 0.2);
/// # Ok::<(), upswing_stats::sequential::InputError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct BettingSequence {
    alpha: Alpha,
    steps: usize,
    bets: Bets,
    /// Wealth of bets that the mean is above and below `place / steps`; for diversified bets the shares one after the
    /// other. Small ones may vanish in rounding to 0, which only ever widens the interval.
    above: Vec<f64>,
    below: Vec<f64>,
    running: Bounds,
    now: Bounds,
}

const STEPS: usize = 1000;

impl BettingSequence {
    /// Hedged bets on 1,000 steps.
    pub fn hedged(alpha: Alpha) -> Self {
        Self::new(alpha, STEPS, Bets::Hedged(Plugin::new()), 1)
    }

    /// Diversified Kelly bets with so many shares, 1 to 100, on 1,000 steps. 10 are plenty.
    ///
    /// # Errors
    /// Another number of shares.
    pub fn diversified_kelly(alpha: Alpha, shares: usize) -> Result<Self, InputError> {
        error::require("shares", shares as f64, "1 to 100", (1..=100).contains(&shares))?;
        Ok(Self::new(alpha, STEPS, Bets::DiversifiedKelly(shares), shares))
    }

    /// The same bets from the start on another grid, of 10 to 100,000 steps.
    ///
    /// # Errors
    /// Another number of steps.
    pub fn with_steps(self, steps: usize) -> Result<Self, InputError> {
        error::require("steps", steps as f64, "10 to 100,000", (10..=100_000).contains(&steps))?;
        Ok(match self.bets {
            Bets::Hedged(_) => Self::new(self.alpha, steps, Bets::Hedged(Plugin::new()), 1),
            Bets::DiversifiedKelly(shares) => {
                Self::new(self.alpha, steps, Bets::DiversifiedKelly(shares), shares)
            }
        })
    }

    fn new(alpha: Alpha, steps: usize, bets: Bets, shares: usize) -> Self {
        let wealth = vec![1.0; (steps + 1) * shares];
        Self {
            alpha,
            steps,
            bets,
            above: wealth.clone(),
            below: wealth,
            running: Bounds::UNIT,
            now: Bounds::UNIT,
        }
    }

    /// Takes an outcome.
    ///
    /// # Errors
    /// Outside of [0, 1]. Nothing changes then.
    pub fn observe(&mut self, outcome: f64) -> Result<(), InputError> {
        let x = error::outcome(outcome)?;
        let steps = self.steps as f64;
        match &mut self.bets {
            Bets::Hedged(plugin) => {
                let bet = plugin.bet(self.alpha);
                let wealth = self.above.iter_mut().zip(&mut self.below).enumerate();
                for (place, (above, below)) in wealth {
                    let m = place as f64 / steps;
                    *above *= 1.0 + bet.min(0.5 / m) * (x - m);
                    *below *= 1.0 - bet.min(0.5 / (1.0 - m)) * (x - m);
                }
                plugin.add(x);
            }
            Bets::DiversifiedKelly(shares) => {
                let wealth = self.above.chunks_mut(*shares).zip(self.below.chunks_mut(*shares)).enumerate();
                for (place, (above, below)) in wealth {
                    let m = place as f64 / steps;
                    // What a unit bet becomes; against an end it is lost only to what is impossible under it.
                    let (up, down) = (gain(x, m), gain(1.0 - x, 1.0 - m));
                    for (share, (above, below)) in above.iter_mut().zip(below).enumerate() {
                        let share = (share + 1) as f64 / (*shares + 1) as f64;
                        *above *= 1.0 - share + share * up;
                        *below *= 1.0 - share + share * down;
                    }
                }
            }
        }
        self.now = Bounds::on_grid(self.steps, |place| self.wealth(place) <= 1.0 / self.alpha.value());
        self.running = self.running.intersect(self.now);
        Ok(())
    }

    /// What the gambler against `place / steps` owns, having started with 1.
    fn wealth(&self, place: usize) -> f64 {
        match self.bets {
            Bets::Hedged(_) => {
                let of = |side: &[f64]| side.get(place).copied().unwrap_or(0.0) / 2.0;
                of(&self.above).max(of(&self.below))
            }
            Bets::DiversifiedKelly(shares) => {
                let of = |side: &[f64]| side.iter().skip(place * shares).take(shares).sum::<f64>();
                (of(&self.above) + of(&self.below)) / (2 * shares) as f64
            }
        }
    }

    /// The interval now.
    pub fn now(&self) -> Bounds {
        self.now
    }

    /// The intersection of all intervals so far, which is valid too. It is empty when the outcomes' mean has moved so far
    /// that no single value is left.
    pub fn running(&self) -> Bounds {
        self.running
    }
}

/// What becomes of a bet of everything on "above m", with fair odds.
fn gain(x: f64, m: f64) -> f64 {
    // Against m = 0, an outcome of 0 leaves the bet as it is, and any other one wins without limit.
    if m > 0.0 {
        x / m
    } else if x > 0.0 {
        f64::INFINITY
    } else {
        1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_excluded_only_by_what_is_impossible_under_them() {
        let sequences = [
            BettingSequence::hedged(Alpha::default()),
            BettingSequence::diversified_kelly(Alpha::default(), 10).unwrap(),
        ];
        for mut sequence in sequences {
            assert_eq!(sequence.now(), Bounds::UNIT);
            for _ in 0..2000 {
                sequence.observe(0.0).unwrap();
            }
            let bounds = sequence.running();
            assert!(bounds.low <= 0.0 && bounds.high < 0.01, "{bounds:?}");
            // The mean moves: in the end nothing is left.
            for _ in 0..2000 {
                sequence.observe(1.0).unwrap();
            }
            assert!(sequence.running().is_empty(), "{:?}", sequence.running());
        }
    }

    #[test]
    fn what_has_no_meaning_is_refused_and_changes_nothing() {
        let mut sequence = BettingSequence::hedged(Alpha::default());
        sequence.observe(0.3).unwrap();
        let before = sequence.clone();
        for outcome in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert!(matches!(sequence.observe(outcome), Err(InputError::Outcome(_))));
        }
        assert_eq!(sequence, before);
        assert!(BettingSequence::diversified_kelly(Alpha::default(), 0).is_err());
        assert!(sequence.with_steps(1).is_err());
    }
}
