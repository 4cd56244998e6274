//! Secrets that people put where they do not belong: in every string field of every writing route, as the OpenAPI document
//! lists them. They must be found in no table, no log line, no metric and no problem document.

use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock};

use reqwest::Method;
use serde_json::{Map, Value, json};
use upswing_domain::Role;
use upswing_server::openapi;

use crate::access::{Call, Things, calls};
use crate::support::{Answer, World, on_both};

/// What is planted, by place: each one can be told from the others. The kinds take turns.
///
/// A version's configuration may hold an address of mail: the organisation's own, in a prompt.
fn planted(place: &str) -> (String, String) {
    let hex = blake3::hash(place.as_bytes()).to_hex();
    let unique = &hex[..32];
    let kinds = if place.contains(" config") || place.contains(" output_schema") { 2 } else { 3 };
    let secret = match hex.as_bytes()[40] % kinds {
        0 => format!("sk-ant-api03-{unique}"),
        1 => format!("ghp_{}{}", unique, &hex[32..36]),
        _ => format!("{}.{}@mail.example.com", &unique[..12], &unique[12..24]),
    };
    let tell = match hex.as_bytes()[40] % kinds {
        2 => format!("{}.{}@", &unique[..12], &unique[12..24]),
        _ => unique.to_owned(),
    };
    (secret, tell)
}

/// Every place in a schema where a string may stand, as the path of names that leads to it.
fn strings(document: &Value, schema: &Value, path: &[String], found: &mut Vec<Vec<String>>, depth: usize) {
    if depth > 8 {
        return;
    }
    if let Some(name) = schema["$ref"].as_str() {
        let target = document.pointer(&name[1..]).unwrap_or_else(|| panic!("{name} is not defined"));
        return strings(document, target, path, found, depth + 1);
    }
    for several in ["oneOf", "anyOf", "allOf"] {
        for one in schema[several].as_array().into_iter().flatten() {
            strings(document, one, path, found, depth + 1);
        }
    }
    let is = |name: &str| match &schema["type"] {
        Value::String(kind) => kind == name,
        Value::Array(kinds) => kinds.iter().any(|kind| kind == name),
        _ => false,
    };
    let below = |name: &str| [path, &[name.to_owned()]].concat();
    if is("string") {
        found.push(path.to_vec());
    }
    if is("array") {
        strings(document, &schema["items"], &below("0"), found, depth + 1);
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        strings(document, inner, &below(name), found, depth + 1);
    }
    let free = is("object") && schema["properties"].is_null();
    if free || schema["additionalProperties"].is_object() {
        // A name that somebody chose, and a text below it.
        found.push(below("\u{1}"));
        if free && !schema["additionalProperties"].is_object() {
            found.push(below("note"));
        } else {
            strings(document, &schema["additionalProperties"], &below("note"), found, depth + 1);
        }
    }
}

/// The body with `text` at a path. Where the path leads through something else, that is replaced.
fn with(body: &Value, path: &[String], text: &str) -> Value {
    let Some((first, rest)) = path.split_first() else { return json!(text) };
    if first == "0" {
        return json!([with(&Value::Null, rest, text)]);
    }
    let mut object = body.as_object().cloned().unwrap_or_else(Map::new);
    if first == "\u{1}" {
        object.insert(text.to_owned(), json!(1));
    } else {
        let inner = with(object.get(first).unwrap_or(&Value::Null), rest, text);
        object.insert(first.clone(), inner);
    }
    Value::Object(object)
}

/// Whatever is logged in this program from here on.
pub(crate) fn logs() -> &'static Arc<Mutex<Vec<u8>>> {
    static LOGS: OnceLock<Arc<Mutex<Vec<u8>>>> = OnceLock::new();
    struct Sink(Arc<Mutex<Vec<u8>>>);
    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    LOGS.get_or_init(|| {
        let buffer = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&buffer);
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(move || Sink(Arc::clone(&sink)))
            .finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
        buffer
    })
}

async fn things(world: &World) -> Vec<Call> {
    let decision = world.decide(&json!({})).await;
    let execution = world.execute(&decision).await["id"].as_str().unwrap().to_owned();
    let feedback = world.reward(&json!(execution), 1.0).await["id"].as_str().unwrap().to_owned();
    let spare_key = world.key(world.organisation, Role::Member, None).await.1.to_string();
    let experiment = world.experiment(&json!({})).await;
    let version = world.spare_version().await;
    calls(&Things { world, execution, feedback, record: String::new(), spare_key, experiment, version })
}

#[tokio::test]
async fn what_is_planted_in_any_field_is_found_nowhere() {
    let logs = logs();
    on_both("what_is_planted_in_any_field_is_found_nowhere", async |world| {
        let document = serde_json::to_value(openapi()).unwrap();
        let calls = things(world).await;
        let mut tells = Vec::new();
        let (mut fields, mut taken) = (0, 0);
        for call in &calls {
            let operation = &document["paths"][call.route][call.method.to_lowercase()];
            let body = &operation["requestBody"];
            // Telemetry has a shape of its own: `telemetry.rs` plants in it.
            if body.is_null() || call.route.starts_with("/v1/") {
                continue;
            }
            let mut places = Vec::new();
            strings(&document, &body["content"]["application/json"]["schema"], &[], &mut places, 0);
            let numbers = ["/api/learning/experiments/{experiment_id}/split", "/api/learning/power"];
            let texts = !numbers.contains(&call.route);
            assert_eq!(
                places.is_empty(),
                !texts,
                "{} {} takes a body without a text?",
                call.method,
                call.route
            );
            for path in places {
                let place = format!("{} {} {}", call.method, call.route, path.join("."));
                let (secret, tell) = planted(&place);
                let base = call.body.clone().unwrap_or_else(|| json!({}));
                for text in [secret.clone(), format!("look, {secret} is what I use")] {
                    let changed = with(&base, &path, &text);
                    let method = Method::from_bytes(call.method.as_bytes()).unwrap();
                    let request = world.request(method, &call.path).bearer_auth(&world.admin).json(&changed);
                    let answer = Answer::of(request).await;
                    assert!(answer.status < 500, "{place}: {}", answer.text);
                    // What identifies somebody is hashed; what was created may name it by its hash only.
                    assert!(!answer.text.contains(&tell), "{place} is told back: {}", answer.text);
                    fields += 1;
                    taken += usize::from(answer.status < 300);
                }
                tells.push((place, tell));
            }
        }
        // Most fields hold text that is taken; identifiers and names of choices are refused.
        assert!(fields > 150 && taken > 50, "{taken} of {fields} were taken");
        // Addresses, and the name of a request, are told back as well.
        let (secret, tell) = planted("an address");
        for path in [
            format!("/{secret}"),
            format!("/api/learning/feedback/{secret}"),
            format!("/api/learning/audit?cursor={secret}"),
        ] {
            let request =
                world.request(Method::GET, &path).bearer_auth(&world.admin).header("x-request-id", &secret);
            let answer = Answer::of(request).await;
            assert!(
                !answer.text.contains(&tell) && !answer.header("x-request-id").contains(&tell),
                "{path}: {}",
                answer.text
            );
        }
        tells.push(("an address".to_owned(), tell));

        let metrics = world.get("/metrics").await.text;
        world.stop().await;
        let tables = world.database.dump().await;
        assert!(tables.contains("[secret]"), "the tables were read, and texts are in them");
        let logged = String::from_utf8_lossy(&logs.lock().unwrap()).into_owned();
        assert!(logged.contains("request_id"), "log lines were read");
        for (place, tell) in &tells {
            for (where_, text) in [("a table", &tables), ("a log line", &logged), ("a metric", &metrics)] {
                let at = text.find(tell.as_str());
                let around = at.map(|at| text[at.saturating_sub(60)..].chars().take(160).collect::<String>());
                assert!(
                    at.is_none(),
                    "what was planted in {place} stands in {where_}: {}",
                    around.unwrap_or_default()
                );
            }
        }
    })
    .await;
}
