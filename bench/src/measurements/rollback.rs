//! From the decision to roll back to the first request that is served by the old version, on this server and on another one.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Bench;
use crate::client::Client;
use crate::failure::{Doing as _, Failure, Result};
use crate::process::Server;
use crate::report::{Finding, number};
use crate::traffic;

/// How often it is rolled back.
const ROUNDS: usize = 100;
/// Milliseconds on the server that was told, and on another one.
const HERE: f64 = 100.0;
const ELSEWHERE: f64 = 500.0;

/// Measures it.
pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Finding>> {
    let mut server = bench.server().await?;
    let policy = format!("/api/learning/agents/{}/policy", server.agent);
    server.client.call("PUT", &policy, &json!({"name": "fixed"}).to_string()).await?;
    let other = if bench.database() == "PostgreSQL" { Some(server.another().await?) } else { None };
    let mut far = match &other {
        Some(other) => Some(Client::connect(other.address(), &server.key).await?),
        None => None,
    };
    let [old, new] = [server.versions[0].clone(), server.versions[1].clone()];
    let (mut here, mut there) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        promote(&mut server, &old).await?;
        promote(&mut server, &new).await?;
        let ask = json!({"agent_id": server.agent}).to_string();
        served(&mut server.client, &ask, &new).await?;
        if let Some(far) = &mut far {
            served(far, &ask, &new).await?;
        }
        let path = format!("/api/learning/agents/{}/versions/{new}/rollback", server.agent);
        let began = Instant::now();
        server.client.post(&path, &json!({})).await?;
        served(&mut server.client, &ask, &old).await?;
        here.push(began.elapsed().as_secs_f64() * 1e3);
        if let Some(far) = &mut far {
            served(far, &ask, &old).await?;
            there.push(began.elapsed().as_secs_f64() * 1e3);
        }
    }
    if let Some(other) = other {
        other.stop().await?;
    }
    server.stop().await?;
    let mut findings = vec![finding(bench, "rollback until the old version serves, p99", &mut here, HERE)];
    if !there.is_empty() {
        findings.push(finding(bench, "the same on another server, p99", &mut there, ELSEWHERE));
    }
    Ok(findings)
}

async fn promote(server: &mut Server, version: &str) -> Result<()> {
    let path = format!("/api/learning/agents/{}/versions/{version}/promote", server.agent);
    server.client.post(&path, &json!({})).await.map(drop)
}

/// Asks until that version is served.
async fn served(client: &mut Client, ask: &str, version: &str) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(10);
    while Instant::now() < until {
        let answer = client.call("POST", traffic::DECIDE, ask).await?;
        let answer: Value = serde_json::from_str(&answer).doing("reading a decision")?;
        if answer["version"] == version {
            return Ok(());
        }
    }
    Err(Failure::new(format!("{version} was not served within ten seconds")))
}

fn finding(bench: &Bench, what: &str, times: &mut [f64], most: f64) -> Finding {
    times.sort_by(f64::total_cmp);
    let at = |q: f64| times.get((q * times.len() as f64) as usize).copied().unwrap_or(f64::NAN);
    Finding::at_most(bench.database(), what, at(0.99), "ms", most).details([format!(
        "{} times; p50 {} ms",
        times.len(),
        number(at(0.5))
    )])
}
