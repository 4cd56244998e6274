//! A PostgreSQL of the test's own, which it may crash.

use std::path::PathBuf;
use std::process::{Command, Output};

/// Removed when dropped.
pub(crate) struct Cluster {
    folder: tempfile::TempDir,
    /// The owner of the database.
    pub(crate) url: String,
}

impl Cluster {
    /// A fresh one, or why there is none.
    pub(crate) fn start() -> Result<Self, String> {
        let mut cluster = Self { folder: tempfile::tempdir().unwrap(), url: String::new() };
        let output = cluster.script("start");
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(said.lines().last().unwrap_or("scripts/postgres failed").to_owned());
        }
        cluster.url = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        Ok(cluster)
    }

    fn script(&self, command: &str) -> Output {
        let script: PathBuf =
            [env!("CARGO_MANIFEST_DIR"), "..", "..", "scripts", "postgres"].iter().collect();
        Command::new(script).arg(command).env("UPSWING_PG_DIR", self.folder.path()).output().unwrap()
    }

    fn succeed(&self, command: &str) -> String {
        let output = self.script(command);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "scripts/postgres {command}: {said}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Stops at once, as after a power cut of the database alone.
    pub(crate) fn crash(&self) {
        tokio::task::block_in_place(|| self.succeed("crash"));
    }

    /// Starts again, at the same address.
    pub(crate) fn recover(&self) {
        let url = tokio::task::block_in_place(|| self.succeed("start"));
        assert_eq!(url, self.url);
    }

    /// The superuser's address.
    pub(crate) fn admin_url(&self) -> String {
        self.succeed("admin-url")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.script("delete"));
    }
}
