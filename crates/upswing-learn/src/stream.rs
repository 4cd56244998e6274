//! Windows over implicit feedback, and what they make of a person's profile.
//!
//! A window passes through stages; each reports how many came in and went out and how confident it is, and below
//! [`LEAST_CONFIDENCE`] the window goes no further. What is strong ([`IMMEDIATE`]) changes profiles at once, the rest
//! waits for training.
//!
//! ```
//! use upswing_learn::stream::{Aggregate, Item, aggregate, extract, filter};
//!
//! let item = |strength| Item { position: 1, person: Some(7_u8), kind: "copy".to_owned(), category: None, strength, value: strength };
//! let (groups, confidence) = aggregate(vec![item(0.9), item(0.9), item(0.2)]);
//! assert_eq!(groups.len(), 1);
//! let (kept, _) = filter(groups);
//! let (immediate, queued, _) = extract(kept);
//! assert_eq!((immediate.len(), queued.len()), (2, 1));
//! # let _: f64 = confidence;
//! # let _: Option<Aggregate<u8>> = None;
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The most signals in a window.
pub const WINDOW_SIZE: usize = 1000;
/// A window that is not full ends after so many seconds.
pub const WINDOW_SECONDS: i64 = 60;
/// Fewer are carried over into the next window.
pub const LEAST_SIGNALS: usize = 10;
/// Signals stronger than this change profiles at once.
pub const IMMEDIATE: f64 = 0.7;
/// A stage that is less confident stops the window.
pub const LEAST_CONFIDENCE: f64 = 0.3;
/// Groups whose signals agree less are left out.
const LEAST_CONSENSUS: f64 = 0.3;

/// One signal within a window; `P` names a person.
#[derive(Debug, Clone, PartialEq)]
pub struct Item<P> {
    /// Where it stands.
    pub position: i64,
    /// Who did it.
    pub person: Option<P>,
    /// What was done.
    pub kind: String,
    /// What it was about.
    pub category: Option<String>,
    /// How much it says, 0 to 1.
    pub strength: f64,
    /// How good it is, 0 to 1.
    pub value: f64,
}

/// The signals of one person and kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate<P> {
    /// Whose; signals of nobody known are a group of their own for each kind.
    pub person: Option<P>,
    /// What was done.
    pub kind: String,
    /// Mean strength.
    pub strength: f64,
    /// 1 minus twice the standard deviation of the values, at least 0: 1 when all say the same.
    pub consensus: f64,
    /// The place, among the items, of the one whose value is nearest to the mean.
    pub representative: usize,
    /// The signals, oldest first.
    pub items: Vec<Item<P>>,
}

/// What a stage reported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageReport {
    /// `validation`, `aggregation`, `quality_filter`, `signal_extraction`, `profile_update`, `training_queue`.
    pub stage: String,
    /// Signals (or groups) that came in.
    pub input: usize,
    /// What went out.
    pub output: usize,
    /// How sure the stage is of what it made, 0 to 1.
    pub confidence: f64,
    /// How long it took.
    pub milliseconds: f64,
}

/// Groups signals by person and kind. The confidence is the mean consensus, by signals. O(n log n).
pub fn aggregate<P: Ord + Clone>(items: Vec<Item<P>>) -> (Vec<Aggregate<P>>, f64) {
    let mut groups: BTreeMap<(Option<P>, String), Vec<Item<P>>> = BTreeMap::new();
    for item in items {
        groups.entry((item.person.clone(), item.kind.clone())).or_default().push(item);
    }
    let groups: Vec<_> = groups
        .into_iter()
        .map(|((person, kind), items)| {
            let n = items.len() as f64;
            let mean = items.iter().map(|i| i.value).sum::<f64>() / n;
            let variance = items.iter().map(|i| (i.value - mean).powi(2)).sum::<f64>() / n;
            let nearest = items
                .iter()
                .enumerate()
                .min_by(|(_, a), (_, b)| (a.value - mean).abs().total_cmp(&(b.value - mean).abs()));
            Aggregate {
                person,
                kind,
                strength: items.iter().map(|i| i.strength).sum::<f64>() / n,
                consensus: (1.0 - 2.0 * variance.sqrt()).max(0.0),
                representative: nearest.map_or(0, |(index, _)| index),
                items,
            }
        })
        .collect();
    let all: usize = groups.iter().map(|g| g.items.len()).sum();
    let agreed: f64 = groups.iter().map(|g| g.consensus * g.items.len() as f64).sum();
    let confidence = if all == 0 { 0.0 } else { agreed / all as f64 };
    (groups, confidence)
}

/// Leaves out groups that contradict themselves. The confidence is the share of signals that is left.
pub fn filter<P>(groups: Vec<Aggregate<P>>) -> (Vec<Aggregate<P>>, f64) {
    let count = |groups: &[Aggregate<P>]| groups.iter().map(|g| g.items.len()).sum::<usize>();
    let before = count(&groups);
    let kept: Vec<_> = groups.into_iter().filter(|g| g.consensus >= LEAST_CONSENSUS).collect();
    let confidence = if before == 0 { 0.0 } else { count(&kept) as f64 / before as f64 };
    (kept, confidence)
}

/// Parts what changes profiles at once from what waits for training, both in the order of positions. The confidence is the
/// mean strength.
pub fn extract<P>(groups: Vec<Aggregate<P>>) -> (Vec<Item<P>>, Vec<Item<P>>, f64) {
    let mut items: Vec<_> = groups.into_iter().flat_map(|g| g.items).collect();
    items.sort_by_key(|i| i.position);
    let strength = items.iter().map(|i| i.strength).sum::<f64>();
    let confidence = if items.is_empty() { 0.0 } else { strength / items.len() as f64 };
    let (immediate, queued) = items.into_iter().partition(|i| i.strength > IMMEDIATE && i.person.is_some());
    (immediate, queued, confidence)
}

/// What is known of a person from what they did. Of bounded size.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Profile {
    /// Signals it was made from.
    pub signals: u64,
    /// How well what was served was received: an exponential mean of the values.
    pub engagement: f64,
    /// By kind of behaviour: how often.
    pub kinds: BTreeMap<String, u64>,
    /// What the person turns to: weights that fade as others grow, at most [`Profile::INTERESTS`].
    pub interests: BTreeMap<String, f64>,
}

impl Profile {
    /// How many interests are kept.
    pub const INTERESTS: usize = 32;
    /// The weight of a new signal in the mean.
    const STEP: f64 = 0.2;

    /// Takes a signal in. O(interests).
    pub fn observe(&mut self, kind: &str, category: Option<&str>, value: f64) {
        self.engagement =
            if self.signals == 0 { value } else { self.engagement + Self::STEP * (value - self.engagement) };
        self.signals += 1;
        *self.kinds.entry(kind.to_owned()).or_default() += 1;
        let Some(category) = category else { return };
        for weight in self.interests.values_mut() {
            *weight *= 1.0 - Self::STEP;
        }
        *self.interests.entry(category.to_owned()).or_default() += Self::STEP * value;
        if self.interests.len() > Self::INTERESTS {
            let weakest =
                self.interests.iter().min_by(|a, b| a.1.total_cmp(b.1)).map(|(name, _)| name.clone());
            if let Some(weakest) = weakest {
                self.interests.remove(&weakest);
            }
        }
    }

    /// What the person turns to most.
    pub fn interest(&self) -> Option<&str> {
        let strongest = self.interests.iter().max_by(|a, b| a.1.total_cmp(b.1).then_with(|| b.0.cmp(a.0)));
        strongest.map(|(name, _)| name.as_str())
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "halves, ones and zeros are exact")]
mod tests {
    use super::*;

    fn item(position: i64, person: u8, kind: &str, strength: f64, value: f64) -> Item<u8> {
        Item { position, person: Some(person), kind: kind.to_owned(), category: None, strength, value }
    }

    #[test]
    fn what_contradicts_itself_is_left_out_and_lowers_the_confidence() {
        let items = vec![
            item(1, 1, "copy", 0.9, 0.9),
            item(2, 1, "copy", 0.9, 0.9),
            item(3, 2, "edit", 1.0, 0.0),
            item(4, 2, "edit", 1.0, 1.0),
        ];
        let (groups, confidence) = aggregate(items);
        assert_eq!(groups.iter().map(|g| g.consensus).collect::<Vec<_>>(), [1.0, 0.0]);
        assert!((confidence - 0.5).abs() < 1e-12);
        let (kept, confidence) = filter(groups);
        assert_eq!((kept.len(), confidence), (1, 0.5));
        let (immediate, queued, confidence) = extract(kept);
        assert_eq!((immediate.len(), queued.len()), (2, 0));
        assert!((confidence - 0.9).abs() < 1e-12);
    }

    #[test]
    fn nothing_gives_no_confidence_rather_than_full_confidence() {
        let (groups, confidence) = aggregate(Vec::<Item<u8>>::new());
        assert_eq!((groups.len(), confidence), (0, 0.0));
        assert_eq!(filter(Vec::<Aggregate<u8>>::new()).1, 0.0);
        assert_eq!(extract(Vec::<Aggregate<u8>>::new()).2, 0.0);
    }

    #[test]
    fn a_signal_of_nobody_is_queued_however_strong() {
        let nobody = Item { person: None, ..item(1, 0, "copy", 1.0, 1.0) };
        let (groups, _) = aggregate(vec![nobody]);
        let (immediate, queued, _) = extract(groups);
        assert_eq!((immediate.len(), queued.len()), (0, 1));
    }

    #[test]
    fn a_profile_follows_what_somebody_does_and_stays_small() {
        let mut profile = Profile::default();
        for n in 0..100 {
            profile.observe("content_reading", Some(&format!("topic-{n}")), 0.8);
        }
        assert_eq!((profile.signals, profile.interests.len()), (100, Profile::INTERESTS));
        assert!((profile.engagement - 0.8).abs() < 1e-9);
        for _ in 0..5 {
            profile.observe("content_reading", Some("music"), 0.9);
        }
        assert_eq!(profile.interest(), Some("music"));
        profile.observe("abandon", None, 0.0);
        assert!(profile.engagement < 0.75);
    }
}
