//! Spans until their trace is assembled, the other names of executions, and feedback that waits for what it names.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use upswing_domain::{AgentId, ExecutionId, FeedbackId, OrganisationId, Timestamp};

use crate::engine::{Connection, tables};
use crate::value::{Row, Value};
use crate::{
    Alias, Arrival, Arrived, Assembled, DueTrace, Fingerprint, NewWaiting, StoreError, StoredTrace,
    Telemetry, Waiting,
};

/// For how long a trace that keeps growing is waited for, from its first span: after that every arrival assembles it.
const LONGEST_WAIT_SECONDS: i64 = 600;

/// How many spans of one trace are read, and how many executions of one name: more than a request may have. A trace beyond it is
/// assembled of those whose ids come first.
const MAX_SPANS: i64 = 20_000;

fn digest(body: &str) -> Fingerprint {
    let mut digest = [0; 18];
    digest.copy_from_slice(&blake3::hash(body.as_bytes()).as_bytes()[..18]);
    digest
}

/// Takes what is new of a request. What was stored before changes nothing, not even when its trace is assembled.
pub(crate) async fn receive(
    connection: &mut Connection,
    organisation: OrganisationId,
    now: Timestamp,
    telemetry: Telemetry,
) -> Result<(), StoreError> {
    let mut touched = BTreeSet::new();
    spans(connection, organisation, now, &telemetry, &mut touched).await?;
    contents(connection, organisation, &telemetry, &mut touched).await?;
    wait(connection, organisation, now, telemetry.feedback).await?;
    let keys = touched.iter().map(|trace| vec![organisation.into(), trace.clone().into()]).collect();
    let mut known = HashMap::new();
    for mut row in connection.look_up(&tables::TRACE_FACTS, keys).await? {
        let trace: String = row.take()?;
        known.insert(trace, (row.take::<bool>()?, row.take::<Timestamp>()?));
    }
    let arrivals: HashMap<&str, &Arrival> = telemetry.traces.iter().map(|a| (a.trace.as_str(), a)).collect();
    let rows = touched.into_iter().map(|trace| {
        let (was_complete, first) = known.get(&trace).copied().unwrap_or((false, now));
        let arrival = arrivals.get(trace.as_str());
        let complete = was_complete || arrival.is_some_and(|arrival| arrival.complete);
        let wait = if complete {
            arrival.map_or(telemetry.settle_seconds, |arrival| arrival.settle_seconds)
        } else {
            telemetry.idle_seconds
        };
        let latest = first.plus_seconds(LONGEST_WAIT_SECONDS).max(now);
        let due = now.plus_seconds(wait).min(latest);
        let trace: Value = trace.into();
        vec![organisation.into(), trace, 1_i64.into(), first.into(), now.into(), complete.into(), due.into()]
    });
    let rows = rows.collect();
    connection.insert(&tables::PENDING_TRACE, rows).await
}

async fn spans(
    connection: &mut Connection,
    organisation: OrganisationId,
    now: Timestamp,
    telemetry: &Telemetry,
    touched: &mut BTreeSet<String>,
) -> Result<(), StoreError> {
    // The one of each id that holds; a statement must not meet a row twice.
    let mut newest = BTreeMap::new();
    for span in &telemetry.spans {
        let rank = (span.ended_at, digest(&span.body));
        let place = newest.entry((span.trace.clone(), span.span.clone())).or_insert((rank, span));
        if rank > place.0 {
            *place = (rank, span);
        }
    }
    let keys = newest
        .keys()
        .map(|(trace, span)| vec![organisation.into(), trace.clone().into(), span.clone().into()])
        .collect();
    for mut row in connection.look_up(&tables::SPAN_FACTS, keys).await? {
        let key: (String, String) = (row.take()?, row.take()?);
        let known: (i64, Fingerprint) = (row.take()?, row.take()?);
        if newest.get(&key).is_some_and(|(rank, _)| *rank <= known) {
            newest.remove(&key);
        }
    }
    touched.extend(newest.keys().map(|(trace, _)| trace.clone()));
    let rows = newest.into_iter().map(|((trace, id), ((ended_at, digest), span))| {
        vec![
            organisation.into(),
            trace.into(),
            id.into(),
            span.agent.into(),
            ended_at.into(),
            digest.into(),
            now.into(),
            span.body.clone().into(),
        ]
    });
    let rows = rows.collect();
    connection.insert(&tables::SPAN, rows).await
}

async fn contents(
    connection: &mut Connection,
    organisation: OrganisationId,
    telemetry: &Telemetry,
    touched: &mut BTreeSet<String>,
) -> Result<(), StoreError> {
    let mut fresh: BTreeMap<_, _> = telemetry
        .contents
        .iter()
        .map(|c| ((c.trace.clone(), c.span.clone(), digest(&c.body)), c.body.as_str()))
        .collect();
    let key = |(trace, span, digest): &(String, String, Fingerprint)| -> Vec<Value> {
        vec![organisation.into(), trace.clone().into(), span.clone().into(), (*digest).into()]
    };
    let keys = fresh.keys().map(key).collect();
    for mut row in connection.look_up(&tables::SPAN_CONTENT_FACTS, keys).await? {
        let key: (String, String, Fingerprint) = (row.take()?, row.take()?, row.take()?);
        fresh.remove(&key);
    }
    touched.extend(fresh.keys().map(|(trace, ..)| trace.clone()));
    let rows = fresh.iter().map(|(found, body)| {
        let mut row = key(found);
        row.push((*body).into());
        row
    });
    let rows = rows.collect();
    connection.insert(&tables::SPAN_CONTENT, rows).await
}

/// Keeps feedback until what it names is there. For each whether it was new, known, or other content under a known id.
pub(crate) async fn wait(
    connection: &mut Connection,
    organisation: OrganisationId,
    now: Timestamp,
    feedback: Vec<NewWaiting>,
) -> Result<Vec<Arrived>, StoreError> {
    let keys = feedback.iter().map(|f| vec![organisation.into(), f.id.into()]).collect();
    let mut known: HashMap<FeedbackId, Fingerprint> = HashMap::new();
    for mut row in connection.look_up(&tables::WAITING_FACTS, keys).await? {
        known.insert(row.take()?, row.take()?);
    }
    let (mut outcomes, mut rows) = (Vec::with_capacity(feedback.len()), Vec::new());
    for new in feedback {
        let first = new.fingerprints.first().copied().unwrap_or_default();
        match known.get(&new.id) {
            Some(stored) if new.fingerprints.contains(stored) => outcomes.push(Arrived::Known),
            Some(_) => outcomes.push(Arrived::Conflict),
            None => {
                known.insert(new.id, first);
                rows.push(vec![
                    organisation.into(),
                    new.id.into(),
                    first.into(),
                    new.wants.into(),
                    new.body.into(),
                    now.into(),
                    now.into(),
                    0_i64.into(),
                ]);
                outcomes.push(Arrived::New);
            }
        }
    }
    connection.insert(&tables::WAITING_FEEDBACK, rows).await?;
    Ok(outcomes)
}

/// Traces that are due, those that have waited longest first.
pub(crate) async fn due_traces(
    connection: &mut Connection,
    organisation: OrganisationId,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<DueTrace>, StoreError> {
    let sql = "SELECT trace, arrivals FROM pending_trace WHERE organisation = $1 AND due_at <= $2 \
               AND due_at IS NOT NULL ORDER BY due_at LIMIT $3";
    let read = |mut row: Row| Ok(DueTrace { trace: row.take()?, arrivals: row.take()? });
    let parameters = vec![organisation.into(), now.into(), limit.into()];
    connection.query(sql, parameters).await?.into_iter().map(read).collect()
}

/// All that is known of a trace.
pub(crate) async fn trace(
    connection: &mut Connection,
    organisation: OrganisationId,
    trace: &str,
) -> Result<StoredTrace, StoreError> {
    let parameters = || -> Vec<Value> { vec![organisation.into(), trace.into()] };
    let mut stored = StoredTrace::default();
    let sql = "SELECT agent, body FROM span WHERE organisation = $1 AND trace = $2 ORDER BY span LIMIT $3";
    let mut bounded = parameters();
    bounded.push(MAX_SPANS.into());
    for mut row in connection.query(sql, bounded).await? {
        stored.spans.push((row.take()?, row.take()?));
    }
    let sql = "SELECT body FROM span_content WHERE organisation = $1 AND trace = $2 ORDER BY span, digest";
    for mut row in connection.query(sql, parameters()).await? {
        stored.contents.push(row.take()?);
    }
    let sql = "SELECT due_at IS NOT NULL FROM pending_trace WHERE organisation = $1 AND trace = $2";
    if let Some(mut row) = connection.query_one(sql, parameters()).await? {
        stored.pending = row.take()?;
    }
    Ok(stored)
}

/// Notes what became of a trace: the names of its executions, for which feedback may have waited, and that it is assembled,
/// unless more has come since.
pub(crate) async fn assembled(
    connection: &mut Connection,
    organisation: OrganisationId,
    now: Timestamp,
    Assembled { trace, aliases, superseded, error }: Assembled,
) -> Result<(), StoreError> {
    let row = |alias: &Alias| {
        vec![
            organisation.into(),
            alias.alias.clone().into(),
            alias.execution.into(),
            alias.agent.into(),
            now.into(),
        ]
    };
    let distinct: BTreeMap<_, _> = aliases.iter().map(|a| ((&a.alias, a.execution), a)).collect();
    connection.insert(&tables::EXECUTION_ALIAS, distinct.into_values().map(row).collect()).await?;
    let row = |(part, whole): (&ExecutionId, &ExecutionId)| {
        vec![organisation.into(), (*part).into(), (*whole).into()]
    };
    connection.insert(&tables::SUPERSEDED_EXECUTION, superseded.iter().map(row).collect()).await?;
    let mut wanted: BTreeSet<String> = aliases.iter().map(|alias| alias.alias.clone()).collect();
    wanted.insert(format!("trace:{}", trace.trace));
    for alias in wanted {
        let sql = "UPDATE waiting_feedback SET due_at = $3 WHERE organisation = $1 AND wants = $2 \
                   AND due_at IS NOT NULL AND due_at > $3";
        connection.execute(sql, vec![organisation.into(), alias.into(), now.into()]).await?;
    }
    let sql = "UPDATE pending_trace SET due_at = NULL, error = $4 \
               WHERE organisation = $1 AND trace = $2 AND arrivals = $3";
    let values = vec![organisation.into(), trace.trace.into(), trace.arrivals.into(), error.into()];
    connection.execute(sql, values).await?;
    Ok(())
}

/// Forgets the spans of a trace whose person may not be learned from.
pub(crate) async fn forget(
    connection: &mut Connection,
    organisation: OrganisationId,
    trace: &str,
) -> Result<(), StoreError> {
    for table in ["span", "span_content"] {
        let sql = format!("DELETE FROM {table} WHERE organisation = $1 AND trace = $2");
        connection.execute(&sql, vec![organisation.into(), trace.into()]).await?;
    }
    Ok(())
}

/// Forgets the spans of traces that were assembled and grew last before a moment; how many traces.
pub(crate) async fn purge(
    connection: &mut Connection,
    organisation: OrganisationId,
    before: Timestamp,
    limit: i64,
) -> Result<usize, StoreError> {
    let sql = "SELECT trace FROM pending_trace WHERE organisation = $1 AND last_received_at < $2 \
               AND due_at IS NULL ORDER BY last_received_at LIMIT $3";
    let parameters = vec![organisation.into(), before.into(), limit.into()];
    let mut count = 0;
    for mut row in connection.query(sql, parameters).await? {
        let trace: String = row.take()?;
        forget(connection, organisation, &trace).await?;
        let sql = "DELETE FROM pending_trace WHERE organisation = $1 AND trace = $2 AND due_at IS NULL";
        connection.execute(sql, vec![organisation.into(), trace.into()]).await?;
        count += 1;
    }
    Ok(count)
}

/// Feedback that is to be looked at, the oldest first.
pub(crate) async fn due_feedback(
    connection: &mut Connection,
    organisation: OrganisationId,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<Waiting>, StoreError> {
    let sql = "SELECT id, wants, fingerprint, body, received_at, attempts FROM waiting_feedback \
               WHERE organisation = $1 AND due_at <= $2 AND due_at IS NOT NULL ORDER BY due_at, id LIMIT $3";
    let read = |mut row: Row| {
        Ok(Waiting {
            id: row.take()?,
            wants: row.take()?,
            fingerprint: row.take()?,
            body: row.take::<Option<String>>()?.unwrap_or_default(),
            received_at: row.take()?,
            attempts: row.take()?,
        })
    };
    let parameters = vec![organisation.into(), now.into(), limit.into()];
    connection.query(sql, parameters).await?.into_iter().map(read).collect()
}

/// Notes when to look at a piece of waiting feedback again, or that it is settled (and its text with the feedback itself).
pub(crate) async fn looked_at(
    connection: &mut Connection,
    organisation: OrganisationId,
    id: FeedbackId,
    again: Option<Timestamp>,
    error: Option<String>,
) -> Result<(), StoreError> {
    let sql = "UPDATE waiting_feedback SET due_at = $3, error = $4, attempts = attempts + 1, \
               body = CASE WHEN $5 THEN NULL ELSE body END WHERE organisation = $1 AND id = $2";
    let settled = again.is_none();
    let values = vec![organisation.into(), id.into(), again.into(), error.into(), settled.into()];
    connection.execute(sql, values).await?;
    Ok(())
}

/// The executions of that name, without those that turned out to be part of another.
pub(crate) async fn named(
    connection: &mut Connection,
    organisation: OrganisationId,
    alias: &str,
) -> Result<Vec<(ExecutionId, AgentId)>, StoreError> {
    let (sql, name) = match alias.strip_prefix("trace:") {
        Some(trace) => (
            "SELECT e.id, e.agent FROM execution e WHERE e.trace = $2 AND e.organisation = $1 \
             AND e.trace IS NOT NULL AND NOT EXISTS (SELECT 1 FROM superseded_execution s \
             WHERE s.organisation = e.organisation AND s.execution = e.id) ORDER BY e.occurred_at, e.id LIMIT $3",
            trace,
        ),
        None => (
            "SELECT a.execution, a.agent FROM execution_alias a WHERE a.organisation = $1 AND a.alias = $2 \
             AND NOT EXISTS (SELECT 1 FROM superseded_execution s \
             WHERE s.organisation = a.organisation AND s.execution = a.execution) ORDER BY a.execution LIMIT $3",
            alias,
        ),
    };
    let parameters = vec![organisation.into(), name.into(), MAX_SPANS.into()];
    let mut found = Vec::new();
    for mut row in connection.query(sql, parameters).await? {
        found.push((row.take()?, row.take()?));
    }
    Ok(found)
}

/// The execution that an execution turned out to be part of.
pub(crate) async fn superseded_by(
    connection: &mut Connection,
    organisation: OrganisationId,
    execution: ExecutionId,
) -> Result<Option<ExecutionId>, StoreError> {
    let sql = "SELECT superseded_by FROM superseded_execution WHERE organisation = $1 AND execution = $2";
    let parameters = vec![organisation.into(), execution.into()];
    connection.query_one(sql, parameters).await?.map(|mut row| row.take()).transpose()
}
