//! What deciding needs, in memory: organisations, their agents, what each may serve, and what its policy has learned.
//!
//! A change that is made here is loaded before it is answered; changes of other servers are followed (`jobs/follow.rs`).

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use serde_json::value::RawValue;
use tokio::sync::watch;
use upswing_domain::{AgentId, OrganisationId, PolicyConfig, Position, Role, VersionId};
use upswing_learn::{LearnerState, PolicySnapshot};
use upswing_store::{AgentState, Organisation, Store, StoreError};

use crate::auth::Keys;

/// All organisations.
#[derive(Default)]
pub(crate) struct Registry {
    organisations: ArcSwap<HashMap<OrganisationId, Arc<OrganisationEntry>>>,
    /// Loads follow each other, so that an older reading never replaces a newer one.
    loading: tokio::sync::Mutex<()>,
    /// Moves with every load.
    changes: watch::Sender<u64>,
    /// When it was last confirmed that what is loaded is what the database has.
    confirmed: Mutex<Option<Instant>>,
}

/// One organisation's agents.
#[derive(Default)]
struct OrganisationEntry {
    revision: AtomicI64,
    agents: ArcSwap<Agents>,
}

#[derive(Default, Clone)]
struct Agents {
    by_id: HashMap<AgentId, Arc<AgentEntry>>,
    by_name: HashMap<String, Arc<AgentEntry>>,
}

/// One agent. The entry stays the same while the agent exists; what is in it is replaced.
pub(crate) struct AgentEntry {
    pub(crate) organisation: OrganisationId,
    pub(crate) id: AgentId,
    serving: ArcSwap<Serving>,
    policy: ArcSwap<PolicyNow>,
    learned: watch::Sender<Position>,
}

/// What an agent may serve now.
pub(crate) struct Serving {
    pub(crate) state: AgentState,
    /// What policies choose from, in the order of the epoch's list.
    pub(crate) eligible: Vec<VersionId>,
    /// Every version, ready to be sent.
    pub(crate) arms: Vec<Arm>,
    /// The champion's place in `arms`.
    pub(crate) champion: Option<usize>,
}

/// A version, ready to be sent.
pub(crate) struct Arm {
    pub(crate) version: VersionId,
    pub(crate) label: String,
    pub(crate) config: Box<RawValue>,
}

/// What the policy has learned.
pub(crate) struct PolicyNow {
    pub(crate) snapshot: Arc<PolicySnapshot>,
    pub(crate) config: PolicyConfig,
    /// How far the learner has read.
    pub(crate) position: Position,
    /// The last entry that changed what it knows: names the state.
    pub(crate) revision: Position,
}

impl PolicyNow {
    fn unlearned(config: PolicyConfig) -> Self {
        let snapshot = Arc::new(LearnerState::new(config).snapshot());
        Self { snapshot, config, position: Position(0), revision: Position(0) }
    }
}

impl Serving {
    fn new(state: AgentState) -> Result<Self, StoreError> {
        let mut arms = Vec::with_capacity(state.versions.len());
        let mut eligible = Vec::new();
        for version in &state.versions {
            let config = RawValue::from_string(version.config.clone())
                .map_err(|e| StoreError::Corrupt(format!("version {}: {e}", version.id)))?;
            arms.push(Arm { version: version.id, label: version.label.clone(), config });
            if version.eligible {
                eligible.push(version.id);
            }
        }
        let champion = state.agent.champion.and_then(|id| arms.iter().position(|arm| arm.version == id));
        Ok(Self { state, eligible, arms, champion })
    }

    /// A version of this agent, whether it is eligible or not.
    pub(crate) fn arm(&self, version: VersionId) -> Option<&Arm> {
        self.arms.iter().find(|arm| arm.version == version)
    }
}

impl AgentEntry {
    fn new(organisation: OrganisationId, serving: Serving) -> Self {
        let policy = PolicyNow::unlearned(serving.state.agent.policy);
        Self {
            organisation,
            id: serving.state.agent.id,
            serving: ArcSwap::from_pointee(serving),
            policy: ArcSwap::from_pointee(policy),
            learned: watch::Sender::new(Position(0)),
        }
    }

    /// What it may serve now.
    pub(crate) fn serving(&self) -> arc_swap::Guard<Arc<Serving>> {
        self.serving.load()
    }

    /// What its policy knows now.
    pub(crate) fn policy(&self) -> arc_swap::Guard<Arc<PolicyNow>> {
        self.policy.load()
    }

    /// Puts what was learned in place and wakes who waits for it.
    pub(crate) fn publish(&self, policy: PolicyNow) {
        let position = policy.position;
        self.policy.store(Arc::new(policy));
        self.learned.send_replace(position);
    }

    /// Tells when the learner moves on.
    pub(crate) fn learned(&self) -> watch::Receiver<Position> {
        self.learned.subscribe()
    }

    fn replace(&self, serving: Serving) {
        let config = serving.state.agent.policy;
        let policy = self.policy.load();
        if policy.config != config && policy.revision == Position(0) {
            let position = policy.position;
            self.publish(PolicyNow { position, ..PolicyNow::unlearned(config) });
        }
        self.serving.store(Arc::new(serving));
    }
}

impl Registry {
    /// One agent.
    pub(crate) fn agent(&self, organisation: OrganisationId, id: AgentId) -> Option<Arc<AgentEntry>> {
        self.organisations.load().get(&organisation)?.agents.load().by_id.get(&id).cloned()
    }

    /// One agent by its name.
    pub(crate) fn agent_named(&self, organisation: OrganisationId, name: &str) -> Option<Arc<AgentEntry>> {
        self.organisations.load().get(&organisation)?.agents.load().by_name.get(name).cloned()
    }

    /// The agents of an organisation, by name.
    pub(crate) fn agents(&self, organisation: OrganisationId) -> Vec<Arc<AgentEntry>> {
        let organisations = self.organisations.load();
        let Some(entry) = organisations.get(&organisation) else { return Vec::new() };
        let agents = entry.agents.load();
        let mut named: Vec<_> = agents.by_name.iter().collect();
        named.sort_by(|a, b| a.0.cmp(b.0));
        named.into_iter().map(|(_, agent)| Arc::clone(agent)).collect()
    }

    /// The organisations that are loaded.
    pub(crate) fn organisations(&self) -> Vec<OrganisationId> {
        self.organisations.load().keys().copied().collect()
    }

    /// Every agent of every organisation.
    pub(crate) fn all_agents(&self) -> Vec<Arc<AgentEntry>> {
        self.organisations().into_iter().flat_map(|id| self.agents(id)).collect()
    }

    /// Moves whenever anything was loaded.
    pub(crate) fn changes(&self) -> u64 {
        *self.changes.borrow()
    }

    /// Tells whenever anything was loaded.
    pub(crate) fn changed(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// For how long what is loaded has not been confirmed.
    pub(crate) fn unconfirmed_for(&self) -> Duration {
        let confirmed = *self.confirmed.lock().unwrap_or_else(PoisonError::into_inner);
        confirmed.map_or(Duration::MAX, |at| at.elapsed())
    }

    /// Loads every organisation whose revision has moved.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn follow(&self, store: &Store, keys: &Keys) -> Result<(), StoreError> {
        let began = Instant::now();
        let organisations = store.organisations().await?;
        let moved = |o: &Organisation| {
            let loaded = self.organisations.load();
            loaded.get(&o.id).is_none_or(|entry| entry.revision.load(SeqCst) != o.revision)
        };
        for organisation in organisations.iter().filter(|o| moved(o)) {
            keys.forget_organisation(organisation.id);
            self.load(store, keys, organisation.id, organisation.revision).await?;
        }
        // As of when it was asked, not of when the answer came.
        *self.confirmed.lock().unwrap_or_else(PoisonError::into_inner) = Some(began);
        Ok(())
    }

    /// Loads an organisation's agents and the origins of its publishable keys.
    async fn load(
        &self,
        store: &Store,
        keys: &Keys,
        organisation: OrganisationId,
        revision: i64,
    ) -> Result<(), StoreError> {
        let _one_at_a_time = self.loading.lock().await;
        let entry = self.entry(organisation);
        let known = entry.agents.load_full();
        let mut agents = Agents::default();
        for state in store.agents(organisation).await? {
            let agent = refreshed(organisation, known.by_id.get(&state.agent.id), state)?;
            agents.insert(agent);
        }
        entry.agents.store(Arc::new(agents));
        self.load_origins(store, keys, organisation).await?;
        entry.revision.store(revision, SeqCst);
        self.changes.send_modify(|changes| *changes += 1);
        Ok(())
    }

    /// Loads one agent again, after it was changed here.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn reload_agent(
        &self,
        store: &Store,
        organisation: OrganisationId,
        id: AgentId,
    ) -> Result<(), StoreError> {
        let _one_at_a_time = self.loading.lock().await;
        let Some(state) = store.agent(organisation, id).await? else { return Ok(()) };
        let entry = self.entry(organisation);
        let mut agents = Agents::clone(&entry.agents.load());
        let agent = refreshed(organisation, agents.by_id.get(&id), state)?;
        agents.insert(agent);
        entry.agents.store(Arc::new(agents));
        self.changes.send_modify(|changes| *changes += 1);
        Ok(())
    }

    /// Loads the origins that an organisation's publishable keys declare.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn load_origins(
        &self,
        store: &Store,
        keys: &Keys,
        organisation: OrganisationId,
    ) -> Result<(), StoreError> {
        let all = store.keys(organisation).await?;
        let declaring = all.into_iter().filter(|k| k.role == Role::Publishable && k.revoked_at.is_none());
        keys.set_origins(organisation, declaring.flat_map(|k| k.origins).collect());
        Ok(())
    }

    fn entry(&self, organisation: OrganisationId) -> Arc<OrganisationEntry> {
        if let Some(entry) = self.organisations.load().get(&organisation) {
            return Arc::clone(entry);
        }
        // A revision that no organisation has: the next look at the database loads it.
        let fresh = Arc::new(OrganisationEntry { revision: AtomicI64::new(i64::MIN), ..Default::default() });
        self.organisations.rcu(|all| {
            let mut all = HashMap::clone(all);
            all.entry(organisation).or_insert_with(|| Arc::clone(&fresh));
            all
        });
        self.organisations.load().get(&organisation).map_or(fresh, Arc::clone)
    }
}

impl Agents {
    fn insert(&mut self, agent: Arc<AgentEntry>) {
        let name = agent.serving().state.agent.name.as_str().to_owned();
        self.by_name.insert(name, Arc::clone(&agent));
        self.by_id.insert(agent.id, agent);
    }
}

fn refreshed(
    organisation: OrganisationId,
    known: Option<&Arc<AgentEntry>>,
    state: AgentState,
) -> Result<Arc<AgentEntry>, StoreError> {
    let serving = Serving::new(state)?;
    Ok(match known {
        Some(agent) => {
            agent.replace(serving);
            Arc::clone(agent)
        }
        None => Arc::new(AgentEntry::new(organisation, serving)),
    })
}
