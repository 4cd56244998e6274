//! What each event contributes to an estimate.

use super::{Moments, OffPolicyError};

/// An estimate as the sum of what its events contribute, from which its value, its variance and its resamples follow.
///
/// Every estimator here has the form `mean(a) + sum(b) / sum(c)`: a the modelled part, b the weighted part, and c either the
/// weights (self-normalised estimators) or 1 for each event. O(n) memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Contributions {
    modelled: Vec<f64>,
    weighted: Vec<f64>,
    /// `None`: 1 for each event.
    normaliser: Option<Vec<f64>>,
    value: f64,
    /// `sum(b) / sum(c)`.
    correction: f64,
    /// `n / sum(c)`.
    scale: f64,
}

impl Contributions {
    /// Those of an estimator. All parts have one entry an event, and there is at least one.
    pub(super) fn new(
        modelled: Vec<f64>,
        weighted: Vec<f64>,
        normaliser: Option<Vec<f64>>,
    ) -> Result<Self, OffPolicyError> {
        let n = modelled.len() as f64;
        let divisor = normaliser.as_ref().map_or(n, |weights| weights.iter().sum());
        if divisor <= 0.0 {
            return Err(OffPolicyError::NoOverlap);
        }
        let correction = weighted.iter().sum::<f64>() / divisor;
        let value = modelled.iter().sum::<f64>() / n + correction;
        let made = Self { modelled, weighted, normaliser, value, correction, scale: n / divisor };
        // Squares are what variances need.
        let squares: f64 = made.linearised().map(|x| x * x).sum();
        if value.is_finite() && squares.is_finite() { Ok(made) } else { Err(OffPolicyError::Overflow) }
    }

    /// How many events there are.
    pub fn events(&self) -> usize {
        self.modelled.len()
    }

    /// The estimate.
    pub fn value(&self) -> f64 {
        self.value
    }

    /// Whether the estimate is a ratio rather than a mean of independent values.
    pub fn is_ratio(&self) -> bool {
        self.normaliser.is_some()
    }

    /// Each event's share, `a + b n / sum(c)`: their mean is the estimate.
    ///
    /// For a ratio their variance is not that of the estimate, because it takes the sum of the weights as given; other tools
    /// report it nevertheless. Use [`Contributions::linearised`].
    pub fn rounds(&self) -> impl Iterator<Item = f64> + '_ {
        self.modelled.iter().zip(&self.weighted).map(|(a, b)| a + b * self.scale)
    }

    /// The same, to first order in the data: for a mean the rounds themselves; for a ratio
    /// `a + B + (b - B c) n / sum(c)` with `B = sum(b) / sum(c)` (the delta method). Their mean is the estimate, and the
    /// variance of their mean is that of the estimate.
    pub fn linearised(&self) -> impl Iterator<Item = f64> + '_ {
        let (ratio, centre) = match &self.normaliser {
            Some(weights) => (Some(weights.as_slice()), self.correction),
            None => (None, 0.0),
        };
        self.modelled.iter().zip(&self.weighted).enumerate().map(move |(index, (a, b))| {
            let weight = ratio.and_then(|weights| weights.get(index)).copied().unwrap_or(0.0);
            a + centre + (b - centre * weight) * self.scale
        })
    }

    /// Count, mean and variance of the linearised contributions: what intervals rest on.
    pub fn moments(&self) -> Moments {
        Moments::of(self.linearised())
    }

    /// The estimate on a resample: events by their indices, which must be below [`Contributions::events`]; others are passed
    /// over. `None` where the resample has no weight.
    pub(super) fn resampled(&self, indices: impl Iterator<Item = usize>) -> Option<f64> {
        let (mut n, mut modelled, mut weighted, mut divisor) = (0.0, 0.0, 0.0, 0.0);
        for index in indices {
            let (Some(a), Some(b)) = (self.modelled.get(index), self.weighted.get(index)) else { continue };
            n += 1.0;
            modelled += a;
            weighted += b;
            divisor +=
                self.normaliser.as_ref().and_then(|weights| weights.get(index)).copied().unwrap_or(1.0);
        }
        (n > 0.0 && divisor > 0.0).then(|| modelled / n + weighted / divisor)
    }
}
