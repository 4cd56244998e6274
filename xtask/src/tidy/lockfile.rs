//! Cargo.lock is part of the project, so that everybody builds the same.

use crate::Finding;
use crate::project::Project;

/// The rule.
pub fn check(project: &Project) -> Vec<Finding> {
    if project.file("Cargo.lock").is_some() {
        return Vec::new();
    }
    vec![Finding::new("Cargo.lock", "is missing or ignored by git; a program commits it")]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::SourceFile;

    #[test]
    fn must_be_there() {
        assert_eq!(check(&Project { files: vec![SourceFile::new("Cargo.lock", "")] }), []);
        assert_eq!(check(&Project { files: vec![SourceFile::new("crates/a/Cargo.lock", "")] }).len(), 1);
    }
}
