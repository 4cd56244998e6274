//! `kill -9` of the server under load, again and again on the same data.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::checks;
use crate::journal::Journal;
use crate::ledger;
use crate::load::Load;
use crate::place::Place;
use crate::random::Random;
use crate::support::{TURN, cycles, skipped};
use crate::table::Tally;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite() {
    let _turn = TURN.lock().await;
    kill(Place::sqlite().await, "kill -9, SQLite").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres() {
    let _turn = TURN.lock().await;
    match Place::postgres().await {
        Some(place) => kill(place, "kill -9, PostgreSQL").await,
        None => skipped("kill::postgres", "no PostgreSQL: set DATABASE_URL, or run scripts/postgres start"),
    }
}

async fn kill(place: Place, name: &str) {
    let mut random = Random::seeded(name);
    let journal = Arc::new(Journal::new());
    let mut tally = Tally::new(name);
    let cycles = cycles(6);
    let mut server = place.serve().await;
    for cycle in 1..=cycles {
        tally.cycles = journal.next_cycle();
        let since = checks::mark();
        let broken = journal.notes().broken;
        let load = Load::start(&place, &server.client, &journal, &mut random);
        journal.after_answers(random.magnitude(10)).await;
        if random.one_in(2) {
            // Not only at the very moment of an answer.
            tokio::time::sleep(Duration::from_micros(random.magnitude(14))).await;
        }
        server.kill().await;
        load.ended().await;
        tally.under_load += usize::from(journal.notes().broken > broken);

        server = place.serve().await;
        checks::after_crash(&place, &server.client, &journal, since, &mut random, &mut tally).await;
        if cycle % 10 == 0 || cycle == cycles || cycle == cycles / 2 {
            server = ledger::compare(&place, server, &journal, &mut random, &mut tally).await;
        }
        tally.assert_clean(&journal);
    }
    checks::compare(&server.client, &journal, Uuid::nil(), &mut tally).await;
    server.stop().await;
    tally.print(&journal);
    tally.assert_clean(&journal);
    place.remove().await;
}
