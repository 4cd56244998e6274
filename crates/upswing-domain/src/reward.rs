//! How feedback becomes a reward.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{FeedbackSource, Invalid, Reward};

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Larger is better.
    #[default]
    Increase,
    /// Smaller is better.
    Decrease,
}

/// What it means when a metric does not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Absence {
    /// Nothing is known. The execution teaches nothing until something comes.
    #[default]
    Missing,
    /// It did not happen: after that many seconds the value is 0.
    ZeroAfter(u32),
}

/// A rating or a thumb: its weight against the other kinds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignalRule {
    /// Weight against the other kinds, 0.001 to 1000.
    #[serde(default = "one")]
    pub weight: f64,
    /// For a correction: the reward of an answer that had to be corrected. Ignored elsewhere.
    #[serde(default = "zero_reward", with = "reward_number")]
    pub value: Reward,
}

/// A named metric: its bounds, its direction, its weight.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricRule {
    /// Smallest value that is accepted.
    pub minimum: f64,
    /// Largest value that is accepted.
    pub maximum: f64,
    /// Which way is better.
    #[serde(default)]
    pub direction: Direction,
    /// Weight against the other kinds, 0.001 to 1000.
    #[serde(default = "one")]
    pub weight: f64,
    /// What it means when it does not come.
    #[serde(default)]
    pub absence: Absence,
}

impl MetricRule {
    /// The metric's value on [0, 1], larger is better.
    ///
    /// # Errors
    /// When the value is outside of the bounds.
    pub fn reward(&self, value: f64) -> Result<Reward, Invalid> {
        if !(self.minimum..=self.maximum).contains(&value) {
            let expected = format!("a number from {} to {}", self.minimum, self.maximum);
            return Err(Invalid::new("value", value, expected));
        }
        let share = (value - self.minimum) / (self.maximum - self.minimum);
        Reward::new(match self.direction {
            Direction::Increase => share,
            Direction::Decrease => 1.0 - share,
        })
    }
}

/// How much each source counts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceWeights {
    /// Somebody who used the answer.
    #[serde(default = "one")]
    pub user: f64,
    /// A reviewer.
    #[serde(default = "one")]
    pub expert: f64,
    /// A program.
    #[serde(default = "one")]
    pub program: f64,
}

impl Default for SourceWeights {
    fn default() -> Self {
        Self { user: 1.0, expert: 1.0, program: 1.0 }
    }
}

/// How rating, thumb, correction and named metrics become one reward in [0, 1]. Kinds that are absent do not count.
///
/// The reward of an execution is the weighted mean of the latest signal of each source and kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RewardDefinition {
    /// Stars: 1 is 0, 5 is 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rating: Option<SignalRule>,
    /// Thumbs: down is 0, up is 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumb: Option<SignalRule>,
    /// A correction says that the answer was worth `value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correction: Option<SignalRule>,
    /// Named metrics.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, MetricRule>,
    /// How much each source counts.
    #[serde(default)]
    pub sources: SourceWeights,
}

impl Default for RewardDefinition {
    /// Ratings, thumbs and corrections with equal weight, and a metric `reward` on [0, 1].
    fn default() -> Self {
        let rule = Some(SignalRule { weight: 1.0, value: Reward::ZERO });
        let reward = MetricRule {
            minimum: 0.0,
            maximum: 1.0,
            direction: Direction::Increase,
            weight: 1.0,
            absence: Absence::Missing,
        };
        Self {
            rating: rule,
            thumb: rule,
            correction: rule,
            metrics: BTreeMap::from([("reward".to_owned(), reward)]),
            sources: SourceWeights::default(),
        }
    }
}

/// What kind of signal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignalKind {
    /// Stars.
    Rating,
    /// Thumbs.
    Thumb,
    /// A correction was given.
    Correction,
    /// A named metric.
    Metric(String),
}

/// One signal, already on [0, 1].
#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    /// Who speaks.
    pub source: FeedbackSource,
    /// What kind.
    pub kind: SignalKind,
    /// Its value, larger is better.
    pub value: Reward,
}

impl RewardDefinition {
    /// How many metrics a definition may name.
    pub const MAX_METRICS: usize = 32;

    /// Checks weights and bounds.
    ///
    /// # Errors
    /// Names the first field that is out of range.
    pub fn validate(&self) -> Result<(), Invalid> {
        let weight = |field: String, weight: f64| {
            if (0.001..=1000.0).contains(&weight) {
                Ok(())
            } else {
                Err(Invalid::new(field, weight, "a number from 0.001 to 1000"))
            }
        };
        let rules = [("rating", &self.rating), ("thumb", &self.thumb), ("correction", &self.correction)];
        for (name, rule) in rules {
            if let Some(rule) = rule {
                weight(format!("{name}.weight"), rule.weight)?;
            }
        }
        for (name, value) in
            [("user", self.sources.user), ("expert", self.sources.expert), ("program", self.sources.program)]
        {
            weight(format!("sources.{name}"), value)?;
        }
        if self.metrics.len() > Self::MAX_METRICS {
            let expected = format!("at most {} metrics", Self::MAX_METRICS);
            return Err(Invalid::new("metrics", self.metrics.len(), expected));
        }
        for (name, rule) in &self.metrics {
            crate::feedback::short_text("metrics", name, 100)?;
            weight(format!("metrics.{name}.weight"), rule.weight)?;
            let width = rule.maximum - rule.minimum;
            if !(width.is_finite() && width > 0.0) {
                let value = format!("{} to {}", rule.minimum, rule.maximum);
                return Err(Invalid::new(
                    format!("metrics.{name}"),
                    value,
                    "a minimum below the maximum, both finite",
                ));
            }
            if let Absence::ZeroAfter(seconds) = rule.absence {
                if seconds == 0 || seconds > 366 * 86_400 {
                    let field = format!("metrics.{name}.absence.zero_after");
                    return Err(Invalid::new(field, seconds, "1 to 31622400 seconds"));
                }
                rule.reward(0.0).map_err(|_| {
                    let field = format!("metrics.{name}.absence");
                    Invalid::new(field, "zero_after", "used only where 0 lies within the metric's bounds")
                })?;
            }
        }
        if self.rating.is_none()
            && self.thumb.is_none()
            && self.correction.is_none()
            && self.metrics.is_empty()
        {
            return Err(Invalid::new(
                "reward_definition",
                "empty",
                "a definition that names at least one kind of signal",
            ));
        }
        Ok(())
    }

    /// The reward of one execution from all its signals, oldest first: the latest of each source and kind, weighted.
    /// `None` when there is no signal: a missing reward is not a 0. What absence stands for gives way to anything said.
    pub fn reward(&self, signals: &[Signal]) -> Option<Reward> {
        let mut latest: BTreeMap<(FeedbackSource, &SignalKind), Reward> = BTreeMap::new();
        for signal in signals {
            latest.insert((signal.source, &signal.kind), signal.value);
        }
        let (mut sum, mut weights) = (0.0, 0.0);
        for (&(source, kind), value) in &latest {
            if source == FeedbackSource::Absence && latest.keys().any(|&(s, k)| s != source && k == kind) {
                continue;
            }
            let Some(weight) = self.weight(source, kind) else { continue };
            sum += weight * value.get();
            weights += weight;
        }
        if weights > 0.0 { Reward::new((sum / weights).clamp(0.0, 1.0)).ok() } else { None }
    }

    fn weight(&self, source: FeedbackSource, kind: &SignalKind) -> Option<f64> {
        let kind = match kind {
            SignalKind::Rating => self.rating?.weight,
            SignalKind::Thumb => self.thumb?.weight,
            SignalKind::Correction => self.correction?.weight,
            SignalKind::Metric(name) => self.metrics.get(name)?.weight,
        };
        let source = match source {
            FeedbackSource::User => self.sources.user,
            FeedbackSource::Expert => self.sources.expert,
            FeedbackSource::Program | FeedbackSource::Absence => self.sources.program,
        };
        Some(kind * source)
    }
}

fn one() -> f64 {
    1.0
}

fn zero_reward() -> Reward {
    Reward::ZERO
}

/// A reward as a number on the wire, not as millionths.
mod reward_number {
    use super::Reward;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(reward: &Reward, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(reward.get())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Reward, D::Error> {
        Reward::new(f64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(source: FeedbackSource, kind: SignalKind, value: f64) -> Signal {
        Signal { source, kind, value: Reward::new(value).unwrap() }
    }

    #[test]
    fn a_missing_reward_is_not_a_zero() {
        assert_eq!(RewardDefinition::default().reward(&[]), None);
    }

    #[test]
    fn the_latest_of_each_source_and_kind_counts_by_its_weight() {
        let mut definition = RewardDefinition::default();
        definition.sources.expert = 3.0;
        let signals = [
            signal(FeedbackSource::User, SignalKind::Rating, 1.0),
            signal(FeedbackSource::User, SignalKind::Rating, 0.5),
            signal(FeedbackSource::Expert, SignalKind::Rating, 1.0),
        ];
        assert_eq!(definition.reward(&signals), Some(Reward::new(0.875).unwrap()));
    }

    #[test]
    fn absence_gives_way_to_what_was_said() {
        let definition = RewardDefinition::default();
        let metric = || SignalKind::Metric("reward".to_owned());
        let absent = signal(FeedbackSource::Absence, metric(), 0.0);
        assert_eq!(definition.reward(std::slice::from_ref(&absent)), Some(Reward::ZERO));
        assert_eq!(
            definition.reward(&[signal(FeedbackSource::User, metric(), 1.0), absent]),
            Some(Reward::ONE)
        );
    }

    #[test]
    fn a_smaller_value_is_better_where_the_direction_says_so() {
        let rule = MetricRule {
            minimum: 0.0,
            maximum: 10.0,
            direction: Direction::Decrease,
            weight: 1.0,
            absence: Absence::Missing,
        };
        assert_eq!(rule.reward(2.5).unwrap(), Reward::new(0.75).unwrap());
        assert!(rule.reward(10.1).is_err() && rule.reward(f64::NAN).is_err());
    }
}
