//! The probability of each arm to be the best, from Gaussian posteriors: what Thompson sampling would draw, without drawing.

use upswing_stats::normal::{cdf, cdf_and_density};

/// How far from its mean a posterior is followed, in standard deviations: 2e-8 of it lies outside.
const REACH: f64 = 5.5;
/// Width of an integration panel in standard deviations of the narrowest posterior that varies in it.
const PANEL: f64 = 1.0;
/// Gauss-Legendre nodes and weights on [-1, 1]; with three nodes the result is good to about 1e-5.
const NODES: [(f64, f64); 3] =
    [(-0.774_596_669_241_483_4, 5.0 / 9.0), (0.0, 8.0 / 9.0), (0.774_596_669_241_483_4, 5.0 / 9.0)];

/// The probability of each of independent normal variables, given as (mean, standard deviation), to be the largest.
///
/// Sums to 1, never NaN; equal arms get equal shares. Two arms by the closed form; more by quadrature of
/// `sum over panels of density_a * product of the others' cdf`, with panels as narrow as the narrowest posterior that varies
/// there, accurate to 1e-4. O(arms * panels), 10 to 20 panels for similar arms and at most 14 an arm.
/// A standard deviation of 0 is taken as one that is tiny against the others or against the differences.
///
/// ```
/// let p = upswing_learn::best_arm_probabilities(&[(0.5, 0.1), (0.5, 0.1), (0.0, 0.01)]);
/// assert!((p[0] - 0.5).abs() < 1e-4 && p[2] < 1e-6);
/// ```
pub fn best_arm_probabilities(arms: &[(f64, f64)]) -> Vec<f64> {
    match arms {
        [] => Vec::new(),
        [_] => vec![1.0],
        [a, b] => {
            let spread = (a.1 * a.1 + b.1 * b.1).sqrt();
            let difference = a.0 - b.0;
            let p = if spread > 0.0 {
                cdf(difference / spread)
            } else if difference == 0.0 {
                0.5
            } else {
                f64::from(u8::from(difference > 0.0))
            };
            vec![p, 1.0 - p]
        }
        _ => quadrature(arms),
    }
}

fn quadrature(arms: &[(f64, f64)]) -> Vec<f64> {
    let extent = |f: fn(f64, f64) -> f64, from: f64, side: f64| {
        arms.iter().fold(from, |e, &(m, s)| f(e, m + side * s))
    };
    let range = extent(f64::max, f64::NEG_INFINITY, REACH) - extent(f64::min, f64::INFINITY, -REACH);
    let narrowest = (range * 1e-6).max(1e-12);
    let arms: Vec<(f64, f64)> = arms.iter().map(|&(m, s)| (m, s.max(narrowest))).collect();
    // Below `low` some arm is surely larger; above `high` there is none.
    let low = arms.iter().fold(f64::NEG_INFINITY, |e, &(m, s)| e.max(m - REACH * s));
    let high = arms.iter().fold(f64::NEG_INFINITY, |e, &(m, s)| e.max(m + REACH * s));
    // Arms that end below `low` have no chance.
    let alive: Vec<(usize, f64, f64)> = arms
        .iter()
        .enumerate()
        .filter(|(_, (m, s))| m + REACH * s > low)
        .map(|(i, &(m, s))| (i, m, 1.0 / s))
        .collect();
    let mut result = vec![0.0; arms.len()];
    let mut values = vec![(0.0, 0.0); alive.len()];
    let mut from = low;
    while from < high {
        let mut to = high;
        for &(_, m, precision) in &alive {
            let s = 1.0 / precision;
            if from < m + REACH * s {
                to = to.min(if from >= m - REACH * s { from + PANEL * s } else { m - REACH * s });
            }
        }
        // Rounding must not stop the march.
        let to = to.max(from + narrowest);
        let (middle, half) = (0.5 * (from + to), 0.5 * (to - from));
        for (node, weight) in NODES {
            let point = middle + half * node;
            let mut before = 1.0;
            for (value, &(_, m, precision)) in values.iter_mut().zip(&alive) {
                let (cdf, density) = cdf_and_density((point - m) * precision);
                // The product of the cdfs before, times the density: the cdfs after follow on the way back.
                *value = (cdf, before * density * precision * weight * half);
                before *= cdf;
            }
            let mut after = 1.0;
            for (&(cdf, part), &(index, ..)) in values.iter().zip(&alive).rev() {
                result[index] += part * after;
                after *= cdf;
            }
        }
        from = to;
    }
    normalise(&mut result);
    result
}

/// Makes shares sum to 1. Shares that are no numbers, or all zero, become equal.
pub(crate) fn normalise(shares: &mut [f64]) {
    let sum: f64 = shares.iter().sum();
    if sum.is_finite() && sum > 0.0 && shares.iter().all(|s| *s >= 0.0) {
        shares.iter_mut().for_each(|s| *s /= sum);
    } else {
        let equal = 1.0 / shares.len() as f64;
        shares.fill(equal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fine Riemann sum as an independent computation.
    fn slow(arms: &[(f64, f64)]) -> Vec<f64> {
        let mut result = vec![0.0; arms.len()];
        for (i, &(m, s)) in arms.iter().enumerate() {
            let n = 200_000;
            for k in 0..n {
                let z = -8.0 + 16.0 * (f64::from(k) + 0.5) / f64::from(n);
                let weight = upswing_stats::normal::density(z) * 16.0 / f64::from(n);
                let others = arms.iter().enumerate().filter(|(j, _)| *j != i);
                result[i] +=
                    weight * others.map(|(_, &(m2, s2))| cdf((m + s * z - m2) / s2)).product::<f64>();
            }
        }
        result
    }

    #[test]
    fn quadrature_agrees_with_a_fine_sum() {
        let cases: [&[(f64, f64)]; 6] = [
            &[(0.5, 0.1), (0.5, 0.1), (0.5, 0.1)],
            &[(0.5, 0.001), (0.5, 0.3), (0.49, 0.05)],
            &[(0.51, 0.0003), (0.5, 0.0002), (0.1, 0.5), (0.7, 0.1)],
            &[(0.0, 1.0), (5.0, 0.01), (3.0, 1.0), (4.9, 0.02), (-100.0, 50.0)],
            &[(0.5, 0.5), (0.5, 0.5), (0.9, 0.01), (0.9, 0.011)],
            &[(1e-7, 1e-9), (1.01e-7, 1e-9), (0.0, 1e-7)],
        ];
        for case in cases {
            let (fast, slow) = (best_arm_probabilities(case), slow(case));
            for (a, b) in fast.iter().zip(&slow) {
                assert!((a - b).abs() < 1e-4, "{case:?}\n{fast:?}\n{slow:?}");
            }
        }
    }

    #[test]
    fn extremes_stay_probabilities() {
        let mut many = vec![(0.5, 0.5); 50];
        let p = best_arm_probabilities(&many);
        assert!(p.iter().all(|p| (p - 0.02).abs() < 1e-9));
        many[7] = (2.0, 0.0);
        many[8] = (2.0, 0.0);
        many[9] = (-1e9, 0.0);
        for arms in
            [&many[..], &[(0.0, 0.0); 3], &[(1.0, 0.0), (0.0, 0.0), (0.0, 1e-300)], &[(1e300, 1e300); 4]]
        {
            let p = best_arm_probabilities(arms);
            assert!(p.iter().all(|p| (0.0..=1.0).contains(p)), "{p:?}");
            assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        }
        assert_eq!(best_arm_probabilities(&[(1.0, 0.0), (0.0, 0.0)]), [1.0, 0.0]);
        assert_eq!(best_arm_probabilities(&[(0.0, 0.0), (0.0, 0.0)]), [0.5, 0.5]);
        assert!(best_arm_probabilities(&[]).is_empty());
    }
}
