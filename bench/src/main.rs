//! `upswing-bench`: the server measured against its baseline, on SQLite and on PostgreSQL, in one run.
//!
//! Every figure that depends on the machine is a ratio to something that was measured beside it, in turns. What is
//! measured is the program `upswing` beside this one, as people run it, in a process of its own; so is the load.

mod baseline;
mod client;
mod database;
mod failure;
mod generate;
mod histogram;
mod inserts;
mod measurements;
mod process;
mod report;
mod traffic;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use crate::database::Place;
use crate::failure::{Doing as _, Failure, Result};
use crate::measurements::{
    Bench, batches, comments, decide, experiments, feedback, freshness, group_commit, memory, rollback,
    signals,
};
use crate::report::{Finding, Report};

/// As in the server, so that the baseline has no other.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the server against its baseline.
#[derive(Debug, Parser)]
#[command(name = "upswing-bench", args_conflicts_with_subcommands = true)]
struct Program {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    options: Options,
}

/// The processes that a measurement starts.
#[derive(Debug, clap::Subcommand)]
enum Part {
    /// Make a load: read it from standard input as JSON, print what came of it
    #[command(hide = true)]
    Generate,
    /// Serve a constant behind the server's middleware
    #[command(hide = true)]
    Baseline(baseline::Args),
}

#[derive(Debug, clap::Args)]
struct Options {
    /// Measure on SQLite, in a folder on the disk to be measured
    #[arg(long, value_name = "FOLDER")]
    sqlite: Option<PathBuf>,
    /// Measure on PostgreSQL, with a role that may create databases
    #[arg(long, value_name = "URL")]
    postgres: Option<String>,
    /// Of these two, measure on one
    #[arg(long, value_name = "DATABASE")]
    on: Option<Engine>,
    /// Seconds in each half of a pair
    #[arg(long, value_name = "SECONDS", default_value_t = 4.0)]
    seconds: f64,
    /// Pairs in each comparison
    #[arg(long, default_value_t = 5)]
    pairs: usize,
    /// Executions that memory is measured with
    #[arg(long, default_value_t = 1_000_000)]
    executions: u64,
    /// Units that an experiment is read with
    #[arg(long, default_value_t = 10_000_000)]
    units: u64,
    /// Measure only these
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Measurement>,
    /// For development: 1 s, 3 pairs, 100,000 executions
    #[arg(long)]
    quick: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Fail when something is short of its target
    #[arg(long)]
    assert: bool,
}

/// Where it can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Engine {
    Sqlite,
    Postgresql,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Measurement {
    /// `decide` with a key
    Decide,
    /// Single feedback
    Feedback,
    /// Batches of executions
    Batches,
    /// From feedback to a decision that knows it
    Freshness,
    /// Two connections against one
    GroupCommit,
    /// Feedback with comments, moderated and redacted
    Comments,
    /// Behaviour through the stream windows
    Signals,
    /// What experiments cost, and how they are read
    Experiments,
    /// From a rollback to the old version
    Rollback,
    /// Resident memory
    Memory,
}

impl Measurement {
    async fn measure(self, bench: &Bench) -> Result<Vec<Finding>> {
        match self {
            Self::Decide => decide::measure(bench).await,
            Self::Feedback => feedback::measure(bench).await,
            Self::Batches => batches::measure(bench).await,
            Self::Freshness => freshness::measure(bench).await,
            Self::GroupCommit => group_commit::measure(bench).await,
            Self::Comments => comments::measure(bench).await,
            Self::Signals => signals::measure(bench).await,
            Self::Experiments => experiments::measure(bench).await,
            Self::Rollback => rollback::measure(bench).await,
            Self::Memory => memory::measure(bench).await,
        }
    }
}

fn main() -> ExitCode {
    let program = Program::parse();
    let done = match program.part {
        Some(Part::Generate) => generate::run().map(|()| true),
        Some(Part::Baseline(args)) => baseline::run(args).map(|()| true),
        None => run(program.options),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Measures and reports; whether that is a success.
fn run(options: Options) -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().doing("starting")?;
    let report = runtime.block_on(measure(&options))?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report).doing("writing the report")?);
    } else {
        print!("{}", report.text());
    }
    Ok(!options.assert || report.met())
}

async fn measure(options: &Options) -> Result<Report> {
    let units = if options.quick { options.units / 10 } else { options.units };
    let (seconds, pairs, executions) =
        if options.quick { (1.0, 3, 100_000) } else { (options.seconds, options.pairs, options.executions) };
    let Some(scratch) = &options.sqlite else {
        return Err(Failure::new("say where: --sqlite FOLDER, and --postgres URL for PostgreSQL as well"));
    };
    std::fs::create_dir_all(scratch).doing("making the folder")?;
    let scratch = scratch.canonicalize().doing("finding the folder")?;
    let postgres = options.postgres.clone().map(Place::Postgres);
    let places = match (options.on, postgres) {
        (Some(Engine::Postgresql), None) => return Err(Failure::new("say where: --postgres URL")),
        (Some(Engine::Postgresql), Some(postgres)) => vec![postgres],
        (Some(Engine::Sqlite), _) | (None, None) => vec![Place::Sqlite],
        (None, Some(postgres)) => vec![Place::Sqlite, postgres],
    };
    let mut findings = Vec::new();
    for place in places {
        let bench = Bench { place, scratch: scratch.clone(), pairs, seconds, executions, units };
        for measurement in Measurement::value_variants() {
            if options.only.is_empty() || options.only.contains(measurement) {
                findings.extend(measurement.measure(&bench).await?);
            }
        }
    }
    Ok(Report {
        generator: "upswing-bench generate (this repository), 64 keep-alive connections, same processors",
        baseline: "POST with the same body behind the same middleware, answering a constant of equal size",
        pairs,
        seconds,
        processors: std::thread::available_parallelism().map_or(0, usize::from),
        findings,
    })
}
