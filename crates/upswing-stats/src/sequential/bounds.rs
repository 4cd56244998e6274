//! Two bounds that move towards each other.

/// The values of a mean that are not excluded.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Bounds {
    /// The lower bound.
    pub low: f64,
    /// The upper bound.
    pub high: f64,
}

impl Bounds {
    /// All of [0, 1]: nothing is excluded.
    pub const UNIT: Self = Self { low: 0.0, high: 1.0 };

    /// Whether every value is excluded. A sequence for a mean that stays what it is gets there with probability at most
    /// alpha; usually it says that the mean has moved.
    pub fn is_empty(self) -> bool {
        self.low > self.high
    }

    /// Whether a value is not excluded.
    pub fn contains(self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// The values that neither excludes. The intersection of all intervals of a confidence sequence is one, too.
    #[must_use]
    pub fn intersect(self, other: Self) -> Self {
        Self { low: self.low.max(other.low), high: self.high.min(other.high) }
    }

    /// From the outermost of the values `0, 1/steps, .., 1` that are not excluded, and one step further to either side
    /// for what lies between: nothing is said of the values in between two that were asked. Empty when all are excluded.
    pub fn on_grid(steps: usize, mut kept: impl FnMut(usize) -> bool) -> Self {
        let step = 1.0 / steps as f64;
        let first = (0..=steps).find(|&place| kept(place));
        let last = (0..=steps).rev().find(|&place| kept(place));
        match (first, last) {
            (Some(first), Some(last)) => Self {
                low: (first as f64 * step - step).max(0.0),
                high: (last as f64 * step + step).min(1.0),
            },
            _ => Self { low: 1.0, high: 0.0 },
        }
    }
}
