//! The project's text files, read once.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Problem;

/// A text file of the project.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// Relative to the root, with `/`.
    pub path: String,
    /// Its content.
    pub text: String,
}

impl SourceFile {
    /// A file made up by a test.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    /// Whether the file's name ends in `.` and this.
    pub fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|found| found == extension)
    }

    /// Lines with their numbers, counted from 0.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate()
    }
}

/// The files that git knows, or would if they were added.
#[derive(Debug, Default)]
pub struct Project {
    /// Every text file.
    pub files: Vec<SourceFile>,
}

impl Project {
    /// The project that this program was built in.
    pub fn here() -> Result<Self, Problem> {
        let root = root();
        let files = list_files(&root)?
            .into_iter()
            // A binary file (not UTF-8) and one that is about to be removed have no text to check.
            .filter_map(|path| {
                let text = std::fs::read_to_string(root.join(&path)).ok()?;
                Some(SourceFile { path, text })
            })
            .collect();
        Ok(Self { files })
    }

    /// The file at a path.
    pub fn file(&self, path: &str) -> Option<&SourceFile> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Whether there is a file, or a folder with files, at a path.
    pub fn contains(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        self.files.iter().any(|file| match file.path.strip_prefix(path) {
            Some(rest) => rest.is_empty() || rest.starts_with('/'),
            None => false,
        })
    }

    /// All files but the checks themselves, which must name what they look for.
    pub fn checked(&self) -> impl Iterator<Item = &SourceFile> {
        self.files.iter().filter(|file| !file.path.starts_with("xtask/src/tidy/"))
    }
}

/// The project's root folder.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

fn list_files(root: &Path) -> Result<Vec<String>, Problem> {
    let output = Command::new("git")
        // CI often runs as another account than the one that checked out.
        .args(["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .map_err(|error| format!("git lists the project's files, and could not be started: {error}"))?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        return Err(format!("git lists the project's files, and failed: {}", message.trim()));
    }
    let listed = String::from_utf8_lossy(&output.stdout);
    Ok(listed.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contains_files_and_folders_by_whole_names() {
        let project = Project { files: vec![SourceFile::new("crates/upswing-learn/src/lib.rs", "")] };
        assert!(project.contains("crates/upswing-learn/src/lib.rs"));
        assert!(project.contains("crates/upswing-learn/"));
        assert!(!project.contains("crates/upswing-le"));
    }
}
