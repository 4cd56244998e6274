//! Posterior of a linear Gaussian model with a diagonal prior.

/// A symmetric matrix, row by row in full.
#[derive(Debug, Clone, Default)]
pub(crate) struct Matrix {
    pub(crate) size: usize,
    pub(crate) values: Vec<f64>,
}

impl Matrix {
    pub(crate) fn zero(size: usize) -> Self {
        Self { size, values: vec![0.0; size * size] }
    }

    pub(crate) fn row(&self, i: usize) -> &[f64] {
        &self.values[i * self.size..(i + 1) * self.size]
    }

    pub(crate) fn at(&self, i: usize, j: usize) -> f64 {
        self.values[i * self.size + j]
    }

    pub(crate) fn set(&mut self, i: usize, j: usize, value: f64) {
        self.values[i * self.size + j] = value;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (a, b) in self.values.iter_mut().zip(&other.values) {
            *a += b;
        }
    }

    /// The rows and columns of these indices.
    pub(crate) fn part(&self, indices: &[usize]) -> Self {
        let values = indices.iter().flat_map(|&i| indices.iter().map(move |&j| self.at(i, j))).collect();
        Self { size: indices.len(), values }
    }

    pub(crate) fn times(&self, x: &[f64]) -> Vec<f64> {
        (0..self.size).map(|i| dot(self.row(i), x)).collect()
    }
}

/// Four partial sums, so that the processor need not wait for each addition; the order is fixed, hence so is the result.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    let (mut left, mut right) = (a.chunks_exact(4), b.chunks_exact(4));
    for (x, y) in (&mut left).zip(&mut right) {
        for k in 0..4 {
            sums[k] += x[k] * y[k];
        }
    }
    let rest: f64 = left.remainder().iter().zip(right.remainder()).map(|(x, y)| x * y).sum();
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}

/// Weights' posterior: mean and covariance.
#[derive(Debug, Clone, Default)]
pub(crate) struct Posterior {
    pub(crate) mean: Vec<f64>,
    pub(crate) covariance: Matrix,
}

/// The posterior of weights `w` with prior `N(prior_mean, diag(prior_variance))`, given `gram = sum x x'`,
/// `moment = sum r x` and the variance of the noise. O(d^3): one Cholesky factorisation and one inversion.
///
/// Prior variances and the noise must be positive; then the precision is positive definite whatever the counts.
/// Source: Agrawal, Goyal, "Thompson Sampling for Contextual Bandits with Linear Payoffs", arXiv 1209.3352, with a prior
/// mean and a diagonal prior in place of the identity.
pub(crate) fn posterior(
    gram: &Matrix,
    moment: &[f64],
    noise: f64,
    prior_mean: &[f64],
    prior_variance: &[f64],
) -> Posterior {
    let d = gram.size;
    // Scaled by prior standard deviations the precision is I + SAS/noise, whose smallest eigenvalue is 1: well conditioned.
    let scale: Vec<f64> = prior_variance.iter().map(|v| v.sqrt()).collect();
    let mut precision = Matrix::zero(d);
    for i in 0..d {
        for j in 0..=i {
            let identity = if i == j { 1.0 } else { 0.0 };
            precision.set(i, j, identity + gram.at(i, j) * (scale[i] * scale[j] / noise));
        }
    }
    let mut covariance = inverse(precision);
    for i in 0..d {
        for j in 0..d {
            covariance.values[i * d + j] *= scale[i] * scale[j];
        }
    }
    let fitted = gram.times(prior_mean);
    let residual: Vec<f64> = moment.iter().zip(&fitted).map(|(m, f)| (m - f) / noise).collect();
    let change = covariance.times(&residual);
    let mean = prior_mean.iter().zip(&change).map(|(m, c)| m + c).collect();
    Posterior { mean, covariance }
}

/// The inverse of a positive definite matrix of which the lower triangle is given.
pub(crate) fn inverse(mut lower: Matrix) -> Matrix {
    let d = lower.size;
    // Cholesky, row by row: L of A = L L'.
    for i in 0..d {
        let (done, rest) = lower.values.split_at_mut(i * d);
        let row = &mut rest[..d];
        for j in 0..i {
            let other = &done[j * d..j * d + d];
            row[j] = (row[j] - dot(&row[..j], &other[..j])) / other[j];
        }
        // At least 1 but for rounding, as the precision is the identity plus something positive.
        row[i] = (row[i] - dot(&row[..i], &row[..i])).max(1e-12).sqrt();
    }
    // Rows of M = L^-1 transposed: M[j][i] = (L^-1)[i][j] for i >= j.
    let mut inverse = Matrix::zero(d);
    for j in 0..d {
        let row = &mut inverse.values[j * d..(j + 1) * d];
        row[j] = 1.0 / lower.values[j * d + j];
        for i in j + 1..d {
            let l = &lower.values[i * d..i * d + d];
            row[i] = -dot(&l[j..i], &row[j..i]) / l[i];
        }
    }
    // A^-1 = M M', of which entry (i, j) with i >= j needs columns from i on.
    let mut result = Matrix::zero(d);
    for i in 0..d {
        for j in 0..=i {
            let value = dot(&inverse.row(i)[i..], &inverse.row(j)[i..]);
            result.set(i, j, value);
            result.set(j, i, value);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inverse_times_the_matrix_is_the_identity() {
        let d = 23;
        let mut matrix = Matrix::zero(d);
        for i in 0..d {
            for j in 0..d {
                let wave = (0..d).map(|k| ((i * k) as f64).sin() * ((j * k) as f64).sin()).sum::<f64>();
                matrix.set(i, j, wave + if i == j { 1.0 } else { 0.0 });
            }
        }
        let inverse = inverse(matrix.clone());
        for i in 0..d {
            for j in 0..d {
                let value = dot(matrix.row(i), inverse.row(j));
                assert!((value - if i == j { 1.0 } else { 0.0 }).abs() < 1e-9, "{i} {j} {value}");
            }
        }
    }

    #[test]
    fn one_weight_is_the_textbook_posterior() {
        let gram = Matrix { size: 1, values: vec![10.0] };
        let fit = posterior(&gram, &[7.0], 0.25, &[0.5], &[0.1]);
        let precision = 10.0 / 0.25 + 1.0 / 0.1;
        assert!((fit.covariance.at(0, 0) - 1.0 / precision).abs() < 1e-12);
        assert!((fit.mean[0] - (7.0 / 0.25 + 0.5 / 0.1) / precision).abs() < 1e-12);
    }
}
