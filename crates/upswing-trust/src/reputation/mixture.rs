//! The mixture behind reputations: who reports like everybody, who always says the same, and who follows a script.
//!
//! An account is a draw from four classes. Counts are of reports by item and answer ([`ANSWERS`] bins of the reward):
//!
//! - *typical*: counts of an item are Dirichlet-multinomial around the item's own distribution, with a concentration common
//!   to all: people differ, and one person's reports resemble each other.
//! - *low* and *high*: nearly always the worst, or the best answer, whatever was served. Tiresome, but says nothing about
//!   the order of versions. Without these two, everybody who never likes anything would look like part of an attack. They
//!   are believed, unless there is a script: then they are set aside with it ([`Mixture::set_aside`]).
//! - *script*: for each item a direction: praise, condemn, or leave alone. With probability `consistency` a report is what
//!   the script says, otherwise what a typical report would be. This is what accounts in concert do, and also what they do
//!   when they mix in noise on purpose.
//!
//! Fitted by expectation and maximisation from several scripts to begin with. Whether there is a script at all is weighed
//! by the length of its description (the Bayesian information criterion for its share and consistency, and the choice of
//! directions) against the same mixture without it, so that without evidence nobody is suspected.
//!
//! Sources: latent classes of reporters, Dawid and Skene 1979, DOI 10.2307/2346806; EM, Dempster, Laird, Rubin 1977, DOI
//! 10.1111/j.2517-6161.1977.tb01600.x; BIC, Schwarz 1978, DOI 10.1214/aos/1176344136.

use serde::{Deserialize, Serialize};

/// How many answers are told apart: as many as there are stars.
pub(super) const ANSWERS: usize = 5;
/// What an account said of one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cell {
    pub(super) item: u8,
    pub(super) counts: [u16; ANSWERS],
}

/// More equal answers of one account about one item than this add nothing to what is believed of it.
const MOST: usize = 60;
/// How consistently *low* and *high* give their answer.
const INDIFFERENT: f64 = 0.9;
/// The least consistency that is taken for a script. Below it dissent is a matter of taste: a minority that likes the
/// others' favourite at least half as often as they do is left alone, and accounts in concert that lie less than half of
/// the time are too.
const LEAST_CONSISTENCY: f64 = 0.5;
/// Beyond this share of the accounts nobody can say who lies to whom.
const LARGEST_SHARE: f64 = 0.4;
/// Concentrations that are tried, as correlations within a person of 1/3, 1/6, 1/11 and 1/31.
const CONCENTRATIONS: [f64; 4] = [2.0, 5.0, 10.0, 30.0];
/// Prior log odds that somebody attacks this agent now: 1 to 9.
const PRIOR_ODDS: f64 = -2.197_224_577_336_219_4;
/// Accounts that starting points are compared on.
const SAMPLE: usize = 1_000;
/// Versions that a script may start from: those with most reports.
const LEADERS: usize = 6;

/// What a script says of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// The worst answer.
    Condemn,
    /// What a typical account would say.
    Leave,
    /// The best answer.
    Praise,
}

/// A fitted mixture.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mixture {
    answers: Vec<[f64; ANSWERS]>,
    pub(super) directions: Vec<Direction>,
    concentration: f64,
    /// Typical, low, high, script.
    shares: [f64; 4],
    pub(super) consistency: f64,
    /// The probability that there is a script at all.
    pub(super) certainty: f64,
}

/// Logarithms that one pass over the accounts needs.
pub(super) struct Tables {
    /// By item, answer and count: the Dirichlet-multinomial's rising factorials.
    rising: Vec<[Vec<f64>; ANSWERS]>,
    total: Vec<f64>,
    low: Vec<[f64; ANSWERS]>,
    high: Vec<[f64; ANSWERS]>,
    praise: Vec<[f64; ANSWERS]>,
    condemn: Vec<[f64; ANSWERS]>,
    shares: [f64; 4],
}

/// What a pass over the accounts gathers for the next parameters.
struct Gathered {
    likelihood: f64,
    members: [f64; 4],
    answers: Vec<[f64; ANSWERS]>,
    praise: Vec<f64>,
    condemn: Vec<f64>,
    scripted: f64,
    followed: f64,
}

impl Mixture {
    fn initial(items: usize) -> Self {
        Self {
            answers: vec![[1.0 / ANSWERS as f64; ANSWERS]; items],
            directions: vec![Direction::Leave; items],
            concentration: 5.0,
            shares: [0.9, 0.05, 0.05, 0.0],
            consistency: 0.9,
            certainty: 0.0,
        }
    }

    /// The script's share of the accounts.
    pub(super) fn share(&self) -> f64 {
        self.shares[3]
    }

    /// The probability that there is a script and that an account with these counts is no typical one: that it follows the
    /// script, or always says the same. Where there is a script, the latter is also what it looks like as long as what it
    /// prefers, or what it condemns, is hardly served; and nothing about the order of versions is lost with it. O(items it
    /// reported on).
    pub(super) fn set_aside(&self, tables: &Tables, cells: &[Cell]) -> f64 {
        if self.certainty <= 0.0 {
            return 0.0;
        }
        self.certainty * (1.0 - posterior(tables, &self.directions, cells).1[0])
    }

    pub(super) fn tables(&self) -> Tables {
        let at_end = |p: &[f64; ANSWERS], end: usize, consistency: f64| {
            let mut mixed = p.map(|p| (1.0 - consistency) * p);
            mixed[end] += consistency;
            mixed.map(f64::ln)
        };
        let ends = |end: usize, consistency: f64| -> Vec<[f64; ANSWERS]> {
            self.answers.iter().map(|p| at_end(p, end, consistency)).collect()
        };
        let rising = |start: f64, most: usize| -> Vec<f64> {
            let mut sum = 0.0;
            let mut table = Vec::with_capacity(most + 1);
            table.push(0.0);
            for i in 0..most {
                sum += (start + i as f64).ln();
                table.push(sum);
            }
            table
        };
        Tables {
            rising: self.answers.iter().map(|p| p.map(|p| rising(self.concentration * p, MOST))).collect(),
            total: rising(self.concentration, MOST * ANSWERS),
            low: ends(0, INDIFFERENT),
            high: ends(ANSWERS - 1, INDIFFERENT),
            praise: ends(ANSWERS - 1, self.consistency),
            condemn: ends(0, self.consistency),
            shares: self.shares.map(f64::ln),
        }
    }

    fn gather(&self, accounts: &[&[Cell]], every: usize) -> Gathered {
        let items = self.answers.len();
        let tables = self.tables();
        let mut gathered = Gathered {
            likelihood: 0.0,
            members: [0.0; 4],
            answers: vec![[0.0; ANSWERS]; items],
            praise: vec![0.0; items],
            condemn: vec![0.0; items],
            scripted: 0.0,
            followed: 0.0,
        };
        let correlation = 1.0 / (1.0 + self.concentration);
        for cells in accounts.iter().step_by(every) {
            let (likelihood, member) = posterior(&tables, &self.directions, cells);
            gathered.likelihood += likelihood;
            gathered.members.iter_mut().zip(member).for_each(|(sum, m)| *sum += m);
            for cell in *cells {
                let item = usize::from(cell.item);
                let counts = clipped(cell);
                let n: f64 = counts.iter().map(|&c| c as f64).sum();
                // What repeated reports of one person are worth: the design effect.
                let worth = member[0] / (1.0 + (n - 1.0).max(0.0) * correlation);
                for (sum, count) in gathered.answers[item].iter_mut().zip(counts) {
                    *sum += worth * count as f64;
                }
                if member[3] > 1e-6 {
                    let typical = tables.typical(item, &counts);
                    gathered.praise[item] += member[3] * (dot(&counts, &tables.praise[item]) - typical);
                    gathered.condemn[item] += member[3] * (dot(&counts, &tables.condemn[item]) - typical);
                    let end = match self.directions[item] {
                        Direction::Praise => ANSWERS - 1,
                        Direction::Condemn => 0,
                        Direction::Leave => continue,
                    };
                    let typically = (1.0 - self.consistency) * self.answers[item][end];
                    let share = self.consistency / (self.consistency + typically);
                    gathered.scripted += member[3] * n;
                    gathered.followed += member[3] * counts[end] as f64 * share;
                }
            }
        }
        gathered
    }

    /// The next parameters. `scripted` says whether there may be a script.
    fn maximise(&mut self, gathered: &Gathered, scripted: bool, directed: bool) {
        // One account's worth of each class keeps shares off zero.
        let mut shares = gathered.members.map(|m| m + 1.0);
        if !scripted {
            shares[3] = 0.0;
        }
        let sum: f64 = shares.iter().sum();
        self.shares = shares.map(|s| s / sum);
        if self.shares[3] > LARGEST_SHARE {
            let others = (1.0 - LARGEST_SHARE) / (1.0 - self.shares[3]);
            self.shares.iter_mut().take(3).for_each(|s| *s *= others);
            self.shares[3] = LARGEST_SHARE;
        }
        for (answers, sums) in self.answers.iter_mut().zip(&gathered.answers) {
            let smooth = sums.map(|s| s + 0.1);
            let total: f64 = smooth.iter().sum();
            *answers = smooth.map(|s| s / total);
        }
        if !scripted {
            return;
        }
        if directed {
            for (item, direction) in self.directions.iter_mut().enumerate() {
                let (praise, condemn) = (gathered.praise[item], gathered.condemn[item]);
                *direction = if praise <= 0.0 && condemn <= 0.0 {
                    Direction::Leave
                } else if praise > condemn {
                    Direction::Praise
                } else {
                    Direction::Condemn
                };
            }
        }
        self.consistency =
            ((gathered.followed + 9.0) / (gathered.scripted + 10.0)).clamp(LEAST_CONSISTENCY, 0.98);
    }

    fn improve(&mut self, accounts: &[&[Cell]], every: usize, rounds: usize, scripted: bool) -> f64 {
        let mut before = f64::NEG_INFINITY;
        for round in 0..rounds {
            let gathered = self.gather(accounts, every);
            // A tenth of a unit of log likelihood is nothing that evidence turns on.
            if gathered.likelihood - before < 0.1 && round > 2 {
                return gathered.likelihood;
            }
            before = gathered.likelihood;
            self.maximise(&gathered, scripted, round > 0);
        }
        self.gather(accounts, every).likelihood
    }

    /// Whether a script prefers something to something else. One that says the same of everything is no attack on the
    /// order of versions, and *low* and *high* are there for it.
    fn prefers(&self, reports: &[u64]) -> bool {
        let mut said = self.directions.iter().zip(reports).filter(|(_, n)| **n > 0).map(|(d, _)| d);
        let first = said.next();
        first.is_some_and(|first| said.any(|direction| direction != first))
    }
}

impl Tables {
    fn typical(&self, item: usize, counts: &[usize; ANSWERS]) -> f64 {
        let rising: f64 = self.rising[item].iter().zip(counts).map(|(table, &c)| table[c]).sum();
        rising - self.total[counts.iter().sum::<usize>()]
    }
}

fn clipped(cell: &Cell) -> [usize; ANSWERS] {
    cell.counts.map(|c| usize::from(c).min(MOST))
}

fn dot(counts: &[usize; ANSWERS], logs: &[f64; ANSWERS]) -> f64 {
    // A count of 0 times the logarithm of 0 is nothing.
    counts.iter().zip(logs).filter(|(c, _)| **c > 0).map(|(&c, log)| c as f64 * log).sum()
}

/// Log likelihood of an account, and the probability of each class.
fn posterior(tables: &Tables, directions: &[Direction], cells: &[Cell]) -> (f64, [f64; 4]) {
    let mut logs = tables.shares;
    for cell in cells {
        let item = usize::from(cell.item);
        let counts = clipped(cell);
        let typical = tables.typical(item, &counts);
        logs[0] += typical;
        logs[1] += dot(&counts, &tables.low[item]);
        logs[2] += dot(&counts, &tables.high[item]);
        logs[3] += match directions[item] {
            Direction::Praise => dot(&counts, &tables.praise[item]),
            Direction::Condemn => dot(&counts, &tables.condemn[item]),
            Direction::Leave => typical,
        };
    }
    let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let member = logs.map(|log| (log - largest).exp());
    let sum: f64 = member.iter().sum();
    (largest + sum.ln(), member.map(|m| m / sum))
}

/// Fits the mixture. `version_of` gives each item's version as a number; a script begins with one direction a version.
///
/// O(accounts * items of an account), some tens of passes; starting points are compared on at most 1,000 to 2,000 accounts.
pub(super) fn fit(accounts: &[&[Cell]], version_of: &[usize]) -> Mixture {
    let items = version_of.len();
    let mut reports = vec![0_u64; items];
    for cell in accounts.iter().flat_map(|cells| cells.iter()) {
        reports[usize::from(cell.item)] += cell.counts.iter().map(|&c| u64::from(c)).sum::<u64>();
    }
    let every = accounts.len().div_ceil(SAMPLE).max(1);
    let mut best: Option<(f64, Mixture)> = None;
    for concentration in CONCENTRATIONS {
        let mut mixture = Mixture { concentration, ..Mixture::initial(items) };
        let likelihood = mixture.improve(accounts, every, 8, false);
        if best.as_ref().is_none_or(|b| likelihood > b.0) {
            best = Some((likelihood, mixture));
        }
    }
    let Some((_, mut without)) = best else { return Mixture::initial(items) };
    let plain = without.improve(accounts, 1, 8, false);

    let mut versions: Vec<usize> = version_of.to_vec();
    versions.sort_unstable();
    versions.dedup();
    if versions.len() < 2 {
        return without;
    }
    let said_of = |version: usize| -> u64 {
        version_of.iter().zip(&reports).filter(|(v, _)| **v == version).map(|(_, n)| n).sum()
    };
    versions.sort_by_key(|&v| std::cmp::Reverse(said_of(v)));
    versions.truncate(LEADERS);
    let mut starts: Vec<(f64, Mixture)> = Vec::new();
    for &version in &versions {
        for (on, others) in [(Direction::Condemn, Direction::Praise), (Direction::Praise, Direction::Condemn)]
        {
            let mut mixture = without.clone();
            mixture.directions = version_of.iter().map(|&v| if v == version { on } else { others }).collect();
            mixture.shares = [0.9, 1.0 / 30.0, 1.0 / 30.0, 1.0 / 30.0];
            mixture.consistency = 0.9;
            let likelihood = mixture.improve(accounts, every, 8, true);
            starts.push((likelihood, mixture));
        }
    }
    starts.sort_by(|a, b| b.0.total_cmp(&a.0));
    let Some((_, mut with)) = starts.into_iter().find(|(_, mixture)| mixture.prefers(&reports)) else {
        return without;
    };
    let likelihood = with.improve(accounts, 1, 30, true);
    if !with.prefers(&reports) {
        return without;
    }
    // Two parameters, a share and a consistency, and one of three directions for each item: what it takes to name them.
    let described = (accounts.len().max(2) as f64).ln() + items as f64 * 3.0_f64.ln();
    let evidence = likelihood - plain - described;
    with.certainty = 1.0 / (1.0 + (-(evidence + PRIOR_ODDS)).exp());
    with
}
