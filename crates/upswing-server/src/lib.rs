//! Upswing over HTTP: the only place with HTTP, clocks and threads.
//!
//! A [`Server`] runs in the process that starts it, so that a test can start several. Handlers in `routes/` read:
//! authorise, ask, answer; what happens by itself stands in `jobs/`; both reach everything through `app.rs`.
//!
//! No SQL (it is in `upswing-store`), no learning (`upswing-learn`), no cryptography (`upswing-privacy`).

use std::sync::Arc;

mod app;
mod auth;
mod copies;
mod decide;
mod gate;
mod gates;
mod jobs;
mod problem;
mod profiles;
mod registry;
mod routes;
mod runtime;
mod server;
mod telemetry;
mod trust;
mod wire;

pub use jobs::learner::replay_ledger;
pub use problem::{Code, Problem, ProblemResponse};
pub use routes::read_collected;
pub use routes::{RouteInfo, openapi, routes};
pub use runtime::clock::{Clock, ManualClock, SystemClock};
pub use runtime::connections::serve;
pub use server::{Config, ExperimentDefaults, Runners, Server, StageFault, StartError};

/// A router with one more route behind the gate of the API's own, and nothing else of a server: what a benchmark compares
/// with. The route is public: no key is looked up. The router listens to nothing, and no job runs.
///
/// # Errors
/// When the database cannot be opened.
pub async fn behind_gate(
    config: Config,
    method: &str,
    path: &str,
    handler: axum::routing::MethodRouter,
) -> Result<axum::Router, StartError> {
    let keyring = config.keyring.clone();
    let sealing = config.keyring.clone();
    let limits = app::Limits::of(&config);
    let store = upswing_store::Store::open(upswing_store::StoreOptions {
        url: config.database,
        queue_capacity: config.queue_capacity,
        readers: config.readers,
        key_checks: config.keyring.checks(),
        content_hash: Arc::new(move |organisation, content| keyring.content_hash(organisation, content)),
        audit_seal: Arc::new(move |organisation, id, line| sealing.audit_seal(organisation, id, line)),
        consent: config.consent,
    })
    .await?;
    let app = Arc::new(app::App {
        store,
        keyring: config.keyring,
        clock: config.clock,
        keys: Default::default(),
        registry: Default::default(),
        changed: Default::default(),
        recent: Default::default(),
        authors: Default::default(),
        texts: Default::default(),
        reputation: config.reputation,
        reputations: Default::default(),
        profiles: Default::default(),
        retention: Default::default(),
        consent: config.consent,
        stage_fault: None,
        runners: Default::default(),
        news: Default::default(),
        experiments: Default::default(),
        tasks: runtime::tasks::Tasks::new(),
        http_stop: runtime::tasks::Tasks::new(),
        counts: Default::default(),
        route_metrics: Default::default(),
        learner: tokio::sync::mpsc::channel(1).0,
        refold: tokio::sync::mpsc::unbounded_channel().0,
        limits,
        shared_database: false,
        instance: String::new(),
        stopping: Default::default(),
    });
    let metrics = Arc::new(runtime::metrics::RouteMetrics::new(method.to_owned(), path.to_owned()));
    let gate = gate::GateLayer::new(&app, method, path, upswing_domain::Permission::Public, metrics);
    Ok(axum::Router::new().route(path, handler.layer(gate)))
}
