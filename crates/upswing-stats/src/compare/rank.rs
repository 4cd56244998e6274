//! Mann-Whitney: whether one set of values lies above another, whatever their distribution.
//!
//! For a few dozen measurements an arm, such as a latency a minute while a canary runs, with outliers that a mean would follow.
//! It asks about a shift of the whole distribution, and of independent values; for a mean that is paid for, compare means.

use super::{Level, ParameterError};
use crate::{Interval, normal};

/// How far values lie from one another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankComparison {
    /// The Hodges-Lehmann estimate, the median of all differences treatment less control, and its interval, which the test
    /// inverted gives.
    pub shift: Interval,
    /// How often a value of the treatment lies above one of the control, ties counting half, as a share of all pairs.
    pub superiority: f64,
    /// The two-sided p-value of "no shift", by the normal approximation with corrections for ties and continuity.
    pub p_value: f64,
    /// The treatment's mean over the control's; `None` where the control's is zero.
    pub mean_ratio: Option<f64>,
}

/// Compares a treatment's values with a control's, with an interval of confidence `1 - level`.
///
/// The bounds are the differences at which the test's statistic crosses its critical values, so they are differences of
/// two given values; where it does not cross, the smallest and the largest difference. Good from about eight values an arm on.
/// O((n + m) log(n + m)) time, O(n + m) memory.
///
/// Sources: H. B. Mann, D. R. Whitney, Annals of Mathematical Statistics 18 (1947), DOI 10.1214/aoms/1177730491; D. F. Bauer,
/// "Constructing confidence sets using rank statistics", JASA 67 (1972), DOI 10.1080/01621459.1972.10481279.
///
/// # Errors
/// No values, values that are not finite, or both arms without variation.
pub fn mann_whitney(
    control: &[f64],
    treatment: &[f64],
    level: Level,
) -> Result<RankComparison, ParameterError> {
    let control = sorted("the control's values", control)?;
    let treatment = sorted("the treatment's values", treatment)?;
    let pair = Pair { x: &treatment, y: &control };
    let (Some(lowest), Some(highest)) = (pair.lowest(), pair.highest()) else {
        return Err(ParameterError::Empty("values"));
    };
    ParameterError::within(
        "the range of differences",
        highest - lowest,
        0.0,
        f64::MAX,
        "above zero and finite: the values of one arm at least have to vary",
    )?;
    let z = -normal::quantile(level.alpha() / 2.0);
    let low = pair.crossing(lowest, highest, |shift| pair.score(shift) > z);
    let high = pair.crossing(lowest, highest, |shift| pair.score(shift) > -z);
    // The median of an even number of differences lies between the two in the middle.
    let below = pair.crossing(lowest, highest, |shift| pair.excess(shift) > 0.0);
    let above = pair.crossing(lowest, highest, |shift| pair.excess(shift) >= 0.0);
    let mean = |values: &[f64]| values.iter().map(|v| v / values.len() as f64).sum::<f64>();
    let ratio = mean(&treatment) / mean(&control);
    let pairs = treatment.len() as f64 * control.len() as f64;
    Ok(RankComparison {
        shift: Interval { estimate: 0.5 * below + 0.5 * above, low, high },
        superiority: 0.5 + pair.excess(0.0) / pairs,
        p_value: (2.0 * normal::cdf(-pair.score(0.0).abs())).min(1.0),
        mean_ratio: ratio.is_finite().then_some(ratio),
    })
}

/// Two sorted samples.
struct Pair<'a> {
    x: &'a [f64],
    y: &'a [f64],
}

impl Pair<'_> {
    fn lowest(&self) -> Option<f64> {
        Some(self.x.first()? - self.y.last()?)
    }

    fn highest(&self) -> Option<f64> {
        Some(self.x.last()? - self.y.first()?)
    }

    /// Walks through the groups of equal values in the order of both samples, x shifted down: how many of x and of y each has.
    fn groups(&self, shift: f64, mut each: impl FnMut(usize, usize)) {
        let (mut x, mut y) = (self.x, self.y);
        loop {
            let value = match (x.first(), y.first()) {
                (None, None) => return,
                (Some(a), None) => a - shift,
                (None, Some(b)) => *b,
                (Some(a), Some(b)) => (a - shift).min(*b),
            };
            let of_x = x.iter().take_while(|v| **v - shift <= value).count();
            let of_y = y.iter().take_while(|v| **v <= value).count();
            each(of_x, of_y);
            x = x.get(of_x..).unwrap_or_default();
            y = y.get(of_y..).unwrap_or_default();
        }
    }

    /// Pairs in which x less the shift lies above y, ties counting half, less half of all pairs.
    fn excess(&self, shift: f64) -> f64 {
        let mut below = 0.0;
        let mut pairs = -0.5 * self.x.len() as f64 * self.y.len() as f64;
        self.groups(shift, |x, y| {
            pairs += x as f64 * (below + 0.5 * y as f64);
            below += y as f64;
        });
        pairs
    }

    /// The same in standard deviations, towards zero by the correction for continuity.
    fn score(&self, shift: f64) -> f64 {
        let (n, m) = (self.x.len() as f64, self.y.len() as f64);
        let mut ties = 0.0;
        self.groups(shift, |x, y| {
            let t = (x + y) as f64;
            ties += (t * t - 1.0) * t;
        });
        let all = n + m;
        let variance = n * m / 12.0 * (all + 1.0 - ties / (all * (all - 1.0)));
        let excess = self.excess(shift);
        if variance <= 0.0 || excess.abs() <= 0.0 {
            return 0.0;
        }
        (excess - 0.5 * excess.signum()) / variance.sqrt()
    }

    /// The shift up to which the condition holds, to the last digit; the end of the range where it never or always holds.
    fn crossing(&self, lowest: f64, highest: f64, holds: impl Fn(f64) -> bool) -> f64 {
        if !holds(lowest) {
            return lowest;
        }
        if holds(highest) {
            return highest;
        }
        let (mut low, mut high) = (lowest, highest);
        // The condition falls with the shift. Halving ends when no number lies between.
        loop {
            let middle = low + 0.5 * (high - low);
            if middle <= low || middle >= high {
                return high;
            }
            *(if holds(middle) { &mut low } else { &mut high }) = middle;
        }
    }
}

fn sorted(name: &'static str, values: &[f64]) -> Result<Vec<f64>, ParameterError> {
    if values.is_empty() {
        return Err(ParameterError::Empty(name));
    }
    if let Some(&value) = values.iter().find(|v| v.is_nan() || v.abs() > 1e300) {
        return Err(ParameterError::Range { name, value, range: "finite, and below 10^300" });
    }
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    Ok(values)
}
