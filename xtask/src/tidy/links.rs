//! A path that the pages for newcomers name exists.
//!
//! Looks at words in backticks that begin like a path of this project. A path with a placeholder (`<name>`, `*`) is a
//! recipe; the folder before the placeholder must exist.

use crate::Finding;
use crate::project::{Project, SourceFile};

const PAGES: &[&str] = &["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md"];
const FOLDERS: &[&str] = &[
    ".cargo/",
    ".ci/",
    "bench/",
    "crates/",
    "docs/",
    "examples/",
    "profiles/",
    "scripts/",
    "web/",
    "xtask/",
];

/// The rule.
pub fn check(project: &Project) -> Vec<Finding> {
    let pages = PAGES.iter().filter_map(|page| project.file(page));
    pages.flat_map(|page| check_page(project, page)).collect()
}

fn check_page(project: &Project, page: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut in_block = false;
    for (number, line) in page.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if !in_block {
            let missing = paths(line).filter(|path| !project.contains(path));
            findings.extend(missing.map(|path| {
                Finding::in_line(
                    &page.path,
                    number,
                    format!("`{path}` does not exist; name what does, or drop it"),
                )
            }));
        }
    }
    findings
}

/// The paths in backticks, without what follows them: arguments, a line number, an anchor, a placeholder.
fn paths(line: &str) -> impl Iterator<Item = &str> {
    line.split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|span| span.split_whitespace().next())
        .filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder)))
        .filter_map(|word| {
            let path = word.split(['#', ':']).next()?;
            match path.find(['<', '*', '{']) {
                Some(placeholder) => path[..placeholder].rsplit_once('/').map(|(folder, _)| folder),
                None => Some(path),
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(page: &str) -> Vec<Finding> {
        let files =
            vec![SourceFile::new("README.md", page), SourceFile::new("crates/upswing-learn/src/lib.rs", "")];
        check(&Project { files })
    }

    #[test]
    fn a_path_that_is_gone_is_found() {
        let found = findings("One\n`crates/upswing-learn/src/gone.rs` and `scripts/gone start`");
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].place, "README.md:2");
        assert!(found[1].message.contains("`scripts/gone`"));
    }

    #[test]
    fn a_path_that_exists_may_carry_more() {
        for path in ["src/lib.rs", "src/lib.rs:12", "src/lib.rs#anchor", "src/", "src/<name>.rs", "src/*.rs"]
        {
            assert_eq!(findings(&format!("see `crates/upswing-learn/{path}`")), [], "{path}");
        }
    }

    #[test]
    fn the_folder_of_a_recipe_must_exist() {
        assert_eq!(findings("`crates/upswing-learn/src/gone/<name>.rs`").len(), 1);
    }

    #[test]
    fn other_words_and_blocks_of_code_are_not_paths() {
        assert_eq!(findings("`and/or`, `application/json`, crates/gone\n```\n`crates/gone/x`\n```"), []);
    }
}
