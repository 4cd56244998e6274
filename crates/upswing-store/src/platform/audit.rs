//! The audit log: one line for each administrative change, written in the transaction of the change.

use serde_json::Value as Json;
use upswing_domain::OrganisationId;

use crate::engine::Connection;
use crate::value::Value;
use crate::{Actor, AuditEntry, StoreError};

/// Writes a line and moves the organisation's revision on, so that every server reloads.
pub(crate) async fn record(
    connection: &mut Connection,
    actor: &Actor,
    action: &str,
    subject: impl ToString,
    details: Json,
) -> Result<(), StoreError> {
    let organisation = Value::from(actor.organisation);
    let sql = "UPDATE organisation SET revision = revision + 1 WHERE id = $1 RETURNING revision";
    let row = connection.query_one(sql, vec![organisation.clone()]).await?;
    // The revision is locked until the commit, so it can number the lines too: each change writes one.
    let sequence: i64 = row
        .ok_or_else(|| StoreError::NotFound { noun: "organisation", id: actor.organisation.to_string() })?
        .take()?;
    let sql = "INSERT INTO audit_entry (organisation, sequence, at, api_key, action, subject, details, request) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let values = vec![
        organisation,
        sequence.into(),
        actor.now.into(),
        actor.key.into(),
        action.into(),
        subject.to_string().into(),
        details.to_string().into(),
        actor.request.clone().into(),
    ];
    connection.execute(sql, values).await?;
    connection.announce_change().await
}

/// Newest first.
pub(crate) async fn page(
    connection: &mut Connection,
    organisation: OrganisationId,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<AuditEntry>, StoreError> {
    let sql = "SELECT sequence, at, api_key, action, subject, details, request FROM audit_entry \
               WHERE organisation = $1 AND sequence < $2 ORDER BY sequence DESC LIMIT $3";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let parameters = vec![organisation.into(), before.unwrap_or(i64::MAX).into(), limit.into()];
    let mut entries = Vec::new();
    for mut row in connection.query(sql, parameters).await? {
        entries.push(AuditEntry {
            sequence: row.take()?,
            at: row.take()?,
            key: row.take()?,
            action: row.take()?,
            subject: row.take()?,
            details: row.take()?,
            request: row.take()?,
        });
    }
    Ok(entries)
}
