//! `/api/learning/feedback`.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{on_both, on_both_with_clock};

const PATH: &str = "/api/learning/feedback";

#[tokio::test]
async fn the_documented_body_is_taken_and_counted() {
    on_both("the_documented_body_is_taken_and_counted", async |world| {
        let execution = world.execute(&world.decide(&json!({})).await).await;
        let body = json!({
            "execution_id": execution["id"],
            "agent_id": world.agent,
            "feedback_type": "correction",
            "rating": 2,
            "feedback_text": "The calculation was incorrect",
            "correction_text": "Corrected response...",
            "issue_categories": ["incorrect", "incomplete"],
            "dimensions": {"accuracy": 2, "helpfulness": 3, "clarity": 4, "completeness": 2}
        });
        let feedback = world.post(PATH, &body).await.expect(201);
        // A rating of 2 is 0.25, a correction 0: both of equal weight.
        assert_eq!(
            (&feedback["status"], &feedback["reward"]),
            (&json!("stored"), &json!(0.125)),
            "{feedback}"
        );
        let stored = world.get(&format!("{PATH}/{}", feedback["id"].as_str().unwrap())).await.expect(200);
        assert_eq!(stored["correction_text"], "Corrected response...");
        assert_eq!(stored["dimensions"], body["dimensions"]);

        for kind in ["thumbs_up", "thumbs_up", "thumbs_down"] {
            let body =
                json!({"execution_id": Uuid::now_v7(), "agent_id": world.agent, "feedback_type": kind});
            world.post(PATH, &body).await.expect(201);
        }
        let stats = world.get(&format!("{PATH}/stats?agent_id={}&days=30", world.agent)).await.expect(200);
        assert_eq!((&stats["total_feedback"], &stats["avg_rating"]), (&json!(4), &json!(2.0)), "{stats}");
        assert_eq!(stats["feedback_by_type"], json!({"correction": 1, "thumbs_down": 1, "thumbs_up": 2}));
        assert_eq!(stats["satisfaction_rate"], 0.5, "two of three thumbs and one rating: {stats}");
    })
    .await;
}

#[tokio::test]
async fn the_same_feedback_again_changes_nothing() {
    on_both("the_same_feedback_again_changes_nothing", async |world| {
        let execution = world.execute(&world.decide(&json!({})).await).await;
        let body = json!({"id": Uuid::now_v7(), "execution_id": execution["id"], "agent_id": world.agent,
                          "feedback_type": "star_rating", "rating": 5});
        let first = world.post(PATH, &body).await.expect(201);
        assert_eq!(first["reward"], 1.0);
        let again = world.post(PATH, &body).await.expect(200);
        assert_eq!(
            (&again["status"], &again["position"], &again["reward"]),
            (&json!("duplicate"), &first["position"], &json!(1.0))
        );
        let mut other = body.clone();
        other["rating"] = json!(1);
        world.post(PATH, &other).await.problem(409, "id_conflict");
        let batch = world.post(PATH, &json!([body, other])).await.expect(200);
        assert_eq!((&batch["duplicates"], &batch["rejected"][0]["index"]), (&json!(1), &json!(1)), "{batch}");
        world.learned(&first["position"]).await;
        let policy = world.get(&world.agent_path("/policy")).await.expect(200);
        assert_eq!(policy["observations"], 1);
    })
    .await;
}

#[tokio::test]
async fn feedback_may_come_before_its_execution() {
    on_both("feedback_may_come_before_its_execution", async |world| {
        let decision = world.decide(&json!({})).await;
        let id = decision["decision_id"].clone();
        let early = world.reward(&id, 1.0).await;
        assert_eq!(early["status"], "stored");
        let execution = world.execute(&decision).await;
        world.learned(&execution["position"]).await;
        let policy = world.until(&world.agent_path("/policy"), |policy| policy["observations"] == 1).await;
        assert_eq!(policy["observations"], 1);
    })
    .await;
}

#[tokio::test]
async fn effects_tell_what_became_of_it() {
    on_both("effects_tell_what_became_of_it", async |world| {
        let execution = world.execute(&world.decide(&json!({})).await).await;
        world.reward(&execution["id"], 1.0).await;
        let second = world.reward(&execution["id"], 0.25).await;
        world.learned(&second["position"]).await;
        let path = world.agent_path(&format!("/versions/{}/promote", world.versions[0]));
        world.post(&path, &json!({"reason": "it is better"})).await.expect(200);
        let effects =
            world.get(&format!("{PATH}/{}/effects", second["id"].as_str().unwrap())).await.expect(200);
        assert_eq!(effects["learned"], true, "{effects}");
        let entry = &effects["entries"][0];
        assert_eq!((&entry["old_reward"], &entry["new_reward"]), (&json!(1.0), &json!(0.25)), "{effects}");
        assert_eq!(entry["learned_at_revision"], entry["position"]);
        assert_eq!(effects["deployments_since"][0]["reason"], "it is better", "{effects}");
        let policy = world.get(&world.agent_path("/policy")).await.expect(200);
        assert!(policy["revision"].as_i64() >= entry["position"].as_i64());
        assert_eq!(policy["observations"], 1, "a revision is not a second observation");
    })
    .await;
}

#[tokio::test]
async fn another_reward_definition_folds_what_is_stored_again() {
    on_both("another_reward_definition_folds_what_is_stored_again", async |world| {
        let execution = world.execute(&world.decide(&json!({})).await).await;
        let path = format!("/api/learning/executions/{}", execution["id"].as_str().unwrap());
        let body = json!({"execution_id": execution["id"], "agent_id": world.agent, "feedback_type": "star_rating",
                          "rating": 5, "metrics": {"seconds": 30}});
        world.post(PATH, &body).await.expect(201);
        assert_eq!(world.get(&path).await.expect(200)["reward"], 1.0);
        let definition = json!({"rating": {"weight": 1}, "metrics": {"seconds": {"minimum": 0, "maximum": 60, "direction": "decrease", "weight": 3}}});
        let agent = world.put(&world.agent_path("/reward-definition"), &definition).await.expect(200);
        assert_eq!(agent["definition_version"], 2);
        // (1 * 1.0 + 3 * 0.5) / 4
        world.until(&path, |stored| stored["reward"] == 0.625).await;
        world.until(&world.agent_path("/policy"), |policy| {
            policy["observations"] == 1 && policy["arms"].as_array().unwrap().iter().any(|arm| arm["mean"] == 0.625)
        })
        .await;
        let answer = world.put(&world.agent_path("/reward-definition"), &json!({})).await;
        answer.problem(422, "value_out_of_range");
    })
    .await;
}

#[tokio::test]
async fn what_does_not_come_within_its_window_is_zero_and_otherwise_unknown() {
    on_both_with_clock("what_does_not_come_within_its_window_is_zero_and_otherwise_unknown", async |world, clock| {
        let definition = json!({"metrics": {"clicked": {"minimum": 0, "maximum": 1, "absence": {"zero_after": 3600}}}});
        world.put(&world.agent_path("/reward-definition"), &definition).await.expect(200);
        let silent = world.execute(&world.decide(&json!({})).await).await;
        let clicked = world.execute(&world.decide(&json!({})).await).await;
        let body = json!({"execution_id": clicked["id"], "agent_id": world.agent, "feedback_type": "metric",
                          "metrics": {"clicked": 1}});
        world.post(PATH, &body).await.expect(201);
        let path = |execution: &Value| format!("/api/learning/executions/{}", execution["id"].as_str().unwrap());
        clock.advance_seconds(3000);
        assert_eq!(world.get(&path(&silent)).await.expect(200)["reward"], Value::Null);
        // The job waits by the clock from the moment it was last awake: it may need a second push.
        for _ in 0..100 {
            clock.advance_seconds(700);
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            if world.get(&path(&silent)).await.expect(200)["reward"] == 0.0 {
                break;
            }
        }
        assert_eq!(world.get(&path(&silent)).await.expect(200)["reward"], 0.0);
        assert_eq!(world.get(&path(&clicked)).await.expect(200)["reward"], 1.0);
    })
    .await;
}
