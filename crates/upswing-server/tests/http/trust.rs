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

#[tokio::test]
async fn what_is_flagged_is_marked_and_counted_and_texts_are_looked_through() {
    on_both("what_is_flagged_is_marked_and_counted_and_texts_are_looked_through", async |world| {
        let text =
            "What the fuck is this shit, write to jane.doe@example.com about the bug in your python code";
        let said = json!({"agent_id": world.agent, "session_id": "v", "feedback_type": "detailed_feedback",
            "feedback_text": text});
        let angry = world.post("/api/learning/feedback", &said).await.expect(201);
        let path = format!("/api/learning/feedback/{}", angry["id"].as_str().unwrap());
        let kept = world.get(&path).await.expect(200);
        assert_eq!(kept["flags"], json!([{"category": "profanity", "score": 0.75}]));
        assert_eq!(kept["enrichment"]["domain"], "programming");
        let keywords = kept["enrichment"]["keywords"].to_string();
        assert!(keywords.contains("python") && !keywords.contains("jane"), "{keywords}");

        let said = json!({"agent_id": world.agent, "session_id": "v", "feedback_type": "detailed_feedback",
            "feedback_text": "Thank you, that helped"});
        let kind = world.post("/api/learning/feedback", &said).await.expect(201);
        let kind =
            world.get(&format!("/api/learning/feedback/{}", kind["id"].as_str().unwrap())).await.expect(200);
        assert!(kind.get("flags").is_none() && kind["enrichment"]["domain"] == "general", "{kind}");
        let stats =
            world.get(&format!("/api/learning/feedback/stats?agent_id={}", world.agent)).await.expect(200);
        assert_eq!((&stats["flagged"], &stats["total_feedback"]), (&json!(1), &json!(2)));

        let run = json!({"agent_id": world.agent, "input": "Write a function to validate email addresses"});
        let run = world.post("/api/learning/executions", &run).await.expect(201);
        let run_path = format!("/api/learning/executions/{}", run["id"].as_str().unwrap());
        let enrichment = &world.get(&run_path).await.expect(200)["enrichment"];
        let keywords = json!(["function", "validate", "email", "addresses"]);
        assert_eq!((&enrichment["keywords"], &enrichment["complexity_score"]), (&keywords, &json!(3)));

        // Keywords are words of the text: who may not read that does not see them.
        let (member, _) = world.key(world.organisation, upswing_domain::Role::Member, None).await;
        for path in [&path, &run_path] {
            let request = world.request(reqwest::Method::GET, path);
            let seen = crate::support::Answer::of(request.bearer_auth(&member)).await.expect(200);
            assert!(seen.get("enrichment").is_none(), "{seen}");
        }

        // What an interaction does not say is found out; what it says stands.
        for (given, expected) in
            [(json!({}), ("programming", 3.0)), (json!({"domain": "mail"}), ("mail", 3.0))]
        {
            let id = uuid::Uuid::now_v7().to_string();
            let mut input = json!({"raw_prompt": "Write a function to validate email addresses"});
            crate::support::merge(&mut input, &given);
            let record = json!({"interaction_id": id, "input_data": input});
            let path = format!("/api/learning/records/interaction?agent_id={}", world.agent);
            world.post(&path, &record).await.expect(201);
            let context = &world.get(&format!("/api/learning/executions/{id}")).await.expect(200)["context"];
            assert_eq!(
                (&context["domain"], &context["complexity"]),
                (&json!(expected.0), &json!(expected.1))
            );
        }

        world.restart_with(|config| config.enrichment = false).await;
        let run = json!({"agent_id": world.agent, "input": "Write a function to validate email addresses"});
        let run = world.post("/api/learning/executions", &run).await.expect(201);
        let run =
            world.get(&format!("/api/learning/executions/{}", run["id"].as_str().unwrap())).await.expect(200);
        assert!(run.get("enrichment").is_none(), "{run}");
    })
    .await;
}
