//! A graceful end: what was answered is stored, decisions too.

use std::sync::Arc;

use uuid::Uuid;

use crate::checks;
use crate::journal::{Journal, Kind};
use crate::load::Load;
use crate::place::Place;
use crate::random::Random;
use crate::support::{TURN, skipped};
use crate::table::Tally;

/// How often the server ends.
const ROUNDS: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite() {
    let _turn = TURN.lock().await;
    drain(Place::sqlite().await, "SIGTERM, SQLite").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres() {
    let _turn = TURN.lock().await;
    match Place::postgres().await {
        Some(place) => drain(place, "SIGTERM, PostgreSQL").await,
        None => skipped("drain::postgres", "no PostgreSQL: set DATABASE_URL, or run scripts/postgres start"),
    }
}

async fn drain(place: Place, name: &str) {
    let mut random = Random::seeded(name);
    let journal = Arc::new(Journal::new());
    let mut tally = Tally::new(name);
    for _ in 0..ROUNDS {
        tally.cycles = journal.next_cycle();
        let server = place.serve().await;
        let load = Load::start(&place, &server.client, &journal, &mut random);
        journal.after_answers(random.magnitude(10)).await;
        server.stop().await;
        load.ended().await;
    }
    let server = place.serve().await;
    checks::compare(&server.client, &journal, Uuid::nil(), &mut tally).await;
    let stored = server.client.export("decisions", Uuid::nil()).await;
    let stored: std::collections::HashSet<Uuid> =
        stored.iter().map(|row| row["id"].as_str().unwrap().parse().unwrap()).collect();
    let answered: Vec<Uuid> = journal.notes().decisions.keys().copied().collect();
    let missing = answered.iter().filter(|id| !stored.contains(id)).count();
    assert_eq!(missing, 0, "of {} decisions that were answered", answered.len());
    assert!(!answered.is_empty() && journal.count(Kind::Feedback) + journal.count(Kind::Execution) > 0);
    tally.assert_clean(&journal);
    server.stop().await;
    place.remove().await;
}
