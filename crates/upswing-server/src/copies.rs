//! What was written within the last hour, so that a copy is known as one before it is accepted.
//!
//! In memory, of this server: it raises a spam score. What counts is decided by the store, for 30 days, over all servers
//! (`Standing::NearDuplicate`).

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use upswing_domain::{ExecutionId, OrganisationId, Pseudonym, Timestamp};
use upswing_trust::{Fingerprint, same};

/// Texts that are remembered: some 500 bytes each.
const REMEMBERED: usize = 8_192;
/// Candidates that are compared under one key: more than any score distinguishes.
const COMPARED: usize = 64;
const HOUR: i64 = 3_600_000_000;

/// A text as it is compared, and whose it is.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) organisation: OrganisationId,
    pub(crate) author: Option<Pseudonym>,
    pub(crate) execution: Option<ExecutionId>,
    pub(crate) at: Timestamp,
    pub(crate) fingerprint: Fingerprint,
}

/// How many texts this one is a copy of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Copies {
    /// Of the same author.
    pub(crate) own: u32,
    /// Of others, and of nobody in particular.
    pub(crate) others: u32,
}

/// Texts of the last hour.
#[derive(Debug, Default)]
pub(crate) struct Texts(Mutex<Recent>);

#[derive(Debug, Default)]
struct Recent {
    texts: VecDeque<Written>,
    /// The number of the oldest text that is remembered.
    first: u64,
    by_key: HashMap<(OrganisationId, i64), VecDeque<u64>>,
}

impl Texts {
    /// How many texts of the hour before are nearly this one. What the same author said of the same execution is not counted:
    /// it may be the same request again. O(keys * 64).
    pub(crate) fn copies(&self, text: &Written) -> Copies {
        let recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = text.fingerprint.keys();
        let places = keys.iter().filter_map(|key| recent.by_key.get(&(text.organisation, *key)));
        let places: BTreeSet<u64> =
            places.flat_map(|places| places.iter().rev().take(COMPARED)).copied().collect();
        let mut copies = Copies::default();
        for earlier in places.into_iter().filter_map(|place| recent.at(place)) {
            let again = text.execution.is_some()
                && (earlier.author, earlier.execution) == (text.author, text.execution);
            let near = text.at.0.abs_diff(earlier.at.0) < HOUR.unsigned_abs();
            if again || !near || !same(&earlier.fingerprint, &text.fingerprint) {
                continue;
            }
            if text.author.is_some() && earlier.author == text.author {
                copies.own += 1;
            } else {
                copies.others += 1;
            }
        }
        copies
    }

    /// Remembers an accepted text.
    pub(crate) fn note(&self, text: Written) {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let old = |first: &Written| text.at.0 - first.at.0 >= HOUR;
        while recent.texts.len() >= REMEMBERED || recent.texts.front().is_some_and(old) {
            recent.forget_first();
        }
        let place = recent.first + recent.texts.len() as u64;
        for key in text.fingerprint.keys() {
            recent.by_key.entry((text.organisation, key)).or_default().push_back(place);
        }
        recent.texts.push_back(text);
    }
}

impl Recent {
    fn at(&self, place: u64) -> Option<&Written> {
        self.texts.get(usize::try_from(place.checked_sub(self.first)?).ok()?)
    }

    fn forget_first(&mut self) {
        let Some(text) = self.texts.pop_front() else { return };
        for key in text.fingerprint.keys() {
            let key = (text.organisation, key);
            if let Some(places) = self.by_key.get_mut(&key) {
                // Places are noted in order.
                while places.front().is_some_and(|place| *place <= self.first) {
                    places.pop_front();
                }
                if places.is_empty() {
                    self.by_key.remove(&key);
                }
            }
        }
        self.first += 1;
    }
}

#[cfg(test)]
mod tests {
    use upswing_trust::fingerprint;
    use uuid::Uuid;

    use super::*;

    const MINUTE: i64 = HOUR / 60;

    fn written(author: u8, execution: u128, minute: i64, text: &str) -> Written {
        Written {
            organisation: OrganisationId(Uuid::from_u128(1)),
            author: (author > 0).then_some(Pseudonym([author; 18])),
            execution: Some(ExecutionId(Uuid::from_u128(execution))),
            at: Timestamp(minute * MINUTE),
            fingerprint: fingerprint(text, &[7; 32]),
        }
    }

    const TEXT: &str = "This tool changed my life, everybody should try version two right now";

    #[test]
    fn copies_are_counted_by_whose_they_are_within_the_hour() {
        let texts = Texts::default();
        texts.note(written(1, 1, 0, TEXT));
        texts.note(written(2, 2, 30, "this tool changed my life!! everybody should try version 2 right now"));
        texts.note(written(0, 3, 40, TEXT));
        texts.note(written(3, 4, 41, "The second step of the recipe lacks salt and takes too long"));
        let copies = |author, execution, minute| texts.copies(&written(author, execution, minute, TEXT));
        assert_eq!(copies(1, 9, 59), Copies { own: 1, others: 2 });
        assert_eq!(copies(1, 9, 60), Copies { own: 0, others: 2 });
        assert_eq!(copies(2, 2, 50), Copies { own: 0, others: 2 }, "the same request again");
        assert_eq!(copies(0, 9, 50), Copies { own: 0, others: 3 });
        let elsewhere = OrganisationId(Uuid::from_u128(2));
        let other = Written { organisation: elsewhere, ..written(1, 9, 50, TEXT) };
        assert_eq!(texts.copies(&other), Copies::default());
    }

    #[test]
    fn memory_is_bounded_and_what_is_forgotten_leaves_nothing() {
        let texts = Texts::default();
        for n in 0..2 * REMEMBERED as u128 {
            texts.note(written(
                1,
                n,
                0,
                &format!("the very same words with {} and letter", "ab".repeat(n as usize % 97)),
            ));
        }
        assert_eq!(texts.0.lock().unwrap().texts.len(), REMEMBERED);
        texts.note(written(1, 1, 61, TEXT));
        let recent = texts.0.lock().unwrap();
        assert_eq!((recent.texts.len(), recent.by_key.len()), (1, 6));
    }
}
