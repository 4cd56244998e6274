//! Every route with every kind of key. A route that is missing from the table fails the test.

use reqwest::Method;
use serde_json::{Value, json};
use upswing_domain::{OrganisationId, Permission, Role};
use upswing_server::routes;
use uuid::Uuid;

use crate::support::{Answer, World, on_both};

/// A call that succeeds for whoever may make it.
pub(crate) struct Call {
    pub(crate) method: &'static str,
    /// As in the route table.
    pub(crate) route: &'static str,
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
    /// The answer within the organisation.
    own: u16,
    /// The answer to an administrator of another organisation: it finds nothing of this one.
    other: u16,
}

pub(crate) struct Things<'a> {
    pub(crate) world: &'a World,
    pub(crate) execution: String,
    pub(crate) feedback: String,
    pub(crate) record: String,
    pub(crate) spare_key: String,
    pub(crate) experiment: String,
    /// One that no experiment compares: it is promoted and rolled back.
    pub(crate) version: String,
}

impl World {
    /// A version more, which nothing compares.
    pub(crate) async fn spare_version(&self) -> String {
        let body = json!({"label": "spare", "config": {"template": "spare"}, "eligible": false});
        let made = self.post(&self.agent_path("/versions"), &body).await.expect(201);
        made["version"].as_str().unwrap().to_owned()
    }
}

/// One call of every route.
pub(crate) fn calls(things: &Things<'_>) -> Vec<Call> {
    let Things { world, execution, feedback, spare_key, version, .. } = things;
    let agent = &world.agent;
    let mut calls = Vec::new();
    let mut call = |method, route: &'static str, path: String, body: Option<Value>, own, other| {
        calls.push(Call { method, route, path, body, own, other });
    };
    let api = |rest: &str| format!("/api/learning/{rest}");
    let of = |rest: &str| api(&format!("agents/{agent}{rest}"));
    let give = json!({"agent_id": agent, "execution_id": execution, "feedback_type": "thumbs_up"});
    let reward_definition =
        json!({"thumb": {}, "rating": {}, "metrics": {"reward": {"minimum": 0, "maximum": 1}}});
    call("POST", "/api/learning/decide", api("decide"), Some(json!({"agent_id": agent})), 200, 404);
    call("POST", "/api/learning/executions", api("executions"), Some(json!({"agent_id": agent})), 201, 404);
    call(
        "GET",
        "/api/learning/executions/{execution_id}",
        api(&format!("executions/{execution}")),
        None,
        200,
        404,
    );
    call("POST", "/api/learning/feedback", api("feedback"), Some(give), 201, 404);
    call("OPTIONS", "/api/learning/feedback", api("feedback"), None, 204, 204);
    call(
        "GET",
        "/api/learning/feedback/stats",
        api(&format!("feedback/stats?agent_id={agent}")),
        None,
        200,
        404,
    );
    call("GET", "/api/learning/feedback/{feedback_id}", api(&format!("feedback/{feedback}")), None, 200, 404);
    let effects = api(&format!("feedback/{feedback}/effects"));
    call("GET", "/api/learning/feedback/{feedback_id}/effects", effects, None, 200, 404);
    call(
        "GET",
        "/api/learning/export/{kind}",
        api(&format!("export/decisions?agent_id={agent}")),
        None,
        200,
        404,
    );
    let signal = json!({"agent_id": agent, "execution_id": execution, "type": "copy"});
    call("POST", "/api/learning/signals", api("signals"), Some(signal), 201, 404);
    call("OPTIONS", "/api/learning/signals", api("signals"), None, 204, 204);
    // The one that is stored already: each caller finds it.
    let record = json!({"performance_metrics": {"total_ms": 11}});
    let route = "/api/learning/records/{kind}";
    let query = format!("?agent_id={agent}&execution_id={execution}");
    call("POST", route, api(&format!("records/performance{query}")), Some(record), 200, 404);
    let route = "/api/learning/records/{kind}/{id}";
    call("GET", route, api(&format!("records/performance/{}", things.record)), None, 200, 404);
    let correction =
        json!({"url": "https://x.org/", "originalData": {"a": null}, "correctedData": {"a": "b"}});
    let path = format!("/api/agent?mode=feedback&agent_id={agent}");
    call("POST", "/api/agent", path, Some(correction), 201, 404);
    let consent = json!({"subject": "nobody", "purpose": "learning", "granted": true});
    call("PUT", "/api/learning/consents", api("consents"), Some(consent), 200, 200);
    call("GET", "/api/learning/consents", api("consents?subject=nobody"), None, 200, 200);
    call("GET", "/api/learning/agents/{agent_id}/windows", of("/windows"), None, 200, 404);
    let route = "/api/learning/agents/{agent_id}/windows/{ordinal}/retry";
    call("POST", route, of("/windows/1/retry"), None, 404, 404);
    let route = "/api/learning/agents/{agent_id}/profile";
    call("GET", route, of("/profile?unit=nobody"), None, 404, 404);
    for path in ["/v1/traces", "/v1/logs"] {
        call("POST", path, path.to_owned(), Some(json!({})), 200, 200);
    }
    call("POST", "/api/learning/agents", api("agents"), Some(json!({"name": "another"})), 201, 201);
    call("GET", "/api/learning/agents", api("agents"), None, 200, 200);
    call("GET", "/api/learning/agents/{agent_id}", of(""), None, 200, 404);
    let route = "/api/learning/agents/{agent_id}/reward-definition";
    call("PUT", route, of("/reward-definition"), Some(reward_definition), 200, 404);
    call(
        "PUT",
        "/api/learning/agents/{agent_id}/policy",
        of("/policy"),
        Some(json!({"name": "thompson"})),
        200,
        404,
    );
    call("GET", "/api/learning/agents/{agent_id}/policy", of("/policy"), None, 200, 404);
    let body = json!({"label": "third", "config": {"template": "third"}});
    call("POST", "/api/learning/agents/{agent_id}/versions", of("/versions"), Some(body), 201, 404);
    call("GET", "/api/learning/agents/{agent_id}/versions", of("/versions"), None, 200, 404);
    let route = "/api/learning/agents/{agent_id}/versions/{version}/promote";
    call("POST", route, of(&format!("/versions/{version}/promote")), None, 200, 404);
    let route = "/api/learning/agents/{agent_id}/versions/{version}/rollback";
    call("POST", route, of(&format!("/versions/{version}/rollback")), Some(json!({"reason": "x"})), 200, 404);
    let case = json!({"input": "two and two?", "expected": "4"});
    call("POST", "/api/learning/datasets", api("datasets?name=sums"), Some(case), 201, 201);
    call("GET", "/api/learning/datasets", api("datasets"), None, 200, 200);
    let route = "/api/learning/datasets/{dataset}";
    call("GET", route, api(&format!("datasets/{}", "0".repeat(64))), None, 404, 404);
    let runner = json!({"type": "http", "url": "https://runner.example.com/run"});
    call("PUT", "/api/learning/agents/{agent_id}/runner", of("/runner"), Some(runner), 200, 404);
    // None: what follows is not to wait for them.
    let gates = json!({"order": []});
    call("PUT", "/api/learning/agents/{agent_id}/gates", of("/gates"), Some(gates), 200, 404);
    call("GET", "/api/learning/agents/{agent_id}/gates", of("/gates"), None, 200, 404);
    let of_version = |rest: &str| of(&format!("/versions/{version}/{rest}"));
    let route = "/api/learning/agents/{agent_id}/versions/{version}/gates";
    call("POST", route, of_version("gates"), None, 200, 404);
    call("GET", route, of_version("gates"), None, 200, 404);
    let route = "/api/learning/agents/{agent_id}/versions/{version}/approve";
    call("POST", route, of_version("approve"), Some(json!({"reason": "x"})), 200, 404);
    let route = "/api/learning/agents/{agent_id}/versions/{version}/diff";
    call("GET", route, of_version("diff"), None, 200, 404);
    call("GET", "/api/learning/agents/{agent_id}/deployments", of("/deployments"), None, 200, 404);
    call("GET", "/api/learning/agents/{agent_id}/config", of("/config"), None, 200, 404);
    // Of a stream of nobody's agent only the refusal can be read to its end.
    let stream = api(&format!("agents/{}/config/stream", Uuid::nil()));
    call("GET", "/api/learning/agents/{agent_id}/config/stream", stream, None, 404, 404);
    let route = "/api/learning/agents/{agent_id}/safe-version";
    call("PUT", route, of("/safe-version"), Some(json!({"version": null})), 200, 404);
    let rolled = json!({"version": world.versions[1]});
    // Nothing is live: every administrator of the organisation hears so.
    call("POST", "/api/learning/agents/{agent_id}/rollouts", of("/rollouts"), Some(rolled), 409, 404);
    call("GET", "/api/learning/agents/{agent_id}/rollouts", of("/rollouts"), None, 200, 404);
    let nowhere = Uuid::nil();
    for (method, rest, route) in [
        ("GET", "", "/api/learning/rollouts/{rollout_id}"),
        ("POST", "/promote", "/api/learning/rollouts/{rollout_id}/promote"),
        ("POST", "/hold", "/api/learning/rollouts/{rollout_id}/hold"),
        ("POST", "/resume", "/api/learning/rollouts/{rollout_id}/resume"),
        ("POST", "/rollback", "/api/learning/rollouts/{rollout_id}/rollback"),
        ("GET", "/record", "/api/learning/rollouts/{rollout_id}/record"),
        ("GET", "/evidence", "/api/learning/rollouts/{rollout_id}/evidence"),
        ("GET", "/pairs", "/api/learning/rollouts/{rollout_id}/pairs"),
    ] {
        call(method, route, api(&format!("rollouts/{nowhere}{rest}")), None, 404, 404);
    }
    let compared = json!({"name": "fresh", "agent_id": agent,
                          "arms": [{"version": world.versions[0]}, {"version": world.versions[1]}]});
    call("POST", "/api/learning/experiments", api("experiments"), Some(compared), 201, 404);
    call("GET", "/api/learning/experiments", api("experiments"), None, 200, 200);
    let experiment = &things.experiment;
    let of_experiment = |rest: &str| api(&format!("experiments/{experiment}{rest}"));
    call("GET", "/api/learning/experiments/{experiment_id}", of_experiment(""), None, 200, 404);
    let split = json!({"weights": [0.4, 0.6]});
    let route = "/api/learning/experiments/{experiment_id}/split";
    call("PUT", route, of_experiment("/split"), Some(split), 200, 404);
    for (action, route) in [
        ("start", "/api/learning/experiments/{experiment_id}/start"),
        ("pause", "/api/learning/experiments/{experiment_id}/pause"),
        ("stop", "/api/learning/experiments/{experiment_id}/stop"),
        ("archive", "/api/learning/experiments/{experiment_id}/archive"),
    ] {
        let body = (action == "stop").then(|| json!({"confirm": true}));
        call("POST", route, of_experiment(&format!("/{action}")), body, 200, 404);
    }
    let route = "/api/learning/experiments/{experiment_id}/results";
    call("GET", route, of_experiment("/results"), None, 200, 404);
    let route = "/api/learning/experiments/{experiment_id}/history";
    call("GET", route, of_experiment("/history"), None, 200, 404);
    let sizes = json!({"baseline": 0.2, "effect": 0.02});
    call("POST", "/api/learning/power", api("power"), Some(sizes), 200, 200);
    call("GET", "/api/learning/agents/{agent_id}/performance", of("/performance"), None, 200, 404);
    call("GET", "/api/learning/agents/{agent_id}/learning-curve", of("/learning-curve"), None, 200, 404);
    call("GET", "/api/learning/agents/{agent_id}/trust", of("/trust"), None, 200, 404);
    call("GET", "/api/learning/lineage/{kind}/{id}", api(&format!("lineage/policy/{agent}")), None, 200, 200);
    call("GET", "/api/learning/organisation", api("organisation"), None, 200, 200);
    call("POST", "/api/learning/keys", api("keys"), Some(json!({"name": "new", "role": "member"})), 201, 201);
    call("GET", "/api/learning/keys", api("keys"), None, 200, 200);
    call("DELETE", "/api/learning/keys/{key_id}", api(&format!("keys/{spare_key}")), None, 200, 404);
    call("GET", "/api/learning/audit", api("audit"), None, 200, 200);
    for path in ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/"] {
        call("GET", path, path.to_owned(), None, 200, 200);
    }
    call("GET", "/problems/{code}", "/problems/queue_full".to_owned(), None, 200, 200);
    call("GET", "/assets/{name}", "/assets/docs.js".to_owned(), None, 200, 200);
    calls
}

async fn send(world: &World, call: &Call, key: Option<&str>) -> Answer {
    let mut request = world.request(Method::from_bytes(call.method.as_bytes()).unwrap(), &call.path);
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    if let Some(body) = &call.body {
        request = request.json(body);
    }
    Answer::of(request).await
}

/// Exporters of telemetry read `google.rpc.Status`, everybody else a problem.
#[track_caller]
fn refused_with(call: &Call, answer: Answer, status: u16, code: &str) {
    if !call.route.starts_with("/v1/") {
        answer.problem(status, code);
        return;
    }
    let message = answer.expect(status)["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with(&format!("{code}: ")), "{message}");
}

#[tokio::test]
async fn every_route_asks_every_kind_of_key_for_its_permission() {
    on_both("every_route_asks_every_kind_of_key_for_its_permission", async |world| {
        let decision = world.decide(&json!({})).await;
        let execution = world.execute(&decision).await["id"].as_str().unwrap().to_owned();
        let feedback = world.reward(&json!(execution), 1.0).await["id"].as_str().unwrap().to_owned();
        let spare_key = world.key(world.organisation, Role::Member, None).await.1.to_string();
        let experiment = world.experiment(&json!({})).await;
        let record = json!({"performance_metrics": {"total_ms": 11}});
        let path =
            format!("/api/learning/records/performance?agent_id={}&execution_id={execution}", world.agent);
        let record = world.post(&path, &record).await.expect(201)["id"].as_str().unwrap().to_owned();
        let version = world.spare_version().await;
        let calls = calls(&Things { world, execution, feedback, record, spare_key, experiment, version });

        let routes = routes();
        for route in &routes {
            let listed = calls.iter().filter(|c| c.method == route.method && c.route == route.path).count();
            assert_eq!(listed, 1, "{} {} must be in this test's table once", route.method, route.path);
        }
        assert_eq!(calls.len(), routes.len(), "the table has a route that does not exist");

        let (revoked, revoked_id) = world.key(world.organisation, Role::Admin, None).await;
        let revoke = format!("/api/learning/keys/{revoked_id}");
        Answer::of(world.request(Method::DELETE, &revoke).bearer_auth(&world.admin)).await.expect(200);
        let now = world.clock.now();
        let (expired, _) = world.key(world.organisation, Role::Admin, Some(now)).await;
        let unknown = format!("up_sk_{}", "x".repeat(43));
        let other = OrganisationId(Uuid::now_v7());
        world.server().store().create_organisation(other, "Other".to_owned(), now).await.unwrap();
        let (other_admin, _) = world.key(other, Role::Admin, None).await;
        world.server().refresh().await.unwrap();

        let refused = [
            (None, "key_missing"),
            (Some("up_sk_short"), "key_malformed"),
            (Some(unknown.as_str()), "key_unknown"),
            (Some(revoked.as_str()), "key_revoked"),
            (Some(expired.as_str()), "key_expired"),
        ];
        for call in &calls {
            let place = format!("{} {}", call.method, call.path);
            let route = routes.iter().find(|r| r.method == call.method && r.path == call.route).unwrap();
            for (key, code) in refused {
                let answer = send(world, call, key).await;
                if route.permission == Permission::Public {
                    assert_eq!(answer.status, call.own, "{place} with {code}");
                } else {
                    refused_with(call, answer, 401, code);
                }
            }
            let roles = [
                (Role::Publishable, world.publishable.clone()),
                (Role::Member, world.member.clone()),
                (Role::Expert, world.expert.clone()),
            ];
            for (role, key) in roles {
                let answer = send(world, call, Some(&key)).await;
                if route.permission == Permission::GiveFeedback && role == Role::Publishable {
                    // Without an origin that it declares it may not even do that.
                    answer.problem(403, "origin_not_allowed");
                } else if role.can(route.permission) {
                    assert_eq!(answer.status, call.own, "{place} as {}: {}", role.name(), answer.text);
                } else {
                    refused_with(call, answer, 403, "forbidden");
                }
            }
            let answer = send(world, call, Some(&other_admin)).await;
            assert_eq!(answer.status, call.other, "{place} from elsewhere: {}", answer.text);
            for secret in [&world.agent, &world.admin, "answers"] {
                let leaks = answer.text.contains(secret)
                    && !call.path.contains(secret)
                    && route.permission != Permission::Public
                    && !call.body.as_ref().is_some_and(|body| body.to_string().contains(secret));
                assert!(!leaks, "{place} tells another organisation of this one: {}", answer.text);
            }
            let answer = send(world, call, Some(&world.admin.clone())).await;
            assert_eq!(answer.status, call.own, "{place} as administrator: {}", answer.text);
        }
    })
    .await;
}

#[tokio::test]
async fn administrative_changes_are_audited_with_their_request() {
    on_both("administrative_changes_are_audited_with_their_request", async |world| {
        let request = world
            .request(Method::PUT, &world.agent_path("/policy"))
            .bearer_auth(&world.admin)
            .header("x-request-id", "change-1")
            .json(&json!({"name": "epsilon_greedy", "epsilon": 0.2}));
        Answer::of(request).await.expect(200);
        let entries = world.get("/api/learning/audit?limit=1").await.expect(200);
        assert_eq!(entries["entries"][0]["request_id"], "change-1", "{entries}");
        let (head, first) = (&entries["head"], &entries["entries"][0]);
        assert_eq!((head["hash"].as_str().unwrap().len(), &head["sequence"]), (64, &first["sequence"]));
        let verdict = world.server().store().verify_audit(world.organisation, None).await.unwrap();
        assert_eq!(verdict.broken, None, "what the API did is chained");
        let next = entries["next_cursor"].as_str().unwrap();
        let older = world.get(&format!("/api/learning/audit?limit=200&cursor={next}")).await.expect(200);
        assert!(older["entries"].as_array().unwrap().len() >= 4, "{older}");
    })
    .await;
}
