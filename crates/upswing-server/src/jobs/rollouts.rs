//! Moves rollouts on, or back, as soon as what is known says so. Whoever makes a transition says what it has seen of the
//! rollout, so that of several servers one makes it.

use std::time::Duration;

use upswing_domain::{ExperimentId, Judgement, OrganisationId, Rollout};
use upswing_learn::evaluate::{ShadowTally, judge_after};
use upswing_store::{Actor, StoreError};

use crate::app::{App, Shared};
use crate::jobs::experiments;

const EVERY: Duration = Duration::from_millis(100);
/// Pieces of one shadow before others have their turn.
const PIECES: usize = 20;
/// So many positions without a pair are read again rather than saved.
const UNSAVED: i64 = 1_000;

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
    let shadow = match rollout.plan.shadow {
        Some(_) => Some(shadow(app, organisation, rollout).await?.findings(&rollout.plan)),
        None => None,
    };
    Ok(judge_after(&comparison.plan, &tally, shadow))
}

/// What the pairs of a rollout's shadow have come to; while it is in there, after folding what is new. Any server may fold: of
/// two who read the same one saves.
async fn shadow(
    app: &App,
    organisation: OrganisationId,
    rollout: &Rollout,
) -> Result<ShadowTally, StoreError> {
    let mut pieces = 0;
    loop {
        let before = app.store.shadow_progress(organisation, rollout.id).await?;
        let mut tally = match before.as_ref().and_then(|before| before.state.as_deref()) {
            Some(bytes) => {
                ShadowTally::from_bytes(bytes).map_err(|error| StoreError::Corrupt(error.to_string()))?
            }
            None => ShadowTally::new(&rollout.plan),
        };
        // What it has come to stays as it was when the canary began.
        let open = rollout.shadow && rollout.state.active() && pieces < PIECES;
        let Some(before) = before.filter(|_| open) else { return Ok(tally) };
        let piece = app.store.shadow_piece(organisation, rollout, before.position).await?;
        // Reading on is no reason to write, while there is little to read again.
        let little = piece.to.0 - before.position.0 < UNSAVED;
        if piece.pairs.is_empty() && piece.complete && little {
            return Ok(tally);
        }
        for pair in &piece.pairs {
            tally.take(&rollout.plan, pair);
        }
        let state = tally.to_bytes();
        match app.store.save_shadow(organisation, rollout.id, app.now(), before, (piece, state)).await {
            // Of what somebody else has saved the next turn goes on.
            Ok(()) | Err(StoreError::LeaseLost) => pieces += 1,
            Err(error) => return Err(error),
        }
    }
}
