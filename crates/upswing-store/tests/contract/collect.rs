use std::collections::BTreeMap;

use upswing_domain::{FeedbackSource, FeedbackType, InputHash, Position, Reward};
use upswing_store::{Ack, Event};

use crate::support::{NOW, World, execution, feedback, on_both, tamper};

fn reward(value: f64) -> Option<Reward> {
    Some(Reward::new(value).unwrap())
}

#[tokio::test]
async fn what_was_acknowledged_comes_back_whole() {
    on_both("what_was_acknowledged_comes_back_whole", |database| async move {
        let world = World::new(&database).await;
        let decision = world.decision(1);
        let mut run = world.execution(1);
        run.decision = Some(decision.id);
        run.session = Some("s".to_owned());
        let mut said = world.feedback(10, 1, 0.5);
        said.feedback_type = FeedbackType::Correction;
        said.rating = Some(2);
        said.dimensions.accuracy = Some(3);
        said.issue_categories = vec!["incorrect".to_owned()];
        said.text = Some("Zu kurz: „ä“".to_owned());
        said.correction = Some("longer".to_owned());
        let acks = world
            .write(vec![Event::Decision(decision.clone()), execution(run.clone()), feedback(said.clone())])
            .await;
        assert!(matches!(acks[1], Ack::Stored { .. }), "{acks:?}");
        let stored = world.store.decision(world.organisation, decision.id).await.unwrap().unwrap();
        assert_eq!(stored.decision, decision);
        let stored = world.store.execution(world.organisation, run.id).await.unwrap().unwrap();
        // Rating 2 is 0.25, the correction 0, the metric 0.5: their mean.
        assert_eq!(stored.reward, reward(0.25));
        run.version = Some(decision.version);
        assert_eq!(stored.execution, run);
        let stored = world.store.feedback(world.organisation, said.id).await.unwrap().unwrap();
        assert_eq!(stored.feedback, said);
        world.store.close().await;
        database
    })
    .await;
}

#[tokio::test]
async fn the_same_again_changes_nothing_and_other_content_is_a_conflict() {
    on_both("the_same_again_changes_nothing_and_other_content_is_a_conflict", |database| async move {
        let world = World::new(&database).await;
        let events = || vec![execution(world.execution(1)), feedback(world.feedback(10, 1, 1.0))];
        let first = world.write(events()).await;
        let ledger = world.ledger().await;
        let second = world.write(events()).await;
        for (first, second) in first.iter().zip(&second) {
            let (Ack::Stored { position: a, .. }, Ack::Duplicate { position: b, .. }) = (first, second)
            else {
                panic!("{first:?} then {second:?}")
            };
            assert_eq!(a, b);
        }
        let mut other = world.execution(1);
        other.output = Some("another".to_owned());
        let acks = world.write(vec![execution(other), feedback(world.feedback(10, 1, 0.0))]).await;
        assert_eq!(acks, [Ack::Conflict, Ack::Conflict]);
        assert_eq!(world.ledger().await, ledger);
        // Twice in one batch is once.
        let acks = world.write(vec![execution(world.execution(2)), execution(world.execution(2))]).await;
        assert!(matches!(acks[..], [Ack::Stored { .. }, Ack::Duplicate { .. }]), "{acks:?}");
        world.store.close().await;
        database
    })
    .await;
}

#[tokio::test]
async fn rewards_come_late_are_revised_and_stand_in_the_ledger() {
    on_both("rewards_come_late_are_revised_and_stand_in_the_ledger", |database| async move {
        let world = World::new(&database).await;
        let said = |id, source, value| {
            let mut f = world.feedback(id, 1, value);
            f.source = source;
            feedback(f)
        };
        world.write(vec![Event::Decision(world.decision(1))]).await;
        let program = world.write(vec![said(10, FeedbackSource::Program, 0.0)]).await;
        assert!(matches!(program[0], Ack::Stored { reward: Some(Reward::ZERO), .. }), "{program:?}");
        world.write(vec![said(11, FeedbackSource::User, 1.0)]).await;
        world.write(vec![said(12, FeedbackSource::Program, 1.0)]).await;
        let ledger = world.ledger().await;
        let changes: Vec<_> = ledger.iter().map(|l| (l.old, l.new)).collect();
        assert_eq!(changes, [(None, reward(0.0)), (reward(0.0), reward(0.5)), (reward(0.5), reward(1.0))]);
        assert!(ledger.iter().all(|l| l.first_position == ledger[0].position));
        assert_eq!(ledger[0].context.as_deref(), world.decision(1).context.as_ref());
        assert!((ledger[0].propensity - 0.25).abs() < 1e-12);
        let effects =
            world.store.feedback_effects(world.organisation, world.feedback(11, 1, 1.0).id).await.unwrap();
        assert_eq!(effects, ledger[1..2]);
        world.store.close().await;
        database
    })
    .await;
}

/// Brings entries to where they stood before they stood with the feedback that caused them.
const IN_ROWS_OF_THEIR_OWN: &str = "INSERT INTO reward_ledger (organisation, agent, position, first_position, execution, \
    decision, version, definition_version, old_reward, new_reward, cause, context_source, propensity, origin, occurred_at, \
    recorded_at) SELECT organisation, agent, position, first_position, execution, decision, version, \
    definition_version, old_reward, new_reward, id, context_source, propensity, origin, executed_at, received_at \
    FROM feedback WHERE first_position IS NOT NULL; \
    UPDATE feedback SET first_position = NULL, decision = NULL, version = NULL, definition_version = NULL, \
    old_reward = NULL, new_reward = NULL, context_source = NULL, propensity = NULL, origin = NULL, executed_at = NULL";

#[tokio::test]
async fn entries_from_before_and_after_are_one_ledger() {
    on_both("entries_from_before_and_after_are_one_ledger", |database| async move {
        let world = World::new(&database).await;
        let (organisation, agent) = (world.organisation, world.agent);
        let said = [world.feedback(10, 1, 0.0), world.feedback(11, 2, 0.5), world.feedback(12, 1, 1.0)];
        let [first, second, third] = said.clone().map(feedback);
        world.write(vec![Event::Decision(world.decision(1)), Event::Decision(world.decision(2))]).await;
        world.write(vec![first, second]).await;
        let before = world.ledger().await;
        assert_eq!(before.len(), 2);
        world.store.close().await;
        tamper(&database, IN_ROWS_OF_THEIR_OWN).await;

        let store = database.store().await;
        let ledger = store.ledger(organisation, agent, Position(0), 100).await.unwrap();
        assert_eq!(ledger, before);
        let acks = store.write(organisation, NOW, vec![third]).await.unwrap();
        assert!(matches!(acks[0], Ack::Stored { reward: now, .. } if now == reward(1.0)), "{acks:?}");
        let ledger = store.ledger(organisation, agent, Position(0), 100).await.unwrap();
        assert_eq!(ledger[..2], before);
        let revised = &ledger[2..];
        assert_eq!((revised[0].old, revised[0].new), (reward(0.0), reward(1.0)));
        assert_eq!(revised[0].first_position, before[0].position);
        // A page ends where it is to end, wherever its entries stand.
        assert_eq!(store.ledger(organisation, agent, Position(0), 1).await.unwrap(), before[..1]);
        assert_eq!(store.ledger(organisation, agent, before[1].position, 1).await.unwrap(), revised);
        for (said, entries) in said.iter().zip([&before[..1], &before[1..], revised]) {
            assert_eq!(store.feedback_effects(organisation, said.id).await.unwrap(), entries);
        }
        store.close().await;
        database
    })
    .await;
}

#[tokio::test]
async fn feedback_before_its_execution_or_decision_is_joined_on_arrival() {
    on_both("feedback_before_its_execution_or_decision_is_joined_on_arrival", |database| async move {
        let world = World::new(&database).await;
        // The decision comes last, and the execution has an id of its own.
        let mut run = world.execution(100);
        run.decision = Some(world.decision(1).id);
        for events in [
            vec![feedback(world.feedback(10, 100, 1.0))],
            vec![execution(run)],
            vec![feedback(world.feedback(11, 100, 0.0))],
        ] {
            world.write(events).await;
            assert_eq!(world.ledger().await, []);
        }
        world.write(vec![Event::Decision(world.decision(1))]).await;
        let ledger = world.ledger().await;
        assert_eq!(ledger.len(), 1);
        assert_eq!((ledger[0].old, ledger[0].new), (None, reward(0.0)));
        assert_eq!(ledger[0].version, world.decision(1).version);
        // Straight to a decision, before it.
        world.write(vec![feedback(world.feedback(12, 2, 1.0))]).await;
        assert_eq!(world.ledger().await.len(), 1);
        world.write(vec![Event::Decision(world.decision(2))]).await;
        assert_eq!(world.ledger().await.len(), 2);
        world.store.close().await;
        database
    })
    .await;
}

#[tokio::test]
async fn a_token_restores_a_lost_decision_once() {
    on_both("a_token_restores_a_lost_decision_once", |database| async move {
        let world = World::new(&database).await;
        let mut lost = world.decision(1);
        lost.context = None;
        lost.probabilities = Vec::new();
        let with_token = |id| {
            let Event::Feedback { feedback, fingerprints, .. } = feedback(world.feedback(id, 1, 1.0)) else {
                unreachable!()
            };
            Event::Feedback {
                feedback,
                fingerprints,
                restore: Some(Box::new(lost.clone())),
                token_uses: Some(2),
                defence: None,
            }
        };
        let acks = world.write(vec![with_token(10), with_token(11), with_token(12)]).await;
        assert!(
            matches!(acks[..], [Ack::Stored { .. }, Ack::Stored { .. }, Ack::TokenExhausted]),
            "{acks:?}"
        );
        let stored = world.store.decision(world.organisation, lost.id).await.unwrap().unwrap();
        assert_eq!(stored.decision, lost);
        assert_eq!(world.ledger().await.len(), 1);
        // The record that comes after all changes nothing of what was learned.
        world.write(vec![Event::Decision(world.decision(1))]).await;
        assert_eq!(world.ledger().await.len(), 1);
        world.store.close().await;
        database
    })
    .await;
}

#[tokio::test]
async fn feedback_without_a_signal_changes_no_reward() {
    on_both("feedback_without_a_signal_changes_no_reward", |database| async move {
        let world = World::new(&database).await;
        let mut comment = world.feedback(10, 1, 0.0);
        comment.feedback_type = FeedbackType::DetailedFeedback;
        comment.metrics.clear();
        comment.text = Some("hm".to_owned());
        let acks = world.write(vec![Event::Decision(world.decision(1)), feedback(comment)]).await;
        assert!(matches!(acks[1], Ack::Stored { reward: None, .. }), "{acks:?}");
        assert_eq!(world.ledger().await, []);
        world.store.close().await;
        database
    })
    .await;
}

#[tokio::test]
async fn another_agents_execution_is_not_answered_for() {
    on_both("another_agents_execution_is_not_answered_for", |database| async move {
        let world = World::new(&database).await;
        let mut other = world.feedback(10, 1, 1.0);
        other.agent = upswing_domain::AgentId(uuid::Uuid::from_u128(99));
        let acks = world.write(vec![execution(world.execution(1)), feedback(other)]).await;
        assert!(matches!(acks[..], [Ack::Stored { .. }, Ack::OtherAgent(_)]), "{acks:?}");
        world.store.close().await;
        database
    })
    .await;
}

#[tokio::test]
async fn positions_are_dense_in_the_order_of_commits() {
    on_both("positions_are_dense_in_the_order_of_commits", |database| async move {
        let world = World::new(&database).await;
        let writes = (1..=200).map(|n| world.write(vec![execution(world.execution(n))]));
        let acks = futures_util::future::join_all(writes).await;
        let mut positions: Vec<_> = acks
            .iter()
            .map(|acks| match acks[..] {
                [Ack::Stored { position, .. }] => position,
                _ => panic!("{acks:?}"),
            })
            .collect();
        positions.sort_unstable();
        assert!(positions.windows(2).all(|w| w[1] == Position(w[0].0 + 1)), "{positions:?}");
        // Many requests, few commits.
        assert!(world.store.queue().commits < 150, "{:?}", world.store.queue());
        world.store.close().await;
        database
    })
    .await;
}

#[tokio::test]
async fn a_full_queue_refuses_and_says_how_much_it_holds() {
    on_both("a_full_queue_refuses_and_says_how_much_it_holds", |database| async move {
        let mut options = crate::support::options(&database.url);
        options.queue_capacity = 8;
        let world = World::within(upswing_store::Store::open(options).await.unwrap()).await;
        let writes = (1..=64).map(|n| {
            world.store.write(world.organisation, crate::support::NOW, vec![execution(world.execution(n))])
        });
        let outcomes = futures_util::future::join_all(writes).await;
        let refused = outcomes
            .iter()
            .filter(|o| matches!(o, Err(upswing_store::StoreError::QueueFull { capacity: 8 })))
            .count();
        let stored = outcomes.iter().filter(|o| matches!(o.as_deref(), Ok([Ack::Stored { .. }]))).count();
        assert!(refused > 0 && stored >= 8 && refused + stored == 64, "{refused} refused, {stored} stored");
        let there = world.store.export_executions(world.organisation, None, None, 100).await.unwrap();
        assert_eq!(there.len(), stored);
        world.store.close().await;
        database
    })
    .await;
}

#[tokio::test]
async fn pages_walk_everything_once() {
    on_both("pages_walk_everything_once", |database| async move {
        let world = World::new(&database).await;
        let events = (1..=25).flat_map(|n| {
            [
                Event::Decision(world.decision(n)),
                execution(world.execution(n)),
                feedback(world.feedback(n + 100, n, 1.0)),
            ]
        });
        world.write(events.collect()).await;
        let (mut after, mut seen) = (None, Vec::new());
        loop {
            let page =
                world.store.export_feedback(world.organisation, Some(world.agent), after, 10).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.feedback.id);
            seen.extend(page.into_iter().map(|f| f.feedback.id));
        }
        assert_eq!(seen.len(), 25);
        assert!(seen.is_sorted());
        assert_eq!(
            world.store.export_decisions(world.organisation, None, None, 100).await.unwrap().len(),
            25
        );
        let nobody = Some(upswing_domain::AgentId(uuid::Uuid::from_u128(5)));
        assert!(
            world.store.export_executions(world.organisation, nobody, None, 100).await.unwrap().is_empty()
        );
        world.store.close().await;
        database
    })
    .await;
}

#[tokio::test]
async fn input_hashes_stay_as_they_are_first_known_and_are_their_organisations() {
    let name = "input_hashes_stay_as_they_are_first_known_and_are_their_organisations";
    on_both(name, |database| async move {
        let world = World::new(&database).await;
        let other = World::within(world.store.clone()).await;
        let run = world.execution(1).id;
        let of = |name: &str, byte: u8| BTreeMap::from([(name.to_owned(), InputHash([byte; 32]))]);
        let keep = |world: &World, hashes| {
            let (store, organisation) = (world.store.clone(), world.organisation);
            async move { store.keep_input_hashes(organisation, run, hashes).await.unwrap() }
        };
        keep(&world, of("input_resume", 1)).await;
        keep(&world, of("input_resume", 2)).await;
        keep(&world, of("job_description", 3)).await;
        let known = world.store.input_hashes(world.organisation, run).await.unwrap();
        let mut expected = of("input_resume", 1);
        expected.extend(of("job_description", 3));
        assert_eq!(known, expected);
        // The same id elsewhere is another execution.
        assert_eq!(other.store.input_hashes(other.organisation, run).await.unwrap(), BTreeMap::new());
        keep(&other, of("input_resume", 4)).await;
        assert_eq!(world.store.input_hashes(world.organisation, run).await.unwrap(), expected);
        world.store.close().await;
        database
    })
    .await;
}
