//! Policies: how beliefs about versions become probabilities of serving them.
//!
//! One file a policy, named by the field's term, all of one shape: a struct made from statistics, and `probabilities`.

mod epsilon_greedy;
mod fixed;
mod lin_ucb;
mod linear_model;
mod linear_thompson;
mod snapshot;
mod thompson;

pub use snapshot::{ArmSummary, PolicySnapshot};

/// Equal shares for the largest values.
fn shares_of_largest(values: &[f64]) -> Vec<f64> {
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut shares: Vec<f64> = values.iter().map(|&v| f64::from(u8::from(v >= largest))).collect();
    crate::best_arm::normalise(&mut shares);
    shares
}
