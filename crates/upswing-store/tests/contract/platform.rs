use upswing_domain::{KeyId, Role, Timestamp};
use upswing_store::{ApiKey, Store, StoreError};

use crate::support::{NOW, World, actor, on_both, options};

#[tokio::test]
async fn a_key_is_found_by_its_hash_in_whatever_organisation() {
    on_both("a_key_is_found_by_its_hash_in_whatever_organisation", |database| async move {
        let world = World::new(&database).await;
        let other = World::within(world.store.clone()).await;
        let key = |world: &World, n: u128| ApiKey {
            id: KeyId(uuid::Uuid::from_u128(n)),
            organisation: world.organisation,
            name: format!("key {n}"),
            role: Role::Member,
            hint: "up_sk_abcd".to_owned(),
            origins: vec!["https://example.org".to_owned()],
            created_at: NOW,
            expires_at: Some(NOW.plus_seconds(60)),
            revoked_at: None,
        };
        for (world, n) in [(&world, 1), (&other, 2)] {
            let hash = [n as u8; 32];
            world.store.create_key(actor(world.organisation), key(world, n), hash).await.unwrap();
        }
        let found = world.store.key_by_hash(vec![[9; 32], [2; 32]]).await.unwrap();
        assert_eq!(found, Some(key(&other, 2)));
        assert_eq!(world.store.key_by_hash(vec![[9; 32]]).await.unwrap(), None);
        assert_eq!(world.store.keys(world.organisation).await.unwrap(), [key(&world, 1)]);
        let error = world.store.revoke_key(actor(world.organisation), key(&other, 2).id).await.unwrap_err();
        assert!(matches!(error, StoreError::NotFound { .. }), "another organisation's key: {error}");
        let revoked = world.store.revoke_key(actor(world.organisation), key(&world, 1).id).await.unwrap();
        assert_eq!(revoked.revoked_at, Some(NOW));
        world.store.close().await;
        database
    })
    .await;
}

#[tokio::test]
async fn a_database_belongs_to_its_master_key() {
    on_both("a_database_belongs_to_its_master_key", |database| async move {
        database.store().await.close().await;
        let mut other = options(&database.url);
        other.key_checks = vec![(1, [8; 32])];
        let Err(error) = Store::open(other.clone()).await else { panic!("opened with another key") };
        assert!(error.to_string().contains("another master key 1"), "{error}");
        other.key_checks = vec![(2, [8; 32]), (1, [7; 32])];
        Store::open(other).await.unwrap().close().await;
        let Err(error) = Store::open(options(&database.url)).await else {
            panic!("opened without the newer key")
        };
        assert!(error.to_string().contains("another master key 2"), "{error}");
        database
    })
    .await;
}

#[tokio::test]
async fn one_holds_a_lease_until_it_ends() {
    on_both("one_holds_a_lease_until_it_ends", |database| async move {
        let world = World::new(&database).await;
        let store = &world.store;
        let lease = |holder: &'static str, at: Timestamp| store.lease("learner", holder, at, 5);
        let first = lease("one", NOW).await.unwrap();
        assert!(first.is_some());
        assert_eq!(lease("two", NOW.plus_seconds(4)).await.unwrap(), None);
        assert_eq!(lease("one", NOW.plus_seconds(4)).await.unwrap(), first, "renewed with the same number");
        assert_eq!(lease("two", NOW.plus_seconds(8)).await.unwrap(), None);
        let second = lease("two", NOW.plus_seconds(9)).await.unwrap();
        assert!(second > first);
        let checkpoint = upswing_store::Checkpoint {
            position: upswing_domain::Position(1),
            revision: 1,
            state: vec![1],
            made_with: "{}".to_owned(),
        };
        let save = |holder: &str, fence: Option<i64>, state: &upswing_store::Checkpoint| {
            let held = Some(("learner".to_owned(), holder.to_owned(), fence.unwrap()));
            store.save_checkpoint(world.organisation, world.agent, "learner", held, NOW, state.clone())
        };
        let late = save("one", first, &checkpoint).await.unwrap_err();
        assert!(matches!(late, StoreError::LeaseLost), "{late}");
        assert_eq!(store.checkpoint(world.organisation, world.agent, "learner").await.unwrap(), None);
        save("two", second, &checkpoint).await.unwrap();
        let stored = store.checkpoint(world.organisation, world.agent, "learner").await.unwrap();
        assert_eq!(stored, Some(checkpoint));
        store.release_lease("learner", "two").await.unwrap();
        assert!(lease("one", NOW.plus_seconds(10)).await.unwrap() > second);
        world.store.close().await;
        database
    })
    .await;
}

#[tokio::test]
async fn a_closed_store_refuses_and_has_written_what_was_queued() {
    on_both("a_closed_store_refuses_and_has_written_what_was_queued", |database| async move {
        let world = World::new(&database).await;
        for n in 1..=500 {
            let patience = std::time::Duration::from_secs(5);
            world
                .store
                .record_decision(world.organisation, world.decision(n), false, patience)
                .await
                .unwrap();
        }
        world.store.close().await;
        let error = world
            .store
            .write(world.organisation, NOW, vec![crate::support::execution(world.execution(1))])
            .await;
        assert!(matches!(error, Err(StoreError::Closing)), "{error:?}");
        let again = database.store().await;
        assert_eq!(again.export_decisions(world.organisation, None, None, 1000).await.unwrap().len(), 500);
        again.close().await;
        database
    })
    .await;
}
