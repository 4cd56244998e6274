//! Sample-ratio mismatch: are the arms as large as they were assigned?
//!
//! When they are not, units got lost or were counted twice in one arm, and nothing else about the experiment is to be believed.

use serde::{Deserialize, Serialize};
use statrs::function::gamma::{checked_gamma_ur, ln_gamma};

use super::ParameterError;

/// The p-value of Pearson's chi-square test, for a single look at the counts of all arms.
///
/// Good when five or more units are expected in every arm. `weights` are what was assigned, in any unit.
///
/// # Errors
/// Fewer than two arms, lists of different lengths, no units, or weights that are not above zero and finite.
///
/// ```
/// let p = upswing_stats::compare::ratio_mismatch::chi_square(&[5100, 4900], &[0.5, 0.5])?;
/// assert!((p - 0.045_500_263_896).abs() < 1e-10);
/// # Ok::<(), upswing_stats::compare::ParameterError>(())
/// ```
pub fn chi_square(counts: &[u64], weights: &[f64]) -> Result<f64, ParameterError> {
    let shares = shares(weights)?;
    same_length(counts.len(), weights.len())?;
    let total: f64 = counts.iter().map(|&c| c as f64).sum();
    if total <= 0.0 {
        return Err(ParameterError::Empty("units"));
    }
    let statistic: f64 = counts
        .iter()
        .zip(&shares)
        .map(|(&count, share)| {
            let expected = share * total;
            (count as f64 - expected) * ((count as f64 - expected) / expected)
        })
        .sum();
    if statistic <= 0.0 {
        return Ok(1.0);
    }
    // Only an infinite statistic is refused, whose tail is zero.
    let tail = checked_gamma_ur(0.5 * (counts.len() - 1) as f64, 0.5 * statistic).unwrap_or(0.0);
    Ok(tail.clamp(0.0, 1.0))
}

/// A sample-ratio test that may be looked at as often as one likes.
///
/// The alternative is a Dirichlet prior around the assigned shares; its Bayes factor against them is an e-process, so that
/// the smallest `1 / e` so far is a p-value at every look. Its state is small, and the same counts give the same state however
/// they are cut into pieces, except that the p-value remembers the largest evidence at any *look*.
///
/// Source: M. Lindon, A. Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022, arXiv 2011.03567.
///
/// ```
/// use upswing_stats::compare::ratio_mismatch::Monitor;
/// let mut monitor = Monitor::new(&[0.5, 0.5], 10_000.0)?;
/// for _ in 0..24 {
///     monitor.add(&[560, 440])?;
/// }
/// assert!(monitor.p_value() < 0.001);
/// # Ok::<(), upswing_stats::compare::ParameterError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "State")]
pub struct Monitor {
    /// Sum to 1.
    shares: Vec<f64>,
    concentration: f64,
    counts: Vec<u64>,
    /// The largest logarithm of the Bayes factor at any look, the first of them at no units at all, which is 0.
    largest: f64,
}

/// A monitor as it was written, not yet checked.
#[derive(Deserialize)]
struct State {
    shares: Vec<f64>,
    concentration: f64,
    counts: Vec<u64>,
    largest: f64,
}

impl TryFrom<State> for Monitor {
    type Error = ParameterError;

    fn try_from(state: State) -> Result<Self, ParameterError> {
        let State { shares, concentration, counts, largest } = state;
        Self::new(&shares, concentration)?;
        same_length(counts.len(), shares.len())?;
        let total = shares.iter().sum();
        ParameterError::within("the sum of shares", total, 1.0 - 1e-9, 1.0 + 1e-9, "1")?;
        let range = "zero or more, and finite";
        ParameterError::within("the largest evidence", largest, -f64::MIN_POSITIVE, f64::INFINITY, range)?;
        Ok(Self { shares, concentration, counts, largest })
    }
}

impl Monitor {
    /// A monitor of arms that are assigned these shares, in any unit.
    ///
    /// `concentration` says how close to the shares the mismatch that one fears is: with c, deviations of about
    /// `sqrt(share (1 - share) / c)`, so 10,000 is for half a percentage point of a half.
    ///
    /// # Errors
    /// Fewer than two arms, or numbers that are not above zero and finite.
    pub fn new(weights: &[f64], concentration: f64) -> Result<Self, ParameterError> {
        let range = "above zero and below 10^12";
        let concentration = ParameterError::within("the concentration", concentration, 0.0, 1e12, range)?;
        let shares = shares(weights)?;
        Ok(Self { counts: vec![0; shares.len()], shares, concentration, largest: 0.0 })
    }

    /// Adds the units that came since the last look.
    ///
    /// # Errors
    /// Another number of arms. Then nothing is added.
    pub fn add(&mut self, counts: &[u64]) -> Result<(), ParameterError> {
        same_length(counts.len(), self.counts.len())?;
        let totals: Vec<u64> = self.counts.iter().zip(counts).map(|(a, b)| a.saturating_add(*b)).collect();
        self.look(totals);
        Ok(())
    }

    /// Replaces the counts by all units that have come until now.
    ///
    /// # Errors
    /// Another number of arms, or an arm with fewer units than before. Then nothing is changed.
    pub fn observe_totals(&mut self, totals: &[u64]) -> Result<(), ParameterError> {
        same_length(totals.len(), self.counts.len())?;
        for (arm, (&before, &now)) in self.counts.iter().zip(totals).enumerate() {
            if now < before {
                return Err(ParameterError::Decreased { arm, before, now });
            }
        }
        self.look(totals.to_vec());
        Ok(())
    }

    fn look(&mut self, totals: Vec<u64>) {
        self.counts = totals;
        self.largest = self.largest.max(self.log_e_value());
    }

    /// The units so far.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The logarithm of the Bayes factor now; below zero, the shares look as assigned.
    pub fn log_e_value(&self) -> f64 {
        let total: f64 = self.counts.iter().map(|&c| c as f64).sum();
        let arms = self.counts.iter().zip(&self.shares).map(|(&count, share)| {
            let count = count as f64;
            ln_rising(self.concentration * share, count) - count * share.ln()
        });
        arms.sum::<f64>() - ln_rising(self.concentration, total)
    }

    /// The p-value of "the shares are as assigned", valid at any look; it never rises.
    pub fn p_value(&self) -> f64 {
        (-self.largest).exp()
    }
}

/// `ln gamma(x + n) - ln gamma(x)`, by Stirling's series where the difference would lose digits.
fn ln_rising(x: f64, n: f64) -> f64 {
    if n <= 0.0 {
        return 0.0;
    }
    if x < 100.0 {
        return ln_gamma(x + n) - ln_gamma(x);
    }
    let rest = |x: f64| (1.0 / 12.0 - (1.0 / 360.0 - 1.0 / (1260.0 * x * x)) / (x * x)) / x;
    n * x.ln() + ((x + n - 0.5) * (n / x).ln_1p() - n) + (rest(x + n) - rest(x))
}

fn shares(weights: &[f64]) -> Result<Vec<f64>, ParameterError> {
    if weights.len() < 2 {
        return Err(ParameterError::Empty("two or more arms"));
    }
    let range = "above zero and finite";
    for &weight in weights {
        ParameterError::within("an arm's share", weight, 0.0, f64::INFINITY, range)?;
    }
    let total = weights.iter().sum();
    ParameterError::within("the sum of shares", total, 0.0, f64::INFINITY, range)?;
    let shares: Vec<f64> = weights.iter().map(|w| w / total).collect();
    for &share in &shares {
        ParameterError::within("an arm's share of all", share, 1e-300, 1.0, "within (0, 1)")?;
    }
    Ok(shares)
}

fn same_length(counts: usize, weights: usize) -> Result<(), ParameterError> {
    if counts == weights {
        return Ok(());
    }
    Err(ParameterError::Lengths {
        what: "each arm has one count and one share",
        first: counts,
        second: weights,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From mpmath with 40 digits.
    const GOLDEN: [(f64, f64, f64); 7] = [
        (0.5, 10.0, 13.368260276479064),
        (99.5, 3.0, 13.83037417014552),
        (100.5, 3.0, 13.860079324559435),
        (5000.0, 2105.0, 18_319.934_815_530_6),
        (1e12, 12_345.0, 341_104.955_752_331_3),
        (5000.0, 1e9, 19_723_331_861.219_08),
        (7e6, 3e6, 47851011.38210861),
    ];

    #[test]
    fn rising_factorials_meet_golden_values() {
        for (x, n, expected) in GOLDEN {
            assert!(
                (ln_rising(x, n) / expected - 1.0).abs() < 1e-13,
                "{x} {n}: {} {expected}",
                ln_rising(x, n)
            );
        }
    }

    #[test]
    fn pieces_totals_and_a_restored_state_agree() {
        let days = [[520, 480], [515, 470], [530, 490], [540, 470]];
        let (mut pieces, mut totals) = (monitor(), monitor());
        let mut sum = [0, 0];
        for day in days {
            pieces.add(&day).unwrap();
            sum = [sum[0] + day[0], sum[1] + day[1]];
            totals.observe_totals(&sum).unwrap();
            let written = serde_json::to_string(&pieces).unwrap();
            pieces = serde_json::from_str(&written).unwrap();
            assert!((pieces.p_value() - totals.p_value()).abs() < 1e-12);
        }
        assert_eq!(pieces.counts(), totals.counts());
    }

    #[test]
    fn hostile_states_are_refused() {
        for state in [
            r#"{"shares":[0.5],"concentration":1,"counts":[0],"largest":0}"#,
            r#"{"shares":[0.5,0.6],"concentration":1,"counts":[0,0],"largest":0}"#,
            r#"{"shares":[0.5,0.5],"concentration":-1,"counts":[0,0],"largest":0}"#,
            r#"{"shares":[0.5,0.5],"concentration":1,"counts":[0],"largest":0}"#,
            r#"{"shares":[0.5,0.5],"concentration":1,"counts":[0,0],"largest":-1}"#,
        ] {
            assert!(serde_json::from_str::<Monitor>(state).is_err(), "{state}");
        }
        let mut monitor = monitor();
        monitor.add(&[5, 5]).unwrap();
        let smaller = ParameterError::Decreased { arm: 1, before: 5, now: 4 };
        assert_eq!(monitor.observe_totals(&[6, 4]), Err(smaller));
        assert!(monitor.add(&[1]).is_err());
        assert_eq!(monitor.counts(), [5, 5]);
        monitor.add(&[u64::MAX, 0]).unwrap();
        assert!(monitor.p_value() < 1e-300);
    }

    #[test]
    fn a_single_look_needs_units_and_shares() {
        assert_eq!(chi_square(&[0, 0], &[1.0, 1.0]), Err(ParameterError::Empty("units")));
        assert!(chi_square(&[1, 1], &[1.0, 0.0]).is_err());
        assert!(chi_square(&[1, 1], &[1.0, f64::NAN]).is_err());
        assert!(chi_square(&[1, 1, 1], &[1.0, 1.0]).is_err());
        assert_eq!(chi_square(&[7, 7], &[1.0, 1.0]), Ok(1.0));
        assert_eq!(chi_square(&[u64::MAX, 0], &[1.0, 1.0]), Ok(0.0));
    }

    fn monitor() -> Monitor {
        Monitor::new(&[1.0, 1.0], 10_000.0).unwrap()
    }
}
