//! Single feedback with its effects, durable before the answer, against the baseline.

use serde_json::Value;

use super::{Bench, Decided, Pairs};
use crate::client::Client;
use crate::failure::{Doing as _, Failure, Result};
use crate::process::{Baseline, Server, generate};
use crate::report::{Finding, number};
use crate::traffic;

/// The least share of the baseline's rate.
const LEAST: f64 = 0.2;
/// With how many pieces it is found out how many there will be in the first round; later ones are stocked by what was seen.
const PROBE: u64 = 20_000;
/// What is expected of the first round at least: a server that has just started is slow.
const AT_LEAST: f64 = 20_000.0;
/// For how many times the feedback that is expected decisions are made.
const MARGIN: f64 = 2.0;

/// Measures it.
pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Finding>> {
    let mut server = bench.server().await?;
    let answer = one(&mut server).await?;
    let baseline = Baseline::start(&bench.scratch, traffic::FEEDBACK, &answer).await?;
    let bodies = traffic::feedback_on_taken(&server);
    let texts = |address: &str| {
        let text = |body: &String| Client::text(address, &server.key, "POST", traffic::FEEDBACK, body);
        // The baseline takes any ids.
        bodies.iter().map(text).collect::<Vec<_>>()
    };
    let of_baseline: Vec<_> = texts(baseline.address())
        .into_iter()
        .map(|text| text.replace(crate::generate::TAKEN, crate::generate::FRESH))
        .collect();
    let of_server = texts(server.address());
    let mut pairs = Pairs::default();
    let mut decided = Decided::new(bench);
    decided.stock(bench, &mut server, 2 * PROBE).await?;
    let mut probe = bench.load(server.address(), of_server.clone());
    (probe.warm_up, probe.requests) = (0.0, Some(PROBE));
    let mut expected = (decided.spend(probe).await?.rate() * MARGIN).max(AT_LEAST);
    let (mut processor_time, mut given) = (0.0, 0);
    let (mut batches, mut by_heart) = (0.0, 0.0);
    for _ in 0..bench.pairs {
        decided.stock(bench, &mut server, (expected * (bench.seconds + 0.3)) as u64).await?;
        let first = generate(&bench.load(baseline.address(), of_baseline.clone())).await?;
        let before = server.processor_time()?;
        let written_before = written(&mut server).await?;
        let second = decided.spend(bench.load(server.address(), of_server.clone())).await?;
        server.drain().await?;
        processor_time += server.processor_time()? - before;
        given += second.accepted;
        let written = written(&mut server).await?;
        batches += written.0 - written_before.0;
        by_heart += written.1 - written_before.1;
        expected = second.rate() * MARGIN;
        pairs.push(bench, "feedback", first, second);
    }
    baseline.stop().await?;
    server.stop().await?;
    let each = processor_time * 1e6 / given as f64;
    Ok(vec![
        Finding::ratio(bench.database(), "single feedback, durable / baseline", &pairs.ratios(), LEAST)
            .details(pairs.details("feedback"))
            .details([
                format!("{} µs of the server's processor time each, learning included", number(each)),
                format!("{} % of the batches asked the database nothing", number(100.0 * by_heart / batches)),
            ]),
    ])
}

/// How many batches were written, and how many of them by heart.
async fn written(server: &mut Server) -> Result<(f64, f64)> {
    let batches = server.client.gauge("upswing_write_duration_seconds_count").await?;
    Ok((batches, server.client.gauge("upswing_write_by_heart_total").await?))
}

/// One piece of feedback, which must have had its effect; the answer.
pub(super) async fn one(server: &mut Server) -> Result<String> {
    let decision = server.client.call("POST", traffic::DECIDE, &traffic::decisions(server)[0]).await?;
    let decision: Value = serde_json::from_str(&decision).doing("reading a decision")?;
    server.drain().await?;
    let id = decision["decision_id"].as_str().unwrap_or_default();
    let fresh = uuid::Uuid::now_v7().to_string();
    let body = traffic::feedback(server, id)[0].replace(crate::generate::FRESH, &fresh);
    let answer = server.client.call("POST", traffic::FEEDBACK, &body).await?;
    let parsed: Value = serde_json::from_str(&answer).doing("reading an answer")?;
    if parsed["reward"].is_number() {
        Ok(answer)
    } else {
        Err(Failure::new(format!("feedback had no effect: {answer}")))
    }
}
