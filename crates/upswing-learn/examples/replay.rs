//! Sequential replays of the default policy: recorded outcomes, and generated problems that differ in what matters.
//!
//! `cargo run --release -p upswing-learn --example replay -- [outcomes.jsonl] [runs] [only names containing]`
//!
//! Each line of the file is `{"context": {...}, "outcomes": {version: {"reward": r}}}`. Every event is decided on its
//! context and the chosen version's reward is observed at once. `gap` is the last quarter's mean of the best fixed version
//! by segment, chosen on all events, minus the policy's. Beside it a plain Thompson sampling kept for each segment apart.
//! "Segment" is the attribute `task`; of a generated problem, whatever decides.

use std::collections::BTreeMap;
use std::time::Instant;

use upswing_domain::{Context, ContextValue, PolicyConfig, Reward, VersionId};
use upswing_learn::{LearnerState, Observation, draw};

struct Event {
    context: Option<Context>,
    segment: String,
    rewards: Vec<f64>,
}

/// SplitMix64: examples need reproducible numbers, not good ones.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }
    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
    fn bernoulli(&mut self, p: f64) -> f64 {
        f64::from(u8::from(self.uniform() < p))
    }
}

fn context(values: Vec<(&str, ContextValue)>) -> Option<Context> {
    Context::new(values.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()).ok()
}

fn category(prefix: &str, i: usize) -> ContextValue {
    ContextValue::Category(format!("{prefix}{i}"))
}

fn version(i: usize) -> VersionId {
    VersionId([i as u8 + 1; 32])
}

fn segments_best(events: &[Event]) -> BTreeMap<&str, usize> {
    let mut sums: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for event in events {
        let sum = sums.entry(&event.segment).or_insert_with(|| vec![0.0; event.rewards.len()]);
        sum.iter_mut().zip(&event.rewards).for_each(|(s, r)| *s += r);
    }
    let best = |sums: Vec<f64>| (0..sums.len()).max_by(|&a, &b| sums[a].total_cmp(&sums[b])).unwrap_or(0);
    sums.into_iter().map(|(segment, sums)| (segment, best(sums))).collect()
}

struct Outcome {
    mean: f64,
    gap: f64,
}

fn shuffled(n: usize, seed: u64) -> Vec<usize> {
    let mut random = Random(seed ^ 0x00C0_FFEE);
    let mut order: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        order.swap(i, random.below(i + 1));
    }
    order
}

fn run(events: &[Event], seed: u64, mut choose: impl FnMut(&Event, usize) -> usize) -> Outcome {
    let best = segments_best(events);
    let order = shuffled(events.len(), seed);
    let (mut sum, mut late, mut reference) = (0.0, 0.0, 0.0);
    let quarter = events.len() - events.len() / 4;
    for (step, &index) in order.iter().enumerate() {
        let event = &events[index];
        let reward = event.rewards[choose(event, step)];
        sum += reward;
        if step >= quarter {
            late += reward;
            reference += event.rewards[best[event.segment.as_str()]];
        }
    }
    let n = events.len() as f64;
    Outcome { mean: sum / n, gap: (reference - late) / (events.len() - quarter) as f64 }
}

fn policy(events: &[Event], seed: u64, config: PolicyConfig) -> Outcome {
    let mut state = LearnerState::new(config);
    let eligible: Vec<VersionId> = (0..events[0].rewards.len()).map(version).collect();
    let salt = format!("replay {seed}");
    run(events, seed, |event, step| {
        let snapshot = state.snapshot();
        let mut key = [0; 16];
        key[..8].copy_from_slice(&step.to_le_bytes());
        let probabilities = snapshot.probabilities(event.context.as_ref(), &eligible);
        let chosen = draw(&salt, &key, &probabilities);
        let new = Reward::new(event.rewards[chosen]).ok();
        let (version, propensity) = (eligible[chosen], probabilities[chosen]);
        state.observe(&[Observation {
            version,
            context: event.context.as_ref(),
            propensity,
            old: None,
            new,
        }]);
        chosen
    })
}

/// Gaussian Thompson sampling in each segment apart, which knows what the segment is.
fn baseline(events: &[Event], seed: u64) -> Outcome {
    let mut learners: BTreeMap<String, LearnerState> = BTreeMap::new();
    let eligible: Vec<VersionId> = (0..events[0].rewards.len()).map(version).collect();
    let salt = format!("baseline {seed}");
    run(events, seed, |event, step| {
        let state = learners
            .entry(event.segment.clone())
            .or_insert_with(|| LearnerState::new(PolicyConfig::Thompson));
        let mut key = [0; 16];
        key[..8].copy_from_slice(&step.to_le_bytes());
        let probabilities = state.snapshot().probabilities(None, &eligible);
        let chosen = draw(&salt, &key, &probabilities);
        let new = Reward::new(event.rewards[chosen]).ok();
        let (version, propensity) = (eligible[chosen], probabilities[chosen]);
        state.observe(&[Observation { version, context: None, propensity, old: None, new }]);
        chosen
    })
}

fn report(name: &str, events: &[Event], runs: u64) {
    let begin = Instant::now();
    let ours: Vec<Outcome> = (0..runs).map(|seed| policy(events, seed, PolicyConfig::default())).collect();
    let took = begin.elapsed().as_secs_f64() / (runs as f64 * events.len() as f64) * 1e6;
    let theirs: Vec<Outcome> = (0..runs).map(|seed| baseline(events, seed)).collect();
    let n = events.len() as f64;
    let best = segments_best(events);
    let reference = events.iter().map(|e| e.rewards[best[e.segment.as_str()]]).sum::<f64>() / n;
    let arms = events[0].rewards.len();
    let single = (0..arms).map(|a| events.iter().map(|e| e.rewards[a]).sum::<f64>() / n).fold(0.0, f64::max);
    let average = |o: &[Outcome], f: fn(&Outcome) -> f64| o.iter().map(f).sum::<f64>() / o.len() as f64;
    println!(
        "{name:28} best one {single:.4}  per segment {reference:.4} | default {:.4} gap {:+.4} | per-segment Thompson {:.4} gap {:+.4} | {took:.0} us",
        average(&ours, |o| o.mean),
        average(&ours, |o| o.gap),
        average(&theirs, |o| o.mean),
        average(&theirs, |o| o.gap),
    );
}

fn read(path: &str) -> Result<Vec<Event>, Box<dyn std::error::Error>> {
    let mut events = Vec::new();
    for line in std::fs::read_to_string(path)?.lines() {
        let value: serde_json::Value = serde_json::from_str(line)?;
        let context: Context = serde_json::from_value(value["context"].clone())?;
        let outcomes = value["outcomes"].as_object().ok_or("a line without outcomes")?;
        let mut names: Vec<&String> = outcomes.keys().collect();
        names.sort();
        let rewards = names.iter().map(|n| outcomes[*n]["reward"].as_f64().unwrap_or(0.0)).collect();
        let segment = context.get("task").map_or_else(String::new, ContextValue::label);
        events.push(Event { context: Some(context), segment, rewards });
    }
    Ok(events)
}

fn swapped(mut events: Vec<Event>) -> Vec<Event> {
    let tasks: Vec<String> = segments_best(&events).into_keys().map(str::to_owned).collect();
    for event in &mut events {
        if tasks.iter().position(|t| *t == event.segment).unwrap_or(0) % 2 == 1 {
            event.rewards.reverse();
        }
    }
    events
}

fn scaled(mut events: Vec<Event>, factor: f64) -> Vec<Event> {
    for event in &mut events {
        let values = event.context.iter().flat_map(Context::iter).map(|(k, v)| {
            let value = match v {
                ContextValue::Number(x) => ContextValue::Number(x * factor),
                other => other.clone(),
            };
            (k.to_owned(), value)
        });
        event.context = Context::new(values.collect()).ok();
    }
    events
}

fn generate(n: usize, seed: u64, mut event: impl FnMut(&mut Random) -> Event) -> Vec<Event> {
    let mut random = Random(seed);
    (0..n).map(|_| event(&mut random)).collect()
}

fn generated() -> Vec<(&'static str, Vec<Event>)> {
    let none = || String::new();
    let mut problems = Vec::new();
    let rates = [0.3, 0.35, 0.4, 0.45, 0.5];
    problems.push((
        "no context, 5 arms",
        generate(5000, 1, |r| Event {
            context: None,
            segment: none(),
            rewards: rates.iter().map(|&p| r.bernoulli(p)).collect(),
        }),
    ));
    problems.push((
        "no context, 0.50 or 0.52",
        generate(5000, 2, |r| Event {
            context: None,
            segment: none(),
            rewards: [0.50, 0.52].iter().map(|m| (m + 0.05 * r.normal()).clamp(0.0, 1.0)).collect(),
        }),
    ));
    problems.push((
        "rare conversions",
        generate(20000, 3, |r| Event {
            context: None,
            segment: none(),
            rewards: [0.01, 0.02, 0.03].iter().map(|&p| r.bernoulli(p)).collect(),
        }),
    ));
    problems.push((
        "rare conversions, category",
        generate(20000, 4, |r| {
            let k = r.below(4);
            let rewards = (0..3).map(|a| r.bernoulli(if a == k % 3 { 0.03 } else { 0.01 })).collect();
            Event { context: context(vec![("country", category("c", k))]), segment: k.to_string(), rewards }
        }),
    ));
    problems.push((
        "number, threshold 0.5",
        generate(5000, 5, |r| {
            let x = r.uniform();
            let high = x > 0.5;
            let rewards =
                vec![r.bernoulli(if high { 0.7 } else { 0.4 }), r.bernoulli(if high { 0.4 } else { 0.7 })];
            Event {
                context: context(vec![("x", ContextValue::Number(x))]),
                segment: high.to_string(),
                rewards,
            }
        }),
    ));
    problems.push((
        "number, threshold, 3 arms",
        generate(5000, 6, |r| {
            let x = r.normal() * 100.0;
            let third = if x < -30.0 {
                0
            } else if x < 45.0 {
                1
            } else {
                2
            };
            let rewards = (0..3).map(|a| r.bernoulli(if a == third { 0.7 } else { 0.45 })).collect();
            Event {
                context: context(vec![("x", ContextValue::Number(x))]),
                segment: third.to_string(),
                rewards,
            }
        }),
    ));
    problems.push((
        "number, narrow 36..41",
        generate(5000, 7, |r| {
            let x = 36.0 + 5.0 * r.uniform();
            let high = x > 38.0;
            let rewards =
                vec![r.bernoulli(if high { 0.7 } else { 0.4 }), r.bernoulli(if high { 0.4 } else { 0.7 })];
            Event {
                context: context(vec![("x", ContextValue::Number(x))]),
                segment: high.to_string(),
                rewards,
            }
        }),
    ));
    problems.push((
        "xor of two categories",
        generate(5000, 8, |r| {
            let (a, b) = (r.below(2), r.below(2));
            let odd = a != b;
            let rewards =
                vec![r.bernoulli(if odd { 0.7 } else { 0.4 }), r.bernoulli(if odd { 0.4 } else { 0.7 })];
            Event {
                context: context(vec![("a", category("a", a)), ("b", category("b", b))]),
                segment: odd.to_string(),
                rewards,
            }
        }),
    ));
    problems.push((
        "xor among 6 keys",
        generate(5000, 9, |r| {
            let v: Vec<usize> = (0..6).map(|_| r.below(3)).collect();
            let odd = (v[1] == 0) != (v[4] == 0);
            let rewards =
                vec![r.bernoulli(if odd { 0.7 } else { 0.4 }), r.bernoulli(if odd { 0.4 } else { 0.7 })];
            let names = ["a", "b", "c", "d", "e", "f"];
            let values = names.iter().zip(&v).map(|(n, &i)| (*n, category(n, i))).collect();
            Event { context: context(values), segment: odd.to_string(), rewards }
        }),
    ));
    problems.push((
        "one category, 10 arms",
        generate(10000, 10, |r| {
            let k = r.below(5);
            let rewards = (0..10).map(|a| r.bernoulli(if a == k * 2 { 0.6 } else { 0.4 })).collect();
            Event { context: context(vec![("kind", category("k", k))]), segment: k.to_string(), rewards }
        }),
    ));
    problems.push((
        "100 categories, 3 arms",
        generate(10000, 11, |r| {
            let k = r.below(100);
            let rewards = (0..3).map(|a| r.bernoulli(if a == (k * 7) % 3 { 0.65 } else { 0.45 })).collect();
            Event { context: context(vec![("kind", category("k", k))]), segment: k.to_string(), rewards }
        }),
    ));
    problems.push((
        "noise keys of 100k values",
        generate(10000, 12, |r| {
            let k = r.below(4);
            let (user, session) = (r.below(100_000), r.below(100_000));
            let rewards = (0..3).map(|a| r.bernoulli(if a == k % 3 { 0.6 } else { 0.5 })).collect();
            let values = vec![
                ("user", category("u", user)),
                ("session", category("s", session)),
                ("plan", category("p", k)),
            ];
            Event { context: context(values), segment: k.to_string(), rewards }
        }),
    ));
    problems.push((
        "noise context only",
        generate(5000, 13, |r| {
            let values = vec![
                ("a", category("a", r.below(10))),
                ("b", category("b", r.below(10))),
                ("n", ContextValue::Number(r.uniform() * 1e4)),
                ("m", ContextValue::Number(r.normal())),
                ("f", ContextValue::Flag(r.below(2) == 0)),
            ];
            let rewards = [0.45, 0.5, 0.55].iter().map(|&p| r.bernoulli(p)).collect();
            Event { context: context(values), segment: none(), rewards }
        }),
    ));
    problems.push((
        "continuous, in [0.9, 1]",
        generate(5000, 14, |r| {
            let k = r.below(5);
            let rewards = (0..3)
                .map(|a| (0.94 + if a == k % 3 { 0.01 } else { 0.0 } + 0.02 * r.normal()).clamp(0.9, 1.0))
                .collect();
            Event { context: context(vec![("kind", category("k", k))]), segment: k.to_string(), rewards }
        }),
    ));
    problems.push((
        "difficulty differs, arms not",
        generate(5000, 15, |r| {
            let k = r.below(20);
            let base = 0.05 + 0.045 * k as f64;
            let rewards = vec![r.bernoulli(base), r.bernoulli((base + 0.05).min(1.0))];
            Event { context: context(vec![("kind", category("k", k))]), segment: none(), rewards }
        }),
    ));
    problems.push((
        "strong, almost no noise",
        generate(3000, 16, |r| {
            let k = r.below(12);
            let rewards =
                (0..4).map(|a| if a == (k * 5) % 4 { 0.8 } else { 0.3 } + 0.01 * r.uniform()).collect();
            Event { context: context(vec![("kind", category("k", k))]), segment: k.to_string(), rewards }
        }),
    ));
    problems.push((
        "threshold turned by category",
        generate(8000, 17, |r| {
            let (k, x) = (r.below(2), r.uniform() * 1000.0);
            let first = (x > 400.0) != (k == 0);
            let rewards =
                vec![r.bernoulli(if first { 0.7 } else { 0.4 }), r.bernoulli(if first { 0.4 } else { 0.7 })];
            let values = vec![("kind", category("k", k)), ("x", ContextValue::Number(x))];
            Event { context: context(values), segment: first.to_string(), rewards }
        }),
    ));
    problems
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runs = arguments.get(1).map_or(Ok(20), |r| r.parse())?;
    if let Some(path) = arguments.first().filter(|p| *p != "-") {
        report("recorded", &read(path)?, runs);
        report("recorded, swapped", &swapped(read(path)?), runs);
        report("recorded, scaled", &scaled(read(path)?, 1e6), runs);
        report("recorded, swapped and scaled", &scaled(swapped(read(path)?), 1e6), runs);
    }
    let only = arguments.get(2).cloned().unwrap_or_default();
    for (name, events) in generated().into_iter().filter(|(name, _)| name.contains(&only)) {
        report(name, &events, runs);
    }
    Ok(())
}
