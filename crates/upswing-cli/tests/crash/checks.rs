//! Compares what the server gives back with what was acknowledged.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;

use crate::client::{Answer, Client};
use crate::journal::{Decided, Entry, Journal, Kind};
use crate::load::Worker;
use crate::place::Place;
use crate::random::Random;
use crate::table::Tally;

/// How many lost decisions are restored after one crash.
const RESTORE: usize = 24;
/// How many older entries are looked at after each crash; at the end it is all.
const SAMPLE: usize = 20;

/// The present as the beginning of an id of version 7, which is later than all before it.
pub(crate) fn mark() -> Uuid {
    let mut bytes = *Uuid::now_v7().as_bytes();
    bytes[6..].fill(0);
    Uuid::from_bytes(bytes)
}

/// After a crash, with the load at rest: everything of this cycle, and some of what was before.
pub(crate) async fn after_crash(
    place: &Place,
    client: &Client,
    journal: &Arc<Journal>,
    since: Uuid,
    random: &mut Random,
    tally: &mut Tally,
) {
    let cycle = journal.notes().cycle;
    compare(client, journal, since, tally).await;
    let mut worker = Worker::new(place, client, journal, random.fork());

    // Older ids that were acknowledged in this cycle, and a sample of everything.
    let entries: Vec<Entry> = {
        let notes = journal.notes();
        let old = notes.entries.values().filter(|e| e.acknowledged && e.cycle == cycle && e.id <= since);
        let mut chosen: Vec<Entry> = old.cloned().collect();
        for _ in 0..SAMPLE.min(notes.order.len()) {
            chosen.push(notes.entries[random.pick(&notes.order)].clone());
        }
        chosen
    };
    for entry in entries {
        look_up(client, &entry, tally).await;
        if entry.acknowledged {
            for altered in [false, true] {
                if !worker.known(entry.kind, entry.id, &entry.body, altered).await {
                    tally.lost.push(format!("{:?} {} is not known any more", entry.kind, entry.id));
                }
            }
        }
    }

    // What nobody knows the fate of: half of it is sent again, the rest stays in doubt.
    let doubtful: Vec<Entry> = {
        let notes = journal.notes();
        notes.entries.values().filter(|e| !e.acknowledged && e.cycle == cycle).cloned().collect()
    };
    for entry in doubtful {
        if random.one_in(2) {
            worker.insist(entry.kind, entry.id, &entry.body).await;
        }
    }
    restore(client, journal, since, &mut worker, random, tally).await;
}

/// Decisions that were answered in this cycle and are not on disk come back with their token.
async fn restore(
    client: &Client,
    journal: &Arc<Journal>,
    since: Uuid,
    worker: &mut Worker,
    random: &mut Random,
    tally: &mut Tally,
) {
    let stored = by_id(client.export("decisions", since).await);
    let lost: Vec<Decided> = {
        let notes = journal.notes();
        let recent = notes.decisions.values().filter(|d| d.id > since && !stored.contains_key(&d.id));
        recent.take(RESTORE).cloned().collect()
    };
    for decision in &lost {
        let agent = decision.answer["agent_id"].as_str().unwrap().parse().unwrap();
        let token = decision.answer["token"].as_str().unwrap();
        let mut with_feedback = Some(token.to_owned());
        // Its execution may be in doubt; then it has its content already.
        let reported = journal.notes().entries.contains_key(&(Kind::Execution, decision.id));
        if !reported && random.one_in(2) {
            assert!(worker.report_of(agent, decision.id, token).await);
            with_feedback = None;
        }
        let heard = worker.hear_of(agent, decision.id, with_feedback).await;
        let reward = heard.as_ref().and_then(|answer| answer["reward"].as_f64());
        if reward.is_none() {
            tally.lost.push(format!("decision {} was not restored: {heard:?}", decision.id));
        }
    }
    let stored = by_id(client.export("decisions", since).await);
    for decision in &lost {
        match stored.get(&decision.id) {
            Some(row) if row["reason"] == "restored" => {
                tally.restored += 1;
                same_decision(decision, row, tally);
            }
            other => tally.lost.push(format!("decision {} was not restored: {other:?}", decision.id)),
        }
    }
}

/// Everything after an id: acknowledged means there, once, as it was sent.
pub(crate) async fn compare(client: &Client, journal: &Journal, since: Uuid, tally: &mut Tally) {
    let mut positions = HashSet::new();
    let mut occupy = |row: &Value, tally: &mut Tally| {
        let position = row["position"].as_i64().unwrap_or_default();
        if position < 1 || !positions.insert(position) {
            tally.twice.push(format!("position {position} of {}", row["id"]));
        }
    };
    for kind in Kind::BOTH {
        let rows = client.export(kind.export(), since).await;
        let notes = journal.notes();
        let mut there = HashSet::new();
        for row in &rows {
            occupy(row, tally);
            let id = id_of(row);
            if !there.insert(id) {
                tally.twice.push(format!("{kind:?} {id}"));
            }
            match notes.entries.get(&(kind, id)) {
                Some(entry) => tally.altered.extend(difference(&entry.body, row)),
                None => tally.altered.push(format!("{kind:?} {id} is there, but was never sent")),
            }
        }
        for entry in notes.entries.values() {
            if entry.kind == kind && entry.acknowledged && entry.id > since && !there.contains(&entry.id) {
                tally.lost.push(format!("{kind:?} {} of cycle {}", entry.id, entry.cycle));
            }
        }
    }
    let rows = client.export("decisions", since).await;
    for row in &rows {
        occupy(row, tally);
    }
    let count = rows.len();
    let stored = by_id(rows);
    if stored.len() != count {
        tally.twice.push(format!("{} decisions", count - stored.len()));
    }
    let notes = journal.notes();
    for (id, row) in &stored {
        if let Some(decision) = notes.decisions.get(id) {
            same_decision(decision, row, tally);
        }
    }
    // A token that came with something acknowledged has restored its decision, if it was lost.
    for entry in notes.entries.values().filter(|e| e.acknowledged) {
        let Some(token) = entry.body["token"].as_str() else { continue };
        let id = notes.tokens[token];
        if id > since && !stored.contains_key(&id) {
            tally.lost.push(format!("decision {id}, whose token came with {:?} {}", entry.kind, entry.id));
        }
    }
}

async fn look_up(client: &Client, entry: &Entry, tally: &mut Tally) {
    match client.get(&format!("{}/{}", entry.kind.path(), entry.id)).await {
        Answer::Given { status: 200, body, .. } => tally.altered.extend(difference(&entry.body, &body)),
        Answer::Given { status: 404, .. } if !entry.acknowledged => {}
        answer => tally.lost.push(format!("{:?} {}: {answer:?}", entry.kind, entry.id)),
    }
}

fn same_decision(decision: &Decided, row: &Value, tally: &mut Tally) {
    for field in ["agent_id", "version", "propensity", "epoch", "policy_revision", "origin"] {
        if !equal(&decision.answer[field], &row[field]) {
            let (was, is) = (&decision.answer[field], &row[field]);
            tally.altered.push(format!("decision {}: {field} was {was} and is {is}", decision.id));
        }
    }
}

fn by_id(rows: Vec<Value>) -> HashMap<Uuid, Value> {
    rows.into_iter().map(|row| (id_of(&row), row)).collect()
}

fn id_of(row: &Value) -> Uuid {
    row["id"].as_str().unwrap().parse().unwrap()
}

/// What is stored otherwise than it was sent.
fn difference(sent: &Value, stored: &Value) -> Option<String> {
    for (field, value) in sent.as_object().unwrap() {
        let is = &stored[field];
        let same = match field.as_str() {
            "token" => true,
            // Kept as keyed hashes.
            "unit" | "subject" | "author" => is.as_str().is_some_and(|hash| Some(hash) != value.as_str()),
            _ => equal(value, is),
        };
        if !same {
            return Some(format!("{field} of {} was {value} and is {is}", stored["id"]));
        }
    }
    None
}

/// Equal as values: 3 is 3.0.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| equal(value, other)))
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        _ => a == b,
    }
}
