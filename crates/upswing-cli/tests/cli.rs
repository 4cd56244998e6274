//! The program as people use it.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

mod common;

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{Served, skip, succeed, upswing};
use serde_json::{Value, json};

/// Runs it, and it must fail; what it complained about.
fn fail(folder: &Path, arguments: &[&str]) -> String {
    let output = upswing(folder).args(arguments).output().unwrap();
    assert!(!output.status.success(), "upswing {} did not fail", arguments.join(" "));
    String::from_utf8(output.stderr).unwrap()
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn the_first_organisation_is_made_once() {
    let folder = tempfile::tempdir().unwrap();
    let made = json_of(&succeed(folder.path(), &["init", "--json"]));
    assert!(made["key"]["secret"].as_str().unwrap().starts_with("up_sk_"), "{made}");
    assert_eq!(made["key"]["role"], "admin");
    let complaint = fail(folder.path(), &["init"]);
    assert!(complaint.contains("already") && complaint.contains("upswing keys create"), "{complaint}");
    let second = succeed(folder.path(), &["init", "--organisation", "second"]);
    assert!(second.contains("'second'") && second.contains("up_sk_"), "{second}");
    assert!(fail(folder.path(), &["init", "--organisation", "second"]).contains("already"));
    assert!(fail(folder.path(), &["keys", "list"]).contains("--organisation NAME"));
}

/// Nobody has to believe that an option works which does not.
#[test]
fn what_is_configured_and_not_used_yet_is_named_with_what_it_waits_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("system.yaml");
    let text = "learning:\n  annotation:\n    auto_approve_threshold: 0.95\n  experiments:\n    min_samples: 50\n  \
                data_retention:\n    pattern_data_days: 180\n    model_checkpoints_kept: 10\n";
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let checked = json_of(&succeed(folder.path(), &["config", "check", file, "--json"]));
    for (option, part) in [
        ("learning.annotation.auto_approve_threshold", json!("the annotation queue")),
        ("learning.data_retention.model_checkpoints_kept", json!("trained models")),
        ("learning.data_retention.pattern_data_days", Value::Null),
        ("learning.experiments.min_samples", Value::Null),
    ] {
        assert_eq!(checked[option]["waits_for"], part, "{checked}");
        assert_eq!(checked[option]["in_effect"], part.is_null(), "{checked}");
    }
    let text = succeed(folder.path(), &["config", "check", file]);
    let named: Vec<_> = text.lines().filter(|line| line.contains("not used yet: it waits for")).collect();
    assert_eq!(named.len(), 2, "{text}");
}

#[test]
fn keys_are_made_listed_and_revoked() {
    let folder = tempfile::tempdir().unwrap();
    assert!(fail(folder.path(), &["keys", "list"]).contains("upswing init"));
    succeed(folder.path(), &["init"]);
    let made = json_of(&succeed(
        folder.path(),
        &["keys", "create", "--role", "expert", "--name", "reviewer", "--json"],
    ));
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    let listed = succeed(folder.path(), &["keys", "list"]);
    assert!(listed.contains(id) && listed.contains("reviewer") && !listed.contains(secret), "{listed}");
    succeed(folder.path(), &["keys", "revoke", id]);
    let listed = json_of(&succeed(folder.path(), &["keys", "list", "--json"]));
    let key = listed["keys"].as_array().unwrap().iter().find(|key| key["id"] == id).unwrap();
    assert_eq!(key["state"], "revoked");
    let unknown = "00000000-0000-7000-8000-000000000000";
    assert!(fail(folder.path(), &["keys", "revoke", unknown]).contains("upswing keys list"));
    assert!(fail(folder.path(), &["keys", "create", "--role", "publishable"]).contains("--origin"));
    assert!(fail(folder.path(), &["keys", "create", "--role", "emperor"]).contains("publishable, member"));
}

#[test]
fn a_changed_audit_log_is_found() {
    let folder = tempfile::tempdir().unwrap();
    // What is not there is not intact, and asking does not make it.
    let nothing = fail(folder.path(), &["audit", "verify"]);
    assert!(nothing.contains("there is no database") && nothing.contains("--data FOLDER"), "{nothing}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    succeed(folder.path(), &["init"]);
    succeed(folder.path(), &["keys", "create"]);
    fn verify<'a>(more: &[&'a str]) -> Vec<&'a str> {
        [&["audit", "verify"], more].concat()
    }
    let found = json_of(&succeed(folder.path(), &verify(&["--json"])));
    assert_eq!((&found["intact"], &found["logs"][0]["lines"]), (&json!(true), &json!(3)), "{found}");
    let head = found["logs"][0]["head"]["hash"].as_str().unwrap();
    succeed(folder.path(), &["keys", "create"]);
    let still = succeed(folder.path(), &verify(&["--expect-head", head]));
    assert!(still.contains("intact, 4 lines") && still.contains("stands at line 3"), "{still}");
    let complaint = fail(folder.path(), &verify(&["--expect-head", &"0".repeat(64)]));
    assert!(complaint.contains("1 of 1 audit logs"), "{complaint}");
    assert!(fail(folder.path(), &verify(&["--expect-head", "abc"])).contains("64 hexadecimal"));
    assert!(fail(folder.path(), &verify(&["--organisation", "second"])).contains("no organisation 'second'"));
    succeed(folder.path(), &["init", "--organisation", "second"]);
    assert!(succeed(folder.path(), &verify(&[])).contains("'second': intact, 2 lines"));
    assert!(fail(folder.path(), &verify(&["--expect-head", head])).contains("--organisation NAME"));
}

#[tokio::test]
async fn what_versions_change_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path());
    let agent = served.post("/api/learning/agents", json!({"name": "answers"})).await;
    let path = format!("/api/learning/agents/{}/versions", agent["id"].as_str().unwrap());
    for (label, model) in [("first", "small"), ("second", "large")] {
        served.post(&path, json!({"label": label, "config": {"model": model, "length": 3}})).await;
    }
    let diff = |more: &[&'static str]| {
        let at = ["--server", &served.url, "--key", &served.key];
        let output = upswing(folder.path()).args(["versions", "diff"]).args(more).args(at).output().unwrap();
        (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let shown = "--- first\n+++ second\nmodel\n  - \"small\"\n  + \"large\"\n";
    assert_eq!(diff(&["first", "second"]), (true, shown.to_owned()));
    let (_, found) = diff(&["first", "second", "--agent", "answers", "--json"]);
    assert_eq!(json_of(&found)["changed"][0]["path"], "model");
    let (done, complaint) = diff(&["first", "third"]);
    assert!(!done && complaint.contains("third"), "{complaint}");
    served.stop();
}

#[test]
fn an_unknown_option_in_the_file_names_the_nearest() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("upswing.toml"), "lisen = \"127.0.0.1:1\"\n").unwrap();
    let complaint = fail(folder.path(), &["serve"]);
    assert!(complaint.contains("did you mean 'listen'?"), "{complaint}");
}

#[tokio::test]
async fn a_server_answers_and_ends_when_it_is_asked_to() {
    let folder = tempfile::tempdir().unwrap();
    let server = Served::start(folder.path());
    let organisation = server.get("/api/learning/organisation").await;
    assert_eq!(organisation["name"], "default");
    let agent = server.post("/api/learning/agents", json!({ "name": "answers" })).await;
    assert_eq!(agent["name"], "answers");
    let taken = server.url.strip_prefix("http://").unwrap().to_owned();
    let complaint = fail(folder.path(), &["demo", "--data", "demo", "--listen", &taken]);
    assert!(complaint.contains("--listen 127.0.0.1:0"), "{complaint}");
    server.stop();
}

#[test]
fn the_description_of_the_api_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let document = json_of(&succeed(folder.path(), &["openapi"]));
    assert!(document["paths"]["/api/learning/decide"]["post"].is_object());
}

#[test]
fn redaction_is_evaluated_on_a_file_of_labelled_texts() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("labelled.jsonl");
    let lines = [
        json!({ "text": "é a@b.org", "spans": [{ "start": 2, "end": 9, "kind": "EMAIL_ADDRESS" }] }),
        json!({ "text": "I am Ada", "spans": [{ "start": 5, "end": 8, "label": "PERSON" }] }),
        json!({ "text": "server 10.0.0.1", "spans": [] }),
    ];
    std::fs::write(&file, lines.map(|line| line.to_string()).join("\n")).unwrap();
    let arguments = ["redaction", "evaluate", file.to_str().unwrap()];
    let report = json_of(&succeed(folder.path(), &[&arguments[..], &["--json"]].concat()));
    assert_eq!((&report["texts"], &report["kinds"]["email"]["recall"]), (&json!(3), &json!(1.0)));
    assert_eq!((&report["kinds"]["ip"]["false"], &report["unknown_kinds"]["PERSON"]), (&json!(1), &json!(1)));
    let table = succeed(folder.path(), &arguments);
    assert!(table.contains("precision") && table.contains("'PERSON'"), "{table}");

    std::fs::write(&file, "{\"text\": \"a\"}\n").unwrap();
    let complaint = fail(folder.path(), &arguments);
    assert!(complaint.contains("line 1") && complaint.contains("\"spans\": ["), "{complaint}");
}

#[test]
fn standard_input_is_redacted() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in"), "Ask a@b.org.\n").unwrap();
    let input = std::fs::File::open(folder.path().join("in")).unwrap();
    let output = upswing(folder.path()).args(["redaction", "text"]).stdin(input).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "Ask [email].\n");
}

/// Two segments of equal size, each with the other version as its best: 0.9 against 0.1.
fn opposite(folder: &Path, questions: u32) -> PathBuf {
    let (mut text, mut state) = (String::new(), 7_u64);
    for question in 0..questions {
        let mut hit = |percent: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            u8::from((state >> 33) % 100 < percent)
        };
        let (task, one, two) = if question % 2 == 0 { ("x", 90, 10) } else { ("y", 10, 90) };
        let outcomes = json!({ "one": { "reward": hit(one) }, "two": { "reward": hit(two) } });
        let line =
            json!({ "id": question, "context": { "task": task, "chars": question }, "outcomes": outcomes });
        writeln!(text, "{line}").unwrap();
    }
    let path = folder.join("opposite.jsonl");
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_replay_learns_what_depends_on_the_context_and_repeats() {
    let folder = tempfile::tempdir().unwrap();
    let file = opposite(folder.path(), 400);
    let arguments = ["replay", file.to_str().unwrap(), "--shuffles", "3", "--json", "--quiet"];
    let first = succeed(folder.path(), &arguments);
    assert_eq!(succeed(folder.path(), &arguments), first);

    let report = json_of(&first);
    let keys: Vec<&str> = report.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = ["policy", "fixed", "best_per_segment", "chance", "questions", "shuffles", "seed"];
    assert_eq!(keys[..7], expected);
    let policy = &report["policy"];
    let keys: Vec<&str> = policy.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["name", "mean_reward", "last_quarter_gap", "interval"]);
    assert_eq!(policy["name"], "linear_thompson");
    let mean = policy["mean_reward"].as_f64().unwrap();
    for (version, fixed) in report["fixed"].as_object().unwrap() {
        assert!(mean > fixed.as_f64().unwrap() + 0.1, "{version}: {report}");
    }
    assert!(mean <= report["best_per_segment"].as_f64().unwrap() + 0.05, "{report}");
    let (low, high) = (policy["interval"][0].as_f64().unwrap(), policy["interval"][1].as_f64().unwrap());
    assert!(low < mean && mean < high, "{report}");
    assert_eq!(
        (&report["questions"], &report["shuffles"], &report["seed"]),
        (&json!(400), &json!(3), &json!(1))
    );
    assert_eq!((&report["segment"], &report["stale_decisions"]), (&json!("task"), &json!(0)));
}

#[test]
fn each_policy_can_be_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let file = opposite(folder.path(), 60);
    for policy in ["fixed", "epsilon_greedy", "thompson", "linear_thompson", "lin_ucb"] {
        let arguments =
            ["replay", file.to_str().unwrap(), "--shuffles", "1", "--policy", policy, "--json", "--quiet"];
        let report = json_of(&succeed(folder.path(), &arguments));
        assert_eq!(
            (&report["policy"]["name"], &report["policy"]["interval"]),
            (&json!(policy), &Value::Null)
        );
        if policy == "fixed" {
            assert_eq!(report["policy"]["mean_reward"], report["fixed"]["one"]);
        }
    }
}

#[test]
fn rewards_on_another_scale_need_the_range() {
    let folder = tempfile::tempdir().unwrap();
    let line =
        |a: f64, b: f64| format!(r#"{{"outcomes": {{"a": {{"reward": {a}}}, "b": {{"reward": {b}}}}}}}"#);
    let text: Vec<String> = (0..40).map(|_| line(-3.0, 5.0)).collect();
    let path = folder.path().join("scaled.jsonl");
    std::fs::write(&path, text.join("\n")).unwrap();
    let path = path.to_str().unwrap();
    let complaint = fail(folder.path(), &["replay", path]);
    assert!(complaint.contains("line 1") && complaint.contains("--reward-range LOW,HIGH"), "{complaint}");
    let arguments = ["replay", path, "--shuffles", "1", "--reward-range", "-5,5", "--json", "--quiet"];
    let report = json_of(&succeed(folder.path(), &arguments));
    assert_eq!((&report["fixed"]["a"], &report["best_per_segment"]), (&json!(-3.0), &json!(5.0)));
    assert!(report["policy"]["mean_reward"].as_f64().unwrap() > 1.0, "{report}");
}

#[tokio::test]
async fn a_second_run_on_the_same_server_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = opposite(folder.path(), 40);
    let server = Served::start(folder.path());
    let arguments = [
        "replay",
        file.to_str().unwrap(),
        "--server",
        &server.url,
        "--key",
        &server.key,
        "--shuffles",
        "2",
        "--quiet",
    ];
    assert!(!succeed(folder.path(), &arguments).contains("run 1"));
    let second = succeed(folder.path(), &arguments);
    assert!(second.contains("This is run 1 of seed 1 on this server"), "{second}");
    let agents = server.get("/api/learning/agents").await;
    assert_eq!(agents["agents"].as_array().unwrap().len(), 4, "{agents}");
    let refused =
        ["replay", file.to_str().unwrap(), "--server", &server.url, "--key", "up_sk_nobody", "--quiet"];
    assert!(fail(folder.path(), &refused).contains("upswing keys create"));
}

#[test]
fn what_a_language_model_really_answered() {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/template-outcomes/bbh.jsonl.gz");
    if !file.exists() {
        return skip(
            "cli::what_a_language_model_really_answered",
            "there is no ../shared/data/template-outcomes beside this checkout",
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["replay", file.to_str().unwrap(), "--shuffles", "2", "--json", "--quiet"];
    let report = json_of(&succeed(folder.path(), &arguments));
    assert!(report["policy"]["mean_reward"].as_f64().unwrap() >= 0.72, "{report}");
    assert_eq!((&report["questions"], &report["segment"]), (&json!(6511), &json!("task")));
}

#[test]
fn the_demonstration_teaches_and_finds_itself_again() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["demo", "--data", "demo", "--listen", "127.0.0.1:0", "--for", "300"];
    let first = succeed(folder.path(), &arguments);
    assert!(
        first.contains("SIMULATED") && first.contains("300 decisions · best version chosen in"),
        "{first}"
    );
    let key = |text: &str| text.split("/#key=").nth(1).unwrap().lines().next().unwrap().to_owned();
    let second = succeed(folder.path(), &arguments);
    assert_eq!(key(&second), key(&first));
}

/// A browser, headless; `None` where there is none.
fn browser() -> Option<Command> {
    let found = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| {
        Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    })?;
    let mut command = Command::new(found);
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
    command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    Some(command)
}

#[test]
fn the_page_draws_what_was_learned_in_a_browser() {
    let Some(mut browser) = browser() else {
        return skip(
            "cli::the_page_draws_what_was_learned_in_a_browser",
            "no Chromium: install the package chromium",
        );
    };
    let folder = tempfile::tempdir().unwrap();
    succeed(folder.path(), &["demo", "--data", "demo", "--listen", "127.0.0.1:0", "--for", "400"]);
    let mut server = upswing(folder.path())
        .args(["demo", "--data", "demo", "--listen", "127.0.0.1:0", "--no-simulation"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let link =
        lines.find_map(|line| line.unwrap().split("look here").nth(1).map(|l| l.trim().to_owned())).unwrap();
    let profile = folder.path().join("profile");
    let output = browser
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(["--virtual-time-budget=8000", "--dump-dom", &link])
        .stderr(Stdio::null())
        .output()
        .unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    let page = String::from_utf8_lossy(&output.stdout);
    let part = |id: &str| page.split(&format!("id=\"{id}\"")).nth(1).unwrap_or_default().to_owned();
    assert!(part("name").starts_with(">support-answers<"), "{page}");
    assert!(part("description").contains("SIMULATED"), "{page}");
    let curve = part("curve");
    assert!(curve.contains("<svg") && curve.contains("<path"), "no curve: {page}");
    for version in ["concise", "step_by_step", "with_sources"] {
        assert!(part("versions").contains(version), "no {version}: {page}");
    }
    let key = link.split("#key=").nth(1).unwrap();
    assert!(!page.contains(key), "the key is nowhere in the page");
}
