//! What is wrong with a log or a question about it.

/// Why there is no estimate.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum OffPolicyError {
    /// A number of an event is not one, or infinite.
    #[error("event {event}: {field} is {value}, but must be a finite number")]
    NotFinite {
        /// The event, counted from 0.
        event: usize,
        /// Which number.
        field: &'static str,
        /// What it is.
        value: f64,
    },
    /// The logging policy cannot have chosen with this probability what it chose.
    #[error("event {event}: the logging propensity is {value}, but must be above 0 and at most 1")]
    Propensity {
        /// The event, counted from 0.
        event: usize,
        /// The propensity.
        value: f64,
    },
    /// The target policy cannot choose with this probability.
    #[error("event {event}: the target probability is {value}, but must be from 0 to 1")]
    Target {
        /// The event, counted from 0.
        event: usize,
        /// The probability.
        value: f64,
    },
    /// The ratio of two probabilities is beyond what numbers can hold.
    #[error("event {event}: the weight, {target} over {propensity}, is not finite")]
    Weight {
        /// The event, counted from 0.
        event: usize,
        /// The target probability.
        target: f64,
        /// The logging propensity.
        propensity: f64,
    },
    /// Fewer events than the method needs.
    #[error("there are {events} events, but at least {least} are needed")]
    TooFew {
        /// How many there are.
        events: usize,
        /// How many are needed.
        least: usize,
    },
    /// The target policy never does what was logged.
    #[error("the target policy has probability 0 for every logged action: the log says nothing about it")]
    NoOverlap,
    /// The estimator needs expected rewards that this event lacks.
    #[error("event {event} has no model of its reward, which this estimator needs")]
    NoModel {
        /// The event, counted from 0.
        event: usize,
    },
    /// A parameter is outside of its range.
    #[error("{name} is {value}, but must be {expected}")]
    Parameter {
        /// Which.
        name: &'static str,
        /// What it is.
        value: f64,
        /// What it may be.
        expected: &'static str,
    },
    /// A weight exceeds the bound that the interval was to rest on.
    #[error("event {event} has weight {value}, above the stated bound {bound}: the bound is wrong")]
    AboveBound {
        /// The event, counted from 0.
        event: usize,
        /// Its weight.
        value: f64,
        /// The stated bound.
        bound: f64,
    },
    /// A reward or a modelled reward lies outside of the range that the interval was to rest on.
    #[error("event {event}: {field} is {value}, outside of the stated range {low} to {high}")]
    OutsideRange {
        /// The event, counted from 0.
        event: usize,
        /// Which number.
        field: &'static str,
        /// What it is.
        value: f64,
        /// The smallest reward.
        low: f64,
        /// The largest reward.
        high: f64,
    },
    /// A guaranteed interval of an estimator that is a ratio, whose parts are not independent.
    #[error(
        "{estimator} divides by the sum of the weights, so no bound for means of independent values holds for it"
    )]
    NotAMean {
        /// The estimator.
        estimator: &'static str,
    },
    /// Numbers were so large that sums of them are not finite.
    #[error("the estimate is not a finite number: rewards or weights are too large")]
    Overflow,
}
