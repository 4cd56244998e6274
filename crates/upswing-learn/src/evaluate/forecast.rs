//! How much longer an answer is likely to take.
//!
//! What is known of a pair is a sum that wanders: with n units and z the effect in standard errors, `S = z sqrt(n)` has variance
//! 1 a unit and a drift that nobody knows, of which n units say that it is normal around `z / sqrt(n)` with variance `1/n`.
//! The answer comes when S first passes the bound of the metric's method, on either side. Of that time the forecast is the
//! number which is likeliest to be right within a factor of two. (The median is too long for most: the few experiments that
//! turn out to have almost no effect take hundreds of times as long as the others.)
//!
//! For a straight bound `a + c t` the probability of having passed it by t is known exactly (the inverse Gaussian law), also
//! after averaging over a normal drift; a curved bound is replaced by its tangent at t.
//!
//! Sources: the tangent approximation, H. R. Lerche, "Boundary crossing of Brownian motion", Lecture Notes in Statistics 40
//! (1986); the law of the first passage, D. Siegmund, "Sequential analysis" (1985), equation 3.15.

use upswing_domain::{ExperimentMetric, ExperimentPlan};
use upswing_stats::compare::{Alternative, Level, asymptotic};
use upswing_stats::normal;
use upswing_stats::sequential::{RandomisationTest, Sides};

use super::analysis::exact;
use super::results::{Comparison, Forecast, MetricResults, Verdict};
use super::tally::MetricTally;

/// What a randomisation e-process bets on unless told otherwise ([`upswing_stats::sequential::Tilts::Moderate`]), on either side.
const TILTS: [f64; 4] = [0.25, 0.5, 1.0, 2.0];
/// From where on a forecast looks, in powers of two of the units that there are: from 1/512 of them.
const SOONEST: i32 = -9;
/// And up to where: a thousand times as many.
const LATEST: i32 = 10;
/// How many points of time there are in each doubling.
const STEPS: i32 = 4;

/// When the first comparison is likely to be answered, if things go on as they did.
pub(super) fn forecast(
    plan: &ExperimentPlan,
    metric: &ExperimentMetric,
    goal: &MetricResults,
    tally: &MetricTally,
    elapsed: Option<f64>,
) -> Option<Forecast> {
    if goal.comparisons.iter().any(|c| c.verdict != Verdict::Inconclusive) {
        return None;
    }
    let closed = goal.arms.iter().map(|arm| arm.units).sum::<u64>() as f64;
    let alpha = plan.alpha / goal.comparisons.len().max(1) as f64;
    let units = goal.comparisons.iter().zip(&tally.pairs).filter_map(|(comparison, pair)| {
        let test = pair.test.as_ref();
        let walk = Walk::of(plan, metric, goal, comparison, alpha)?.knowing(test);
        Some(walk.likeliest()? * closed / walk.units)
    });
    let units = units.min_by(f64::total_cmp)?.max(plan.minimum_units as f64 - closed).max(1.0);
    let elapsed = elapsed.filter(|elapsed| *elapsed > 0.0 && closed > 0.0);
    let seconds = elapsed.map(|elapsed| {
        let waits = plan.minimum_seconds as f64 - elapsed;
        (units * elapsed / closed).max(waits)
    });
    Some(Forecast { units, seconds })
}

/// The sum of a pair, and the bound it has to pass.
struct Walk {
    /// Units of the pair so far.
    units: f64,
    /// The sum now, of variance 1 a unit.
    sum: f64,
    /// What is added to it a unit, as it seems.
    drift: f64,
    bound: Bound,
}

enum Bound {
    /// The asymptotic sequence.
    Sequence { rho_squared: f64, level: Level },
    /// The mean of the e-process's bets: by how much each is raised by the sum, and the logarithm to reach.
    Bets { slopes: [f64; TILTS.len()], threshold: f64 },
}

impl Walk {
    fn of(
        plan: &ExperimentPlan,
        metric: &ExperimentMetric,
        goal: &MetricResults,
        comparison: &Comparison,
        alpha: f64,
    ) -> Option<Self> {
        let control = goal.arms.first()?.units as f64;
        let treatment = goal.arms.get(comparison.treatment)?.units as f64;
        let (units, error) = (control + treatment, comparison.standard_error?);
        let sum = comparison.effect? / error * units.sqrt();
        let level = Level::new(alpha).ok()?;
        let bound = match metric.outcome_bounds().filter(|_| exact(metric)) {
            Some([low, high]) => {
                // A bet's logarithm is d (A - pi) (y - mean) a unit, to second order: its variance is d^2 pi (1 - pi) Var(y),
                // and Var(y) is what makes the standard error.
                let product = control * treatment / (units * units);
                let scale = error / (high - low) * units.sqrt() * product;
                Bound::Bets { slopes: TILTS.map(|d| d * scale), threshold: -alpha.ln() }
            }
            None => {
                let design = asymptotic::Plan::new(plan.planned_units).ok()?;
                let rho_squared = design.rho_squared(level, Alternative::TwoSided).ok()?;
                Bound::Sequence { rho_squared, level }
            }
        };
        Some(Self { units, sum, drift: sum / units, bound })
    }

    /// The same with the sum that the e-process has really reached: its first units, from which it learned what outcomes there
    /// are, taught it less than they would have later.
    fn knowing(mut self, test: Option<&RandomisationTest>) -> Self {
        let Some((Bound::Bets { slopes, .. }, test)) = Some(&self.bound).zip(test) else { return self };
        let now = Bound::Bets { slopes: *slopes, threshold: test.log_e(Sides::Two) };
        if let Some((sum, _)) = now.tangent(self.units) {
            self.sum = sum * self.sum.signum();
        }
        self
    }

    /// How many more units it takes, within a factor of two: the number of which that is likeliest.
    fn likeliest(&self) -> Option<f64> {
        let more = |step: i32| self.units * 2_f64.powf(f64::from(step) / f64::from(STEPS));
        let mut passed = 0.0_f64;
        let answered: Vec<f64> = (SOONEST..=LATEST)
            .map(|octave| octave * STEPS)
            .flat_map(|first| first..first + STEPS)
            .map(|step| {
                // It only grows; what the tangents make of it may not, by a little.
                passed = passed.max(self.answered(more(step)).unwrap_or(passed));
                passed
            })
            .collect();
        let window = usize::try_from(2 * STEPS).ok()?;
        let chance = |(first, last): (&f64, &f64)| last - first;
        let chances = answered.iter().zip(answered.iter().skip(window)).map(chance);
        let (place, chance) = (1..).zip(chances).max_by(|a, b| a.1.total_cmp(&b.1))?;
        (chance > 0.0).then(|| more(SOONEST * STEPS + STEPS - 1 + place))
    }

    /// The probability that the sum has passed its bound on either side after so many more units.
    fn answered(&self, more: f64) -> Option<f64> {
        let (bound, slope) = self.bound.tangent(self.units + more)?;
        let side = |sum: f64, drift: f64| {
            let distance = bound - slope * more - sum;
            if distance <= 0.0 { 1.0 } else { passed(distance, drift - slope, 1.0 / self.units, more) }
        };
        Some((side(self.sum, self.drift) + side(-self.sum, -self.drift)).min(1.0))
    }
}

/// The probability that a sum of variance 1 a unit has been `distance` above its start at some time up to `t`, its drift being
/// normal with this mean and variance.
fn passed(distance: f64, drift: f64, variance: f64, t: f64) -> f64 {
    let spread = (t + variance * t * t).sqrt();
    let beyond = normal::cdf((drift * t - distance) / spread);
    let reflected = drift + 2.0 * distance * variance;
    let exponent = 2.0 * distance * (drift + distance * variance);
    let returned = (exponent + log_cdf((-reflected * t - distance) / spread)).exp();
    (beyond + returned).min(1.0)
}

/// The logarithm of the normal distribution function; by its asymptotic series where the function is tiny.
fn log_cdf(x: f64) -> f64 {
    if x > -10.0 {
        return normal::cdf(x).ln();
    }
    -0.5 * x * x - (-x).ln() - 0.5 * std::f64::consts::TAU.ln() - 1.0 / (x * x)
}

impl Bound {
    /// What the sum has to reach at so many units, and how fast that rises.
    fn tangent(&self, units: f64) -> Option<(f64, f64)> {
        match self {
            Self::Sequence { rho_squared, level } => {
                // The margin of a mean is sqrt(2 (n r + 1) (ln(n r + 1)/2 - ln alpha) / r) / n.
                let sum = asymptotic::margin(units, *rho_squared, *level).ok()? * units;
                let logarithm = 0.5 * (units * rho_squared).ln_1p() - level.alpha().ln();
                Some((sum, (logarithm + 0.5) / sum))
            }
            Self::Bets { slopes, threshold } => {
                // The mean of all bets, those on the other side being worth next to nothing here: convex in the sum, so
                // that Newton's method goes down to it from the point at which the best of them alone is enough.
                let count = (2 * slopes.len()) as f64;
                let alone = |slope: f64| (threshold + count.ln()) / slope + slope * units / 2.0;
                let mut sum = slopes.iter().map(|slope| alone(*slope)).fold(f64::INFINITY, f64::min);
                let mut rise = 0.0;
                for _ in 0..20 {
                    let (mut total, mut first, mut second) = (0.0, 0.0, 0.0);
                    for slope in slopes {
                        let bet = (slope * sum - slope * slope * units / 2.0 - threshold).exp() / count;
                        total += bet;
                        first += bet * slope;
                        second += bet * slope * slope;
                    }
                    rise = 0.5 * second / first;
                    let step = total.ln() * total / first;
                    sum -= step;
                    if step.abs() <= 1e-9 * sum.abs() {
                        break;
                    }
                }
                (sum > 0.0 && sum.is_finite() && rise.is_finite()).then_some((sum, rise))
            }
        }
    }
}
