//! Pages name no package registry: where packages come from is each user's own configuration, often a mirror.

use crate::Finding;
use crate::project::Project;

const HOSTS: &[&str] = &[
    "crates.io",
    "deb.debian.org",
    "docker.io",
    "ghcr.io",
    "npmjs.com",
    "npmjs.org",
    "proxy.golang.org",
    "pypi.org",
];

/// The rule.
pub fn check(project: &Project) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in project.checked().filter(|file| file.has_extension("md")) {
        for (number, line) in file.lines() {
            if let Some(host) = HOSTS.iter().find(|host| line.contains(**host)) {
                let message =
                    format!("`{host}` is a registry's host; name the package and leave the host out");
                findings.push(Finding::in_line(&file.path, number, message));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::SourceFile;

    fn findings(path: &str, text: &str) -> usize {
        check(&Project { files: vec![SourceFile::new(path, text)] }).len()
    }

    #[test]
    fn looks_at_prose_alone() {
        assert_eq!(findings("README.md", "get it from https://pypi.org/project/x"), 1);
        assert_eq!(findings("README.md", "pip install x; cargo install y"), 0);
        assert_eq!(findings("Cargo.lock", "registry+https://github.com/rust-lang/crates.io-index"), 0);
    }
}
