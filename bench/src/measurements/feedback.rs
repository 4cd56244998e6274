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
/// More feedback a second than is expected of the first round; later ones are stocked by what was seen.
const AT_FIRST: f64 = 40_000.0;

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
    let (mut expected, mut processor_time, mut given) = (AT_FIRST, 0.0, 0);
    for _ in 0..bench.pairs {
        decided.stock(bench, &mut server, (expected * (bench.seconds + 0.3)) as u64).await?;
        let first = generate(&bench.load(baseline.address(), of_baseline.clone())).await?;
        let before = server.processor_time()?;
        let second = decided.spend(bench.load(server.address(), of_server.clone())).await?;
        server.drain().await?;
        processor_time += server.processor_time()? - before;
        given += second.accepted;
        expected = second.rate() * 2.0;
        pairs.push(bench, "feedback", first, second);
    }
    baseline.stop().await?;
    server.stop().await?;
    let each = processor_time * 1e6 / given as f64;
    Ok(vec![
        Finding::ratio(bench.database(), "single feedback, durable / baseline", &pairs.ratios(), LEAST)
            .details(pairs.details("feedback"))
            .details([format!("{} µs of the server's processor time each, learning included", number(each))]),
    ])
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
