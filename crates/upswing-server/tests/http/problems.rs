//! Bad input gets a clear problem document and loses nothing.

use reqwest::Method;
use serde_json::json;
use upswing_server::Server;
use uuid::Uuid;

use crate::support::{self, Answer, on_both, on_postgres};

const FEEDBACK: &str = "/api/learning/feedback";
const EXECUTIONS: &str = "/api/learning/executions";
const DECIDE: &str = "/api/learning/decide";

#[tokio::test]
async fn bad_bodies_are_refused_by_name() {
    on_both("bad_bodies_are_refused_by_name", async |world| {
        let agent = world.agent.clone();
        let post = async |path: &str, body: String| world.post_text(path, "application/json", body).await;
        let execution = Uuid::now_v7();
        let feedback = |more: &str| {
            format!(r#"{{"agent_id": "{agent}", "execution_id": "{execution}", "feedback_type": "star_rating"{more}}}"#)
        };

        let problem = post(FEEDBACK, format!(r#"{{"agent_id": "{agent}", "execution"#)).await.problem(400, "malformed_json");
        assert!(problem["detail"].as_str().unwrap().contains("line 1 column"), "{problem}");
        post(FEEDBACK, feedback(r#", "rating": NaN"#)).await.problem(400, "malformed_json");
        post(FEEDBACK, feedback(r#", "metrics": {"reward": Infinity}"#)).await.problem(400, "malformed_json");

        let wrong_type = post(FEEDBACK, feedback(r#", "rating": "two""#)).await.problem(422, "invalid_body");
        assert_eq!(wrong_type["field"], "rating");
        let unknown = post(FEEDBACK, feedback(r#", "rating": 2, "ratting": 2"#)).await.problem(422, "invalid_body");
        assert_eq!(unknown["field"], "ratting");
        let nested = post(FEEDBACK, feedback(r#", "rating": 2, "dimensions": {"accuracy": []}"#)).await;
        assert_eq!(nested.problem(422, "invalid_body")["field"], "dimensions.accuracy");
        post(FEEDBACK, feedback("")).await.problem(422, "value_out_of_range");

        for rating in ["0", "6", "-1", "2.5", "1e9"] {
            let answer = post(FEEDBACK, feedback(&format!(r#", "rating": {rating}"#))).await;
            let problem = answer.problem(422, "value_out_of_range");
            assert_eq!(problem["field"], "rating");
            assert!(problem["detail"].as_str().unwrap().ends_with("must be a whole number from 1 to 5"), "{problem}");
        }
        let answer = post(FEEDBACK, feedback(r#", "rating": 2, "dimensions": {"clarity": 6}"#)).await;
        assert_eq!(answer.problem(422, "value_out_of_range")["field"], "dimensions.clarity");
        let answer = post(FEEDBACK, feedback(r#", "rating": 2, "metrics": {"reward": 1.5}"#)).await;
        assert_eq!(answer.problem(422, "value_out_of_range")["field"], "metrics.reward");
        let answer = post(FEEDBACK, feedback(r#", "rating": 2, "feedback_text": "a\u0000b""#)).await;
        assert_eq!(answer.problem(422, "value_out_of_range")["field"], "feedback_text");
        let answer = post(FEEDBACK, feedback(r#", "rating": 2, "occurred_at": "yesterday""#)).await;
        assert_eq!(answer.problem(422, "value_out_of_range")["field"], "occurred_at");
        let answer = post(FEEDBACK, feedback(r#", "rating": 2, "source": "absence""#)).await;
        assert_eq!(answer.problem(422, "value_out_of_range")["field"], "source");

        let stats = world.get(&format!("{FEEDBACK}/stats?agent_id={agent}")).await.expect(200);
        assert_eq!(stats["total_feedback"], 0, "nothing that was refused is counted");
        assert!(stats["avg_rating"].is_null() && stats["satisfaction_rate"].is_null());
    })
    .await;
}

#[tokio::test]
async fn unknown_things_are_named() {
    on_both("unknown_things_are_named", async |world| {
        let nobody = Uuid::now_v7();
        let version = "0".repeat(64);
        let problem = world.post(DECIDE, &json!({"agent_id": nobody})).await.problem(404, "unknown_agent");
        assert!(problem["detail"].as_str().unwrap().contains(&nobody.to_string()));
        world.post(DECIDE, &json!({"agent": "nobody"})).await.problem(404, "unknown_agent");
        world.post(DECIDE, &json!({})).await.problem(422, "invalid_body");
        world.decide_answer(&json!({"version": version})).await.problem(404, "unknown_version");
        world.decide_answer(&json!({"version": "xyz"})).await.problem(422, "invalid_body");
        world.post(EXECUTIONS, &json!({"agent_id": nobody})).await.problem(404, "unknown_agent");
        let body = json!({"agent_id": world.agent, "version": version});
        world.post(EXECUTIONS, &body).await.problem(404, "unknown_version");
        let body = json!({"agent_id": nobody, "execution_id": nobody, "feedback_type": "thumbs_up"});
        world.post(FEEDBACK, &body).await.problem(404, "unknown_agent");
        let path = world.agent_path(&format!("/versions/{version}/promote"));
        world.post(&path, &json!({})).await.problem(404, "unknown_version");
        world.get(&format!("{EXECUTIONS}/{nobody}")).await.problem(404, "not_found");
        world.get(&format!("{FEEDBACK}/{nobody}")).await.problem(404, "not_found");
        world.get(&format!("{FEEDBACK}/{nobody}/effects")).await.problem(404, "not_found");
        world.get("/api/learning/nothing").await.problem(404, "route_not_found");
        world.get(&format!("{EXECUTIONS}/not-a-uuid")).await.problem(422, "invalid_parameter");
        world.get("/api/learning/agents?limit=0").await.problem(422, "invalid_parameter");
        world.get("/api/learning/agents?limt=1").await.problem(422, "invalid_parameter");
        world.get(&world.agent_path("/performance?segment=nothing")).await.problem(422, "invalid_parameter");
        let answer = Answer::of(world.request(Method::DELETE, DECIDE).bearer_auth(&world.admin)).await;
        assert_eq!(answer.header("allow"), "POST");
        answer.problem(405, "method_not_allowed");
    })
    .await;
}

#[tokio::test]
async fn a_body_over_the_limit_and_a_wrong_type_are_refused() {
    on_both("a_body_over_the_limit_and_a_wrong_type_are_refused", async |world| {
        let long =
            format!(r#"{{"agent_id": "{}", "input": "{}"}}"#, world.agent, "x".repeat(8 * 1024 * 1024));
        world.post_text(EXECUTIONS, "application/json", long).await.problem(413, "body_too_large");
        let many = format!("[{}]", vec!["{}"; 10_001].join(","));
        world.post_text(EXECUTIONS, "application/json", many).await.problem(413, "body_too_large");
        world.post_text(EXECUTIONS, "text/csv", "a,b").await.problem(415, "unsupported_media_type");
        world.post_text(DECIDE, "application/x-ndjson", "{}").await.problem(415, "unsupported_media_type");
    })
    .await;
}

#[tokio::test]
async fn every_code_is_explained_and_a_request_keeps_its_id() {
    on_both("every_code_is_explained_and_a_request_keeps_its_id", async |world| {
        for code in upswing_server::Code::ALL {
            let explained = world.get(&format!("/problems/{}", code.name())).await.expect(200);
            assert!(explained["what_to_do"].as_str().is_some_and(|text| !text.is_empty()), "{explained}");
        }
        world.get("/problems/nothing").await.problem(404, "not_found");
        for (sent, kept) in [("trace-17", true), ("bad id\tx", false), (&"x".repeat(500), false)] {
            let request = world.request(Method::GET, "/api/learning/nothing").header("x-request-id", sent);
            let problem = Answer::of(request).await.problem(404, "route_not_found");
            assert_eq!(problem["request_id"] == sent, kept, "{problem}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_full_queue_says_when_to_come_again() {
    on_both("a_full_queue_says_when_to_come_again", async |world| {
        world.stop().await;
        let mut config = support::config(&world.database.url, &world.keyring, &world.clock);
        config.queue_capacity = 64;
        let small = Server::start(config).await.unwrap();
        // As large as the queue: two at the same time do not fit.
        let batch: Vec<_> = (0..64).map(|_| json!({"agent_id": world.agent})).collect();
        let send = async || {
            let request = world.client.post(format!("{}{EXECUTIONS}", small.url())).bearer_auth(&world.admin);
            Answer::of(request.json(&batch)).await
        };
        let (mut accepted, mut refused) = (0, 0);
        while refused == 0 {
            for answer in futures_util::future::join_all((0..16).map(|_| send())).await {
                if answer.status == 200 {
                    accepted += 64;
                } else {
                    assert_eq!(answer.header("retry-after"), "1");
                    answer.problem(503, "queue_full");
                    refused += 1;
                }
            }
            assert!(accepted < 100_000, "the queue never fills");
        }
        let request = world.client.get(format!("{}/api/learning/export/executions", small.url()));
        let stored = Answer::of(request.bearer_auth(&world.admin)).await;
        assert_eq!(stored.text.lines().count(), accepted, "what was refused is not stored, the rest is");
        small.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_database_that_is_away_turns_readiness_red_and_loses_nothing() {
    on_postgres("a_database_that_is_away_turns_readiness_red_and_loses_nothing", async |world| {
        let Some(mut wire) = support::Wire::to(&world.database).await else {
            let test = "a_database_that_is_away_turns_readiness_red_and_loses_nothing";
            return support::skipped(test, "DATABASE_URL does not name one host over TCP");
        };
        world.restart_at(&wire.url).await;
        let before = world.turn(&json!({}), |_| 1.0).await;
        wire.cut();
        world.get("/readyz").await.problem(503, "database_unavailable");
        world.get("/healthz").await.expect(200);
        // Deciding goes on from memory. Should the record be lost, the token restores it.
        let decision = world.decide(&json!({})).await;
        let body =
            json!({"agent_id": world.agent, "execution_id": Uuid::now_v7(), "feedback_type": "thumbs_up"});
        let refused = world.post(FEEDBACK, &body).await;
        assert_eq!(refused.header("retry-after"), "1");
        refused.problem(503, "database_unavailable");
        wire.mend().await;
        let mut ready = 0;
        while world.get("/readyz").await.status != 200 {
            ready += 1;
            assert!(ready < 400, "it does not recover by itself");
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        let feedback = world.turn(&json!({}), |_| 0.0).await;
        world.learned(&feedback["position"]).await;
        world.get(&format!("{FEEDBACK}/{}", before["id"].as_str().unwrap())).await.expect(200);
        let execution = world.execute(&decision).await;
        let last = world.reward(&execution["id"], 1.0).await;
        world.learned(&last["position"]).await;
        let policy = world.get(&world.agent_path("/policy")).await.expect(200);
        assert_eq!(policy["observations"], 3, "{policy}");
    })
    .await;
}

/// A short run of what `make fuzz` does a million times.
#[test]
fn whatever_is_sent_is_answered_and_never_panics() {
    let mut random = crate::mutation::Random::new(7);
    let mut understood = 0;
    for _ in 0..5000 {
        let (bytes, ndjson) = crate::mutation::input(&mut random);
        understood += upswing_server::read_collected(&bytes, ndjson);
    }
    assert!(understood > 500, "the inputs are almost right: {understood}");
}
