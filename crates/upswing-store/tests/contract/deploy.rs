use upswing_domain::{AgentName, PolicyConfig, RewardDefinition, Version};
use upswing_store::{Event, StoreError};

use crate::support::{NOW, World, actor, feedback, on_both};

#[tokio::test]
async fn every_change_of_what_serves_is_an_epoch_and_a_line_in_the_audit_log() {
    on_both("every_change_of_what_serves_is_an_epoch_and_a_line_in_the_audit_log", |database| async move {
        let world = World::new(&database).await;
        let (a, b) = (world.versions[0], world.versions[1]);
        let who = || actor(world.organisation);
        world.store.promote(who(), world.agent, a, "first".to_owned()).await.unwrap();
        world.store.promote(who(), world.agent, b, "better".to_owned()).await.unwrap();
        let state = world.store.roll_back(who(), world.agent, b, "worse".to_owned()).await.unwrap();
        assert_eq!(state.agent.champion, Some(a), "the champion before takes its place");
        assert!(state.versions.iter().all(|v| v.eligible == (v.id == a)));
        let state = world.store.roll_back(who(), world.agent, a, "worse too".to_owned()).await.unwrap();
        assert_eq!(state.agent.champion, None);
        world.store.set_policy(who(), world.agent, PolicyConfig::Thompson).await.unwrap();
        let deployments = world.store.deployments(world.organisation, world.agent, None, 50).await.unwrap();
        let kinds: Vec<_> = deployments.iter().map(|d| d.kind.as_str()).collect();
        let expected = [
            "policy_changed",
            "rolled_back",
            "rolled_back",
            "promoted",
            "promoted",
            "version_added",
            "version_added",
            "created",
        ];
        assert_eq!(kinds, expected);
        assert_eq!(deployments[2].eligible, [a]);
        assert_eq!(deployments[2].reason, "worse");
        let audit = world.store.audit(world.organisation, None, 50).await.unwrap();
        let actions: Vec<_> = audit.iter().map(|a| a.action.as_str()).collect();
        let expected = [
            "agent.set_policy",
            "version.roll_back",
            "version.roll_back",
            "version.promote",
            "version.promote",
            "version.add",
            "version.add",
            "agent.create",
            "organisation.create",
        ];
        assert_eq!(actions, expected);
        let unknown = upswing_domain::VersionId([9; 32]);
        let error = world.store.promote(who(), world.agent, unknown, String::new()).await.unwrap_err();
        assert!(matches!(error, StoreError::NotFound { noun: "version", .. }), "{error}");
        assert_eq!(world.store.audit(world.organisation, None, 50).await.unwrap().len(), expected.len());
        world.store.close().await;
        database
    })
    .await;
}

#[tokio::test]
async fn versions_are_named_by_content_and_labels_are_unique() {
    on_both("versions_are_named_by_content_and_labels_are_unique", |database| async move {
        let world = World::new(&database).await;
        let version = |label: &str, template: &str, parents| {
            let (id, config) = Version::content(&serde_json::json!({ "template": template })).unwrap();
            let label = label.to_owned();
            Version { id, agent: world.agent, label, config, parents, eligible: true, created_at: NOW }
        };
        let who = || actor(world.organisation);
        let (_, new) = world.store.add_version(who(), version("a", "a", vec![])).await.unwrap();
        assert!(!new, "the same content with the same label is there already");
        for taken in [version("other", "a", vec![]), version("a", "c", vec![])] {
            let error = world.store.add_version(who(), taken).await.unwrap_err();
            assert!(matches!(error, StoreError::Conflict(_)), "{error}");
        }
        let orphan = version("c", "c", vec![upswing_domain::VersionId([9; 32])]);
        let error = world.store.add_version(who(), orphan).await.unwrap_err();
        assert!(matches!(error, StoreError::NotFound { .. }), "{error}");
        let child = version("c", "c", vec![world.versions[0]]);
        let (state, new) = world.store.add_version(who(), child.clone()).await.unwrap();
        assert!(new && state.versions.len() == 3);
        let edges = world.store.lineage(world.organisation, "version", &child.id.to_string()).await.unwrap();
        assert_eq!(edges.len(), 1);
        assert_eq!(edges[0].source_id, world.versions[0].to_string());
        let mut twin = upswing_store::NewAgent {
            id: upswing_domain::AgentId(uuid::Uuid::now_v7()),
            name: AgentName::new("answers").unwrap(),
            description: String::new(),
            salt: String::new(),
            segments: Vec::new(),
            output_schema: None,
            policy: PolicyConfig::default(),
            reward_definition: RewardDefinition::default(),
        };
        let error = world.store.create_agent(who(), twin.clone()).await.unwrap_err();
        assert!(matches!(error, StoreError::Conflict(_)), "{error}");
        twin.name = AgentName::new("other").unwrap();
        world.store.create_agent(who(), twin).await.unwrap();
        assert_eq!(world.store.agents(world.organisation).await.unwrap().len(), 2);
        world.store.close().await;
        database
    })
    .await;
}

#[tokio::test]
async fn a_new_reward_definition_folds_what_is_stored_again() {
    on_both("a_new_reward_definition_folds_what_is_stored_again", |database| async move {
        let world = World::new(&database).await;
        let events = (1..=700).flat_map(|n| {
            let mut said = world.feedback(n + 10_000, n, 1.0);
            said.metrics.insert("cost".to_owned(), 2.5);
            [Event::Decision(world.decision(n)), feedback(said)]
        });
        world.write(events.collect()).await;
        let definition: RewardDefinition = serde_json::from_value(serde_json::json!({
            "metrics": { "cost": { "minimum": 0, "maximum": 10, "direction": "decrease" } }
        }))
        .unwrap();
        let who = actor(world.organisation);
        let state = world.store.set_reward_definition(who, world.agent, definition).await.unwrap();
        assert_eq!(state.agent.definition_version, 2);
        // What comes meanwhile already counts by the new one.
        world
            .write(vec![Event::Decision(world.decision(2000)), feedback(world.feedback(20_000, 2000, 1.0))])
            .await;
        let mut pieces = 1;
        while !world.store.refold(world.organisation, world.agent, NOW).await.unwrap() {
            pieces += 1;
        }
        assert!(pieces > 1, "700 outcomes do not fit into one piece");
        let ledger = world.ledger().await;
        assert_eq!(ledger.len(), 1400);
        for entry in &ledger[700..] {
            assert_eq!(entry.definition_version, 2);
            assert_eq!(entry.old.map(|r| r.get()), Some(1.0));
            assert_eq!(entry.new.map(|r| r.get()), Some(0.75));
            assert!(entry.context.is_some() && entry.decision.is_some() && entry.cause.is_none());
        }
        assert!(world.store.refold(world.organisation, world.agent, NOW).await.unwrap());
        assert_eq!(world.ledger().await.len(), 1400);
        world.store.close().await;
        database
    })
    .await;
}

/// A server remembers definitions; another server's change holds from its next batch on, for every agent.
#[tokio::test]
async fn a_definition_that_another_server_changes_holds_from_the_next_batch() {
    on_both("a_definition_that_another_server_changes_holds_from_the_next_batch", |database| async move {
        let world = World::new(&database).await;
        let quiet = World::within(world.store.clone()).await;
        // An embedded database has one server.
        let embedded = database.url.starts_with("sqlite");
        let other = if embedded { world.store.clone() } else { database.store().await };
        let mut id = 0;
        let mut rewards = async |world: &World, count: u128| {
            for _ in 0..count {
                id += 1;
                let mut said = world.feedback(id + 10_000, id, 1.0);
                said.metrics.insert("cost".to_owned(), 2.5);
                world.write(vec![Event::Decision(world.decision(id)), feedback(said)]).await;
            }
            world.ledger().await.last().map(|entry| (entry.definition_version, entry.new.map(|r| r.get())))
        };
        assert_eq!(rewards(&world, 3).await, Some((1, Some(1.0))));
        assert_eq!(rewards(&quiet, 3).await, Some((1, Some(1.0))));
        let definition: RewardDefinition = serde_json::from_value(serde_json::json!({
            "metrics": { "cost": { "minimum": 0, "maximum": 10, "direction": "decrease" } }
        }))
        .unwrap();
        for version in 2..5 {
            let who = actor(world.organisation);
            other.set_reward_definition(who, world.agent, definition.clone()).await.unwrap();
            // What says nothing of rewards does not use up the news.
            world.write(vec![Event::Decision(world.decision(90_000 + version))]).await;
            let version = i64::try_from(version).unwrap();
            assert_eq!(rewards(&world, 2).await, Some((version, Some(0.75))));
        }
        assert_eq!(rewards(&quiet, 1).await, Some((1, Some(1.0))));
        if !embedded {
            other.close().await;
        }
        world.store.close().await;
        database
    })
    .await;
}
