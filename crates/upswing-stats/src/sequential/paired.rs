//! Pairs: two versions on the same input, each with its outcome.

use super::boundaries::{GammaExponentialMixture, Mixture as _, Tuning};
use super::evidence::log_mean_exp;
use super::{Alpha, InputError, error};

/// What is bet, as a share of all there is. The mean over k of them loses at most `ln k` of log evidence to the best.
///
/// Of pairs in which one alone failed, with a share p of them the new version, the best bet is `2 p - 1`: 7/8 for what is
/// broken, 1/32 for what is a little worse among much noise.
const BETS: [f64; 6] = [1.0 / 32.0, 1.0 / 16.0, 1.0 / 8.0, 1.0 / 4.0, 1.0 / 2.0, 7.0 / 8.0];

/// A test of whether a new version is worse than the current one on the same inputs, valid at every look, without any
/// approximation.
///
/// Use it where both were executed: a shadow, a replay. Nothing is drawn, so nothing has to be: the input is the same, and what
/// differs is the version. Where a unit got one version by chance use [`super::RandomisationTest`].
///
/// With differences d in [-1, 1], new less current and larger being worse, the evidence for a bet b is the product of
/// `1 + b d`, and the e-value is the mean over bets of 1/32 to 7/8.
///
/// **Null.** Given the past, the expected difference is at most 0: each factor is then at most 1 in expectation. Pairs in
/// which both did the same say nothing, and cost nothing.
///
/// An observation costs O(1). The order does not matter but for rounding.
///
/// Source: Waudby-Smith, Ramdas, "Estimating means of bounded random variables by betting", JRSS B 86 (2024), arXiv
/// 2010.09686, for the bets; Shafer, "Testing by betting", JRSS A 184 (2021), for what they prove.
///
/// ```
/// use upswing_stats::sequential::PairedTest;
///
/// let mut test = PairedTest::default();
/// for pair in 0..40 {
///     test.observe(f64::from(pair % 4 == 0))?; // The new version alone fails, every fourth time.
/// }
/// assert!(test.log_e() > 20_f64.ln());
/// # Ok::<(), upswing_stats::sequential::InputError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct PairedTest {
    pairs: u64,
    /// The logarithm of what each bet has become.
    wealth: [f64; BETS.len()],
}

impl PairedTest {
    /// Takes the difference of one pair, new less current, larger being worse.
    ///
    /// # Errors
    /// Outside of [-1, 1]. Nothing changes then.
    pub fn observe(&mut self, difference: f64) -> Result<(), InputError> {
        let d = error::require("difference", difference, "-1 to 1", (-1.0..=1.0).contains(&difference))?;
        self.pairs += 1;
        for (wealth, bet) in self.wealth.iter_mut().zip(BETS) {
            *wealth += (bet * d).ln_1p();
        }
        Ok(())
    }

    /// The log e-value now.
    pub fn log_e(&self) -> f64 {
        log_mean_exp(self.wealth.iter().copied())
    }

    /// How many pairs were observed.
    pub fn pairs(&self) -> u64 {
        self.pairs
    }
}

/// What is needed for an interval around the mean of outcomes in [0, 1] that is exact at every look.
///
/// An empirical Bernstein interval with the gamma-exponential boundary: where outcomes hardly vary, as differences of rare
/// failures do not, it is narrow with few of them. O(1) an outcome, and so is the state.
///
/// Source: Howard, Ramdas, McAuliffe, Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences", Annals
/// of Statistics 49 (2021), arXiv 1810.08240, theorem 4.
///
/// ```
/// use upswing_stats::sequential::{Alpha, PairedInterval};
///
/// let mut same = PairedInterval::default();
/// for _ in 0..1000 {
///     same.observe(0.5)?;
/// }
/// let [low, high] = same.interval(Alpha::new(0.05)?)?;
/// assert!(low > 0.48 && high < 0.52);
/// # Ok::<(), upswing_stats::sequential::InputError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct PairedInterval {
    count: u64,
    sum: f64,
    /// The squares of what each outcome was away from what the past let expect.
    squares: f64,
}

/// The boundary is narrowest where the squares sum to so much: that of some hundred outcomes of which one in fifty differs.
const NARROWEST: f64 = 1.0;
/// An intrinsic time has to be positive; less would not narrow the interval any more.
const LEAST: f64 = 1e-3;

impl PairedInterval {
    /// Takes an outcome.
    ///
    /// # Errors
    /// Outside of [0, 1]. Nothing changes then.
    pub fn observe(&mut self, outcome: f64) -> Result<(), InputError> {
        let x = error::outcome(outcome)?;
        let expected = (0.5 + self.sum) / (self.count as f64 + 1.0);
        self.squares += (x - expected) * (x - expected);
        self.sum += x;
        self.count += 1;
        Ok(())
    }

    /// The interval now; all of [0, 1] before the first outcome.
    ///
    /// # Errors
    /// An alpha of 1 or so many outcomes that the special functions fail.
    pub fn interval(&self, alpha: Alpha) -> Result<[f64; 2], InputError> {
        if self.count == 0 {
            return Ok([0.0, 1.0]);
        }
        // Half for each end.
        let half = Alpha::new(alpha.value() / 2.0)?;
        let mixture = GammaExponentialMixture::new(Tuning::new(NARROWEST, half)?, 1.0)?;
        let n = self.count as f64;
        let width = mixture.bound(self.squares.max(LEAST), half)? / n;
        let mean = self.sum / n;
        Ok([(mean - width).max(0.0), (mean + width).min(1.0)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of all sequences of so many pairs.
    fn expectation(test: PairedTest, left: u32, steps: &[(f64, f64)]) -> f64 {
        if left == 0 {
            return test.log_e().exp();
        }
        let next = |(difference, probability): &(f64, f64)| {
            let mut next = test;
            next.observe(*difference).unwrap();
            probability * expectation(next, left - 1, steps)
        };
        steps.iter().map(next).sum()
    }

    #[test]
    fn the_expectation_is_one_where_none_is_worse_and_less_where_the_new_one_is_better() {
        let fair = [(1.0, 0.1), (-1.0, 0.1), (0.0, 0.5), (0.5, 0.2), (-1.0, 0.1)];
        assert!((expectation(PairedTest::default(), 6, &fair) - 1.0).abs() < 1e-12);
        let better = [(1.0, 0.1), (-1.0, 0.3), (0.0, 0.6)];
        assert!(expectation(PairedTest::default(), 6, &better) < 1.0);
        let worse = [(1.0, 0.3), (-1.0, 0.1), (0.0, 0.6)];
        assert!(expectation(PairedTest::default(), 6, &worse) > 1.0);
    }

    #[test]
    fn pairs_that_did_the_same_say_nothing() {
        let mut test = PairedTest::default();
        for _ in 0..1000 {
            test.observe(0.0).unwrap();
        }
        assert_eq!((test.pairs(), test.log_e()), (1000, 0.0));
    }

    #[test]
    fn what_is_broken_is_found_soon_and_what_is_rarely_worse_in_time() {
        let mut broken = PairedTest::default();
        while broken.log_e() < 39_f64.ln() {
            broken.observe(1.0).unwrap();
        }
        // The boldest bet of six alone: (15/8)^n / 6 reaches 39 at n = 9.
        assert!(broken.pairs() <= 9, "{}", broken.pairs());
        // Of a thousand pairs the new one alone fails in 30, the current one alone in 5.
        let mut rare = PairedTest::default();
        let mut pairs = 0;
        while rare.log_e() < 39_f64.ln() {
            pairs += 1;
            rare.observe(if pairs % 200 == 0 { -1.0 } else { f64::from(pairs % 33 == 0) }).unwrap();
            assert!(pairs < 1_000);
        }
    }

    #[test]
    fn an_interval_covers_at_every_look() {
        // One in twenty differs, in a fixed order that no bet knows of: a linear congruential generator (Knuth's MMIX).
        let mut state = 1_u64;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        let mut missed = 0;
        for _ in 0..400 {
            let mut interval = PairedInterval::default();
            let outside = (0..500).any(|n| {
                interval.observe(if uniform() < 0.05 { 1.0 } else { 0.5 }).unwrap();
                // Each look counts; every tenth is enough to find what never covers.
                n % 10 == 0 && {
                    let [low, high] = interval.interval(Alpha::default()).unwrap();
                    !(low..=high).contains(&0.525)
                }
            });
            missed += u32::from(outside);
        }
        // At most 5 % are expected: 20, and three standard errors are 13.
        assert!(missed <= 33, "{missed}");
    }

    #[test]
    fn what_has_no_meaning_is_refused_and_changes_nothing() {
        let (mut test, mut interval) = (PairedTest::default(), PairedInterval::default());
        for bad in [1.1, -1.1, f64::NAN, f64::INFINITY] {
            assert!(test.observe(bad).is_err() && interval.observe(bad).is_err());
        }
        assert_eq!((test, interval), (PairedTest::default(), PairedInterval::default()));
        assert_eq!(interval.interval(Alpha::default()), Ok([0.0, 1.0]));
    }
}
