//! Off-policy evaluation against Open Bandit Pipeline 0.5.7 on the Open Bandit Dataset's small sample (Saito et al., arXiv
//! 2008.07146).
//!
//! Every number of the reference file is reproduced to 1e-9 or excluded with a reason; a number that is neither fails, and
//! so does an exclusion that excludes nothing. The reference stands beside this checkout and is not part of it; where it is
//! absent the test says so.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;

use serde_json::Value;
use upswing_stats::off_policy::{
    Contributions, Estimator, Event, Log, Model, Moments, Side, Weights, interval,
};
use upswing_stats::sequential::{Alpha, AsymptoticSequence};
use upswing_stats::{Interval, interval as mean_interval, normal};

const BOOTSTRAP: &str =
    "resamples of another random generator; compared within their spread in a test of its own";
const REGRESSION: &str = "rests on a logistic regression whose predictions are not at hand";
const UNBOUNDED: &str = "not offered: a one-sided sequence of values without an upper bound; sequences here take outcomes in [0, 1]";

/// What is not reproduced: the beginning of a path, and why.
const EXCLUDED: &[(&str, &str)] = &[
    ("ground_truth_bts_onpolicy.n", "an input"),
    ("ground_truth_bts_onpolicy.clicks", "an input"),
    ("notebook_lr_crossfit3.ipw.bootstrap10000", BOOTSTRAP),
    ("notebook_lr_crossfit3.snipw.bootstrap10000", BOOTSTRAP),
    ("notebook_lr_crossfit3.dm", REGRESSION),
    ("notebook_lr_crossfit3.dr", REGRESSION),
    ("notebook_lr_crossfit3.sndr", REGRESSION),
    ("notebook_lr_crossfit3.switch-dr", REGRESSION),
    ("notebook_lr_crossfit3.dr-os", REGRESSION),
    (
        "confidence_sequences_on_random_all.ipw predictable-mixture empirical-Bernstein CS (alpha/2 each side, trunc .5, \
         truncate_mean) at n=10000",
        UNBOUNDED,
    ),
    ("confidence_sequences_on_random_all.same, running max/min", UNBOUNDED),
    ("confidence_sequences_on_random_all.ipw betting lower CS (grid 1e-5, RI)", UNBOUNDED),
    ("confidence_sequences_on_random_all.1 - betting lower CS of w(1-r) (grid 1e-3, RI)", UNBOUNDED),
    (
        "examples_obd_script_30_bootstraps(relative-ee mean,std)",
        "published and repeated figures of another program: its resamples and its regressions are not at hand",
    ),
    ("on_policy_values.random.women", "the campaign's log is not at hand"),
    ("on_policy_values.bts.women", "the campaign's log is not at hand"),
];

#[test]
fn every_number_of_the_reference_is_reproduced_or_excluded_with_a_reason() {
    let Some(reference) = Reference::load("every_number_of_the_reference_is_reproduced_or_excluded") else {
        return;
    };
    let claims = reference.claims();
    let mut leaves = BTreeMap::new();
    walk("", &reference.numbers, &mut leaves);
    let mut wrong = Vec::new();
    for (path, expected) in &leaves {
        let excluded = EXCLUDED.iter().any(|(beginning, _)| below(path, beginning));
        match claims.get(path) {
            Some(_) if excluded => wrong.push(format!("{path} is reproduced and excluded")),
            // Written so that NaN is wrong.
            Some(found) if (found - expected).abs() <= 1e-9 * expected.abs().max(1.0) => {}
            Some(found) => wrong.push(format!("{path} is {found}, but the reference has {expected}")),
            None if excluded => {}
            None => wrong.push(format!("{path} is neither reproduced nor excluded")),
        }
    }
    for (beginning, _) in EXCLUDED {
        if !leaves.keys().any(|path| below(path, beginning)) {
            wrong.push(format!("the exclusion {beginning} excludes nothing"));
        }
    }
    for path in claims.keys().filter(|path| !leaves.contains_key(*path)) {
        wrong.push(format!("the reference has no {path}"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let excluded = leaves.len() - claims.len();
    println!("{} numbers: {} reproduced, {excluded} inputs or excluded:", leaves.len(), claims.len());
    for (beginning, reason) in EXCLUDED {
        let count = leaves.keys().filter(|path| below(path, beginning)).count();
        println!("{count:5}  {beginning}: {reason}");
    }
}

#[test]
fn the_bootstrap_agrees_with_another_generators_within_its_spread() {
    let Some(reference) = Reference::load("the_bootstrap_agrees_with_another_generators") else { return };
    let theirs = &reference.numbers["notebook_lr_crossfit3"]["ipw"]["bootstrap10000"];
    let ips = Estimator::Ips.contributions(&reference.log).unwrap();
    let ours = interval::bootstrap(&ips, 0.95, Side::Both, 1000, 7).unwrap();
    // The estimate's standard error is 0.0021. A quantile's own is sqrt(p (1 - p) / B) / density: with B = 1000 and the
    // density of a normal at its 2.5 % quantile, 8.5 % of that.
    for (name, found) in [("95.0% CI (lower)", ours.low), ("95.0% CI (upper)", ours.high)] {
        let expected = theirs[name].as_f64().unwrap();
        assert!((found - expected).abs() < 5.0 * 0.085 * 0.0021, "{name}: {found} {expected}");
    }
}

struct Reference {
    numbers: Value,
    /// Events with the Bernoulli Thompson sampling policy as their target, and the table's modelled rewards.
    log: Log,
    /// Mean clicks by policy and campaign, of the logs that are at hand.
    on_policy: BTreeMap<String, f64>,
}

impl Reference {
    fn load(test: &str) -> Option<Self> {
        let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
        let folder = shared.join("reference");
        if !folder.join("off_policy.json").exists() || !shared.join("data/obd").exists() {
            skip(test, "there is no ../shared/reference and ../shared/data/obd beside this checkout");
            return None;
        }
        let text = std::fs::read_to_string(folder.join("off_policy.json")).unwrap();
        let inputs = folder.join("off_policy");
        let policy = table(&inputs.join("bts_action_dist_all.csv"));
        let expected = table(&inputs.join("qhat_table_all.csv"));
        let rows = unzip(&inputs.join("random_all_log.csv.gz"));
        let log = Log::new(rows.iter().filter(|row| !row.starts_with('#')).map(|row| {
            let fields: Vec<f64> = row.split(',').map(|field| field.parse().unwrap()).collect();
            let (action, position) = (fields[0] as usize, fields[1] as usize);
            let target = policy.iter().zip(&expected).map(|(p, q)| p[position] * q[position]).sum();
            Event {
                reward: fields[2],
                propensity: fields[3],
                target: policy[action][position],
                model: Some(Model { logged: expected[action][position], target }),
            }
        }))
        .unwrap();
        let mut on_policy = BTreeMap::from([("random.all".to_owned(), log.on_policy_value())]);
        for policy in ["random", "bts"] {
            let rows = unzip(&shared.join(format!("data/obd/{policy}/men/men.csv.gz")));
            let clicks: Vec<f64> =
                rows[1..].iter().map(|row| row.split(',').nth(4).unwrap().parse().unwrap()).collect();
            on_policy.insert(format!("{policy}.men"), clicks.iter().sum::<f64>() / clicks.len() as f64);
        }
        Some(Self { numbers: serde_json::from_str(&text).unwrap(), log, on_policy })
    }

    /// All that is reproduced, by path.
    fn claims(&self) -> BTreeMap<String, f64> {
        let mut claims = BTreeMap::new();
        self.weights(&mut claims);
        self.on_policy(&mut claims);
        self.estimators(&mut claims);
        self.sequences(&mut claims);
        claims
    }

    fn weights(&self, claims: &mut BTreeMap<String, f64>) {
        let weights = Weights::of(&self.log).unwrap();
        for (name, value) in [
            ("mean", weights.mean),
            ("max", weights.largest),
            ("min", weights.smallest),
            ("ess_kish", weights.effective_sample_size),
            ("mean_w2", weights.mean_square),
        ] {
            claims.insert(format!("weights.{name}"), value);
        }
    }

    fn on_policy(&self, claims: &mut BTreeMap<String, f64>) {
        // The log of the target policy itself is not at hand, but how many impressions and clicks it has is.
        let truth = &self.numbers["ground_truth_bts_onpolicy"];
        let (n, clicks) = (truth["n"].as_u64().unwrap(), truth["clicks"].as_u64().unwrap());
        let log = Log::new((0..n).map(|i| Event {
            reward: f64::from(u8::from(i < clicks)),
            propensity: 1.0,
            target: 1.0,
            model: None,
        }))
        .unwrap();
        let value = log.on_policy_value();
        let sample = Estimator::Ips.contributions(&log).unwrap().moments().variance().unwrap();
        let n = n as f64;
        let binomial = (sample * (n - 1.0) / n / n).sqrt();
        claims.insert("ground_truth_bts_onpolicy.value".to_owned(), value);
        claims.insert("ground_truth_bts_onpolicy.binomial_se".to_owned(), binomial);
        claims.insert("on_policy_values.bts.all".to_owned(), value);
        for (name, value) in &self.on_policy {
            claims.insert(format!("on_policy_values.{name}"), *value);
        }
    }

    fn estimators(&self, claims: &mut BTreeMap<String, f64>) {
        let truth = claims["ground_truth_bts_onpolicy.value"];
        let relative = |value: f64| ((value - truth) / truth).abs();
        for (name, estimator) in [
            ("dm", Estimator::DirectMethod),
            ("ipw", Estimator::Ips),
            ("ipw_clip5", Estimator::ClippedIps { bound: 5.0 }),
            ("snipw", Estimator::Snips),
            ("dr", Estimator::DoublyRobust),
            ("dr_clip5", Estimator::ClippedDoublyRobust { bound: 5.0 }),
            ("sndr", Estimator::SelfNormalisedDoublyRobust),
            ("switch_dr_lambda1", Estimator::SwitchDoublyRobust { threshold: 1.0 }),
            ("switch_dr_lambda3", Estimator::SwitchDoublyRobust { threshold: 3.0 }),
            ("dr_os_lambda1", Estimator::OptimisticShrinkage { shrinkage: 1.0 }),
            ("dr_os_lambda10", Estimator::OptimisticShrinkage { shrinkage: 10.0 }),
            ("dr_os_lambda100", Estimator::OptimisticShrinkage { shrinkage: 100.0 }),
            ("sg_ipw_lambda0.05", Estimator::SubGaussianIps { shrinkage: 0.05 }),
            ("sg_dr_lambda0.05", Estimator::SubGaussianDoublyRobust { shrinkage: 0.05 }),
        ] {
            let contributions = estimator.contributions(&self.log).unwrap();
            let value = contributions.value();
            for (field, found) in pipeline(&contributions) {
                claims.insert(format!("table_qhat_estimators.{name}.{field}"), found);
            }
            claims.insert(format!("table_qhat_estimators.{name}.relative_ee_vs_0.0042"), relative(value));
            if ["ipw", "snipw"].contains(&name) {
                claims.insert(format!("notebook_lr_crossfit3.{name}.value"), value);
                claims.insert(format!("notebook_lr_crossfit3.{name}.relative_ee"), relative(value));
            }
        }
    }

    fn sequences(&self, claims: &mut BTreeMap<String, f64>) {
        let mut claim = |name: &str, ends: [f64; 2]| {
            for (index, end) in ends.into_iter().enumerate() {
                claims.insert(format!("confidence_sequences_on_random_all.{name}[{index}]"), end);
            }
        };
        let ips = Estimator::Ips.contributions(&self.log).unwrap();
        let dr = Estimator::DoublyRobust.contributions(&self.log).unwrap();
        let rounds = self.log.events().len() as f64;
        let sequence = AsymptoticSequence::exact(rounds, Alpha::default()).unwrap();
        for (name, contributions) in [("ipw", &ips), ("dr(table q)", &dr)] {
            // The reference multiplies by 1.96, not by the quantile.
            let confidence = 2.0 * normal::cdf(1.96) - 1.0;
            let (value, error) = (contributions.value(), contributions.moments().standard_error().unwrap());
            let interval = mean_interval::normal_mean(value, error, confidence).unwrap();
            claim(&format!("{name} normal 95% CI"), [interval.low, interval.high]);
            let half = sequence.around(error, rounds).unwrap();
            claim(&format!("{name} asymptotic CS t_opt=10000"), [value - half, value + half]);
        }
        claims.insert("confidence_sequences_on_random_all.dr mean".to_owned(), dr.value());
    }
}

/// What the pipeline reports of an estimate, as it does: a ratio's variance is that of its rounds, and the largest round of
/// the sample is taken for the width of their range. Neither is what this crate's own intervals do.
fn pipeline(contributions: &Contributions) -> [(&'static str, f64); 6] {
    let rounds = Moments::of(contributions.rounds());
    let largest = contributions.rounds().fold(f64::NEG_INFINITY, f64::max);
    let low = |interval: Result<Interval, _>| interval.unwrap().low;
    [
        ("value", contributions.value()),
        ("round_reward_var_ddof1", rounds.variance().unwrap()),
        ("se", rounds.standard_error().unwrap()),
        ("student_t_lower_delta0.05", low(interval::student_t_of(&rounds, 0.95, Side::Lower))),
        (
            "bernstein_lower_delta0.05_xmax=sample_max",
            low(interval::empirical_bernstein_of(&rounds, largest, 0.95, Side::Lower)),
        ),
        (
            "hoeffding_lower_delta0.05_xmax=sample_max",
            low(interval::hoeffding_of(&rounds, largest, 0.95, Side::Lower)),
        ),
    ]
}

/// Whether a path is this one or lies below it.
fn below(path: &str, beginning: &str) -> bool {
    path.strip_prefix(beginning).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

fn walk(path: &str, value: &Value, leaves: &mut BTreeMap<String, f64>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                walk(&path, value, leaves);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                walk(&format!("{path}[{index}]"), value, leaves);
            }
        }
        Value::Number(number) => {
            leaves.insert(path.to_owned(), number.as_f64().unwrap());
        }
        // Versions and descriptions of inputs.
        Value::String(_) | Value::Bool(_) | Value::Null => {}
    }
}

fn table(path: &Path) -> Vec<Vec<f64>> {
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().filter(|row| !row.starts_with('#'));
    rows.map(|row| row.split(',').map(|field| field.trim().parse().unwrap()).collect()).collect()
}

fn unzip(path: &Path) -> Vec<String> {
    let file = BufReader::new(std::fs::File::open(path).unwrap());
    BufReader::new(flate2::bufread::MultiGzDecoder::new(file)).lines().map(|line| line.unwrap()).collect()
}

/// Notes that a test could not run; where everything is required, that is a failure.
#[expect(clippy::disallowed_methods, reason = "how the tests are told what must be there")]
fn skip(test: &str, reason: &str) {
    let line = format!("SKIPPED {test}: {reason}");
    println!("{line}");
    if let Ok(path) = std::env::var("UPSWING_SKIP_LOG") {
        let mut log = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        writeln!(log, "{line}").unwrap();
    }
    assert!(std::env::var("UPSWING_REQUIRE_ALL").as_deref() != Ok("1"), "{line}");
}
