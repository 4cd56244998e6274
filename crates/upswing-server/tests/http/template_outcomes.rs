//! What two prompt templates really answered, through all gates, canary and steps: the better one comes to everybody, the worse
//! one goes back to nobody, by itself, and the record explains both.

use std::collections::HashMap;
use std::io::Read as _;
use std::sync::Arc;

use axum::routing::post;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, World, on_both_with_clock, skipped};

/// Which templates answered a question well.
type Outcomes = Arc<HashMap<String, [bool; 2]>>;

fn outcomes() -> Option<Outcomes> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/template-outcomes/bbh.jsonl.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).ok()?).read_to_string(&mut text).unwrap();
    let mut outcomes = HashMap::new();
    for line in text.lines() {
        let question: Value = serde_json::from_str(line).unwrap();
        let good = |template: &str| question["outcomes"][template]["reward"] == 1;
        let id = question["id"].as_str().unwrap().to_owned();
        outcomes.insert(id, [good("direct"), good("chain_of_thought")]);
    }
    Some(Arc::new(outcomes))
}

fn good(outcomes: &Outcomes, question: &str, template: &str) -> bool {
    outcomes[question][usize::from(template == "chain_of_thought")]
}

/// Answers as the templates did. Ends with the test's runtime.
#[expect(clippy::disallowed_methods, reason = "the task ends with the test's runtime")]
async fn runner(outcomes: Outcomes) -> String {
    let answer = move |axum::Json(asked): axum::Json<Value>| {
        let template = asked["config"]["template"].as_str().unwrap().to_owned();
        let right = good(&outcomes, asked["input"].as_str().unwrap(), &template);
        async move { axum::Json(json!({"output": if right { "right" } else { "wrong" }})) }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let _ = axum::serve(listener, axum::Router::new().route("/", post(answer))).await;
    });
    format!("http://{address}/")
}

struct Play<'a> {
    world: &'a World,
    outcomes: Outcomes,
    questions: Vec<String>,
    next: usize,
}

impl Play<'_> {
    /// Asks so many questions.
    async fn on(&mut self, count: usize) {
        for _ in 0..count {
            let question = self.questions[self.next % self.questions.len()].clone();
            self.next += 1;
            let decision = self.world.decide(&json!({})).await;
            let right = good(&self.outcomes, &question, decision["config"]["template"].as_str().unwrap());
            let execution = self.world.execute(&decision).await;
            self.world.reward(&execution["id"], f64::from(u8::from(right))).await;
        }
    }

    /// Asks until the rollout is over.
    async fn out(&mut self, id: &Value, clock: &upswing_server::ManualClock) -> Value {
        let path = format!("/api/learning/rollouts/{}", id.as_str().unwrap());
        for _ in 0..80 {
            self.on(25).await;
            clock.advance_seconds(20);
            let rollout = self.world.get(&path).await.expect(200);
            if rollout["state"] != "running" {
                return rollout;
            }
        }
        panic!("it did not end: {}", self.world.get(&path).await.text);
    }
}

fn version(world: &World, template: &str) -> String {
    world.versions[usize::from(template == "chain_of_thought")].clone()
}

#[tokio::test]
async fn the_better_template_comes_to_everybody_and_the_worse_one_goes_back() {
    let name = "the_better_template_comes_to_everybody_and_the_worse_one_goes_back";
    let Some(outcomes) = outcomes() else {
        skipped(name, "no shared/data/template-outcomes beside the project");
        return;
    };
    on_both_with_clock(name, async |world, clock| {
        world.versions[1] = world.add_version("chain_of_thought").await;
        let url = runner(Arc::clone(&outcomes)).await;
        world.restart_with(|config| config.runners.hosts = vec!["127.0.0.1".to_owned()]).await;
        let mut questions: Vec<String> = outcomes.keys().cloned().collect();
        // An order that follows from the names alone.
        questions.sort_by_key(|question| *blake3::hash(question.as_bytes()).as_bytes());
        let suite: String =
            questions.iter().take(120).map(|q| format!("{}\n", json!({"input": q, "expected": "right"}))).collect();
        let dataset = world.post_text("/api/learning/datasets?name=bbh", "application/x-ndjson", suite).await;
        let dataset: Value = serde_json::from_str(&dataset.text).unwrap();
        let gates = json!({"order": ["regression", "off_policy", "safety", "approval"],
                           "regression": {"dataset": dataset["dataset"], "threshold": 0.4, "margin": 0.05}});
        world.put(&world.agent_path("/runner"), &json!({"type": "http", "url": url})).await.expect(200);

        // Traffic that chose at random, for the estimate; then one template serves.
        world.put(&world.agent_path("/policy"), &json!({"name": "epsilon_greedy", "epsilon": 1.0})).await.expect(200);
        let (direct, steps) = (version(world, "direct"), version(world, "chain_of_thought"));
        let promote = world.agent_path(&format!("/versions/{direct}/promote"));
        world.post(&promote, &json!({})).await.expect(200);
        let mut play = Play { world, outcomes: Arc::clone(&outcomes), questions, next: 0 };
        play.on(500).await;
        world.put(&world.agent_path("/policy"), &json!({"name": "fixed"})).await.expect(200);
        world.put(&world.agent_path("/gates"), &gates).await.expect(200);

        let plan = json!({
            "steps": [{"weight": 0.05, "seconds": 60}, {"weight": 0.25, "seconds": 60}, {"weight": 0.5, "seconds": 60}],
            "guardrails": [{"name": "right", "source": "reward", "kind": "proportion"}],
        });
        let path = world.agent_path("/rollouts");
        let body = |version: &str| json!({"version": version, "plan": plan, "reason": "what the record is to explain"});
        world.post(&path, &body(&steps)).await.problem(409, "gate_failed");
        let run = world.post(&world.agent_path(&format!("/versions/{steps}/gates")), &json!({})).await.expect(200);
        let found: Vec<&str> =
            run["results"].as_array().unwrap().iter().map(|result| result["outcome"].as_str().unwrap()).collect();
        assert_eq!(found, ["passed", "passed", "passed"], "{run}");
        let approve = world.agent_path(&format!("/versions/{steps}/approve"));
        let request = world.request(Method::POST, &approve).bearer_auth(&world.expert).json(&json!({"reason": "read it"}));
        Answer::of(request).await.expect(200);
        let rollout = world.post(&path, &body(&steps)).await.expect(201);
        let ended = play.out(&rollout["id"], clock).await;
        assert_eq!((&ended["state"], &ended["weight"]), (&json!("promoted"), &json!(1.0)), "{ended}");
        let record = format!("/api/learning/rollouts/{}/record", rollout["id"].as_str().unwrap());
        let record = world.get(&record).await.expect(200);
        let kinds: Vec<&str> =
            record["decisions"].as_array().unwrap().iter().map(|d| d["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["start", "advance", "advance", "promote"], "{record}");
        assert_eq!(record["decisions"][0]["evidence"]["gates"], "passed");

        // The other way round: the gates stop it; where somebody overrules them, the canary does.
        let worse = json!({"label": "direct again", "config": {"template": "direct", "note": "shorter"}, "parents": [steps]});
        let worse = world.post(&world.agent_path("/versions"), &worse).await.expect(201)["version"].as_str().unwrap().to_owned();
        let run = world.post(&world.agent_path(&format!("/versions/{worse}/gates")), &json!({})).await.expect(200);
        assert_eq!(run["results"][0]["outcome"], "failed", "{run}");
        world.post(&path, &body(&worse)).await.problem(409, "gate_failed");
        let mut overruled = body(&worse);
        overruled["override"] = json!(true);
        let rollout = world.post(&path, &overruled).await.expect(201);
        let ended = play.out(&rollout["id"], clock).await;
        assert_eq!((&ended["state"], &ended["weight"]), (&json!("rolled_back"), &json!(0.0)), "{ended}");
        let record = format!("/api/learning/rollouts/{}/record", rollout["id"].as_str().unwrap());
        let record = world.get(&record).await.expect(200);
        let last = record["decisions"].as_array().unwrap().last().unwrap();
        assert!(last["why"].as_str().unwrap().starts_with("right is worse"), "{last}");
        assert!(record["decisions"][0]["evidence"]["gates"].as_str().unwrap().contains("regression"), "{record}");
        assert_eq!(world.decide(&json!({})).await["version"], *steps);
    })
    .await;
}
