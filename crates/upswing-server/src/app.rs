//! What every route and every job can reach.

use std::sync::Arc;

use tokio::sync::mpsc;
use upswing_domain::Timestamp;
use upswing_privacy::Keyring;
use upswing_store::Store;

use crate::auth::Keys;
use crate::decide::RecentDecisions;
use crate::jobs::learner::Question;
use crate::jobs::news::NewsBoard;
use crate::jobs::refold::RefoldRequest;
use crate::registry::Registry;
use crate::runtime::clock::Clock;
use crate::runtime::metrics::{Counts, RouteMetrics};
use crate::runtime::tasks::Tasks;

/// How the server treats requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// For how long a browser's token may be used.
    pub(crate) feedback_token_seconds: i64,
    /// How often.
    pub(crate) feedback_token_uses: u32,
}

/// One server.
pub(crate) struct App {
    pub(crate) store: Store,
    pub(crate) keyring: Keyring,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) keys: Keys,
    pub(crate) registry: Registry,
    pub(crate) recent: RecentDecisions,
    pub(crate) news: NewsBoard,
    pub(crate) tasks: Tasks,
    /// What takes requests ends before the jobs do.
    pub(crate) http_stop: Tasks,
    pub(crate) counts: Counts,
    pub(crate) route_metrics: std::sync::OnceLock<Vec<Arc<RouteMetrics>>>,
    pub(crate) learner: mpsc::Sender<Question>,
    pub(crate) refold: mpsc::UnboundedSender<RefoldRequest>,
    pub(crate) limits: Limits,
    /// Whether other servers may write to the same database.
    pub(crate) shared_database: bool,
    /// Names this server among those on the same database.
    pub(crate) instance: String,
    pub(crate) stopping: std::sync::atomic::AtomicBool,
}

/// How routes and jobs hold it.
pub(crate) type Shared = Arc<App>;

impl App {
    /// What time it is.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
