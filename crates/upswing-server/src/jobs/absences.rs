//! Closes the windows of metrics that are zero when nothing came: every ten seconds by the clock.

use std::sync::atomic::Ordering::Relaxed;

use upswing_domain::Absence;
use upswing_store::StoreError;

use crate::app::{App, Shared};
use crate::registry::AgentEntry;

const EVERY_SECONDS: i64 = 10;

pub(crate) async fn run(app: Shared) {
    let mut stop = app.tasks.stop_signal();
    loop {
        let due = app.clock.wait_until(app.now().plus_seconds(EVERY_SECONDS));
        tokio::select! {
            () = stop.requested() => return,
            () = due => {}
        }
        // One server does it: the one that learns.
        if app.counts.learner_lease.load(Relaxed) == 0 {
            continue;
        }
        for agent in app.registry.all_agents() {
            if let Err(error) = close(&app, &agent).await {
                tracing::warn!(%error, agent = %agent.id, "absences wait");
            }
        }
    }
}

async fn close(app: &App, agent: &AgentEntry) -> Result<(), StoreError> {
    let declares = {
        let serving = agent.serving();
        let metrics = &serving.state.agent.reward_definition.metrics;
        metrics.values().any(|rule| matches!(rule.absence, Absence::ZeroAfter(_)))
    };
    if declares {
        while app.store.fold_absences(agent.organisation, agent.id, app.now()).await? > 0 {}
    }
    Ok(())
}
