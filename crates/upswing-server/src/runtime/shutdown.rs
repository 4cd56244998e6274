//! The end, in order: no more requests, those under way answered, what was learned saved, the queue written.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use crate::app::App;

/// How long requests under way may take. The longest wait that a route has is two seconds.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn drain(app: &App) {
    app.stopping.store(true, SeqCst);
    tracing::info!("shutting down");
    if tokio::time::timeout(PATIENCE, app.http_stop.finish()).await.is_err() {
        tracing::warn!("some requests were still under way");
    }
    app.tasks.finish().await;
    app.store.close().await;
    tracing::info!("everything is written");
}
