//! Follows what other servers, and the command line, change: every organisation has a revision.

use std::time::Duration;

use crate::app::Shared;

const EVERY: Duration = Duration::from_millis(200);

pub(crate) async fn run(app: Shared) {
    let mut stop = app.tasks.stop_signal();
    let mut failing = false;
    loop {
        tokio::select! {
            () = stop.requested() => return,
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
