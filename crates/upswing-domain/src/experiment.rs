//! A comparison of versions on live traffic: what is compared, on whom, by which metrics, and what may happen to it when.

use serde::{Deserialize, Serialize};

use crate::assignment::{self, Split};
use crate::{Absence, AgentId, Context, ContextValue, Direction, Invalid, Pseudonym, Timestamp, VersionId};

/// An experiment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Debug)]
#[serde(transparent)]
pub struct ExperimentId(pub uuid::Uuid);

impl std::fmt::Display for ExperimentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Whom the experiment assigns: everything of one unit is served by one arm, as long as the split stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssignmentUnit {
    /// A person or account: `unit` of the decision.
    #[default]
    User,
    /// A visit or conversation: `session` of the decision.
    Session,
    /// Each decision by itself.
    Execution,
}

/// What a metric measures of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricKind {
    /// Whether any of the unit's values is above 0.
    Proportion,
    /// The mean of the unit's values.
    Mean,
    /// The sum of the unit's values over the sum of its denominators; compared as the arms' ratio of sums.
    Ratio,
    /// The sum of the unit's values.
    Count,
    /// The mean of the unit's values, which are times.
    Duration,
    /// A quantile of all values of all units.
    Quantile,
}

/// What a metric is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricRole {
    /// Decides. There is exactly one.
    Goal,
    /// Is shown, with its multiplicity handled.
    #[default]
    Secondary,
    /// Must not become worse.
    Guardrail,
}

/// How a metric is judged while it grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SequentialMethod {
    /// The randomisation e-process: exact with any number of units; needs bounds.
    EProcess,
    /// The asymptotic confidence sequence: for many units, and for what has no bounds.
    Asymptotic,
}

/// A metric of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExperimentMetric {
    /// What it is called: 1 to 100 characters, unique in the experiment.
    pub name: String,
    /// Where its values come from: `reward`, `rating`, `satisfied`, `error`, `executions`, a measurement of executions, or a
    /// named metric of feedback. The name, where it is not given.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// What is measured of a unit.
    pub kind: MetricKind,
    /// What it is for.
    #[serde(default)]
    pub role: MetricRole,
    /// Which way is better.
    #[serde(default)]
    pub direction: Direction,
    /// The smallest and the largest value. Values outside of them are taken as the nearer bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<[f64; 2]>,
    /// For a ratio: where the denominator's values come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denominator: Option<String>,
    /// For a quantile: which, in (0, 1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantile: Option<f64>,
    /// What it means when a unit has no value. [`Absence::ZeroAfter`] closes each unit so many seconds after its first
    /// exposure.
    #[serde(default)]
    pub absence: Absence,
    /// How many seconds after its first exposure a unit's values count. Without it, and without
    /// [`Absence::ZeroAfter`], a unit's first value is its outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_seconds: Option<u32>,
    /// The smallest difference of the metric that matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_effect: Option<f64>,
    /// How it is judged; by what it is, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<SequentialMethod>,
}

/// The sources that every agent has.
pub const METRIC_SOURCES: [&str; 10] = [
    "reward",
    "rating",
    "satisfied",
    "error",
    "executions",
    "latency_ms",
    "input_tokens",
    "output_tokens",
    "cost",
    "confidence",
];

impl ExperimentMetric {
    /// Where its values come from.
    pub fn source(&self) -> &str {
        if self.source.is_empty() { &self.name } else { &self.source }
    }

    /// How long a unit stays open after its first exposure; `None` where its first value closes it.
    pub fn window(&self) -> Option<u32> {
        match self.absence {
            Absence::ZeroAfter(seconds) => Some(self.window_seconds.unwrap_or(seconds)),
            Absence::Missing => self.window_seconds,
        }
    }

    /// The bounds of a unit's outcome, where it has any.
    pub fn outcome_bounds(&self) -> Option<[f64; 2]> {
        match self.kind {
            MetricKind::Proportion => Some([0.0, 1.0]),
            MetricKind::Mean | MetricKind::Duration => self.bounds.or(match self.source() {
                "reward" | "satisfied" | "error" | "confidence" => Some([0.0, 1.0]),
                "rating" => Some([1.0, 5.0]),
                _ => None,
            }),
            MetricKind::Ratio | MetricKind::Count | MetricKind::Quantile => None,
        }
    }

    /// How it is judged.
    pub fn method(&self) -> SequentialMethod {
        self.method.unwrap_or(match self.outcome_bounds() {
            Some(_) => SequentialMethod::EProcess,
            None => SequentialMethod::Asymptotic,
        })
    }

    fn check(&self, known: &dyn Fn(&str) -> bool) -> Result<(), ExperimentError> {
        let name = &self.name;
        if name.is_empty() || name.chars().count() > 100 {
            return Err(Invalid::new("metrics.name", name, "1 to 100 characters").into());
        }
        let of = |expected: &str| format!("{expected} (metric {name:?})");
        for source in [Some(self.source()), self.denominator.as_deref()].into_iter().flatten() {
            if !known(source) {
                return Err(ExperimentError::UnknownMetric {
                    metric: name.clone(),
                    source_name: source.to_owned(),
                });
            }
        }
        if let Some([low, high]) = self.bounds
            && !(low.is_finite() && high.is_finite() && low < high)
        {
            let expected = "two finite numbers, the smaller one first";
            return Err(Invalid::new("metrics.bounds", format!("[{low}, {high}]"), expected).into());
        }
        if self.method() == SequentialMethod::EProcess && self.outcome_bounds().is_none() {
            return Err(ExperimentError::BoundsNeeded { metric: name.clone() });
        }
        if (self.kind == MetricKind::Ratio) != self.denominator.is_some() {
            let expected = "a denominator for a ratio, and for nothing else";
            let given = self.denominator.as_deref().unwrap_or("missing");
            return Err(Invalid::new("metrics.denominator", given, of(expected)).into());
        }
        let quantile = |q: &f64| 0.0 < *q && *q < 1.0;
        if (self.kind == MetricKind::Quantile) != self.quantile.is_some_and(|q| quantile(&q)) {
            let expected = "a number between 0 and 1 for a quantile, and for nothing else";
            let given = self.quantile.map_or("missing".to_owned(), |q| q.to_string());
            return Err(Invalid::new("metrics.quantile", given, of(expected)).into());
        }
        if matches!(self.kind, MetricKind::Count | MetricKind::Ratio) && self.window().is_none() {
            let expected = "how long a unit's values are summed: a unit that goes on would never be done";
            return Err(Invalid::new("metrics.window_seconds", "missing", of(expected)).into());
        }
        if let Some(effect) = self.minimum_effect.filter(|e| !e.is_finite() || *e <= 0.0) {
            return Err(Invalid::new("metrics.minimum_effect", effect, of("a number above 0")).into());
        }
        let seconds = 1..=31_536_000;
        if let Some(window) = self.window().filter(|window| !seconds.contains(window)) {
            return Err(Invalid::new("metrics.window_seconds", window, of("1 to 31536000 seconds")).into());
        }
        Ok(())
    }
}

/// One of the versions that are compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExperimentArm {
    /// The version.
    pub version: VersionId,
    /// Its share of the units.
    pub weight: f64,
}

/// A part of a layer: experiments in parts that do not overlap never share a unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// The layer's name.
    pub name: String,
    /// Where the part begins, from 0.
    pub start: f64,
    /// Where it ends, to 1.
    pub end: f64,
}

impl Layer {
    /// Whether two parts share units.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.name == other.name && self.start < other.end && other.start < self.end
    }
}

/// Units that are kept out, to see what all experiments together achieved: they are served the champion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holdout {
    /// Names the salt: experiments with the same holdout keep the same units out.
    pub name: String,
    /// The share of units that is kept out.
    pub share: f64,
}

/// A condition on the context of a decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// The context's key.
    pub key: String,
    /// How it is compared.
    pub operator: Operator,
    /// With what: one value, or several for `in` and `not_in`; nothing for `exists` and `missing`.
    #[serde(default)]
    pub values: Vec<ContextValue>,
}

/// How a context's value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    /// It is one of the values.
    In,
    /// It is there, and none of the values.
    NotIn,
    /// It is a number, at least the value.
    AtLeast,
    /// It is a number, below the value.
    Below,
    /// It is there.
    Exists,
    /// It is not there.
    Missing,
}

impl Condition {
    /// Whether a context fulfils it. What is not there fulfils `missing` alone.
    pub fn holds(&self, context: Option<&Context>) -> bool {
        let value = context.and_then(|context| context.get(&self.key));
        let number = |value: &ContextValue| match value {
            ContextValue::Number(number) => Some(*number),
            ContextValue::Flag(_) | ContextValue::Category(_) => None,
        };
        let limit = self.values.first().and_then(number);
        match (self.operator, value) {
            (Operator::Missing, value) => value.is_none(),
            (_, None) => false,
            (Operator::Exists, Some(_)) => true,
            (Operator::In, Some(value)) => self.values.contains(value),
            (Operator::NotIn, Some(value)) => !self.values.contains(value),
            (Operator::AtLeast, Some(value)) => {
                number(value).zip(limit).is_some_and(|(value, limit)| value >= limit)
            }
            (Operator::Below, Some(value)) => {
                number(value).zip(limit).is_some_and(|(value, limit)| value < limit)
            }
        }
    }

    fn check(&self) -> Result<(), Invalid> {
        let fits = match self.operator {
            Operator::In | Operator::NotIn => !self.values.is_empty() && self.values.len() <= 100,
            Operator::AtLeast | Operator::Below => {
                matches!(self.values.as_slice(), [ContextValue::Number(n)] if n.is_finite())
            }
            Operator::Exists | Operator::Missing => self.values.is_empty(),
        };
        if self.key.is_empty() || self.key.chars().count() > Context::MAX_CHARS || !fits {
            let expected =
                "a key with values for in and not_in, one number for at_least and below, none otherwise";
            return Err(Invalid::new("targeting", &self.key, expected));
        }
        Ok(())
    }
}

/// Shares that follow what is known, to find the best of several versions sooner.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adaptive {
    /// No arm gets less than this share.
    pub floor: f64,
}

/// What an experiment compares, on whom, by what. Nothing of it changes once units have been exposed, but for the split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExperimentPlan {
    /// The versions; the first is the control.
    pub arms: Vec<ExperimentArm>,
    /// Whom it assigns.
    pub unit: AssignmentUnit,
    /// What units are hashed with.
    pub seed: String,
    /// The share of targeted units that takes part.
    pub coverage: f64,
    /// Mutual exclusion.
    pub layer: Option<Layer>,
    /// Units that are kept out.
    pub holdout: Option<Holdout>,
    /// All of these must hold.
    pub targeting: Vec<Condition>,
    /// What is measured; one is the goal.
    pub metrics: Vec<ExperimentMetric>,
    /// A context key with what was known of a unit before: takes its share of the variance out (CUPED).
    pub covariate: Option<String>,
    /// How often at most an experiment without effect may say that there is one.
    pub alpha: f64,
    /// No verdict before so many units.
    pub minimum_units: u64,
    /// No verdict before so many seconds.
    pub minimum_seconds: u64,
    /// For how many units the asymptotic sequence is narrowest.
    pub planned_units: u64,
    /// How shares follow what is known, where they do.
    pub adaptive: Option<Adaptive>,
    /// Where it judges a rollout: by which margins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutMargins>,
}

/// How much worse a version may be that takes over.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RolloutMargins {
    /// The share of the control's goal that it has to reach.
    pub goal: f64,
    /// By how much each guardrail may be worse, as a share of its bounds.
    pub guardrail: f64,
}

/// Why something cannot be done with an experiment.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ExperimentError {
    /// A value is outside of what is allowed.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The weights are not shares of one whole.
    #[error("the weights sum to {sum}, not to 1")]
    WeightsDoNotSum {
        /// What they sum to.
        sum: f64,
    },
    /// Fewer than two arms, or the same version twice.
    #[error("an experiment compares two to twenty different versions, not {0}")]
    Arms(String),
    /// A source that the agent does not have.
    #[error(
        "metric {metric:?} wants {source_name:?}, which neither executions nor the reward definition have; all agents have {}",
        METRIC_SOURCES.join(", ")
    )]
    UnknownMetric {
        /// The metric.
        metric: String,
        /// What it wants.
        source_name: String,
    },
    /// The e-process needs to know between which values outcomes lie.
    #[error("metric {metric:?} is judged by the e-process, which needs bounds")]
    BoundsNeeded {
        /// The metric.
        metric: String,
    },
    /// There is not exactly one goal.
    #[error("an experiment has one metric with \"role\": \"goal\", not {0}")]
    Goals(usize),
    /// Another experiment may have the same units.
    #[error("units of {other} would be in both experiments")]
    LayersOverlap {
        /// The other.
        other: String,
    },
    /// The present state does not allow it.
    #[error("the experiment is {from}: it cannot be {action}")]
    State {
        /// The state.
        from: &'static str,
        /// What was asked for.
        action: &'static str,
    },
}

impl ExperimentPlan {
    /// How many arms an experiment may have.
    pub const MAX_ARMS: usize = 20;
    /// How many metrics an experiment may have.
    pub const MAX_METRICS: usize = 20;

    /// Checks it; `known` says which sources of metrics there are beside [`METRIC_SOURCES`].
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self, known: &dyn Fn(&str) -> bool) -> Result<(), ExperimentError> {
        if !(2..=Self::MAX_ARMS).contains(&self.arms.len()) {
            return Err(ExperimentError::Arms(self.arms.len().to_string()));
        }
        for (index, arm) in self.arms.iter().enumerate() {
            if self.arms.iter().take(index).any(|other| other.version == arm.version) {
                return Err(ExperimentError::Arms(format!("{} twice", arm.version)));
            }
        }
        check_split(&self.weights(), self.coverage)?;
        let text = |field: &str, text: &str| {
            let fits = !text.is_empty() && text.chars().count() <= 200;
            if fits { Ok(()) } else { Err(Invalid::new(field, text, "1 to 200 characters")) }
        };
        text("seed", &self.seed)?;
        if let Some(layer) = &self.layer {
            text("layer.name", &layer.name)?;
            let inside = 0.0 <= layer.start && layer.start < layer.end && layer.end <= 1.0;
            if !inside {
                let range = format!("{} to {}", layer.start, layer.end);
                return Err(Invalid::new("layer", range, "a part of 0 to 1").into());
            }
        }
        if let Some(holdout) = &self.holdout {
            text("holdout.name", &holdout.name)?;
            if !(0.0..=0.5).contains(&holdout.share) {
                return Err(Invalid::new("holdout.share", holdout.share, "a share from 0 to 0.5").into());
            }
        }
        if self.targeting.len() > 20 {
            return Err(Invalid::new("targeting", self.targeting.len(), "at most 20 conditions").into());
        }
        for condition in &self.targeting {
            condition.check()?;
        }
        self.check_metrics(known)?;
        if !(0.000_1..=0.5).contains(&self.alpha) {
            return Err(Invalid::new("significance", self.alpha, "0.0001 to 0.5").into());
        }
        if !(2..=1_000_000_000).contains(&self.planned_units) {
            return Err(Invalid::new("planned_units", self.planned_units, "2 to 1000000000").into());
        }
        if let Some(adaptive) = self.adaptive {
            let most = 1.0 / self.arms.len() as f64;
            if !(0.01..=most).contains(&adaptive.floor) {
                let expected = format!("0.01 to {most:.4} with {} arms", self.arms.len());
                return Err(Invalid::new("adaptive.floor", adaptive.floor, expected).into());
            }
        }
        Ok(())
    }

    fn check_metrics(&self, known: &dyn Fn(&str) -> bool) -> Result<(), ExperimentError> {
        if self.metrics.len() > Self::MAX_METRICS {
            let expected = format!("at most {}", Self::MAX_METRICS);
            return Err(Invalid::new("metrics", self.metrics.len(), expected).into());
        }
        for (index, metric) in self.metrics.iter().enumerate() {
            metric.check(&|source| METRIC_SOURCES.contains(&source) || known(source))?;
            if self.metrics.iter().take(index).any(|other| other.name == metric.name) {
                return Err(Invalid::new("metrics.name", &metric.name, "a name of its own").into());
            }
        }
        match self.metrics.iter().filter(|m| m.role == MetricRole::Goal).count() {
            1 => Ok(()),
            goals => Err(ExperimentError::Goals(goals)),
        }
    }

    /// The arms' shares.
    pub fn weights(&self) -> Vec<f64> {
        self.arms.iter().map(|arm| arm.weight).collect()
    }

    /// What becomes of a unit under a split: an arm, the holdout, or nothing.
    pub fn assign(&self, split: &Split, unit: &str, context: Option<&Context>) -> Option<Placement> {
        if !self.targeting.iter().all(|condition| condition.holds(context)) {
            return None;
        }
        if let Some(holdout) = &self.holdout
            && assignment::hash(&format!("holdout:{}", holdout.name), unit, 2)
                .is_some_and(|n| n < holdout.share)
        {
            return Some(Placement::Holdout);
        }
        if let Some(layer) = &self.layer
            && !assignment::in_layer(unit, &layer.name, layer.start, layer.end)
        {
            return None;
        }
        split.arm(assignment::bucket(&self.seed, unit)).map(|arm| Placement::Arm(usize::from(arm)))
    }

    /// The share of all units that fulfil the targeting which takes part: what lies in the layer, outside of the holdout.
    pub fn reach(&self) -> f64 {
        let layer = self.layer.as_ref().map_or(1.0, |layer| layer.end - layer.start);
        let holdout = self.holdout.as_ref().map_or(0.0, |holdout| holdout.share);
        layer * (1.0 - holdout)
    }
}

/// Checks a split.
///
/// # Errors
/// When the weights are no shares, do not sum to 1, or the coverage is no share.
pub fn check_split(weights: &[f64], coverage: f64) -> Result<(), ExperimentError> {
    let sum: f64 = weights.iter().sum();
    if let Err(invalid) = assignment::check_weights(weights) {
        let shares = weights.iter().all(|w| w.is_finite() && (0.0..=1.0).contains(w));
        return Err(if shares { ExperimentError::WeightsDoNotSum { sum } } else { invalid.into() });
    }
    if !(0.0..=1.0).contains(&coverage) {
        return Err(Invalid::new("coverage", coverage, "a share from 0 to 1").into());
    }
    Ok(())
}

/// What an experiment does with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// It is kept out and served the champion.
    Holdout,
    /// It is served this arm.
    Arm(usize),
}

/// Where an experiment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExperimentStatus {
    /// Written down.
    Draft,
    /// Assigning units.
    Running,
    /// Assigns no units for a while; what units do still counts.
    Paused,
    /// Has ended.
    Stopped,
    /// Out of sight.
    Archived,
}

/// What is done to an experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExperimentAction {
    /// Begins, or goes on.
    Start,
    /// Assigns nobody for a while.
    Pause,
    /// Ends.
    Stop,
    /// Goes out of sight.
    Archive,
    /// Gets another split.
    Split,
}

impl ExperimentAction {
    fn name(self) -> &'static str {
        match self {
            Self::Start => "started",
            Self::Pause => "paused",
            Self::Stop => "stopped",
            Self::Archive => "archived",
            Self::Split => "split anew",
        }
    }
}

impl ExperimentStatus {
    /// As stored and on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
            Self::Archived => "archived",
        }
    }

    /// The status of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Draft, Self::Running, Self::Paused, Self::Stopped, Self::Archived]
            .into_iter()
            .find(|status| status.name() == name)
    }

    /// Where an action leads.
    ///
    /// # Errors
    /// When it is not allowed now.
    pub fn after(self, action: ExperimentAction) -> Result<Self, ExperimentError> {
        match (self, action) {
            (Self::Draft | Self::Paused, ExperimentAction::Start) => Ok(Self::Running),
            (Self::Running, ExperimentAction::Pause) => Ok(Self::Paused),
            (Self::Running | Self::Paused, ExperimentAction::Stop) => Ok(Self::Stopped),
            (Self::Draft | Self::Stopped, ExperimentAction::Archive) => Ok(Self::Archived),
            (Self::Draft | Self::Running | Self::Paused, ExperimentAction::Split) => Ok(self),
            _ => Err(ExperimentError::State { from: self.name(), action: action.name() }),
        }
    }
}

/// A split with the moment from which it holds. Units are analysed by the split of their first exposure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Allocation {
    /// Counts an experiment's splits, from 1.
    pub epoch: i64,
    /// From when on.
    pub effective_at: Timestamp,
    /// Whose each bucket is.
    pub split: Split,
}

/// An experiment as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Experiment {
    /// Its id.
    pub id: ExperimentId,
    /// Whose versions it compares.
    pub agent: AgentId,
    /// For people.
    pub name: String,
    /// For people.
    pub description: String,
    /// What is expected.
    pub hypothesis: String,
    /// Where it stands.
    pub status: ExperimentStatus,
    /// What it compares.
    pub plan: ExperimentPlan,
    /// Its splits, oldest first.
    pub allocations: Vec<Allocation>,
    /// When it was written down.
    pub created_at: Timestamp,
    /// When it first began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub stopped_at: Option<Timestamp>,
}

impl Experiment {
    /// The split that holds at a moment.
    pub fn allocation(&self, now: Timestamp) -> Option<&Allocation> {
        self.allocations.iter().rev().find(|allocation| allocation.effective_at <= now)
    }
}

/// What a decision says about its experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assignment {
    /// The experiment.
    pub experiment: ExperimentId,
    /// The epoch of its split.
    pub allocation: i64,
    /// The arm; `None` for a unit of the holdout.
    pub arm: Option<u16>,
    /// Whom it assigned, by a keyed hash.
    pub unit: Pseudonym,
}
