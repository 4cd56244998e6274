//! `/api/learning/signals`, and what windows make of them.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use upswing_server::Server;

use crate::support::{Answer, ORIGIN, World, config, on_both, on_both_with_clock};

#[tokio::test]
async fn what_somebody_did_has_a_value_and_teaches_where_the_definition_says_so() {
    on_both("what_somebody_did_has_a_value_and_teaches_where_the_definition_says_so", async |world| {
        let decision = world.decide(&json!({})).await;
        let execution = world.execute(&decision).await["id"].clone();
        let give = |more: Value| {
            let mut body = json!({"agent_id": world.agent, "execution_id": execution, "user_id": "ada"});
            crate::support::merge(&mut body, &more);
            body
        };
        let edited = give(json!({"type": "edit", "changed_share": 0.25, "keystrokes": 12, "theme": "dark"}));
        let stored = world.post("/api/learning/signals", &edited).await.expect(201);
        assert_eq!(stored["reward"], Value::Null, "no definition asks for it");
        let kept = world.get(&format!("/api/learning/feedback/{}", stored["id"].as_str().unwrap())).await.expect(200);
        assert_eq!(kept["feedback_type"], "implicit");
        assert_eq!(kept["metrics"], json!({"implicit.edit": 0.75}));
        assert_eq!(kept["details"], json!({"type": "edit", "changed_share": 0.25, "keystrokes": 12}));

        let definition = json!({"metrics": {"implicit.edit": {"minimum": 0, "maximum": 1}}});
        world.put(&world.agent_path("/reward-definition"), &definition).await.expect(200);
        let again = give(json!({"type": "edit", "changed_share": 0.5}));
        let stored = world.post("/api/learning/signals", &again).await.expect(201);
        assert_eq!(stored["reward"], 0.5);

        let searched = give(json!({"type": "search", "query": "Mail Jane.Doe@mail.example.com about order 20261121",
            "clickedIndices": [0], "timeToFirstClick": 900, "totalTime": 40000, "queryRefinements": ["b"]}));
        let stored = world.post("/api/learning/signals", &searched).await.expect(201);
        let kept = world.get(&format!("/api/learning/feedback/{}", stored["id"].as_str().unwrap())).await.expect(200);
        assert_eq!(kept["metrics"], json!({"implicit.search": 1.0}));
        assert_eq!(kept["details"]["query"], "mail [email] about order [number]");

        for (wrong, field) in [
            (json!({"type": "edit", "changed_share": 2}), "changed_share"),
            (json!({"type": "copy", "copied_length": -1}), "copied_length"),
            (json!({"type": "copy", "agent_id": "x"}), ""),
            (json!({"type": "shrug"}), ""),
            (json!({}), ""),
        ] {
            let answer = world.post("/api/learning/signals", &give(wrong)).await;
            let problem = answer.json();
            assert_eq!(problem["status"], 422, "{problem}");
            if !field.is_empty() {
                assert_eq!(problem["field"], field, "{problem}");
            }
        }
        let nowhere = json!({"agent_id": world.agent, "type": "copy"});
        world.post("/api/learning/signals", &nowhere).await.problem(422, "invalid_body");
        let visit = json!({"agent_id": world.agent, "session_id": "visit-1", "type": "navigation", "pages_visited": 3});
        let stored = world.post("/api/learning/signals", &visit).await.expect(201);
        assert_eq!(stored["execution_id"], Value::Null);
    })
    .await;
}

#[tokio::test]
async fn a_page_says_so_much_about_its_own_execution_and_no_more() {
    on_both("a_page_says_so_much_about_its_own_execution_and_no_more", async |world| {
        let decision = world.decide(&json!({"feedback_token": true})).await;
        let token = &decision["feedback_token"];
        let send = async |body: Value| {
            let request = world.request(Method::POST, "/api/learning/signals");
            Answer::of(request.bearer_auth(&world.publishable).header("origin", ORIGIN).json(&body)).await
        };
        send(json!({"type": "copy"})).await.problem(403, "token_required");
        send(json!({"type": "copy", "token": decision["token"]})).await.problem(403, "token_invalid");
        let other = uuid::Uuid::now_v7();
        send(json!({"type": "copy", "token": token, "execution_id": other}))
            .await
            .problem(403, "token_mismatch");
        let first = send(json!({"type": "copy", "token": token})).await.expect(201);
        let again = send(json!({"type": "copy", "token": token, "id": other})).await.expect(200);
        assert_eq!(
            (&again["id"], &again["status"]),
            (&first["id"], &json!("duplicate")),
            "an id of its own helps nobody"
        );
        send(json!({"type": "copy", "token": token, "sequence": 19})).await.expect(201);
        send(json!({"type": "copy", "token": token, "sequence": 20}))
            .await
            .problem(422, "value_out_of_range");
        // A batch: what is bad is refused alone.
        let batch =
            json!([{"type": "edit", "changed_share": 0.1, "token": token}, {"type": "edit", "token": token}]);
        let answer = send(batch).await.expect(200);
        assert_eq!((&answer["accepted"], answer["rejected"][0]["index"].as_u64()), (&json!(1), Some(1)));
        let preflight =
            Answer::of(world.request(Method::OPTIONS, "/api/learning/signals").header("origin", ORIGIN))
                .await;
        assert_eq!(preflight.header("access-control-allow-origin"), ORIGIN);
        // Explicit feedback of the same page is still possible.
        let feedback = json!({"feedback_type": "thumbs_up", "token": token});
        let request = world.request(Method::POST, "/api/learning/feedback").header("origin", ORIGIN);
        Answer::of(request.bearer_auth(&world.publishable).json(&feedback)).await.expect(201);
    })
    .await;
}

async fn send(world: &World, count: usize, person: &str, more: Value) {
    let signal = |n: usize| {
        let mut body = json!({"agent_id": world.agent, "session_id": format!("visit-{n}"), "user_id": person,
            "type": "content_reading", "category": "music", "scroll_depth": 0.9});
        crate::support::merge(&mut body, &more);
        body
    };
    let batch: Vec<_> = (0..count).map(signal).collect();
    let answer = world.post("/api/learning/signals", &json!(batch)).await.expect(200);
    assert_eq!(answer["accepted"], count, "{answer}");
}

#[tokio::test]
async fn a_window_waits_for_ten_signals_and_a_minute_and_changes_the_next_decision() {
    let name = "a_window_waits_for_ten_signals_and_a_minute_and_changes_the_next_decision";
    on_both_with_clock(name, async |world, clock| {
        send(world, 9, "ada", json!({})).await;
        clock.advance_seconds(61);
        let path = world.agent_path("/windows");
        // Something else is processed meanwhile, and these are not: fewer than ten are carried over.
        let fresh = json!({"agent_id": world.agent, "session_id": "s", "user_id": "ada", "type": "abandon"});
        let carried = world.get(&path).await.expect(200);
        assert_eq!(carried["windows"], json!([]));
        world.post("/api/learning/signals", &fresh).await.expect(201);
        let done = world.until(&path, |answer| answer["windows"][0]["status"] == "processed").await;
        let window = &done["windows"][0];
        assert_eq!((&window["ordinal"], &window["signals"]), (&json!(1), &json!(10)));
        let stages: Vec<_> =
            window["stages"].as_array().unwrap().iter().map(|s| s["stage"].as_str().unwrap()).collect();
        let all = [
            "validation",
            "aggregation",
            "quality_filter",
            "signal_extraction",
            "profile_update",
            "training_queue",
        ];
        assert_eq!(stages, all);
        for stage in window["stages"].as_array().unwrap() {
            assert!(
                stage["confidence"].as_f64().unwrap() >= 0.3
                    && stage["milliseconds"].as_f64().unwrap() >= 0.0
            );
            assert!(stage["input"].is_u64() && stage["output"].is_u64(), "{stage}");
        }
        assert_eq!(done["training_queue"], 1, "what is not strong waits for training");

        let profile = world.get(&world.agent_path("/profile?unit=ada")).await.expect(200);
        assert_eq!((&profile["signals"], &profile["kinds"]), (&json!(9), &json!({"content_reading": 9})));
        let decision = world.decide(&json!({"unit": "ada", "context": {"task": "x"}})).await;
        let id = decision["decision_id"].as_str().unwrap();
        let seen = decisions(world, id).await;
        assert_eq!(seen["context"]["profile_interest"], "music", "{seen}");
        assert_eq!(
            (&seen["context"]["task"], &seen["context"]["profile_engagement"]),
            (&json!("x"), &json!(0.9))
        );
        let other = world.decide(&json!({"unit": "bob", "context": {"task": "x"}})).await;
        let seen = decisions(world, other["decision_id"].as_str().unwrap()).await;
        assert_eq!(seen["context"], json!({"task": "x"}), "nobody else's");

        // After a restart it is known as well.
        world.restart().await;
        let decision = loop {
            let decision = world.decide(&json!({"unit": "ada"})).await;
            let seen = decisions(world, decision["decision_id"].as_str().unwrap()).await;
            if !seen["context"].is_null() {
                break seen;
            }
        };
        assert_eq!(decision["context"]["profile_interest"], "music");
    })
    .await;
}

/// The record of a decision, once it is on disk.
async fn decisions(world: &World, id: &str) -> Value {
    loop {
        let all = world.get("/api/learning/export/decisions").await.text;
        let found =
            all.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).find(|d| d["id"] == id);
        if let Some(found) = found {
            return found;
        }
    }
}

#[tokio::test]
async fn a_thousand_signals_are_a_window_at_once() {
    on_both_with_clock("a_thousand_signals_are_a_window_at_once", async |world, _| {
        send(world, 1500, "ada", json!({"scroll_depth": 0.6})).await;
        let path = world.agent_path("/windows");
        let done = world.until(&path, |answer| !answer["windows"][0].is_null()).await;
        assert_eq!(done["windows"][0]["signals"], 1000);
        assert_eq!(done["windows"].as_array().unwrap().len(), 1, "the rest waits for its minute");
        assert_eq!(done["training_queue"], 1000);
    })
    .await;
}

#[tokio::test]
async fn a_person_who_refuses_has_no_profile() {
    on_both_with_clock("a_person_who_refuses_has_no_profile", async |world, clock| {
        let refuse =
            json!({"subject": "ada", "purpose": "personalisation", "granted": false, "policy": "2026-11"});
        let kept = world.put("/api/learning/consents", &refuse).await.expect(200);
        assert_eq!((&kept["version"], &kept["granted"]), (&json!(1), &json!(false)));
        send(world, 10, "ada", json!({})).await;
        clock.advance_seconds(61);
        world
            .until(&world.agent_path("/windows"), |answer| answer["windows"][0]["status"] == "processed")
            .await;
        world.get(&world.agent_path("/profile?unit=ada")).await.problem(404, "not_found");
        let refuse = json!({"subject": "ada", "purpose": "learning", "granted": false});
        world.put("/api/learning/consents", &refuse).await.expect(200);
        let signal = json!({"agent_id": world.agent, "session_id": "s", "user_id": "ada", "type": "copy"});
        world.post("/api/learning/signals", &signal).await.problem(403, "consent_missing");
        let agree = json!({"subject": "ada", "purpose": "learning", "granted": true});
        assert_eq!(world.put("/api/learning/consents", &agree).await.expect(200)["version"], 2);
        world.post("/api/learning/signals", &signal).await.expect(201);
        let all = world.get("/api/learning/consents?subject=ada").await.expect(200);
        assert_eq!(all["consents"].as_array().unwrap().len(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_stage_that_fails_is_tried_again_and_then_set_aside_and_nothing_is_lost() {
    let name = "a_stage_that_fails_is_tried_again_and_then_set_aside_and_nothing_is_lost";
    on_both_with_clock(name, async |world, clock| {
        world.stop().await;
        let broken = Arc::new(std::sync::atomic::AtomicBool::new(true));
        let fault = Arc::clone(&broken);
        let mut settings = config(&world.database.url, &world.keyring, &world.clock);
        settings.stage_fault = Some(Arc::new(move |stage, _| {
            let fails = stage == "aggregation" && fault.load(std::sync::atomic::Ordering::SeqCst);
            if fails { Err("out of order".to_owned()) } else { Ok(()) }
        }));
        world.resume(Server::start(settings).await.unwrap());
        send(world, 10, "ada", json!({})).await;
        clock.advance_seconds(61);
        let path = world.agent_path("/windows");
        for attempts in 1..5 {
            let seen = world.until(&path, |answer| answer["windows"][0]["attempts"] == attempts).await;
            assert_eq!(seen["windows"][0]["status"], "retrying");
            assert_eq!(seen["windows"][0]["error"], "aggregation: out of order");
            assert!(seen["windows"][0]["next_attempt_at"].is_string());
            clock.advance_seconds(1 << (attempts - 1));
        }
        let aside = world.until(&path, |answer| answer["windows"][0]["status"] == "set_aside").await;
        assert_eq!(aside["windows"][0]["attempts"], 5);
        broken.store(false, std::sync::atomic::Ordering::SeqCst);
        // The next window is not held up, and what was set aside can be tried again.
        send(world, 10, "bob", json!({})).await;
        clock.advance_seconds(61);
        world
            .until(&path, |answer| {
                answer["windows"][0]["ordinal"] == 2 && answer["windows"][0]["status"] == "processed"
            })
            .await;
        let retry = world.agent_path("/windows/1/retry");
        world.post(&retry, &json!({})).await.expect(200);
        world.until(&path, |answer| answer["windows"][1]["status"] == "processed").await;
        let profile = world.get(&world.agent_path("/profile?unit=ada")).await.expect(200);
        assert_eq!(profile["signals"], 10);
        world.post(&retry, &json!({})).await.problem(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn a_window_that_says_too_little_goes_no_further() {
    on_both_with_clock("a_window_that_says_too_little_goes_no_further", async |world, clock| {
        send(world, 12, "ada", json!({"scroll_depth": 0.05})).await;
        clock.advance_seconds(61);
        let path = world.agent_path("/windows");
        let seen = world.until(&path, |answer| answer["windows"][0]["status"] == "stopped").await;
        let stages = seen["windows"][0]["stages"].as_array().unwrap();
        let last = stages.last().unwrap();
        assert_eq!((&last["stage"], &last["confidence"]), (&json!("signal_extraction"), &json!(0.05)));
        assert_eq!(seen["training_queue"], 0);
    })
    .await;
}
