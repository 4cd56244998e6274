//! What is wrong with a value.

/// A value outside of what is allowed: the field, the value as it was given, and what would be accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {value}, but must be {expected}")]
pub struct Invalid {
    /// The field, as a path from the body's root (`dimensions.accuracy`).
    pub field: String,
    /// The value, shortened to 80 characters.
    pub value: String,
    /// What would have been accepted.
    pub expected: String,
}

impl Invalid {
    /// Describes a refused value.
    pub fn new(field: impl Into<String>, value: impl ToString, expected: impl Into<String>) -> Self {
        let mut value = value.to_string();
        if value.chars().count() > 80 {
            value = value.chars().take(79).chain(['…']).collect();
        }
        Self { field: field.into(), value, expected: expected.into() }
    }

    /// The same, one level further down: `rating` under `feedback` becomes `feedback.rating`.
    #[must_use]
    pub fn under(mut self, parent: &str) -> Self {
        self.field = format!("{parent}.{}", self.field);
        self
    }
}
