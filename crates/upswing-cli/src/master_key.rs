//! The master key: from the environment, or a file beside the database that only its owner can read.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use upswing_privacy::Keyring;

use crate::config::Settings;
use crate::failure::Failure;

/// The file's name in the data folder.
const FILE: &str = "master.key";

/// Reads the ring, or makes one for a new data folder.
pub(crate) fn keyring(settings: &Settings) -> Result<Keyring, Failure> {
    if let Some(text) = &settings.master_key {
        return parse(text, "UPSWING_MASTER_KEY");
    }
    make_folder(&settings.data)?;
    let path = settings.data.join(FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => parse(&text, &path.display().to_string()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let ring = Keyring::generate().map_err(|error| Failure::new(error.to_string()))?;
            write_secret(&path, &ring.to_text())?;
            Ok(ring)
        }
        Err(error) => Err(Failure::new(format!("cannot read {}: {error}", path.display()))),
    }
}

fn parse(text: &str, origin: &str) -> Result<Keyring, Failure> {
    Keyring::parse(text).map_err(|error| Failure::new(format!("{origin}: {error}")))
}

/// Makes the data folder, closed to other users.
pub(crate) fn make_folder(path: &Path) -> Result<(), Failure> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| {
        Failure::new(format!("cannot make the folder {}: {error}", path.display()))
            .hint("--data with a folder that can be written")
    })
}

/// Writes a file that nobody else can read; one that is there is replaced as a whole.
pub(crate) fn write_secret(path: &Path, text: &str) -> Result<(), Failure> {
    let fresh = path.with_extension("new");
    let write = || {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&fresh, path)
    };
    write().map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_is_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let listen = "127.0.0.1:0".parse().unwrap();
        let mut settings = Settings::embedded(folder.path().join("data"), listen);
        let made = keyring(&settings).unwrap().to_text();
        assert_eq!(keyring(&settings).unwrap().to_text(), made);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(settings.data.join(FILE)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        settings.master_key = Some("nonsense".to_owned());
        assert!(keyring(&settings).unwrap_err().to_string().contains("UPSWING_MASTER_KEY: line 1"));
    }
}
