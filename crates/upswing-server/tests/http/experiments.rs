//! `/api/learning/experiments`: versions compared on live traffic.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::{World, merge, on_both, on_both_with_clock, on_postgres};

const EXPERIMENTS: &str = "/api/learning/experiments";

impl World {
    pub(crate) async fn experiment(&self, more: &Value) -> String {
        let arms: Vec<Value> = self.versions.iter().map(|version| json!({"version": version})).collect();
        let mut body = json!({"name": "which is better", "agent_id": self.agent, "arms": arms,
                              "min_sample_size": 20, "min_duration_hours": 0, "seed": "s"});
        merge(&mut body, more);
        let made = self.post(EXPERIMENTS, &body).await.expect(201);
        assert_eq!(made["status"], "draft");
        made["id"].as_str().unwrap().to_owned()
    }

    async fn running(&self, more: &Value) -> String {
        let id = self.experiment(more).await;
        let started = self.act(&id, "start", &json!({})).await.expect(200);
        assert_eq!((&started["success"], &started["status"]), (&json!(true), &json!("running")));
        id
    }

    async fn act(&self, id: &str, action: &str, body: &Value) -> crate::support::Answer {
        self.post(&format!("{EXPERIMENTS}/{id}/{action}"), body).await
    }

    async fn results(&self, id: &str) -> Value {
        self.get(&format!("{EXPERIMENTS}/{id}/results")).await.expect(200)
    }
}

/// GrowthBook's hash, version 2, written again from its specification.
fn hash(seed: &str, value: &str) -> f64 {
    let fnv =
        |text: &str| text.bytes().fold(0x811c_9dc5_u32, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
    f64::from(fnv(&fnv(&format!("{seed}{value}")).to_string()) % 10_000) / 10_000.0
}

#[tokio::test]
async fn the_documented_body_makes_an_experiment_that_runs() {
    on_both("the_documented_body_makes_an_experiment_that_runs", async |world| {
        let body = json!({
            "name": "New prompt vs current",
            "description": "Testing improved prompt structure",
            "hypothesis": "New prompt will increase accuracy by 5%",
            "agent_id": world.agent,
            "control_config": {"system_prompt": "Current prompt..."},
            "treatment_config": {"system_prompt": "Improved prompt..."},
            "control_percentage": 50,
            "treatment_percentage": 50,
            "min_sample_size": 1000,
            "min_duration_hours": 168
        });
        let made = world.post(EXPERIMENTS, &body).await.expect(201);
        for field in ["name", "description", "hypothesis", "control_percentage", "min_sample_size"] {
            assert_eq!(
                made[field].as_f64().map(Value::from).unwrap_or(made[field].clone()),
                body[field].as_f64().map(Value::from).unwrap_or(body[field].clone()),
                "{field}"
            );
        }
        assert_eq!((&made["winner"], &made["statistical_significance"]), (&Value::Null, &Value::Null));
        let id = made["id"].as_str().unwrap();
        let started = world.act(id, "start", &json!({})).await.expect(200);
        assert_eq!((&started["success"], &started["status"]), (&json!(true), &json!("running")));
        let decision = world.decide(&json!({"unit": "user-1"})).await;
        assert_eq!((&decision["reason"], &decision["experiment_id"]), (&json!("experiment"), &json!(id)));
        let prompt = decision["config"]["system_prompt"].as_str().unwrap();
        assert_eq!(prompt.starts_with("Current"), hash(id, "user-1") < 0.5);
        // Decisions are written without being waited for.
        let listed = world
            .until(EXPERIMENTS, |listed| {
                let samples = |of: &str| listed["experiments"][0][of].as_u64().unwrap();
                samples("current_control_samples") + samples("current_treatment_samples") == 1
            })
            .await;
        assert_eq!(listed["experiments"][0]["id"], *id);
    })
    .await;
}

#[tokio::test]
async fn a_better_version_is_found_and_said_so_in_words() {
    on_both("a_better_version_is_found_and_said_so_in_words", async |world| {
        let id = world.running(&json!({"hypothesis": "steps help"})).await;
        let mut served = BTreeMap::<String, usize>::new();
        for user in 0..120 {
            let context = json!({"unit": format!("user-{user}"), "context": {"task": if user % 2 == 0 { "a" } else { "b" }}});
            let decision = world.decide(&context).await;
            let label = decision["label"].as_str().unwrap().to_owned();
            let execution = world.execute(&decision).await;
            let good = if label == "steps" { user % 10 != 0 } else { user % 3 == 0 };
            world.reward(&execution["id"], if good { 1.0 } else { 0.0 }).await;
            *served.entry(label).or_default() += 1;
            // Looking folds what is new, however fast the traffic is, and a look at more is remembered.
            if user % 20 == 19 {
                world.results(&id).await;
            }
        }
        let found = world.results(&id).await;
        let results = &found["results"];
        assert_eq!((&results["verdict"], &results["winner"]), (&json!("better"), &json!(1)), "{results}");
        assert!(results["summary"].as_str().unwrap().starts_with("Arm B is better"), "{results}");
        assert_eq!(results["exposed"], json!([served["direct"], served["steps"]]));
        let comparison = &results["metrics"][0]["comparisons"][0];
        assert!(comparison["sequential"]["e_value"].as_f64().unwrap() > 20.0, "{comparison}");
        assert!(comparison["bayesian"]["chance_to_win"].as_f64().unwrap() > 0.99);
        assert!(comparison["fixed_horizon"]["p_value"].as_f64().unwrap() < 0.01);
        let listed = world.get(&format!("{EXPERIMENTS}/{id}")).await.expect(200);
        assert_eq!(listed["winner"], "B");
        let history = world.get(&format!("{EXPERIMENTS}/{id}/history")).await.expect(200);
        let looks = history["looks"].as_array().unwrap();
        assert!(looks.len() > 3, "{history}");
        let units = |look: &Value| look["results"]["closed"].as_u64().unwrap();
        assert!(looks.windows(2).all(|pair| units(&pair[0]) < units(&pair[1])));
        // What is read after a restart is what was read before.
        world.restart().await;
        let again = world.results(&id).await;
        assert_eq!(again["results"]["metrics"], results["metrics"]);
        let stopped = world.act(&id, "stop", &json!({"reason": "it is clear"})).await.expect(200);
        assert_eq!(stopped["status"], "stopped");
        assert_eq!(world.results(&id).await["results"]["metrics"], results["metrics"]);
        let after = world.decide(&json!({"unit": "user-1"})).await;
        assert_ne!(after["reason"], "experiment");
    })
    .await;
}

#[tokio::test]
async fn units_are_sticky_hashed_as_elsewhere_and_kept_out_or_apart() {
    on_both("units_are_sticky_hashed_as_elsewhere_and_kept_out_or_apart", async |world| {
        let more = json!({
            "arms": [{"version": world.versions[0], "weight": 0.3}, {"version": world.versions[1], "weight": 0.7}],
            "coverage": 0.8,
            "layer": {"name": "prompts", "start": 0.0, "end": 0.5},
            "holdout": {"name": "2026", "share": 0.2},
            "targeting": [{"key": "plan", "operator": "in", "values": ["free"]}],
        });
        let id = world.running(&more).await;
        world.post(&world.agent_path(&format!("/versions/{}/promote", world.versions[0])), &json!({})).await.expect(200);
        world.put(&world.agent_path("/policy"), &json!({"name": "fixed"})).await.expect(200);
        let namespace = |unit: &str| {
            let fnv = format!("{unit}__prompts").bytes().fold(0x811c_9dc5_u32, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
            f64::from(fnv % 1_000) / 1_000.0
        };
        let mut reasons = BTreeSet::new();
        for user in 0..200 {
            let unit = format!("u{user}");
            let asked = json!({"unit": unit, "context": {"plan": "free"}});
            let first = world.decide(&asked).await;
            let second = world.decide(&asked).await;
            assert_eq!((&first["version"], &first["reason"]), (&second["version"], &second["reason"]));
            let n = hash("s", &unit);
            // GrowthBook's ranges: 30 % and 70 % of the whole, each cut to 80 %.
            let expected = if hash("holdout:2026", &unit) < 0.2 {
                ("holdout", 0)
            } else if namespace(&unit) >= 0.5 {
                ("champion", 0)
            } else if n < 0.24 {
                ("experiment", 0)
            } else if (0.3..0.86).contains(&n) {
                ("experiment", 1)
            } else {
                ("champion", 0)
            };
            assert_eq!(first["reason"], expected.0, "{unit}");
            assert_eq!(first["version"], *world.versions[expected.1], "{unit}");
            // Over all stages: what is placed, and the champion for everybody else.
            let treatment = 0.8 * 0.5 * 0.56;
            let marginal = if expected.1 == 1 { treatment } else { 1.0 - treatment };
            assert!((first["propensity"].as_f64().unwrap() - marginal).abs() < 1e-9, "{first}");
            reasons.insert(expected);
            let other = world.decide(&json!({"unit": unit, "context": {"plan": "paid"}})).await;
            assert_eq!(other["reason"], "champion");
        }
        assert_eq!(reasons.len(), 4);
        let forced = world.decide(&json!({"unit": "u1", "context": {"plan": "free"}, "version": world.versions[1]})).await;
        assert_eq!((&forced["reason"], &forced["origin"]), (&json!("forced"), &json!("forced")));
        // Forced executions, and those outside, are no units of the experiment.
        let counted = reasons.len();
        assert_eq!(counted, 4);
        let results = world.results(&id).await;
        let exposed: u64 = results["results"]["exposed"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).sum();
        assert!(exposed > 0 && results["results"]["held_out"].as_u64().unwrap() > 0);
    })
    .await;
}

#[tokio::test]
async fn another_split_moves_only_what_it_must_and_first_exposure_counts() {
    on_both("another_split_moves_only_what_it_must_and_first_exposure_counts", async |world| {
        let id = world.running(&json!({})).await;
        let users: Vec<String> = (0..300).map(|user| format!("user-{user}")).collect();
        let mut before = Vec::new();
        for unit in &users {
            before.push(world.decide(&json!({"unit": unit})).await["version"].clone());
        }
        let path = format!("{EXPERIMENTS}/{id}/split");
        let split = world.put(&path, &json!({"weights": [0.4, 0.6]})).await.expect(200);
        assert_eq!(split["allocation_epoch"], 2);
        let now = split["plan"]["arms"][1]["weight"].as_f64().unwrap();
        assert!((now - 0.6).abs() < 1e-12);
        // With other servers about it takes effect a little later.
        let mut moved = 0;
        for (unit, before) in users.iter().zip(&before) {
            let mut after = world.decide(&json!({"unit": unit})).await["version"].clone();
            if hash("s", unit) >= 0.4 && hash("s", unit) < 0.5 {
                while after == *before {
                    after = world.decide(&json!({"unit": unit})).await["version"].clone();
                }
            }
            moved += usize::from(after != *before);
            assert!(after == *before || after == *world.versions[1], "{unit}");
        }
        let expected = users.iter().filter(|unit| (0.4..0.5).contains(&hash("s", unit))).count();
        assert_eq!(moved, expected);
        let results = world.results(&id).await;
        let first = before.iter().filter(|version| **version == *world.versions[0]).count();
        assert_eq!(results["results"]["exposed"], json!([first, users.len() - first]));
    })
    .await;
}

#[tokio::test]
async fn late_rewards_repeat_visits_and_windows_close_once() {
    on_both_with_clock("late_rewards_repeat_visits_and_windows_close_once", async |world, clock| {
        let metrics = json!([
            {"name": "reward", "kind": "mean", "role": "goal", "window_seconds": 3600},
            {"name": "answers", "source": "executions", "kind": "count", "window_seconds": 3600},
            {"name": "slow", "source": "latency_ms", "kind": "quantile", "quantile": 0.9, "direction": "decrease"},
            {"name": "failed", "source": "error", "kind": "proportion", "role": "guardrail", "direction": "decrease",
             "absence": {"zero_after": 600}},
            {"name": "cost per token", "source": "cost", "denominator": "output_tokens", "kind": "ratio",
             "direction": "decrease", "window_seconds": 3600}
        ]);
        let id = world.running(&json!({"metrics": metrics, "covariate": "before"})).await;
        let mut executions = Vec::new();
        for user in 0..40 {
            for visit in 0..=user % 3 {
                let asked = json!({"unit": format!("user-{user}"), "context": {"before": user % 5}});
                let decision = world.decide(&asked).await;
                let body = json!({"agent_id": world.agent, "decision_id": decision["decision_id"],
                                  "metrics": {"latency_ms": 100 + user, "cost": 0.01, "output_tokens": 50.0 + f64::from(visit)}});
                let execution = world.post("/api/learning/executions", &body).await.expect(201);
                executions.push((user, execution["id"].clone()));
            }
        }
        let open = world.results(&id).await;
        let metric = |results: &Value, name: &str| {
            let metrics = results["results"]["metrics"].as_array().unwrap().clone();
            metrics.into_iter().find(|metric| metric["name"] == name).unwrap()
        };
        let units = |results: &Value, name: &str, field: &str| -> u64 {
            let arms = metric(results, name)["arms"].as_array().unwrap().clone();
            arms.iter().map(|arm| arm[field].as_u64().unwrap()).sum()
        };
        assert_eq!((units(&open, "answers", "units"), units(&open, "answers", "open")), (0, 40));
        // A rating that comes late, within the window, counts; a second one is averaged with it.
        clock.advance_seconds(3_000);
        for (user, execution) in &executions {
            world.reward(execution, if user % 2 == 0 { 1.0 } else { 0.0 }).await;
        }
        let failed = world.results(&id).await;
        assert_eq!(units(&failed, "failed", "units"), 40, "{failed}");
        clock.advance_seconds(700);
        for (_, execution) in executions.iter().take(5) {
            world.reward(execution, 1.0).await;
        }
        let closed = world.results(&id).await;
        assert_eq!((units(&closed, "answers", "units"), units(&closed, "reward", "units")), (40, 40));
        let answers = metric(&closed, "answers");
        let total: f64 = answers["arms"].as_array().unwrap().iter()
            .map(|arm| arm["units"].as_f64().unwrap() * arm["value"].as_f64().unwrap()).sum();
        assert!((total - executions.len() as f64).abs() < 1e-6, "{answers}");
        let rewards = metric(&closed, "reward");
        let total: f64 = rewards["arms"].as_array().unwrap().iter()
            .map(|arm| arm["units"].as_f64().unwrap() * arm["value"].as_f64().unwrap()).sum();
        assert!((total - 20.0).abs() < 1e-6, "what came after the window has not counted: {rewards}");
        assert!(metric(&closed, "slow")["arms"][0]["value"].as_f64().unwrap() > 100.0);
        let ratio = metric(&closed, "cost per token")["arms"][0]["value"].as_f64().unwrap();
        assert!((0.01 / 52.0..=0.01 / 50.0).contains(&ratio), "{ratio}");
        assert!(closed["results"]["metrics"][0]["comparisons"][0]["sequential"]["p_value"].is_f64());
        // Another server, or this one later, reads the same; and so does one that folds all events again.
        world.restart().await;
        assert_eq!(world.results(&id).await["results"]["metrics"], closed["results"]["metrics"]);
        let agent = upswing_domain::AgentId(world.agent.parse().unwrap());
        let folded = vec![upswing_domain::ExperimentId(id.parse().unwrap())];
        let store = world.server().store();
        store.forget_experiment_tallies(world.organisation, agent, folded).await.unwrap();
        world.restart().await;
        assert_eq!(world.results(&id).await["results"]["metrics"], closed["results"]["metrics"]);
    })
    .await;
}

#[tokio::test]
async fn shares_follow_what_is_known_where_that_is_asked_for() {
    on_both_with_clock("shares_follow_what_is_known_where_that_is_asked_for", async |world, clock| {
        let id = world.running(&json!({"unit": "execution", "adaptive": {"floor": 0.1}})).await;
        for _ in 0..80 {
            world.turn(&json!({}), |label| if label == "steps" { 1.0 } else { 0.0 }).await;
        }
        clock.advance_seconds(120);
        let path = format!("{EXPERIMENTS}/{id}");
        let moved = world.until(&path, |e| e["allocation_epoch"].as_u64().unwrap() > 1).await;
        let shares: Vec<f64> = moved["plan"]["arms"]
            .as_array()
            .unwrap()
            .iter()
            .map(|arm| arm["weight"].as_f64().unwrap())
            .collect();
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        // Two arms: the better one is served half of the time, and is the other's challenger.
        assert!(shares.iter().all(|share| *share >= 0.1 - 1e-9), "{shares:?}");
        let results = world.results(&id).await;
        assert_eq!(results["results"]["verdict"], "better", "{results}");
    })
    .await;
}

#[tokio::test]
async fn what_is_wrong_has_a_code_of_its_own() {
    on_both_with_clock("what_is_wrong_has_a_code_of_its_own", async |world, clock| {
        let [a, b] = [&world.versions[0], &world.versions[1]];
        let arms = json!([{"version": a}, {"version": b}]);
        let body = |more: Value| {
            let mut body = json!({"name": "x", "agent_id": world.agent, "arms": arms});
            merge(&mut body, &more);
            body
        };
        let goal = |more: Value| {
            let mut metric = json!({"name": "m", "source": "reward", "kind": "mean", "role": "goal"});
            merge(&mut metric, &more);
            json!({"metrics": [metric]})
        };
        let wrong = [
            (
                json!({"arms": [{"version": a, "weight": 0.5}, {"version": b, "weight": 0.6}]}),
                "weights_do_not_sum",
            ),
            (json!({"arms": [{"version": a}]}), "experiment_arms"),
            (json!({"arms": [{"version": a}, {"version": a}]}), "experiment_arms"),
            (goal(json!({"source": "happiness"})), "unknown_metric"),
            (goal(json!({"source": "cost", "method": "e_process"})), "bounds_needed"),
            (goal(json!({"role": "secondary"})), "experiment_goal"),
            (goal(json!({"kind": "ratio"})), "value_out_of_range"),
            (goal(json!({"kind": "count"})), "value_out_of_range"),
            (json!({"coverage": 1.5}), "value_out_of_range"),
            (json!({"significance": 0}), "value_out_of_range"),
            (json!({"layer": {"name": "l", "start": 0.6, "end": 0.5}}), "value_out_of_range"),
            (json!({"adaptive": {"floor": 0.6}}), "value_out_of_range"),
            (
                json!({"targeting": [{"key": "k", "operator": "below", "values": ["x"]}]}),
                "value_out_of_range",
            ),
            (json!({"control_config": {"a": 1}}), "invalid_body"),
        ];
        for (more, code) in wrong {
            world.post(EXPERIMENTS, &body(more)).await.problem(422, code);
        }
        let unknown = json!({"arms": [{"version": a}, {"version": "0".repeat(64)}]});
        world.post(EXPERIMENTS, &body(unknown)).await.problem(404, "unknown_version");

        let hours = json!({"min_duration_hours": 24});
        let id = world.running(&hours).await;
        world.act(&id, "start", &json!({})).await.problem(409, "experiment_state");
        world.act(&id, "archive", &json!({})).await.problem(409, "experiment_state");
        let split = format!("{EXPERIMENTS}/{id}/split");
        world.put(&split, &json!({"weights": [0.4, 0.5]})).await.problem(422, "weights_do_not_sum");
        world.put(&split, &json!({"weights": [1.0]})).await.problem(422, "experiment_arms");
        let second = world.experiment(&json!({"name": "another"})).await;
        world.act(&second, "start", &json!({})).await.problem(409, "layers_overlap");
        world.act(&id, "stop", &json!({})).await.problem(409, "minimum_duration");
        clock.advance_seconds(3_600);
        world.act(&id, "stop", &json!({"confirm": true, "reason": "somebody had to"})).await.expect(200);
        let audit = world.get("/api/learning/audit").await.text;
        assert!(audit.contains("experiment.stop") && audit.contains("before_minimum_duration"), "{audit}");
        world.act(&second, "start", &json!({})).await.expect(200);
        world.act(&id, "archive", &json!({})).await.expect(200);
        // Two parts of a layer run side by side.
        world.act(&second, "stop", &json!({"confirm": true})).await.expect(200);
        for (start, end) in [(0.0, 0.5), (0.5, 1.0)] {
            world
                .running(
                    &json!({"name": format!("{start}"), "layer": {"name": "l", "start": start, "end": end}}),
                )
                .await;
        }
        let third = world.experiment(&json!({"layer": {"name": "l", "start": 0.4, "end": 0.6}})).await;
        world.act(&third, "start", &json!({})).await.problem(409, "layers_overlap");
    })
    .await;
}

#[tokio::test]
async fn two_servers_never_disagree_about_an_assignment() {
    on_postgres("two_servers_never_disagree_about_an_assignment", async |world| {
        let other = world.another().await;
        let id = world.running(&json!({})).await;
        other.refresh().await.unwrap();
        let decide = async |server: &str, unit: &str| {
            let body = json!({"agent_id": world.agent, "unit": unit});
            let request = world
                .client
                .post(format!("{server}/api/learning/decide"))
                .bearer_auth(&world.admin)
                .json(&body);
            crate::support::Answer::of(request).await.expect(200)
        };
        let (here, there) = (world.server().url(), other.url());
        let mut changes = 0;
        for round in 0..6_u32 {
            let weights = if round % 2 == 0 { json!([0.3, 0.7]) } else { json!([0.7, 0.3]) };
            world.put(&format!("{EXPERIMENTS}/{id}/split"), &json!({"weights": weights})).await.expect(200);
            for unit in 0..60 {
                let unit = format!("user-{unit}");
                // Asked between two equal answers of one server, the other gives the same answer.
                let before = decide(&here, &unit).await;
                let between = decide(&there, &unit).await;
                let after = decide(&here, &unit).await;
                if before["version"] == after["version"] {
                    assert_eq!(between["version"], before["version"], "{unit}");
                } else {
                    changes += 1;
                }
            }
        }
        assert!(changes < 20, "{changes}");
    })
    .await;
}
