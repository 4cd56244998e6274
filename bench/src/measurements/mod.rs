//! What is measured, one claim a file.

pub(crate) mod batches;
pub(crate) mod comments;
pub(crate) mod decide;
pub(crate) mod experiments;
pub(crate) mod feedback;
pub(crate) mod freshness;
pub(crate) mod group_commit;
pub(crate) mod memory;
pub(crate) mod rollback;
pub(crate) mod signals;

use std::path::PathBuf;

use crate::database::Place;
use crate::failure::{Doing as _, Failure, Result};
use crate::generate::{Load, Outcome};
use crate::process::{Server, generate};
use crate::report::{median, number};
use crate::traffic;

/// How many connections the load has.
pub(crate) const CONNECTIONS: usize = 64;

/// How to measure, and where.
#[derive(Debug)]
pub(crate) struct Bench {
    /// Which database.
    pub(crate) place: Place,
    /// A folder on the disk that is measured.
    pub(crate) scratch: PathBuf,
    /// How many pairs.
    pub(crate) pairs: usize,
    /// Seconds in each half of a pair.
    pub(crate) seconds: f64,
    /// How many executions memory is measured with.
    pub(crate) executions: u64,
    /// How many units an experiment is read with.
    pub(crate) units: u64,
}

impl Bench {
    /// The database's name.
    pub(crate) fn database(&self) -> &'static str {
        self.place.name()
    }

    /// Says how far it is.
    pub(crate) fn say(&self, what: &str) {
        eprintln!("{:<10}  {what}", self.place.name());
    }

    /// A fresh server.
    pub(crate) async fn server(&self) -> Result<Server> {
        Server::start(&self.place, &self.scratch).await
    }

    /// A load for the usual time.
    pub(crate) fn load(&self, address: &str, texts: Vec<String>) -> Load {
        Load {
            address: address.to_owned(),
            connections: CONNECTIONS,
            seconds: self.seconds,
            warm_up: 0.3,
            requests: None,
            rate: None,
            texts,
            ids: None,
            collect: None,
        }
    }

    /// Requests as the server gets them.
    pub(crate) fn requests(&self, server: &Server, path: &str, bodies: &[String]) -> Vec<String> {
        bodies.iter().map(|body| server.request(path, body)).collect()
    }
}

/// Decisions that wait for feedback.
pub(crate) struct Decided {
    ids: Vec<u8>,
    file: PathBuf,
}

impl Decided {
    /// None yet.
    pub(crate) fn new(bench: &Bench) -> Self {
        Self { ids: Vec::new(), file: bench.scratch.join("decided") }
    }

    /// Lets the server decide until that many wait, all of them written.
    pub(crate) async fn stock(&mut self, bench: &Bench, server: &mut Server, count: u64) -> Result<()> {
        let there = (self.ids.len() / 16) as u64;
        if there >= count {
            return Ok(());
        }
        let texts = bench.requests(server, traffic::DECIDE, &traffic::decisions(server));
        let mut load = bench.load(server.address(), texts);
        load.connections = 16;
        load.seconds = 600.0;
        load.warm_up = 0.0;
        load.requests = Some(count - there);
        load.collect = Some(self.file.clone());
        generate(&load).await?;
        self.ids.extend(std::fs::read(&self.file).doing("reading the decisions")?);
        server.drain().await
    }

    /// Gives feedback on decisions that wait; none is used twice.
    pub(crate) async fn spend(&mut self, mut load: Load) -> Result<Outcome> {
        std::fs::write(&self.file, &self.ids).doing("writing the decisions")?;
        load.ids = Some(self.file.clone());
        let outcome = generate(&load).await?;
        let taken = usize::try_from(outcome.taken).doing("counting")? * 16;
        if taken >= self.ids.len() {
            return Err(Failure::new("feedback was faster than expected: there were too few decisions"));
        }
        self.ids.drain(..taken);
        Ok(outcome)
    }
}

/// The two halves of all pairs.
#[derive(Default)]
pub(crate) struct Pairs {
    baseline: Vec<Outcome>,
    target: Vec<Outcome>,
}

impl Pairs {
    /// Adds a pair and says so.
    pub(crate) fn push(&mut self, bench: &Bench, what: &str, baseline: Outcome, target: Outcome) {
        self.baseline.push(baseline);
        self.target.push(target);
        let (ratio, number_of) = (self.ratios().pop().unwrap_or(f64::NAN), self.target.len());
        bench.say(&format!("{what}, pair {number_of} of {}: {}", bench.pairs, number(ratio)));
    }

    /// Target to baseline, pair by pair.
    pub(crate) fn ratios(&self) -> Vec<f64> {
        self.target
            .iter()
            .zip(&self.baseline)
            .map(|(target, baseline)| target.rate() / baseline.rate())
            .collect()
    }

    /// Medians of the 99th percentiles: baseline, target.
    pub(crate) fn p99(&self) -> (f64, f64) {
        (middle(&self.baseline, |outcome| outcome.p99), middle(&self.target, |outcome| outcome.p99))
    }

    /// Both sides in words.
    pub(crate) fn details(&self, name: &str) -> [String; 2] {
        [describe("baseline", &self.baseline), describe(name, &self.target)]
    }
}

fn middle(outcomes: &[Outcome], value: impl Fn(&Outcome) -> Option<f64>) -> f64 {
    median(&outcomes.iter().map(|outcome| value(outcome).unwrap_or(f64::NAN)).collect::<Vec<_>>())
}

fn describe(name: &str, outcomes: &[Outcome]) -> String {
    let others: u64 = outcomes.iter().flat_map(|outcome| outcome.others.values()).sum();
    let not_counted = if others == 0 { String::new() } else { format!(", {others} not 2xx") };
    format!(
        "{name}: {} /s, p50 {} ms, p99 {} ms{not_counted}",
        number(middle(outcomes, |outcome| Some(outcome.rate()))),
        number(middle(outcomes, |outcome| outcome.p50)),
        number(middle(outcomes, |outcome| outcome.p99)),
    )
}
