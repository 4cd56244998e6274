//! The randomisation e-process: do two versions' outcomes differ, whatever the outcomes' distribution?

use super::evidence::{Evidence, log_mean_exp};
use super::wealth::Wealth;
use super::{Alpha, Arm, Grid, InputError, StateError, bytes, error};

/// Which difference is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sides {
    /// Any difference.
    Two,
    /// The treatment's outcomes are greater.
    TreatmentGreater,
    /// The treatment's outcomes are less.
    TreatmentLess,
}

/// How far apart the bets are. For rates a tilt is the log odds ratio that is bet on. The mean over k of them loses at most
/// `ln k` of log evidence to the best of them, one-sided, and `ln 2 k` two-sided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tilts {
    /// 0.25, 0.5, 1 and 2: for comparing versions that are both worth comparing.
    #[default]
    Moderate,
    /// And 4, for harm that is rare until something breaks. 0.5 % failures that become 3 % are a log odds ratio of 1.8, 8 %
    /// one of 2.9. Where harm is common the fifth bet costs `ln(5/4)`.
    Wide,
}

impl Tilts {
    fn count(self) -> usize {
        match self {
            Self::Moderate => 4,
            Self::Wide => 5,
        }
    }
}

const TILTS: [f64; 5] = [0.25, 0.5, 1.0, 2.0, 4.0];

/// A test of whether two randomised versions' outcomes differ, valid at every look, without any approximation.
///
/// Use it for rates and ratings with few units or rare events, for canaries, and wherever the allocation changes on the
/// way: the probability of the treatment is given with each unit, and may depend on everything before it (ramps,
/// bandits).
///
/// For a unit with outcome y in [0, 1], allocation probability pi and the distribution p of all earlier outcomes of both
/// arms, the evidence is multiplied by `q_A(y) / (pi q1(y) + (1 - pi) q0(y))`, where `q1(y) ~ p(y) exp(d y / 2)` and
/// `q0(y) ~ p(y) exp(-d y / 2)` are bets that the treatment has greater outcomes. If the arm did not matter, the
/// expectation of this factor over the draw of the arm is exactly 1 for every outcome, so their product is a martingale
/// whatever the outcomes are and however they drift. The e-value is the mean of the products for d in +-{0.25, 0.5, 1, 2}
/// (see [`Tilts`]), or, one-sided, for the positive or the negative ones only.
///
/// **Nulls.** Two-sided: the outcome of a unit does not depend on its arm. `TreatmentGreater`: also everything under
/// which the treatment's outcome is stochastically no greater given the past (for rates: its rate is no higher), because
/// the factor rises with y for the treatment and falls for the control. `TreatmentLess` mirrors it.
///
/// **What must hold.** One outcome per unit, and whether there is an outcome must not depend on the arm: units that
/// report less often under one version make a difference of their own.
///
/// p starts as the uniform distribution with the weight of one unit, whatever the number of levels (for rates the 1/2 per
/// value of Krichevsky and Trofimov). It never has to be more than rough: p(y) itself cancels from the factor, and what
/// remains are the normalising sums of q1 and q0.
///
/// The order of units matters, since every factor is computed from the past: two processes cannot be merged.
/// An observation costs O(1) whatever the number of levels, 30 to 50 ns; memory is O(levels).
///
/// Source: Turner, Ly, Grünwald, "Generic E-variables for exact sequential k-sample tests that allow for optional
/// stopping", Journal of Statistical Planning and Inference 230 (2024), arXiv 2106.02693, here with the allocation as
/// what is random.
///
/// ```
/// use upswing_stats::sequential::{Alpha, Arm, Grid, RandomisationTest, Sides};
///
/// let mut test = RandomisationTest::new(Grid::binary(), Alpha::new(0.05)?);
/// for _ in 0..40 {
///     test.observe(Arm::Control, 0.0, 0.5)?;
///     test.observe(Arm::Treatment, 1.0, 0.5)?;
/// }
/// assert!(test.rejected_at(Sides::Two).unwrap() < 40);
/// assert_eq!(test.rejected_at(Sides::TreatmentLess), None);
/// # Ok::<(), upswing_stats::sequential::InputError>(())
/// ```
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(into = "Vec<u8>", try_from = "Vec<u8>")]
pub struct RandomisationTest {
    grid: Grid,
    bets: Tilts,
    alpha: Alpha,
    /// How often each level was seen in either arm.
    counts: Vec<u64>,
    units: [u64; 2],
    tilts: Vec<Tilt>,
    /// In the order of [`Sides`].
    evidence: [Evidence; 3],
    table: Vec<Level>,
}

/// One pair of bets, on d and on -d.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Tilt {
    /// `sum of weight(y) exp(d y / 2)` over the levels.
    up: f64,
    /// `sum of weight(y) exp(-d y / 2)`.
    down: f64,
    /// The product for d: the treatment is greater.
    greater: Wealth,
    /// The product for -d.
    less: Wealth,
}

/// For each of [`TILTS`], what one more unit on a level adds to its sums. Their quotient is `exp(d y)`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Level([(f64, f64); TILTS.len()]);

impl RandomisationTest {
    /// A test that has seen nothing, with moderate tilts.
    pub fn new(grid: Grid, alpha: Alpha) -> Self {
        Self::with_tilts(grid, alpha, Tilts::default())
    }

    /// A test that has seen nothing.
    pub fn with_tilts(grid: Grid, alpha: Alpha, bets: Tilts) -> Self {
        let table = table(grid);
        let weight = 1.0 / grid.len() as f64;
        let none = Tilt { up: 0.0, down: 0.0, greater: Wealth::ONE, less: Wealth::ONE };
        let mut tilts = vec![none; bets.count()];
        for level in &table {
            for (tilt, (up, down)) in tilts.iter_mut().zip(level.0) {
                tilt.up += weight * up;
                tilt.down += weight * down;
            }
        }
        let (counts, evidence) = (vec![0; grid.len()], [Evidence::default(); 3]);
        Self { grid, bets, alpha, counts, units: [0; 2], tilts, evidence, table }
    }

    /// Takes the outcome of one unit. `probability_of_treatment` is the probability with which this unit could have got
    /// the treatment, as it was when the arm was drawn; for two out of more arms see [`super::within_pair`].
    ///
    /// # Errors
    /// An outcome outside of [0, 1] or not on the grid, a probability outside of (0, 1). Nothing changes then.
    pub fn observe(
        &mut self,
        arm: Arm,
        outcome: f64,
        probability_of_treatment: f64,
    ) -> Result<(), InputError> {
        let place = self.grid.place(outcome)?;
        let pi = error::allocation(probability_of_treatment)?;
        let (Some(level), Some(count)) = (self.table.get(place), self.counts.get_mut(place)) else {
            return Err(InputError::Outcome(outcome));
        };
        let treated = arm == Arm::Treatment;
        for (tilt, (up, down)) in self.tilts.iter_mut().zip(level.0) {
            // q1(y)/q0(y); the bet on -d has its reciprocal.
            let numerator = up * tilt.down;
            let denominator = down * tilt.up;
            let greater = pi * numerator + (1.0 - pi) * denominator;
            let less = pi * denominator + (1.0 - pi) * numerator;
            let (with, against) = if treated { (numerator, denominator) } else { (denominator, numerator) };
            tilt.greater.multiply(with / greater);
            tilt.less.multiply(against / less);
            tilt.up += up;
            tilt.down += down;
        }
        *count += 1;
        self.units[usize::from(treated)] += 1;
        self.update_evidence();
        Ok(())
    }

    #[inline]
    fn update_evidence(&mut self) {
        let time = self.observations();
        let (mut greater, mut less) = (Wealth::ONE, Wealth::ONE);
        for tilt in &self.tilts {
            greater = greater.larger(tilt.greater);
            less = less.larger(tilt.less);
        }
        let sides = [
            (Sides::Two, greater.larger(less)),
            (Sides::TreatmentGreater, greater),
            (Sides::TreatmentLess, less),
        ];
        for (place, (side, largest)) in sides.into_iter().enumerate() {
            // A mean is at most the largest of what it is made of: mostly this saves all logarithms.
            let rises = |evidence: &Evidence| largest > Wealth::ONE && evidence.may_rise(largest.log());
            if self.evidence.get(place).is_some_and(rises) {
                let log_e = self.log_e(side);
                if let Some(evidence) = self.evidence.get_mut(place) {
                    evidence.see(log_e, time, self.alpha);
                }
            }
        }
    }

    /// The logarithm of the e-value now. It is at least `ln(1/alpha)` with probability at most alpha under the null,
    /// ever.
    pub fn log_e(&self, sides: Sides) -> f64 {
        let greater = self.tilts.iter().map(|t| t.greater.log());
        let less = self.tilts.iter().map(|t| t.less.log());
        match sides {
            Sides::Two => log_mean_exp(greater.chain(less)),
            Sides::TreatmentGreater => log_mean_exp(greater),
            Sides::TreatmentLess => log_mean_exp(less),
        }
    }

    /// At least the log e-value for a greater treatment now, and at least 0; at most one logarithm.
    #[inline]
    pub(super) fn greater_bound(&self) -> f64 {
        let largest = self.tilts.iter().fold(Wealth::ONE, |largest, tilt| largest.larger(tilt.greater));
        if largest > Wealth::ONE { largest.log() } else { 0.0 }
    }

    /// The largest log e-value so far, at least 0: what it was before the first unit.
    pub fn largest_log_e(&self, sides: Sides) -> f64 {
        self.of(sides).maximum()
    }

    /// At which unit, counted from 1, the e-value first reached `1/alpha`. Once it did, the null stays rejected.
    pub fn rejected_at(&self, sides: Sides) -> Option<u64> {
        self.of(sides).rejected_at()
    }

    /// A p-value that is valid at every look: 1 over the largest e-value so far.
    pub fn p_value(&self, sides: Sides) -> f64 {
        self.of(sides).p_value()
    }

    fn of(&self, sides: Sides) -> &Evidence {
        let [two, greater, less] = &self.evidence;
        match sides {
            Sides::Two => two,
            Sides::TreatmentGreater => greater,
            Sides::TreatmentLess => less,
        }
    }

    /// How many units were observed.
    pub fn observations(&self) -> u64 {
        self.units[0] + self.units[1]
    }

    /// How many units of an arm were observed.
    pub fn units(&self, arm: Arm) -> u64 {
        self.units[usize::from(arm == Arm::Treatment)]
    }

    /// How often each level was seen, both arms together.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The levels that outcomes lie on.
    pub fn grid(&self) -> Grid {
        self.grid
    }

    /// The level of the test.
    pub fn alpha(&self) -> Alpha {
        self.alpha
    }

    /// The state as bytes: 250 to 300 for a rate, one to eight more for each further level. What is restored from them
    /// continues with the same bits.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut to = bytes::Writer::new(bytes::Kind::Randomisation);
        to.byte(self.grid.len() as u8);
        to.byte(u8::from(self.grid.rounds()));
        to.byte(self.bets as u8);
        to.float(self.alpha.value());
        self.counts.iter().for_each(|&count| to.count(count));
        to.count(self.units[1]);
        for tilt in &self.tilts {
            to.float(tilt.up);
            to.float(tilt.down);
            tilt.greater.write(&mut to);
            tilt.less.write(&mut to);
        }
        self.evidence.iter().for_each(|evidence| evidence.write(&mut to));
        to.finish()
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// Another layout, another method's state, or bytes that were cut off, changed, or contradict themselves.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StateError> {
        let mut from = bytes::Reader::new(bytes, bytes::Kind::Randomisation)?;
        let levels = usize::from(from.byte()?);
        let grid = match from.byte()? {
            0 => Grid::levels(levels),
            1 => Grid::nearest(levels),
            _ => return Err(StateError::Corrupt),
        };
        let grid = grid.map_err(|_| StateError::Corrupt)?;
        let bets = match from.byte()? {
            0 => Tilts::Moderate,
            1 => Tilts::Wide,
            _ => return Err(StateError::Corrupt),
        };
        let alpha = Alpha::new(from.float()?).map_err(|_| StateError::Corrupt)?;
        let mut test = Self::with_tilts(grid, alpha, bets);
        let mut observations = 0_u64;
        for (count, level) in test.counts.iter_mut().zip(&test.table) {
            *count = from.count()?;
            observations += *count;
            for (tilt, (up, down)) in test.tilts.iter_mut().zip(level.0) {
                tilt.up += *count as f64 * up;
                tilt.down += *count as f64 * down;
            }
        }
        let treated = from.count()?;
        test.units = [observations.checked_sub(treated).ok_or(StateError::Corrupt)?, treated];
        for tilt in &mut test.tilts {
            // What is written are the sums in the order of the stream, which differ from these by rounding only.
            let near = |sum: f64| move |value: f64| (value / sum - 1.0).abs() < 1e-6;
            tilt.up = from.finite(near(tilt.up))?;
            tilt.down = from.finite(near(tilt.down))?;
            tilt.greater = Wealth::read(&mut from)?;
            tilt.less = Wealth::read(&mut from)?;
        }
        for evidence in &mut test.evidence {
            *evidence = Evidence::read(&mut from, observations, alpha)?;
        }
        from.finish()?;
        Ok(test)
    }
}

impl From<RandomisationTest> for Vec<u8> {
    fn from(test: RandomisationTest) -> Self {
        test.to_bytes()
    }
}

impl TryFrom<Vec<u8>> for RandomisationTest {
    type Error = StateError;

    fn try_from(bytes: Vec<u8>) -> Result<Self, StateError> {
        Self::from_bytes(&bytes)
    }
}

/// About how many units the test takes to reject, in the middle of their distribution: `ln(1/alpha)` over the divergence
/// of each arm's distribution from the mixture of both, weighted by allocation.
///
/// The distributions are probabilities of the levels, `[1 - rate, rate]` for a rate. One-sided tests are within some ten
/// per cent of it, two-sided ones take a fifth to a third more. `None` where it does not exist: distributions of
/// different lengths, that do not sum to 1, have negative parts or do not differ, or an allocation outside of (0, 1).
///
/// ```
/// use upswing_stats::sequential::{Alpha, randomisation};
/// let units = randomisation::expected_units(&[0.9, 0.1], &[0.8, 0.2], 0.5, Alpha::new(0.05)?).unwrap();
/// assert!((units - 300.0).abs() < 1.0);
/// # Ok::<(), upswing_stats::sequential::InputError>(())
/// ```
pub fn expected_units(
    control: &[f64],
    treatment: &[f64],
    probability_of_treatment: f64,
    alpha: Alpha,
) -> Option<f64> {
    let pi = error::allocation(probability_of_treatment).ok()?;
    let distribution = |shares: &[f64]| {
        shares.iter().all(|&share| share >= 0.0) && (shares.iter().sum::<f64>() - 1.0).abs() < 1e-9
    };
    if control.len() != treatment.len() || !distribution(control) || !distribution(treatment) {
        return None;
    }
    let information: f64 = control
        .iter()
        .zip(treatment)
        .map(|(&c, &t)| {
            let mixture = pi * t + (1.0 - pi) * c;
            let part = |weight: f64, share: f64| {
                if share > 0.0 { weight * share * (share / mixture).ln() } else { 0.0 }
            };
            part(pi, t) + part(1.0 - pi, c)
        })
        .sum();
    // Below this the arms are the same but for rounding.
    (information > 1e-15).then(|| alpha.log_threshold() / information)
}

fn table(grid: Grid) -> Vec<Level> {
    let level = |place| {
        let half = grid.value(place) / 2.0;
        Level(TILTS.map(|d| ((d * half).exp(), (-d * half).exp())))
    };
    (0..grid.len()).map(level).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Sides; 3] = [Sides::Two, Sides::TreatmentGreater, Sides::TreatmentLess];

    fn test(grid: Grid) -> RandomisationTest {
        RandomisationTest::new(grid, Alpha::default())
    }

    /// The probability of the treatment given the past: here it depends on outcomes, arms and time.
    fn adaptive(history: &[(Arm, f64)]) -> f64 {
        let score: f64 = history.iter().map(|&(arm, y)| if arm == Arm::Treatment { y } else { -y }).sum();
        0.5 + 0.3 * (score + history.len() as f64 / 10.0).sin()
    }

    /// The sum of probability times e-value over all ways to assign arms to these outcomes, for each of [`ALL`].
    fn expectation(test: &RandomisationTest, history: &mut Vec<(Arm, f64)>, rest: &[f64]) -> [f64; 3] {
        let Some((&outcome, rest)) = rest.split_first() else {
            return ALL.map(|sides| test.log_e(sides).exp());
        };
        let pi = adaptive(history);
        let mut sum = [0.0; 3];
        for (arm, probability) in [(Arm::Treatment, pi), (Arm::Control, 1.0 - pi)] {
            let mut next = test.clone();
            next.observe(arm, outcome, pi).unwrap();
            history.push((arm, outcome));
            for (sum, e) in sum.iter_mut().zip(expectation(&next, history, rest)) {
                *sum += probability * e;
            }
            history.pop();
        }
        sum
    }

    #[test]
    fn under_the_null_the_expectation_is_exactly_one_for_every_sequence_of_outcomes() {
        for outcomes in 0..256_u32 {
            let outcomes: Vec<f64> = (0..8).map(|bit| f64::from(outcomes >> bit & 1)).collect();
            let e = expectation(&test(Grid::binary()), &mut Vec::new(), &outcomes);
            assert!(e.iter().all(|e| (e - 1.0).abs() < 1e-12), "{outcomes:?}: {e:?}");
        }
        for tilts in [Tilts::Moderate, Tilts::Wide] {
            let outcomes = [0.25, 1.0, 0.0, 0.75, 0.75, 0.5, 1.0, 0.0];
            let stars = RandomisationTest::with_tilts(Grid::levels(5).unwrap(), Alpha::default(), tilts);
            let e = expectation(&stars, &mut Vec::new(), &outcomes);
            assert!(e.iter().all(|e| (e - 1.0).abs() < 1e-12), "{tilts:?}: {e:?}");
        }
    }

    /// The expectation over arms and outcomes with rates `[control, treatment]`.
    fn expectation_at(test: &RandomisationTest, rates: [f64; 2], pi: f64, left: usize, sides: Sides) -> f64 {
        if left == 0 {
            return test.log_e(sides).exp();
        }
        let mut sum = 0.0;
        for (arm, share, rate) in [(Arm::Control, 1.0 - pi, rates[0]), (Arm::Treatment, pi, rates[1])] {
            for (outcome, probability) in [(1.0, rate), (0.0, 1.0 - rate)] {
                let mut next = test.clone();
                next.observe(arm, outcome, pi).unwrap();
                sum += share * probability * expectation_at(&next, rates, pi, left - 1, sides);
            }
        }
        sum
    }

    #[test]
    fn one_sided_it_is_a_supermartingale_when_the_treatment_is_better_the_other_way() {
        for rates in [[0.3, 0.1], [0.9, 0.85], [0.5, 0.5]] {
            for pi in [0.05, 0.5, 0.8] {
                let new = test(Grid::binary());
                assert!(expectation_at(&new, rates, pi, 5, Sides::TreatmentGreater) <= 1.0 + 1e-12);
                let swapped = [rates[1], rates[0]];
                assert!(expectation_at(&new, swapped, pi, 5, Sides::TreatmentLess) <= 1.0 + 1e-12);
            }
        }
    }

    #[test]
    fn factors_meet_the_definition() {
        // Written out from the definition, in another form than the implementation's.
        let grid = Grid::levels(5).unwrap();
        let stream = [(Arm::Treatment, 1.0, 0.5), (Arm::Control, 0.25, 0.1), (Arm::Treatment, 0.5, 0.9)];
        let mut actual = test(grid);
        let mut weights = [0.2_f64; 5];
        let mut products = vec![1.0; 8];
        for (arm, y, pi) in stream {
            actual.observe(arm, y, pi).unwrap();
            for (product, d) in products.iter_mut().zip([0.25, 0.5, 1.0, 2.0, -0.25, -0.5, -1.0, -2.0]) {
                let tilted = |sign: f64, y: f64| (sign * d * y / 2.0).exp();
                let total =
                    |sign: f64| (0..5).map(|i| weights[i] * tilted(sign, i as f64 / 4.0)).sum::<f64>();
                let weight = weights[(y * 4.0) as usize];
                let (q1, q0) = (weight * tilted(1.0, y) / total(1.0), weight * tilted(-1.0, y) / total(-1.0));
                *product *= if arm == Arm::Treatment { q1 } else { q0 } / (pi * q1 + (1.0 - pi) * q0);
            }
            weights[(y * 4.0) as usize] += 1.0;
            let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
            assert!((actual.log_e(Sides::Two) - mean(&products).ln()).abs() < 1e-12);
            assert!((actual.log_e(Sides::TreatmentGreater) - mean(&products[..4]).ln()).abs() < 1e-12);
            assert!((actual.log_e(Sides::TreatmentLess) - mean(&products[4..]).ln()).abs() < 1e-12);
        }
        assert_eq!(actual.counts(), [0, 1, 1, 0, 1]);
        assert_eq!((actual.units(Arm::Control), actual.units(Arm::Treatment)), (1, 2));
    }

    #[test]
    fn expected_units_exist_only_where_arms_differ() {
        let units = |c: &[f64], t: &[f64], pi| expected_units(c, t, pi, Alpha::default());
        assert!(
            units(&[0.5, 0.5], &[0.4, 0.6], 0.5).unwrap() < units(&[0.5, 0.5], &[0.4, 0.6], 0.1).unwrap()
        );
        assert!(units(&[1.0, 0.0], &[0.0, 1.0], 0.5).is_some());
        assert_eq!(units(&[0.3, 0.7], &[0.3, 0.7], 0.5), None);
        assert_eq!(units(&[0.3, 0.7], &[1.0], 0.5), None);
        assert_eq!(units(&[0.3, 0.6], &[0.3, 0.7], 0.5), None);
        assert_eq!(units(&[0.3, f64::NAN], &[0.3, 0.7], 0.5), None);
        assert_eq!(units(&[0.3, 0.7], &[0.4, 0.6], 1.0), None);
    }

    #[test]
    fn a_rejection_stays() {
        let mut test = test(Grid::binary());
        while test.rejected_at(Sides::Two).is_none() {
            test.observe(Arm::Control, 0.0, 0.5).unwrap();
            test.observe(Arm::Treatment, 1.0, 0.5).unwrap();
        }
        let (at, p) = (test.rejected_at(Sides::Two), test.p_value(Sides::Two));
        assert!(p <= 0.05 && test.log_e(Sides::Two) >= 20_f64.ln());
        for _ in 0..200 {
            test.observe(Arm::Control, 1.0, 0.5).unwrap();
            test.observe(Arm::Treatment, 0.0, 0.5).unwrap();
        }
        assert_eq!(test.rejected_at(Sides::TreatmentGreater).is_some(), at.is_some());
        assert!(test.log_e(Sides::TreatmentGreater) < 0.0, "the evidence now is against it");
        assert_eq!(test.rejected_at(Sides::Two), at);
    }

    #[test]
    fn what_has_no_meaning_is_refused_and_changes_nothing() {
        let mut test = test(Grid::binary());
        test.observe(Arm::Control, 1.0, 0.5).unwrap();
        let before = test.clone();
        for pi in [0.0, 1.0, -0.1, 1.1, f64::NAN, f64::INFINITY] {
            let refused = test.observe(Arm::Treatment, 1.0, pi).unwrap_err();
            assert!(matches!(refused, InputError::Allocation(_)), "{refused}");
        }
        for outcome in [-0.1, 1.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let refused = test.observe(Arm::Treatment, outcome, 0.5).unwrap_err();
            assert!(matches!(refused, InputError::Outcome(_)), "{refused}");
        }
        let refused = test.observe(Arm::Treatment, 0.5, 0.5);
        assert_eq!(refused, Err(InputError::Level { outcome: 0.5, levels: 2 }));
        assert_eq!(test, before);
    }

    #[test]
    fn extreme_probabilities_stay_finite() {
        let mut test = test(Grid::nearest(101).unwrap());
        for pi in [f64::MIN_POSITIVE, 1e-300, 1.0 - f64::EPSILON] {
            for (arm, y) in [(Arm::Control, 0.0), (Arm::Treatment, 1.0)] {
                test.observe(arm, y, pi).unwrap();
                assert!(ALL.iter().all(|&sides| test.log_e(sides).is_finite()));
            }
        }
    }

    fn stream() -> impl Strategy<Value = Vec<(bool, f64, f64)>> {
        prop::collection::vec((any::<bool>(), 0.0..=1.0, 0.01..0.99), 0..60)
    }

    fn feed(test: &mut RandomisationTest, stream: &[(bool, f64, f64)]) {
        for &(treated, y, pi) in stream {
            test.observe(if treated { Arm::Treatment } else { Arm::Control }, y, pi).unwrap();
        }
    }

    proptest! {
        #[test]
        fn what_is_restored_continues_with_the_same_bits(first in stream(), second in stream(), levels in 2..=101_usize) {
            let mut straight = test(Grid::nearest(levels).unwrap());
            feed(&mut straight, &first);
            let mut restored = RandomisationTest::from_bytes(&straight.to_bytes()).unwrap();
            prop_assert_eq!(&restored, &straight);
            feed(&mut straight, &second);
            feed(&mut restored, &second);
            prop_assert_eq!(&restored, &straight);
            prop_assert_eq!(restored.to_bytes(), straight.to_bytes());
        }

        #[test]
        fn changed_bytes_are_refused(first in stream(), at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
            let mut original = test(Grid::nearest(7).unwrap());
            feed(&mut original, &first);
            let bytes = original.to_bytes();
            let mut changed = bytes.clone();
            changed[at.index(bytes.len())] ^= flip;
            prop_assert!(RandomisationTest::from_bytes(&changed).is_err());
            prop_assert!(RandomisationTest::from_bytes(&bytes[..at.index(bytes.len())]).is_err());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = RandomisationTest::from_bytes(&bytes);
        }
    }

    #[test]
    fn states_of_others_are_refused() {
        let bytes = test(Grid::binary()).to_bytes();
        assert!(bytes.len() < 270, "{}", bytes.len());
        assert_eq!(RandomisationTest::from_bytes(&[]), Err(StateError::Corrupt));
        assert_eq!(RandomisationTest::from_bytes(&[9, 1]), Err(StateError::Version(9)));
        assert_eq!(RandomisationTest::from_bytes(&[1, 2, 0, 0, 0, 0]), Err(StateError::Kind));
    }
}
