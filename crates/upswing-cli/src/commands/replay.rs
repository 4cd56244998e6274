//! `upswing replay FILE`: what a policy is worth on outcomes that are all known, or, from a log, what others would have been.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::replay_log::{self, Asked, Format};
use super::{print_json, print_text};
use crate::client::Client;
use crate::failure::Failure;
use crate::replay::outcomes::{self, Outcomes, RewardRange};
use crate::replay::play::{self, Plan, Played};
use crate::replay::progress::Progress;
use crate::replay::report::{Baselines, ShuffleResult, Summary};
use crate::replay::table::Report;
use crate::{server, signals};

const POLICIES: [&str; 5] = ["fixed", "epsilon_greedy", "thompson", "linear_thompson", "lin_ucb"];

/// Arguments of `replay`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// JSON lines, compressed with gzip or not: {"context": {...}, "outcomes": {"version": {"reward": 1}, ...}}; '-' for
    /// standard input. Or a log, see --format
    file: PathBuf,
    /// What the file holds
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Outcomes)]
    format: Format,
    /// A running server, where an agent is made for each shuffle [default: one is started for the purpose]
    #[arg(long, value_name = "URL", requires = "key")]
    server: Option<String>,
    /// An administrator's key of that server
    #[arg(long, value_name = "KEY", env = "UPSWING_KEY", hide_env_values = true)]
    key: Option<String>,
    /// The policy [default: the server's]
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(POLICIES))]
    policy: Option<String>,
    /// How often the file is played, each time in another order and from the beginning
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    shuffles: u32,
    /// What orders and draws follow from: the same seed gives the same report
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The context key by which the report is divided [default: the first with 2 to 200 categories]
    #[arg(long, value_name = "KEY")]
    segment: Option<String>,
    /// The smallest and largest reward of the file, when they are not 0 and 1
    #[arg(long, value_name = "LOW,HIGH", allow_hyphen_values = true)]
    reward_range: Option<RewardRange>,
    /// How many shuffles are played at the same time
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    concurrency: u16,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// No progress
    #[arg(long)]
    quiet: bool,
    #[command(flatten)]
    log: replay_log::Options,
}

/// Plays and reports, or evaluates a log.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let range = args.reward_range.unwrap_or(RewardRange::UNIT);
    if args.format != Format::Outcomes {
        if args.policy.is_some() {
            return Err(Failure::new("--policy means nothing with a log: every policy is evaluated")
                .hint("leave it out"));
        }
        let (path, segment) = (args.file.as_path(), args.segment.as_deref());
        let asked = Asked { path, range, segment, seed: args.seed, json: args.json };
        return replay_log::run(args.format, &args.log, &asked);
    }
    if let Some(option) = args.log.given() {
        return Err(Failure::new(format!("{option} is for logs of decisions"))
            .hint(format!("{option} with --format open-bandit or --format decisions")));
    }
    let outcomes = outcomes::read_path(&args.file, range, args.segment.as_deref())?;
    let stop = signals::stop()?;
    let temporary = match &args.server {
        Some(_) => None,
        None => Some(server::start_temporary().await?),
    };
    let (url, key) = match (&temporary, &args.server) {
        (Some(temporary), _) => (temporary.url(), temporary.key()),
        (None, url) => (url.clone().unwrap_or_default(), args.key.as_deref().unwrap_or_default()),
    };
    let report = tokio::select! {
        report = play_all(&args, &outcomes, range, &url, key) => report,
        () = stop => Err(Failure::new("interrupted")),
    };
    if let Some(temporary) = temporary {
        temporary.shutdown().await;
    }
    report
}

async fn play_all(
    args: &Args,
    outcomes: &Outcomes,
    range: RewardRange,
    url: &str,
    key: &str,
) -> Result<(), Failure> {
    let client = &Client::new(url, key)?;
    let run = play::next_run(client, args.seed).await?;
    let plan = &Plan { seed: args.seed, run, policy: args.policy.clone(), range };
    let baselines = &Baselines::new(outcomes);
    let progress = &Progress::new(outcomes.len() as u64 * u64::from(args.shuffles), args.quiet);

    let played = stream::iter(0..args.shuffles)
        .map(|shuffle| async move {
            let Played { order, choices, policy, stale } =
                play::shuffle(client, outcomes, plan, shuffle, progress).await?;
            Ok((ShuffleResult::new(outcomes, baselines, &order, &choices), policy, stale))
        })
        .buffered(usize::from(args.concurrency))
        .try_collect::<Vec<_>>()
        .await;
    progress.finish();

    let (mut results, mut policy, mut stale) = (Vec::new(), String::new(), 0);
    for (result, name, late) in played? {
        results.push(result);
        policy = name;
        stale += late;
    }
    let report = Report {
        outcomes,
        baselines,
        summary: &Summary::new(&results),
        plan,
        policy: &policy,
        shuffles: args.shuffles,
        stale,
    };
    if args.json {
        print_json(&report.json());
    } else {
        print_text(&report.text());
    }
    Ok(())
}
