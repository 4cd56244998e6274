//! Exact sums of outcomes.

use serde::{Deserialize, Serialize};
use upswing_stats::compare::Sample;

/// Count, sums, sums of squares and of products of pairs of numbers, exact in millionths: they do not depend on the order, and
/// what was added can be taken away again.
///
/// x is the outcome (or a ratio's numerator), y the covariate (or the denominator); 0 where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sums {
    /// How many units.
    pub n: i64,
    x: i128,
    xx: i128,
    y: i128,
    yy: i128,
    xy: i128,
}

const SCALE: f64 = 1e6;

/// A number in millionths, at most 10^12 in magnitude, so that the squares of 10^14 units fit.
pub(super) fn millionths(value: f64) -> i64 {
    (value.clamp(-1e12, 1e12) * SCALE).round() as i64
}

pub(super) fn from_millionths(value: i64) -> f64 {
    value as f64 / SCALE
}

impl Sums {
    /// Sums that were made elsewhere: how many units, the sums of x and y, of their squares, and of their products. What is
    /// smaller than a millionth of a value is lost. `None` where a number is not finite or too large for 128 bits.
    pub fn of(n: u64, x: [f64; 2], y: [f64; 2], products: f64) -> Option<Self> {
        let whole = |value: f64, scale: f64| {
            let scaled = value * scale;
            // 2^126, below which everything fits.
            (scaled.abs() < 8.5e37).then(|| scaled.round() as i128)
        };
        Some(Self {
            n: i64::try_from(n).ok()?,
            x: whole(x[0], SCALE)?,
            xx: whole(x[1], SCALE * SCALE)?,
            y: whole(y[0], SCALE)?,
            yy: whole(y[1], SCALE * SCALE)?,
            xy: whole(products, SCALE * SCALE)?,
        })
    }

    /// Adds one unit.
    pub fn add(&mut self, x: f64, y: f64) {
        let (x, y) = (i128::from(millionths(x)), i128::from(millionths(y)));
        self.n += 1;
        self.x += x;
        self.y += y;
        // Beyond what 128 bits hold lie more units than there are.
        self.xx = self.xx.saturating_add(x * x);
        self.yy = self.yy.saturating_add(y * y);
        self.xy = self.xy.saturating_add(x * y);
    }

    /// Adds what another has.
    pub fn merge(&mut self, other: &Self) {
        self.n += other.n;
        self.x += other.x;
        self.y += other.y;
        self.xx = self.xx.saturating_add(other.xx);
        self.yy = self.yy.saturating_add(other.yy);
        self.xy = self.xy.saturating_add(other.xy);
    }

    /// The sum of x.
    pub fn sum(&self) -> f64 {
        self.x as f64 / SCALE
    }

    /// The sum of the squares of x.
    pub fn squares(&self) -> f64 {
        self.xx as f64 / (SCALE * SCALE)
    }

    /// The sum of y.
    pub fn other_sum(&self) -> f64 {
        self.y as f64 / SCALE
    }

    /// The sum of the squares of y.
    pub fn other_squares(&self) -> f64 {
        self.yy as f64 / (SCALE * SCALE)
    }

    /// The sum of the products.
    pub fn products(&self) -> f64 {
        self.xy as f64 / (SCALE * SCALE)
    }

    /// x as a sample; `None` without units.
    pub fn sample(&self) -> Option<Sample> {
        self.exact(self.x, self.xx)
    }

    /// y as a sample; `None` without units.
    pub fn other_sample(&self) -> Option<Sample> {
        self.exact(self.y, self.yy)
    }

    fn exact(&self, sum: i128, squares: i128) -> Option<Sample> {
        let units = u64::try_from(self.n).ok()?;
        // Where exact arithmetic would need more than 128 bits, the last digits matter least.
        let rounded = || Sample::mean(units, sum as f64 / SCALE, squares as f64 / (SCALE * SCALE));
        Sample::exact(units, sum, squares, 1.0 / SCALE).or_else(|_| rounded()).ok()
    }

    /// The mean of x.
    pub fn mean(&self) -> Option<f64> {
        (self.n > 0).then(|| self.sum() / self.n as f64)
    }
}
