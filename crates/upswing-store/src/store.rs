//! The store's public surface.
#![allow(unused_variables, clippy::todo, dead_code)]
use crate::*;
use upswing_domain::*;

/// How to open a store.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// `sqlite:PATH` or `postgres://...`.
    pub url: String,
    /// How many events may wait to be written.
    pub queue_capacity: usize,
    /// How many reading connections.
    pub readers: usize,
    /// Key ids with their checks, compared with what the database was made with.
    pub key_checks: Vec<(u16, [u8; 32])>,
}

/// A database, opened. Cheap to clone.
#[derive(Clone)]
pub struct Store {}

type R<T> = Result<T, StoreError>;

impl Store {
    /// Opens, migrates, and starts the writer.
    pub async fn open(options: StoreOptions) -> R<Self> { todo!() }
    /// Writes what is queued, then stops. Later writes are refused.
    pub async fn close(&self) { todo!() }
    /// Whether the database answers, and how the queue stands.
    pub async fn ping(&self) -> R<()> { todo!() }
    /// The write queue now.
    pub fn queue(&self) -> QueueStatus { todo!() }
    /// Called by the writer after each commit, with what changed (on its own thread: return quickly).
    pub fn on_news(&self, listener: Box<dyn Fn(&[News]) + Send + Sync>) { todo!() }

    // --- collect ---
    /// Queues events of one organisation and waits until they are on disk. `Err(QueueFull)` at once when there is no room.
    pub async fn write(&self, organisation: OrganisationId, now: Timestamp, events: Vec<Event>) -> R<Vec<Ack>> { todo!() }
    /// Queues a decision without waiting for the disk; waits up to `patience` for room.
    pub async fn record_decision(&self, organisation: OrganisationId, decision: Decision, patience: std::time::Duration) -> R<()> { todo!() }
    pub async fn decision(&self, organisation: OrganisationId, id: DecisionId) -> R<Option<StoredDecision>> { todo!() }
    pub async fn execution(&self, organisation: OrganisationId, id: ExecutionId) -> R<Option<StoredExecution>> { todo!() }
    pub async fn feedback(&self, organisation: OrganisationId, id: FeedbackId) -> R<Option<StoredFeedback>> { todo!() }
    /// Ledger entries that this piece of feedback caused.
    pub async fn feedback_effects(&self, organisation: OrganisationId, id: FeedbackId) -> R<Vec<LedgerEntry>> { todo!() }
    /// Pages in the order of ids, after `cursor` (an id).
    pub async fn export_decisions(&self, organisation: OrganisationId, agent: Option<AgentId>, after: Option<DecisionId>, limit: usize) -> R<Vec<StoredDecision>> { todo!() }
    pub async fn export_executions(&self, organisation: OrganisationId, agent: Option<AgentId>, after: Option<ExecutionId>, limit: usize) -> R<Vec<StoredExecution>> { todo!() }
    pub async fn export_feedback(&self, organisation: OrganisationId, agent: Option<AgentId>, after: Option<FeedbackId>, limit: usize) -> R<Vec<StoredFeedback>> { todo!() }

    // --- agents, versions, deployments (each audited in its transaction) ---
    pub async fn create_agent(&self, actor: Actor, agent: NewAgent) -> R<AgentState> { todo!() }
    pub async fn agents(&self, organisation: OrganisationId) -> R<Vec<AgentState>> { todo!() }
    pub async fn agent(&self, organisation: OrganisationId, id: AgentId) -> R<Option<AgentState>> { todo!() }
    /// New definition version; call `refold` until it returns true.
    pub async fn set_reward_definition(&self, actor: Actor, agent: AgentId, definition: RewardDefinition) -> R<AgentState> { todo!() }
    /// Folds a piece of the stored feedback under the current definition; true when nothing is left.
    pub async fn refold(&self, organisation: OrganisationId, agent: AgentId, now: Timestamp) -> R<bool> { todo!() }
    pub async fn set_policy(&self, actor: Actor, agent: AgentId, policy: PolicyConfig) -> R<AgentState> { todo!() }
    /// Stores a version; the flag says whether it is new.
    pub async fn add_version(&self, actor: Actor, version: Version) -> R<(AgentState, bool)> { todo!() }
    pub async fn promote(&self, actor: Actor, agent: AgentId, version: VersionId, reason: String) -> R<AgentState> { todo!() }
    pub async fn roll_back(&self, actor: Actor, agent: AgentId, version: VersionId, reason: String) -> R<AgentState> { todo!() }
    /// Newest first, before `epoch`.
    pub async fn deployments(&self, organisation: OrganisationId, agent: AgentId, before: Option<i64>, limit: usize) -> R<Vec<Deployment>> { todo!() }
    pub async fn lineage(&self, organisation: OrganisationId, kind: &str, id: &str) -> R<Vec<LineageEdge>> { todo!() }

    // --- platform ---
    pub async fn create_organisation(&self, id: OrganisationId, name: String, now: Timestamp) -> R<Organisation> { todo!() }
    pub async fn organisations(&self) -> R<Vec<Organisation>> { todo!() }
    pub async fn create_key(&self, actor: Actor, key: ApiKey, hash: [u8; 32]) -> R<ApiKey> { todo!() }
    /// The key with one of these hashes, in whatever organisation; also when expired or revoked.
    pub async fn key_by_hash(&self, hashes: Vec<[u8; 32]>) -> R<Option<ApiKey>> { todo!() }
    pub async fn keys(&self, organisation: OrganisationId) -> R<Vec<ApiKey>> { todo!() }
    pub async fn revoke_key(&self, actor: Actor, key: KeyId) -> R<ApiKey> { todo!() }
    /// Newest first, before `sequence`.
    pub async fn audit(&self, organisation: OrganisationId, before: Option<i64>, limit: usize) -> R<Vec<AuditEntry>> { todo!() }

    // --- followers ---
    /// Takes or renews a lease until `now + ttl`; the fencing number, or `None` when another holds it.
    pub async fn lease(&self, name: &str, holder: &str, now: Timestamp, ttl_seconds: i64) -> R<Option<i64>> { todo!() }
    pub async fn release_lease(&self, name: &str, holder: &str) -> R<()> { todo!() }
    /// Up to where each agent has something to read.
    pub async fn news(&self, organisations: Vec<OrganisationId>) -> R<Vec<News>> { todo!() }
    /// Entries of one agent after a position, oldest first.
    pub async fn ledger(&self, organisation: OrganisationId, agent: AgentId, after: Position, limit: usize) -> R<Vec<LedgerEntry>> { todo!() }
    pub async fn checkpoint(&self, organisation: OrganisationId, agent: AgentId, follower: &str) -> R<Option<Checkpoint>> { todo!() }
    /// Saves; `lease` is (name, holder, fence): the write fails with `LeaseLost` when it is no longer held.
    pub async fn save_checkpoint(&self, organisation: OrganisationId, agent: AgentId, follower: &str, lease: Option<(String, String, i64)>, now: Timestamp, checkpoint: Checkpoint) -> R<()> { todo!() }
    /// Folds new executions, feedback and rewards of an agent into hourly rollups; true when nothing is left.
    pub async fn fold_rollups(&self, organisation: OrganisationId, agent: AgentId, now: Timestamp) -> R<bool> { todo!() }
    /// Writes zeros for metrics whose window has passed without a value; how many.
    pub async fn fold_absences(&self, organisation: OrganisationId, agent: AgentId, now: Timestamp) -> R<usize> { todo!() }
    /// Summaries from rollups since a moment; `segment_key` empty for everything together.
    pub async fn performance(&self, organisation: OrganisationId, agent: AgentId, segment_key: &str, since: Timestamp) -> R<(Vec<MetricSummary>, Position)> { todo!() }
    pub async fn feedback_stats(&self, organisation: OrganisationId, agent: Option<AgentId>, since: Timestamp) -> R<FeedbackStats> { todo!() }
}
