//! From a rollout's decision record to the executions and the feedback it rests on, and back.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use upswing_domain::{OrganisationId, Role};
use uuid::Uuid;

use crate::rollouts::{quick, rollout_path};
use crate::support::{Answer, World, on_both_with_clock};

impl World {
    /// One request that is executed and rated by a person; the execution and the feedback. What is served otherwise fails where
    /// `fails`, so that nothing is taken back.
    async fn rated(&self, n: usize, fails: bool) -> (Value, Value) {
        let decision = self.decide(&json!({})).await;
        let mut body = json!({"agent_id": self.agent, "decision_id": decision["decision_id"]});
        if n.is_multiple_of(4) {
            body["id"] = json!(Uuid::now_v7());
        }
        if fails && decision["label"] == "direct" {
            body["error"] = json!("timeout");
        }
        let execution = self.post("/api/learning/executions", &body).await.expect(201);
        let stars = json!({"agent_id": self.agent, "execution_id": execution["id"], "feedback_type": "star_rating",
                           "rating": 1 + n % 5, "author": format!("user-{n}")});
        let feedback = self.post("/api/learning/feedback", &stars).await.expect(201);
        (execution["id"].clone(), feedback["id"].clone())
    }

    async fn effects(&self, feedback: &Value) -> Value {
        let path = format!("/api/learning/feedback/{}/effects", feedback.as_str().unwrap());
        self.get(&path).await.expect(200)
    }

    /// All pages of a list of a rollout, each item.
    pub(crate) async fn pages(&self, id: &Value, noun: &str, limit: usize) -> Vec<Value> {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = rollout_path(id, &format!("/{noun}?limit={limit}{cursor}"));
            let page = self.get(&path).await.expect(200);
            let items = page[noun].as_array().unwrap();
            assert!(items.len() <= limit, "{}", items.len());
            found.extend(items.iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return found,
            }
        }
    }
}

#[tokio::test]
async fn a_record_names_the_very_feedback_it_rests_on_and_the_feedback_leads_back() {
    on_both_with_clock(
        "a_record_names_the_very_feedback_it_rests_on_and_the_feedback_leads_back",
        async |world, clock| {
            world.live().await;
            let (_, before) = world.rated(1, false).await;
            let body = json!({"version": world.versions[1], "plan": quick()});
            let rollout = world.post(&world.agent_path("/rollouts"), &body).await.expect(201);
            let id = &rollout["id"];
            let mut made = Vec::new();
            for n in 0..60 {
                made.push(world.rated(n, n.is_multiple_of(7)).await);
            }
            // One that nobody reported, of which something is said all the same.
            let unreported = world.decide(&json!({})).await;
            let thumb = json!({"agent_id": world.agent, "execution_id": unreported["decision_id"],
                               "feedback_type": "thumbs_up", "author": "user-x"});
            let thumb = world.post("/api/learning/feedback", &thumb).await.expect(201);

            let record_path = rollout_path(id, "/record");
            let record = world.get(&record_path).await.expect(200);
            let evidence = &record["evidence"];
            let mut linked = 0;
            for arm in ["new", "current"] {
                for list in ["worst", "latest"] {
                    let items = evidence[arm][list].as_array().unwrap();
                    assert!((1..=20).contains(&items.len()), "{arm} {list}: {}", items.len());
                    for item in items {
                        assert_eq!(item["arm"], arm);
                        if let Some(path) = item["execution"].as_str() {
                            let execution = world.get(path).await.expect(200);
                            assert_eq!(execution["decision_id"], item["decision_id"], "{execution}");
                            assert_eq!((&execution["error"], &execution["reward"]), (&item["error"], &item["reward"]));
                        }
                        for said in item["feedback"].as_array().unwrap() {
                            let effects = world.get(said["effects"].as_str().unwrap()).await.expect(200);
                            assert_eq!(effects["feedback_id"], said["feedback_id"]);
                            let back = &effects["rollouts"][0];
                            assert_eq!(
                                (&back["record"], &back["arm"], &back["state"]),
                                (&json!(record_path), &json!(arm), &json!("running"))
                            );
                            linked += 1;
                        }
                    }
                }
            }
            assert!(linked > 40, "{linked}");
            let rewards = |list: &Value| {
                let items = list.as_array().unwrap().clone();
                let known = items.into_iter().filter(|item| item["error"].is_null());
                known.map(|item| item["reward"].as_f64().unwrap()).collect::<Vec<f64>>()
            };
            assert!(rewards(&evidence["current"]["worst"]).is_sorted(), "{evidence}");
            assert_eq!(evidence["current"]["worst"][0]["error"], "timeout", "what failed comes first");
            assert_eq!(evidence["shadow"], Value::Null);

            // The pages have every one of them once, the newest first.
            assert_eq!(evidence["all"], rollout_path(id, "/evidence"));
            assert_eq!(record["links"]["evidence"], evidence["all"]);
            let all = world.pages(id, "evidence", 7).await;
            let positions: Vec<i64> = all.iter().map(|item| item["position"].as_i64().unwrap()).collect();
            assert!(positions.is_sorted_by(|a, b| a > b), "{positions:?}");
            let listed: BTreeSet<(String, String)> = all
                .iter()
                .filter(|item| item["execution_id"].is_string())
                .map(|item| (item["execution_id"].to_string(), item["feedback"][0]["feedback_id"].to_string()))
                .collect();
            let expected = made.iter().map(|(execution, feedback)| (execution.to_string(), feedback.to_string()));
            assert_eq!(listed, expected.collect());
            let [open] = &all.iter().filter(|item| item["execution_id"].is_null()).collect::<Vec<_>>()[..] else {
                panic!("one was not reported: {all:?}");
            };
            assert_eq!(open["feedback"][0]["feedback_id"], thumb["id"]);
            world.get(&rollout_path(id, "/evidence?cursor=x")).await.problem(422, "invalid_parameter");
            world.get(&rollout_path(id, "/evidence?limit=0")).await.problem(422, "invalid_parameter");

            // What was said before, or after it was over, took no part in it.
            assert_eq!(world.effects(&before).await["rollouts"], json!([]));
            world.post(&rollout_path(id, "/rollback"), &json!({"reason": "enough"})).await.expect(200);
            clock.advance_seconds(1);
            let late = json!({"agent_id": world.agent, "execution_id": made[0].0, "feedback_type": "thumbs_down",
                              "author": "late"});
            let late = world.post("/api/learning/feedback", &late).await.expect(201);
            assert_eq!(world.effects(&late["id"]).await["rollouts"], json!([]));
            assert_eq!(world.effects(&made[0].1).await["rollouts"][0]["state"], "rolled_back");
            let after = world.pages(id, "evidence", 200).await;
            assert!(!json!(after).to_string().contains(late["id"].as_str().unwrap()));
            assert_eq!(after.len(), all.len());

            let page = Answer::of(
                world
                    .request(reqwest::Method::GET, &record_path)
                    .bearer_auth(&world.admin)
                    .header("accept", "text/html"),
            )
            .await;
            let effects = format!("href=\"/api/learning/feedback/{}/effects\"", made[59].1.as_str().unwrap());
            let execution = format!("href=\"/api/learning/executions/{}\"", made[59].0.as_str().unwrap());
            for link in [&effects, &execution, &format!("href=\"{}\"", rollout_path(id, "/evidence"))] {
                assert!(page.text.contains(link), "{link} in {}", page.text);
            }

            // Another organisation finds nothing of it.
            let stranger = OrganisationId(Uuid::now_v7());
            let named = "Stranger".to_owned();
            world.server().store().create_organisation(stranger, named, world.clock.now()).await.unwrap();
            let (stranger, _) = world.key(stranger, Role::Admin, None).await;
            world.server().refresh().await.unwrap();
            for path in [rollout_path(id, "/evidence"), rollout_path(id, "/pairs"), record_path] {
                let request = world.request(reqwest::Method::GET, &path).bearer_auth(&stranger);
                Answer::of(request).await.problem(404, "not_found");
            }
        },
    )
    .await;
}
