//! `upswing experiments`, as people type it.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

#[expect(dead_code, reason = "no server is needed here")]
mod common;

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use common::{skip, succeed, upswing};

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn fail(folder: &Path, arguments: &[&str]) -> String {
    let output = upswing(folder).args(arguments).output().unwrap();
    assert!(!output.status.success(), "{} should fail", arguments.join(" "));
    String::from_utf8(output.stderr).unwrap()
}

/// A folder with `units.csv`: 600 units of two arms, 20 and 40 % of which convert.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut text = "unit,arm,converted,seconds,before\n".to_owned();
    for unit in 0..600_u32 {
        let (arm, of_five) = if unit % 2 == 0 { ("control", 1) } else { ("new", 2) };
        let converted = u32::from(unit / 2 % 5 < of_five);
        let before = unit / 2 % 7;
        let seconds = 10 * before + unit / 2 % 3;
        writeln!(text, "u{unit},{arm},{converted},{seconds},{before}").unwrap();
    }
    std::fs::write(folder.path().join("units.csv"), text).unwrap();
    folder
}

#[test]
fn units_of_a_csv_come_to_a_verdict_in_words_and_numbers() {
    let folder = folder();
    let asked = ["experiments", "analyze", "units.csv", "--metric", "converted:proportion"];
    let text = succeed(folder.path(), &asked);
    assert!(
        text.starts_with("BETTER: 'new' is better than 'control': converted is 0.2 (+100.0 %) higher"),
        "{text}"
    );
    let results = json_of(&succeed(folder.path(), &[&asked[..], &["--json"]].concat()));
    assert_eq!(results["arms"], serde_json::json!(["control", "new"]));
    assert_eq!((&results["verdict"], &results["winner"]), (&"better".into(), &1.into()));
    let comparison = &results["metrics"][0]["comparisons"][0];
    assert!((comparison["effect"].as_f64().unwrap() - 0.2).abs() < 1e-9, "{comparison}");
    assert!(comparison["sequential"]["e_value"].as_f64().unwrap() > 20.0, "{comparison}");
    // Welch's t of 60 and 120 of 300: the standard error is sqrt(0.16/300 + 0.24/300).
    let interval = comparison["fixed_horizon"]["interval"].as_array().unwrap();
    let half = (interval[1].as_f64().unwrap() - interval[0].as_f64().unwrap()) / 2.0;
    assert!((half / (0.4_f64 / 300.0).sqrt() - 1.963_95).abs() < 1e-3, "{half}");
    // The other way round it is worse.
    let turned = json_of(&succeed(folder.path(), &[&asked[..], &["--control", "new", "--json"]].concat()));
    assert_eq!((&turned["verdict"], &turned["winner"]), (&"worse".into(), &0.into()));
    // Everything of a row is compared where nothing is asked for.
    let all = json_of(&succeed(folder.path(), &["experiments", "analyze", "units.csv", "--json"]));
    let names: Vec<&str> =
        all["metrics"].as_array().unwrap().iter().filter_map(|metric| metric["name"].as_str()).collect();
    assert_eq!(names, ["converted", "seconds", "before"]);
}

#[test]
fn what_was_known_before_narrows_the_interval() {
    let folder = folder();
    let width = |more: &[&str]| {
        let asked = ["experiments", "analyze", "units.csv", "--metric", "seconds:mean:decrease", "--json"];
        let results = json_of(&succeed(folder.path(), &[&asked[..], more].concat()));
        let interval = &results["metrics"][0]["comparisons"][0]["fixed_horizon"]["interval"];
        interval[1].as_f64().unwrap() - interval[0].as_f64().unwrap()
    };
    assert!(width(&["--covariate", "before"]) < width(&[]) / 10.0);
}

#[test]
fn sums_come_to_the_same_numbers_and_say_what_they_lack() {
    let folder = folder();
    let sums = r#"{"metric": "converted", "arms": [{"name": "new", "n": 300, "sum": 120}, {"name": "control", "n": 300, "sum": 60}]}"#;
    std::fs::write(folder.path().join("sums.json"), sums).unwrap();
    let results = json_of(&succeed(folder.path(), &["experiments", "analyze", "sums.json", "--json"]));
    let asked = ["experiments", "analyze", "units.csv", "--metric", "converted:proportion", "--json"];
    let units = json_of(&succeed(folder.path(), &asked));
    for view in ["effect", "fixed_horizon", "bayesian"] {
        let of = |results: &Value| results["metrics"][0]["comparisons"][0][view].clone();
        assert_eq!(of(&results), of(&units), "{view}");
    }
    assert_eq!(results["metrics"][0]["method"], "asymptotic");
    assert!(results["notes"].to_string().contains("without the e-process"), "{}", results["notes"]);
    let ratio = r#"{"arms": [
        {"name": "a", "metrics": {"revenue": {"n": 100, "sum": 500, "sum_squares": 3000, "denominator_sum": 200,
         "denominator_sum_squares": 480, "product_sum": 1100}}},
        {"name": "b", "metrics": {"revenue": {"n": 100, "sum": 520, "sum_squares": 3100, "denominator_sum": 200,
         "denominator_sum_squares": 480, "product_sum": 1120}}}]}"#;
    std::fs::write(folder.path().join("ratio.json"), ratio).unwrap();
    let results = json_of(&succeed(folder.path(), &["experiments", "analyze", "ratio.json", "--json"]));
    assert_eq!(results["metrics"][0]["kind"], "ratio");
    let effect = results["metrics"][0]["comparisons"][0]["effect"].as_f64().unwrap();
    assert!((effect - 0.1).abs() < 1e-9, "{effect}");
}

#[test]
fn complaints_name_the_line_the_column_and_what_to_type() {
    let folder = folder();
    let mixed = "arm,revenue,converted\na,1.5,1\nb,2.5,no\n";
    std::fs::write(folder.path().join("mixed.csv"), mixed).unwrap();
    let complaint = fail(folder.path(), &["experiments", "analyze", "mixed.csv"]);
    assert!(complaint.contains("line 3, column 'converted': 'no' is not a number"), "{complaint}");
    assert!(complaint.contains("next: mend it, or say with --metric NAME"), "{complaint}");
    for (text, arguments, expected) in [
        ("arm,y\na,1\nb,x\n", &["--metric", "y:mean"][..], "line 3, column 'y': 'x' is not a number"),
        ("arm,y\na,1\nb\n", &[][..], "line 3: 1 values"),
        ("y\n1\n", &[][..], "name that column 'arm'"),
        ("arm,y\na,1\na,0\n", &[][..], "two or more are needed"),
        ("arm,unit,y\na,u,1\nb,u,0\n", &[][..], "unit 'u' stands on line 2 and on line 3"),
        ("arm,rating\na,1\nb,7\n", &["--metric", "rating:mean"][..], "--bounds rating=0,10"),
        ("arm,y\na,1\nb,0\n", &["--control", "c"][..], "--control with one of a, b"),
        ("arm,y\na,1\nb,0\n", &["--metric", "z:mean"][..], "--metric with one of arm, y"),
        ("arm,y\na,1\nb,0\n", &["--metric", "y:sum"][..], "NAME:KIND"),
        ("arm,y\na,1\nb,0\n", &["--weight", "a=0.9"][..], "arm 'b' has no --weight"),
        ("arm,y\na,1\nb,0\n", &["--alpha", "2"][..], "0.0001 to 0.5"),
        ("", &[][..], "a CSV with a header"),
        ("{\"arms\": [{\"name\": \"a\", \"n\": 3}]}", &[][..], "missing field `sum`"),
        (
            "{\"arms\": [{\"name\": \"a\", \"n\": 3, \"sum\": 9}, {\"name\": \"b\", \"n\": 3, \"sum\": 1}]}",
            &[][..],
            "whose 'sum' is from 0 to 'n'",
        ),
    ] {
        std::fs::write(folder.path().join("bad"), text).unwrap();
        let complaint = fail(folder.path(), &[&["experiments", "analyze", "bad"][..], arguments].concat());
        assert!(complaint.contains(expected), "{expected}\n{complaint}");
    }
}

#[test]
fn a_size_is_planned() {
    let folder = tempfile::tempdir().unwrap();
    let asked = ["experiments", "power", "--baseline", "0.2", "--effect", "0.01", "--units-a-day", "1000"];
    let planned = json_of(&succeed(folder.path(), &[&asked[..], &["--json"]].concat()));
    // Lachin's formula with variances not pooled: 25,580 an arm.
    assert!((planned["fixed_horizon_units"].as_f64().unwrap() / 2.0 - 25_580.0).abs() <= 1.0, "{planned}");
    let units = planned["sequential_units"].as_f64().unwrap();
    assert!(units > 51_160.0 && units < 2.5 * 51_160.0, "{planned}");
    assert!((planned["sequential_days"].as_f64().unwrap() - units / 1000.0).abs() < 0.01, "{planned}");
    assert!(succeed(folder.path(), &asked).contains("days"));
    let complaint = fail(folder.path(), &["experiments", "power", "--baseline", "20", "--effect", "1"]);
    assert!(complaint.contains("--sd"), "{complaint}");
}

/// Trials on what a language model really answered. The verdicts of one seed are what they are; that none is wrong by more than
/// chance is derived below.
#[test]
fn experiments_on_what_a_language_model_really_answered() {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/template-outcomes/bbh.jsonl.gz");
    if !file.exists() {
        return skip(
            "experiments::experiments_on_what_a_language_model_really_answered",
            "there is no ../shared/data/template-outcomes beside this checkout",
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let asked = ["experiments", "replay", file.to_str().unwrap(), "--shuffles", "2", "--json"];
    let report = json_of(&succeed(folder.path(), &asked));
    let count = |segment: &Value, what: &str| segment[what].as_u64().unwrap();
    assert_eq!(count(&report["overall"], "right"), 2, "{}", report["overall"]);
    let segments = report["segments"].as_array().unwrap();
    assert_eq!(segments.len(), 27);
    for segment in segments {
        assert_eq!(count(segment, "wrong"), 0, "{segment}");
        if segment["difference"].as_f64().unwrap().abs() > 0.3 {
            assert_eq!(count(segment, "right"), 2, "{segment}");
        }
        if ["formal_fallacies", "snarks"].contains(&segment["name"].as_str().unwrap()) {
            assert_eq!(count(segment, "inconclusive"), 2, "{segment}");
        }
    }
    // Both arms alike: of 54 trials at most 0.05 and three standard errors may come to a verdict, which is 7.
    let report = json_of(&succeed(folder.path(), &[&asked[..], &["--aa", "--limit", "1000"]].concat()));
    let alarms: u64 =
        report["segments"].as_array().unwrap().iter().map(|segment| count(segment, "wrong")).sum();
    assert!(alarms <= 7, "{alarms}");
}
