//! What a sequential method refuses.

/// An input that has no meaning. Nothing is changed by a call that returns it.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum InputError {
    /// The level of a test or an interval.
    #[error("alpha is {0}, but must lie between 0 and 1, both excluded")]
    Alpha(f64),
    /// An outcome outside of [0, 1].
    #[error("the outcome is {0}, but must lie in [0, 1]; scale it first")]
    Outcome(f64),
    /// An outcome between the values that were declared.
    #[error("the outcome {outcome} is none of the {levels} declared levels from 0 to 1")]
    Level {
        /// What was observed.
        outcome: f64,
        /// How many levels there are.
        levels: usize,
    },
    /// Not a probability with which both arms were possible.
    #[error(
        "the allocation probability is {0}, but must lie between 0 and 1, both excluded: otherwise nothing was randomised"
    )]
    Allocation(f64),
    /// Any other parameter.
    #[error("{name} is {value}, but must be {allowed}")]
    Parameter {
        /// Its name.
        name: &'static str,
        /// What was given.
        value: f64,
        /// What may be given.
        allowed: &'static str,
    },
}

/// Why bytes are not a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Written in another layout.
    #[error("the state has layout {0}, but 1 is expected")]
    Version(u8),
    /// The state of another method.
    #[error("the bytes are the state of another method")]
    Kind,
    /// Cut off, changed, or not a state at all.
    #[error("the bytes are not a state: cut off or changed")]
    Corrupt,
}

/// `Ok(value)` when it is finite and passes, else what was wrong with it.
pub(crate) fn require(
    name: &'static str,
    value: f64,
    allowed: &'static str,
    passes: bool,
) -> Result<f64, InputError> {
    if value.is_finite() && passes { Ok(value) } else { Err(InputError::Parameter { name, value, allowed }) }
}

/// An outcome in [0, 1].
pub(crate) fn outcome(value: f64) -> Result<f64, InputError> {
    // Written so that NaN fails.
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err(InputError::Outcome(value)) }
}

/// A probability of allocation, both arms possible.
pub(crate) fn allocation(probability: f64) -> Result<f64, InputError> {
    // The second condition excludes what is so close to 1 that nothing is left for the other arm.
    if probability > 0.0 && probability < 1.0 {
        Ok(probability)
    } else {
        Err(InputError::Allocation(probability))
    }
}
