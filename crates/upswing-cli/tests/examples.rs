//! The examples against a server, and against none: the application continues.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

mod common;

use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{Served, skip};
use serde_json::json;

const ANSWER_OF_THE_VERSION: &str =
    "version: careful\nanswer: (Think, then answer.) The answer to 'What is six times seven?' is 42.\n";
const ANSWER_WITHOUT: &str =
    "version: concise\nanswer: (Answer in one sentence.) The answer to 'What is six times seven?' is 42.\n";

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

fn works(program: &str, arguments: &[&str]) -> bool {
    let quiet = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    quiet.is_ok_and(|status| status.success())
}

/// Runs an example; `text` is given on standard input.
fn run(program: &str, arguments: &[&str], text: &str, url: &str, key: &str) -> String {
    let mut process = Command::new(program)
        .args(arguments)
        .env("UPSWING_URL", url)
        .env("UPSWING_KEY", key)
        .env("UPSWING_AGENT", "answers")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    process.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?} failed: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// With a server its version answers and the events are stored; without one the default answers, whether nobody listens
/// there, nobody answers, or the key is refused.
async fn check(program: &str, arguments: &[&str], text: &str) {
    let folder = tempfile::tempdir().unwrap();
    let server = Served::start(folder.path());
    let agent = server.post("/api/learning/agents", json!({ "name": "answers" })).await;
    let id = agent["id"].as_str().unwrap();
    let version = json!({ "label": "careful", "config": { "prompt": "Think, then answer." } });
    server.post(&format!("/api/learning/agents/{id}/versions"), version).await;

    let said = run(program, arguments, text, &server.url, &server.key);
    assert!(said.starts_with(ANSWER_OF_THE_VERSION), "{said}");
    assert!(said.contains("execution: stored\nreward: 1"), "{said}");
    let stats = server.get(&format!("/api/learning/feedback/stats?agent_id={id}")).await;
    assert_eq!(stats["feedback_by_type"]["thumbs_up"], 1, "{stats}");
    let path = format!("/api/learning/export/executions?agent_id={id}");
    let executions = server.call(reqwest::Method::GET, &path, None).await;
    assert_eq!(executions.lines().count(), 1, "{executions}");
    assert!(executions.contains("What is six times seven?"), "{executions}");

    let refused = run(program, arguments, text, &server.url, "up_sk_nobody");
    assert!(refused.contains(ANSWER_WITHOUT), "{refused}");
    server.stop();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let silent = run(program, arguments, text, &url, "");
    assert!(silent.contains(ANSWER_WITHOUT), "{silent}");
    drop(listener);
    let dead = run(program, arguments, text, &url, "");
    assert!(dead.contains(ANSWER_WITHOUT), "{dead}");
}

#[tokio::test]
async fn python() {
    if !works("python3", &["--version"]) {
        return skip("examples::python", "there is no python3");
    }
    check("python3", &[examples().join("python/answer.py").to_str().unwrap()], "").await;
}

#[tokio::test]
async fn curl() {
    if !works("curl", &["--version"]) {
        return skip("examples::curl", "there is no curl");
    }
    check("sh", &[examples().join("curl/answer.sh").to_str().unwrap()], "").await;
}

#[tokio::test]
async fn typescript() {
    let path = examples().join("typescript/answer.ts");
    if works("node", &["--experimental-strip-types", "--version"]) {
        check("node", &["--experimental-strip-types", "--no-warnings", path.to_str().unwrap()], "").await;
    } else if works("node", &["--version"]) {
        let text = std::fs::read_to_string(path).unwrap();
        check("node", &["--input-type=module", "-"], &without_types(&text)).await;
    } else {
        skip("examples::typescript", "there is no node");
    }
}

/// For a Node that cannot take out types by itself: exactly the annotations that the example has. One that is missing
/// here is a syntax error there.
fn without_types(text: &str) -> String {
    let annotations = [
        "<{ status: string }>",
        "<{ reward: number | null }>",
        "<Decision>",
        "<T>",
        ": Promise<T | null>",
        ": Version",
        ": string",
        ": object",
        ": number",
    ];
    let code: Vec<&str> = text.lines().filter(|line| !line.starts_with("type ")).collect();
    annotations.iter().fold(code.join("\n"), |code, annotation| code.replace(annotation, ""))
}
