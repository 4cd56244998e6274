//! `upswing experiments`: the statistics of experiments, without a server.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;
use upswing_learn::evaluate::{Planned, Planning};

use super::{print_json, print_text};
use crate::experiments::plan::Asked;
use crate::experiments::report::{self, short};
use crate::experiments::table::{self, File};
use crate::experiments::trial::{self, Trials};
use crate::experiments::{sums, units};
use crate::failure::Failure;
use crate::replay::outcomes::{self, RewardRange};

/// Arguments of `experiments`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say what came of an experiment: the verdict in words, then the numbers
    Analyze {
        /// One row a unit, in the order in which outcomes were known, as CSV or JSON, with a column 'arm'; or sums as JSON. '-'
        /// for standard input
        file: PathBuf,
        #[command(flatten)]
        asked: Asked,
        /// Print one JSON object: the results as the server gives them
        #[arg(long)]
        json: bool,
    },
    /// Say how many units, and days, an experiment takes
    Power(Power),
    /// Hold experiments on a file of known outcomes, many times, and count the verdicts
    Replay {
        /// JSON lines, compressed with gzip or not: {"context": {...}, "outcomes": {"version": {"reward": 1}, ...}}; '-' for
        /// standard input
        file: PathBuf,
        #[command(flatten)]
        trials: Trials,
        /// The context key by which the file is divided [default: the first with 2 to 200 categories]
        #[arg(long, value_name = "KEY")]
        segment: Option<String>,
        /// The smallest and largest reward of the file, when they are not 0 and 1
        #[arg(long, value_name = "LOW,HIGH", allow_hyphen_values = true)]
        reward_range: Option<RewardRange>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
struct Power {
    /// The control's mean, or rate
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    baseline: f64,
    /// The smallest difference that is to be found, in the metric's unit
    #[arg(long, value_name = "DIFFERENCE", allow_hyphen_values = true)]
    effect: f64,
    /// The standard deviation of one unit [default: that of a rate]
    #[arg(long = "sd", value_name = "NUMBER")]
    standard_deviation: Option<f64>,
    /// How often at most an experiment without effect may say that there is one
    #[arg(long, default_value_t = 0.05)]
    alpha: f64,
    /// How often an effect of that size is to be found
    #[arg(long, default_value_t = 0.8)]
    power: f64,
    /// The treatment's share of the units
    #[arg(long, default_value_t = 0.5)]
    treatment_share: f64,
    /// New units a day, for the duration
    #[arg(long, value_name = "NUMBER")]
    units_a_day: Option<f64>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Does it.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    match args.action {
        Action::Analyze { file, asked, json } => analyze(&file, &asked, json),
        Action::Power(power) => power.run(),
        Action::Replay { file, trials, segment, reward_range, json } => {
            let range = reward_range.unwrap_or(RewardRange::UNIT);
            let outcomes = outcomes::read_path(&file, range, segment.as_deref())?;
            let report = trial::play(&outcomes, range, &trials)?;
            if json {
                print_json(&report.json());
            } else {
                print_text(&report.text());
            }
            Ok(())
        }
    }
}

fn analyze(path: &Path, asked: &Asked, json: bool) -> Result<(), Failure> {
    let analysed = match table::read(&read(path)?)? {
        File::Units(table) => units::analysed(&table, asked)?,
        File::Sums(value) => sums::analysed(value, asked)?,
    };
    if json {
        print_json(&report::json(&analysed)?);
    } else {
        print_text(&report::text(&analysed));
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, Failure> {
    if path == Path::new("-") {
        let mut text = String::new();
        let read = std::io::stdin().lock().read_to_string(&mut text);
        read.map_err(|error| Failure::new(format!("cannot read standard input: {error}")))?;
        return Ok(text);
    }
    std::fs::read_to_string(path).map_err(|error| {
        Failure::new(format!("cannot read {}: {error}", path.display()))
            .hint("upswing experiments analyze FILE, or '-' for standard input")
    })
}

impl Power {
    fn run(&self) -> Result<(), Failure> {
        let planning = Planning {
            baseline: self.baseline,
            effect: self.effect,
            standard_deviation: self.standard_deviation,
            alpha: self.alpha,
            power: self.power,
            treatment_share: self.treatment_share,
            units_a_day: self.units_a_day,
        };
        let planned = planning.plan().map_err(|error| {
            let failure = Failure::new(error.to_string());
            match self.standard_deviation {
                None => {
                    failure.hint("a baseline that is no rate needs --sd, the standard deviation of one unit")
                }
                Some(_) => failure,
            }
        })?;
        if self.json {
            print_json(&json!(planned));
        } else {
            print_text(&self.text(&planned));
        }
        Ok(())
    }

    fn text(&self, planned: &Planned) -> String {
        let Planned { fixed_horizon_units, sequential_units, sequential_days } = planned;
        let days = match sequential_days {
            Some(days) => format!(", {} days", short((days * 10.0).ceil() / 10.0)),
            None => String::new(),
        };
        format!(
            "To find a difference of {} from {} in {} % of cases, with alpha {}:\n\n  \
             looked at all the time   at most {sequential_units:.0} units in both arms{days}; it often ends earlier\n  \
             looked at once           {fixed_horizon_units:.0} units in both arms, and no look before\n",
            short(self.effect),
            short(self.baseline),
            short(self.power * 100.0),
            short(self.alpha),
        )
    }
}
