//! Accounts that are not believed: their feedback stops teaching, comes back when they are believed again, and the ledger
//! says the same as a history in which it had been so from the beginning.

use std::collections::BTreeMap;

use upswing_domain::{
    ExecutionId, Feedback, FeedbackId, FeedbackSource, Position, Pseudonym, Reward, RewardDefinition,
    Standing, Timestamp,
};
use upswing_store::{Ack, AuthorTrust, Checkpoint, Defence, Event, Store, StoreError};
use uuid::Uuid;

use crate::support::{Database, NOW, World, actor, execution, feedback, fingerprint, on_both};

const LIAR: Pseudonym = Pseudonym([1; 18]);
const HONEST: Pseudonym = Pseudonym([2; 18]);
const CAP: i64 = 1000;

fn said(world: &World, id: u128, run: u128, author: Pseudonym, reward: f64) -> Event {
    capped(world, id, run, author, reward, CAP)
}

fn capped(world: &World, id: u128, run: u128, author: Pseudonym, reward: f64, cap: i64) -> Event {
    let feedback = Feedback {
        author: Some(author),
        source: FeedbackSource::User,
        ..world.feedback(1_000_000 + id, run, reward)
    };
    let fingerprints = fingerprint(&format!("{feedback:?}"));
    let defence = Some(Defence { author_cap: cap, copies: 3, text: None });
    Event::Feedback { feedback: Box::new(feedback), fingerprints, restore: None, token_uses: None, defence }
}

async fn standing(world: &World, id: u128) -> Standing {
    let id = FeedbackId(Uuid::from_u128(1_000_000 + id));
    world.store.feedback(world.organisation, id).await.unwrap().unwrap().feedback.standing
}

async fn reward(world: &World, run: u128) -> Option<f64> {
    let id = ExecutionId(Uuid::from_u128(run));
    world.store.execution(world.organisation, id).await.unwrap().unwrap().reward.map(Reward::get)
}

async fn lease(world: &World) -> (String, String, i64) {
    let fence = world.store.lease("reputation", "me", NOW, 600).await.unwrap().unwrap();
    ("reputation".to_owned(), "me".to_owned(), fence)
}

async fn decide(world: &World, author: Pseudonym, distrusted: bool) {
    let weight = if distrusted { 10_000 } else { 990_000 };
    let change = AuthorTrust { author, weight, distrusted, decided_at: NOW };
    let lease = lease(world).await;
    world.store.set_trust(world.organisation, world.agent, lease, NOW, vec![change], None).await.unwrap();
}

/// How many pieces it took, beside the one that finds nothing.
async fn settle(world: &World) -> usize {
    let mut pieces = 0;
    while !world.store.settle_trust(world.organisation, world.agent, NOW).await.unwrap() {
        pieces += 1;
    }
    pieces
}

/// Every entry goes on where the execution's last one ended, positions grow, and the end is what the execution says.
async fn ends(world: &World) -> BTreeMap<u128, Option<Reward>> {
    let mut ends: BTreeMap<u128, Option<Reward>> = BTreeMap::new();
    let mut last = Position(0);
    for entry in world.ledger().await {
        let end = ends.entry(entry.execution.0.as_u128()).or_default();
        assert_eq!(*end, entry.old, "at {:?}", entry.position);
        assert!(entry.position > last && entry.old != entry.new);
        (*end, last) = (entry.new, entry.position);
    }
    for (run, end) in &ends {
        assert_eq!(reward(world, *run).await, end.map(Reward::get));
    }
    ends
}

async fn runs(world: &World, count: u128) {
    let runs = (1..=count).flat_map(|n| [Event::Decision(world.decision(n)), execution(world.execution(n))]);
    world.write(runs.collect()).await;
}

#[tokio::test]
async fn who_is_not_believed_teaches_nothing_until_believed_again() {
    on_both("who_is_not_believed_teaches_nothing_until_believed_again", |database| async move {
        let world = World::new(&database).await;
        runs(&world, 5).await;
        // Alone on the first, with somebody else on the second, capped on the third; an expert speaks on the fourth.
        world.write(vec![said(&world, 1, 1, LIAR, 0.0), said(&world, 2, 2, HONEST, 1.0)]).await;
        world.write(vec![said(&world, 3, 2, LIAR, 0.0), capped(&world, 4, 3, LIAR, 0.0, 2)]).await;
        let mut expert = said(&world, 5, 4, LIAR, 0.0);
        if let Event::Feedback { feedback, .. } = &mut expert {
            feedback.source = FeedbackSource::Expert;
        }
        world.write(vec![expert]).await;
        let before = ends(&world).await;
        assert_eq!((reward(&world, 1).await, reward(&world, 2).await), (Some(0.0), Some(0.0)));

        decide(&world, LIAR, true).await;
        // What arrives now stands as decided, before the older feedback does.
        let acks = world.write(vec![said(&world, 6, 5, LIAR, 0.0)]).await;
        assert!(matches!(acks[..], [Ack::Stored { reward: None, .. }]), "{acks:?}");
        settle(&world).await;
        use Standing::{Capped, Counted, Distrusted};
        for (id, expected) in
            [(1, Distrusted), (2, Counted), (3, Distrusted), (4, Capped), (5, Counted), (6, Distrusted)]
        {
            assert_eq!(standing(&world, id).await, expected, "{id}");
        }
        assert_eq!(reward(&world, 1).await, None, "nobody else has said anything");
        assert_eq!(reward(&world, 2).await, Some(1.0), "the other's statement is there again");
        assert_eq!(reward(&world, 4).await, Some(0.0), "experts are vouched for by their keys");
        ends(&world).await;
        let entry = world.ledger().await.into_iter().rfind(|e| e.execution.0.as_u128() == 2).unwrap();
        assert_eq!(entry.cause, Some(FeedbackId(Uuid::from_u128(1_000_003))));
        assert!(entry.decision.is_some(), "it teaches as the entry did that it takes back");
        assert_eq!(world.store.distrusted(world.organisation, world.agent).await.unwrap(), 1);

        decide(&world, LIAR, false).await;
        settle(&world).await;
        for (id, expected) in
            [(1, Counted), (2, Counted), (3, Counted), (4, Capped), (5, Counted), (6, Counted)]
        {
            assert_eq!(standing(&world, id).await, expected, "{id}");
        }
        let mut after = ends(&world).await;
        // What had arrived without being believed counts now for the first time.
        assert_eq!(after.remove(&5), Some(Some(Reward::ZERO)));
        assert_eq!(after, before);
        let page = world.store.author_trust(world.organisation, world.agent, None, false, 10).await.unwrap();
        assert_eq!(page.iter().map(|t| (t.author, t.distrusted)).collect::<Vec<_>>(), [(LIAR, false)]);
        world.store.close().await;
        database
    })
    .await;
}

async fn performance(world: &World) -> Vec<(Vec<u8>, String, i64, u64)> {
    while !world.store.fold_rollups(world.organisation, world.agent, NOW).await.unwrap() {}
    let (rows, _) = world.store.performance(world.organisation, world.agent, "", Timestamp(0)).await.unwrap();
    let rewards = rows.into_iter().filter(|row| row.metric == "reward" && row.count > 0);
    rewards.map(|row| (row.version.0.to_vec(), row.metric, row.count, row.mean.to_bits())).collect()
}

#[tokio::test]
async fn the_ledger_is_that_of_a_history_without_the_lies() {
    on_both("the_ledger_is_that_of_a_history_without_the_lies", |database| async move {
        let world = World::new(&database).await;
        let clean = World::within(world.store.clone()).await;
        let rewards = |n: u128| (n % 5) as f64 / 4.0;
        for world in [&world, &clean] {
            runs(world, 60).await;
            let honest = (1..=60).filter(|n| n % 3 > 0).map(|n| said(world, n, n, HONEST, rewards(n)));
            world.write(honest.collect()).await;
        }
        world.write((1..=60).map(|n| said(&world, 100 + n, n, LIAR, 1.0 - rewards(n))).collect()).await;
        // Folded half way: the rollups take back what they had.
        performance(&world).await;
        decide(&world, LIAR, true).await;
        settle(&world).await;
        let kept = |ends: BTreeMap<u128, Option<Reward>>| -> Vec<_> {
            ends.into_iter().filter(|(_, end)| end.is_some()).collect()
        };
        assert_eq!(kept(ends(&world).await), kept(ends(&clean).await));
        assert_eq!(performance(&world).await, performance(&clean).await);
        world.store.close().await;
        database
    })
    .await;
}

/// Opened anew, as after a crash, with the organisation that was there.
async fn reopened(world: World, database: &Database) -> World {
    world.store.close().await;
    World { store: database.store().await, ..world }
}

#[tokio::test]
async fn many_statements_follow_in_pieces_whatever_comes_between() {
    on_both("many_statements_follow_in_pieces_whatever_comes_between", |database| async move {
        let mut world = World::new(&database).await;
        runs(&world, 450).await;
        world.write((1..=450).map(|n| said(&world, n, n, LIAR, 1.0)).collect()).await;
        let others = (1..=70_u8).map(|n| Pseudonym([100 + n; 18]));
        let others: Vec<_> = others.zip(1..).map(|(who, n)| said(&world, 1000 + n, n, who, 0.5)).collect();
        world.write(others).await;
        let before = ends(&world).await;
        decide(&world, LIAR, true).await;
        let step = |world: &World| {
            let (store, organisation, agent) = (world.store.clone(), world.organisation, world.agent);
            async move { store.settle_trust(organisation, agent, NOW).await.unwrap() }
        };
        assert!(!step(&world).await);
        let left = || world.store.unsettled_trust(world.organisation);
        assert_eq!(left().await.unwrap(), [world.agent]);
        let once = ends(&world).await.values().filter(|end| end.is_none()).count();
        assert!(once < 200, "a piece is bounded: {once}");
        // A crash, and the decision said again.
        world = reopened(world, &database).await;
        decide(&world, LIAR, true).await;
        assert_eq!(settle(&world).await, 2);
        assert_eq!(ends(&world).await.values().filter(|end| end.is_none()).count(), 380);
        let entries = world.ledger().await.len();
        decide(&world, LIAR, true).await;
        assert_eq!(settle(&world).await, 0, "decided again it is nothing new");
        assert_eq!(world.store.unsettled_trust(world.organisation).await.unwrap(), []);
        assert_eq!(world.ledger().await.len(), entries);
        // Half given back, then taken again, then given back for good.
        decide(&world, LIAR, false).await;
        assert!(!step(&world).await);
        world = reopened(world, &database).await;
        decide(&world, LIAR, true).await;
        assert!(!step(&world).await);
        decide(&world, LIAR, false).await;
        settle(&world).await;
        assert_eq!(ends(&world).await, before);
        assert_eq!(standing(&world, 1).await, Standing::Counted);

        // Many accounts at once.
        let all = (1..=70_u8).map(|n| Pseudonym([100 + n; 18]));
        let all = all.map(|author| AuthorTrust { author, weight: 0, distrusted: true, decided_at: NOW });
        let held = lease(&world).await;
        world.store.set_trust(world.organisation, world.agent, held, NOW, all.collect(), None).await.unwrap();
        settle(&world).await;
        assert_eq!(world.store.distrusted(world.organisation, world.agent).await.unwrap(), 70);
        assert!(ends(&world).await.values().all(|end| *end == Some(Reward::ONE)));
        world.store.close().await;
        database
    })
    .await;
}

#[tokio::test]
async fn without_the_lease_nothing_is_decided_and_the_state_comes_with_the_decision() {
    on_both(
        "without_the_lease_nothing_is_decided_and_the_state_comes_with_the_decision",
        |database| async move {
            let world = World::new(&database).await;
            let (organisation, agent) = (world.organisation, world.agent);
            let (name, holder, fence) = lease(&world).await;
            let change = AuthorTrust { author: LIAR, weight: 0, distrusted: true, decided_at: NOW };
            let state = Checkpoint {
                position: Position(7),
                revision: 5,
                state: vec![1, 2],
                made_with: "{}".to_owned(),
            };
            let decide = |fence| {
                let lease = (name.clone(), holder.clone(), fence);
                world.store.set_trust(
                    organisation,
                    agent,
                    lease,
                    NOW,
                    vec![change, change],
                    Some(state.clone()),
                )
            };
            assert!(matches!(decide(fence + 1).await, Err(StoreError::LeaseLost)));
            assert_eq!(world.store.distrusted(organisation, agent).await.unwrap(), 0);
            assert_eq!(world.store.checkpoint(organisation, agent, "reputation").await.unwrap(), None);
            decide(fence).await.unwrap();
            assert_eq!(world.store.distrusted(organisation, agent).await.unwrap(), 1);
            let saved = world.store.checkpoint(organisation, agent, "reputation").await.unwrap();
            assert_eq!(saved, Some(state.clone()));
            let edges = world.store.lineage(organisation, "reputation", &agent.to_string()).await.unwrap();
            assert_eq!(edges[0].to, Some(Position(7)));
            world.store.close().await;
            database
        },
    )
    .await;
}

#[tokio::test]
async fn statements_are_each_authors_own_and_wait_for_what_ran() {
    on_both("statements_are_each_authors_own_and_wait_for_what_ran", |database| async move {
        let world = World::new(&database).await;
        runs(&world, 2).await;
        world
            .write(vec![
                said(&world, 1, 1, HONEST, 1.0),
                said(&world, 2, 1, LIAR, 0.0),
                said(&world, 3, 1, HONEST, 0.5),
                // A program's is nobody's statement, and the last is about what has not been reported.
                crate::support::feedback(world.feedback(9_000, 2, 0.5)),
                said(&world, 4, 77, LIAR, 0.25),
            ])
            .await;
        let read = || async {
            let from_database = (Position(0), Position(i64::MAX));
            world.store.statements(world.organisation, world.agent, from_database, 100).await.unwrap()
        };
        let found = read().await;
        let own = |old: Option<f64>, new: f64| (old.map(|v| Reward::new(v).unwrap()), Reward::new(new).ok());
        let expected = [
            (HONEST, Some(world.versions[1]), own(None, 1.0)),
            (LIAR, Some(world.versions[1]), own(None, 0.0)),
            (HONEST, Some(world.versions[1]), own(Some(1.0), 0.5)),
            (LIAR, None, own(None, 0.25)),
        ];
        let got: Vec<_> = found.iter().map(|s| (s.author, s.version, (s.old, s.new))).collect();
        assert_eq!(got, expected);
        assert!(found[0].context.is_some());
        let after = (found[1].position, found[2].position);
        let rest = world.store.statements(world.organisation, world.agent, after, 1).await;
        assert_eq!(rest.unwrap(), [found[2].clone()]);

        // Whether they teach or not, they are what was said.
        decide(&world, LIAR, true).await;
        settle(&world).await;
        assert_eq!(read().await, found);
        // When it arrives, who is not believed has not taught.
        world.write(vec![Event::Decision(world.decision(77)), execution(world.execution(77))]).await;
        assert_eq!(reward(&world, 77).await, None);
        let waited = vec![found[3].position];
        let come = world.store.statements_at(world.organisation, world.agent, waited).await.unwrap();
        assert_eq!(come[0].version, Some(world.versions[1]));
        // Believed again, it teaches as if it had come with its execution.
        decide(&world, LIAR, false).await;
        settle(&world).await;
        assert_eq!(reward(&world, 77).await, Some(0.25));
        let entry = world.ledger().await.into_iter().rfind(|e| e.execution.0.as_u128() == 77).unwrap();
        assert_eq!((entry.decision, entry.propensity), (Some(world.decision(77).id), 0.25));
        assert!(entry.context.is_some());
        world.store.close().await;
        database
    })
    .await;
}

/// Some writes of one of several callers: what programs measured, and what somebody says who may not be believed.
async fn talk(world: &World, store: &Store, caller: u128) {
    for n in 0..30 {
        let id = 10_000 * caller + 10 * n;
        // Numbers without order, so that callers meet at the same runs.
        let run = |k: u128| 1 + (id * 7919 + k * 104_729) % 40;
        let tenths = |k: u128| ((id + k) % 11) as f64 / 10.0;
        let measured = (0..=n % 3).map(|k| feedback(world.feedback(id + k, run(k), tenths(k))));
        let events = match n % 2 {
            0 => measured.collect(),
            _ => measured.chain([said(world, id + 5, run(5), LIAR, tenths(5))]).collect(),
        };
        let acks = store.write(world.organisation, NOW, events).await.unwrap();
        assert!(acks.iter().all(|ack| matches!(ack, Ack::Stored { .. })), "{acks:?}");
    }
}

#[tokio::test]
async fn the_ledger_follows_from_the_feedback_whoever_writes_at_the_same_time() {
    on_both("the_ledger_follows_from_the_feedback_whoever_writes_at_the_same_time", |database| async move {
        let world = World::new(&database).await;
        let other = database.store().await;
        runs(&world, 40).await;
        let doubt = async {
            for n in 0..12 {
                decide(&world, LIAR, n % 2 == 0).await;
                while !other.settle_trust(world.organisation, world.agent, NOW).await.unwrap() {}
            }
        };
        let callers = [&world.store, &other, &world.store, &other, &world.store, &other];
        let callers = callers.iter().zip(1..).map(|(store, caller)| talk(&world, store, caller));
        futures_util::future::join(doubt, futures_util::future::join_all(callers)).await;
        settle(&world).await;
        let ends_now = ends(&world).await;
        let entries = world.ledger().await.len();
        assert!(ends_now.len() > 10 && entries > 100, "{entries} entries about {}", ends_now.len());

        // Folded again under a definition that says the same, it comes to the same.
        let (id, definition) = (world.agent, RewardDefinition::default());
        world.store.set_reward_definition(actor(world.organisation), id, definition).await.unwrap();
        while !world.store.refold(world.organisation, id, NOW).await.unwrap() {}
        assert_eq!(world.ledger().await.len(), entries);
        world.store.close().await;
        other.close().await;
        database
    })
    .await;
}
