//! `decide` with a key, against the baseline; and whether every answered decision is stored.

use super::{Bench, Pairs};
use crate::client::Client;
use crate::failure::Result;
use crate::process::{Baseline, generate};
use crate::report::{Finding, number};
use crate::traffic;

/// The least share of the baseline's rate.
const LEAST: f64 = 0.35;
/// The most times the baseline's 99th percentile.
const SLOWER: f64 = 2.0;

/// Measures it.
pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Finding>> {
    let mut server = bench.server().await?;
    let bodies = traffic::decisions(&server);
    let answer = server.client.call("POST", traffic::DECIDE, &bodies[0]).await?;
    let mut answered = 1;
    let baseline = Baseline::start(&bench.scratch, traffic::DECIDE, &answer).await?;
    let texts = |address: &str| {
        let text = |body: &String| Client::text(address, &server.key, "POST", traffic::DECIDE, body);
        bodies.iter().map(text).collect::<Vec<_>>()
    };
    let (of_baseline, of_server) = (texts(baseline.address()), texts(server.address()));
    let mut pairs = Pairs::default();
    let mut processor_time = 0.0;
    for _ in 0..bench.pairs {
        let first = generate(&bench.load(baseline.address(), of_baseline.clone())).await?;
        let before = server.processor_time()?;
        let second = generate(&bench.load(server.address(), of_server.clone())).await?;
        server.drain().await?;
        processor_time += server.processor_time()? - before;
        answered += second.accepted;
        pairs.push(bench, "decide", first, second);
    }
    let stored = server.database.count(server.organisation, "decision").await?;
    let lost = answered.abs_diff(stored);
    baseline.stop().await?;
    server.stop().await?;
    let (of_baseline, of_server) = pairs.p99();
    let each = processor_time * 1e6 / answered as f64;
    Ok(vec![
        Finding::ratio(bench.database(), "decide with a key / baseline", &pairs.ratios(), LEAST)
            .details(pairs.details("decide"))
            .details([format!(
                "answers of {} bytes; {} µs of the server's processor time each, recording included",
                answer.len(),
                number(each)
            )]),
        Finding::at_most(bench.database(), "decide p99 / baseline p99", of_server / of_baseline, "", SLOWER),
        Finding::at_most(bench.database(), "decisions answered, not stored", lost as f64, "", 0.0)
            .details([format!("{answered} answered, {stored} stored")]),
    ])
}
