//! Feedback from a page: publishable key, token, origin.

use reqwest::Method;
use serde_json::{Value, json};
use upswing_domain::Role;
use uuid::Uuid;

use crate::support::{Answer, ORIGIN, World, on_both, on_both_with_clock};

const PATH: &str = "/api/learning/feedback";

async fn give(world: &World, origin: Option<&str>, body: &Value) -> Answer {
    let mut request = world.request(Method::POST, PATH).bearer_auth(&world.publishable).json(body);
    if let Some(origin) = origin {
        request = request.header("origin", origin);
    }
    Answer::of(request).await
}

fn thumb(token: &Value) -> Value {
    json!({"feedback_type": "thumbs_up", "token": token})
}

#[tokio::test]
async fn a_page_of_a_declared_origin_gives_feedback_with_the_executions_token() {
    on_both("a_page_of_a_declared_origin_gives_feedback_with_the_executions_token", async |world| {
        let decision = world.decide(&json!({"feedback_token": true})).await;
        let execution = world.execute(&decision).await;
        let answer = give(world, Some(ORIGIN), &thumb(&decision["feedback_token"])).await;
        assert_eq!(answer.header("access-control-allow-origin"), ORIGIN);
        assert_eq!(answer.header("vary"), "Origin");
        let stored = answer.expect(201);
        assert_eq!((&stored["execution_id"], &stored["reward"]), (&execution["id"], &json!(1.0)));
        give(world, Some(ORIGIN), &thumb(&execution["feedback_token"])).await.expect(201);

        let answer = give(world, Some(ORIGIN), &json!({"feedback_type": "thumbs_up"})).await;
        assert_eq!(answer.header("access-control-allow-origin"), ORIGIN, "the page may read what is wrong");
        answer.problem(403, "token_required");
        for origin in [None, Some("https://evil.example.com")] {
            let answer = give(world, origin, &thumb(&execution["feedback_token"])).await;
            assert_eq!(answer.header("access-control-allow-origin"), "");
            answer.problem(403, "origin_not_allowed");
        }
        give(world, Some(ORIGIN), &thumb(&decision["token"])).await.problem(403, "token_invalid");
        give(world, Some(ORIGIN), &thumb(&json!("AAAA"))).await.problem(403, "token_invalid");
        let mut body = thumb(&execution["feedback_token"]);
        body["execution_id"] = json!(Uuid::now_v7());
        give(world, Some(ORIGIN), &body).await.problem(403, "token_mismatch");
        let mut body = thumb(&execution["feedback_token"]);
        body["agent_id"] = json!(Uuid::now_v7());
        give(world, Some(ORIGIN), &body).await.problem(403, "token_mismatch");
        let mut body = thumb(&execution["feedback_token"]);
        body["source"] = json!("expert");
        give(world, Some(ORIGIN), &body).await.problem(403, "forbidden");
    })
    .await;
}

#[tokio::test]
async fn preflight_is_answered_for_declared_origins_alone() {
    on_both("preflight_is_answered_for_declared_origins_alone", async |world| {
        let ask = async |origin: &str| {
            let request = world.request(Method::OPTIONS, PATH).header("origin", origin);
            Answer::of(request.header("access-control-request-method", "POST")).await
        };
        let allowed = ask(ORIGIN).await;
        assert_eq!((allowed.status, allowed.header("access-control-allow-origin")), (204, ORIGIN));
        assert_eq!(allowed.header("access-control-allow-methods"), "POST");
        assert!(allowed.header("access-control-allow-headers").contains("Authorization"));
        let refused = ask("https://evil.example.com").await;
        assert_eq!((refused.status, refused.header("access-control-allow-origin")), (204, ""));
        // A key that is made over the API is heeded at once, and its end as well.
        let body = json!({"name": "page", "role": "publishable", "origins": ["https://new.example.com"]});
        let key = world.post("/api/learning/keys", &body).await.expect(201);
        assert_eq!(
            ask("https://new.example.com").await.header("access-control-allow-origin"),
            "https://new.example.com"
        );
        let path = format!("/api/learning/keys/{}", key["id"].as_str().unwrap());
        Answer::of(world.request(Method::DELETE, &path).bearer_auth(&world.admin)).await.expect(200);
        assert_eq!(ask("https://new.example.com").await.header("access-control-allow-origin"), "");
    })
    .await;
}

#[tokio::test]
async fn a_browsers_token_expires_and_is_used_up() {
    on_both_with_clock("a_browsers_token_expires_and_is_used_up", async |world, clock| {
        let execution = world.execute(&world.decide(&json!({})).await).await;
        let token = &execution["feedback_token"];
        for _ in 0..10 {
            give(world, Some(ORIGIN), &thumb(token)).await.expect(201);
        }
        give(world, Some(ORIGIN), &thumb(token)).await.problem(429, "token_exhausted");
        let other = world.execute(&world.decide(&json!({})).await).await;
        clock.advance_seconds(3599);
        give(world, Some(ORIGIN), &thumb(&other["feedback_token"])).await.expect(201);
        clock.advance_seconds(1);
        give(world, Some(ORIGIN), &thumb(&other["feedback_token"])).await.problem(403, "token_expired");
    })
    .await;
}

#[tokio::test]
async fn a_key_ends_when_it_says() {
    on_both_with_clock("a_key_ends_when_it_says", async |world, clock| {
        let end = world.clock.now().plus_seconds(60);
        let (key, _) = world.key(world.organisation, Role::Member, Some(end)).await;
        let ask = async || {
            Answer::of(world.request(Method::GET, "/api/learning/organisation").bearer_auth(&key)).await
        };
        ask().await.expect(200);
        clock.advance_seconds(59);
        ask().await.expect(200);
        clock.advance_seconds(1);
        ask().await.problem(401, "key_expired");
    })
    .await;
}
