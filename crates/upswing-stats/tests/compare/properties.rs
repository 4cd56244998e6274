//! What holds for all inputs, hostile ones included.

use proptest::prelude::*;
use upswing_stats::compare::asymptotic::Plan;
use upswing_stats::compare::bayes::{Prior, posterior};
use upswing_stats::compare::power::Design;
use upswing_stats::compare::rank::mann_whitney;
use upswing_stats::compare::ratio_mismatch::{Monitor, chi_square};
use upswing_stats::compare::{
    AdjustedSample, Alternative, Effect, Level, ParameterError, QuantileSample, RatioSample, Sample, Scale,
    Summary, asymptotic, effect, fixed,
};

use super::{level, rate};

/// Numbers of every size, the ones that break arithmetic among them.
fn number() -> BoxedStrategy<f64> {
    let special =
        [0.0, -0.0, 1.0, -1.0, 0.5, f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324, f64::NAN, f64::INFINITY];
    prop_oneof![
        any::<f64>(),
        prop::sample::select(special.to_vec()),
        -10.0..10.0,
        (-320..308).prop_map(|e| 10_f64.powi(e))
    ]
    .boxed()
}

fn count() -> BoxedStrategy<u64> {
    prop_oneof![0_u64..5, 5_u64..1000, 1_u64..100_000_000, any::<u64>()].boxed()
}

fn sample() -> BoxedStrategy<Option<Sample>> {
    prop_oneof![
        (count(), number(), number()).prop_map(|(n, sum, squares)| Sample::mean(n, sum, squares).ok()),
        (count(), number(), number()).prop_map(|(n, mean, squares)| Sample::centred(n, mean, squares).ok()),
        (count(), count()).prop_map(|(n, yes)| Sample::proportion(n, yes).ok()),
        (count(), any::<i64>(), any::<i64>(), number()).prop_map(|(n, sum, squares, scale)| Sample::exact(
            n,
            sum.into(),
            squares.into(),
            scale
        )
        .ok()),
        // Sums that belong to values.
        (2_u64..100_000_000, -1e3..1e3, 0.0..1e3_f64).prop_map(|(n, mean, deviation)| {
            let n_ = n as f64;
            Sample::mean(n, n_ * mean, n_ * (mean * mean + deviation * deviation)).ok()
        }),
    ]
    .boxed()
}

fn summary() -> BoxedStrategy<Option<Summary>> {
    let pair = || (sample(), sample(), number(), -1.0..1.0);
    // A sum of products that two samples of the same units can have.
    let product = |a: &Sample, b: &Sample, any: f64, part: f64| {
        let n = a.units() as f64;
        let spread = (a.variance().unwrap_or(0.0) * b.variance().unwrap_or(0.0)).sqrt();
        if part > 0.9 { any } else { n * a.average() * b.average() + part * n * spread }
    };
    let same = |a: &Sample, b: Sample| {
        Sample::centred(a.units(), b.average(), b.variance().unwrap_or(1.0) * a.units() as f64)
    };
    prop_oneof![
        sample().prop_map(|s| s.map(Summary::Mean)),
        pair().prop_map(move |(a, b, any, part)| {
            let (a, b) = (a?, same(&a?, b?).ok()?);
            RatioSample::new(a, b, product(&a, &b, any, part)).ok().map(Summary::Ratio)
        }),
        pair().prop_map(move |(a, b, any, part)| {
            let (a, b) = (a?, same(&a?, b?).ok()?);
            AdjustedSample::new(a, b, product(&a, &b, any, part)).ok().map(Summary::Adjusted)
        }),
        (count(), count(), number(), number(), number(), number()).prop_map(
            |(n, m, level, value, low, high)| {
                QuantileSample::new(n, m, level, value, (value - low.abs(), value + high.abs()))
                    .ok()
                    .map(Summary::Quantile)
            }
        ),
    ]
    .boxed()
}

fn scale() -> impl Strategy<Value = Scale> {
    prop::sample::select(vec![Scale::Absolute, Scale::Relative, Scale::LogRatio])
}

fn alternative() -> impl Strategy<Value = Alternative> {
    prop::sample::select(vec![Alternative::TwoSided, Alternative::Greater, Alternative::Less])
}

/// Checks everything that an effect leads to.
fn consequences(
    found: &Effect,
    alpha: f64,
    planned: u64,
    prior: Prior,
    side: Alternative,
) -> Result<(), TestCaseError> {
    prop_assert!(found.estimate().is_finite() && found.standard_error() > 0.0, "{found:?}");
    prop_assert!(found.standard_error().is_finite() && found.degrees_of_freedom() > 0.0, "{found:?}");
    let (Ok(level), Ok(plan)) = (Level::new(alpha), Plan::new(planned)) else { return Ok(()) };
    let results = [fixed::infer(found, level, side), asymptotic::infer(found, plan, level, side)];
    for result in results.into_iter().flatten() {
        prop_assert!((0.0..=1.0).contains(&result.p_value), "{found:?} {result:?}");
        let interval = result.interval;
        prop_assert!(
            interval.low <= interval.estimate && interval.estimate <= interval.high,
            "{found:?} {result:?}"
        );
    }
    if let Ok(belief) = posterior(found, prior, level) {
        let i = belief.interval;
        prop_assert!(i.low <= i.estimate && i.estimate <= i.high, "{found:?} {belief:?}");
        prop_assert!((0.0..=1.0).contains(&belief.probability_above_zero), "{found:?} {belief:?}");
        prop_assert!(belief.expected_gain >= 0.0 && belief.expected_loss >= 0.0, "{found:?} {belief:?}");
        prop_assert!(belief.standard_deviation >= 0.0, "{found:?} {belief:?}");
    }
    Ok(())
}

fn close(a: f64, b: f64, to: f64) -> bool {
    (a - b).abs() <= 1e-9 * to
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn hostile_arms_give_errors_and_never_nan(
        control in summary(), treatment in summary(), scale in scale(),
        alpha in prop_oneof![number(), 0.0..1.0], planned in count(), side in alternative(),
        prior in (number(), number()),
    ) {
        if let (Some(control), Some(treatment)) = (control, treatment)
            && let Ok(found) = effect(&control, &treatment, scale)
        {
            let prior = Prior::Normal { mean: prior.0, standard_deviation: prior.1, scale };
            consequences(&found, alpha, planned, prior, side)?;
            consequences(&found, alpha, planned, Prior::Flat, side)?;
        }
    }

    #[test]
    fn hostile_effects_give_errors_and_never_nan(
        numbers in (number(), number(), number()), units in count(), alpha in 0.0..1.0, planned in count(),
        side in alternative(), prior in (number(), number()), scale in scale(),
    ) {
        if let Ok(found) = Effect::new(numbers.0, numbers.1, units, numbers.2) {
            let prior = Prior::Normal { mean: prior.0, standard_deviation: prior.1, scale };
            consequences(&found, alpha, planned, prior, side)?;
        }
    }

    #[test]
    fn hostile_parameters_give_errors_and_never_nan(
        a in number(), b in number(), c in number(), d in number(), alpha in 0.0..1.0, power in number(), n in count(),
        counts in prop::collection::vec(count(), 0..4), weights in prop::collection::vec(number(), 0..4),
        side in alternative(),
    ) {
        let fine = |result: Result<f64, ParameterError>| result.is_err() || result.is_ok_and(|v| v >= 0.0);
        let (Ok(level), Ok(plan)) = (Level::new(alpha), Plan::new(n)) else { return Ok(()) };
        prop_assert!(fine(chi_square(&counts, &weights)));
        if let Ok(mut monitor) = Monitor::new(&weights, a) && monitor.add(&counts).is_ok() {
            prop_assert!((0.0..=1.0).contains(&monitor.p_value()) && !monitor.log_e_value().is_nan(), "{monitor:?}");
        }
        prop_assert!(fine(asymptotic::margin_of_varying(a, b, c, level)));
        for design in Design::new(level, power, side).into_iter().flat_map(|d| [d, d.sequential(plan)]) {
            for design in [Some(design), design.allocating(d).ok()].into_iter().flatten() {
                prop_assert!(fine(design.units_for_rates(a, b)), "{design:?}");
                prop_assert!(fine(design.units_for_means(a, b, c)), "{design:?}");
                prop_assert!(fine(design.detectable_difference(a, b)), "{design:?}");
                prop_assert!(fine(design.detectable_lift(a, b, c)), "{design:?}");
                prop_assert!(fine(design.power(a, b)), "{design:?}");
            }
        }
        if let Ok(found) = mann_whitney(&[a, b], &[c, d], level) {
            prop_assert!((0.0..=1.0).contains(&found.p_value), "{found:?}");
            prop_assert!(found.shift.low <= found.shift.high && !found.shift.estimate.is_nan(), "{found:?}");
        }
    }

    #[test]
    fn swapping_the_arms_turns_the_effect_around(
        n in 2_u64..1_000_000, m in 2_u64..1_000_000, p in 0.01..0.99, q in 0.01..0.99, planned in 1_u64..100_000,
    ) {
        let arm = |n: u64, p: f64| Summary::Mean(rate(n, ((n as f64 * p) as u64).clamp(1, n - 1)));
        let (a, b) = (arm(n, p), arm(m, q));
        let (level, plan) = (level(0.05), Plan::new(planned).unwrap());
        for scale in [Scale::Absolute, Scale::LogRatio] {
            let (there, back) = (effect(&a, &b, scale).unwrap(), effect(&b, &a, scale).unwrap());
            let error = there.standard_error();
            prop_assert!(close(there.estimate(), -back.estimate(), error));
            prop_assert!(close(there.standard_error(), back.standard_error(), error));
            prop_assert!(close(there.degrees_of_freedom(), back.degrees_of_freedom(), there.degrees_of_freedom()));
            for (one, other) in [
                (Alternative::TwoSided, Alternative::TwoSided),
                (Alternative::Greater, Alternative::Less),
                (Alternative::Less, Alternative::Greater),
            ] {
                for (x, y) in [
                    (fixed::infer(&there, level, one), fixed::infer(&back, level, other)),
                    (asymptotic::infer(&there, plan, level, one), asymptotic::infer(&back, plan, level, other)),
                ] {
                    let (x, y) = (x.unwrap(), y.unwrap());
                    let same = |a: f64, b: f64| a.total_cmp(&b).is_eq() || close(a, b, error * 10.0);
                    prop_assert!(same(x.interval.low, -y.interval.high) && same(x.interval.high, -y.interval.low));
                    prop_assert!(close(x.p_value, y.p_value, 1.0), "{x:?} {y:?}");
                }
            }
            let (x, y) = (posterior(&there, Prior::Flat, level).unwrap(), posterior(&back, Prior::Flat, level).unwrap());
            prop_assert!(close(x.expected_gain, y.expected_loss, error) && close(x.expected_loss, y.expected_gain, error));
            prop_assert!(close(x.probability_above_zero, 1.0 - y.probability_above_zero, 1.0));
        }
    }

    #[test]
    fn a_wider_claim_is_a_wider_interval_and_p_agrees_with_it(
        z in -8.0..8.0, n in 2_u64..10_000_000, alpha in 0.001..0.4, planned in 1_u64..1_000_000, side in alternative(),
    ) {
        let found = Effect::new(z, 1.0, n, n as f64).unwrap();
        let plan = Plan::new(planned).unwrap();
        let once = fixed::infer(&found, level(alpha), side).unwrap();
        let always = asymptotic::infer(&found, plan, level(alpha), side).unwrap();
        prop_assert!(always.interval.low <= once.interval.low && always.interval.high >= once.interval.high);
        for result in [once, always] {
            let without_zero = result.interval.low > 0.0 || result.interval.high < 0.0;
            prop_assert!(without_zero == (result.p_value < alpha) || close(result.p_value, alpha, 1.0), "{result:?} {alpha}");
        }
    }

    #[test]
    fn rank_bounds_are_differences_and_swap_with_the_arms(
        control in prop::collection::vec(-20_i32..20, 2..12), treatment in prop::collection::vec(-20_i32..20, 2..12),
        alpha in 0.01..0.5,
    ) {
        let values = |v: &[i32]| v.iter().map(|v| f64::from(*v) / 4.0).collect::<Vec<_>>();
        let (control, treatment) = (values(&control), values(&treatment));
        let Ok(found) = mann_whitney(&control, &treatment, level(alpha)) else { return Ok(()) };
        let mut differences: Vec<f64> =
            treatment.iter().flat_map(|x| control.iter().map(move |y| x - y)).collect();
        differences.sort_by(f64::total_cmp);
        let n = differences.len();
        let median = 0.5 * (differences[(n - 1) / 2] + differences[n / 2]);
        prop_assert!((found.shift.estimate - median).abs() < 1e-12, "{found:?} {median}");
        for bound in [found.shift.low, found.shift.high] {
            prop_assert!(differences.iter().any(|d| (d - bound).abs() < 1e-12), "{found:?}");
        }
        let back = mann_whitney(&treatment, &control, level(alpha)).unwrap();
        prop_assert!((back.shift.low + found.shift.high).abs() < 1e-12, "{found:?} {back:?}");
        prop_assert!((back.superiority + found.superiority - 1.0).abs() < 1e-12);
        prop_assert!((back.p_value - found.p_value).abs() < 1e-12);
    }
}
