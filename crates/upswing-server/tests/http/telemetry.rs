//! `/v1/traces` and `/v1/logs`, and feedback that names a trace or an answer.

use std::io::Write as _;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use upswing_server::ManualClock;
use uuid::Uuid;

use crate::support::{Answer, World, on_both_with_clock};

const FEEDBACK: &str = "/api/learning/feedback";
const TRACE: &str = "5b8efff798038103d269b633813fc60c";

/// Bodies of real emitters: `crates/upswing-otlp/tests/fixtures/README.md`.
macro_rules! captured {
    ($name:literal) => {
        include_bytes!(concat!("../../../upswing-otlp/tests/fixtures/", $name)).as_slice()
    };
}

type Headers<'a> = &'a [(&'a str, &'a str)];

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

async fn post(world: &World, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
    let mut request = world.request(Method::POST, path).bearer_auth(&world.member).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::of(request).await
}

/// Sends protobuf, packed; the answer must be protobuf that says nothing was refused.
async fn protobuf(world: &World, path: &str, body: &[u8]) {
    let headers = [("content-type", "application/x-protobuf"), ("content-encoding", "gzip")];
    let answer = post(world, path, &headers, gzip(body)).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, ""), "{path}");
    assert_eq!(answer.header("content-type"), "application/x-protobuf");
}

async fn send(world: &World, path: &str, body: &Value) -> Value {
    let answer =
        post(world, path, &[("content-type", "application/json; charset=utf-8")], body.to_string().into())
            .await;
    assert_eq!(answer.header("content-type"), "application/json", "{}", answer.text);
    answer.expect(200)
}

fn attributes(attributes: &Value) -> Value {
    let value = |value: &Value| match value {
        Value::String(text) => json!({"stringValue": text}),
        Value::Bool(flag) => json!({"boolValue": flag}),
        Value::Number(number) if number.is_i64() => json!({"intValue": number.to_string()}),
        other => json!({"doubleValue": other}),
    };
    let attributes = attributes.as_object().unwrap().iter();
    attributes.map(|(key, found)| json!({"key": key, "value": value(found)})).collect()
}

fn span(id: u64, parent: Option<u64>, more: &Value) -> Value {
    let mut span = json!({
        "traceId": TRACE, "spanId": format!("{id:016x}"), "name": format!("span {id}"),
        "startTimeUnixNano": format!("17899999990000000{id:02}"), "endTimeUnixNano": "1789999999812000000",
        "attributes": attributes(more),
    });
    if let Some(parent) = parent {
        span["parentSpanId"] = json!(format!("{parent:016x}"));
    }
    span
}

fn chat(id: u64, parent: Option<u64>, response: &str) -> Value {
    let said = json!({
        "gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 90, "gen_ai.usage.output_tokens": 10,
        "gen_ai.response.id": response, "gen_ai.request.model": "small", "gen_ai.provider.name": "openai",
        "gen_ai.input.messages": r#"[{"role": "user", "parts": [{"type": "text", "content": "What is six times seven?"}]}]"#,
        "gen_ai.output.messages": r#"[{"role": "assistant", "parts": [{"type": "text", "content": "42"}]}]"#,
        "shop.basket": 17,
    });
    span(id, parent, &said)
}

fn invoke(id: u64, more: &Value) -> Value {
    let mut said = json!({"gen_ai.operation.name": "invoke_agent", "gen_ai.conversation.id": "visit-7"});
    crate::support::merge(&mut said, more);
    span(id, None, &said)
}

fn traces(spans: &[Value]) -> Value {
    json!({"resourceSpans": [{"scopeSpans": [{"scope": {"name": "test"}, "spans": spans}]}]})
}

fn evaluation(name: &str, more: &Value) -> Value {
    let mut said = json!({"gen_ai.evaluation.name": name});
    crate::support::merge(&mut said, more);
    json!({"timeUnixNano": "1790000000000000000", "eventName": "gen_ai.evaluation.result", "traceId": TRACE,
           "attributes": attributes(&said)})
}

fn logs(records: &[Value]) -> Value {
    json!({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]})
}

async fn exported(world: &World, kind: &str) -> Vec<Value> {
    let answer = world.get(&format!("/api/learning/export/{kind}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Moves the clock on, a second at a time, until the condition holds of what is exported.
async fn until(
    world: &World,
    clock: &ManualClock,
    kind: &str,
    condition: impl Fn(&[Value]) -> bool,
) -> Vec<Value> {
    let mut found = Vec::new();
    for _ in 0..200 {
        found = exported(world, kind).await;
        if condition(&found) {
            return found;
        }
        clock.advance_seconds(1);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the {kind} did not come to that; at last {found:#?}");
}

/// Gives the job time for several turns without moving the clock.
async fn turns() {
    tokio::time::sleep(Duration::from_millis(700)).await;
}

#[tokio::test]
async fn what_real_instrumentations_send_is_counted_once() {
    on_both_with_clock("what_real_instrumentations_send_is_counted_once", async |world, clock| {
        let agent = world.post("/api/learning/agents", &json!({"name": "shop-assistant"})).await.expect(201);
        let bodies = [
            captured!("two-traces.pb"),
            captured!("openinference-both-traces.pb"),
            captured!("traceloop-traces.pb"),
            captured!("genai-off-traces.pb"),
        ];
        for body in bodies {
            protobuf(world, "/v1/traces", body).await;
        }
        protobuf(world, "/v1/logs", captured!("genai-off-logs.pb")).await;
        let expected = 4 * bodies.len();
        let executions = until(world, clock, "executions", |found| found.len() >= expected).await;
        let calls = executions.iter().filter(|e| e["metrics"]["input_tokens"] == 9.0).count();
        let agents: Vec<_> = executions.iter().filter(|e| e["session"] == "visit-7").collect();
        assert_eq!((executions.len(), calls, agents.len()), (expected, 8, 4));
        for run in &executions {
            assert_eq!(run["agent_id"], agent["id"], "by the name that the spans and the service have");
            assert_eq!(
                (&run["context"]["provider"], &run["record_type"]),
                (&json!("openai"), &json!("span"))
            );
        }
        for run in agents {
            assert_eq!(
                (&run["metrics"]["input_tokens"], &run["metrics"]["output_tokens"]),
                (&json!(15.0), &json!(17.0))
            );
            assert_eq!(
                (&run["metrics"]["steps"], &run["context"]["topic"]),
                (&json!(2.0), &json!("arithmetic"))
            );
        }
        let failed =
            executions.iter().filter(|e| e["error"].as_str().is_some_and(|e| e.ends_with("BadRequestError")));
        for run in failed {
            assert_eq!(run["metrics"]["input_tokens"], Value::Null, "missing, not 0");
        }
        // A person's thumb for each agent's run, and one evaluation of the answer that one of the bodies has.
        let feedback = until(world, clock, "feedback", |found| found.len() >= 5).await;
        let thumbs =
            feedback.iter().filter(|f| f["feedback_type"] == "thumbs_up" && f["source"] == "user").count();
        let measured: Vec<_> =
            feedback.iter().filter(|f| f["metrics"]["evaluation.relevance"] == 0.75).collect();
        assert_eq!((feedback.len(), thumbs, measured.len()), (5, 4, 1), "{feedback:#?}");
        assert_eq!(measured[0]["details_type"], "evaluation");

        // Delivered again, nothing changes.
        let executions = exported(world, "executions").await;
        for body in bodies {
            protobuf(world, "/v1/traces", body).await;
        }
        protobuf(world, "/v1/logs", captured!("genai-off-logs.pb")).await;
        clock.advance_seconds(20);
        turns().await;
        assert_eq!(exported(world, "executions").await, executions);
        assert_eq!(exported(world, "feedback").await, feedback);
    })
    .await;
}

#[tokio::test]
async fn spans_in_any_order_over_several_requests_are_one_run() {
    on_both_with_clock("spans_in_any_order_over_several_requests_are_one_run", async |world, clock| {
        assert_eq!(send(world, "/v1/traces", &traces(&[chat(2, Some(1), "a")])).await, json!({}));
        clock.advance_seconds(5);
        send(world, "/v1/traces", &traces(&[chat(3, Some(1), "b")])).await;
        clock.advance_seconds(9);
        turns().await;
        assert_eq!(
            exported(world, "executions").await.len(),
            0,
            "the root is missing, and the trace not idle"
        );
        send(world, "/v1/traces", &traces(&[invoke(1, &json!({"user.id": "user-17"}))])).await;
        turns().await;
        assert_eq!(exported(world, "executions").await.len(), 0, "more may follow at once");
        clock.advance_seconds(1);
        let executions = until(world, clock, "executions", |found| !found.is_empty()).await;
        assert_eq!(executions.len(), 1);
        let run = &executions[0];
        assert_eq!((&run["trace"], &run["session"]), (&json!(TRACE), &json!("visit-7")));
        assert_eq!((&run["metrics"]["input_tokens"], &run["metrics"]["steps"]), (&json!(180.0), &json!(2.0)));
        assert_eq!((&run["output"], &run["context"]["model"]), (&json!("42"), &json!("small")));
        let members = run["record"]["members"].as_array().unwrap();
        assert!(
            members.iter().all(|m| m["attributes"]["shop.basket"] == 17),
            "what is unknown is kept: {run}"
        );
        let unit = run["unit"].as_str().unwrap();
        let pseudonym = world.keyring.pseudonym(world.organisation, "user-17").to_string();
        assert_eq!(unit, pseudonym);
    })
    .await;
}

#[tokio::test]
async fn an_agent_that_comes_late_takes_the_place_of_its_calls() {
    on_both_with_clock("an_agent_that_comes_late_takes_the_place_of_its_calls", async |world, clock| {
        send(world, "/v1/traces", &traces(&[chat(2, Some(1), "a")])).await;
        let alone = until(world, clock, "executions", |found| !found.is_empty()).await;
        send(world, "/v1/traces", &traces(&[invoke(1, &json!({}))])).await;
        let both = until(world, clock, "executions", |found| found.len() > 1).await;
        let agent = both.iter().find(|run| run["id"] != alone[0]["id"]).unwrap();
        let path = format!("/api/learning/executions/{}", alone[0]["id"].as_str().unwrap());
        let part = world.until(&path, |run| run["superseded_by"] != Value::Null).await;
        assert_eq!(part["superseded_by"], agent["id"]);
        // Whatever names the trace or the answer means the agent's run from now on.
        for name in [json!({"trace_id": TRACE}), json!({"response_id": "a"})] {
            let mut body = json!({"agent_id": world.agent, "feedback_type": "thumbs_up"});
            crate::support::merge(&mut body, &name);
            assert_eq!(world.post(FEEDBACK, &body).await.expect(201)["execution_id"], agent["id"]);
        }
    })
    .await;
}

#[tokio::test]
async fn what_was_received_is_assembled_after_a_restart() {
    on_both_with_clock("what_was_received_is_assembled_after_a_restart", async |world, clock| {
        send(world, "/v1/traces", &traces(&[chat(2, Some(1), "a"), invoke(1, &json!({}))])).await;
        send(
            world,
            "/v1/logs",
            &logs(&[evaluation("relevance", &json!({"gen_ai.evaluation.score.value": 0.75}))]),
        )
        .await;
        world.restart().await;
        assert_eq!(exported(world, "executions").await.len(), 0, "it was not due");
        until(world, clock, "executions", |found| found.len() == 1).await;
        let feedback = until(world, clock, "feedback", |found| !found.is_empty()).await;
        assert_eq!(feedback[0]["metrics"]["evaluation.relevance"], 0.75);
    })
    .await;
}

#[tokio::test]
async fn evaluations_come_before_and_after_what_they_are_about() {
    on_both_with_clock("evaluations_come_before_and_after_what_they_are_about", async |world, clock| {
        let score = |value: f64| json!({"gen_ai.evaluation.score.value": value});
        let of_answer = |value: f64| json!({"gen_ai.evaluation.score.value": value, "gen_ai.response.id": "b"});
        let verdict = json!({"gen_ai.evaluation.score.label": "good", "gen_ai.evaluation.explanation": "To the point."});
        let before = [evaluation("early", &score(0.5)), evaluation("early answer", &of_answer(0.25))];
        assert_eq!(send(world, "/v1/logs", &logs(&before)).await, json!({}));
        clock.advance_seconds(300);
        turns().await;
        assert_eq!(exported(world, "feedback").await.len(), 0, "there is nothing that they are about");
        send(world, "/v1/traces", &traces(&[chat(2, Some(1), "a"), chat(3, Some(1), "b"), invoke(1, &json!({}))])).await;
        until(world, clock, "feedback", |found| found.len() == 2).await;
        let after = [evaluation("late", &score(0.75)), evaluation("late answer", &of_answer(1.0)), evaluation("verdict", &verdict)];
        send(world, "/v1/logs", &logs(&after)).await;
        let feedback = until(world, clock, "feedback", |found| found.len() == 5).await;
        let run = exported(world, "executions").await;
        let mut scores: Vec<f64> = Vec::new();
        for said in &feedback {
            assert_eq!((&said["execution_id"], &said["source"]), (&run[0]["id"], &json!("program")), "{said}");
            let metrics = said["metrics"].as_object().unwrap();
            scores.extend(metrics.values().map(|score| score.as_f64().unwrap()));
            if metrics.is_empty() {
                assert_eq!((&said["feedback_type"], &said["details"]["label"]), (&json!("detailed_feedback"), &json!("good")));
                assert_eq!(said["feedback_text"], "To the point.");
            }
        }
        scores.sort_by(f64::total_cmp);
        assert_eq!(scores, [0.25, 0.5, 0.75, 1.0], "a missing score is missing");
    })
    .await;
}

#[tokio::test]
async fn feedback_may_name_a_trace_or_an_answer() {
    on_both_with_clock("feedback_may_name_a_trace_or_an_answer", async |world, clock| {
        let named = |more: Value| {
            let mut body = json!({"id": Uuid::now_v7(), "agent_id": world.agent, "feedback_type": "star_rating", "rating": 5});
            crate::support::merge(&mut body, &more);
            body
        };
        let early = named(json!({"trace_id": TRACE.to_uppercase()}));
        let stored = world.post(FEEDBACK, &early).await.expect(201);
        assert_eq!((&stored["execution_id"], &stored["position"]), (&Value::Null, &Value::Null));
        assert_eq!(world.post(FEEDBACK, &early).await.expect(200)["status"], "duplicate");
        let mut other = early.clone();
        other["rating"] = json!(1);
        world.post(FEEDBACK, &other).await.problem(409, "id_conflict");
        let batch = world.post(FEEDBACK, &json!([named(json!({"response_id": "a"})), other])).await.expect(200);
        assert_eq!((&batch["accepted"], &batch["rejected"][0]["index"]), (&json!(1), &json!(1)), "{batch}");

        send(world, "/v1/traces", &traces(&[chat(2, Some(1), "a"), invoke(1, &json!({}))])).await;
        let feedback = until(world, clock, "feedback", |found| found.len() == 2).await;
        let run = &exported(world, "executions").await[0];
        assert!(feedback.iter().all(|said| said["execution_id"] == run["id"]), "{feedback:#?}");
        let path = format!("/api/learning/executions/{}", run["id"].as_str().unwrap());
        assert_eq!(world.get(&path).await.expect(200)["reward"], 1.0);
        assert_eq!(world.post(FEEDBACK, &early).await.expect(200)["status"], "duplicate", "also once it is settled");
        let late = world.post(FEEDBACK, &named(json!({"response_id": "a"}))).await.expect(201);
        assert_eq!(late["execution_id"], run["id"]);

        // An execution that was reported otherwise has its trace as well.
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let waits = world.post(FEEDBACK, &named(json!({"trace_id": trace}))).await.expect(201);
        assert_eq!(waits["position"], Value::Null);
        let execution = json!({"agent_id": world.agent, "trace": trace});
        let execution = world.post("/api/learning/executions", &execution).await.expect(201);
        let feedback = until(world, clock, "feedback", |found| found.len() == 4).await;
        assert!(feedback.iter().any(|said| said["execution_id"] == execution["id"]));

        for (body, field) in [
            (json!({"trace_id": "abc"}), "trace_id"),
            (json!({"trace_id": TRACE, "response_id": "a"}), "response_id"),
            (json!({"trace_id": TRACE, "session_id": "s"}), "trace_id"),
        ] {
            let answer = world.post(FEEDBACK, &named(body)).await;
            assert_eq!((answer.status, &answer.json()["field"]), (422, &json!(field)), "{}", answer.text);
        }
    })
    .await;
}

#[tokio::test]
async fn a_bad_span_is_a_partial_success() {
    on_both_with_clock("a_bad_span_is_a_partial_success", async |world, clock| {
        let mut bad = chat(4, None, "c");
        bad["spanId"] = json!("00");
        let answer = send(world, "/v1/traces", &traces(&[chat(2, None, "a"), bad])).await;
        assert_eq!(answer["partialSuccess"]["rejectedSpans"], "1", "{answer}");
        until(world, clock, "executions", |found| found.len() == 1).await;

        // A second agent: now a run must say whose it is.
        let other = world.post("/api/learning/agents", &json!({"name": "other"})).await.expect(201);
        let unnamed = |id: u64| traces(&[chat(id, None, &format!("answer {id}"))]);
        let answer = send(world, "/v1/traces", &unnamed(5)).await;
        let message = answer["partialSuccess"]["errorMessage"].as_str().unwrap();
        assert!(message.contains("?agent=NAME") && message.contains("upswing.agent"), "{message}");
        assert_eq!(answer["partialSuccess"]["rejectedSpans"], "1");
        let mut wrong = chat(6, None, "d");
        wrong["attributes"]
            .as_array_mut()
            .unwrap()
            .push(json!({"key": "upswing.agent", "value": {"stringValue": "nobody"}}));
        let answer = send(world, "/v1/traces?agent=other", &traces(&[wrong])).await;
        assert!(answer["partialSuccess"]["errorMessage"].as_str().unwrap().contains("nobody"), "{answer}");

        assert_eq!(send(world, "/v1/traces?agent=other", &unnamed(7)).await, json!({}));
        let headers = [("content-type", "application/json"), ("upswing-agent", "other")];
        post(world, "/v1/traces", &headers, unnamed(8).to_string().into()).await.expect(200);
        let mut of_service = unnamed(9);
        of_service["resourceSpans"][0]["resource"] =
            json!({"attributes": attributes(&json!({"service.name": "other"}))});
        assert_eq!(send(world, "/v1/traces", &of_service).await, json!({}));
        let executions = until(world, clock, "executions", |found| found.len() == 4).await;
        assert_eq!(executions.iter().filter(|run| run["agent_id"] == other["id"]).count(), 3);

        // A name that comes with the agent's span, after the call's: nothing is refused before it.
        let mut call = chat(11, Some(10), "e");
        let mut run = invoke(10, &json!({"upswing.agent": "other"}));
        for span in [&mut call, &mut run] {
            span["traceId"] = json!("0af7651916cd43dd8448eb211c80319c");
        }
        let answer = send(world, "/v1/traces", &traces(&[call])).await;
        assert_eq!(answer["partialSuccess"]["rejectedSpans"], "0", "kept, with a warning: {answer}");
        assert_eq!(send(world, "/v1/traces", &traces(&[run])).await, json!({}));
        until(world, clock, "executions", |found| found.len() == 5).await;
    })
    .await;
}

#[tokio::test]
async fn what_is_no_otlp_is_told_in_the_requests_encoding() {
    on_both_with_clock("what_is_no_otlp_is_told_in_the_requests_encoding", async |world, _| {
        let json = ("content-type", "application/json");
        let protobuf = ("content-type", "application/x-protobuf");
        let gzipped = ("content-encoding", "gzip");
        let bomb = gzip(&vec![b' '; (32 << 20) + 1]);
        let cases: [(Headers<'_>, Vec<u8>, u16, u64, &str); 6] = [
            (&[json], b"{".to_vec(), 400, 3, "malformed_telemetry"),
            (&[json, gzipped], b"{}".to_vec(), 400, 3, "malformed_telemetry"),
            (&[json, gzipped], bomb, 413, 3, "body_too_large"),
            (&[json, ("content-encoding", "br")], b"{}".to_vec(), 415, 3, "unsupported_media_type"),
            (&[protobuf], vec![0x0b], 400, 3, "malformed_telemetry"),
            (&[json], vec![b' '; (8 << 20) + 1], 413, 3, "body_too_large"),
        ];
        for (headers, body, status, code, name) in cases {
            let answer = post(world, "/v1/traces", headers, body).await;
            assert_eq!(answer.status, status, "{name}: {}", answer.text);
            assert_eq!(answer.header("content-type"), headers[0].1, "{name}");
            assert!(answer.text.contains(name), "{name}: {}", answer.text);
            if headers[0] == json {
                assert_eq!(answer.json()["code"], code, "{name}");
            }
        }
        post(world, "/v1/logs", &[("content-type", "text/plain")], Vec::new())
            .await
            .problem(415, "unsupported_media_type");
        let unknown = post(world, "/v1/traces?agent=nobody", &[json], b"{}".to_vec()).await;
        assert_eq!((unknown.status, unknown.json()["code"].as_i64()), (404, Some(5)), "{}", unknown.text);
        let request =
            world.request(Method::POST, "/v1/logs").header("content-type", "application/json").body("{}");
        let unauthorised = Answer::of(request).await;
        assert_eq!((unauthorised.status, unauthorised.json()["code"].as_i64()), (401, Some(16)));
        assert_eq!(unauthorised.header("www-authenticate"), "Bearer");
    })
    .await;
}

#[tokio::test]
async fn a_run_says_which_decision_it_followed() {
    on_both_with_clock("a_run_says_which_decision_it_followed", async |world, clock| {
        let decision = world.decide(&json!({})).await;
        let said =
            json!({"upswing.token": decision["token"], "upswing.decision_id": decision["decision_id"]});
        send(world, "/v1/traces", &traces(&[chat(2, Some(1), "a"), invoke(1, &said)])).await;
        let mut forged = invoke(3, &json!({"upswing.token": "forged", "upswing.version": "steps"}));
        forged["traceId"] = json!("0af7651916cd43dd8448eb211c80319c");
        let answer = send(world, "/v1/traces", &traces(&[forged])).await;
        assert_eq!(answer["partialSuccess"]["rejectedSpans"], "0", "a bad token is no loss: {answer}");
        assert!(
            answer["partialSuccess"]["errorMessage"].as_str().unwrap().contains("upswing.token"),
            "{answer}"
        );
        let executions = until(world, clock, "executions", |found| found.len() == 2).await;
        let (decided, labelled): (Vec<_>, Vec<_>) = executions.iter().partition(|run| run["trace"] == TRACE);
        assert_eq!(
            (&decided[0]["decision_id"], &decided[0]["version"]),
            (&decision["decision_id"], &decision["version"])
        );
        assert_eq!(
            (&labelled[0]["decision_id"], &labelled[0]["version"]),
            (&Value::Null, &json!(world.versions[1]))
        );
        let body = json!({"agent_id": world.agent, "trace_id": TRACE, "feedback_type": "thumbs_up"});
        let feedback = world.post(FEEDBACK, &body).await.expect(201);
        world.learned(&feedback["position"]).await;
        assert_eq!(world.get(&world.agent_path("/policy")).await.expect(200)["observations"], 1);
    })
    .await;
}

#[tokio::test]
async fn secrets_and_identities_are_in_no_table_and_no_log_line() {
    let lines = crate::secrets::logs();
    on_both_with_clock("secrets_and_identities_are_in_no_table_and_no_log_line", async |world, clock| {
        const PLANTED: [&str; 3] = ["maria.lopez@example.com", "sk-proj-Zk3Jx81mQv0Tn5Rb7Wc2Yd9Lf4Hg6Ps", "customer-nr-4711"];
        let [mail, secret, user] = PLANTED;
        let everywhere = format!("write to {mail} with {secret}");
        let mut call = chat(2, Some(1), secret);
        let more = json!({"user.id": user, "unknown.note": everywhere, "api_key": secret, "gen_ai.request.model": secret,
                          "session.id": mail, "error.type": mail, "gen_ai.agent.description": everywhere,
                          "gen_ai.output.messages": json!([{"role": "assistant", "parts": [{"type": "text", "content": everywhere}]}]).to_string(),
                          "annotations.0.annotation.name": "note", "annotations.0.annotation.label": mail,
                          "annotations.0.annotation.explanation": everywhere,
                          "annotations.0.annotation.metadata": json!({"by": mail}).to_string()});
        call["attributes"] = attributes(&more);
        call["attributes"].as_array_mut().unwrap().push(json!({"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}}));
        call["attributes"].as_array_mut().unwrap().push(json!({"key": "gen_ai.response.id", "value": {"stringValue": secret}}));
        call["name"] = json!(everywhere);
        send(world, "/v1/traces", &traces(&[call, invoke(1, &json!({"upswing.context.who": mail}))])).await;
        let of_answer = json!({"gen_ai.evaluation.score.value": 0.5, "gen_ai.response.id": secret,
                               "gen_ai.evaluation.explanation": everywhere});
        let orphan = json!({"gen_ai.evaluation.score.value": 0.5, "gen_ai.response.id": "nobody's",
                            "gen_ai.evaluation.explanation": everywhere});
        send(world, "/v1/logs", &logs(&[evaluation("found", &of_answer), evaluation("lost", &orphan)])).await;
        let executions = until(world, clock, "executions", |found| found.len() == 1).await;
        let feedback = until(world, clock, "feedback", |found| found.len() == 2).await;
        assert!(feedback.iter().all(|said| said["execution_id"] == executions[0]["id"]), "a secret as an id still finds it");
        world.stop().await;
        let tables = world.database.dump().await;
        assert!(tables.contains("unknown.note"), "the tables were read");
        let logged = String::from_utf8_lossy(&lines.lock().unwrap()).into_owned();
        assert!(logged.contains("/v1/traces"), "log lines were read");
        for planted in PLANTED {
            for (place, text) in [("a table", &tables), ("a log line", &logged)] {
                assert!(!text.contains(planted), "{planted} stands in {place}");
            }
        }
    })
    .await;
}
