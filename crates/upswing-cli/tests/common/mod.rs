//! What the tests of the program share: running it, a server with an organisation, and saying what is missing.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// The program with nothing of the surroundings in it.
pub(crate) fn upswing(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_upswing"));
    for name in [
        "DATABASE_URL",
        "UPSWING_CONFIG",
        "UPSWING_DATA",
        "UPSWING_LISTEN",
        "UPSWING_LOG",
        "UPSWING_LOG_FILTER",
    ] {
        command.env_remove(name);
    }
    for name in ["UPSWING_MASTER_KEY", "UPSWING_QUEUE_CAPACITY", "UPSWING_SERVER", "UPSWING_KEY"] {
        command.env_remove(name);
    }
    command.current_dir(folder);
    command
}

/// Runs it, and it must succeed; what it printed.
pub(crate) fn succeed(folder: &Path, arguments: &[&str]) -> String {
    let output = upswing(folder).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "upswing {} failed:\n{errors}", arguments.join(" "));
    String::from_utf8(output.stdout).unwrap()
}

/// A server in a process of its own, with an organisation; it is killed when dropped.
pub(crate) struct Served {
    process: Child,
    /// Where it listens.
    pub(crate) url: String,
    /// Its administrator's key.
    pub(crate) key: String,
}

impl Served {
    /// Makes an organisation in this folder and serves it on a free port.
    pub(crate) fn start(folder: &Path) -> Self {
        let made: Value = serde_json::from_str(&succeed(folder, &["init", "--json"])).unwrap();
        Self::again(folder, made["key"]["secret"].as_str().unwrap().to_owned())
    }

    /// Serves what there is in this folder.
    pub(crate) fn again(folder: &Path, key: String) -> Self {
        let mut process = upswing(folder)
            .args(["serve", "--listen", "127.0.0.1:0", "--log-filter", "warn"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("Upswing listens on ").unwrap().to_owned();
        Self { process, url, key }
    }

    /// Asks it to stop and waits until it has.
    pub(crate) fn stop(mut self) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        assert!(self.process.wait().unwrap().success());
    }

    /// Speaks with it.
    pub(crate) async fn call(&self, method: reqwest::Method, path: &str, body: Option<Value>) -> String {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let url = format!("{}{path}", self.url);
        let mut request = reqwest::Client::new().request(method, url).bearer_auth(&self.key);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status}: {text}");
        text
    }

    /// Sends JSON, gets JSON.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        serde_json::from_str(&self.call(reqwest::Method::POST, path, Some(body)).await).unwrap()
    }

    /// Gets JSON.
    pub(crate) async fn get(&self, path: &str) -> Value {
        serde_json::from_str(&self.call(reqwest::Method::GET, path, None).await).unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Notes that a test could not run; where everything is required, that is a failure.
#[expect(clippy::disallowed_methods, reason = "how the tests are told what must be there")]
pub(crate) fn skip(test: &str, reason: &str) {
    let line = format!("SKIPPED {test}: {reason}");
    println!("{line}");
    if let Ok(path) = std::env::var("UPSWING_SKIP_LOG") {
        let mut log = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        writeln!(log, "{line}").unwrap();
    }
    assert!(std::env::var("UPSWING_REQUIRE_ALL").as_deref() != Ok("1"), "{line}");
}
