//! Dependencies come under licences of the list in `xtask/licences.toml`.
//!
//! A package's licence is an SPDX expression: of an `OR` one side is enough, of an `AND` both sides must do, `/` is an old
//! way to write `OR`. An exception (`WITH ...`) only adds permissions, so it is judged as the licence it stands with.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::metadata::{self, Package};
use crate::{Finding, Problem};

const LIST: &str = include_str!("../licences.toml");
const WAY_OUT: &str =
    "choose another crate, or add the licence to xtask/licences.toml with the reason why it may be used";

#[derive(Deserialize)]
struct Licences {
    /// SPDX name and reason.
    allowed: BTreeMap<String, String>,
}

/// All dependencies of the workspace.
pub fn check() -> Result<Vec<Finding>, Problem> {
    Ok(check_packages(&metadata::with_dependencies()?.packages, &allowed()?))
}

fn allowed() -> Result<Vec<String>, Problem> {
    let list: Licences = toml::from_str(LIST).map_err(|error| format!("xtask/licences.toml: {error}"))?;
    match list.allowed.iter().find(|(_, reason)| reason.trim().is_empty()) {
        Some((licence, _)) => Err(format!("xtask/licences.toml: {licence} is allowed without a reason")),
        None => Ok(list.allowed.into_keys().collect()),
    }
}

fn check_packages(packages: &[Package], allowed: &[String]) -> Vec<Finding> {
    packages
        .iter()
        .filter_map(|package| {
            let complaint = match &package.license {
                None => "its manifest names no licence".to_owned(),
                Some(expression) => match permitted(expression, allowed) {
                    Ok(true) => return None,
                    Ok(false) => format!("`{expression}` is not allowed"),
                    Err(problem) => format!("`{expression}` cannot be read: {problem}"),
                },
            };
            Some(Finding::new(
                format!("{} {}", package.name, package.version),
                format!("{complaint}; {WAY_OUT}"),
            ))
        })
        .collect()
}

/// Whether the expression can be met with the allowed licences alone.
fn permitted(expression: &str, allowed: &[String]) -> Result<bool, Problem> {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let verdict = either(&mut words, allowed)?;
    match words.next() {
        None => Ok(verdict),
        Some(word) => Err(format!("unexpected `{word}`")),
    }
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn either(words: &mut Words<'_>, allowed: &[String]) -> Result<bool, Problem> {
    let mut verdict = both(words, allowed)?;
    while words.next_if_eq(&"OR").is_some() {
        verdict |= both(words, allowed)?;
    }
    Ok(verdict)
}

fn both(words: &mut Words<'_>, allowed: &[String]) -> Result<bool, Problem> {
    let mut verdict = one(words, allowed)?;
    while words.next_if_eq(&"AND").is_some() {
        verdict &= one(words, allowed)?;
    }
    Ok(verdict)
}

fn one(words: &mut Words<'_>, allowed: &[String]) -> Result<bool, Problem> {
    match words.next() {
        Some("(") => {
            let verdict = either(words, allowed)?;
            match words.next() {
                Some(")") => Ok(verdict),
                _ => Err("a parenthesis is not closed".to_owned()),
            }
        }
        Some(word) if !matches!(word, ")" | "OR" | "AND" | "WITH") => {
            if words.next_if_eq(&"WITH").is_some() && words.next().is_none() {
                return Err("an exception is missing after `WITH`".to_owned());
            }
            Ok(allowed.iter().any(|licence| licence == word))
        }
        Some(word) => Err(format!("unexpected `{word}`")),
        None => Err("a licence is missing".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(expression: &str) -> Result<bool, Problem> {
        permitted(expression, &["MIT".to_owned(), "Apache-2.0".to_owned(), "Unicode-3.0".to_owned()])
    }

    #[test]
    fn one_side_of_an_or_is_enough() {
        assert_eq!(judge("MIT"), Ok(true));
        assert_eq!(judge("GPL-3.0-only"), Ok(false));
        assert_eq!(judge("GPL-3.0-only OR MIT"), Ok(true));
        assert_eq!(judge("Unlicense/MIT"), Ok(true));
    }

    #[test]
    fn both_sides_of_an_and_must_do() {
        assert_eq!(judge("(MIT OR Apache-2.0) AND Unicode-3.0"), Ok(true));
        assert_eq!(judge("MIT AND GPL-3.0-only"), Ok(false));
    }

    #[test]
    fn and_binds_closer_than_or() {
        assert_eq!(judge("MIT OR GPL-3.0-only AND GPL-2.0-only"), Ok(true));
        assert_eq!(judge("(MIT OR GPL-3.0-only) AND GPL-2.0-only"), Ok(false));
    }

    #[test]
    fn an_exception_only_adds_permissions() {
        assert_eq!(judge("Apache-2.0 WITH LLVM-exception"), Ok(true));
        assert_eq!(judge("GPL-2.0-only WITH Classpath-exception-2.0 OR MIT"), Ok(true));
        assert_eq!(judge("GPL-2.0-only WITH Classpath-exception-2.0"), Ok(false));
    }

    #[test]
    fn what_is_not_an_expression_is_no_permission() {
        for expression in ["", "MIT OR", "(MIT", "MIT)", "MIT Apache-2.0", "AND MIT", "MIT WITH"] {
            assert!(judge(expression).is_err(), "{expression}");
        }
    }

    #[test]
    fn a_finding_names_crate_licence_and_way_out() {
        let package = |license: Option<&str>| Package {
            name: "left".to_owned(),
            version: "1.2.3".to_owned(),
            manifest_path: String::new(),
            license: license.map(str::to_owned),
            dependencies: Vec::new(),
        };
        let packages = [package(Some("AGPL-3.0-only")), package(Some("MIT")), package(None)];
        let findings = check_packages(&packages, &["MIT".to_owned()]);
        assert_eq!(findings.len(), 2);
        assert_eq!(findings[0].place, "left 1.2.3");
        assert!(findings[0].message.contains("`AGPL-3.0-only` is not allowed"));
        assert!(findings[0].message.contains("licences.toml"));
        assert!(findings[1].message.contains("no licence"));
    }

    #[test]
    fn the_list_gives_a_reason_for_each_licence() {
        assert!(allowed().unwrap().contains(&"Apache-2.0".to_owned()));
    }
}
