//! Every number of the sequential keys of `../shared/reference/experiments.json`, or a reason why not.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

#[path = "reference/sequential.rs"]
mod sequential;

#[test]
fn every_number_of_the_sequential_keys_is_met() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference/experiments.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        return skip(
            "every_number_of_the_sequential_keys_is_met",
            "there is no ../shared/reference/experiments.json beside this checkout",
        );
    };
    let file: Value = serde_json::from_str(&text).unwrap();
    let mut claims: BTreeMap<_, _> =
        sequential::claims(&file).unwrap().into_iter().map(|claim| (claim.pointer.clone(), claim)).collect();
    let exclusions = sequential::exclusions();
    let mut numbers = Vec::new();
    for key in sequential::KEYS {
        walk(&format!("/{key}"), &file[key], &mut numbers);
    }
    let mut wrong = Vec::new();
    let mut met = 0;
    for (pointer, expected) in numbers {
        match claims.remove(&pointer) {
            Some(claim) if (claim.value - expected).abs() <= claim.tolerance => met += 1,
            Some(claim) => wrong.push(format!("{pointer}: {} instead of {expected}", claim.value)),
            None if exclusions.iter().any(|e| pointer.starts_with(e.prefix) && !e.reason.is_empty()) => {}
            None => wrong.push(format!("{pointer}: nobody claims it")),
        }
    }
    wrong.extend(claims.into_keys().map(|pointer| format!("{pointer}: is not in the file")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{met} numbers are met");
    assert!(met > 150, "{met}");
}

/// All numbers below a value, with their JSON pointers.
fn walk(pointer: &str, value: &Value, numbers: &mut Vec<(String, f64)>) {
    match value {
        Value::Number(number) => numbers.extend(number.as_f64().map(|number| (pointer.to_owned(), number))),
        Value::Array(values) => {
            values.iter().enumerate().for_each(|(i, v)| walk(&format!("{pointer}/{i}"), v, numbers));
        }
        Value::Object(map) => {
            for (key, value) in map {
                walk(&format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")), value, numbers);
            }
        }
        _ => {}
    }
}

/// Notes that a test could not run; where everything is required, that is a failure.
#[expect(clippy::disallowed_methods, reason = "how the tests are told what must be there")]
fn skip(test: &str, reason: &str) {
    let line = format!("SKIPPED {test}: {reason}");
    println!("{line}");
    assert!(std::env::var("UPSWING_REQUIRE_ALL").as_deref() != Ok("1"), "{line}");
}
