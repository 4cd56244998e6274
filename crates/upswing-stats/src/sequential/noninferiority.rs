//! Non-inferiority: is the new version at least nearly as good as the current one was at the same time?

use super::evidence::{Evidence, log_mean_exp};
use super::{Alpha, Arm, InputError, StateError, bytes, error};

/// How much worse is too much. Outcomes are oriented so that larger is better.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(into = "Form", try_from = "Form")]
pub struct Margin {
    /// The null is `new <= ratio * current - offset`.
    ratio: f64,
    offset: f64,
}

impl Margin {
    /// The new version's mean must be more than `ratio` times the current's, `ratio` in (0, 1). The default is 0.95.
    ///
    /// What a ratio allows depends on the mean. 0.95 of 99.5 % good outcomes lets failures rise from 0.5 % to 5.5 %, and
    /// 0.95 of 2 % is a difference of a thousandth, which takes a million units to show. Use an absolute margin there.
    ///
    /// # Errors
    /// Outside of (0, 1).
    pub fn relative(ratio: f64) -> Result<Self, InputError> {
        let ratio =
            error::require("ratio", ratio, "between 0 and 1, both excluded", ratio > 0.0 && ratio < 1.0)?;
        Ok(Self { ratio, offset: 0.0 })
    }

    /// The new version's mean must be more than the current's minus `difference`, in (0, 1).
    ///
    /// # Errors
    /// Outside of (0, 1).
    pub fn absolute(difference: f64) -> Result<Self, InputError> {
        let passes = difference > 0.0 && difference < 1.0;
        let offset = error::require("difference", difference, "between 0 and 1, both excluded", passes)?;
        Ok(Self { ratio: 1.0, offset })
    }
}

impl Default for Margin {
    /// 0.95 of the current version's mean.
    fn default() -> Self {
        Self { ratio: 0.95, offset: 0.0 }
    }
}

/// How a margin is written down.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum Form {
    Relative(f64),
    Absolute(f64),
}

impl From<Margin> for Form {
    fn from(margin: Margin) -> Self {
        if margin.offset > 0.0 { Self::Absolute(margin.offset) } else { Self::Relative(margin.ratio) }
    }
}

impl TryFrom<Form> for Margin {
    type Error = InputError;

    fn try_from(form: Form) -> Result<Self, InputError> {
        match form {
            Form::Relative(ratio) => Self::relative(ratio),
            Form::Absolute(difference) => Self::absolute(difference),
        }
    }
}

/// A test whose rejection says that the new version is not worse than the current one by the margin or more. Valid at
/// every look, without any approximation, for outcomes in [0, 1], larger being better.
///
/// Use it before a new version gets all traffic: that no harm was found is not evidence that there is none.
///
/// For a unit with outcome y, arm A and allocation probability pi, and a prediction m of the outcome from the past, the
/// score `f = (1 - r) m + A/pi (y - m) - r (1 - A)/(1 - pi) (y - m) + margin` has the expectation `new - r current +
/// margin`, whatever m is; m only takes variance away. Under the null that is at most 0, so `1 + l f` has an expectation
/// of at most 1 for every bet `l >= 0` that is fixed before the unit and small enough that the factor cannot be negative.
///
/// The e-value is the mean of four wealth processes. Three bet a half, one and two times the growth-optimal amount of a
/// version that is exactly as good as the current one, which is the case that promotion is made for: `mu / (var + mu^2)`
/// with `mu = (1 - r) m + margin` and the variance that follows from the pooled one and pi. The fourth learns the amount
/// from past scores (aGRAPA), for versions that are better or somewhat worse. Bets are capped at a loss of 0.9 and 0.5 of
/// the wealth.
///
/// Median units until rejection, at alpha 0.05 and r 0.95, of 300 simulated streams of two equal versions:
///
/// | allocation | outcomes | this mixture | aGRAPA alone | mixture of eight fixed fractions |
/// | --- | --- | --- | --- | --- |
/// | 1:1 | rate 0.995 | 153 | 259 | 255 |
/// | 1:1 | rate 0.9 | 1,264 | 1,359 | 1,375 |
/// | 1:1 | rate 0.5 | 9,024 | 13,828 | 11,102 |
/// | 1:1 | five stars, mean 0.74 | 1,236 | 1,533 | 1,571 |
/// | 1:9 | rate 0.995 | 674 | 1,153 | 938 |
/// | 1:9 | rate 0.9 | 3,832 | 4,164 | 4,809 |
/// | 1:9 | rate 0.5 | 24,727 | 38,712 | 29,969 |
/// | 1:9 | five stars, mean 0.74 | 4,119 | 4,671 | 5,206 |
///
/// **Null.** At no time does the new version's mean, given the past, exceed r times the current's mean of the same time
/// (minus the margin). Both may drift. Rejected, it says that the new version was better than that at some time, not for
/// ever: one that breaks later is for the guardrails to find.
///
/// **What must hold:** one outcome per unit, and whether there is one must not depend on the
/// outcome in one arm more than in the other.
///
/// An observation costs O(1), the state is a few hundred bytes. The order matters: two tests cannot be merged.
///
/// Sources: Waudby-Smith, Ramdas, "Estimating means of bounded random variables by betting", JRSS B 86 (2024), arXiv
/// 2010.09686, for the bets (aGRAPA is in its appendix B); Robins, Rotnitzky, Zhao, JASA 89 (1994), for the scores.
///
/// ```
/// use upswing_stats::sequential::{Alpha, Arm, Margin, NonInferiorityTest};
///
/// let mut test = NonInferiorityTest::new(Margin::relative(0.95)?, Alpha::new(0.05)?);
/// for _ in 0..200 {
///     test.observe(Arm::Control, 1.0, 0.5)?;
///     test.observe(Arm::Treatment, 1.0, 0.5)?;
/// }
/// assert!(test.rejected_at().unwrap() < 200);
/// # Ok::<(), upswing_stats::sequential::InputError>(())
/// ```
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(into = "Vec<u8>", try_from = "Vec<u8>")]
pub struct NonInferiorityTest {
    margin: Margin,
    alpha: Alpha,
    control: Sums,
    treatment: Sums,
    scores: Sums,
    /// The logarithm of the wealth of each strategy: those of [`SHARES`], then aGRAPA.
    wealth: [f64; 4],
    evidence: Evidence,
}

/// How much the first three strategies bet, in growth-optimal bets on an equally good version.
const SHARES: [f64; 3] = [0.5, 1.0, 2.0];
/// What one unit may cost of the wealth: a bet on equality is on something known beforehand and may be bold.
const BOLDEST: f64 = 0.9;
const BOLDEST_LEARNED: f64 = 0.5;

#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Sums {
    count: u64,
    sum: f64,
    squares: f64,
}

impl Sums {
    fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        self.squares += value * value;
    }

    fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    fn write(&self, to: &mut bytes::Writer) {
        to.count(self.count);
        to.float(self.sum);
        to.float(self.squares);
    }

    fn read(from: &mut bytes::Reader<'_>) -> Result<Self, StateError> {
        let count = from.count()?;
        let sum = from.finite(|_| true)?;
        let squares = from.finite(|s| s >= 0.0)?;
        // Cauchy and Schwarz, but for rounding; nothing observed sums to nothing.
        let n = count as f64;
        let possible = sum * sum <= n * squares * (1.0 + 1e-9) + 1e-9;
        if possible { Ok(Self { count, sum, squares }) } else { Err(StateError::Corrupt) }
    }
}

/// What is known of a unit before its arm and outcome are.
struct Prospect {
    /// The predicted outcome.
    prediction: f64,
    /// The expected score of an equally good version.
    equal: f64,
    /// The growth-optimal bet on that version.
    bet: f64,
    /// The score is at least its negative.
    bound: f64,
}

impl NonInferiorityTest {
    /// A test that has seen nothing.
    pub fn new(margin: Margin, alpha: Alpha) -> Self {
        Self {
            margin,
            alpha,
            control: Sums::default(),
            treatment: Sums::default(),
            scores: Sums::default(),
            wealth: [0.0; 4],
            evidence: Evidence::default(),
        }
    }

    /// Takes the outcome of one unit; arguments as in [`super::RandomisationTest::observe`], the outcome larger when
    /// better.
    ///
    /// # Errors
    /// An outcome outside of [0, 1], a probability outside of (0, 1), or one so close to an end that the score overflows.
    /// Nothing changes then.
    pub fn observe(
        &mut self,
        arm: Arm,
        outcome: f64,
        probability_of_treatment: f64,
    ) -> Result<(), InputError> {
        let y = error::outcome(outcome)?;
        let pi = error::allocation(probability_of_treatment)?;
        let prospect = self.prospect(pi);
        let residual = y - prospect.prediction;
        let score = prospect.equal
            + match arm {
                Arm::Treatment => residual / pi,
                Arm::Control => -self.margin.ratio * residual / (1.0 - pi),
            };
        if !(score * score).is_finite() {
            return Err(InputError::Allocation(probability_of_treatment));
        }
        let learned = self.learned_bet();
        for (wealth, share) in self.wealth.iter_mut().zip(SHARES) {
            *wealth += (score * capped(share * prospect.bet, BOLDEST, prospect.bound)).ln_1p();
        }
        if let Some(wealth) = self.wealth.last_mut() {
            *wealth += (score * capped(learned, BOLDEST_LEARNED, prospect.bound)).ln_1p();
        }
        self.scores.add(score);
        match arm {
            Arm::Control => self.control.add(y),
            Arm::Treatment => self.treatment.add(y),
        }
        let largest = self.wealth.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if self.evidence.may_rise(largest) {
            self.evidence.see(self.log_e(), self.observations(), self.alpha);
        }
        Ok(())
    }

    fn prospect(&self, pi: f64) -> Prospect {
        let Margin { ratio, offset } = self.margin;
        // Both arms and half a unit at either end, so that neither the mean nor the variance is ever at its limit.
        let count = 1.0 + (self.control.count + self.treatment.count) as f64;
        let prediction = (0.5 + self.control.sum + self.treatment.sum) / count;
        let square = (0.5 + self.control.squares + self.treatment.squares) / count;
        let equal = (1.0 - ratio) * prediction + offset;
        let variance = (square - prediction * prediction).max(0.0) * (1.0 / pi + ratio * ratio / (1.0 - pi));
        // The worst that can happen: the new version fails, or the current one succeeds.
        let failure = prediction / pi - equal;
        let success = ratio * (1.0 - prediction) / (1.0 - pi) - equal;
        Prospect { prediction, equal, bet: equal / (variance + equal * equal), bound: failure.max(success) }
    }

    /// aGRAPA: the growth-optimal bet to second order, if scores went on as they were.
    fn learned_bet(&self) -> f64 {
        let count = 1.0 + self.scores.count as f64;
        let mean = self.scores.sum / count;
        // At least the square of the mean, by Cauchy and Schwarz, and above 0.
        let square = (1.0 + self.scores.squares) / count;
        mean / square
    }

    /// The logarithm of the e-value now: evidence that the new version is not worse by the margin.
    pub fn log_e(&self) -> f64 {
        log_mean_exp(self.wealth.iter().copied())
    }

    /// The largest log e-value so far, at least 0.
    pub fn largest_log_e(&self) -> f64 {
        self.evidence.maximum()
    }

    /// At which unit, counted from 1, "worse by the margin" was first rejected. It stays rejected.
    pub fn rejected_at(&self) -> Option<u64> {
        self.evidence.rejected_at()
    }

    /// A p-value that is valid at every look.
    pub fn p_value(&self) -> f64 {
        self.evidence.p_value()
    }

    /// How many units were observed.
    pub fn observations(&self) -> u64 {
        self.control.count + self.treatment.count
    }

    /// How many units of an arm were observed.
    pub fn units(&self, arm: Arm) -> u64 {
        self.sums(arm).count
    }

    /// The mean outcome of an arm; `None` before its first unit.
    pub fn mean(&self, arm: Arm) -> Option<f64> {
        self.sums(arm).mean()
    }

    fn sums(&self, arm: Arm) -> &Sums {
        match arm {
            Arm::Control => &self.control,
            Arm::Treatment => &self.treatment,
        }
    }

    /// The level of the test.
    pub fn alpha(&self) -> Alpha {
        self.alpha
    }

    /// What the new version is compared with.
    pub fn margin(&self) -> Margin {
        self.margin
    }

    /// The state as bytes, about 150. What is restored from them continues with the same bits.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut to = bytes::Writer::new(bytes::Kind::NonInferiority);
        [self.margin.ratio, self.margin.offset, self.alpha.value()].into_iter().for_each(|v| to.float(v));
        [self.control, self.treatment, self.scores].iter().for_each(|sums| sums.write(&mut to));
        self.wealth.iter().for_each(|&wealth| to.float(wealth));
        self.evidence.write(&mut to);
        to.finish()
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// Another layout, another method's state, or bytes that were cut off, changed, or contradict themselves.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StateError> {
        let mut from = bytes::Reader::new(bytes, bytes::Kind::NonInferiority)?;
        let (ratio, offset) =
            (from.finite(|r| r > 0.0 && r <= 1.0)?, from.finite(|m| (0.0..1.0).contains(&m))?);
        // Either a ratio or a difference.
        if (ratio < 1.0) == (offset > 0.0) {
            return Err(StateError::Corrupt);
        }
        let alpha = Alpha::new(from.float()?).map_err(|_| StateError::Corrupt)?;
        let mut test = Self::new(Margin { ratio, offset }, alpha);
        for sums in [&mut test.control, &mut test.treatment, &mut test.scores] {
            *sums = Sums::read(&mut from)?;
        }
        let bounded = |s: &Sums| (0.0..=s.count as f64).contains(&s.sum) && s.squares <= s.sum * (1.0 + 1e-9);
        let consistent = bounded(&test.control) && bounded(&test.treatment);
        if !consistent || test.scores.count != test.observations() {
            return Err(StateError::Corrupt);
        }
        for wealth in &mut test.wealth {
            *wealth = from.finite(|_| true)?;
        }
        test.evidence = Evidence::read(&mut from, test.observations(), alpha)?;
        from.finish()?;
        Ok(test)
    }
}

/// A bet of which one unit takes at most `most` of the wealth; never negative.
fn capped(bet: f64, most: f64, bound: f64) -> f64 {
    if bound > 0.0 { bet.clamp(0.0, most / bound) } else { bet.max(0.0) }
}

impl From<NonInferiorityTest> for Vec<u8> {
    fn from(test: NonInferiorityTest) -> Self {
        test.to_bytes()
    }
}

impl TryFrom<Vec<u8>> for NonInferiorityTest {
    type Error = StateError;

    fn try_from(bytes: Vec<u8>) -> Result<Self, StateError> {
        Self::from_bytes(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn margins() -> [Margin; 3] {
        [Margin::default(), Margin::relative(0.5).unwrap(), Margin::absolute(0.1).unwrap()]
    }

    /// The expectation of the e-value over arms and outcomes, with an allocation that depends on the past.
    fn expectation(test: &NonInferiorityTest, rates: [f64; 2], score: f64, left: usize) -> f64 {
        if left == 0 {
            return test.log_e().exp();
        }
        let pi = 0.5 + 0.4 * (score + left as f64).sin();
        let mut sum = 0.0;
        for (arm, share, rate) in [(Arm::Control, 1.0 - pi, rates[0]), (Arm::Treatment, pi, rates[1])] {
            for (outcome, probability) in [(1.0, rate), (0.0, 1.0 - rate)] {
                let mut next = test.clone();
                next.observe(arm, outcome, pi).unwrap();
                let score = score + if arm == Arm::Treatment { outcome } else { -outcome };
                sum += share * probability * expectation(&next, rates, score, left - 1);
            }
        }
        sum
    }

    #[test]
    fn at_the_margin_the_expectation_is_exactly_one_and_beyond_it_less() {
        for margin in margins() {
            let new = NonInferiorityTest::new(margin, Alpha::default());
            for current in [0.995, 0.6, 0.2] {
                let limit = margin.ratio * current - margin.offset;
                let e = expectation(&new, [current, limit], 0.0, 6);
                assert!((e - 1.0).abs() < 1e-12, "{margin:?} {current}: {e}");
                assert!(expectation(&new, [current, limit * 0.9], 0.0, 5) < 1.0);
                assert!(expectation(&new, [current, current], 0.0, 5) > 1.0);
            }
        }
    }

    #[test]
    fn what_has_no_meaning_is_refused_and_changes_nothing() {
        let mut test = NonInferiorityTest::new(Margin::default(), Alpha::default());
        test.observe(Arm::Control, 0.3, 0.5).unwrap();
        let before = test.clone();
        for pi in [0.0, 1.0, -0.1, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE] {
            let refused = test.observe(Arm::Treatment, 1.0, pi).unwrap_err();
            assert!(matches!(refused, InputError::Allocation(_)), "{refused}");
        }
        for outcome in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            let refused = test.observe(Arm::Treatment, outcome, 0.5).unwrap_err();
            assert!(matches!(refused, InputError::Outcome(_)), "{refused}");
        }
        assert_eq!(test, before);
        for bad in [0.0, 1.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Margin::relative(bad).is_err() && Margin::absolute(bad).is_err());
        }
    }

    #[test]
    fn margins_and_states_pass_through_json() {
        for margin in margins() {
            let text = serde_json::to_string(&margin).unwrap();
            assert_eq!(serde_json::from_str::<Margin>(&text).unwrap(), margin);
            let mut test = NonInferiorityTest::new(margin, Alpha::default());
            test.observe(Arm::Control, 0.3, 0.1).unwrap();
            let text = serde_json::to_string(&test).unwrap();
            assert_eq!(serde_json::from_str::<NonInferiorityTest>(&text).unwrap(), test);
        }
        assert!(serde_json::from_str::<Margin>(r#"{"relative":1.5}"#).is_err());
        assert!(serde_json::from_str::<Alpha>("0").is_err());
        assert!(serde_json::from_str::<NonInferiorityTest>("[1,3,7]").is_err());
    }

    fn stream() -> impl Strategy<Value = Vec<(bool, f64, f64)>> {
        let outcome = prop_oneof![Just(0.0), Just(1.0), 0.0..=1.0];
        let pi = prop_oneof![0.01..0.99, Just(1e-12), Just(1.0 - 1e-12)];
        prop::collection::vec((any::<bool>(), outcome, pi), 0..80)
    }

    fn feed(test: &mut NonInferiorityTest, stream: &[(bool, f64, f64)]) {
        for &(treated, y, pi) in stream {
            test.observe(if treated { Arm::Treatment } else { Arm::Control }, y, pi).unwrap();
        }
    }

    proptest! {
        #[test]
        fn wealth_stays_positive_and_what_is_restored_continues_with_the_same_bits(
            first in stream(),
            second in stream(),
            margin in 0..3_usize,
        ) {
            let mut straight = NonInferiorityTest::new(margins()[margin], Alpha::default());
            feed(&mut straight, &first);
            prop_assert!(straight.wealth.iter().all(|wealth| wealth.is_finite()));
            let mut restored = NonInferiorityTest::from_bytes(&straight.to_bytes()).unwrap();
            feed(&mut straight, &second);
            feed(&mut restored, &second);
            prop_assert_eq!(&restored, &straight);
        }

        #[test]
        fn changed_bytes_are_refused(first in stream(), at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
            let mut original = NonInferiorityTest::new(Margin::default(), Alpha::default());
            feed(&mut original, &first);
            let bytes = original.to_bytes();
            let mut changed = bytes.clone();
            changed[at.index(bytes.len())] ^= flip;
            prop_assert!(NonInferiorityTest::from_bytes(&changed).is_err());
            prop_assert!(NonInferiorityTest::from_bytes(&bytes[..at.index(bytes.len())]).is_err());
        }
    }
}
