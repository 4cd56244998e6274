//! What has to be known before a batch can be planned, and how it is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use upswing_domain::{
    AgentId, DecisionId, ExecutionId, FeedbackId, FeedbackSource, OrganisationId, Pseudonym, Timestamp,
};
use uuid::Uuid;

use super::facts::{
    Learn, learn_agent_definition, learn_author, learn_awaiting, learn_consent, learn_decision,
    learn_execution, learn_feedback, learn_shadow, learn_signal, learn_text, learn_trusted,
};
use super::plan::{AuthorKey, Key, ShadowKey, TextKey, period_of};
use crate::Event;
use crate::engine::{Lookup, tables};
use crate::value::Value;

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

/// When this process made ids that nobody had known before.
pub(super) type Minted = BTreeMap<Key<Uuid>, Instant>;

/// What has to be looked up for a batch.
#[derive(Default)]
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
    pub(super) minted: Minted,
}

impl Wanted {
    /// What has to be known of one event.
    pub(super) fn of(item: &Item) -> Self {
        let mut wanted = Self::default();
        wanted.add(item);
        wanted
    }

    /// Adds what has to be known of an event.
    pub(super) fn add(&mut self, item: &Item) {
        let Item { organisation, now, event, minted } = item;
        let (wanted, o) = (self, *organisation);
        match event {
            // Nobody waits for a decision's acknowledgement: one that is there already is passed over by the
            // insert itself. Only what may wait for it has to be known.
            Event::Decision(d) => {
                wanted.arrivals.insert((o, d.id.0));
                // What waited for it is rewarded by its agent's definition.
                wanted.agents.insert((o, d.agent));
                wanted.minted.extend(minted.map(|at| ((o, d.id.0), at)));
                // A unit that was exposed is counted: twice the same is to be known for it.
                wanted.decisions.extend(d.assignment.map(|_| (o, d.id)));
            }
            Event::Execution { execution, restore, .. } => {
                wanted.executions.insert((o, execution.id));
                wanted.decisions.insert((o, DecisionId(execution.id.0)));
                wanted.decisions.extend(execution.decision.map(|d| (o, d)));
                wanted.restore(o, restore.as_deref());
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
                    wanted.authors.extend(feedback.author.map(|person| (o, feedback.agent, person, period)));
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
                wanted.restore(o, restore.as_deref());
                wanted.agents.insert((o, feedback.agent));
            }
        }
    }

    /// Whether nothing has to be looked up.
    pub(super) fn is_nothing(&self) -> bool {
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

    /// What no memory tells of it.
    pub(super) fn beyond_memory(&self) -> Self {
        Self {
            shadows: self.shadows.clone(),
            people: self.people.clone(),
            authors: self.authors.clone(),
            trusted: self.trusted.clone(),
            texts: self.texts.clone(),
            ..Self::default()
        }
    }

    /// Whether this, a part of another, is all of it.
    pub(super) fn is_all_of(&self, whole: &Self) -> bool {
        let sizes = |wanted: &Self| {
            let Self { decisions, executions, feedback, arrivals, agents, .. } = wanted;
            [decisions.len(), executions.len(), feedback.len(), arrivals.len(), agents.len()]
        };
        sizes(self) == sizes(whole)
    }

    /// Whether everything that is wanted moves its organisation's head when it changes, as what is known of people does not.
    pub(super) fn moves_heads(&self) -> bool {
        let Self { people, authors, trusted, texts, .. } = self;
        people.is_empty() && authors.is_empty() && trusted.is_empty() && texts.is_empty()
    }

    /// What to ask, by which keys, and how an answer is read.
    pub(super) fn lookups(&self) -> Vec<(&'static Lookup, Vec<Vec<Value>>, Learn)> {
        let authors = self.authors.iter().map(|&(o, a, p, d)| vec![o.into(), a.into(), p.into(), d.into()]);
        let texts = self.texts.iter().map(|&(o, a, d, b)| vec![o.into(), a.into(), d.into(), b.into()]);
        let trusted = self.trusted.iter().map(|&(o, a, p)| vec![o.into(), a.into(), p.into()]);
        let shadows = self.shadows.iter().map(|&(o, r, d)| vec![o.into(), r.into(), d.into()]);
        let feedback = self.feedback.keys().map(|&(o, id)| vec![o.into(), id.into()]);
        let lookups: [(&'static Lookup, Vec<Vec<Value>>, Learn); 11] = [
            (&tables::DECISION_FACTS, keys(&self.decisions), learn_decision),
            (&tables::EXECUTION_FACTS, keys(&self.executions), learn_execution),
            (&tables::FEEDBACK_SIGNALS, keys(&self.executions), learn_signal),
            (&tables::SHADOW_FACTS, shadows.collect(), learn_shadow),
            (&tables::FEEDBACK_FACTS, feedback.collect(), learn_feedback),
            (&tables::AWAITING_EXECUTIONS, keys(&self.arrivals), learn_awaiting),
            (&tables::AGENT_DEFINITION, keys(&self.agents), learn_agent_definition),
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
