//! SQL stands in the store alone, so that one crate knows the tables and row security has one place to be right.
//!
//! Looks for the beginnings of statements, as SQL is written here: in capitals. Comments and tests may hold any.
//!
//! In the store nothing is compared with a `COALESCE`. PostgreSQL does not count that among the expressions which give nothing
//! away, so under row security it uses no index for the comparison, and reads the organisation's whole table instead. `CASE`
//! does the same and may be compared with.

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
    let elsewhere = project.checked().filter(|file| in_scope(file)).flat_map(check_file);
    let in_store = project.checked().filter(|file| is_store(file)).flat_map(check_comparisons);
    elsewhere.chain(in_store).collect()
}

fn in_scope(file: &SourceFile) -> bool {
    let test = file.path.contains("/tests/") || file.path.ends_with("/tests.rs");
    file.has_extension("rs") && file.path.starts_with("crates/") && !is_store(file) && !test
}

fn is_store(file: &SourceFile) -> bool {
    file.path.starts_with("crates/upswing-store/") && ["rs", "sql"].iter().any(|e| file.has_extension(e))
}

fn check_comparisons(file: &SourceFile) -> Vec<Finding> {
    let compared = |line: &str| {
        let line = line.to_ascii_lowercase();
        line.match_indices("coalesce(").any(|(at, _)| line[..at].trim_end().ends_with(['=', '<', '>']))
            // What is set is not compared.
            && !line.contains("update ")
            && !line.contains(" set ")
    };
    file.lines()
        .filter(|(_, line)| compared(line))
        .map(|(number, _)| {
            let message = "a comparison with COALESCE uses no index under row security; write CASE";
            Finding::in_line(&file.path, number, message.to_owned())
        })
        .collect()
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
    fn nothing_is_compared_with_coalesce_in_the_store() {
        let store = "crates/upswing-store/src/a.rs";
        assert_eq!(findings(store, "LEFT JOIN d ON d.id = COALESCE(e.decision, e.id)").len(), 1);
        assert_eq!(findings(store, "WHERE position > coalesce(").len(), 1);
        assert_eq!(findings(store, r#""UPDATE k SET at = coalesce(at, $3) WHERE id = $1""#), []);
        assert_eq!(findings(store, r#""SELECT COALESCE(decision, id) FROM execution""#), []);
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
