//! `upswing replay --format open-bandit|decisions`: what other policies would have earned, from a log of decisions.

use std::path::{Path, PathBuf};

use super::{print_json, print_text};
use crate::failure::Failure;
use crate::replay::decisions::Decisions;
use crate::replay::estimates::Report;
use crate::replay::evaluate::{self, Method};
use crate::replay::outcomes::RewardRange;
use crate::replay::target::Target;
use crate::replay::{export, open_bandit};

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// The reward of every version for every question, as JSON lines
    Outcomes,
    /// A campaign of the Open Bandit Dataset: its folder, or its CSV
    OpenBandit,
    /// Upswing's export of decisions, with a reward in each line or beside --executions
    Decisions,
}

/// How intervals are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum IntervalKind {
    /// Student's t: about right for many events of comparable weight
    Student,
    /// The percentile bootstrap: the same, and slower
    Bootstrap,
    /// Holds for any number of events; needs --smallest-propensity
    Bernstein,
    /// The same, and wider
    Hoeffding,
}

/// Options that only logs have.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "With --format open-bandit or decisions")]
pub(crate) struct Options {
    /// The log of another policy in the same campaign, to be evaluated on this one by its frequencies (open-bandit)
    #[arg(long, value_name = "PATH")]
    target: Option<PathBuf>,
    /// The export of executions that holds the rewards (decisions)
    #[arg(long, value_name = "FILE")]
    executions: Option<PathBuf>,
    /// Into how many parts the log is cut, so that what is learned for one comes from the others [default: 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=100))]
    folds: Option<u32>,
    /// How intervals are made [default: student]
    #[arg(long, value_name = "METHOD", value_enum)]
    interval: Option<IntervalKind>,
    /// The smallest probability that the logging policy gives anything, for the intervals that hold for certain
    #[arg(long, value_name = "P")]
    smallest_propensity: Option<f64>,
    /// How often the bootstrap draws [default: 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(100..=100_000))]
    resamples: Option<u32>,
}

impl Options {
    /// The first that was given, for a format that has none of them.
    pub(crate) fn given(&self) -> Option<&'static str> {
        [
            ("--target", self.target.is_some()),
            ("--executions", self.executions.is_some()),
            ("--folds", self.folds.is_some()),
            ("--interval", self.interval.is_some()),
            ("--smallest-propensity", self.smallest_propensity.is_some()),
            ("--resamples", self.resamples.is_some()),
        ]
        .into_iter()
        .find_map(|(name, given)| given.then_some(name))
    }

    fn method(&self, seed: u64) -> Result<(Method, &'static str), Failure> {
        let weight = || {
            match self.smallest_propensity {
            Some(p) if p > 0.0 && p <= 1.0 => Ok(1.0 / p),
            Some(p) => Err(Failure::new(format!("--smallest-propensity is {p}, but must be above 0 and at most 1"))
                .hint("1 over the number of versions, where they are drawn uniformly")),
            None => Err(Failure::new("an interval that holds for certain needs a bound of the weights, which no sample shows")
                .hint("--smallest-propensity P: the smallest probability that the logging policy gives anything, by its floor")),
        }
        };
        Ok(match self.interval.unwrap_or(IntervalKind::Student) {
            IntervalKind::Student => (Method::Student, "by Student's t"),
            IntervalKind::Bootstrap => {
                (Method::Bootstrap { resamples: self.resamples.unwrap_or(1000), seed }, "by the bootstrap")
            }
            IntervalKind::Bernstein => (
                Method::Bernstein { weight: weight()? },
                "by the empirical Bernstein bound (none for ratios)",
            ),
            IntervalKind::Hoeffding => {
                (Method::Hoeffding { weight: weight()? }, "by Hoeffding's bound (none for ratios)")
            }
        })
    }
}

/// What the command was asked, of the options that all formats share.
pub(crate) struct Asked<'a> {
    /// The log.
    pub(crate) path: &'a Path,
    /// What rewards may be.
    pub(crate) range: RewardRange,
    /// Which context key tells expected rewards apart.
    pub(crate) segment: Option<&'a str>,
    /// What the bootstrap draws from.
    pub(crate) seed: u64,
    /// Whether to print one JSON object.
    pub(crate) json: bool,
}

/// Evaluates and reports.
pub(crate) fn run(format: Format, options: &Options, asked: &Asked<'_>) -> Result<(), Failure> {
    let (method, words) = options.method(asked.seed)?;
    let decisions = read(format, options, asked)?;
    let other = match &options.target {
        Some(path) => Some(open_bandit::read(path, asked.range)?),
        None => None,
    };
    if let Some(other) = other.as_ref().filter(|other| other.arms.len() > decisions.arms.len()) {
        let message =
            format!("the target's log has {} items, this one {}", other.arms.len(), decisions.arms.len());
        return Err(Failure::new(message).hint("--target with a log of the same campaign"));
    }
    let more = other.iter().map(|other| Target::frequencies(&decisions, other)).collect();
    let evaluation = evaluate::evaluate(&decisions, more, options.folds.unwrap_or(5), method)?;
    let target = other.as_ref().map(evaluate::on_policy);
    let report = Report { decisions: &decisions, evaluation: &evaluation, target, method: words };
    if asked.json {
        print_json(&report.json());
    } else {
        print_text(&report.text());
    }
    Ok(())
}

fn read(format: Format, options: &Options, asked: &Asked<'_>) -> Result<Decisions, Failure> {
    let refuse = |option: &str, instead: &str| {
        Err(Failure::new(format!("{option} means nothing with this format")).hint(instead.to_owned()))
    };
    if format == Format::Decisions {
        if options.target.is_some() {
            return refuse("--target", "--format open-bandit, or leave it out");
        }
        return export::read(asked.path, options.executions.as_deref(), asked.range, asked.segment);
    }
    if options.executions.is_some() {
        return refuse("--executions", "--format decisions, or leave it out");
    }
    if asked.segment.is_some() {
        return refuse("--segment", "leave it out: this format's segments are its positions");
    }
    open_bandit::read(asked.path, asked.range)
}
