//! Epochs: every change of what an agent serves is a record of its own.

use serde_json::json;
use upswing_domain::{AgentId, OrganisationId, Position, VersionId};

use super::{agent, rollout};
use crate::collect::rows;
use crate::engine::Connection;
use crate::platform::audit;
use crate::value::Row;
use crate::{Actor, AgentState, Deployment, StoreError};

/// What begins an epoch.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Change {
    Created,
    VersionAdded(VersionId),
    Promoted(VersionId),
    RolledBack(VersionId),
    RolloutStarted(VersionId),
    PolicyChanged,
}

impl Change {
    fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::VersionAdded(_) => "version_added",
            Self::Promoted(_) => "promoted",
            Self::RolledBack(_) => "rolled_back",
            Self::RolloutStarted(_) => "rollout_started",
            Self::PolicyChanged => "policy_changed",
        }
    }

    fn version(self) -> Option<VersionId> {
        match self {
            Self::VersionAdded(v) | Self::Promoted(v) | Self::RolledBack(v) | Self::RolloutStarted(v) => {
                Some(v)
            }
            Self::Created | Self::PolicyChanged => None,
        }
    }
}

/// Begins an epoch with what the agent's rows say now.
pub(crate) async fn change(
    connection: &mut Connection,
    actor: &Actor,
    id: AgentId,
    change: Change,
    reason: &str,
) -> Result<(), StoreError> {
    let organisation = actor.organisation;
    let position = Position(connection.advance(organisation, 1).await?.0 + 1);
    let sql = "UPDATE agent SET epoch = epoch + 1 WHERE organisation = $1 AND id = $2";
    connection.execute(sql, vec![organisation.into(), id.into()]).await?;
    let state = agent::required(connection, organisation, id).await?;
    let eligible: Vec<_> = state.versions.iter().filter(|v| v.eligible).map(|v| v.id).collect();
    let sql = "INSERT INTO deployment (organisation, agent, epoch, kind, version, champion, eligible, policy, reason, \
               api_key, at, position) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    let values = vec![
        organisation.into(),
        id.into(),
        state.agent.epoch.into(),
        change.name().into(),
        change.version().into(),
        state.agent.champion.into(),
        json!(eligible).to_string().into(),
        json!(state.agent.policy).to_string().into(),
        reason.into(),
        actor.key.into(),
        actor.now.into(),
        position.into(),
    ];
    connection.execute(sql, values).await?;
    Ok(())
}

/// Makes a version the champion. A version that was rolled back is eligible again.
pub(crate) async fn promote(
    connection: &mut Connection,
    actor: &Actor,
    id: AgentId,
    version: VersionId,
    reason: &str,
) -> Result<AgentState, StoreError> {
    // The first lock of everything that changes what is served, in whatever order it touches the rest.
    connection.advance(actor.organisation, 0).await?;
    set_eligible(connection, actor.organisation, id, version, true).await?;
    set_champion(connection, actor.organisation, id, Some(version)).await?;
    let details = json!({ "agent": id, "reason": reason });
    audit::record(connection, actor, "version.promote", version, details).await?;
    change(connection, actor, id, Change::Promoted(version), reason).await?;
    agent::required(connection, actor.organisation, id).await
}

/// Takes a version out of everything that serves it: policies, a rollout of it or against it, experiments with it, and its place
/// as the safe version. If it was the champion, the latest earlier champion that may still serve takes its place, or none.
pub(crate) async fn roll_back(
    connection: &mut Connection,
    actor: &Actor,
    id: AgentId,
    version: VersionId,
    reason: &str,
) -> Result<AgentState, StoreError> {
    let organisation = actor.organisation;
    connection.advance(organisation, 0).await?;
    set_eligible(connection, organisation, id, version, false).await?;
    let state = agent::required(connection, organisation, id).await?;
    rollout::end_with(connection, actor, &state, version, reason).await?;
    let sql =
        "UPDATE agent SET safe_version = NULL WHERE organisation = $1 AND id = $2 AND safe_version = $3";
    connection.execute(sql, vec![organisation.into(), id.into(), version.into()]).await?;
    if state.agent.champion == Some(version) {
        let sql = "SELECT champion FROM deployment WHERE organisation = $1 AND agent = $2 AND champion IS NOT NULL \
                   ORDER BY epoch DESC";
        let mut earlier = None;
        for mut row in connection.query(sql, vec![organisation.into(), id.into()]).await? {
            let champion: VersionId = row.take()?;
            if state.versions.iter().any(|v| v.id == champion && v.eligible) {
                earlier = Some(champion);
                break;
            }
        }
        set_champion(connection, organisation, id, earlier).await?;
    }
    let details = json!({ "agent": id, "reason": reason });
    audit::record(connection, actor, "version.roll_back", version, details).await?;
    change(connection, actor, id, Change::RolledBack(version), reason).await?;
    agent::required(connection, organisation, id).await
}

pub(crate) async fn set_eligible(
    connection: &mut Connection,
    organisation: OrganisationId,
    id: AgentId,
    version: VersionId,
    eligible: bool,
) -> Result<(), StoreError> {
    let sql = "UPDATE version SET eligible = $4 WHERE organisation = $1 AND agent = $2 AND id = $3";
    let values = vec![organisation.into(), id.into(), version.into(), eligible.into()];
    match connection.execute(sql, values).await? {
        0 => Err(StoreError::NotFound { noun: "version", id: version.to_string() }),
        _ => Ok(()),
    }
}

async fn set_champion(
    connection: &mut Connection,
    organisation: OrganisationId,
    id: AgentId,
    champion: Option<VersionId>,
) -> Result<(), StoreError> {
    let sql = "UPDATE agent SET champion = $3 WHERE organisation = $1 AND id = $2";
    connection.execute(sql, vec![organisation.into(), id.into(), champion.into()]).await?;
    Ok(())
}

/// Newest first.
pub(crate) async fn page(
    connection: &mut Connection,
    organisation: OrganisationId,
    id: AgentId,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<Deployment>, StoreError> {
    let sql = "SELECT epoch, kind, version, champion, eligible, policy, reason, api_key, at, position FROM deployment \
               WHERE organisation = $1 AND agent = $2 AND epoch < $3 ORDER BY epoch DESC LIMIT $4";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let parameters = vec![organisation.into(), id.into(), before.unwrap_or(i64::MAX).into(), limit.into()];
    connection.query(sql, parameters).await?.into_iter().map(read).collect()
}

fn read(mut row: Row) -> Result<Deployment, StoreError> {
    Ok(Deployment {
        epoch: row.take()?,
        kind: row.take()?,
        version: row.take()?,
        champion: row.take()?,
        eligible: rows::parse("eligible versions", &row.take::<String>()?)?,
        policy: rows::parse("policy", &row.take::<String>()?)?,
        reason: row.take()?,
        key: row.take()?,
        at: row.take()?,
        position: row.take()?,
    })
}
