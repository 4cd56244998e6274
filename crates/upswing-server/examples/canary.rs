//! Canaries through the HTTP API, the store and the state machine, under a clock that is driven: how often a healthy version is
//! rolled back, and how fast a failing one is.
//!
//! `make canary` runs it, 20 runs a line unless said otherwise, on SQLite and PostgreSQL, after the same through the pure judge,
//! a thousand times (`upswing-stats --example canary`).
//!
//! The stable version fails 0.5 % of requests. The new version's share starts at 5 % and rises by 5 points a minute to 50 %,
//! where it stays. A request's outcome is whether it failed; every quarter of a minute the clock moves and the rollout is
//! looked at.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a simulation that cannot go on ends")]
#![expect(clippy::print_stdout, reason = "its output is a table")]

#[path = "../tests/http/support.rs"]
#[expect(dead_code, reason = "tests need more of it")]
mod support;

use std::collections::BTreeMap;
use std::sync::Mutex;

use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use upswing_server::ManualClock;

use support::{World, on_both_with_clock};

/// What is simulated.
#[derive(Debug, Clone, Copy)]
struct Case {
    per_minute: usize,
    failing: f64,
    minutes: usize,
}

const STABLE: f64 = 0.005;
const CASES: [Case; 4] = [
    Case { per_minute: 60, failing: STABLE, minutes: 39 },
    Case { per_minute: 600, failing: STABLE, minutes: 15 },
    Case { per_minute: 600, failing: 0.03, minutes: 15 },
    Case { per_minute: 60, failing: 0.03, minutes: 39 },
];

/// Splitmix64: a stream of numbers that follows from its seed.
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Servers that simulate side by side: a run mostly waits for what happens a few times a second.
const SERVERS: u64 = 8;

/// How a run ended, after how many minutes, and how many bad answers the new version gave.
type Ended = (String, f64, usize);

#[tokio::main]
async fn main() {
    let runs: u64 = std::env::args().nth(1).and_then(|runs| runs.parse().ok()).unwrap_or(20);
    println!("{runs} runs a line, {:.1} % stable failures, alpha 0.05", STABLE * 100.0);
    println!(
        "{:<11} {:>5} {:>6} {:>4} | {:>11} {:>8} {:>8} {:>8} {:>8}",
        "database", "/min", "fails", "min", "rolled back", "median", "promoted", "waiting", "bad served"
    );
    for case in CASES {
        let ended: Mutex<BTreeMap<&str, Vec<Ended>>> = Mutex::default();
        let server = |first: u64| {
            let ended = &ended;
            on_both_with_clock("canary", async move |world: &mut World, clock: &ManualClock| {
                let database =
                    if world.database.url.starts_with("postgres") { "PostgreSQL" } else { "SQLite" };
                let promote = world.agent_path(&format!("/versions/{}/promote", world.versions[0]));
                world.post(&promote, &json!({})).await.expect(200);
                world.put(&world.agent_path("/policy"), &json!({"name": "fixed"})).await.expect(200);
                for run in (first..runs).step_by(SERVERS as usize) {
                    let seed = run * 1_000_003 + case.per_minute as u64 + (case.failing * 1e6) as u64;
                    let one = simulate(world, clock, case, seed).await;
                    ended.lock().unwrap().entry(database).or_default().push(one);
                }
            })
        };
        join_all((0..SERVERS.min(runs)).map(server)).await;
        for (database, ended) in ended.into_inner().unwrap().into_iter().rev() {
            line(database, case, &ended);
        }
    }
}

fn line(database: &str, case: Case, ended: &[Ended]) {
    let back = ended.iter().filter(|(state, ..)| state == "rolled_back");
    let mut minutes: Vec<f64> = back.map(|(_, minute, _)| *minute).collect();
    minutes.sort_by(f64::total_cmp);
    let median = minutes.get(minutes.len() / 2).map_or("-".to_owned(), |minute| format!("{minute:.2}"));
    let runs = ended.len() as f64;
    let share = |count: usize| format!("{:.1} %", count as f64 * 100.0 / runs);
    let promoted = ended.iter().filter(|(state, ..)| state == "promoted").count();
    let served: usize = ended.iter().map(|(.., bad)| bad).sum();
    println!(
        "{database:<11} {:>5} {:>5.1}% {:>4} | {:>11} {:>8} {:>8} {:>8} {:>8.2}",
        case.per_minute,
        case.failing * 100.0,
        case.minutes,
        share(minutes.len()),
        median,
        share(promoted),
        share(ended.len() - minutes.len() - promoted),
        served as f64 / runs
    );
}

/// One rollout: how it ended, after how many minutes, and how many bad answers the new version gave.
async fn simulate(world: &World, clock: &ManualClock, case: Case, seed: u64) -> Ended {
    let mut random = Random(seed);
    let version = world.add_version(&format!("{case:?} {seed} {}", random.unit())).await;
    let steps: Vec<Value> =
        (1..=10).map(|step| json!({"weight": f64::from(step) * 0.05, "seconds": 60})).collect();
    let metric = json!({"name": "failed", "source": "error", "kind": "proportion", "direction": "decrease"});
    let plan = json!({"steps": steps, "guardrails": [metric], "goal": {"name": "answered", "source": "error",
                      "kind": "proportion", "direction": "decrease"}});
    let started =
        world.post(&world.agent_path("/rollouts"), &json!({"version": version, "plan": plan})).await;
    let id = started.expect(201)["id"].as_str().unwrap().to_owned();
    let path = format!("/api/learning/rollouts/{id}");
    let (mut outcomes, mut bad) = (0_u64, 0);
    // The step that was seen last, and in which quarter it began: one that nobody was served late ends late.
    let (mut step, mut since) = (1_u64, 0);
    for quarter in 1..=case.minutes * 4 {
        let count = case.per_minute / 4;
        let decisions: Vec<Value> =
            stream::iter(0..count).map(|_| world.decide_plain()).buffer_unordered(16).collect().await;
        let mut reports = Vec::with_capacity(count);
        for decision in decisions {
            let new = decision["version"] == version;
            let fails = random.unit() < if new { case.failing } else { STABLE };
            bad += usize::from(new && fails);
            let mut report = json!({"agent_id": world.agent, "decision_id": decision["decision_id"]});
            if fails {
                report["error"] = json!("timeout");
            }
            reports.push(report);
        }
        world.post("/api/learning/executions", &json!(reports)).await;
        outcomes += count as u64;
        clock.advance_seconds(15);
        let minute = quarter as f64 / 4.0;
        // The clock moves, and the rollout with it: wait until what is due has been done.
        let state = loop {
            let rollout = world.get(&path).await.expect(200);
            let evidence = &rollout["evidence"];
            let state = rollout["state"].as_str().unwrap().to_owned();
            if state != "running" {
                break state;
            }
            let known = evidence["units"].as_u64().unwrap() + evidence["current_units"].as_u64().unwrap();
            if rollout["step"].as_u64().unwrap() != step {
                (step, since) = (rollout["step"].as_u64().unwrap(), quarter);
            }
            let over = quarter - since >= 4;
            // A step in which the new version has answered nothing yet does not pass.
            let there = step == 10 || !over || !evidence["silent"].is_null();
            let ready = step == 10 && evidence["not_inferior"] == true && over;
            if known >= outcomes && evidence["harm"].is_null() && there && !ready {
                break state;
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        };
        if state != "running" {
            return (state, minute, bad);
        }
    }
    world.post(&format!("{path}/rollback"), &json!({})).await.expect(200);
    ("waiting".to_owned(), case.minutes as f64, bad)
}

impl World {
    async fn decide_plain(&self) -> Value {
        self.decide(&json!({})).await
    }
}
