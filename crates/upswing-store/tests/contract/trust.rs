//! What keeps one person, and copies of one text, from outvoting the rest; consent; windows and profiles.

use upswing_domain::{Feedback, FeedbackType, Payload, Pseudonym, Purpose, Standing, Target};
use upswing_store::{Ack, Defence, Event, StoredProfile, StreamWindow, TextKeys, WindowOutcome};

use crate::support::{NOW, World, actor, fingerprint, on_both};

const ONE: Pseudonym = Pseudonym([1; 18]);
const OTHER: Pseudonym = Pseudonym([2; 18]);

fn held(feedback: Feedback, text: Option<TextKeys>) -> Event {
    let fingerprints = fingerprint(&format!("{feedback:?}"));
    let defence = Some(Defence { author_cap: 2, copies: 2, text });
    Event::Feedback { feedback: Box::new(feedback), fingerprints, restore: None, token_uses: None, defence }
}

async fn standing(world: &World, id: u128) -> Standing {
    let id = upswing_domain::FeedbackId(uuid::Uuid::from_u128(id));
    world.store.feedback(world.organisation, id).await.unwrap().unwrap().feedback.standing
}

fn reward(ack: &Ack) -> Option<f64> {
    assert!(matches!(ack, Ack::Stored { .. }), "{ack:?}");
    let Ack::Stored { reward, .. } = ack else { return None };
    reward.map(upswing_domain::Reward::get)
}

#[tokio::test]
async fn more_than_its_share_is_stored_and_does_not_teach() {
    on_both("more_than_its_share_is_stored_and_does_not_teach", |database| async move {
        let world = World::new(&database).await;
        for id in 1..=4 {
            world.write(vec![Event::Decision(world.decision(id))]).await;
        }
        let by = |id: u128, author: Pseudonym| {
            held(Feedback { author: Some(author), ..world.feedback(100 + id, id, 0.5) }, None)
        };
        // Two in one batch, one in the next: the count is kept within a batch and between them.
        let acks = world.write(vec![by(1, ONE), by(2, ONE)]).await;
        assert_eq!(acks.iter().map(reward).collect::<Vec<_>>(), [Some(0.5), Some(0.5)]);
        let acks = world.write(vec![by(3, ONE), by(4, OTHER)]).await;
        assert_eq!(acks.iter().map(reward).collect::<Vec<_>>(), [None, Some(0.5)], "the third is capped");
        assert_eq!(standing(&world, 103).await, Standing::Capped);
        assert_eq!(standing(&world, 104).await, Standing::Counted);
        assert_eq!(world.ledger().await.len(), 3);
        // Sent again it is the same statement, not another one.
        assert!(matches!(world.write(vec![by(4, OTHER)]).await[..], [Ack::Duplicate { .. }]));
        world.store.close().await;
        database
    })
    .await;
}

#[tokio::test]
async fn copies_of_a_text_count_only_so_often() {
    on_both("copies_of_a_text_count_only_so_often", |database| async move {
        let world = World::new(&database).await;
        let said = |id: u128, rows: [u16; 4], bands: &[i64]| {
            let text = TextKeys { rows: rows.to_vec(), agreeing: 2, bands: bands.to_vec() };
            held(
                Feedback { author: Some(Pseudonym([id as u8; 18])), ..world.feedback(id, id, 0.5) },
                Some(text),
            )
        };
        // Like the first in two rows of four, found under one band or another.
        let near = [
            said(1, [1, 2, 3, 4], &[10, 20]),
            said(2, [1, 2, 3, 9], &[10, 21]),
            said(3, [7, 8, 3, 4], &[11, 20]),
        ];
        for event in near {
            world.write(vec![event]).await;
        }
        world.write(vec![said(4, [1, 6, 7, 8], &[10, 22])]).await;
        let mut seen = Vec::new();
        for id in 1..=4 {
            seen.push(standing(&world, id).await);
        }
        use Standing::{Counted, NearDuplicate};
        assert_eq!(seen, [Counted, Counted, NearDuplicate, Counted]);
        world.store.close().await;
        database
    })
    .await;
}

#[tokio::test]
async fn who_has_refused_is_not_learned_from() {
    on_both("who_has_refused_is_not_learned_from", |database| async move {
        let world = World::new(&database).await;
        let decide = |granted, policy: &str| {
            let actor = actor(world.organisation);
            world.store.decide_consent(actor, ONE, Purpose::Learning, granted, policy.to_owned())
        };
        let from =
            |id: u128, author| held(Feedback { author: Some(author), ..world.feedback(id, 1, 0.5) }, None);
        assert!(
            matches!(world.write(vec![from(1, ONE)]).await[..], [Ack::Stored { .. }]),
            "nobody has refused"
        );
        assert_eq!(decide(false, "v1").await.unwrap().version, 1);
        assert_eq!(decide(false, "v1").await.unwrap().version, 1, "said twice is said once");
        let acks = world.write(vec![from(2, ONE), from(3, OTHER)]).await;
        assert!(matches!(acks[..], [Ack::NoConsent(Purpose::Learning), Ack::Stored { .. }]), "{acks:?}");
        let run = upswing_domain::Execution { subject: Some(ONE), ..world.execution(9) };
        let acks = world.write(vec![crate::support::execution(run)]).await;
        assert!(matches!(acks[..], [Ack::NoConsent(_)]), "{acks:?}");
        assert_eq!(decide(true, "v2").await.unwrap().version, 2);
        assert!(matches!(world.write(vec![from(4, ONE)]).await[..], [Ack::Stored { .. }]));
        let all = world.store.consents(world.organisation, ONE).await.unwrap();
        assert_eq!(all.iter().map(|c| (c.version, c.granted)).collect::<Vec<_>>(), [(1, false), (2, true)]);
        world.store.close().await;
        database
    })
    .await;
}

#[tokio::test]
async fn what_is_about_a_session_or_a_person_waits_for_no_execution() {
    on_both("what_is_about_a_session_or_a_person_waits_for_no_execution", |database| async move {
        let world = World::new(&database).await;
        let details = Some(Payload { kind: "item_rating".to_owned(), body: r#"{"overall":4}"#.to_owned() });
        for (id, target) in [(1, Target::Session("s".to_owned())), (2, Target::Unit(ONE))] {
            let given = Feedback { target, details: details.clone(), ..world.feedback(id, 0, 0.5) };
            let acks = world.write(vec![crate::support::feedback(given.clone())]).await;
            assert!(matches!(acks[..], [Ack::Stored { reward: None, .. }]), "{acks:?}");
            let stored = world.store.feedback(world.organisation, given.id).await.unwrap().unwrap();
            assert_eq!(stored.feedback, given);
        }
        assert!(world.ledger().await.is_empty());
        world.store.close().await;
        database
    })
    .await;
}

#[tokio::test]
async fn a_window_is_saved_with_what_follows_from_it_or_not_at_all() {
    on_both("a_window_is_saved_with_what_follows_from_it_or_not_at_all", |database| async move {
        let world = World::new(&database).await;
        let (organisation, agent) = (world.organisation, world.agent);
        let body = r#"{"type":"copy"}"#.to_owned();
        for id in 1..=3 {
            let given = Feedback {
                author: Some(ONE),
                feedback_type: FeedbackType::Implicit,
                details: Some(Payload { kind: "copy".to_owned(), body: body.clone() }),
                ..world.feedback(id, id, 0.5)
            };
            world.write(vec![crate::support::feedback(given)]).await;
        }
        world.write(vec![crate::support::feedback(world.feedback(9, 9, 0.5))]).await;
        let all = (upswing_domain::Position(0), upswing_domain::Position(i64::MAX));
        let signals = world.store.window_signals(organisation, agent, all, 100).await.unwrap();
        assert_eq!(signals.len(), 3, "what was said is not in it");
        assert!(signals.iter().all(|s| s.behaviour.as_deref() == Some(&body) && s.author == Some(ONE)));
        let fence = world.store.lease("windows", "me", NOW, 60).await.unwrap().unwrap();
        let to = signals[2].position;
        let outcome = WindowOutcome {
            window: StreamWindow {
                ordinal: 1,
                from: upswing_domain::Position(0),
                to,
                signals: 3,
                status: "processed".to_owned(),
                stages: "[]".to_owned(),
                attempts: 1,
                next_attempt_at: None,
                error: None,
                updated_at: NOW,
            },
            profiles: vec![StoredProfile {
                agent,
                subject: ONE,
                position: to,
                body: "{}".to_owned(),
                updated_at: NOW,
            }],
            queued: vec![(signals[0].position, signals[0].id, 0.4)],
        };
        let save = |fence| {
            let lease = ("windows".to_owned(), "me".to_owned(), fence);
            world.store.save_window(organisation, agent, lease, NOW, outcome.clone())
        };
        assert!(save(fence + 1).await.is_err(), "without the lease");
        assert_eq!(world.store.window_head(organisation, agent).await.unwrap().1, 0);
        save(fence).await.unwrap();
        save(fence).await.unwrap();
        assert_eq!(world.store.window_head(organisation, agent).await.unwrap(), (to, 1));
        assert_eq!(world.store.windows(organisation, agent, None, 10).await.unwrap(), [outcome.window]);
        assert_eq!(world.store.training_signals(organisation, agent).await.unwrap(), 1);
        assert_eq!(
            world.store.profile(organisation, agent, ONE).await.unwrap(),
            Some(outcome.profiles[0].clone())
        );
        assert_eq!(world.store.profiles_since(organisation, to, 10).await.unwrap().len(), 1);
        assert_eq!(world.store.latest_profiles(organisation, 10).await.unwrap().len(), 1);
        assert!(
            !world.store.retry_window(actor(organisation), agent, 1).await.unwrap(),
            "it was not set aside"
        );
        world.store.close().await;
        database
    })
    .await;
}
