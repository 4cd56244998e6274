//! How much each group of features matters, and how much is noise: variance components by moments.
//!
//! For a feature `i` the centred sum of residuals `e_i` has a square whose expectation is linear in the noise variance and
//! in the variances of all groups' weights: `E e_i^2 / A_ii = noise + sum_h tau_h sum_{j in h} A_ij^2 / A_ii`, with `A` the
//! centred Gram matrix. One such equation a group and one for the total make a small system, solved under `tau >= 0` with
//! each group's prior guess as one more equation, all weighted by their precision. A group whose effect the data cannot
//! tell yet keeps its guess; one that has been seen not to matter goes to zero, and with it the exploration it would cost.
//!
//! Sources: moments of this kind are MINQUE(0), C. R. Rao 1971, DOI 10.1016/0047-259X(71)90001-7; with one group and no
//! covariates it is DerSimonian and Laird 1986, DOI 10.1016/0197-2456(86)90046-2.

use crate::gaussian::Matrix;

/// One sample of residuals: an arm's, or everything's.
pub(crate) struct Sample<'a> {
    /// `sum x x'`; the first feature is the bias.
    pub(crate) gram: &'a Matrix,
    /// `sum x e` of the residuals.
    pub(crate) moment: Vec<f64>,
    /// `sum e^2`.
    pub(crate) squares: f64,
    /// Of each feature the share that residuals keep after the reference was fitted to this very sample (among others):
    /// 1 minus the sample's share of the feature's occurrences. 1 for a reference that does not depend on the sample.
    pub(crate) kept: Vec<f64>,
}

/// What was found.
#[derive(Debug, Clone)]
pub(crate) struct Components {
    /// Variance of the noise.
    pub(crate) noise: f64,
    /// Variance of the weights of each group.
    pub(crate) groups: Vec<f64>,
}

struct Equation {
    group: usize,
    kept: f64,
    coefficients: Vec<f64>,
}

/// Rounds of reweighting; each needs a solution of the small system. The changes after the third are below what matters.
const ROUNDS: usize = 4;
/// Sweeps of coordinate descent in a round.
const SWEEPS: usize = 25;

/// Estimates the components. `group` gives each feature's group (the bias' is ignored), `guess` each group's prior variance,
/// known to about its own size; `noise_guess` is worth one observation; `absorbed` is how many degrees of freedom the
/// reference took. O(samples * d^2 + groups^2).
pub(crate) fn estimate(
    samples: &[Sample<'_>],
    group: &[usize],
    guess: &[f64],
    noise_guess: f64,
    absorbed: f64,
) -> Components {
    let groups = guess.len();
    let mut equations = Vec::new();
    let (mut observed, mut noise_parts) = (vec![0.0; groups], vec![0.0; groups]);
    let mut coefficients = Matrix::zero(groups);
    let (mut total, mut freedom, mut total_parts) = (0.0, 0.0, vec![0.0; groups]);
    for sample in samples {
        let n = sample.gram.at(0, 0);
        if n < 2.0 {
            continue;
        }
        let counts = sample.gram.row(0);
        total += (sample.squares - sample.moment[0] * sample.moment[0] / n).max(0.0);
        freedom += n - 1.0;
        for i in 1..counts.len() {
            let variance = counts[i] - counts[i] * counts[i] / n;
            if variance < 1e-6 || sample.kept[i] < 1e-6 {
                continue;
            }
            let g = group[i];
            let mut row = vec![0.0; groups];
            for j in 1..counts.len() {
                let a = sample.gram.at(i, j) - counts[i] * counts[j] / n;
                row[group[j]] += a * a / variance;
            }
            let e = sample.moment[i] - counts[i] * sample.moment[0] / n;
            observed[g] += e * e / variance;
            noise_parts[g] += sample.kept[i];
            for (h, c) in row.iter().enumerate() {
                coefficients.values[g * groups + h] += sample.kept[i] * c;
            }
            total_parts[g] += sample.kept[i] * variance;
            equations.push(Equation { group: g, kept: sample.kept[i], coefficients: row });
        }
    }
    let freedom = (freedom - absorbed).max(0.0);
    let mut tau = guess.to_vec();
    let mut noise = noise_guess;
    for _ in 0..ROUNDS {
        let explained: f64 = tau.iter().zip(&total_parts).map(|(t, p)| t * p).sum();
        // However much the groups seem to explain, some noise remains: this share of the total is the least.
        noise = (noise_guess + (total - explained).max(0.02 * total)) / (1.0 + freedom);
        // Twice the squared expectation is the variance of a scaled chi-square with one degree of freedom.
        let mut variances = vec![0.0; groups];
        for equation in &equations {
            let signal: f64 = equation.coefficients.iter().zip(&tau).map(|(c, t)| c * t).sum();
            variances[equation.group] += 2.0 * (equation.kept * (noise + signal)).powi(2);
        }
        for _ in 0..SWEEPS {
            for g in 0..groups {
                let mut curvature = 1.0 / (guess[g] * guess[g]);
                let mut pull = curvature * guess[g];
                for h in 0..groups {
                    let c = coefficients.at(h, g);
                    if variances[h] > 0.0 && c > 0.0 {
                        let others: f64 =
                            coefficients.row(h).iter().zip(&tau).map(|(c, t)| c * t).sum::<f64>()
                                - c * tau[g];
                        pull += c * (observed[h] - noise * noise_parts[h] - others) / variances[h];
                        curvature += c * c / variances[h];
                    }
                }
                tau[g] = (pull / curvature).max(guess[g] * 1e-4);
            }
        }
    }
    Components { noise, groups: tau }
}
