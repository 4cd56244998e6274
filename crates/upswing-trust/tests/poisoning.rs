//! The two targets of the defence against concerted lies, on a few seeds; the whole table is the example's.

#[expect(dead_code, reason = "the example runs and names more than these tests do")]
#[path = "../examples/poisoning/simulation.rs"]
mod simulation;

use simulation::{Defences, Outcome, Problem, Scale, Script, mean, ratio, run};
use upswing_domain::PolicyConfig;

const SEEDS: u64 = 6;
/// Times to 90 % vary more than shares: with so many the ratio's standard error is some 0.03.
const HONEST_SEEDS: u64 = 24;

const CLEAR: Problem = Problem {
    name: "clear",
    means: &[0.70, 0.60, 0.55],
    scale: Scale::Thumbs,
    liars: 0.0,
    script: Script::Contrast(1.0),
    copies: true,
    from: 0,
    accounts: 1_000,
    steps: 8_000,
    policy: PolicyConfig::Thompson,
};

fn outcomes(problem: &Problem, defences: Defences) -> Vec<Outcome> {
    seeds(problem, defences, SEEDS)
}

fn seeds(problem: &Problem, defences: Defences, seeds: u64) -> Vec<Outcome> {
    (0..seeds).map(|seed| run(problem, defences, seed)).collect()
}

fn points(without: &[Outcome], with: &[Outcome]) -> (f64, f64) {
    let moved: Vec<f64> = without.iter().zip(with).map(|(a, b)| 100.0 * (a.share - b.share)).collect();
    mean(&moved)
}

/// The target is a bound on the mean: it holds where the mean and two standard errors lie below it.
#[test]
fn ten_percent_in_concert_move_the_right_version_by_less_than_five_points() {
    let attack = Problem { liars: 0.10, from: 4_000, ..CLEAR };
    let early = Problem { from: 0, steps: 12_000, ..attack };
    for attack in [attack, early] {
        let honest = Problem { liars: 0.0, ..attack };
        let (moved, error) = points(&outcomes(&honest, Defences::All), &outcomes(&attack, Defences::All));
        assert!(moved + 2.0 * error < 5.0, "with: {moved} +- {error}");
        let (moved, error) = points(&outcomes(&honest, Defences::Off), &outcomes(&attack, Defences::Off));
        assert!(moved - 2.0 * error > 5.0, "without: {moved} +- {error}");
    }
}

/// The same by the server's own rules, also where the versions are close and nothing is explored on purpose: of two shares
/// of 0.62 and 0.58, lies of a tenth of the accounts, which give a fifth of the reports, pull them apart the other way
/// round, and more than five times as far.
#[test]
fn by_the_servers_rules_a_close_pair_withstands_it_too() {
    let close = Problem { name: "close", means: &[0.62, 0.58], accounts: 2_000, steps: 24_000, ..CLEAR };
    for from in [0, 12_000] {
        let attack = Problem { liars: 0.10, from, ..close };
        assert!(attack.pull() > 5.0, "{}", attack.pull());
        let with = outcomes(&attack, Defences::Standing);
        let (moved, error) = points(&outcomes(&close, Defences::Standing), &with);
        assert!(moved + 2.0 * error < 5.0, "from {from}: {moved} +- {error}");
        // Not because the rules themselves cost as much.
        let (moved, error) = points(&outcomes(&close, Defences::Off), &with);
        assert!(moved + 2.0 * error < 5.0, "from {from}, against no defences: {moved} +- {error}");
    }
}

#[test]
fn honest_learning_is_at_least_nine_tenths_as_fast() {
    for scale in [Scale::Thumbs, Scale::Stars] {
        let honest = Problem { scale, steps: 4_000, ..CLEAR };
        let reached = |defences| -> Vec<f64> {
            seeds(&honest, defences, HONEST_SEEDS).iter().map(|o| o.reached).collect()
        };
        let off = reached(Defences::Off);
        for defences in [Defences::All, Defences::Standing] {
            let (speed, error) = ratio(&off, &reached(defences));
            assert!(speed - 2.0 * error >= 0.9, "{}: {speed} +- {error}", defences.name());
        }
    }
}

/// Whoever truly prefers another version, as people do and not as a script, is heard.
#[test]
fn a_minority_with_another_taste_is_believed() {
    let minority = Problem { liars: 0.10, script: Script::Taste(0.45, 0.75), steps: 6_000, ..CLEAR };
    let believed: Vec<f64> = outcomes(&minority, Defences::All).iter().map(|o| o.believed[1]).collect();
    let (believed, error) = mean(&believed);
    assert!(believed - 2.0 * error > 0.9, "{believed} +- {error}");
}
