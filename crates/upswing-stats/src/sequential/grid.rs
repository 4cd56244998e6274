//! The values that an outcome can take.

use super::{InputError, error};

/// Equally spaced levels from 0 to 1, on which the randomisation e-process counts outcomes.
///
/// Rounding to a grid keeps that process exact: what is tested is whether the rounded outcome depends on the arm, and the
/// rounding does not know the arm. It blurs only differences smaller than a step.
///
/// ```
/// use upswing_stats::sequential::Grid;
/// let stars = Grid::levels(5).unwrap();
/// assert_eq!(stars.place(0.75), Ok(3));
/// assert!(stars.place(0.7).is_err());
/// assert_eq!(Grid::nearest(101).unwrap().place(0.123), Ok(12));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    levels: u8,
    nearest: bool,
}

/// How far from a level a value may lie, for what arithmetic such as `(stars - 1) / 4` leaves.
const TOLERANCE: f64 = 1e-9;

impl Grid {
    /// A rate: 0 or 1.
    pub fn binary() -> Self {
        Self { levels: 2, nearest: false }
    }

    /// A rating of so many levels, 2 to 101; a value between two of them is refused.
    ///
    /// # Errors
    /// Another number of levels.
    pub fn levels(levels: usize) -> Result<Self, InputError> {
        match u8::try_from(levels) {
            Ok(levels @ 2..=101) => Ok(Self { levels, nearest: false }),
            _ => Err(InputError::Parameter {
                name: "levels",
                value: levels as f64,
                allowed: "a whole number from 2 to 101",
            }),
        }
    }

    /// Any value in [0, 1], put on the nearest of so many levels, 2 to 101 (the upper one of two that are equally near).
    ///
    /// # Errors
    /// Another number of levels.
    pub fn nearest(levels: usize) -> Result<Self, InputError> {
        Self::levels(levels).map(|grid| Self { nearest: true, ..grid })
    }

    /// How many levels there are.
    pub fn len(self) -> usize {
        usize::from(self.levels)
    }

    /// Never: there are at least two levels.
    pub fn is_empty(self) -> bool {
        false
    }

    /// Whether values between levels are rounded, not refused.
    pub fn rounds(self) -> bool {
        self.nearest
    }

    /// The value of a level, in [0, 1].
    pub fn value(self, place: usize) -> f64 {
        place.min(self.len() - 1) as f64 / (self.len() - 1) as f64
    }

    /// On which level an outcome lies.
    ///
    /// # Errors
    /// Outside of [0, 1], NaN, or between the levels of a grid that does not round.
    pub fn place(self, outcome: f64) -> Result<usize, InputError> {
        let steps = error::outcome(outcome)? * (self.len() - 1) as f64;
        let place = (steps + 0.5).floor();
        if self.nearest || (steps - place).abs() <= TOLERANCE {
            Ok(place as usize)
        } else {
            Err(InputError::Level { outcome, levels: self.len() })
        }
    }
}
