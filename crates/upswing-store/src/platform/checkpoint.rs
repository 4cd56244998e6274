//! Followers' states with the position they have read up to, and what they were derived from.

use upswing_domain::{AgentId, OrganisationId, Position, Timestamp};

use crate::engine::Connection;
use crate::{Checkpoint, LineageEdge, News, StoreError};

pub(crate) async fn load(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: AgentId,
    follower: &str,
) -> Result<Option<Checkpoint>, StoreError> {
    let sql = "SELECT position, revision, state, made_with FROM checkpoint \
               WHERE organisation = $1 AND agent = $2 AND follower = $3";
    let row = connection.query_one(sql, vec![organisation.into(), agent.into(), follower.into()]).await?;
    row.map(|mut row| {
        Ok(Checkpoint {
            position: row.take()?,
            revision: row.take()?,
            state: row.take()?,
            made_with: row.take()?,
        })
    })
    .transpose()
}

pub(crate) async fn save(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: AgentId,
    follower: &str,
    now: Timestamp,
    checkpoint: &Checkpoint,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO checkpoint (organisation, agent, follower, position, revision, state, made_with, saved_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (organisation, agent, follower) DO UPDATE SET \
               position = excluded.position, revision = excluded.revision, state = excluded.state, \
               made_with = excluded.made_with, saved_at = excluded.saved_at";
    let values = vec![
        organisation.into(),
        agent.into(),
        follower.into(),
        checkpoint.position.into(),
        checkpoint.revision.into(),
        checkpoint.state.clone().into(),
        checkpoint.made_with.clone().into(),
        now.into(),
    ];
    connection.execute(sql, values).await?;
    Ok(())
}

/// Records that something was derived from something; a range grows with each call.
pub(crate) async fn link(
    connection: &mut Connection,
    organisation: OrganisationId,
    edge: &LineageEdge,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO lineage (organisation, derived_kind, derived_id, source_kind, source_id, from_position, \
               to_position, made_with, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
               ON CONFLICT (organisation, derived_kind, derived_id, source_kind, source_id) DO UPDATE SET \
               to_position = excluded.to_position, made_with = excluded.made_with, at = excluded.at";
    let values = vec![
        organisation.into(),
        edge.derived_kind.clone().into(),
        edge.derived_id.clone().into(),
        edge.source_kind.clone().into(),
        edge.source_id.clone().into(),
        edge.from.into(),
        edge.to.into(),
        edge.made_with.clone().into(),
        edge.at.into(),
    ];
    connection.execute(sql, values).await?;
    Ok(())
}

/// Up to where an agent has something to read.
pub(crate) async fn head(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: AgentId,
) -> Result<Position, StoreError> {
    let sql = "SELECT position FROM agent_head WHERE organisation = $1 AND agent = $2";
    let row = connection.query_one(sql, vec![organisation.into(), agent.into()]).await?;
    row.map_or(Ok(Position(0)), |mut row| row.take())
}

/// Up to where each agent that the transaction sees has something to read.
pub(crate) async fn news(connection: &mut Connection) -> Result<Vec<News>, StoreError> {
    let mut news = Vec::new();
    for mut row in
        connection.query("SELECT organisation, agent, position FROM agent_head", Vec::new()).await?
    {
        news.push(News { organisation: row.take()?, agent: row.take()?, position: row.take()? });
    }
    Ok(news)
}

/// What something was derived from.
pub(crate) async fn lineage(
    connection: &mut Connection,
    organisation: OrganisationId,
    kind: &str,
    id: &str,
) -> Result<Vec<LineageEdge>, StoreError> {
    let sql = "SELECT derived_kind, derived_id, source_kind, source_id, from_position, to_position, made_with, at \
               FROM lineage WHERE organisation = $1 AND derived_kind = $2 AND derived_id = $3 \
               ORDER BY source_kind, source_id";
    let mut edges = Vec::new();
    for mut row in connection.query(sql, vec![organisation.into(), kind.into(), id.into()]).await? {
        edges.push(LineageEdge {
            derived_kind: row.take()?,
            derived_id: row.take()?,
            source_kind: row.take()?,
            source_id: row.take()?,
            from: row.take()?,
            to: row.take()?,
            made_with: row.take()?,
            at: row.take()?,
        });
    }
    Ok(edges)
}
