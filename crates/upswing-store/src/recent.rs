//! What this process wrote lately, kept in memory: who follows reads from here what went to the disk a moment ago, and from
//! the database what is older, or was written by another server.
//!
//! An organisation's stretch is whole: it has every event that followers read between two positions. A batch that does not
//! begin where the stretch ends (another server, or a write of another kind, came between) begins a new one.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use upswing_domain::{
    AgentId, Assignment, Context, ContextValue, FeedbackType, OrganisationId, Position, Timestamp, VersionId,
};

use crate::LedgerEntry;

/// How much is kept of all organisations, by [`weight`].
const KEPT: usize = 32_768;

/// How much room an event takes, in some 300 bytes. What it shares with others is counted with each.
fn weight(event: &RecentEvent) -> usize {
    let of_context = |context: &Option<Arc<Context>>| -> usize {
        let values = context.iter().flat_map(|context| context.iter());
        let text = |value: &ContextValue| match value {
            ContextValue::Category(category) => category.len(),
            ContextValue::Flag(_) | ContextValue::Number(_) => 0,
        };
        values.map(|(key, value)| 48 + key.len() + text(value)).sum()
    };
    let of_metrics =
        |metrics: &BTreeMap<String, f64>| -> usize { metrics.keys().map(|key| 40 + key.len()).sum() };
    let bytes = match &event.what {
        What::Exposed(context) => of_context(context),
        What::Executed(executed) => of_context(&executed.context) + of_metrics(&executed.metrics),
        What::Said(said) => of_metrics(&said.metrics),
        What::Rewarded(entry) => of_context(&entry.context),
    };
    1 + bytes / 300
}

/// Something that followers read.
#[derive(Debug, Clone)]
pub(crate) struct RecentEvent {
    pub(crate) agent: AgentId,
    pub(crate) position: Position,
    /// When it was recorded.
    pub(crate) at: Timestamp,
    /// Which experiment it concerns.
    pub(crate) assignment: Option<Assignment>,
    /// Whether what would say so had not come: only the tables know what came of it.
    pub(crate) waits: bool,
    pub(crate) what: What,
}

#[derive(Debug, Clone)]
pub(crate) enum What {
    /// A decision that an experiment made.
    Exposed(Option<Arc<Context>>),
    Executed(Executed),
    Said(Said),
    Rewarded(LedgerEntry),
}

#[derive(Debug, Clone)]
pub(crate) struct Executed {
    pub(crate) version: Option<VersionId>,
    pub(crate) context: Option<Arc<Context>>,
    pub(crate) metrics: Arc<BTreeMap<String, f64>>,
    pub(crate) failed: bool,
    pub(crate) occurred_at: Timestamp,
}

#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) feedback_type: FeedbackType,
    pub(crate) rating: Option<i64>,
    pub(crate) metrics: Arc<BTreeMap<String, f64>>,
    /// Whether it counts.
    pub(crate) counts: bool,
    /// Whether a person with an account said it, of an execution.
    pub(crate) by_account: bool,
}

/// What a batch has written of one organisation.
#[derive(Debug)]
pub(crate) struct Lately {
    pub(crate) organisation: OrganisationId,
    /// It begins after this position.
    pub(crate) after: Position,
    pub(crate) to: Position,
    pub(crate) events: Vec<RecentEvent>,
}

/// Everything between two positions.
struct Stretch {
    after: Position,
    to: Position,
    /// Each with its weight.
    events: VecDeque<(usize, RecentEvent)>,
    weight: usize,
    /// Counts appends of all organisations: the one with the least was quiet the longest.
    touched: u64,
}

#[derive(Default)]
struct Stretches {
    by_organisation: HashMap<OrganisationId, Stretch>,
    weight: usize,
    appends: u64,
}

/// What was written lately, by organisation.
#[derive(Default)]
pub(crate) struct Recent(Mutex<Stretches>);

impl Recent {
    /// Notes what a batch has written between two positions, in the order of positions.
    pub(crate) fn append(&self, lately: Lately) {
        let Lately { organisation, after, to, events } = lately;
        let events: Vec<_> = events.into_iter().map(|event| (weight(&event), event)).collect();
        let added: usize = events.iter().map(|(weight, _)| weight).sum();
        let mut all = self.lock();
        all.appends += 1;
        all.weight += added;
        let touched = all.appends;
        let fresh = || Stretch { after, to: after, events: VecDeque::new(), weight: 0, touched };
        let stretch = all.by_organisation.entry(organisation).or_insert_with(fresh);
        let gone = if stretch.to == after { 0 } else { std::mem::replace(stretch, fresh()).weight };
        stretch.events.extend(events);
        stretch.weight += added;
        stretch.to = to;
        stretch.touched = touched;
        all.weight -= gone;
        all.make_room();
    }

    /// What lies after a position, as far as it has been written, mapped in the order of positions: at most `limit`, none of
    /// one position without the others. Up to where that was everything; `None` where memory does not reach from there to
    /// `target`, and the database has to be asked.
    ///
    /// Complexity: the events of all the organisation's agents after the position.
    pub(crate) fn read<T>(
        &self,
        (organisation, agent): (OrganisationId, AgentId),
        after: Position,
        target: Position,
        limit: usize,
        mut map: impl FnMut(&RecentEvent) -> Option<T>,
    ) -> Option<(Vec<T>, Position)> {
        let all = self.lock();
        let stretch = all.by_organisation.get(&organisation)?;
        if stretch.after > after || stretch.to < target {
            return None;
        }
        let begin = stretch.events.partition_point(|(_, event)| event.position <= after);
        let (mut found, mut last) = (Vec::new(), after);
        for (_, event) in stretch.events.range(begin..).filter(|(_, event)| event.agent == agent) {
            if found.len() >= limit && event.position > last {
                return Some((found, last));
            }
            if let Some(mapped) = map(event) {
                found.push(mapped);
                last = event.position;
            }
        }
        Some((found, stretch.to))
    }

    fn lock(&self) -> MutexGuard<'_, Stretches> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stretches {
    fn make_room(&mut self) {
        while self.weight > KEPT {
            // Of who was quiet the longest, and of the current one last.
            let quiet = self.by_organisation.iter().min_by_key(|(_, stretch)| stretch.touched);
            let Some(id) = quiet.map(|(id, _)| *id) else { return };
            let Some(stretch) = self.by_organisation.get_mut(&id) else { return };
            let Some(oldest) = stretch.events.front().map(|(_, event)| event.position) else {
                self.by_organisation.remove(&id);
                continue;
            };
            // What shares a position goes together: the stretch begins after all of it.
            stretch.after = oldest;
            while let Some((weight, _)) = stretch.events.pop_front_if(|(_, event)| event.position == oldest) {
                stretch.weight -= weight;
                self.weight -= weight;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const AGENT: AgentId = AgentId(Uuid::from_u128(1));
    const KEY: (OrganisationId, AgentId) = (OrganisationId(Uuid::from_u128(9)), AGENT);

    fn event(agent: AgentId, position: i64) -> RecentEvent {
        let what = What::Exposed(None);
        RecentEvent {
            agent,
            position: Position(position),
            at: Timestamp(0),
            assignment: None,
            waits: false,
            what,
        }
    }

    fn append(recent: &Recent, organisation: OrganisationId, after: i64, to: i64) {
        let events = (after + 1..=to).map(|position| event(AGENT, position)).collect();
        recent.append(Lately { organisation, after: Position(after), to: Position(to), events });
    }

    fn read(recent: &Recent, after: i64, target: i64, limit: usize) -> Option<(Vec<i64>, i64)> {
        let found = recent.read(KEY, Position(after), Position(target), limit, |e| Some(e.position.0));
        found.map(|(found, to)| (found, to.0))
    }

    #[test]
    fn what_is_not_all_there_is_left_to_the_database() {
        let recent = Recent::default();
        assert_eq!(read(&recent, 0, 0, 10), None, "nothing was written by this process");
        append(&recent, KEY.0, 5, 8);
        append(&recent, KEY.0, 8, 10);
        assert_eq!(read(&recent, 4, 10, 10), None, "from before the stretch");
        assert_eq!(read(&recent, 5, 11, 10), None, "further than the stretch");
        assert_eq!(read(&recent, 5, 9, 10), Some((vec![6, 7, 8, 9, 10], 10)));
        assert_eq!(read(&recent, 10, 10, 10), Some((vec![], 10)));
        append(&recent, KEY.0, 12, 13);
        assert_eq!(read(&recent, 8, 13, 10), None, "another server wrote 11 and 12");
        assert_eq!(read(&recent, 12, 13, 10), Some((vec![13], 13)));
    }

    #[test]
    fn a_page_ends_between_positions_and_has_one_agents_events() {
        let recent = Recent::default();
        let other = AgentId(Uuid::from_u128(2));
        let events = [(AGENT, 1), (AGENT, 2), (AGENT, 2), (other, 3), (AGENT, 4)];
        let events = events.map(|(agent, position)| event(agent, position)).to_vec();
        recent.append(Lately { organisation: KEY.0, after: Position(0), to: Position(5), events });
        assert_eq!(read(&recent, 0, 5, 2), Some((vec![1, 2, 2], 2)), "both of position 2");
        assert_eq!(read(&recent, 2, 5, 2), Some((vec![4], 5)));
        let odd = |e: &RecentEvent| (e.position.0 % 2 == 1).then_some(e.position.0);
        assert_eq!(recent.read(KEY, Position(0), Position(5), 9, odd), Some((vec![1], Position(5))));
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_goes_first() {
        let recent = Recent::default();
        let most = i64::try_from(KEPT).unwrap();
        let quiet = OrganisationId(Uuid::from_u128(3));
        append(&recent, quiet, 0, 100);
        append(&recent, KEY.0, 0, most - 50);
        assert_eq!(recent.lock().by_organisation[&quiet].after, Position(50), "the oldest of the quiet one");
        append(&recent, KEY.0, most - 50, most + 10);
        assert_eq!(recent.lock().weight, KEPT);
        assert!(!recent.lock().by_organisation.contains_key(&quiet));
        assert_eq!(read(&recent, 9, most + 10, 1), None);
        assert_eq!(read(&recent, 10, most + 10, 1), Some((vec![11], 11)));
        append(&recent, KEY.0, most + 20, most + 21);
        assert_eq!(recent.lock().weight, 1, "a new stretch forgets the old one");
    }
}
