//! `/api/learning/agents/{agent_id}/rollouts` and `/api/learning/rollouts`: promoted on proof, taken back on harm, never on hope.

use serde_json::{Value, json};

use crate::support::{Answer, World, on_both_with_clock};

/// What a version does in a test: how often it fails, and how good it is, by the number of the request.
type Behaviour = fn(label: &str, n: usize) -> (bool, f64);

impl World {
    /// Makes the first version the champion and rolls the second one out.
    pub(crate) async fn rollout(&self, plan: &Value) -> Value {
        self.live().await;
        let body = json!({"version": self.versions[1], "plan": plan, "reason": "it should be better"});
        self.post(&self.agent_path("/rollouts"), &body).await.expect(201)
    }

    pub(crate) async fn live(&self) {
        let promote = self.agent_path(&format!("/versions/{}/promote", self.versions[0]));
        self.post(&promote, &json!({})).await.expect(200);
        self.put(&self.agent_path("/policy"), &json!({"name": "fixed"})).await.expect(200);
    }

    async fn traffic(&self, from: usize, count: usize, behaviour: Behaviour) -> usize {
        let mut served = 0;
        for n in from..from + count {
            let decision = self.decide(&json!({})).await;
            let label = decision["label"].as_str().unwrap();
            served += usize::from(label == "steps");
            let (fails, reward) = behaviour(label, n);
            let mut body = json!({"agent_id": self.agent, "decision_id": decision["decision_id"]});
            if fails {
                body["error"] = json!("timeout");
            }
            let execution = self.post("/api/learning/executions", &body).await.expect(201);
            self.reward(&execution["id"], reward).await;
        }
        served
    }

    pub(crate) async fn come_to(&self, id: &Value, state: &str) -> Value {
        let rollout = self.until(&rollout_path(id, ""), |rollout| rollout["state"] == state).await;
        // It is written down first, and served a moment later.
        let serves = |config: &Value| match state {
            "promoted" => config["champion"]["version"] == rollout["version"],
            "rolled_back" => config["rollout"].is_null(),
            _ => true,
        };
        self.until(&self.agent_path("/config"), serves).await;
        rollout
    }
}

pub(crate) fn rollout_path(id: &Value, rest: &str) -> String {
    format!("/api/learning/rollouts/{}{rest}", id.as_str().unwrap())
}

pub(crate) fn quick() -> Value {
    json!({"steps": [{"weight": 0.2, "seconds": 60}, {"weight": 0.5, "seconds": 60}], "guardrail_margin": 0.1})
}

#[tokio::test]
async fn a_version_as_good_takes_over_step_by_step_and_the_record_says_why() {
    on_both_with_clock(
        "a_version_as_good_takes_over_step_by_step_and_the_record_says_why",
        async |world, clock| {
            let rollout = world.rollout(&quick()).await;
            let id = &rollout["id"];
            assert_eq!(
                (&rollout["state"], &rollout["step"], &rollout["weight"]),
                (&json!("running"), &json!(1), &json!(0.2))
            );
            let good: Behaviour = |_, _| (false, 1.0);
            let served = world.traffic(0, 150, good).await;
            assert!((10..60).contains(&served), "{served} of 150 at 20 %");
            clock.advance_seconds(61);
            let second = world.until(&rollout_path(id, ""), |rollout| rollout["step"] == 2).await;
            assert_eq!(second["weight"], 0.5);
            // A restart goes on where it was.
            world.restart().await;
            let mut n = 150;
            while world.get(&rollout_path(id, "")).await.expect(200)["evidence"]["not_inferior"] != true {
                world.traffic(n, 50, good).await;
                n += 50;
                assert!(n < 2_000, "{}", world.get(&rollout_path(id, "")).await.text);
            }
            clock.advance_seconds(61);
            let done = world.come_to(id, "promoted").await;
            assert_eq!(done["weight"], 1.0);
            let decision = world.decide(&json!({})).await;
            assert_eq!(
                (&decision["version"], &decision["reason"]),
                (&json!(world.versions[1]), &json!("champion"))
            );

            let record = world.get(&rollout_path(id, "/record")).await.expect(200);
            let kinds: Vec<&str> =
                record["decisions"].as_array().unwrap().iter().map(|d| d["kind"].as_str().unwrap()).collect();
            assert_eq!(kinds, ["start", "advance", "promote"], "{record}");
            let promote = &record["decisions"][2];
            assert!(promote["why"].as_str().unwrap().contains("not worse than 0.95"), "{promote}");
            assert!(
                promote["evidence"]["goal_e_value"].as_f64().unwrap() >= 20.0 && promote["key_id"].is_null()
            );
            assert_eq!(
                record["changed"],
                json!([{"path": "template", "before": "direct", "after": "steps"}])
            );
            let html = Answer::of(
                world
                    .request(reqwest::Method::GET, &rollout_path(id, "/record"))
                    .bearer_auth(&world.admin)
                    .header("accept", "text/html"),
            )
            .await;
            assert_eq!(html.status, 200);
            assert!(
                html.header("content-type").starts_with("text/html")
                    && html.text.contains("not worse than 0.95")
            );
            let audit = world.get("/api/learning/audit").await.text;
            for action in ["rollout.start", "rollout.advance", "rollout.promote", "version.promote"] {
                assert!(audit.contains(action), "{action} in {audit}");
            }
        },
    )
    .await;
}

#[tokio::test]
async fn a_version_that_fails_is_taken_back_at_once() {
    on_both_with_clock("a_version_that_fails_is_taken_back_at_once", async |world, _clock| {
        let rollout = world.rollout(&quick()).await;
        let id = &rollout["id"];
        let failing: Behaviour = |label, n| (label == "steps" && n % 2 == 0, 1.0);
        let mut n = 0;
        while world.get(&rollout_path(id, "")).await.expect(200)["state"] == "running" {
            world.traffic(n, 20, failing).await;
            n += 20;
            assert!(n < 1_000);
        }
        let after = world.come_to(id, "rolled_back").await;
        assert_eq!(after["weight"], 0.0);
        for _ in 0..30 {
            let decision = world.decide(&json!({})).await;
            assert_eq!(
                (&decision["version"], &decision["reason"]),
                (&json!(world.versions[0]), &json!("champion"))
            );
        }
        let record = world.get(&rollout_path(id, "/record")).await.expect(200);
        let last = record["decisions"].as_array().unwrap().last().unwrap().clone();
        assert!(last["why"].as_str().unwrap().starts_with("error is worse"), "{last}");
        // What was taken back does not come again by itself.
        let again = json!({"version": world.versions[1]});
        world.post(&world.agent_path("/rollouts"), &again).await.problem(409, "version_retired");
        world
            .post(&rollout_path(id, "/promote"), &json!({"override": true, "reason": "x"}))
            .await
            .problem(409, "rollout_state");
    })
    .await;
}

#[tokio::test]
async fn nothing_is_promoted_in_silence() {
    on_both_with_clock("nothing_is_promoted_in_silence", async |world, clock| {
        let mut plan = quick();
        plan["deadline_seconds"] = json!(86_400);
        // No traffic at all; executions without feedback; feedback without the metric of a guardrail.
        for silence in ["traffic", "feedback", "metric"] {
            if silence == "metric" {
                plan["guardrails"] = json!([
                    {"name": "error", "kind": "proportion", "direction": "decrease"},
                    {"name": "refused", "source": "reward", "kind": "proportion", "window_seconds": 999_999}
                ]);
            }
            let rollout = world.rollout(&plan).await;
            let id = &rollout["id"];
            for n in 0..if silence == "traffic" { 0 } else { 60 } {
                let decision = world.decide(&json!({})).await;
                let execution = world.execute(&decision).await;
                if silence == "metric" {
                    world.reward(&execution["id"], f64::from(n % 2)).await;
                }
            }
            for _ in 0..5 {
                clock.advance_seconds(3_600);
                let now = world.get(&rollout_path(id, "")).await.expect(200);
                assert_eq!((&now["state"], &now["step"]), (&json!("running"), &json!(1)), "{silence}: {now}");
            }
            clock.advance_seconds(86_400);
            let held = world.come_to(id, "held").await;
            assert_eq!(held["weight"], 0.2);
            let record = world.get(&rollout_path(id, "/record")).await.expect(200);
            let why = record["decisions"][1]["why"].as_str().unwrap().to_owned();
            assert!(why.contains("nothing was heard of"), "{silence}: {why}");
            let refused =
                world.post(&rollout_path(id, "/promote"), &json!({})).await.problem(409, "not_proven");
            assert!(refused["detail"].as_str().unwrap().contains("nothing was heard"), "{refused}");
            if silence != "metric" {
                world.post(&rollout_path(id, "/resume"), &json!({})).await.expect(200);
                world.post(&rollout_path(id, "/hold"), &json!({"reason": "lunch"})).await.expect(200);
            }
            world.post(&rollout_path(id, "/rollback"), &json!({"reason": "enough"})).await.expect(200);
            world
                .post(&world.agent_path(&format!("/versions/{}/promote", world.versions[1])), &json!({}))
                .await
                .expect(200);
        }
    })
    .await;
}

#[tokio::test]
async fn a_frozen_rollout_waits_and_somebody_who_may_can_overrule() {
    on_both_with_clock("a_frozen_rollout_waits_and_somebody_who_may_can_overrule", async |world, clock| {
        let mut plan = quick();
        plan["freeze"] = json!([{"from_minute": 0, "to_minute": 1440}]);
        let rollout = world.rollout(&plan).await;
        let id = &rollout["id"];
        world.traffic(0, 60, |_, _| (false, 1.0)).await;
        clock.advance_seconds(600);
        for _ in 0..3 {
            assert_eq!(world.get(&rollout_path(id, "")).await.expect(200)["step"], 1);
        }
        world.post(&rollout_path(id, "/promote"), &json!({})).await.problem(409, "not_proven");
        world
            .post(&rollout_path(id, "/promote"), &json!({"override": true}))
            .await
            .problem(409, "not_proven");
        let member = world
            .request(reqwest::Method::POST, &rollout_path(id, "/promote"))
            .bearer_auth(&world.member)
            .json(&json!({"override": true, "reason": "mine"}));
        Answer::of(member).await.problem(403, "forbidden");
        let overruled = json!({"override": true, "reason": "a deal was signed"});
        world.post(&rollout_path(id, "/promote"), &overruled).await.expect(200);
        let record = world.get(&rollout_path(id, "/record")).await.expect(200);
        let last = &record["decisions"][1];
        assert!(last["why"].as_str().unwrap().contains("not proven: a deal was signed"), "{last}");
        assert!(last["key_id"].is_string());
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_rolled_out_has_a_code_of_its_own() {
    on_both_with_clock("what_cannot_be_rolled_out_has_a_code_of_its_own", async |world, _clock| {
        let path = world.agent_path("/rollouts");
        let body = |version: &str, plan: Value| json!({"version": version, "plan": plan});
        let [live, new] = [world.versions[0].clone(), world.versions[1].clone()];
        world.post(&path, &body(&new, json!({}))).await.problem(409, "no_champion");
        world.live().await;
        world.post(&path, &body(&"0".repeat(64), json!({}))).await.problem(404, "unknown_version");
        world.post(&path, &body(&live, json!({}))).await.problem(409, "already_live");
        let down = json!({"steps": [{"weight": 0.2, "seconds": 1}, {"weight": 0.1, "seconds": 1}]});
        world.post(&path, &body(&new, down)).await.problem(422, "rollout_steps");
        for wrong in [
            json!({"steps": []}),
            json!({"steps": [{"weight": 1.5, "seconds": 1}]}),
            json!({"alpha": 0}),
            json!({"margin": 2}),
            json!({"guardrails": []}),
            json!({"guardrails": [{"name": "cost", "kind": "mean", "direction": "decrease"}]}),
            json!({"freeze": [{"from_minute": 10, "to_minute": 5}]}),
        ] {
            world.post(&path, &body(&new, wrong)).await.problem(422, "value_out_of_range");
        }
        let first = world.post(&path, &body(&new, json!({}))).await.expect(201);
        let third = world.add_version("third").await;
        world.post(&path, &body(&third, json!({}))).await.problem(409, "traffic_busy");
        let arms = json!([{"version": live}, {"version": third}]);
        let compare = json!({"name": "x", "agent_id": world.agent, "arms": arms});
        let experiment = world.post("/api/learning/experiments", &compare).await.expect(201);
        let start = format!("/api/learning/experiments/{}/start", experiment["id"].as_str().unwrap());
        world.post(&start, &json!({})).await.problem(409, "layers_overlap");
        // What judges a rollout is no experiment of anybody's.
        let listed = world.get("/api/learning/experiments").await.expect(200);
        assert_eq!(listed["experiments"].as_array().unwrap().len(), 1);
        world
            .get(&format!("/api/learning/experiments/{}", first["id"].as_str().unwrap()))
            .await
            .problem(404, "not_found");
        world.post(&rollout_path(&first["id"], "/resume"), &json!({})).await.problem(409, "rollout_state");
        world.post(&rollout_path(&first["id"], "/rollback"), &json!({})).await.expect(200);
        world.post(&start, &json!({})).await.expect(200);
        world.post(&path, &body(&third, json!({}))).await.problem(409, "traffic_busy");
    })
    .await;
}

#[tokio::test]
async fn a_failed_gate_stands_before_traffic_unless_somebody_overrules_it() {
    on_both_with_clock(
        "a_failed_gate_stands_before_traffic_unless_somebody_overrules_it",
        async |world, _clock| {
            world.live().await;
            let version = world.versions[1].clone();
            world.put(&world.agent_path("/gates"), &json!({"order": ["approval"]})).await.expect(200);
            let path = world.agent_path("/rollouts");
            let refused = world.post(&path, &json!({"version": version})).await.problem(409, "gate_failed");
            assert!(refused["detail"].as_str().unwrap().contains("approval"), "{refused}");
            world
                .post(&path, &json!({"version": version, "override": true}))
                .await
                .problem(409, "gate_failed");
            let overruled = json!({"version": version, "override": true, "reason": "nobody is in today"});
            let rollout = world.post(&path, &overruled).await.expect(201);
            let record = world.get(&rollout_path(&rollout["id"], "/record")).await.expect(200);
            assert_eq!(record["decisions"][0]["evidence"]["overridden"], true, "{record}");
            world.post(&rollout_path(&rollout["id"], "/rollback"), &json!({})).await.expect(200);
            // Nor is it promoted past the gate by hand, unless with a reason that is kept.
            let promote = world.agent_path(&format!("/versions/{version}/promote"));
            world.post(&promote, &json!({})).await.problem(409, "gate_failed");
            world
                .post(&promote, &json!({"override": true, "reason": "the old one is broken"}))
                .await
                .expect(200);
            let deployments = world.get(&world.agent_path("/deployments")).await.text;
            assert!(deployments.contains("the old one is broken (overruled: "), "{deployments}");
            world
                .post(&world.agent_path(&format!("/versions/{version}/rollback")), &json!({}))
                .await
                .expect(200);
            // An approved version needs nobody's overruling.
            let approved = world.add_version("approved").await;
            let approve = world.agent_path(&format!("/versions/{approved}/approve"));
            let request = world
                .request(reqwest::Method::POST, &approve)
                .bearer_auth(&world.expert)
                .json(&json!({"reason": "read it"}));
            Answer::of(request).await.expect(200);
            let rollout = world.post(&path, &json!({"version": approved})).await.expect(201);
            let record = world.get(&rollout_path(&rollout["id"], "/record")).await.expect(200);
            assert_eq!(record["decisions"][0]["evidence"]["gates"], "passed", "{record}");
        },
    )
    .await;
}

/// Whoever rolls a version back means everything that serves it.
#[tokio::test]
async fn what_is_rolled_back_by_hand_is_served_by_nothing() {
    on_both_with_clock("what_is_rolled_back_by_hand_is_served_by_nothing", async |world, clock| {
        let of_one = |rest: &str| world.agent_path(&format!("/versions/{}{rest}", world.versions[1]));
        let rollout = world.rollout(&quick()).await;
        let safe = world.agent_path("/safe-version");
        world.put(&safe, &json!({"version": world.versions[1]})).await.expect(200);
        let served_by_nothing = async || {
            for _ in 0..40 {
                assert_eq!(world.decide(&json!({})).await["version"], json!(world.versions[0]));
            }
        };
        world.post(&of_one("/rollback"), &json!({"reason": "it leaks"})).await.expect(200);
        served_by_nothing().await;
        let ended = world.get(&rollout_path(&rollout["id"], "")).await.expect(200);
        assert_eq!((&ended["state"], &ended["weight"]), (&json!("rolled_back"), &json!(0.0)), "{ended}");
        let record = world.get(&rollout_path(&rollout["id"], "/record")).await.expect(200);
        let last = record["decisions"].as_array().unwrap().last().unwrap();
        assert_eq!(last["kind"], "roll_back");
        assert!(last["why"].as_str().unwrap().contains("by hand: it leaks"), "{last}");
        assert!(world.get(&world.agent_path("/config")).await.expect(200)["safe_version"].is_null());
        // Neither time nor traffic brings it back.
        clock.advance_seconds(3_600);
        world.traffic(0, 40, |_, _| (false, 1.0)).await;
        served_by_nothing().await;

        world.put(&safe, &json!({"version": world.versions[1]})).await.problem(409, "version_retired");
        let metrics = json!([{"name": "reward", "kind": "mean", "role": "goal"}]);
        let experiment = world.experiment(&json!({"metrics": metrics})).await;
        let path = format!("/api/learning/experiments/{experiment}");
        world.post(&format!("{path}/start"), &json!({})).await.problem(409, "version_retired");

        world.post(&of_one("/promote"), &json!({"reason": "mended"})).await.expect(200);
        world.live().await;
        world.post(&format!("{path}/start"), &json!({})).await.expect(200);
        world.post(&of_one("/rollback"), &json!({})).await.expect(200);
        served_by_nothing().await;
        assert_eq!(world.get(&path).await.expect(200)["status"], "stopped");
    })
    .await;
}
