//! The store's public surface.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use upswing_domain::{
    AgentId, Assignment, Consent, ConsentRule, Decision, DecisionId, ExecutionId, Experiment,
    ExperimentAction, ExperimentId, FeedbackId, InputHash, KeyId, OrganisationId, PolicyConfig, Position,
    Pseudonym, Purpose, RewardDefinition, Rollout, RolloutId, Timestamp, Transition, Version, VersionId,
};

use crate::collect::{Item, export, input_hash, read as collect, refold, telemetry, trust};
use crate::deploy::{agent, deployment, evidence, gate, rollout, shadow};
use crate::engine::{Connection, Postgres, Sqlite};
use crate::evaluate::experiment::{self, Wanted};
use crate::evaluate::tally;
use crate::observe::{absence, rollup, summary};
use crate::platform::{audit, audit_walk, checkpoint, consent, key, lease, organisation};
use crate::pool::{Pool, Scope};
use crate::recent::{Recent, RecentEvent, What};
use crate::recognise::{profile, window};
use crate::writer::{Job, Place, Writer};
use crate::{
    Ack, Actor, AgentState, ApiKey, Arrived, Assembled, AuditEntry, AuditHead, AuditSeal, AuditVerdict,
    AuthorTrust, Checkpoint, ContentClass, ContentHash, Dataset, Deployment, DueTrace, Event,
    ExperimentChanges, ExperimentLook, ExperimentPiece, ExperimentProgress, ExportedDecision, FeedbackStats,
    GateApproval, GateRecord, GateResult, GateSetting, GateSettings, LedgerEntry, LineageEdge, Listener,
    MetricSummary, NewAgent, NewWaiting, News, Organisation, QueueStatus, RolloutEvidence, RolloutTransition,
    ShadowPiece, ShadowProgress, Statement, StoreError, StoredDecision, StoredExecution, StoredFeedback,
    StoredPair, StoredProfile, StoredTrace, StreamSignal, StreamWindow, Telemetry, Waiting, WindowOutcome,
};

/// How to open a store.
#[derive(Clone)]
pub struct StoreOptions {
    /// `sqlite:PATH` or `postgres://...`.
    pub url: String,
    /// How many events may wait to be written.
    pub queue_capacity: usize,
    /// How many reading connections.
    pub readers: usize,
    /// Key ids with their checks, compared with what the database was made with.
    pub key_checks: Vec<(u16, [u8; 32])>,
    /// Names what people wrote, by a keyed hash of the organisation.
    pub content_hash: Arc<ContentHash>,
    /// Chains the lines of the audit log, by a keyed hash of the organisation.
    pub audit_seal: Arc<AuditSeal>,
    /// What holds for people who have not decided whether they may be learned from.
    pub consent: ConsentRule,
}

impl std::fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A URL may hold a password.
        f.debug_struct("StoreOptions").field("queue_capacity", &self.queue_capacity).finish_non_exhaustive()
    }
}

/// A database, opened. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    writer: Arc<Writer>,
    pool: Arc<Pool>,
    audit_seal: Arc<AuditSeal>,
    recent: Arc<Recent>,
}

type Result<T> = std::result::Result<T, StoreError>;

/// A write with its own transaction, and whoever waits for it.
struct Transaction<T, F> {
    scope: Vec<OrganisationId>,
    f: F,
    reply: oneshot::Sender<Result<T>>,
}

impl<T, F> Job for Transaction<T, F>
where
    T: Send + 'static,
    F: for<'a> FnOnce(&'a mut Connection) -> BoxFuture<'a, Result<T>> + Send + 'static,
{
    fn perform<'a>(self: Box<Self>, connection: &'a mut Connection) -> BoxFuture<'a, bool> {
        async move {
            let Self { scope, f, reply } = *self;
            let outcome = match connection.begin(&scope, true).await {
                Ok(()) => match f(connection).await {
                    Ok(value) => connection.commit().await.map(|()| value),
                    Err(error) => Err(error),
                },
                Err(error) => Err(error),
            };
            let usable = outcome.is_ok() || connection.roll_back().await.is_ok();
            let _ = reply.send(outcome);
            usable
        }
        .boxed()
    }

    fn refuse(self: Box<Self>, error: StoreError) {
        let _ = self.reply.send(Err(error));
    }
}

macro_rules! boxed {
    (|$connection:ident| $body:expr) => {
        move |$connection: &mut Connection| async move { $body }.boxed()
    };
}

impl Store {
    /// Opens, migrates, and starts the writer.
    ///
    /// # Errors
    /// When the database cannot be reached or migrated, does not keep what it acknowledges, belongs to another master
    /// key, or the role bypasses row security.
    pub async fn open(options: StoreOptions) -> Result<Self> {
        let place = if let Some(path) = options.url.strip_prefix("sqlite:") {
            Place::Sqlite(path.into())
        } else if options.url.starts_with("postgres://") || options.url.starts_with("postgresql://") {
            Place::Postgres(options.url.clone())
        } else {
            let message = "the database's URL begins neither with sqlite: nor with postgres://";
            return Err(StoreError::Configuration(message.to_owned()));
        };
        let mut connection = match &place {
            Place::Sqlite(path) => {
                let mut sqlite = Sqlite::open_writer(path)?;
                sqlite.migrate()?;
                Connection::sqlite(sqlite)
            }
            Place::Postgres(url) => {
                Postgres::migrate(url).await?;
                place.connect(true).await?
            }
        };
        for (name, value) in connection.durability().await? {
            if !crate::writer::is_durable(&name, &value) {
                let message =
                    format!("{name} is {value}: what is acknowledged would not survive a crash; set it back");
                return Err(StoreError::Configuration(message));
            }
        }
        check_master_key(&mut connection, &options.key_checks).await?;
        let recent = Arc::new(Recent::default());
        let writer = Writer::start(
            &place,
            connection,
            options.queue_capacity.max(1),
            options.content_hash,
            Arc::clone(&options.audit_seal),
            options.consent,
            Arc::clone(&recent),
        )?;
        let pool = Pool::new(place, options.readers);
        Ok(Self { writer: Arc::new(writer), pool, audit_seal: options.audit_seal, recent })
    }

    /// Writes what is queued, then stops. Later writes are refused.
    pub async fn close(&self) {
        self.writer.close().await;
    }

    /// Whether the database answers a read and a write.
    ///
    /// # Errors
    /// `Unavailable` when it does not.
    pub async fn ping(&self) -> Result<()> {
        self.read(None, boxed!(|c| c.query("SELECT count(*) FROM lease", Vec::new()).await)).await?;
        if self.queue().connected {
            Ok(())
        } else {
            Err(StoreError::Unavailable("the writer is reconnecting".to_owned()))
        }
    }

    /// The write queue now.
    pub fn queue(&self) -> QueueStatus {
        self.writer.status()
    }

    /// The settings that make a commit durable, as the writer's live connection answered when it connected.
    pub fn durability(&self) -> Vec<(String, String)> {
        self.writer.durability()
    }

    /// Calls back whenever another server, or the command line, has changed agents or keys, until the connection ends. An
    /// embedded database has no other servers: this never ends there.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn hear_changes(&self, heard: impl FnMut()) -> Result<()> {
        match self.pool.place() {
            Place::Postgres(url) => Postgres::hear(url, heard).await,
            Place::Sqlite(_) => std::future::pending().await,
        }
    }

    /// Called by the writer after each commit, with what changed (on its own thread: return quickly).
    ///
    /// # Errors
    /// When there is a listener already.
    pub fn on_news(&self, listener: Listener) -> Result<()> {
        self.writer.listen(listener)
    }

    // ------------------------------------------------------------------------------------------------ collect

    /// Queues events of one organisation and waits until they are on disk.
    ///
    /// # Errors
    /// `QueueFull` at once when there is no room; `Unavailable` when the database stayed away.
    pub async fn write(
        &self,
        organisation: OrganisationId,
        now: Timestamp,
        events: Vec<Event>,
    ) -> Result<Vec<Ack>> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let items = events.into_iter().map(|event| Item { organisation, now, event, minted: None }).collect();
        self.writer.write(items).await
    }

    /// Queues a decision without waiting for the disk; waits up to `patience` for room. One that was `minted` has an id that
    /// this process has made, and told to nobody yet: there is nothing about it to look for.
    ///
    /// # Errors
    /// `QueueFull` when there was no room in time.
    pub async fn record_decision(
        &self,
        organisation: OrganisationId,
        decision: Decision,
        minted: bool,
        patience: Duration,
    ) -> Result<()> {
        let now = decision.decided_at;
        let minted = minted.then(std::time::Instant::now);
        let item = Item { organisation, now, event: Event::Decision(decision), minted };
        self.writer.record(vec![item], patience).await
    }

    /// A decision.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn decision(
        &self,
        organisation: OrganisationId,
        id: DecisionId,
    ) -> Result<Option<StoredDecision>> {
        self.read(Some(organisation), boxed!(|c| collect::decision(c, organisation, id).await)).await
    }

    /// An execution with its outcome.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn execution(
        &self,
        organisation: OrganisationId,
        id: ExecutionId,
    ) -> Result<Option<StoredExecution>> {
        self.read(Some(organisation), boxed!(|c| collect::execution(c, organisation, id).await)).await
    }

    /// Keeps what went into an execution, by keyed hashes under the inputs' names. What is known of an input already stays.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn keep_input_hashes(
        &self,
        organisation: OrganisationId,
        execution: ExecutionId,
        hashes: BTreeMap<String, InputHash>,
    ) -> Result<()> {
        let scope = vec![organisation];
        self.transact(scope, boxed!(|c| input_hash::keep(c, organisation, execution, &hashes).await)).await
    }

    /// What went into an execution, by keyed hashes under the inputs' names.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn input_hashes(
        &self,
        organisation: OrganisationId,
        execution: ExecutionId,
    ) -> Result<BTreeMap<String, InputHash>> {
        self.read(Some(organisation), boxed!(|c| input_hash::of_execution(c, organisation, execution).await))
            .await
    }

    /// A piece of feedback.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn feedback(
        &self,
        organisation: OrganisationId,
        id: FeedbackId,
    ) -> Result<Option<StoredFeedback>> {
        self.read(Some(organisation), boxed!(|c| collect::feedback(c, organisation, id).await)).await
    }

    /// Ledger entries that this piece of feedback caused.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn feedback_effects(
        &self,
        organisation: OrganisationId,
        id: FeedbackId,
    ) -> Result<Vec<LedgerEntry>> {
        self.read(Some(organisation), boxed!(|c| collect::effects(c, organisation, id).await)).await
    }

    /// A page of decisions in the order of ids.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn export_decisions(
        &self,
        organisation: OrganisationId,
        agent: Option<AgentId>,
        after: Option<DecisionId>,
        limit: usize,
    ) -> Result<Vec<ExportedDecision>> {
        let page = collect::Page { organisation, agent, after: after.map(|id| id.0), limit };
        self.read(Some(organisation), boxed!(|c| export::decisions(c, page).await)).await
    }

    /// A page of executions in the order of ids.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn export_executions(
        &self,
        organisation: OrganisationId,
        agent: Option<AgentId>,
        after: Option<ExecutionId>,
        limit: usize,
    ) -> Result<Vec<StoredExecution>> {
        let page = collect::Page { organisation, agent, after: after.map(|id| id.0), limit };
        self.read(Some(organisation), boxed!(|c| collect::executions(c, page).await)).await
    }

    /// A page of feedback in the order of ids.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn export_feedback(
        &self,
        organisation: OrganisationId,
        agent: Option<AgentId>,
        after: Option<FeedbackId>,
        limit: usize,
    ) -> Result<Vec<StoredFeedback>> {
        let page = collect::Page { organisation, agent, after: after.map(|id| id.0), limit };
        self.read(Some(organisation), boxed!(|c| collect::feedback_page(c, page).await)).await
    }

    /// Deletes a piece of the texts of a class that nothing since `before` refers to; how many.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn expire_content(
        &self,
        organisation: OrganisationId,
        class: ContentClass,
        before: Timestamp,
        limit: usize,
    ) -> Result<usize> {
        let found = self
            .read(
                Some(organisation),
                boxed!(|c| collect::old_content(c, organisation, class, before, limit).await),
            )
            .await?;
        let count = found.len();
        if count > 0 {
            let scope = vec![organisation];
            self.transact(scope, boxed!(|c| collect::delete_content(c, organisation, before, found).await))
                .await?;
        }
        Ok(count)
    }

    /// Deletes a piece of the hourly rollups of hours before a moment; how many hours.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn expire_rollups(
        &self,
        organisation: OrganisationId,
        agent: AgentId,
        before: Timestamp,
    ) -> Result<usize> {
        let scope = vec![organisation];
        self.transact(scope, boxed!(|c| rollup::expire(c, organisation, agent, before).await)).await
    }

    /// Deletes a piece of the profiles that nothing was added to since a moment; how many.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn expire_profiles(
        &self,
        organisation: OrganisationId,
        before: Timestamp,
        limit: usize,
    ) -> Result<usize> {
        let scope = vec![organisation];
        self.transact(scope, boxed!(|c| profile::expire(c, organisation, before, limit).await)).await
    }

    /// Deletes a piece of an agent's windows that are done since before a moment, with the signals of them that wait for
    /// training; how many windows.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn expire_windows(
        &self,
        organisation: OrganisationId,
        agent: AgentId,
        before: Timestamp,
        limit: usize,
    ) -> Result<usize> {
        let scope = vec![organisation];
        self.transact(scope, boxed!(|c| window::expire(c, organisation, agent, before, limit).await)).await
    }

    // ------------------------------------------------------------------------------------------------ trust

    /// Decides how far accounts are believed about an agent, together with the follower's state that says so; call
    /// [`Store::settle_trust`] until it returns true. What the accounts say from now on stands as decided. `lease` is
    /// (name, holder, fence). Doing so again changes nothing.
    ///
    /// # Errors
    /// `LeaseLost` when the lease is no longer held: nothing was decided.
    pub async fn set_trust(
        &self,
        organisation: OrganisationId,
        agent: AgentId,
        lease: (String, String, i64),
        now: Timestamp,
        changes: Vec<AuthorTrust>,
        state: Option<Checkpoint>,
    ) -> Result<()> {
        self.transact(
            vec![organisation],
            boxed!(|c| {
                let (name, holder, fence) = lease;
                lease::check(c, &name, &holder, fence).await?;
                trust::decide(c, organisation, agent, now, &changes).await?;
                let Some(state) = state else { return Ok(()) };
                checkpoint::save(c, organisation, agent, &name, now, &state).await?;
                let edge = LineageEdge {
                    derived_kind: "reputation".to_owned(),
                    derived_id: agent.to_string(),
                    source_kind: "feedback".to_owned(),
                    source_id: agent.to_string(),
                    from: Some(Position(0)),
                    to: Some(state.position),
                    made_with: state.made_with.clone(),
                    at: now,
                };
                checkpoint::link(c, organisation, &edge).await
            }),
        )
        .await
    }

    /// Brings a piece of the stored feedback in line with what was decided about its authors, and the rewards with it; true
    /// when nothing is left.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn settle_trust(
        &self,
        organisation: OrganisationId,
        agent: AgentId,
        now: Timestamp,
    ) -> Result<bool> {
        self.transact(vec![organisation], boxed!(|c| trust::settle(c, organisation, agent, now).await)).await
    }

    /// Agents for which [`Store::settle_trust`] has something left.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn unsettled_trust(&self, organisation: OrganisationId) -> Result<Vec<AgentId>> {
        self.read(Some(organisation), boxed!(|c| trust::unsettled(c, organisation).await)).await
    }

    /// Accounts that were decided about, in the order of pseudonyms.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn author_trust(
        &self,
        organisation: OrganisationId,
        agent: AgentId,
        after: Option<Pseudonym>,
        distrusted_only: bool,
        limit: usize,
    ) -> Result<Vec<AuthorTrust>> {
        self.read(
            Some(organisation),
            boxed!(|c| trust::page(c, organisation, agent, after, distrusted_only, limit).await),
        )
        .await
    }

    /// How many accounts are not believed about an agent now.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn distrusted(&self, organisation: OrganisationId, agent: AgentId) -> Result<i64> {
        self.read(Some(organisation), boxed!(|c| trust::distrusted(c, organisation, agent).await)).await
    }

    /// What people with an account said about executions after a position, oldest first: each account's own statement,
    /// whether it teaches or not. Who asks knows that there is something up to `target`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn statements(
        &self,
        organisation: OrganisationId,
        agent: AgentId,
        (after, target): (Position, Position),
        limit: usize,
    ) -> Result<Vec<Statement>> {
        let by_account =
            |event: &RecentEvent| matches!(&event.what, What::Said(said) if said.by_account).then_some(());
        let lately = self.recent.read((organisation, agent), after, target, 1, by_account);
        if lately.is_some_and(|(found, _)| found.is_empty()) {
            return Ok(Vec::new());
        }
        let which = trust::Which::After(after, limit);
        self.read(Some(organisation), boxed!(|c| trust::statements(c, organisation, agent, which).await))
            .await
    }

    /// The same of these positions, for what waited for its execution or its decision.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn statements_at(
        &self,
        organisation: OrganisationId,
        agent: AgentId,
        positions: Vec<Position>,
    ) -> Result<Vec<Statement>> {
        let which = trust::Which::At(positions);
        self.read(Some(organisation), boxed!(|c| trust::statements(c, organisation, agent, which).await))
            .await
    }

    /// Takes what came by OpenTelemetry and waits until it is on disk. The same again changes nothing.
    ///
    /// # Errors
    /// `QueueFull` at once when there is no room; `Unavailable` when the database stayed away.
    pub async fn receive_telemetry(
        &self,
        organisation: OrganisationId,
        now: Timestamp,
        received: Telemetry,
    ) -> Result<()> {
        let items = received.spans.len() + received.contents.len() + received.feedback.len();
        if items == 0 {
            return Ok(());
        }
        let _room = self.writer.reserve(items).await?;
        self.transact(
            vec![organisation],
            boxed!(|c| telemetry::receive(c, organisation, now, received).await),
        )
        .await
    }

    /// Keeps feedback, on disk, until what it names is there; what became of each.
    ///
    /// # Errors
    /// `QueueFull` at once when there is no room; `Unavailable` when the database stayed away.
    pub async fn wait_feedback(
        &self,
        organisation: OrganisationId,
        now: Timestamp,
        feedback: Vec<NewWaiting>,
    ) -> Result<Vec<Arrived>> {
        let _room = self.writer.reserve(feedback.len()).await?;
        self.transact(vec![organisation], boxed!(|c| telemetry::wait(c, organisation, now, feedback).await))
            .await
    }

    /// Traces that are to be assembled now.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn due_traces(
        &self,
        organisation: OrganisationId,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<DueTrace>> {
        self.read(Some(organisation), boxed!(|c| telemetry::due_traces(c, organisation, now, limit).await))
            .await
    }

    /// All that is known of a trace.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn trace(&self, organisation: OrganisationId, trace: &str) -> Result<StoredTrace> {
        let trace = trace.to_owned();
        self.read(Some(organisation), boxed!(|c| telemetry::trace(c, organisation, &trace).await)).await
    }

    /// Notes that traces are assembled, with the names of their executions; `lease` is (name, holder, fence).
    ///
    /// # Errors
    /// `LeaseLost` when the lease is no longer held: nothing was saved.
    pub async fn save_assembled(
        &self,
        organisation: OrganisationId,
        lease: (String, String, i64),
        now: Timestamp,
        assembled: Vec<Assembled>,
    ) -> Result<()> {
        self.transact(
            vec![organisation],
            boxed!(|c| {
                let (name, holder, fence) = lease;
                lease::check(c, &name, &holder, fence).await?;
                for trace in assembled {
                    telemetry::assembled(c, organisation, now, trace).await?;
                }
                Ok(())
            }),
        )
        .await
    }

    /// Forgets the spans of a trace whose person may not be learned from.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn forget_trace(&self, organisation: OrganisationId, trace: &str) -> Result<()> {
        let trace = trace.to_owned();
        self.transact(vec![organisation], boxed!(|c| telemetry::forget(c, organisation, &trace).await)).await
    }

    /// Forgets the spans of traces that were assembled and grew last before a moment; how many traces.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn purge_traces(
        &self,
        organisation: OrganisationId,
        before: Timestamp,
        limit: i64,
    ) -> Result<usize> {
        self.transact(vec![organisation], boxed!(|c| telemetry::purge(c, organisation, before, limit).await))
            .await
    }

    /// Waiting feedback that is to be looked at now.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn due_feedback(
        &self,
        organisation: OrganisationId,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<Waiting>> {
        self.read(Some(organisation), boxed!(|c| telemetry::due_feedback(c, organisation, now, limit).await))
            .await
    }

    /// Notes when to look at waiting feedback again, or (`again` is `None`) that it is settled.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn save_waiting(
        &self,
        organisation: OrganisationId,
        id: FeedbackId,
        again: Option<Timestamp>,
        error: Option<String>,
    ) -> Result<()> {
        self.transact(
            vec![organisation],
            boxed!(|c| telemetry::looked_at(c, organisation, id, again, error).await),
        )
        .await
    }

    /// The executions of another name (`trace:...`, `response:...`, `span:...`, `session:...`), with their agents; without
    /// those that turned out to be part of another one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn executions_named(
        &self,
        organisation: OrganisationId,
        alias: &str,
    ) -> Result<Vec<(ExecutionId, AgentId)>> {
        let alias = alias.to_owned();
        self.read(Some(organisation), boxed!(|c| telemetry::named(c, organisation, &alias).await)).await
    }

    /// The execution that an execution turned out to be part of.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn superseded_by(
        &self,
        organisation: OrganisationId,
        id: ExecutionId,
    ) -> Result<Option<ExecutionId>> {
        self.read(Some(organisation), boxed!(|c| telemetry::superseded_by(c, organisation, id).await)).await
    }

    // ------------------------------------------------------------------------------------------------ recognise

    /// Up to where windows over an agent's implicit feedback were made, and the number of the last one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn window_head(&self, organisation: OrganisationId, agent: AgentId) -> Result<(Position, i64)> {
        self.read(Some(organisation), boxed!(|c| window::head(c, organisation, agent).await)).await
    }

    /// An agent's implicit feedback in a range of positions (the first excluded), oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn window_signals(
        &self,
        organisation: OrganisationId,
        agent: AgentId,
        range: (Position, Position),
        limit: usize,
    ) -> Result<Vec<StreamSignal>> {
        self.read(Some(organisation), boxed!(|c| window::signals(c, organisation, agent, range, limit).await))
            .await
    }

    /// Writes what became of a window, with the profiles and the training queue that follow from it; `lease` is (name,
    /// holder, fence).
    ///
    /// # Errors
    /// `LeaseLost` when the lease is no longer held: nothing was saved.
    pub async fn save_window(
        &self,
        organisation: OrganisationId,
        agent: AgentId,
        lease: (String, String, i64),
        now: Timestamp,
        outcome: WindowOutcome,
    ) -> Result<()> {
        self.transact(
            vec![organisation],
            boxed!(|c| {
                let (name, holder, fence) = lease;
                lease::check(c, &name, &holder, fence).await?;
                let WindowOutcome { window, profiles, queued } = outcome;
                window::save(c, organisation, agent, now, &window, (&profiles, &queued)).await
            }),
        )
        .await
    }

    /// An agent's windows, newest first, before a number.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn windows(
        &self,
        organisation: OrganisationId,
        agent: AgentId,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<StreamWindow>> {
        self.read(Some(organisation), boxed!(|c| window::page(c, organisation, agent, before, limit).await))
            .await
    }

    /// Windows that failed and are due to be tried again.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn due_windows(
        &self,
        organisation: OrganisationId,
        agent: AgentId,
        now: Timestamp,
    ) -> Result<Vec<StreamWindow>> {
        self.read(Some(organisation), boxed!(|c| window::due(c, organisation, agent, now).await)).await
    }

    /// Puts a window that was set aside back to be tried; whether there was one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn retry_window(&self, actor: Actor, agent: AgentId, ordinal: i64) -> Result<bool> {
        let organisation = actor.organisation;
        self.transact(
            vec![organisation],
            boxed!(|c| {
                let found = window::retry(c, organisation, agent, ordinal, actor.now).await?;
                if found {
                    let details = serde_json::json!({ "ordinal": ordinal });
                    audit::record(c, &actor, "window.retry", agent, details).await?;
                }
                Ok(found)
            }),
        )
        .await
    }

    /// How many of an agent's signals wait for training.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn training_signals(&self, organisation: OrganisationId, agent: AgentId) -> Result<i64> {
        self.read(Some(organisation), boxed!(|c| window::queued(c, organisation, agent).await)).await
    }

    /// What is known of a person.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn profile(
        &self,
        organisation: OrganisationId,
        agent: AgentId,
        subject: Pseudonym,
    ) -> Result<Option<StoredProfile>> {
        self.read(Some(organisation), boxed!(|c| profile::one(c, organisation, agent, subject).await)).await
    }

    /// Profiles that changed at a position or after it, oldest change first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn profiles_since(
        &self,
        organisation: OrganisationId,
        from: Position,
        limit: usize,
    ) -> Result<Vec<StoredProfile>> {
        self.read(Some(organisation), boxed!(|c| profile::since(c, organisation, from, limit).await)).await
    }

    /// The profiles that changed last, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn latest_profiles(
        &self,
        organisation: OrganisationId,
        limit: usize,
    ) -> Result<Vec<StoredProfile>> {
        self.read(Some(organisation), boxed!(|c| profile::latest(c, organisation, limit).await)).await
    }

    /// Records a person's decision about a purpose; gives what holds afterwards.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn decide_consent(
        &self,
        actor: Actor,
        subject: Pseudonym,
        purpose: Purpose,
        granted: bool,
        policy: String,
    ) -> Result<Consent> {
        self.transact(
            vec![actor.organisation],
            boxed!(|c| consent::decide(c, &actor, subject, purpose, granted, &policy).await),
        )
        .await
    }

    /// All decisions of a person, by purpose, oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn consents(&self, organisation: OrganisationId, subject: Pseudonym) -> Result<Vec<Consent>> {
        self.read(Some(organisation), boxed!(|c| consent::of_person(c, organisation, subject).await)).await
    }

    // ------------------------------------------------------------------------------------------------ deploy

    /// Creates an agent with its first reward definition and epoch.
    ///
    /// # Errors
    /// `Conflict` when the name is taken.
    pub async fn create_agent(&self, actor: Actor, new: NewAgent) -> Result<AgentState> {
        self.transact(vec![actor.organisation], boxed!(|c| agent::create(c, &actor, new).await)).await
    }

    /// All agents of an organisation, by name.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn agents(&self, organisation: OrganisationId) -> Result<Vec<AgentState>> {
        self.read(Some(organisation), boxed!(|c| agent::load(c, organisation, None).await)).await
    }

    /// One agent.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn agent(&self, organisation: OrganisationId, id: AgentId) -> Result<Option<AgentState>> {
        let found =
            self.read(Some(organisation), boxed!(|c| agent::load(c, organisation, Some(id)).await)).await?;
        Ok(found.into_iter().next())
    }

    /// A new version of the reward definition; call [`Store::refold`] until it returns true.
    ///
    /// # Errors
    /// `NotFound` when there is no such agent.
    pub async fn set_reward_definition(
        &self,
        actor: Actor,
        id: AgentId,
        definition: RewardDefinition,
    ) -> Result<AgentState> {
        let scope = vec![actor.organisation];
        self.transact(scope, boxed!(|c| agent::redefine(c, &actor, id, &definition).await)).await
    }

    /// Folds a piece of the stored feedback under the current definition; true when nothing is left.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn refold(&self, organisation: OrganisationId, id: AgentId, now: Timestamp) -> Result<bool> {
        self.transact(vec![organisation], boxed!(|c| refold::refold(c, organisation, id, now).await)).await
    }

    /// Another policy, from the next epoch on.
    ///
    /// # Errors
    /// `NotFound` when there is no such agent.
    pub async fn set_policy(&self, actor: Actor, id: AgentId, policy: PolicyConfig) -> Result<AgentState> {
        self.transact(vec![actor.organisation], boxed!(|c| agent::set_policy(c, &actor, id, policy).await))
            .await
    }

    /// Stores a version; the flag says whether it is new.
    ///
    /// # Errors
    /// `NotFound` for an unknown agent or parent, `Conflict` when the label is taken.
    pub async fn add_version(&self, actor: Actor, version: Version) -> Result<(AgentState, bool)> {
        self.transact(vec![actor.organisation], boxed!(|c| agent::add_version(c, &actor, &version).await))
            .await
    }

    /// Makes a version the champion.
    ///
    /// # Errors
    /// `NotFound` for an unknown version.
    pub async fn promote(
        &self,
        actor: Actor,
        id: AgentId,
        version: VersionId,
        reason: String,
    ) -> Result<AgentState> {
        let scope = vec![actor.organisation];
        self.transact(scope, boxed!(|c| deployment::promote(c, &actor, id, version, &reason).await)).await
    }

    /// Takes a version out of every policy.
    ///
    /// # Errors
    /// `NotFound` for an unknown version.
    pub async fn roll_back(
        &self,
        actor: Actor,
        id: AgentId,
        version: VersionId,
        reason: String,
    ) -> Result<AgentState> {
        let scope = vec![actor.organisation];
        self.transact(scope, boxed!(|c| deployment::roll_back(c, &actor, id, version, &reason).await)).await
    }

    /// Deployments, newest first, before an epoch.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn deployments(
        &self,
        organisation: OrganisationId,
        id: AgentId,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Deployment>> {
        self.read(Some(organisation), boxed!(|c| deployment::page(c, organisation, id, before, limit).await))
            .await
    }

    /// What something was derived from.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn lineage(
        &self,
        organisation: OrganisationId,
        kind: &str,
        id: &str,
    ) -> Result<Vec<LineageEdge>> {
        let (kind, id) = (kind.to_owned(), id.to_owned());
        self.read(Some(organisation), boxed!(|c| checkpoint::lineage(c, organisation, &kind, &id).await))
            .await
    }

    /// Names the version that is served where nothing can be confirmed.
    ///
    /// # Errors
    /// `NotFound` for an unknown agent.
    pub async fn set_safe_version(
        &self,
        actor: Actor,
        id: AgentId,
        version: Option<VersionId>,
    ) -> Result<AgentState> {
        let scope = vec![actor.organisation];
        self.transact(scope, boxed!(|c| agent::set_safe_version(c, &actor, id, version).await)).await
    }

    /// Begins a rollout; `note` is what was known before, such as the gates' results.
    ///
    /// # Errors
    /// `Rollout` when the version or the agent's state does not allow it.
    pub async fn start_rollout(
        &self,
        actor: Actor,
        new: Rollout,
        note: serde_json::Value,
    ) -> Result<Rollout> {
        let scope = vec![actor.organisation];
        self.transact(scope, boxed!(|c| rollout::start(c, &actor, &new, note).await)).await
    }

    /// Makes something of a rollout, on the evidence and for the reason given.
    ///
    /// # Errors
    /// `LeaseLost` when something has become of it since it was read; `Rollout` when its state does not allow it.
    pub async fn transition_rollout(
        &self,
        actor: Actor,
        read: Rollout,
        transition: Transition,
        evidence: serde_json::Value,
        reason: String,
    ) -> Result<Rollout> {
        let scope = vec![actor.organisation];
        self.transact(
            scope,
            boxed!(|c| rollout::transition(c, &actor, &read, &transition, evidence, &reason).await),
        )
        .await
    }

    /// A rollout.
    ///
    /// # Errors
    /// `NotFound` for an unknown one.
    pub async fn rollout(&self, organisation: OrganisationId, id: RolloutId) -> Result<Rollout> {
        self.read(Some(organisation), boxed!(|c| rollout::required(c, organisation, id).await)).await
    }

    /// The rollouts of an agent, oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn rollouts(&self, organisation: OrganisationId, agent: AgentId) -> Result<Vec<Rollout>> {
        self.read(Some(organisation), boxed!(|c| rollout::load(c, organisation, Some(agent), false).await))
            .await
    }

    /// Everything that became of a rollout, oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn rollout_transitions(
        &self,
        organisation: OrganisationId,
        id: RolloutId,
    ) -> Result<Vec<RolloutTransition>> {
        self.read(Some(organisation), boxed!(|c| rollout::transitions(c, organisation, id).await)).await
    }

    /// What came of a rollout's decisions before a position, newest first: at most `limit` decisions with their executions and
    /// what was said of them up to `until`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn rollout_evidence(
        &self,
        organisation: OrganisationId,
        rollout: &Rollout,
        (before, until): (Option<Position>, Option<Timestamp>),
        limit: usize,
    ) -> Result<Vec<RolloutEvidence>> {
        let rollout = rollout.clone();
        self.read(
            Some(organisation),
            boxed!(|c| evidence::page(c, organisation, &rollout, (before, until), limit).await),
        )
        .await
    }

    /// By what the decision behind an execution was assigned, if by anything.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn assigned(
        &self,
        organisation: OrganisationId,
        execution: ExecutionId,
    ) -> Result<Option<Assignment>> {
        self.read(Some(organisation), boxed!(|c| evidence::assigned(c, organisation, execution).await)).await
    }

    /// How far a rollout's shadow has been read, and what was found; `None` for a rollout without one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn shadow_progress(
        &self,
        organisation: OrganisationId,
        id: RolloutId,
    ) -> Result<Option<ShadowProgress>> {
        self.read(Some(organisation), boxed!(|c| shadow::progress(c, organisation, id).await)).await
    }

    /// The pairs of a rollout's shadow that became complete after a position.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn shadow_piece(
        &self,
        organisation: OrganisationId,
        rollout: &Rollout,
        from: Position,
    ) -> Result<ShadowPiece> {
        let rollout = rollout.clone();
        self.read(Some(organisation), boxed!(|c| shadow::piece(c, organisation, &rollout, from).await)).await
    }

    /// The pairs of a rollout's shadow that were compared, newest first, before a position.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn shadow_pairs(
        &self,
        organisation: OrganisationId,
        id: RolloutId,
        before: Option<Position>,
        limit: usize,
    ) -> Result<Vec<StoredPair>> {
        self.read(Some(organisation), boxed!(|c| shadow::pairs(c, organisation, id, before, limit).await))
            .await
    }

    /// Saves what a piece of a rollout's shadow came to.
    ///
    /// # Errors
    /// `LeaseLost` when somebody else has saved since `before` was read.
    pub async fn save_shadow(
        &self,
        organisation: OrganisationId,
        id: RolloutId,
        now: Timestamp,
        before: ShadowProgress,
        (piece, state): (ShadowPiece, Vec<u8>),
    ) -> Result<()> {
        let scope = vec![organisation];
        self.transact(
            scope,
            boxed!(|c| shadow::save(c, organisation, id, now, &before, (&piece, state)).await),
        )
        .await
    }

    // ------------------------------------------------------------------------------------------------ evaluate

    /// Writes an experiment down, as a draft.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn create_experiment(&self, actor: Actor, new: Experiment) -> Result<Experiment> {
        self.transact(vec![actor.organisation], boxed!(|c| experiment::create(c, &actor, &new).await)).await
    }

    /// Starts, pauses, stops or archives an experiment; `note` goes into the audit log.
    ///
    /// # Errors
    /// `Experiment` when its state, or another experiment, does not allow it.
    pub async fn act_on_experiment(
        &self,
        actor: Actor,
        id: ExperimentId,
        action: ExperimentAction,
        note: serde_json::Value,
    ) -> Result<Experiment> {
        let scope = vec![actor.organisation];
        self.transact(scope, boxed!(|c| experiment::act(c, &actor, id, action, note).await)).await
    }

    /// Gives an experiment another split from a moment on, which moves as few units as it can.
    ///
    /// # Errors
    /// `Experiment` when the weights are no split, or its state does not allow it.
    pub async fn split_experiment(
        &self,
        actor: Actor,
        id: ExperimentId,
        weights: Vec<f64>,
        coverage: f64,
        effective_at: Timestamp,
    ) -> Result<Experiment> {
        let scope = vec![actor.organisation];
        self.transact(
            scope,
            boxed!(|c| experiment::split(c, &actor, id, &weights, coverage, effective_at).await),
        )
        .await
    }

    /// An experiment.
    ///
    /// # Errors
    /// `NotFound` for an unknown one.
    pub async fn experiment(&self, organisation: OrganisationId, id: ExperimentId) -> Result<Experiment> {
        self.read(Some(organisation), boxed!(|c| experiment::required(c, organisation, id).await)).await
    }

    /// The experiments of an agent, or of all agents, oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn experiments(
        &self,
        organisation: OrganisationId,
        agent: Option<AgentId>,
    ) -> Result<Vec<Experiment>> {
        let wanted = agent.map_or(Wanted::All, Wanted::Of);
        self.read(Some(organisation), boxed!(|c| experiment::load(c, organisation, wanted).await)).await
    }

    /// What an experiment looked like at each time, oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn experiment_looks(
        &self,
        organisation: OrganisationId,
        id: ExperimentId,
    ) -> Result<Vec<ExperimentLook>> {
        self.read(Some(organisation), boxed!(|c| experiment::looks(c, organisation, id).await)).await
    }

    /// How far an agent's events have been folded into its experiments.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn experiment_progress(
        &self,
        organisation: OrganisationId,
        agent: AgentId,
    ) -> Result<ExperimentProgress> {
        self.read(Some(organisation), boxed!(|c| tally::progress(c, organisation, agent).await)).await
    }

    /// The next events of an agent's experiments after a position, at most `limit` of each kind. O(limit) rows.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn experiment_piece(
        &self,
        organisation: OrganisationId,
        agent: AgentId,
        after: Position,
        limit: usize,
    ) -> Result<ExperimentPiece> {
        let recent = Arc::clone(&self.recent);
        self.read(
            Some(organisation),
            boxed!(|c| tally::piece(c, &recent, organisation, agent, after, limit).await),
        )
        .await
    }

    /// What units of experiments did, by their keys; those that did nothing yet are left out.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn experiment_units(
        &self,
        organisation: OrganisationId,
        keys: HashSet<(ExperimentId, Pseudonym)>,
    ) -> Result<Vec<(ExperimentId, Pseudonym, Vec<u8>)>> {
        self.read(Some(organisation), boxed!(|c| tally::units(c, organisation, keys).await)).await
    }

    /// Units of which an outcome closes up to a moment, in the order in which they close.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn due_experiment_units(
        &self,
        organisation: OrganisationId,
        id: ExperimentId,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<(Pseudonym, Vec<u8>)>> {
        self.read(Some(organisation), boxed!(|c| tally::due(c, organisation, id, until, limit).await)).await
    }

    /// What all units of an experiment did together, as the fold encodes it. One row, however many units there are.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn experiment_tally(
        &self,
        organisation: OrganisationId,
        id: ExperimentId,
    ) -> Result<Option<Vec<u8>>> {
        self.read(Some(organisation), boxed!(|c| tally::tally(c, organisation, id).await)).await
    }

    /// Forgets what was folded of experiments, so that all of the agent's events are folded again: after a change of what is
    /// counted, or to see that it comes to the same. Looks of the past are gone. Name all experiments of the agent that are
    /// under way; of ended ones nothing is folded again.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn forget_experiment_tallies(
        &self,
        organisation: OrganisationId,
        agent: AgentId,
        experiments: Vec<ExperimentId>,
    ) -> Result<()> {
        self.transact(
            vec![organisation],
            boxed!(|c| tally::forget(c, organisation, agent, &experiments).await),
        )
        .await
    }

    /// Saves what a piece of folding changed, with the position it has read up to.
    ///
    /// # Errors
    /// `LeaseLost` when somebody else has saved since `before`: nothing was saved, read again.
    pub async fn save_experiments(
        &self,
        organisation: OrganisationId,
        agent: AgentId,
        now: Timestamp,
        (before, to): (ExperimentProgress, Position),
        changes: ExperimentChanges,
    ) -> Result<ExperimentProgress> {
        let stretch = (before, to);
        self.transact_beside(
            organisation,
            boxed!(|c| tally::save(c, organisation, agent, now, stretch, changes).await),
        )
        .await
    }

    // ------------------------------------------------------------------------------------------------ gates

    /// Stores a dataset, named by its content; false when it is there.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn put_dataset(&self, actor: Actor, dataset: Dataset) -> Result<bool> {
        self.transact(vec![actor.organisation], boxed!(|c| gate::put_dataset(c, &actor, &dataset).await))
            .await
    }

    /// The datasets of an organisation without their lines, oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn datasets(&self, organisation: OrganisationId) -> Result<Vec<Dataset>> {
        self.read(Some(organisation), boxed!(|c| gate::datasets(c, organisation).await)).await
    }

    /// A dataset with its lines.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn dataset(&self, organisation: OrganisationId, id: [u8; 32]) -> Result<Option<Dataset>> {
        self.read(Some(organisation), boxed!(|c| gate::dataset(c, organisation, id).await)).await
    }

    /// Sets an agent's gates, or what runs its versions; `body` is JSON.
    ///
    /// # Errors
    /// `NotFound` for an unknown agent.
    pub async fn set_gates(
        &self,
        actor: Actor,
        id: AgentId,
        setting: GateSetting,
        body: String,
    ) -> Result<()> {
        let scope = vec![actor.organisation];
        self.transact(scope, boxed!(|c| gate::set(c, &actor, id, setting, &body).await)).await
    }

    /// An agent's gates, and what runs its versions.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn gate_settings(&self, organisation: OrganisationId, id: AgentId) -> Result<GateSettings> {
        self.read(Some(organisation), boxed!(|c| gate::settings(c, organisation, id).await)).await
    }

    /// Stores what a gate found of a version; its number and time are given here.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn record_gate(
        &self,
        actor: Actor,
        id: AgentId,
        version: VersionId,
        result: GateResult,
    ) -> Result<()> {
        let scope = vec![actor.organisation];
        self.transact(scope, boxed!(|c| gate::record(c, &actor, id, version, &result).await)).await
    }

    /// Approves a version; doing so again with the same key changes nothing.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn approve(
        &self,
        actor: Actor,
        id: AgentId,
        version: VersionId,
        approval: GateApproval,
    ) -> Result<()> {
        let scope = vec![actor.organisation];
        self.transact(scope, boxed!(|c| gate::approve(c, &actor, id, version, &approval).await)).await
    }

    /// What gates found of a version, and who approved it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn gate_record(
        &self,
        organisation: OrganisationId,
        id: AgentId,
        version: VersionId,
    ) -> Result<GateRecord> {
        self.read(Some(organisation), boxed!(|c| gate::of_version(c, organisation, id, version).await)).await
    }

    // ------------------------------------------------------------------------------------------------ platform

    /// Creates an organisation.
    ///
    /// # Errors
    /// `Conflict` when the id is taken.
    pub async fn create_organisation(
        &self,
        id: OrganisationId,
        name: String,
        now: Timestamp,
    ) -> Result<Organisation> {
        self.transact(vec![id], boxed!(|c| organisation::create(c, id, &name, now).await)).await
    }

    /// All organisations, oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn organisations(&self) -> Result<Vec<Organisation>> {
        self.read(None, boxed!(|c| organisation::all(c).await)).await
    }

    /// Stores a key by the hash of its secret.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn create_key(&self, actor: Actor, new: ApiKey, hash: [u8; 32]) -> Result<ApiKey> {
        self.transact(vec![actor.organisation], boxed!(|c| key::create(c, &actor, new, hash).await)).await
    }

    /// The key with one of these hashes, in whatever organisation; also when expired or revoked.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn key_by_hash(&self, hashes: Vec<[u8; 32]>) -> Result<Option<ApiKey>> {
        for hash in hashes {
            let found = self.pool.read(Scope::Key(hash), boxed!(|c| key::by_hash(c, hash).await)).await?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// All keys of an organisation, oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn keys(&self, organisation: OrganisationId) -> Result<Vec<ApiKey>> {
        self.read(Some(organisation), boxed!(|c| key::all(c, organisation).await)).await
    }

    /// Revokes a key; doing so again changes nothing.
    ///
    /// # Errors
    /// `NotFound` for an unknown key.
    pub async fn revoke_key(&self, actor: Actor, id: KeyId) -> Result<ApiKey> {
        self.transact(vec![actor.organisation], boxed!(|c| key::revoke(c, &actor, id).await)).await
    }

    /// The audit log, newest first, before a sequence number.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn audit(
        &self,
        organisation: OrganisationId,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>> {
        self.read(Some(organisation), boxed!(|c| audit::page(c, organisation, before, limit).await)).await
    }

    /// The last line's place in the chain of an organisation's audit log; `None` while no line is chained.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn audit_head(&self, organisation: OrganisationId) -> Result<Option<AuditHead>> {
        self.read(Some(organisation), boxed!(|c| audit::head(c, organisation).await)).await
    }

    /// Walks an organisation's audit log from its first line and says whether it still is what was written; with
    /// `expected`, whether a head that was kept elsewhere is still in it. Reads every line.
    ///
    /// # Errors
    /// When the database does not answer. A log that is not what was written is a verdict, not an error.
    pub async fn verify_audit(
        &self,
        organisation: OrganisationId,
        expected: Option<[u8; 32]>,
    ) -> Result<AuditVerdict> {
        let seal = Arc::clone(&self.audit_seal);
        self.read(Some(organisation), boxed!(|c| audit_walk::verify(c, organisation, &*seal, expected).await))
            .await
    }

    // ------------------------------------------------------------------------------------------------ followers

    /// Takes or renews a lease until `now + ttl`; the fencing number, or `None` while another holds it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn lease(
        &self,
        name: &str,
        holder: &str,
        now: Timestamp,
        ttl_seconds: i64,
    ) -> Result<Option<i64>> {
        let (name, holder) = (name.to_owned(), holder.to_owned());
        self.transact(Vec::new(), boxed!(|c| lease::acquire(c, &name, &holder, now, ttl_seconds).await)).await
    }

    /// Gives a lease back.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn release_lease(&self, name: &str, holder: &str) -> Result<()> {
        let (name, holder) = (name.to_owned(), holder.to_owned());
        self.transact(Vec::new(), boxed!(|c| lease::release(c, &name, &holder).await)).await
    }

    /// Up to where each agent of these organisations has something to read.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn news(&self, organisations: Vec<OrganisationId>) -> Result<Vec<News>> {
        let wanted: std::collections::HashSet<_> = organisations.iter().copied().collect();
        let mut news = self
            .pool
            .read(Scope::Organisations(organisations), boxed!(|c| checkpoint::news(c).await))
            .await?;
        news.retain(|n| wanted.contains(&n.organisation));
        Ok(news)
    }

    /// Entries of one agent after a position, oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn ledger(
        &self,
        organisation: OrganisationId,
        id: AgentId,
        after: Position,
        limit: usize,
    ) -> Result<Vec<LedgerEntry>> {
        self.read(Some(organisation), boxed!(|c| collect::ledger(c, organisation, id, after, limit).await))
            .await
    }

    /// The same for who knows that there are entries up to `target`: what was written lately comes from memory.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn new_ledger(
        &self,
        organisation: OrganisationId,
        id: AgentId,
        (after, target): (Position, Position),
        limit: usize,
    ) -> Result<Vec<LedgerEntry>> {
        let rewarded = |event: &RecentEvent| match &event.what {
            What::Rewarded(entry) => Some(entry.clone()),
            _ => None,
        };
        match self.recent.read((organisation, id), after, target, limit, rewarded) {
            Some((entries, _)) => Ok(entries),
            None => self.ledger(organisation, id, after, limit).await,
        }
    }

    /// A follower's state.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn checkpoint(
        &self,
        organisation: OrganisationId,
        id: AgentId,
        follower: &str,
    ) -> Result<Option<Checkpoint>> {
        let follower = follower.to_owned();
        self.read(Some(organisation), boxed!(|c| checkpoint::load(c, organisation, id, &follower).await))
            .await
    }

    /// Saves a follower's state with its position and its lineage; `lease` is (name, holder, fence).
    ///
    /// # Errors
    /// `LeaseLost` when the lease is no longer held: nothing was saved.
    pub async fn save_checkpoint(
        &self,
        organisation: OrganisationId,
        id: AgentId,
        follower: &str,
        held: Option<(String, String, i64)>,
        now: Timestamp,
        state: Checkpoint,
    ) -> Result<()> {
        let follower = follower.to_owned();
        let edge = LineageEdge {
            derived_kind: "policy".to_owned(),
            derived_id: id.to_string(),
            source_kind: "reward_ledger".to_owned(),
            source_id: id.to_string(),
            from: Some(Position(0)),
            to: Some(state.position),
            made_with: state.made_with.clone(),
            at: now,
        };
        self.transact_beside(
            organisation,
            boxed!(|c| {
                checkpoint::save(c, organisation, id, &follower, now, &state).await?;
                checkpoint::link(c, organisation, &edge).await?;
                // Last: whoever renews the lease waits for this.
                match held {
                    Some((name, holder, fence)) => lease::check(c, &name, &holder, fence).await,
                    None => Ok(()),
                }
            }),
        )
        .await
    }

    /// Folds a piece of an agent's new executions, feedback and rewards into hourly rollups; true when nothing is left.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn fold_rollups(
        &self,
        organisation: OrganisationId,
        id: AgentId,
        now: Timestamp,
    ) -> Result<bool> {
        let recent = Arc::clone(&self.recent);
        let folded = self
            .read(Some(organisation), boxed!(|c| rollup::fold(c, &recent, organisation, id).await))
            .await?;
        let Some(piece) = folded else { return Ok(true) };
        self.transact(vec![organisation], boxed!(|c| rollup::save(c, organisation, id, now, piece).await))
            .await
    }

    /// Writes zeros for metrics whose window has passed without a value; how many.
    ///
    /// # Errors
    /// When the database does not answer, or the queue is full.
    pub async fn fold_absences(
        &self,
        organisation: OrganisationId,
        id: AgentId,
        now: Timestamp,
    ) -> Result<usize> {
        let due =
            self.read(Some(organisation), boxed!(|c| absence::due(c, organisation, id, now).await)).await?;
        let event = |feedback| Event::Feedback {
            feedback: Box::new(feedback),
            fingerprints: vec![[0; 18]],
            restore: None,
            token_uses: None,
            defence: None,
        };
        let events: Vec<_> = due.feedback.into_iter().map(event).collect();
        let count = events.len();
        self.write(organisation, now, events).await?;
        let checkpoints = due.checkpoints;
        if !checkpoints.is_empty() {
            let scope = vec![organisation];
            self.transact(scope, boxed!(|c| absence::done(c, organisation, id, now, &checkpoints).await))
                .await?;
        }
        Ok(count)
    }

    /// Summaries from rollups since a moment; `segment_key` empty for everything together.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn performance(
        &self,
        organisation: OrganisationId,
        id: AgentId,
        segment_key: &str,
        since: Timestamp,
    ) -> Result<(Vec<MetricSummary>, Position)> {
        let key = segment_key.to_owned();
        self.read(
            Some(organisation),
            boxed!(|c| summary::performance(c, organisation, id, &key, since).await),
        )
        .await
    }

    /// What people said since a moment, of one agent or all.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn feedback_stats(
        &self,
        organisation: OrganisationId,
        id: Option<AgentId>,
        since: Timestamp,
    ) -> Result<FeedbackStats> {
        self.read(Some(organisation), boxed!(|c| summary::feedback_stats(c, organisation, id, since).await))
            .await
    }

    // ------------------------------------------------------------------------------------------------

    async fn read<T, F>(&self, organisation: Option<OrganisationId>, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Connection) -> BoxFuture<'a, Result<T>> + Send + 'static,
    {
        self.pool.read(Scope::Organisation(organisation), f).await
    }

    /// A write in a transaction of its own, beside the writer where the engine has more than one: for much that events need not wait for.
    async fn transact_beside<T, F>(&self, organisation: OrganisationId, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Connection) -> BoxFuture<'a, Result<T>> + Send + 'static,
    {
        match self.pool.place() {
            Place::Sqlite(_) => self.transact(vec![organisation], f).await,
            Place::Postgres(_) => {
                self.read(
                    Some(organisation),
                    boxed!(|c| {
                        let value = f(c).await?;
                        c.commit().await?;
                        Ok(value)
                    }),
                )
                .await
            }
        }
    }

    async fn transact<T, F>(&self, scope: Vec<OrganisationId>, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Connection) -> BoxFuture<'a, Result<T>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.writer.run(Box::new(Transaction { scope, f, reply }))?;
        answer.await.map_err(|_| StoreError::Closing)?
    }
}

/// A database belongs to its master keys: pseudonyms and key hashes made with another one would match nothing.
async fn check_master_key(connection: &mut Connection, checks: &[(u16, [u8; 32])]) -> Result<()> {
    connection.begin(&[], true).await?;
    let mut known = Vec::new();
    for mut row in connection.query("SELECT id, key_check FROM master_key ORDER BY id", Vec::new()).await? {
        let (id, check): (i64, [u8; 32]) = (row.take()?, row.take()?);
        known.push((id, check));
    }
    for (id, check) in &known {
        let given = checks.iter().find(|(given, _)| i64::from(*given) == *id);
        if given.is_none_or(|(_, given)| given != check) {
            connection.roll_back().await?;
            return Err(StoreError::Configuration(format!(
                "the database was made with another master key {id}: put that key's line back into the master key"
            )));
        }
    }
    for (id, check) in checks {
        if !known.iter().any(|(known, _)| *known == i64::from(*id)) {
            let sql = "INSERT INTO master_key (id, key_check) VALUES ($1, $2)";
            connection.execute(sql, vec![i64::from(*id).into(), (*check).into()]).await?;
        }
    }
    connection.commit().await
}
