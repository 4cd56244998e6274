//! The server in this process, and the one place that knows upswing-server's surface.

use upswing_domain::{Role, Timestamp};

use crate::admin::{Admin, NewKey};
use crate::config::Settings;
use crate::failure::Failure;

/// A server that runs in this process.
pub(crate) struct Running {}

impl Running {
    /// Where it can be reached.
    pub(crate) fn url(&self) -> String {
        String::new()
    }

    /// Whether there is anybody who could use it.
    pub(crate) fn has_organisation(&self) -> bool {
        true
    }

    /// Answers what is under way, writes what is queued, ends.
    pub(crate) async fn shutdown(self) {}
}

/// The present.
pub(crate) fn now() -> Timestamp {
    Timestamp(0)
}

/// The API's description.
pub(crate) fn openapi() -> Result<String, Failure> {
    Err(Failure::new("not yet"))
}

/// Starts a server.
pub(crate) async fn start(_settings: &Settings) -> Result<Running, Failure> {
    Err(Failure::new("not yet"))
}

/// A server of its own in a folder that is removed afterwards, with an organisation and its administrator's key.
pub(crate) struct Temporary {
    running: Running,
    key: String,
    folder: tempfile::TempDir,
}

impl Temporary {
    /// Where it can be reached.
    pub(crate) fn url(&self) -> String {
        self.running.url()
    }

    /// An administrator's key.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Ends it and removes its folder.
    pub(crate) async fn shutdown(self) {
        self.running.shutdown().await;
        drop(self.folder);
    }
}

/// Starts a server on a free port with a database of its own.
pub(crate) async fn start_temporary() -> Result<Temporary, Failure> {
    let folder = tempfile::Builder::new()
        .prefix("upswing-replay-")
        .tempdir()
        .map_err(|error| Failure::new(format!("cannot make a temporary folder: {error}")))?;
    let listen = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let settings = Settings::embedded(folder.path().to_owned(), listen);
    let admin = Admin::open(&settings, now()).await?;
    let organisation = admin.create_organisation("Replay").await?;
    let new = NewKey { name: "replay".to_owned(), role: Role::Admin, origins: Vec::new(), expires_at: None };
    let (_, secret) = admin.create_key(organisation.id, new).await?;
    admin.close().await;
    let running = start(&settings).await?;
    Ok(Temporary { running, key: secret.expose().to_owned(), folder })
}
