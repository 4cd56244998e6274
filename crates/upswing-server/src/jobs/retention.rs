//! Texts that nothing new has referred to for so many days are deleted. The facts about what was done and said stay.

use std::time::Duration;

use upswing_store::StoreError;

use crate::app::Shared;

/// By the server's clock, which a test may drive.
const EVERY_SECONDS: i64 = 3600;
/// How often the clock is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How many texts are deleted in one transaction.
const PIECE: usize = 500;

pub(crate) async fn run(app: Shared, days: i64) {
    let mut stop = app.tasks.stop_signal();
    let mut due = app.now();
    loop {
        if app.now() >= due {
            due = app.now().plus_seconds(EVERY_SECONDS);
            for organisation in app.registry.organisations() {
                match expire(&app, organisation, days).await {
                    Ok(0) => {}
                    Ok(count) => {
                        tracing::info!(count, %organisation, days, "texts have passed their retention")
                    }
                    Err(error) => tracing::warn!(%error, "retention waits"),
                }
            }
        }
        tokio::select! {
            () = stop.requested() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

async fn expire(
    app: &Shared,
    organisation: upswing_domain::OrganisationId,
    days: i64,
) -> Result<usize, StoreError> {
    let before = app.now().plus_seconds(-days * 86_400);
    let mut all = 0;
    loop {
        let count = app.store.expire_content(organisation, before, PIECE).await?;
        all += count;
        if count < PIECE {
            return Ok(all);
        }
    }
}
