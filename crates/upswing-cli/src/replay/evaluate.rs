//! Every estimator for every policy that a log is asked about.

use upswing_stats::Interval;
use upswing_stats::off_policy::{
    Bounds, Contributions, Estimator, Event, Evidence, Log, Minimum, Model, OffPolicyError, Side, Verdict,
    Weights, interval,
};

use super::decisions::Decisions;
use super::outcomes::RewardRange;
use super::reward_model::RewardModel;
use super::target::{Fitted, Target};
use crate::failure::Failure;

/// The confidence of every interval.
pub(crate) const CONFIDENCE: f64 = 0.95;

/// How intervals are made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Method {
    /// Student's t.
    Student,
    /// The percentile bootstrap.
    Bootstrap {
        /// How often.
        resamples: u32,
        /// From what.
        seed: u64,
    },
    /// Empirical Bernstein, for weights up to 1 over the smallest propensity.
    Bernstein {
        /// The largest weight.
        weight: f64,
    },
    /// Hoeffding, the same.
    Hoeffding {
        /// The largest weight.
        weight: f64,
    },
}

/// What one estimator says of one policy.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Estimate {
    /// The policy.
    pub(crate) policy: String,
    /// The estimator.
    pub(crate) estimator: Estimator,
    /// The policy's mean reward; `None` where the log says nothing about it.
    pub(crate) value: Option<f64>,
    /// Where it may lie; `None` where the method makes no interval for this estimator.
    pub(crate) interval: Option<Interval>,
    /// How many decisions of the policy itself would tell as much.
    pub(crate) effective_sample_size: f64,
    /// How many decisions were looked at.
    pub(crate) events: usize,
    /// Whether that is enough.
    pub(crate) verdict: Verdict,
}

/// What was earned by the policy that decided.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OnPolicy {
    /// Whose.
    pub(crate) policy: String,
    /// The mean reward.
    pub(crate) value: f64,
    /// By Student's t.
    pub(crate) interval: Option<Interval>,
    /// How many decisions.
    pub(crate) events: usize,
}

/// All that was found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Evaluation {
    /// By policy, then by estimator.
    pub(crate) estimates: Vec<Estimate>,
    /// What the log itself earned.
    pub(crate) on_policy: OnPolicy,
    /// How many folds, and how they were made.
    pub(crate) folds: (u32, &'static str),
}

/// The mean reward of a log.
pub(crate) fn on_policy(decisions: &Decisions) -> OnPolicy {
    let rewards: Vec<f64> = decisions.rows.iter().map(|row| row.reward).collect();
    let interval = upswing_stats::interval::mean(&rewards, CONFIDENCE);
    let value = rewards.iter().sum::<f64>() / rewards.len().max(1) as f64;
    OnPolicy { policy: decisions.policy.clone(), value, interval, events: rewards.len() }
}

/// Evaluates the usual policies and these. What is learned for a decision, expected rewards too, comes from the other folds.
pub(crate) fn evaluate(
    decisions: &Decisions,
    more: Vec<Target>,
    folds: u32,
    method: Method,
) -> Result<Evaluation, Failure> {
    RewardModel::check(decisions)?;
    let (fold_of, how) = decisions.folds(folds as usize);
    for fold in 0..folds {
        let inside = fold_of.iter().filter(|of| **of == fold).count();
        if inside == fold_of.len() {
            return Err(Failure::new(format!(
                "all {} decisions fall into one of {folds} folds: nothing is left to learn from",
                fold_of.len()
            ))
            .hint("a longer log, or one with more than one unit"));
        }
    }
    let mut fitted: Vec<Fitted> = (0..folds).map(|fold| Fitted::without(decisions, &fold_of, fold)).collect();
    let mut estimates = Vec::new();
    for target in Target::usual(decisions).into_iter().chain(more) {
        let events = events(decisions, &target, &fold_of, &mut fitted);
        estimates.extend(estimate(decisions, &target, events, method)?);
    }
    Ok(Evaluation { estimates, on_policy: on_policy(decisions), folds: (folds, how) })
}

/// The decisions as the target would have taken them.
fn events(decisions: &Decisions, target: &Target, fold_of: &[u32], fitted: &mut [Fitted]) -> Vec<Event> {
    let mut events = Vec::with_capacity(decisions.rows.len());
    for (row, fold) in decisions.rows.iter().zip(fold_of) {
        let Some(fitted) = fitted.get_mut(*fold as usize) else { continue };
        let Some(probabilities) = fitted.probabilities(target, decisions, row) else { continue };
        let choice = decisions.choice(row);
        let (mut expected, mut total, mut chosen) = (0.0, 0.0, 0.0);
        for (arm, probability) in choice.arms.iter().zip(&probabilities) {
            expected += probability * fitted.model.expected(row.segment, *arm);
            total += probability;
            if *arm == row.arm {
                chosen = *probability;
            }
        }
        // What goes to arms that the log does not name earns what is usual.
        expected += (1.0 - total).max(0.0) * fitted.model.mean;
        let bounded = decisions.range.map_or(expected, |range| expected.clamp(range.low, range.high));
        let model = Model { logged: fitted.model.expected(row.segment, row.arm), target: bounded };
        events.push(Event {
            reward: row.reward,
            propensity: row.propensity,
            target: chosen.clamp(0.0, 1.0),
            model: Some(model),
        });
    }
    events
}

fn estimate(
    decisions: &Decisions,
    target: &Target,
    events: Vec<Event>,
    method: Method,
) -> Result<Vec<Estimate>, Failure> {
    let policy = target.name(decisions);
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let failed = |error: OffPolicyError| {
        Failure::new(format!("policy {policy}: {error}"))
            .hint("check the propensities: they are the probabilities with which choices were drawn")
    };
    let log = Log::new(events).map_err(failed)?;
    let evidence = Evidence::of(&log).map_err(failed)?;
    let verdict = evidence.verdict(&Minimum::default());
    Estimator::ALL
        .into_iter()
        .map(|estimator| {
            let contributions = match estimator.contributions(&log) {
                Ok(contributions) => Some(contributions),
                Err(OffPolicyError::NoOverlap) => None,
                Err(error) => return Err(failed(error)),
            };
            // Without any weight, inverse propensities add nothing up: that is no estimate of 0.
            let known = |_: &Contributions| evidence.weights.largest > 0.0 || estimator.needs_model();
            let contributions = contributions.filter(known);
            let interval = match &contributions {
                Some(contributions) => {
                    interval_of(decisions, &estimator, &log, contributions, method, &evidence.weights)?
                }
                None => None,
            };
            Ok(Estimate {
                policy: policy.clone(),
                estimator,
                value: contributions.map(|contributions| contributions.value()),
                interval,
                effective_sample_size: evidence.weights.effective_sample_size,
                events: log.events().len(),
                verdict,
            })
        })
        .collect()
}

fn interval_of(
    decisions: &Decisions,
    estimator: &Estimator,
    log: &Log,
    contributions: &Contributions,
    method: Method,
    weights: &Weights,
) -> Result<Option<Interval>, Failure> {
    let side = Side::Both;
    let RewardRange { low, high } = decisions.range.unwrap_or(RewardRange::UNIT);
    let bounds = |weight| Bounds { weight, low, high };
    let made = match method {
        Method::Student => interval::student_t(contributions, CONFIDENCE, side),
        Method::Bootstrap { resamples, seed } => {
            interval::bootstrap(contributions, CONFIDENCE, side, resamples, seed)
        }
        Method::Bernstein { weight } => {
            interval::empirical_bernstein(estimator, log, &bounds(weight), CONFIDENCE, side)
        }
        Method::Hoeffding { weight } => {
            interval::hoeffding(estimator, log, &bounds(weight), CONFIDENCE, side)
        }
    };
    match made {
        Ok(interval) => Ok(Some(interval)),
        Err(OffPolicyError::NotAMean { .. } | OffPolicyError::TooFew { .. } | OffPolicyError::NoOverlap) => {
            Ok(None)
        }
        Err(OffPolicyError::AboveBound { .. }) => {
            let smallest = log.events().iter().map(|event| event.propensity).fold(1.0, f64::min);
            Err(Failure::new(format!(
                "a weight is {}: some propensity is below --smallest-propensity",
                weights.largest
            ))
            .hint(format!(
                "--smallest-propensity with what the logging policy guarantees; the log has {smallest}"
            )))
        }
        Err(error) => Err(Failure::new(error.to_string())),
    }
}
