//! Whether group commit makes anybody wait: two connections against one.
//!
//! What arrives while a commit is under way waits for its end and then for its own: at most two. A writer that waited to gather
//! would show more, at one connection already. So latencies are counted in commits of the server's own, as it says them itself,
//! after what a request costs that writes nothing.

use super::{Bench, Decided};
use crate::client::Client;
use crate::failure::Result;
use crate::generate::Outcome;
use crate::process::{Baseline, Server, generate};
use crate::report::{Finding, median, number};
use crate::traffic;

/// A commit's own time, and that of the one before it.
const MOST: f64 = 2.0;

/// What was seen with so many connections.
#[derive(Default)]
struct Seen {
    /// Milliseconds of a request that writes nothing, by the median.
    idle: Vec<f64>,
    /// Milliseconds of a request that waits for its commit, by the median.
    latency: Vec<f64>,
    /// Milliseconds of a commit, from its first look-up to the end, on average.
    commit: Vec<f64>,
    /// Events a commit.
    events: Vec<f64>,
    /// Requests a second.
    rate: Vec<f64>,
}

impl Seen {
    /// How many commits a request waits for.
    fn commits(&self) -> f64 {
        let each = self.latency.iter().zip(&self.idle).zip(&self.commit);
        median(&each.map(|((latency, idle), commit)| (latency - idle) / commit).collect::<Vec<_>>())
    }

    fn details(&self, connections: &str) -> String {
        format!(
            "{connections}: p50 {} ms ({} /s), of it {} without a write; a commit {} ms, {} events in it; {} commits",
            number(median(&self.latency)),
            number(median(&self.rate)),
            number(median(&self.idle)),
            number(median(&self.commit)),
            number(median(&self.events)),
            number(self.commits()),
        )
    }
}

/// Measures it.
pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Finding>> {
    let mut server = bench.server().await?;
    let answer = super::feedback::one(&mut server).await?;
    let baseline = Baseline::start(&bench.scratch, traffic::FEEDBACK, &answer).await?;
    let bodies = traffic::feedback_on_taken(&server);
    let idle: Vec<_> =
        bodies.iter().map(|body| body.replace(crate::generate::TAKEN, crate::generate::FRESH)).collect();
    let texts = |address: &str, bodies: &[String]| {
        let text = |body: &String| Client::text(address, &server.key, "POST", traffic::FEEDBACK, body);
        bodies.iter().map(text).collect::<Vec<_>>()
    };
    let (idle, texts) = (texts(baseline.address(), &idle), texts(server.address(), &bodies));
    let mut decided = Decided::new(bench);
    let (mut alone, mut together) = (Seen::default(), Seen::default());
    let mut expected = 20_000.0;
    for _ in 0..bench.pairs {
        for (connections, seen) in [(1, &mut alone), (2, &mut together)] {
            let load = |address: &str, texts: &[String]| {
                let mut load = bench.load(address, texts.to_vec());
                load.connections = connections;
                load.seconds = bench.seconds / 2.0;
                load
            };
            let without = generate(&load(baseline.address(), &idle)).await?;
            let load = load(server.address(), &texts);
            decided.stock(bench, &mut server, (expected * (load.seconds + 0.3)) as u64).await?;
            let before = written(&mut server).await?;
            let outcome = decided.spend(load).await?;
            server.drain().await?;
            let after = written(&mut server).await?;
            expected = f64::max(expected, outcome.rate() * 3.0);
            let p50 = |outcome: &Outcome| outcome.p50.unwrap_or(f64::NAN);
            let batches = after.batches - before.batches;
            seen.idle.push(p50(&without));
            seen.latency.push(p50(&outcome));
            seen.commit.push((after.seconds - before.seconds) * 1e3 / batches);
            seen.events.push((after.events - before.events) / batches);
            seen.rate.push(outcome.rate());
        }
    }
    baseline.stop().await?;
    server.stop().await?;
    bench.say(&format!("group commit: {} commits at two connections", number(together.commits())));
    let what = "feedback p50 at two connections, in commits";
    Ok(vec![
        Finding::at_most(bench.database(), what, together.commits(), "", MOST)
            .details([alone.details("one connection"), together.details("two connections")]),
    ])
}

/// What the writer has done so far.
struct Written {
    batches: f64,
    seconds: f64,
    events: f64,
}

async fn written(server: &mut Server) -> Result<Written> {
    let client = &mut server.client;
    Ok(Written {
        batches: client.gauge("upswing_write_duration_seconds_count").await?,
        seconds: client.gauge("upswing_write_duration_seconds_sum").await?,
        events: client.gauge("upswing_events_written_total").await?,
    })
}
