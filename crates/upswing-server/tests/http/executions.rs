//! `/api/learning/executions`.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, on_both};

const PATH: &str = "/api/learning/executions";

#[tokio::test]
async fn the_same_id_again_changes_nothing_and_other_content_conflicts() {
    on_both("the_same_id_again_changes_nothing_and_other_content_conflicts", async |world| {
        let body = json!({"id": Uuid::now_v7(), "agent_id": world.agent, "version": world.versions[0],
                          "unit": "Zoë", "input": "question", "output": "answer",
                          "metrics": {"latency_ms": 812, "cost": 0.002}, "context": {"task": "x"}});
        let first = world.post(PATH, &body).await.expect(201);
        assert_eq!(first["status"], "stored");
        let again = world.post(PATH, &body).await.expect(200);
        assert_eq!((&again["status"], &again["position"]), (&json!("duplicate"), &first["position"]));
        let mut other = body.clone();
        other["output"] = json!("another answer");
        assert_eq!(world.post(PATH, &other).await.problem(409, "id_conflict")["field"], "id");

        let path = format!("{PATH}/{}", first["id"].as_str().unwrap());
        let stored = world.get(&path).await.expect(200);
        assert_eq!((&stored["input"], &stored["reward"]), (&json!("question"), &Value::Null));
        assert_eq!(stored["metrics"], json!({"cost": 0.002, "latency_ms": 812.0}));
        assert!(!stored["unit"].as_str().unwrap().contains("Zo"));
        let seen = Answer::of(world.request(Method::GET, &path).bearer_auth(&world.member)).await.expect(200);
        assert!(
            seen.get("input").is_none() && seen.get("output").is_none(),
            "a member does not read content"
        );
    })
    .await;
}

#[tokio::test]
async fn an_idempotency_key_stands_for_the_id() {
    on_both("an_idempotency_key_stands_for_the_id", async |world| {
        let send = async |key: &str, output: &str| {
            let body = json!({"agent_id": world.agent, "output": output});
            let request = world.request(Method::POST, PATH).bearer_auth(&world.member);
            Answer::of(request.header("idempotency-key", key).json(&body)).await
        };
        let id = Uuid::now_v7().to_string();
        assert_eq!(send(&id, "x").await.expect(201)["id"], id);
        send(&id, "x").await.expect(200);
        let first = send("order 17", "x").await.expect(201);
        assert_eq!(send("order 17", "x").await.expect(200)["id"], first["id"]);
        send("order 17", "y").await.problem(409, "id_conflict");
    })
    .await;
}

#[tokio::test]
async fn a_batch_keeps_the_good_items() {
    on_both("a_batch_keeps_the_good_items", async |world| {
        let item = |id: Uuid| json!({"id": id, "agent_id": world.agent, "metrics": {"latency_ms": 5}});
        let ids: Vec<Uuid> = (0..3).map(|_| Uuid::now_v7()).collect();
        let mut bad = item(Uuid::now_v7());
        bad["step"] = json!("first");
        let batch = json!([item(ids[0]), bad, item(ids[1]), {"agent_id": Uuid::now_v7()}]);
        let answer = world.post(PATH, &batch).await.expect(200);
        assert_eq!((&answer["accepted"], &answer["duplicates"]), (&json!(2), &json!(0)), "{answer}");
        let rejected = answer["rejected"].as_array().unwrap();
        let seen: Vec<_> = rejected
            .iter()
            .map(|r| (r["index"].as_u64().unwrap(), r["problem"]["code"].as_str().unwrap()))
            .collect();
        assert_eq!(seen, [(1, "invalid_body"), (3, "unknown_agent")]);
        assert_eq!(rejected[0]["problem"]["field"], "step");

        let mut changed = item(ids[0]);
        changed["output"] = json!("else");
        let lines = [item(ids[1]), changed, item(ids[2])].map(|item| item.to_string()).join("\n");
        let answer =
            world.post_text(PATH, "application/x-ndjson", format!("{lines}\n{{broken\n")).await.expect(200);
        assert_eq!((&answer["accepted"], &answer["duplicates"]), (&json!(1), &json!(1)), "{answer}");
        let codes: Vec<_> =
            answer["rejected"].as_array().unwrap().iter().map(|r| r["problem"]["code"].clone()).collect();
        assert_eq!(codes, ["id_conflict", "malformed_json"]);
        for id in ids {
            world.get(&format!("{PATH}/{id}")).await.expect(200);
        }
        world.post_text(PATH, "application/json", "[{}, {").await.problem(400, "malformed_json");
        assert_eq!(world.post(PATH, &json!([])).await.expect(200)["accepted"], 0);
    })
    .await;
}

#[tokio::test]
async fn performance_is_told_by_version_and_segment() {
    on_both("performance_is_told_by_version_and_segment", async |world| {
        let mut batch = Vec::new();
        for n in 0..60 {
            batch.push(json!({"agent_id": world.agent, "version": world.versions[n % 2],
                              "context": {"task": format!("t{}", n % 3)}, "metrics": {"latency_ms": 100 + n}}));
        }
        world.post(PATH, &json!(batch)).await.expect(200);
        let all = world.get(&world.agent_path("/performance?by=version&days=30")).await.expect(200);
        let groups = all["groups"].as_array().unwrap();
        assert_eq!(groups.len(), 2, "{all}");
        for group in groups {
            let latency = &group["metrics"]["latency_ms"];
            assert_eq!(latency["count"], 30);
            let (low, high) = (latency["interval"][0].as_f64().unwrap(), latency["interval"][1].as_f64().unwrap());
            let mean = latency["mean"].as_f64().unwrap();
            assert!(low < mean && mean < high && latency["quantiles"]["p50"].is_number(), "{latency}");
        }
        let split = world.get(&world.agent_path("/performance?segment=task")).await.expect(200);
        let groups = split["groups"].as_array().unwrap();
        assert_eq!(groups.len(), 6, "{split}");
        assert!(groups.iter().all(|group| group["metrics"]["latency_ms"]["count"] == 10));
    })
    .await;
}
