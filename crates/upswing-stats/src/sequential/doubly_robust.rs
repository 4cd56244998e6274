//! The doubly robust effect of a version, with an asymptotic confidence sequence.

use super::{Alpha, Arm, AsymptoticSequence, InputError, error};

/// One unit of an experiment, with what models predict for it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// The outcome expected under the current version, given the unit's features.
    pub control: f64,
    /// The outcome expected under the new version.
    pub treatment: f64,
}

/// Estimates the difference that the new version makes, in the outcome's unit, with models of the outcome taking away
/// variance.
///
/// Use it for unbounded metrics and wherever features of a unit predict its outcome: better models give narrower
/// intervals, and bad ones do no harm, since allocation is known. Each unit adds `f = m1(X) - m0(X) + (A/pi - (1 - A)/(1
/// - pi)) (Y - mA(X))`, whose expectation is the effect; the interval is the asymptotic sequence around the mean of f.
///
/// **The models must not have seen the unit**: either they were fitted on earlier units only (predictable), or the units
/// were split in two and each half is scored by the models of the other (cross-fitting). A model that has seen the
/// outcome it predicts makes intervals too narrow.
///
/// An observation costs O(1). Unlike with e-processes scores do not depend on each other, so two parts can be merged.
///
/// Source: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, "Time-uniform central limit theory and asymptotic confidence
/// sequences", Annals of Statistics 52 (2024), arXiv 2103.06476, section 3.
///
/// ```
/// use upswing_stats::sequential::{Alpha, Arm, AsymptoticSequence, DoublyRobust, Prediction};
/// let mut effect = DoublyRobust::default();
/// for i in 0..2000 {
///     let (arm, base) = (if i % 3 == 0 { Arm::Treatment } else { Arm::Control }, f64::from(i % 7));
///     let outcome = base + if arm == Arm::Treatment { 0.5 } else { 0.0 };
///     effect.observe(arm, outcome, 1.0 / 3.0, Prediction { control: base, treatment: base })?;
/// }
/// let interval = effect.interval(AsymptoticSequence::exact(2000.0, Alpha::new(0.05)?)?).unwrap();
/// assert!(interval.low < 0.5 && 0.5 < interval.high && interval.high - interval.low < 0.2);
/// # Ok::<(), upswing_stats::sequential::InputError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct DoublyRobust {
    count: u64,
    mean: f64,
    /// Sum of squared distances to the mean, by Welford's recurrence.
    squares: f64,
}

impl DoublyRobust {
    /// Takes the outcome of one unit, any finite number, and what models that have not seen it predict.
    ///
    /// # Errors
    /// A number that is not finite, a probability outside of (0, 1), or a score too large to square. Nothing changes
    /// then.
    pub fn observe(
        &mut self,
        arm: Arm,
        outcome: f64,
        probability_of_treatment: f64,
        predicted: Prediction,
    ) -> Result<(), InputError> {
        let y = error::require("outcome", outcome, "finite", true)?;
        let m0 = error::require("prediction for the control", predicted.control, "finite", true)?;
        let m1 = error::require("prediction for the treatment", predicted.treatment, "finite", true)?;
        let pi = error::allocation(probability_of_treatment)?;
        let score = m1 - m0
            + match arm {
                Arm::Treatment => (y - m1) / pi,
                Arm::Control => -(y - m0) / (1.0 - pi),
            };
        let count = self.count + 1;
        let distance = score - self.mean;
        let mean = self.mean + distance / count as f64;
        let squares = self.squares + distance * (score - mean);
        error::require("score", squares, "small enough to square", true)?;
        (self.count, self.mean, self.squares) = (count, mean, squares);
        Ok(())
    }

    /// Adds the scores of another part of the same experiment, such as the other half of a cross-fit.
    pub fn merge(&mut self, other: &Self) {
        let count = self.count + other.count;
        if count == 0 {
            return;
        }
        let share = other.count as f64 / count as f64;
        let distance = other.mean - self.mean;
        self.squares += other.squares + distance * distance * share * self.count as f64;
        self.mean += distance * share;
        self.count = count;
    }

    /// How many units were observed.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The variance of scores, which a single unit would have; `None` before the second.
    pub fn variance(&self) -> Option<f64> {
        (self.count > 1).then(|| self.squares / self.count as f64)
    }

    /// The effect within its interval; `None` before the second unit, or when the level of the sequence leaves nothing
    /// finite.
    pub fn interval(&self, sequence: AsymptoticSequence) -> Option<crate::Interval> {
        let half = sequence.half_width(self.variance()?.sqrt(), self.count as f64).ok()?;
        let interval = crate::Interval { estimate: self.mean, low: self.mean - half, high: self.mean + half };
        half.is_finite().then_some(interval)
    }

    /// Whether no effect lies outside of the interval, at the default tuning for `planned` units.
    ///
    /// # Errors
    /// A planned number that is not positive.
    pub fn rejects(&self, planned: f64, alpha: Alpha) -> Result<bool, InputError> {
        let interval = self.interval(AsymptoticSequence::approximate(planned, alpha)?);
        Ok(interval.is_some_and(|interval| interval.low > 0.0 || interval.high < 0.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whatever_the_models_the_expectation_over_arms_is_the_effect() {
        let (y1, y0) = (2.5, -1.0);
        for (control, treatment) in [(0.0, 0.0), (5.0, -3.0), (y0, y1)] {
            for pi in [0.1, 0.5, 0.8] {
                let score = |arm, outcome| {
                    let mut one = DoublyRobust::default();
                    one.observe(arm, outcome, pi, Prediction { control, treatment }).unwrap();
                    one.mean
                };
                let expected = pi * score(Arm::Treatment, y1) + (1.0 - pi) * score(Arm::Control, y0);
                assert!((expected - 3.5).abs() < 1e-12);
            }
        }
    }

    proptest! {
        #[test]
        fn merging_is_concatenation(values in prop::collection::vec((-10.0..10.0, any::<bool>()), 0..50), cut in 0..50_usize) {
            let feed = |values: &[(f64, bool)]| {
                let mut effect = DoublyRobust::default();
                for &(y, treated) in values {
                    let arm = if treated { Arm::Treatment } else { Arm::Control };
                    effect.observe(arm, y, 0.3, Prediction { control: 1.0, treatment: 2.0 }).unwrap();
                }
                effect
            };
            let cut = cut.min(values.len());
            let mut merged = feed(&values[..cut]);
            merged.merge(&feed(&values[cut..]));
            let whole = feed(&values);
            prop_assert_eq!(merged.count, whole.count);
            prop_assert!((merged.mean - whole.mean).abs() < 1e-9 && (merged.squares - whole.squares).abs() < 1e-6);
        }
    }

    #[test]
    fn what_has_no_meaning_is_refused_and_changes_nothing() {
        let mut effect = DoublyRobust::default();
        let fine = Prediction { control: 0.0, treatment: 0.0 };
        effect.observe(Arm::Control, 3.0, 0.5, fine).unwrap();
        let before = effect;
        assert!(effect.observe(Arm::Control, f64::NAN, 0.5, fine).is_err());
        assert!(effect.observe(Arm::Control, 1e300, 0.5, fine).is_err());
        assert!(effect.observe(Arm::Control, 1.0, 1.0, fine).is_err());
        assert!(
            effect.observe(Arm::Control, 1.0, 0.5, Prediction { control: f64::INFINITY, ..fine }).is_err()
        );
        assert_eq!(effect, before);
        assert_eq!(effect.variance(), None, "one score has no variance");
    }
}
