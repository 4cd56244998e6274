//! Assignment as GrowthBook's SDKs do it, and splits that move no more than they must.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use proptest::prelude::*;
use serde_json::Value;
use upswing_domain::assignment::{
    BUCKETS, Split, bucket, bucket_ranges, choose_variation, equal_weights, hash, in_layer,
};

/// The cases of the specification; `None`, said aloud, where the shared folder is not there.
fn cases(test: &str) -> Option<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference/assignment_cases.json");
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(serde_json::from_str(&text).unwrap()),
        Err(error) => {
            assert!(
                std::env::var_os("UPSWING_REQUIRE_ALL").is_none(),
                "{}: {error}, and nothing may be skipped",
                path.display()
            );
            println!("SKIPPED {test}: no {}", path.display());
            None
        }
    }
}

fn weights(value: &Value) -> Option<Vec<f64>> {
    serde_json::from_value(value.clone()).unwrap()
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

#[test]
fn every_case_of_the_specification() {
    let Some(cases) = cases("every_case_of_the_specification") else { return };
    let mut walked = 0;
    for case in cases["hash"].as_array().unwrap() {
        let (seed, value) = (case[0].as_str().unwrap(), case[1].as_str().unwrap());
        let version = u32::try_from(case[2].as_u64().unwrap()).unwrap();
        let found = hash(seed, value, version);
        match case[3].as_f64() {
            Some(expected) => assert!(near(found.unwrap(), expected), "{case}: {found:?}"),
            None => assert_eq!(found, None, "{case}"),
        }
        walked += 1;
    }
    for case in cases["getBucketRange"].as_array().unwrap() {
        let arms = usize::try_from(case[1][0].as_u64().unwrap()).unwrap();
        let ranges = bucket_ranges(arms, case[1][1].as_f64().unwrap(), weights(&case[1][2]).as_deref());
        let expected: Vec<(f64, f64)> = serde_json::from_value(case[2].clone()).unwrap();
        assert_eq!(ranges.len(), expected.len(), "{case}");
        for (found, expected) in ranges.iter().zip(&expected) {
            assert!(near(found.0, expected.0) && near(found.1, expected.1), "{case}: {ranges:?}");
        }
        walked += 1;
    }
    for case in cases["chooseVariation"].as_array().unwrap() {
        let ranges: Vec<(f64, f64)> = serde_json::from_value(case[2].clone()).unwrap();
        let found = choose_variation(case[1].as_f64().unwrap(), &ranges);
        assert_eq!(found.map_or(-1, |arm| i64::try_from(arm).unwrap()), case[3].as_i64().unwrap(), "{case}");
        walked += 1;
    }
    for case in cases["inNamespace"].as_array().unwrap() {
        let (layer, start, end) = (&case[2][0], &case[2][1], &case[2][2]);
        let found = in_layer(
            case[1].as_str().unwrap(),
            layer.as_str().unwrap(),
            start.as_f64().unwrap(),
            end.as_f64().unwrap(),
        );
        assert_eq!(found, case[3].as_bool().unwrap(), "{case}");
        walked += 1;
    }
    for case in cases["getEqualWeights"].as_array().unwrap() {
        let arms = usize::try_from(case[0].as_i64().unwrap().max(0)).unwrap();
        let expected: Vec<f64> = serde_json::from_value(case[1].clone()).unwrap();
        let found = equal_weights(arms);
        assert_eq!(found.len(), expected.len(), "{case}");
        // The specification writes eight digits.
        assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-8), "{case}: {found:?}");
        walked += 1;
    }
    let lists = cases.as_object().unwrap().values().filter_map(Value::as_array);
    assert_eq!(walked, lists.map(Vec::len).sum::<usize>(), "a list of cases was left out");
}

#[test]
fn a_fresh_split_assigns_as_the_ranges_do() {
    let (weights, coverage) = ([0.2, 0.3, 0.5], 0.7);
    let split = Split::fresh(&weights, coverage);
    let ranges = bucket_ranges(3, coverage, Some(&weights));
    for user in 0..20_000 {
        let unit = format!("user-{user}");
        let expected = choose_variation(hash("seed", &unit, 2).unwrap(), &ranges);
        assert_eq!(split.arm(bucket("seed", &unit)).map(usize::from), expected, "{unit}");
    }
}

fn shares(arms: usize) -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(1_u32..100, arms).prop_map(|parts| {
        let sum = f64::from(parts.iter().sum::<u32>());
        parts.iter().map(|part| f64::from(*part) / sum).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What an arm loses, and no more, moves; the shares afterwards are those of a fresh split.
    #[test]
    fn a_changed_split_moves_only_what_it_must(
        (from, to) in (2_usize..6).prop_flat_map(|arms| (shares(arms), shares(arms))),
        coverage in prop::collection::vec(0_u32..=100, 2),
    ) {
        let [before, after] = [0, 1].map(|i| f64::from(coverage[i]) / 100.0);
        let old = Split::fresh(&from, before);
        let new = old.moved(&to, after);
        let (was, is) = (old.shares(from.len()), new.shares(from.len()));
        prop_assert_eq!(&is, &Split::fresh(&to, after).shares(to.len()));
        // Buckets that leave an arm, and buckets that only join one from outside of the experiment.
        let left: f64 = was.iter().zip(&is).map(|(was, is)| (was - is).max(0.0)).sum();
        let joined: f64 = was.iter().zip(&is).map(|(was, is)| (is - was).max(0.0)).sum();
        let least = left.max(joined) * f64::from(BUCKETS);
        prop_assert_eq!(old.differing(&new), least.round() as usize);
    }
}

#[test]
fn equal_parts_of_a_layer_never_share_a_unit() {
    for user in 0..5_000 {
        let unit = format!("u{user}");
        let parts = [(0.0, 0.3), (0.3, 0.75), (0.75, 1.0)];
        let holding = parts.iter().filter(|(start, end)| in_layer(&unit, "checkout", *start, *end)).count();
        assert_eq!(holding, 1, "{unit}");
    }
}
