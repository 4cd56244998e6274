//! Starting and ending a server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use upswing_domain::{ConsentRule, OrganisationId};
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
use crate::runtime::{connections, ids, shutdown};

/// Makes a stage of a stream window fail: the stage's name and how often the window was tried before go in.
pub type StageFault = dyn Fn(&str, i64) -> Result<(), String> + Send + Sync;

/// What may run versions, and judge their answers, before they meet traffic. Only the configuration says so, never the API.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Runners {
    /// Hosts, as in `runner.internal` or `127.0.0.1:9000`, that may be anywhere and need no TLS.
    pub hosts: Vec<String>,
    /// Programs by name, each with its arguments.
    pub commands: std::collections::BTreeMap<String, Vec<String>>,
}

/// What holds for an experiment that does not say it itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExperimentDefaults {
    /// No verdict before so many units have an outcome.
    pub min_samples: u64,
    /// No verdict before so many hours.
    pub min_duration_hours: f64,
    /// How often at most an experiment without effect may say that there is one; 0.0001 to 0.5.
    pub significance: f64,
}

impl Default for ExperimentDefaults {
    fn default() -> Self {
        Self { min_samples: 1_000, min_duration_hours: 168.0, significance: 0.05 }
    }
}

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
    /// How many statements of one author about one agent teach within 30 days; the rest is stored and does not count.
    pub author_cap: i64,
    /// How many comments that are nearly the same teach within 30 days.
    pub copies_cap: i64,
    /// Whether texts are looked through for what they are about: keywords, complexity, domain.
    pub enrichment: bool,
    /// Whether accounts that act in concert are looked for, and stop teaching (`docs/trust.md`). Off, everybody is given
    /// back what was taken. Of several servers on one database the one that holds the lease decides.
    pub reputation: bool,
    /// How many seconds a trace whose root has come waits for more before it becomes executions.
    pub telemetry_settle_seconds: i64,
    /// The same where a call has no text yet: it may come as a log record.
    pub telemetry_content_seconds: i64,
    /// How many seconds any other trace waits.
    pub telemetry_idle_seconds: i64,
    /// For how many seconds spans are kept once their trace is assembled.
    pub telemetry_keep_seconds: i64,
    /// What holds for people who have not decided whether they may be learned from.
    pub consent: ConsentRule,
    /// Whether policies learn. What comes in is kept in any case, and learned from when this is on again.
    pub learning: bool,
    /// Whether stream windows over behaviour make profiles.
    pub recognition: bool,
    /// Which share of executions people are to be asked about, and of behaviour is kept; 0 to 1. Never limits what somebody
    /// says.
    pub collection_rate: f64,
    /// Up to how many stars details are to be asked for.
    pub details_threshold: u8,
    /// For how many days texts are kept that nothing new refers to; for ever where absent.
    pub content_days: Option<i64>,
    /// For how many days hourly performance and the documents of performance records are kept. Without it the former for
    /// ever, the latter as other texts.
    pub performance_days: Option<i64>,
    /// For how many days profiles and stream windows are kept that nothing was added to; for ever where absent.
    pub pattern_days: Option<i64>,
    /// What holds for experiments that do not say it.
    pub experiments: ExperimentDefaults,
    /// For how long a server that cannot confirm what is to be served goes on serving it, where other servers may change it.
    /// Then it serves the agent's safe version, or says that it cannot.
    pub state_lease: Duration,
    /// What may run versions before they meet traffic.
    pub runners: Runners,
    /// For tests: makes a stage of a stream window fail; the stage's name and the earlier attempts go in.
    pub stage_fault: Option<Arc<StageFault>>,
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
            author_cap: 40,
            copies_cap: 3,
            enrichment: true,
            reputation: true,
            telemetry_settle_seconds: 1,
            // The exporters' own timers are five seconds.
            telemetry_content_seconds: 6,
            telemetry_idle_seconds: 10,
            telemetry_keep_seconds: 86_400,
            consent: ConsentRule::UnlessRefused,
            learning: true,
            recognition: true,
            collection_rate: 1.0,
            details_threshold: 3,
            content_days: None,
            performance_days: None,
            pattern_days: None,
            experiments: ExperimentDefaults::default(),
            state_lease: Duration::from_secs(10),
            runners: Runners::default(),
            stage_fault: None,
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
        let sealing = config.keyring.clone();
        let limits = Limits::of(&config);
        let store = Store::open(StoreOptions {
            url: config.database.clone(),
            queue_capacity: config.queue_capacity,
            readers: config.readers,
            key_checks: config.keyring.checks(),
            content_hash: Arc::new(move |organisation, content| keyring.content_hash(organisation, content)),
            audit_seal: Arc::new(move |organisation, id, line| sealing.audit_seal(organisation, id, line)),
            consent: config.consent,
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
            changed: Default::default(),
            recent: RecentDecisions::default(),
            authors: Default::default(),
            texts: Default::default(),
            reputation: config.reputation,
            reputations: Default::default(),
            profiles: Default::default(),
            retention: jobs::retention::Retention {
                content: config.content_days,
                performance: config.performance_days,
                patterns: config.pattern_days,
            },
            consent: config.consent,
            stage_fault: config.stage_fault,
            runners: config.runners,
            news: Default::default(),
            experiments: Default::default(),
            tasks: Tasks::new(),
            http_stop: Tasks::new(),
            counts: Default::default(),
            route_metrics: Default::default(),
            learner: questions,
            refold,
            limits,
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
        if config.learning {
            app.tasks.spawn("learner", jobs::learner::run(Arc::clone(&app), asked));
        } else {
            tracing::warn!("policies do not learn: learning is switched off");
        }
        if config.recognition {
            app.tasks.spawn("windows", jobs::windows::run(Arc::clone(&app)));
        }
        if app.retention.deletes() {
            app.tasks.spawn("retention", jobs::retention::run(Arc::clone(&app)));
        }
        app.tasks.spawn("reputation", jobs::reputation::run(Arc::clone(&app)));
        app.tasks.spawn("profiles", jobs::windows::follow_profiles(Arc::clone(&app)));
        app.tasks.spawn("refold", jobs::refold::run(Arc::clone(&app), to_refold));
        app.tasks.spawn("experiments", jobs::experiments::run(Arc::clone(&app)));
        app.tasks.spawn("rollouts", jobs::rollouts::run(Arc::clone(&app)));
        app.tasks.spawn("rollups", jobs::rollups::run(Arc::clone(&app)));
        app.tasks.spawn("absences", jobs::absences::run(Arc::clone(&app)));
        app.tasks.spawn("telemetry", jobs::telemetry::follow(Arc::clone(&app)));
        app.tasks.spawn("follow", jobs::follow::run(Arc::clone(&app)));
        app.tasks.spawn("changes", jobs::follow::hear(Arc::clone(&app)));
        let router = routes::router(&app);
        let mut stop = app.http_stop.stop_signal();
        app.http_stop.spawn("http", async move {
            connections::serve(listener, router, async move { stop.requested().await }).await;
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
