//! Measurements of one server, for Prometheus. Counters are atomics and belong to the server, not to the process, so that
//! several servers can run in one.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use upswing_store::QueueStatus;

/// Upper ends of the latency histogram, in microseconds.
const BUCKETS: [u64; 12] =
    [250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000];
/// Statuses that are counted apart. Others are counted as `other`.
const STATUSES: [u16; 20] =
    [200, 201, 204, 301, 304, 400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 500, 501, 502, 503, 504];

/// Counts of one route.
#[derive(Debug)]
pub(crate) struct RouteMetrics {
    method: String,
    path: String,
    statuses: [AtomicU64; STATUSES.len() + 1],
    buckets: [AtomicU64; BUCKETS.len() + 1],
    microseconds: AtomicU64,
}

impl RouteMetrics {
    pub(crate) fn new(method: String, path: String) -> Self {
        Self {
            method,
            path,
            statuses: Default::default(),
            buckets: Default::default(),
            microseconds: AtomicU64::new(0),
        }
    }

    /// Counts one answered request.
    pub(crate) fn answered(&self, status: u16, elapsed: Duration) {
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        let index = STATUSES.iter().position(|s| *s == status).unwrap_or(STATUSES.len());
        self.statuses[index].fetch_add(1, Relaxed);
        self.buckets[BUCKETS.partition_point(|end| *end < micros)].fetch_add(1, Relaxed);
        self.microseconds.fetch_add(micros, Relaxed);
    }

    fn labels(&self) -> String {
        format!("method=\"{}\",route=\"{}\"", self.method, self.path)
    }
}

/// What the server counts beside its routes.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Decisions answered.
    pub(crate) decisions: AtomicU64,
    /// Ledger entries that a policy has learned from here.
    pub(crate) learned: AtomicU64,
    /// Positions between the newest event and what the learner has read, the largest of all agents.
    pub(crate) learner_lag: AtomicI64,
    /// 1 while this server holds the learner's lease.
    pub(crate) learner_lease: AtomicI64,
    /// How often reputations were fitted here.
    pub(crate) reputation_fits: AtomicU64,
    /// Accounts that ceased to be believed, counted each time.
    pub(crate) accounts_distrusted: AtomicU64,
    /// Accounts that were believed again, counted each time.
    pub(crate) accounts_restored: AtomicU64,
}

/// The text for Prometheus, format 0.0.4.
pub(crate) fn exposition(
    routes: &[std::sync::Arc<RouteMetrics>],
    counts: &Counts,
    queue: &QueueStatus,
) -> String {
    let mut out = String::with_capacity(16 * 1024);
    family(&mut out, "upswing_http_requests_total", "counter", "Requests answered, by route and status.");
    for route in routes {
        for (index, count) in route.statuses.iter().enumerate() {
            let count = count.load(Relaxed);
            if count > 0 {
                let status = STATUSES.get(index).map_or("other".to_owned(), u16::to_string);
                let labels = route.labels();
                let _ = writeln!(out, "upswing_http_requests_total{{{labels},status=\"{status}\"}} {count}");
            }
        }
    }
    let name = "upswing_http_request_duration_seconds";
    family(&mut out, name, "histogram", "From the request's head to the answer's head.");
    for route in routes {
        let counts: Vec<u64> = route.buckets.iter().map(|b| b.load(Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        if total == 0 {
            continue;
        }
        let labels = route.labels();
        let mut below = 0;
        for (end, count) in BUCKETS.iter().zip(&counts) {
            below += count;
            let end = *end as f64 / 1e6;
            let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{end}\"}} {below}");
        }
        let _ = writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {total}");
        let _ = writeln!(out, "{name}_sum{{{labels}}} {}", route.microseconds.load(Relaxed) as f64 / 1e6);
        let _ = writeln!(out, "{name}_count{{{labels}}} {total}");
    }
    let name = "upswing_write_duration_seconds";
    family(&mut out, name, "summary", "From a batch's first word to the database to its commit.");
    let _ = writeln!(out, "{name}_sum {}\n{name}_count {}", queue.busy.as_secs_f64(), queue.batches);
    let mut single = |name: &str, kind: &str, help: &str, value: i128| {
        family(&mut out, name, kind, help);
        let _ = writeln!(out, "{name} {value}");
    };
    single(
        "upswing_decisions_total",
        "counter",
        "Decisions answered.",
        counts.decisions.load(Relaxed).into(),
    );
    single(
        "upswing_write_by_heart_total",
        "counter",
        "Batches for which nothing had to be looked up.",
        queue.by_heart.into(),
    );
    single("upswing_events_written_total", "counter", "Events on disk.", queue.written.into());
    single(
        "upswing_events_refused_total",
        "counter",
        "Events that the database refused.",
        queue.refused.into(),
    );
    single("upswing_commits_total", "counter", "Batches committed.", queue.commits.into());
    single(
        "upswing_queue_depth",
        "gauge",
        "Items waiting to be written, or being written.",
        queue.queued as i128,
    );
    single("upswing_queue_capacity", "gauge", "Items that may wait.", queue.capacity as i128);
    single("upswing_database_connected", "gauge", "1 while the database answers.", queue.connected.into());
    single(
        "upswing_learner_observations_total",
        "counter",
        "Ledger entries that policies have learned from here.",
        counts.learned.load(Relaxed).into(),
    );
    single(
        "upswing_learner_lag_positions",
        "gauge",
        "Positions that the learner is behind, the largest of all agents.",
        counts.learner_lag.load(Relaxed).into(),
    );
    single(
        "upswing_learner_lease",
        "gauge",
        "1 while this server is the one that learns.",
        counts.learner_lease.load(Relaxed).into(),
    );
    single(
        "upswing_reputation_fits_total",
        "counter",
        "How often the reputations of an agent's accounts were fitted here.",
        counts.reputation_fits.load(Relaxed).into(),
    );
    single(
        "upswing_accounts_distrusted_total",
        "counter",
        "Accounts whose feedback on an agent stopped teaching.",
        counts.accounts_distrusted.load(Relaxed).into(),
    );
    single(
        "upswing_accounts_restored_total",
        "counter",
        "Accounts whose feedback on an agent teaches again.",
        counts.accounts_restored.load(Relaxed).into(),
    );
    out
}

fn family(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_end_in_the_count() {
        let route = std::sync::Arc::new(RouteMetrics::new("GET".into(), "/x".into()));
        route.answered(200, Duration::from_micros(250));
        route.answered(418, Duration::from_secs(60));
        let text = exposition(&[route], &Counts::default(), &QueueStatus::default());
        let labels = "method=\"GET\",route=\"/x\"";
        for line in [
            format!("upswing_http_requests_total{{{labels},status=\"other\"}} 1"),
            format!("upswing_http_request_duration_seconds_bucket{{{labels},le=\"0.00025\"}} 1"),
            format!("upswing_http_request_duration_seconds_bucket{{{labels},le=\"5\"}} 1"),
            format!("upswing_http_request_duration_seconds_bucket{{{labels},le=\"+Inf\"}} 2"),
        ] {
            assert!(text.contains(&line), "{line} is not in\n{text}");
        }
    }
}
