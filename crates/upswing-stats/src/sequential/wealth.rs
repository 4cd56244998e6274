//! A product of very many factors.

use super::{StateError, bytes};

/// A positive number of any size as a mantissa in [1, 2^256) and a power of 2^256.
///
/// Products of likelihood ratios leave the range of floating point within thousands of units. Adding logarithms would
/// keep them, at the price of a logarithm for each factor, which is most of what an observation would cost.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(super) struct Wealth {
    // In this order the derived comparison is that of the numbers.
    power: i64,
    mantissa: f64,
}

/// 2^256, exactly.
const BASE: f64 = f64::from_bits((1023 + 256) << 52);

impl Wealth {
    pub(super) const ONE: Self = Self { power: 0, mantissa: 1.0 };

    /// Multiplies by a factor between 2^-256 and 2^256.
    #[inline]
    pub(super) fn multiply(&mut self, factor: f64) {
        self.mantissa *= factor;
        if self.mantissa < 1.0 {
            self.mantissa *= BASE;
            self.power -= 1;
        } else if self.mantissa >= BASE {
            self.mantissa /= BASE;
            self.power += 1;
        }
    }

    #[inline]
    pub(super) fn log(self) -> f64 {
        self.mantissa.ln() + self.power as f64 * (256.0 * std::f64::consts::LN_2)
    }

    #[inline]
    pub(super) fn larger(self, other: Self) -> Self {
        if other > self { other } else { self }
    }

    pub(super) fn write(self, to: &mut bytes::Writer) {
        to.float(self.mantissa);
        // Of magnitudes far below 2^53, so exact; the sign comes along.
        to.float(self.power as f64);
    }

    pub(super) fn read(from: &mut bytes::Reader<'_>) -> Result<Self, StateError> {
        let mantissa = from.finite(|m| (1.0..BASE).contains(&m))?;
        let power = from.finite(|p| p.fract().abs() < f64::EPSILON && p.abs() < 2_f64.powi(53))? as i64;
        Ok(Self { power, mantissa })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn products_are_sums_of_logarithms(factors in prop::collection::vec(-20.0..20.0_f64, 0..400), drift in -15.0..15.0_f64) {
            let mut wealth = Wealth::ONE;
            let mut log = 0.0;
            for factor in factors {
                let before = wealth;
                wealth.multiply((factor + drift).exp());
                log += factor + drift;
                prop_assert!((wealth.log() - log).abs() < 1e-9);
                prop_assert_eq!(wealth > before, factor + drift > 0.0);
            }
        }
    }
}
