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

use crate::gaussian::{Matrix, dot, inverse};

/// One arm's residuals.
pub(crate) struct Sample<'a> {
    /// `sum x x'`; the first feature is the bias.
    pub(crate) gram: &'a Matrix,
    /// `sum x e` of the residuals.
    pub(crate) moment: Vec<f64>,
    /// `sum e^2`.
    pub(crate) squares: f64,
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
    coefficients: Vec<f64>,
}

/// Rounds of reweighting; each needs a solution of the small system. The changes after the third are below what matters.
const ROUNDS: usize = 4;
/// How many standard errors an effect must stand clear of zero.
const CLEARANCE: f64 = 1.0;
/// Sweeps of coordinate descent in a round.
const SWEEPS: usize = 25;

/// Estimates the components. `group` gives each feature's group (the bias' is ignored), `guess` each group's prior variance,
/// known to about its own size below and to `whole` above; `noise_guess` is worth one observation. O(samples * d^2 + groups^2).
pub(crate) fn estimate(
    samples: &[Sample<'_>],
    group: &[usize],
    guess: &[f64],
    whole: f64,
    noise_guess: f64,
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
            if variance < 1e-6 {
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
            noise_parts[g] += 1.0;
            for (h, c) in row.iter().enumerate() {
                coefficients.values[g * groups + h] += c;
            }
            total_parts[g] += variance;
            equations.push(Equation { group: g, coefficients: row });
        }
    }
    let mut tau = guess.to_vec();
    let mut noise = noise_guess;
    let mut normal = Matrix::zero(groups);
    for _ in 0..ROUNDS {
        let explained: f64 = tau.iter().zip(&total_parts).map(|(t, p)| t * p).sum();
        // However much the groups seem to explain, some noise remains: this share of the total is the least.
        noise = (noise_guess + (total - explained).max(0.02 * total)) / (1.0 + freedom);
        // Twice the squared expectation is the variance of a scaled chi-square with one degree of freedom.
        let mut variances = vec![0.0; groups];
        for equation in &equations {
            let signal: f64 = equation.coefficients.iter().zip(&tau).map(|(c, t)| c * t).sum();
            variances[equation.group] += 2.0 * (noise + signal).powi(2);
        }
        // Normal equations of the weighted least squares, without the guesses.
        normal = Matrix::zero(groups);
        let mut pull = vec![0.0; groups];
        for h in (0..groups).filter(|&h| variances[h] > 0.0) {
            let row = coefficients.row(h);
            let rest = observed[h] - noise * noise_parts[h];
            for (g, &c) in row.iter().enumerate().filter(|(_, c)| **c > 0.0) {
                let c = c / variances[h];
                pull[g] += c * rest;
                let target = &mut normal.values[g * groups..(g + 1) * groups];
                target.iter_mut().zip(row).for_each(|(n, r)| *n += c * r);
            }
        }
        for _ in 0..SWEEPS {
            for g in 0..groups {
                let others = dot(normal.row(g), &tau) - normal.at(g, g) * tau[g];
                let solve = |spread: f64| {
                    let prior = 1.0 / (spread * spread);
                    (pull[g] - others + prior * guess[g]) / (normal.at(g, g) + prior)
                };
                // Below its guess a variance is within about its own size; above, anything up to the whole is plausible.
                let upper = solve(whole);
                let value = if upper >= guess[g] { upper } else { solve(guess[g]) };
                tau[g] = value.max(guess[g] * 1e-4);
            }
        }
    }
    // Cut off at zero, an estimate around zero is too large on average, and such excess adds up over groups into exploring
    // for nothing. So as far as the data speak at all, only what stands clear of its standard error counts.
    let mut posterior = Matrix::zero(groups);
    for g in 0..groups {
        for h in 0..=g {
            let identity = if g == h { 1.0 } else { 0.0 };
            posterior.set(g, h, identity + normal.at(g, h) * guess[g] * guess[h]);
        }
    }
    let posterior = inverse(posterior);
    for g in 0..groups {
        let share = posterior.at(g, g).clamp(0.0, 1.0);
        let error = share.sqrt() * guess[g];
        tau[g] = (tau[g] - CLEARANCE * (1.0 - share) * error).max(guess[g] * 1e-4);
    }
    Components { noise, groups: tau }
}
