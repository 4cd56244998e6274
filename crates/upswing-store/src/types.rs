//! What goes into the store and what comes out.

use std::collections::BTreeMap;

use upswing_domain::{
    Agent, AgentId, AgentName, Context, Decision, DecisionId, Execution, ExecutionId, Feedback, FeedbackId,
    KeyId, OrganisationId, Origin, PolicyConfig, Position, Reward, RewardDefinition, Role, Timestamp,
    Version, VersionId,
};

/// A keyed hash of what a client sent (see `upswing-privacy`). The stored one and those of older keys.
pub type Fingerprint = [u8; 18];

/// Names what people wrote, by a keyed hash of the organisation.
pub type ContentHash = dyn Fn(OrganisationId, &[u8]) -> [u8; 18] + Send + Sync;

/// Called after each commit with what changed.
pub type Listener = Box<dyn Fn(&[News]) + Send + Sync>;

/// Something that happened, to be written.
#[derive(Debug, Clone)]
pub enum Event {
    /// A decision was made. Not acknowledged.
    Decision(Decision),
    /// An agent ran.
    Execution {
        /// The facts and the content.
        execution: Execution,
        /// Of the fields as received; the first is stored.
        fingerprints: Vec<Fingerprint>,
        /// The decision that its token proves, written when the record of it was lost.
        restore: Option<Decision>,
    },
    /// Somebody or something said how an execution was received.
    Feedback {
        /// The statement.
        feedback: Feedback,
        /// Of the fields as received; the first is stored.
        fingerprints: Vec<Fingerprint>,
        /// The decision that its token proves, written when the record of it was lost.
        restore: Option<Decision>,
        /// For a browser's token: refuse when the execution already has so many pieces of feedback through tokens.
        token_uses: Option<u32>,
    },
}

/// What became of one event.
#[derive(Debug, Clone, PartialEq)]
pub enum Ack {
    /// On disk.
    Stored {
        /// Its place in the organisation's sequence.
        position: Position,
        /// For feedback: the execution it is about has this reward now.
        reward: Option<Reward>,
    },
    /// The same was stored before.
    Duplicate {
        /// Its place.
        position: Position,
        /// As of now.
        reward: Option<Reward>,
    },
    /// The id is taken by other content.
    Conflict,
    /// The browser's token has been used up.
    TokenExhausted,
    /// What it refers to belongs to another agent; the sentence says what.
    OtherAgent(&'static str),
    /// The database refused this one event, not the others.
    Refused(String),
}

/// A change that others follow: this agent has something new up to this position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct News {
    /// Whose.
    pub organisation: OrganisationId,
    /// Which agent.
    pub agent: AgentId,
    /// Up to where.
    pub position: Position,
}

/// Who changes something, for the audit log.
#[derive(Debug, Clone)]
pub struct Actor {
    /// The organisation.
    pub organisation: OrganisationId,
    /// The key used; `None` for the command line.
    pub key: Option<KeyId>,
    /// When.
    pub now: Timestamp,
    /// The request, for finding the log lines.
    pub request: Option<String>,
}

/// An organisation.
#[derive(Debug, Clone, PartialEq)]
pub struct Organisation {
    /// Its id.
    pub id: OrganisationId,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Counts changes of agents, versions and keys; followers reload when it moves.
    pub revision: i64,
}

/// A key as stored; the secret is not.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiKey {
    /// Its id.
    pub id: KeyId,
    /// Its organisation.
    pub organisation: OrganisationId,
    /// For people.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The first characters of the secret.
    pub hint: String,
    /// For publishable keys: the origins that pages may call from.
    pub origins: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// A new agent.
#[derive(Debug, Clone)]
pub struct NewAgent {
    /// Its id.
    pub id: AgentId,
    /// Its name, unique in the organisation.
    pub name: AgentName,
    /// For people.
    pub description: String,
    /// What draws are hashed with.
    pub salt: String,
    /// Context keys to report by.
    pub segments: Vec<String>,
    /// JSON Schema of outputs.
    pub output_schema: Option<String>,
    /// How versions are chosen.
    pub policy: PolicyConfig,
    /// How feedback becomes a reward.
    pub reward_definition: RewardDefinition,
}

/// An agent with everything that deciding needs.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentState {
    /// The agent.
    pub agent: Agent,
    /// All its versions, oldest first.
    pub versions: Vec<Version>,
}

/// What changed an agent's epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct Deployment {
    /// The epoch that begins.
    pub epoch: i64,
    /// `created`, `version_added`, `promoted`, `rolled_back`, `policy_changed`.
    pub kind: String,
    /// The version it is about.
    pub version: Option<VersionId>,
    /// The champion from now on.
    pub champion: Option<VersionId>,
    /// What policies may serve from now on, in the order of a decision's probability vector.
    pub eligible: Vec<VersionId>,
    /// The policy from now on.
    pub policy: PolicyConfig,
    /// Why, as somebody wrote.
    pub reason: String,
    /// Who.
    pub key: Option<KeyId>,
    /// When.
    pub at: Timestamp,
    /// Where in the organisation's sequence of events.
    pub position: Position,
}

/// A line of the audit log.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// Its number in the organisation, from 1.
    pub sequence: i64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub key: Option<KeyId>,
    /// What was done: `agent.create`, `version.promote`, ...
    pub action: String,
    /// To what.
    pub subject: String,
    /// With which values, as JSON.
    pub details: String,
    /// The request.
    pub request: Option<String>,
}

/// A stored execution with its outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredExecution {
    /// As reported; `version` is what was found out.
    pub execution: Execution,
    /// Its place.
    pub position: Position,
    /// When it arrived.
    pub received_at: Timestamp,
    /// Its reward now.
    pub reward: Option<Reward>,
}

/// A stored piece of feedback.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredFeedback {
    /// As given.
    pub feedback: Feedback,
    /// Its place.
    pub position: Position,
    /// When it arrived.
    pub received_at: Timestamp,
}

/// A stored decision.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredDecision {
    /// As made.
    pub decision: Decision,
    /// Its place.
    pub position: Position,
}

/// One change of one execution's reward.
#[derive(Debug, Clone, PartialEq)]
pub struct LedgerEntry {
    /// Its place.
    pub position: Position,
    /// The place of the execution's first entry.
    pub first_position: Position,
    /// The execution.
    pub execution: ExecutionId,
    /// The decision that it followed from, if any: what was not decided does not teach a policy.
    pub decision: Option<DecisionId>,
    /// What ran.
    pub version: VersionId,
    /// What was known then.
    pub context: Option<Context>,
    /// The decision's propensity.
    pub propensity: f64,
    /// Where the traffic came from.
    pub origin: Origin,
    /// Which reward definition made it.
    pub definition_version: i64,
    /// Before.
    pub old: Option<Reward>,
    /// After.
    pub new: Option<Reward>,
    /// The feedback that caused it; `None` for a new reward definition.
    pub cause: Option<FeedbackId>,
    /// When the execution happened.
    pub occurred_at: Timestamp,
}

/// A follower's state with how far it has read.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Everything up to here is in the state.
    pub position: Position,
    /// The position of the last entry that changed the state: the policy's revision.
    pub revision: i64,
    /// The state.
    pub state: Vec<u8>,
    /// What code made it (encoder and state version, definition): lineage.
    pub made_with: String,
}

/// Performance of one version in one segment.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricSummary {
    /// The version.
    pub version: VersionId,
    /// The segment key; empty for all.
    pub segment_key: String,
    /// Its value; empty for all.
    pub segment_value: String,
    /// `reward`, `latency_ms`, ...
    pub metric: String,
    /// How many values.
    pub count: i64,
    /// Their mean.
    pub mean: f64,
    /// Their sample variance; `None` below two.
    pub variance: Option<f64>,
    /// Median, 95th and 99th percentile within 1 %, from the sketch.
    pub quantiles: Option<[f64; 3]>,
}

/// What people said, counted.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FeedbackStats {
    /// All pieces.
    pub total: i64,
    /// Mean of the ratings; `None` without any.
    pub average_rating: Option<f64>,
    /// Share of thumbs up and of four and five stars among thumbs and stars; `None` without any.
    pub satisfaction_rate: Option<f64>,
    /// By type.
    pub by_type: BTreeMap<String, i64>,
    /// Everything up to here is counted.
    pub as_of: Position,
}

/// Where something came from.
#[derive(Debug, Clone, PartialEq)]
pub struct LineageEdge {
    /// `policy`, `version`, `rollup`.
    pub derived_kind: String,
    /// Which.
    pub derived_id: String,
    /// `ledger`, `version`, `executions`, `feedback`.
    pub source_kind: String,
    /// Which.
    pub source_id: String,
    /// From this position (exclusive), where the source is a range.
    pub from: Option<Position>,
    /// To this position.
    pub to: Option<Position>,
    /// Code, encoder and definition versions, as JSON.
    pub made_with: String,
    /// When.
    pub at: Timestamp,
}

/// How far the write path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueStatus {
    /// Items waiting or being written.
    pub queued: usize,
    /// How many fit.
    pub capacity: usize,
    /// Batches committed.
    pub commits: u64,
    /// Events written.
    pub written: u64,
    /// Events refused by the database.
    pub refused: u64,
    /// Whether the last attempt reached the database.
    pub connected: bool,
}
