//! Spans until their trace is assembled, other names of executions, and feedback that waits for what it names.

use std::collections::BTreeMap;

use upswing_domain::{ExecutionId, FeedbackId, Timestamp};
use upswing_store::{
    Alias, Arrival, Arrived, Assembled, DueTrace, NewSpan, NewWaiting, StoreError, StoredTrace, Telemetry,
};
use uuid::Uuid;

use crate::support::{NOW, World, execution, on_both};

fn later(seconds: i64) -> Timestamp {
    NOW.plus_seconds(seconds)
}

fn span(span: &str, ended_at: i64, body: &str) -> NewSpan {
    NewSpan { trace: "t".to_owned(), span: span.to_owned(), agent: None, ended_at, body: body.to_owned() }
}

fn waiting(id: u128, wants: &str, content: u8) -> NewWaiting {
    let id = FeedbackId(Uuid::from_u128(id));
    NewWaiting { id, fingerprints: vec![[content; 18]], wants: wants.to_owned(), body: "{}".to_owned() }
}

async fn receive(world: &World, now: Timestamp, spans: Vec<NewSpan>, complete: bool) {
    let traces = vec![Arrival { trace: "t".to_owned(), complete, settle_seconds: 1 }];
    let telemetry = Telemetry { spans, traces, settle_seconds: 1, idle_seconds: 10, ..Telemetry::default() };
    world.store.receive_telemetry(world.organisation, now, telemetry).await.unwrap();
}

async fn due(world: &World, now: Timestamp) -> Vec<DueTrace> {
    world.store.due_traces(world.organisation, now, 10).await.unwrap()
}

async fn stored(world: &World) -> StoredTrace {
    world.store.trace(world.organisation, "t").await.unwrap()
}

#[tokio::test]
async fn a_span_sent_again_changes_nothing_and_of_two_the_later_end_holds() {
    on_both("a_span_sent_again_changes_nothing_and_of_two_the_later_end_holds", |database| async move {
        let world = World::new(&database).await;
        let lease = world.store.lease("telemetry", "here", NOW, 60).await.unwrap().unwrap();
        let lease = ("telemetry".to_owned(), "here".to_owned(), lease);
        receive(&world, NOW, vec![span("a", 5, "first"), span("a", 4, "older")], false).await;
        assert_eq!(stored(&world).await.spans, [(None, "first".to_owned())]);
        assert!(due(&world, later(9)).await.is_empty(), "it waits until it is idle");
        receive(&world, later(8), vec![span("b", 9, "root")], true).await;
        assert!(due(&world, later(8)).await.is_empty());
        let found = due(&world, later(9)).await;
        assert_eq!(found, [DueTrace { trace: "t".to_owned(), arrivals: 2 }], "its root has come");

        // What comes while it is assembled is not forgotten.
        receive(&world, later(9), vec![span("a", 6, "newer")], false).await;
        let done = |trace: &DueTrace| Assembled {
            trace: trace.clone(),
            aliases: Vec::new(),
            superseded: BTreeMap::new(),
            error: None,
        };
        let save = async |trace: &DueTrace| {
            let (organisation, assembled) = (world.organisation, vec![done(trace)]);
            world.store.save_assembled(organisation, lease.clone(), later(9), assembled).await.unwrap();
        };
        save(&found[0]).await;
        let found = due(&world, later(10)).await;
        assert_eq!(found[0].arrivals, 3);
        save(&found[0]).await;
        assert!(due(&world, later(1000)).await.is_empty() && !stored(&world).await.pending);
        // Sent again, the trace stays as it is.
        receive(&world, later(20), vec![span("a", 6, "newer"), span("b", 9, "root")], true).await;
        assert!(due(&world, later(1000)).await.is_empty());
        assert_eq!(stored(&world).await.spans.len(), 2);
        // Whoever lost the lease writes nothing.
        let lost = ("telemetry".to_owned(), "there".to_owned(), lease.2);
        let refused = world.store.save_assembled(world.organisation, lost, NOW, vec![done(&found[0])]).await;
        assert!(matches!(refused, Err(StoreError::LeaseLost)), "{refused:?}");

        assert_eq!(world.store.purge_traces(world.organisation, later(9), 10).await.unwrap(), 0);
        assert_eq!(world.store.purge_traces(world.organisation, later(10), 10).await.unwrap(), 1);
        assert_eq!(stored(&world).await, StoredTrace::default());
        world.store.close().await;
        database
    })
    .await;
}

#[tokio::test]
async fn feedback_waits_for_a_name_and_finds_what_stands_in_its_place() {
    on_both("feedback_waits_for_a_name_and_finds_what_stands_in_its_place", |database| async move {
        let world = World::new(&database).await;
        let lease = world.store.lease("telemetry", "here", NOW, 60).await.unwrap().unwrap();
        let wait = async |new: NewWaiting| {
            world.store.wait_feedback(world.organisation, NOW, vec![new]).await.unwrap()[0]
        };
        assert_eq!(wait(waiting(1, "response:r", 1)).await, Arrived::New);
        assert_eq!(wait(waiting(1, "response:r", 1)).await, Arrived::Known);
        assert_eq!(wait(waiting(1, "response:r", 2)).await, Arrived::Conflict);
        let looked = world.store.due_feedback(world.organisation, NOW, 10).await.unwrap();
        assert_eq!(looked.len(), 1);
        let id = looked[0].id;
        world.store.save_waiting(world.organisation, id, Some(later(3600)), None).await.unwrap();
        assert!(world.store.due_feedback(world.organisation, later(60), 10).await.unwrap().is_empty());

        // Two executions of a trace, of which one turns out to be part of the other.
        for number in [1, 2] {
            let mut run = world.execution(number);
            run.trace = Some("t".to_owned());
            world.write(vec![execution(run)]).await;
        }
        let named = async |name: &str| {
            let found = world.store.executions_named(world.organisation, name).await.unwrap();
            found.into_iter().map(|(id, _)| id).collect::<Vec<_>>()
        };
        let (part, whole) = (world.execution(1).id, world.execution(2).id);
        assert_eq!(named("trace:t").await, [part, whole]);
        let alias =
            |execution: ExecutionId| Alias { alias: "response:r".to_owned(), execution, agent: world.agent };
        let assembled = Assembled {
            trace: DueTrace { trace: "t".to_owned(), arrivals: 1 },
            aliases: vec![alias(part), alias(whole)],
            superseded: BTreeMap::from([(part, whole)]),
            error: None,
        };
        let lease = ("telemetry".to_owned(), "here".to_owned(), lease);
        world.store.save_assembled(world.organisation, lease, later(60), vec![assembled]).await.unwrap();
        assert_eq!((named("trace:t").await, named("response:r").await), (vec![whole], vec![whole]));
        assert_eq!(world.store.superseded_by(world.organisation, part).await.unwrap(), Some(whole));
        assert_eq!(world.store.superseded_by(world.organisation, whole).await.unwrap(), None);

        // It is looked at again at once; settled, it is known but has no text any more.
        let looked = world.store.due_feedback(world.organisation, later(60), 10).await.unwrap();
        assert_eq!((looked.len(), looked[0].attempts), (1, 1));
        world.store.save_waiting(world.organisation, id, None, None).await.unwrap();
        assert!(world.store.due_feedback(world.organisation, later(9999), 10).await.unwrap().is_empty());
        assert_eq!(wait(waiting(1, "response:r", 1)).await, Arrived::Known);
        world.store.close().await;
        database
    })
    .await;
}
