//! Single cases: errors, margins, power, ranks.

use upswing_stats::compare::asymptotic::Plan;
use upswing_stats::compare::bayes::{Prior, posterior};
use upswing_stats::compare::power::{Design, days};
use upswing_stats::compare::rank::mann_whitney;
use upswing_stats::compare::{
    AdjustedSample, Alternative, Arm, EffectError, ParameterError, RatioSample, Sample, Scale, Summary,
    SummaryError, asymptotic, effect, fixed,
};

use super::{adjusted, level, mean, quantile, rate};

#[test]
fn a_margin_moves_the_null_hypothesis() {
    let found =
        effect(&Summary::Mean(rate(1000, 200)), &Summary::Mean(rate(1000, 195)), Scale::Absolute).unwrap();
    let not_worse = found.minus(-0.05).unwrap();
    assert!(fixed::infer(&found, level(0.05), Alternative::Greater).unwrap().p_value > 0.5);
    assert!(fixed::infer(&not_worse, level(0.05), Alternative::Greater).unwrap().p_value < 0.01);
    assert!(found.minus(f64::NAN).is_err());
}

#[test]
fn an_adjustment_narrows_and_without_variation_before_does_nothing() {
    let [control, treatment] = [mean(1000, 3120.5, 14830.25), mean(980, 3240.75, 15990.5)];
    let plain = effect(&Summary::Mean(control), &Summary::Mean(treatment), Scale::Relative).unwrap();
    let constant = |after: Sample| {
        let n = after.units();
        adjusted(after, mean(n, 2.0 * n as f64, 4.0 * n as f64), 2.0 * n as f64 * after.average())
    };
    let same = effect(&constant(control), &constant(treatment), Scale::Relative).unwrap();
    assert!((same.estimate() - plain.estimate()).abs() < 1e-12);
    assert!((same.standard_error() - plain.standard_error()).abs() < 1e-12);
    let before = [mean(1000, 2900.0, 13200.0), mean(980, 2860.0, 13050.0)];
    let narrow = effect(
        &adjusted(control, before[0], 12650.0),
        &adjusted(treatment, before[1], 12980.0),
        Scale::Relative,
    );
    assert!(narrow.unwrap().standard_error() < 0.8 * plain.standard_error());
}

#[test]
fn what_cannot_be_compared_says_why() {
    let some = Summary::Mean(rate(100, 20));
    let none = Summary::Mean(rate(100, 0));
    let one = Summary::Mean(mean(1, 2.0, 4.0));
    let arm = Arm::Treatment;
    assert_eq!(effect(&some, &none, Scale::Absolute), Err(EffectError::NoVariance { arm }));
    assert_eq!(effect(&some, &one, Scale::Absolute), Err(EffectError::TooFewUnits { arm, units: 1 }));
    let centred = Summary::Mean(Sample::centred(10, 0.0, 5.0).unwrap());
    assert!(effect(&centred, &some, Scale::Absolute).is_ok());
    assert_eq!(effect(&centred, &some, Scale::Relative), Err(EffectError::Baseline(0.0)));
    let negative = Summary::Mean(Sample::centred(10, -1.0, 5.0).unwrap());
    assert_eq!(effect(&negative, &some, Scale::LogRatio), Err(EffectError::Baseline(-1.0)));
    let p90 = quantile(1000, 1000, 0.9, 7.0, (6.5, 7.9));
    let p95 = quantile(1000, 1000, 0.95, 7.0, (6.5, 7.9));
    assert!(matches!(effect(&some, &p90, Scale::Absolute), Err(EffectError::DifferentKinds { .. })));
    assert!(matches!(effect(&p95, &p90, Scale::Absolute), Err(EffectError::DifferentQuantiles { .. })));
    let few = quantile(20, 20, 0.9, 7.0, (6.5, 7.9));
    let control = Arm::Control;
    assert_eq!(
        effect(&few, &p90, Scale::Absolute),
        Err(EffectError::TooFewUnits { arm: control, units: 20 })
    );
    let zero = RatioSample::new(rate(10, 5), mean(10, 0.0, 4.0), 0.0);
    assert_eq!(zero, Err(SummaryError::ZeroDenominator));
    let other = AdjustedSample::new(rate(10, 5), rate(11, 5), 3.0);
    assert_eq!(other, Err(SummaryError::DifferentUnits { first: 10, second: 11 }));
    let impossible = AdjustedSample::new(rate(10, 5), rate(10, 5), 9.0);
    assert!(matches!(impossible, Err(SummaryError::Contradiction(_))));
    let found = effect(&some, &Summary::Mean(rate(100, 30)), Scale::LogRatio).unwrap();
    let prior = Prior::Normal { mean: 0.0, standard_deviation: 0.3, scale: Scale::Absolute };
    assert!(matches!(posterior(&found, prior, level(0.05)), Err(ParameterError::PriorScale { .. })));
    assert!(fixed::infer(&found, level(0.5), Alternative::Less).is_err());
    assert!(asymptotic::infer(&found, Plan::default(), level(0.7), Alternative::Greater).is_err());
    assert!(asymptotic::infer(&found, Plan::default(), level(0.7), Alternative::TwoSided).is_ok());
}

#[test]
fn power_is_undone_by_its_inverse() {
    let design = Design::new(level(0.05), 0.8, Alternative::TwoSided).unwrap();
    for (design, name) in [
        (design, "fixed"),
        (design.allocating(0.1).unwrap(), "one in ten"),
        (design.sequential(Plan::default()), "sequential"),
        (Design::new(level(0.01), 0.95, Alternative::Greater).unwrap(), "one side"),
    ] {
        let units = design.units_for_means(0.1, 1.0, 1.0).unwrap();
        let found = design.detectable_difference(units, 1.0).unwrap();
        assert!((found - 0.1).abs() < 1e-9, "{name}: {units} {found}");
    }
    let units = design.units_for_means(0.1, 1.0, 1.0).unwrap();
    // Two arms of n/2: the standard error is 2 / sqrt(n). The far tail adds a little to the 80 %.
    let power = design.power(0.1 * units.sqrt() / 2.0, units).unwrap();
    assert!((power - 0.8).abs() < 1e-5, "{power}");
    assert!(design.allocating(0.1).unwrap().units_for_means(0.1, 1.0, 1.0).unwrap() > units);
    let sequential = design.sequential(Plan::default()).units_for_means(0.1, 1.0, 1.0).unwrap();
    assert!(sequential > 1.3 * units && sequential < 3.0 * units, "{sequential} {units}");
    // (1.959964 + 1.281552)^2 (0.25 + 0.1875) / 0.25^2, worked by hand.
    let rates =
        Design::new(level(0.05), 0.9, Alternative::TwoSided).unwrap().units_for_rates(0.5, 0.75).unwrap();
    assert!((rates / 2.0 - 73.553).abs() < 0.01, "{rates}");
    assert_eq!(design.detectable_lift(10.0, 0.2, 0.16), Err(ParameterError::Undetectable));
    assert!((days(3000.0, 400.0).unwrap() - 7.5).abs() < 1e-12);
    assert!(days(3000.0, 0.0).is_err() && design.units_for_rates(0.2, 0.2).is_err());
    assert!(design.units_for_rates(0.2, 1.2).is_err() && design.allocating(1.0).is_err());
    assert!(Design::new(level(0.05), 0.05, Alternative::TwoSided).is_err());
}

#[test]
fn ranks_meet_golden_values() {
    // scipy 1.17.1, mannwhitneyu(x, y, use_continuity=True, method="asymptotic").
    let (treatment, control) = ([1.1, 2.2, 2.2, 3.9, 0.4], [2.2, 3.1, 4.5, 5.0, 0.9]);
    let found = mann_whitney(&control, &treatment, level(0.05)).unwrap();
    assert!((found.superiority * 25.0 - 7.0).abs() < 1e-12, "{found:?}");
    assert!((found.p_value - 0.2903468336607644).abs() < 1e-10, "{found:?}");
    let mut differences: Vec<f64> = treatment.iter().flat_map(|x| control.map(|y| x - y)).collect();
    differences.sort_by(f64::total_cmp);
    assert!((found.shift.estimate - differences[12]).abs() < 1e-12, "{found:?}");
    assert!(mann_whitney(&[1.0], &[1.0], level(0.05)).is_err());
    assert!(mann_whitney(&[], &[1.0], level(0.05)).is_err());
    assert!(mann_whitney(&[f64::NAN], &[1.0], level(0.05)).is_err());
}
