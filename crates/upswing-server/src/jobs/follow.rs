//! Follows what other servers, and the command line, change: every organisation has a revision. PostgreSQL tells of changes;
//! they are also looked for, so that a connection that was lost costs no more than the time between two looks.

use std::time::Duration;

use crate::app::Shared;

const EVERY: Duration = Duration::from_millis(200);
/// How long until a lost connection is made again.
const AGAIN: Duration = Duration::from_secs(1);

pub(crate) async fn run(app: Shared) {
    let mut stop = app.tasks.stop_signal();
    let mut failing = false;
    loop {
        tokio::select! {
            () = stop.requested() => return,
            () = app.changed.notified() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
        let before = app.registry.changes();
        match app.registry.follow(&app.store, &app.keys).await {
            Ok(()) => failing = false,
            Err(error) if !failing => {
                failing = true;
                tracing::warn!(%error, "changes of agents and keys cannot be followed");
            }
            Err(_) => {}
        }
        if app.registry.changes() != before {
            app.news.learner.wake();
        }
    }
}

/// Listens to other servers, for as long as there is a connection.
pub(crate) async fn hear(app: Shared) {
    let mut stop = app.tasks.stop_signal();
    loop {
        let heard = app.store.hear_changes(|| app.changed.notify_one());
        tokio::select! {
            () = stop.requested() => return,
            ended = heard => if let Err(error) = ended {
                tracing::debug!(%error, "other servers are not heard, only looked at");
            },
        }
        tokio::select! {
            () = stop.requested() => return,
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
}
