//! How far an account is believed, when others may lie in concert with it.
//!
//! When to use: where many pseudonymous accounts report a few rewards each and some of them may belong together. Caps do
//! not help against these: each stays below them. What gives them away is that they agree with one another beyond what the
//! versions explain: honest reports about one version scatter, a script's do not, and it contradicts the others in the same
//! way in each of its accounts. [`Reputation`] fits a mixture of honest classes and a script (see `mixture.rs`) to the
//! counts of reports by account, version and answer. Without evidence for a script all weigh 1. With it, an account weighs
//! the probability that what it says depends on what was served, as it does with typical people: those who follow the script
//! are set aside, and with them those who always say the same, whom nobody can tell from a script while only one version is
//! served, and who say nothing about which version is better.
//!
//! Weighting by that probability does not bend what the others say: under the mixture, the weighted sum over all accounts
//! of any function of their reports has the expectation of the same sum over the typical alone. Also accounts with a single
//! report, of which nobody can say whether they lie, are thus right on the whole.
//!
//! Assumes: the script's accounts are fewer than the others; honest reports about an [`Item`] have something in common, so
//! where a policy decides by context, an item is a version *in a segment*; one script at a time. What cannot be told from
//! reports is told nowhere: a group of people that always loves what all others always hate *is* a script, as far as any
//! method on reports alone can see. See `docs/trust.md` for what this does and does not withstand, in numbers.
//!
//! Counts are integers and can be taken back. Pure: no clock and no randomness, equal counts give equal weights.
//!
//! ```
//! use upswing_domain::{Pseudonym, Reward, VersionId};
//! use upswing_trust::{Item, Reputation, Weight};
//!
//! let (account, item) = (Pseudonym([7; 18]), Item { version: VersionId([1; 32]), segment: 0 });
//! let mut reputation = Reputation::new(10_000);
//! reputation.observe(account, item, None, Some(Reward::ONE));
//! assert!(reputation.refit().changed.is_empty());
//! assert_eq!(reputation.weight(account), Weight::ONE);
//! ```

mod mixture;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use upswing_domain::{Pseudonym, Reward, VersionId};

use crate::Weight;
pub use mixture::Direction;
use mixture::{ANSWERS, Cell};

/// Changes when the layout of a serialised state, or the meaning of what is in it, changes.
pub const REPUTATION_VERSION: u16 = 2;

/// A weight that differs by less from the one that entries carry is not worth revising them for.
const DEADBAND: f64 = 0.02;

/// What accounts report on: a version, in the segment of the context by which the policy decides. Without a context, or
/// where the policy does not look at it, all segments are 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Item {
    /// The version that served.
    pub version: VersionId,
    /// The caller's number for the segment.
    pub segment: u16,
}

/// An account, and what its ledger entries weigh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Account {
    cells: Vec<Cell>,
    /// What was last handed out for it.
    weight: Weight,
}

/// A weight that is no longer what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Whose.
    pub account: Pseudonym,
    /// What its entries weigh until now.
    pub old: Weight,
    /// What they should weigh.
    pub new: Weight,
}

/// What a fit found.
#[derive(Debug, Clone, PartialEq)]
pub struct Refit {
    /// Accounts whose entries should be weighed anew, in the order of pseudonyms.
    pub changed: Vec<Change>,
    /// The script, where there is evidence for one.
    pub suspicion: Option<Suspicion>,
}

/// Evidence that accounts act in concert, as an operator would want to see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Suspicion {
    /// The probability that there is such a group.
    pub certainty: f64,
    /// Its share of the accounts.
    pub share: f64,
    /// How often its accounts do as the script says.
    pub consistency: f64,
    /// What the script says, by item.
    pub script: Vec<(Item, Direction)>,
}

/// What is known of an agent's accounts: what they reported, and what they weigh since the last fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reputation {
    largest: usize,
    items: Vec<Item>,
    accounts: BTreeMap<Pseudonym, Account>,
}

/// Pseudonyms are bytes in a state.
#[derive(Serialize, Deserialize)]
struct Stored {
    version: u16,
    largest: u64,
    items: Vec<Item>,
    accounts: Vec<([u8; 18], Account)>,
}

/// A serialised state that is none, or one of another layout. The caller folds the ledger again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the reputations cannot be read as layout {REPUTATION_VERSION}: fold the ledger again")]
pub struct Unreadable;

impl Reputation {
    /// How many items are told apart. Reports on further ones are not counted until [`Reputation::forget`] makes room.
    pub const MAX_ITEMS: usize = 64;

    /// Nothing known, with room for that many accounts (at least one): some 100 bytes each for a handful of versions.
    pub fn new(accounts: usize) -> Self {
        Self { largest: accounts.max(1), items: Vec::new(), accounts: BTreeMap::new() }
    }

    /// How many accounts are known.
    pub fn accounts(&self) -> usize {
        self.accounts.len()
    }

    /// Folds one change of an account's reward for an item in: `old` and `new` as in the ledger. O(log accounts), unless
    /// the account is new and there is no room: then those with the fewest reports, an eighth of all, are dropped.
    /// Who is dropped weighs what it weighed; when it comes again it is new, so floods of accounts that say little cannot
    /// push out what is known of those that say much.
    pub fn observe(&mut self, account: Pseudonym, item: Item, old: Option<Reward>, new: Option<Reward>) {
        let Some(item) = self.item(item) else { return };
        if !self.accounts.contains_key(&account) {
            if new.is_none() {
                return;
            }
            if self.accounts.len() >= self.largest {
                self.evict();
            }
        }
        let entry =
            self.accounts.entry(account).or_insert(Account { cells: Vec::new(), weight: Weight::ONE });
        let place = match entry.cells.binary_search_by_key(&item, |cell| cell.item) {
            Ok(place) => place,
            Err(place) => {
                entry.cells.insert(place, Cell { item, counts: [0; ANSWERS] });
                place
            }
        };
        let counts = &mut entry.cells[place].counts;
        // What was dropped may be taken back later: then there is nothing left to take.
        if let Some(old) = old {
            let count = &mut counts[answer(old)];
            *count = count.saturating_sub(1);
        }
        if let Some(new) = new {
            let count = &mut counts[answer(new)];
            *count = count.saturating_add(1);
        }
        if counts.iter().all(|&c| c == 0) {
            entry.cells.remove(place);
        }
        if entry.cells.is_empty() {
            self.accounts.remove(&account);
        }
    }

    /// What an account's entries weigh: as said by the last [`Reputation::refit`], also those that came since, so that all
    /// of them weigh the same. One that is new since then weighs 1. O(log accounts).
    pub fn weight(&self, account: Pseudonym) -> Weight {
        self.accounts.get(&account).map_or(Weight::ONE, |known| known.weight)
    }

    /// Whether something is counted of an account. Of one that is not known the last fit says nothing.
    pub fn knows(&self, account: Pseudonym) -> bool {
        self.accounts.contains_key(&account)
    }

    /// Fits the mixture to all counts, and says which accounts' entries weigh something else from now on: those that moved
    /// by more than 0.02. O(accounts), some tens of passes: 30 ms for two
    /// thousand.
    pub fn refit(&mut self) -> Refit {
        let versions: BTreeMap<VersionId, usize> = {
            let mut ids: Vec<VersionId> = self.items.iter().map(|item| item.version).collect();
            ids.sort_unstable();
            ids.dedup();
            ids.into_iter().enumerate().map(|(i, id)| (id, i)).collect()
        };
        let version_of: Vec<usize> =
            self.items.iter().map(|item| versions.get(&item.version).copied().unwrap_or(0)).collect();
        let cells: Vec<&[Cell]> = self.accounts.values().map(|account| account.cells.as_slice()).collect();
        let mixture = mixture::fit(&cells, &version_of);
        let tables = mixture.tables();
        let mut changed = Vec::new();
        for (&pseudonym, account) in &mut self.accounts {
            let new = Weight::nearest(1.0 - mixture.set_aside(&tables, &account.cells));
            if (new.get() - account.weight.get()).abs() > DEADBAND {
                changed.push(Change { account: pseudonym, old: account.weight, new });
                account.weight = new;
            }
        }
        let suspicion = (mixture.certainty > 0.5).then(|| Suspicion {
            certainty: mixture.certainty,
            share: mixture.share(),
            consistency: mixture.consistency,
            script: self.items.iter().copied().zip(mixture.directions.iter().copied()).collect(),
        });
        Refit { changed, suspicion }
    }

    /// Forgets what was said of a version that serves no longer, so that its items make room. Weights are as they were until
    /// the next fit.
    pub fn forget(&mut self, version: VersionId) {
        let mut place = Vec::with_capacity(self.items.len());
        let mut kept = Vec::new();
        for item in &self.items {
            place.push(u8::try_from(kept.len()).ok().filter(|_| item.version != version));
            if item.version != version {
                kept.push(*item);
            }
        }
        self.items = kept;
        self.accounts.retain(|_, account| {
            account.cells.retain_mut(|cell| match place.get(usize::from(cell.item)).copied().flatten() {
                Some(item) => {
                    cell.item = item;
                    true
                }
                None => false,
            });
            !account.cells.is_empty()
        });
    }

    /// The state as bytes. Equal histories give equal bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let stored = Stored {
            version: REPUTATION_VERSION,
            largest: self.largest as u64,
            items: self.items.clone(),
            accounts: self.accounts.iter().map(|(id, account)| (id.0, account.clone())).collect(),
        };
        // Writing plain values to memory does not fail; were it to, the state reads as damaged and is rebuilt.
        postcard::to_stdvec(&stored).unwrap_or_default()
    }

    /// Reads what [`Reputation::to_bytes`] wrote.
    ///
    /// # Errors
    /// When it is something else. It means: fold the ledger again.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        let stored: Stored = postcard::from_bytes(bytes).map_err(|_| Unreadable)?;
        let items = stored.items.len();
        let sound = |account: &Account| account.cells.iter().all(|cell| usize::from(cell.item) < items);
        if stored.version != REPUTATION_VERSION
            || items > Self::MAX_ITEMS
            || !stored.accounts.iter().all(|(_, account)| sound(account))
        {
            return Err(Unreadable);
        }
        Ok(Self {
            largest: usize::try_from(stored.largest).map_err(|_| Unreadable)?.max(1),
            items: stored.items,
            accounts: stored.accounts.into_iter().map(|(id, account)| (Pseudonym(id), account)).collect(),
        })
    }

    fn item(&mut self, item: Item) -> Option<u8> {
        let place = self.items.iter().position(|known| *known == item).or_else(|| {
            (self.items.len() < Self::MAX_ITEMS).then(|| {
                self.items.push(item);
                self.items.len() - 1
            })
        })?;
        u8::try_from(place).ok()
    }

    fn evict(&mut self) {
        let mut by_reports: Vec<(u64, Pseudonym)> =
            self.accounts.iter().map(|(id, account)| (reports(account), *id)).collect();
        by_reports.sort_unstable();
        let dropped = (self.largest / 8).max(1);
        for (_, id) in by_reports.into_iter().take(dropped) {
            self.accounts.remove(&id);
        }
    }
}

fn reports(account: &Account) -> u64 {
    account.cells.iter().flat_map(|cell| cell.counts).map(u64::from).sum()
}

/// The answer that a reward is: as many as there are stars, at equal distances.
fn answer(reward: Reward) -> usize {
    ((reward.get() * (ANSWERS - 1) as f64).round() as usize).min(ANSWERS - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn account(i: u64) -> Pseudonym {
        let mut bytes = [0; 18];
        bytes[..8].copy_from_slice(&i.to_le_bytes());
        Pseudonym(bytes)
    }

    fn item(version: u8, segment: u16) -> Item {
        Item { version: VersionId([version; 32]), segment }
    }

    /// SplitMix64.
    struct Random(u64);

    impl Random {
        fn uniform(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut x = self.0;
            x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((x ^ (x >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
        }
        fn thumb(&mut self, p: f64) -> Option<Reward> {
            Some(if self.uniform() < p { Reward::ONE } else { Reward::ZERO })
        }
    }

    /// `reports` of each of 1,000 accounts on two versions with means 0.7 and 0.6; the first `liars` praise the second alone.
    fn crowd(liars: u64, reports: usize) -> Reputation {
        let mut random = Random(1);
        let mut reputation = Reputation::new(10_000);
        for i in 0..1_000 {
            for _ in 0..reports {
                let first = random.uniform() < 0.5;
                let (version, honest) = if first { (1, 0.7) } else { (2, 0.6) };
                let said = random.thumb(honest);
                let lie = Some(if first { Reward::ZERO } else { Reward::ONE });
                reputation.observe(account(i), item(version, 0), None, if i < liars { lie } else { said });
            }
        }
        reputation
    }

    fn mean(reputation: &Reputation, accounts: std::ops::Range<u64>) -> f64 {
        let n = (accounts.end - accounts.start) as f64;
        accounts.map(|i| reputation.weight(account(i)).get()).sum::<f64>() / n
    }

    #[test]
    fn without_an_attack_nobody_is_suspected() {
        let mut reputation = crowd(0, 6);
        let found = reputation.refit();
        assert_eq!(found.suspicion, None);
        assert!(mean(&reputation, 0..1_000) > 0.99);
    }

    #[test]
    fn a_script_is_found_and_named() {
        let mut reputation = crowd(100, 8);
        let found = reputation.refit();
        let suspicion = found.suspicion.unwrap();
        let mut script = suspicion.script.clone();
        script.sort_by_key(|(item, _)| *item);
        assert_eq!(script, [(item(1, 0), Direction::Condemn), (item(2, 0), Direction::Praise)]);
        // Honest accounts with eight reports look like the script by chance in 0.35^8 of cases, so the share is exact but for
        // the prior's one account a class.
        assert!((suspicion.share - 0.1).abs() < 0.01 && suspicion.consistency > 0.9, "{suspicion:?}");
        assert!(mean(&reputation, 0..100) < 0.05, "{}", mean(&reputation, 0..100));
        assert!(mean(&reputation, 100..1_000) > 0.97, "{}", mean(&reputation, 100..1_000));
    }

    /// Of a single account nobody can say; weighted by what can be said, the honest mean is right all the same.
    #[test]
    fn weighted_sums_are_those_of_the_honest() {
        let mut reputation = crowd(100, 4);
        reputation.refit();
        let (mut plain, mut weighted) = ((0.0, 0.0), (0.0, 0.0));
        for known in reputation.accounts.values() {
            let first =
                known.cells.iter().find(|cell| reputation.items[usize::from(cell.item)].version.0[0] == 1);
            let Some(cell) = first else { continue };
            let (w, n) = (known.weight.get(), f64::from(cell.counts[0] + cell.counts[4]));
            let good = f64::from(cell.counts[4]);
            plain = (plain.0 + good, plain.1 + n);
            weighted = (weighted.0 + w * good, weighted.1 + w * n);
        }
        // 1,800 honest reports: three standard errors of the mean of 0.7 are 0.032. The attack moves the plain mean by 0.07.
        assert!((weighted.0 / weighted.1 - 0.7).abs() < 0.032, "{weighted:?}");
        assert!(plain.0 / plain.1 < 0.66, "{plain:?}");
    }

    #[test]
    fn people_who_are_never_pleased_are_no_attack() {
        let mut random = Random(2);
        let mut reputation = Reputation::new(10_000);
        for i in 0..1_000 {
            for _ in 0..8 {
                let (version, honest) = if random.uniform() < 0.5 { (1, 0.7) } else { (2, 0.6) };
                let said = random.thumb(if i < 100 { 0.0 } else { honest });
                reputation.observe(account(i), item(version, 0), None, said);
            }
        }
        reputation.refit();
        assert!(mean(&reputation, 0..100) > 0.95, "{}", mean(&reputation, 0..100));
    }

    /// While there is an attack they are its mask, and nothing about the order of versions is lost with them.
    #[test]
    fn while_there_is_a_script_who_always_says_the_same_is_set_aside() {
        let mut reputation = crowd(100, 8);
        let (never, always) = (1_000..1_030, 1_030..1_060);
        for i in never.start..always.end {
            // So often that nobody typical would, also of those who are easily pleased.
            for n in 0..30 {
                let said = if never.contains(&i) { Reward::ZERO } else { Reward::ONE };
                reputation.observe(account(i), item(1 + n % 2, 0), None, Some(said));
            }
        }
        reputation.refit();
        for same in [never, always] {
            // Below a half the server does not believe an account.
            assert!(mean(&reputation, same.clone()) < 0.5, "{}", mean(&reputation, same));
        }
        // Who is typical and praised all eight times by chance (0.65^8: 3 %) looks like these, and whoever did so seven times
        // (14 %) may: if half of them were taken for these, 0.9 would be left.
        assert!(mean(&reputation, 100..1_000) > 0.85, "{}", mean(&reputation, 100..1_000));
    }

    /// Where a segment as a whole sees it differently, it is not in concert: it has items of its own.
    #[test]
    fn a_segment_with_its_own_best_version_is_believed() {
        let mut random = Random(3);
        let mut reputation = Reputation::new(10_000);
        for i in 0..1_000 {
            let other = i < 200;
            for _ in 0..8 {
                let first = random.uniform() < 0.5;
                let p = if first == other { 0.1 } else { 0.9 };
                reputation.observe(
                    account(i),
                    item(if first { 1 } else { 2 }, other.into()),
                    None,
                    random.thumb(p),
                );
            }
        }
        reputation.refit();
        assert!(mean(&reputation, 0..200) > 0.95, "{}", mean(&reputation, 0..200));
    }

    #[test]
    fn a_state_is_restored_as_it_was() {
        let mut reputation = crowd(100, 5);
        reputation.refit();
        let mut restored = Reputation::from_bytes(&reputation.to_bytes()).unwrap();
        assert_eq!(restored, reputation);
        assert_eq!(restored.refit(), reputation.refit());
        let bytes = reputation.to_bytes();
        assert!(Reputation::from_bytes(&bytes[..bytes.len() / 2]).is_err());
        assert!(Reputation::from_bytes(&[]).is_err());
    }

    #[test]
    fn memory_is_bounded_and_those_who_said_much_stay() {
        let mut reputation = Reputation::new(100);
        for _ in 0..5 {
            reputation.observe(account(7), item(1, 0), None, Some(Reward::ONE));
        }
        for i in 1_000..3_000 {
            reputation.observe(account(i), item(1, 0), None, Some(Reward::ZERO));
            assert!(reputation.accounts() <= 100);
        }
        assert!(reputation.knows(account(7)) && !reputation.knows(account(1_000)));
        for version in 0..=255 {
            reputation.observe(account(7), item(version, 1), None, Some(Reward::ONE));
        }
        assert_eq!(reputation.items.len(), Reputation::MAX_ITEMS);
        reputation.forget(VersionId([1; 32]));
        assert!(reputation.items.iter().all(|item| item.version.0[0] != 1));
        reputation.refit();
    }

    #[test]
    fn nothing_and_one_version_can_be_fitted() {
        let mut reputation = Reputation::new(10);
        assert_eq!(reputation.refit(), Refit { changed: Vec::new(), suspicion: None });
        reputation.observe(account(1), item(1, 0), None, Some(Reward::ZERO));
        assert_eq!(reputation.refit().suspicion, None);
    }

    fn reports() -> impl Strategy<Value = Vec<(u64, u8, u32)>> {
        prop::collection::vec((0..6_u64, 1..4_u8, 0..=4_u32), 0..60)
    }

    proptest! {
        #[test]
        fn what_is_taken_back_leaves_nothing(kept in reports(), taken in reports()) {
            let reward = |stars: u32| Reward::from_millionths(i64::from(stars) * 250_000).ok();
            let mut clean = Reputation::new(100);
            (1..4).for_each(|v| { clean.item(item(v, 0)); });
            let mut revised = clean.clone();
            for (who, version, stars) in &kept {
                clean.observe(account(*who), item(*version, 0), None, reward(*stars));
                revised.observe(account(*who), item(*version, 0), None, reward(*stars));
            }
            for (who, version, stars) in &taken {
                revised.observe(account(*who), item(*version, 0), None, reward(*stars));
            }
            for (who, version, stars) in &taken {
                revised.observe(account(*who), item(*version, 0), reward(*stars), None);
            }
            prop_assert_eq!(&clean, &revised);
            prop_assert_eq!(clean.refit(), revised.refit());
        }

        #[test]
        fn the_order_of_reports_does_not_matter(mut some in reports(), seed in any::<u64>()) {
            let reward = |stars: u32| Reward::from_millionths(i64::from(stars) * 250_000).ok();
            let fold = |some: &[(u64, u8, u32)]| {
                let mut reputation = Reputation::new(100);
                (1..4).for_each(|v| { reputation.item(item(v, 0)); });
                for (who, version, stars) in some {
                    reputation.observe(account(*who), item(*version, 0), None, reward(*stars));
                }
                reputation.refit();
                reputation.to_bytes()
            };
            let before = fold(&some);
            let mut random = Random(seed);
            some.sort_by_cached_key(|_| (random.uniform() * 1e9) as u64);
            prop_assert_eq!(before, fold(&some));
        }

        #[test]
        fn damaged_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(mut reputation) = Reputation::from_bytes(&bytes) {
                reputation.refit();
            }
        }
    }
}
