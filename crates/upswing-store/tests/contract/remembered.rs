//! What the writer remembers changes nothing but how much it has to ask.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use futures_util::future::join_all;
use upswing_domain::{AgentId, DecisionId, Execution, Feedback};
use upswing_store::{Ack, Event, LedgerEntry, Store};
use uuid::Uuid;

use crate::support::{Database, NOW, World, execution, feedback, on_both};

const PATIENCE: Duration = Duration::from_secs(5);

/// Numbers from a seed (xorshift, Marsaglia 2003).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn one_of(&mut self, of: &[u128]) -> Option<u128> {
        (!of.is_empty()).then(|| of[self.below(of.len() as u64) as usize])
    }
}

/// What one caller sends.
enum Call {
    /// A decision under an id that was made for it.
    Decide(u128),
    Write(Vec<Said>),
}

/// An event, before it belongs to a world.
#[derive(Clone)]
enum Said {
    Decision(u128),
    Execution { id: u128, follows: Option<u128> },
    Feedback { id: u128, about: u128, tenths: u64 },
}

impl Said {
    fn event(&self, world: &World) -> Event {
        match *self {
            Self::Decision(id) => Event::Decision(world.decision(id)),
            Self::Execution { id, follows } => {
                let decision = follows.map(|id| DecisionId(Uuid::from_u128(id)));
                execution(Execution { decision, ..world.execution(id) })
            }
            Self::Feedback { id, about, tenths } => feedback(world.feedback(id, about, tenths as f64 / 10.0)),
        }
    }
}

/// Calls that arrive together, and whether another server takes them.
fn arrivals(seed: u64) -> Vec<(bool, Vec<Call>)> {
    let mut numbers = Numbers(seed);
    let (mut minted, mut said, mut decided) = (Vec::new(), Vec::<Said>::new(), BTreeSet::new());
    let (mut next, mut rounds) = (1_000_000_u128, Vec::new());
    for _ in 0..80 {
        // Half of the time nothing happens but what mostly does: first feedback on what was decided here.
        let calm = numbers.below(2) == 0;
        let elsewhere = numbers.below(12) == 0;
        let mut calls = Vec::new();
        for _ in 0..=numbers.below(5) {
            let mut events = Vec::new();
            for _ in 0..=numbers.below(3) {
                // Ids of clients, of which some are never decided, and some are decided late.
                let client = u128::from(1 + numbers.below(40));
                let about = match numbers.below(3) {
                    0 => client,
                    _ => numbers.one_of(&minted).unwrap_or(client),
                };
                next += 1;
                if calm {
                    let Some(about) = minted.pop() else { break };
                    events.push(Said::Feedback { id: next, about, tenths: numbers.below(11) });
                    continue;
                }
                events.push(match numbers.below(10) {
                    // The server records a decision once.
                    0 if decided.insert(client) => Said::Decision(client),
                    1 => Said::Execution { id: about, follows: None },
                    2 => Said::Execution { id: client, follows: Some(about).filter(|id| *id != client) },
                    3 | 4 if !said.is_empty() => {
                        let again = said[numbers.below(said.len() as u64) as usize].clone();
                        match (again, numbers.below(24)) {
                            (Said::Feedback { id, .. }, 0) => Said::Feedback { id, about, tenths: 3 },
                            (again, _) => again,
                        }
                    }
                    _ => Said::Feedback { id: next, about, tenths: numbers.below(11) },
                });
                said.extend(events.last().filter(|said| !matches!(said, Said::Decision(_))).cloned());
            }
            calls.push(Call::Write(events));
        }
        if !elsewhere {
            for _ in 0..numbers.below(4) {
                next += 1;
                minted.push(next);
                calls.insert(0, Call::Decide(next));
            }
        }
        rounds.push((elsewhere, calls));
    }
    rounds
}

async fn make(world: &World, store: &Store, call: &Call, minted: bool) -> Vec<Ack> {
    match call {
        Call::Decide(id) => {
            let decision = world.decision(*id);
            store.record_decision(world.organisation, decision, minted, PATIENCE).await.unwrap();
            Vec::new()
        }
        Call::Write(said) => {
            let events = said.iter().map(|said| said.event(world)).collect();
            store.write(world.organisation, NOW, events).await.unwrap()
        }
    }
}

/// Waits until what was recorded is on disk: nobody waits for a decision, but what comes after it is answered after it.
async fn settle(world: &World, store: &Store) {
    let agent = AgentId(Uuid::nil());
    let refused = Feedback { agent, ..world.feedback(1, 998, 0.5) };
    let acks = store.write(world.organisation, NOW, vec![feedback(refused)]).await.unwrap();
    assert!(matches!(acks[..], [Ack::OtherAgent(_)]), "{acks:?}");
}

/// The acknowledgements and the ledger, without what differs from world to world.
async fn seen(world: &World, acks: Vec<Vec<Ack>>) -> (Vec<String>, Vec<String>) {
    let acks = acks.into_iter().map(|acks| format!("{acks:?}")).collect();
    let entry = |e: &LedgerEntry| {
        let version = world.versions.iter().position(|version| *version == e.version);
        let (execution, decision, cause) = (e.execution, e.decision, e.cause);
        let (at, first, propensity) = (e.position, e.first_position, e.propensity);
        format!(
            "{at} {first} {execution} {decision:?} {cause:?} {version:?} {:?} {propensity} {:?} {:?}",
            e.context, e.old, e.new
        )
    };
    (acks, world.ledger().await.iter().map(entry).collect())
}

/// Takes all calls by one server, several at a time, and sometimes by another one.
async fn by_heart(database: &Database, seed: u64) -> ((Vec<String>, Vec<String>), u64) {
    let world = World::new(database).await;
    let other = database.store().await;
    world.write(vec![execution(world.execution(998))]).await;
    let mut acks = Vec::new();
    for (elsewhere, calls) in arrivals(seed) {
        let store = if elsewhere { &other } else { &world.store };
        if elsewhere {
            settle(&world, &world.store).await;
        }
        acks.extend(join_all(calls.iter().map(|call| make(&world, store, call, true))).await);
    }
    // What was recorded without waiting is written when this is.
    acks.push(world.write(vec![execution(world.execution(999))]).await);
    let by_heart = world.store.queue().by_heart;
    let seen = seen(&world, acks).await;
    world.store.close().await;
    other.close().await;
    (seen, by_heart)
}

/// Takes the same calls by two servers in turn, one after the other: each finds that the other has written.
async fn asking(database: &Database, seed: u64) -> (Vec<String>, Vec<String>) {
    let world = World::new(database).await;
    let other = database.store().await;
    world.write(vec![execution(world.execution(998))]).await;
    let (mut acks, mut turn) = (Vec::new(), 0_u128);
    for call in arrivals(seed).iter().flat_map(|(_, calls)| calls) {
        turn += 1;
        let store = if turn.is_multiple_of(2) { &other } else { &world.store };
        acks.push(make(&world, store, call, false).await);
        settle(&world, store).await;
    }
    acks.push(world.write(vec![execution(world.execution(999))]).await);
    let seen = seen(&world, acks).await;
    world.store.close().await;
    other.close().await;
    seen
}

#[tokio::test]
async fn the_same_comes_of_it_by_heart_and_asking() {
    let all = Arc::new(AtomicU64::new(0));
    for seed in [1, 2, 3, 4] {
        let reference = Database::sqlite();
        let expected = asking(&reference, seed).await;
        assert!(expected.1.len() > 100, "the ledger has {} entries", expected.1.len());
        reference.drop().await;
        on_both("the_same_comes_of_it_by_heart_and_asking", |database| {
            let (expected, all) = (expected.clone(), Arc::clone(&all));
            async move {
                let (seen, by_heart) = by_heart(&database, seed).await;
                for (n, (seen, expected)) in seen.0.iter().zip(&expected.0).enumerate() {
                    assert_eq!(seen, expected, "call {n} of seed {seed}");
                }
                assert_eq!(seen.1, expected.1, "the ledger of seed {seed}");
                all.fetch_add(by_heart, Relaxed);
                database
            }
        })
        .await;
    }
    assert!(all.load(Relaxed) > 0, "something was written by heart");
}

#[tokio::test]
async fn what_was_decided_here_is_not_asked_for() {
    on_both("what_was_decided_here_is_not_asked_for", |database| async move {
        let world = World::new(&database).await;
        // The first batch finds out where the head stands, the second one that nobody else moves it.
        for id in 1..=2 {
            world.write(vec![execution(world.execution(id))]).await;
        }
        let before = world.store.queue();
        for id in 10..20 {
            let decision = world.decision(id);
            world.store.record_decision(world.organisation, decision, true, PATIENCE).await.unwrap();
            let acks = world.write(vec![feedback(world.feedback(100 + id, id, 0.5))]).await;
            assert!(matches!(acks[..], [Ack::Stored { reward: Some(_), .. }]), "{acks:?}");
        }
        let after = world.store.queue();
        assert_eq!(after.by_heart - before.by_heart, after.batches - before.batches, "nothing was asked");
        // What was heard of once is asked for: the second statement counts beside the first.
        let rated = Feedback { rating: Some(5), ..world.feedback(200, 10, 0.5) };
        world.write(vec![feedback(rated)]).await;
        let entries = world.ledger().await;
        let of_ten: Vec<_> = entries.iter().filter(|e| e.execution.0 == Uuid::from_u128(10)).collect();
        assert_eq!(of_ten.len(), 2);
        assert_eq!(of_ten[1].old, of_ten[0].new);
        world.store.close().await;
        database
    })
    .await;
}

#[tokio::test]
async fn one_id_for_two_statements_is_refused_alone() {
    on_both("one_id_for_two_statements_is_refused_alone", |database| async move {
        let world = World::new(&database).await;
        for id in 1..=5 {
            world.write(vec![execution(world.execution(id))]).await;
        }
        world.write(vec![feedback(world.feedback(50, 1, 1.0))]).await;
        let calls = [(50, 2), (51, 3), (52, 4)].map(|(id, about)| {
            let said = feedback(world.feedback(id, about, 0.0));
            world.store.write(world.organisation, NOW, vec![said])
        });
        let acks = join_all(calls).await.into_iter().map(|acks| acks.unwrap().remove(0)).collect::<Vec<_>>();
        assert!(matches!(acks[..], [Ack::Conflict, Ack::Stored { .. }, Ack::Stored { .. }]), "{acks:?}");
        assert_eq!(world.ledger().await.len(), 3);
        world.store.close().await;
        database
    })
    .await;
}

#[tokio::test]
async fn organisations_share_batches_and_not_what_is_remembered() {
    on_both("organisations_share_batches_and_not_what_is_remembered", |database| async move {
        let (world, second) = (World::new(&database).await, World::new(&database).await);
        let store = &world.store;
        let worlds = [&world, &second];
        for id in 1..=3 {
            for of in worlds {
                let run = vec![execution(of.execution(id))];
                store.write(of.organisation, NOW, run).await.unwrap();
            }
        }
        let mut id = 100;
        for round in 0..30 {
            let before = store.queue();
            for (of, id) in worlds.iter().zip(id..) {
                store.record_decision(of.organisation, of.decision(id), true, PATIENCE).await.unwrap();
            }
            // Four calls that arrive together: the first one is written alone, the others together.
            let calls = worlds.iter().zip(id..).flat_map(|(of, id)| {
                let said = |n| vec![feedback(of.feedback(10 * id + n, id, 0.5))];
                [store.write(of.organisation, NOW, said(0)), store.write(of.organisation, NOW, said(1))]
            });
            for acks in join_all(calls).await {
                assert!(matches!(acks.unwrap()[..], [Ack::Stored { reward: Some(_), .. }]));
            }
            id += 2;
            // Another server says something of one of them, now and then.
            if round % 7 == 6 {
                let said = feedback(second.feedback(1_000_000 + id, 1, 0.25));
                assert!(matches!(second.write(vec![said]).await[..], [Ack::Stored { .. }]));
            }
            assert!(store.queue().batches > before.batches);
        }
        assert!(store.queue().by_heart > 0);
        for (of, entries) in [(&world, 30), (&second, 31)] {
            let ledger = of.ledger().await;
            assert_eq!(ledger.len(), entries, "one entry each: the second statement says the same");
            assert!(ledger.is_sorted_by(|a, b| a.position < b.position));
        }
        world.store.close().await;
        second.store.close().await;
        database
    })
    .await;
}

#[tokio::test]
async fn a_decision_that_comes_after_its_execution_is_not_forgotten() {
    on_both("a_decision_that_comes_after_its_execution_is_not_forgotten", |database| async move {
        let world = World::new(&database).await;
        for id in 1..=2 {
            world.write(vec![execution(world.execution(id))]).await;
        }
        // An execution under an id of its own, then a decision under the same id, which another execution follows.
        world.write(vec![execution(world.execution(7))]).await;
        world.write(vec![Event::Decision(world.decision(7))]).await;
        let decision = Some(DecisionId(Uuid::from_u128(7)));
        world.write(vec![execution(Execution { decision, ..world.execution(8) })]).await;
        world.write(vec![feedback(world.feedback(80, 8, 0.5))]).await;
        let acks = world
            .write(vec![feedback(world.feedback(70, 7, 0.25)), feedback(world.feedback(81, 8, 1.0))])
            .await;
        let rewarded = |ack: &Ack| matches!(ack, Ack::Stored { reward: Some(_), .. });
        assert!(acks.iter().all(rewarded), "{acks:?}");
        assert_eq!(world.ledger().await.len(), 3);
        world.store.close().await;
        database
    })
    .await;
}

#[tokio::test]
async fn what_waited_for_a_decision_is_rewarded_by_a_server_that_knows_nothing_of_the_agent() {
    let name = "what_waited_for_a_decision_is_rewarded_by_a_server_that_knows_nothing_of_the_agent";
    on_both(name, |database| async move {
        let world = World::new(&database).await;
        let acks = world.write(vec![feedback(world.feedback(1, 5, 0.5))]).await;
        assert!(matches!(acks[..], [Ack::Stored { reward: None, .. }]), "{acks:?}");
        // The first thing that this one writes is what the feedback waited for.
        let other = database.store().await;
        let decided = vec![Event::Decision(world.decision(5))];
        other.write(world.organisation, NOW, decided).await.unwrap();
        assert_eq!(world.ledger().await.len(), 1);
        world.store.close().await;
        other.close().await;
        database
    })
    .await;
}
