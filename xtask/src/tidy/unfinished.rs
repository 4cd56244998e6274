//! Nothing is left unfinished, silenced or switched off without a reason.

use crate::Finding;
use crate::project::{Project, SourceFile};

/// What may not begin a line of Rust.
const ATTRIBUTES: &[(&str, &str)] = &[
    ("#[allow(", "say `#[expect(..., reason = \"...\")]`, which ends when its cause ends"),
    ("#![allow(", "say `#![expect(..., reason = \"...\")]`, which ends when its cause ends"),
    (
        "#[ignore]",
        "say why: `#[ignore = \"...\"]`; a test that misses something skips itself instead (CONTRIBUTING.md)",
    ),
];

/// What may not stand in Rust code.
const CALLS: &[&str] = &["todo!(", "unimplemented!("];

/// What may not stand in any source.
const NOTES: &[&str] = &["FIXME"];

const SOURCES: &[&str] = &["css", "html", "js", "py", "rs", "sh", "sql", "toml", "ts", "tsx", "yml"];

/// The rule.
pub fn check(project: &Project) -> Vec<Finding> {
    project.checked().filter(|file| is_source(file)).flat_map(check_file).collect()
}

fn is_source(file: &SourceFile) -> bool {
    // The scripts have no extension.
    let script = file.text.starts_with("#!");
    script || SOURCES.iter().any(|extension| file.has_extension(extension))
}

fn check_file(file: &SourceFile) -> Vec<Finding> {
    let rust = file.has_extension("rs");
    let mut findings = Vec::new();
    for (number, line) in file.lines() {
        let mut found = |what: &str, way_out: &str| {
            findings.push(Finding::in_line(&file.path, number, format!("`{what}`: {way_out}")));
        };
        for note in NOTES.iter().filter(|note| line.contains(**note)) {
            found(note, "do it, or write an issue");
        }
        let code = line.trim_start();
        if rust && !code.starts_with("//") {
            for (attribute, way_out) in ATTRIBUTES.iter().filter(|(attribute, _)| code.starts_with(attribute))
            {
                found(attribute, way_out);
            }
            for call in CALLS.iter().filter(|call| code.contains(**call)) {
                found(call, "write it, or leave the whole thing out");
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> usize {
        check(&Project { files: vec![SourceFile::new(path, text)] }).len()
    }

    #[test]
    fn finds_each_of_them() {
        for text in [
            "    #[allow(dead_code)]",
            "#![allow(missing_docs)]",
            "#[ignore]",
            "fn a() { todo!() }",
            "unimplemented!(\"later\")",
            "// FIXME: later",
        ] {
            assert_eq!(findings("crates/a/src/lib.rs", text), 1, "{text}");
        }
        assert_eq!(findings("scripts/run", "#!/bin/sh\n# FIXME"), 1);
    }

    #[test]
    fn leaves_what_is_finished() {
        for text in
            ["#[expect(dead_code, reason = \"x\")]", "#[ignore = \"x\"]", "/// Not `#[allow(`, not todo!("]
        {
            assert_eq!(findings("crates/a/src/lib.rs", text), 0, "{text}");
        }
        assert_eq!(findings("docs/a.md", "FIXME"), 0);
    }
}
