//! What is simulated, and what it has to come to.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use upswing_domain::SequentialMethod;

use crate::world::{ALPHA, Answers, Boundaries, Played, World};

/// How much longer the default method may take than the asymptotic sequence, by the median.
const LONGER: f64 = 1.25;
/// How far off a good forecast may be.
const FACTOR: f64 = 2.0;
/// How many forecasts have to be good.
const GOOD: f64 = 0.5;
/// When forecasts are taken, as shares of what it took in the end.
const TAKEN: [f64; 3] = [0.25, 0.5, 0.75];

/// One world and what is asked of it.
#[derive(Debug)]
pub(crate) struct Cell {
    /// What is simulated.
    pub(crate) name: String,
    question: Question,
    world: World,
}

#[derive(Debug, Clone, Copy)]
enum Question {
    /// There is no effect: how often is one found?
    Nothing,
    /// There is one: does the interval hold it?
    Coverage,
    /// How long does it take, and is that foreseen?
    Speed,
}

/// One measurement.
#[derive(Debug)]
pub(crate) struct Line {
    cell: String,
    what: &'static str,
    value: f64,
    most: Option<f64>,
    least: Option<f64>,
    note: String,
    /// Whether it is what it has to be.
    pub(crate) met: bool,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = match (self.most, self.least) {
            (Some(most), _) => format!("<= {most:.4}"),
            (None, Some(least)) => format!(">= {least:.4}"),
            (None, None) => String::new(),
        };
        let met = if self.met { "met" } else { "NOT MET" };
        write!(
            f,
            "{:<42} {:<34} {:>8.4}  {bound:<10} {met:<8}{}",
            self.cell, self.what, self.value, self.note
        )
    }
}

/// Everything, each with up to so many units.
pub(crate) fn all(units: usize) -> Vec<Cell> {
    let mut cells = nothing(units);
    cells.extend(coverage(units));
    cells.extend(speed(units));
    cells
}

const STARS: [f64; 5] = [0.05, 0.05, 0.15, 0.35, 0.40];

fn nothing(units: usize) -> Vec<Cell> {
    let mut cells = Vec::new();
    for floor in [None, Some(0.1)] {
        for late in [false, true] {
            // Top-two allocation of two arms is always half and half: it needs a third to move anything.
            let arms = if floor.is_some() { 3 } else { 2 };
            let mut answers: Vec<(String, Answers)> = [0.005, 0.02, 0.1, 0.5]
                .map(|rate| (format!("rate {rate}"), Answers::Rate(vec![rate; arms])))
                .into();
            answers.push(("stars".to_owned(), Answers::Stars(vec![STARS; arms])));
            for (what, answers) in answers {
                let name = format!(
                    "no effect, {what}, {}, {}",
                    if late { "late" } else { "at once" },
                    if floor.is_some() { "adaptive" } else { "fixed" }
                );
                let world = World {
                    answers,
                    late,
                    floor,
                    goal: SequentialMethod::EProcess,
                    units,
                    stop: false,
                    forecasts: false,
                };
                cells.push(Cell { name, question: Question::Nothing, world });
            }
        }
    }
    cells
}

fn coverage(units: usize) -> Vec<Cell> {
    let rates: [(&str, Vec<f64>); 4] = [
        ("0.005 -> 0.01", vec![0.005, 0.01, 0.005]),
        ("0.02 -> 0.04", vec![0.02, 0.04, 0.02]),
        ("0.1 -> 0.15", vec![0.1, 0.15, 0.12]),
        ("0.5 -> 0.45", vec![0.5, 0.45, 0.5]),
    ];
    let mut worlds: Vec<(String, Vec<f64>, bool)> = Vec::new();
    for (name, rates) in rates {
        worlds.push((format!("{name}, fixed"), rates[..2].to_vec(), false));
        worlds.push((format!("{name}, adaptive"), rates, true));
    }
    let mut cells: Vec<Cell> = worlds
        .into_iter()
        .map(|(name, rates, adaptive)| {
            let floor = adaptive.then_some(0.1);
            let answers = Answers::Rate(rates);
            let goal = SequentialMethod::EProcess;
            let world = World { answers, late: false, floor, goal, units, stop: false, forecasts: false };
            Cell { name: format!("effect {name}"), question: Question::Coverage, world }
        })
        .collect();
    for floor in [None, Some(0.1)] {
        let arms = [STARS, [0.08, 0.07, 0.2, 0.35, 0.3], STARS];
        let answers = Answers::Stars(arms[..if floor.is_some() { 3 } else { 2 }].to_vec());
        let world = World {
            answers,
            late: true,
            floor,
            goal: SequentialMethod::EProcess,
            units,
            stop: false,
            forecasts: false,
        };
        let name = format!("effect stars, late, {}", if floor.is_some() { "adaptive" } else { "fixed" });
        cells.push(Cell { name, question: Question::Coverage, world });
    }
    cells
}

fn speed(units: usize) -> Vec<Cell> {
    let answers = [
        ("0.1 -> 0.2", Answers::Rate(vec![0.1, 0.2])),
        ("0.02 -> 0.06", Answers::Rate(vec![0.02, 0.06])),
        ("0.7 -> 0.8", Answers::Rate(vec![0.7, 0.8])),
        ("0.5 -> 0.6", Answers::Rate(vec![0.5, 0.6])),
        ("stars", Answers::Stars(vec![STARS, [0.08, 0.07, 0.2, 0.35, 0.3]])),
    ];
    let mut cells = Vec::new();
    for goal in [SequentialMethod::EProcess, SequentialMethod::Asymptotic] {
        for (name, answers) in answers.clone() {
            let judged = if goal == SequentialMethod::EProcess { "e-process" } else { "sequence" };
            // The sequence beside the e-process has to reach its end too.
            let stop = goal == SequentialMethod::Asymptotic;
            let world = World {
                answers,
                late: false,
                floor: None,
                goal,
                units: units.min(20_000),
                stop,
                forecasts: true,
            };
            cells.push(Cell { name: format!("speed {name}, {judged}"), question: Question::Speed, world });
        }
    }
    cells
}

impl Cell {
    /// Plays it so many times.
    pub(crate) fn run(&self, replications: usize, threads: usize) -> Vec<Line> {
        let boundaries = &Boundaries::new(&self.world.plan(), self.world.units);
        let next = &AtomicUsize::new(0);
        let seed = self.name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let work = || {
            let mut done = Vec::new();
            loop {
                let replication = next.fetch_add(1, Ordering::Relaxed);
                if replication >= replications {
                    return done;
                }
                let seed = seed.wrapping_add((replication as u64).wrapping_mul(0xD134_2543_DE82_EF95));
                done.push(self.world.play(boundaries, seed));
            }
        };
        let played: Vec<Played> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
        });
        match self.question {
            Question::Nothing => self.nothing(&played),
            Question::Coverage => vec![self.rate("interval misses the effect", &played, |p| p.missed)],
            Question::Speed => self.speed(&played),
        }
    }

    fn nothing(&self, played: &[Played]) -> Vec<Line> {
        let sequence = if self.world.floor.is_some() { "scores' sequence" } else { "sequence" };
        let harm = if self.world.floor.is_some() { "scores' sequence, harm" } else { "sequence, harm" };
        vec![
            self.rate("e-process", played, |p| p.e_process.is_some()),
            self.rate("e-process, harm", played, |p| p.e_harm),
            self.rate(sequence, played, |p| p.sequence.is_some() || p.missed),
            self.rate(harm, played, |p| p.sequence_harm),
            self.rate("verdict", played, |p| p.verdict.is_some()),
            self.rate("sample ratio", played, |p| p.ratio),
        ]
    }

    fn rate(&self, what: &'static str, played: &[Played], found: impl Fn(&Played) -> bool) -> Line {
        let n = played.len() as f64;
        let value = played.iter().filter(|p| found(p)).count() as f64 / n;
        let most = ALPHA + 3.0 * (ALPHA * (1.0 - ALPHA) / n).sqrt();
        self.line(what, value, Some(most), None, String::new())
    }

    fn line(
        &self,
        what: &'static str,
        value: f64,
        most: Option<f64>,
        least: Option<f64>,
        note: String,
    ) -> Line {
        let met = most.is_none_or(|most| value <= most) && least.is_none_or(|least| value >= least);
        Line { cell: self.name.clone(), what, value, most, least, note, met }
    }

    fn speed(&self, played: &[Played]) -> Vec<Line> {
        let n = played.len() as f64;
        let mut lines = Vec::new();
        if self.world.goal == SequentialMethod::EProcess {
            let e = median(played.iter().map(|p| p.e_process));
            let sequence = median(played.iter().map(|p| p.sequence));
            let note = format!(" medians {e:.0} and {sequence:.0} units");
            lines.push(self.line("e-process / sequence", e / sequence, Some(LONGER), None, note));
        }
        let mut all = (0, 0);
        let mut notes = Vec::new();
        for share in TAKEN {
            let ratios: Vec<f64> = played.iter().filter_map(|p| forecast(p, share)).collect();
            let good = ratios.iter().filter(|ratio| (1.0 / FACTOR..=FACTOR).contains(*ratio)).count();
            let short = ratios.iter().filter(|ratio| **ratio < 1.0).count();
            all = (all.0 + good, all.1 + ratios.len());
            let count = ratios.len().max(1) as f64;
            notes.push(format!("{:.2} ({:.2} too short)", good as f64 / count, short as f64 / count));
        }
        let good = f64::from(all.0 as u32) / f64::from(all.1.max(1) as u32);
        let answered = played.iter().filter(|p| p.verdict.is_some()).count() as f64 / n;
        let note = format!(" at 25, 50, 75 %: {}; answered {answered:.3}", notes.join(", "));
        // Sampling error as for the rates above.
        let least = GOOD - 3.0 * (GOOD * (1.0 - GOOD) / n).sqrt();
        lines.push(self.line("forecasts within a factor of two", good, None, Some(least), note));
        lines
    }
}

/// The forecast over the truth when this share of what it took was closed; nothing without an answer. No forecast is a bad one.
fn forecast(played: &Played, share: f64) -> Option<f64> {
    let (ended, _) = played.verdict?;
    let ended = played.e_process.unwrap_or(ended).min(ended);
    let then = (ended as f64 * share) as u64;
    let (closed, forecast) = played.forecasts.iter().rev().find(|(closed, _)| *closed <= then)?;
    let truth = ended.saturating_sub(*closed).max(1) as f64;
    Some(forecast.map_or(f64::INFINITY, |forecast| forecast / truth))
}

fn median(values: impl Iterator<Item = Option<u64>>) -> f64 {
    let mut values: Vec<f64> = values.map(|value| value.map_or(f64::INFINITY, |v| v as f64)).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
