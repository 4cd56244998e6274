//! `upswing replay` on logs of decisions: estimates against what is known to be true, and complaints.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

mod common;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use common::{Served, skip, succeed, upswing};
use serde_json::{Value, json};

fn fail(folder: &Path, arguments: &[&str]) -> String {
    let output = upswing(folder).args(arguments).output().unwrap();
    assert!(!output.status.success(), "upswing {} did not fail", arguments.join(" "));
    String::from_utf8(output.stderr).unwrap()
}

/// The report of a log.
fn report(folder: &Path, arguments: &[&str]) -> Value {
    serde_json::from_str(&succeed(folder, &[&["replay", "--json"], arguments].concat())).unwrap()
}

/// What an estimator says of a policy.
fn estimate<'a>(report: &'a Value, policy: &str, estimator: &str) -> &'a Value {
    let estimates = report["estimates"].as_array().unwrap();
    let found = estimates.iter().find(|e| e["policy"] == policy && e["estimator"] == estimator);
    assert!(found.is_some(), "no {estimator} of {policy} in {report:#}");
    found.unwrap()
}

fn holds(estimate: &Value, truth: f64) -> bool {
    let end = |index: usize| estimate["interval"][index].as_f64().unwrap();
    end(0) <= truth && truth <= end(1)
}

/// Whether the truth lies within twice the interval: about four standard errors, so that of a hundred such checks, on a log
/// that a fixed seed makes, all pass unless something is wrong. That 95 % of intervals hold it is checked where they are made.
fn near(estimate: &Value, truth: f64) -> bool {
    let end = |index: usize| estimate["interval"][index].as_f64().unwrap();
    (estimate["value"].as_f64().unwrap() - truth).abs() <= end(1) - end(0)
}

/// SplitMix64 (Steele, Lea, Flood, DOI 10.1145/2660193.2660195).
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The rate of rewards by task and version; tasks are equally frequent.
const RATES: [[f64; 2]; 2] = [[0.8, 0.3], [0.2, 0.6]];
/// How often the logging policy took version `a`: by task, and mostly the worse one.
const TAKES_A: [f64; 2] = [0.3, 0.6];

/// Decisions as they are exported, with their rewards apart.
fn decisions(count: u32) -> Vec<(Value, f64)> {
    let mut random = Random(11);
    let mut decide = |index: u32| {
        let task = usize::from(random.unit() < 0.5);
        let version = usize::from(random.unit() >= TAKES_A[task]);
        let reward = f64::from(u8::from(random.unit() < RATES[task][version]));
        let probabilities = [TAKES_A[task], 1.0 - TAKES_A[task]];
        let (kind, name) = (["x", "y"][task], ["a", "b"][version]);
        let line = json!({
            "id": format!("decision-{index}"), "agent_id": "agent", "version": name,
            "unit": format!("unit-{}", index / 3), "context": { "task": kind, "chars": index % 50 },
            "reason": "policy", "origin": "live", "propensity": probabilities[version],
            "probabilities": probabilities, "epoch": 1, "policy_revision": 0, "position": index,
        });
        (line, reward)
    };
    (0..count).map(&mut decide).collect()
}

fn write(path: PathBuf, lines: impl Iterator<Item = Value>) -> String {
    let mut text = String::new();
    lines.for_each(|line| writeln!(text, "{line}").unwrap());
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn with_reward((mut line, reward): (Value, f64)) -> Value {
    line["reward"] = json!(reward);
    line
}

#[test]
fn estimates_of_other_policies_hold_the_truth() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path().join("log.jsonl"), decisions(4000).into_iter().map(with_reward));
    let report = report(folder.path(), &[&file, "--format", "decisions"]);
    let keys: Vec<&String> = report.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["estimates", "on_policy"]);
    let first = report["estimates"][0].as_object().unwrap();
    let keys: Vec<&String> = first.keys().collect();
    let expected = ["policy", "estimator", "value", "interval", "effective_sample_size", "events", "verdict"];
    assert_eq!(keys, expected);

    let mean = |take: [[f64; 2]; 2]| {
        (0..2).map(|t| RATES[t][0] * take[t][0] + RATES[t][1] * take[t][1]).sum::<f64>() / 2.0
    };
    // The best version per task is so much better that every fold learns it.
    let best = mean([[1.0, 0.0], [0.0, 1.0]]);
    let half = mean([[0.5; 2]; 2]);
    let policies = [
        ("uniform", half),
        ("always a", mean([[1.0, 0.0]; 2])),
        ("always b", mean([[0.0, 1.0]; 2])),
        ("greedy", best),
        ("epsilon_greedy", 0.9 * best + 0.1 * half),
        ("linear_thompson", best),
        ("lin_ucb", best),
    ];
    for (policy, truth) in policies {
        for estimator in ["ips", "snips", "dr", "sndr", "clipped_ips", "switch_dr"] {
            let found = estimate(&report, policy, estimator);
            assert!(near(found, truth), "{policy} earns {truth}: {found}");
            assert_eq!((&found["verdict"], &found["events"]), (&json!("sufficient"), &json!(4000)));
        }
        let found = estimate(&report, policy, "dm")["value"].as_f64().unwrap();
        assert!((found - truth).abs() < 0.05, "{policy} earns {truth}: {found}");
    }
    let logged = (0..2).map(|t| RATES[t][0] * TAKES_A[t] + RATES[t][1] * (1.0 - TAKES_A[t])).sum::<f64>();
    assert!(holds(&report["on_policy"], logged / 2.0), "{}", report["on_policy"]);

    // For certain: wider, none for ratios, and only with a bound that is said and true.
    let certain = |p: &str| -> Vec<String> {
        let words = [&file, "--format", "decisions", "--interval", "bernstein", "--smallest-propensity", p];
        words.map(str::to_owned).to_vec()
    };
    let arguments = certain("0.3");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let bernstein = self::report(folder.path(), &arguments);
    let wide = estimate(&bernstein, "greedy", "dr");
    assert!(
        holds(wide, best)
            && wide["interval"][0].as_f64() < estimate(&report, "greedy", "dr")["interval"][0].as_f64()
    );
    assert_eq!(estimate(&bernstein, "greedy", "snips")["interval"], Value::Null);
    let arguments = [&["replay"], &arguments[..5], &["--smallest-propensity", "0.5"]].concat();
    let complaint = fail(folder.path(), &arguments);
    assert!(
        complaint.contains("--smallest-propensity") && complaint.contains("the log has 0.3"),
        "{complaint}"
    );
    let complaint =
        fail(folder.path(), &["replay", &file, "--format", "decisions", "--interval", "hoeffding"]);
    assert!(complaint.contains("next: --smallest-propensity P"), "{complaint}");
}

#[test]
fn rewards_come_from_the_export_of_executions_and_missing_ones_are_not_zero() {
    let folder = tempfile::tempdir().unwrap();
    let all = decisions(600);
    let bare = write(folder.path().join("decisions.jsonl"), all.iter().map(|(line, _)| line.clone()));
    let complaint = fail(folder.path(), &["replay", &bare, "--format", "decisions"]);
    assert!(
        complaint.contains("no decision has a reward") && complaint.contains("--executions"),
        "{complaint}"
    );

    let execution = |(line, reward): &(Value, f64)| json!({ "decision_id": line["id"], "reward": reward });
    let mut executions: Vec<Value> = all[..400].iter().map(execution).collect();
    executions
        .extend(all[400..].iter().map(|(line, _)| json!({ "decision_id": line["id"], "reward": null })));
    executions.push(json!({ "decision_id": null, "reward": 1.0 }));
    let rewards = write(folder.path().join("executions.jsonl"), executions.into_iter());
    let arguments = [&bare, "--format", "decisions", "--executions", &rewards];
    let joined = report(folder.path(), &arguments);
    let inline = write(folder.path().join("inline.jsonl"), all[..400].iter().cloned().map(with_reward));
    assert_eq!(joined, report(folder.path(), &[&inline, "--format", "decisions"]));

    let text = succeed(folder.path(), &[&["replay"], &arguments[..]].concat());
    assert!(text.contains("400 decisions in") && text.contains("2 versions, 2 values of 'task'"), "{text}");
    assert!(text.contains("200 more were left out: their reward is missing, which is not 0"), "{text}");
    assert!(text.contains("5 folds, by who was served"), "{text}");
    assert!(text.contains("sufficient") && text.contains("clipped_ips(10)"), "{text}");
}

#[test]
fn few_decisions_are_insufficient_and_the_bootstrap_follows_its_seed() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path().join("log.jsonl"), decisions(90).into_iter().map(with_reward));
    let with = |seed: &str| {
        report(folder.path(), &[&file, "--format", "decisions", "--interval", "bootstrap", "--seed", seed])
    };
    let first = with("1");
    assert_eq!(first, with("1"));
    assert_ne!(first, with("2"));
    assert!(first["estimates"].as_array().unwrap().iter().all(|e| e["verdict"] == "insufficient"));
    let text = succeed(folder.path(), &["replay", &file, "--format", "decisions"]);
    assert!(text.contains("insufficient: ") && text.contains("effective events, 100 are needed"), "{text}");
}

#[test]
fn a_version_that_was_never_chosen_is_no_version_that_was_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let three = |named: bool| {
        let lines = decisions(600).into_iter().map(with_reward).map(move |mut line| {
            line["probabilities"] = json!([line["propensity"], 0.1, 0.1]);
            if named {
                line["eligible"] = json!(["a", "b", "c"]);
            }
            line
        });
        write(folder.path().join(format!("{named}.jsonl")), lines)
    };
    for named in [false, true] {
        let file = three(named);
        let report = report(folder.path(), &[&file, "--format", "decisions"]);
        // The third of the uniform policy that goes to c is in no reward that was logged.
        assert_eq!(estimate(&report, "uniform", "ips")["verdict"], "insufficient");
        let text = succeed(folder.path(), &["replay", &file, "--format", "decisions"]);
        assert!(text.contains("the weights average 0.6"), "{text}");
        assert_eq!(text.contains("could be chosen and never were"), !named, "{text}");
        // What always takes c cannot be estimated from weights, and that is not an estimate of 0.
        if named {
            let found = estimate(&report, "always c", "ips");
            assert_eq!((&found["value"], &found["verdict"]), (&Value::Null, &json!("insufficient")));
        }
    }
}

#[test]
fn complaints_name_the_line_and_what_to_type() {
    let folder = tempfile::tempdir().unwrap();
    let one = || with_reward(decisions(1).remove(0));
    let with = |key: &str, value: Value| {
        let mut line = one();
        line[key] = value;
        line.to_string()
    };
    let cases = [
        ("{".to_owned(), "line 2: not a decision", "GET /api/learning/export/decisions"),
        (with("propensity", json!(0)), "line 2: the propensity is 0", "probability with which"),
        (with("propensity", json!(1.2)), "line 2: the propensity is 1.2", "at most 1"),
        (with("reward", json!(4)), "line 2: the reward is 4", "--reward-range LOW,HIGH"),
        (with("agent_id", json!("other")), "line 2: the decisions are of two agents", "?agent_id=other"),
        (with("eligible", json!(["c"])), "line 2: version", "'eligible' lists every version"),
    ];
    for (second, message, hint) in cases {
        let path = folder.path().join("bad.jsonl");
        std::fs::write(&path, format!("{}\n{second}\n", one())).unwrap();
        let complaint = fail(folder.path(), &["replay", path.to_str().unwrap(), "--format", "decisions"]);
        assert!(complaint.contains(message) && complaint.contains(hint), "{complaint}");
    }
    let file = write(folder.path().join("log.jsonl"), decisions(50).into_iter().map(with_reward));
    for (arguments, expected) in [
        (vec![file.as_str(), "--folds", "3"], "--folds with --format open-bandit or --format decisions"),
        (vec![&file, "--format", "decisions", "--target", "x"], "--format open-bandit"),
        (vec![&file, "--format", "decisions", "--policy", "thompson"], "every policy is evaluated"),
        (vec![&file, "--format", "decisions", "--segment", "topic"], "chars, task"),
        (vec![&file, "--format", "open-bandit"], "there is no column 'item_id'"),
        (vec!["nowhere", "--format", "open-bandit"], "cannot read nowhere"),
        (vec![".", "--format", "open-bandit"], "there is no log"),
    ] {
        let complaint = fail(folder.path(), &[&["replay"], &arguments[..]].concat());
        assert!(complaint.contains(expected) && complaint.contains("next: "), "{arguments:?}: {complaint}");
    }
    let forced = decisions(5).into_iter().map(with_reward).map(|mut line| {
        line["reason"] = json!("champion");
        line
    });
    let forced = write(folder.path().join("forced.jsonl"), forced);
    let complaint = fail(folder.path(), &["replay", &forced, "--format", "decisions"]);
    assert!(complaint.contains("no decision was drawn by a policy"), "{complaint}");
}

/// A campaign as the Open Bandit Dataset lays it out: item 1 of three is clicked most; positions matter.
fn campaign(folder: &Path, policy: &str, propensities: [f64; 3], count: u32, seed: u64) -> (String, f64) {
    let mut random = Random(seed);
    let mut text = ",timestamp,item_id,position,click,propensity_score,user_feature_0\n".to_owned();
    let rate = |item: usize, position: usize| [0.1, 0.3, 0.15][item] + [0.0, 0.1, 0.05][position];
    for row in 0..count {
        let (draw, position) = (random.unit(), row as usize % 3);
        let item =
            usize::from(draw >= propensities[0]) + usize::from(draw >= propensities[0] + propensities[1]);
        let click = u8::from(random.unit() < rate(item, position));
        let user = ["u", "v"][usize::from(random.unit() < 0.5)];
        let p = propensities[item];
        writeln!(text, "{row},2019-11-24 00:00:00,{item},{},{click},{p},{user}", position + 1).unwrap();
    }
    let path = folder.join(policy).join("men");
    std::fs::create_dir_all(&path).unwrap();
    std::fs::write(path.join("men.csv"), text).unwrap();
    std::fs::write(path.join("item_context.csv"), ",item_id\n0,0\n").unwrap();
    let rates = (0..3).map(|item| propensities[item] * (0..3).map(|p| rate(item, p)).sum::<f64>() / 3.0);
    (folder.join(policy).to_str().unwrap().to_owned(), rates.sum())
}

#[test]
fn a_campaign_of_a_known_truth_and_the_other_policys_log() {
    let folder = tempfile::tempdir().unwrap();
    let (random, uniform) = campaign(folder.path(), "random", [1.0 / 3.0; 3], 3000, 3);
    let (other, truth) = campaign(folder.path(), "clever", [0.1, 0.7, 0.2], 3000, 4);
    let report = report(folder.path(), &[&random, "--format", "open-bandit", "--target", &other]);
    let best = 0.35;
    for (policy, truth) in [
        ("uniform", uniform),
        ("always 1", best),
        ("greedy", best),
        ("clever (approximate: its frequencies)", truth),
    ] {
        for estimator in ["ips", "snips", "dr"] {
            let found = estimate(&report, policy, estimator);
            assert!(near(found, truth), "{policy} earns {truth}: {found}");
            assert_eq!(found["verdict"], "sufficient");
        }
    }
    assert_eq!(
        (&report["on_policy"]["policy"], &report["on_policy"]["events"]),
        (&json!("random"), &json!(3000))
    );
    assert!(holds(&report["on_policy"]["target"], truth), "{}", report["on_policy"]);

    let both = fail(folder.path(), &["replay", ".", "--format", "open-bandit"]);
    assert!(both.contains("there is no log"), "the folders of policies are one level too deep: {both}");
    let men = folder.path().join("random/men");
    std::fs::copy(men.join("men.csv"), men.join("women.csv")).unwrap();
    let both = fail(folder.path(), &["replay", &random, "--format", "open-bandit"]);
    assert!(both.contains("several logs") && both.contains("women.csv"), "{both}");
    let cut = men.join("women.csv");
    std::fs::write(&cut, "item_id,position,click,propensity_score\n1,1,0,0.5\n1,1\n").unwrap();
    let complaint = fail(folder.path(), &["replay", cut.to_str().unwrap(), "--format", "open-bandit"]);
    assert!(complaint.contains("women.csv, line 3: there is no"), "{complaint}");
}

#[test]
fn the_open_bandit_dataset_itself() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/obd");
    if !data.exists() {
        return skip(
            "replay_log::the_open_bandit_dataset_itself",
            "there is no ../shared/data/obd beside this checkout",
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |policy: &str| data.join(policy).to_str().unwrap().to_owned();
    let (random, bts) = (path("random"), path("bts"));
    let report = report(folder.path(), &[&random, "--format", "open-bandit", "--target", &bts]);
    // Mean clicks as the Open Bandit Pipeline has them.
    let value = |found: &Value| found["value"].as_f64().unwrap();
    assert!((value(&report["on_policy"]) - 0.0046).abs() < 1e-12);
    assert!((value(&report["on_policy"]["target"]) - 0.0069).abs() < 1e-12);
    // The log is that of the uniform policy: every weight is 1.
    assert!((value(estimate(&report, "uniform", "ips")) - 0.0046).abs() < 1e-9);
    for estimator in ["ips", "snips", "dr", "sndr"] {
        let found = estimate(&report, "bts (approximate: its frequencies)", estimator);
        assert!(holds(found, 0.0069) && found["verdict"] == "sufficient", "{found}");
    }
    // 46 clicks in 10,000: what always takes one of 34 items is seen in 300 impressions.
    assert_eq!(estimate(&report, "greedy", "dr")["verdict"], "insufficient");
    let text = succeed(folder.path(), &["replay", &random, "--format", "open-bandit"]);
    assert!(text.contains("10000 decisions of 'random'") && text.contains("34 items, 3 positions"), "{text}");
}

#[tokio::test]
async fn what_the_server_exports_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let server = Served::start(folder.path());
    let agent = server.post("/api/learning/agents", json!({ "name": "answers" })).await;
    let agent = agent["id"].as_str().unwrap().to_owned();
    for label in ["short", "long"] {
        let version = json!({ "label": label, "config": { "style": label } });
        server.post(&format!("/api/learning/agents/{agent}/versions"), version).await;
    }
    let (mut executions, mut feedback) = (Vec::new(), Vec::new());
    for n in 0..360 {
        if n == 120 {
            let version = json!({ "label": "third", "config": { "style": "third" } });
            server.post(&format!("/api/learning/agents/{agent}/versions"), version).await;
        }
        let task = ["x", "y"][n % 2];
        let context = json!({ "task": task });
        let decide = json!({ "agent_id": agent, "unit": format!("u{}", n % 20), "context": context });
        let decision = server.post("/api/learning/decide", decide).await;
        let id = &decision["decision_id"];
        // Some run under an id of their own.
        let own = if n % 3 == 0 { json!(uuid::Uuid::new_v4()) } else { id.clone() };
        executions.push(json!({
            "id": own, "agent_id": agent, "decision_id": id, "token": decision["token"],
            "version": decision["version"],
        }));
        if n % 6 != 5 {
            let kind = if n % 4 == 0 { "thumbs_down" } else { "thumbs_up" };
            feedback.push(json!({
                "execution_id": own, "agent_id": agent, "feedback_type": kind, "source": "user",
                "author": format!("u{n}"),
            }));
        }
    }
    server.post("/api/learning/executions", json!(executions)).await;
    server.post("/api/learning/feedback", json!(feedback)).await;
    assert_eq!(server.get(&format!("/api/learning/agents/{agent}")).await["name"], "answers");
    let mut files = Vec::new();
    for kind in ["decisions", "executions"] {
        let path = format!("/api/learning/export/{kind}?agent_id={agent}");
        let text = server.call(reqwest::Method::GET, &path, None).await;
        let file = folder.path().join(format!("{kind}.jsonl"));
        std::fs::write(&file, text).unwrap();
        files.push(file.to_str().unwrap().to_owned());
    }
    server.stop();
    // One export is enough; what the other one says is the same.
    let report = |arguments: &[&str]| self::report(folder.path(), arguments);
    let alone = report(&[&files[0], "--format", "decisions"]);
    assert_eq!(alone, report(&[&files[0], "--format", "decisions", "--executions", &files[1]]));
    assert_eq!(alone["on_policy"]["events"], 300, "{}", alone["on_policy"]);
    // 90 of the 300 that were rated have a thumb down.
    assert!((alone["on_policy"]["value"].as_f64().unwrap() - 0.7).abs() < 1e-9, "{}", alone["on_policy"]);
    assert_eq!(estimate(&alone, "uniform", "ips")["events"], 300);
    let text = succeed(folder.path(), &["replay", &files[0], "--format", "decisions"]);
    assert!(text.contains("60 more were left out: their reward is missing, which is not 0"), "{text}");
    assert!(text.contains("3 versions") && !text.contains("could be chosen and never were"), "{text}");
}
