//! SQL stands in the store alone, so that one crate knows the tables and row security has one place to be right.
//!
//! Looks for the beginnings of statements, as SQL is written here: in capitals. Comments and tests may hold any.

use crate::Finding;
use crate::project::{Project, SourceFile};

const STATEMENTS: &[&str] = &[
    "SELECT ",
    "INSERT INTO ",
    "INSERT OR ",
    "DELETE FROM ",
    "UPDATE ",
    "CREATE TABLE ",
    "ALTER TABLE ",
    "DROP TABLE ",
    "PRAGMA ",
];

/// The rule.
pub fn check(project: &Project) -> Vec<Finding> {
    project.checked().filter(|file| in_scope(file)).flat_map(check_file).collect()
}

fn in_scope(file: &SourceFile) -> bool {
    let test = file.path.contains("/tests/") || file.path.ends_with("/tests.rs");
    file.has_extension("rs")
        && file.path.starts_with("crates/")
        && !file.path.starts_with("crates/upswing-store/")
        && !test
}

fn check_file(file: &SourceFile) -> Vec<Finding> {
    file.lines()
        // By custom the tests of a file are its last part.
        .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .filter_map(|(number, line)| {
            let statement = STATEMENTS.iter().find(|statement| begins_statement(line, statement))?;
            let message =
                format!("`{}` outside the store; put the query into crates/upswing-store", statement.trim());
            Some(Finding::in_line(&file.path, number, message))
        })
        .collect()
}

/// Whether the words stand at the start of a string or of a line, where a statement would begin.
fn begins_statement(line: &str, statement: &str) -> bool {
    line.match_indices(statement).any(|(at, _)| {
        let before = line[..at].trim_end();
        before.is_empty() || before.ends_with(['"', '(', ';', '{'])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<Finding> {
        check(&Project { files: vec![SourceFile::new(path, text)] })
    }

    #[test]
    fn finds_statements_in_strings_of_any_form() {
        for text in [
            r#"query("SELECT 1")"#,
            "    DELETE FROM feedback",
            "r#\"\n  UPDATE agent SET name = $1\"#",
            r#"format!("INSERT INTO {table}")"#,
            r#""WITH x AS (SELECT 1)""#,
        ] {
            assert_eq!(findings("crates/upswing-server/src/routes.rs", text).len(), 1, "{text}");
        }
        assert_eq!(
            findings("crates/upswing-cli/src/main.rs", "\n\"SELECT 1\"")[0].place,
            "crates/upswing-cli/src/main.rs:2"
        );
    }

    #[test]
    fn leaves_prose_comments_tests_and_the_store_alone() {
        assert_eq!(findings("crates/upswing-server/src/a.rs", "// SELECT 1\n/// DELETE FROM x"), []);
        assert_eq!(
            findings("crates/upswing-server/src/a.rs", r#"help("Please SELECT one; then UPDATE it")"#),
            []
        );
        assert_eq!(
            findings("crates/upswing-server/src/a.rs", "#[cfg(test)]\nmod tests { \"SELECT 1\" }"),
            []
        );
        for path in [
            "crates/upswing-store/src/a.rs",
            "crates/upswing-server/tests/it/a.rs",
            "bench/src/a.rs",
            "docs/a.md",
        ] {
            assert_eq!(findings(path, r#""SELECT 1""#), [], "{path}");
        }
    }
}
