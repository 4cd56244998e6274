//! Always the same version.
//!
//! When to use: while nothing shall be explored. The caller puts the champion first among the eligible versions.

/// Probability 1 for the first eligible version.
pub(super) fn probabilities(eligible: usize) -> Vec<f64> {
    (0..eligible).map(|index| f64::from(u8::from(index == 0))).collect()
}
