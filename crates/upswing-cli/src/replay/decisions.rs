//! Logged decisions in memory, whatever file they came from.

use std::collections::HashMap;

use upswing_domain::Context;

use super::outcomes::RewardRange;

/// One decision with its reward.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Decision {
    /// Which arm was chosen.
    pub(crate) arm: u32,
    /// Which arms could be: an index of [`Decisions::choices`].
    pub(crate) choice: u32,
    /// What was known: an index of [`Decisions::contexts`].
    pub(crate) context: u32,
    /// The segment that expected rewards are told apart by.
    pub(crate) segment: u32,
    /// What it earned.
    pub(crate) reward: f64,
    /// The probability with which the arm was chosen.
    pub(crate) propensity: f64,
    /// The hash of who was served, where that is known: one person's decisions stay together.
    pub(crate) unit: Option<u64>,
}

/// Which arms could be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Choice {
    /// Those that the log names, ascending.
    pub(crate) arms: Vec<u32>,
    /// How many there were in all: some may never have been chosen.
    pub(crate) count: usize,
}

/// A log.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Decisions {
    /// What was read, for people: where from, and what was left out.
    pub(crate) notes: Vec<String>,
    /// The logging policy's name.
    pub(crate) policy: String,
    /// What arms are called: items, versions.
    pub(crate) noun: &'static str,
    /// The arms' names.
    pub(crate) arms: Vec<String>,
    /// What segments are called, as in position; `None`: there is one segment.
    pub(crate) segment_key: Option<String>,
    /// The segments' names; at least one.
    pub(crate) segments: Vec<String>,
    /// Sets of arms that could be chosen.
    pub(crate) choices: Vec<Choice>,
    /// Distinct contexts.
    pub(crate) contexts: Vec<Context>,
    /// The decisions, in the order of time.
    pub(crate) rows: Vec<Decision>,
    /// What rewards may be.
    pub(crate) range: Option<RewardRange>,
}

impl Decisions {
    /// The arms that could be chosen.
    pub(crate) fn choice(&self, decision: &Decision) -> &Choice {
        &self.choices[decision.choice as usize]
    }

    /// Which of `count` folds each decision belongs to: by the hash of who was served where the log says so for all, so that
    /// nobody is on both sides; otherwise by blocks of time, so that neighbours are not.
    pub(crate) fn folds(&self, count: usize) -> (Vec<u32>, &'static str) {
        let n = self.rows.len().max(1);
        let units: Option<Vec<u32>> =
            self.rows.iter().map(|row| row.unit.map(|unit| (unit % count as u64) as u32)).collect();
        match units {
            Some(folds) => (folds, "by who was served"),
            None => ((0..self.rows.len()).map(|i| (i * count / n) as u32).collect(), "blocks of time"),
        }
    }
}

/// Names with numbers, in the order they came.
#[derive(Debug, Default)]
pub(crate) struct Names {
    numbers: HashMap<String, u32>,
    names: Vec<String>,
}

impl Names {
    /// The number of a name.
    pub(crate) fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.names.len() as u32;
        self.numbers.insert(name.to_owned(), number);
        self.names.push(name.to_owned());
        number
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// All of them.
    pub(crate) fn into_names(self) -> Vec<String> {
        self.names
    }
}
