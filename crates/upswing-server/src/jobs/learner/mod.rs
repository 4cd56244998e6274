//! The one that learns: it follows the ledger of every agent, publishes what the policy knows, and checkpoints it.
//!
//! Whoever holds the lease folds; the others publish its checkpoints. Published first, checkpointed soon after: a crash
//! in between is repaired by reading the ledger again from the checkpoint's position.

pub(crate) mod folded;

use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use upswing_domain::{AgentId, OrganisationId, PolicyConfig, Position};
use upswing_learn::{ArmSummary, CurveBin, LearnerState};
use upswing_store::{Store, StoreError};

use crate::app::Shared;
use crate::jobs::news::AgentKey;
use crate::registry::{AgentEntry, PolicyNow};
use crate::runtime::tasks;
use folded::Folded;

/// The follower's name, under which checkpoints and the lease stand.
const LEARNER: &str = "learner";
const LEASE_SECONDS: i64 = 5;
const RENEW_EVERY: Duration = Duration::from_secs(1);
/// How many entries are read at once.
const PAGE: usize = 2000;
/// How many pages of one agent are folded before the others have their turn.
const PAGES: usize = 4;
/// How often the database is asked for what other servers wrote.
const POLL: Duration = Duration::from_millis(50);
/// How often a server without the lease looks for checkpoints.
const FOLLOW: Duration = Duration::from_millis(100);
const RETRY: Duration = Duration::from_millis(200);
/// How long a round rests for each entry it read, so that under load the cost of a round is shared by more of them. One
/// entry at a time, as in a replay, is hardly delayed.
const REST: Duration = Duration::from_micros(100);
const REST_AT_MOST: Duration = Duration::from_millis(15);
/// A position that moved without anything learned is saved at most so often.
const SAVE_IDLE: Duration = Duration::from_secs(10);

/// Asks the learner what it knows of an agent.
pub(crate) struct Question {
    pub(crate) agent: AgentKey,
    pub(crate) answer: oneshot::Sender<Inspection>,
}

/// What the learner knows of an agent.
#[derive(Debug)]
pub(crate) struct Inspection {
    pub(crate) policy: PolicyConfig,
    pub(crate) position: Position,
    pub(crate) revision: Position,
    pub(crate) observations: u64,
    pub(crate) arms: Vec<ArmSummary>,
    pub(crate) state_hash: String,
    pub(crate) curve: Vec<CurveBin>,
}

struct Learner {
    app: Shared,
    agents: HashMap<AgentKey, Folded>,
    /// The fencing number, while the lease is held.
    lease: Option<i64>,
    renewed: Option<Instant>,
    polled: Instant,
    saved: Instant,
    /// The registry's count of changes when policies were last compared.
    seen_changes: u64,
    /// Entries read in this round.
    read: u32,
}

/// Learns until told to stop, then saves and gives the lease back.
pub(crate) async fn run(app: Shared, mut questions: mpsc::Receiver<Question>) {
    let mut stop = app.tasks.stop_signal();
    let now = Instant::now();
    let mut learner = Learner {
        app,
        agents: HashMap::new(),
        lease: None,
        renewed: None,
        polled: now,
        saved: now,
        seen_changes: 0,
        read: 0,
    };
    loop {
        let (pause, listens) = match learner.turn().await {
            Ok(pause) => (pause, learner.lease.is_some()),
            Err(error) => {
                tracing::warn!(%error, "the learner waits");
                (RETRY, false)
            }
        };
        let rest = (REST * std::mem::take(&mut learner.read)).min(REST_AT_MOST);
        tokio::time::sleep(rest).await;
        tokio::select! {
            () = stop.requested() => break,
            Some(question) = questions.recv() => learner.answer(question).await,
            () = learner.app.news.learner.arrived(), if listens => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    learner.finish().await;
}

impl Learner {
    /// One round of whatever is to be done; how long there is nothing to do unless something arrives.
    async fn turn(&mut self) -> Result<Duration, StoreError> {
        self.keep_lease().await?;
        if self.lease.is_none() {
            self.follow().await?;
            return Ok(FOLLOW);
        }
        self.adopt_policies().await?;
        if self.app.shared_database && self.polled.elapsed() >= POLL {
            self.polled = Instant::now();
            self.poll().await?;
        }
        self.learn().await?;
        self.save_when_due().await?;
        Ok(if self.app.shared_database { POLL } else { self.save_every().min(RENEW_EVERY) })
    }

    async fn keep_lease(&mut self) -> Result<(), StoreError> {
        if self.renewed.is_some_and(|at| at.elapsed() < RENEW_EVERY) {
            return Ok(());
        }
        let app = &self.app;
        let held = app.store.lease(LEARNER, &app.instance, app.now(), LEASE_SECONDS).await;
        let fence = match held {
            Ok(fence) => fence,
            Err(error) => {
                // It cannot be renewed: after its time another server may learn, so this one stops before.
                let expired =
                    |at: Instant| at.elapsed() >= Duration::from_secs(LEASE_SECONDS.unsigned_abs()) / 2;
                if self.renewed.is_some_and(expired) {
                    self.lose_lease();
                }
                return Err(error);
            }
        };
        self.renewed = Some(Instant::now());
        app.counts.learner_lease.store(i64::from(fence.is_some()), Relaxed);
        if fence.is_some() && fence != self.lease {
            tracing::info!(fence, "this server learns");
            self.lease = fence;
            // What another server has learned since stands in its checkpoints.
            self.agents.clear();
            self.seen_changes = 0;
            self.poll().await?;
        } else if fence.is_none() && self.lease.is_some() {
            self.lose_lease();
        }
        Ok(())
    }

    fn lose_lease(&mut self) {
        tracing::warn!("another server learns from here on");
        self.lease = None;
        self.app.counts.learner_lease.store(0, Relaxed);
        self.agents.clear();
    }

    /// Notes what any server has written.
    async fn poll(&self) -> Result<(), StoreError> {
        let organisations = self.app.registry.organisations();
        let news = self.app.store.news(organisations).await?;
        let ahead = |key: &AgentKey, position: Position| {
            self.agents.get(key).is_none_or(|folded| folded.position < position)
        };
        let entries = news.iter().map(|n| ((n.organisation, n.agent), n.position));
        let entries: Vec<_> = entries.filter(|(key, position)| ahead(key, *position)).collect();
        if !entries.is_empty() {
            self.app.news.learner.add(entries);
        }
        Ok(())
    }

    /// Puts the policies in place that were configured since the last round.
    async fn adopt_policies(&mut self) -> Result<(), StoreError> {
        let changes = self.app.registry.changes();
        if changes == self.seen_changes {
            return Ok(());
        }
        for agent in self.app.registry.all_agents() {
            let key = (agent.organisation, agent.id);
            let config = agent.serving().state.agent.policy;
            let Some(folded) = self.agents.get_mut(&key) else {
                // Not loaded yet: whatever there is to know of it is in its checkpoint.
                self.app.news.learner.add([(key, Position(0))]);
                continue;
            };
            if *folded.state.config() == config {
                continue;
            }
            if let Some(state) = folded.state.with_config(config) {
                folded.state = state;
                folded.changed = true;
                publish(&agent, folded);
            } else {
                tracing::info!(agent = %agent.id, policy = config.name(), "learning anew from the whole ledger");
                let target = folded.position;
                self.agents.insert(key, Folded::new(config));
                self.app.news.learner.add([(key, target)]);
            }
        }
        self.seen_changes = changes;
        Ok(())
    }

    /// Folds what is pending, one agent after the other.
    async fn learn(&mut self) -> Result<(), StoreError> {
        let mut work = self.app.news.learner.take();
        let mut lag = 0;
        while let Some(key) = work.keys().next().copied() {
            let target = work.remove(&key).unwrap_or_default();
            let Some(agent) = self.app.registry.agent(key.0, key.1) else {
                // Made by another server a moment ago: the registry will have it soon, and wakes the learner then.
                continue;
            };
            let folded = match self.agents.remove(&key) {
                Some(folded) => folded,
                None => match self.restore(&agent).await {
                    Ok(folded) => folded,
                    Err(error) => return Err(self.put_back(work, key, target, error)),
                },
            };
            lag = lag.max(target.0 - folded.position.0);
            match self.catch_up(&agent, folded, target).await {
                Ok((folded, complete, read)) => {
                    self.read += read;
                    self.agents.insert(key, folded);
                    if !complete {
                        self.app.news.learner.add([(key, target)]);
                    }
                }
                Err(error) => return Err(self.put_back(work, key, target, error)),
            }
        }
        self.app.counts.learner_lag.store(lag, Relaxed);
        Ok(())
    }

    fn put_back(
        &self,
        mut work: HashMap<AgentKey, Position>,
        key: AgentKey,
        target: Position,
        error: StoreError,
    ) -> StoreError {
        work.insert(key, target);
        self.app.news.learner.add(work);
        error
    }

    /// The state from the checkpoint where it can be used, otherwise a fresh one, which then reads the whole ledger.
    async fn restore(&self, agent: &AgentEntry) -> Result<Folded, StoreError> {
        let config = agent.serving().state.agent.policy;
        let checkpoint = self.app.store.checkpoint(agent.organisation, agent.id, LEARNER).await?;
        let restored = checkpoint.and_then(|checkpoint| match Folded::from_checkpoint(&checkpoint, config) {
            Ok(folded) => Some(folded),
            Err(reason) => {
                tracing::info!(agent = %agent.id, %reason, "learning anew from the whole ledger");
                None
            }
        });
        Ok(match restored {
            Some(folded) => {
                // After a failure the checkpoint may be behind what was published.
                if folded.position >= agent.policy().position {
                    publish(agent, &folded);
                }
                folded
            }
            None => Folded::new(config),
        })
    }

    /// Reads on until there is nothing more, or others should have their turn; whether there is nothing more, and how many
    /// entries were read.
    async fn catch_up(
        &self,
        agent: &AgentEntry,
        mut folded: Folded,
        target: Position,
    ) -> Result<(Folded, bool, u32), StoreError> {
        let mut complete = false;
        let mut read = 0_u32;
        let mut policy = None;
        for page in 1..=PAGES {
            let stretch = (folded.position, target);
            let entries = self.app.store.new_ledger(agent.organisation, agent.id, stretch, PAGE).await?;
            read += u32::try_from(entries.len()).unwrap_or(u32::MAX);
            complete = entries.len() < PAGE;
            let last = complete || page == PAGES;
            if !entries.is_empty() || (last && read > 0) {
                let (next, taught, now) = tasks::compute(move || {
                    let taught = folded.fold(&entries);
                    // Up to the target everything has been read, also what did not touch the ledger.
                    if complete && target > folded.position {
                        folded.position = target;
                    }
                    let now = last.then(|| folded.policy());
                    (folded, taught, now)
                })
                .await
                .map_err(|e| StoreError::Corrupt(format!("folding the ledger: {e}")))?;
                (folded, policy) = (next, now);
                self.app.counts.learned.fetch_add(taught, Relaxed);
            }
            if complete {
                break;
            }
        }
        if complete && target > folded.position {
            // What brought the news did not touch the ledger.
            folded.position = target;
        }
        if let Some(policy) = policy {
            agent.publish(policy);
        } else {
            let known = agent.policy();
            if known.position < folded.position {
                let snapshot = std::sync::Arc::clone(&known.snapshot);
                let (config, revision) = (known.config, known.revision);
                agent.publish(PolicyNow { snapshot, config, position: folded.position, revision });
            }
        }
        Ok((folded, complete, read))
    }

    fn save_every(&self) -> Duration {
        if self.app.shared_database { Duration::from_millis(100) } else { Duration::from_secs(1) }
    }

    async fn save_when_due(&mut self) -> Result<(), StoreError> {
        if self.saved.elapsed() < self.save_every() {
            return Ok(());
        }
        self.saved = Instant::now();
        self.save(false).await
    }

    /// Checkpoints what has changed.
    async fn save(&mut self, idle_too: bool) -> Result<(), StoreError> {
        let Some(fence) = self.lease else { return Ok(()) };
        let last = idle_too;
        let idle_too = idle_too || self.app.shared_database;
        let mut lost = false;
        for (key, folded) in &mut self.agents {
            let moved = folded.position > folded.saved_position;
            let idle = moved && (idle_too || folded.saved_at.elapsed() >= SAVE_IDLE);
            if (!folded.changed && !idle) || (!last && folded.rests()) {
                continue;
            }
            let Some(agent) = self.app.registry.agent(key.0, key.1) else { continue };
            let definition = agent.serving().state.agent.definition_version;
            let checkpoint = folded.to_checkpoint(definition);
            let lease = Some((LEARNER.to_owned(), self.app.instance.clone(), fence));
            let now = self.app.now();
            let bytes = checkpoint.state.len();
            match self.app.store.save_checkpoint(key.0, key.1, LEARNER, lease, now, checkpoint).await {
                Ok(()) => folded.saved(bytes),
                Err(StoreError::LeaseLost) => {
                    lost = true;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        if lost {
            self.lose_lease();
            self.renewed = None;
        }
        Ok(())
    }

    /// Publishes the checkpoints of whoever learns.
    async fn follow(&mut self) -> Result<(), StoreError> {
        // News of this server's own writes is for the one that learns, which reads it from the database.
        drop(self.app.news.learner.take());
        let news = self.app.store.news(self.app.registry.organisations()).await?;
        let mut lag = 0;
        for item in news {
            let key = (item.organisation, item.agent);
            let Some(agent) = self.app.registry.agent(key.0, key.1) else { continue };
            let known = agent.policy().position;
            if known >= item.position {
                continue;
            }
            lag = lag.max(item.position.0 - known.0);
            let Some(checkpoint) = self.app.store.checkpoint(key.0, key.1, LEARNER).await? else { continue };
            if checkpoint.position <= known {
                continue;
            }
            match Folded::as_saved(&checkpoint) {
                Ok(folded) => {
                    publish(&agent, &folded);
                    self.agents.insert(key, folded);
                }
                Err(reason) => {
                    tracing::warn!(agent = %key.1, %reason, "the checkpoint is of another release")
                }
            }
        }
        self.app.counts.learner_lag.store(lag, Relaxed);
        Ok(())
    }

    async fn answer(&mut self, question: Question) {
        let Some(agent) = self.app.registry.agent(question.agent.0, question.agent.1) else { return };
        if !self.agents.contains_key(&question.agent) {
            match self.restore(&agent).await {
                Ok(folded) => {
                    self.agents.insert(question.agent, folded);
                    if self.lease.is_some() {
                        self.app.news.learner.add([(question.agent, Position(0))]);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the learner cannot be asked");
                    return;
                }
            }
        }
        if let Some(folded) = self.agents.get(&question.agent) {
            // Nobody waits any more: then nobody hears it.
            drop(question.answer.send(folded.inspect()));
        }
    }

    async fn finish(&mut self) {
        if self.lease.is_none() {
            return;
        }
        if let Err(error) = self.learn().await {
            tracing::warn!(%error, "the last news is left to the next start");
        }
        if let Err(error) = self.save(true).await {
            tracing::warn!(%error, "the last checkpoint is missing: the ledger is read again at the next start");
        }
        if let Err(error) = self.app.store.release_lease(LEARNER, &self.app.instance).await {
            tracing::warn!(%error, "the lease ends by itself");
        }
        self.app.counts.learner_lease.store(0, Relaxed);
    }
}

fn publish(agent: &AgentEntry, folded: &Folded) {
    agent.publish(folded.policy());
}

/// What a learner knows that has read an agent's whole ledger and nothing else: what every other way of getting there,
/// through checkpoints, restarts and other servers, must come to as well.
///
/// # Errors
/// When there is no such agent, or the ledger cannot be read.
pub async fn replay_ledger(
    store: &Store,
    organisation: OrganisationId,
    agent: AgentId,
) -> Result<LearnerState, StoreError> {
    let missing = || StoreError::NotFound { noun: "agent", id: agent.to_string() };
    let state = store.agent(organisation, agent).await?.ok_or_else(missing)?;
    let mut folded = Folded::new(state.agent.policy);
    loop {
        let entries = store.ledger(organisation, agent, folded.position, PAGE).await?;
        folded.fold(&entries);
        if entries.len() < PAGE {
            return Ok(folded.state);
        }
    }
}
