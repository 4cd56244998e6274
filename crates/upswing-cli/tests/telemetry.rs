//! An application that reports by OpenTelemetry alone: Python's SDK and instrumentations from PyPI, as they are, against a stub
//! of a provider.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

mod common;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{Served, skip};
use serde_json::{Value, json};

/// Each of them alone, and two at once, which record every call twice.
const INSTRUMENTATIONS: [&str; 4] = ["genai", "openinference", "traceloop", "genai,openinference"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Python with what the example needs, kept between runs. `Err` says why there is none.
fn python() -> Result<PathBuf, String> {
    let requirements = root().join("examples/opentelemetry/requirements.txt");
    let wanted = std::fs::read_to_string(&requirements).unwrap();
    let place = root().join(".local/opentelemetry");
    let (python, ready) = (place.join("bin/python"), place.join("installed.txt"));
    if std::fs::read_to_string(&ready).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    let run = |program: &Path, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
        let output = output.map_err(|error| format!("{}: {error}", program.display()))?;
        if output.status.success() {
            return Ok(());
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        Err(errors.lines().rfind(|line| !line.is_empty()).unwrap_or("no reason is given").to_owned())
    };
    let _ = std::fs::remove_dir_all(&place);
    run(Path::new("python3"), &["-m", "venv", place.to_str().unwrap()])?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    run(&python, &[&install[..], &[requirements.to_str().unwrap()]].concat())?;
    // Last, so that what was interrupted is begun again.
    std::fs::write(ready, wanted).unwrap();
    Ok(python)
}

/// The provider's stub; it is ended when dropped.
struct Stub {
    process: Child,
    url: String,
}

impl Stub {
    fn start(python: &Path) -> Self {
        let script = root().join("examples/opentelemetry/openai_stub.py");
        let mut process = Command::new(python).arg(script).arg("0").stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { process, url: line.trim().rsplit(' ').next().unwrap().to_owned() }
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn exported(server: &Served, kind: &str) -> Vec<Value> {
    let path = format!("/api/learning/export/{kind}");
    let lines = server.call(reqwest::Method::GET, &path, None).await;
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Waits until so many are there. A bound, not a pause; a trace without its texts waits some seconds for them.
async fn until(server: &Served, kind: &str, count: usize) -> Vec<Value> {
    let mut found = Vec::new();
    for _ in 0..600 {
        found = exported(server, kind).await;
        if found.len() >= count {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(found.len(), count, "{kind}: {found:#?}");
    found
}

#[tokio::test]
async fn python_instrumentations_from_pypi_report_runs_and_judgements() {
    let python = match python() {
        Ok(python) => python,
        Err(reason) => {
            let test = "telemetry::python_instrumentations_from_pypi_report_runs_and_judgements";
            return skip(test, &format!("the instrumentations cannot be installed: {reason}"));
        }
    };
    let stub = Stub::start(&python);
    for names in INSTRUMENTATIONS {
        let folder = tempfile::tempdir().unwrap();
        let server = Served::start(folder.path());
        server.post("/api/learning/agents", json!({ "name": "another" })).await;
        let agent = server.post("/api/learning/agents", json!({ "name": "shop-assistant" })).await;
        let output = Command::new(&python)
            .arg(root().join("examples/opentelemetry/application.py"))
            .arg(names)
            .env("OPENAI_BASE_URL", &stub.url)
            .env("OPENAI_API_KEY", "none")
            .env("NO_PROXY", "127.0.0.1")
            // These two are all that an application needs.
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", &server.url)
            .env("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization=Bearer%20{}", server.key))
            .env("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
            .env("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "span_only")
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{names}: {errors}");
        assert!(!errors.contains("Failed to export"), "{names}: {errors}");

        let executions = until(&server, "executions", 4).await;
        assert!(executions.iter().all(|run| run["agent_id"] == agent["id"]), "{names}: {executions:#?}");
        let with = |input: f64, output: f64| {
            let metrics = |run: &&Value| {
                run["metrics"]["input_tokens"] == input && run["metrics"]["output_tokens"] == output
            };
            executions.iter().filter(metrics).collect::<Vec<_>>()
        };
        // As the stub counts: words. Recorded twice, they are still counted once.
        let (asked, agents) = (with(9.0, 10.0), with(15.0, 17.0));
        assert_eq!((asked.len(), agents.len()), (2, 1), "{names}: {executions:#?}");
        let run = agents[0];
        assert_eq!((&run["metrics"]["steps"], &run["session"]), (&json!(2.0), &json!("visit-7")), "{names}");
        assert_eq!(run["context"]["topic"], "arithmetic", "{names}");
        assert_eq!(run["output"], "The answer to 'And two dozen?' is 42.", "{names}");
        let failed: Vec<_> = executions.iter().filter(|run| run["error"] != Value::Null).collect();
        assert_eq!(failed.len(), 1, "{names}: {executions:#?}");
        assert_eq!(failed[0]["metrics"]["input_tokens"], Value::Null, "{names}: missing, not 0");

        let feedback = until(&server, "feedback", 2).await;
        let thumb = feedback.iter().find(|said| said["feedback_type"] == "thumbs_up").unwrap();
        assert_eq!((&thumb["execution_id"], &thumb["source"]), (&run["id"], &json!("user")), "{names}");
        let judged = feedback.iter().find(|said| said["feedback_type"] == "metric").unwrap();
        assert_eq!(judged["metrics"]["evaluation.relevance"], 0.75, "{names}");
        assert!(asked.iter().any(|run| run["id"] == judged["execution_id"]), "{names}: by the answer's id");
        let path = format!("/api/learning/executions/{}", run["id"].as_str().unwrap());
        assert_eq!(server.get(&path).await["reward"], 1.0, "{names}");
        server.stop();
    }
}
