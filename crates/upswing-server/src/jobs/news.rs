//! What the writer has committed, until somebody has dealt with it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;
use upswing_domain::{AgentId, OrganisationId, Position};
use upswing_store::News;

/// An agent, wherever it is.
pub(crate) type AgentKey = (OrganisationId, AgentId);

/// News for one follower: the newest position of each agent.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    agents: Mutex<HashMap<AgentKey, Position>>,
    arrived: Notify,
}

impl Pending {
    /// Notes news. Older news of the same agent is covered by it.
    pub(crate) fn add(&self, news: impl IntoIterator<Item = (AgentKey, Position)>) {
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, position) in news {
            let newest = agents.entry(key).or_default();
            *newest = position.max(*newest);
        }
        drop(agents);
        self.arrived.notify_one();
    }

    /// All that is pending, which is then no longer.
    pub(crate) fn take(&self) -> HashMap<AgentKey, Position> {
        std::mem::take(&mut self.agents.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until something has been added since the last wait.
    pub(crate) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Wakes who waits, although nothing was added.
    pub(crate) fn wake(&self) {
        self.arrived.notify_one();
    }
}

/// News for everybody who follows.
#[derive(Debug, Default)]
pub(crate) struct NewsBoard {
    pub(crate) learner: Pending,
    pub(crate) rollups: Pending,
    pub(crate) windows: Pending,
    pub(crate) reputation: Pending,
}

impl NewsBoard {
    /// Called by the writer after each commit, on its own thread.
    pub(crate) fn post(&self, news: &[News]) {
        let entries = || news.iter().map(|n| ((n.organisation, n.agent), n.position));
        self.learner.add(entries());
        self.rollups.add(entries());
        self.windows.add(entries());
        self.reputation.add(entries());
    }
}
