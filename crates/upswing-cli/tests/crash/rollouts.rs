//! `kill -9` in every state of a rollout, and in the middle of its transitions: it goes on where it was.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::Answer;
use crate::place::{Place, Server};
use crate::random::Random;
use crate::support::{TURN, cycles, skipped};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite() {
    let _turn = TURN.lock().await;
    rollouts(Place::sqlite().await, "rollouts, SQLite").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres() {
    let _turn = TURN.lock().await;
    match Place::postgres().await {
        Some(place) => rollouts(place, "rollouts, PostgreSQL").await,
        None => {
            skipped("rollouts::postgres", "no PostgreSQL: set DATABASE_URL, or run scripts/postgres start")
        }
    }
}

/// The place with the server that runs there now.
struct Stage {
    place: Place,
    server: Server,
    agent: String,
}

impl Stage {
    async fn kill(self) -> Self {
        let Self { place, server, agent } = self;
        server.kill().await;
        let server = place.serve().await;
        Self { place, server, agent }
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.server.client.expect("POST", path, Some(body)).await
    }

    async fn version(&self, label: &str) -> String {
        let body = json!({"label": label, "config": {"template": label}});
        let made = self.post(&format!("/api/learning/agents/{}/versions", self.agent), body).await;
        made["version"].as_str().unwrap().to_owned()
    }

    async fn start(&self, version: &str) -> String {
        self.start_with(version, &json!({})).await
    }

    async fn start_with(&self, version: &str, more: &Value) -> String {
        let mut plan = json!({"steps": [{"weight": 0.3, "seconds": 1}, {"weight": 0.5, "seconds": 1}],
                          "guardrail_margin": 0.3, "margin": 0.5});
        for (key, value) in more.as_object().unwrap() {
            plan[key] = value.clone();
        }
        let path = format!("/api/learning/agents/{}/rollouts", self.agent);
        let started = self.post(&path, json!({"version": version, "plan": plan})).await;
        started["id"].as_str().unwrap().to_owned()
    }

    async fn rollout(&self, id: &str) -> Value {
        self.server.client.expect("GET", &format!("/api/learning/rollouts/{id}"), None).await
    }

    /// Serves so many requests; `version` fails where `bad`.
    async fn traffic(&self, count: usize, version: &str, bad: bool) {
        for _ in 0..count {
            // A server that was killed answers nobody.
            if self.turn(version, bad).await.is_none() {
                return;
            }
        }
    }

    async fn turn(&self, version: &str, bad: bool) -> Option<()> {
        let given = |answer: Answer| match answer {
            Answer::Given { status: 200..=299, body, .. } => Some(body),
            Answer::Given { .. } | Answer::Lost => None,
        };
        let client = &self.server.client;
        let decision = given(client.post("/api/learning/decide", &json!({"agent_id": self.agent})).await)?;
        if let Some(token) = decision["shadow"]["token"].as_str() {
            let mut beside = json!({"agent_id": self.agent, "token": token, "output": "four"});
            if bad {
                beside["error"] = json!("timeout");
            }
            given(client.post("/api/learning/executions", &beside).await)?;
        }
        let fails = bad && decision["version"] == version;
        let mut body = json!({"agent_id": self.agent, "decision_id": decision["decision_id"]});
        if fails {
            body["error"] = json!("timeout");
        }
        let execution = given(client.post("/api/learning/executions", &body).await)?;
        let reward = json!({"agent_id": self.agent, "execution_id": execution["id"], "feedback_type": "metric",
                            "source": "program", "metrics": {"reward": if fails { 0.0 } else { 1.0 }}});
        given(client.post("/api/learning/feedback", &reward).await).map(drop)
    }

    /// Serves until the rollout is there.
    async fn until(&self, id: &str, version: &str, bad: bool, there: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..200 {
            self.traffic(10, version, bad).await;
            let rollout = self.rollout(id).await;
            if there(&rollout) {
                return rollout;
            }
        }
        panic!("it did not come to that: {}", self.rollout(id).await);
    }

    /// What stands is consistent: transitions follow each other, and what is served is what the state says.
    async fn consistent(&self, id: &str, version: &str) -> Value {
        let path = format!("/api/learning/rollouts/{id}/record");
        let (mut record, mut served);
        loop {
            record = self.server.client.expect("GET", &path, None).await;
            served = BTreeSet::new();
            for _ in 0..30 {
                let decision = self.post("/api/learning/decide", json!({"agent_id": self.agent})).await;
                served.insert(decision["version"] == version);
            }
            // What moved meanwhile is looked at again.
            let after = self.server.client.expect("GET", &path, None).await;
            if after["decisions"] == record["decisions"] {
                break;
            }
        }
        let decisions = record["decisions"].as_array().unwrap();
        let state = &record["rollout"]["state"];
        assert_eq!(&decisions.last().unwrap()["state"], state, "{record}");
        assert_eq!(decisions[0]["kind"], "start");
        let ends = decisions
            .iter()
            .filter(|d| matches!(d["kind"].as_str().unwrap(), "promote" | "roll_back"))
            .count();
        assert_eq!(
            ends,
            usize::from(matches!(state.as_str().unwrap(), "promoted" | "rolled_back")),
            "{record}"
        );
        match state.as_str().unwrap() {
            "promoted" => assert_eq!(served, [true].into(), "{record}"),
            "rolled_back" => assert_eq!(served, [false].into(), "{record}"),
            // In the shadow nobody is served it.
            _ if record["rollout"]["shadow"] == true => assert_eq!(served, [false].into(), "{record}"),
            _ => assert_eq!(served, [false, true].into(), "{record}"),
        }
        record["rollout"].clone()
    }
}

async fn rollouts(place: Place, name: &str) {
    let mut random = Random::seeded(name);
    let agent = place.agents[1].id.to_string();
    let first = place.agents[1].versions[0].clone();
    let server = place.serve().await;
    let client = &server.client;
    client
        .expect("POST", &format!("/api/learning/agents/{agent}/versions/{first}/promote"), Some(json!({})))
        .await;
    client
        .expect("PUT", &format!("/api/learning/agents/{agent}/policy"), Some(json!({"name": "fixed"})))
        .await;
    let mut stage = Stage { place, server, agent };

    // Each state in turn.
    let better = stage.version("better").await;
    let id = stage.start(&better).await;
    stage = stage.kill().await;
    assert_eq!(stage.consistent(&id, &better).await["step"], 1);
    stage.until(&id, &better, false, |rollout| rollout["step"] == 2).await;
    stage = stage.kill().await;
    assert_eq!(stage.consistent(&id, &better).await["step"], 2);
    let held = stage.server.client.post(&format!("/api/learning/rollouts/{id}/hold"), &json!({})).await;
    if matches!(held, Answer::Given { status: 200, .. }) {
        stage = stage.kill().await;
        assert_eq!(stage.consistent(&id, &better).await["state"], "held");
        stage.post(&format!("/api/learning/rollouts/{id}/resume"), json!({})).await;
    }
    stage.until(&id, &better, false, |rollout| rollout["state"] == "promoted").await;
    stage = stage.kill().await;
    assert_eq!(stage.consistent(&id, &better).await["state"], "promoted");
    let worse = stage.version("worse").await;
    let id = stage.start(&worse).await;
    stage.until(&id, &worse, true, |rollout| rollout["state"] == "rolled_back").await;
    stage = stage.kill().await;
    assert_eq!(stage.consistent(&id, &worse).await["state"], "rolled_back");

    // In the shadow: what was compared is still known, and what is to come goes on.
    let shadow = json!({"shadow": {"share": 1.0, "seconds": 1, "minimum_pairs": 40}});
    let quiet = stage.version("quiet").await;
    let id = stage.start_with(&quiet, &shadow).await;
    stage.traffic(20, &quiet, false).await;
    let pairs = |rollout: &Value| rollout["evidence"]["shadow"]["pairs"].as_u64().unwrap();
    let before = pairs(&stage.rollout(&id).await);
    stage = stage.kill().await;
    let found = stage.consistent(&id, &quiet).await;
    assert_eq!(found["shadow"], true);
    assert!(before > 0);
    assert_eq!(pairs(&found), before, "what was acknowledged is compared, and once");
    stage.until(&id, &quiet, false, |rollout| rollout["shadow"] == false).await;
    stage = stage.kill().await;
    assert_eq!(stage.consistent(&id, &quiet).await["shadow"], false);
    stage.post(&format!("/api/learning/rollouts/{id}/rollback"), json!({"reason": "next"})).await;
    let loud = stage.version("loud").await;
    let id = stage.start_with(&loud, &shadow).await;
    stage.until(&id, &loud, true, |rollout| rollout["state"] == "rolled_back").await;
    stage = stage.kill().await;
    let after = stage.consistent(&id, &loud).await;
    assert_eq!((&after["state"], &after["shadow"]), (&json!("rolled_back"), &json!(true)));

    // Wherever it happens to be.
    for cycle in 0..cycles(2) {
        let (version, bad) = (stage.version(&format!("cycle {cycle}")).await, random.one_in(2));
        let id = stage.start(&version).await;
        let mut over = false;
        while !over {
            let pause = Duration::from_millis(random.below(900) as u64);
            tokio::select! {
                () = stage.traffic(usize::MAX, &version, bad) => {}
                () = tokio::time::sleep(pause) => {}
            }
            stage = stage.kill().await;
            let state = stage.consistent(&id, &version).await["state"].clone();
            over = state == "promoted" || state == "rolled_back";
            if over {
                assert_eq!(state, if bad { "rolled_back" } else { "promoted" });
            }
        }
    }
    let Stage { place, server, .. } = stage;
    server.stop().await;
    place.remove().await;
}
