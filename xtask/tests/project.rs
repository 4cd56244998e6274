//! The real project passes all its own rules.

use xtask::{Finding, licences, project::Project, tidy};

fn assert_clean(findings: &[Finding]) {
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
}

#[test]
fn the_project_is_tidy() {
    assert_clean(&tidy::check(&Project::here().unwrap()).unwrap());
}

#[test]
fn dependencies_have_allowed_licences() {
    assert_clean(&licences::check().unwrap());
}
