//! Accounts that lie in concert, and a policy that learns from all of them.
//!
//! A real policy (Thompson sampling of `upswing-learn`) serves one of several versions, an account reports how it was, the
//! report is weighed, and the policy learns from it. The policy takes whole observations, so weights are brought to it as
//! whole counts by version and answer, rounded from the sums of weights; what is off by that is less than one report.

use std::collections::HashMap;

use upswing_domain::{PolicyConfig, Pseudonym, Reward, VersionId};
use upswing_learn::{LearnerState, Observation};
use upswing_trust::{
    AuthorCounts, Fingerprint, Item, Reputation, Weight, cap_weight, copy_weight, fingerprint, same,
};

/// Answers: five, as stars; a thumb uses the first and the last.
const ANSWERS: usize = 5;
const KEY: [u8; 32] = [9; 32];

/// What is switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Defences {
    /// Every report weighs 1.
    Off,
    /// Caps per person.
    Caps,
    /// Caps, and copies collapse.
    Duplicates,
    /// Caps, copies and reputation, by weight.
    All,
    /// All of them as the server has them: a report counts or does not. The caps are its defaults, and an account is
    /// believed or is not.
    Standing,
}

impl Defences {
    /// All of them, from none to all.
    pub(crate) const EACH: [Self; 5] = [Self::Off, Self::Caps, Self::Duplicates, Self::All, Self::Standing];

    /// As a column says it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Caps => "caps",
            Self::Duplicates => "caps, copies",
            Self::All => "all",
            Self::Standing => "all, yes or no",
        }
    }
}

/// How people answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scale {
    /// Thumbs.
    Thumbs,
    /// One to five stars.
    Stars,
}

/// What the accounts in concert do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Script {
    /// The worst for the right version, the best for the others; with that probability, otherwise what an honest
    /// person would say.
    Contrast(f64),
    /// The worst for the right version, and silence where another one served.
    Silence,
    /// They truly prefer the second version, with these means for the first and the second; the third as all.
    Taste(f64, f64),
}

/// One problem.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Problem {
    /// As a row says it.
    pub(crate) name: &'static str,
    /// The versions' means; the first is the right one.
    pub(crate) means: &'static [f64],
    /// How people answer.
    pub(crate) scale: Scale,
    /// The share of accounts in concert.
    pub(crate) liars: f64,
    /// What they do.
    pub(crate) script: Script,
    /// Whether they comment as often as others do, with copies of one text.
    pub(crate) copies: bool,
    /// At which step they begin.
    pub(crate) from: usize,
    /// How many accounts.
    pub(crate) accounts: usize,
    /// How many reports.
    pub(crate) steps: usize,
    /// The policy.
    pub(crate) policy: PolicyConfig,
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    /// Mean probability of the right version over the last quarter.
    pub(crate) share: f64,
    /// The first step at which its mean probability over the last 500 steps was 0.9; the number of steps if never.
    pub(crate) reached: f64,
    /// Mean weight of honest accounts and of those in concert, at the end; where it is yes or no, the share believed.
    pub(crate) believed: [f64; 2],
}

impl Problem {
    /// How far the accounts in concert pull the right version and the next best together, divided by what lies between
    /// them, where every report counts alike. Above 1 the right version is not the best in the reports, and whoever learns
    /// from them alone is wrong, however robustly: with binary answers, nothing in a version's reports but how many there
    /// are of each says which of them are lies. Telling the accounts apart, by what each says of several versions, is what
    /// may help then; counting accounts alike instead of reports makes the pull smaller.
    pub(crate) fn pull(&self) -> f64 {
        let mut random = Random(1);
        let people = people(self, &mut random);
        let of = |liars: bool| -> f64 {
            people.iter().filter(|p| p.liar == liars || !liars).map(|p| p.activity).sum::<f64>()
        };
        let share = of(true) / of(false);
        let (first, second) = (self.means[0], self.means[1]);
        // What they say on the whole of the right version and of the next best, against what is true.
        let (down, up) = match self.script {
            Script::Contrast(c) => (c * first, c * (1.0 - second)),
            Script::Silence => (first, 0.0),
            Script::Taste(a, b) => (first - a, b - second),
        };
        share * (down + up) / (first - second)
    }
}

/// SplitMix64: simulations need reproducible numbers, not good ones.
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
}

/// An honest person: how generous, on the logit scale; 5 % are never pleased or always are.
struct Person {
    liar: bool,
    generosity: f64,
    activity: f64,
}

fn version(i: usize) -> VersionId {
    VersionId([i as u8 + 1; 32])
}

fn logit(p: f64) -> f64 {
    (p / (1.0 - p)).ln()
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Spread of generosity among people on the logit scale: a correlation within a person of some 0.1.
const SPREAD: f64 = 0.7;

/// The logit at which people of all generosities have this mean on the whole, by bisection.
fn centre(mean: f64) -> f64 {
    let average = |x: f64| {
        (-30..=30)
            .map(|i| (f64::from(i) / 10.0, x))
            .map(|(z, x)| {
                let weight = (-0.5 * z * z).exp();
                (weight, weight * logistic(x + SPREAD * z))
            })
            .fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1))
    };
    let (mut low, mut high) = (-6.0, 6.0);
    for _ in 0..40 {
        let middle = 0.5 * (low + high);
        let (weights, sum) = average(middle);
        if sum / weights < mean { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// What a person with this expectation answers.
fn answer(random: &mut Random, p: f64, scale: Scale) -> usize {
    match scale {
        Scale::Thumbs => {
            if random.uniform() < p {
                ANSWERS - 1
            } else {
                0
            }
        }
        // Four chances of a star more: the mean is right, and all of five are used.
        Scale::Stars => (1..ANSWERS).filter(|_| random.uniform() < p).count(),
    }
}

/// Who reports next, by activity.
struct Turn {
    cumulative: Vec<f64>,
}

impl Turn {
    fn draw(&self, random: &mut Random) -> usize {
        let point = random.uniform() * self.cumulative.last().copied().unwrap_or(0.0);
        self.cumulative.partition_point(|c| *c <= point).min(self.cumulative.len() - 1)
    }
}

fn people(problem: &Problem, random: &mut Random) -> Vec<Person> {
    let liars = (problem.liars * problem.accounts as f64).round() as usize;
    (0..problem.accounts)
        .map(|i| {
            let draw = random.uniform();
            let generosity = match random.uniform() {
                u if u < 0.02 => -12.0,
                u if u < 0.05 => 12.0,
                _ => SPREAD * random.normal(),
            };
            let liar = i < liars;
            // Honest activity is Pareto with index 1.5, cut off at thirty times the least. Accounts in concert are all as
            // active as the busiest tenth: they want to be heard, and stay where the caps still let them.
            let activity = (1.0 - draw).powf(-1.0 / 1.5).min(30.0);
            Person {
                liar,
                generosity,
                activity: if liar && !matches!(problem.script, Script::Taste(..)) { 6.0 } else { activity },
            }
        })
        .collect()
}

/// Words for comments.
fn comment(random: &mut Random, liar: bool) -> String {
    let word = |n: u64| format!("w{n}");
    if liar {
        let mut words: Vec<String> = (0..12).map(|i| word(900 + i)).collect();
        words[random.below(12)] = word(random.next() % 400);
        return words.join(" ");
    }
    if random.uniform() < 0.5 {
        return ["good", "bad", "wrong", "great", "ok thanks"][random.below(5)].to_owned();
    }
    (0..12).map(|_| word(random.next() % 400)).collect::<Vec<_>>().join(" ")
}

/// Copies that were seen, by key.
#[derive(Default)]
struct Seen {
    groups: Vec<(Fingerprint, u32)>,
    by_key: HashMap<i64, Vec<usize>>,
}

impl Seen {
    fn copies(&mut self, print: Fingerprint) -> u32 {
        if !print.across_authors() {
            return 0;
        }
        let keys = print.keys();
        let group = keys
            .iter()
            .filter_map(|key| self.by_key.get(key))
            .flatten()
            .copied()
            .find(|&g| same(&self.groups[g].0, &print));
        if let Some(group) = group {
            self.groups[group].1 += 1;
            return self.groups[group].1 - 1;
        }
        self.groups.push((print, 1));
        for key in keys {
            self.by_key.entry(key).or_default().push(self.groups.len() - 1);
        }
        0
    }
}

/// The policy, fed with whole counts.
struct Learner {
    state: LearnerState,
    weights: Vec<[f64; ANSWERS]>,
    given: Vec<[i64; ANSWERS]>,
    versions: Vec<VersionId>,
}

impl Learner {
    fn probabilities(&mut self) -> Vec<f64> {
        let mut batch = Vec::new();
        for (i, (weights, given)) in self.weights.iter().zip(&mut self.given).enumerate() {
            for (answer, (weight, given)) in weights.iter().zip(given.iter_mut()).enumerate() {
                let wanted = weight.round() as i64;
                let reward = Reward::from_millionths(answer as i64 * 250_000).ok();
                let (old, new) = if wanted > *given { (None, reward) } else { (reward, None) };
                let entry =
                    Observation { version: self.versions[i], context: None, propensity: 1.0, old, new };
                batch.extend(std::iter::repeat_n(entry, wanted.abs_diff(*given) as usize));
                *given = wanted;
            }
        }
        self.state.observe(&batch);
        self.state.snapshot().probabilities(None, &self.versions)
    }
}

/// The server's defaults: so many reports of one account and copies of one text count, and below and from these weights
/// an account ceases to be believed and is believed again.
const AUTHOR_CAP: u32 = 40;
const COPIES: u32 = 3;
const DISTRUST_BELOW: f64 = 0.5;
const BELIEVE_FROM: f64 = 0.6;

/// How many reports between two snapshots of the policy.
const SNAPSHOT: usize = 20;
/// Reputations are fitted anew after a quarter more reports, at least 50 and at most this many.
const REFIT: usize = 500;

/// Runs it once.
pub(crate) fn run(problem: &Problem, defences: Defences, seed: u64) -> Outcome {
    // Chance is drawn apart for who comes and what is served, so that runs with the same seed are alike where they can.
    let mut random = Random(seed.wrapping_mul(0x5851_F42D_4C95_7F2D) ^ 1);
    let people = people(problem, &mut random);
    let versions: Vec<VersionId> = (0..problem.means.len()).map(version).collect();
    let centres: Vec<f64> = problem.means.iter().map(|&m| centre(m)).collect();
    let tastes: Vec<f64> = match problem.script {
        Script::Taste(first, second) => centres
            .iter()
            .enumerate()
            .map(|(i, &c)| match i {
                0 => logit(first),
                1 => logit(second),
                _ => c,
            })
            .collect(),
        _ => centres.clone(),
    };
    let turn = |with_liars: bool| {
        let mut sum = 0.0;
        let cumulative = people
            .iter()
            .map(|p| {
                if !p.liar || with_liars {
                    sum += p.activity;
                }
                sum
            })
            .collect();
        Turn { cumulative }
    };
    let (before, after) = (turn(matches!(problem.script, Script::Taste(..))), turn(true));
    let mut learner = Learner {
        state: LearnerState::new(problem.policy),
        weights: vec![[0.0; ANSWERS]; versions.len()],
        given: vec![[0; ANSWERS]; versions.len()],
        versions: versions.clone(),
    };
    let mut reputation = Reputation::new(100_000);
    // What each account's reports weigh before its reputation.
    let mut said = vec![vec![[0.0_f64; ANSWERS]; versions.len()]; people.len()];
    let mut accepted = vec![vec![0_u32; versions.len()]; people.len()];
    let mut seen = Seen::default();
    let mut distrusted = vec![false; people.len()];
    let mut next_fit = 50;
    let mut probabilities = learner.probabilities();
    let (mut recent, mut window) = (0.0, std::collections::VecDeque::new());
    let (mut late, mut reached) = ((0.0, 0_usize), None);
    for step in 0..problem.steps {
        if step % SNAPSHOT == 0 {
            probabilities = learner.probabilities();
        }
        let right = probabilities[0];
        recent += right;
        window.push_back(right);
        if window.len() > 500 {
            recent -= window.pop_front().unwrap_or(0.0);
            if reached.is_none() && recent / 500.0 >= 0.9 {
                reached = Some(step);
            }
        }
        if step >= problem.steps * 3 / 4 {
            late = (late.0 + right, late.1 + 1);
        }
        let who = if step < problem.from { before.draw(&mut random) } else { after.draw(&mut random) };
        let mut key = [0; 16];
        key[..8].copy_from_slice(&(step as u64).to_le_bytes());
        key[8..].copy_from_slice(&seed.to_le_bytes());
        let served = upswing_learn::draw("poisoning", &key, &probabilities);
        let person = &people[who];
        let honestly = logistic(centres[served] + person.generosity);
        // Drawn for all, so that what the others say does not depend on the script.
        let (honest, coin) = (answer(&mut random, honestly, problem.scale), random.uniform());
        let (commented, words) = (random.uniform() < 0.3, random.next());
        let said_now = match problem.script {
            _ if !person.liar => honest,
            Script::Contrast(consistency) if coin < consistency => {
                if served == 0 {
                    0
                } else {
                    ANSWERS - 1
                }
            }
            Script::Contrast(_) => honest,
            Script::Silence if served == 0 => 0,
            Script::Silence => continue,
            Script::Taste(..) => {
                answer(&mut Random(words), logistic(tastes[served] + person.generosity), problem.scale)
            }
        };
        let mut weight = Weight::ONE;
        if defences >= Defences::Caps {
            let counts = &accepted[who];
            weight = cap_weight(AuthorCounts { on_version: counts[served], on_agent: counts.iter().sum() });
            if defences == Defences::Standing {
                weight = if counts.iter().sum::<u32>() < AUTHOR_CAP { Weight::ONE } else { Weight::ZERO };
            }
        }
        let copying = person.liar && !matches!(problem.script, Script::Taste(..));
        if defences >= Defences::Duplicates && commented && (problem.copies || !copying) {
            let copies = seen.copies(fingerprint(&comment(&mut Random(words), copying), &KEY));
            weight = match defences {
                Defences::Standing if copies >= COPIES => Weight::ZERO,
                Defences::Standing => weight,
                _ => weight.times(copy_weight(copies)),
            };
        }
        accepted[who][served] += 1;
        said[who][served][said_now] += weight.get();
        if defences >= Defences::All {
            let item = Item { version: versions[served], segment: 0 };
            reputation.observe(
                pseudonym(who),
                item,
                None,
                Reward::from_millionths(said_now as i64 * 250_000).ok(),
            );
            weight = match defences {
                Defences::Standing if distrusted[who] => Weight::ZERO,
                Defences::Standing => weight,
                _ => weight.times(reputation.weight(pseudonym(who))),
            };
            if step + 1 >= next_fit {
                next_fit = step + 1 + ((step + 1) / 4).clamp(50, REFIT);
                reputation.refit();
                for (who, distrusted) in distrusted.iter_mut().enumerate() {
                    let limit = if *distrusted { BELIEVE_FROM } else { DISTRUST_BELOW };
                    *distrusted = reputation.weight(pseudonym(who)).get() < limit;
                }
                learner.weights = vec![[0.0; ANSWERS]; versions.len()];
                for (who, said) in said.iter().enumerate() {
                    let believed = match defences {
                        Defences::Standing => f64::from(u8::from(!distrusted[who])),
                        _ => reputation.weight(pseudonym(who)).get(),
                    };
                    for (sums, said) in learner.weights.iter_mut().zip(said) {
                        sums.iter_mut().zip(said).for_each(|(sum, s)| *sum += believed * s);
                    }
                }
                continue;
            }
        }
        learner.weights[served][said_now] += weight.get();
    }
    let believed = [false, true].map(|liar| {
        let of: Vec<f64> = people
            .iter()
            .enumerate()
            .filter(|(_, p)| p.liar == liar)
            .map(|(who, _)| match defences {
                Defences::Standing => f64::from(u8::from(!distrusted[who])),
                _ => reputation.weight(pseudonym(who)).get(),
            })
            .collect();
        of.iter().sum::<f64>() / of.len() as f64
    });
    Outcome { share: late.0 / late.1 as f64, reached: reached.unwrap_or(problem.steps) as f64, believed }
}

fn pseudonym(who: usize) -> Pseudonym {
    let mut bytes = [0; 18];
    bytes[..8].copy_from_slice(&(who as u64).to_le_bytes());
    Pseudonym(bytes)
}

/// A mean and its standard error.
pub(crate) fn mean(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    (mean, (variance / n).sqrt())
}

/// The ratio of two means of paired values, and its standard error by the delta method.
pub(crate) fn ratio(numerator: &[f64], denominator: &[f64]) -> (f64, f64) {
    let (top, bottom) = (mean(numerator).0, mean(denominator).0);
    let ratio = top / bottom;
    let rest: Vec<f64> = numerator.iter().zip(denominator).map(|(t, b)| (t - ratio * b) / bottom).collect();
    (ratio, mean(&rest).1)
}
