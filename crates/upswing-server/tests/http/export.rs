//! `GET /api/learning/export/{kind}`.

use serde_json::{Value, json};

use crate::support::on_both;

#[tokio::test]
async fn everything_comes_out_once_page_by_page() {
    on_both("everything_comes_out_once_page_by_page", async |world| {
        // More than one page of executions.
        let batch: Vec<_> =
            (0..1200).map(|n| json!({"agent_id": world.agent, "output": format!("answer {n}")})).collect();
        assert_eq!(world.post("/api/learning/executions", &json!(batch)).await.expect(200)["accepted"], 1200);
        let feedback = world.turn(&json!({"context": {"task": "x"}}), |_| 1.0).await;
        let lines = async |path: &str| -> Vec<Value> {
            let answer = world.get(path).await;
            assert_eq!((answer.status, answer.header("content-type")), (200, "application/x-ndjson"));
            answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        let executions = lines("/api/learning/export/executions").await;
        let ids: std::collections::BTreeSet<_> =
            executions.iter().map(|e| e["id"].as_str().unwrap().to_owned()).collect();
        assert_eq!((executions.len(), ids.len()), (1201, 1201));
        let cursor = executions[699]["id"].as_str().unwrap();
        let rest =
            lines(&format!("/api/learning/export/executions?cursor={cursor}&agent_id={}", world.agent)).await;
        assert_eq!(rest, executions[700..]);
        let decisions = lines("/api/learning/export/decisions").await;
        assert_eq!(decisions.len(), 1);
        let probabilities = decisions[0]["probabilities"].as_array().unwrap();
        assert_eq!(probabilities.len(), 2, "the vector over all eligible versions is logged");
        assert_eq!(decisions[0]["context"], json!({"task": "x"}));
        let given = lines("/api/learning/export/feedback").await;
        assert_eq!((given.len(), &given[0]["id"]), (1, &feedback["id"]));
        world.get("/api/learning/export/everything").await.problem(422, "invalid_parameter");
    })
    .await;
}

#[tokio::test]
async fn decisions_come_with_what_they_were_chosen_from_and_what_came_of_them() {
    on_both("decisions_come_with_what_they_were_chosen_from_and_what_came_of_them", async |world| {
        let first = world.decide(&json!({})).await;
        let third = world.add_version("third").await;
        let (own, other, unknown) =
            (world.decide(&json!({})).await, world.decide(&json!({})).await, world.decide(&json!({})).await);
        world.reward(&world.execute(&first).await["id"], 0.25).await;
        // Under an id of its own, and twice: the mean of what is known.
        for reward in [Some(0.5), Some(1.0), None] {
            let body = json!({"id": uuid::Uuid::new_v4(), "agent_id": world.agent, "decision_id": own["decision_id"],
                "token": own["token"]});
            let execution = world.post("/api/learning/executions", &body).await.expect(201);
            if let Some(reward) = reward {
                world.reward(&execution["id"], reward).await;
            }
        }
        // What ran another version says nothing about the one that was decided.
        let version = if other["version"] == json!(third) { &first["version"] } else { &json!(third) };
        let body = json!({"agent_id": world.agent, "decision_id": other["decision_id"], "version": version});
        let execution = world.post("/api/learning/executions", &body).await.expect(201);
        world.reward(&execution["id"], 1.0).await;
        world.execute(&unknown).await;

        let answer = world.get(&format!("/api/learning/export/decisions?agent_id={}", world.agent)).await;
        let lines: Vec<Value> = answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let of = |decision: &Value| {
            lines.iter().find(|line| line["id"] == decision["decision_id"]).cloned().unwrap()
        };
        assert_eq!(of(&first)["reward"], 0.25);
        assert_eq!(of(&own)["reward"], 0.75);
        assert_eq!((&of(&other)["reward"], &of(&unknown)["reward"]), (&Value::Null, &Value::Null));
        for line in [of(&first), of(&own)] {
            let eligible = line["eligible"].as_array().unwrap();
            let chosen = eligible.iter().position(|version| *version == line["version"]).unwrap();
            assert_eq!(eligible.len(), line["probabilities"].as_array().unwrap().len());
            assert_eq!(line["probabilities"][chosen], line["propensity"]);
            assert_eq!((&line["experiment_id"], &line["arm"]), (&Value::Null, &Value::Null));
        }
        assert_eq!(of(&first)["eligible"].as_array().unwrap().len(), 2);
        assert_eq!(of(&own)["eligible"][2], json!(third));
    })
    .await;
}
