//! The server in this process, and the one place that knows upswing-server's surface.

use std::net::SocketAddr;

use upswing_domain::{Role, Timestamp};
use upswing_server::{Clock as _, Config, Server, StartError, SystemClock};

use crate::admin::{Admin, NewKey};
use crate::config::Settings;
use crate::failure::Failure;
use crate::master_key;

/// A server that runs in this process.
pub(crate) struct Running(Server);

impl Running {
    /// Where it can be reached.
    pub(crate) fn url(&self) -> String {
        self.0.url()
    }

    /// Whether there is anybody who could use it.
    pub(crate) async fn has_organisation(&self) -> bool {
        self.0.store().organisations().await.is_ok_and(|all| !all.is_empty())
    }

    /// Answers what is under way, writes what is queued, ends.
    pub(crate) async fn shutdown(self) {
        self.0.shutdown().await;
    }
}

/// The present.
pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}

/// The API's description.
pub(crate) fn openapi() -> Result<String, Failure> {
    upswing_server::openapi()
        .to_pretty_json()
        .map_err(|error| Failure::new(format!("the API's description cannot be written: {error}")))
}

/// Starts a server.
pub(crate) async fn start(settings: &Settings) -> Result<Running, Failure> {
    let mut config = Config::new(&settings.database_url, master_key::keyring(settings)?);
    config.listen = settings.listen;
    config.queue_capacity = settings.queue_capacity.unwrap_or(config.queue_capacity);
    let learning = &settings.learning;
    config.learning = learning.enabled.unwrap_or(config.learning);
    config.recognition = learning.recognition.unwrap_or(config.recognition);
    config.collection_rate = learning.collection_rate.unwrap_or(config.collection_rate);
    config.details_threshold = learning.details_threshold.unwrap_or(config.details_threshold);
    config.enrichment = learning.enrichment.unwrap_or(config.enrichment);
    config.author_cap = learning.author_cap.unwrap_or(config.author_cap);
    config.copies_cap = learning.copies_cap.unwrap_or(config.copies_cap);
    config.consent = learning.consent.unwrap_or(config.consent);
    config.content_days = learning.content_days.or(config.content_days);
    config.performance_days = learning.performance_days.or(config.performance_days);
    config.pattern_days = learning.pattern_days.or(config.pattern_days);
    config.reputation = learning.reputation.unwrap_or(config.reputation);
    let experiments = &mut config.experiments;
    experiments.min_samples = learning.experiment_samples.unwrap_or(experiments.min_samples);
    let hours = learning.experiment_hours.map(|hours| hours as f64);
    experiments.min_duration_hours = hours.unwrap_or(experiments.min_duration_hours);
    experiments.significance = learning.experiment_significance.unwrap_or(experiments.significance);
    config.runners.hosts = settings.runner_hosts.clone();
    config.runners.commands = settings.commands.clone();
    match Server::start(config).await {
        Ok(server) => Ok(Running(server)),
        Err(error @ StartError::Listen { .. }) => {
            let any = SocketAddr::new(settings.listen.ip(), 0);
            Err(Failure::new(error.to_string())
                .hint(format!("another address: --listen {any} takes a free port")))
        }
        Err(error) => Err(Failure::new(error.to_string())),
    }
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
    let settings = Settings::embedded(folder.path().to_owned(), SocketAddr::from(([127, 0, 0, 1], 0)));
    let admin = Admin::open(&settings, now()).await?;
    let organisation = admin.create_organisation("Replay").await?;
    let new = NewKey { name: "replay".to_owned(), role: Role::Admin, origins: Vec::new(), expires_at: None };
    let (_, secret) = admin.create_key(organisation.id, new).await?;
    admin.close().await;
    let running = start(&settings).await?;
    Ok(Temporary { running, key: secret.expose().to_owned(), folder })
}
