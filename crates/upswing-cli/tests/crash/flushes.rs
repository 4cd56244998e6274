//! Before every acknowledgement there is a flush: counted by the system call, and by PostgreSQL itself.

use std::collections::HashMap;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

use crate::client::Client;
use crate::cluster::Cluster;
use crate::place::{Place, connect};
use crate::support::{TURN, skipped, until};

/// Sends feedback, each piece after the acknowledgement of the one before.
async fn send(place: &Place, client: &Client, count: usize) {
    for _ in 0..count {
        let body = json!({
            "id": Uuid::now_v7(), "agent_id": place.agents[0].id, "execution_id": Uuid::now_v7(),
            "feedback_type": "thumbs_up",
        });
        client.expect("POST", "/api/learning/feedback", Some(body)).await;
    }
}

/// What happened, in order.
#[derive(Debug, PartialEq, Clone, Copy)]
enum Event {
    Flushed,
    Acknowledged,
}

/// Flushes of the log that have ended, and acknowledgements that begin.
fn events(trace: &str) -> Vec<Event> {
    let mut waiting: HashMap<&str, bool> = HashMap::new();
    let mut events = Vec::new();
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        let of_log = call.contains("upswing.db-wal>");
        if call.starts_with("fdatasync(") || call.starts_with("fsync(") {
            if call.contains("<unfinished") {
                waiting.insert(thread, of_log);
            } else if of_log && call.ends_with("= 0") {
                events.push(Event::Flushed);
            }
        } else if call.starts_with("<... fdatasync resumed") || call.starts_with("<... fsync resumed") {
            if waiting.remove(thread).unwrap_or_default() && call.ends_with("= 0") {
                events.push(Event::Flushed);
            }
        } else if call.contains("\"HTTP/1.1 201") {
            events.push(Event::Acknowledged);
        }
    }
    events
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite() {
    let _turn = TURN.lock().await;
    if !Command::new("strace").args(["-o", "/dev/null", "true"]).status().is_ok_and(|status| status.success())
    {
        return skipped("flushes::sqlite", "strace is missing, or may not be used here");
    }
    const COUNT: usize = 40;
    let place = Place::sqlite().await;
    let trace = place.folder().join("trace");
    let calls = "trace=fdatasync,fsync,write,writev,sendto,sendmsg";
    let strace =
        ["strace", "-f", "-y", "-s", "16", "-e", calls, "-e", "signal=none", "-o", trace.to_str().unwrap()];
    let server = place.serve_under(&[&strace[..], &[env!("CARGO_BIN_EXE_upswing")]].concat()).await;
    send(&place, &server.client, COUNT).await;
    let strace = server.pid();
    let children = format!("/proc/{strace}/task/{strace}/children");
    let traced = std::fs::read_to_string(children).unwrap().trim().parse().unwrap();
    server.stop_process(traced).await;

    let events = events(&std::fs::read_to_string(trace).unwrap());
    let acknowledged = events.iter().filter(|event| **event == Event::Acknowledged).count();
    assert_eq!(acknowledged, COUNT);
    let mut flushed = false;
    for event in &events {
        match event {
            Event::Flushed => flushed = true,
            Event::Acknowledged => {
                assert!(std::mem::take(&mut flushed), "acknowledged without a flush: {events:?}")
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres() {
    let _turn = TURN.lock().await;
    let cluster = match Cluster::start() {
        Ok(cluster) => cluster,
        Err(reason) => return skipped("flushes::postgres", &reason),
    };
    // So many in so short a time that what else is flushed does not count.
    const COUNT: usize = 400;
    let place = Place::at(&cluster.url).await;
    let server = place.serve().await;
    let admin = connect(&cluster.admin_url()).await;
    let flushes = || async {
        admin.execute("SELECT pg_stat_clear_snapshot()", &[]).await.unwrap();
        let row = admin.query_one("SELECT wal_sync FROM pg_stat_wal", &[]).await.unwrap();
        row.get::<_, i64>(0)
    };
    let before = flushes().await;
    send(&place, &server.client, COUNT).await;
    // A connection that ends reports what it has counted.
    server.stop().await;
    until("PostgreSQL has counted the flushes", Duration::from_secs(10), || async {
        (flushes().await - before >= COUNT as i64).then_some(())
    })
    .await;
}
