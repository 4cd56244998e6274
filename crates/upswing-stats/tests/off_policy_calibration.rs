//! Whether the intervals of off-policy evaluation hold what they promise, on logs whose truth is known, and whether the
//! verdict says so where they do not.
//!
//! A nominal coverage c is measured over R replications with a standard error of `sqrt(c (1 - c) / R)`; what lies three of
//! them below fails. Seeds are fixed, so that a run repeats.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use upswing_stats::off_policy::{
    Bounds, Estimator, Event, Evidence, Log, Minimum, Model, Moments, Side, interval,
};

const CONFIDENCE: f64 = 0.95;
const REPLICATIONS: u32 = 400;

/// Two kinds of context, equally frequent; three arms.
struct World {
    /// By context and arm: how the logging policy chose.
    logging: [[f64; 3]; 2],
    target: [[f64; 3]; 2],
    /// The rate of rewards of 1.
    rate: [[f64; 3]; 2],
    events: u32,
}

/// Rewards are frequent, and weights at most 3.
const BENIGN: World = World {
    logging: [[0.5, 0.3, 0.2], [0.2, 0.3, 0.5]],
    target: [[0.2, 0.2, 0.6], [0.6, 0.2, 0.2]],
    rate: [[0.2, 0.4, 0.5], [0.6, 0.4, 0.3]],
    events: 500,
};

/// As in advertising: some clicks in a thousand, and weights up to 18.
const RARE: World = World {
    logging: [[0.8, 0.15, 0.05], [0.8, 0.15, 0.05]],
    target: [[0.05, 0.05, 0.9], [0.05, 0.05, 0.9]],
    rate: [[0.003, 0.004, 0.005], [0.003, 0.004, 0.005]],
    events: 2000,
};

impl World {
    fn truth(&self) -> f64 {
        let contexts = self.target.iter().zip(&self.rate);
        contexts.map(|(target, rate)| dot(target, rate)).sum::<f64>() / 2.0
    }

    fn bounds(&self) -> Bounds {
        let weights = self.target.iter().flatten().zip(self.logging.iter().flatten()).map(|(t, p)| t / p);
        Bounds { weight: weights.fold(0.0, f64::max), low: 0.0, high: 1.0 }
    }

    /// A log, with a model that is off by a fifth.
    fn log(&self, seed: u64) -> Log {
        let mut random = Random(seed.wrapping_mul(0x2545_F491_4F6C_DD1D) ^ 0x9E37_79B9);
        Log::new((0..self.events).map(|_| {
            let context = usize::from(random.unit() < 0.5);
            let (logging, draw) = (&self.logging[context], random.unit());
            let arm = if draw < logging[0] { 0 } else { usize::from(draw >= logging[0] + logging[1]) + 1 };
            Event {
                reward: f64::from(u8::from(random.unit() < self.rate[context][arm])),
                propensity: logging[arm],
                target: self.target[context][arm],
                model: Some(Model {
                    logged: 0.8 * self.rate[context][arm],
                    target: 0.8 * dot(&self.target[context], &self.rate[context]),
                }),
            }
        }))
        .unwrap()
    }
}

fn dot(a: &[f64; 3], b: &[f64; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// SplitMix64 (Steele, Lea, Flood, DOI 10.1145/2660193.2660195).
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[derive(Clone, Copy)]
enum Method {
    Student,
    Bootstrap,
    Bernstein,
    Hoeffding,
}

/// The share of replications whose interval holds the truth.
fn coverage(world: &World, estimator: Estimator, method: Method, replications: u32) -> f64 {
    let truth = world.truth();
    let held = (0..replications).filter(|&seed| {
        let log = world.log(u64::from(seed));
        let contributions = estimator.contributions(&log).unwrap();
        let (bounds, both) = (world.bounds(), Side::Both);
        let interval = match method {
            Method::Student => interval::student_t(&contributions, CONFIDENCE, both),
            Method::Bootstrap => interval::bootstrap(&contributions, CONFIDENCE, both, 200, 1),
            Method::Bernstein => interval::empirical_bernstein(&estimator, &log, &bounds, CONFIDENCE, both),
            Method::Hoeffding => interval::hoeffding(&estimator, &log, &bounds, CONFIDENCE, both),
        };
        let interval = interval.unwrap();
        interval.low <= truth && truth <= interval.high
    });
    held.count() as f64 / f64::from(replications)
}

fn three_errors(replications: u32) -> f64 {
    3.0 * (CONFIDENCE * (1.0 - CONFIDENCE) / f64::from(replications)).sqrt()
}

const UNBIASED: [Estimator; 4] =
    [Estimator::Ips, Estimator::Snips, Estimator::DoublyRobust, Estimator::SelfNormalisedDoublyRobust];

#[test]
fn in_a_benign_case_students_intervals_hold_what_they_promise() {
    for estimator in UNBIASED {
        let share = coverage(&BENIGN, estimator, Method::Student, REPLICATIONS);
        println!("{estimator}: Student's t covers {share}");
        assert!(share >= CONFIDENCE - three_errors(REPLICATIONS), "{estimator}: {share}");
    }
}

#[test]
fn in_a_benign_case_the_bootstrap_does_too() {
    // 200 resamples put the ends 0.5 % to either side of where they belong: its own standard error is in the tolerance.
    let replications = 200;
    let resampling = 3.0 * (0.025_f64 * 0.975 / 200.0).sqrt() / f64::from(replications).sqrt();
    for estimator in [Estimator::Ips, Estimator::Snips, Estimator::DoublyRobust] {
        let share = coverage(&BENIGN, estimator, Method::Bootstrap, replications);
        println!("{estimator}: the bootstrap covers {share}");
        assert!(share >= CONFIDENCE - three_errors(replications) - resampling, "{estimator}: {share}");
    }
}

#[test]
fn a_ratios_interval_is_not_that_of_its_rounds() {
    // Rewards near 1 make the difference plain: rounds vary with the weights, the ratio does not.
    let log = BENIGN.log(1);
    let log = Log::new(log.events().iter().map(|e| Event { reward: 0.9 + 0.1 * e.reward, ..*e })).unwrap();
    let contributions = Estimator::Snips.contributions(&log).unwrap();
    let linearised = contributions.moments().standard_error().unwrap();
    let rounds = Moments::of(contributions.rounds()).standard_error().unwrap();
    assert!(linearised < rounds / 5.0, "{linearised} {rounds}");
}

#[test]
fn with_few_rewards_it_is_said_that_they_do_not_and_guaranteed_ones_still_do() {
    // A log has some seven clicks, and every second log one of weight 18: without it the interval ends far below the truth.
    let share = coverage(&RARE, Estimator::Ips, Method::Student, REPLICATIONS);
    println!("Student's t covers {share} with few clicks");
    assert!(share < CONFIDENCE - three_errors(REPLICATIONS), "{share}");
    let sufficient = (0..REPLICATIONS).filter(|&seed| {
        Evidence::of(&RARE.log(u64::from(seed))).unwrap().verdict(&Minimum::default()).is_sufficient()
    });
    assert_eq!(sufficient.count(), 0);
    for method in [Method::Bernstein, Method::Hoeffding] {
        for estimator in [Estimator::Ips, Estimator::DoublyRobust] {
            let share = coverage(&RARE, estimator, method, REPLICATIONS);
            assert!(share >= CONFIDENCE - three_errors(REPLICATIONS), "{estimator}: {share}");
        }
    }
}
