//! What goes into the store and what comes out.

use std::collections::BTreeMap;
use std::sync::Arc;

use upswing_domain::{
    Agent, AgentId, AgentName, Context, Decision, DecisionId, Execution, ExecutionId, Experiment, Feedback,
    FeedbackId, KeyId, OrganisationId, Origin, PolicyConfig, Position, Pseudonym, Reward, RewardDefinition,
    Role, Rollout, RolloutState, Timestamp, Version, VersionId,
};

/// A keyed hash of what a client sent (see `upswing-privacy`). The stored one and those of older keys.
pub type Fingerprint = [u8; 18];

/// Names what people wrote, by a keyed hash of the organisation.
pub type ContentHash = dyn Fn(OrganisationId, &[u8]) -> [u8; 18] + Send + Sync;

/// Seals a line of an organisation's audit log: a keyed hash of what is given, with the key of that id or, without an id,
/// the current one. `None` when there is no such key. See `upswing-privacy`.
pub type AuditSeal = dyn Fn(OrganisationId, Option<u16>, &[u8]) -> Option<(u16, [u8; 32])> + Send + Sync;

/// Called after each commit with what changed.
pub type Listener = Box<dyn Fn(&[News]) + Send + Sync>;

/// Which texts: products' records of how runs performed have a retention of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentClass {
    /// All texts.
    All,
    /// Documents of performance records.
    Performance,
    /// All others.
    Interaction,
}

/// Something that happened, to be written.
#[derive(Debug, Clone)]
pub enum Event {
    /// A decision was made. Not acknowledged.
    Decision(Decision),
    /// An agent ran.
    Execution {
        /// The facts and the content.
        execution: Box<Execution>,
        /// Of the fields as received; the first is stored.
        fingerprints: Vec<Fingerprint>,
        /// The decision that its token proves, written when the record of it was lost.
        restore: Option<Box<Decision>>,
    },
    /// A rollout's version ran beside what was served.
    Shadow {
        /// What it did.
        shadow: Box<upswing_domain::ShadowExecution>,
        /// Of the fields as received; the first is stored.
        fingerprints: Vec<Fingerprint>,
    },
    /// Somebody or something said how an execution was received.
    Feedback {
        /// The statement.
        feedback: Box<Feedback>,
        /// Of the fields as received; the first is stored.
        fingerprints: Vec<Fingerprint>,
        /// The decision that its token proves, written when the record of it was lost.
        restore: Option<Box<Decision>>,
        /// For a browser's token: refuse when the execution already has so many pieces of feedback through tokens.
        token_uses: Option<u32>,
        /// What keeps one person, and copies of one text, from outvoting the rest.
        defence: Option<Defence>,
    },
}

/// What a piece of feedback is held against before it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defence {
    /// How many statements of one author about one agent count within a period of 30 days.
    pub author_cap: i64,
    /// How many texts that are nearly the same count within a period.
    pub copies: i64,
    /// The text's fingerprint and the keys under which texts like it are found; `None` without a text.
    pub text: Option<TextKeys>,
}

/// Under what near-duplicates of a text are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextKeys {
    /// Rows of a sketch: texts whose sketches agree in many rows are nearly the same.
    pub rows: Vec<u16>,
    /// In how many rows at least.
    pub agreeing: usize,
    /// Of two texts that are nearly the same at least one of these agrees, nearly always.
    pub bands: Vec<i64>,
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
    /// The person has not agreed to it, or has taken it back.
    NoConsent(upswing_domain::Purpose),
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
    /// Its experiments that assign units, or are paused, in the order in which they were made.
    pub experiments: Vec<Experiment>,
    /// Its rollouts that serve a share: at most one.
    pub rollouts: Vec<Rollout>,
}

/// What became of a rollout once.
#[derive(Debug, Clone, PartialEq)]
pub struct RolloutTransition {
    /// Its place among the rollout's transitions.
    pub revision: i64,
    /// When.
    pub at: Timestamp,
    /// `start`, `advance`, `hold`, `resume`, `promote` or `roll_back`.
    pub kind: String,
    /// Where the rollout stood afterwards.
    pub state: RolloutState,
    /// At which step; `None` in the shadow before the first.
    pub step: Option<usize>,
    /// Why.
    pub why: String,
    /// What was known, as JSON.
    pub evidence: String,
    /// Who; nobody where a rule did it.
    pub key: Option<KeyId>,
}

/// One execution that a rollout was judged by.
#[derive(Debug, Clone, PartialEq)]
pub struct RolloutEvidence {
    /// Where its decision stands.
    pub position: Position,
    /// The decision.
    pub decision: DecisionId,
    /// Whether it got the new version; the current one otherwise.
    pub new: bool,
    /// What ran.
    pub version: VersionId,
    /// When it was decided.
    pub at: Timestamp,
    /// The execution; the decision's id while none has been reported.
    pub execution: ExecutionId,
    /// Whether it has been reported.
    pub reported: bool,
    /// What went wrong, if anything.
    pub error: Option<String>,
    /// Its reward now.
    pub reward: Option<Reward>,
    /// What was said of it, oldest first.
    pub feedback: Vec<EvidenceFeedback>,
}

/// A piece of feedback that a rollout was judged by.
#[derive(Debug, Clone, PartialEq)]
pub struct EvidenceFeedback {
    /// Its id.
    pub id: upswing_domain::FeedbackId,
    /// What kind it is.
    pub feedback_type: upswing_domain::FeedbackType,
    /// Who or what said it.
    pub source: upswing_domain::FeedbackSource,
    /// Its stars.
    pub rating: Option<i64>,
    /// Whether it counts.
    pub counts: bool,
}

/// How far a rollout's shadow has been read, and what was found up to there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShadowProgress {
    /// Everything up to here.
    pub position: Position,
    /// Counts what was saved: whoever saves says what it has read.
    pub revision: i64,
    /// What was found, as the fold encodes it; `None` where nothing was compared yet.
    pub state: Option<Vec<u8>>,
}

/// A pair of a rollout's shadow, as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredPair {
    /// Where the shadow's report stands.
    pub position: Position,
    /// The decision.
    pub decision: DecisionId,
    /// The execution of what was served.
    pub execution: ExecutionId,
    /// What went wrong with what was served, if anything, and its measurements.
    pub current: (Option<String>, BTreeMap<String, f64>),
    /// The same of the new version.
    pub shadow: (Option<String>, BTreeMap<String, f64>),
    /// Whether both said the same; `None` where one of them did not report what it said.
    pub same: Option<bool>,
}

/// A stretch of an agent's events, as far as they concern a rollout's shadow.
#[derive(Debug, Clone, PartialEq)]
pub struct ShadowPiece {
    /// What became complete, in that order.
    pub pairs: Vec<upswing_domain::ShadowPair>,
    /// Everything up to here was looked at.
    pub to: Position,
    /// Whether that was all there is.
    pub complete: bool,
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

/// A decision with what it was chosen from and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportedDecision {
    /// As stored.
    pub stored: StoredDecision,
    /// The versions that were eligible, in the order of the decision's probabilities.
    pub eligible: Option<Vec<VersionId>>,
    /// The reward of the execution that followed and ran the version that was decided; the mean of those that are known where
    /// several followed.
    pub reward: Option<f64>,
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
    pub context: Option<Arc<Context>>,
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
    /// Those that moderation flagged, as stored now.
    pub flagged: i64,
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
    /// Batches of events written, or tried in vain.
    pub batches: u64,
    /// Those of which nothing had to be looked up.
    pub by_heart: u64,
    /// How long these took the writer, from the first word to the database to the commit. What was planned of a batch while the
    /// one before was written is not in it.
    pub busy: std::time::Duration,
    /// Events written.
    pub written: u64,
    /// Events refused by the database.
    pub refused: u64,
    /// Whether the last attempt reached the database.
    pub connected: bool,
}

/// What is known of a person from what they did, as one agent has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredProfile {
    /// Whose behaviour with which agent.
    pub agent: AgentId,
    /// Who.
    pub subject: Pseudonym,
    /// The last signal in it.
    pub position: Position,
    /// As its learner wrote it.
    pub body: String,
    /// When something was added to it last.
    pub updated_at: Timestamp,
}

/// One piece of implicit feedback, as windows see it.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamSignal {
    /// Its place.
    pub position: Position,
    /// Its id.
    pub id: FeedbackId,
    /// Who did it.
    pub author: Option<Pseudonym>,
    /// During which visit.
    pub session: Option<String>,
    /// When it arrived.
    pub received_at: Timestamp,
    /// What was done, as JSON.
    pub behaviour: Option<String>,
}

/// One window over an agent's implicit feedback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamWindow {
    /// Its number, from 1.
    pub ordinal: i64,
    /// The last position before it.
    pub from: Position,
    /// Its last position.
    pub to: Position,
    /// How many signals it holds.
    pub signals: i64,
    /// `processed`, `stopped`, `retrying` or `set_aside`.
    pub status: String,
    /// What each stage reported, as JSON.
    pub stages: String,
    /// How often it was tried.
    pub attempts: i64,
    /// When it is tried again.
    pub next_attempt_at: Option<Timestamp>,
    /// Why it failed last.
    pub error: Option<String>,
    /// When this was last written.
    pub updated_at: Timestamp,
}

/// What became of a window, to be written at once.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowOutcome {
    /// The window.
    pub window: StreamWindow,
    /// Profiles as they are now.
    pub profiles: Vec<StoredProfile>,
    /// What waits for training: position, feedback, strength.
    pub queued: Vec<(Position, FeedbackId, f64)>,
}

/// How far an account is believed about an agent, as decided or to be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthorTrust {
    /// Who.
    pub author: Pseudonym,
    /// The probability that the account acts for itself, in millionths.
    pub weight: i64,
    /// Whether what it says does not teach.
    pub distrusted: bool,
    /// Since when that is so.
    pub decided_at: Timestamp,
}

/// What an account said of an execution, as reputations see it: its own statement, whatever others said of the same one,
/// and whether it teaches or not.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// Its place.
    pub position: Position,
    /// Who.
    pub author: Pseudonym,
    /// What had run; `None` while the execution, or its decision, has not come.
    pub version: Option<VersionId>,
    /// What was known then.
    pub context: Option<Context>,
    /// The reward that the account's statements about this execution gave before.
    pub old: Option<Reward>,
    /// The reward that they give with this one.
    pub new: Option<Reward>,
}

/// What came by OpenTelemetry in one request, without what identifies people.
#[derive(Debug, Clone, Default)]
pub struct Telemetry {
    /// Its spans.
    pub spans: Vec<NewSpan>,
    /// Content that came apart from its span.
    pub contents: Vec<NewSpanContent>,
    /// Feedback on traces, spans, answers and sessions of any request.
    pub feedback: Vec<NewWaiting>,
    /// What is known of the traces that the spans are of.
    pub traces: Vec<Arrival>,
    /// How long a trace whose root has come waits for more, unless its arrival says otherwise.
    pub settle_seconds: i64,
    /// How long any other trace does.
    pub idle_seconds: i64,
}

/// A span as it is stored.
#[derive(Debug, Clone)]
pub struct NewSpan {
    /// Its trace, in hexadecimal.
    pub trace: String,
    /// Its id within the trace.
    pub span: String,
    /// The agent that the request named for spans that name none themselves.
    pub agent: Option<AgentId>,
    /// When it ended: of two under one id the later holds.
    pub ended_at: i64,
    /// The span, as JSON.
    pub body: String,
}

/// Content of a span.
#[derive(Debug, Clone)]
pub struct NewSpanContent {
    /// The span's trace.
    pub trace: String,
    /// The span.
    pub span: String,
    /// The content, as JSON.
    pub body: String,
}

/// What a request says of a trace.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The trace.
    pub trace: String,
    /// Whether its root is among the request's spans.
    pub complete: bool,
    /// How long to wait for more, once the root has come.
    pub settle_seconds: i64,
}

/// Feedback that names what it is about by something else than an execution.
#[derive(Debug, Clone)]
pub struct NewWaiting {
    /// Its id.
    pub id: FeedbackId,
    /// Of what was received; the first is stored.
    pub fingerprints: Vec<Fingerprint>,
    /// What it waits for: `response:...`, `trace:...` and so on.
    pub wants: String,
    /// The statement, as JSON.
    pub body: String,
}

/// What became of feedback that is to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrived {
    /// It waits now.
    New,
    /// It came before.
    Known,
    /// Something else came before under its id.
    Conflict,
}

/// Feedback that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its id.
    pub id: FeedbackId,
    /// What it waits for.
    pub wants: String,
    /// Of what was received.
    pub fingerprint: Fingerprint,
    /// The statement, as JSON.
    pub body: String,
    /// When it came.
    pub received_at: Timestamp,
    /// How often it was looked at.
    pub attempts: i64,
}

/// A trace that is to be assembled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueTrace {
    /// The trace.
    pub trace: String,
    /// How often something of it came.
    pub arrivals: i64,
}

/// A trace that was assembled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assembled {
    /// The trace, as it was found.
    pub trace: DueTrace,
    /// The names of its executions.
    pub aliases: Vec<Alias>,
    /// Executions that are part of another one, and of which.
    pub superseded: BTreeMap<ExecutionId, ExecutionId>,
    /// Why runs within it became no executions, if any did not.
    pub error: Option<String>,
}

/// What is known of a trace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredTrace {
    /// Its spans as JSON, each with the agent that its request named.
    pub spans: Vec<(Option<AgentId>, String)>,
    /// Content of its spans, as JSON.
    pub contents: Vec<String>,
    /// Whether it is still to be assembled.
    pub pending: bool,
}

/// Another name of an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// `response:...`, `span:...`, `session:...`.
    pub alias: String,
    /// The execution.
    pub execution: ExecutionId,
    /// Its agent.
    pub agent: AgentId,
}
