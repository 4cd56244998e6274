//! What always serving the candidate would have earned on logged traffic, against always serving the champion.
//!
//! Both values are self-normalised inverse-propensity estimates ([`Estimator::Snips`]) on the same log, each
//! with Student's one-sided bound at half of the error. The candidate passes when its lower bound reaches the margin times
//! the champion's upper bound, and fails when its upper bound does not reach the margin times the champion's lower one.
//! In between, and below 100 effective decisions of either, nothing is said. Assumes what off-policy evaluation assumes:
//! logged probabilities are those that were drawn from, and decisions are independent.

use upswing_domain::VersionId;
use upswing_stats::off_policy::{Estimator, Event, Evidence, Log, OffPolicyError, Side, Verdict, interval};

use super::{OffPolicyGate, Outcome};

/// A decision whose reward is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Logged {
    /// What was served.
    pub version: VersionId,
    /// With which probability, above 0 and at most 1.
    pub propensity: f64,
    /// What came of it, 0 to 1.
    pub reward: f64,
}

/// What a version would have earned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Value {
    /// The estimate.
    pub estimate: f64,
    /// With half of the error, it is not below this.
    pub low: f64,
    /// With half of the error, it is not above this.
    pub high: f64,
    /// For how many decisions of its own the log stands.
    pub effective_sample_size: f64,
}

/// What the log says.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Whether the candidate passes.
    pub outcome: Outcome,
    /// Why.
    pub why: String,
    /// The candidate's value, where it was ever served.
    pub candidate: Option<Value>,
    /// The champion's value, where it was ever served.
    pub champion: Option<Value>,
}

/// Asks the log. O(n) time and memory.
///
/// # Errors
/// When a propensity or a reward of the log is no such number, or the plan's confidence is out of range.
pub fn judge(
    log: &[Logged],
    candidate: VersionId,
    champion: VersionId,
    plan: &OffPolicyGate,
) -> Result<Found, OffPolicyError> {
    let (mine, theirs) = (value(log, candidate, plan.confidence)?, value(log, champion, plan.confidence)?);
    let (outcome, why) = match (&mine, &theirs) {
        (None, _) => (Outcome::NotApplicable, "the version was never served in logged traffic".to_owned()),
        (_, None) => (Outcome::NotApplicable, "the champion was never served in logged traffic".to_owned()),
        (Some((_, Some(why))), _) => (Outcome::Insufficient, format!("of the version: {why}")),
        (_, Some((_, Some(why)))) => (Outcome::Insufficient, format!("of the champion: {why}")),
        (Some((mine, None)), Some((theirs, None))) => {
            let numbers = format!(
                "the version's value lies from {:.4} to {:.4}, the champion's from {:.4} to {:.4}, margin {}",
                mine.low, mine.high, theirs.low, theirs.high, plan.margin
            );
            if mine.low >= plan.margin * theirs.high {
                (Outcome::Passed, numbers)
            } else if mine.high < plan.margin * theirs.low {
                (Outcome::Failed, numbers)
            } else {
                (Outcome::Insufficient, format!("the intervals do not tell them apart: {numbers}"))
            }
        }
    };
    Ok(Found {
        outcome,
        why,
        candidate: mine.map(|(value, _)| value),
        champion: theirs.map(|(value, _)| value),
    })
}

/// A version's value, with why the log does not say enough of it; `None` where it was never served.
fn value(
    log: &[Logged],
    version: VersionId,
    confidence: f64,
) -> Result<Option<(Value, Option<String>)>, OffPolicyError> {
    if !log.iter().any(|logged| logged.version == version) {
        return Ok(None);
    }
    let events = log.iter().map(|logged| Event {
        reward: logged.reward,
        propensity: logged.propensity,
        target: if logged.version == version { 1.0 } else { 0.0 },
        model: None,
    });
    let log = Log::new(events)?;
    let evidence = Evidence::of(&log)?;
    let why = match evidence.verdict(&Default::default()) {
        Verdict::Sufficient => None,
        Verdict::Insufficient(reason) => Some(reason.to_string()),
    };
    let contributions = Estimator::Snips.contributions(&log)?;
    let effective_sample_size = evidence.weights.effective_sample_size;
    let value = match interval::student_t(&contributions, confidence, Side::Both) {
        Ok(interval) => Value {
            estimate: interval.estimate,
            low: interval.low,
            high: interval.high,
            effective_sample_size,
        },
        Err(OffPolicyError::TooFew { .. }) => {
            let estimate = contributions.value();
            let unknown = "one decision alone has no interval".to_owned();
            let value =
                Value { estimate, low: f64::NEG_INFINITY, high: f64::INFINITY, effective_sample_size };
            return Ok(Some((value, Some(why.unwrap_or(unknown)))));
        }
        Err(error) => return Err(error),
    };
    Ok(Some((value, why)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: VersionId = VersionId([1; 32]);
    const B: VersionId = VersionId([2; 32]);

    /// A log in which `b` was served with probability `share`, and earned so often of ten.
    fn log(n: usize, share: f64, a: usize, b: usize) -> Vec<Logged> {
        let every = (1.0 / share).round() as usize;
        let (mut of_a, mut of_b) = (0, 0);
        let served = |i: usize| {
            let (version, propensity, count, good) = if i.is_multiple_of(every) {
                (B, share, &mut of_b, b)
            } else {
                (A, 1.0 - share, &mut of_a, a)
            };
            *count += 1;
            Logged { version, propensity, reward: if *count % 10 < good { 1.0 } else { 0.0 } }
        };
        (0..n).map(served).collect()
    }

    fn outcome(log: &[Logged]) -> Outcome {
        judge(log, B, A, &OffPolicyGate::default()).unwrap().outcome
    }

    #[test]
    fn a_better_one_passes_a_worse_one_fails_and_little_says_nothing() {
        assert_eq!(outcome(&log(20_000, 0.5, 5, 7)), Outcome::Passed);
        assert_eq!(outcome(&log(20_000, 0.5, 7, 5)), Outcome::Failed);
        assert_eq!(outcome(&log(400, 0.5, 5, 5)), Outcome::Insufficient, "the intervals overlap");
        let few = judge(&log(150, 0.5, 5, 9), B, A, &OffPolicyGate::default()).unwrap();
        assert_eq!(few.outcome, Outcome::Insufficient);
        assert!(few.why.contains("effective events"), "{}", few.why);
    }

    #[test]
    fn what_was_never_served_cannot_be_judged() {
        let only: Vec<_> = log(1000, 0.5, 5, 5).into_iter().filter(|l| l.version == A).collect();
        assert_eq!(outcome(&only), Outcome::NotApplicable);
        assert_eq!(outcome(&[]), Outcome::NotApplicable);
        let one = [Logged { version: B, propensity: 0.5, reward: 1.0 }];
        assert_eq!(judge(&one, B, B, &OffPolicyGate::default()).unwrap().outcome, Outcome::Insufficient);
        let bad = [Logged { version: B, propensity: 0.0, reward: 1.0 }];
        assert!(judge(&bad, B, A, &OffPolicyGate::default()).is_err());
    }
}
