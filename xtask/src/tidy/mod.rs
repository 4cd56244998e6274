//! The rules of this project that no compiler knows, one file a rule.

use crate::metadata;
use crate::project::Project;
use crate::{Finding, Problem};

pub mod edges;
pub mod links;
pub mod lockfile;
pub mod machine;
pub mod registries;
pub mod sql;
pub mod unfinished;

/// All rules on the whole project.
pub fn check(project: &Project) -> Result<Vec<Finding>, Problem> {
    let mut findings = edges::check(project, &metadata::workspace()?);
    for rule in
        [links::check, lockfile::check, machine::check, registries::check, sql::check, unfinished::check]
    {
        findings.extend(rule(project));
    }
    Ok(findings)
}
