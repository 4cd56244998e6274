//! A batch of events, written in one transaction: look up, plan, write.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use upswing_domain::{
    AgentId, ConsentRule, DecisionId, ExecutionId, FeedbackId, FeedbackSource, FeedbackType, OrganisationId,
    Origin, Position, Pseudonym, Purpose, Reward, Timestamp,
};
use uuid::Uuid;

use super::plan::{
    AuthorFacts, AuthorKey, DecisionFacts, ExecutionFacts, FeedbackFacts, Key, Known, OutcomeFacts, Plan,
    Rows, ShadowFacts, ShadowKey, SignalFacts, TextKey, group_key, period_of,
};
use super::read::{assignment, context_of};
use super::remembered::Remembered;
use super::rows;
use crate::engine::{Connection, Lookup, tables};
use crate::recent::Lately;
use crate::value::{Row, Value};
use crate::{Ack, ContentHash, Event, StoreError};

/// An event on its way to the disk.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) organisation: OrganisationId,
    pub(crate) now: Timestamp,
    pub(crate) event: Event,
    /// When this process made the event's id, where it did: nobody had known it before.
    pub(crate) minted: Option<Instant>,
}

pub(super) type Keys<T> = BTreeSet<(OrganisationId, T)>;

/// What has to be looked up for a batch.
#[derive(Clone, PartialEq, Default)]
pub(super) struct Wanted {
    pub(super) decisions: Keys<DecisionId>,
    pub(super) executions: Keys<ExecutionId>,
    shadows: BTreeSet<ShadowKey>,
    /// With the execution that it is about.
    pub(super) feedback: BTreeMap<Key<FeedbackId>, Option<ExecutionId>>,
    pub(super) arrivals: Keys<Uuid>,
    pub(super) agents: Keys<AgentId>,
    people: Keys<Pseudonym>,
    authors: BTreeSet<AuthorKey>,
    trusted: BTreeSet<(OrganisationId, AgentId, Pseudonym)>,
    texts: BTreeSet<TextKey>,
    /// When this process made ids that nobody had known before.
    pub(super) minted: BTreeMap<Key<Uuid>, Instant>,
}

impl Wanted {
    fn by(items: &[Item]) -> Self {
        let mut wanted = Self::default();
        for Item { organisation, now, event, minted } in items {
            let o = *organisation;
            match event {
                // Nobody waits for a decision's acknowledgement: one that is there already is passed over by the
                // insert itself. Only what may wait for it has to be known.
                Event::Decision(d) => {
                    wanted.arrivals.insert((o, d.id.0));
                    wanted.minted.extend(minted.map(|at| ((o, d.id.0), at)));
                    // A unit that was exposed is counted: twice the same is to be known for it.
                    wanted.decisions.extend(d.assignment.map(|_| (o, d.id)));
                }
                Event::Execution { execution, restore, .. } => {
                    wanted.executions.insert((o, execution.id));
                    wanted.decisions.insert((o, DecisionId(execution.id.0)));
                    wanted.decisions.extend(execution.decision.map(|d| (o, d)));
                    wanted.restore(o, restore.as_ref());
                    wanted.arrivals.insert((o, execution.id.0));
                    wanted.agents.insert((o, execution.agent));
                    wanted.people.extend(execution.subject.map(|person| (o, person)));
                }
                Event::Shadow { shadow, .. } => {
                    wanted.shadows.insert((o, shadow.rollout, shadow.decision));
                    wanted.people.extend(shadow.subject.map(|person| (o, person)));
                }
                Event::Feedback { feedback, restore, defence, .. } => {
                    wanted.people.extend(feedback.author.map(|person| (o, person)));
                    if feedback.source == FeedbackSource::User {
                        wanted.trusted.extend(feedback.author.map(|person| (o, feedback.agent, person)));
                    }
                    if let Some(defence) = defence {
                        let period = period_of(*now);
                        wanted
                            .authors
                            .extend(feedback.author.map(|person| (o, feedback.agent, person, period)));
                        let bands = defence.text.iter().flat_map(|text| &text.bands);
                        wanted.texts.extend(bands.map(|band| (o, feedback.agent, period, *band)));
                    }
                    let about = feedback.target.execution();
                    let known = wanted.feedback.entry((o, feedback.id)).or_insert(about);
                    // What is said of two things under one id has to be asked for.
                    *known = about.filter(|_| *known == about);
                    if let Some(execution) = about {
                        wanted.executions.insert((o, execution));
                        wanted.decisions.insert((o, DecisionId(execution.0)));
                    }
                    wanted.restore(o, restore.as_ref());
                    wanted.agents.insert((o, feedback.agent));
                }
            }
        }
        wanted
    }

    /// Whether nothing has to be looked up.
    fn is_nothing(&self) -> bool {
        let Self { decisions, executions, shadows, feedback, arrivals, agents, people, .. } = self;
        let Self { authors, trusted, texts, .. } = self;
        decisions.is_empty()
            && executions.is_empty()
            && shadows.is_empty()
            && feedback.is_empty()
            && arrivals.is_empty()
            && agents.is_empty()
            && people.is_empty()
            && authors.is_empty()
            && trusted.is_empty()
            && texts.is_empty()
    }

    /// What to ask, by which keys, and how an answer is read.
    fn lookups(&self) -> Vec<(&'static Lookup, Vec<Vec<Value>>, Learn)> {
        let authors = self.authors.iter().map(|&(o, a, p, d)| vec![o.into(), a.into(), p.into(), d.into()]);
        let texts = self.texts.iter().map(|&(o, a, d, b)| vec![o.into(), a.into(), d.into(), b.into()]);
        let trusted = self.trusted.iter().map(|&(o, a, p)| vec![o.into(), a.into(), p.into()]);
        let shadows = self.shadows.iter().map(|&(o, r, d)| vec![o.into(), r.into(), d.into()]);
        let feedback = self.feedback.keys().map(|&(o, id)| vec![o.into(), id.into()]);
        // Of what has an execution's id the decision is among what is known about it.
        let others = |&&(o, id): &&Key<DecisionId>| !self.executions.contains(&(o, ExecutionId(id.0)));
        let decisions: Keys<DecisionId> = self.decisions.iter().filter(others).copied().collect();
        let lookups: [(&'static Lookup, Vec<Vec<Value>>, Learn); 10] = [
            (&tables::DECISION_FACTS, keys(&decisions), learn_decision),
            (&tables::ABOUT_EXECUTIONS, keys(&self.executions), learn_about_execution),
            (&tables::SHADOW_FACTS, shadows.collect(), learn_shadow),
            (&tables::FEEDBACK_FACTS, feedback.collect(), learn_feedback),
            (&tables::AWAITING_EXECUTIONS, keys(&self.arrivals), learn_awaiting),
            (&tables::AGENT_DEFINITION, keys(&self.agents), learn_definition),
            (&tables::CONSENT_FACTS, keys(&self.people), learn_consent),
            (&tables::AUTHOR_FACTS, authors.collect(), learn_author),
            (&tables::AUTHOR_TRUSTED, trusted.collect(), learn_trusted),
            (&tables::TEXT_FACTS, texts.collect(), learn_text),
        ];
        lookups.into_iter().filter(|(_, keys, _)| !keys.is_empty()).collect()
    }

    fn restore(&mut self, organisation: OrganisationId, decision: Option<&upswing_domain::Decision>) {
        if let Some(decision) = decision {
            self.decisions.insert((organisation, decision.id));
            self.arrivals.insert((organisation, decision.id.0));
        }
    }
}

pub(super) fn keys<T: Copy + Into<Value>>(wanted: &Keys<T>) -> Vec<Vec<Value>> {
    wanted.iter().map(|&(o, id)| vec![o.into(), id.into()]).collect()
}

/// What came of a batch.
pub(crate) struct Written {
    /// For each event what came of it.
    pub(crate) acks: Vec<Ack>,
    /// What followers will read of it.
    pub(crate) lately: Vec<Lately>,
    /// Whether nothing had to be looked up for it.
    pub(crate) by_heart: bool,
}

/// A batch on its way to the disk.
struct Batch<'a> {
    items: &'a [Item],
    organisations: Vec<OrganisationId>,
    wanted: &'a Wanted,
    content_hash: &'a ContentHash,
    consent: ConsentRule,
}

/// Writes a batch in one transaction that has not begun. On `Err` nothing was written, or (a lost connection) all of it
/// may have been: writing the same batch again is safe, since every event is known by its id.
pub(crate) async fn write_batch(
    connection: &mut Connection,
    remembered: &mut Remembered,
    content_hash: &ContentHash,
    consent: ConsentRule,
    items: &[Item],
) -> Result<Written, StoreError> {
    let organisations: BTreeSet<_> = items.iter().map(|item| item.organisation).collect();
    let organisations: Vec<_> = organisations.into_iter().collect();
    let wanted = Wanted::by(items);
    let batch = Batch { items, organisations, wanted: &wanted, content_hash, consent };
    loop {
        let mut known = Known::default();
        let left = remembered.recall(&wanted, &mut known)?;
        let taken_for_new = left.feedback.len() < wanted.feedback.len();
        match batch.write(connection, remembered, known, left).await {
            Ok(Some(written)) => return Ok(written),
            Ok(None) => remembered.forget(&batch.organisations),
            Err(StoreError::Conflict(_)) if taken_for_new => {
                connection.roll_back().await?;
                remembered.be_wary();
            }
            Err(error) => return Err(error),
        }
    }
}

impl Batch<'_> {
    /// Looks up what is left to be asked for, plans, and writes. `None` where the plan was made from memory, and somebody else
    /// has written since: nothing was written, and what is remembered does not hold.
    async fn write(
        &self,
        connection: &mut Connection,
        remembered: &mut Remembered,
        mut known: Known,
        left: Wanted,
    ) -> Result<Option<Written>, StoreError> {
        let by_heart = left.is_nothing();
        let at_once =
            (by_heart && connection.writes_at_once()).then(|| remembered.heads(&self.organisations));
        let (heads, begun) = match at_once.flatten() {
            Some(heads) => (heads, false),
            None => (self.look_up(connection, remembered, &mut known, left).await?, true),
        };
        let (definitions, content_hash, consent) =
            (remembered.definitions(), self.content_hash, self.consent);
        let mut plan = Plan { known, rows: Rows::default(), definitions, content_hash, consent };
        plan.rows.heads = heads.into_iter().collect();
        let before = plan.rows.heads.clone();
        let acks: Vec<_> =
            self.items.iter().map(|item| plan.apply(item.organisation, item.now, &item.event)).collect();
        let news = plan.news();
        if plan.rows.heads == before {
            if begun {
                connection.roll_back().await?;
            }
            return Ok(Some(Written { acks, lately: Vec::new(), by_heart }));
        }
        let after = plan.rows.heads.clone();
        let mut events = std::mem::take(&mut plan.rows.recent);
        let changes = remembered.changes(self.wanted, &plan.known);
        let Plan { known, rows, .. } = plan;
        if !write(connection, (known, rows), (!begun).then_some(&before)).await? {
            return Ok(None);
        }
        remembered.note(&after, changes);
        connection.push_news(news);
        let lately = before.into_iter().map(|(organisation, from)| Lately {
            organisation,
            after: from,
            to: after.get(&organisation).copied().unwrap_or(from),
            events: events.remove(&organisation).unwrap_or_default(),
        });
        Ok(Some(Written { acks, lately: lately.collect(), by_heart }))
    }

    /// Begins the transaction and asks for what is left; where the heads stand.
    async fn look_up(
        &self,
        connection: &mut Connection,
        remembered: &mut Remembered,
        known: &mut Known,
        left: Wanted,
    ) -> Result<Vec<(OrganisationId, Position)>, StoreError> {
        let mut so_far = &left;
        let asked = left.lookups();
        let lookups: Vec<_> = asked.iter().map(|(lookup, keys, _)| (*lookup, keys.clone())).collect();
        let (heads, answers) = connection.begin_batch(&self.organisations, &lookups).await?;
        let mut learnt = asked.into_iter().map(|(_, _, learn)| learn).zip(answers).collect::<Vec<_>>();
        if !remembered.stand(&heads) && left != *self.wanted {
            // What was recalled does not hold. The heads are taken now: nobody else writes until this is done.
            (*known, learnt, so_far) = (Known::default(), Vec::new(), self.wanted);
            for (lookup, keys, learn) in self.wanted.lookups() {
                learnt.push((learn, connection.look_up(lookup, keys).await?));
            }
        }
        for (learn, answer) in learnt {
            for row in answer {
                learn(known, row)?;
            }
        }
        complete(connection, known, self.wanted, so_far).await?;
        remembered.definitions_mut().refresh(connection, &known.definitions).await?;
        Ok(heads)
    }
}

/// What only the first answers could ask for: feedback of executions that have some, and everything about executions
/// that waited for something in this batch.
async fn complete(
    connection: &mut Connection,
    known: &mut Known,
    wanted: &Wanted,
    asked: &Wanted,
) -> Result<(), StoreError> {
    // Where an execution is known and has no outcome, there is no feedback yet that could come again.
    let heard = |organisation: OrganisationId, id: ExecutionId| {
        let comes = known.executions.contains_key(&(organisation, id))
            || known.decisions.contains_key(&(organisation, DecisionId(id.0)));
        !comes || known.outcomes.contains_key(&(organisation, id))
    };
    let feedback = wanted.feedback.iter().filter(|(key, _)| !asked.feedback.contains_key(*key));
    let feedback = feedback.filter(|(key, about)| about.is_none_or(|execution| heard(key.0, execution)));
    let feedback: Keys<FeedbackId> = feedback.map(|(key, _)| *key).collect();
    for row in connection.look_up(&tables::FEEDBACK_FACTS, keys(&feedback)).await? {
        learn_feedback(known, row)?;
    }
    let mut decisions: Keys<DecisionId> = Keys::new();
    let waiting: Keys<ExecutionId> =
        known.awaiting.iter().flat_map(|(&(o, _), ids)| ids.iter().map(move |&id| (o, id))).collect();
    let missing: Keys<ExecutionId> = waiting.difference(&wanted.executions).copied().collect();
    for row in connection.look_up(&tables::ABOUT_EXECUTIONS, keys(&missing)).await? {
        learn_about_execution(known, row)?;
    }
    // An execution that was stored before names the decision that its feedback needs.
    decisions.extend(known.executions.iter().filter_map(|(&(o, _), e)| e.decision.map(|d| (o, d))));
    decisions.extend(waiting.iter().map(|&(o, e)| (o, DecisionId(e.0))));
    // Some were looked up and not found, some are known by heart.
    let there =
        |key: &&Key<DecisionId>| wanted.decisions.contains(*key) || known.decisions.contains_key(*key);
    let missing: Keys<DecisionId> = decisions.iter().filter(|key| !there(key)).copied().collect();
    for row in connection.look_up(&tables::DECISION_FACTS, keys(&missing)).await? {
        learn_decision(known, row)?;
    }
    let counts: BTreeSet<TextKey> = known
        .texts
        .iter()
        .flat_map(|(&(o, agent, period, _), groups)| {
            groups.keys().map(move |of| (o, agent, period, group_key(of)))
        })
        .filter(|key| !known.texts.contains_key(key))
        .collect();
    let counts = counts.iter().map(|&(o, a, d, b)| vec![o.into(), a.into(), d.into(), b.into()]).collect();
    for row in connection.look_up(&tables::TEXT_FACTS, counts).await? {
        learn_text(known, row)?;
    }
    let mut with_feedback: Keys<ExecutionId> = known.outcomes.keys().copied().collect();
    with_feedback.extend(&waiting);
    for row in connection.look_up(&tables::FEEDBACK_SIGNALS, keys(&with_feedback)).await? {
        let (key, facts) = signal_facts(row)?;
        known.signals.entry(key).or_default().push(facts);
    }
    let agents = known.executions.iter().map(|(&(o, _), e)| (o, e.agent));
    let agents = agents.chain(known.decisions.iter().map(|(&(o, _), d)| (o, d.agent)));
    let agents: Keys<AgentId> = agents.filter(|key| !wanted.agents.contains(key)).collect();
    if !waiting.is_empty() {
        for row in connection.look_up(&tables::AGENT_DEFINITION, keys(&agents)).await? {
            learn_definition(known, row)?;
        }
    }
    Ok(())
}

/// Writes a plan's rows and commits: in the transaction that has begun, or in one of its own if all heads stand `at` these
/// positions. Whether they did.
async fn write(
    connection: &mut Connection,
    (known, rows): (Known, Rows),
    at: Option<&BTreeMap<OrganisationId, Position>>,
) -> Result<bool, StoreError> {
    let stored = |key: &&Key<ExecutionId>| known.outcomes.get(*key).is_some_and(|outcome| outcome.stored);
    let (again, first): (Vec<_>, Vec<_>) = rows.outcomes.iter().partition(stored);
    let outcomes =
        |keys: Vec<&Key<ExecutionId>>| keys.into_iter().filter_map(|key| outcome_row(&known, key)).collect();
    let author = |key: &AuthorKey| {
        let AuthorFacts { counted, received } = *known.authors.get(key)?;
        let &(o, agent, author, period) = key;
        Some(vec![o.into(), agent.into(), author.into(), period.into(), counted.into(), received.into()])
    };
    let text = |(key, of): &(TextKey, Vec<u8>)| {
        let copies = *known.texts.get(key)?.get(of)?;
        let &(o, agent, period, band) = key;
        Some(vec![o.into(), agent.into(), period.into(), band.into(), of.clone().into(), copies.into()])
    };
    // What still waits for the same id (an execution came, its decision of that id did not) stays.
    let still = |o, awaited| {
        let (first, last) = (ExecutionId(Uuid::nil()), ExecutionId(Uuid::max()));
        rows.awaiting.range((o, awaited, first)..=(o, awaited, last)).next().is_some()
    };
    let arrived = rows.arrived.iter().filter(|&&(o, awaited)| !still(o, awaited));
    let arrived = arrived.map(|&(o, awaited)| vec![o.into(), awaited.into()]);
    let mut writes = vec![
        (&*tables::ARRIVED, arrived.collect()),
        (&*tables::DECISION, rows.decisions),
        (&*tables::CONTENT, rows.content.into_values().collect()),
        (&*tables::EXECUTION, rows.executions),
        (&*tables::SHADOW_EXECUTION, rows.shadows),
        (&*tables::FEEDBACK, rows.feedback),
        (
            &*tables::AWAITING,
            rows.awaiting.iter().map(|&(o, a, e)| vec![o.into(), a.into(), e.into()]).collect(),
        ),
        (&*tables::FIRST_OUTCOME, outcomes(first)),
        (&*tables::OUTCOME, outcomes(again)),
        (&*tables::LEDGER, rows.ledger),
        (
            &*tables::AGENT_HEAD,
            rows.agent_heads.iter().map(|(&(o, a), &p)| vec![o.into(), a.into(), p.into()]).collect(),
        ),
        (&*tables::AUTHOR_TOTAL, rows.authors.iter().filter_map(author).collect()),
        (&*tables::TEXT_GROUP, rows.texts.iter().filter_map(text).collect()),
    ];
    let heads = rows.heads;
    // Thousands of small pieces, which those who wait for the commit need not wait for.
    let rest = move || drop(known);
    match at {
        Some(at) => {
            let moves: Vec<_> =
                at.iter().filter_map(|(&o, &from)| Some((o, from, *heads.get(&o)?))).collect();
            connection.write_at(&moves, writes, rest).await
        }
        None => {
            let moved = heads.iter().map(|(&o, &p)| vec![o.into(), p.into()]).collect();
            writes.push((&*tables::STREAM_HEAD, moved));
            connection.write_and_commit(writes, rest).await?;
            Ok(true)
        }
    }
}

/// An execution's outcome as it is known now.
pub(super) fn outcome_row(known: &Known, key: &(OrganisationId, ExecutionId)) -> Option<Vec<Value>> {
    let o = known.outcomes.get(key)?;
    Some(vec![
        key.0.into(),
        key.1.into(),
        o.agent.into(),
        o.reward.map(Reward::millionths).into(),
        o.definition_version.into(),
        o.first_position.into(),
        o.token_uses.into(),
    ])
}

/// How a row of an answer is read.
type Learn = fn(&mut Known, Row) -> Result<(), StoreError>;

pub(super) fn learn_definition(known: &mut Known, mut row: Row) -> Result<(), StoreError> {
    known.definitions.push((row.take()?, row.take()?, row.take()?));
    Ok(())
}

pub(super) fn learn_decision(known: &mut Known, mut row: Row) -> Result<(), StoreError> {
    let key = (row.take()?, row.take()?);
    let _position: i64 = row.take()?;
    let agent = row.take()?;
    known.decisions.insert(key, decision_facts(agent, &mut row)?);
    Ok(())
}

pub(super) fn learn_execution(known: &mut Known, mut row: Row) -> Result<(), StoreError> {
    let key = (row.take()?, row.take()?);
    let position = row.take()?;
    known.executions.insert(key, execution_facts(position, &mut row)?);
    Ok(())
}

/// Reads a row of `ABOUT_EXECUTIONS`.
pub(super) fn learn_about_execution(known: &mut Known, mut row: Row) -> Result<(), StoreError> {
    let (organisation, id): (OrganisationId, Uuid) = (row.take()?, row.take()?);
    match row.take::<Option<AgentId>>()? {
        Some(agent) => {
            let facts = decision_facts(agent, &mut row)?;
            known.decisions.insert((organisation, DecisionId(id)), facts);
        }
        None => row.skip(9),
    }
    match row.take::<Option<Position>>()? {
        Some(position) => {
            let facts = execution_facts(position, &mut row)?;
            known.executions.insert((organisation, ExecutionId(id)), facts);
        }
        None => row.skip(7),
    }
    if let Some(agent) = row.take::<Option<AgentId>>()? {
        known.outcomes.insert((organisation, ExecutionId(id)), outcome_facts(agent, &mut row)?);
    }
    Ok(())
}

fn decision_facts(agent: AgentId, row: &mut Row) -> Result<DecisionFacts, StoreError> {
    Ok(DecisionFacts {
        agent,
        version: row.take()?,
        origin: rows::named("origin", &row.take::<String>()?, Origin::named)?,
        propensity: row.take()?,
        decided_at: row.take()?,
        context: context_of(row.take()?)?.map(Arc::new),
        assignment: assignment(row)?,
    })
}

fn execution_facts(position: Position, row: &mut Row) -> Result<ExecutionFacts, StoreError> {
    Ok(ExecutionFacts {
        position,
        agent: row.take()?,
        decision: row.take()?,
        version: row.take()?,
        origin: rows::named("origin", &row.take::<String>()?, Origin::named)?,
        occurred_at: row.take()?,
        context: context_of(row.take()?)?.map(Arc::new),
        fingerprint: row.take()?,
    })
}

fn outcome_facts(agent: AgentId, row: &mut Row) -> Result<OutcomeFacts, StoreError> {
    Ok(OutcomeFacts {
        agent,
        reward: row.take()?,
        definition_version: row.take()?,
        first_position: row.take()?,
        token_uses: row.take()?,
        stored: true,
    })
}

fn learn_shadow(known: &mut Known, mut row: Row) -> Result<(), StoreError> {
    let key = (row.take()?, row.take()?, row.take()?);
    let facts = ShadowFacts { position: row.take()?, fingerprint: row.take()? };
    known.shadows.insert(key, facts);
    Ok(())
}

fn learn_feedback(known: &mut Known, mut row: Row) -> Result<(), StoreError> {
    let key = (row.take()?, row.take()?);
    let facts = FeedbackFacts { position: row.take()?, execution: row.take()?, fingerprint: row.take()? };
    known.feedback.insert(key, facts);
    Ok(())
}

fn learn_consent(known: &mut Known, mut row: Row) -> Result<(), StoreError> {
    let (organisation, person) = (row.take()?, row.take()?);
    let purpose = rows::named("purpose", &row.take::<String>()?, Purpose::named)?;
    // Oldest first: the latest stays.
    known.consents.insert((organisation, person, purpose), row.take()?);
    Ok(())
}

fn learn_author(known: &mut Known, mut row: Row) -> Result<(), StoreError> {
    let key = (row.take()?, row.take()?, row.take()?, row.take()?);
    known.authors.insert(key, AuthorFacts { counted: row.take()?, received: row.take()? });
    Ok(())
}

fn learn_trusted(known: &mut Known, mut row: Row) -> Result<(), StoreError> {
    let key = (row.take()?, row.take()?, row.take()?);
    if row.take()? {
        known.distrusted.insert(key);
    }
    Ok(())
}

fn learn_text(known: &mut Known, mut row: Row) -> Result<(), StoreError> {
    let key = (row.take()?, row.take()?, row.take()?, row.take()?);
    known.texts.entry(key).or_default().insert(row.take()?, row.take()?);
    Ok(())
}

fn learn_awaiting(known: &mut Known, mut row: Row) -> Result<(), StoreError> {
    let key = (row.take()?, row.take()?);
    known.awaiting.entry(key).or_default().insert(row.take()?);
    Ok(())
}

/// Reads a row of `FEEDBACK_SIGNALS`.
pub(super) fn signal_facts(mut row: Row) -> Result<((OrganisationId, ExecutionId), SignalFacts), StoreError> {
    let (key, _, facts) = signal(&mut row)?;
    Ok((key, facts))
}

/// Reads what `FEEDBACK_SIGNALS` and `AUTHOR_SIGNALS` have in common.
pub(super) fn signal(row: &mut Row) -> Result<(Key<ExecutionId>, Position, SignalFacts), StoreError> {
    let key = (row.take()?, row.take()?);
    let position = row.take()?;
    let facts = SignalFacts {
        id: row.take()?,
        feedback_type: rows::named("feedback_type", &row.take::<String>()?, FeedbackType::named)?,
        source: rows::named("source", &row.take::<String>()?, FeedbackSource::named)?,
        rating: rows::rating(row.take()?)?,
        metrics: Arc::new(rows::metrics(row.take()?)?),
        standing: rows::standing(row.take()?)?,
    };
    Ok((key, position, facts))
}
