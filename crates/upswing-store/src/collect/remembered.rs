//! What the writer remembers between batches, so that a batch need not ask for it: reward definitions, and what was decided or
//! executed and of which nothing has been heard yet.
//!
//! It holds for as long as an organisation's head stands where the last batch left it: whoever writes a decision, an execution
//! or feedback moves the head, and so does a change of a definition. What another server has moved is asked for again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use hashlink::LinkedHashMap;
use upswing_domain::{
    AgentId, Assignment, Context, DecisionId, ExecutionId, OrganisationId, Origin, Position, Timestamp,
    VersionId,
};
use uuid::Uuid;

use super::definition::Definitions;
use super::plan::{DecisionFacts, ExecutionFacts, Key, Known};
use super::read::context_of;
use super::wanted::{Item, Minted, Wanted};
use crate::{Event, Fingerprint, StoreError};

/// How many bytes of what waits for feedback are kept: some 170,000 decisions, or half as many executions. Contexts that are all
/// different take more.
const KEPT: usize = 24 << 20;
/// Among how many different contexts, and kinds of decisions, what is the same again is found.
const SHARED: usize = 1000;
/// For how many batches of an organisation nothing is taken for new, after something turned out not to be.
const WARY: u32 = 100;

/// What is remembered of all organisations. Bounded by the number of agents, and by [`KEPT`].
#[derive(Default)]
pub(crate) struct Remembered {
    heads: HashMap<OrganisationId, Head>,
    definitions: Definitions,
    unheard: LinkedHashMap<Key<Uuid>, Unheard>,
    weight: usize,
    kinds: HashSet<Arc<Kind>>,
    contexts: HashSet<Arc<ContextText>>,
    forgotten: u64,
}

/// Where the last batch left an organisation's head.
struct Head {
    position: Position,
    /// Since when nobody else has moved it.
    since: Instant,
    /// How often somebody else has.
    moves: u64,
    /// Whether somebody else had before the last batch, or that was not written: what is remembered may not do, so it is not
    /// waited for to be found out.
    unsure: bool,
    /// For how many batches nothing is taken for new.
    wary: u32,
}

/// An execution, or a decision that may become one of the same id, before its first feedback.
struct Unheard {
    /// The [`Head::moves`] that it was written under: it says nothing under others.
    moves: u64,
    /// How many bytes it takes, with its key and its place, and without what others have in common with it.
    weight: usize,
    decision: Option<Decided>,
    execution: Option<Box<Executed>>,
}

/// [`DecisionFacts`] of what was followed from, in little room.
struct Decided {
    /// Where it has another id than what followed from it.
    id: Option<Box<DecisionId>>,
    kind: Arc<Kind>,
    propensity: f64,
    decided_at: Timestamp,
    context: Option<Arc<ContextText>>,
    assignment: Option<Box<Assignment>>,
}

/// A context in little room, until it is read: where many have the same, it is read once for all.
struct ContextText {
    text: Box<str>,
    read: OnceLock<Arc<Context>>,
}

impl ContextText {
    fn of(context: &Context) -> Self {
        Self { text: context.to_json().into(), read: OnceLock::new() }
    }

    fn context(&self) -> Result<Arc<Context>, StoreError> {
        if let Some(context) = self.read.get() {
            return Ok(Arc::clone(context));
        }
        let context = Arc::new(Context::from_json(&self.text)?);
        Ok(Arc::clone(self.read.get_or_init(|| context)))
    }
}

impl PartialEq for ContextText {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for ContextText {}

impl Hash for ContextText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

/// What many decisions have in common.
#[derive(PartialEq, Eq, Hash)]
struct Kind {
    agent: AgentId,
    version: VersionId,
    origin: Origin,
}

/// [`ExecutionFacts`], likewise.
struct Executed {
    position: Position,
    agent: AgentId,
    decision: Option<DecisionId>,
    version: Option<VersionId>,
    origin: Origin,
    occurred_at: Timestamp,
    context: Option<Box<str>>,
    fingerprint: Fingerprint,
}

impl Decided {
    fn of(id: Option<DecisionId>, facts: &DecisionFacts) -> Self {
        Self {
            id: id.map(Box::new),
            kind: Arc::new(Kind { agent: facts.agent, version: facts.version, origin: facts.origin }),
            propensity: facts.propensity,
            decided_at: facts.decided_at,
            context: facts.context.as_ref().map(|context| Arc::new(ContextText::of(context))),
            assignment: facts.assignment.map(Box::new),
        }
    }

    /// Its id, where this follows from it.
    fn id(&self, of: Uuid) -> DecisionId {
        self.id.as_deref().copied().unwrap_or(DecisionId(of))
    }

    fn facts(&self) -> Result<DecisionFacts, StoreError> {
        Ok(DecisionFacts {
            agent: self.kind.agent,
            version: self.kind.version,
            origin: self.kind.origin,
            propensity: self.propensity,
            decided_at: self.decided_at,
            context: self.context.as_ref().map(|context| context.context()).transpose()?,
            assignment: self.assignment.as_deref().copied(),
        })
    }
}

impl Executed {
    fn of(facts: &ExecutionFacts) -> Self {
        Self {
            position: facts.position,
            agent: facts.agent,
            decision: facts.decision,
            version: facts.version,
            origin: facts.origin,
            occurred_at: facts.occurred_at,
            context: facts.context.as_ref().map(|context| context.to_json().into_boxed_str()),
            fingerprint: facts.fingerprint,
        }
    }

    fn facts(&self) -> Result<ExecutionFacts, StoreError> {
        Ok(ExecutionFacts {
            position: self.position,
            agent: self.agent,
            decision: self.decision,
            version: self.version,
            origin: self.origin,
            occurred_at: self.occurred_at,
            context: context_of(self.context.as_deref().map(str::to_owned))?.map(Into::into),
            fingerprint: self.fingerprint,
        })
    }
}

impl Unheard {
    /// What is known of an id of which nothing has been heard; `None` where something has, or where what would say what it is
    /// about has not come.
    fn of((organisation, id): Key<Uuid>, moves: u64, known: &Known) -> Option<Self> {
        let key = (organisation, ExecutionId(id));
        if known.signals.contains_key(&key) {
            return None;
        }
        let same = DecisionId(id);
        let execution = known.executions.get(&key);
        let followed = execution.and_then(|execution| execution.decision).unwrap_or(same);
        let decided = known.decisions.get(&(organisation, followed));
        // A decision of the same id beside the one that was followed is what nobody makes.
        let odd = followed != same && known.decisions.contains_key(&(organisation, same));
        let comes = execution.is_some_and(|execution| execution.decision.is_none()) || decided.is_some();
        (comes && !odd).then(|| Self {
            moves,
            weight: 0,
            decision: decided.map(|facts| Decided::of(Some(followed).filter(|id| *id != same), facts)),
            execution: execution.map(|facts| Box::new(Executed::of(facts))),
        })
    }

    /// Tells what is known of it.
    fn tell(&self, (organisation, id): Key<ExecutionId>, known: &mut Known) -> Result<(), StoreError> {
        if let Some(decided) = &self.decision {
            known.decisions.insert((organisation, decided.id(id.0)), decided.facts()?);
        }
        if let Some(execution) = &self.execution {
            known.executions.insert((organisation, id), execution.facts()?);
        }
        Ok(())
    }

    /// Holds in common with others what it can; what it takes beside that is its weight.
    #[expect(clippy::mutable_key_type, reason = "what was read of a context is no part of what it equals")]
    fn share(&mut self, kinds: &mut HashSet<Arc<Kind>>, contexts: &mut HashSet<Arc<ContextText>>) {
        /// What a map and an allocator take for each entry.
        const PLACE: usize = 32;
        self.weight = PLACE + size_of::<(Key<Uuid>, Self)>();
        if let Some(decided) = &mut self.decision {
            shared(kinds, &mut decided.kind);
            if let Some(context) = &mut decided.context
                && shared(contexts, context)
            {
                self.weight += size_of::<ContextText>() + context.text.len();
            }
        }
        if let Some(executed) = &self.execution {
            self.weight +=
                size_of::<Executed>() + executed.context.as_ref().map_or(0, |context| context.len());
        }
    }
}

/// Exchanges something for the same among others; whether there was none.
fn shared<T: Hash + Eq>(among: &mut HashSet<Arc<T>>, one: &mut Arc<T>) -> bool {
    if let Some(same) = among.get(one) {
        *one = Arc::clone(same);
        return false;
    }
    if among.len() >= SHARED {
        among.clear();
    }
    among.insert(Arc::clone(one))
}

impl Remembered {
    /// What is remembered of reward definitions.
    pub(super) fn definitions(&self) -> &Definitions {
        &self.definitions
    }

    /// The same, to be refreshed.
    pub(super) fn definitions_mut(&mut self) -> &mut Definitions {
        &mut self.definitions
    }

    /// Tells what is remembered for what comes most, without a list of what it wants: whether nothing is left to be asked for.
    pub(super) fn tell(&self, item: &Item, known: &mut Known) -> bool {
        let Event::Feedback { feedback, restore: None, defence, .. } = &item.event else { return false };
        let (Some(id), None) = (feedback.target.execution(), feedback.author) else { return false };
        let organisation = item.organisation;
        defence.as_ref().is_none_or(|defence| defence.text.is_none())
            && self.is_current(organisation, feedback.agent)
            && self
                .unheard(organisation, id.0)
                .is_some_and(|unheard| unheard.tell((organisation, id), known).is_ok())
    }

    /// Whether an agent's reward definition is known.
    fn is_current(&self, organisation: OrganisationId, agent: AgentId) -> bool {
        let head = self.heads.get(&organisation);
        head.is_some_and(|head| !head.unsure) && self.definitions.is_current(organisation, agent)
    }

    /// Tells what is remembered of what is wanted, hoping that the heads stand; what has to be asked for is left.
    /// Of what was `minted` just now there is nothing to know.
    pub(super) fn recall(
        &self,
        wanted: &Wanted,
        minted: &Minted,
        known: &mut Known,
    ) -> Result<Wanted, StoreError> {
        let mut left = wanted.beyond_memory();
        left.agents.extend(wanted.agents.iter().filter(|(o, agent)| !self.is_current(*o, *agent)));
        for &(organisation, id) in &wanted.executions {
            match self.unheard(organisation, id.0) {
                Some(unheard) => unheard.tell((organisation, id), known)?,
                None if self.is_new(minted, (organisation, id.0)) => {}
                None => drop(left.executions.insert((organisation, id))),
            }
        }
        for &(organisation, id) in &wanted.decisions {
            let key = (organisation, id);
            let same = ExecutionId(id.0);
            let told = wanted.executions.contains(&(organisation, same))
                && !left.executions.contains(&(organisation, same));
            if told || known.decisions.contains_key(&key) || self.is_new(minted, (organisation, id.0)) {
                continue;
            }
            match self.unheard(organisation, id.0).and_then(|unheard| unheard.decision.as_ref()) {
                Some(decided) if decided.id(id.0) == id => {
                    known.decisions.insert(key, decided.facts()?);
                }
                _ => drop(left.decisions.insert(key)),
            }
        }
        // What came before its decision was settled when that came: nothing waits for what is there.
        left.arrivals.extend(wanted.arrivals.iter().filter(|&&(o, id)| {
            let decided = || known.decisions.contains_key(&(o, DecisionId(id)));
            !(self.is_new(minted, (o, id)) || self.unheard(o, id).is_some() && decided())
        }));
        // What was said of an execution is asked for with the execution. Who gives one id to two statements about several is
        // found out by the table.
        let feedback = wanted.feedback.iter().map(|(&key, &execution)| (key, execution));
        left.feedback.extend(feedback.filter(|((o, _), e)| e.is_none() || self.sure(*o).is_none()));
        Ok(left)
    }

    /// Where a head stands if nobody else has moved it; `None` where that is not worth a try.
    pub(super) fn head(&self, organisation: OrganisationId) -> Option<Position> {
        self.sure(organisation).map(|head| head.position)
    }

    /// How often something turned out not to hold: what was planned before has to be planned again.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Whether all heads stand where the last batch left them. What is remembered of organisations whose heads do not is
    /// forgotten.
    pub(super) fn stand(&mut self, heads: &[(OrganisationId, Position)]) -> bool {
        let mut stand = true;
        for &(organisation, position) in heads {
            match self.heads.get_mut(&organisation) {
                Some(head) if head.position == position => head.unsure = false,
                Some(_) | None => {
                    self.moved(organisation, position);
                    stand = false;
                }
            }
        }
        stand
    }

    /// Forgets everything, as when the database may be another one.
    pub(crate) fn forget_all(&mut self) {
        let organisations: Vec<_> = self.heads.keys().copied().collect();
        for organisation in organisations {
            self.moved(organisation, Position(-1));
        }
    }

    /// Something of these organisations was taken for new that was not.
    pub(super) fn be_wary<'a>(&mut self, organisations: impl Iterator<Item = &'a OrganisationId>) {
        self.forgotten += 1;
        for organisation in organisations {
            if let Some(head) = self.heads.get_mut(organisation) {
                head.wary = WARY;
            }
        }
    }

    /// Whether everything is asked for of an organisation that may not be new.
    pub(super) fn is_wary(&self, organisation: OrganisationId) -> bool {
        self.heads.get(&organisation).is_some_and(|head| head.wary > 0)
    }

    fn moved(&mut self, organisation: OrganisationId, position: Position) {
        self.forgotten += 1;
        let before = self.heads.get(&organisation);
        let (moves, wary) = before.map_or((0, 0), |head| (head.moves + 1, head.wary));
        let head = Head { position, since: Instant::now(), moves, unsure: true, wary };
        self.heads.insert(organisation, head);
        self.definitions.forget(organisation);
    }

    /// Notes what a batch writes, and where it leaves the heads. What [`Remembered::take_back`] needs, should it not be written.
    pub(super) fn note(&mut self, heads: &BTreeMap<OrganisationId, Position>, changes: Changes) -> Noted {
        for (organisation, position) in heads {
            if let Some(head) = self.heads.get_mut(organisation) {
                head.position = *position;
                head.wary = head.wary.saturating_sub(1);
            }
        }
        let noted = changes.0.iter().map(|(key, _)| *key).collect();
        for (key, unheard) in changes.0 {
            self.drop(&key);
            if let Some(mut unheard) = unheard {
                unheard.share(&mut self.kinds, &mut self.contexts);
                self.weight += unheard.weight;
                self.unheard.insert(key, unheard);
            }
        }
        while self.weight > KEPT {
            let Some((_, oldest)) = self.unheard.pop_front() else { break };
            self.weight -= oldest.weight;
        }
        Noted(noted)
    }

    /// What was noted has not been written. Where the heads stand now is seen next.
    pub(super) fn take_back(&mut self, heads: &BTreeMap<OrganisationId, Position>, Noted(keys): Noted) {
        self.forgotten += 1;
        for (organisation, position) in heads {
            if let Some(head) = self.heads.get_mut(organisation) {
                head.position = *position;
                head.unsure = true;
            }
        }
        keys.iter().for_each(|key| self.drop(key));
    }

    fn drop(&mut self, key: &Key<Uuid>) {
        if let Some(before) = self.unheard.remove(key) {
            self.weight -= before.weight;
        }
    }

    /// What a planned batch will have changed of what is remembered, once it is written.
    pub(super) fn changes(&self, wanted: &Wanted, known: &Known) -> Changes {
        let executions = wanted.executions.iter().map(|&(o, id)| (o, id.0));
        // What comes under an id of which more is known than that: a decision after its execution.
        let others = wanted.arrivals.iter().copied();
        let others = others.filter(|&(o, id)| !wanted.executions.contains(&(o, ExecutionId(id))));
        let changes = executions.map(|key| (key, true));
        let changes = changes.chain(others.map(|key| (key, self.is_new(&wanted.minted, key))));
        let changes = changes.filter_map(|(key, known_whole)| {
            let moves = self.heads.get(&key.0)?.moves;
            Some((key, known_whole.then(|| Unheard::of(key, moves, known)).flatten()))
        });
        Changes(changes.collect())
    }

    /// The head of an organisation of which what is remembered will do.
    fn sure(&self, organisation: OrganisationId) -> Option<&Head> {
        self.heads.get(&organisation).filter(|head| !head.unsure && head.wary == 0)
    }

    fn unheard(&self, organisation: OrganisationId, id: Uuid) -> Option<&Unheard> {
        let head = self.sure(organisation)?;
        self.unheard.get(&(organisation, id)).filter(|unheard| unheard.moves == head.moves)
    }

    /// Whether this process made an id while nobody else wrote: there is nothing about it.
    fn is_new(&self, minted: &Minted, key: Key<Uuid>) -> bool {
        self.sure(key.0).zip(minted.get(&key)).is_some_and(|(head, minted)| head.since <= *minted)
    }
}

/// What becomes of ids in memory.
pub(super) struct Changes(Vec<(Key<Uuid>, Option<Unheard>)>);

/// Ids that something was noted of.
pub(super) struct Noted(Vec<Key<Uuid>>);

#[cfg(test)]
mod tests {
    use super::*;

    const ORGANISATION: OrganisationId = OrganisationId(Uuid::from_u128(9));

    fn decide(remembered: &mut Remembered, ids: std::ops::Range<u128>, head: i64) {
        let mut wanted = Wanted::default();
        let mut known = Known::default();
        for id in ids {
            let facts = DecisionFacts {
                agent: AgentId(Uuid::from_u128(1)),
                version: VersionId([1; 32]),
                origin: Origin::Live,
                propensity: 0.5,
                decided_at: Timestamp(0),
                context: None,
                assignment: None,
            };
            known.decisions.insert((ORGANISATION, DecisionId(Uuid::from_u128(id))), facts);
            wanted.arrivals.insert((ORGANISATION, Uuid::from_u128(id)));
            wanted.minted.insert((ORGANISATION, Uuid::from_u128(id)), Instant::now());
        }
        let changes = remembered.changes(&wanted, &known);
        remembered.note(&BTreeMap::from([(ORGANISATION, Position(head))]), changes);
    }

    fn is_remembered(remembered: &Remembered, id: u128) -> bool {
        let mut wanted = Wanted::default();
        wanted.executions.insert((ORGANISATION, ExecutionId(Uuid::from_u128(id))));
        let mut known = Known::default();
        let left = remembered.recall(&wanted, &wanted.minted, &mut known).unwrap();
        assert_eq!(left.executions.is_empty(), !known.decisions.is_empty());
        left.executions.is_empty()
    }

    fn alone() -> Remembered {
        let mut remembered = Remembered::default();
        let head = [(ORGANISATION, Position(1))];
        assert!(!remembered.stand(&head), "where it stands was not known");
        assert!(remembered.stand(&head));
        remembered
    }

    #[test]
    fn what_is_remembered_holds_until_somebody_else_moves_the_head() {
        let mut remembered = alone();
        decide(&mut remembered, 1..3, 3);
        assert!(is_remembered(&remembered, 1) && !is_remembered(&remembered, 3));
        assert!(remembered.stand(&[(ORGANISATION, Position(3))]));
        assert!(!remembered.stand(&[(ORGANISATION, Position(4))]));
        assert_eq!(remembered.head(ORGANISATION), None, "others write: it is asked for");
        assert!(remembered.stand(&[(ORGANISATION, Position(4))]));
        assert!(!is_remembered(&remembered, 1), "the other one may have heard something of it");
        decide(&mut remembered, 5..6, 5);
        assert!(is_remembered(&remembered, 5));
        remembered.be_wary([ORGANISATION].iter());
        assert!(!is_remembered(&remembered, 5));
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_goes_first() {
        let mut remembered = alone();
        for head in 0..220 {
            let first = 1000 * head as u128;
            decide(&mut remembered, first..first + 1000, head);
        }
        assert!(remembered.weight <= KEPT && remembered.weight > KEPT - 1000);
        let room = remembered.unheard.len();
        assert!((100_000..200_000).contains(&room), "{room}");
        assert!(is_remembered(&remembered, 219_999) && !is_remembered(&remembered, 0));
    }
}
