//! What an agent serves reaches every server and every application that follows it, or the server says that it cannot confirm it.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Wire, World, on_both, on_postgres};

impl World {
    async fn promote(&self, version: &str) {
        self.post(&self.agent_path(&format!("/versions/{version}/promote")), &json!({})).await.expect(200);
    }

    async fn fixed_on(&self, version: &str) {
        self.promote(version).await;
        self.put(&self.agent_path("/policy"), &json!({"name": "fixed"})).await.expect(200);
    }
}

#[tokio::test]
async fn an_application_follows_its_agent_by_etag_and_by_stream() {
    on_both("an_application_follows_its_agent_by_etag_and_by_stream", async |world| {
        world.fixed_on(&world.versions[0]).await;
        let path = world.agent_path("/config");
        let first = world.get(&path).await;
        let tag = first.header("etag").to_owned();
        let body = first.expect(200);
        assert_eq!(body["champion"]["version"], *world.versions[0]);
        assert_eq!(body["champion"]["config"], json!({"template": "direct"}));
        let asked = async |tag: &str| {
            let request =
                world.request(Method::GET, &path).bearer_auth(&world.member).header("if-none-match", tag);
            Answer::of(request).await
        };
        let same = asked(&tag).await;
        assert_eq!((same.status, same.text.as_str()), (304, ""));

        let stream =
            world.request(Method::GET, &world.agent_path("/config/stream")).bearer_auth(&world.member);
        let mut answer = stream.send().await.unwrap();
        assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
        let mut text = String::new();
        let mut event = async |text: &mut String| -> Value {
            loop {
                if let Some(end) = text.find("\n\n") {
                    let event: String = text.drain(..end + 2).collect();
                    if let Some(data) = event.lines().find_map(|line| line.strip_prefix("data: ")) {
                        assert!(event.contains("event: config"));
                        return serde_json::from_str(data).unwrap();
                    }
                    continue;
                }
                let chunk = tokio::time::timeout(Duration::from_secs(20), answer.chunk()).await.unwrap();
                text.push_str(std::str::from_utf8(&chunk.unwrap().unwrap()).unwrap());
            }
        };
        assert_eq!(event(&mut text).await["champion"]["version"], *world.versions[0]);
        world.promote(&world.versions[1]).await;
        assert_eq!(event(&mut text).await["champion"]["version"], *world.versions[1]);
        let changed = asked(&tag).await;
        assert_eq!(changed.status, 200);
        assert_ne!(changed.header("etag"), tag);
        world.promote(&world.versions[0]).await;
        event(&mut text).await;
        let rollout = json!({"version": world.versions[1]});
        let rollout = world.post(&world.agent_path("/rollouts"), &rollout).await.expect(201);
        let share = event(&mut text).await;
        assert_eq!(
            (&share["rollout"]["version"], &share["rollout"]["weight"]),
            (&json!(world.versions[1]), &json!(0.05))
        );
        let path = format!("/api/learning/rollouts/{}/rollback", rollout["id"].as_str().unwrap());
        world.post(&path, &json!({})).await.expect(200);
        assert_eq!(event(&mut text).await["rollout"], Value::Null);
    })
    .await;
}

#[tokio::test]
async fn another_server_hears_of_a_change() {
    on_postgres("another_server_hears_of_a_change", async |world| {
        world.fixed_on(&world.versions[0]).await;
        let other = world.another().await;
        let decide = async || {
            let body = json!({"agent_id": world.agent});
            let request = world.client.post(format!("{}/api/learning/decide", other.url()));
            Answer::of(request.bearer_auth(&world.admin).json(&body)).await.expect(200)["version"].clone()
        };
        for round in 0..10 {
            let version = &world.versions[(round + 1) % 2];
            world.promote(version).await;
            let mut asked = 0;
            while decide().await != **version {
                asked += 1;
                assert!(asked < 10_000, "it was never heard of");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_cut_off_stops_serving_what_may_have_changed() {
    on_postgres("a_server_that_is_cut_off_stops_serving_what_may_have_changed", async |world| {
        let Some(mut wire) = Wire::to(&world.database).await else {
            crate::support::skipped("a_server_that_is_cut_off_stops_serving_what_may_have_changed", "no TCP");
            return;
        };
        world.fixed_on(&world.versions[1]).await;
        let url = wire.url.clone();
        world
            .restart_with(|config| {
                config.database = url;
                config.state_lease = Duration::from_millis(1_500);
            })
            .await;
        assert_eq!(world.decide(&json!({})).await["version"], *world.versions[1]);
        wire.cut();
        let until = async |world: &World, wanted: &dyn Fn(&Answer) -> bool| -> Answer {
            for _ in 0..2_000 {
                let answer = world.decide_answer(&json!({})).await;
                if wanted(&answer) {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            panic!("it did not come to that");
        };
        let refused = until(world, &|answer| answer.status != 200).await;
        let refused = refused.problem(503, "state_unconfirmed");
        assert!(refused["detail"].as_str().unwrap().contains("1500 ms"), "{refused}");
        world.get(&world.agent_path("/config")).await.problem(503, "state_unconfirmed");
        wire.mend().await;
        let again = until(world, &|answer| answer.status == 200).await.json();
        assert_eq!(again["reason"], "champion");
        // With a safe version named, that is what is served.
        let safe = json!({"version": world.versions[0]});
        world.put(&world.agent_path("/safe-version"), &safe).await.expect(200);
        wire.cut();
        let served =
            until(world, &|answer| answer.status == 200 && answer.json()["reason"] == "safe").await.json();
        assert_eq!(served["version"], *world.versions[0]);
        wire.mend().await;
        until(world, &|answer| answer.status == 200 && answer.json()["reason"] == "champion").await;
        world
            .put(&world.agent_path("/safe-version"), &json!({"version": "0".repeat(64)}))
            .await
            .problem(404, "unknown_version");
        // The wire ends with this test, before the server does.
        world.restart().await;
    })
    .await;
}
