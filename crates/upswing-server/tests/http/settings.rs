//! What the configuration changes: sampling, thresholds, retention, switches.

use serde_json::{Value, json};
use upswing_server::Server;

use crate::support::{World, config, on_both_with_clock};

async fn with(world: &mut World, change: impl FnOnce(&mut upswing_server::Config)) {
    world.stop().await;
    let mut settings = config(&world.database.url, &world.keyring, &world.clock);
    change(&mut settings);
    world.resume(Server::start(settings).await.unwrap());
}

#[tokio::test]
async fn the_collection_rate_limits_asking_and_telemetry_and_never_what_is_said() {
    let name = "the_collection_rate_limits_asking_and_telemetry_and_never_what_is_said";
    on_both_with_clock(name, async |world, _| {
        with(world, |settings| settings.collection_rate = 0.1).await;
        let mut asked = 0;
        for _ in 0..200 {
            asked += i32::from(world.decide(&json!({})).await["ask_for_feedback"] == true);
        }
        // 20 expected of 200; within five standard errors (4.2 each).
        assert!((0..=41).contains(&asked) && asked > 0, "{asked}");
        let signal =
            |n: usize| json!({"agent_id": world.agent, "session_id": format!("v{n}"), "type": "copy"});
        let batch: Vec<Value> = (0..500).map(signal).collect();
        let answer = world.post("/api/learning/signals", &json!(batch)).await.expect(200);
        let (kept, left) = (answer["accepted"].as_u64().unwrap(), answer["sampled_out"].as_u64().unwrap());
        // 50 expected of 500; five standard errors are 34.
        assert!((16..=84).contains(&kept) && kept + left == 500, "{answer}");
        let again = world.post("/api/learning/signals", &json!(batch)).await.expect(200);
        assert_eq!(again["sampled_out"], left, "always the same ones");
        for n in 0..20 {
            let said =
                json!({"agent_id": world.agent, "session_id": format!("v{n}"), "feedback_type": "thumbs_up"});
            world.post("/api/learning/feedback", &said).await.expect(201);
        }
    })
    .await;
}

#[tokio::test]
async fn details_are_asked_for_up_to_the_threshold() {
    on_both_with_clock("details_are_asked_for_up_to_the_threshold", async |world, _| {
        with(world, |settings| settings.details_threshold = 2).await;
        for (stars, text, expected) in [(1, None, true), (2, None, true), (3, None, false), (1, Some("too long"), false)] {
            let mut said = json!({"agent_id": world.agent, "session_id": "v", "feedback_type": "star_rating", "rating": stars});
            if let Some(text) = text {
                said["feedback_text"] = json!(text);
            }
            let answer = world.post("/api/learning/feedback", &said).await.expect(201);
            assert_eq!(answer["ask_for_details"], expected, "{stars} stars, {text:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn texts_pass_their_retention_and_facts_stay() {
    on_both_with_clock("texts_pass_their_retention_and_facts_stay", async |world, clock| {
        let say = async |world: &World, text: &str| {
            let said = json!({"agent_id": world.agent, "session_id": "v", "feedback_type": "star_rating", "rating": 4,
                "feedback_text": text});
            world.post("/api/learning/feedback", &said).await.expect(201)["id"].as_str().unwrap().to_owned()
        };
        let once = say(world, "said once and never again").await;
        let first = say(world, "said again and again").await;
        clock.advance_seconds(20 * 86_400);
        let second = say(world, "said again and again").await;
        clock.advance_seconds(15 * 86_400);
        with(world, |settings| settings.content_days = Some(30)).await;
        let path = format!("/api/learning/feedback/{once}");
        let gone = world.until(&path, |answer| answer["feedback_text"].is_null()).await;
        assert_eq!(gone["rating"], 4, "the fact stays");
        for id in [first, second] {
            let kept = world.get(&format!("/api/learning/feedback/{id}")).await.expect(200);
            assert_eq!(kept["feedback_text"], "said again and again");
        }
    })
    .await;
}

#[tokio::test]
async fn what_comes_in_while_learning_is_off_is_learned_when_it_is_on_again() {
    let name = "what_comes_in_while_learning_is_off_is_learned_when_it_is_on_again";
    on_both_with_clock(name, async |world, _| {
        with(world, |settings| settings.learning = false).await;
        let said = world.turn(&json!({}), |_| 1.0).await;
        let policy = world.agent_path("/policy");
        assert_eq!(world.get("/readyz").await.status, 200);
        world.restart().await;
        let learned = world.until(&policy, |answer| answer["observations"] == 1).await;
        assert!(learned["position"].as_i64() >= said["position"].as_i64(), "{learned}");
    })
    .await;
}

#[tokio::test]
async fn consent_may_be_required() {
    on_both_with_clock("consent_may_be_required", async |world, _| {
        with(world, |settings| settings.consent = upswing_domain::ConsentRule::Required).await;
        let said = json!({"agent_id": world.agent, "session_id": "v", "feedback_type": "thumbs_up", "author": "ada"});
        world.post("/api/learning/feedback", &said).await.problem(403, "consent_missing");
        let agree = json!({"subject": "ada", "purpose": "learning", "granted": true});
        world.put("/api/learning/consents", &agree).await.expect(200);
        world.post("/api/learning/feedback", &said).await.expect(201);
        // Nobody in particular has nothing to agree to.
        let nobody = json!({"agent_id": world.agent, "session_id": "v", "feedback_type": "thumbs_up"});
        world.post("/api/learning/feedback", &nobody).await.expect(201);
    })
    .await;
}
