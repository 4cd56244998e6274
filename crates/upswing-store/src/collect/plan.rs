//! What a batch of events changes: pure. Facts that were looked up go in, rows to write come out.
//!
//! The order of the batch is the order of positions. An event sees everything before it in the batch.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use upswing_domain::{
    AgentId, Assignment, ConsentRule, Context, Decision, DecisionId, Enrichment, Execution, ExecutionId,
    Feedback, FeedbackId, FeedbackSource, FeedbackType, OrganisationId, Origin, Position, Pseudonym, Purpose,
    Reward, RolloutId, ShadowExecution, Signal, Standing, Statement, Timestamp, VersionId,
};
use uuid::Uuid;

use super::definition::Definitions;
use super::rows;
use crate::recent::{Executed, RecentEvent, Said, What};
use crate::value::Value;
use crate::{Ack, ContentHash, Defence, Event, Fingerprint, LedgerEntry};

/// What is known of a decision.
#[derive(Debug, Clone)]
pub(super) struct DecisionFacts {
    pub(super) agent: AgentId,
    pub(super) version: VersionId,
    pub(super) origin: Origin,
    pub(super) propensity: f64,
    pub(super) decided_at: Timestamp,
    pub(super) context: Option<Arc<Context>>,
    pub(super) assignment: Option<Assignment>,
}

/// What is known of an execution.
#[derive(Debug, Clone)]
pub(super) struct ExecutionFacts {
    pub(super) position: Position,
    pub(super) agent: AgentId,
    pub(super) decision: Option<DecisionId>,
    pub(super) version: Option<VersionId>,
    pub(super) origin: Origin,
    pub(super) occurred_at: Timestamp,
    pub(super) context: Option<Arc<Context>>,
    pub(super) fingerprint: Fingerprint,
}

/// What is known of a piece of feedback.
#[derive(Debug, Clone)]
pub(super) struct FeedbackFacts {
    pub(super) position: Position,
    pub(super) execution: Option<ExecutionId>,
    pub(super) fingerprint: Fingerprint,
}

/// What is known of an execution beside a decision.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShadowFacts {
    pub(super) position: Position,
    pub(super) fingerprint: Fingerprint,
}

/// An execution's reward, by the last entry that the ledger has of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct RewardFacts {
    pub(super) reward: Option<Reward>,
    pub(super) first_position: Position,
}

/// One piece of feedback as far as rewards are concerned.
#[derive(Debug, Clone)]
pub(crate) struct SignalFacts {
    pub(crate) id: FeedbackId,
    pub(crate) feedback_type: FeedbackType,
    pub(crate) source: FeedbackSource,
    pub(crate) rating: Option<u8>,
    pub(crate) metrics: Arc<BTreeMap<String, f64>>,
    pub(crate) standing: Standing,
    /// Whether it has used the execution's token.
    pub(crate) via_token: bool,
}

impl SignalFacts {
    fn of(feedback: &Feedback, metrics: Arc<BTreeMap<String, f64>>, via_token: bool) -> Self {
        Self {
            id: feedback.id,
            feedback_type: feedback.feedback_type,
            source: feedback.source,
            rating: feedback.rating,
            metrics,
            standing: feedback.standing,
            via_token,
        }
    }

    /// Its signals. A value that lies outside of a later definition's bounds says nothing under that definition.
    fn signals(&self, definition: &upswing_domain::RewardDefinition, into: &mut Vec<Signal>) {
        let Self { feedback_type, source, rating, .. } = *self;
        let statement = Statement { feedback_type, source, rating, metrics: &self.metrics };
        into.extend(statement.signals(definition).filter_map(Result::ok));
    }
}

/// The reward that an execution's feedback, oldest first, gives under a definition.
pub(crate) fn reward_of(
    feedback: &[SignalFacts],
    definition: &upswing_domain::RewardDefinition,
) -> Option<Reward> {
    let mut signals = Vec::new();
    for facts in feedback.iter().filter(|facts| facts.standing == Standing::Counted) {
        facts.signals(definition, &mut signals);
    }
    definition.reward(&signals)
}

/// The reward that one author's statements about an execution, oldest first, give by themselves: what the author says,
/// whether it teaches or not.
pub(super) fn own_reward(
    said: &[SignalFacts],
    definition: &upswing_domain::RewardDefinition,
) -> Option<Reward> {
    let mut signals = Vec::new();
    for facts in said {
        facts.signals(definition, &mut signals);
    }
    definition.reward(&signals)
}

pub(super) type Key<T> = (OrganisationId, T);

/// A rollout's version beside a decision.
pub(super) type ShadowKey = (OrganisationId, RolloutId, DecisionId);
/// An author's statements about an agent within a period.
pub(super) type AuthorKey = (OrganisationId, AgentId, Pseudonym, i64);
/// Texts about an agent within a period under one key.
pub(super) type TextKey = (OrganisationId, AgentId, i64, i64);

/// How much an author has said.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct AuthorFacts {
    pub(super) counted: i64,
    pub(super) received: i64,
}

/// What was looked up for a batch; grows with what the batch itself brings.
#[derive(Default)]
pub(super) struct Known {
    pub(super) decisions: HashMap<Key<DecisionId>, DecisionFacts>,
    pub(super) executions: HashMap<Key<ExecutionId>, ExecutionFacts>,
    pub(super) shadows: HashMap<ShadowKey, ShadowFacts>,
    pub(super) feedback: HashMap<Key<FeedbackId>, FeedbackFacts>,
    /// Of executions that the ledger has an entry of.
    pub(super) rewards: HashMap<Key<ExecutionId>, RewardFacts>,
    pub(super) signals: HashMap<Key<ExecutionId>, Vec<SignalFacts>>,
    pub(super) awaiting: HashMap<Key<Uuid>, BTreeSet<ExecutionId>>,
    /// The latest decision of a person about a purpose.
    pub(super) consents: HashMap<(OrganisationId, Pseudonym, Purpose), bool>,
    pub(super) authors: HashMap<AuthorKey, AuthorFacts>,
    /// Authors who are not believed about an agent.
    pub(super) distrusted: HashSet<(OrganisationId, AgentId, Pseudonym)>,
    /// The groups of texts under a key, by the sketch of their first text. How many copies a group has stands under the
    /// group's own key.
    pub(super) texts: HashMap<TextKey, BTreeMap<Vec<u8>, i64>>,
    /// Which reward definition each agent has now.
    pub(super) definitions: Vec<(OrganisationId, AgentId, i64)>,
}

/// Rows to write, by table.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) decisions: Vec<Vec<Value>>,
    pub(super) content: BTreeMap<Key<[u8; 18]>, Vec<Value>>,
    pub(super) executions: Vec<Vec<Value>>,
    pub(super) shadows: Vec<Vec<Value>>,
    pub(super) feedback: Vec<Vec<Value>>,
    pub(super) awaiting: BTreeSet<(OrganisationId, Uuid, ExecutionId)>,
    pub(super) arrived: BTreeSet<(OrganisationId, Uuid)>,
    /// Entries that do not stand with the feedback that caused them.
    pub(super) ledger: Vec<Vec<Value>>,
    pub(super) agent_heads: BTreeMap<Key<AgentId>, Position>,
    pub(super) authors: BTreeSet<AuthorKey>,
    pub(super) texts: BTreeSet<(TextKey, Vec<u8>)>,
    pub(super) heads: BTreeMap<OrganisationId, Position>,
    /// What followers will read of this, in the order of positions.
    pub(super) recent: BTreeMap<OrganisationId, Vec<RecentEvent>>,
}

/// A batch while it is planned.
pub(super) struct Plan<'a> {
    pub(super) known: &'a mut Known,
    pub(super) rows: &'a mut Rows,
    pub(super) definitions: &'a Definitions,
    pub(super) content_hash: &'a ContentHash,
    pub(super) consent: ConsentRule,
}

/// What a piece of feedback or a ledger entry is about.
struct Target {
    agent: AgentId,
    decision: Option<DecisionId>,
    version: VersionId,
    origin: Origin,
    propensity: f64,
    occurred_at: Timestamp,
    context_source: i64,
    context: Option<Arc<Context>>,
}

/// What came of folding an execution's feedback.
struct Settled {
    reward: Option<Reward>,
    /// What the ledger has to note, where the reward is another one now.
    entry: Option<Entry>,
}

/// An entry of the ledger before it is written.
pub(super) struct Entry {
    pub(super) agent: AgentId,
    pub(super) context_source: i64,
    pub(super) entry: LedgerEntry,
}

/// Why an execution's feedback is folded.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cause {
    /// This was said, or has come to stand otherwise.
    Said(FeedbackId),
    /// What it waited for has come.
    Arrival,
    /// Its agent has another reward definition.
    Definition,
}

/// A piece of feedback with what belongs to its arrival.
struct Received<'a> {
    feedback: &'a Feedback,
    fingerprints: &'a [Fingerprint],
    restore: Option<&'a Decision>,
    token_uses: Option<u32>,
    defence: Option<&'a Defence>,
}

/// The period of 30 days that a time lies in, counted from the epoch.
pub(super) fn period_of(at: Timestamp) -> i64 {
    at.0.div_euclid(30 * 86_400_000_000)
}

/// In how many rows two sketches agree.
fn agreeing(a: &[u8], b: &[u8]) -> usize {
    if a.len() != b.len() {
        return 0;
    }
    a.chunks_exact(2).zip(b.chunks_exact(2)).filter(|(a, b)| a == b).count()
}

/// Under which a group keeps its count.
pub(super) fn group_key(sketch: &[u8]) -> i64 {
    let hash = blake3::hash(sketch);
    hash.as_bytes().first_chunk().map_or(0, |first| i64::from_be_bytes(*first))
}

/// Stands where an execution names no version and followed from no decision.
const UNVERSIONED: VersionId = VersionId([0; 32]);

impl Plan<'_> {
    /// Plans one event.
    pub(super) fn apply(&mut self, organisation: OrganisationId, now: Timestamp, event: &Event) -> Ack {
        match event {
            Event::Decision(decision) => self.decide(organisation, now, decision),
            Event::Execution { execution, fingerprints, restore } => {
                self.execute(organisation, now, execution, fingerprints, restore.as_deref())
            }
            Event::Shadow { shadow, fingerprints } => self.shadow(organisation, now, shadow, fingerprints),
            Event::Feedback { feedback, fingerprints, restore, token_uses, defence } => {
                let feedback = Received {
                    feedback,
                    fingerprints,
                    restore: restore.as_deref(),
                    token_uses: *token_uses,
                    defence: defence.as_ref(),
                };
                self.receive(organisation, now, feedback)
            }
        }
    }

    fn decide(&mut self, organisation: OrganisationId, now: Timestamp, decision: &Decision) -> Ack {
        if self.known.decisions.contains_key(&(organisation, decision.id)) {
            return Ack::Duplicate { position: Position(0), reward: None };
        }
        let position = self.next_position(organisation);
        self.rows.decisions.push(rows::decision(organisation, position, decision));
        let facts = DecisionFacts {
            agent: decision.agent,
            version: decision.version,
            origin: decision.origin,
            propensity: decision.propensity.get(),
            decided_at: decision.decided_at,
            context: decision.context.clone().map(Arc::new),
            assignment: decision.assignment,
        };
        if decision.assignment.is_some() {
            // A unit's exposure is something new, also before anything comes of it.
            self.touch(organisation, decision.agent, position);
            self.note(
                organisation,
                RecentEvent {
                    agent: decision.agent,
                    position,
                    at: decision.decided_at,
                    assignment: decision.assignment,
                    waits: false,
                    what: What::Exposed(facts.context.clone()),
                },
            );
        }
        self.known.decisions.insert((organisation, decision.id), facts);
        self.arrive(organisation, now, decision.id.0);
        Ack::Stored { position, reward: None }
    }

    fn execute(
        &mut self,
        organisation: OrganisationId,
        now: Timestamp,
        execution: &Execution,
        fingerprints: &[Fingerprint],
        restore: Option<&Decision>,
    ) -> Ack {
        let key = (organisation, execution.id);
        if let Some(known) = self.known.executions.get(&key) {
            if !fingerprints.contains(&known.fingerprint) {
                return Ack::Conflict;
            }
            return Ack::Duplicate { position: known.position, reward: self.reward(key) };
        }
        if let Some(refusal) = self.refused(organisation, execution.subject) {
            return refusal;
        }
        if let Some(refusal) = self.restore(organisation, now, restore, execution.agent) {
            return refusal;
        }
        let same = DecisionId(execution.id.0);
        let implied = self.known.decisions.contains_key(&(organisation, same)).then_some(same);
        let decision = execution.decision.or(implied);
        let decided = decision.and_then(|id| self.known.decisions.get(&(organisation, id)));
        if decided.is_some_and(|d| d.agent != execution.agent) {
            return Ack::OtherAgent("the decision belongs to another agent");
        }
        let version = execution.version.or(decided.map(|d| d.version));
        let (assignment, decided_by) = (decided.and_then(|d| d.assignment), decided.is_some());
        // Traffic is what it was decided for, whatever the report of it leaves out.
        let origin = decided.map_or(execution.origin, |d| d.origin);
        let position = self.next_position(organisation);
        let facts = ExecutionFacts {
            position,
            agent: execution.agent,
            decision,
            version,
            origin,
            occurred_at: execution.occurred_at,
            context: execution.context.clone().map(Arc::new),
            fingerprint: fingerprints.first().copied().unwrap_or_default(),
        };
        let input = self.keep(organisation, now, execution.input.as_deref());
        let output = self.keep(organisation, now, execution.output.as_deref());
        let record = self.keep(organisation, now, execution.record.as_ref().map(|r| r.body.as_str()));
        let enrichment = self.keep_enrichment(organisation, now, execution.enrichment.as_ref());
        let content = [input, output, record, enrichment];
        self.rows.executions.push(rows::execution(organisation, now, execution, &facts, content));
        let executed = Executed {
            version,
            context: facts.context.clone(),
            metrics: Arc::new(execution.metrics.clone()),
            failed: execution.error.is_some(),
            occurred_at: execution.occurred_at,
        };
        self.known.executions.insert(key, facts);
        self.touch(organisation, execution.agent, position);
        self.note(
            organisation,
            RecentEvent {
                agent: execution.agent,
                position,
                at: now,
                assignment,
                waits: decision.is_some() && !decided_by,
                what: What::Executed(executed),
            },
        );
        self.arrive(organisation, now, execution.id.0);
        Ack::Stored { position, reward: self.reward(key) }
    }

    /// What ran beside a decision is no execution of the agent's: it settles nothing, and no text of it is kept.
    fn shadow(
        &mut self,
        organisation: OrganisationId,
        now: Timestamp,
        shadow: &ShadowExecution,
        fingerprints: &[Fingerprint],
    ) -> Ack {
        let key = (organisation, shadow.rollout, shadow.decision);
        if let Some(known) = self.known.shadows.get(&key) {
            if !fingerprints.contains(&known.fingerprint) {
                return Ack::Conflict;
            }
            return Ack::Duplicate { position: known.position, reward: None };
        }
        if let Some(refusal) = self.refused(organisation, shadow.subject) {
            return refusal;
        }
        let position = self.next_position(organisation);
        let fingerprint = fingerprints.first().copied().unwrap_or_default();
        let output = shadow.output.as_ref().map(|text| (self.content_hash)(organisation, text.as_bytes()));
        self.rows.shadows.push(rows::shadow(organisation, now, shadow, (position, fingerprint), output));
        self.known.shadows.insert(key, ShadowFacts { position, fingerprint });
        self.touch(organisation, shadow.agent, position);
        Ack::Stored { position, reward: None }
    }

    fn receive(&mut self, organisation: OrganisationId, now: Timestamp, received: Received<'_>) -> Ack {
        let Received { feedback, fingerprints, restore, token_uses, defence } = received;
        let execution = feedback.target.execution();
        if let Some(known) = self.known.feedback.get(&(organisation, feedback.id)) {
            if !fingerprints.contains(&known.fingerprint) || known.execution != execution {
                return Ack::Conflict;
            }
            let reward = execution.and_then(|id| self.reward((organisation, id)));
            return Ack::Duplicate { position: known.position, reward };
        }
        if let Some(refusal) = self.refused(organisation, feedback.author) {
            return refusal;
        }
        if let Some(refusal) = self.restore(organisation, now, restore, feedback.agent) {
            return refusal;
        }
        let agent = execution.and_then(|id| match self.target(organisation, id) {
            Some(t) => Some(t.agent),
            None => self.known.executions.get(&(organisation, id)).map(|e| e.agent),
        });
        if agent.is_some_and(|agent| agent != feedback.agent) {
            return Ack::OtherAgent("the execution belongs to another agent");
        }
        let said = execution.and_then(|id| self.known.signals.get(&(organisation, id)));
        let used = || said.map_or(0, |said| said.iter().filter(|facts| facts.via_token).count());
        if token_uses.is_some_and(|limit| used() as u64 >= u64::from(limit)) {
            return Ack::TokenExhausted;
        }
        let standing = match defence {
            Some(defence) => self.standing(organisation, now, feedback, defence),
            None => feedback.standing,
        };
        let standing = self.believed(organisation, feedback, standing);
        let judged = (standing != feedback.standing).then(|| Feedback { standing, ..feedback.clone() });
        let feedback = judged.as_ref().unwrap_or(feedback);
        let position = self.next_position(organisation);
        let comment = self.keep(organisation, now, feedback.text.as_deref());
        let correction = self.keep(organisation, now, feedback.correction.as_deref());
        let facts = FeedbackFacts {
            position,
            execution,
            fingerprint: fingerprints.first().copied().unwrap_or_default(),
        };
        let via_token = token_uses.is_some();
        let details = self.keep(organisation, now, feedback.details.as_ref().map(|d| d.body.as_str()));
        let enrichment = self.keep_enrichment(organisation, now, feedback.findings.enrichment.as_ref());
        let content = [comment, correction, details, enrichment];
        self.touch(organisation, feedback.agent, position);
        let by_account =
            execution.is_some() && feedback.author.is_some() && feedback.source == FeedbackSource::User;
        let metrics = Arc::new(feedback.metrics.clone());
        let said = Said {
            feedback_type: feedback.feedback_type,
            rating: feedback.rating.map(i64::from),
            metrics: Arc::clone(&metrics),
            counts: feedback.standing == Standing::Counted,
            by_account,
        };
        let assignment = execution.and_then(|id| self.assignment(organisation, id));
        self.note(
            organisation,
            RecentEvent {
                agent: feedback.agent,
                position,
                at: now,
                assignment,
                waits: execution.is_some_and(|id| self.target(organisation, id).is_none()),
                what: What::Said(said),
            },
        );
        // What is about a session or a person is no execution's outcome.
        let settled = execution.and_then(|execution| {
            self.known
                .signals
                .entry((organisation, execution))
                .or_default()
                .push(SignalFacts::of(feedback, metrics, via_token));
            self.settle(organisation, now, execution, position, Cause::Said(feedback.id))
        });
        let (reward, entry) = settled.map_or((None, None), |settled| (settled.reward, settled.entry));
        let row = rows::feedback(organisation, now, feedback, &facts, content, via_token, entry.as_ref());
        self.rows.feedback.push(row);
        self.known.feedback.insert((organisation, feedback.id), facts);
        Ack::Stored { position, reward }
    }

    /// Why a person may not be learned from.
    fn refused(&self, organisation: OrganisationId, person: Option<Pseudonym>) -> Option<Ack> {
        let latest = self.known.consents.get(&(organisation, person?, Purpose::Learning)).copied();
        (!self.consent.allows(latest)).then_some(Ack::NoConsent(Purpose::Learning))
    }

    /// Whether a statement counts, given what its author and others have said today.
    fn standing(
        &mut self,
        organisation: OrganisationId,
        now: Timestamp,
        feedback: &Feedback,
        defence: &Defence,
    ) -> Standing {
        let period = period_of(now);
        let mut standing = feedback.standing;
        if let (Standing::Counted, Some(text)) = (standing, &defence.text) {
            let key = |band: i64| (organisation, feedback.agent, period, band);
            let own: Vec<u8> = text.rows.iter().flat_map(|row| row.to_be_bytes()).collect();
            let groups = text.bands.iter().filter_map(|band| self.known.texts.get(&key(*band)));
            let groups = groups.flat_map(BTreeMap::keys).map(|of| (agreeing(of, &own), of));
            // The nearest group of those there are; of equally near ones the last by name.
            let group = groups.filter(|(rows, _)| *rows >= text.agreeing).max().map(|(_, of)| of.clone());
            let of = group.unwrap_or(own);
            let itself = key(group_key(&of));
            let copies = self.known.texts.entry(itself).or_default().entry(of.clone()).or_default();
            if *copies >= defence.copies {
                standing = Standing::NearDuplicate;
            }
            *copies += 1;
            for band in text.bands.iter().map(|band| key(*band)).filter(|band| *band != itself) {
                self.known.texts.entry(band).or_default().entry(of.clone()).or_default();
                self.rows.texts.insert((band, of.clone()));
            }
            self.rows.texts.insert((itself, of));
        }
        let Some(author) = feedback.author else { return standing };
        let key = (organisation, feedback.agent, author, period);
        let facts = self.known.authors.entry(key).or_default();
        facts.received += 1;
        if standing == Standing::Counted && facts.counted >= defence.author_cap {
            standing = Standing::Capped;
        }
        facts.counted += i64::from(standing == Standing::Counted);
        self.rows.authors.insert(key);
        standing
    }

    /// What would count does not, while its author is not believed. It keeps its place under the caps, so that no more
    /// counts when the author is believed again than would have counted anyway. Experts and programs are vouched for by
    /// their keys.
    fn believed(&self, organisation: OrganisationId, feedback: &Feedback, standing: Standing) -> Standing {
        let Some(author) = feedback.author else { return standing };
        let known = self.known.distrusted.contains(&(organisation, feedback.agent, author));
        match standing {
            Standing::Counted if known && feedback.source == FeedbackSource::User => Standing::Distrusted,
            other => other,
        }
    }

    /// Writes the decision that a token proves, when its record is not there.
    fn restore(
        &mut self,
        organisation: OrganisationId,
        now: Timestamp,
        decision: Option<&Decision>,
        agent: AgentId,
    ) -> Option<Ack> {
        let decision = decision?;
        if decision.agent != agent {
            return Some(Ack::OtherAgent("the token belongs to another agent"));
        }
        self.decide(organisation, now, decision);
        None
    }

    /// What an execution's feedback is about; `None` while the decision or the execution has not come.
    fn target(&self, organisation: OrganisationId, id: ExecutionId) -> Option<Target> {
        let Some(execution) = self.known.executions.get(&(organisation, id)) else {
            let id = DecisionId(id.0);
            let decision = self.known.decisions.get(&(organisation, id))?;
            return Some(Target {
                agent: decision.agent,
                decision: Some(id),
                version: decision.version,
                origin: decision.origin,
                propensity: decision.propensity,
                occurred_at: decision.decided_at,
                context_source: i64::from(decision.context.is_some()),
                context: decision.context.clone(),
            });
        };
        let decided = match execution.decision {
            Some(id) => Some((id, self.known.decisions.get(&(organisation, id))?)),
            None => None,
        };
        let version = execution.version.or(decided.map(|(_, d)| d.version)).unwrap_or(UNVERSIONED);
        // What ran another version than was decided was not the policy's choice and does not teach it.
        let decided = decided.filter(|(_, d)| d.version == version);
        let (context_source, context) = match (decided, &execution.context) {
            (Some((_, d)), _) if d.context.is_some() => (1, d.context.clone()),
            (_, Some(context)) => (2, Some(Arc::clone(context))),
            _ => (0, None),
        };
        Some(Target {
            agent: execution.agent,
            decision: decided.map(|(id, _)| id),
            version,
            origin: decided.map_or(execution.origin, |(_, d)| d.origin),
            propensity: decided.map_or(1.0, |(_, d)| d.propensity),
            occurred_at: execution.occurred_at,
            context_source,
            context,
        })
    }

    /// Folds an execution's feedback again, after some of it has come to stand otherwise or under another definition. A
    /// position is taken only where the reward is another one now. What waits for an execution or a decision settles when
    /// that comes.
    pub(super) fn settle_again(
        &mut self,
        organisation: OrganisationId,
        now: Timestamp,
        id: ExecutionId,
        cause: Cause,
    ) {
        if self.target(organisation, id).is_none() {
            return;
        }
        let head = self.rows.heads.get(&organisation).copied().unwrap_or_default();
        let settled = self.settle(organisation, now, id, Position(head.0 + 1), cause);
        if let Some(entry) = settled.and_then(|settled| settled.entry) {
            let position = self.next_position(organisation);
            self.touch(organisation, entry.agent, position);
            self.rows.ledger.push(rows::entry(organisation, now, &entry));
        }
    }

    /// Folds an execution's feedback into its reward, and says what the ledger has to note of it; `None` while it waits.
    fn settle(
        &mut self,
        organisation: OrganisationId,
        now: Timestamp,
        id: ExecutionId,
        position: Position,
        cause: Cause,
    ) -> Option<Settled> {
        let key = (organisation, id);
        let Some(target) = self.target(organisation, id) else {
            let awaited = self.known.executions.get(&key).and_then(|e| e.decision).map_or(id.0, |d| d.0);
            self.rows.awaiting.insert((organisation, awaited, id));
            self.known.awaiting.entry((organisation, awaited)).or_default().insert(id);
            return None;
        };
        let definition = self.definitions.get(organisation, target.agent)?;
        let feedback = self.known.signals.get(&key).map_or(&[][..], Vec::as_slice);
        let new = reward_of(feedback, &definition.body);
        let cause = match cause {
            Cause::Said(id) => Some(id),
            Cause::Arrival => feedback.last().map(|facts| facts.id),
            Cause::Definition => None,
        };
        let before = self.known.rewards.get(&key).copied();
        let old = before.and_then(|before| before.reward);
        if old == new {
            return Some(Settled { reward: new, entry: None });
        }
        let first = before.map_or(position, |before| before.first_position);
        self.known.rewards.insert(key, RewardFacts { reward: new, first_position: first });
        let entry = LedgerEntry {
            position,
            first_position: first,
            execution: id,
            decision: target.decision,
            version: target.version,
            context: target.context,
            propensity: target.propensity,
            origin: target.origin,
            definition_version: definition.version,
            old,
            new,
            cause,
            occurred_at: target.occurred_at,
        };
        let assignment = self.assignment(organisation, id);
        self.note(
            organisation,
            RecentEvent {
                agent: target.agent,
                position,
                at: now,
                assignment,
                waits: false,
                what: What::Rewarded(entry.clone()),
            },
        );
        let entry = Entry { agent: target.agent, context_source: target.context_source, entry };
        Some(Settled { reward: new, entry: Some(entry) })
    }

    /// An execution's reward now, as far as it is known to have one.
    fn reward(&self, key: Key<ExecutionId>) -> Option<Reward> {
        self.known.rewards.get(&key).and_then(|facts| facts.reward)
    }

    /// Settles the executions that waited for this id.
    fn arrive(&mut self, organisation: OrganisationId, now: Timestamp, id: Uuid) {
        let Some(waiting) = self.known.awaiting.remove(&(organisation, id)) else { return };
        self.rows.arrived.insert((organisation, id));
        self.rows.awaiting.retain(|&(o, awaited, _)| (o, awaited) != (organisation, id));
        for execution in waiting {
            let position = self.next_position(organisation);
            let settled = self.settle(organisation, now, execution, position, Cause::Arrival);
            if let Some(entry) = settled.and_then(|settled| settled.entry) {
                self.rows.ledger.push(rows::entry(organisation, now, &entry));
            }
            if let Some(target) = self.target(organisation, execution) {
                self.touch(organisation, target.agent, position);
            }
        }
    }

    fn keep(&mut self, organisation: OrganisationId, now: Timestamp, text: Option<&str>) -> Option<[u8; 18]> {
        let text = text?;
        let id = (self.content_hash)(organisation, text.as_bytes());
        let row = || vec![organisation.into(), id.into(), text.into(), now.into()];
        self.rows.content.entry((organisation, id)).or_insert_with(row);
        Some(id)
    }

    /// Keywords are words that people wrote: they lie with the texts, and go when those go.
    fn keep_enrichment(
        &mut self,
        organisation: OrganisationId,
        now: Timestamp,
        found: Option<&Enrichment>,
    ) -> Option<[u8; 18]> {
        let text = found.and_then(|found| serde_json::to_string(found).ok());
        self.keep(organisation, now, text.as_deref())
    }

    /// Which experiment an execution belongs to: by the decision it followed, or the one of the same id.
    fn assignment(&self, organisation: OrganisationId, id: ExecutionId) -> Option<Assignment> {
        let executed = self.known.executions.get(&(organisation, id));
        let decision = executed.and_then(|e| e.decision).unwrap_or(DecisionId(id.0));
        self.known.decisions.get(&(organisation, decision))?.assignment
    }

    fn note(&mut self, organisation: OrganisationId, event: RecentEvent) {
        self.rows.recent.entry(organisation).or_default().push(event);
    }

    fn touch(&mut self, organisation: OrganisationId, agent: AgentId, position: Position) {
        self.rows.agent_heads.insert((organisation, agent), position);
    }

    fn next_position(&mut self, organisation: OrganisationId) -> Position {
        let head = self.rows.heads.entry(organisation).or_default();
        head.0 += 1;
        *head
    }
}
