//! What is known of people from what they did, per agent.

use upswing_domain::{AgentId, OrganisationId, Position, Pseudonym, Timestamp};

use crate::engine::Connection;
use crate::value::Row;
use crate::{StoreError, StoredProfile};

const SELECT: &str = "SELECT agent, subject, position, body, updated_at FROM profile WHERE organisation = $1";

/// One person's.
pub(crate) async fn one(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: AgentId,
    subject: Pseudonym,
) -> Result<Option<StoredProfile>, StoreError> {
    let sql = format!("{SELECT} AND agent = $2 AND subject = $3");
    let parameters = vec![organisation.into(), agent.into(), subject.into()];
    connection.query_one(&sql, parameters).await?.map(read).transpose()
}

/// Those that changed at a position or after it, oldest change first.
pub(crate) async fn since(
    connection: &mut Connection,
    organisation: OrganisationId,
    from: Position,
    limit: usize,
) -> Result<Vec<StoredProfile>, StoreError> {
    let sql = format!("{SELECT} AND position >= $2 ORDER BY position, agent, subject LIMIT $3");
    let parameters = vec![organisation.into(), from.into(), limit_value(limit).into()];
    connection.query(&sql, parameters).await?.into_iter().map(read).collect()
}

/// The ones that changed last, newest first.
pub(crate) async fn latest(
    connection: &mut Connection,
    organisation: OrganisationId,
    limit: usize,
) -> Result<Vec<StoredProfile>, StoreError> {
    let sql = format!("{SELECT} ORDER BY position DESC, agent, subject LIMIT $2");
    connection
        .query(&sql, vec![organisation.into(), limit_value(limit).into()])
        .await?
        .into_iter()
        .map(read)
        .collect()
}

pub(crate) async fn save(
    connection: &mut Connection,
    organisation: OrganisationId,
    profile: &StoredProfile,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO profile (organisation, agent, subject, position, body, updated_at) \
               VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (organisation, agent, subject) DO UPDATE SET \
               position = excluded.position, body = excluded.body, updated_at = excluded.updated_at";
    let values = vec![
        organisation.into(),
        profile.agent.into(),
        profile.subject.into(),
        profile.position.into(),
        profile.body.clone().into(),
        profile.updated_at.into(),
    ];
    connection.execute(sql, values).await?;
    Ok(())
}

/// Deletes a piece of those that nothing was added to since a moment; how many.
pub(crate) async fn expire(
    connection: &mut Connection,
    organisation: OrganisationId,
    before: Timestamp,
    limit: usize,
) -> Result<usize, StoreError> {
    let sql = "SELECT agent, subject FROM profile WHERE organisation = $1 AND updated_at < $2 LIMIT $3";
    let old =
        connection.query(sql, vec![organisation.into(), before.into(), limit_value(limit).into()]).await?;
    let count = old.len();
    for mut row in old {
        let (agent, subject): (AgentId, Pseudonym) = (row.take()?, row.take()?);
        let sql =
            "DELETE FROM profile WHERE organisation = $1 AND agent = $2 AND subject = $3 AND updated_at < $4";
        // Another server may have added to it meanwhile.
        let values = vec![organisation.into(), agent.into(), subject.into(), before.into()];
        connection.execute(sql, values).await?;
    }
    Ok(count)
}

fn read(mut row: Row) -> Result<StoredProfile, StoreError> {
    Ok(StoredProfile {
        agent: row.take()?,
        subject: row.take()?,
        position: row.take()?,
        body: row.take()?,
        updated_at: row.take()?,
    })
}

fn limit_value(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
