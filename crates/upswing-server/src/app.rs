//! What every route and every job can reach.

use std::sync::Arc;
use std::time::Duration;

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

/// How long telemetry waits, in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// A trace whose root has come.
    pub(crate) settle_seconds: i64,
    /// The same where a call has no text yet.
    pub(crate) content_seconds: i64,
    /// Any other trace.
    pub(crate) idle_seconds: i64,
    /// Spans of an assembled trace, until they are forgotten.
    pub(crate) keep_seconds: i64,
}

/// How the server treats requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// For how long a browser's token may be used.
    pub(crate) feedback_token_seconds: i64,
    /// How often.
    pub(crate) feedback_token_uses: u32,
    /// How much of one author, and of one text, counts.
    pub(crate) caps: crate::trust::Caps,
    /// Whether texts are looked through for what they are about.
    pub(crate) enrichment: bool,
    /// How long telemetry waits.
    pub(crate) telemetry: Timing,
    /// Which share of executions people are asked about, and of behaviour is kept.
    pub(crate) collection_rate: f64,
    /// Up to how many stars details are asked for.
    pub(crate) details_threshold: u8,
    /// What holds for experiments that do not say it.
    pub(crate) experiments: crate::server::ExperimentDefaults,
    /// For how long what is to be served may go unconfirmed, where other servers may change it.
    pub(crate) state_lease: Duration,
}

impl Limits {
    /// As configured.
    pub(crate) fn of(config: &crate::server::Config) -> Self {
        Self {
            feedback_token_seconds: config.feedback_token_seconds,
            feedback_token_uses: config.feedback_token_uses,
            caps: crate::trust::Caps { per_author: config.author_cap, copies: config.copies_cap },
            enrichment: config.enrichment,
            collection_rate: config.collection_rate,
            details_threshold: config.details_threshold,
            experiments: config.experiments,
            state_lease: config.state_lease,
            telemetry: Timing {
                settle_seconds: config.telemetry_settle_seconds,
                content_seconds: config.telemetry_content_seconds,
                idle_seconds: config.telemetry_idle_seconds,
                keep_seconds: config.telemetry_keep_seconds,
            },
        }
    }

    /// Whether an execution, or a visit, is among those that are collected: always the same answer for the same id.
    pub(crate) fn collects(&self, id: &[u8]) -> bool {
        if self.collection_rate >= 1.0 {
            return true;
        }
        let hash = blake3::hash(id);
        let bits = hash.as_bytes().first_chunk().map_or(0, |first| u64::from_be_bytes(*first)) >> 11;
        (bits as f64) < self.collection_rate * (1_u64 << 53) as f64
    }
}

/// One server.
pub(crate) struct App {
    pub(crate) store: Store,
    pub(crate) keyring: Keyring,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) keys: Keys,
    pub(crate) registry: Registry,
    /// Another server has changed something.
    pub(crate) changed: tokio::sync::Notify,
    pub(crate) recent: RecentDecisions,
    /// What authors did within the last hour.
    pub(crate) authors: crate::trust::Authors,
    /// What was written within the last hour.
    pub(crate) texts: crate::copies::Texts,
    /// Whether accounts that act in concert are looked for.
    pub(crate) reputation: bool,
    /// What was found, while this server is the one that looks.
    pub(crate) reputations: crate::jobs::reputation::Board,
    /// What is known of people.
    pub(crate) profiles: crate::profiles::Profiles,
    /// For how long what is kept.
    pub(crate) retention: crate::jobs::retention::Retention,
    /// What holds for people who have not decided.
    pub(crate) consent: upswing_domain::ConsentRule,
    /// For tests: makes stages of stream windows fail.
    pub(crate) stage_fault: Option<Arc<crate::server::StageFault>>,
    /// What may run versions before they meet traffic.
    pub(crate) runners: crate::server::Runners,
    pub(crate) news: NewsBoard,
    /// What units of experiments did, as far as it was folded here.
    pub(crate) experiments: crate::jobs::experiments::Folds,
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
