//! What an experiment costs while it is kept, and how long it takes to be read with ten million units.

use std::time::Instant;

use serde_json::{Value, json};
use upswing_domain::{ExperimentPlan, Timestamp};
use upswing_learn::evaluate::{Tally, Unit};
use uuid::Uuid;

use super::{Bench, Decided, Pairs};
use crate::client::Client;
use crate::database::{Database, Postgres};
use crate::failure::{Doing as _, Failure, Result};
use crate::process::Server;
use crate::report::{Finding, number};
use crate::traffic;

/// The least share of the rate without an experiment that is left with one.
const LEAST: f64 = 0.85;
/// Milliseconds in which results are read.
const READ: f64 = 20.0;
/// How often they are read.
const READS: usize = 200;
/// More feedback a second than is expected of the first round; later ones are stocked by what was seen.
const AT_FIRST: f64 = 40_000.0;

/// Measures it.
pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Finding>> {
    Ok(vec![reading(bench).await?, keeping(bench).await?])
}

async fn begin(server: &mut Server, metrics: Value) -> Result<Value> {
    let arms: Vec<Value> = server.versions.iter().map(|version| json!({"version": version})).collect();
    let body = json!({"name": "bench", "agent_id": server.agent, "arms": arms, "unit": "execution",
                      "metrics": metrics, "min_sample_size": 1, "min_duration_hours": 0});
    let made = server.client.post("/api/learning/experiments", &body).await?;
    let id = made["id"].as_str().unwrap_or_default().to_owned();
    server.client.post(&format!("/api/learning/experiments/{id}/start"), &json!({})).await?;
    Ok(made)
}

/// Feedback with one metric, of a server with an experiment against one without: every event is a unit of its own.
async fn keeping(bench: &Bench) -> Result<Finding> {
    let mut without = bench.server().await?;
    let mut with = bench.server().await?;
    let metrics = json!([{"name": "reward", "kind": "mean", "role": "goal"}]);
    let experiment = begin(&mut with, metrics).await?;
    let texts = |server: &Server| {
        let bodies = traffic::feedback_on_taken(server);
        let text =
            |body: &String| Client::text(server.address(), &server.key, "POST", traffic::FEEDBACK, body);
        bodies.iter().map(text).collect::<Vec<_>>()
    };
    let (mut pairs, mut expected) = (Pairs::default(), AT_FIRST);
    let (mut plain, mut compared) = (Decided::new(bench), Decided::new(bench));
    let mut given = 0;
    for _ in 0..bench.pairs {
        let count = (expected * (bench.seconds + 0.3)) as u64;
        plain.stock(bench, &mut without, count).await?;
        compared.stock(bench, &mut with, count).await?;
        let first = plain.spend(bench.load(without.address(), texts(&without))).await?;
        let second = compared.spend(bench.load(with.address(), texts(&with))).await?;
        without.drain().await?;
        with.drain().await?;
        expected = first.rate().max(second.rate()) * 1.5;
        given += second.accepted;
        pairs.push(bench, "events with an experiment", first, second);
    }
    let id = experiment["id"].as_str().unwrap_or_default();
    let path = format!("/api/learning/experiments/{id}/results");
    let results = with.client.call("GET", &path, "").await?;
    let results: Value = serde_json::from_str(&results).doing("reading results")?;
    without.stop().await?;
    with.stop().await?;
    let closed = results["results"]["closed"].as_u64().unwrap_or(0);
    if closed < given / 2 {
        return Err(Failure::new(format!("{given} pieces of feedback, but {closed} units have an outcome")));
    }
    Ok(Finding::ratio(bench.database(), "events with an experiment / without", &pairs.ratios(), LEAST)
        .details(pairs.details("with an experiment"))
        .details([format!("{closed} units had an outcome in the end")]))
}

/// Results of five metrics of ten million units, out of what is stored.
async fn reading(bench: &Bench) -> Result<Finding> {
    let mut server = bench.server().await?;
    let metrics = json!([
        {"name": "reward", "kind": "mean", "role": "goal"},
        {"name": "satisfied", "kind": "proportion"},
        {"name": "error", "kind": "proportion", "role": "guardrail", "direction": "decrease"},
        {"name": "latency_ms", "kind": "duration", "direction": "decrease"},
        {"name": "confidence", "kind": "mean"}
    ]);
    let made = begin(&mut server, metrics).await?;
    let id = made["id"].as_str().unwrap_or_default().to_owned();
    let plan: ExperimentPlan = serde_json::from_value(made["plan"].clone()).doing("reading the plan")?;
    let began = Instant::now();
    let tally = tally(&plan, bench.units);
    let taken = began.elapsed().as_secs_f64() * 1e9 / bench.units as f64 / plan.metrics.len() as f64;
    bench.say(&format!("{} units tallied, {taken:.0} ns each metric", number(bench.units as f64)));
    let filling = async |database: &Database, organisation: Uuid| {
        fill(database, organisation, &id, &tally, bench.units).await
    };
    let mut server = server.around(filling).await?;
    let path = format!("/api/learning/experiments/{id}/results");
    let mut times = Vec::with_capacity(READS);
    let mut closed = 0;
    for _ in 0..READS {
        let began = Instant::now();
        let answer = server.client.call("GET", &path, "").await?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
        let answer: Value = serde_json::from_str(&answer).doing("reading results")?;
        closed = answer["results"]["closed"].as_u64().unwrap_or(0);
    }
    server.stop().await?;
    if closed != bench.units {
        return Err(Failure::new(format!("{closed} of {} units were read", bench.units)));
    }
    times.sort_by(f64::total_cmp);
    let at = |q: f64| times.get((q * times.len() as f64) as usize).copied().unwrap_or(f64::NAN);
    let what = "results of five metrics read, p95";
    Ok(Finding::at_most(bench.database(), what, at(0.95), "ms", READ).details([
        format!(
            "{} units; p50 {} ms over HTTP, the first {} ms",
            number(closed as f64),
            number(at(0.5)),
            number(times[0])
        ),
        format!("{taken:.0} ns a unit and metric to keep it, in one thread"),
    ]))
}

/// What so many units do, as the server would have counted it.
fn tally(plan: &ExperimentPlan, units: u64) -> Tally {
    let split = upswing_domain::assignment::Split::fresh(&plan.weights(), plan.coverage);
    let allocations = vec![upswing_domain::Allocation { epoch: 1, effective_at: Timestamp(0), split }];
    let mut tally = Tally::new(plan);
    for n in 0..units {
        let arm = u16::try_from(n.wrapping_mul(0x9e37_79b9) >> 16 & 1).unwrap_or(0);
        let mut unit = Unit::exposed(plan, (Some(arm), 1), Timestamp(0), None, &[]);
        tally.expose(plan, &mut unit);
        let noise = n.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 44;
        let share = noise as f64 / (1 << 20) as f64;
        for (source, value) in [
            ("reward", share),
            ("satisfied", f64::from(u8::from(share > 0.4))),
            ("error", f64::from(u8::from(share > 0.98))),
            ("latency_ms", 200.0 + 900.0 * share),
            ("confidence", share.sqrt()),
        ] {
            tally.take(plan, &allocations, &mut unit, Timestamp(1), (source, value, 1));
        }
    }
    tally
}

/// Puts it where the server finds it, with a row for each unit.
async fn fill(database: &Database, organisation: Uuid, id: &str, tally: &Tally, units: u64) -> Result<()> {
    let experiment = Uuid::parse_str(id).doing("reading an id")?;
    let state = tally.to_bytes();
    let row = "00000000000000000000000000000000000000000000000000";
    match database {
        Database::Sqlite(path) => {
            let connection = rusqlite::Connection::open(path).doing("opening the database")?;
            connection.busy_timeout(std::time::Duration::from_secs(60)).doing("waiting for the database")?;
            let keys = (organisation.as_bytes(), experiment.as_bytes());
            let sql = "INSERT OR REPLACE INTO experiment_tally (organisation, experiment, state, saved_at) \
                       VALUES (?1, ?2, ?3, 0)";
            connection.execute(sql, (keys.0, keys.1, &state)).doing(sql)?;
            // In pieces, since the server writes as well.
            let mut from = 0;
            while from < units {
                let to = (from + 100_000).min(units);
                let sql = format!(
                    "WITH RECURSIVE n (i) AS (SELECT {from} UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {to}) \
                     INSERT INTO experiment_unit (organisation, experiment, unit, state) \
                     SELECT ?1, ?2, CAST(printf('%018d', i) AS BLOB), CAST('{row}' AS BLOB) FROM n"
                );
                connection.execute(&sql, keys).doing("filling the units")?;
                from = to;
            }
        }
        Database::Postgres { url, .. } => {
            let connection = Postgres::connect(url).await?;
            let organisations =
                format!("SELECT set_config('upswing.organisations', '{organisation}', false)");
            connection.run(&organisations).await?;
            let sql = "INSERT INTO experiment_tally (organisation, experiment, state, saved_at) VALUES ($1, $2, $3, 0) \
                       ON CONFLICT (organisation, experiment) DO UPDATE SET state = excluded.state";
            connection.client.execute(sql, &[&organisation, &experiment, &state]).await.doing(sql)?;
            let sql = format!(
                "INSERT INTO experiment_unit (organisation, experiment, unit, state) SELECT '{organisation}', \
                 '{experiment}', convert_to(lpad(i::text, 18, '0'), 'UTF8'), '\\x{row}'::bytea \
                 FROM generate_series(1, {units}) AS i"
            );
            connection.run(&sql).await?;
        }
    }
    Ok(())
}
