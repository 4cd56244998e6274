//! The level of a test.

use super::InputError;

/// The probability of a false rejection, or of an interval that misses, over the whole stream and all looks at it.
///
/// ```
/// use upswing_stats::sequential::Alpha;
/// assert_eq!(Alpha::new(0.05).unwrap().value(), 0.05);
/// assert!(Alpha::new(0.0).is_err() && Alpha::new(f64::NAN).is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(into = "f64", try_from = "f64")]
pub struct Alpha(f64);

impl Alpha {
    /// # Errors
    /// Outside of (0, 1).
    pub fn new(alpha: f64) -> Result<Self, InputError> {
        // The reciprocal has to be a number, since it is what e-values are compared with.
        if alpha > 0.0 && alpha < 1.0 && alpha.recip().is_finite() {
            Ok(Self(alpha))
        } else {
            Err(InputError::Alpha(alpha))
        }
    }

    /// The number.
    pub fn value(self) -> f64 {
        self.0
    }

    /// `ln(1 / alpha)`: an e-process rejects when its logarithm reaches it.
    pub fn log_threshold(self) -> f64 {
        -self.0.ln()
    }
}

impl Default for Alpha {
    /// 0.05.
    fn default() -> Self {
        Self(0.05)
    }
}

impl From<Alpha> for f64 {
    fn from(alpha: Alpha) -> Self {
        alpha.0
    }
}

impl TryFrom<f64> for Alpha {
    type Error = InputError;

    fn try_from(alpha: f64) -> Result<Self, InputError> {
        Self::new(alpha)
    }
}
