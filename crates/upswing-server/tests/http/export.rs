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
