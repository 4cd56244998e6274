//! Moderation, spam, caps and copies, as the API shows them.

use serde_json::json;

use crate::support::on_both;

#[tokio::test]
async fn what_no_moderator_would_let_stand_is_refused_and_anger_is_not() {
    on_both("what_no_moderator_would_let_stand_is_refused_and_anger_is_not", async |world| {
        let said = |text: &str| {
            json!({"agent_id": world.agent, "session_id": "v", "feedback_type": "detailed_feedback", "feedback_text": text})
        };
        let refused = world.post("/api/learning/feedback", &said("i will k1ll you")).await;
        let problem = refused.problem(422, "content_refused");
        assert!(!problem.to_string().contains("k1ll"), "the text is not repeated: {problem}");
        world.post("/api/learning/feedback", &said("this damn answer is useless, and wrong")).await.expect(201);
        world.post("/api/learning/feedback", &said("bad")).await.expect(201);
    })
    .await;
}

#[tokio::test]
async fn spam_is_refused_with_its_score_and_reasons() {
    on_both("spam_is_refused_with_its_score_and_reasons", async |world| {
        let spam = "BUY NOW cheap followers!!! limited offer click here https://a.example https://b.example \
                    https://c.example whatsapp +1 415 555 0132 buy now click here buy now click here";
        let said = json!({"agent_id": world.agent, "session_id": "v", "feedback_type": "star_rating", "rating": 5,
            "feedback_text": spam});
        let problem = world.post("/api/learning/feedback", &said).await.problem(422, "spam");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("0.8") || detail.contains("0.9"), "{detail}");
        assert!(detail.contains("promotion") && !detail.contains("followers"), "{detail}");
    })
    .await;
}

#[tokio::test]
async fn copies_by_many_count_three_times_and_one_person_forty_times() {
    on_both("copies_by_many_count_three_times_and_one_person_forty_times", async |world| {
        let mut standings = Vec::new();
        for n in 0..5 {
            let decision = world.decide(&json!({})).await;
            let execution = world.execute(&decision).await["id"].clone();
            let said = json!({"agent_id": world.agent, "execution_id": execution, "feedback_type": "star_rating",
                "rating": 1, "author": format!("account-{n}"),
                "feedback_text": format!("The newest version answers so badly that nobody here wants it back number {n}")});
            let stored = world.post("/api/learning/feedback", &said).await.expect(201);
            let id = stored["id"].as_str().unwrap();
            let kept = world.get(&format!("/api/learning/feedback/{id}")).await.expect(200);
            standings.push((kept["standing"].as_str().unwrap().to_owned(), stored["reward"].as_f64()));
        }
        let counted = ("counted".to_owned(), Some(0.0));
        let copy = ("near_duplicate".to_owned(), None);
        assert_eq!(standings, [counted.clone(), counted.clone(), counted, copy.clone(), copy]);
        let mut counted = 0;
        for n in 0..45 {
            // Over months: what one person says in an hour would look like spam before it met the cap.
            let at = format!("2026-09-{:02}T{:02}:00:00Z", 1 + n / 2, 6 + 12 * (n % 2));
            let said = json!({"agent_id": world.agent, "session_id": format!("v{n}"), "feedback_type": "star_rating",
                "rating": 2 + n % 3, "author": "ada", "occurred_at": at});
            let stored = world.post("/api/learning/feedback", &said).await.expect(201);
            let id = stored["id"].as_str().unwrap();
            let kept = world.get(&format!("/api/learning/feedback/{id}")).await.expect(200);
            counted += i32::from(kept["standing"] == "counted");
        }
        assert_eq!(counted, 40);
    })
    .await;
}

#[tokio::test]
async fn statements_with_a_shape_of_their_own_are_checked_and_come_back() {
    on_both("statements_with_a_shape_of_their_own_are_checked_and_come_back", async |world| {
        let all = [
            json!({"type": "item_rating", "item_id": "tool-7", "aspects": {"usability": 4.0, "documentation": 2.0},
                "would_recommend": true, "use_case": "notes", "experience_level": "expert"}),
            json!({"type": "recommendation", "item_id": "tool-7", "relevant": false, "action": "dismissed", "rank": 2}),
            json!({"type": "feature", "feature": "search", "satisfaction": 2.0, "ease": 3.0, "suggestion": "faster"}),
            json!({"type": "evaluation", "name": "groundedness", "score": 0.4, "label": "fail", "explanation": "no source"}),
        ];
        let metrics = [
            json!({"aspect.documentation": 2.0, "aspect.usability": 4.0, "would_recommend": 1.0}),
            json!({"recommendation.relevant": 0.0}),
            json!({"feature.ease": 3.0}),
            json!({"evaluation.groundedness": 0.4}),
        ];
        for (details, metrics) in all.into_iter().zip(metrics) {
            let said = json!({"agent_id": world.agent, "unit": "ada", "feedback_type": "detailed_feedback", "details": details});
            let stored = world.post("/api/learning/feedback", &said).await.expect(201);
            let id = stored["id"].as_str().unwrap();
            let kept = world.get(&format!("/api/learning/feedback/{id}")).await.expect(200);
            assert_eq!((&kept["details"], &kept["details_type"]), (&details, &details["type"]));
            assert_eq!(kept["metrics"], metrics);
            assert!(kept["unit"].is_string() && kept["execution_id"].is_null());
            let mut wrong = said.clone();
            wrong["details"]["surprise"] = json!(1);
            world.post("/api/learning/feedback", &wrong).await.problem(422, "invalid_body");
        }
        for details in [
            json!({"type": "item_rating", "item_id": "", "aspects": {}}),
            json!({"type": "item_rating", "item_id": "x", "aspects": {"usability": 6}}),
            json!({"type": "feature", "feature": "x", "satisfaction": 0}),
        ] {
            let said = json!({"agent_id": world.agent, "unit": "ada", "feedback_type": "detailed_feedback", "details": details});
            world.post("/api/learning/feedback", &said).await.problem(422, "value_out_of_range");
        }
        let both = json!({"agent_id": world.agent, "unit": "ada", "session_id": "v", "feedback_type": "thumbs_up"});
        world.post("/api/learning/feedback", &both).await.problem(422, "invalid_body");
    })
    .await;
}

#[tokio::test]
async fn what_others_wrote_before_raises_the_spam_score_and_alone_refuses_nothing() {
    on_both("what_others_wrote_before_raises_the_spam_score_and_alone_refuses_nothing", async |world| {
        let said = |n: usize, text: &str| {
            json!({"agent_id": world.agent, "session_id": format!("v{n}"), "author": format!("account-{n}"),
                "feedback_type": "star_rating", "rating": 5, "feedback_text": text})
        };
        // A suspicious text: once it passes.
        let selling =
            "Order now, best price for all those who answer, click here and tell your friends about it";
        let plain = "The second step of the recipe lacks salt and takes far too long for a weekday";
        let mut refused = None;
        for n in 0..25 {
            world.post("/api/learning/feedback", &said(n, plain)).await.expect(201);
            let answer = world.post("/api/learning/feedback", &said(100 + n, selling)).await;
            if answer.status == 422 {
                refused = refused.or(Some((n, answer.problem(422, "spam"))));
            }
        }
        let (times, problem) = refused.expect("copies of a suspicious text are refused");
        assert!((3..20).contains(&times), "after {times}");
        assert!(problem["detail"].as_str().unwrap().contains("others_copies"), "{problem}");
    })
    .await;
}
