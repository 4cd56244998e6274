//! Leases: one server at a time does a thing, and a write of a former holder is refused by its fencing number.

use upswing_domain::Timestamp;

use crate::StoreError;
use crate::engine::Connection;

/// Takes or renews; the fencing number, or `None` while another holds it.
pub(crate) async fn acquire(
    connection: &mut Connection,
    name: &str,
    holder: &str,
    now: Timestamp,
    ttl_seconds: i64,
) -> Result<Option<i64>, StoreError> {
    let sql = "INSERT INTO lease (name, holder, fence, expires_at) VALUES ($1, $2, 1, $4) \
               ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at, \
               fence = CASE WHEN lease.holder = excluded.holder THEN lease.fence ELSE lease.fence + 1 END \
               WHERE lease.holder = excluded.holder OR lease.expires_at <= $3 RETURNING fence";
    let until = now.plus_seconds(ttl_seconds);
    let row = connection.query_one(sql, vec![name.into(), holder.into(), now.into(), until.into()]).await?;
    row.map(|mut row| row.take()).transpose()
}

pub(crate) async fn release(connection: &mut Connection, name: &str, holder: &str) -> Result<(), StoreError> {
    let sql = "UPDATE lease SET expires_at = 0 WHERE name = $1 AND holder = $2";
    connection.execute(sql, vec![name.into(), holder.into()]).await?;
    Ok(())
}

/// Refuses unless the lease is still held with this number; it stays so until the transaction ends.
pub(crate) async fn check(
    connection: &mut Connection,
    name: &str,
    holder: &str,
    fence: i64,
) -> Result<(), StoreError> {
    let sql = "UPDATE lease SET fence = fence WHERE name = $1 AND holder = $2 AND fence = $3";
    match connection.execute(sql, vec![name.into(), holder.into(), fence.into()]).await? {
        1 => Ok(()),
        _ => Err(StoreError::LeaseLost),
    }
}
