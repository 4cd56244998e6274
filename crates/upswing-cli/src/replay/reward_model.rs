//! What to expect of each arm in each segment: means, shrunken as far as the data ask for.

use super::decisions::{Decision, Decisions};
use crate::failure::Failure;

/// More cells than this are a mistake, and would cost memory.
const MOST_CELLS: usize = 4_000_000;

/// Expected rewards by segment and arm.
///
/// An arm's mean is shrunken towards the mean of all, a cell's towards its arm's plus what its segment adds for every arm,
/// each with a weight of `noise / spread` observations: the variance of a reward over that of the true means, both by
/// moments. Where arms do not differ by more than chance would, all expect the same. O(n + cells).
///
/// Source: Morris, "Parametric Empirical Bayes Inference", JASA 78 (1983), DOI 10.1080/01621459.1983.10477920; the moments
/// are those of DerSimonian, Laird, DOI 10.1016/0197-2456(86)90046-2.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RewardModel {
    arms: usize,
    /// By segment, then by arm.
    cells: Vec<f64>,
    /// The mean of all.
    pub(crate) mean: f64,
}

/// Count and sum of rewards.
type Tally = (f64, f64);

fn average((count, sum): Tally, otherwise: f64) -> f64 {
    if count > 0.0 { sum / count } else { otherwise }
}

/// Towards a prior worth so many observations; infinitely many leave the prior.
fn shrunken((count, sum): Tally, prior: f64, worth: f64) -> f64 {
    if worth.is_finite() && count + worth > 0.0 { (sum + worth * prior) / (count + worth) } else { prior }
}

/// `noise / spread`, or infinity where nothing is left that chance does not explain.
fn worth(noise: f64, explained: f64, scale: f64) -> f64 {
    if explained > 0.0 && scale > 0.0 { noise * scale / explained } else { f64::INFINITY }
}

impl RewardModel {
    /// Whether a log's arms and segments are few enough.
    pub(crate) fn check(decisions: &Decisions) -> Result<(), Failure> {
        let (arms, segments) = (decisions.arms.len(), decisions.segments.len());
        if arms.saturating_mul(segments) <= MOST_CELLS {
            return Ok(());
        }
        let message =
            format!("{arms} {}s in {segments} segments are more cells than can be modelled", decisions.noun);
        Err(Failure::new(message).hint("--segment with a key that has few values"))
    }

    /// Fits decisions of a log.
    pub(crate) fn fit<'a>(decisions: &Decisions, rows: impl Iterator<Item = &'a Decision>) -> Self {
        let (arms, segments) = (decisions.arms.len(), decisions.segments.len());
        let mut by_cell: Vec<Tally> = vec![(0.0, 0.0); arms * segments];
        let mut by_arm: Vec<Tally> = vec![(0.0, 0.0); arms];
        let mut by_segment: Vec<Tally> = vec![(0.0, 0.0); segments];
        let (mut all, mut squares): (Tally, f64) = ((0.0, 0.0), 0.0);
        for row in rows {
            let (arm, segment) = (row.arm as usize, row.segment as usize);
            let tallies =
                [&mut by_cell[segment * arms + arm], &mut by_arm[arm], &mut by_segment[segment], &mut all];
            for tally in tallies {
                *tally = (tally.0 + 1.0, tally.1 + row.reward);
            }
            squares += row.reward * row.reward;
        }
        let mean = average(all, decisions.range.map_or(0.5, |range| (range.low + range.high) / 2.0));
        let tried = by_arm.iter().filter(|arm| arm.0 > 0.0).count() as f64;
        let within =
            by_arm.iter().filter(|arm| arm.0 > 0.0).fold(squares, |sum, arm| sum - arm.1 * arm.1 / arm.0);
        let noise = within.max(0.0) / (all.0 - tried).max(1.0);

        let between: f64 = by_arm.iter().map(|arm| arm.0 * (average(*arm, mean) - mean).powi(2)).sum();
        let crowding: f64 = by_arm.iter().map(|arm| arm.0 * arm.0).sum::<f64>() / all.0.max(1.0);
        let arm_worth = worth(noise, between - (tried - 1.0) * noise, all.0 - crowding);
        let of_arm: Vec<f64> = by_arm.iter().map(|arm| shrunken(*arm, mean, arm_worth)).collect();

        let prior = |index: usize| {
            let (segment, arm) = (index / arms, index % arms);
            of_arm[arm] + average(by_segment[segment], mean) - mean
        };
        let (mut between, mut filled) = (0.0, 0.0);
        for (index, cell) in by_cell.iter().enumerate().filter(|(_, cell)| cell.0 > 0.0) {
            between += cell.0 * (average(*cell, mean) - prior(index)).powi(2);
            filled += 1.0;
        }
        let cell_worth = worth(noise, between - filled * noise, all.0);
        let cells = by_cell.iter().enumerate().map(|(index, cell)| {
            let expected = shrunken(*cell, prior(index), cell_worth);
            decisions.range.map_or(expected, |range| expected.clamp(range.low, range.high))
        });
        Self { arms, cells: cells.collect(), mean }
    }

    /// What to expect of an arm in a segment.
    pub(crate) fn expected(&self, segment: u32, arm: u32) -> f64 {
        self.cells[segment as usize * self.arms + arm as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::super::decisions::Choice;
    use super::super::outcomes::RewardRange;
    use super::*;

    /// So many decisions for each arm, and how many of them earned 1.
    fn log(arms: &[(u32, u32)]) -> Decisions {
        let rows = arms.iter().enumerate().flat_map(|(arm, &(count, ones))| {
            (0..count).map(move |i| Decision {
                arm: arm as u32,
                choice: 0,
                context: 0,
                segment: 0,
                reward: f64::from(u8::from(i < ones)),
                propensity: 0.5,
                unit: None,
            })
        });
        Decisions {
            noun: "version",
            arms: (0..arms.len()).map(|arm| arm.to_string()).collect(),
            segments: vec!["all".to_owned()],
            choices: vec![Choice { arms: (0..arms.len() as u32).collect(), count: arms.len() }],
            rows: rows.collect(),
            range: Some(RewardRange::UNIT),
            ..Decisions::default()
        }
    }

    fn expected(arms: &[(u32, u32)]) -> Vec<f64> {
        let log = log(arms);
        let model = RewardModel::fit(&log, log.rows.iter());
        (0..arms.len()).map(|arm| model.expected(0, arm as u32)).collect()
    }

    #[test]
    fn arms_that_differ_by_chance_alone_expect_the_same() {
        for expected in expected(&[(100, 50), (100, 52), (100, 48), (0, 0)]) {
            assert!((expected - 0.5).abs() < 1e-12, "{expected}");
        }
    }

    #[test]
    fn arms_that_differ_keep_what_was_seen_of_them() {
        let expected = expected(&[(1000, 100), (1000, 900), (0, 0)]);
        assert!((expected[0] - 0.1).abs() < 0.01 && (expected[1] - 0.9).abs() < 0.01, "{expected:?}");
        assert!((expected[2] - 0.5).abs() < 1e-9, "nothing is known of it: {expected:?}");
    }

    #[test]
    fn nothing_and_one_decision_are_no_division_by_zero() {
        assert!((expected(&[(0, 0)])[0] - 0.5).abs() < 1e-12);
        assert!((expected(&[(1, 1)])[0] - 1.0).abs() < 1e-12);
    }
}
