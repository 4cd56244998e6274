//! Sufficient statistics as exact integers: free of order, and able to forget.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use serde::{Deserialize, Serialize};
use upswing_domain::Reward;

use crate::encoder::{Feature, SLOTS};

/// What is known of one version: how often each feature, and each pair of features, came with a reward, and the sum of
/// rewards by feature. Feature values are 0 or 1, so these are all of `sum x x'` and `sum r x`.
///
/// Everything is a signed sum, so an entry that is taken back before it is added leaves the same in the end.
/// Memory: at most slots squared over two pairs, and only those that were seen; a handful of attributes give some thousands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct ArmStatistics {
    /// Executions that have a reward.
    pub(crate) count: i64,
    /// Sum of rewards in millionths.
    pub(crate) sum: i64,
    /// Sum of squared rewards in millionths squared.
    pub(crate) squares: i128,
    #[serde(with = "sorted")]
    slots: HashMap<u32, Cell, Mixed>,
    #[serde(with = "sorted")]
    pairs: HashMap<u32, i64, Mixed>,
}

/// Count and sum of rewards of one feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Cell {
    pub(crate) count: i64,
    pub(crate) sum: i64,
}

impl ArmStatistics {
    /// Folds one ledger entry in. Without features only the totals are kept. O(features squared) when an execution gains or
    /// loses its reward, O(features) when its reward is revised.
    pub(crate) fn observe(&mut self, features: &[Feature], old: Option<Reward>, new: Option<Reward>) {
        let count = i64::from(new.is_some()) - i64::from(old.is_some());
        let (before, after) = (old.map_or(0, Reward::millionths), new.map_or(0, Reward::millionths));
        let change = after - before;
        self.count += count;
        self.sum += change;
        self.squares += i128::from(after) * i128::from(after) - i128::from(before) * i128::from(before);
        if count == 0 && change == 0 {
            return;
        }
        // The bias, which comes first, is the totals.
        let features = features.get(1..).unwrap_or_default();
        for (place, feature) in features.iter().enumerate() {
            let key = u32::from(feature.slot);
            let cell = self.slots.entry(key).or_default();
            cell.count += count;
            cell.sum += change;
            if *cell == Cell::default() {
                self.slots.remove(&key);
            }
            if count != 0 {
                for earlier in &features[..place] {
                    fold(&mut self.pairs, pair(earlier.slot, feature.slot), count);
                }
            }
        }
    }

    pub(crate) fn cell(&self, slot: u16) -> Cell {
        self.slots.get(&u32::from(slot)).copied().unwrap_or_default()
    }

    /// How often both features came together; `first` must be the smaller slot.
    pub(crate) fn together(&self, first: u16, second: u16) -> i64 {
        self.pairs.get(&pair(first, second)).copied().unwrap_or(0)
    }

    pub(crate) fn cells(&self) -> impl Iterator<Item = (u16, Cell)> {
        self.slots.iter().map(|(&slot, &cell)| (slot as u16, cell))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
            && self.sum == 0
            && self.squares == 0
            && self.slots.is_empty()
            && self.pairs.is_empty()
    }

    /// The totals alone, for policies that do not look at the context.
    pub(crate) fn totals(&self) -> Self {
        Self { count: self.count, sum: self.sum, squares: self.squares, ..Self::default() }
    }

    pub(crate) fn n(&self) -> f64 {
        self.count.max(0) as f64
    }

    pub(crate) fn sum_of_rewards(&self) -> f64 {
        self.sum as f64 / f64::from(Reward::SCALE)
    }

    pub(crate) fn sum_of_squares(&self) -> f64 {
        self.squares as f64 / (f64::from(Reward::SCALE) * f64::from(Reward::SCALE))
    }
}

fn pair(first: u16, second: u16) -> u32 {
    u32::from(first) << 16 | u32::from(second)
}

fn fold(counts: &mut HashMap<u32, i64, Mixed>, key: u32, change: i64) {
    let count = counts.entry(key).or_default();
    *count += change;
    if *count == 0 {
        counts.remove(&key);
    }
}

/// Which groups of features a slot stood for, and how often: needed to tell which prior a slot has.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Groups {
    #[serde(with = "sorted")]
    counts: HashMap<u32, i64, Mixed>,
}

impl Groups {
    pub(crate) fn observe(&mut self, features: &[Feature], change: i64) {
        if change != 0 {
            for feature in features.get(1..).unwrap_or_default() {
                fold(&mut self.counts, u32::from(feature.slot) << 8 | u32::from(feature.group), change);
            }
        }
    }

    /// The group that each slot stood for most often; of equals, the first.
    pub(crate) fn by_slot(&self) -> Vec<u8> {
        let mut best = vec![(0_i64, 0_u8); usize::from(SLOTS)];
        for (&key, &count) in &self.counts {
            let group = (key & 0xFF) as u8;
            let Some(entry) = best.get_mut((key >> 8) as usize) else { continue };
            if count > entry.0 || (count == entry.0 && group < entry.1) {
                *entry = (count, group);
            }
        }
        best.into_iter().map(|(_, group)| group).collect()
    }
}

/// Small integer keys need no hashing that withstands attackers: slots are already hashes, and there are few.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mix(u64);
type Mixed = BuildHasherDefault<Mix>;

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u32(u32::from(byte));
        }
    }
    fn write_u32(&mut self, key: u32) {
        let product = (self.0 ^ u64::from(key)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = product ^ (product >> 32);
    }
}

/// Maps as sorted differences of keys: equal states give equal bytes, and small ones.
mod sorted {
    use std::collections::HashMap;

    use serde::de::{DeserializeOwned, Error};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Mixed;

    pub(super) fn serialize<V: Serialize + Copy, S: Serializer>(
        map: &HashMap<u32, V, Mixed>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut entries: Vec<(u32, V)> = map.iter().map(|(&k, &v)| (k, v)).collect();
        entries.sort_unstable_by_key(|e| e.0);
        let mut last = 0;
        for entry in &mut entries {
            (entry.0, last) = (entry.0 - last, entry.0);
        }
        entries.serialize(serializer)
    }

    pub(super) fn deserialize<'de, V: DeserializeOwned, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<HashMap<u32, V, Mixed>, D::Error> {
        let entries = Vec::<(u32, V)>::deserialize(deserializer)?;
        let mut map = HashMap::with_capacity_and_hasher(entries.len(), Mixed::default());
        let mut key = 0_u32;
        for (difference, value) in entries {
            key = key.checked_add(difference).ok_or_else(|| Error::custom("a key past the last slot"))?;
            if map.insert(key, value).is_some() {
                return Err(Error::custom("a key twice"));
            }
        }
        Ok(map)
    }
}
