//! Ending, starting again, and several servers on one database.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use upswing_domain::AgentId;
use upswing_server::replay_ledger;
use uuid::Uuid;

use crate::support::{Answer, World, on_both, on_postgres};

fn agent(world: &World) -> AgentId {
    AgentId(Uuid::parse_str(&world.agent).unwrap())
}

async fn clean_replay(world: &World) -> String {
    let state = replay_ledger(world.server().store(), world.organisation, agent(world)).await.unwrap();
    blake3::hash(&state.to_bytes()).to_hex().to_string()
}

#[tokio::test]
async fn a_restart_goes_on_where_it_was_and_equals_a_clean_replay() {
    on_both("a_restart_goes_on_where_it_was_and_equals_a_clean_replay", async |world| {
        for round in 0..3 {
            let mut last = Value::Null;
            for n in 0..15 {
                let context = json!({"context": {"task": format!("t{}", n % 3), "n": n}});
                let feedback = world.turn(&context, |label| if label == "steps" { 0.75 } else { 0.5 }).await;
                last = feedback["position"].clone();
            }
            world.learned(&last).await;
            let before = world.get(&world.agent_path("/policy")).await.expect(200);
            assert_eq!(before["observations"], 15 * (round + 1), "{before}");
            assert_eq!(before["state_hash"], clean_replay(world).await);
            world.restart().await;
            let after = world.get(&world.agent_path("/policy")).await.expect(200);
            assert_eq!(after["state_hash"], before["state_hash"]);
        }
    })
    .await;
}

#[tokio::test]
async fn a_graceful_end_writes_every_decision_that_was_answered() {
    on_both("a_graceful_end_writes_every_decision_that_was_answered", async |world| {
        let anything = json!({});
        let asked = futures_util::future::join_all((0..300).map(|_| world.decide(&anything))).await;
        world.restart().await;
        let stored = world.get("/api/learning/export/decisions").await.text;
        assert_eq!(stored.lines().count(), 300);
        for decision in asked {
            assert!(stored.contains(decision["decision_id"].as_str().unwrap()));
        }
    })
    .await;
}

#[tokio::test]
async fn two_servers_serve_what_one_learns() {
    on_postgres("two_servers_serve_what_one_learns", async |world| {
        let second = world.another().await;
        let (client, admin) = (world.client.clone(), world.admin.clone());
        let ask = async |path: &str| {
            let request = client.get(format!("{}{path}", second.url())).bearer_auth(&admin);
            Answer::of(request).await
        };
        let mut last = Value::Null;
        for _ in 0..20 {
            let feedback =
                world.turn(&json!({"context": {"task": "x"}}), |label| f64::from(label == "steps")).await;
            last = feedback["position"].clone();
        }
        let body = json!({"agent_id": world.agent, "min_position": last});
        let request =
            world.client.post(format!("{}/api/learning/decide", second.url())).bearer_auth(&world.admin);
        let decision = Answer::of(request.json(&body)).await.expect(200);
        assert!(decision["learner_position"].as_i64() >= last.as_i64());
        world.learned(&last).await;
        let path = world.agent_path("/policy");
        let (first_policy, second_policy) =
            (world.get(&path).await.expect(200), ask(&path).await.expect(200));
        assert_eq!(first_policy["state_hash"], second_policy["state_hash"]);
        assert_eq!(first_policy["state_hash"], clean_replay(world).await);

        // A change on one is seen by the other within moments, and a revocation too.
        let rollback = world.agent_path(&format!("/versions/{}/rollback", world.versions[1]));
        world.post(&rollback, &json!({})).await.expect(200);
        let (key, id) = world.key(world.organisation, upswing_domain::Role::Member, None).await;
        let seen = async || {
            let request =
                world.client.get(format!("{}/api/learning/organisation", second.url())).bearer_auth(&key);
            Answer::of(request).await.status
        };
        assert_eq!(seen().await, 200);
        let revoke = world.request(reqwest::Method::DELETE, &format!("/api/learning/keys/{id}"));
        Answer::of(revoke.bearer_auth(&world.admin)).await.expect(200);
        let revoked = Instant::now();
        while seen().await != 401 {
            assert!(revoked.elapsed() < Duration::from_secs(2), "a revocation is seen within a second");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for _ in 0..20 {
            let body = json!({"agent_id": world.agent});
            let request =
                world.client.post(format!("{}/api/learning/decide", second.url())).bearer_auth(&world.admin);
            assert_eq!(Answer::of(request.json(&body)).await.expect(200)["label"], "direct");
        }

        // The first ends: the second goes on learning.
        world.stop().await;
        let call = async |path: &str, body: &Value| {
            let request = world.client.post(format!("{}{path}", second.url())).bearer_auth(&world.admin);
            Answer::of(request.json(body)).await
        };
        let decision = call("/api/learning/decide", &json!({"agent_id": world.agent})).await.expect(200);
        let body = json!({"agent_id": world.agent, "token": decision["token"]});
        let execution = call("/api/learning/executions", &body).await.expect(201);
        let body =
            json!({"agent_id": world.agent, "execution_id": execution["id"], "feedback_type": "thumbs_up"});
        let feedback = call("/api/learning/feedback", &body).await.expect(201);
        let body = json!({"agent_id": world.agent, "min_position": feedback["position"]});
        call("/api/learning/decide", &body).await.expect(200);
        assert_eq!(ask(&path).await.expect(200)["observations"], 21);
        second.shutdown().await;
    })
    .await;
}
