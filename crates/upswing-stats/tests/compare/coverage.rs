//! Simulated error rates. The seeds are fixed; the tolerance is what chance allows for so many runs.

use upswing_stats::compare::asymptotic::Plan;
use upswing_stats::compare::ratio_mismatch::Monitor;
use upswing_stats::compare::{Alternative, Scale, Summary, asymptotic, effect, fixed};

use super::{level, mean, rate};

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
            let off = difference.minus(rates[1] - rates[0]).unwrap();
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
