//! What all units of an experiment did together.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use upswing_domain::{
    Allocation, Direction, ExperimentPlan, MAX_SEGMENT_VALUES, MetricKind, MetricRole, SEGMENT_OTHER,
    SequentialMethod, Timestamp,
};
use upswing_stats::Sketch;
use upswing_stats::sequential::{
    Alpha, Arm, Grid, Margin, NonInferiorityTest, RandomisationTest, Tilts, within_pair,
};

use super::{Sums, Unit};

/// Changes when the layout of [`Tally`], or what is counted, changes.
pub const TALLY_VERSION: u16 = 2;

/// Outcomes of a bounded mean are told apart in so many steps; a step is less than the noise of any rating.
const LEVELS: usize = 101;

/// Why stored state cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TallyError {
    /// Another program wrote it.
    #[error("the tally has version {0}, this program reads {TALLY_VERSION}")]
    Version(u16),
    /// It is not what was written.
    #[error("the tally is not understood: {0}")]
    Corrupt(String),
}

/// What all units did: one value that is saved with the position it has read up to. Its size grows with arms, metrics and
/// segments, not with units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    version: u16,
    /// Units that were exposed, by the epoch of their split and their arm.
    pub exposed: BTreeMap<i64, Vec<u64>>,
    /// Units that are kept out.
    pub held_out: u64,
    /// One for each metric.
    pub metrics: Vec<MetricTally>,
    /// The same by segment, sums alone.
    pub segments: BTreeMap<(String, String), SegmentTally>,
    /// How many outcomes of the goal were closed when a look was last kept, and when that was.
    pub looked: (i64, Timestamp),
}

/// One metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricTally {
    /// One for each arm.
    pub arms: Vec<ArmTally>,
    /// Units that are kept out.
    pub held_out: Sums,
    /// Each treatment against the control, in the order of the arms.
    pub pairs: Vec<PairTally>,
}

/// One arm.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ArmTally {
    /// Closed outcomes.
    pub sums: Sums,
    /// Of units of which something was known before: outcome and covariate.
    pub adjusted: Sums,
    /// Units that closed without a value.
    pub absent: u64,
    /// Of a quantile: all values.
    pub sketch: Vec<u8>,
}

/// A treatment against the control.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairTally {
    /// Evidence that they differ, where outcomes have bounds.
    pub test: Option<RandomisationTest>,
    /// Of a rollout: evidence that the treatment is not worse by the margin.
    pub noninferiority: Option<NonInferiorityTest>,
    /// Doubly robust scores of the difference, right under every allocation that was drawn.
    pub scores: Scores,
}

/// Sums of scores whose mean is the difference of two arms.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Scores {
    /// How many.
    pub n: u64,
    /// Their sum.
    pub sum: f64,
    /// The sum of their squares.
    pub squares: f64,
    /// The sums of one over the share by which each unit could have got the control, and the treatment: by so much of an
    /// outcome's variance a score varies.
    pub weights: [f64; 2],
}

/// One value of one segment key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SegmentTally {
    /// Units that were exposed, by arm.
    pub exposed: Vec<u64>,
    /// Closed outcomes by metric and arm.
    pub sums: Vec<Vec<Sums>>,
}

impl Tally {
    /// Of an experiment in which nothing has happened.
    pub fn new(plan: &ExperimentPlan) -> Self {
        let arms = plan.arms.len();
        let metric = |metric: &upswing_domain::ExperimentMetric| {
            let grid = match (metric.method(), metric.kind) {
                (SequentialMethod::EProcess, MetricKind::Proportion) => Some(Grid::binary()),
                (SequentialMethod::EProcess, _) => Grid::nearest(LEVELS).ok(),
                (SequentialMethod::Asymptotic, _) => None,
            };
            let alpha = Alpha::new(plan.alpha).ok();
            let guards = plan.rollout.is_some() && metric.role == MetricRole::Guardrail;
            // A canary's failures are rare: it also bets on large differences.
            let tilts = if guards { Tilts::Wide } else { Tilts::Moderate };
            let test = grid.zip(alpha).map(|(grid, alpha)| RandomisationTest::with_tilts(grid, alpha, tilts));
            let margin = plan.rollout.and_then(|margins| match metric.role {
                MetricRole::Goal => Margin::relative(margins.goal).ok(),
                MetricRole::Guardrail => Margin::absolute(margins.guardrail).ok(),
                MetricRole::Secondary => None,
            });
            let noninferiority =
                margin.zip(alpha).map(|(margin, alpha)| NonInferiorityTest::new(margin, alpha));
            let pair = PairTally { test, noninferiority, scores: Scores::default() };
            MetricTally {
                arms: vec![ArmTally::default(); arms],
                held_out: Sums::default(),
                pairs: vec![pair; arms.saturating_sub(1)],
            }
        };
        Self {
            version: TALLY_VERSION,
            exposed: BTreeMap::new(),
            held_out: 0,
            metrics: plan.metrics.iter().map(metric).collect(),
            segments: BTreeMap::new(),
            looked: (0, Timestamp(0)),
        }
    }

    /// Counts a unit's first exposure, and brings its segments into those that are told apart.
    pub fn expose(&mut self, plan: &ExperimentPlan, unit: &mut Unit) {
        let arms = plan.arms.len();
        let Some(arm) = unit.arm.map(usize::from) else {
            self.held_out += 1;
            return;
        };
        if let Some(count) = self.exposed.entry(unit.allocation).or_insert_with(|| vec![0; arms]).get_mut(arm)
        {
            *count += 1;
        }
        for (key, value) in &mut unit.segments {
            let named = (key.clone(), value.clone());
            if !self.segments.contains_key(&named) && self.values_of(key) >= MAX_SEGMENT_VALUES {
                SEGMENT_OTHER.clone_into(value);
            }
            let fresh = || SegmentTally {
                exposed: vec![0; arms],
                sums: vec![vec![Sums::default(); arms]; plan.metrics.len()],
            };
            let segment = self.segments.entry((key.clone(), value.clone())).or_insert_with(fresh);
            if let Some(count) = segment.exposed.get_mut(arm) {
                *count += 1;
            }
        }
    }

    fn values_of(&self, key: &str) -> usize {
        self.segments.keys().filter(|(other, _)| other == key).count()
    }

    /// Takes a value of a source for a unit, or takes it back. Values after a metric's window do not count.
    pub fn take(
        &mut self,
        plan: &ExperimentPlan,
        allocations: &[Allocation],
        unit: &mut Unit,
        at: Timestamp,
        (source, value, count): (&str, f64, i64),
    ) {
        for (index, metric) in plan.metrics.iter().enumerate() {
            let wanted = metric.source() == source || metric.denominator.as_deref() == Some(source);
            let late = unit.end(metric).is_some_and(|end| at > end);
            let Some(total) = unit.totals.get_mut(index).filter(|total| wanted && !late && !total.closed)
            else {
                continue;
            };
            if metric.kind == MetricKind::Quantile {
                self.sketch(index, unit.arm, value, count);
                continue;
            }
            total.take(metric, source, value, count);
            if metric.window().is_none() && total.has_value() {
                self.close(plan, allocations, unit, index);
            }
        }
    }

    fn sketch(&mut self, metric: usize, arm: Option<u16>, value: f64, count: i64) {
        let arms = self.metrics.get_mut(metric).map(|metric| &mut metric.arms);
        let Some(arm) = arm.and_then(|arm| arms?.get_mut(usize::from(arm))) else { return };
        let mut sketch = Sketch::from_bytes(&arm.sketch).unwrap_or_default();
        sketch.add(value, count);
        arm.sketch = sketch.to_bytes();
        if count > 0 {
            arm.sums.add(value, 0.0);
        }
    }

    /// Closes all outcomes of a unit whose windows ended before a moment.
    pub fn close_due(
        &mut self,
        plan: &ExperimentPlan,
        allocations: &[Allocation],
        unit: &mut Unit,
        until: Timestamp,
    ) {
        for (index, metric) in plan.metrics.iter().enumerate() {
            let due = unit.end(metric).is_some_and(|end| end <= until);
            if due && unit.totals.get(index).is_some_and(|total| !total.closed) {
                self.close(plan, allocations, unit, index);
            }
        }
    }

    fn close(&mut self, plan: &ExperimentPlan, allocations: &[Allocation], unit: &mut Unit, index: usize) {
        let (Some(metric), Some(total), Some(tally)) =
            (plan.metrics.get(index), unit.totals.get_mut(index), self.metrics.get_mut(index))
        else {
            return;
        };
        total.closed = true;
        let outcome = total.outcome(metric);
        let Some(arm) = unit.arm.map(usize::from) else {
            if let Some((x, y)) = outcome {
                tally.held_out.add(x, y);
            }
            return;
        };
        let Some((x, y)) = outcome else {
            if let Some(arm) = tally.arms.get_mut(arm) {
                arm.absent += 1;
            }
            return;
        };
        let shares = allocations.iter().find(|allocation| allocation.epoch == unit.allocation);
        if let Some(shares) = shares.map(|allocation| allocation.split.shares(plan.arms.len())) {
            tally.observe(metric, &shares, arm, x);
        }
        if let Some(arm) = tally.arms.get_mut(arm) {
            arm.sums.add(x, y);
            if let Some(covariate) = unit.covariate {
                arm.adjusted.add(x, covariate);
            }
        }
        for segment in &unit.segments {
            let sums =
                self.segments.get_mut(segment).and_then(|segment| segment.sums.get_mut(index)?.get_mut(arm));
            if let Some(sums) = sums {
                sums.add(x, y);
            }
        }
    }

    /// As it is stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Nothing in it can fail to be written.
        postcard::to_stdvec(self).unwrap_or_default()
    }

    /// Reads what [`Tally::to_bytes`] wrote.
    ///
    /// # Errors
    /// When another program wrote it, or it is something else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TallyError> {
        let corrupt = |error: postcard::Error| TallyError::Corrupt(error.to_string());
        let (version, _) = postcard::take_from_bytes::<u16>(bytes).map_err(corrupt)?;
        if version != TALLY_VERSION {
            return Err(TallyError::Version(version));
        }
        postcard::from_bytes(bytes).map_err(corrupt)
    }

    /// How many units have a closed outcome of the goal.
    pub fn closed(&self, plan: &ExperimentPlan) -> i64 {
        let goal = plan.metrics.iter().zip(&self.metrics).find(|(metric, _)| metric.role == MetricRole::Goal);
        goal.map_or(0, |(_, tally)| tally.arms.iter().map(|arm| arm.sums.n).sum())
    }

    /// Units that were exposed, by arm.
    pub fn exposed_by_arm(&self, arms: usize) -> Vec<u64> {
        let mut sums = vec![0; arms];
        for counts in self.exposed.values() {
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum += count;
            }
        }
        sums
    }
}

impl MetricTally {
    /// Shows a unit's outcome to the tests of all pairs it belongs to, with the shares by which it got its arm.
    fn observe(&mut self, metric: &upswing_domain::ExperimentMetric, shares: &[f64], arm: usize, x: f64) {
        let share = |arm: usize| shares.get(arm).copied().unwrap_or(0.0);
        let arms = &self.arms;
        let mean = |arm: usize| arms.get(arm).and_then(|arm| arm.sums.mean()).unwrap_or(0.0);
        let outcome = metric.outcome_bounds().map(|[low, high]| (x - low) / (high - low));
        for (pair, treatment) in self.pairs.iter_mut().zip(1..) {
            let (of_treatment, of_control) = (share(treatment), share(0));
            if of_treatment <= 0.0 || of_control <= 0.0 {
                continue;
            }
            if let Some(outcome) = outcome.map(|outcome| outcome.clamp(0.0, 1.0))
                && (arm == 0 || arm == treatment)
                && let Ok(pi) = within_pair(of_treatment, of_control)
            {
                let of = if arm == 0 { Arm::Control } else { Arm::Treatment };
                // An outcome that is not a number in its bounds was not made here; the others still count.
                let _refused = pair.test.as_mut().map(|test| test.observe(of, outcome, pi));
                let good = if metric.direction == Direction::Increase { outcome } else { 1.0 - outcome };
                let _refused = pair.noninferiority.as_mut().map(|test| test.observe(of, good, pi));
            }
            let residual = |of: usize, share: f64| if arm == of { (x - mean(of)) / share } else { 0.0 };
            let score =
                mean(treatment) - mean(0) + residual(treatment, of_treatment) - residual(0, of_control);
            pair.scores.n += 1;
            pair.scores.sum += score;
            pair.scores.squares += score * score;
            let [control, treatment] = &mut pair.scores.weights;
            *control += 1.0 / of_control;
            *treatment += 1.0 / of_treatment;
        }
    }
}
