//! `/api/learning/agents` and what is below.

use serde_json::json;

use crate::support::on_both;

const PATH: &str = "/api/learning/agents";

#[tokio::test]
async fn an_agent_is_made_found_and_listed() {
    on_both("an_agent_is_made_found_and_listed", async |world| {
        let body = json!({"name": "ranker", "description": "ranks", "segments": ["task", "hour"], "salt": "s",
                          "policy": {"name": "lin_ucb", "width": 2}, "output_schema": {"type": "object"},
                          "reward_definition": {"thumb": {"weight": 2}}});
        let made = world.post(PATH, &body).await.expect(201);
        assert_eq!(
            (&made["epoch"], &made["definition_version"], &made["champion"]),
            (&json!(1), &json!(1), &json!(null))
        );
        let found = world.get(&format!("{PATH}/{}", made["id"].as_str().unwrap())).await.expect(200);
        assert_eq!(found, made);
        assert_eq!(found["output_schema"], json!({"type": "object"}));
        world.post(PATH, &body).await.problem(409, "conflict");
        let listed = world.get(PATH).await.expect(200);
        let names: Vec<_> =
            listed["agents"].as_array().unwrap().iter().map(|agent| agent["name"].clone()).collect();
        assert_eq!(names, ["answers", "ranker"]);

        for (body, field) in [
            (json!({"name": "a b"}), "name"),
            (json!({"name": "x", "segments": ["a", "b", "c", "d", "e"]}), "segments"),
            (json!({"name": "x", "policy": {"name": "lin_ucb", "width": 99}}), "policy.width"),
            (
                json!({"name": "x", "reward_definition": {"thumb": {"weight": 0}}}),
                "reward_definition.thumb.weight",
            ),
        ] {
            assert_eq!(world.post(PATH, &body).await.problem(422, "value_out_of_range")["field"], field);
        }
    })
    .await;
}

#[tokio::test]
async fn a_version_is_named_by_its_content() {
    on_both("a_version_is_named_by_its_content", async |world| {
        let path = world.agent_path("/versions");
        let first =
            world.post(&path, &json!({"label": "third", "config": {"b": 1, "a": 2}})).await.expect(201);
        let again =
            world.post(&path, &json!({"label": "third", "config": {"a": 2, "b": 1}})).await.expect(200);
        assert_eq!(first["version"], again["version"]);
        let child =
            json!({"label": "fourth", "config": {"a": 3}, "parents": [first["version"]], "eligible": false});
        let child = world.post(&path, &child).await.expect(201);
        assert_eq!((&child["parents"], &child["eligible"]), (&json!([first["version"]]), &json!(false)));
        let orphan = json!({"label": "fifth", "config": {"a": 4}, "parents": ["0".repeat(64)]});
        assert_eq!(world.post(&path, &orphan).await.problem(404, "unknown_version")["field"], "parents");
        world.post(&path, &json!({"label": "list", "config": []})).await.problem(422, "value_out_of_range");
        let lineage =
            world.get(&format!("/api/learning/lineage/version/{}", child["version"].as_str().unwrap())).await;
        assert!(lineage.text.contains(first["version"].as_str().unwrap()), "{}", lineage.text);
    })
    .await;
}
