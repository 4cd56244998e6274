//! What looking after every unit does to tests, and when each of them stops.
//!
//!     cargo run --release -p upswing-stats --example peeking -- 500
//!
//! Units get either version with probability 1/2, and every test is looked at after each of 2,000 units, from the first
//! on (the z test from the tenth of either arm on). A cell is the share of streams that were ever rejected and the median
//! unit of rejection (">" when less than half were), and below it the same of `../shared/reference/experiments.json` (key
//! `simulations`), with a `!` where they are more than three standard errors apart. At a null the share is the
//! false-positive rate, which must not exceed 0.05.
//!
//! The reference does not say how its stars are distributed; these have the standard deviation of 1.3 stars that its
//! stopping times imply, so stars compare roughly.
#![expect(clippy::print_stdout, reason = "its output is a table")]

use upswing_stats::sequential::{
    Alpha, Arm, AsymptoticSequence, BernoulliKtTest, Grid, InputError, Margin, MixtureSprt,
    NonInferiorityTest, RandomisationTest, Sides,
};

const UNITS: u64 = 2000;

/// The methods, in the order of columns.
const METHODS: [&str; 8] = [
    "randomisation, two-sided",
    "randomisation, one-sided",
    "Bernoulli KT",
    "asymptotic, N* = 5000",
    "asymptotic, N* = 500",
    "mixture SPRT",
    "z test at every look",
    "not inferior (0.95)",
];

/// The share rejected and the median stopping time, out of so many streams.
#[derive(Clone, Copy)]
struct Figure {
    share: f64,
    median: f64,
    streams: f64,
}

/// Where outcomes come from.
#[derive(Clone, Copy)]
enum Outcomes {
    Rates {
        control: f64,
        treatment: f64,
    },
    /// Probabilities of one to five stars.
    Stars {
        control: [f64; 5],
        treatment: [f64; 5],
    },
}

struct Scenario {
    name: &'static str,
    outcomes: Outcomes,
    /// On which side the effect lies; at a null, the side that is tested.
    side: Sides,
    /// Of the reference, in the order of methods.
    reference: [Option<Figure>; 8],
}

/// A figure of the reference's first simulation (1,000 streams).
fn first(share: f64, median: f64) -> Option<Figure> {
    Some(Figure { share, median, streams: 1000.0 })
}

/// A figure of its second one (2,000 streams), where the z test looks from the tenth unit of either arm on.
fn second(share: f64, median: f64) -> Option<Figure> {
    Some(Figure { share, median, streams: 2000.0 })
}

fn scenarios() -> Vec<Scenario> {
    const NEVER: f64 = 2001.0;
    let rates = |name, control, treatment, reference| Scenario {
        name,
        outcomes: Outcomes::Rates { control, treatment },
        side: Sides::TreatmentGreater,
        reference,
    };
    let current = [0.10, 0.10, 0.15, 0.30, 0.35];
    let worse = [0.17, 0.15, 0.19, 0.24, 0.25];
    let stars = |name, treatment, reference| Scenario {
        name,
        outcomes: Outcomes::Stars { control: current, treatment },
        side: Sides::TreatmentLess,
        reference,
    };
    vec![
        rates(
            "null 0.005",
            0.005,
            0.005,
            [
                first(0.005, NEVER),
                first(0.005, NEVER),
                None,
                first(0.0, NEVER),
                first(0.0, NEVER),
                None,
                None,
                None,
            ],
        ),
        rates(
            "null 0.02",
            0.02,
            0.02,
            [
                first(0.021, NEVER),
                first(0.016, NEVER),
                second(0.0275, NEVER),
                first(0.004, NEVER),
                first(0.008, NEVER),
                None,
                second(0.2355, NEVER),
                None,
            ],
        ),
        rates(
            "null 0.10",
            0.1,
            0.1,
            [
                first(0.035, NEVER),
                first(0.029, NEVER),
                second(0.0345, NEVER),
                first(0.008, NEVER),
                first(0.032, NEVER),
                None,
                second(0.3975, NEVER),
                None,
            ],
        ),
        rates(
            "null 0.50",
            0.5,
            0.5,
            [
                first(0.041, NEVER),
                first(0.032, NEVER),
                second(0.0395, NEVER),
                first(0.004, NEVER),
                first(0.032, NEVER),
                None,
                second(0.506, 1810.5),
                None,
            ],
        ),
        stars(
            "null stars",
            current,
            [
                first(0.022, NEVER),
                first(0.024, NEVER),
                None,
                first(0.007, NEVER),
                first(0.019, NEVER),
                None,
                second(0.478, NEVER),
                None,
            ],
        ),
        rates(
            "0.10 to 0.20",
            0.1,
            0.2,
            [
                first(1.0, 358.0),
                first(1.0, 286.0),
                second(0.9975, 446.0),
                first(1.0, 602.5),
                first(1.0, 364.0),
                None,
                second(1.0, 112.0),
                None,
            ],
        ),
        rates(
            "0.02 to 0.06",
            0.02,
            0.06,
            [
                first(0.979, 724.5),
                first(0.99, 582.0),
                second(0.9465, 742.0),
                first(0.969, 978.5),
                first(0.973, 740.0),
                None,
                second(0.9975, 303.0),
                None,
            ],
        ),
        rates(
            "0.70 to 0.80",
            0.7,
            0.8,
            [
                first(0.99, 578.5),
                first(0.997, 452.5),
                second(0.964, 717.5),
                first(0.989, 814.0),
                first(0.991, 540.0),
                None,
                second(1.0, 140.0),
                None,
            ],
        ),
        rates(
            "0.50 to 0.60",
            0.5,
            0.6,
            [
                first(0.946, 729.5),
                first(0.971, 570.5),
                second(0.866, 1039.0),
                first(0.947, 965.0),
                first(0.956, 693.5),
                None,
                second(0.9995, 129.0),
                None,
            ],
        ),
        stars(
            "stars -0.45",
            worse,
            [
                first(1.0, 290.5),
                first(1.0, 232.0),
                None,
                first(1.0, 493.5),
                first(1.0, 283.0),
                None,
                second(1.0, 72.0),
                None,
            ],
        ),
    ]
}

fn main() -> Result<(), InputError> {
    let streams = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(300_usize).max(20);
    println!("{streams} streams of {UNITS} units, looked at after each; ever rejected in %, median unit");
    let mut random = Random(20_261_121);
    let mut apart = 0;
    for scenario in scenarios() {
        let mut stops = vec![Vec::with_capacity(streams); METHODS.len()];
        for _ in 0..streams {
            for (stops, stop) in stops.iter_mut().zip(stream(&scenario, &mut random)?) {
                stops.push(stop);
            }
        }
        println!("\n{}", scenario.name);
        for ((method, stops), reference) in METHODS.into_iter().zip(&mut stops).zip(scenario.reference) {
            stops.sort_unstable();
            let here = figure(stops);
            // Rates have no stars to test, and a null no alternative.
            if method == "Bernoulli KT" && matches!(scenario.outcomes, Outcomes::Stars { .. }) {
                continue;
            }
            let verdict = match reference {
                Some(reference) if agree(here, stops, reference) => {
                    format!("   reference {}", text(reference))
                }
                Some(reference) => {
                    apart += 1;
                    format!(" ! reference {}", text(reference))
                }
                None => String::new(),
            };
            println!("  {method:<26}{}{verdict}", text(here));
        }
    }
    println!("\n{apart} figures lie more than three standard errors from the reference's");
    Ok(())
}

/// The unit at which each method first rejects, or one past the last.
fn stream(scenario: &Scenario, random: &mut Random) -> Result<[u64; 8], InputError> {
    let alpha = Alpha::new(0.05)?;
    let grid = match scenario.outcomes {
        Outcomes::Rates { .. } => Grid::binary(),
        Outcomes::Stars { .. } => Grid::levels(5)?,
    };
    let mut randomisation = RandomisationTest::new(grid, alpha);
    let mut kt = BernoulliKtTest::new(alpha);
    let mut not_inferior = NonInferiorityTest::new(Margin::default(), alpha);
    let planned =
        [AsymptoticSequence::approximate(5000.0, alpha)?, AsymptoticSequence::approximate(500.0, alpha)?];
    // Differences of a tenth of the scale are what is expected.
    let mut mixture = MixtureSprt::new(0.01)?;
    let mut sums = [Moments::default(); 2];
    let mut stops = [UNITS + 1; 8];
    for time in 1..=UNITS {
        let arm = if random.uniform() < 0.5 { Arm::Treatment } else { Arm::Control };
        let outcome = scenario.outcomes.draw(arm, random);
        randomisation.observe(arm, outcome, 0.5)?;
        not_inferior.observe(arm, outcome, 0.5)?;
        if matches!(scenario.outcomes, Outcomes::Rates { .. }) {
            kt.observe(arm, outcome, 0.5)?;
        }
        sums[usize::from(arm == Arm::Treatment)].add(outcome);
        let [control, treatment] = &sums;
        let mut rejected = [false; 8];
        rejected[2] = kt.rejected_at().is_some();
        if let (Some(before), Some(after)) = (control.error(), treatment.error()) {
            let difference = treatment.sum / treatment.count - control.sum / control.count;
            let error = (before + after).sqrt();
            if error > 0.0 {
                for (place, sequence) in planned.iter().enumerate() {
                    rejected[3 + place] = difference.abs() > sequence.around(error, time as f64)?;
                }
                // Both arms' variances, as for two arms of half the units each.
                let units = time as f64 / 2.0;
                rejected[5] = mixture.look(units, difference, error * error * units)? <= 0.05;
                let started = control.count.min(treatment.count) >= 10.0;
                rejected[6] = started && difference.abs() > 1.959_963_984_540_054 * error;
            }
        }
        for (stop, rejected) in stops.iter_mut().zip(rejected) {
            if rejected {
                *stop = (*stop).min(time);
            }
        }
    }
    stops[0] = randomisation.rejected_at(Sides::Two).unwrap_or(UNITS + 1);
    stops[1] = randomisation.rejected_at(scenario.side).unwrap_or(UNITS + 1);
    stops[7] = not_inferior.rejected_at().unwrap_or(UNITS + 1);
    Ok(stops)
}

impl Outcomes {
    fn draw(self, arm: Arm, random: &mut Random) -> f64 {
        let u = random.uniform();
        match self {
            Self::Rates { control, treatment } => {
                f64::from(u8::from(u < if arm == Arm::Treatment { treatment } else { control }))
            }
            Self::Stars { control, treatment } => {
                let shares = if arm == Arm::Treatment { treatment } else { control };
                let mut below = 0.0;
                let above = shares.iter().take(4).filter(|&&share| {
                    below += share;
                    u >= below
                });
                above.count() as f64 / 4.0
            }
        }
    }
}

/// Sums of one arm.
#[derive(Clone, Copy, Default)]
struct Moments {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        self.sum += value;
        self.squares += value * value;
    }

    /// The variance of the mean.
    fn error(&self) -> Option<f64> {
        let variance = (self.squares - self.sum * self.sum / self.count) / (self.count - 1.0);
        (self.count > 1.0 && variance > 1e-12).then_some(variance / self.count)
    }
}

/// Of sorted stopping times.
fn figure(stops: &[u64]) -> Figure {
    let share = stops.iter().filter(|&&stop| stop <= UNITS).count() as f64 / stops.len() as f64;
    Figure { share, median: at(stops, 0.5), streams: stops.len() as f64 }
}

/// A quantile of sorted stopping times.
fn at(stops: &[u64], q: f64) -> f64 {
    let place = (q.clamp(0.0, 1.0) * (stops.len() - 1) as f64).round() as usize;
    stops.get(place).map_or(f64::NAN, |&stop| stop as f64)
}

/// Whether share and median lie within three standard errors of the difference.
fn agree(here: Figure, stops: &[u64], reference: Figure) -> bool {
    let pooled = here.share * here.streams + reference.share * reference.streams;
    let streams = here.streams + reference.streams;
    // Half a stream at either end keeps the error above 0 where nothing or everything was rejected.
    let pooled = (pooled + 0.5) / (streams + 1.0);
    let inverse = 1.0 / here.streams + 1.0 / reference.streams;
    let share = (here.share - reference.share).abs() <= 3.0 * (pooled * (1.0 - pooled) * inverse).sqrt();
    // The standard error of a median in ranks is half the root of their number.
    let half = 1.5 * inverse.sqrt();
    let median = (at(stops, 0.5 - half)..=at(stops, 0.5 + half)).contains(&reference.median);
    share && median
}

fn text(figure: Figure) -> String {
    let median =
        if figure.median > UNITS as f64 { format!(">{UNITS}") } else { format!("{:.0}", figure.median) };
    format!("{:>6.1} % {median:>6}", figure.share * 100.0)
}

/// SplitMix64: seeded, and good enough to draw from.
struct Random(u64);

impl Random {
    /// In [0, 1).
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
