//! How far accounts that lie in concert move a policy, with the defences on and off.
//!
//! `cargo run --release -p upswing-trust --example poisoning -- [--json] [--honest] [--seeds 20] [--first 0]
//! [--defences "yes or no"] [only names containing]`
//!
//! `share` is the right version's mean probability of being served over the last quarter, `moved` by how many points that
//! is below the same defences without an attack (seeds paired), each with its standard error. `90 %` is the number of
//! reports until its share over 500 reports was 0.9. `weights` are the mean reputations of honest accounts and of the others.
//! `pull` is how far the lies pull the right version and the next best together where every report counts alike, divided by
//! what lies between the two ([`Problem::pull`]): above 1, the right version is not the best in the reports.
//! Then the honest speed: without any attack, reports until 90 % with defences off, divided by those with them on. With
//! `--honest` only problems without an attack are run; `--first` is the first seed; `--defences` leaves those out whose name
//! does not end so, but for *off*.
//!
//! The last line says for each defence in how many of the cells with 10 % of liars the mean is moved by less than 5 points,
//! and names the others. *all, yes or no* is what the server does.

mod simulation;

use std::collections::BTreeMap;
use std::sync::Mutex;

use simulation::{Defences, Outcome, Problem, Scale, Script, mean, ratio, run};
use upswing_domain::PolicyConfig;

/// Seeds of problems without an attack, against the others: their times to 90 % are compared as ratios, which needs more.
const HONEST_SEEDS: u64 = 3;

fn problems() -> Vec<Problem> {
    let clear = Problem {
        name: "clear",
        means: &[0.70, 0.60, 0.55],
        scale: Scale::Thumbs,
        liars: 0.0,
        script: Script::Contrast(1.0),
        copies: true,
        from: 0,
        accounts: 2_000,
        steps: 16_000,
        policy: PolicyConfig::Thompson,
    };
    let hard = Problem { name: "hard", means: &[0.62, 0.58], steps: 24_000, ..clear };
    let stars = Problem { name: "stars", scale: Scale::Stars, ..clear };
    let mut problems = Vec::new();
    for base in [clear, hard, stars] {
        problems.push(base);
        for liars in [0.01, 0.05, 0.10, 0.20] {
            problems.extend([0, base.steps / 2].map(|from| Problem { liars, from, ..base }));
        }
    }
    // Other attacks on the same versions, with a row without any to compare with.
    let variant = Problem { name: "variants", ..clear };
    problems.push(variant);
    let tenth = Problem { liars: 0.10, ..variant };
    problems.extend([0, clear.steps / 2].map(|from| Problem { copies: false, from, ..tenth }));
    for consistency in [0.9, 0.8, 0.7, 0.6] {
        let script = Script::Contrast(consistency);
        problems.extend([0, clear.steps / 2].map(|from| Problem { script, from, ..tenth }));
    }
    problems.extend([0, clear.steps / 2].map(|from| Problem { script: Script::Silence, from, ..tenth }));
    problems.push(Problem { script: Script::Taste(0.45, 0.75), ..tenth });
    problems.push(Problem { script: Script::Taste(0.03, 0.97), ..tenth });
    // A policy that never stops trying keeps learning who lies.
    let policy = PolicyConfig::LinearThompson { floor: 0.02 };
    for base in [Problem { name: "linear, floor", ..clear }, Problem { name: "hard, floor", ..hard }] {
        let base = Problem { policy, ..base };
        problems.push(base);
        problems.extend([0, base.steps / 2].map(|from| Problem { liars: 0.10, from, ..base }));
        if base.name == "linear, floor" {
            let scripts = [Script::Contrast(0.8), Script::Contrast(0.6), Script::Silence];
            problems.extend(scripts.map(|script| Problem { liars: 0.10, script, ..base }));
        }
    }
    problems
}

fn script(problem: &Problem) -> String {
    match problem.script {
        _ if problem.liars == 0.0 => "none".to_owned(),
        Script::Contrast(1.0) if !problem.copies => "lie without words".to_owned(),
        Script::Contrast(1.0) => "lie".to_owned(),
        Script::Contrast(consistency) => format!("lie {:.0} %", consistency * 100.0),
        Script::Silence => "condemn or be silent".to_owned(),
        Script::Taste(a, b) => format!("taste {a:.2} : {b:.2}"),
    }
}

/// Runs all, on as many threads as there are processors.
fn outcomes(jobs: &[(Problem, Defences, u64)]) -> Vec<Outcome> {
    let next = Mutex::new(0);
    let done = Mutex::new(BTreeMap::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let Ok(job) = next.lock().map(|mut next| {
                        *next += 1;
                        *next - 1
                    }) else {
                        return;
                    };
                    let Some((problem, defences, seed)) = jobs.get(job) else { return };
                    let outcome = run(problem, *defences, *seed);
                    if let Ok(mut done) = done.lock() {
                        done.insert(job, outcome);
                    }
                }
            });
        }
    });
    done.into_inner().unwrap_or_default().into_values().collect()
}

fn column(outcomes: &[Outcome], value: impl Fn(&Outcome) -> f64) -> Vec<f64> {
    outcomes.iter().map(value).collect()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let json = arguments.iter().any(|a| a == "--json");
    let seeds = arguments
        .iter()
        .position(|a| a == "--seeds")
        .and_then(|at| arguments.get(at + 1)?.parse().ok())
        .unwrap_or(20_u64);
    let after = |name: &str| arguments.iter().position(|a| a == name).and_then(|at| arguments.get(at + 1));
    let first = after("--first").and_then(|n| n.parse().ok()).unwrap_or(0_u64);
    let wanted = after("--defences").cloned().unwrap_or_default();
    let each: Vec<Defences> =
        Defences::EACH.into_iter().filter(|d| *d == Defences::Off || d.name().ends_with(&wanted)).collect();
    let only = arguments
        .iter()
        .rfind(|a| !a.starts_with("--") && a.parse::<u64>().is_err() && **a != wanted)
        .cloned()
        .unwrap_or_default();
    let without_attacks = arguments.iter().any(|a| a == "--honest");
    let problems: Vec<Problem> = problems()
        .into_iter()
        .filter(|p| p.name.contains(&only) && (p.liars == 0.0 || !without_attacks))
        .collect();
    let mut honest: BTreeMap<(&str, Defences), Vec<Outcome>> = BTreeMap::new();
    let mut cells: BTreeMap<Defences, (usize, Vec<String>)> = BTreeMap::new();
    if !json {
        println!(
            "| problem | accounts in concert | they | from report | pull | defences | share | moved, points | 90 % | weights |"
        );
        println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    }
    for problem in &problems {
        let runs = if problem.liars > 0.0 { seeds } else { seeds * HONEST_SEEDS };
        for &defences in &each {
            let jobs: Vec<_> = (first..first + runs).map(|seed| (*problem, defences, seed)).collect();
            let found = outcomes(&jobs);
            if problem.liars == 0.0 {
                honest.insert((problem.name, defences), found.clone());
            }
            let (share, error) = mean(&column(&found, |o| o.share));
            let (reached, reached_error) = mean(&column(&found, |o| o.reached));
            let without = honest.get(&(problem.name, defences)).map_or(&found, |without| without);
            let moved: Vec<f64> =
                found.iter().zip(without).map(|(o, without)| 100.0 * (without.share - o.share)).collect();
            let (moved, moved_error) = mean(&moved);
            let tasted = matches!(problem.script, Script::Taste(..));
            if (problem.liars - 0.10).abs() < 1e-9 && !tasted {
                let (met, missed) = cells.entry(defences).or_default();
                if moved < 5.0 {
                    *met += 1;
                } else {
                    let cell = format!(
                        "{}, {}, from {}: {moved:.1} ± {moved_error:.1}",
                        problem.name,
                        script(problem),
                        problem.from
                    );
                    missed.push(cell);
                }
            }
            let pull = if problem.liars > 0.0 { format!("{:.1}", problem.pull()) } else { String::new() };
            let weights = [0, 1].map(|group| mean(&column(&found, |o| o.believed[group])).0);
            if json {
                println!(
                    "{{\"problem\":\"{}\",\"liars\":{},\"script\":\"{}\",\"from\":{},\"pull\":\"{pull}\",\"defences\":\"{}\",\"share\":{share:.5},\"share_error\":{error:.5},\"moved\":{moved:.3},\"moved_error\":{moved_error:.3},\"reached\":{reached:.0},\"reached_error\":{reached_error:.0}}}",
                    problem.name,
                    problem.liars,
                    script(problem),
                    problem.from,
                    defences.name()
                );
            } else {
                let moved = if problem.liars > 0.0 {
                    format!("{moved:.1} ± {moved_error:.1}")
                } else {
                    "".to_owned()
                };
                let believed = match defences {
                    Defences::All | Defences::Standing if problem.liars > 0.0 => {
                        format!("{:.2} : {:.2}", weights[0], weights[1])
                    }
                    Defences::All | Defences::Standing => format!("{:.3}", weights[0]),
                    _ => "".to_owned(),
                };
                println!(
                    "| {} | {:.0} % | {} | {} | {pull} | {} | {share:.3} ± {error:.3} | {moved} | {reached:.0} ± {reached_error:.0} | {believed} |",
                    problem.name,
                    problem.liars * 100.0,
                    script(problem),
                    problem.from,
                    defences.name()
                );
            }
        }
    }
    for ((name, defences), found) in &honest {
        let Some(off) = honest.get(&(*name, Defences::Off)) else { continue };
        let (speed, error) = ratio(&column(off, |o| o.reached), &column(found, |o| o.reached));
        if json {
            println!(
                "{{\"problem\":\"{name}\",\"defences\":\"{}\",\"speed\":{speed:.4},\"speed_error\":{error:.4},\"seeds\":{}}}",
                defences.name(),
                found.len()
            );
        } else {
            println!(
                "\nhonest speed, {name}, {}: {speed:.3} ± {error:.3} ({} seeds)",
                defences.name(),
                found.len()
            );
        }
    }
    for (defences, (met, missed)) in cells.iter().filter(|_| !json) {
        let all = met + missed.len();
        let rest = if missed.is_empty() { String::new() } else { format!("; not: {}", missed.join("; ")) };
        println!("\n10 % move it by less than 5 points, {}: {met} of {all} cells{rest}", defences.name());
    }
}
