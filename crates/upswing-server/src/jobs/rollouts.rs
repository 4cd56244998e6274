//! Moves rollouts on, or back, as soon as what is known says so. Whoever makes a transition says what it has seen of the
//! rollout, so that of several servers one makes it.

use std::time::Duration;

use upswing_domain::{ExperimentId, Judgement, OrganisationId, Rollout};
use upswing_learn::evaluate::judge;
use upswing_store::{Actor, StoreError};

use crate::app::{App, Shared};
use crate::jobs::experiments;

const EVERY: Duration = Duration::from_millis(100);

pub(crate) async fn run(app: Shared) {
    let mut stop = app.tasks.stop_signal();
    loop {
        for agent in app.registry.all_agents() {
            let rollouts = agent.serving().state.rollouts.clone();
            for rollout in rollouts {
                match turn(&app, agent.organisation, &rollout).await {
                    // Another server was quicker: what became of it is read with the agent.
                    Ok(()) | Err(StoreError::LeaseLost) => {}
                    Err(error) => tracing::warn!(%error, rollout = %rollout.id, "the rollout waits"),
                }
            }
        }
        tokio::select! {
            () = stop.requested() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Does what is due, if anything is.
pub(crate) async fn turn(
    app: &App,
    organisation: OrganisationId,
    rollout: &Rollout,
) -> Result<(), StoreError> {
    if !app.store.queue().connected {
        return Ok(());
    }
    let judged = judged(app, organisation, rollout).await?;
    let now = app.now();
    let Some(transition) = rollout.next(&judged, now) else { return Ok(()) };
    let evidence = serde_json::to_value(&judged).unwrap_or_default();
    let actor = Actor { organisation, key: None, now, request: None };
    let done = app
        .store
        .transition_rollout(actor, rollout.clone(), transition.clone(), evidence, String::new())
        .await;
    // Also where another was quicker: what it did is to be served here at once.
    app.registry.reload_agent(&app.store, organisation, rollout.agent).await?;
    let after = done?;
    tracing::info!(rollout = %after.id, state = after.state.name(), step = after.step, why = transition.why(),
        "a rollout moves");
    Ok(())
}

/// What is known of a rollout now.
///
/// # Errors
/// When the database refuses.
pub(crate) async fn judged(
    app: &App,
    organisation: OrganisationId,
    rollout: &Rollout,
) -> Result<Judgement, StoreError> {
    let id = ExperimentId(rollout.id.0);
    // While it is under way it is in memory: this is asked ten times a second.
    let known = app.registry.agent(organisation, rollout.agent).and_then(|agent| {
        agent.serving().state.experiments.iter().find(|experiment| experiment.id == id).cloned()
    });
    let comparison = match known {
        Some(comparison) => comparison,
        None => app.store.experiment(organisation, id).await?,
    };
    let tally = experiments::current(app, (organisation, rollout.agent), &comparison).await?;
    Ok(judge(&comparison.plan, &tally))
}
