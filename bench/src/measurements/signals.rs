//! 100,000 signals a minute through the stream windows, and the memory that takes.

use std::time::{Duration, Instant};

use super::Bench;
use crate::failure::{Failure, Result};
use crate::process::generate;
use crate::report::{Finding, median, number};
use crate::traffic;

/// Signals a minute.
const RATE: f64 = 100_000.0;
/// Signals in a request.
const SIZE: usize = 100;
/// Megabytes that memory may grow by in the second half.
const GROWTH: f64 = 16.0;

/// Measures it.
pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Finding>> {
    let mut server = bench.server().await?;
    let texts = bench.requests(&server, traffic::SIGNALS, &traffic::signals(&server, SIZE));
    let mut load = bench.load(server.address(), texts);
    load.connections = 8;
    load.warm_up = 0.0;
    load.rate = Some(RATE / 60.0 / SIZE as f64);
    load.seconds = bench.seconds * 7.5;
    let mut sent = 0;
    let (mut halves, mut rates) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let outcome = generate(&load).await?;
        sent += outcome.accepted * SIZE as u64;
        rates.push(outcome.rate() * SIZE as f64 * 60.0);
        halves.push(server.memory()?.0 as f64 / 1e6);
    }
    server.drain().await?;
    // Whole windows are made at once; the rest would wait for its minute.
    let full = sent / 1000 * 1000;
    let until = Instant::now() + Duration::from_secs(10);
    let mut windowed = 0;
    while windowed < full && Instant::now() < until {
        windowed = server.database.count(server.organisation, "stream_window").await? * 1000;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    server.stop().await?;
    if windowed < full {
        return Err(Failure::new(format!("{sent} signals were sent, {windowed} are in windows")));
    }
    let rate = median(&rates);
    bench.say(&format!("signals: {} a minute", number(rate)));
    let growth = halves.last().zip(halves.first()).map_or(f64::NAN, |(last, first)| last - first);
    Ok(vec![
        Finding::at_least(bench.database(), "signals through windows, a minute", rate, "", RATE * 0.99)
            .details([format!("{sent} sent, {windowed} in windows of 1,000 within moments of the last")]),
        Finding::at_most(bench.database(), "memory that the second half of it added", growth, "MB", GROWTH)
            .details([format!(
                "{} MB after the first half, {} MB after the second",
                number(halves[0]),
                number(halves[1])
            )]),
    ])
}
