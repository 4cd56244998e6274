//! The judge of a canary: does the new version do harm, and is it good enough to take over?

use super::evidence::{Evidence, log_mean_exp};
use super::{
    Alpha, Arm, Grid, InputError, Margin, NonInferiorityTest, RandomisationTest, Sides, StateError, Tilts,
    bytes, error,
};

/// What has been found out about a new version that serves a growing share of the traffic.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", tag = "verdict")]
pub enum Verdict {
    /// It does harm: roll back. Once found, this stays the verdict.
    Harm {
        /// The guardrail with the most evidence when harm was found, by its place in the design.
        guardrail: usize,
        /// The largest combined log e-value so far, at least `ln(1/alpha)`.
        log_e: f64,
    },
    /// One of the streams has no outcome of one of the versions, so nothing can be said: it must not advance.
    Silent {
        /// The first such stream.
        stream: Stream,
    },
    /// No harm was found, and it is not worse than the margin allows: it may take over.
    NotInferior,
    /// No harm was found so far: it may advance, but not take over.
    Undecided,
}

/// One of the streams of outcomes that a canary is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// A guardrail, by its place in the design.
    Guardrail(usize),
    /// What the new version is meant to be good at.
    Goal,
}

/// What is known of one unit, all of it at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unit<'a> {
    /// The version it got.
    pub arm: Arm,
    /// With which probability it could have got the new one.
    pub probability_of_treatment: f64,
    /// An outcome for each guardrail, larger being worse; `None` where this unit has none.
    pub guardrails: &'a [Option<f64>],
    /// The outcome that the version is meant to be good at, larger being better.
    pub goal: Option<f64>,
}

/// Judges a canary by guardrails and a goal, valid at every look.
///
/// Each guardrail (errors, refusals, cost in [0, 1]: larger is worse) has a one-sided [`RandomisationTest`] with wide
/// tilts: a canary is there to find what is broken, soon. Harm is found when the *average* of their e-values reaches
/// `1/alpha`, so a version that is no worse on any guardrail is rolled back with probability at most alpha, however many
/// guardrails there are and however they depend on each other: the expectation of an average is the average of
/// expectations, each at most 1, at any stopping time. That needs no independence, which a product would, and for k
/// guardrails costs at most `ln k` of log evidence, where correcting p-values by Bonferroni costs the same at best.
///
/// All outcomes of a unit are taken in one step. If one were known, with the arm, before another, the arm would no longer
/// be random for the other, and looking in between could cheat.
///
/// The goal has a [`NonInferiorityTest`] at the same alpha: a version that is worse by the margin is ever found
/// [`Verdict::NotInferior`] with probability at most alpha. Without a goal that verdict does not occur. No harm found is
/// not good enough, and silence even less: a version that answers nothing has no errors.
/// A stream that dries up later is for the caller to notice: nothing here has a clock.
///
/// An observation costs O(guardrails). The order matters: two cannot be merged.
///
/// Source: Vovk, Wang, "E-values: calibration, combination, and applications", Annals of Statistics 49 (2021), arXiv
/// 1912.06116, for the average.
///
/// ```
/// use upswing_stats::sequential::{Alpha, Arm, Canary, Grid, Margin, Unit, Verdict};
///
/// let mut canary = Canary::new(vec![Grid::binary()], Some(Margin::default()), Alpha::new(0.05)?)?;
/// assert!(matches!(canary.verdict(), Verdict::Silent { .. }));
/// for (arm, error) in [(Arm::Control, 0.0), (Arm::Treatment, 1.0)].repeat(20) {
///     let guardrails = &[Some(error)];
///     canary.observe(Unit { arm, probability_of_treatment: 0.5, guardrails, goal: Some(1.0 - error) })?;
/// }
/// assert!(matches!(canary.verdict(), Verdict::Harm { guardrail: 0, .. }));
/// # Ok::<(), upswing_stats::sequential::InputError>(())
/// ```
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(into = "Vec<u8>", try_from = "Vec<u8>")]
pub struct Canary {
    alpha: Alpha,
    guardrails: Vec<RandomisationTest>,
    goal: Option<NonInferiorityTest>,
    units: u64,
    harm: Evidence,
    /// The guardrail with the most evidence when harm was found.
    culprit: Option<usize>,
}

/// More guardrails than anybody watches; bounds what a state can ask to be allocated.
const MOST_GUARDRAILS: usize = 100;

impl Canary {
    /// A canary that has seen nothing. A guardrail is the grid of its outcomes; there are 1 to 100.
    ///
    /// # Errors
    /// No guardrail, or more than 100.
    pub fn new(guardrails: Vec<Grid>, goal: Option<Margin>, alpha: Alpha) -> Result<Self, InputError> {
        let count = guardrails.len();
        error::require("guardrails", count as f64, "1 to 100", (1..=MOST_GUARDRAILS).contains(&count))?;
        Ok(Self {
            alpha,
            guardrails: guardrails
                .into_iter()
                .map(|grid| RandomisationTest::with_tilts(grid, alpha, Tilts::Wide))
                .collect(),
            goal: goal.map(|margin| NonInferiorityTest::new(margin, alpha)),
            units: 0,
            harm: Evidence::default(),
            culprit: None,
        })
    }

    /// Takes all that is known of one unit.
    ///
    /// # Errors
    /// Another number of guardrails than designed, a goal where none was designed, or any outcome or probability that its
    /// test refuses. Nothing changes then.
    pub fn observe(&mut self, unit: Unit<'_>) -> Result<(), InputError> {
        let count = unit.guardrails.len();
        error::require("guardrails", count as f64, "as many as designed", count == self.guardrails.len())?;
        let pi = error::allocation(unit.probability_of_treatment)?;
        for (test, &outcome) in self.guardrails.iter().zip(unit.guardrails) {
            if let Some(outcome) = outcome {
                test.grid().place(outcome)?;
            }
        }
        // From here on only the goal can refuse, and does so before anything changes.
        match (&mut self.goal, unit.goal) {
            (Some(test), Some(outcome)) => test.observe(unit.arm, outcome, pi)?,
            (None, Some(value)) => {
                return Err(InputError::Parameter {
                    name: "goal",
                    value,
                    allowed: "absent: none was designed",
                });
            }
            (_, None) => {}
        }
        for (test, &outcome) in self.guardrails.iter_mut().zip(unit.guardrails) {
            if let Some(outcome) = outcome {
                test.observe(unit.arm, outcome, pi)?;
            }
        }
        self.units += 1;
        // The average is at most the largest: mostly this saves its exponentials.
        let bound = self.guardrails.iter().fold(0.0_f64, |bound, test| bound.max(test.greater_bound()));
        if self.harm.may_rise(bound) {
            self.harm.see(self.log_e(), self.units, self.alpha);
        }
        if self.culprit.is_none() && self.harm.rejected_at().is_some() {
            self.culprit = self.strongest();
        }
        Ok(())
    }

    /// The guardrail with the largest e-value, the first of equals.
    fn strongest(&self) -> Option<usize> {
        let evidence = self.guardrails.iter().map(|test| test.log_e(Sides::TreatmentGreater)).enumerate();
        evidence.reduce(|best, next| if next.1 > best.1 { next } else { best }).map(|(place, _)| place)
    }

    /// What has been found so far.
    pub fn verdict(&self) -> Verdict {
        if let Some(guardrail) = self.culprit {
            return Verdict::Harm { guardrail, log_e: self.harm.maximum() };
        }
        if let Some(stream) = self.silent() {
            return Verdict::Silent { stream };
        }
        match &self.goal {
            Some(test) if test.rejected_at().is_some() => Verdict::NotInferior,
            _ => Verdict::Undecided,
        }
    }

    /// The first stream without an outcome of either version.
    fn silent(&self) -> Option<Stream> {
        let both = [Arm::Control, Arm::Treatment];
        let guardrail = self.guardrails.iter().position(|test| both.iter().any(|&arm| test.units(arm) == 0));
        let goal = self.goal.as_ref().filter(|test| both.iter().any(|&arm| test.units(arm) == 0));
        guardrail.map(Stream::Guardrail).or(goal.map(|_| Stream::Goal))
    }

    /// The log of the average of the guardrails' e-values now.
    pub fn log_e(&self) -> f64 {
        log_mean_exp(self.guardrails.iter().map(|test| test.log_e(Sides::TreatmentGreater)))
    }

    /// At which unit, counted from 1, harm was found.
    pub fn harmed_at(&self) -> Option<u64> {
        self.harm.rejected_at()
    }

    /// How many units were observed.
    pub fn units(&self) -> u64 {
        self.units
    }

    /// The tests of the guardrails, in the order of the design.
    pub fn guardrails(&self) -> &[RandomisationTest] {
        &self.guardrails
    }

    /// The test of the goal, if there is one.
    pub fn goal(&self) -> Option<&NonInferiorityTest> {
        self.goal.as_ref()
    }

    /// The state as bytes: some 300 a guardrail and 150 for the goal. What is restored from them continues with the same
    /// bits.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut to = bytes::Writer::new(bytes::Kind::Canary);
        to.float(self.alpha.value());
        to.count(self.guardrails.len() as u64);
        self.guardrails.iter().for_each(|test| to.nested(&test.to_bytes()));
        // An empty one stands for no goal.
        to.nested(&self.goal.as_ref().map(NonInferiorityTest::to_bytes).unwrap_or_default());
        to.count(self.units);
        self.harm.write(&mut to);
        to.count(self.culprit.map_or(0, |place| place as u64 + 1));
        to.finish()
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// Another layout, another method's state, or bytes that were cut off, changed, or contradict themselves.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StateError> {
        let mut from = bytes::Reader::new(bytes, bytes::Kind::Canary)?;
        let alpha = Alpha::new(from.float()?).map_err(|_| StateError::Corrupt)?;
        let count = usize::try_from(from.count()?).map_err(|_| StateError::Corrupt)?;
        if !(1..=MOST_GUARDRAILS).contains(&count) {
            return Err(StateError::Corrupt);
        }
        let guardrails = (0..count)
            .map(|_| RandomisationTest::from_bytes(from.nested()?))
            .collect::<Result<Vec<_>, StateError>>()?;
        let goal = match from.nested()? {
            [] => None,
            bytes => Some(NonInferiorityTest::from_bytes(bytes)?),
        };
        let units = from.count()?;
        let harm = Evidence::read(&mut from, units, alpha)?;
        let culprit = match from.count()? {
            0 => None,
            place => Some(usize::try_from(place - 1).map_err(|_| StateError::Corrupt)?),
        };
        from.finish()?;
        let counts = guardrails.iter().map(RandomisationTest::observations);
        let counts = counts.chain(goal.as_ref().map(NonInferiorityTest::observations));
        let consistent = counts.into_iter().all(|n| n <= units)
            && culprit.is_some() == harm.rejected_at().is_some()
            && culprit.is_none_or(|place| place < count);
        if consistent {
            Ok(Self { alpha, guardrails, goal, units, harm, culprit })
        } else {
            Err(StateError::Corrupt)
        }
    }
}

impl From<Canary> for Vec<u8> {
    fn from(canary: Canary) -> Self {
        canary.to_bytes()
    }
}

impl TryFrom<Vec<u8>> for Canary {
    type Error = StateError;

    fn try_from(bytes: Vec<u8>) -> Result<Self, StateError> {
        Self::from_bytes(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canary() -> Canary {
        let guardrails = vec![Grid::binary(), Grid::levels(5).unwrap()];
        Canary::new(guardrails, Some(Margin::default()), Alpha::default()).unwrap()
    }

    fn unit(arm: Arm, guardrails: &[Option<f64>], goal: Option<f64>) -> Unit<'_> {
        Unit { arm, probability_of_treatment: 0.5, guardrails, goal }
    }

    #[test]
    fn silence_promotes_nothing() {
        let mut canary = canary();
        assert_eq!(canary.verdict(), Verdict::Silent { stream: Stream::Guardrail(0) });
        for _ in 0..300 {
            canary.observe(unit(Arm::Control, &[Some(0.0), Some(0.25)], Some(1.0))).unwrap();
            canary.observe(unit(Arm::Treatment, &[Some(0.0), None], Some(1.0))).unwrap();
        }
        assert!(canary.goal().unwrap().rejected_at().is_some());
        assert_eq!(
            canary.verdict(),
            Verdict::Silent { stream: Stream::Guardrail(1) },
            "its second guardrail is not heard of"
        );
        canary.observe(unit(Arm::Treatment, &[None, Some(0.25)], None)).unwrap();
        assert_eq!(canary.verdict(), Verdict::NotInferior);
    }

    #[test]
    fn harm_is_found_where_it_is_and_stays() {
        let mut canary = canary();
        while canary.harmed_at().is_none() {
            assert!(canary.units() < 400);
            canary.observe(unit(Arm::Control, &[Some(0.0), Some(0.25)], Some(1.0))).unwrap();
            canary.observe(unit(Arm::Treatment, &[Some(0.0), Some(0.75)], Some(1.0))).unwrap();
        }
        for _ in 0..500 {
            canary.observe(unit(Arm::Control, &[Some(1.0), Some(1.0)], Some(1.0))).unwrap();
            canary.observe(unit(Arm::Treatment, &[Some(0.0), Some(0.0)], Some(1.0))).unwrap();
        }
        assert!(matches!(canary.verdict(), Verdict::Harm { guardrail: 1, log_e } if log_e >= 20_f64.ln()));
        assert!(canary.log_e() < 0.0);
    }

    #[test]
    fn averaged_over_dependent_guardrails_the_expectation_is_exactly_one() {
        // Two guardrails that are copies, one that is their opposite, and one that is missing now and then.
        fn expectation(canary: &Canary, outcomes: &[f64]) -> f64 {
            let Some((&y, rest)) = outcomes.split_first() else { return canary.log_e().exp() };
            let mut sum = 0.0;
            for (arm, share) in [(Arm::Control, 0.7), (Arm::Treatment, 0.3)] {
                let mut next = canary.clone();
                let guardrails = &[Some(y), Some(y), Some(1.0 - y), (rest.len() % 2 == 0).then_some(y)];
                next.observe(Unit { arm, probability_of_treatment: 0.3, guardrails, goal: None }).unwrap();
                sum += share * expectation(&next, rest);
            }
            sum
        }
        let canary = Canary::new(vec![Grid::binary(); 4], None, Alpha::default()).unwrap();
        for outcomes in 0..64_u32 {
            let outcomes: Vec<f64> = (0..6).map(|bit| f64::from(outcomes >> bit & 1)).collect();
            assert!((expectation(&canary, &outcomes) - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn what_has_no_meaning_is_refused_and_changes_nothing() {
        let mut canary = canary();
        canary.observe(unit(Arm::Control, &[Some(0.0), None], None)).unwrap();
        let before = canary.clone();
        assert!(canary.observe(unit(Arm::Control, &[Some(0.0)], None)).is_err());
        assert!(canary.observe(unit(Arm::Control, &[Some(0.0), Some(0.3)], Some(1.0))).is_err());
        assert!(canary.observe(unit(Arm::Control, &[Some(0.0), Some(f64::NAN)], Some(1.0))).is_err());
        assert!(canary.observe(unit(Arm::Control, &[Some(0.0), Some(0.5)], Some(2.0))).is_err());
        for pi in [0.0, 1.0, f64::NAN, f64::MIN_POSITIVE] {
            let guardrails = &[Some(0.0), Some(0.5)];
            let unit =
                Unit { arm: Arm::Treatment, probability_of_treatment: pi, guardrails, goal: Some(1.0) };
            assert!(canary.observe(unit).is_err());
        }
        assert_eq!(canary, before);
        assert!(Canary::new(vec![], None, Alpha::default()).is_err());
        assert!(Canary::new(vec![Grid::binary(); 101], None, Alpha::default()).is_err());
        let mut without = Canary::new(vec![Grid::binary()], None, Alpha::default()).unwrap();
        assert!(without.observe(unit(Arm::Control, &[Some(0.0)], Some(1.0))).is_err());
        assert_eq!(without.units(), 0);
    }

    proptest! {
        #[test]
        fn what_is_restored_continues_with_the_same_bits(
            stream in prop::collection::vec((any::<bool>(), prop::option::of(0..2_u8), prop::option::of(0..5_u8)), 0..80),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut straight = canary();
            let mut restored = canary();
            let cut = cut.index(stream.len() + 1);
            for (place, &(treated, error, stars)) in stream.iter().enumerate() {
                if place == cut {
                    restored = Canary::from_bytes(&restored.to_bytes()).unwrap();
                }
                let guardrails = [error.map(f64::from), stars.map(|s| f64::from(s) / 4.0)];
                let arm = if treated { Arm::Treatment } else { Arm::Control };
                for canary in [&mut straight, &mut restored] {
                    canary.observe(unit(arm, &guardrails, guardrails[0].map(|e| 1.0 - e))).unwrap();
                }
            }
            prop_assert_eq!(&straight, &restored);
            let bytes = straight.to_bytes();
            prop_assert_eq!(Canary::from_bytes(&bytes), Ok(straight));
            prop_assert!(Canary::from_bytes(&bytes[..cut.min(bytes.len() - 1)]).is_err());
        }
    }
}
