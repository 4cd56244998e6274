//! Experiments held on a file whose every outcome is known, so that it is known as well who is right.
//!
//! In each trial every question is a unit that is assigned by the hash that serves real experiments, and rewarded with the
//! outcome of the version it got. A segment has few questions, so they come again, in another order and as fresh units, until there
//! is a verdict or the limit is reached: what is inferred is the difference over the file's questions.

use std::fmt::Write as _;

use serde_json::{Value, json};
use upswing_domain::assignment::{Split, bucket};
use upswing_domain::{
    Absence, Allocation, AssignmentUnit, Direction, ExperimentArm, ExperimentMetric, ExperimentPlan,
    MetricKind, MetricRole, Timestamp, VersionId,
};
use upswing_learn::evaluate::{Results, Tally, Unit, Verdict, analyse};

use crate::failure::Failure;
use crate::random::SplitMix64;
use crate::replay::outcomes::{Outcomes, RewardRange};

/// Every unit up to here is followed by a look.
const EACH: u64 = 100;
/// From there on one whenever there is so much more. The e-process itself looks at every unit.
const GROWTH: f64 = 1.02;

/// How trials are held.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Trials {
    /// How many trials there are of each segment, each in another order with other assignments
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    shuffles: u32,
    /// What orders and assignments follow from: the same seed gives the same report
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The version that is compared with [default: the first of the file]
    #[arg(long, value_name = "VERSION")]
    control: Option<String>,
    /// The version that is compared [default: the first other one]
    #[arg(long, value_name = "VERSION")]
    treatment: Option<String>,
    /// How many units a trial has at most; questions come again until then
    #[arg(long, value_name = "UNITS", default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(2..=10_000_000))]
    limit: u64,
    /// No verdict before so many units
    #[arg(long, default_value_t = 0)]
    minimum_units: u64,
    /// How often at most a trial without effect may come to a verdict
    #[arg(long, default_value_t = 0.05)]
    alpha: f64,
    /// Give both arms the control: every verdict is a false alarm
    #[arg(long)]
    aa: bool,
}

/// What came of all trials of a segment.
#[derive(Debug)]
struct Segment {
    name: String,
    questions: usize,
    /// The treatment's mean reward minus the control's, over the segment's questions.
    difference: f64,
    /// By trial: the verdict with the units it took.
    verdicts: Vec<(Verdict, u64)>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct TrialReport {
    trials: Trials,
    control: String,
    treatment: String,
    key: Option<String>,
    overall: Segment,
    segments: Vec<Segment>,
}

/// Holds all trials.
pub(crate) fn play(outcomes: &Outcomes, range: RewardRange, trials: &Trials) -> Result<TrialReport, Failure> {
    let version = |name: &String| {
        outcomes.versions.iter().position(|version| version == name).ok_or_else(|| {
            Failure::new(format!("no version is called '{name}'"))
                .hint(format!("the file has {}", outcomes.versions.join(", ")))
        })
    };
    let control = trials.control.as_ref().map(version).transpose()?.unwrap_or(0);
    let treatment = match &trials.treatment {
        Some(name) => version(name)?,
        None => (0..outcomes.versions.len())
            .find(|place| *place != control)
            .ok_or_else(|| Failure::new("there is one version, and nothing to compare it with"))?,
    };
    let arms = [control, if trials.aa { control } else { treatment }];
    let plan = plan(range, trials);
    plan.check(&|_| true).map_err(|error| Failure::new(error.to_string()))?;
    let held = |name: String, questions: Vec<u32>, part: u64| {
        let reward = |question: u32, arm: usize| outcomes.reward(question as usize, arms[arm]);
        let difference = |q: &u32| reward(*q, 1) - reward(*q, 0);
        let sum: f64 = questions.iter().map(difference).sum();
        let verdicts = (0..trials.shuffles)
            .map(|shuffle| {
                let seed = [trials.seed, part, u64::from(shuffle)];
                trial(&plan, &questions, reward, seed, trials.limit)
            })
            .collect();
        Segment {
            name,
            questions: questions.len(),
            difference: sum / questions.len().max(1) as f64,
            verdicts,
        }
    };
    let overall = held("all".to_owned(), (0..outcomes.len() as u32).collect(), 0);
    let count = outcomes.segments.iter().copied().max().map_or(0, |most| most + 1);
    let segments = (0..count).filter(|_| count > 1).map(|segment| {
        let all = 0..outcomes.len() as u32;
        let questions: Vec<u32> =
            all.filter(|q| outcomes.segments.get(*q as usize) == Some(&segment)).collect();
        held(name(outcomes, &questions), questions, u64::from(segment) + 1)
    });
    Ok(TrialReport {
        trials: trials.clone(),
        control: outcomes.versions.get(control).cloned().unwrap_or_default(),
        treatment: outcomes.versions.get(arms[1]).cloned().unwrap_or_default(),
        key: outcomes.segment_key.clone(),
        overall,
        segments: segments.collect(),
    })
}

/// A segment's name: what its questions' contexts say.
fn name(outcomes: &Outcomes, questions: &[u32]) -> String {
    let context = questions.first().and_then(|question| outcomes.contexts.get(*question as usize));
    let context: Option<Value> = context.and_then(|context| serde_json::from_str(context).ok());
    let value =
        outcomes.segment_key.as_ref().zip(context).and_then(|(key, context)| context.get(key).cloned());
    match value {
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
        None => "(none)".to_owned(),
    }
}

fn plan(range: RewardRange, trials: &Trials) -> ExperimentPlan {
    let arm = |place: u8| ExperimentArm { version: VersionId([place; 32]), weight: 0.5 };
    ExperimentPlan {
        arms: vec![arm(0), arm(1)],
        unit: AssignmentUnit::Execution,
        seed: "replay".to_owned(),
        coverage: 1.0,
        layer: None,
        holdout: None,
        targeting: Vec::new(),
        metrics: vec![ExperimentMetric {
            name: "reward".to_owned(),
            source: String::new(),
            kind: MetricKind::Mean,
            role: MetricRole::Goal,
            direction: Direction::Increase,
            bounds: Some([range.low, range.high]),
            denominator: None,
            quantile: None,
            absence: Absence::Missing,
            window_seconds: None,
            minimum_effect: None,
            method: None,
        }],
        covariate: None,
        alpha: trials.alpha,
        minimum_units: trials.minimum_units,
        minimum_seconds: 0,
        planned_units: 5_000,
        rollout: None,
        adaptive: None,
    }
}

/// One trial: the verdict, and the units that it took.
fn trial(
    plan: &ExperimentPlan,
    questions: &[u32],
    reward: impl Fn(u32, usize) -> f64,
    seed: [u64; 3],
    limit: u64,
) -> (Verdict, u64) {
    let split = Split::fresh(&plan.weights(), 1.0);
    let allocations = [Allocation { epoch: 1, effective_at: Timestamp(0), split }];
    let mut random = SplitMix64::of(&seed);
    let salt = format!("{}-{}-{}", seed[0], seed[1], seed[2]);
    let mut tally = Tally::new(plan);
    let (mut units, mut next_look) = (0_u64, 1.0);
    let look = |tally: &Tally| analyse(plan, &allocations, tally, None, Timestamp(0));
    while units < limit && !questions.is_empty() {
        for place in random.shuffled(questions.len()) {
            let (Some(question), true) = (questions.get(place as usize), units < limit) else { break };
            units += 1;
            let arm = allocations[0].split.arm(bucket(&salt, &units.to_string())).unwrap_or(0);
            let at = Timestamp(0).plus_seconds(i64::try_from(units).unwrap_or(i64::MAX));
            let mut unit = Unit::exposed(plan, (Some(arm), 1), at, None, &[]);
            tally.expose(plan, &mut unit);
            let value = ("reward", reward(*question, usize::from(arm)), 1);
            tally.take(plan, &allocations, &mut unit, at, value);
            if units <= EACH || units as f64 >= next_look {
                next_look = units as f64 * GROWTH;
                let Results { verdict, .. } = look(&tally);
                if verdict != Verdict::Inconclusive {
                    return (verdict, units);
                }
            }
        }
    }
    (look(&tally).verdict, units)
}

impl Segment {
    /// How many trials came to a verdict that is right, and to one that is not.
    fn counted(&self) -> (usize, usize) {
        let right = |verdict: Verdict| match verdict {
            Verdict::Better => self.difference > 0.0,
            Verdict::Worse => self.difference < 0.0,
            Verdict::Equivalent | Verdict::Inconclusive => false,
        };
        let answered = self.verdicts.iter().filter(|(verdict, _)| *verdict != Verdict::Inconclusive);
        let right = answered.clone().filter(|(verdict, _)| right(*verdict)).count();
        (right, answered.count() - right)
    }

    /// The median of the units that the verdicts took; `None` where most trials had none.
    fn units(&self) -> Option<u64> {
        let units = |&(verdict, units): &(Verdict, u64)| {
            if verdict == Verdict::Inconclusive { u64::MAX } else { units }
        };
        let mut units: Vec<u64> = self.verdicts.iter().map(units).collect();
        units.sort_unstable();
        units.get(units.len().saturating_sub(1) / 2).copied().filter(|units| *units < u64::MAX)
    }

    fn json(&self) -> Value {
        let (right, wrong) = self.counted();
        json!({
            "name": self.name,
            "questions": self.questions,
            "difference": self.difference,
            "trials": self.verdicts.len(),
            "right": right,
            "wrong": wrong,
            "inconclusive": self.verdicts.len() - right - wrong,
            "median_units": self.units(),
        })
    }

    fn line(&self, width: usize) -> String {
        let (right, wrong) = self.counted();
        let silent = self.verdicts.len() - right - wrong;
        let units = self.units().map_or("-".to_owned(), |units| units.to_string());
        format!(
            "  {:width$}  {:>9}  {:>+10.3}  {right:>5}  {wrong:>5}  {silent:>12}  {units:>12}\n",
            self.name, self.questions, self.difference
        )
    }
}

impl TrialReport {
    /// One object.
    pub(crate) fn json(&self) -> Value {
        json!({
            "control": self.control,
            "treatment": self.treatment,
            "aa": self.trials.aa,
            "alpha": self.trials.alpha,
            "seed": self.trials.seed,
            "limit": self.trials.limit,
            "segment": self.key,
            "overall": self.overall.json(),
            "segments": self.segments.iter().map(Segment::json).collect::<Vec<_>>(),
        })
    }

    /// A table.
    pub(crate) fn text(&self) -> String {
        let width = self.segments.iter().map(|s| s.name.chars().count()).max().unwrap_or(0).max(8);
        let mut text = format!(
            "'{}' against '{}': {} trials each, at most {} units a trial, alpha {}, seed {}{}\n\n",
            self.treatment,
            self.control,
            self.trials.shuffles,
            self.trials.limit,
            self.trials.alpha,
            self.trials.seed,
            if self.trials.aa { "; both arms are the same, every verdict is a false alarm" } else { "" },
        );
        let name = self.key.as_deref().unwrap_or("segment");
        let _ = writeln!(
            text,
            "  {name:width$}  questions  difference  right  wrong  inconclusive  median units"
        );
        text.push_str(&self.overall.line(width));
        for segment in &self.segments {
            text.push_str(&segment.line(width));
        }
        let (mut wrong, mut all) = (0, 0);
        for segment in &self.segments {
            wrong += segment.counted().1;
            all += segment.verdicts.len();
        }
        if all > 0 {
            let _ = writeln!(text, "\nWrong: {wrong} of {all} trials of segments.");
        }
        text
    }
}
