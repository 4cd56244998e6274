//! Random inputs of every kind, with what another implementation makes of them.

use upswing_stats::compare::asymptotic::Plan;
use upswing_stats::compare::bayes::{Prior, posterior};
use upswing_stats::compare::{Alternative, Scale, Summary, asymptotic, effect, fixed};

use super::{adjusted, level, mean, quantile, rate, ratio};

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
