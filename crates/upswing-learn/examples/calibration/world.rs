//! A simulated experiment, folded, stored, read and analysed as a server does it.

#![expect(clippy::expect_used, reason = "a simulation whose own numbers are refused has to end")]

use std::collections::VecDeque;

use upswing_domain::{
    Absence, Adaptive, Allocation, AssignmentUnit, Direction, ExperimentArm, ExperimentMetric,
    ExperimentPlan, MetricKind, MetricRole, SequentialMethod, Timestamp, VersionId,
};
use upswing_learn::evaluate::{
    MetricTally, Results, Tally, Unit, Verdict, analyse, analyse_without_forecast, top_two_shares,
};
use upswing_stats::compare::{Alternative, Effect, Level, asymptotic};

/// The error that every sequential method is allowed.
pub(crate) const ALPHA: f64 = 0.05;
/// Every unit up to here is followed by a look.
const EACH: u64 = 200;
/// From there on one whenever there is so much more.
const GROWTH: f64 = 1.01;
/// How long a unit's outcome stays open where rewards are late; one unit comes each second.
const WINDOW: usize = 60;
/// How many visits a unit makes at most where rewards are late.
const VISITS: usize = 4;
/// The share of units that never rate, where ratings are late.
const SILENT: f64 = 0.2;
/// How many units lie between two adaptive splits, at least and as a share of those that are closed.
const RESPLIT: (usize, f64) = (60, 0.05);

/// What units answer, by arm.
#[derive(Debug, Clone)]
pub(crate) enum Answers {
    /// 1 with this probability, otherwise 0.
    Rate(Vec<f64>),
    /// One to five stars with these probabilities.
    Stars(Vec<[f64; 5]>),
}

impl Answers {
    fn arms(&self) -> usize {
        match self {
            Self::Rate(arms) => arms.len(),
            Self::Stars(arms) => arms.len(),
        }
    }

    fn mean(&self, arm: usize) -> f64 {
        match self {
            Self::Rate(arms) => arms[arm],
            Self::Stars(arms) => arms[arm].iter().zip(1..).map(|(p, stars)| p * f64::from(stars)).sum(),
        }
    }
}

/// What is simulated.
#[derive(Debug, Clone)]
pub(crate) struct World {
    /// What units answer.
    pub(crate) answers: Answers,
    /// Whether units come back, and are closed by the end of a window instead of by their first answer.
    pub(crate) late: bool,
    /// The floor of top-two allocation; without it shares are equal and stay.
    pub(crate) floor: Option<f64>,
    /// How the goal is judged. Beside it, the same is always judged by the asymptotic sequence.
    pub(crate) goal: SequentialMethod,
    /// How many units there are at most.
    pub(crate) units: usize,
    /// Whether to end with the verdict.
    pub(crate) stop: bool,
    /// Whether forecasts are noted.
    pub(crate) forecasts: bool,
}

/// What came of one replication, for the first treatment against the control.
#[derive(Debug, Clone, Default)]
pub(crate) struct Played {
    /// At how many outcomes of the pair the e-process first rejected "no difference".
    pub(crate) e_process: Option<u64>,
    /// Whether it ever said that the treatment does harm.
    pub(crate) e_harm: bool,
    /// At how many closed units the asymptotic sequence first excluded 0.
    pub(crate) sequence: Option<u64>,
    /// Whether its one-sided bound ever said that the treatment does harm.
    pub(crate) sequence_harm: bool,
    /// Whether its interval ever missed the true effect.
    pub(crate) missed: bool,
    /// Whether the sample-ratio test was ever at or below alpha.
    pub(crate) ratio: bool,
    /// At how many closed units the verdict was first another than inconclusive, and which.
    pub(crate) verdict: Option<(u64, Verdict)>,
    /// Closed units with how many more were forecast then.
    pub(crate) forecasts: Vec<(u64, Option<f64>)>,
}

/// SplitMix64, as the replays use it.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, n: usize) -> usize {
        ((self.unit() * n as f64) as usize).min(n.saturating_sub(1))
    }
}

/// How far the sequence's bounds are from the estimate in standard errors, squared, by the number of units. Only where an estimate
/// comes near them is the analysis read at once, instead of at the next look: that is the same as looking after every unit.
#[derive(Debug)]
pub(crate) struct Boundaries {
    two_sided: Vec<f64>,
    one_sided: Vec<f64>,
}

impl Boundaries {
    /// For up to so many units.
    pub(crate) fn new(plan: &ExperimentPlan, units: usize) -> Self {
        let design = asymptotic::Plan::new(plan.planned_units).expect("a plan");
        let level = Level::new(plan.alpha).expect("a level");
        let squared = |alternative| {
            let of = |units: usize| {
                let effect = Effect::new(0.0, 1.0, units.max(1) as u64, 1.0).expect("an effect");
                let inference = asymptotic::infer(&effect, design, level, alternative).expect("a bound");
                inference.interval.high.powi(2)
            };
            (0..=units).map(of).collect()
        };
        Self { two_sided: squared(Alternative::TwoSided), one_sided: squared(Alternative::Less) }
    }
}

impl World {
    /// The experiment's plan.
    pub(crate) fn plan(&self) -> ExperimentPlan {
        let arms = self.answers.arms();
        let (kind, source) = match &self.answers {
            Answers::Rate(_) => (MetricKind::Proportion, "satisfied"),
            Answers::Stars(_) => (MetricKind::Mean, "rating"),
        };
        let absence = match (&self.answers, self.late) {
            (Answers::Rate(_), true) => Absence::ZeroAfter(WINDOW as u32),
            _ => Absence::Missing,
        };
        let metric = |name: &str, role, method| ExperimentMetric {
            name: name.to_owned(),
            source: source.to_owned(),
            kind,
            role,
            direction: Direction::Increase,
            bounds: None,
            denominator: None,
            quantile: None,
            absence,
            window_seconds: self.late.then_some(WINDOW as u32),
            minimum_effect: None,
            method: Some(method),
        };
        ExperimentPlan {
            arms: (0..arms)
                .map(|arm| ExperimentArm { version: VersionId([arm as u8; 32]), weight: 1.0 / arms as f64 })
                .collect(),
            unit: AssignmentUnit::User,
            seed: "calibration".to_owned(),
            coverage: 1.0,
            layer: None,
            holdout: None,
            targeting: Vec::new(),
            metrics: vec![
                metric("goal", MetricRole::Goal, self.goal),
                metric("sequence", MetricRole::Secondary, SequentialMethod::Asymptotic),
            ],
            covariate: None,
            alpha: ALPHA,
            minimum_units: 0,
            minimum_seconds: 0,
            planned_units: 5000,
            rollout: None,
            adaptive: self.floor.map(|floor| Adaptive { floor }),
        }
    }

    /// The first treatment's true effect.
    pub(crate) fn truth(&self) -> f64 {
        self.answers.mean(1) - self.answers.mean(0)
    }

    /// Plays it once.
    pub(crate) fn play(&self, boundaries: &Boundaries, seed: u64) -> Played {
        Play::new(self, boundaries, seed).run()
    }
}

/// A unit as it is stored, with what it is still going to answer and when.
struct Open {
    since: usize,
    state: Vec<u8>,
}

struct Play<'a> {
    world: &'a World,
    boundaries: &'a Boundaries,
    plan: ExperimentPlan,
    allocations: Vec<Allocation>,
    tally: Tally,
    random: Random,
    open: VecDeque<Open>,
    /// Answers by the second they come in, modulo the window: who gives them (by when it came), and which.
    coming: Vec<Vec<(usize, f64)>>,
    next_look: f64,
    next_split: usize,
    played: Played,
}

impl<'a> Play<'a> {
    fn new(world: &'a World, boundaries: &'a Boundaries, seed: u64) -> Self {
        let plan = world.plan();
        let split = upswing_domain::assignment::Split::fresh(&plan.weights(), 1.0);
        let allocations = vec![Allocation { epoch: 1, effective_at: Timestamp(0), split }];
        let mut random = Random(seed);
        random.next();
        Self {
            world,
            boundaries,
            allocations,
            tally: Tally::new(&plan),
            plan,
            random,
            open: VecDeque::new(),
            coming: vec![Vec::new(); WINDOW + 1],
            next_look: 1.0,
            next_split: RESPLIT.0,
            played: Played::default(),
        }
    }

    fn run(mut self) -> Played {
        for second in 0..self.world.units + if self.world.late { WINDOW } else { 0 } {
            let ended = self.world.stop && self.played.verdict.is_some();
            if ended {
                break;
            }
            self.resplit(second);
            if self.world.late { self.late(second) } else { self.at_once(second) }
        }
        self.look();
        if let Some(test) = self.tally.metrics.first().and_then(|goal| goal.pairs.first()?.test.as_ref()) {
            use upswing_stats::sequential::Sides;
            self.played.e_process = test.rejected_at(Sides::Two);
            self.played.e_harm = test.rejected_at(Sides::TreatmentLess).is_some();
        }
        self.played
    }

    fn resplit(&mut self, second: usize) {
        let Some(floor) = self.world.floor else { return };
        if second < self.next_split {
            return;
        }
        let closed = self.tally.closed(&self.plan) as f64;
        self.next_split = second + RESPLIT.0.max((closed * RESPLIT.1) as usize);
        let shares = top_two_shares(&self.plan, &self.tally, floor);
        let split = upswing_domain::assignment::Split::fresh(&shares, 1.0);
        let epoch = self.allocations.len() as i64 + 1;
        self.allocations.push(Allocation { epoch, effective_at: at(second), split });
    }

    fn expose(&mut self, second: usize) -> (usize, Unit) {
        let bucket = self.random.below(usize::from(upswing_domain::assignment::BUCKETS));
        let latest = self.allocations.last().expect("a split");
        // The ends of the shares' ranges may round to nobody's.
        let arm = latest.split.arm(bucket as u16).unwrap_or(0);
        let mut unit = Unit::exposed(&self.plan, (Some(arm), latest.epoch), at(second), None, &[]);
        self.tally.expose(&self.plan, &mut unit);
        (usize::from(arm), unit)
    }

    fn answer(&mut self, arm: usize) -> f64 {
        let u = self.random.unit();
        match &self.world.answers {
            Answers::Rate(rates) => f64::from(u8::from(u < rates[arm])),
            Answers::Stars(arms) => {
                let mut below = 0.0;
                let place = arms[arm].iter().position(|p| {
                    below += p;
                    u < below
                });
                place.unwrap_or(4) as f64 + 1.0
            }
        }
    }

    fn take(&mut self, unit: &mut Unit, second: usize, value: f64) {
        let value = (self.plan.metrics[0].source(), value, 1);
        self.tally.take(&self.plan, &self.allocations, unit, at(second), value);
    }

    fn at_once(&mut self, second: usize) {
        let (arm, mut unit) = self.expose(second);
        let value = self.answer(arm);
        self.take(&mut unit, second, value);
        self.closed();
    }

    /// One unit comes and plans its visits, those that are due visit, and the oldest is closed.
    fn late(&mut self, second: usize) {
        if second < self.world.units {
            let (arm, unit) = self.expose(second);
            self.open.push_back(Open { since: second, state: unit.to_bytes() });
            self.plan_visits(arm, second);
        }
        let due = std::mem::take(&mut self.coming[second % (WINDOW + 1)]);
        for (who, value) in due {
            let first = self.open.front().map_or(0, |open| open.since);
            let Some(place) = who.checked_sub(first).filter(|place| *place < self.open.len()) else {
                continue;
            };
            let mut unit = Unit::from_bytes(&self.open[place].state).expect("what was written");
            self.take(&mut unit, second, value);
            self.open[place].state = unit.to_bytes();
        }
        if self.open.front().is_some_and(|open| open.since + WINDOW <= second)
            && let Some(open) = self.open.pop_front()
        {
            let mut unit = Unit::from_bytes(&open.state).expect("what was written");
            self.tally.close_due(&self.plan, &self.allocations, &mut unit, at(second));
            self.closed();
        }
    }

    fn plan_visits(&mut self, arm: usize, second: usize) {
        let visits = 1 + self.random.below(VISITS);
        // A unit that converts does so in one of its visits; stars are given in each.
        let converts = self.answer(arm);
        let when = self.random.below(visits);
        let silent = matches!(self.world.answers, Answers::Stars(_)) && self.random.unit() < SILENT;
        for visit in 0..visits {
            let lag = if visit == 0 { 0 } else { self.random.below(WINDOW) };
            let value = match &self.world.answers {
                Answers::Rate(_) => {
                    if visit == when {
                        converts
                    } else {
                        0.0
                    }
                }
                Answers::Stars(_) if silent => continue,
                Answers::Stars(_) => self.answer(arm),
            };
            self.coming[(second + lag) % (WINDOW + 1)].push((second, value));
        }
    }

    /// After a unit was closed: looks, where it is time or where the sequence's bounds are near.
    fn closed(&mut self) {
        let closed = self.tally.closed(&self.plan) as u64;
        if closed <= EACH || closed as f64 >= self.next_look {
            self.next_look = closed as f64 * GROWTH;
            self.look();
        } else if self.near() {
            self.look();
        }
    }

    fn near(&self) -> bool {
        let Some((estimate, variance, units)) = self.tally.metrics.get(1).and_then(|m| self.estimate(m))
        else {
            return false;
        };
        let distance = |estimate: f64| estimate * estimate / variance * 1.01;
        let (Some(two), Some(one)) =
            (self.boundaries.two_sided.get(units), self.boundaries.one_sided.get(units))
        else {
            return true;
        };
        let open = &self.played;
        (open.sequence.is_none() && distance(estimate) >= *two)
            || (!open.missed && distance(estimate - self.world.truth()) >= *two)
            || (!open.sequence_harm && estimate < 0.0 && distance(estimate) >= *one)
    }

    /// The first treatment's effect, its squared standard error, and the units it is made of.
    fn estimate(&self, tally: &MetricTally) -> Option<(f64, f64, usize)> {
        if self.world.floor.is_some() {
            let scores = tally.pairs.first()?.scores;
            let n = scores.n as f64;
            let mean = scores.sum / n;
            let variance = (scores.squares - n * mean * mean) / (n - 1.0) / n;
            return (variance > 0.0).then_some((mean, variance, scores.n as usize));
        }
        let moments = |arm: usize| {
            let sums = tally.arms.get(arm)?.sums;
            let n = sums.n as f64;
            let mean = sums.sum() / n;
            let spread = sums.squares() / n - mean * mean;
            let spread =
                if matches!(self.world.answers, Answers::Rate(_)) { spread } else { spread * n / (n - 1.0) };
            (n > 1.0).then_some((n, mean, spread / n))
        };
        let (a, b) = (moments(0)?, moments(1)?);
        let variance = a.2 + b.2;
        (variance > 0.0).then_some((b.1 - a.1, variance, (a.0 + b.0) as usize))
    }

    fn look(&mut self) {
        // What is analysed is what was stored.
        let stored = Tally::from_bytes(&self.tally.to_bytes()).expect("what was written");
        let now = at(self.allocations.len());
        let analyse = if self.world.forecasts { analyse } else { analyse_without_forecast };
        let results = analyse(&self.plan, &self.allocations, &stored, Some(Timestamp(0)), now);
        self.record(&results);
        self.tally = stored;
    }

    fn record(&mut self, results: &Results) {
        let played = &mut self.played;
        let closed = results.closed;
        played.ratio |= results.sample_ratio.p_value.is_some_and(|p| p <= ALPHA);
        let sequential = results.metrics[1].comparisons.first().and_then(|comparison| comparison.sequential);
        if let Some(sequence) = sequential {
            if played.sequence.is_none() && sequence.p_value <= ALPHA {
                played.sequence = Some(closed);
            }
            played.sequence_harm |= sequence.harm_p_value <= ALPHA;
            let [low, high] = sequence.interval;
            let truth = self.world.truth();
            played.missed |= !(low..=high).contains(&truth);
        }
        if played.verdict.is_none() {
            if results.verdict != Verdict::Inconclusive {
                played.verdict = Some((closed, results.verdict));
            } else if self.world.forecasts {
                played.forecasts.push((closed, results.forecast.map(|forecast| forecast.units)));
            }
        }
    }
}

fn at(second: usize) -> Timestamp {
    Timestamp(0).plus_seconds(second as i64)
}
