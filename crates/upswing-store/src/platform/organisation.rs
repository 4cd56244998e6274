//! Organisations.

use serde_json::json;
use upswing_domain::{OrganisationId, Timestamp};

use super::audit;
use crate::engine::Connection;
use crate::{Actor, Organisation, StoreError};

pub(crate) async fn create(
    connection: &mut Connection,
    id: OrganisationId,
    name: &str,
    now: Timestamp,
) -> Result<Organisation, StoreError> {
    let sql = "INSERT INTO organisation (id, name, created_at, revision) VALUES ($1, $2, $3, 0)";
    connection.execute(sql, vec![id.into(), name.into(), now.into()]).await?;
    let sql = "INSERT INTO stream_head (organisation, position) VALUES ($1, 0)";
    connection.execute(sql, vec![id.into()]).await?;
    let actor = Actor { organisation: id, key: None, now, request: None };
    audit::record(connection, &actor, "organisation.create", id, json!({ "name": name })).await?;
    Ok(Organisation { id, name: name.to_owned(), created_at: now, revision: 1 })
}

pub(crate) async fn all(connection: &mut Connection) -> Result<Vec<Organisation>, StoreError> {
    let sql = "SELECT id, name, created_at, revision FROM organisation ORDER BY created_at, id";
    let mut organisations = Vec::new();
    for mut row in connection.query(sql, Vec::new()).await? {
        organisations.push(Organisation {
            id: row.take()?,
            name: row.take()?,
            created_at: row.take()?,
            revision: row.take()?,
        });
    }
    Ok(organisations)
}
