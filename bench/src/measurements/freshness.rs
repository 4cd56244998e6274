//! From acknowledged feedback to a `decide` whose learner has read it, under moderate load.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Bench, Decided};
use crate::client::Client;
use crate::failure::{Doing as _, Failure, Result};
use crate::generate::FRESH;
use crate::histogram::Histogram;
use crate::process::Server;
use crate::report::{Finding, number};
use crate::traffic;

/// Milliseconds, 99th percentile.
const MOST: f64 = 50.0;
/// The background's share of the greatest rate.
const SHARE: f64 = 0.25;

/// Measures it.
pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Finding>> {
    let mut server = bench.server().await?;
    let texts = bench.requests(&server, traffic::FEEDBACK, &traffic::feedback_on_taken(&server));
    let mut decided = Decided::new(bench);
    let mut load = bench.load(server.address(), texts);
    load.seconds = 1.0;
    decided.stock(bench, &mut server, 60_000).await?;
    let greatest = decided.spend(load.clone()).await?.rate();
    server.drain().await?;

    let background = greatest * SHARE;
    let seconds = bench.seconds * 3.0;
    load.rate = Some(background);
    load.seconds = seconds;
    decided.stock(bench, &mut server, (background * (seconds + 1.0)) as u64 + 1000).await?;
    let probes = probe(&server, Duration::from_secs_f64(seconds));
    let (outcome, latencies) = tokio::join!(decided.spend(load), probes);
    let (outcome, latencies) = (outcome?, latencies?);
    server.stop().await?;
    let value = latencies.quantile(0.99).unwrap_or(f64::NAN);
    bench.say(&format!("freshness: p99 {} ms", number(value)));
    Ok(vec![
        Finding::at_most(bench.database(), "feedback acknowledged to decide, p99", value, "ms", MOST)
            .details([
                format!(
                    "p50 {} ms, {} probes",
                    number(latencies.quantile(0.5).unwrap_or(f64::NAN)),
                    latencies.total()
                ),
                format!("beside {} feedback/s, a quarter of the greatest rate", number(outcome.rate())),
            ]),
    ])
}

/// Gives feedback and asks until the learner has read it, again and again.
async fn probe(server: &Server, time: Duration) -> Result<Histogram> {
    let mut giving = Client::connect(server.address(), &server.key).await?;
    let mut asking = Client::connect(server.address(), &server.key).await?;
    let questions = traffic::decisions(server);
    let mut latencies = Histogram::default();
    let until = Instant::now() + time;
    let mut turn = 0;
    while Instant::now() < until {
        turn += 1;
        let question = &questions[turn % questions.len()];
        let decision = field(&asking.call("POST", traffic::DECIDE, question).await?, "decision_id")?;
        let id = decision.as_str().unwrap_or_default();
        let fresh = uuid::Uuid::now_v7().to_string();
        let bodies = traffic::feedback(server, id);
        let body = bodies[turn % bodies.len()].replace(FRESH, &fresh);
        let answer = giving.call("POST", traffic::FEEDBACK, &body).await?;
        let acknowledged = Instant::now();
        let position = field(&answer, "position")?.as_i64().unwrap_or(i64::MAX);
        loop {
            let answer = asking.call("POST", traffic::DECIDE, question).await?;
            if field(&answer, "learner_position")?.as_i64().is_some_and(|reached| reached >= position) {
                break;
            }
            if acknowledged.elapsed() > Duration::from_secs(10) {
                return Err(Failure::new(format!("the learner does not reach position {position}")));
            }
        }
        latencies.record(acknowledged.elapsed());
        // Not in step with anything that recurs.
        tokio::time::sleep(Duration::from_millis(turn as u64 * 7 % 23)).await;
    }
    Ok(latencies)
}

fn field(answer: &str, name: &str) -> Result<Value> {
    let mut answer: Value = serde_json::from_str(answer).doing("reading an answer")?;
    Ok(answer[name].take())
}
