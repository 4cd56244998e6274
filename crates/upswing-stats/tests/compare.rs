//! Comparisons against another implementation, on the properties that define them, and on hostile inputs.

#![expect(clippy::unwrap_used, reason = "a test that meets an error fails")]

use proptest::prelude::*;
use upswing_stats::compare::asymptotic::Plan;
use upswing_stats::compare::bayes::{Prior, posterior};
use upswing_stats::compare::power::{Design, days};
use upswing_stats::compare::rank::mann_whitney;
use upswing_stats::compare::ratio_mismatch::{Monitor, chi_square};
use upswing_stats::compare::{
    AdjustedSample, Alternative, Arm, Effect, EffectError, Level, ParameterError, QuantileSample,
    RatioSample, Sample, Scale, Summary, SummaryError, asymptotic, effect, fixed,
};

fn level(alpha: f64) -> Level {
    Level::new(alpha).unwrap()
}

fn mean(units: u64, sum: f64, sum_squares: f64) -> Sample {
    Sample::mean(units, sum, sum_squares).unwrap()
}

fn rate(units: u64, successes: u64) -> Sample {
    Sample::proportion(units, successes).unwrap()
}

fn ratio(numerator: Sample, denominator: Sample, products: f64) -> Summary {
    Summary::Ratio(RatioSample::new(numerator, denominator, products).unwrap())
}

fn adjusted(after: Sample, before: Sample, products: f64) -> Summary {
    Summary::Adjusted(AdjustedSample::new(after, before, products).unwrap())
}

fn quantile(units: u64, interval_units: u64, level: f64, value: f64, interval: (f64, f64)) -> Summary {
    Summary::Quantile(QuantileSample::new(units, interval_units, level, value, interval).unwrap())
}

/// Inputs and what GrowthBook's statistics make of them.
struct Golden {
    name: &'static str,
    control: Summary,
    treatment: Summary,
    alpha: f64,
    planned: u64,
    prior: (f64, f64),
    absolute: [f64; 13],
    relative: [f64; 13],
}

/// Random inputs of every kind, computed with gbstats of growthbook@8f1db4456915 (2026-08-21): estimate, standard error;
/// Welch's lower bound, two-sided and one-sided p-value; of the sequence the lower bound, its p-value, and the upper bound of
/// the lesser side; of the posterior with a relative prior its mean and deviation, the chance to win, and both risks.
#[rustfmt::skip]
fn golden() -> Vec<Golden> {
    vec![
        Golden {
            name: "rates of few units",
            control: Summary::Mean(rate(31, 19)),
            treatment: Summary::Mean(rate(22, 4)),
            alpha: 0.05,
            planned: 5000,
            prior: (-0.03896512180531779, 0.3446296359466167),
            absolute: [-0.4310850439882698, 0.1200631139206534, -0.6722011962948898, 0.0007480569582722918, 0.9996259715208639, -1.4931846879897894, 0.6314225033106596, 0.623991634440604, -0.3316475159660452, 0.10437923259192186, 0.0007431828989588867, 2.1027210018570193e-05, 0.33166854317606376],
            relative: [-0.7033492822966507, 0.14068845015499587, -0.9858861636719967, 7.358212721575441e-06, 0.9999963208936392, -1.9479043162723466, 0.3948286642385148, 0.5329763287560281, -0.6084442090745632, 0.13025298974063446, 1.496865407496672e-06, 3.857887470011866e-08, 0.6084442476534379],
        },
        Golden {
            name: "a mean below zero",
            control: Summary::Mean(mean(65, -0.5901334452513388, 0.006174562776459288)),
            treatment: Summary::Mean(mean(157, -1.5558249311308363, 0.01741617704868526)),
            alpha: 0.1,
            planned: 5000,
            prior: (-0.015503849736964146, 0.06183591096812773),
            absolute: [-0.0008307368563492557, 0.0005271900526608138, -0.001704647408736003, 0.11771388980289021, 0.9411430550985549, -0.003310353447182627, 0.8619782878159395, 0.0016324399680290066, -0.0005074138998842161, 0.0003843070528373786, 0.09336166376003996, 1.675374355613965e-05, 0.0005241676434403558],
            relative: [-0.09150116146984996, 0.06186782876758373, -0.19405800627441927, 0.14177164465374936, 0.9291141776731253, -0.3824939331973535, 0.8903940684406981, 0.19756233892392802, -0.05348289692545775, 0.04373587224516498, 0.11069108126439758, 0.002340836250882569, 0.05582373317634032],
        },
        Golden {
            name: "a ratio over five million units",
            control: ratio(mean(5549000, 662413.5909664718, 127852.76881415461), mean(5549000, 16646433.05690054, 62423171.2346213), 1753019.9107143134),
            treatment: ratio(mean(5220318, 623550.5202663958, 120366.52759336086), mean(5220318, 15659113.05176868, 58717278.31907372), 1650158.9143961149),
            alpha: 0.05,
            planned: 200000,
            prior: (0.020460870029361894, 0.20353354203652024),
            absolute: [2.717124844812263e-05, 2.5480312673569724e-05, -2.2769252340841404e-05, 0.2862598567253958, 0.1431299283626979, -6.138730408062621e-05, 1.0, 0.00010966142647886331, 2.717903793434619e-05, 2.5480186579992172e-05, 0.8569403346579372, 2.9045799350210068e-05, 1.8667614158638796e-06],
            relative: [0.0006828126332736726, 0.0006405313814234289, -0.0005726059469117281, 0.28641930398339066, 0.14320965199169533, -0.001543397567315355, 1.0, 0.0027564743015899475, 0.0006830085124072419, 0.0006405282095486548, 0.856860660712534, 0.0007299680214809918, 4.695950907374996e-05],
        },
        Golden {
            name: "an adjusted mean of nine million units",
            control: adjusted(mean(6417592, 437128748.7340646, 37831562057.25635), mean(6417592, 393422457.2952408, 29275018216.857903), 31000636017.54653),
            treatment: adjusted(mean(2536594, 172527517.63997513, 14919442237.212051), mean(2536594, 155387144.46669483, 11556916679.405697), 12230059376.194994),
            alpha: 0.1,
            planned: 5000,
            prior: (-0.021583579901230037, 0.24443977159948643),
            absolute: [-0.06157502426205497, 0.01992428415468524, -0.0943475618464156, 0.0019985394440897863, 0.9990007302779551, -0.13597040963499502, 0.8983468366384861, 0.008171237358340341, -0.06157704135349865, 0.019924269888776318, 0.0009989157873185703, 5.5097735620307005e-06, 0.06158255112706068],
            relative: [-0.000903997699186733, 0.0002923932416437217, -0.0013849418790020248, 0.001990024016419456, 0.9990049879917903, -0.001995766302949225, 0.8948334148319936, 0.00011954399342273226, -0.0009040272883075185, 0.0002923930324600459, 0.0009946595932258436, 8.048763226782131e-08, 0.0009041077759397864],
        },
        Golden {
            name: "a 99th percentile, its interval read for fewer units",
            control: quantile(5520382, 1910357, 0.99, 545.9269864632269, (545.2396625510839, 546.8205075490126)),
            treatment: quantile(10507199, 7602417, 0.99, 546.7925174218941, (546.2943187790538, 547.4401756575865)),
            alpha: 0.05,
            planned: 500,
            prior: (-0.11240315889395508, 0.22586464085910368),
            absolute: [0.8655309586672502, 0.3436677171358811, 0.19195455563378105, 0.011785227441123869, 0.0058926137205619344, -0.6101681070307345, 1.0, 2.2752405024212425, 0.865047561127645, 0.34366638233013536, 0.9940839779000944, 0.8657006626267, 0.0006531014990549626],
            relative: [0.0015854335472121812, 0.0006299880324183888, 0.00035067959252888144, 0.01184903496605716, 0.00592451748302858, -0.0011197165279493715, 1.0, 0.004169616167425707, 0.0015845467463302685, 0.0006299855818440928, 0.9940519439820583, 0.001585751079369837, 1.2043330395685348e-06],
        },
        Golden {
            name: "a ratio of rates",
            control: ratio(rate(88, 27), rate(88, 68), 27.0),
            treatment: ratio(rate(168, 49), rate(168, 112), 49.0),
            alpha: 0.01,
            planned: 200000,
            prior: (-0.01092496680389118, 0.37477804770989287),
            absolute: [0.04044117647058826, 0.07561679480882257, -0.15630205822011747, 0.593398937863884, 0.296699468931942, -1.8636757490400369, 1.0, 1.9279919986404155, 0.03125152646443783, 0.06741260911756941, 0.6785277251226647, 0.04535872919885689, 0.014107202734419058],
            relative: [0.10185185185185192, 0.20260519915612413, -0.4252956204512152, 0.6157473486927016, 0.3078736743463508, -4.999977574864549, 1.0, 5.159294596018576, 0.07634678000203464, 0.17822864302928929, 0.6658070279121047, 0.11570192877382016, 0.03935514877178551],
        },
        Golden {
            name: "a rate adjusted by a rate",
            control: adjusted(rate(26694, 5537), rate(26694, 7883), 2705.0),
            treatment: adjusted(rate(15189, 3183), rate(15189, 4853), 2187.0),
            alpha: 0.2,
            planned: 200000,
            prior: (0.014413508522873503, 0.22247884209688723),
            absolute: [-0.003981891457943448, 0.003892822269423474, -0.00897084359082045, 0.3063718973790275, 0.8468140513104863, -0.014921476257074882, 1.0, 0.006745396464706257, -0.003932632668650739, 0.0038790452809823084, 0.15533561804294238, 0.00031477171392850327, 0.004247404382579242],
            relative: [-0.019196787173260326, 0.01884129680389848, -0.04334336294022928, 0.30827327306153407, 0.845863363469233, -0.07214448163411666, 1.0, 0.03272338838652755, -0.018957448536497126, 0.01877409259088645, 0.15630360249230169, 0.0015352979222362853, 0.020492746458733415],
        },
    ]
}

#[test]
fn every_kind_meets_golden_values() {
    for case in golden() {
        let (level, plan) = (level(case.alpha), Plan::new(case.planned).unwrap());
        for (scale, expected) in [(Scale::Absolute, case.absolute), (Scale::Relative, case.relative)] {
            let found = effect(&case.control, &case.treatment, scale).unwrap();
            let welch = fixed::infer(&found, level, Alternative::TwoSided).unwrap();
            let greater = fixed::infer(&found, level, Alternative::Greater).unwrap();
            let always = asymptotic::infer(&found, plan, level, Alternative::TwoSided).unwrap();
            let lesser = asymptotic::infer(&found, plan, level, Alternative::Less).unwrap();
            let (mean, standard_deviation) = case.prior;
            let prior = Prior::Normal { mean, standard_deviation, scale: Scale::Relative };
            let belief = posterior(&found, prior, level).unwrap();
            let all = [
                found.estimate(),
                found.standard_error(),
                welch.interval.low,
                welch.p_value,
                greater.p_value,
                always.interval.low,
                always.p_value,
                lesser.interval.high,
                belief.interval.estimate,
                belief.standard_deviation,
                belief.probability_above_zero,
                belief.expected_gain,
                belief.expected_loss,
            ];
            for (place, (found, expected)) in all.into_iter().zip(expected).enumerate() {
                let close = (found - expected).abs() <= 1e-9 * expected.abs();
                assert!(close, "{} {scale:?} {place}: {found} {expected}", case.name);
            }
        }
    }
}

#[test]
fn the_closed_form_of_the_one_sided_p_value_is_where_the_bound_is_zero() {
    let plan = Plan::default();
    for case in golden() {
        let found = effect(&case.control, &case.treatment, Scale::Absolute).unwrap();
        for side in [Alternative::Greater, Alternative::Less] {
            let p = asymptotic::infer(&found, plan, level(0.05), side).unwrap().p_value;
            let rho_squared = plan.rho_squared(level(0.05), side).unwrap();
            let at = asymptotic::infer_tuned(&found, rho_squared, level(p), side).unwrap().interval;
            let bound = if side == Alternative::Less { at.high } else { -at.low };
            if p < 0.4999 {
                assert!(bound.abs() < 1e-10 * found.standard_error(), "{} {side:?} {p} {bound}", case.name);
            } else {
                assert!(bound > 0.0, "{} {side:?} {bound}", case.name);
            }
        }
    }
}

#[test]
fn a_margin_moves_the_null_hypothesis() {
    let found =
        effect(&Summary::Mean(rate(1000, 200)), &Summary::Mean(rate(1000, 195)), Scale::Absolute).unwrap();
    let not_worse = found.less(-0.05).unwrap();
    assert!(fixed::infer(&found, level(0.05), Alternative::Greater).unwrap().p_value > 0.5);
    assert!(fixed::infer(&not_worse, level(0.05), Alternative::Greater).unwrap().p_value < 0.01);
    assert!(found.less(f64::NAN).is_err());
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
    // R 4, power.prop.test(p1 = .5, p2 = .75, power = .9) uses a pooled variance and gives 76.7; unpooled it is 73.6.
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

/// Uniform numbers in [0, 1): Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
struct Uniform(u64);

impl Uniform {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Four standard errors of a share that is expected to be `share`, of so many runs: a test that is right fails once in 15,000.
fn tolerance(share: f64, runs: usize) -> f64 {
    4.0 * (share * (1.0 - share) / runs as f64).sqrt()
}

#[test]
fn welch_covers_as_often_as_it_says() {
    const RUNS: usize = 2000;
    let mut random = Uniform(1);
    let mut missed = [0_usize; 3];
    for _ in 0..RUNS {
        // Exponential values of unequal means and arms of unequal sizes; the truth is known.
        let arm = |random: &mut Uniform, n: u64, scale: f64| {
            let values = (0..n).map(|_| -scale * (1.0 - random.next()).ln());
            let (sum, squares) = values.fold((0.0, 0.0), |(s, q), v| (s + v, q + v * v));
            Summary::Mean(mean(n, sum, squares))
        };
        let (control, treatment) = (arm(&mut random, 300, 1.0), arm(&mut random, 500, 1.5));
        for (missed, (scale, truth)) in missed.iter_mut().zip([
            (Scale::Absolute, 0.5),
            (Scale::Relative, 0.5),
            (Scale::LogRatio, 1.5_f64.ln()),
        ]) {
            let found = effect(&control, &treatment, scale).unwrap();
            let interval = fixed::infer(&found, level(0.05), Alternative::TwoSided).unwrap().interval;
            *missed += usize::from(!(interval.low..=interval.high).contains(&truth));
        }
    }
    for missed in missed {
        let share = missed as f64 / RUNS as f64;
        // One percentage point for the approximation itself at such sizes.
        assert!((share - 0.05).abs() < tolerance(0.05, RUNS) + 0.01, "{share}");
    }
}

#[test]
fn the_sequence_covers_at_all_looks_together() {
    const RUNS: usize = 400;
    let mut random = Uniform(2);
    let plan = Plan::new(500).unwrap();
    let (mut welch, mut sequence, mut found_early) = (0, 0, 0);
    for run in 0..RUNS {
        // Half of the runs without an effect, half with one.
        let rates = if run % 2 == 0 { [0.3, 0.3] } else { [0.3, 0.4] };
        let mut successes = [0, 0];
        let (mut welch_missed, mut missed, mut found) = (false, false, false);
        for n in 1..=1500_u64 {
            for (count, rate) in successes.iter_mut().zip(rates) {
                *count += u64::from(random.next() < rate);
            }
            if n < 50 || n % 10 != 0 {
                continue;
            }
            let [control, treatment] = successes.map(|s| Summary::Mean(rate(n, s)));
            let difference = effect(&control, &treatment, Scale::Absolute).unwrap();
            let off = difference.less(rates[1] - rates[0]).unwrap();
            missed |=
                asymptotic::infer(&off, plan, level(0.05), Alternative::TwoSided).unwrap().p_value <= 0.05;
            welch_missed |= fixed::infer(&off, level(0.05), Alternative::TwoSided).unwrap().p_value <= 0.05;
            found |= asymptotic::infer(&difference, plan, level(0.05), Alternative::TwoSided)
                .unwrap()
                .interval
                .low
                > 0.0;
        }
        welch += usize::from(welch_missed);
        sequence += usize::from(missed);
        found_early += usize::from(found && run % 2 == 1);
    }
    let share = |count: usize| count as f64 / RUNS as f64;
    assert!(share(sequence) < 0.05 + tolerance(0.05, RUNS), "{}", share(sequence));
    // What it is for: looking at Welch's t that often is wrong in a third of all runs.
    assert!(share(welch) > 0.2, "{}", share(welch));
    // And it is no empty promise: nearly all effects of ten points are found.
    assert!(share(found_early) > 0.45, "{}", share(found_early));
}

#[test]
fn the_sample_ratio_monitor_is_rarely_wrong_and_finds_a_leak() {
    const RUNS: usize = 500;
    let mut random = Uniform(3);
    let (mut wrong, mut right) = (0, 0);
    for run in 0..RUNS {
        let share = if run % 2 == 0 { 0.5 } else { 0.53 };
        let mut monitor = Monitor::new(&[0.5, 0.5], 1000.0).unwrap();
        for _ in 0..60 {
            let first = (0..100).filter(|_| random.next() < share).count() as u64;
            monitor.add(&[first, 100 - first]).unwrap();
        }
        let rejected = usize::from(monitor.p_value() <= 0.05);
        *(if run % 2 == 0 { &mut wrong } else { &mut right }) += rejected;
    }
    let share = |count: usize| count as f64 / (RUNS / 2) as f64;
    assert!(share(wrong) < 0.05 + tolerance(0.05, RUNS / 2), "{}", share(wrong));
    assert!(share(right) > 0.8, "{}", share(right));
}

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
}
