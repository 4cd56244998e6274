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

/// Documents of performance records are kept for as long as performance is, whatever holds for other texts.
#[tokio::test]
async fn performance_has_a_retention_of_its_own() {
    on_both_with_clock("performance_has_a_retention_of_its_own", async |world, clock| {
        let run =
            json!({"agent_id": world.agent, "input": "what was asked", "metrics": {"latency_ms": 800.0}});
        let old = world.post("/api/learning/executions", &run).await.expect(201);
        let old = old["id"].as_str().unwrap();
        let record = json!({"performance_metrics": {"total_ms": 11}, "host": "a"});
        let about = format!("/api/learning/records/performance?execution_id={old}");
        let record = world.post(&about, &record).await.expect(201);
        let record = format!("/api/learning/feedback/{}", record["id"].as_str().unwrap());
        let count = |answer: &Value| answer["groups"][0]["metrics"]["latency_ms"]["count"].clone();
        let performance = world.agent_path("/performance?days=3650");
        assert_eq!(count(&world.get(&performance).await.expect(200)), 1);

        // Texts pass, performance stays.
        clock.advance_seconds(35 * 86_400);
        let keep = |settings: &mut upswing_server::Config| {
            settings.content_days = Some(30);
            settings.performance_days = Some(60);
        };
        with(world, keep).await;
        let old = format!("/api/learning/executions/{old}");
        world.until(&old, |answer| answer["input"].is_null()).await;
        assert_eq!(world.get(&record).await.expect(200)["details"]["host"], "a");
        assert_eq!(count(&world.get(&performance).await.expect(200)), 1);
        world.post("/api/learning/executions", &run).await.expect(201);

        // Performance passes as well; what is newer, and the facts, stay.
        clock.advance_seconds(30 * 86_400);
        let newer = world.until(&performance, |answer| count(answer) == 1).await;
        assert_eq!(newer["groups"][0]["metrics"]["latency_ms"]["mean"], 800.0);
        let fact = world.until(&record, |answer| answer["details"].is_null()).await;
        assert_eq!(fact["metrics"], json!({"total_ms": 11.0}), "the fact stays");
        assert_eq!(world.get(&old).await.expect(200)["metrics"]["latency_ms"], 800.0);
        // It is gone, not only hidden: without the retention it does not come back.
        with(world, |_| {}).await;
        assert_eq!(count(&world.get(&performance).await.expect(200)), 1);
    })
    .await;
}

#[tokio::test]
async fn profiles_and_windows_pass_their_retention() {
    on_both_with_clock("profiles_and_windows_pass_their_retention", async |world, clock| {
        with(world, |settings| settings.pattern_days = Some(180)).await;
        let send = async |world: &World, person: &str| {
            let signal = |n: usize| {
                json!({"agent_id": world.agent, "session_id": format!("{person} {n}"), "user_id": person,
                    "type": "content_reading", "content_id": "c", "category": "music", "words_per_minute": 250,
                    "scroll_depth": 1.0, "total_read_time": 240_000, "word_count": 1000, "interactions": 5})
            };
            let batch: Vec<Value> = (0..10).map(signal).collect();
            world.post("/api/learning/signals", &json!(batch)).await.expect(200);
        };
        let windows = world.agent_path("/windows");
        let processed = async |world: &World, count: usize| {
            let all = |answer: &Value| {
                let all = answer["windows"].as_array().unwrap();
                all.len() == count && all.iter().all(|window| window["status"] == "processed")
            };
            world.until(&windows, all).await
        };
        send(world, "ada").await;
        clock.advance_seconds(61);
        processed(world, 1).await;
        clock.advance_seconds(100 * 86_400);
        send(world, "bob").await;
        clock.advance_seconds(61);
        processed(world, 2).await;
        let profile = |world: &World, person: &str| world.agent_path(&format!("/profile?unit={person}"));
        for person in ["ada", "bob"] {
            world.get(&profile(world, person)).await.expect(200);
        }
        clock.advance_seconds(100 * 86_400);
        let left = processed(world, 1).await;
        assert_eq!(left["windows"][0]["ordinal"], 2, "the newer one");
        world.get(&profile(world, "ada")).await.problem(404, "not_found");
        world.get(&profile(world, "bob")).await.expect(200);
        // Nor is it in memory: decisions see nothing of it. A profile that is known is seen.
        for (person, known) in [("ada", false), ("bob", true)] {
            let decision = world.decide(&json!({"unit": person})).await;
            let seen = loop {
                let all = world.get("/api/learning/export/decisions").await.text;
                let mut all = all.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
                if let Some(found) = all.find(|d| d["id"] == decision["decision_id"]) {
                    break found;
                }
            };
            assert_eq!(seen["context"]["profile_interest"] == "music", known, "{person}: {seen}");
        }
        // What comes later is counted on.
        send(world, "ada").await;
        clock.advance_seconds(61);
        let again = processed(world, 2).await;
        assert_eq!(again["windows"][0]["ordinal"], 3);
        let fresh = world.get(&profile(world, "ada")).await.expect(200);
        assert_eq!(fresh["signals"], 10, "{fresh}");
    })
    .await;
}

#[tokio::test]
async fn experiments_that_do_not_say_it_follow_the_configuration() {
    let name = "experiments_that_do_not_say_it_follow_the_configuration";
    on_both_with_clock(name, async |world, _| {
        let draft = |name: &str| {
            json!({"name": name, "agent_id": world.agent,
                "arms": [{"version": world.versions[0]}, {"version": world.versions[1]}]})
        };
        let (plain, configured, own) = (draft("plain"), draft("configured"), draft("own"));
        let made = world.post("/api/learning/experiments", &plain).await.expect(201);
        assert_eq!((&made["min_sample_size"], &made["min_duration_hours"]), (&json!(1000), &json!(168.0)));
        with(world, |settings| {
            settings.experiments.min_samples = 50;
            settings.experiments.min_duration_hours = 3.0;
            settings.experiments.significance = 0.01;
        })
        .await;
        let made = world.post("/api/learning/experiments", &configured).await.expect(201);
        assert_eq!((&made["min_sample_size"], &made["min_duration_hours"]), (&json!(50), &json!(3.0)));
        assert_eq!(made["plan"]["alpha"], 0.01, "{made}");
        let mut own = own;
        own["min_sample_size"] = json!(7);
        own["significance_threshold"] = json!(0.1);
        let made = world.post("/api/learning/experiments", &own).await.expect(201);
        assert_eq!((&made["min_sample_size"], &made["min_duration_hours"]), (&json!(7), &json!(3.0)));
        assert_eq!(made["plan"]["alpha"], 0.1);
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
