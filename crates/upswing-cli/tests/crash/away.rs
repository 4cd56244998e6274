//! An immediate stop of PostgreSQL itself under load. The server stays, says that it is not ready, and recovers.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::checks;
use crate::cluster::Cluster;
use crate::journal::Journal;
use crate::ledger;
use crate::load::Load;
use crate::place::Place;
use crate::random::Random;
use crate::support::{TURN, cycles, skipped, until};
use crate::table::Tally;

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres() {
    let _turn = TURN.lock().await;
    let cluster = match Cluster::start() {
        Ok(cluster) => cluster,
        Err(reason) => return skipped("away::postgres", &reason),
    };
    let name = "immediate stop of PostgreSQL";
    let mut random = Random::seeded(name);
    let place = Place::at(&cluster.url).await;
    let journal = Arc::new(Journal::new());
    let mut tally = Tally::new(name);
    let cycles = cycles(4);
    let mut server = place.serve().await;
    for cycle in 1..=cycles {
        tally.cycles = journal.next_cycle();
        let since = checks::mark();
        let load = Load::patient(&place, &server.client, &journal, &mut random);
        journal.after_answers(random.magnitude(10)).await;
        cluster.crash();
        until("/readyz turns red", PATIENCE, || async {
            (server.client.ready().await == Some(false)).then_some(())
        })
        .await;
        // Sometimes so long that the server gives up holding writes.
        if cycle % 20 == 2 {
            journal.after_put_off(1).await;
        }
        cluster.recover();
        until("/readyz turns green", PATIENCE, || async {
            (server.client.ready().await == Some(true)).then_some(())
        })
        .await;
        journal.after_answers(50).await;
        load.stop().await;
        tally.under_load += 1;

        checks::after_crash(&place, &server.client, &journal, since, &mut random, &mut tally).await;
        if cycle % 10 == 0 || cycle == cycles {
            server = ledger::compare(&place, server, &journal, &mut random, &mut tally).await;
        }
        tally.assert_clean(&journal);
    }
    let broken = journal.notes().broken;
    assert_eq!(broken, 0, "the server stayed, but requests broke off");
    checks::compare(&server.client, &journal, Uuid::nil(), &mut tally).await;
    server.stop().await;
    tally.print(&journal);
    tally.assert_clean(&journal);
}
