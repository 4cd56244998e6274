//! Whether group commit makes anybody wait: two connections against one.
//!
//! What arrives while a commit is under way waits for its end and then for its own. With two connections that is at most
//! one commit more than with one; a writer that waited to gather would show more.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Bench, Decided};
use crate::database::{Database, Postgres};
use crate::failure::{Doing as _, Result};
use crate::histogram::Histogram;
use crate::process::Server;
use crate::report::{Finding, median, number};
use crate::traffic;

const COMMITS: usize = 300;

/// Measures it.
pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Finding>> {
    let mut server = bench.server().await?;
    let texts = bench.requests(&server, traffic::FEEDBACK, &traffic::feedback_on_taken(&server));
    let mut decided = Decided::new(bench);
    let (mut alone, mut together, mut commits, mut flushes) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut alone_rates, mut together_rates) = (Vec::new(), Vec::new());
    let mut expected = 20_000.0;
    for _ in 0..bench.pairs {
        flushes.push(flush(&bench.scratch)?.quantile(0.5).unwrap_or(f64::NAN));
        commits.push(commit(&server, &bench.scratch).await?.quantile(0.5).unwrap_or(f64::NAN));
        for connections in [1, 2] {
            let mut load = bench.load(server.address(), texts.clone());
            load.connections = connections;
            load.seconds = bench.seconds / 2.0;
            decided.stock(bench, &mut server, (expected * (load.seconds + 0.3)) as u64).await?;
            let outcome = decided.spend(load).await?;
            server.drain().await?;
            expected = f64::max(expected, outcome.rate() * 3.0);
            let (latencies, rates) = match connections {
                1 => (&mut alone, &mut alone_rates),
                _ => (&mut together, &mut together_rates),
            };
            latencies.push(outcome.p50.unwrap_or(f64::NAN));
            rates.push(outcome.rate());
        }
    }
    server.stop().await?;
    let (alone, together, commit) = (median(&alone), median(&together), median(&commits));
    let waiting = together - alone;
    bench.say(&format!("group commit: {} ms more at two connections", number(waiting)));
    Ok(vec![
        Finding::at_most(bench.database(), "feedback p50, two connections over one", waiting, "ms", commit)
            .details([
                format!(
                    "p50 {} ms at one connection ({} /s), {} ms at two ({} /s)",
                    number(alone),
                    number(median(&alone_rates)),
                    number(together),
                    number(median(&together_rates))
                ),
                format!(
                    "the target is one bare commit of one row, p50; a bare fdatasync of 4 KiB: {} ms",
                    number(median(&flushes))
                ),
            ]),
    ])
}

/// How long a bare flush takes.
fn flush(scratch: &Path) -> Result<Histogram> {
    let path = scratch.join("flushed");
    let mut file = std::fs::File::create(&path).doing("making a file")?;
    let mut latencies = Histogram::default();
    for _ in 0..COMMITS {
        let started = Instant::now();
        file.write_all(&[0; 4096]).doing("writing")?;
        file.sync_data().doing("fdatasync")?;
        latencies.record(started.elapsed());
    }
    std::fs::remove_file(path).doing("removing a file")?;
    Ok(latencies)
}

/// How long a bare transaction of one row takes.
async fn commit(server: &Server, scratch: &Path) -> Result<Histogram> {
    const ROW: &str = "INSERT INTO flushed VALUES (1)";
    let mut latencies = Histogram::default();
    match &server.database {
        Database::Sqlite(_) => {
            let path = scratch.join("commits.db");
            let connection = rusqlite::Connection::open(&path).doing("making a database")?;
            connection
                .execute_batch(
                    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                     DROP TABLE IF EXISTS flushed; CREATE TABLE flushed (n INTEGER)",
                )
                .doing("making a table")?;
            let mut statement = connection.prepare(ROW).doing(ROW)?;
            for _ in 0..COMMITS {
                let started = Instant::now();
                statement.execute([]).doing(ROW)?;
                latencies.record(started.elapsed());
            }
        }
        Database::Postgres { url, .. } => {
            let connection = Postgres::connect(url).await?;
            connection.run("CREATE TABLE IF NOT EXISTS flushed (n BIGINT)").await?;
            let statement = connection.client.prepare(ROW).await.doing(ROW)?;
            for _ in 0..COMMITS {
                let started = Instant::now();
                connection.client.execute(&statement, &[]).await.doing(ROW)?;
                latencies.record(started.elapsed().max(Duration::from_nanos(1)));
            }
        }
    }
    Ok(latencies)
}
