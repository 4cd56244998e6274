//! How a canary is judged: false rollbacks of a healthy version, and how fast bad ones are caught.
//!
//!     cargo run --release -p upswing-stats --example canary -- 1000
//!
//! The stable version fails 0.5 % of requests. Requests arrive as a Poisson process; the new version's share starts at 5 %
//! and rises by 5 points a minute to 50 %, which is reached after nine minutes and kept to the end. One guardrail, the
//! failure; the goal is success. Harm is acted on at once; the median is of the minute it was found in, counted from 1.
//!
//! Figures of `../shared/reference/experiments.json`, key `simulations`, stand beside, marked where they differ by more
//! than three standard errors. The canary's wide tilts are needed to meet them: with moderate ones 60 requests a minute and
//! 3 % failing give 27 % in ten minutes, not 36.6 %.
//!
//! A version that fails 3 % serves 0.975 times as many good answers as the stable one: by the relative margin of 0.95 it
//! *is* not inferior, and only the guardrail stands against it. For a goal near 1 use an absolute margin, as in the last
//! column.
#![expect(clippy::print_stdout, reason = "its output is a table")]

use upswing_stats::sequential::{
    Alpha, Arm, Canary, Grid, InputError, Margin, NonInferiorityTest, Unit, Verdict,
};

const STABLE: f64 = 0.005;
/// So many runs were behind the reference's figures: its percentages are multiples of 1/500 for the e-process.
const REFERENCE_RUNS: f64 = 500.0;

/// What was simulated, and what the reference says: the share of rollbacks in percent, the median minute, bad responses
/// served.
struct Case {
    per_minute: f64,
    failing: f64,
    minutes: u32,
    alpha: f64,
    reference: Option<(f64, Option<f64>, f64)>,
}

/// What happened in one run.
struct Run {
    rolled_back: Option<u32>,
    /// Whether non-inferiority was shown at the end: with the relative margin, and with an absolute one of a point.
    not_inferior: [bool; 2],
    served_bad: u64,
}

fn main() -> Result<(), InputError> {
    let runs = std::env::args().nth(1).and_then(|runs| runs.parse().ok()).unwrap_or(200_usize).max(10);
    println!("{runs} runs a line. Not inferior: shown and not rolled back, by 0.95 times / by 1 point less.");
    println!(
        "{:>5} {:>5} {:>4} {:>5} | {:>9} {:>9} | {:>6} {:>6} | {:>6} {:>6} | {:>9} {:>8}",
        "/min",
        "fails",
        "min",
        "alpha",
        "rollback",
        "reference",
        "median",
        "ref.",
        "bad",
        "ref.",
        "n.i. 0.95",
        "n.i. 1pt"
    );
    let case = |per_minute, failing, minutes, alpha, reference| Case {
        per_minute,
        failing,
        minutes,
        alpha,
        reference,
    };
    let mut random = Random(20_261_121);
    for case in [
        case(60.0, 0.005, 10, 0.05, Some((0.4, Some(4.5), 0.819))),
        case(60.0, 0.03, 10, 0.05, Some((36.6, Some(7.0), 3.912))),
        case(60.0, 0.08, 10, 0.05, Some((97.1, Some(5.0), 3.934))),
        case(60.0, 0.005, 10, 0.01, Some((0.0, None, 0.814))),
        case(60.0, 0.03, 10, 0.01, Some((15.2, Some(8.0), 4.469))),
        case(60.0, 0.08, 10, 0.01, Some((91.2, Some(6.0), 5.863))),
        case(600.0, 0.005, 10, 0.05, Some((2.0, Some(2.5), 8.07))),
        case(600.0, 0.03, 10, 0.05, Some((100.0, Some(3.0), 5.695))),
        case(600.0, 0.08, 10, 0.05, Some((100.0, Some(1.0), 2.85))),
        case(600.0, 0.005, 10, 0.01, Some((1.0, Some(5.5), 8.325))),
        case(600.0, 0.03, 10, 0.01, Some((100.0, Some(4.0), 8.505))),
        case(600.0, 0.08, 10, 0.01, Some((100.0, Some(2.0), 4.24))),
        case(60.0, 0.03, 30, 0.05, Some((93.0, None, f64::NAN))),
        case(60.0, 0.005, 39, 0.05, None),
        case(60.0, 0.03, 39, 0.05, None),
        case(60.0, 0.08, 39, 0.05, None),
        case(600.0, 0.005, 39, 0.05, None),
    ] {
        print(&case, &simulate(&case, runs, &mut random)?);
    }
    Ok(())
}

fn simulate(case: &Case, runs: usize, random: &mut Random) -> Result<Vec<Run>, InputError> {
    (0..runs).map(|_| run(case, random)).collect()
}

fn run(case: &Case, random: &mut Random) -> Result<Run, InputError> {
    let alpha = Alpha::new(case.alpha)?;
    let mut canary = Canary::new(vec![Grid::binary()], Some(Margin::relative(0.95)?), alpha)?;
    let mut absolute = NonInferiorityTest::new(Margin::absolute(0.01)?, alpha);
    let (mut now, mut served_bad) = (0.0, 0);
    loop {
        now += random.exponential() / case.per_minute;
        if now >= f64::from(case.minutes) {
            break;
        }
        let minute = now as u32;
        let share = f64::from(5 * (minute + 1).min(10)) / 100.0;
        let arm = if random.uniform() < share { Arm::Treatment } else { Arm::Control };
        let rate = if arm == Arm::Treatment { case.failing } else { STABLE };
        let failed = f64::from(u8::from(random.uniform() < rate));
        served_bad += u64::from(arm == Arm::Treatment && failed > 0.0);
        let guardrails = &[Some(failed)];
        let unit = Unit { arm, probability_of_treatment: share, guardrails, goal: Some(1.0 - failed) };
        canary.observe(unit)?;
        absolute.observe(arm, 1.0 - failed, share)?;
        if matches!(canary.verdict(), Verdict::Harm { .. }) {
            return Ok(Run { rolled_back: Some(minute + 1), not_inferior: [false; 2], served_bad });
        }
    }
    let not_inferior = [canary.verdict() == Verdict::NotInferior, absolute.rejected_at().is_some()];
    Ok(Run { rolled_back: None, not_inferior, served_bad })
}

fn print(case: &Case, runs: &[Run]) {
    let n = runs.len() as f64;
    let share = |holds: &dyn Fn(&Run) -> bool| runs.iter().filter(|run| holds(run)).count() as f64 / n;
    let rollback = share(&|run| run.rolled_back.is_some());
    let mut minutes: Vec<f64> = runs.iter().filter_map(|run| run.rolled_back).map(f64::from).collect();
    minutes.sort_by(f64::total_cmp);
    let bad = runs.iter().map(|run| run.served_bad as f64).sum::<f64>() / n;
    let differs = case.reference.is_some_and(|(reference, ..)| {
        // Of the pooled share, with half a run at either end so that it is never without error.
        let pooled = (rollback * n + reference / 100.0 * REFERENCE_RUNS + 0.5) / (n + REFERENCE_RUNS + 1.0);
        let error = (pooled * (1.0 - pooled) * (1.0 / n + 1.0 / REFERENCE_RUNS)).sqrt();
        (rollback - reference / 100.0).abs() > 3.0 * error
    });
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1}"));
    println!(
        "{:>5} {:>5} {:>4} {:>5} | {:>7.1} % {:>9} | {:>6} {:>6} | {:>6.1} {:>6} | {:>7.1} % {:>6.1} %{}",
        case.per_minute,
        format!("{}%", case.failing * 100.0),
        case.minutes,
        case.alpha,
        rollback * 100.0,
        number(case.reference.map(|r| r.0)),
        number(median(&minutes)),
        number(case.reference.and_then(|r| r.1)),
        bad,
        number(case.reference.map(|r| r.2).filter(|bad| bad.is_finite())),
        share(&|run| run.not_inferior[0]) * 100.0,
        share(&|run| run.not_inferior[1]) * 100.0,
        if differs { "  differs" } else { "" },
    );
}

/// Of sorted values.
fn median(values: &[f64]) -> Option<f64> {
    let middle = values.len().checked_sub(1)? / 2;
    Some((values.get(middle)? + values.get(values.len() / 2)?) / 2.0)
}

/// SplitMix64: seeded, and good enough to draw from.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In [0, 1).
    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The time to the next arrival at rate 1.
    fn exponential(&mut self) -> f64 {
        -(-self.uniform()).ln_1p()
    }
}
