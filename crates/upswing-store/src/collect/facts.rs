//! How rows of answers become facts.

use std::sync::Arc;

use upswing_domain::{AgentId, ExecutionId, FeedbackSource, FeedbackType, Origin, Position, Purpose};

use super::plan::{
    AuthorFacts, DecisionFacts, ExecutionFacts, FeedbackFacts, Key, Known, RewardFacts, ShadowFacts,
    SignalFacts,
};
use super::read::{assignment, context_of};
use super::rows;
use crate::StoreError;
use crate::value::Row;

/// How a row of an answer is read.
pub(super) type Learn = fn(&mut Known, Row) -> Result<(), StoreError>;

pub(super) fn learn_agent_definition(known: &mut Known, mut row: Row) -> Result<(), StoreError> {
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

/// Reads a row of `LAST_REWARD`.
pub(super) fn learn_reward(known: &mut Known, mut row: Row) -> Result<(), StoreError> {
    let key = (row.take()?, row.take()?);
    let facts = RewardFacts { reward: row.take()?, first_position: row.take()? };
    known.rewards.insert(key, facts);
    Ok(())
}

/// Reads a row of `FEEDBACK_SIGNALS`.
pub(super) fn learn_signal(known: &mut Known, mut row: Row) -> Result<(), StoreError> {
    let (key, position, facts) = signal(&mut row)?;
    let feedback = FeedbackFacts { position, execution: Some(key.1), fingerprint: row.take()? };
    known.feedback.insert((key.0, facts.id), feedback);
    known.signals.entry(key).or_default().push(facts);
    Ok(())
}

pub(super) fn learn_shadow(known: &mut Known, mut row: Row) -> Result<(), StoreError> {
    let key = (row.take()?, row.take()?, row.take()?);
    let facts = ShadowFacts { position: row.take()?, fingerprint: row.take()? };
    known.shadows.insert(key, facts);
    Ok(())
}

pub(super) fn learn_feedback(known: &mut Known, mut row: Row) -> Result<(), StoreError> {
    let key = (row.take()?, row.take()?);
    let facts = FeedbackFacts { position: row.take()?, execution: row.take()?, fingerprint: row.take()? };
    known.feedback.insert(key, facts);
    Ok(())
}

pub(super) fn learn_consent(known: &mut Known, mut row: Row) -> Result<(), StoreError> {
    let (organisation, person) = (row.take()?, row.take()?);
    let purpose = rows::named("purpose", &row.take::<String>()?, Purpose::named)?;
    // Oldest first: the latest stays.
    known.consents.insert((organisation, person, purpose), row.take()?);
    Ok(())
}

pub(super) fn learn_author(known: &mut Known, mut row: Row) -> Result<(), StoreError> {
    let key = (row.take()?, row.take()?, row.take()?, row.take()?);
    known.authors.insert(key, AuthorFacts { counted: row.take()?, received: row.take()? });
    Ok(())
}

pub(super) fn learn_trusted(known: &mut Known, mut row: Row) -> Result<(), StoreError> {
    let key = (row.take()?, row.take()?, row.take()?);
    if row.take()? {
        known.distrusted.insert(key);
    }
    Ok(())
}

pub(super) fn learn_text(known: &mut Known, mut row: Row) -> Result<(), StoreError> {
    let key = (row.take()?, row.take()?, row.take()?, row.take()?);
    known.texts.entry(key).or_default().insert(row.take()?, row.take()?);
    Ok(())
}

pub(super) fn learn_awaiting(known: &mut Known, mut row: Row) -> Result<(), StoreError> {
    let key = (row.take()?, row.take()?);
    known.awaiting.entry(key).or_default().insert(row.take()?);
    Ok(())
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
        via_token: row.take()?,
    };
    Ok((key, position, facts))
}
