//! The randomisation e-process for rates with a learned rate for each arm.

use super::evidence::Evidence;
use super::{Alpha, Arm, InputError, StateError, bytes, error};

/// A test of whether two randomised versions' rates differ, which learns both rates instead of betting on fixed
/// differences.
///
/// As [`super::RandomisationTest`] for outcomes 0 and 1, but `q1` and `q0` are the arms' own rates so far, each started
/// with 1/2 success and 1/2 failure (Krichevsky and Trofimov). It pays for learning two rates: from 10 % to 20 % and from
/// 50 % to 60 % tilts stop an eighth and a third earlier. It wins when the difference is far beyond the largest tilt.
/// Two-sided only.
///
/// Source: Turner, Ly, Grünwald, "Generic E-variables for exact sequential k-sample tests that allow for optional
/// stopping", Journal of Statistical Planning and Inference 230 (2024), arXiv 2106.02693.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(into = "Vec<u8>", try_from = "Vec<u8>")]
pub struct BernoulliKtTest {
    alpha: Alpha,
    /// Successes and units, of the control and of the treatment.
    arms: [(u64, u64); 2],
    log_e: f64,
    evidence: Evidence,
}

impl BernoulliKtTest {
    /// A test that has seen nothing.
    pub fn new(alpha: Alpha) -> Self {
        Self { alpha, arms: [(0, 0); 2], log_e: 0.0, evidence: Evidence::default() }
    }

    /// Takes the outcome of one unit; arguments as in [`super::RandomisationTest::observe`].
    ///
    /// # Errors
    /// An outcome that is neither 0 nor 1, a probability outside of (0, 1). Nothing changes then.
    pub fn observe(
        &mut self,
        arm: Arm,
        outcome: f64,
        probability_of_treatment: f64,
    ) -> Result<(), InputError> {
        let success = super::Grid::binary().place(outcome)? == 1;
        let pi = error::allocation(probability_of_treatment)?;
        let [q0, q1] = self.arms.map(|(successes, units)| {
            let rate = (successes as f64 + 0.5) / (units as f64 + 1.0);
            if success { rate } else { 1.0 - rate }
        });
        let treated = arm == Arm::Treatment;
        self.log_e += (if treated { q1 } else { q0 } / (pi * q1 + (1.0 - pi) * q0)).ln();
        let (successes, units) = &mut self.arms[usize::from(treated)];
        *successes += u64::from(success);
        *units += 1;
        self.evidence.see(self.log_e, self.observations(), self.alpha);
        Ok(())
    }

    /// The logarithm of the e-value now.
    pub fn log_e(&self) -> f64 {
        self.log_e
    }

    /// The largest log e-value so far, at least 0.
    pub fn largest_log_e(&self) -> f64 {
        self.evidence.maximum()
    }

    /// At which unit, counted from 1, the e-value first reached `1/alpha`.
    pub fn rejected_at(&self) -> Option<u64> {
        self.evidence.rejected_at()
    }

    /// A p-value that is valid at every look.
    pub fn p_value(&self) -> f64 {
        self.evidence.p_value()
    }

    /// How many units were observed.
    pub fn observations(&self) -> u64 {
        self.arms[0].1 + self.arms[1].1
    }

    /// The state as bytes, about 30.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut to = bytes::Writer::new(bytes::Kind::BernoulliKt);
        to.float(self.alpha.value());
        for (successes, units) in self.arms {
            to.count(successes);
            to.count(units);
        }
        to.float(self.log_e);
        self.evidence.write(&mut to);
        to.finish()
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// Another layout, another method's state, or bytes that were cut off, changed, or contradict themselves.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StateError> {
        let mut from = bytes::Reader::new(bytes, bytes::Kind::BernoulliKt)?;
        let mut test = Self::new(Alpha::new(from.float()?).map_err(|_| StateError::Corrupt)?);
        for (successes, units) in &mut test.arms {
            *successes = from.count()?;
            *units = from.count()?;
            if successes > units {
                return Err(StateError::Corrupt);
            }
        }
        test.log_e = from.finite(|_| true)?;
        test.evidence = Evidence::read(&mut from, test.observations(), test.alpha)?;
        from.finish()?;
        Ok(test)
    }
}

impl From<BernoulliKtTest> for Vec<u8> {
    fn from(test: BernoulliKtTest) -> Self {
        test.to_bytes()
    }
}

impl TryFrom<Vec<u8>> for BernoulliKtTest {
    type Error = StateError;

    fn try_from(bytes: Vec<u8>) -> Result<Self, StateError> {
        Self::from_bytes(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expectation(test: &BernoulliKtTest, outcomes: &[f64], pi: f64) -> f64 {
        let Some((&outcome, rest)) = outcomes.split_first() else { return test.log_e().exp() };
        [(Arm::Control, 1.0 - pi), (Arm::Treatment, pi)]
            .into_iter()
            .map(|(arm, probability)| {
                let mut next = test.clone();
                next.observe(arm, outcome, pi).unwrap();
                probability * expectation(&next, rest, 0.1 + 0.8 * next.log_e().sin().abs())
            })
            .sum()
    }

    #[test]
    fn under_the_null_the_expectation_is_exactly_one() {
        for outcomes in 0..256_u32 {
            let outcomes: Vec<f64> = (0..8).map(|bit| f64::from(outcomes >> bit & 1)).collect();
            let e = expectation(&BernoulliKtTest::new(Alpha::default()), &outcomes, 0.3);
            assert!((e - 1.0).abs() < 1e-12, "{outcomes:?}: {e}");
        }
    }

    #[test]
    fn states_are_restored_or_refused() {
        let mut test = BernoulliKtTest::new(Alpha::default());
        for i in 0..50 {
            test.observe(if i % 3 == 0 { Arm::Treatment } else { Arm::Control }, f64::from(i % 2), 0.4)
                .unwrap();
        }
        let bytes = test.to_bytes();
        assert_eq!(BernoulliKtTest::from_bytes(&bytes), Ok(test.clone()));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(
                BernoulliKtTest::from_bytes(&changed).is_err()
                    && BernoulliKtTest::from_bytes(&bytes[..at]).is_err()
            );
        }
        let before = test.clone();
        assert!(
            test.observe(Arm::Control, 0.5, 0.5).is_err() && test.observe(Arm::Control, 1.0, 0.0).is_err()
        );
        assert_eq!(test, before);
    }
}
