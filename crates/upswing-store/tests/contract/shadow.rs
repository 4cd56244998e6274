//! Shadows of rollouts: each pair is read once, when it is complete, whichever of both came first.

use std::collections::BTreeMap;

use upswing_domain::{
    Decision, DecisionId, ExecutionId, Purpose, Rollout, RolloutId, RolloutPlan, RolloutState,
    ShadowExecution, ShadowStage,
};
use upswing_store::{Ack, Event, ShadowProgress, StoreError};
use uuid::Uuid;

use crate::support::{NOW, World, actor, execution, fingerprint, on_both};

impl World {
    /// A rollout of the second version that begins in a shadow.
    async fn shadowed(&self) -> Rollout {
        let actor = || actor(self.organisation);
        self.store.promote(actor(), self.agent, self.versions[0], String::new()).await.unwrap();
        let plan = RolloutPlan { shadow: Some(ShadowStage::default()), ..RolloutPlan::default() };
        let rollout = Rollout {
            id: RolloutId(Uuid::now_v7()),
            agent: self.agent,
            version: self.versions[1],
            previous: self.versions[0],
            state: RolloutState::Running,
            shadow: true,
            step: 0,
            step_since: NOW,
            plan,
            reason: String::new(),
            created_at: NOW,
            deadline: NOW.plus_seconds(1_000),
            revision: 0,
        };
        let rollout = self.store.start_rollout(actor(), rollout, serde_json::Value::Null).await.unwrap();
        assert!(rollout.shadow);
        rollout
    }

    /// A decision for the version that serves.
    fn served(&self, id: u128) -> Event {
        Event::Decision(Decision { version: self.versions[0], ..self.decision(id) })
    }

    fn beside(&self, rollout: &Rollout, decision: u128, output: &str) -> ShadowExecution {
        ShadowExecution {
            rollout: rollout.id,
            decision: DecisionId(Uuid::from_u128(decision)),
            agent: self.agent,
            version: rollout.version,
            subject: None,
            metrics: BTreeMap::from([("latency_ms".to_owned(), 90.0)]),
            error: Some("timeout".to_owned()),
            output: Some(output.to_owned()),
            occurred_at: NOW,
        }
    }
}

fn shadow(shadow: ShadowExecution) -> Event {
    let fingerprints = fingerprint(&format!("{shadow:?}"));
    Event::Shadow { shadow: Box::new(shadow), fingerprints }
}

/// Reads on and saves, as the server does; the decisions of the pairs.
async fn fold(world: &World, rollout: &Rollout) -> Vec<(u128, Option<bool>)> {
    let mut found = Vec::new();
    loop {
        let before = world.store.shadow_progress(world.organisation, rollout.id).await.unwrap().unwrap();
        let piece = world.store.shadow_piece(world.organisation, rollout, before.position).await.unwrap();
        found.extend(piece.pairs.iter().map(|pair| (pair.decision.0.as_u128(), pair.same)));
        let complete = piece.complete;
        world.store.save_shadow(world.organisation, rollout.id, NOW, before, (piece, vec![1])).await.unwrap();
        if complete {
            return found;
        }
    }
}

#[tokio::test]
async fn each_pair_is_read_once_when_it_is_complete() {
    on_both("each_pair_is_read_once_when_it_is_complete", async |database| {
        let world = World::new(&database).await;
        let rollout = world.shadowed().await;
        let decided = |id: u128| world.served(id);
        let ran = |id: u128| execution(world.execution(id));
        world.write((1..=6).map(decided).collect()).await;

        // 1: the shadow first. 2: the execution first, in the same batch. 3: nothing but the shadow. 4: nothing but the execution.
        world.write(vec![shadow(world.beside(&rollout, 1, "answer"))]).await;
        assert_eq!(fold(&world, &rollout).await, []);
        let batch = vec![
            ran(2),
            shadow(world.beside(&rollout, 2, "another")),
            shadow(world.beside(&rollout, 3, "answer")),
            ran(4),
            ran(1),
        ];
        world.write(batch).await;
        assert_eq!(fold(&world, &rollout).await, [(2, Some(false)), (1, Some(true))]);
        assert_eq!(fold(&world, &rollout).await, []);

        // An execution may have another id than its decision; of several the first counts, and only once.
        let mut other = world.execution(50);
        other.decision = Some(DecisionId(Uuid::from_u128(5)));
        other.output = None;
        let mut second = world.execution(51);
        second.decision = other.decision;
        world
            .write(vec![shadow(world.beside(&rollout, 5, "answer")), execution(other), execution(second)])
            .await;
        assert_eq!(fold(&world, &rollout).await, [(5, None)], "nobody said what came out");
        world.write(vec![ran(5), shadow(world.beside(&rollout, 4, "answer"))]).await;
        assert_eq!(fold(&world, &rollout).await, [(4, Some(true))]);

        // What claims to be the decision's, but ran the new version, is not what was served.
        let mut claimed = world.execution(60);
        claimed.decision = Some(DecisionId(Uuid::from_u128(6)));
        claimed.version = Some(rollout.version);
        world.write(vec![execution(claimed), shadow(world.beside(&rollout, 6, "answer"))]).await;
        assert_eq!(fold(&world, &rollout).await, []);

        let kept = world.store.shadow_pairs(world.organisation, rollout.id, None, 10).await.unwrap();
        let pairs: Vec<_> =
            kept.iter().map(|pair| (pair.decision.0.as_u128(), pair.execution.0.as_u128())).collect();
        assert_eq!(pairs, [(4, 4), (5, 50), (2, 2), (1, 1)], "the newest report first");
        assert_eq!(
            kept[3].shadow,
            (Some("timeout".to_owned()), BTreeMap::from([("latency_ms".to_owned(), 90.0)]))
        );
        let after = world
            .store
            .shadow_pairs(world.organisation, rollout.id, Some(kept[1].position), 1)
            .await
            .unwrap();
        assert_eq!(after, [kept[2].clone()]);

        // Nothing of it is an execution, or a reward.
        let id = rollout.id.shadow_of(DecisionId(Uuid::from_u128(1)));
        assert_eq!(world.store.execution(world.organisation, id).await.unwrap(), None);
        assert!(world.ledger().await.is_empty());
        world.store.close().await;
        database
    })
    .await;
}

#[tokio::test]
async fn a_shadow_is_stored_once_and_of_two_who_fold_one_saves() {
    on_both("a_shadow_is_stored_once_and_of_two_who_fold_one_saves", async |database| {
        let world = World::new(&database).await;
        let rollout = world.shadowed().await;
        let said = world.beside(&rollout, 1, "answer");
        let first = world.write(vec![shadow(said.clone()), shadow(said.clone())]).await;
        let Ack::Stored { position, reward: None } = first[0] else { panic!("{first:?}") };
        assert_eq!(first[1], Ack::Duplicate { position, reward: None });
        let again = vec![shadow(said), shadow(world.beside(&rollout, 1, "something else"))];
        assert_eq!(world.write(again).await, [Ack::Duplicate { position, reward: None }, Ack::Conflict]);

        // Who has refused to be learned from is not learned from beside either.
        let subject = upswing_domain::Pseudonym([7; 18]);
        let asking = actor(world.organisation);
        world.store.decide_consent(asking, subject, Purpose::Learning, false, String::new()).await.unwrap();
        let mut of_somebody = world.beside(&rollout, 2, "answer");
        of_somebody.subject = Some(subject);
        assert_eq!(world.write(vec![shadow(of_somebody)]).await, [Ack::NoConsent(Purpose::Learning)]);

        world.write(vec![world.served(1), execution(world.execution(1))]).await;
        let before = world.store.shadow_progress(world.organisation, rollout.id).await.unwrap().unwrap();
        assert_eq!((before.revision, &before.state), (0, &None));
        let piece = world.store.shadow_piece(world.organisation, &rollout, before.position).await.unwrap();
        assert_eq!(piece.pairs.len(), 1);
        let save = |before: ShadowProgress, state: u8| {
            world.store.save_shadow(world.organisation, rollout.id, NOW, before, (piece.clone(), vec![state]))
        };
        save(before.clone(), 7).await.unwrap();
        assert!(matches!(save(before, 8).await, Err(StoreError::LeaseLost)));
        let now = world.store.shadow_progress(world.organisation, rollout.id).await.unwrap().unwrap();
        assert_eq!((now.revision, now.state, now.position), (1, Some(vec![7]), piece.to));

        // Another organisation finds nothing of it.
        let other = World::within(world.store.clone()).await;
        assert_eq!(other.store.shadow_progress(other.organisation, rollout.id).await.unwrap(), None);
        let theirs = other.store.shadow_pairs(other.organisation, rollout.id, None, 10).await.unwrap();
        assert_eq!(theirs, []);
        let found = other.store.assigned(other.organisation, ExecutionId(Uuid::from_u128(1))).await.unwrap();
        assert_eq!(found, None);
        world.store.close().await;
        database
    })
    .await;
}
