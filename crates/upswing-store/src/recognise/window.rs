//! Windows over an agent's implicit feedback: what lies in one, and what became of it.

use upswing_domain::{AgentId, OrganisationId, Position, Timestamp};

use super::profile;
use crate::engine::Connection;
use crate::platform::checkpoint;
use crate::value::Row;
use crate::{Checkpoint, StoreError, StoredProfile, StreamSignal, StreamWindow};

/// The follower under whose name the position stands up to which windows were made.
pub(crate) const FOLLOWER: &str = "windows";

/// Up to where windows were made, and the number of the last one.
pub(crate) async fn head(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: AgentId,
) -> Result<(Position, i64), StoreError> {
    let found = checkpoint::load(connection, organisation, agent, FOLLOWER).await?;
    Ok(found.map_or((Position(0), 0), |c| (c.position, c.revision)))
}

/// The signals that count, after a position and up to another one, oldest first.
pub(crate) async fn signals(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: AgentId,
    (after, to): (Position, Position),
    limit: usize,
) -> Result<Vec<StreamSignal>, StoreError> {
    let sql = "SELECT f.position, f.id, f.author, f.session, f.received_at, c.body FROM feedback f \
               LEFT JOIN content c ON c.organisation = f.organisation AND c.id = f.details \
               WHERE f.organisation = $1 AND f.agent = $2 AND f.feedback_type = 'implicit' AND f.position > $3 \
               AND f.position <= $4 ORDER BY f.position LIMIT $5";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let parameters = vec![organisation.into(), agent.into(), after.into(), to.into(), limit.into()];
    let mut signals = Vec::new();
    for mut row in connection.query(sql, parameters).await? {
        signals.push(StreamSignal {
            position: row.take()?,
            id: row.take()?,
            author: row.take()?,
            session: row.take()?,
            received_at: row.take()?,
            behaviour: row.take()?,
        });
    }
    Ok(signals)
}

/// Writes what became of a window, with the profiles and the queue that follow from it, in one transaction.
pub(crate) async fn save(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: AgentId,
    now: Timestamp,
    window: &StreamWindow,
    (profiles, queued): (&[StoredProfile], &[(Position, upswing_domain::FeedbackId, f64)]),
) -> Result<(), StoreError> {
    for person in profiles {
        profile::save(connection, organisation, person).await?;
    }
    for (position, feedback, strength) in queued {
        let sql = "INSERT INTO training_signal (organisation, agent, position, feedback, strength, ordinal) \
                   VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (organisation, agent, position) DO NOTHING";
        let values = vec![
            organisation.into(),
            agent.into(),
            (*position).into(),
            (*feedback).into(),
            (*strength).into(),
            window.ordinal.into(),
        ];
        connection.execute(sql, values).await?;
    }
    let sql = "INSERT INTO stream_window (organisation, agent, ordinal, from_position, to_position, signals, status, \
               stages, attempts, next_attempt_at, error, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, \
               $11, $12) ON CONFLICT (organisation, agent, ordinal) DO UPDATE SET status = excluded.status, \
               stages = excluded.stages, attempts = excluded.attempts, next_attempt_at = excluded.next_attempt_at, \
               error = excluded.error, updated_at = excluded.updated_at";
    let values = vec![
        organisation.into(),
        agent.into(),
        window.ordinal.into(),
        window.from.into(),
        window.to.into(),
        window.signals.into(),
        window.status.clone().into(),
        window.stages.clone().into(),
        window.attempts.into(),
        window.next_attempt_at.into(),
        window.error.clone().into(),
        now.into(),
    ];
    connection.execute(sql, values).await?;
    let (reached, last) = head(connection, organisation, agent).await?;
    if window.to > reached {
        let state = Checkpoint {
            position: window.to,
            revision: window.ordinal.max(last),
            state: Vec::new(),
            made_with: "{\"windows\":1}".to_owned(),
        };
        checkpoint::save(connection, organisation, agent, FOLLOWER, now, &state).await?;
    }
    Ok(())
}

const SELECT: &str = "SELECT ordinal, from_position, to_position, signals, status, stages, attempts, next_attempt_at, \
                      error, updated_at FROM stream_window WHERE organisation = $1 AND agent = $2";

/// The latest windows, newest first, before a number.
pub(crate) async fn page(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: AgentId,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<StreamWindow>, StoreError> {
    let sql = format!("{SELECT} AND ordinal < $3 ORDER BY ordinal DESC LIMIT $4");
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let parameters = vec![organisation.into(), agent.into(), before.unwrap_or(i64::MAX).into(), limit.into()];
    connection.query(&sql, parameters).await?.into_iter().map(read).collect()
}

/// Windows whose next attempt is due.
pub(crate) async fn due(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: AgentId,
    now: Timestamp,
) -> Result<Vec<StreamWindow>, StoreError> {
    let sql =
        format!("{SELECT} AND status = 'retrying' AND next_attempt_at <= $3 ORDER BY ordinal LIMIT 100");
    let parameters = vec![organisation.into(), agent.into(), now.into()];
    connection.query(&sql, parameters).await?.into_iter().map(read).collect()
}

/// Puts a window that was set aside back to be tried; whether there was one.
pub(crate) async fn retry(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: AgentId,
    ordinal: i64,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let sql = "UPDATE stream_window SET status = 'retrying', attempts = 0, next_attempt_at = $4, updated_at = $4 \
               WHERE organisation = $1 AND agent = $2 AND ordinal = $3 AND status = 'set_aside'";
    let parameters = vec![organisation.into(), agent.into(), ordinal.into(), now.into()];
    Ok(connection.execute(sql, parameters).await? > 0)
}

/// Deletes a piece of the windows that are done since before a moment, with what waits for training out of them; how many.
pub(crate) async fn expire(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: AgentId,
    before: Timestamp,
    limit: usize,
) -> Result<usize, StoreError> {
    // One that is yet to be tried again is not done.
    let sql = "SELECT ordinal FROM stream_window WHERE organisation = $1 AND agent = $2 AND updated_at < $3 \
               AND status <> 'retrying' ORDER BY ordinal LIMIT $4";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let parameters = vec![organisation.into(), agent.into(), before.into(), limit.into()];
    let old = connection.query(sql, parameters).await?;
    let count = old.len();
    for mut row in old {
        let ordinal: i64 = row.take()?;
        // Somebody may have it tried again meanwhile.
        let sql = "DELETE FROM stream_window WHERE organisation = $1 AND agent = $2 AND ordinal = $3 \
                   AND status <> 'retrying' AND updated_at < $4";
        let values = vec![organisation.into(), agent.into(), ordinal.into(), before.into()];
        if connection.execute(sql, values).await? == 0 {
            continue;
        }
        let sql = "DELETE FROM training_signal WHERE organisation = $1 AND agent = $2 AND ordinal = $3";
        connection.execute(sql, vec![organisation.into(), agent.into(), ordinal.into()]).await?;
    }
    Ok(count)
}

/// How many signals wait for training.
pub(crate) async fn queued(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: AgentId,
) -> Result<i64, StoreError> {
    let sql = "SELECT count(*) FROM training_signal WHERE organisation = $1 AND agent = $2";
    let row = connection.query_one(sql, vec![organisation.into(), agent.into()]).await?;
    row.map_or(Ok(0), |mut row| row.take())
}

fn read(mut row: Row) -> Result<StreamWindow, StoreError> {
    Ok(StreamWindow {
        ordinal: row.take()?,
        from: row.take()?,
        to: row.take()?,
        signals: row.take()?,
        status: row.take()?,
        stages: row.take()?,
        attempts: row.take()?,
        next_attempt_at: row.take()?,
        error: row.take()?,
        updated_at: row.take()?,
    })
}
