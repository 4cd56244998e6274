//! API keys: stored as keyed hashes, found by them.

use serde_json::json;
use upswing_domain::{KeyId, OrganisationId, Role};

use super::audit;
use crate::collect::rows;
use crate::engine::Connection;
use crate::value::Row;
use crate::{Actor, ApiKey, StoreError};

const SELECT: &str =
    "SELECT id, organisation, name, role, hint, origins, created_at, expires_at, revoked_at FROM api_key";

pub(crate) async fn create(
    connection: &mut Connection,
    actor: &Actor,
    key: ApiKey,
    hash: [u8; 32],
) -> Result<ApiKey, StoreError> {
    let sql = "INSERT INTO api_key (organisation, id, name, role, hash, hint, origins, created_at, expires_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let values = vec![
        key.organisation.into(),
        key.id.into(),
        key.name.clone().into(),
        key.role.name().into(),
        hash.into(),
        key.hint.clone().into(),
        json!(key.origins).to_string().into(),
        key.created_at.into(),
        key.expires_at.into(),
    ];
    connection.execute(sql, values).await?;
    let details = json!({ "name": key.name, "role": key.role.name(), "origins": key.origins });
    audit::record(connection, actor, "key.create", key.id, details).await?;
    Ok(key)
}

pub(crate) async fn by_hash(
    connection: &mut Connection,
    hash: [u8; 32],
) -> Result<Option<ApiKey>, StoreError> {
    connection.query_one(&format!("{SELECT} WHERE hash = $1"), vec![hash.into()]).await?.map(read).transpose()
}

pub(crate) async fn all(
    connection: &mut Connection,
    organisation: OrganisationId,
) -> Result<Vec<ApiKey>, StoreError> {
    let sql = format!("{SELECT} WHERE organisation = $1 ORDER BY created_at, id");
    connection.query(&sql, vec![organisation.into()]).await?.into_iter().map(read).collect()
}

pub(crate) async fn revoke(
    connection: &mut Connection,
    actor: &Actor,
    id: KeyId,
) -> Result<ApiKey, StoreError> {
    let sql = "UPDATE api_key SET revoked_at = coalesce(revoked_at, $3) WHERE organisation = $1 AND id = $2";
    connection.execute(sql, vec![actor.organisation.into(), id.into(), actor.now.into()]).await?;
    let sql = format!("{SELECT} WHERE organisation = $1 AND id = $2");
    let row = connection.query_one(&sql, vec![actor.organisation.into(), id.into()]).await?;
    let key =
        row.map(read).transpose()?.ok_or_else(|| StoreError::NotFound { noun: "key", id: id.to_string() })?;
    audit::record(connection, actor, "key.revoke", id, json!({ "name": key.name })).await?;
    Ok(key)
}

fn read(mut row: Row) -> Result<ApiKey, StoreError> {
    Ok(ApiKey {
        id: row.take()?,
        organisation: row.take()?,
        name: row.take()?,
        role: rows::named("role", &row.take::<String>()?, Role::named)?,
        hint: row.take()?,
        origins: rows::parse("origins", &row.take::<String>()?)?,
        created_at: row.take()?,
        expires_at: row.take()?,
        revoked_at: row.take()?,
    })
}
