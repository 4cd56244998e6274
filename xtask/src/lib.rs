//! Checks of the whole project, for `cargo xtask` and for the tests.
//!
//! What is here reads files and the manifests and changes nothing. A check is a function from text to [`Finding`]s, one
//! file each in [`tidy`]; its tests feed it small strings, and `tests/project.rs` runs all of them on the real tree.

use std::fmt;

pub mod licences;
pub mod metadata;
pub mod project;
pub mod tidy;

/// Something that breaks a rule: where, what, and the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// A file, with its line where there is one, or a crate.
    pub place: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl Finding {
    /// A finding about a whole file or crate.
    pub fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), message: message.into() }
    }

    /// A finding in one line of a file, counted from 0.
    pub fn in_line(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self::new(format!("{path}:{}", line + 1), message)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// A check that could not be made: the reason, for a person.
pub type Problem = String;
