//! What every policy must hold to, whatever it learns.
#![expect(clippy::unwrap_used, reason = "strategies and helpers that clippy does not see as tests")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use upswing_domain::{Context, ContextValue, PolicyConfig, Reward, VersionId};
use upswing_learn::{LearnerState, Observation, StateError};

const POLICIES: [PolicyConfig; 6] = [
    PolicyConfig::Fixed,
    PolicyConfig::EpsilonGreedy { epsilon: 0.1 },
    PolicyConfig::Thompson,
    PolicyConfig::LinearThompson { floor: 0.0 },
    PolicyConfig::LinearThompson { floor: 0.01 },
    PolicyConfig::LinUcb { width: 1.0 },
];

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    version: VersionId,
    context: Option<Context>,
    old: Option<Reward>,
    new: Option<Reward>,
}

impl Entry {
    fn observation(&self) -> Observation<'_> {
        let (context, old, new) = (self.context.as_ref(), self.old, self.new);
        Observation { version: self.version, context, propensity: 0.5, old, new }
    }
}

fn version(i: u8) -> VersionId {
    VersionId([i; 32])
}

fn observe(state: &mut LearnerState, entries: &[Entry]) {
    state.observe(&entries.iter().map(Entry::observation).collect::<Vec<_>>());
}

fn learned(config: PolicyConfig, entries: &[Entry]) -> LearnerState {
    let mut state = LearnerState::new(config);
    observe(&mut state, entries);
    state
}

fn context(values: impl IntoIterator<Item = (String, ContextValue)>) -> Context {
    Context::new(values.into_iter().collect()).unwrap()
}

fn values() -> impl Strategy<Value = ContextValue> {
    prop_oneof![
        any::<bool>().prop_map(ContextValue::Flag),
        (0..5_u8).prop_map(|c| ContextValue::Category(format!("c{c}"))),
        prop_oneof![-1e3..1e3, any::<f64>().prop_filter("finite", |x| x.is_finite())]
            .prop_map(ContextValue::Number),
    ]
}

fn contexts() -> impl Strategy<Value = Option<Context>> {
    let keys = prop::collection::btree_map("[a-e]", values(), 0..5);
    prop::option::weighted(0.9, keys.prop_map(|values: BTreeMap<_, _>| Context::new(values).unwrap()))
}

fn rewards() -> impl Strategy<Value = Reward> {
    (0..=1_000_000_i64).prop_map(|m| Reward::from_millionths(m).unwrap())
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let entry = (1..5_u8, contexts(), rewards());
    let entry =
        entry.prop_map(|(v, context, new)| Entry { version: version(v), context, old: None, new: Some(new) });
    prop::collection::vec(entry, 1..60)
}

fn sane(probabilities: &[f64]) {
    assert!(probabilities.iter().all(|p| (0.0..=1.0).contains(p)), "{probabilities:?}");
    assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{probabilities:?}");
}

fn asked(state: &LearnerState, entries: &[Entry]) -> Vec<Vec<u64>> {
    let eligible: Vec<VersionId> = (1..=5).map(version).collect();
    let snapshot = state.snapshot();
    let ask = |entry: &Entry| {
        let probabilities = snapshot.probabilities(entry.context.as_ref(), &eligible);
        sane(&probabilities);
        probabilities.into_iter().map(f64::to_bits).collect()
    };
    entries.iter().map(ask).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_restored_state_has_the_same_future(entries in entries(), at in 0..60_usize) {
        let (first, second) = entries.split_at(at.min(entries.len()));
        for config in POLICIES {
            let mut state = learned(config, first);
            let mut restored = LearnerState::from_bytes(&state.to_bytes()).unwrap();
            prop_assert_eq!(&restored, &state);
            observe(&mut state, second);
            observe(&mut restored, second);
            prop_assert_eq!(state.to_bytes(), restored.to_bytes());
            prop_assert_eq!(asked(&state, &entries), asked(&restored, &entries));
        }
    }

    #[test]
    fn order_and_batches_do_not_matter(
        (entries, shuffled) in entries().prop_flat_map(|e| (Just(e.clone()), Just(e).prop_shuffle())),
        size in 1..10_usize,
    ) {
        for config in POLICIES {
            let whole = learned(config, &entries);
            let mut pieces = LearnerState::new(config);
            shuffled.chunks(size).for_each(|batch| observe(&mut pieces, batch));
            prop_assert_eq!(whole.to_bytes(), pieces.to_bytes());
            prop_assert_eq!(asked(&whole, &entries), asked(&pieces, &entries));
        }
    }

    #[test]
    fn a_revision_is_as_if_the_new_reward_had_come_first(entries in entries(), later in rewards(), revise in 0..60_usize) {
        let revise = revise % entries.len();
        let mut clean = entries.clone();
        clean[revise].new = Some(later);
        let mut revised = entries.clone();
        revised.push(Entry { old: entries[revise].new, new: Some(later), ..entries[revise].clone() });
        // Also the other way round: the ledger's order is not assumed.
        revised.reverse();
        for config in POLICIES {
            prop_assert_eq!(learned(config, &revised).to_bytes(), learned(config, &clean).to_bytes());
        }
    }

    #[test]
    fn an_erasure_is_as_if_it_had_never_been(entries in entries(), erased in prop::collection::vec(any::<bool>(), 60)) {
        let mut ledger = entries.clone();
        let mut clean = Vec::new();
        for (entry, erased) in entries.iter().zip(erased) {
            if erased {
                ledger.push(Entry { old: entry.new, new: None, ..entry.clone() });
            } else {
                clean.push(entry.clone());
            }
        }
        for config in POLICIES {
            let (state, expected) = (learned(config, &ledger), learned(config, &clean));
            prop_assert_eq!(state.to_bytes(), expected.to_bytes());
            prop_assert_eq!(state.observations(), clean.len() as u64);
        }
    }

    #[test]
    fn damaged_bytes_are_refused(entries in entries(), at in any::<prop::sample::Index>(), bit in 0..8_u8, cut in any::<prop::sample::Index>()) {
        let bytes = learned(PolicyConfig::default(), &entries).to_bytes();
        let mut flipped = bytes.clone();
        flipped[at.index(bytes.len())] ^= 1 << bit;
        prop_assert!(LearnerState::from_bytes(&flipped).is_err());
        prop_assert!(LearnerState::from_bytes(&bytes[..cut.index(bytes.len())]).is_err());
    }

    #[test]
    fn other_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(LearnerState::from_bytes(&bytes).is_err());
    }
}

#[test]
fn another_encoder_or_layout_is_named() {
    let bytes = LearnerState::new(PolicyConfig::default()).to_bytes();
    let (mut encoder, mut layout) = (bytes.clone(), bytes);
    encoder[0] ^= 0xFF;
    layout[2] ^= 0xFF;
    assert!(matches!(LearnerState::from_bytes(&encoder), Err(StateError::Encoder { .. })));
    assert!(matches!(LearnerState::from_bytes(&layout), Err(StateError::State { .. })));
}

fn hostile() -> Vec<Option<Context>> {
    let numbers =
        [1e308, -1e308, -0.0, 0.0, 5e-324, -5e-324, f64::MIN_POSITIVE, f64::MAX, f64::MIN, f64::EPSILON];
    let many = |f: &dyn Fn(usize) -> ContextValue| Some(context((0..32).map(|i| (format!("key {i}"), f(i)))));
    vec![
        None,
        Some(Context::default()),
        many(&|i| ContextValue::Number(numbers[i % numbers.len()])),
        many(&|i| ContextValue::Category("x".repeat(i * 6))),
        many(&|i| ContextValue::Flag(i % 2 == 0)),
        Some(context([("\u{1F600}".to_owned(), ContextValue::Category(String::new()))])),
    ]
}

#[test]
fn hostile_contexts_give_probabilities() {
    for config in POLICIES {
        for count in [1, 2, 3, 50] {
            let eligible: Vec<VersionId> = (1..=count).map(version).collect();
            let mut state = LearnerState::new(config);
            for round in 0..4_u8 {
                for context in hostile() {
                    sane(&state.snapshot().probabilities(context.as_ref(), &eligible));
                    // Version 60 is never eligible, the last ones are never tried, and rewards may not vary at all.
                    for v in [1, 2, 60] {
                        let new =
                            Reward::from_millionths(if round < 2 { 1_000_000 } else { i64::from(v) }).ok();
                        observe(
                            &mut state,
                            &[Entry { version: version(v), context: context.clone(), old: None, new }],
                        );
                    }
                }
            }
            for context in hostile() {
                sane(&state.snapshot().probabilities(context.as_ref(), &eligible));
            }
        }
        assert!(LearnerState::new(config).snapshot().probabilities(None, &[]).is_empty());
    }
}

#[test]
fn a_version_never_tried_is_explored() {
    let context = Some(context([("task".to_owned(), ContextValue::Category("sum".to_owned()))]));
    for config in POLICIES.into_iter().filter(|c| *c != PolicyConfig::Fixed) {
        let mut state = LearnerState::new(config);
        for i in 0..200_i64 {
            let new = Reward::from_millionths(400_000 + (i % 3) * 100_000).ok();
            observe(&mut state, &[Entry { version: version(1), context: context.clone(), old: None, new }]);
        }
        let p = state.snapshot().probabilities(context.as_ref(), &[version(1), version(2)]);
        assert!(p[1] > 0.1, "{config:?} {p:?}");
    }
}

#[test]
fn a_floor_is_kept() {
    let mut state = LearnerState::new(PolicyConfig::LinearThompson { floor: 0.05 });
    for (v, m) in [(1, 1_000_000), (2, 0), (3, 0)] {
        let entry =
            Entry { version: version(v), context: None, old: None, new: Reward::from_millionths(m).ok() };
        (0..100).for_each(|_| observe(&mut state, std::slice::from_ref(&entry)));
    }
    let p = state.snapshot().probabilities(None, &[version(1), version(2), version(3)]);
    assert!(p[1] >= 0.05 - 1e-12 && p[2] >= 0.05 - 1e-12 && p[0] > 0.89, "{p:?}");
    let many: Vec<VersionId> = (1..=40).map(version).collect();
    sane(&state.snapshot().probabilities(None, &many));
}

#[test]
fn summaries_are_exact() {
    let mut state = LearnerState::new(PolicyConfig::Thompson);
    for (v, m) in [(1, 0), (1, 1_000_000), (1, 500_000), (2, 250_000)] {
        let entry =
            Entry { version: version(v), context: None, old: None, new: Reward::from_millionths(m).ok() };
        observe(&mut state, &[entry]);
    }
    let arms = state.snapshot().arms();
    assert_eq!((arms[0].count, arms[1].count, arms.len()), (3, 1, 2));
    assert!((arms[0].mean_reward - 0.5).abs() < 1e-12 && (arms[1].mean_reward - 0.25).abs() < 1e-12);
    // Sample variance 1/4 over three.
    assert!((arms[0].standard_error.unwrap() - (0.25_f64 / 3.0).sqrt()).abs() < 1e-12);
    assert_eq!(arms[1].standard_error, None);
}

#[test]
fn another_policy_takes_over_what_suffices() {
    let context = Some(context([("task".to_owned(), ContextValue::Category("sum".to_owned()))]));
    let entry = Entry { version: version(1), context, old: None, new: Some(Reward::ONE) };
    let linear = learned(PolicyConfig::default(), std::slice::from_ref(&entry));
    let thompson = learned(PolicyConfig::Thompson, std::slice::from_ref(&entry));
    assert_eq!(linear.with_config(PolicyConfig::Thompson).unwrap(), thompson);
    assert_eq!(thompson.with_config(PolicyConfig::default()), None);
    let ucb = PolicyConfig::LinUcb { width: 2.0 };
    assert_eq!(linear.with_config(ucb).unwrap(), learned(ucb, &[entry]));
}

#[test]
fn memory_is_bounded_under_many_categories() {
    let size = |n: u32| {
        let mut state = LearnerState::new(PolicyConfig::default());
        for i in 0..n {
            let values = [
                ("user".to_owned(), ContextValue::Category(format!("user {i}"))),
                ("plan".to_owned(), ContextValue::Category(format!("plan {}", i % 3))),
            ];
            let new = Reward::from_millionths(i64::from(i % 2) * 1_000_000).ok();
            observe(
                &mut state,
                &[Entry { version: version(1), context: Some(context(values)), old: None, new }],
            );
        }
        let eligible = [version(1), version(2)];
        sane(&state.snapshot().probabilities(None, &eligible));
        state.to_bytes().len()
    };
    // The pairs that can occur here are those of 512 slots of categories among themselves and with 1,024 of crosses, some
    // 650,000 at three to four bytes; growth slows down long before.
    let (some, many) = (size(10_000), size(100_000));
    assert!(many < 8 * some && many < 1_000_000, "{some} {many}");
}
