//! `POST /api/learning/decide`.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{on_both, on_both_with_clock};

#[tokio::test]
async fn it_learns_which_version_is_better_in_which_context() {
    on_both("it_learns_which_version_is_better_in_which_context", async |world| {
        let mut last = Value::Null;
        for n in 0..240 {
            let task = if n % 2 == 0 { "sums" } else { "words" };
            let better = if n % 2 == 0 { "direct" } else { "steps" };
            let feedback =
                world.turn(&json!({"context": {"task": task}}), |label| f64::from(label == better)).await;
            last = feedback["position"].clone();
        }
        world.learned(&last).await;
        for (task, better) in [("sums", "direct"), ("words", "steps")] {
            let mut right = 0;
            for _ in 0..40 {
                let decision = world.decide(&json!({"context": {"task": task}})).await;
                right += u32::from(decision["label"] == better);
                assert_eq!(decision["reason"], "policy");
            }
            assert!(right >= 32, "{task}: {right} of 40");
        }
        let policy = world.get(&world.agent_path("/policy")).await.expect(200);
        assert_eq!(policy["observations"], 240, "{policy}");
        let curve = world.get(&world.agent_path("/learning-curve")).await.expect(200);
        assert_eq!(curve["observations"], 240);
        let bins = curve["bins"].as_array().unwrap();
        let mean = |bins: &[Value]| {
            let sum: f64 =
                bins.iter().map(|b| b["mean_reward"].as_f64().unwrap() * b["count"].as_f64().unwrap()).sum();
            sum / bins.iter().map(|b| b["count"].as_f64().unwrap()).sum::<f64>()
        };
        let half = bins.len() / 2;
        assert!(mean(&bins[half..]) > mean(&bins[..half]), "{curve}");
    })
    .await;
}

#[tokio::test]
async fn the_same_id_gives_the_same_answer_also_after_a_restart() {
    on_both("the_same_id_gives_the_same_answer_also_after_a_restart", async |world| {
        let essence = |decision: &Value| {
            let fields = [
                "decision_id",
                "version",
                "label",
                "config",
                "reason",
                "propensity",
                "epoch",
                "policy_revision",
            ];
            fields.map(|field| decision[field].clone())
        };
        let id = json!({"decision_id": Uuid::now_v7()});
        let first = world.decide(&id).await;
        for _ in 0..20 {
            world.turn(&json!({}), |label| f64::from(label != first["label"])).await;
        }
        assert_eq!(essence(&world.decide(&id).await), essence(&first));
        world.restart().await;
        assert_eq!(essence(&world.decide(&id).await), essence(&first));
        let other = world.post("/api/learning/agents", &json!({"name": "other"})).await.expect(201);
        let path = format!("/api/learning/agents/{}/versions", other["id"].as_str().unwrap());
        world.post(&path, &json!({"label": "x", "config": {}})).await.expect(201);
        let body = json!({"agent": "other", "decision_id": id["decision_id"]});
        world.post("/api/learning/decide", &body).await.problem(409, "id_conflict");
    })
    .await;
}

#[tokio::test]
async fn a_forced_version_serves_but_does_not_teach() {
    on_both("a_forced_version_serves_but_does_not_teach", async |world| {
        let forced = world.decide(&json!({"version": world.versions[1]})).await;
        assert_eq!(
            (&forced["label"], &forced["reason"], &forced["origin"]),
            (&json!("steps"), &json!("forced"), &json!("forced"))
        );
        let execution = world.execute(&forced).await;
        let feedback = world.reward(&execution["id"], 1.0).await;
        world.learned(&feedback["position"]).await;
        let policy = world.get(&world.agent_path("/policy")).await.expect(200);
        assert_eq!(policy["observations"], 0, "{policy}");
        let curve = world.get(&world.agent_path("/learning-curve")).await.expect(200);
        assert_eq!(curve["observations"], 1, "{curve}");
    })
    .await;
}

#[tokio::test]
async fn rollback_takes_a_version_out_at_once() {
    on_both("rollback_takes_a_version_out_at_once", async |world| {
        for n in 0..20 {
            world.turn(&json!({"context": {"n": n}}), |label| f64::from(label == "steps")).await;
        }
        let path = world.agent_path(&format!("/versions/{}/rollback", world.versions[1]));
        let agent = world.post(&path, &json!({"reason": "wrong sums"})).await.expect(200);
        for _ in 0..50 {
            let decision = world.decide(&json!({})).await;
            assert_eq!(decision["label"], "direct");
            assert_eq!(decision["epoch"], agent["epoch"]);
        }
        let versions = world.get(&world.agent_path("/versions")).await.expect(200);
        assert_eq!(versions["versions"][1]["eligible"], false);
        let deployments = world.get(&world.agent_path("/deployments")).await.expect(200);
        let newest = &deployments["deployments"][0];
        assert_eq!((&newest["kind"], &newest["reason"]), (&json!("rolled_back"), &json!("wrong sums")));
        assert_eq!(newest["eligible"], json!([world.versions[0]]));
    })
    .await;
}

#[tokio::test]
async fn a_fixed_policy_serves_the_champion() {
    on_both("a_fixed_policy_serves_the_champion", async |world| {
        world.put(&world.agent_path("/policy"), &json!({"name": "fixed"})).await.expect(200);
        let path = world.agent_path(&format!("/versions/{}/promote", world.versions[1]));
        let agent = world.post(&path, &json!({})).await.expect(200);
        assert_eq!(agent["champion"], json!(world.versions[1]));
        let decision = world.decide(&json!({})).await;
        assert_eq!((&decision["label"], &decision["reason"]), (&json!("steps"), &json!("champion")));
        assert_eq!(decision["propensity"], 1.0);
        let path = world.agent_path(&format!("/versions/{}/rollback", world.versions[1]));
        world.post(&path, &json!({})).await.expect(200);
        let answer = world.decide_answer(&json!({})).await;
        assert!(answer.status == 409 || answer.json()["label"] == "direct", "{}", answer.text);
        world.post("/api/learning/agents", &json!({"name": "empty"})).await.expect(201);
        let answer = world.post("/api/learning/decide", &json!({"agent": "empty"})).await;
        answer.problem(409, "no_eligible_version");
    })
    .await;
}

#[tokio::test]
async fn min_position_waits_and_says_how_far_the_learner_is() {
    on_both("min_position_waits_and_says_how_far_the_learner_is", async |world| {
        let feedback = world.turn(&json!({}), |_| 1.0).await;
        let decision = world.decide(&json!({"min_position": feedback["position"]})).await;
        assert!(decision["learner_position"].as_i64() >= feedback["position"].as_i64(), "{decision}");
        let answer = world.decide_answer(&json!({"min_position": 1_000_000})).await;
        assert_eq!(answer.problem(409, "position_not_reached")["field"], "min_position");
    })
    .await;
}

#[tokio::test]
async fn a_token_restores_a_decision_whose_record_was_lost() {
    on_both_with_clock("a_token_restores_a_decision_whose_record_was_lost", async |world, clock| {
        let context = json!({"context": {"task": "x"}});
        let decision = world.decide(&context).await;
        // The token of a decision that this database never saw: sealed by the same ring.
        let lost = forged(world, &decision);
        clock.advance_seconds(365 * 86_400);
        let id = lost.1;
        let body = json!({"agent_id": world.agent, "token": lost.0});
        let execution = world.post("/api/learning/executions", &body).await.expect(201);
        assert_eq!(execution["id"], json!(id), "the execution carries the decision's id");
        let feedback = world.reward(&execution["id"], 1.0).await;
        world.learned(&feedback["position"]).await;
        let policy = world.get(&world.agent_path("/policy")).await.expect(200);
        assert_eq!(policy["observations"], 1, "what was restored teaches: {policy}");
        let stored = world.get(&format!("/api/learning/executions/{id}")).await.expect(200);
        assert_eq!((&stored["version"], &stored["reward"]), (&decision["version"], &json!(1.0)));

        let other = forged(world, &decision);
        let body = json!({"agent_id": world.agent, "decision_id": decision["decision_id"], "token": other.0});
        world.post("/api/learning/executions", &body).await.problem(403, "token_mismatch");
        let mut broken = other.0.clone();
        broken.insert(20, 'A');
        let body = json!({"agent_id": world.agent, "token": broken});
        world.post("/api/learning/executions", &body).await.problem(403, "token_invalid");
    })
    .await;
}

/// A token as the server would have sealed it for a decision that it then lost.
fn forged(world: &crate::support::World, decision: &Value) -> (String, Uuid) {
    use upswing_domain::{DecisionId, ExecutionId};
    use upswing_privacy::Token;
    let text = decision["token"].as_str().unwrap();
    let token = Token::open(text, &world.keyring, world.organisation, world.clock.now()).unwrap();
    let id = Uuid::now_v7();
    let token = Token { execution: ExecutionId(id), decision: DecisionId(id), ..token };
    (token.seal(&world.keyring, world.organisation).unwrap(), id)
}

#[tokio::test]
async fn another_policy_learns_from_what_was_stored() {
    on_both("another_policy_learns_from_what_was_stored", async |world| {
        world.put(&world.agent_path("/policy"), &json!({"name": "thompson"})).await.expect(200);
        for _ in 0..30 {
            world.turn(&json!({"context": {"task": "x"}}), |label| f64::from(label == "steps")).await;
        }
        for policy in [
            json!({"name": "linear_thompson", "floor": 0.05}),
            json!({"name": "epsilon_greedy"}),
            json!({"name": "lin_ucb"}),
        ] {
            world.put(&world.agent_path("/policy"), &policy).await.expect(200);
            let known = world
                .until(&world.agent_path("/policy"), |p| {
                    p["policy"] == policy["name"] && p["observations"] == 30
                })
                .await;
            assert_eq!(known["config"]["name"], policy["name"], "{known}");
        }
        let answer =
            world.put(&world.agent_path("/policy"), &json!({"name": "epsilon_greedy", "epsilon": 2})).await;
        assert_eq!(answer.problem(422, "value_out_of_range")["field"], "policy.epsilon");
        world.put(&world.agent_path("/policy"), &json!({"name": "magic"})).await.problem(422, "invalid_body");
    })
    .await;
}
