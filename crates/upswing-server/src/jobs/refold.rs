//! Folds stored feedback again after an agent's reward definition has changed.

use std::time::Duration;

use tokio::sync::mpsc;

use crate::app::Shared;
use crate::jobs::news::AgentKey;

/// Whose feedback to fold again.
pub(crate) type RefoldRequest = AgentKey;

const RETRY: Duration = Duration::from_millis(500);

pub(crate) async fn run(app: Shared, mut requests: mpsc::UnboundedReceiver<RefoldRequest>) {
    let mut stop = app.tasks.stop_signal();
    // A server that ended while it was folding goes on here.
    let mut waiting: Vec<AgentKey> =
        app.registry.all_agents().iter().map(|a| (a.organisation, a.id)).collect();
    loop {
        let next = match waiting.pop() {
            Some(next) => next,
            None => tokio::select! {
                () = stop.requested() => return,
                request = requests.recv() => match request {
                    Some(request) => request,
                    None => return,
                },
            },
        };
        let (organisation, agent) = next;
        let pause = match app.store.refold(organisation, agent, app.now()).await {
            Ok(true) => continue,
            Ok(false) => Duration::ZERO,
            Err(error) => {
                tracing::warn!(%error, %agent, "folding again waits");
                RETRY
            }
        };
        waiting.push(next);
        tokio::select! {
            () = stop.requested() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}
