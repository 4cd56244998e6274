//! What an analysis says, as numbers and in words.

use serde::Serialize;
use upswing_domain::{Direction, MetricKind, MetricRole, SequentialMethod};

/// What can be said of an experiment now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Results {
    /// In one word.
    pub verdict: Verdict,
    /// In a sentence.
    pub summary: String,
    /// Why, and what stands against it.
    pub reasons: Vec<String>,
    /// The arm that may take over, by its place; the control's where all treatments are worse.
    pub winner: Option<usize>,
    /// Units that were exposed, by arm.
    pub exposed: Vec<u64>,
    /// Units that are kept out.
    pub held_out: u64,
    /// Units of which the goal's outcome is closed, in all arms.
    pub closed: u64,
    /// Whether the arms are as large as they were assigned.
    pub sample_ratio: SampleRatio,
    /// How much longer an answer is likely to take; nothing where there is one, or where nothing points to one.
    pub forecast: Option<Forecast>,
    /// Each metric.
    pub metrics: Vec<MetricResults>,
    /// The goal by segment, multiplicity handled.
    pub segments: Vec<SegmentResults>,
}

/// What a comparison comes to. Valid at every look: it may be read at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The treatment is better.
    Better,
    /// The treatment is worse.
    Worse,
    /// They differ by less than what matters.
    Equivalent,
    /// Not known yet, or not to be known this way.
    Inconclusive,
}

impl Verdict {
    /// As on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Equivalent => "equivalent",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// Whether the arms are as large as they were assigned.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SampleRatio {
    /// Of "they are", valid at every look; `None` before the first unit.
    pub p_value: Option<f64>,
    /// Whether they are not: then no verdict is given.
    pub mismatch: bool,
}

/// How much longer an answer is likely to take, if things go on as they did.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Forecast {
    /// More units with a closed outcome.
    pub units: f64,
    /// At the rate at which they have come so far.
    pub seconds: Option<f64>,
}

/// One metric.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricResults {
    /// Its name.
    pub name: String,
    /// What is measured of a unit.
    pub kind: MetricKind,
    /// What it is for.
    pub role: MetricRole,
    /// Which way is better.
    pub direction: Direction,
    /// How it is judged.
    pub method: SequentialMethod,
    /// Each arm.
    pub arms: Vec<ArmResults>,
    /// Units that are kept out, where there are any.
    pub held_out: Option<ArmResults>,
    /// Each treatment against the control.
    pub comparisons: Vec<Comparison>,
}

/// One arm by one metric.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ArmResults {
    /// Units with a closed outcome (of a quantile: values).
    pub units: u64,
    /// Units that are exposed and not closed yet.
    pub open: u64,
    /// Units that closed without a value.
    pub absent: u64,
    /// The mean, rate, ratio or quantile; `None` without units.
    pub value: Option<f64>,
}

/// A treatment against the control.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The treatment's place among the arms.
    pub treatment: usize,
    /// In one word.
    pub verdict: Verdict,
    /// Why.
    pub why: String,
    /// Treatment minus control, in the metric's unit.
    pub effect: Option<f64>,
    /// How far such an estimate is usually off, in the metric's unit.
    pub standard_error: Option<f64>,
    /// The effect as a share of the control; for reading, not for testing.
    pub relative_effect: Option<f64>,
    /// What the verdict rests on: valid at every look.
    pub sequential: Option<Sequential>,
    /// For who looks once, at a size that was fixed before.
    pub fixed_horizon: Option<FixedHorizon>,
    /// For who thinks in beliefs, from a flat prior.
    pub bayesian: Option<Bayesian>,
}

/// Valid at every look.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Sequential {
    /// The asymptotic confidence sequence of the effect.
    pub interval: [f64; 2],
    /// Of "there is no difference", by the metric's method.
    pub p_value: f64,
    /// The same after all comparisons of its role are accounted for.
    pub adjusted_p_value: f64,
    /// Of the e-process, where that is the method.
    pub e_value: Option<f64>,
    /// Of "the treatment is no worse".
    pub harm_p_value: f64,
}

/// Valid at one look.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FixedHorizon {
    /// Of the effect.
    pub interval: [f64; 2],
    /// Of "there is no difference".
    pub p_value: f64,
}

/// Beliefs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bayesian {
    /// The probability that the treatment is better.
    pub chance_to_win: f64,
    /// What is expected to be lost by taking the treatment, in the metric's unit.
    pub expected_loss: f64,
    /// The central credible interval of the effect.
    pub interval: [f64; 2],
}

/// The goal in one segment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SegmentResults {
    /// The context key.
    pub key: String,
    /// Its value.
    pub value: String,
    /// Each arm.
    pub arms: Vec<ArmResults>,
    /// Each treatment against the control.
    pub comparisons: Vec<Comparison>,
}
