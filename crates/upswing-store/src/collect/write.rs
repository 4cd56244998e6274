//! A batch of events, written in one transaction: look up what is not remembered, plan, write.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use upswing_domain::{AgentId, ConsentRule, DecisionId, ExecutionId, OrganisationId, Position};
use uuid::Uuid;

use super::facts::{
    Learn, learn_agent_definition, learn_decision, learn_execution, learn_reward, learn_signal, learn_text,
};
use super::plan::{AuthorFacts, AuthorKey, Key, Known, Plan, Rows, TextKey, group_key};
use super::remembered::Remembered;
use super::wanted::{Item, Keys, Wanted, keys};
use crate::engine::{Connection, Question, tables};
use crate::recent::Lately;
use crate::value::Row;
use crate::{Ack, ContentHash, News, StoreError};

/// What holds for everything that is written.
pub(crate) struct Rules {
    pub(crate) content_hash: Arc<ContentHash>,
    pub(crate) consent: ConsentRule,
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

/// A batch before it is written: planned by heart, event by event, for as long as that will do.
pub(crate) struct Draft {
    wanted: Wanted,
    /// Until something has to be looked up.
    planned: Option<Planned>,
    /// What of [`Remembered::forgotten`] it was planned under: after others it has to be planned again.
    under: u64,
}

/// Events that were planned.
#[derive(Default)]
struct Planned {
    known: Known,
    rows: Rows,
    /// Where the heads stood before.
    from: BTreeMap<OrganisationId, Position>,
    acks: Vec<Ack>,
    /// Whether something was looked up for it.
    asked: bool,
}

impl Draft {
    /// Nothing yet.
    pub(crate) fn new(remembered: &Remembered) -> Self {
        let planned = Some(Planned::default());
        Self { wanted: Wanted::default(), planned, under: remembered.forgotten() }
    }

    fn of(items: &[Item], remembered: &Remembered, rules: &Rules) -> Self {
        let mut draft = Self::new(remembered);
        items.iter().for_each(|item| draft.add(item, remembered, rules));
        draft
    }

    /// Whether nothing has to be looked up so far.
    pub(crate) fn is_by_heart(&self) -> bool {
        self.planned.is_some()
    }

    /// Plans one more event.
    pub(crate) fn add(&mut self, item: &Item, remembered: &Remembered, rules: &Rules) {
        self.wanted.add(item);
        if self.under != remembered.forgotten() {
            self.planned = None;
        }
        if let Some(planned) = &mut self.planned
            && planned.add(item, &self.wanted, remembered, rules).is_none()
        {
            self.planned = None;
        }
    }
}

impl Planned {
    /// Plans one more event; `None` where something has to be looked up for it.
    fn add(&mut self, item: &Item, all: &Wanted, remembered: &Remembered, rules: &Rules) -> Option<()> {
        if !remembered.tell(item, &mut self.known) {
            let left = remembered.recall(&Wanted::of(item), &all.minted, &mut self.known).ok()?;
            if !left.is_nothing() {
                return None;
            }
        }
        if let Entry::Vacant(vacant) = self.from.entry(item.organisation) {
            let head = *vacant.insert(remembered.head(item.organisation)?);
            self.rows.heads.insert(item.organisation, head);
        }
        self.apply(item, remembered, rules);
        Some(())
    }

    fn apply(&mut self, item: &Item, remembered: &Remembered, rules: &Rules) {
        let mut plan = Plan {
            known: &mut self.known,
            rows: &mut self.rows,
            definitions: remembered.definitions(),
            content_hash: &*rules.content_hash,
            consent: rules.consent,
        };
        self.acks.push(plan.apply(item.organisation, item.now, &item.event));
    }

    /// Looks up what is not remembered, without a lock: it holds if the heads stand where they are remembered to when it is
    /// written. `None` where that is not worth a try, or would not tell.
    async fn ask(
        connection: &mut Connection,
        remembered: &mut Remembered,
        (items, wanted, organisations): (&[Item], &Wanted, &[OrganisationId]),
        rules: &Rules,
    ) -> Result<Option<Self>, StoreError> {
        let heads = organisations.iter().map(|&o| Some((o, remembered.head(o)?)));
        let Some(from) = heads.collect::<Option<BTreeMap<_, _>>>().filter(|_| wanted.moves_heads()) else {
            return Ok(None);
        };
        let mut known = Known::default();
        let left = remembered.recall(wanted, &wanted.minted, &mut known)?;
        let (lookups, learns) = questions(&left);
        let answers = connection.look_up_at_once(organisations, &lookups).await?;
        Self::learn(connection, remembered, (known, from), (wanted, &left), learns.into_iter().zip(answers))
            .await
            .map(|planned| Some(planned.of(items, remembered, rules)))
    }

    /// Everything that has to be looked up for a batch, looked up in a transaction that stays open.
    async fn begin(
        connection: &mut Connection,
        remembered: &mut Remembered,
        (items, wanted, organisations): (&[Item], &Wanted, &[OrganisationId]),
        rules: &Rules,
    ) -> Result<Self, StoreError> {
        let mut known = Known::default();
        let left = remembered.recall(wanted, &wanted.minted, &mut known)?;
        let mut so_far = &left;
        let (lookups, learns) = questions(&left);
        let (heads, answers) = connection.begin_batch(organisations, &lookups).await?;
        let mut learnt = learns.into_iter().zip(answers).collect::<Vec<_>>();
        if !remembered.stand(&heads) && !left.is_all_of(wanted) {
            // What was recalled does not hold. The heads are taken now: nobody else writes until this is done.
            (known, learnt, so_far) = (Known::default(), Vec::new(), wanted);
            for (lookup, keys, learn) in wanted.lookups() {
                learnt.push((learn, connection.look_up(lookup, keys).await?));
            }
        }
        let from = heads.into_iter().collect();
        Self::learn(connection, remembered, (known, from), (wanted, so_far), learnt)
            .await
            .map(|planned| planned.of(items, remembered, rules))
    }

    /// Reads answers, and asks what only they could ask for.
    async fn learn(
        connection: &mut Connection,
        remembered: &mut Remembered,
        (mut known, from): (Known, BTreeMap<OrganisationId, Position>),
        (wanted, asked): (&Wanted, &Wanted),
        answers: impl IntoIterator<Item = (Learn, Vec<Row>)>,
    ) -> Result<Self, StoreError> {
        for (learn, answer) in answers {
            for row in answer {
                learn(&mut known, row)?;
            }
        }
        complete(connection, &mut known, wanted, asked).await?;
        remembered.definitions_mut().refresh(connection, &known.definitions).await?;
        let rows = Rows { heads: from.clone(), ..Rows::default() };
        Ok(Self { known, rows, from, acks: Vec::new(), asked: true })
    }

    fn of(mut self, items: &[Item], remembered: &Remembered, rules: &Rules) -> Self {
        items.iter().for_each(|item| self.apply(item, remembered, rules));
        self
    }

    /// Writes it: in the transaction that has begun, or, where it was planned without one, at once, with something that is done
    /// meanwhile. `None` where somebody else has written, or may have: what it was planned with does not do.
    async fn write(
        self,
        connection: &mut Connection,
        remembered: &mut Remembered,
        wanted: &Wanted,
        meanwhile: Option<&mut dyn Meanwhile>,
    ) -> Result<Option<Written>, StoreError> {
        let Self { known, mut rows, from, acks, asked } = self;
        let by_heart = !asked;
        if rows.heads == from {
            if meanwhile.is_some() {
                // Nothing that is written would tell that somebody else has written since.
                return Ok(None);
            }
            connection.roll_back().await?;
            return Ok(Some(Written { acks, lately: Vec::new(), by_heart }));
        }
        let news = rows.agent_heads.iter().map(|(&(organisation, agent), &position)| News {
            organisation,
            agent,
            position,
        });
        let news: Vec<_> = news.collect();
        let to = rows.heads.clone();
        let mut events = std::mem::take(&mut rows.recent);
        let noted = remembered.note(&to, remembered.changes(wanted, &known));
        let at_once = meanwhile.map(|meanwhile| (&from, meanwhile.work(remembered)));
        let written = write(connection, (known, rows), at_once).await;
        if !matches!(written, Ok(true)) {
            remembered.take_back(&from, noted);
        }
        if !written? {
            return Ok(None);
        }
        connection.push_news(news);
        let lately = from.into_iter().map(|(organisation, from)| Lately {
            organisation,
            after: from,
            to: to.get(&organisation).copied().unwrap_or(from),
            events: events.remove(&organisation).unwrap_or_default(),
        });
        Ok(Some(Written { acks, lately: lately.collect(), by_heart }))
    }
}

/// What is done while the database works on something, which is taken for written.
pub(crate) trait Meanwhile: Send {
    /// Goes on until there is nothing more to do, or is dropped when the database has answered.
    fn work<'a>(&'a mut self, remembered: &'a Remembered) -> BoxFuture<'a, ()>;
}

/// Writes a batch in one transaction that has not begun; `draft` is what was planned of it already. On `Err` nothing was
/// written, or (a lost connection) all of it may have been: writing the same batch again is safe, since every event is known
/// by its id.
pub(crate) async fn write_batch(
    connection: &mut Connection,
    remembered: &mut Remembered,
    rules: &Rules,
    (items, draft): (&[Item], Option<Draft>),
    meanwhile: &mut dyn Meanwhile,
) -> Result<Written, StoreError> {
    let draft = draft.filter(|draft| draft.under == remembered.forgotten());
    let Draft { wanted, planned, .. } = draft.unwrap_or_else(|| Draft::of(items, remembered, rules));
    let organisations: BTreeSet<_> = items.iter().map(|item| item.organisation).collect();
    let organisations: Vec<_> = organisations.into_iter().collect();
    let of = (items, &wanted, &organisations[..]);
    let mut without_lock = match planned {
        Some(planned) => Some(planned),
        None => Planned::ask(connection, remembered, of, rules).await?,
    };
    let mut meanwhile = Some(meanwhile);
    loop {
        let wary = organisations.iter().all(|organisation| remembered.is_wary(*organisation));
        let guessed = without_lock.is_some() || !wary;
        let (planned, meanwhile) = match without_lock.take() {
            Some(planned) => (planned, meanwhile.take()),
            None => (Planned::begin(connection, remembered, of, rules).await?, None),
        };
        match planned.write(connection, remembered, &wanted, meanwhile).await {
            Ok(Some(written)) => return Ok(written),
            Ok(None) => {}
            // Something that was taken for new is not.
            Err(StoreError::Conflict(_)) if guessed => {
                connection.roll_back().await?;
                remembered.be_wary(organisations.iter());
            }
            Err(error) => return Err(error),
        }
    }
}

/// What to ask, and how the answers are read.
fn questions(wanted: &Wanted) -> (Vec<Question<'static>>, Vec<Learn>) {
    wanted.lookups().into_iter().map(|(lookup, keys, learn)| ((lookup, keys), learn)).unzip()
}

/// What only the first answers could ask for: rewards of executions that have feedback, and everything about executions
/// that waited for something in this batch.
async fn complete(
    connection: &mut Connection,
    known: &mut Known,
    wanted: &Wanted,
    asked: &Wanted,
) -> Result<(), StoreError> {
    let mut decisions: Keys<DecisionId> = Keys::new();
    let waiting: Keys<ExecutionId> =
        known.awaiting.iter().flat_map(|(&(o, _), ids)| ids.iter().map(move |&id| (o, id))).collect();
    let missing: Keys<ExecutionId> = waiting.difference(&wanted.executions).copied().collect();
    for row in connection.look_up(&tables::EXECUTION_FACTS, keys(&missing)).await? {
        learn_execution(known, row)?;
    }
    for row in connection.look_up(&tables::FEEDBACK_SIGNALS, keys(&missing)).await? {
        learn_signal(known, row)?;
    }
    let with_feedback = known.signals.keys().copied().collect();
    for row in connection.look_up(&tables::LAST_REWARD, keys(&with_feedback)).await? {
        learn_reward(known, row)?;
    }
    // An execution that was stored before names the decision that its feedback needs.
    decisions.extend(known.executions.iter().filter_map(|(&(o, _), e)| e.decision.map(|d| (o, d))));
    decisions.extend(waiting.iter().map(|&(o, e)| (o, DecisionId(e.0))));
    // Some were looked up, and not found perhaps; some are known by heart.
    let there = |key: &&Key<DecisionId>| asked.decisions.contains(*key) || known.decisions.contains_key(*key);
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
    let agents = known.executions.iter().map(|(&(o, _), e)| (o, e.agent));
    let agents = agents.chain(known.decisions.iter().map(|(&(o, _), d)| (o, d.agent)));
    let agents: Keys<AgentId> = agents.filter(|key| !wanted.agents.contains(key)).collect();
    if !waiting.is_empty() {
        for row in connection.look_up(&tables::AGENT_DEFINITION, keys(&agents)).await? {
            learn_agent_definition(known, row)?;
        }
    }
    Ok(())
}

/// Writes a plan's rows and commits: in the transaction that has begun, or `at_once` in one of its own if all heads stand at
/// these positions. Whether they did.
async fn write(
    connection: &mut Connection,
    (known, rows): (Known, Rows),
    at_once: Option<(&BTreeMap<OrganisationId, Position>, BoxFuture<'_, ()>)>,
) -> Result<bool, StoreError> {
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
    match at_once {
        Some((from, meanwhile)) => {
            let moves: Vec<_> =
                from.iter().filter_map(|(&o, &from)| Some((o, from, *heads.get(&o)?))).collect();
            connection.write_at(&moves, writes, rest, meanwhile).await
        }
        None => {
            let moved = heads.iter().map(|(&o, &p)| vec![o.into(), p.into()]).collect();
            writes.push((&*tables::STREAM_HEAD, moved));
            connection.write_and_commit(writes, rest).await?;
            Ok(true)
        }
    }
}
