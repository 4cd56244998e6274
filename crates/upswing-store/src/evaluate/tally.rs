//! What experiments' units did: read in order, kept a unit and all together.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use upswing_domain::{
    AgentId, ExperimentId, FeedbackType, METRIC_SOURCES, OrganisationId, Position, Pseudonym, Reward,
    Timestamp,
};

use super::{ExperimentChanges, ExperimentEvent, ExperimentPiece, ExperimentProgress, Happened};
use crate::collect::{assignment, context_of, rows};
use crate::engine::{Connection, tables};
use crate::platform::checkpoint;
use crate::recent::{Recent, What};
use crate::value::{Row, Value};
use crate::{Checkpoint, StoreError};

/// The follower's name.
pub(crate) const FOLLOWER: &str = "experiments";
/// How many times as many events a piece may have that need not be read.
const RECENT: usize = 4;

/// How far an agent's events have been folded, and how often what was folded has been saved.
pub(crate) async fn progress(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: AgentId,
) -> Result<ExperimentProgress, StoreError> {
    let saved = checkpoint::load(connection, organisation, agent, FOLLOWER).await?;
    let progress =
        |saved: Checkpoint| ExperimentProgress { position: saved.position, revision: saved.revision };
    Ok(saved.map(progress).unwrap_or_default())
}

const ASSIGNMENT: &str = "d.experiment, d.allocation, d.arm, d.assigned";

/// The next events of an agent after a position, at most `limit` of each kind; those that were written lately from memory.
pub(crate) async fn piece(
    connection: &mut Connection,
    recent: &Recent,
    organisation: OrganisationId,
    agent: AgentId,
    from: Position,
    limit: usize,
) -> Result<ExperimentPiece, StoreError> {
    let head = checkpoint::head(connection, organisation, agent).await?;
    if head <= from {
        return Ok(ExperimentPiece { events: Vec::new(), to: from, complete: true });
    }
    if let Some(piece) = lately(recent, (organisation, agent), (from, head), limit) {
        return Ok(piece);
    }
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let page =
        || -> Vec<Value> { vec![organisation.into(), agent.into(), from.into(), head.into(), most.into()] };
    let range = |table: &str| {
        format!(
            "{table}.organisation = $1 AND {table}.agent = $2 AND {table}.position > $3 AND {table}.position <= $4 \
             AND {table}.position > 0"
        )
    };
    let mut reading = Reading { events: Vec::new(), to: head, limit };

    let sql = format!(
        "SELECT d.position, d.decided_at, {ASSIGNMENT}, d.context FROM decision d \
         WHERE {} AND d.experiment IS NOT NULL ORDER BY d.position LIMIT $5",
        range("d")
    );
    reading.take(connection.query(&sql, page()).await?, |row, happened| {
        happened.push(Happened::Exposed { context: context_of(row.take()?)?.map(Arc::new) });
        Ok(())
    })?;

    let joined = "LEFT JOIN decision d ON d.organisation = e.organisation AND d.id = e.decision";
    let sql = format!(
        "SELECT e.position, e.received_at, {ASSIGNMENT}, e.metrics, e.error IS NOT NULL FROM execution e {joined} \
         WHERE {} ORDER BY e.position LIMIT $5",
        range("e")
    );
    reading.take(connection.query(&sql, page()).await?, |row, happened| {
        let metrics = rows::metrics(row.take()?)?;
        executed(&metrics, row.take()?, happened);
        Ok(())
    })?;

    // What is said of an execution that has not been reported is said of the decision of the same id. Not `COALESCE`: under row
    // security PostgreSQL uses no index for a comparison with one.
    let joined = |of: &str| {
        format!(
            "LEFT JOIN execution e ON e.organisation = {of}.organisation AND e.id = {of}.execution \
             LEFT JOIN decision d ON d.organisation = {of}.organisation \
             AND d.id = CASE WHEN e.decision IS NULL THEN {of}.execution ELSE e.decision END"
        )
    };
    let sql = format!(
        "SELECT f.position, f.received_at, {ASSIGNMENT}, f.feedback_type, f.rating, f.metrics, f.standing IS NULL \
         FROM feedback f {} WHERE {} ORDER BY f.position LIMIT $5",
        joined("f"),
        range("f")
    );
    reading.take(connection.query(&sql, page()).await?, |row, happened| {
        let kind = rows::named("feedback_type", &row.take::<String>()?, FeedbackType::named)?;
        let (rating, metrics) = (row.take()?, rows::metrics(row.take()?)?);
        if row.take()? {
            said(kind, rating, &metrics, happened);
        }
        Ok(())
    })?;

    for (table, recorded_at) in [("reward_ledger", "recorded_at"), ("feedback", "received_at")] {
        let sql = format!(
            "SELECT l.position, l.{recorded_at}, {ASSIGNMENT}, l.old_reward, l.new_reward FROM {table} l {} \
             WHERE {} AND l.first_position IS NOT NULL ORDER BY l.position LIMIT $5",
            joined("l"),
            range("l")
        );
        reading.take(connection.query(&sql, page()).await?, |row, happened| {
            let rewards: [Option<Reward>; 2] = [row.take()?, row.take()?];
            rewarded(rewards, happened);
            Ok(())
        })?;
    }

    let Reading { mut events, to, .. } = reading;
    events.retain(|event| event.position <= to);
    events.sort_by_key(|event| event.position);
    Ok(ExperimentPiece { events, to, complete: to == head })
}

/// What was written lately, where that reaches up to the head.
fn lately(
    recent: &Recent,
    key: (OrganisationId, AgentId),
    (from, head): (Position, Position),
    limit: usize,
) -> Option<ExperimentPiece> {
    let mut events = Vec::new();
    let mut waits = false;
    let (_, to) = recent.read(key, from, head, limit * RECENT, |event| {
        waits |= event.waits;
        let assignment = event.assignment?;
        let mut happened = Vec::new();
        match &event.what {
            What::Exposed(context) => happened.push(Happened::Exposed { context: context.clone() }),
            What::Executed(what) => executed(&what.metrics, what.failed, &mut happened),
            What::Said(what) if what.counts => {
                said(what.feedback_type, what.rating, &what.metrics, &mut happened);
            }
            What::Said(_) => {}
            What::Rewarded(entry) => rewarded([entry.old, entry.new], &mut happened),
        }
        let (position, at) = (event.position, event.at);
        events.extend(happened.into_iter().map(|what| ExperimentEvent { position, at, assignment, what }));
        Some(())
    })?;
    if waits {
        return None;
    }
    let to = to.min(head);
    events.retain(|event| event.position <= to);
    Some(ExperimentPiece { events, to, complete: to == head })
}

fn executed(metrics: &BTreeMap<String, f64>, failed: bool, happened: &mut Vec<Happened>) {
    happened.extend(value("executions", 1.0));
    happened.extend(value("error", f64::from(u8::from(failed))));
    happened.extend(metrics.iter().flat_map(|(name, number)| value(name, *number)));
}

fn said(
    kind: FeedbackType,
    rating: Option<i64>,
    metrics: &BTreeMap<String, f64>,
    happened: &mut Vec<Happened>,
) {
    if let Some(rating) = rating {
        happened.extend(value("rating", rating as f64));
    }
    if let Some(satisfied) = kind.satisfied(rating) {
        happened.extend(value("satisfied", f64::from(u8::from(satisfied))));
    }
    // What executions measure, and what follows from all feedback together, nobody can say by naming it.
    let own = metrics.iter().filter(|(name, _)| !METRIC_SOURCES.contains(&name.as_str()));
    happened.extend(own.flat_map(|(name, number)| value(name, *number)));
}

fn rewarded(rewards: [Option<Reward>; 2], happened: &mut Vec<Happened>) {
    for (reward, count) in rewards.into_iter().zip([-1, 1]) {
        if let Some(reward) = reward {
            happened.push(Happened::Value { source: "reward".to_owned(), value: reward.get(), count });
        }
    }
}

fn value(source: &str, value: f64) -> Option<Happened> {
    value.is_finite().then(|| Happened::Value { source: source.to_owned(), value, count: 1 })
}

struct Reading {
    events: Vec<ExperimentEvent>,
    to: Position,
    limit: usize,
}

impl Reading {
    /// Reads rows that begin with position, moment and assignment. A page that is full ends before the head: only up to there
    /// everything is known.
    fn take(
        &mut self,
        rows: Vec<Row>,
        mut read: impl FnMut(&mut Row, &mut Vec<Happened>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let full = rows.len() == self.limit;
        let mut last = None;
        for mut row in rows {
            let (position, at) = (row.take::<Position>()?, row.take()?);
            last = Some(position);
            let Some(assignment) = assignment(&mut row)? else { continue };
            let mut happened = Vec::new();
            read(&mut row, &mut happened)?;
            self.events.extend(happened.into_iter().map(|what| ExperimentEvent {
                position,
                at,
                assignment,
                what,
            }));
        }
        if let (true, Some(last)) = (full, last) {
            self.to = self.to.min(last);
        }
        Ok(())
    }
}

/// Units by their keys; those that did nothing yet are left out.
pub(crate) async fn units(
    connection: &mut Connection,
    organisation: OrganisationId,
    keys: HashSet<(ExperimentId, Pseudonym)>,
) -> Result<Vec<(ExperimentId, Pseudonym, Vec<u8>)>, StoreError> {
    let mut keys: Vec<_> = keys.into_iter().collect();
    keys.sort_unstable();
    let keys = keys.into_iter().map(|(e, unit)| vec![organisation.into(), e.into(), unit.into()]).collect();
    let rows = connection.look_up(&tables::EXPERIMENT_UNIT_STATE, keys).await?;
    rows.into_iter().map(|mut row| Ok((row.take()?, row.take()?, row.take()?))).collect()
}

/// Units of which an outcome closes before a moment, in the order in which they close.
pub(crate) async fn due(
    connection: &mut Connection,
    organisation: OrganisationId,
    experiment: ExperimentId,
    before: Timestamp,
    limit: usize,
) -> Result<Vec<(Pseudonym, Vec<u8>)>, StoreError> {
    let sql = "SELECT unit, state FROM experiment_unit WHERE organisation = $1 AND experiment = $2 \
               AND closes_at IS NOT NULL AND closes_at <= $3 ORDER BY closes_at, unit LIMIT $4";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let parameters = vec![organisation.into(), experiment.into(), before.into(), limit.into()];
    let rows = connection.query(sql, parameters).await?;
    rows.into_iter().map(|mut row| Ok((row.take()?, row.take()?))).collect()
}

/// What all units of an experiment did together.
pub(crate) async fn tally(
    connection: &mut Connection,
    organisation: OrganisationId,
    experiment: ExperimentId,
) -> Result<Option<Vec<u8>>, StoreError> {
    let sql = "SELECT state FROM experiment_tally WHERE organisation = $1 AND experiment = $2";
    let row = connection.query_one(sql, vec![organisation.into(), experiment.into()]).await?;
    row.map(|mut row| row.take()).transpose()
}

/// Forgets what was folded of experiments, so that all of an agent's events are folded again.
pub(crate) async fn forget(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: AgentId,
    experiments: &[ExperimentId],
) -> Result<(), StoreError> {
    connection.advance(organisation, 0).await?;
    for experiment in experiments {
        for table in ["experiment_unit", "experiment_tally", "experiment_look"] {
            let sql = format!("DELETE FROM {table} WHERE organisation = $1 AND experiment = $2");
            connection.execute(&sql, vec![organisation.into(), (*experiment).into()]).await?;
        }
    }
    let sql = "DELETE FROM checkpoint WHERE organisation = $1 AND agent = $2 AND follower = $3";
    connection.execute(sql, vec![organisation.into(), agent.into(), FOLLOWER.into()]).await?;
    Ok(())
}

/// Saves a piece with the position it has read up to; nothing where somebody else has saved since `before`.
pub(crate) async fn save(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: AgentId,
    now: Timestamp,
    (before, to): (ExperimentProgress, Position),
    changes: ExperimentChanges,
) -> Result<ExperimentProgress, StoreError> {
    let mut units: Vec<_> = changes.units;
    units.sort_unstable_by_key(|unit| (unit.experiment, unit.unit));
    let rows = units.into_iter().map(|unit| {
        vec![
            organisation.into(),
            unit.experiment.into(),
            unit.unit.into(),
            unit.state.into(),
            unit.closes_at.into(),
        ]
    });
    // Thousands of rows, which events need not wait for: the head is taken after them.
    connection.insert(&tables::EXPERIMENT_UNIT, rows.collect()).await?;
    // Whoever saves waits here, so that of two who read the same only one finds it unchanged.
    connection.advance(organisation, 0).await?;
    if progress(connection, organisation, agent).await? != before {
        return Err(StoreError::LeaseLost);
    }
    for (experiment, state) in changes.tallies {
        let sql = "INSERT INTO experiment_tally (organisation, experiment, state, saved_at) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (organisation, experiment) DO UPDATE SET state = excluded.state, \
                   saved_at = excluded.saved_at";
        let values = vec![organisation.into(), experiment.into(), state.into(), now.into()];
        connection.execute(sql, values).await?;
    }
    for look in changes.looks {
        let sql = "INSERT INTO experiment_look (organisation, experiment, at, results) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (organisation, experiment, at) DO UPDATE SET results = excluded.results";
        let values = vec![organisation.into(), look.experiment.into(), look.at.into(), look.results.into()];
        connection.execute(sql, values).await?;
    }
    let made_with = format!("{{\"experiments\":1,\"schema\":{}}}", rows::SCHEMA_VERSION);
    let revision = before.revision + 1;
    let after = Checkpoint { position: to, revision, state: Vec::new(), made_with };
    checkpoint::save(connection, organisation, agent, FOLLOWER, now, &after).await?;
    Ok(ExperimentProgress { position: to, revision })
}
