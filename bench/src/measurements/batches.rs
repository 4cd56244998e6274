//! Batches of 500 executions, against bare multi-row inserts of the same rows with the same settings.

use super::Bench;
use crate::failure::{Failure, Result};
use crate::generate::FRESH;
use crate::inserts;
use crate::process::generate;
use crate::report::{Finding, median, number};
use crate::traffic;

/// The least share of the bare inserts' rows a second.
const LEAST: f64 = 0.3;
/// Executions in a batch.
pub(super) const SIZE: usize = 500;
const CONNECTIONS: usize = 8;

/// Measures it.
pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Finding>> {
    let mut server = bench.server().await?;
    let texts = bench.requests(&server, traffic::EXECUTIONS, &traffic::batches(&server, SIZE));
    let mut load = bench.load(server.address(), texts);
    load.connections = CONNECTIONS;
    // The rows to insert are those that the server writes.
    let batch = with_fresh_ids(&traffic::batches(&server, SIZE)[0]);
    let answer = server.client.call("POST", traffic::EXECUTIONS, &batch).await?;
    let mut sent = SIZE as u64;
    let (mut bare, mut through, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 1..=bench.pairs {
        let (database, organisation) = (&server.database, server.organisation);
        let inserted = inserts::measure(database, organisation, &bench.scratch, SIZE, bench.seconds).await?;
        let outcome = generate(&load).await?;
        sent += outcome.accepted * SIZE as u64;
        server.drain().await?;
        let stored = outcome.rate() * SIZE as f64;
        ratios.push(stored / inserted);
        bench.say(&format!("batches, pair {pair} of {}: {}", bench.pairs, number(stored / inserted)));
        bare.push(inserted);
        through.push(stored);
    }
    // A batch is answered with 200 also when items of it are refused.
    let stored = server.database.count(server.organisation, "execution").await?;
    if stored != sent {
        return Err(Failure::new(format!("{sent} executions were sent, {stored} are stored: {answer}")));
    }
    server.stop().await?;
    let what = format!("batches of {SIZE} executions / bare inserts");
    Ok(vec![Finding::ratio(bench.database(), &what, &ratios, LEAST).details([
        format!(
            "bare: {} executions/s with their content, one connection, a transaction a batch",
            number(median(&bare))
        ),
        format!("batches: {} executions/s, {CONNECTIONS} connections", number(median(&through))),
    ])])
}

fn with_fresh_ids(batch: &str) -> String {
    let mut parts = batch.split(FRESH);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + &uuid::Uuid::now_v7().to_string() + part)
}
