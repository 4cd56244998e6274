//! What went into runs, by keyed hashes.

use std::collections::BTreeMap;

use upswing_domain::{ExecutionId, InputHash, OrganisationId};

use crate::StoreError;
use crate::engine::Connection;

/// Keeps an execution's hashes. What is known of an input already stays.
pub(crate) async fn keep(
    connection: &mut Connection,
    organisation: OrganisationId,
    execution: ExecutionId,
    hashes: &BTreeMap<String, InputHash>,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO input_hash (organisation, execution, name, hash) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (organisation, execution, name) DO NOTHING";
    for (name, hash) in hashes {
        let values = vec![organisation.into(), execution.into(), name.as_str().into(), (*hash).into()];
        connection.execute(sql, values).await?;
    }
    Ok(())
}

/// An execution's hashes, by the inputs' names.
pub(crate) async fn of_execution(
    connection: &mut Connection,
    organisation: OrganisationId,
    execution: ExecutionId,
) -> Result<BTreeMap<String, InputHash>, StoreError> {
    let sql = "SELECT name, hash FROM input_hash WHERE organisation = $1 AND execution = $2 ORDER BY name";
    let rows = connection.query(sql, vec![organisation.into(), execution.into()]).await?;
    rows.into_iter().map(|mut row| Ok((row.take()?, row.take()?))).collect()
}
