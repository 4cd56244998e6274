//! Reading Upswing's own export of decisions, joined with the rewards of their executions.
//!
//! A line is what `GET /api/learning/export/decisions` writes. Its reward is its field `reward`, or that of its executions in
//! the export of executions (their mean, where there are several with one). What no policy drew is left out: forced and
//! restored decisions, the champion's, and shadow traffic; so is what has no reward, because that is not a reward of 0.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use serde::Deserialize;
use upswing_domain::{Context, ContextValue};

use super::decisions::{Choice, Decision, Decisions, Names};
use super::lines;
use super::open_bandit::{checked_propensity, checked_reward};
use super::outcomes::RewardRange;
use crate::failure::Failure;

const EXPECTED: &str = r#"one object a line, as GET /api/learning/export/decisions writes: {"id": "...", "version": "...", "propensity": 0.5, "context": {...}, ...}"#;
const REWARDS: &str = "--executions FILE with what GET /api/learning/export/executions writes";
/// A context key tells expected rewards apart by itself when it has so many categories.
const SEGMENT_VALUES: std::ops::RangeInclusive<usize> = 2..=50;

#[derive(Deserialize)]
struct Line {
    id: Option<String>,
    #[serde(default)]
    agent_id: Option<String>,
    version: String,
    #[serde(default)]
    unit: Option<String>,
    #[serde(default)]
    context: Option<Context>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    origin: Option<String>,
    propensity: f64,
    #[serde(default)]
    probabilities: Vec<f64>,
    #[serde(default)]
    eligible: Option<Vec<String>>,
    #[serde(default)]
    epoch: i64,
    #[serde(default)]
    reward: Option<f64>,
}

#[derive(Deserialize)]
struct Execution {
    #[serde(default)]
    decision_id: Option<String>,
    #[serde(default)]
    reward: Option<f64>,
}

/// Reads decisions, with the rewards of another export where that is given.
pub(crate) fn read(
    path: &Path,
    executions: Option<&Path>,
    range: RewardRange,
    segment: Option<&str>,
) -> Result<Decisions, Failure> {
    let rewards = match executions {
        Some(path) => read_rewards(path)?,
        None => HashMap::new(),
    };
    let mut reader = Reader::new(rewards, range);
    lines::each(path, |_, line| if line.trim().is_empty() { Ok(()) } else { reader.line(line) })?;
    reader.finish(path, executions.is_some(), segment)
}

/// By decision: the sum of its rewards, and how many there are.
fn read_rewards(path: &Path) -> Result<HashMap<String, (f64, u32)>, Failure> {
    let mut rewards: HashMap<String, (f64, u32)> = HashMap::new();
    lines::each(path, |_, line| {
        if line.trim().is_empty() {
            return Ok(());
        }
        let Execution { decision_id, reward } = serde_json::from_str(line)
            .map_err(|error| Failure::new(format!("not an execution: {error}")).hint(REWARDS))?;
        if let Some((id, reward)) = decision_id.zip(reward) {
            let entry = rewards.entry(id).or_default();
            *entry = (entry.0 + reward, entry.1 + 1);
        }
        Ok(())
    })?;
    Ok(rewards)
}

struct Reader {
    rewards: HashMap<String, (f64, u32)>,
    range: RewardRange,
    agent: Option<String>,
    versions: Names,
    contexts: Vec<Context>,
    context_numbers: HashMap<String, u32>,
    /// By epoch or by list of eligible versions: which versions were seen, and how many there were.
    choices: Vec<(BTreeSet<u32>, usize)>,
    choice_numbers: HashMap<String, u32>,
    rows: Vec<Decision>,
    undrawn: u64,
    unrewarded: u64,
}

impl Reader {
    fn new(rewards: HashMap<String, (f64, u32)>, range: RewardRange) -> Self {
        Self {
            rewards,
            range,
            agent: None,
            versions: Names::default(),
            contexts: Vec::new(),
            context_numbers: HashMap::new(),
            choices: Vec::new(),
            choice_numbers: HashMap::new(),
            rows: Vec::new(),
            undrawn: 0,
            unrewarded: 0,
        }
    }

    fn line(&mut self, text: &str) -> Result<(), Failure> {
        let line: Line = serde_json::from_str(text)
            .map_err(|error| Failure::new(format!("not a decision: {error}")).hint(EXPECTED))?;
        if let Some(agent) = &line.agent_id {
            let first = self.agent.get_or_insert_with(|| agent.clone());
            if first != agent {
                return Err(Failure::new(format!("the decisions are of two agents, {first} and {agent}"))
                    .hint(format!("export one: /api/learning/export/decisions?agent_id={agent}")));
            }
        }
        let drawn = line.reason.as_deref().is_none_or(|reason| reason == "policy")
            && line.origin.as_deref().is_none_or(|origin| !["shadow", "forced"].contains(&origin));
        if !drawn {
            self.undrawn += 1;
            return Ok(());
        }
        let propensity = checked_propensity(line.propensity)?;
        let arm = self.versions.number(&line.version);
        let choice = self.choice(&line, arm)?;
        let joined = line.id.as_ref().and_then(|id| self.rewards.get(id));
        let reward = line.reward.or_else(|| joined.map(|(sum, count)| sum / f64::from(*count)));
        let Some(reward) = reward else {
            self.unrewarded += 1;
            return Ok(());
        };
        let reward = checked_reward(reward, self.range)?;
        let context = line.context.unwrap_or_default();
        let next = self.contexts.len() as u32;
        let number = *self.context_numbers.entry(context.to_json()).or_insert(next);
        if number == next {
            self.contexts.push(context);
        }
        let unit = line.unit.map(|unit| hash(&unit));
        self.rows.push(Decision { arm, choice, context: number, segment: 0, reward, propensity, unit });
        Ok(())
    }

    /// The number of the set of versions that this one was chosen from.
    fn choice(&mut self, line: &Line, arm: u32) -> Result<u32, Failure> {
        let key = match &line.eligible {
            Some(eligible) => eligible.join("\n"),
            None => format!("{} {}", line.epoch, line.probabilities.len()),
        };
        let next = self.choices.len() as u32;
        let number = *self.choice_numbers.entry(key).or_insert(next);
        if number == next {
            self.choices.push((BTreeSet::new(), line.probabilities.len()));
        }
        let mut named = vec![arm];
        if let Some(eligible) = line.eligible.as_deref() {
            if !eligible.contains(&line.version) {
                return Err(Failure::new(format!("version '{}' is not among 'eligible'", line.version))
                    .hint("'eligible' lists every version that could be chosen, the chosen one included"));
            }
            named.extend(eligible.iter().map(|version| self.versions.number(version)));
        }
        if let Some((arms, count)) = self.choices.get_mut(number as usize) {
            arms.extend(named);
            *count = (*count).max(arms.len());
        }
        Ok(number)
    }

    fn finish(mut self, path: &Path, joined: bool, segment: Option<&str>) -> Result<Decisions, Failure> {
        if self.rows.is_empty() {
            let failure = |message: &str, hint: &str| {
                Err(Failure::new(format!("{}: {message}", path.display())).hint(hint))
            };
            return match (self.unrewarded, self.undrawn, joined) {
                (0, 0, _) => failure("there are no decisions", EXPECTED),
                (0, _, _) => failure(
                    "no decision was drawn by a policy",
                    "export an agent whose policy is not 'fixed'",
                ),
                (_, _, false) => failure("no decision has a reward", REWARDS),
                (_, _, true) => failure(
                    "no decision has a reward: none of the executions names one of these decisions and has one",
                    "both exports of the same agent, after feedback came in",
                ),
            };
        }
        let (segment_key, segments) = self.divide(segment)?;
        let mut note =
            format!("{} decisions in {}: {} versions", self.rows.len(), path.display(), self.versions.len());
        if let Some(key) = &segment_key {
            note.push_str(&format!(", {} values of '{key}'", segments.len()));
        }
        let mut notes = vec![note];
        if self.undrawn > 0 {
            notes.push(format!(
                "{} more were left out, which no policy drew: an experiment's or a rollout's, forced, restored, shadow or the champion's",
                self.undrawn
            ));
        }
        if self.unrewarded > 0 {
            notes.push(format!(
                "{} more were left out: their reward is missing, which is not 0. Where that depends on what was served, all below is biased",
                self.unrewarded
            ));
        }
        let unnamed = self.choices.iter().any(|(arms, count)| arms.len() < *count);
        if unnamed {
            notes.push(
                "some versions could be chosen and never were: only the uniform policy takes them".to_owned(),
            );
        }
        Ok(Decisions {
            notes,
            policy: "the agent's policy".to_owned(),
            noun: "version",
            arms: self.versions.into_names(),
            segment_key,
            segments,
            choices: self
                .choices
                .into_iter()
                .map(|(arms, count)| Choice { arms: arms.into_iter().collect(), count })
                .collect(),
            contexts: self.contexts,
            rows: self.rows,
            range: Some(self.range),
        })
    }

    /// Gives each decision its segment: by the key that is wanted, or the first with a sensible number of categories.
    fn divide(&mut self, wanted: Option<&str>) -> Result<(Option<String>, Vec<String>), Failure> {
        let keys: BTreeSet<&str> = self.contexts.iter().flat_map(|c| c.iter().map(|(key, _)| key)).collect();
        let suits = |key: &str| {
            let values: Vec<_> = self.contexts.iter().filter_map(|c| c.get(key)).collect();
            let categories = values.iter().all(|value| matches!(value, ContextValue::Category(_)));
            let distinct: BTreeSet<String> = values.iter().map(|value| value.label()).collect();
            categories && SEGMENT_VALUES.contains(&distinct.len())
        };
        let key = match wanted {
            Some(key) if keys.contains(key) => Some(key.to_owned()),
            Some(key) => {
                let known: Vec<&str> = keys.into_iter().collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(Failure::new(format!("no context has the key '{key}'"))
                    .hint(format!("--segment with a key that the file has: {known}")));
            }
            None => keys.into_iter().find(|key| suits(key)).map(str::to_owned),
        };
        let Some(key) = key else { return Ok((None, vec!["all".to_owned()])) };
        let mut names = Names::default();
        let labels: Vec<u32> = self
            .contexts
            .iter()
            .map(|context| {
                names.number(&context.get(&key).map_or_else(|| "(none)".to_owned(), ContextValue::label))
            })
            .collect();
        for row in &mut self.rows {
            row.segment = labels.get(row.context as usize).copied().unwrap_or_default();
        }
        Ok((Some(key), names.into_names()))
    }
}

fn hash(text: &str) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&blake3::hash(text.as_bytes()).as_bytes()[..8]);
    u64::from_le_bytes(first)
}
