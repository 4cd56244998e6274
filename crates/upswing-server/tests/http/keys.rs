//! `/api/learning/keys` and `/api/learning/organisation`.

use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, on_both};

const PATH: &str = "/api/learning/keys";

#[tokio::test]
async fn a_key_is_shown_once_and_refused_once_it_is_revoked() {
    on_both("a_key_is_shown_once_and_refused_once_it_is_revoked", async |world| {
        let made = world.post(PATH, &json!({"name": "worker", "role": "expert"})).await.expect(201);
        let secret = made["secret"].as_str().unwrap();
        assert!(secret.starts_with("up_sk_") && secret.starts_with(made["hint"].as_str().unwrap()));
        let ask = async || {
            Answer::of(world.request(Method::GET, "/api/learning/organisation").bearer_auth(secret)).await
        };
        let organisation = ask().await.expect(200);
        assert_eq!((&organisation["role"], &organisation["key_id"]), (&json!("expert"), &made["id"]));
        let listed = world.get(&format!("{PATH}?limit=200")).await;
        assert!(!listed.text.contains(secret) && listed.text.contains(made["id"].as_str().unwrap()));
        let path = format!("{PATH}/{}", made["id"].as_str().unwrap());
        let revoked =
            Answer::of(world.request(Method::DELETE, &path).bearer_auth(&world.admin)).await.expect(200);
        assert!(revoked["revoked_at"].is_string());
        ask().await.problem(401, "key_revoked");
    })
    .await;
}

#[tokio::test]
async fn keys_that_make_no_sense_are_refused() {
    on_both("keys_that_make_no_sense_are_refused", async |world| {
        let cases = [
            (json!({"name": "", "role": "member"}), "name"),
            (json!({"name": "x", "role": "publishable"}), "origins"),
            (json!({"name": "x", "role": "publishable", "origins": ["*"]}), "origins"),
            (json!({"name": "x", "role": "member", "origins": ["https://a.example"]}), "origins"),
            (json!({"name": "x", "role": "member", "expires_at": "2001-01-01T00:00:00Z"}), "expires_at"),
        ];
        for (body, field) in cases {
            assert_eq!(world.post(PATH, &body).await.problem(422, "value_out_of_range")["field"], field);
        }
        world.post(PATH, &json!({"name": "x", "role": "king"})).await.problem(422, "invalid_body");
    })
    .await;
}

#[tokio::test]
async fn lists_come_in_pages() {
    on_both("lists_come_in_pages", async |world| {
        for name in ["a", "b", "c"] {
            world.post(PATH, &json!({"name": name, "role": "member"})).await.expect(201);
        }
        let mut seen = Vec::new();
        let mut path = format!("{PATH}?limit=2");
        loop {
            let page = world.get(&path).await.expect(200);
            seen.extend(
                page["keys"].as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap().to_owned()),
            );
            match page["next_cursor"].as_str() {
                Some(cursor) => path = format!("{PATH}?limit=2&cursor={cursor}"),
                None => break,
            }
        }
        let count = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!((seen.len(), count), (7, 7), "four from the start and three more, each once");
    })
    .await;
}
