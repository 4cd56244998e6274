//! The audit log: administrative changes, written in the transaction of the change.

use axum::extract::State;
use serde::Serialize;
use serde_json::value::RawValue;
use upswing_domain::Timestamp;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::Shared;
use crate::auth::Caller;
use crate::problem::{Problem, Problems};
use crate::wire::json::{Json, Params};
use crate::wire::page::PageParams;
use crate::wire::time;

/// A change.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(crate) struct AuditEntryResponse {
    /// Its number in the organisation, from 1, without gaps.
    sequence: i64,
    /// When.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The key that was used; `null` for the command line.
    key_id: Option<Uuid>,
    /// What was done: `agent.create`, `version.promote`, ...
    action: String,
    /// To what.
    subject: String,
    /// With which values.
    #[schema(value_type = Object)]
    details: Box<RawValue>,
    /// The request, as in the server's log.
    request_id: Option<String>,
}

/// Changes in the organisation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditResponse {
    /// Newest first.
    entries: Vec<AuditEntryResponse>,
    /// For the next page; `null` on the last.
    next_cursor: Option<String>,
    /// The end of the chain; `null` while no line is chained.
    head: Option<AuditHeadResponse>,
}

/// The last line's place in the chain of the log. Kept elsewhere, it tells later whether everything up to it still stands:
/// `upswing audit verify --expect-head HASH`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditHead)]
pub(crate) struct AuditHeadResponse {
    /// The line's number.
    sequence: i64,
    /// Its value: a keyed hash over this line and all before it, in hexadecimal.
    hash: String,
}

/// Who changed what.
#[utoipa::path(
    get,
    path = "/api/learning/audit",
    tag = "platform",
    operation_id = "list_audit_entries",
    params(PageParams),
    responses((status = 200, description = "A page of changes", body = AuditResponse), Problems)
)]
pub(crate) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    Params(page): Params<PageParams>,
) -> Result<Json<AuditResponse>, Problem> {
    let limit = page.limit()?;
    // Before the page: what the answer shows is never older than its head.
    let head = app.store.audit_head(caller.organisation()).await?;
    let head = head.map(|head| AuditHeadResponse {
        sequence: head.sequence,
        hash: blake3::Hash::from_bytes(head.hash).to_hex().to_string(),
    });
    let mut found = app.store.audit(caller.organisation(), page.number()?, limit + 1).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next_cursor = found.last().filter(|_| more).map(|entry| entry.sequence.to_string());
    let entries = found.into_iter().map(|entry| {
        Ok(AuditEntryResponse {
            sequence: entry.sequence,
            at: entry.at,
            key_id: entry.key.map(|key| key.0),
            action: entry.action,
            subject: entry.subject,
            details: RawValue::from_string(entry.details).map_err(|e| Problem::internal(&e.to_string()))?,
            request_id: entry.request,
        })
    });
    Ok(Json(AuditResponse { entries: entries.collect::<Result<_, Problem>>()?, next_cursor, head }))
}
