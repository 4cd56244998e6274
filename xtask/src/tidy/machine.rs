//! No file names a folder of the machine on which it was written.

use crate::Finding;
use crate::project::{Project, SourceFile};

const FOLDERS: &[&str] = &["/work/", "/root/", "/farm/"];

/// The rule.
pub fn check(project: &Project) -> Vec<Finding> {
    project.checked().flat_map(check_file).collect()
}

fn check_file(file: &SourceFile) -> Vec<Finding> {
    file.lines()
        .filter_map(|(number, line)| {
            let folder = FOLDERS.iter().find(|folder| names(line, folder))?;
            let message = format!(
                "`{folder}` is a folder of one machine; say it relative to the project, or as a variable"
            );
            Some(Finding::in_line(&file.path, number, message))
        })
        .collect()
}

/// Whether the folder stands there as an absolute path, not as the middle of another one.
fn names(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|before| before.is_alphanumeric() || "_-.~/}$*".contains(before))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str) -> usize {
        check(&Project { files: vec![SourceFile::new("docs/a.md", text)] }).len()
    }

    #[test]
    fn finds_absolute_paths() {
        for text in ["/work/main", "cd \"/root/x\"", "(/farm/y)", "a=/work/x"] {
            assert_eq!(findings(text), 1, "{text}");
        }
    }

    #[test]
    fn leaves_parts_of_other_paths() {
        for text in [
            "../work/main",
            "src/root/x",
            "https://example.org/work/x",
            "$HOME/work/x",
            "rework/",
            "~/work/x",
        ] {
            assert_eq!(findings(text), 0, "{text}");
        }
    }
}
