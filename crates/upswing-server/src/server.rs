//! Starting and ending a server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use upswing_domain::OrganisationId;
use upswing_privacy::Keyring;
use upswing_store::{Store, StoreError, StoreOptions};

use crate::app::{App, Limits, Shared};
use crate::auth::Keys;
use crate::decide::RecentDecisions;
use crate::jobs;
use crate::registry::Registry;
use crate::routes;
use crate::runtime::clock::{Clock, SystemClock};
use crate::runtime::tasks::Tasks;
use crate::runtime::{ids, shutdown};

/// How to start a server.
#[derive(Clone)]
pub struct Config {
    /// Where to listen. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// `sqlite:PATH` or `postgres://...`.
    pub database: String,
    /// The master key.
    pub keyring: Keyring,
    /// How many events may wait to be written.
    pub queue_capacity: usize,
    /// How many connections read.
    pub readers: usize,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// For how many seconds a browser's feedback token may be used.
    pub feedback_token_seconds: i64,
    /// How often it may be used.
    pub feedback_token_uses: u32,
}

impl Config {
    /// A server on a free port of this machine, with everything else as recommended.
    pub fn new(database: impl Into<String>, keyring: Keyring) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            database: database.into(),
            keyring,
            // Three of the largest batches.
            queue_capacity: 32_768,
            readers: 4,
            clock: Arc::new(SystemClock),
            feedback_token_seconds: 3600,
            feedback_token_uses: 10,
        }
    }
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The address.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
}

/// A server that runs. Dropping it stops it without waiting; [`Server::shutdown`] waits.
pub struct Server {
    address: SocketAddr,
    app: Shared,
}

impl Server {
    /// Opens the database, loads what deciding needs, starts the jobs and listens.
    ///
    /// # Errors
    /// When the database cannot be opened or the address is taken.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let keyring = config.keyring.clone();
        let store = Store::open(StoreOptions {
            url: config.database.clone(),
            queue_capacity: config.queue_capacity,
            readers: config.readers,
            key_checks: config.keyring.checks(),
            content_hash: Arc::new(move |organisation, content| keyring.content_hash(organisation, content)),
        })
        .await?;
        let shared_database = config.database.starts_with("postgres");
        let (questions, asked) = mpsc::channel(64);
        let (refold, to_refold) = mpsc::unbounded_channel();
        let app = Arc::new(App {
            store,
            keyring: config.keyring,
            keys: Keys::default(),
            registry: Registry::default(),
            recent: RecentDecisions::default(),
            news: Default::default(),
            tasks: Tasks::new(),
            http_stop: Tasks::new(),
            counts: Default::default(),
            route_metrics: Default::default(),
            learner: questions,
            refold,
            limits: Limits {
                feedback_token_seconds: config.feedback_token_seconds,
                feedback_token_uses: config.feedback_token_uses,
            },
            shared_database,
            // An embedded database has one server, which takes the lease back at once after a crash.
            instance: if shared_database {
                ids::fresh(config.clock.now()).to_string()
            } else {
                "embedded".to_owned()
            },
            clock: config.clock,
            stopping: AtomicBool::new(false),
        });
        let listening = Arc::downgrade(&app);
        app.store.on_news(Box::new(move |news| {
            if let Some(app) = listening.upgrade() {
                app.news.post(news);
            }
        }))?;
        app.registry.follow(&app.store, &app.keys).await?;
        let listen_error = |source| StartError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(listen_error)?;
        let address = listener.local_addr().map_err(listen_error)?;
        app.tasks.spawn("learner", jobs::learner::run(Arc::clone(&app), asked));
        app.tasks.spawn("refold", jobs::refold::run(Arc::clone(&app), to_refold));
        app.tasks.spawn("rollups", jobs::rollups::run(Arc::clone(&app)));
        app.tasks.spawn("absences", jobs::absences::run(Arc::clone(&app)));
        app.tasks.spawn("follow", jobs::follow::run(Arc::clone(&app)));
        let router = routes::router(&app);
        let mut stop = app.http_stop.stop_signal();
        // An answer is written in one piece: waiting to fill a packet would only delay it.
        let listener = listener.tap_io(|connection| {
            if let Err(error) = connection.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY");
            }
        });
        app.http_stop.spawn("http", async move {
            let until = async move { stop.requested().await };
            if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(until).await {
                tracing::error!(%error, "the server ended");
            }
        });
        tracing::info!(%address, "listening");
        Ok(Self { address, app })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://` and the address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its database.
    pub fn store(&self) -> &Store {
        &self.app.store
    }

    /// Loads an organisation that was made directly in the store, without waiting until it is noticed.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        self.app.registry.follow(&self.app.store, &self.app.keys).await
    }

    /// How far the learner has read an agent's ledger; `None` when there is no such agent here.
    pub fn learner_position(
        &self,
        organisation: OrganisationId,
        agent: upswing_domain::AgentId,
    ) -> Option<upswing_domain::Position> {
        Some(self.app.registry.agent(organisation, agent)?.policy().position)
    }

    /// Takes no more requests, answers those under way, saves what was learned, writes what is queued, and ends.
    pub async fn shutdown(self) {
        shutdown::drain(&self.app).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.app.http_stop.request_stop();
        self.app.tasks.request_stop();
    }
}
