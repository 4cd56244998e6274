//! Policies that a log is asked about.

use std::collections::HashMap;

use upswing_domain::{PolicyConfig, Reward, VersionId};
use upswing_learn::{LearnerState, Observation, PolicySnapshot};

use super::decisions::{Decision, Decisions};
use super::reward_model::RewardModel;

/// The share that epsilon-greedy spreads evenly.
pub(crate) const EPSILON: f64 = 0.1;
/// With more arms than this none is evaluated by itself.
pub(crate) const MOST_FIXED: usize = 20;
/// How many contexts' probabilities are remembered for each fold.
const REMEMBERED: usize = 4096;

/// A policy that could have decided instead.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Target {
    /// Any arm, equally often.
    Uniform,
    /// Always this arm, judged on the decisions where it could be chosen.
    Always(u32),
    /// The arm that is expected to earn most in the segment by the shrunken means of the other folds, but with this
    /// probability any; arms that expect the same share.
    Greedy(f64),
    /// One of the learners, fed with the other folds.
    Learned(PolicyConfig),
    /// How often another log chose each arm in each segment.
    Frequencies {
        /// Whose.
        name: String,
        /// By this log's segment, then by arm; `None` where the other log lacks the segment.
        shares: Vec<Option<Vec<f64>>>,
    },
}

impl Target {
    /// The name in reports.
    pub(crate) fn name(&self, decisions: &Decisions) -> String {
        match self {
            Self::Uniform => "uniform".to_owned(),
            Self::Always(arm) => {
                let name = decisions.arms.get(*arm as usize).map_or("", String::as_str);
                format!("always {name}")
            }
            Self::Greedy(epsilon) if *epsilon > 0.0 => "epsilon_greedy".to_owned(),
            Self::Greedy(_) => "greedy".to_owned(),
            Self::Learned(config) => config.name().to_owned(),
            Self::Frequencies { name, .. } => name.clone(),
        }
    }

    /// Those that every log is asked about.
    pub(crate) fn usual(decisions: &Decisions) -> Vec<Self> {
        let mut targets = vec![Self::Uniform];
        if decisions.arms.len() <= MOST_FIXED {
            targets.extend((0..decisions.arms.len() as u32).map(Self::Always));
        }
        targets.extend([Self::Greedy(0.0), Self::Greedy(EPSILON)]);
        targets.extend(LEARNERS.map(Self::Learned));
        targets
    }

    /// How often the other log chose each arm in each segment of this one.
    pub(crate) fn frequencies(decisions: &Decisions, other: &Decisions) -> Self {
        let shares = decisions.segments.iter().map(|segment| {
            let segment = other.segments.iter().position(|name| name == segment)? as u32;
            let mut counts = vec![0.0; decisions.arms.len()];
            let mut total = 0.0;
            for row in other.rows.iter().filter(|row| row.segment == segment) {
                total += 1.0;
                if let Some(count) = counts.get_mut(row.arm as usize) {
                    *count += 1.0;
                }
            }
            (total > 0.0).then(|| counts.iter().map(|count| count / total).collect())
        });
        let name = format!("{} (approximate: its frequencies)", other.policy);
        Self::Frequencies { name, shares: shares.collect() }
    }
}

/// The learners, as they are when nothing is configured.
const LEARNERS: [PolicyConfig; 3] = [
    PolicyConfig::Thompson,
    PolicyConfig::LinearThompson { floor: 0.0 },
    PolicyConfig::LinUcb { width: 1.0 },
];

/// What is learned on all folds but one.
pub(crate) struct Fitted {
    /// Expected rewards.
    pub(crate) model: RewardModel,
    learned: Vec<(PolicyConfig, PolicySnapshot)>,
    remembered: HashMap<(usize, u32, u32), Vec<f64>>,
}

fn version(arm: u32) -> VersionId {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&arm.to_be_bytes());
    VersionId(bytes)
}

impl Fitted {
    /// Learns from every decision that is not of this fold.
    pub(crate) fn without(decisions: &Decisions, folds: &[u32], fold: u32) -> Self {
        let rows = || decisions.rows.iter().zip(folds).filter(|(_, of)| **of != fold).map(|(row, _)| row);
        let model = RewardModel::fit(decisions, rows());
        let mut state = LearnerState::new(PolicyConfig::LinearThompson { floor: 0.0 });
        for row in rows() {
            let unit = decisions.range.map_or(row.reward, |r| (row.reward - r.low) / (r.high - r.low));
            state.observe(&[Observation {
                version: version(row.arm),
                context: decisions.contexts.get(row.context as usize),
                propensity: row.propensity,
                old: None,
                new: Reward::new(unit.clamp(0.0, 1.0)).ok(),
            }]);
        }
        let learned =
            LEARNERS.iter().filter_map(|config| Some((*config, state.with_config(*config)?.snapshot())));
        Self { model, learned: learned.collect(), remembered: HashMap::new() }
    }

    /// The probability of each arm that the log names for this decision, in their order; `None` where the target says nothing
    /// about it.
    pub(crate) fn probabilities(
        &mut self,
        target: &Target,
        decisions: &Decisions,
        row: &Decision,
    ) -> Option<Vec<f64>> {
        let choice = decisions.choice(row);
        Some(match target {
            Target::Uniform => vec![1.0 / choice.count.max(1) as f64; choice.arms.len()],
            Target::Always(arm) => {
                let place = choice.arms.binary_search(arm).ok()?;
                (0..choice.arms.len()).map(|index| f64::from(u8::from(index == place))).collect()
            }
            Target::Greedy(epsilon) => {
                let expected: Vec<f64> =
                    choice.arms.iter().map(|arm| self.model.expected(row.segment, *arm)).collect();
                greedy(&expected, *epsilon)
            }
            Target::Frequencies { shares, .. } => {
                let shares = shares.get(row.segment as usize)?.as_ref()?;
                choice.arms.iter().map(|arm| shares.get(*arm as usize).copied().unwrap_or(0.0)).collect()
            }
            Target::Learned(config) => {
                let index = self.learned.iter().position(|(learned, _)| learned == config)?;
                let key = (index, row.choice, row.context);
                if let Some(known) = self.remembered.get(&key) {
                    return Some(known.clone());
                }
                let eligible: Vec<VersionId> = choice.arms.iter().map(|arm| version(*arm)).collect();
                let context = decisions.contexts.get(row.context as usize);
                let probabilities = self.learned.get(index)?.1.probabilities(context, &eligible);
                if self.remembered.len() >= REMEMBERED {
                    self.remembered.clear();
                }
                self.remembered.insert(key, probabilities.clone());
                probabilities
            }
        })
    }
}

fn greedy(expected: &[f64], epsilon: f64) -> Vec<f64> {
    let most = expected.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // Equal but for rounding.
    let best = |value: f64| value >= most - 1e-12 * most.abs().max(1e-6);
    let share = (1.0 - epsilon) / expected.iter().filter(|value| best(**value)).count().max(1) as f64;
    let even = epsilon / expected.len().max(1) as f64;
    expected.iter().map(|value| even + if best(*value) { share } else { 0.0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greedy_takes_the_best_and_shares_ties() {
        assert_eq!(greedy(&[0.1, 0.3, 0.2], 0.0), [0.0, 1.0, 0.0]);
        assert_eq!(greedy(&[0.3, 0.3, 0.2], 0.0), [0.5, 0.5, 0.0]);
        let some = greedy(&[0.0, 0.0, 1.0, 0.0], 0.2);
        assert!((some.iter().sum::<f64>() - 1.0).abs() < 1e-12 && (some[2] - 0.85).abs() < 1e-12, "{some:?}");
        assert!(greedy(&[], 0.1).is_empty());
    }
}
