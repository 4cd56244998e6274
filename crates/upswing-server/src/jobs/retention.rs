//! What has passed its retention is deleted, by class of data. The facts about what was done and said stay.
//!
//! Each server does it: what is deleted twice is deleted once, and each forgets what it holds in memory.

use std::time::Duration;

use upswing_domain::{OrganisationId, Timestamp};
use upswing_store::{ContentClass, StoreError};

use crate::app::Shared;

/// By the server's clock, which a test may drive.
const EVERY_SECONDS: i64 = 3600;
/// How often the clock is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How many things are deleted in one transaction.
const PIECE: usize = 500;

/// For how many days what is kept; for ever where absent.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Retention {
    /// Texts that nothing new refers to.
    pub(crate) content: Option<i64>,
    /// Hourly performance, and the documents of performance records.
    pub(crate) performance: Option<i64>,
    /// Profiles and stream windows that nothing was added to.
    pub(crate) patterns: Option<i64>,
}

impl Retention {
    /// Whether anything is ever deleted.
    pub(crate) fn deletes(self) -> bool {
        self.content.or(self.performance).or(self.patterns).is_some()
    }
}

/// So many days before a moment.
pub(crate) fn before(now: Timestamp, days: i64) -> Timestamp {
    now.plus_seconds(-days * 86_400)
}

pub(crate) async fn run(app: Shared) {
    let mut stop = app.tasks.stop_signal();
    let mut due = app.now();
    loop {
        if app.now() >= due {
            due = app.now().plus_seconds(EVERY_SECONDS);
            if let Some(days) = app.retention.patterns {
                app.profiles.forget(before(app.now(), days));
            }
            for organisation in app.registry.organisations() {
                match expire(&app, organisation).await {
                    Ok([0, 0, 0]) => {}
                    Ok([texts, hours, patterns]) => {
                        tracing::info!(texts, hours, patterns, %organisation, "data have passed their retention");
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

/// Deletes what is due of an organisation; how many texts, hours of performance, and profiles and windows.
async fn expire(app: &Shared, organisation: OrganisationId) -> Result<[usize; 3], StoreError> {
    let (now, store) = (app.now(), &app.store);
    let Retention { content, performance, patterns } = app.retention;
    let classes = match performance {
        Some(_) => [(ContentClass::Interaction, content), (ContentClass::Performance, performance)],
        // Without a retention of its own a performance record is a text like any other.
        None => [(ContentClass::All, content), (ContentClass::Performance, None)],
    };
    let mut deleted = [0; 3];
    for (class, days) in classes {
        let Some(days) = days else { continue };
        while piece(
            &mut deleted[0],
            store.expire_content(organisation, class, before(now, days), PIECE).await?,
        ) {}
    }
    let agents = app.registry.all_agents();
    let agents = || agents.iter().filter(|agent| agent.organisation == organisation).map(|agent| agent.id);
    if let Some(days) = performance {
        for agent in agents() {
            loop {
                let hours = store.expire_rollups(organisation, agent, before(now, days)).await?;
                deleted[1] += hours;
                if hours == 0 {
                    break;
                }
            }
        }
    }
    if let Some(days) = patterns {
        while piece(&mut deleted[2], store.expire_profiles(organisation, before(now, days), PIECE).await?) {}
        for agent in agents() {
            while piece(
                &mut deleted[2],
                store.expire_windows(organisation, agent, before(now, days), PIECE).await?,
            ) {}
        }
    }
    Ok(deleted)
}

/// Counts a piece; whether there may be another one.
fn piece(all: &mut usize, count: usize) -> bool {
    *all += count;
    count >= PIECE
}
