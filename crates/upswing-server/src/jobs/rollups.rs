//! Folds what is new into the hourly rollups: twice a second, while it is still in memory, and before somebody looks.

use std::time::Duration;

use upswing_store::StoreError;

use crate::app::{App, Shared};
use crate::jobs::news::AgentKey;

const EVERY: Duration = Duration::from_millis(500);
/// How many pieces are folded for one agent before others have their turn.
const PIECES: usize = 50;
/// How long a request waits for rollups to catch up; what is behind then is told by `as_of_position`.
const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) async fn run(app: Shared) {
    let mut stop = app.tasks.stop_signal();
    // What came in before this server started may not have been folded.
    let all = app.registry.all_agents();
    app.news.rollups.add(all.iter().map(|agent| ((agent.organisation, agent.id), Default::default())));
    loop {
        for (key, position) in app.news.rollups.take() {
            match fold(&app, key).await {
                Ok(true) => {}
                Ok(false) => app.news.rollups.add([(key, position)]),
                Err(error) => {
                    tracing::warn!(%error, agent = %key.1, "rollups wait");
                    app.news.rollups.add([(key, position)]);
                }
            }
        }
        tokio::select! {
            () = stop.requested() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Folds one agent's news; whether nothing is left.
async fn fold(app: &App, (organisation, agent): AgentKey) -> Result<bool, StoreError> {
    for _ in 0..PIECES {
        if app.store.fold_rollups(organisation, agent, app.now()).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Folds one agent's news before somebody looks, for a bounded time.
///
/// # Errors
/// When the database refuses.
pub(crate) async fn catch_up(app: &App, key: AgentKey) -> Result<(), StoreError> {
    let work = async {
        while !fold(app, key).await? {}
        Ok(())
    };
    tokio::time::timeout(PATIENCE, work).await.unwrap_or(Ok(()))
}
