//! Rollouts that begin in a shadow: executed beside what is served, compared, and never served to anybody before.

use serde_json::{Value, json};

use crate::rollouts::{quick, rollout_path};
use crate::support::{Answer, World, merge, on_both_with_clock};

/// What only the shadow says: no text of it is kept.
const SAID: &str = "the shadow alone says heliotrope";

fn plan() -> Value {
    let mut plan = quick();
    plan["shadow"] = json!({"share": 0.5, "seconds": 60, "minimum_pairs": 20});
    plan
}

/// How the versions do on one request.
#[derive(Clone, Copy)]
struct Pair {
    shadow_fails: bool,
    same: bool,
}

impl World {
    /// Reports what ran beside a decision.
    async fn shadow(&self, named: &Value, more: &Value) -> Answer {
        let mut body = json!({"agent_id": self.agent, "token": named["token"], "origin": "shadow"});
        merge(&mut body, more);
        self.post("/api/learning/executions", &body).await
    }

    /// Serves one request, and the version beside it where that is named; whether it was.
    async fn beside(&self, n: usize, pair: Pair) -> bool {
        let decision = self.decide(&json!({"decision_id": numbered(n)})).await;
        assert_eq!((&decision["label"], &decision["reason"]), (&json!("direct"), &json!("champion")));
        let named = &decision["shadow"];
        let mut beside = json!({"output": if pair.same { "four" } else { SAID },
                                "metrics": {"latency_ms": 120 + n % 7, "cost": 0.02}});
        if pair.shadow_fails {
            beside["error"] = json!("timeout");
        }
        // Either may come first.
        if named.is_object() && n.is_multiple_of(2) {
            self.shadow(named, &beside).await.expect(201);
        }
        let mut live = json!({"agent_id": self.agent, "decision_id": decision["decision_id"], "output": "four",
                              "metrics": {"latency_ms": 100, "cost": 0.02}});
        if n.is_multiple_of(3) {
            // An execution may have another id than its decision.
            live["id"] = json!(numbered(n + 1_000_000));
        }
        let execution = self.post("/api/learning/executions", &live).await.expect(201);
        self.reward(&execution["id"], 1.0).await;
        if named.is_object() && n % 2 == 1 {
            self.shadow(named, &beside).await.expect(201);
        }
        named.is_object()
    }
}

fn numbered(n: usize) -> String {
    uuid::Uuid::from_u128(0x7000 << 64 | 0x8000 << 48 | (n as u128 + 1)).to_string()
}

#[tokio::test]
async fn a_shadow_is_named_executed_compared_and_then_followed_by_the_canary() {
    on_both_with_clock(
        "a_shadow_is_named_executed_compared_and_then_followed_by_the_canary",
        async |world, clock| {
            let rollout = world.rollout(&plan()).await;
            let id = &rollout["id"];
            assert_eq!(
                (&rollout["shadow"], &rollout["step"], &rollout["weight"]),
                (&json!(true), &json!(0), &json!(0.0))
            );
            let served = world.get(&world.agent_path("/config")).await.expect(200);
            assert_eq!(served["rollout"]["weight"], 0.0);
            // Asked again with the same id, the same is named.
            let twice = json!({"decision_id": numbered(500)});
            let (first, second) = (world.decide(&twice).await, world.decide(&twice).await);
            for field in ["execution_id", "version", "rollout_id"] {
                assert_eq!(first["shadow"][field], second["shadow"][field], "{field}");
            }
            let mut pairs = 0;
            for n in 0..80 {
                pairs += u64::from(world.beside(n, Pair { shadow_fails: false, same: n % 4 > 0 }).await);
            }
            assert!((20..=60).contains(&pairs), "{pairs} of 80 at 50 %");
            let found = world.get(&rollout_path(id, "")).await.expect(200);
            let seen = &found["evidence"]["shadow"];
            assert_eq!((&seen["pairs"], &seen["judged"]), (&json!(pairs), &json!(pairs)), "{seen}");
            assert_eq!(seen["outputs"], pairs);
            assert!((0.4..1.0).contains(&seen["agreement"].as_f64().unwrap()), "{seen}");
            let metric = |name: &str| {
                let metrics = seen["metrics"].as_array().unwrap();
                metrics.iter().find(|metric| metric["name"] == name).unwrap().clone()
            };
            let latency = metric("latency_ms");
            assert_eq!((&latency["current"], &latency["method"]), (&json!(100.0), &json!("asymptotic")));
            assert!((20.0..27.0).contains(&latency["difference"].as_f64().unwrap()), "{latency}");
            assert_eq!(metric("cost")["difference"], 0.0);
            let error = &seen["guardrails"][0];
            assert_eq!((&error["name"], &error["difference"]), (&json!("error"), &json!(0.0)));
            assert!(error["low"].as_f64().unwrap() < 0.0 && error["high"].as_f64().unwrap() > 0.0, "{error}");
            assert_eq!((found["shadow"].clone(), found["step"].clone()), (json!(true), json!(0)));

            // What was compared survives, and is not compared again.
            world.restart().await;
            let again = world.get(&rollout_path(id, "")).await.expect(200);
            assert_eq!(again["evidence"]["shadow"], *seen);
            clock.advance_seconds(61);
            let canary = world.until(&rollout_path(id, ""), |rollout| rollout["step"] == 1).await;
            assert_eq!((&canary["shadow"], &canary["weight"]), (&json!(false), &json!(0.2)));
            assert_eq!(canary["evidence"]["current_units"], 0, "in the shadow nobody was a unit: {canary}");
            let mut labels = std::collections::BTreeSet::new();
            for n in 2_000..2_060 {
                let decision = world.decide(&json!({"decision_id": numbered(n)})).await;
                assert!(decision["shadow"].is_null(), "{decision}");
                labels.insert(decision["label"].as_str().unwrap().to_owned());
            }
            assert_eq!(labels.len(), 2, "the canary serves: {labels:?}");

            let record = world.get(&rollout_path(id, "/record")).await.expect(200);
            let told: Vec<_> =
                record["decisions"].as_array().unwrap().iter().map(|d| (&d["kind"], &d["step"])).collect();
            assert_eq!(told, [(&json!("start"), &json!(0)), (&json!("advance"), &json!(1))]);
            assert_eq!(record["decisions"][1]["evidence"]["shadow"], *seen);
            // Pair by pair, the newest first; a page at a time, and from the record.
            let listed = world.pages(id, "pairs", 9).await;
            assert_eq!(listed.len() as u64, pairs);
            let positions: Vec<i64> = listed.iter().map(|pair| pair["position"].as_i64().unwrap()).collect();
            assert!(positions.is_sorted_by(|a, b| a > b), "{positions:?}");
            let last = &listed[0];
            assert_eq!(
                last["current"],
                json!({"error": null, "metrics": {"cost": 0.02, "latency_ms": 100.0}})
            );
            assert!(last["shadow"]["metrics"]["latency_ms"].as_f64().unwrap() >= 120.0, "{last}");
            let execution = world.get(last["execution"].as_str().unwrap()).await.expect(200);
            assert_eq!(execution["decision_id"], last["decision_id"]);
            assert_eq!(record["evidence"]["shadow"]["latest"][0], *last);
            assert_eq!(record["evidence"]["pairs"], rollout_path(id, "/pairs"));
            let audit = world.get("/api/learning/audit").await.text;
            assert!(audit.contains("rollout.advance"), "{audit}");
            let stored = world.database.dump().await;
            assert!(
                stored.contains("four") && !stored.contains("heliotrope"),
                "a text of the shadow is kept"
            );
        },
    )
    .await;
}

#[tokio::test]
async fn a_version_that_fails_in_the_shadow_is_taken_back_before_anybody_saw_it() {
    on_both_with_clock(
        "a_version_that_fails_in_the_shadow_is_taken_back_before_anybody_saw_it",
        async |world, _clock| {
            let rollout = world.rollout(&plan()).await;
            let id = &rollout["id"];
            let mut n = 0;
            while world.get(&rollout_path(id, "")).await.expect(200)["state"] == "running" {
                // `beside` asserts that the current version serves.
                world.beside(n, Pair { shadow_fails: n % 3 > 0, same: true }).await;
                n += 1;
                assert!(n < 300);
            }
            let after = world.come_to(id, "rolled_back").await;
            assert_eq!((&after["weight"], &after["step"]), (&json!(0.0), &json!(0)));
            let record = world.get(&rollout_path(id, "/record")).await.expect(200);
            let decisions = record["decisions"].as_array().unwrap();
            assert_eq!(decisions.len(), 2, "{record}");
            let last = &decisions[1];
            assert!(last["why"].as_str().unwrap().starts_with("error is worse"), "{last}");
            assert!(last["evidence"]["harm_e_value"].as_f64().unwrap() >= 20.0, "{last}");
            let again = json!({"version": world.versions[1]});
            world.post(&world.agent_path("/rollouts"), &again).await.problem(409, "version_retired");
            for n in 5_000..5_020 {
                let decision = world.decide(&json!({"decision_id": numbered(n)})).await;
                assert_eq!((&decision["label"], &decision["shadow"]), (&json!("direct"), &Value::Null));
            }
        },
    )
    .await;
}

#[tokio::test]
async fn a_shadow_without_reports_goes_nowhere_and_is_held_at_the_deadline() {
    on_both_with_clock(
        "a_shadow_without_reports_goes_nowhere_and_is_held_at_the_deadline",
        async |world, clock| {
            let mut plan = plan();
            plan["deadline_seconds"] = json!(7_200);
            let rollout = world.rollout(&plan).await;
            let id = &rollout["id"];
            // What is served is reported; what runs beside it is not, but for too few.
            for n in 0..40 {
                let decision = world.decide(&json!({"decision_id": numbered(n)})).await;
                world.execute(&decision).await;
                if n < 10 && decision["shadow"].is_object() {
                    world.shadow(&decision["shadow"], &json!({})).await.expect(201);
                }
            }
            for _ in 0..3 {
                clock.advance_seconds(1_800);
                let now = world.get(&rollout_path(id, "")).await.expect(200);
                assert_eq!((&now["state"], &now["shadow"]), (&json!("running"), &json!(true)), "{now}");
            }
            let told = world.get(&rollout_path(id, "")).await.expect(200);
            assert!((1..10).contains(&told["evidence"]["shadow"]["pairs"].as_u64().unwrap()), "{told}");
            assert_eq!(told["evidence"]["shadow"]["agreement"], Value::Null, "nobody said what came out");
            clock.advance_seconds(1_801);
            let held = world.come_to(id, "held").await;
            assert_eq!((&held["shadow"], &held["weight"]), (&json!(true), &json!(0.0)));
            let record = world.get(&rollout_path(id, "/record")).await.expect(200);
            let why = record["decisions"][1]["why"].as_str().unwrap().to_owned();
            assert!(why.contains("pairs of 20 by error in the shadow"), "{why}");
            world.post(&rollout_path(id, "/promote"), &json!({})).await.problem(409, "not_proven");
            // Let go on, it stays in the shadow with its time again, and goes on once there are pairs.
            world.post(&rollout_path(id, "/resume"), &json!({})).await.expect(200);
            for n in 100..180 {
                world.beside(n, Pair { shadow_fails: false, same: true }).await;
            }
            assert_eq!(world.get(&rollout_path(id, "")).await.expect(200)["step"], 0);
            clock.advance_seconds(61);
            world.until(&rollout_path(id, ""), |rollout| rollout["step"] == 1).await;
        },
    )
    .await;
}

#[tokio::test]
async fn what_runs_in_a_shadow_moves_nothing_but_its_comparison() {
    on_both_with_clock("what_runs_in_a_shadow_moves_nothing_but_its_comparison", async |world, clock| {
        world.live().await;
        for n in 900..920 {
            world.decide(&json!({"decision_id": numbered(n)})).await;
        }
        clock.advance_seconds(1);
        world.rollout(&plan()).await;
        // What was decided before is asked for again, and is nothing to compare with.
        for n in 900..920 {
            assert!(world.decide(&json!({"decision_id": numbered(n)})).await["shadow"].is_null());
        }
        let mut named = Vec::new();
        for n in 0..30 {
            let decision = world.decide(&json!({"decision_id": numbered(n)})).await;
            let execution = world.execute(&decision).await;
            world.reward(&execution["id"], 0.5).await;
            if decision["shadow"].is_object() {
                named.push(decision["shadow"].clone());
            }
        }
        assert!(named.len() > 3);
        let state = async || {
            let performance = world.get(&world.agent_path("/performance")).await.expect(200);
            let policy = world.get(&world.agent_path("/policy")).await.expect(200);
            let stats = world.get(&format!("/api/learning/feedback/stats?agent_id={}", world.agent)).await;
            let curve = world.get(&world.agent_path("/learning-curve")).await.expect(200);
            let exported =
                world.get(&format!("/api/learning/export/executions?agent_id={}", world.agent)).await;
            let rewards =
                world.get(&format!("/api/learning/export/decisions?agent_id={}", world.agent)).await;
            assert_eq!(exported.status, 200);
            (
                performance["groups"].clone(),
                policy["observations"].clone(),
                stats.expect(200)["total_feedback"].clone(),
                curve["bins"].clone(),
                exported.text,
                rewards.text,
            )
        };
        let before = state().await;
        let mut position = Value::Null;
        for named in &named {
            let worst = json!({"error": "crash", "metrics": {"latency_ms": 99_999, "cost": 7}});
            position = world.shadow(named, &worst).await.expect(201)["position"].clone();
            // A statement about it waits for an execution that never comes.
            world.reward(&named["execution_id"], 0.0).await;
            let path = format!("/api/learning/executions/{}", named["execution_id"].as_str().unwrap());
            world.get(&path).await.problem(404, "not_found");
        }
        world.learned(&position).await;
        let after = state().await;
        assert_eq!((&before.0, &before.1, &before.3), (&after.0, &after.1, &after.3));
        for (before, after) in [(&before.4, &after.4), (&before.5, &after.5)] {
            let gone: Vec<_> = before.lines().filter(|line| !after.contains(line)).collect();
            // Waiting for the learner is a decision more, of which nothing came.
            let told = |line: &&str| !before.contains(line) && !line.contains("\"reward\":null");
            let new: Vec<_> = after.lines().filter(told).collect();
            assert!(gone.is_empty() && new.is_empty(), "{gone:?} became {new:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_pair_is_proven_by_its_token_and_by_nothing_else() {
    on_both_with_clock("a_pair_is_proven_by_its_token_and_by_nothing_else", async |world, _clock| {
        let rollout = world.rollout(&plan()).await;
        let mut found = Vec::new();
        for n in 0..60 {
            let decision = world.decide(&json!({"decision_id": numbered(n)})).await;
            if decision["shadow"].is_object() {
                found.push(decision);
            }
        }
        let [one, two, ..] = &found[..] else { panic!("two of sixty") };
        let named = &one["shadow"];
        // A word is no proof, nor is the token of what was served.
        let claimed = json!({"agent_id": world.agent, "origin": "shadow", "decision_id": one["decision_id"]});
        let path = "/api/learning/executions";
        let refused = world.post(path, &claimed).await.problem(422, "shadow_unproven");
        assert_eq!(refused["field"], "token");
        let mut served = claimed.clone();
        served["token"] = one["token"].clone();
        world.post(path, &served).await.problem(422, "shadow_unproven");
        for (field, wrong) in [
            ("decision_id", &two["decision_id"]),
            ("version", &json!(world.versions[0])),
            ("id", &two["shadow"]["execution_id"]),
            ("origin", &json!("live")),
        ] {
            world.shadow(named, &json!({field: wrong})).await.problem(403, "token_mismatch");
        }
        let other = json!({"name": "other"});
        let other = world.post("/api/learning/agents", &other).await.expect(201);
        world.shadow(named, &json!({"agent_id": other["id"]})).await.problem(403, "token_mismatch");
        let text = named["token"].as_str().unwrap();
        let altered = format!("{}{}", &text[..text.len() - 2], if text.ends_with("AA") { "BB" } else { "AA" });
        world.shadow(named, &json!({"token": altered})).await.problem(403, "token_invalid");
        // What it proves is the shadow: it is no token of a decision that was served.
        let feedback = json!({"agent_id": world.agent, "feedback_type": "thumbs_up", "token": named["token"]});
        world.post("/api/learning/feedback", &feedback).await.problem(403, "token_invalid");
        let signal = json!({"agent_id": world.agent, "type": "copy", "token": named["token"]});
        world.post("/api/learning/signals", &signal).await.problem(403, "token_invalid");
        let seen = world.get(&rollout_path(&rollout["id"], "")).await.expect(200);
        assert_eq!(seen["evidence"]["shadow"]["pairs"], 0);

        let first = world.shadow(named, &json!({})).await.expect(201);
        assert_eq!((&first["id"], first.get("feedback_token")), (&named["execution_id"], None));
        let again = world.shadow(named, &json!({"id": named["execution_id"], "decision_id": one["decision_id"]})).await;
        again.problem(409, "id_conflict");
        assert_eq!(world.shadow(named, &json!({})).await.expect(200)["status"], "duplicate");
        // A key that stands for the id does not rename it.
        let body = json!({"agent_id": world.agent, "token": named["token"], "origin": "shadow"});
        let keyed = world
            .request(reqwest::Method::POST, path)
            .bearer_auth(&world.admin)
            .header("idempotency-key", "again")
            .json(&body);
        assert_eq!(Answer::of(keyed).await.expect(200)["id"], named["execution_id"]);
        let batch = json!([{"agent_id": world.agent, "token": two["shadow"]["token"]}, claimed]);
        let batch = world.post(path, &batch).await.expect(200);
        assert_eq!((&batch["accepted"], &batch["rejected"][0]["index"]), (&json!(1), &json!(1)), "{batch}");
        // No pair without what was served.
        let seen = world.get(&rollout_path(&rollout["id"], "")).await.expect(200);
        assert_eq!(seen["evidence"]["shadow"]["pairs"], 0);
        world.execute(one).await;
        let seen = world.get(&rollout_path(&rollout["id"], "")).await.expect(200);
        assert_eq!(seen["evidence"]["shadow"]["pairs"], 1);
        // Where nobody is asked for a shadow, a plan says so; where none can be judged, it is refused.
        let blind = json!({"shadow": {}, "guardrails": [{"name": "satisfied", "kind": "proportion", "direction": "increase"}]});
        let third = world.add_version("third").await;
        let start = |plan: &Value| json!({"version": third, "plan": plan});
        let refused = world.post(&world.agent_path("/rollouts"), &start(&blind)).await;
        let refused = refused.problem(422, "value_out_of_range");
        assert!(refused["detail"].as_str().unwrap().contains("nobody rates a shadow"), "{refused}");
        for wrong in [json!({"share": 0}), json!({"share": 2}), json!({"minimum_pairs": 0})] {
            let refused = world.post(&world.agent_path("/rollouts"), &start(&json!({"shadow": wrong}))).await;
            refused.problem(422, "value_out_of_range");
        }
    })
    .await;
}
