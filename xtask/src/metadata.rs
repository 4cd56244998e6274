//! What `cargo metadata` says of packages, as far as the checks need it.

use std::process::Command;

use serde::Deserialize;

use crate::{Problem, project::root};

/// The answer of `cargo metadata`.
#[derive(Debug, Deserialize)]
pub struct Metadata {
    /// The workspace's packages, and with [`with_dependencies`] all that they need.
    pub packages: Vec<Package>,
}

/// A package and what its manifest says.
#[derive(Debug, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where its manifest lies.
    pub manifest_path: String,
    /// Its licence, an SPDX expression.
    pub license: Option<String>,
    /// What it depends on directly.
    pub dependencies: Vec<Dependency>,
}

/// One line of a manifest's dependencies.
#[derive(Debug, Deserialize)]
pub struct Dependency {
    /// The package's name.
    pub name: String,
    /// `None` (normal), `dev` or `build`.
    pub kind: Option<String>,
    /// Where it lies, if it is one of ours.
    pub path: Option<String>,
}

/// The workspace's own packages.
pub fn workspace() -> Result<Metadata, Problem> {
    run(&["--no-deps"])
}

/// The workspace's packages and everything they need on this kind of machine, so that nothing is fetched that a build
/// did not fetch already.
pub fn with_dependencies() -> Result<Metadata, Problem> {
    run(&["--filter-platform", &host()?])
}

fn run(arguments: &[&str]) -> Result<Metadata, Problem> {
    let answer = stdout("cargo", &[&["metadata", "--format-version", "1"], arguments].concat())?;
    serde_json::from_str(&answer)
        .map_err(|error| format!("cargo metadata said something unexpected: {error}"))
}

fn host() -> Result<String, Problem> {
    let answer = stdout("rustc", &["-vV"])?;
    let host = answer.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| format!("rustc does not name its host: {answer}"))
}

fn stdout(program: &str, arguments: &[&str]) -> Result<String, Problem> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .output()
        .map_err(|error| format!("{program} could not be started: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{program} failed: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }
}
