//! Which units an experiment takes, and which arm each gets: a hash, so that no list of assignments is kept and every
//! server, and every SDK that hashes the same way, says the same.
//!
//! The hash and the ranges are those of GrowthBook's SDKs (hash version 2, and 1 for namespaces), so that a split assigns as
//! they do. Source: GrowthBook's public SDK test cases, specification 0.8.0 (MIT).

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// How finely units can be told apart: a bucket is the ten-thousandth part of them.
pub const BUCKETS: u16 = 10_000;

/// 32-bit FNV-1a of UTF-8 bytes.
///
/// ```
/// assert_eq!(upswing_domain::assignment::fnv1a32("user-1"), 4_115_888_500);
/// ```
pub fn fnv1a32(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// The bucket of a value under a seed, in `0..BUCKETS`: hash version 2.
pub fn bucket(seed: &str, value: &str) -> u16 {
    let inner = fnv1a32(&format!("{seed}{value}"));
    // Below BUCKETS, which fits.
    u16::try_from(fnv1a32(&inner.to_string()) % u32::from(BUCKETS)).unwrap_or(0)
}

/// The hash of a value under a seed, in [0, 1). Versions 1 (thousandths; kept for namespaces) and 2 (ten-thousandths) exist;
/// `None` for others.
pub fn hash(seed: &str, value: &str, version: u32) -> Option<f64> {
    match version {
        1 => Some(f64::from(fnv1a32(&format!("{value}{seed}")) % 1_000) / 1_000.0),
        2 => Some(f64::from(bucket(seed, value)) / f64::from(BUCKETS)),
        _ => None,
    }
}

/// Whether a unit lies in a part of a layer. Experiments whose parts of the same layer do not overlap never share a unit.
pub fn in_layer(unit: &str, layer: &str, start: f64, end: f64) -> bool {
    hash(&format!("__{layer}"), unit, 1).is_some_and(|n| start <= n && n < end)
}

/// Equal weights for that many arms.
pub fn equal_weights(arms: usize) -> Vec<f64> {
    vec![1.0 / arms as f64; arms]
}

/// The ranges of [0, 1) that a fresh split gives to its arms: each begins where the weights before it end, and is as long as
/// its weight times the coverage. Coverage is brought into [0, 1]; weights that do not fit or do not sum to 1 (within a
/// hundredth) are taken as equal, as SDKs do. Whoever makes an experiment is told instead: see [`check_weights`].
pub fn bucket_ranges(arms: usize, coverage: f64, weights: Option<&[f64]>) -> Vec<(f64, f64)> {
    let coverage = if coverage.is_nan() { 0.0 } else { coverage.clamp(0.0, 1.0) };
    let fits =
        |weights: &&[f64]| weights.len() == arms && (0.99..=1.01).contains(&weights.iter().sum::<f64>());
    let weights = weights.filter(fits).map_or_else(|| equal_weights(arms), <[f64]>::to_vec);
    let mut start = 0.0;
    weights
        .iter()
        .map(|weight| {
            let range = (start, start + coverage * weight);
            start += weight;
            range
        })
        .collect()
}

/// The arm whose range holds the hash; `None` where the split does not reach.
pub fn choose_variation(n: f64, ranges: &[(f64, f64)]) -> Option<usize> {
    ranges.iter().position(|&(start, end)| start <= n && n < end)
}

/// Checks that weights are shares of one whole.
///
/// # Errors
/// Names the weight that is no share, or what they sum to.
pub fn check_weights(weights: &[f64]) -> Result<(), Invalid> {
    if let Some(wrong) = weights.iter().find(|w| !w.is_finite() || **w < 0.0 || **w > 1.0) {
        return Err(Invalid::new("weights", wrong, "a share from 0 to 1"));
    }
    let sum: f64 = weights.iter().sum();
    if (sum - 1.0).abs() > 1e-6 {
        return Err(Invalid::new("weights", format!("{sum} in all"), "shares that sum to 1"));
    }
    Ok(())
}

/// Whose each bucket is. Made fresh from weights, or from another split by moving as few buckets as the new weights demand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Split(Vec<Run>);

/// Buckets up to `end` (exclusive), from where the run before ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Run {
    end: u16,
    arm: Option<u16>,
}

impl Split {
    /// A fresh split, which assigns as [`bucket_ranges`] and [`choose_variation`] do.
    pub fn fresh(weights: &[f64], coverage: f64) -> Self {
        let ranges = bucket_ranges(weights.len(), coverage, Some(weights));
        let owner = |bucket: u16| {
            choose_variation(f64::from(bucket) / f64::from(BUCKETS), &ranges)
                .and_then(|arm| u16::try_from(arm).ok())
        };
        Self::from_owners((0..BUCKETS).map(owner))
    }

    /// The split for other weights and another coverage that moves the fewest units: an arm that shrinks gives buckets away from
    /// its end, an arm that grows takes those, and nobody else moves.
    #[must_use]
    pub fn moved(&self, weights: &[f64], coverage: f64) -> Self {
        let mut owners: Vec<Option<u16>> = (0..BUCKETS).map(|bucket| self.arm(bucket)).collect();
        let target = Self::fresh(weights, coverage);
        let mut missing = vec![0_i32; weights.len()];
        for arm in (0..BUCKETS).filter_map(|bucket| target.arm(bucket)) {
            if let Some(count) = missing.get_mut(usize::from(arm)) {
                *count += 1;
            }
        }
        for owner in owners.iter().flatten() {
            if let Some(count) = missing.get_mut(usize::from(*owner)) {
                *count -= 1;
            }
        }
        // From the end, what is too much becomes free; an arm that is no longer there has too much of everything.
        let mut freed = Vec::new();
        for (bucket, owner) in owners.iter_mut().enumerate().rev() {
            let Some(arm) = *owner else { continue };
            let stays = match missing.get_mut(usize::from(arm)) {
                Some(count) if *count < 0 => {
                    *count += 1;
                    false
                }
                Some(_) => true,
                None => false,
            };
            if !stays {
                *owner = None;
                freed.push(bucket);
            }
        }
        // What has become free goes first: these units move in any case.
        freed.reverse();
        let outside =
            (0..owners.len()).filter(|&bucket| self.arm(u16::try_from(bucket).unwrap_or(0)).is_none());
        let mut free = freed.into_iter().chain(outside.collect::<Vec<_>>());
        for (arm, count) in (0_u16..).zip(missing) {
            for bucket in free.by_ref().take(usize::try_from(count).unwrap_or(0)) {
                if let Some(owner) = owners.get_mut(bucket) {
                    *owner = Some(arm);
                }
            }
        }
        Self::from_owners(owners.into_iter())
    }

    fn from_owners(owners: impl Iterator<Item = Option<u16>>) -> Self {
        let mut runs: Vec<Run> = Vec::new();
        for (end, arm) in (1..=BUCKETS).zip(owners) {
            match runs.last_mut() {
                Some(run) if run.arm == arm => run.end = end,
                _ => runs.push(Run { end, arm }),
            }
        }
        Self(runs)
    }

    /// The arm of a bucket. O(log runs).
    pub fn arm(&self, bucket: u16) -> Option<u16> {
        let run = self.0.partition_point(|run| run.end <= bucket);
        self.0.get(run).and_then(|run| run.arm)
    }

    /// The share of all units that each of so many arms has.
    pub fn shares(&self, arms: usize) -> Vec<f64> {
        let mut counts = vec![0_u32; arms];
        let mut start = 0;
        for run in &self.0 {
            if let Some(count) = run.arm.and_then(|arm| counts.get_mut(usize::from(arm))) {
                *count += u32::from(run.end - start);
            }
            start = run.end;
        }
        counts.into_iter().map(|count| f64::from(count) / f64::from(BUCKETS)).collect()
    }

    /// How many buckets two splits give to different arms.
    pub fn differing(&self, other: &Self) -> usize {
        (0..BUCKETS).filter(|bucket| self.arm(*bucket) != other.arm(*bucket)).count()
    }
}
