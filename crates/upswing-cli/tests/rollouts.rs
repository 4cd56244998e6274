//! `upswing rollout` and `upswing versions diff`, as people type them, against a server in a process of its own.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

#[expect(dead_code, reason = "nothing is skipped here, and nobody asks the server to stop")]
mod common;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use common::{Served, succeed, upswing};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

/// How long something may take that ends by itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server with an agent of which one version serves.
struct Stage {
    folder: tempfile::TempDir,
    served: Served,
    agent: String,
}

impl Stage {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let served = Served::start(folder.path());
        let agent = served.post("/api/learning/agents", json!({"name": "answers"})).await;
        let agent = agent["id"].as_str().unwrap().to_owned();
        let stage = Self { folder, served, agent };
        let first = stage.version("first", json!({"prompt": "Be kind.", "temperature": 0.2})).await;
        for label in ["second", "third", "fourth", "fifth"] {
            stage
                .version(label, json!({"prompt": format!("Be kind and {label}."), "temperature": 0.2}))
                .await;
        }
        stage.served.post(&stage.path(&format!("/versions/{first}/promote")), json!({})).await;
        let fixed = Some(json!({"name": "fixed"}));
        stage.served.call(reqwest::Method::PUT, &stage.path("/policy"), fixed).await;
        stage
    }

    fn path(&self, rest: &str) -> String {
        format!("/api/learning/agents/{}{rest}", self.agent)
    }

    async fn version(&self, label: &str, config: Value) -> String {
        let made = self.served.post(&self.path("/versions"), json!({"label": label, "config": config})).await;
        made["version"].as_str().unwrap().to_owned()
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What is typed, with where the server is.
    fn typed<'a>(&'a self, words: &[&'a str]) -> Vec<&'a str> {
        [words, &["--server", &self.served.url, "--key", &self.served.key]].concat()
    }

    fn run(&self, words: &[&str]) -> String {
        succeed(self.folder(), &self.typed(words))
    }

    fn json(&self, words: &[&str]) -> Value {
        serde_json::from_str(&self.run(&[words, &["--json"]].concat())).unwrap()
    }

    /// What it complained about; nothing may stand where the answer would.
    fn fail(&self, words: &[&str]) -> String {
        let output = upswing(self.folder()).args(self.typed(words)).output().unwrap();
        assert!(!output.status.success(), "upswing {} did not fail", words.join(" "));
        assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stderr).unwrap()
    }

    /// A rollout that is watched, and the first line of what it shows.
    async fn watched(&self, words: &[&str]) -> (Child, BufReader<ChildStdout>, String) {
        let mut command = Command::from(upswing(self.folder()));
        let mut watching = command.args(self.typed(words)).stdout(Stdio::piped()).spawn().unwrap();
        let mut shown = BufReader::new(watching.stdout.take().unwrap());
        let mut first = String::new();
        shown.read_line(&mut first).await.unwrap();
        (watching, shown, first)
    }
}

/// What it shows until it ends by itself, which it does.
async fn to_its_end((mut watching, mut shown): (Child, BufReader<ChildStdout>)) -> String {
    let mut text = String::new();
    let ended = async {
        shown.read_to_string(&mut text).await.unwrap();
        watching.wait().await.unwrap()
    };
    let status = tokio::time::timeout(PATIENCE, ended).await.unwrap();
    assert!(status.success(), "{text}");
    text
}

#[tokio::test]
async fn a_rollout_is_started_shown_held_resumed_promoted_and_taken_back() {
    let stage = Stage::new().await;
    assert_eq!(stage.run(&["rollout", "status", "answers"]), "answers has had no rollout\n");
    assert_eq!(stage.json(&["rollout", "status", "answers"]), json!({"rollouts": []}));

    let plan = json!({"steps": [{"weight": 0.2, "seconds": 600}, {"weight": 0.5, "seconds": 600}]});
    std::fs::write(stage.folder().join("plan.json"), plan.to_string()).unwrap();
    let start = ["rollout", "start", "answers", "second", "--plan", "plan.json", "--reason", "kinder"];
    let started = stage.json(&start);
    assert_eq!((&started["state"], &started["weight"]), (&json!("running"), &json!(0.2)), "{started}");
    assert_eq!((&started["reason"], &started["steps"]), (&json!("kinder"), &json!(2)));
    let id = started["id"].as_str().unwrap();
    let shown = stage.run(&["rollout", "status", "answers"]);
    assert!(
        shown.starts_with(id) && shown.contains("running") && shown.contains("20 %  step 1 of 2"),
        "{shown}"
    );
    assert!(shown.contains("nothing heard of error yet"), "{shown}");
    assert_eq!(stage.json(&["rollout", "status", id])["id"], id);
    assert_eq!(stage.json(&["rollout", "status", "answers"])["rollouts"][0]["id"], id);

    let held = stage.run(&["rollout", "hold", "answers", "--reason", "lunch"]);
    assert!(held.contains("held") && held.contains("20 %"), "{held}");
    assert_eq!(stage.json(&["rollout", "resume", id])["state"], "running");
    assert_eq!(stage.json(&["rollout", "hold", id])["state"], "held");
    assert!(stage.run(&["rollout", "resume", "answers"]).contains("running"));
    let unproven = stage.fail(&["rollout", "promote", "answers"]);
    assert!(unproven.contains("not_proven") && unproven.contains("next: "), "{unproven}");
    assert!(unproven.contains("--override --reason"), "{unproven}");
    let promote = ["rollout", "promote", "answers", "--override", "--reason", "a deal was signed"];
    let promoted = stage.run(&promote);
    assert!(promoted.contains("promoted") && promoted.contains("100 %"), "{promoted}");
    let over = stage.fail(&["rollout", "promote", "answers"]);
    assert!(over.contains("no rollout of answers is under way"), "{over}");
    assert!(over.contains("next: upswing rollout start answers VERSION"), "{over}");

    // One that begins in a shadow says so.
    std::fs::write(stage.folder().join("shadow.json"), json!({"shadow": {"share": 0.3}}).to_string())
        .unwrap();
    let shadow = stage.run(&["rollout", "start", "answers", "third", "--plan", "shadow.json"]);
    assert!(shadow.contains("0 %  shadow  ") && shadow.contains("0 pairs"), "{shadow}");
    let back = stage.json(&["rollout", "rollback", "answers", "--reason", "not its tone"]);
    assert_eq!((&back["state"], &back["weight"]), (&json!("rolled_back"), &json!(0.0)));
    let all = stage.run(&["rollout", "status", "answers"]);
    let states: Vec<bool> = all.lines().map(|line| line.contains("rolled back")).collect();
    assert_eq!(states, [false, true], "{all}");
}

#[tokio::test]
async fn what_is_watched_ends_by_itself_when_the_rollout_does() {
    let stage = Stage::new().await;
    let (watching, shown, first) =
        stage.watched(&["rollout", "start", "answers", "second", "--watch", "--reason", "try"]).await;
    assert!(first.contains("running") && first.contains("step 1 of 4"), "{first}");
    stage.run(&["rollout", "rollback", "answers", "--reason", "enough"]);
    let rest = to_its_end((watching, shown)).await;
    assert!(rest.lines().last().unwrap().contains("rolled back"), "{rest}");

    // As JSON, each change is a document.
    stage.run(&["rollout", "start", "answers", "third"]);
    let (watching, shown, first) =
        stage.watched(&["rollout", "status", "answers", "--watch", "--json"]).await;
    stage.run(&["rollout", "promote", "answers", "--override", "--reason", "now"]);
    let text = first + &to_its_end((watching, shown)).await;
    let documents = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    let states: Vec<String> =
        documents.map(|document| document.unwrap()["state"].as_str().unwrap().to_owned()).collect();
    assert_eq!(states, ["running", "promoted"]);

    // What waits for somebody is not watched either.
    stage.run(&["rollout", "start", "answers", "fourth"]);
    let (watching, shown, _) = stage.watched(&["rollout", "status", "answers", "--watch"]).await;
    stage.run(&["rollout", "hold", "answers"]);
    let rest = to_its_end((watching, shown)).await;
    assert!(rest.lines().last().unwrap().contains("held"), "{rest}");
}

#[tokio::test]
async fn versions_are_compared_key_by_key() {
    let stage = Stage::new().await;
    let text = stage.run(&["versions", "diff", "first", "second"]);
    let expected = "--- first\n+++ second\nprompt\n  - \"Be kind.\"\n  + \"Be kind and second.\"\n";
    assert_eq!(text, expected);
    let found = stage.json(&["versions", "diff", "first", "second", "--agent", "answers"]);
    let changed = json!([{"path": "prompt", "before": "Be kind.", "after": "Be kind and second."}]);
    assert_eq!(found["changed"], changed);
    let same = stage.run(&["versions", "diff", "first", "first"]);
    assert!(same.contains("have the same configuration"), "{same}");
    let unknown = stage.fail(&["versions", "diff", "first", "tenth", "--json"]);
    assert!(unknown.contains("no version tenth") && unknown.contains("next: versions: first, "), "{unknown}");
    stage.served.post("/api/learning/agents", json!({"name": "another"})).await;
    let several = stage.fail(&["versions", "diff", "first", "second"]);
    assert!(several.contains("next: say which with --agent NAME"), "{several}");
}

#[tokio::test]
async fn a_version_is_made_the_champion() {
    let stage = Stage::new().await;
    let second = ["versions", "promote", "second", "--agent", "answers", "--reason", "it is kinder"];
    let crowned = stage.run(&second);
    assert!(crowned.starts_with("second is the champion from epoch "), "{crowned}");
    let agent = stage.json(&["versions", "promote", "first"]);
    assert!(agent["champion"].is_string() && agent["name"] == "answers", "{agent}");
    // What the server advises stands below what it refused.
    let live = stage.fail(&["rollout", "start", "answers", "first"]);
    assert!(live.contains("(already_live)") && live.contains("\n  next: "), "{live}");
}

#[tokio::test]
async fn complaints_say_what_to_type_next() {
    let stage = Stage::new().await;
    for words in [
        &["rollout", "start", "nobody", "second"][..],
        &["rollout", "status", "nobody"],
        &["rollout", "hold", "nobody"],
        &["rollout", "status", "nobody", "--json"],
        &["versions", "diff", "first", "second", "--agent", "nobody"],
    ] {
        let complaint = stage.fail(words);
        let expected = "error: there is no agent nobody\n  next: agents: answers\n";
        assert_eq!(complaint, expected, "{words:?}");
    }
    let unknown = stage.fail(&["rollout", "start", "answers", "tenth"]);
    assert!(unknown.contains("no version tenth") && unknown.contains("next: versions: first, "), "{unknown}");
    for action in ["promote", "hold", "resume", "rollback"] {
        let none = stage.fail(&["rollout", action, "answers"]);
        assert!(none.contains("next: upswing rollout start answers VERSION"), "{action}: {none}");
    }
    let start = ["rollout", "start", "answers", "second", "--plan"];
    assert!(stage.fail(&[&start[..], &["nowhere.json"]].concat()).contains("nowhere.json"));
    for (plan, expected) in [
        ("{", "plan.json: "),
        (r#"{"alpha": 2}"#, "alpha is 2, but must be 0.0001 to 0.5 (value_out_of_range)"),
        (r#"{"shadow": {"share": 7}}"#, "shadow.share is 7, but must be above 0, at most 1"),
        (r#"{"stages": []}"#, "stages"),
    ] {
        std::fs::write(stage.folder().join("plan.json"), plan).unwrap();
        let complaint = stage.fail(&[&start[..], &["plan.json"]].concat());
        assert!(complaint.contains(expected), "{expected}: {complaint}");
    }
    stage.run(&["rollout", "start", "answers", "second"]);
    let busy = stage.fail(&["rollout", "start", "answers", "third"]);
    assert!(busy.contains("(traffic_busy)") && busy.contains("is under way"), "{busy}");
    let keyless = ["rollout", "status", "answers", "--server", &stage.served.url, "--key", "up_sk_wrong"];
    let output = upswing(stage.folder()).args(keyless).output().unwrap();
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && complaint.contains("next: --key"), "{complaint}");
}
