//! How far an off-policy estimate may be off.
//!
//! | interval | holds | needs |
//! |---|---|---|
//! | [`student_t`] | for many events of comparable weight | nothing |
//! | [`bootstrap`] | the same, and follows skewed contributions somewhat better | time: O(resamples n) |
//! | [`empirical_bernstein`] | for any number of events | a bound of the weights, and the rewards' range |
//! | [`hoeffding`] | for any number of events | the same; wider wherever weights vary |
//!
//! The first two rest on the central limit theorem, and where the few events with a reward carry large weights, neither holds
//! what it promises: contributions are skewed, the lower bound is too high and the upper one too low. [`super::Evidence`]
//! says so. The last two never promise too much, if their bounds are true.
//!
//! The bound is of what weights *can* be, from the design: 1 over the smallest probability that the logging policy gives
//! anything, or the smallest it gives where the target acts. The largest weight of the sample is not a bound, and taking it
//! for one voids the guarantee; so it has to be said, and a weight above it is an error.
//!
//! An interval is for the estimator's expectation. That is the target's value for unbiased estimators; of one that clips,
//! switches or shrinks, or of the direct method, the bias is not in it.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::{Contributions, Estimator, Log, Moments, OffPolicyError};
use crate::Interval;

pub use super::bootstrap::bootstrap;

/// Which sides of an interval are wanted. All of the error goes to them: a lower bound at 95 % is that of the two-sided
/// interval at 90 %.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Side {
    /// Only a lower bound; the upper one is infinite.
    Lower,
    /// Only an upper bound; the lower one is minus infinity.
    Upper,
    /// Both, each with half of the error.
    #[default]
    Both,
}

impl Side {
    /// The error that each bound may make.
    pub(super) fn error(self, confidence: f64) -> Result<f64, OffPolicyError> {
        if !(confidence > 0.0 && confidence < 1.0) {
            let expected = "a number above 0 and below 1";
            return Err(OffPolicyError::Parameter { name: "confidence", value: confidence, expected });
        }
        let error = 1.0 - confidence;
        Ok(if self == Self::Both { error / 2.0 } else { error })
    }

    /// An interval with these bounds, without those that were not wanted.
    pub(super) fn interval(self, estimate: f64, low: f64, high: f64) -> Interval {
        Interval {
            estimate,
            low: if self == Self::Upper { f64::NEG_INFINITY } else { low },
            high: if self == Self::Lower { f64::INFINITY } else { high },
        }
    }
}

/// What is known beforehand about weights and rewards.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// The largest weight that is possible: 1 over the smallest propensity that the logging policy allows.
    pub weight: f64,
    /// The smallest reward that is possible, of the model too.
    pub low: f64,
    /// The largest reward that is possible, of the model too.
    pub high: f64,
}

impl Bounds {
    /// How wide the range of one event's contribution is.
    ///
    /// # Errors
    /// When the bounds make no sense, the log breaks them, or the estimator is a ratio.
    pub fn width(&self, estimator: &Estimator, log: &Log) -> Result<f64, OffPolicyError> {
        let Self { weight: bound, low, high } = *self;
        if !(bound.is_finite() && bound > 0.0) {
            let expected = "a finite number above 0";
            return Err(OffPolicyError::Parameter { name: "the weights' bound", value: bound, expected });
        }
        if !(low < high && (high - low).is_finite()) {
            let expected = "a finite number above the smallest reward";
            return Err(OffPolicyError::Parameter { name: "the largest reward", value: high, expected });
        }
        if estimator.is_ratio() {
            return Err(OffPolicyError::NotAMean { estimator: estimator.name() });
        }
        for (index, event) in log.events().iter().enumerate() {
            // Rounding of the two probabilities is forgiven.
            if event.weight() > bound * (1.0 + 1e-9) {
                return Err(OffPolicyError::AboveBound { event: index, value: event.weight(), bound });
            }
            let model = event.model.filter(|_| estimator.needs_model());
            let modelled = model
                .map(|m| [("q of the logged action", m.logged), ("q under the target policy", m.target)]);
            let fields = std::iter::once(("the reward", event.reward)).chain(modelled.into_iter().flatten());
            for (field, value) in fields {
                if !(low..=high).contains(&value) {
                    return Err(OffPolicyError::OutsideRange { event: index, field, value, low, high });
                }
            }
        }
        let (low, high) = estimator.range(bound, low, high);
        if (high - low).is_finite() { Ok(high - low) } else { Err(OffPolicyError::Overflow) }
    }
}

/// Student's interval, from the linearised contributions. O(n).
///
/// # Errors
/// When there are fewer than two events or the confidence lies outside of (0, 1).
pub fn student_t(
    contributions: &Contributions,
    confidence: f64,
    side: Side,
) -> Result<Interval, OffPolicyError> {
    // The value is exact where a mean of linearised contributions is so up to rounding.
    let interval = student_t_of(&contributions.moments(), confidence, side)?;
    Ok(Interval { estimate: contributions.value(), ..interval })
}

/// The same from moments that were folded elsewhere. O(1).
///
/// # Errors
/// When there are fewer than two values or the confidence lies outside of (0, 1).
pub fn student_t_of(moments: &Moments, confidence: f64, side: Side) -> Result<Interval, OffPolicyError> {
    let error = side.error(confidence)?;
    let (mean, standard_error) = two(moments, moments.standard_error())?;
    let freedom = (moments.count() - 1) as f64;
    let quantile =
        StudentsT::new(0.0, 1.0, freedom).map_err(|_| OffPolicyError::Overflow)?.inverse_cdf(1.0 - error);
    let half = quantile * standard_error;
    Ok(side.interval(mean, mean - half, mean + half))
}

/// An interval that holds at any number of events, by the empirical Bernstein bound of a mean of independent bounded values:
/// half-width `sqrt(2 V ln(2/d) / n) + 7 width ln(2/d) / (3 (n - 1))`, V the sample variance, d the error of a side.
///
/// The second term alone shows what heavy weights cost: with weights up to 100 and a confidence of 95 %, 10,000 events leave
/// 0.1. O(n).
///
/// Source: Maurer, Pontil, "Empirical Bernstein Bounds and Sample Variance Penalization", COLT 2009, arXiv 0907.3740,
/// theorem 4; for off-policy evaluation Thomas, Theocharous, Ghavamzadeh, "High-Confidence Off-Policy Evaluation", AAAI 2015.
///
/// # Errors
/// When there are fewer than two events, the estimator is a ratio, the log breaks the bounds, or a parameter is out of range.
pub fn empirical_bernstein(
    estimator: &Estimator,
    log: &Log,
    bounds: &Bounds,
    confidence: f64,
    side: Side,
) -> Result<Interval, OffPolicyError> {
    let width = bounds.width(estimator, log)?;
    empirical_bernstein_of(&estimator.contributions(log)?.moments(), width, confidence, side)
}

/// The same from moments of values whose range is `width` wide. O(1).
///
/// # Errors
/// When there are fewer than two values, or the width or the confidence is out of range.
pub fn empirical_bernstein_of(
    moments: &Moments,
    width: f64,
    confidence: f64,
    side: Side,
) -> Result<Interval, OffPolicyError> {
    let error = side.error(confidence)?;
    check_width(width)?;
    let (mean, variance) = two(moments, moments.variance())?;
    let (n, log) = (moments.count() as f64, (2.0 / error).ln());
    let half = (2.0 * variance * log / n).sqrt() + 7.0 * width * log / (3.0 * (n - 1.0));
    Ok(side.interval(mean, mean - half, mean + half))
}

/// An interval that holds at any number of events, by Hoeffding's inequality: half-width `width sqrt(ln(1/d) / (2 n))`. Does
/// not look at the variance. O(n).
///
/// Source: W. Hoeffding, "Probability Inequalities for Sums of Bounded Random Variables", JASA 58 (1963),
/// DOI 10.1080/01621459.1963.10500830.
///
/// # Errors
/// When the estimator is a ratio, the log breaks the bounds, or a parameter is out of range.
pub fn hoeffding(
    estimator: &Estimator,
    log: &Log,
    bounds: &Bounds,
    confidence: f64,
    side: Side,
) -> Result<Interval, OffPolicyError> {
    let width = bounds.width(estimator, log)?;
    hoeffding_of(&estimator.contributions(log)?.moments(), width, confidence, side)
}

/// The same from moments of values whose range is `width` wide. O(1).
///
/// # Errors
/// When there are no values, or the width or the confidence is out of range.
pub fn hoeffding_of(
    moments: &Moments,
    width: f64,
    confidence: f64,
    side: Side,
) -> Result<Interval, OffPolicyError> {
    let error = side.error(confidence)?;
    check_width(width)?;
    let mean = moments.mean().ok_or(OffPolicyError::TooFew { events: 0, least: 1 })?;
    if !mean.is_finite() {
        return Err(OffPolicyError::Overflow);
    }
    let half = width * ((1.0 / error).ln() / (2.0 * moments.count() as f64)).sqrt();
    Ok(side.interval(mean, mean - half, mean + half))
}

fn check_width(width: f64) -> Result<(), OffPolicyError> {
    if width.is_finite() && width > 0.0 {
        return Ok(());
    }
    Err(OffPolicyError::Parameter { name: "the width", value: width, expected: "a finite number above 0" })
}

/// The mean, and a statistic that needs two values.
fn two(moments: &Moments, statistic: Option<f64>) -> Result<(f64, f64), OffPolicyError> {
    let too_few = OffPolicyError::TooFew { events: moments.count() as usize, least: 2 };
    let (mean, statistic) = moments.mean().zip(statistic).ok_or(too_few)?;
    if mean.is_finite() && statistic.is_finite() {
        Ok((mean, statistic))
    } else {
        Err(OffPolicyError::Overflow)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Event, Model};
    use super::*;

    fn log() -> Log {
        Log::new((0..50).map(|i| Event {
            reward: f64::from(i % 2),
            propensity: 0.5,
            target: if i % 3 == 0 { 1.0 } else { 0.25 },
            model: Some(Model { logged: 0.5, target: 0.5 }),
        }))
        .unwrap()
    }

    const BOUNDS: Bounds = Bounds { weight: 2.0, low: 0.0, high: 1.0 };

    #[test]
    fn a_one_sided_bound_is_that_of_the_two_sided_interval_with_twice_the_error() {
        let (log, dr) = (log(), Estimator::DoublyRobust);
        let contributions = dr.contributions(&log).unwrap();
        for method in [0, 1, 2, 3] {
            let of = |confidence, side| match method {
                0 => student_t(&contributions, confidence, side).unwrap(),
                1 => empirical_bernstein(&dr, &log, &BOUNDS, confidence, side).unwrap(),
                2 => hoeffding(&dr, &log, &BOUNDS, confidence, side).unwrap(),
                _ => bootstrap(&contributions, confidence, side, 400, 1).unwrap(),
            };
            let both = of(0.9, Side::Both);
            let (lower, upper) = (of(0.95, Side::Lower), of(0.95, Side::Upper));
            assert!(
                (both.low - lower.low).abs() < 1e-12 && (both.high - upper.high).abs() < 1e-12,
                "{method}"
            );
            assert_eq!((lower.high, upper.low), (f64::INFINITY, f64::NEG_INFINITY));
            assert!(both.low < both.estimate && both.estimate < both.high);
        }
    }

    #[test]
    fn guarantees_are_refused_where_their_bounds_are_broken() {
        let (log, ips) = (log(), Estimator::Ips);
        let ask =
            |estimator: Estimator, bounds: Bounds| hoeffding(&estimator, &log, &bounds, 0.95, Side::Both);
        assert!(ask(ips, BOUNDS).is_ok());
        let error = ask(ips, Bounds { weight: 1.5, ..BOUNDS });
        assert!(matches!(error, Err(OffPolicyError::AboveBound { event: 0, .. })), "{error:?}");
        let error = ask(ips, Bounds { high: 0.5, ..BOUNDS });
        assert!(matches!(error, Err(OffPolicyError::OutsideRange { event: 1, .. })), "{error:?}");
        assert!(matches!(ask(Estimator::Snips, BOUNDS), Err(OffPolicyError::NotAMean { .. })));
        for bounds in [
            Bounds { weight: f64::NAN, ..BOUNDS },
            Bounds { weight: 0.0, ..BOUNDS },
            Bounds { low: 1.0, ..BOUNDS },
            Bounds { high: f64::INFINITY, ..BOUNDS },
        ] {
            assert!(matches!(ask(ips, bounds), Err(OffPolicyError::Parameter { .. })), "{bounds:?}");
        }
    }

    #[test]
    fn confidence_and_counts_are_checked() {
        let moments = Moments::of([0.0, 1.0, 1.0]);
        for confidence in [0.0, 1.0, -1.0, f64::NAN] {
            for result in [
                student_t_of(&moments, confidence, Side::Both),
                empirical_bernstein_of(&moments, 1.0, confidence, Side::Lower),
                hoeffding_of(&moments, 1.0, confidence, Side::Upper),
            ] {
                assert!(matches!(result, Err(OffPolicyError::Parameter { name: "confidence", .. })));
            }
        }
        let one = Moments::of([1.0]);
        assert!(matches!(student_t_of(&one, 0.95, Side::Both), Err(OffPolicyError::TooFew { least: 2, .. })));
        assert!(empirical_bernstein_of(&one, 1.0, 0.95, Side::Both).is_err());
        assert!(hoeffding_of(&Moments::default(), 1.0, 0.95, Side::Both).is_err());
        assert!(hoeffding_of(&one, 0.0, 0.95, Side::Both).is_err());
        assert!(student_t_of(&Moments::of([1e300, -1e300]), 0.95, Side::Both).is_err());
        let endless = Moments::of([f64::INFINITY, 0.0]);
        assert!(hoeffding_of(&endless, 1.0, 0.95, Side::Both).is_err());
        assert!(empirical_bernstein_of(&endless, 1.0, 0.95, Side::Both).is_err());
    }
}
