//! The server's resident memory with many executions stored.

use super::Bench;
use super::batches::SIZE;
use crate::failure::{Failure, Result};
use crate::process::generate;
use crate::report::{Finding, number};
use crate::traffic;

/// Megabytes.
const MOST: f64 = 200.0;
const CONNECTIONS: usize = 4;
/// In how many parts they are loaded, to say how far it is.
const PARTS: u64 = 10;

/// Measures it.
pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Finding>> {
    let mut server = bench.server().await?;
    let texts = bench.requests(&server, traffic::EXECUTIONS, &traffic::batches(&server, SIZE));
    let mut load = bench.load(server.address(), texts);
    load.connections = CONNECTIONS;
    load.warm_up = 0.0;
    load.seconds = 3600.0;
    let batches = bench.executions.div_ceil(SIZE as u64);
    let mut stored = 0;
    while stored < batches {
        load.requests = Some((batches / PARTS).max(1).min(batches - stored));
        let accepted = generate(&load).await?.accepted;
        if accepted == 0 {
            return Err(Failure::new("the server does not take batches"));
        }
        stored += accepted;
        let (now, _) = server.memory()?;
        let executions = number((stored * SIZE as u64) as f64);
        bench.say(&format!("memory: {executions} executions, {} MB", number(megabytes(now))));
    }
    server.drain().await?;
    let (now, highest) = server.memory()?;
    let executions = server.database.count(server.organisation, "execution").await?;
    if executions != stored * SIZE as u64 {
        return Err(Failure::new(format!(
            "{} executions were sent, {executions} are stored",
            stored * SIZE as u64
        )));
    }
    server.stop().await?;
    let what = format!("resident memory, {} executions", number((stored * SIZE as u64) as f64));
    Ok(vec![
        Finding::at_most(bench.database(), &what, megabytes(now), "MB", MOST)
            .details([format!("at its highest, while they came in: {} MB", number(megabytes(highest)))]),
    ])
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
