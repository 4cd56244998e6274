//! The audit log: one line for each administrative change, written in the transaction of the change.

use serde_json::Value as Json;
use upswing_domain::OrganisationId;

use super::audit_chain::{Content, GENESIS, Link};
use super::audit_walk::AuditHead;
use crate::engine::Connection;
use crate::value::Value;
use crate::{Actor, AuditEntry, StoreError};

/// Writes a line, chained to the one before it, and moves the organisation's revision on, so that every server reloads.
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
    let sql = "SELECT chain FROM audit_entry WHERE organisation = $1 AND sequence = $2";
    let previous = match connection.query_one(sql, vec![organisation.clone(), (sequence - 1).into()]).await? {
        Some(mut row) => row.take::<Option<Link>>()?,
        None => None,
    };
    let content = Content {
        at: actor.now,
        key: actor.key,
        action: action.to_owned(),
        subject: subject.to_string(),
        details: details.to_string(),
        request: actor.request.clone(),
    };
    let unsealed =
        || StoreError::Configuration("this connection has no key to chain the audit log".to_owned());
    let seal = connection.audit_seal().ok_or_else(unsealed)?;
    let previous = previous.unwrap_or(GENESIS);
    let (key, link) =
        content.link(&*seal, actor.organisation, None, &previous, sequence).ok_or_else(unsealed)?;
    let sql = "INSERT INTO audit_entry (organisation, sequence, at, api_key, action, subject, details, request, chain, \
               chain_key) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let values = vec![
        organisation,
        sequence.into(),
        content.at.into(),
        content.key.into(),
        content.action.into(),
        content.subject.into(),
        content.details.into(),
        content.request.into(),
        link.into(),
        i64::from(key).into(),
    ];
    connection.execute(sql, values).await?;
    connection.announce_change().await
}

/// The last line's place in the chain; `None` while no line is chained.
pub(crate) async fn head(
    connection: &mut Connection,
    organisation: OrganisationId,
) -> Result<Option<AuditHead>, StoreError> {
    let sql = "SELECT sequence, chain FROM audit_entry WHERE organisation = $1 AND chain IS NOT NULL \
               ORDER BY sequence DESC LIMIT 1";
    let Some(mut row) = connection.query_one(sql, vec![organisation.into()]).await? else { return Ok(None) };
    Ok(Some(AuditHead { sequence: row.take()?, hash: row.take()? }))
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
