//! Many tests at once: what remains of their p-values or e-values.
//!
//! | what is to be kept | of p-values | of e-values |
//! | --- | --- | --- |
//! | no false discovery at all | [`holm`], or the simpler [`bonferroni`] | [`average`] for one common question |
//! | a small share of false ones among discoveries | [`benjamini_hochberg`] | [`e_benjamini_hochberg`] |

use super::{Level, ParameterError};

/// P-values times their number: reject those at or below the level. Any dependence between tests. O(n).
///
/// # Errors
/// P-values outside of [0, 1].
pub fn bonferroni(p_values: &[f64]) -> Result<Vec<f64>, ParameterError> {
    check_p(p_values)?;
    Ok(p_values.iter().map(|p| (p * p_values.len() as f64).min(1.0)).collect())
}

/// The step-down version, which rejects whatever Bonferroni does and often more. Any dependence. O(n log n).
///
/// Source: S. Holm, Scandinavian Journal of Statistics 6 (1979), <https://www.jstor.org/stable/4615733>.
///
/// # Errors
/// P-values outside of [0, 1].
pub fn holm(p_values: &[f64]) -> Result<Vec<f64>, ParameterError> {
    check_p(p_values)?;
    let n = p_values.len();
    let mut ordered: Vec<(usize, f64)> = p_values.iter().copied().enumerate().collect();
    ordered.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut largest = 0.0_f64;
    for (rank, (_, p)) in ordered.iter_mut().enumerate() {
        largest = largest.max((*p * (n - rank) as f64).min(1.0));
        *p = largest;
    }
    Ok(in_place(ordered))
}

/// Adjusted p-values for the false discovery rate: reject those at or below the level. Tests independent or positively
/// dependent. O(n log n).
///
/// Source: Y. Benjamini, Y. Hochberg, JRSS B 57 (1995), DOI 10.1111/j.2517-6161.1995.tb02031.x.
///
/// # Errors
/// P-values outside of [0, 1].
pub fn benjamini_hochberg(p_values: &[f64]) -> Result<Vec<f64>, ParameterError> {
    check_p(p_values)?;
    let n = p_values.len();
    let mut ordered: Vec<(usize, f64)> = p_values.iter().copied().enumerate().collect();
    ordered.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut smallest = 1.0_f64;
    for (rank, (_, p)) in ordered.iter_mut().enumerate().rev() {
        smallest = smallest.min(*p * n as f64 / (rank + 1) as f64);
        *p = smallest;
    }
    Ok(in_place(ordered))
}

/// Which of many e-values are discoveries, at this false discovery rate, whatever their dependence: the k largest, for the
/// largest k with the k-th at or above `n / (k level)`. O(n log n).
///
/// Source: R. Wang, A. Ramdas, "False discovery rate control with e-values", JRSS B 84 (2022), arXiv 2009.02824.
///
/// # Errors
/// E-values below zero or NaN. Infinity is one: it rejects surely.
pub fn e_benjamini_hochberg(e_values: &[f64], level: Level) -> Result<Vec<bool>, ParameterError> {
    check_e(e_values)?;
    let mut ordered = e_values.to_vec();
    ordered.sort_by(|a, b| b.total_cmp(a));
    let n = e_values.len() as f64;
    let passes = |(rank, e): (usize, f64)| e * ((rank + 1) as f64 * level.alpha()) >= n;
    let threshold = ordered.iter().copied().enumerate().rev().find(|&at| passes(at)).map(|(_, e)| e);
    Ok(e_values.iter().map(|&e| threshold.is_some_and(|t| e >= t)).collect())
}

/// The mean of e-values, an e-value against all of their hypotheses together whatever their dependence: rejects "none of the
/// guardrails is harmed" at `1 / level`. O(n).
///
/// Source: V. Vovk, R. Wang, "E-values: calibration, combination and applications", Annals of Statistics 49 (2021), arXiv
/// 1912.06116.
///
/// # Errors
/// No e-values, or some below zero or NaN.
pub fn average(e_values: &[f64]) -> Result<f64, ParameterError> {
    check_e(e_values)?;
    if e_values.is_empty() {
        return Err(ParameterError::Empty("e-values"));
    }
    Ok(e_values.iter().map(|e| e / e_values.len() as f64).sum())
}

fn check_p(p_values: &[f64]) -> Result<(), ParameterError> {
    match p_values.iter().find(|p| !(0.0..=1.0).contains(*p)) {
        None => Ok(()),
        Some(&value) => Err(ParameterError::Range { name: "a p-value", value, range: "within [0, 1]" }),
    }
}

fn check_e(e_values: &[f64]) -> Result<(), ParameterError> {
    match e_values.iter().find(|e| e.is_nan() || **e < 0.0) {
        None => Ok(()),
        Some(&value) => Err(ParameterError::Range { name: "an e-value", value, range: "zero or more" }),
    }
}

/// Values back in the order in which they were given.
fn in_place(mut ordered: Vec<(usize, f64)>) -> Vec<f64> {
    ordered.sort_by_key(|(place, _)| *place);
    ordered.into_iter().map(|(_, p)| p).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?} {expected:?}");
    }

    #[test]
    fn p_values_meet_golden_values() {
        // Worked by hand.
        let p = [0.01, 0.04, 0.03, 0.005, 0.6];
        near(&bonferroni(&p).unwrap(), &[0.05, 0.2, 0.15, 0.025, 1.0]);
        near(&holm(&p).unwrap(), &[0.04, 0.09, 0.09, 0.025, 0.6]);
        near(&benjamini_hochberg(&p).unwrap(), &[0.025, 0.05, 0.05, 0.025, 0.6]);
        assert_eq!(holm(&[]), Ok(vec![]));
        assert!(holm(&[f64::NAN]).is_err() && bonferroni(&[1.1]).is_err());
    }

    #[test]
    fn e_values_are_counted_from_the_largest() {
        let level = Level::new(0.1).unwrap();
        // n / (k alpha) is 40, 20, 13.3, 10: two pass, the second of them only together with the first.
        assert_eq!(e_benjamini_hochberg(&[1.0, 25.0, 45.0, 9.0], level), Ok(vec![false, true, true, false]));
        // None passes alone, but all four reach 10.
        assert_eq!(e_benjamini_hochberg(&[10.0, 10.0, 11.0, 12.0], level), Ok(vec![true; 4]));
        assert_eq!(e_benjamini_hochberg(&[f64::INFINITY, 0.0], level), Ok(vec![true, false]));
        assert!(e_benjamini_hochberg(&[-1.0], level).is_err());
        assert!((average(&[1.0, 3.0]).unwrap() - 2.0).abs() < 1e-15);
        assert!(average(&[]).is_err());
    }
}
