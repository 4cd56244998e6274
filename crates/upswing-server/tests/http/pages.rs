//! What needs no key: pages, the description, health, measurements.

use crate::support::on_both;

#[tokio::test]
async fn pages_may_do_nothing_that_they_need_not() {
    on_both("pages_may_do_nothing_that_they_need_not", async |world| {
        for path in ["/", "/docs", "/assets/docs.js"] {
            let page = world.get(path).await;
            assert_eq!(page.status, 200, "{path}");
            assert!(page.header("content-security-policy").starts_with("default-src 'none'"), "{path}");
            assert_eq!(page.header("x-content-type-options"), "nosniff");
        }
        let script = world.get("/assets/behaviour.js").await;
        assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
        assert_eq!(script.header("access-control-allow-origin"), "*", "pages of all origins load it");
        assert!(script.header("cache-control").starts_with("public, max-age="));
        assert_eq!(world.get("/assets/docs.js").await.header("access-control-allow-origin"), "");
        world.get("/assets/../secret").await.problem(404, "route_not_found");
        world.get("/assets/nothing.js").await.problem(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn the_description_has_every_route() {
    on_both("the_description_has_every_route", async |world| {
        let document = world.get("/openapi.json").await.expect(200);
        for route in upswing_server::routes() {
            let operation = &document["paths"][&route.path][route.method.to_lowercase()];
            assert!(operation["responses"]["default"].is_object(), "{} {}", route.method, route.path);
            assert!(operation["operationId"].is_string(), "{} {}", route.method, route.path);
        }
        let text = document.to_string();
        for reference in text.split("#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(document["components"]["schemas"][name].is_object(), "the schema {name} is missing");
        }
    })
    .await;
}

#[tokio::test]
async fn health_and_measurements_are_told() {
    on_both("health_and_measurements_are_told", async |world| {
        world.turn(&serde_json::json!({}), |_| 1.0).await;
        assert_eq!(world.get("/healthz").await.expect(200)["status"], "ok");
        assert_eq!(world.get("/readyz").await.expect(200)["status"], "ok");
        let metrics = world.get("/metrics").await;
        assert_eq!(metrics.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
        for line in [
            "upswing_http_requests_total{method=\"POST\",route=\"/api/learning/decide\",status=\"200\"} 1",
            "upswing_decisions_total 1",
            "upswing_database_connected 1",
            "upswing_learner_lease 1",
        ] {
            assert!(metrics.text.contains(line), "{line} is not in\n{}", metrics.text);
        }
    })
    .await;
}
