//! How the mean reward moved as decisions came in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use upswing_domain::{Position, Reward, VersionId};

/// The mean reward by position, in at most [`LearningCurve::MAX_BINS`] bins of equal width.
///
/// A bin covers `2^level` positions; when more bins would be needed, neighbours are merged and the width doubles.
/// Sums are integers, and a reward is filed under the position at which its execution *first* had one, so a revision or an
/// erasure changes the bin that it belongs to, and the curve does not depend on the order in which entries come.
/// An update is O(log bins) and, rarely, O(bins).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LearningCurve {
    level: u32,
    bins: BTreeMap<i64, Bin>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Bin {
    count: i64,
    millionths: i64,
    by_version: BTreeMap<VersionId, i64>,
}

impl Bin {
    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.millionths += other.millionths;
        for (version, count) in other.by_version {
            add(&mut self.by_version, version, count);
        }
    }

    fn is_empty(&self) -> bool {
        self.count == 0 && self.millionths == 0 && self.by_version.is_empty()
    }
}

fn add(counts: &mut BTreeMap<VersionId, i64>, version: VersionId, change: i64) {
    let count = counts.entry(version).or_default();
    *count += change;
    if *count == 0 {
        counts.remove(&version);
    }
}

/// One stretch of a [`LearningCurve`].
#[derive(Debug, Clone, PartialEq)]
pub struct CurveBin {
    /// The first position it covers.
    pub from: Position,
    /// The last position it covers.
    pub to: Position,
    /// How many executions in it have a reward.
    pub count: u64,
    /// Their mean reward.
    pub mean_reward: f64,
    /// How many of them each version served, sorted by version.
    pub by_version: Vec<(VersionId, u64)>,
}

impl LearningCurve {
    /// How many bins there are at most.
    pub const MAX_BINS: usize = 200;

    /// Folds one entry of the reward ledger in. `first_position` is where the execution first had a reward, also for a
    /// revision (`old` present) and an erasure (`new` absent).
    pub fn observe(
        &mut self,
        first_position: Position,
        version: VersionId,
        old: Option<Reward>,
        new: Option<Reward>,
    ) {
        let count = i64::from(new.is_some()) - i64::from(old.is_some());
        let millionths = new.map_or(0, Reward::millionths) - old.map_or(0, Reward::millionths);
        // The width covers every position ever seen, so that it does not depend on what was erased or in which order.
        while (first_position.0 >> self.level) >= Self::MAX_BINS as i64 {
            self.halve();
        }
        let key = first_position.0.max(0) >> self.level;
        let bin = self.bins.entry(key).or_default();
        bin.count += count;
        bin.millionths += millionths;
        if count != 0 {
            add(&mut bin.by_version, version, count);
        }
        if bin.is_empty() {
            self.bins.remove(&key);
        }
    }

    fn halve(&mut self) {
        self.level += 1;
        let bins = std::mem::take(&mut self.bins);
        for (key, bin) in bins {
            self.bins.entry(key >> 1).or_default().merge(bin);
        }
        self.bins.retain(|_, bin| !bin.is_empty());
    }

    /// The bins that hold rewards, oldest first.
    pub fn bins(&self) -> Vec<CurveBin> {
        let width = 1_i64 << self.level;
        let filled = self.bins.iter().filter(|(_, bin)| bin.count > 0);
        filled
            .map(|(&key, bin)| CurveBin {
                // Positions begin at 1, so the first bin is one shorter.
                from: Position((key * width).max(1)),
                to: Position(key.saturating_mul(width).saturating_add(width - 1)),
                count: bin.count.unsigned_abs(),
                mean_reward: bin.millionths as f64 / f64::from(Reward::SCALE) / bin.count as f64,
                by_version: bin.by_version.iter().map(|(v, &n)| (*v, n.max(0).unsigned_abs())).collect(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: VersionId = VersionId([1; 32]);
    const B: VersionId = VersionId([2; 32]);

    fn reward(value: f64) -> Option<Reward> {
        Some(Reward::new(value).unwrap())
    }

    #[test]
    fn it_stays_bounded_and_keeps_every_reward() {
        let mut curve = LearningCurve::default();
        for position in 1..=10_000 {
            let version = if position % 4 == 0 { A } else { B };
            curve.observe(Position(position), version, None, reward(if position > 5000 { 1.0 } else { 0.0 }));
        }
        let bins = curve.bins();
        assert!(bins.len() <= LearningCurve::MAX_BINS && bins.len() > LearningCurve::MAX_BINS / 2);
        assert_eq!(bins.iter().map(|b| b.count).sum::<u64>(), 10_000);
        assert!(bins[0].mean_reward < 1e-9 && bins[bins.len() - 1].mean_reward > 0.999);
        assert_eq!(
            bins.iter().flat_map(|b| &b.by_version).filter(|v| v.0 == A).map(|v| v.1).sum::<u64>(),
            2500
        );
        assert!(bins.windows(2).all(|w| w[0].to.0 + 1 == w[1].from.0));
    }

    #[test]
    fn a_revision_changes_the_bin_of_the_first_reward_and_an_erasure_empties_it() {
        let mut revised = LearningCurve::default();
        let mut clean = LearningCurve::default();
        for position in 1..=1000 {
            revised.observe(Position(position), A, None, reward(0.25));
            clean.observe(Position(position), A, None, reward(if position == 7 { 1.0 } else { 0.25 }));
        }
        revised.observe(Position(7), A, reward(0.25), reward(1.0));
        assert_eq!(revised, clean);
        for position in 1..=1000 {
            let old = reward(if position == 7 { 1.0 } else { 0.25 });
            revised.observe(Position(position), A, old, None);
        }
        assert!(revised.bins().is_empty());
    }

    #[test]
    fn order_does_not_matter() {
        let entries: Vec<i64> = (1..=777).collect();
        let mut forward = LearningCurve::default();
        let mut backward = LearningCurve::default();
        for &p in &entries {
            forward.observe(Position(p * 13), A, None, reward(0.5));
        }
        for &p in entries.iter().rev() {
            backward.observe(Position(p * 13), A, None, reward(0.5));
        }
        assert_eq!(forward, backward);
    }

    #[test]
    fn extreme_positions_are_taken() {
        let mut curve = LearningCurve::default();
        curve.observe(Position(i64::MAX), A, None, reward(1.0));
        curve.observe(Position(-5), A, None, reward(1.0));
        assert_eq!(curve.bins().len(), 2);
    }
}
