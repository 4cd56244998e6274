//! What observing, computing a snapshot and asking for probabilities cost.
//!
//! `cargo run --release -p upswing-learn --example timings`

use std::hint::black_box;
use std::time::Instant;

use upswing_domain::{Context, ContextValue, PolicyConfig, Reward, VersionId};
use upswing_learn::{LearnerState, Observation, best_arm_probabilities};

fn contexts(numbers: bool) -> Vec<Context> {
    let context = |i: u64| {
        let category =
            |key: &str, n: u64| (key.to_owned(), ContextValue::Category(format!("{key} {}", i / 7 % n)));
        let mut values =
            vec![category("task", 27), category("plan", 3), category("country", 12), category("language", 5)];
        if numbers {
            values.push(("chars".to_owned(), ContextValue::Number((i * i % 2011) as f64)));
            values.push(("words".to_owned(), ContextValue::Number((i * i % 311) as f64)));
        } else {
            values.push(("new".to_owned(), ContextValue::Flag(i.is_multiple_of(2))));
            values.push(category("device", 4));
        }
        Context::new(values.into_iter().collect())
    };
    (0..2000_u64).map(|i| i.wrapping_mul(2_654_435_761) >> 7).filter_map(|i| context(i).ok()).collect()
}

/// The best of several rounds, in microseconds for each repetition: other load only adds.
fn best(repetitions: u32, mut f: impl FnMut(usize)) -> f64 {
    let round = |f: &mut dyn FnMut(usize)| {
        let begin = Instant::now();
        (0..repetitions as usize).for_each(f);
        begin.elapsed().as_secs_f64() * 1e6 / f64::from(repetitions)
    };
    (0..15).map(|_| round(&mut f)).fold(f64::INFINITY, f64::min)
}

fn main() {
    for (name, numbers) in [("6 categories and flags", false), ("4 categories, 2 numbers", true)] {
        let contexts = contexts(numbers);
        for arms in [2_u8, 5, 10, 50] {
            let eligible: Vec<VersionId> = (0..arms).map(|i| VersionId([i; 32])).collect();
            let mut state = LearnerState::new(PolicyConfig::default());
            let mut step = 0_usize;
            let mut observe = |state: &mut LearnerState| {
                let (context, version) = (&contexts[step % contexts.len()], eligible[step % eligible.len()]);
                let good = (step * 31 + step / 7) % 100 < 50 + 3 * (step % eligible.len()) / 2;
                let new = Some(if good { Reward::ONE } else { Reward::ZERO });
                state.observe(&[Observation {
                    version,
                    context: Some(context),
                    propensity: 0.5,
                    old: None,
                    new,
                }]);
                step += 1;
            };
            (0..10_000).for_each(|_| observe(&mut state));
            let observing = best(1000, |_| observe(&mut state));
            let snapshotting = best(5, |_| drop(black_box(state.snapshot())));
            let snapshot = state.snapshot();
            let asking = best(2000, |i| {
                black_box(snapshot.probabilities(Some(&contexts[i % contexts.len()]), &eligible));
            });
            let fresh = LearnerState::new(PolicyConfig::default()).snapshot();
            let untried = best(500, |i| {
                black_box(fresh.probabilities(Some(&contexts[i % contexts.len()]), &eligible));
            });
            println!(
                "{name}, {arms:2} arms: observe {observing:.1} us, snapshot {snapshotting:.0} us, \
                 probabilities {asking:.2} us (untried {untried:.2} us), state {} bytes",
                state.to_bytes().len()
            );
        }
    }
    let spread: Vec<(f64, f64)> =
        (0..50).map(|i| (0.5 + 0.001 * f64::from(i), 0.01 * f64::from(i % 7 + 1))).collect();
    println!(
        "quadrature, 50 unlike arms: {:.1} us",
        best(50, |_| drop(black_box(best_arm_probabilities(&spread))))
    );
}
