//! Experiments: what is compared, what each unit did, and what all did together.

pub(crate) mod experiment;
pub(crate) mod tally;

use std::sync::Arc;

use upswing_domain::{Assignment, Context, ExperimentId, Position, Pseudonym, Timestamp};

/// Something that units of experiments did, or that was said of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ExperimentEvent {
    /// Its place in the organisation's sequence.
    pub position: Position,
    /// When it was recorded: what comes after a unit's window does not count.
    pub at: Timestamp,
    /// Which experiment, arm and unit.
    pub assignment: Assignment,
    /// What happened.
    pub what: Happened,
}

/// What happened to a unit.
#[derive(Debug, Clone, PartialEq)]
pub enum Happened {
    /// It was served an arm, or the champion where it is kept out.
    Exposed {
        /// What was known before.
        context: Option<Arc<Context>>,
    },
    /// A value of a source came, or went again.
    Value {
        /// Where it comes from.
        source: String,
        /// What it is.
        value: f64,
        /// 1 where it came, -1 where it is no longer so.
        count: i64,
    },
}

/// A stretch of an agent's events, as far as they concern its experiments.
#[derive(Debug, Clone, PartialEq)]
pub struct ExperimentPiece {
    /// In the order of positions.
    pub events: Vec<ExperimentEvent>,
    /// Everything up to here was looked at.
    pub to: Position,
    /// Whether that was all there is.
    pub complete: bool,
}

/// How far an agent's events have been folded into its experiments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExperimentProgress {
    /// Everything up to here.
    pub position: Position,
    /// Counts what was saved: whoever saves says what it has read.
    pub revision: i64,
}

/// What a unit did, as the fold keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExperimentUnit {
    /// In which experiment.
    pub experiment: ExperimentId,
    /// Whom it assigned, by a keyed hash.
    pub unit: Pseudonym,
    /// As the fold encodes it.
    pub state: Vec<u8>,
    /// When the next of its outcomes closes.
    pub closes_at: Option<Timestamp>,
}

/// What an experiment looked like at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct ExperimentLook {
    /// Which.
    pub experiment: ExperimentId,
    /// When.
    pub at: Timestamp,
    /// The results, as JSON.
    pub results: String,
}

/// What a piece of folding changed: units, tallies, looks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExperimentChanges {
    /// Units that did something or closed.
    pub units: Vec<ExperimentUnit>,
    /// What all units did together, as the fold encodes it.
    pub tallies: Vec<(ExperimentId, Vec<u8>)>,
    /// What is to be remembered of this moment.
    pub looks: Vec<ExperimentLook>,
}
