//! Two arms from their sums, sample-ratio mismatch, ranks and power.

use upswing_stats::compare::bayes::{Prior, posterior};
use upswing_stats::compare::power::Design;
use upswing_stats::compare::{
    AdjustedSample, Alternative, Effect, Level, QuantileSample, RatioSample, Sample, Scale, Summary,
    asymptotic, effect, fixed, rank, ratio_mismatch,
};

use super::claims::Claims;

/// GrowthBook's statistics, release 0.8.0 and its main branch in August 2026.
const RELEASE: &str = "gbstats_0.8.0_pypi";
const MAIN: &str = "gbstats_main_8f1db44";

/// Checks what this module answers for.
pub(crate) fn claims(claims: &mut Claims) {
    for metric in ["prop", "prop_small", "mean", "ratio", "cuped", "quantile_p90"] {
        let (control, treatment) = (summary(claims, metric, "a"), summary(claims, metric, "b"));
        for (name, scale) in [("absolute", Scale::Absolute), ("relative", Scale::Relative)] {
            let found = effect(&control, &treatment, scale).unwrap();
            let at = [MAIN, metric, name];
            two_sided(claims, &at, &found);
            one_sided(claims, &at, &found);
            beliefs(claims, &at, &found);

            let at = [RELEASE, metric, name];
            let found = if (metric, scale) == ("cuped", Scale::Relative) {
                without_covariance(&control, &treatment, &found)
            } else {
                found
            };
            two_sided(claims, &at, &found);
            beliefs(claims, &at, &found);
        }
    }
    sample_ratio(claims);
    sequence(claims);
    ranks(claims);
    power(claims);
}

fn level() -> Level {
    Level::new(0.05).unwrap()
}

fn summary(claims: &mut Claims, metric: &str, arm: &str) -> Summary {
    let mut read = |name: &str| claims.input(&["inputs", metric, arm, name]);
    let n = read("n") as u64;
    match metric {
        "mean" => Summary::Mean(Sample::mean(n, read("sum"), read("sum_squares")).unwrap()),
        "ratio" => {
            let numerator = Sample::mean(n, read("m_sum"), read("m_ss")).unwrap();
            let denominator = Sample::mean(n, read("d_sum"), read("d_ss")).unwrap();
            Summary::Ratio(RatioSample::new(numerator, denominator, read("md")).unwrap())
        }
        "cuped" => {
            let after = Sample::mean(n, read("post_sum"), read("post_ss")).unwrap();
            let before = Sample::mean(n, read("pre_sum"), read("pre_ss")).unwrap();
            Summary::Adjusted(AdjustedSample::new(after, before, read("pp")).unwrap())
        }
        "quantile_p90" => {
            let interval = (read("lo"), read("hi"));
            let units = read("n_star") as u64;
            Summary::Quantile(QuantileSample::new(n, units, read("nu"), read("q"), interval).unwrap())
        }
        _ => Summary::Mean(Sample::proportion(n, read("sum") as u64).unwrap()),
    }
}

/// The release leaves out that the adjusted difference and the measured baseline covary; what it infers from its own
/// standard error is the same.
fn without_covariance(control: &Summary, treatment: &Summary, found: &Effect) -> Effect {
    let (Summary::Adjusted(a), Summary::Adjusted(b)) = (control, treatment) else { panic!("not adjusted") };
    let slope = a.pooled_slope(b);
    let variance = |s: &AdjustedSample| {
        let (after, before) = (s.after().variance().unwrap(), s.before().variance().unwrap());
        (after - 2.0 * slope * s.covariance().unwrap() + slope * slope * before) / s.units() as f64
    };
    let (base, other) = (a.after().average(), b.after().average());
    let squared = variance(b) / base.powi(2) + variance(a) * other.powi(2) / base.powi(4);
    Effect::new(found.estimate(), squared.sqrt(), found.units(), found.degrees_of_freedom()).unwrap()
}

fn two_sided(claims: &mut Claims, at: &[&str], effect: &Effect) {
    let mut check = |name: &str, found: upswing_stats::compare::Inference| {
        let at = [at, &[name]].concat();
        claims.reproduces(&[&at[..], &["expected"]].concat(), found.interval.estimate);
        claims.reproduces(&[&at[..], &["ci", "0"]].concat(), found.interval.low);
        claims.reproduces(&[&at[..], &["ci", "1"]].concat(), found.interval.high);
        claims.reproduces(&[&at[..], &["p_value"]].concat(), found.p_value);
        claims.reproduces(&[&at[..], &["stderr"]].concat(), effect.standard_error());
    };
    check("ttest", fixed::infer(effect, level(), Alternative::TwoSided).unwrap());
    for (name, planned) in [("sequential_N5000", 5000), ("sequential_N500", 500)] {
        let plan = asymptotic::Plan::new(planned).unwrap();
        check(name, asymptotic::infer(effect, plan, level(), Alternative::TwoSided).unwrap());
    }
}

/// Halving an interval of levels until the bound is within 1e-6 of zero, in whatever unit the metric has, gives the reference its
/// one-sided p-value: the middle of what is left. Ours is the root itself. So that nothing hides behind that difference, the same
/// halving of our bounds has to give the reference's digits, and the root to lie in what is left.
const HALVED: &str = "one-sided sequential p-values: the reference stops short of the root that is given here; halving our \
    bounds as it does gives its digits";

fn one_sided(claims: &mut Claims, at: &[&str], effect: &Effect) {
    for (name, side) in [
        ("SequentialOneSidedTreatmentLesserTTest", Alternative::Less),
        ("SequentialOneSidedTreatmentGreaterTTest", Alternative::Greater),
    ] {
        let at = [at, &[name]].concat();
        let plan = asymptotic::Plan::default();
        let found = asymptotic::infer(effect, plan, level(), side).unwrap();
        let rho_squared = plan.rho_squared(level(), side).unwrap();
        let bound = |alpha: f64| {
            let level = Level::new(alpha).unwrap();
            let interval = asymptotic::infer_tuned(effect, rho_squared, level, side).unwrap().interval;
            // Above zero while the level is too small, for either side.
            if side == Alternative::Less { interval.high } else { -interval.low }
        };
        let (halved, bracket) = halve(bound);
        let within = bracket.0 - 1e-12 <= found.p_value && found.p_value <= bracket.1 + 1e-12;
        let digits = |expected: f64| within && (halved - expected).abs() <= 1e-8 * expected;
        claims.approximates(&[&at[..], &["p_value"]].concat(), found.p_value, HALVED, digits);
        claims.reproduces(&[&at[..], &["expected"]].concat(), found.interval.estimate);
        claims.reproduces(&[&at[..], &["ci", "0"]].concat(), found.interval.low);
        claims.reproduces(&[&at[..], &["ci", "1"]].concat(), found.interval.high);
        claims.reproduces(&[&at[..], &["stderr"]].concat(), effect.standard_error());
    }
}

/// What the halving ends with, and the last interval that is sure to hold the root.
fn halve(bound: impl Fn(f64) -> f64) -> (f64, (f64, f64)) {
    let (mut low, mut high) = (1e-5, 0.4999);
    if bound(low) < 0.0 {
        return (low, (low, low));
    }
    if bound(high) > 0.0 {
        return (high, (high, high));
    }
    loop {
        let middle = 0.5 * (low + high);
        let distance = bound(middle);
        *(if distance > 0.0 { &mut low } else { &mut high }) = middle;
        if distance.abs() < 1e-6 {
            return (0.5 * (low + high), (low, high));
        }
    }
}

fn beliefs(claims: &mut Claims, at: &[&str], effect: &Effect) {
    // The reference's prior is of the relative effect, whatever is reported.
    let scale = if effect.baseline().is_some() { Scale::Relative } else { effect.scale() };
    let normal = Prior::Normal { mean: 0.0, standard_deviation: 0.3, scale };
    for (name, prior) in [("bayes_flat", Prior::Flat), ("bayes_N(0,0.3^2)", normal)] {
        let at = [at, &[name]].concat();
        let found = posterior(effect, prior, level()).unwrap();
        claims.reproduces(&[&at[..], &["expected"]].concat(), found.interval.estimate);
        claims.reproduces(&[&at[..], &["ci", "0"]].concat(), found.interval.low);
        claims.reproduces(&[&at[..], &["ci", "1"]].concat(), found.interval.high);
        claims.reproduces(&[&at[..], &["chance_to_win"]].concat(), found.probability_above_zero);
        claims.reproduces(&[&at[..], &["risk", "0"]].concat(), found.expected_gain);
        claims.reproduces(&[&at[..], &["risk", "1"]].concat(), found.expected_loss);
        claims.reproduces(&[&at[..], &["stddev"]].concat(), found.standard_deviation);
    }
}

fn sample_ratio(claims: &mut Claims) {
    let two = ratio_mismatch::chi_square(&[5100, 4900], &[0.5, 0.5]).unwrap();
    let three = ratio_mismatch::chi_square(&[1000, 1100, 950], &[1.0, 1.0, 1.0]).unwrap();
    claims.reproduces(&[RELEASE, "srm_chi2", "users[5100,4900] w[.5,.5]"], two);
    claims.reproduces(&[RELEASE, "srm_chi2", "users[1000,1100,950] w[1,1,1]"], three);

    let at = "ssrm_dirichlet_multinomial";
    let concentration = claims.input(&[at, "concentration"]);
    let weights = claims.inputs(&[at, "p0"]);
    let mut monitor = ratio_mismatch::Monitor::new(&weights, concentration).unwrap();
    for day in ["0", "1", "2", "3"] {
        let counts: Vec<u64> = claims.inputs(&[at, "daily", day]).iter().map(|&c| c as u64).collect();
        monitor.add(&counts).unwrap();
        claims.reproduces(&[at, "p_values", day], monitor.p_value());
    }
}

fn sequence(claims: &mut Claims) {
    let at = "asymptotic_cs";
    let growthbook = asymptotic::Plan::default().rho_squared(level(), Alternative::TwoSided).unwrap();
    claims.reproduces(&[at, "rho2_growthbook(5000,.05)"], growthbook);
    claims.reproduces(&[at, "rho_growthbook(5000,.05)"], growthbook.sqrt());
    let best = asymptotic::Plan::new(500).unwrap().best_rho_squared(level());
    claims.reproduces(&[at, "rho2_exact(500,.05)"], best);
    for units in ["50", "100", "500", "1000", "5000"] {
        let margin = asymptotic::margin(units.parse().unwrap(), best, level()).unwrap();
        claims.reproduces(&[at, "std_margin(t; rho2_exact(t_opt=500,alpha=.05))", units], margin);
    }
    let varying = asymptotic::margin_of_varying(100.0, 0.2, best, level()).unwrap();
    claims.reproduces(&[at, "lyapunov t=100,var_t=0.2,rho2=rho2_exact(500)"], varying);
}

const STEP: &str = "ends of a step function: the reference's solver stops within 1e-4 of a step, ours on it";

fn ranks(claims: &mut Claims) {
    let at = "kayenta_mwu_conf0.98";
    let (experiment, control) = (claims.inputs(&[at, "experiment"]), claims.inputs(&[at, "control"]));
    let found = rank::mann_whitney(&control, &experiment, Level::new(0.02).unwrap()).unwrap();
    for (place, found) in [
        (&["ci", "0"][..], found.shift.low),
        (&["ci", "1"], found.shift.high),
        (&["estimate"], found.shift.estimate),
    ] {
        let close = |expected: f64| (found - expected).abs() <= 1e-4;
        claims.approximates(&[&[at], place].concat(), found, STEP, close);
    }
    claims.reproduces(&[at, "meanRatio"], found.mean_ratio.unwrap());
}

fn power(claims: &mut Claims) {
    let design = Design::new(level(), 0.8, Alternative::TwoSided).unwrap();
    let arm = design.units_for_rates(0.20, 0.21).unwrap() / 2.0;
    claims.reproduces(&["power", "two-prop n/arm, p0=.20 p1=.21 alpha=.05 power=.8 (unpooled)"], arm);
    let lift = design.detectable_lift(20_000.0, 0.2, 0.16).unwrap();
    claims.reproduces(&["power", "growthbook MDE rel: mu=.2 var=.16 N=10000/arm"], lift);
}
