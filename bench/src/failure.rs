//! Why a measurement could not be made: a sentence for a person.

use std::fmt;

/// What went wrong.
#[derive(Debug)]
pub(crate) struct Failure(String);

/// What may go wrong.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// With that sentence.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Says what was being done when it went wrong.
pub(crate) trait Doing<T> {
    /// `doing: cause`.
    fn doing(self, what: &str) -> Result<T>;
}

impl<T, E: fmt::Display> Doing<T> for std::result::Result<T, E> {
    fn doing(self, what: &str) -> Result<T> {
        self.map_err(|error| Failure(format!("{what}: {error}")))
    }
}
