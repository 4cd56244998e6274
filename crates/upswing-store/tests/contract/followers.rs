use upswing_domain::{
    Absence, Assignment, ExperimentId, FeedbackType, Position, Pseudonym, RewardDefinition, Timestamp,
};
use upswing_store::{Event, ExperimentEvent, MetricSummary, Store};
use uuid::Uuid;

use crate::support::{NOW, World, actor, execution, feedback, on_both};

#[tokio::test]
async fn rollups_fold_revisions_away_and_say_how_far_they_are() {
    on_both("rollups_fold_revisions_away_and_say_how_far_they_are", |database| async move {
        let world = World::new(&database).await;
        for n in 1..=600 {
            let mut run = world.execution(n);
            run.metrics.insert("latency_ms".to_owned(), n as f64);
            run.context = world.decision(n).context;
            world
                .write(vec![
                    Event::Decision(world.decision(n)),
                    execution(run),
                    feedback(world.feedback(n + 10_000, n, 0.0)),
                    feedback(world.feedback(n + 20_000, n, 1.0)),
                ])
                .await;
        }
        while !world.store.fold_rollups(world.organisation, world.agent, NOW).await.unwrap() {}
        let all = world.store.performance(world.organisation, world.agent, "", Timestamp(0)).await.unwrap();
        let (summaries, position) = all;
        assert!(position.0 >= 2400);
        let rewards: Vec<_> = summaries.iter().filter(|s| s.metric == "reward").collect();
        assert_eq!(rewards.len(), 2);
        for summary in rewards {
            assert_eq!((summary.count, summary.mean, summary.variance), (300, 1.0, Some(0.0)), "{summary:?}");
            assert_eq!(summary.quantiles.map(|q| (q[0] - 1.0).abs() < 0.02), Some(true), "{summary:?}");
        }
        let latency: Vec<_> = summaries.iter().filter(|s| s.metric == "latency_ms").collect();
        assert_eq!(latency.iter().map(|s| s.count).sum::<i64>(), 600);
        assert!((latency[0].mean - 300.0).abs() < 2.0, "{:?}", latency[0]);
        let median = latency[0].quantiles.unwrap()[0];
        assert!((median / 300.0 - 1.0).abs() < 0.03, "{median}");
        let (by_task, _) =
            world.store.performance(world.organisation, world.agent, "task", Timestamp(0)).await.unwrap();
        let tasks: std::collections::BTreeSet<_> = by_task.iter().map(|s| s.segment_value.as_str()).collect();
        assert_eq!(tasks.into_iter().collect::<Vec<_>>(), ["task-0", "task-1", "task-2"]);
        let edges =
            world.store.lineage(world.organisation, "rollup", &world.agent.to_string()).await.unwrap();
        assert_eq!(edges.len(), 3);
        assert_eq!(edges[0].to, Some(position));
        world.store.close().await;
        database
    })
    .await;
}

/// The same events are followed by the process that wrote them, which has them in memory, and by one that has to read them.
#[tokio::test]
async fn what_was_written_lately_is_followed_as_what_is_read() {
    on_both("what_was_written_lately_is_followed_as_what_is_read", |database| async move {
        let world = World::new(&database).await;
        let other = World::within(world.store.clone()).await;
        for world in [&world, &other] {
            for n in 1..=900 {
                write_one(world, n).await;
            }
        }
        let head = |world: &World| {
            let (store, organisation) = (world.store.clone(), world.organisation);
            async move { store.news(vec![organisation]).await.unwrap()[0].position }
        };
        let written = head(&world).await;
        assert_eq!(written, head(&other).await);
        let ledger = world.ledger().await;
        for after in [0, 1, 500, written.0] {
            let stretch = (Position(after), written);
            let got = world.store.new_ledger(world.organisation, world.agent, stretch, 10_000).await;
            let expected: Vec<_> = ledger.iter().filter(|e| e.position.0 > after).cloned().collect();
            assert_eq!(got.unwrap(), expected, "after {after}");
        }
        // Only a database can know of what this process did not write.
        let beyond = (written, Position(written.0 + 1));
        assert_eq!(world.store.new_ledger(world.organisation, world.agent, beyond, 10).await.unwrap(), []);

        let here = followed(&world.store, &world).await;
        world.store.close().await;
        let store = database.store().await;
        let there = followed(&store, &other).await;
        assert!(here.0.len() > 1_200 && here.1.len() > 10, "{} {}", here.0.len(), here.1.len());
        assert_eq!(here.0, there.0);
        assert_eq!(here.1, there.1);
        store.close().await;
        database
    })
    .await;
}

async fn write_one(world: &World, n: u128) {
    let mut decision = world.decision(n);
    if n.is_multiple_of(3) {
        decision.assignment = Some(Assignment {
            experiment: ExperimentId(Uuid::from_u128(7)),
            allocation: 1,
            arm: Some(u16::try_from(n % 2).unwrap()),
            unit: Pseudonym([u8::try_from(n % 200).unwrap(); 18]),
        });
    }
    let mut run = world.execution(n);
    run.context = decision.context.clone();
    run.metrics.insert("latency_ms".to_owned(), n as f64);
    run.error = n.is_multiple_of(5).then(|| "timeout".to_owned());
    let mut events = vec![Event::Decision(decision)];
    // Some is said before what it is about is reported, and some of what never is.
    match n % 4 {
        0 => events.extend([feedback(world.feedback(n + 10_000, n, 0.0)), execution(run)]),
        1 => events.push(feedback(world.feedback(n + 10_000, n, 0.5))),
        _ => events.extend([execution(run), feedback(world.feedback(n + 10_000, n, 1.0))]),
    }
    world.write(events).await;
    if n.is_multiple_of(7) {
        world.write(vec![feedback(world.feedback(n + 20_000, n, 0.25))]).await;
    }
}

/// The experiments' events, and the rollups, as a store's followers see them.
async fn followed(store: &Store, of: &World) -> (Vec<ExperimentEvent>, Vec<MetricSummary>) {
    let (organisation, agent) = (of.organisation, of.agent);
    let (mut events, mut from) = (Vec::new(), Position(0));
    loop {
        let piece = store.experiment_piece(organisation, agent, from, 100).await.unwrap();
        events.extend(piece.events);
        from = piece.to;
        if piece.complete {
            break;
        }
    }
    while !store.fold_rollups(organisation, agent, NOW).await.unwrap() {}
    let (summaries, _) = store.performance(organisation, agent, "task", Timestamp(0)).await.unwrap();
    (events, summaries)
}

#[tokio::test]
async fn segments_beyond_the_cap_are_other() {
    on_both("segments_beyond_the_cap_are_other", |database| async move {
        let world = World::new(&database).await;
        let events = (1..=150).map(|n: u128| {
            let mut run = world.execution(n);
            let value = upswing_domain::ContextValue::Category(format!("value-{n}"));
            run.context = Some(upswing_domain::Context::new([("task".to_owned(), value)].into()).unwrap());
            execution(run)
        });
        world.write(events.collect()).await;
        while !world.store.fold_rollups(world.organisation, world.agent, NOW).await.unwrap() {}
        let (by_task, _) =
            world.store.performance(world.organisation, world.agent, "task", Timestamp(0)).await.unwrap();
        let executions: Vec<_> = by_task.iter().filter(|s| s.metric == "executions").collect();
        assert_eq!(executions.len(), upswing_domain::MAX_SEGMENT_VALUES + 1);
        let other = executions.iter().find(|s| s.segment_value == upswing_domain::SEGMENT_OTHER).unwrap();
        assert_eq!(other.count, 50);
        world.store.close().await;
        database
    })
    .await;
}

#[tokio::test]
async fn feedback_is_counted_and_no_evidence_is_not_zero() {
    on_both("feedback_is_counted_and_no_evidence_is_not_zero", |database| async move {
        let world = World::new(&database).await;
        let empty =
            world.store.feedback_stats(world.organisation, Some(world.agent), Timestamp(0)).await.unwrap();
        assert_eq!((empty.total, empty.average_rating, empty.satisfaction_rate), (0, None, None));
        let kinds = [
            (FeedbackType::ThumbsUp, None),
            (FeedbackType::ThumbsDown, None),
            (FeedbackType::StarRating, Some(5)),
            (FeedbackType::StarRating, Some(2)),
            (FeedbackType::ReportIssue, None),
        ];
        let events = kinds.into_iter().zip(1..).map(|((kind, rating), n)| {
            let mut said = world.feedback(n, n, 0.0);
            said.metrics.clear();
            said.feedback_type = kind;
            said.rating = rating;
            feedback(said)
        });
        world.write(events.collect()).await;
        while !world.store.fold_rollups(world.organisation, world.agent, NOW).await.unwrap() {}
        let stats = world.store.feedback_stats(world.organisation, None, Timestamp(0)).await.unwrap();
        assert_eq!(stats.total, 5);
        assert_eq!((stats.average_rating, stats.satisfaction_rate), (Some(3.5), Some(0.5)));
        assert_eq!(stats.by_type.get("star_rating"), Some(&2));
        let later = Timestamp(NOW.0 + 2 * Timestamp::HOUR);
        let none = world.store.feedback_stats(world.organisation, None, later).await.unwrap();
        assert_eq!((none.total, none.average_rating), (0, None));
        world.store.close().await;
        database
    })
    .await;
}

#[tokio::test]
async fn an_absent_metric_becomes_zero_after_its_window_and_gives_way_to_a_value() {
    on_both(
        "an_absent_metric_becomes_zero_after_its_window_and_gives_way_to_a_value",
        |database| async move {
            let world = World::new(&database).await;
            let mut definition = RewardDefinition::default();
            definition.metrics.get_mut("reward").unwrap().absence = Absence::ZeroAfter(3600);
            world
                .store
                .set_reward_definition(actor(world.organisation), world.agent, definition)
                .await
                .unwrap();
            while !world.store.refold(world.organisation, world.agent, NOW).await.unwrap() {}
            world
                .write(vec![
                    execution(world.execution(1)),
                    execution(world.execution(2)),
                    feedback(world.feedback(10, 2, 0.7)),
                ])
                .await;
            let early = NOW.plus_seconds(3599);
            assert_eq!(world.store.fold_absences(world.organisation, world.agent, early).await.unwrap(), 0);
            let due = NOW.plus_seconds(3600);
            assert_eq!(world.store.fold_absences(world.organisation, world.agent, due).await.unwrap(), 1);
            assert_eq!(world.store.fold_absences(world.organisation, world.agent, due).await.unwrap(), 0);
            let get = |id| world.store.execution(world.organisation, world.execution(id).id);
            assert_eq!(get(1).await.unwrap().unwrap().reward.map(|r| r.get()), Some(0.0));
            world.write(vec![feedback(world.feedback(11, 1, 0.9))]).await;
            assert_eq!(get(1).await.unwrap().unwrap().reward.map(|r| r.get()), Some(0.9));
            assert_eq!(get(2).await.unwrap().unwrap().reward.map(|r| r.get()), Some(0.7));
            world.store.close().await;
            database
        },
    )
    .await;
}

#[tokio::test]
async fn the_listener_hears_of_each_agent_after_the_commit() {
    on_both("the_listener_hears_of_each_agent_after_the_commit", |database| async move {
        let world = World::new(&database).await;
        let (sender, mut heard) = tokio::sync::mpsc::unbounded_channel();
        world
            .store
            .on_news(Box::new(move |news| {
                for one in news {
                    let _ = sender.send(*one);
                }
            }))
            .unwrap();
        world.write(vec![execution(world.execution(1))]).await;
        let news = heard.recv().await.unwrap();
        assert_eq!((news.organisation, news.agent), (world.organisation, world.agent));
        assert_eq!(world.store.news(vec![world.organisation]).await.unwrap(), [news]);
        world.store.close().await;
        database
    })
    .await;
}
