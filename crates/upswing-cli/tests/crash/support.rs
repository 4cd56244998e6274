//! Waiting for conditions, taking turns, and saying what is missing.

use std::future::Future;
use std::io::Write as _;
use std::time::{Duration, Instant};

/// One of these tests at a time: they are about timing, and the machine may be small.
pub(crate) static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// How often each test crashes something.
pub(crate) fn cycles(default: usize) -> usize {
    std::env::var_os("UPSWING_CRASH_CYCLES").map_or(default, |text| text.to_str().unwrap().parse().unwrap())
}

/// Looks again and again until there is an answer. For conditions that nobody announces.
pub(crate) async fn until<T, F>(what: &str, limit: Duration, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(started.elapsed() < limit, "waited {limit:?} in vain: {what}");
        between_looks().await;
    }
}

/// The pause between two looks at a condition.
pub(crate) async fn between_looks() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

/// Names what a test could not run and why; a failure where everything is required.
pub(crate) fn skipped(test: &str, reason: &str) {
    let line = format!("SKIPPED crash::{test}: {reason}");
    println!("{line}");
    if let Some(path) = std::env::var_os("UPSWING_SKIP_LOG") {
        let mut log = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(log, "{line}").unwrap();
    }
    assert!(std::env::var_os("UPSWING_REQUIRE_ALL").is_none_or(|v| v != "1"), "{line}");
}
