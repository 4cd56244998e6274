//! Every number of the reference results of experiments is reproduced, or excluded with a reason.
//!
//! `experiments.json` lies beside the checkout, made by independent implementations. Each number in it has to be claimed: read
//! as an input, reproduced by a check, or excluded. A number that nobody claims fails the test, and so does a claim that
//! matches no number.
//!
//! A module of checks is a file with a function `claims(&mut Claims)`, called below.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that meets an error fails")]

mod assignment;
mod claims;
mod compare;
mod not_offered;
mod sequential;

use claims::Claims;

#[test]
fn every_number_of_the_reference_is_claimed() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/reference/experiments.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        return skipped(
            "every_number_of_the_reference_is_claimed",
            "../shared/reference is not beside this checkout",
        );
    };
    let mut claims = Claims::new(&serde_json::from_str(&text).unwrap());
    compare::claims(&mut claims);
    sequential::claims(&mut claims);
    assignment::claims(&mut claims);
    not_offered::claims(&mut claims);
    claims.settle();
}

/// Names what a test could not run and why; a failure where everything is required.
fn skipped(test: &str, reason: &str) {
    let line = format!("SKIPPED {test}: {reason}");
    assert!(std::env::var_os("UPSWING_REQUIRE_ALL").is_none_or(|v| v != "1"), "{line}");
    eprintln!("{line}");
    if let Some(path) = std::env::var_os("UPSWING_SKIP_LOG") {
        use std::io::Write as _;
        let mut log = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(log, "{line}").unwrap();
    }
}

#[test]
fn a_number_without_a_claim_is_found_and_so_is_a_claim_without_a_number() {
    let reference =
        serde_json::json!({ "a": { "x": 1.0, "ci": ["-inf", 2.0] }, "text": "no number", "b": 3 });
    let mut claims = Claims::new(&reference);
    claims.reproduces(&["a", "x"], 1.0 + 1e-12);
    claims.reproduces(&["a", "ci", "0"], f64::NEG_INFINITY);
    claims.excluded(&["b"], "not offered");
    assert_eq!(claims.faults(), ["a > ci > 1: nobody claims it"]);
    claims.reproduces(&["a", "ci", "1"], 2.1);
    claims.reproduces(&["a", "y"], 2.0);
    claims.excluded(&["c"], "not offered");
    claims.reproduces(&["b"], 3.0);
    let faults = claims.faults();
    assert_eq!(faults.len(), 4, "{faults:?}");
    assert!(faults[0].starts_with("a > ci > 1: found 2.1, expected 2"));
    assert_eq!(faults[1], "a > y: there is no such number");
    assert_eq!(faults[2], "c: an exclusion without numbers");
    assert_eq!(faults[3], "b: claimed twice");
}
