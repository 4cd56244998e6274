//! Shadows of rollouts: pairs of executions on the same decision, read in order and kept all together.

use std::collections::BTreeMap;

use upswing_domain::{
    AgentId, DecisionId, Did, ExecutionId, OrganisationId, Position, Rollout, RolloutId, ShadowPair,
    Timestamp,
};

use crate::collect::rows;
use crate::engine::Connection;
use crate::value::Row;
use crate::{ShadowPiece, ShadowProgress, StoreError, StoredPair};

/// Positions that one piece covers.
const PIECE: i64 = 5_000;

/// Nothing is known yet; pairs are looked for from here on.
pub(crate) async fn begin(
    connection: &mut Connection,
    organisation: OrganisationId,
    rollout: &Rollout,
    now: Timestamp,
) -> Result<(), StoreError> {
    let head = head(connection, organisation, rollout.agent).await?;
    let sql = "INSERT INTO shadow_tally (organisation, rollout, position, revision, state, saved_at) \
               VALUES ($1, $2, $3, 0, NULL, $4)";
    connection.execute(sql, vec![organisation.into(), rollout.id.into(), head.into(), now.into()]).await?;
    Ok(())
}

async fn head(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: AgentId,
) -> Result<Position, StoreError> {
    let sql = "SELECT position FROM agent_head WHERE organisation = $1 AND agent = $2";
    let row = connection.query_one(sql, vec![organisation.into(), agent.into()]).await?;
    row.map_or(Ok(Position(0)), |mut row| row.take())
}

/// How far a shadow has been read, and what was found up to there; `None` for a rollout without one.
pub(crate) async fn progress(
    connection: &mut Connection,
    organisation: OrganisationId,
    rollout: RolloutId,
) -> Result<Option<ShadowProgress>, StoreError> {
    let sql = "SELECT position, revision, state FROM shadow_tally WHERE organisation = $1 AND rollout = $2";
    let row = connection.query_one(sql, vec![organisation.into(), rollout.into()]).await?;
    row.map(|mut row| Ok(ShadowProgress { position: row.take()?, revision: row.take()?, state: row.take()? }))
        .transpose()
}

/// What both did, in the order of the columns of [`piece`].
const PAIR: &str = "s.decision, e.id, s.position, e.position, e.metrics, e.error IS NOT NULL, s.metrics, \
                    s.error IS NOT NULL, e.output, s.output";

/// The pairs that became complete after a position, in the order in which they did: a shadow that came to an execution that was
/// there, and an execution that came to a shadow.
pub(crate) async fn piece(
    connection: &mut Connection,
    organisation: OrganisationId,
    rollout: &Rollout,
    from: Position,
) -> Result<ShadowPiece, StoreError> {
    let head = head(connection, organisation, rollout.agent).await?;
    let to = Position(head.0.min(from.0.saturating_add(PIECE)));
    if to <= from {
        return Ok(ShadowPiece { pairs: Vec::new(), to: from, complete: true });
    }
    let shadows = "s.organisation = $1 AND s.rollout = $2 AND s.compared_with IS NULL";
    // Who reports the new version's run as the decision's does not make it what was served.
    let executions =
        "e.organisation = $1 AND e.agent = $3 AND e.position > 0 AND (e.version IS NULL OR e.version <> $6)";
    // Most executions have their decision's id; those that have another are found by an index of their own.
    let same = "e.id = s.decision";
    let another = "e.decision = s.decision AND e.decision <> e.id";
    let select = |paired: &str, range: &str| {
        format!(
            "SELECT {PAIR} FROM shadow_execution s JOIN execution e ON e.organisation = s.organisation AND {paired} \
             WHERE {shadows} AND {executions} AND {range}"
        )
    };
    let fresh = "s.position > $4 AND s.position <= $5 AND e.position <= $5";
    let waited = "e.position > $4 AND e.position <= $5 AND s.position <= $4";
    let sql = [(same, fresh), (another, fresh), (same, waited), (another, waited)]
        .map(|(paired, range)| select(paired, range))
        .join(" UNION ALL ");
    let parameters = vec![
        organisation.into(),
        rollout.id.into(),
        rollout.agent.into(),
        from.into(),
        to.into(),
        rollout.version.into(),
    ];
    // Of several executions of one decision the first counts.
    let mut found: BTreeMap<DecisionId, (Position, Position, ShadowPair)> = BTreeMap::new();
    for row in connection.query(&sql, parameters).await? {
        let (shadow, execution, pair) = read(row)?;
        let first = found.get(&pair.decision).is_none_or(|(_, known, _)| execution < *known);
        if first {
            found.insert(pair.decision, (shadow, execution, pair));
        }
    }
    let mut pairs: Vec<_> = found.into_values().collect();
    pairs.sort_unstable_by_key(|(shadow, execution, _)| shadow.max(execution).0);
    let pairs = pairs.into_iter().map(|(_, _, pair)| pair).collect();
    Ok(ShadowPiece { pairs, to, complete: to == head })
}

fn read(mut row: Row) -> Result<(Position, Position, ShadowPair), StoreError> {
    let (decision, execution) = (row.take::<DecisionId>()?, row.take::<ExecutionId>()?);
    let positions: [Position; 2] = [row.take()?, row.take()?];
    let mut did = || Ok::<_, StoreError>(Did { metrics: rows::metrics(row.take()?)?, failed: row.take()? });
    let (current, shadow) = (did()?, did()?);
    let same = same(&mut row)?;
    let [of_shadow, of_execution] = positions;
    Ok((of_shadow, of_execution, ShadowPair { decision, execution, current, shadow, same }))
}

/// The pairs of a rollout's shadow that were compared, newest first, before a position.
pub(crate) async fn pairs(
    connection: &mut Connection,
    organisation: OrganisationId,
    rollout: RolloutId,
    before: Option<Position>,
    limit: usize,
) -> Result<Vec<StoredPair>, StoreError> {
    let sql = "SELECT s.position, s.decision, e.id, e.error, e.metrics, s.error, s.metrics, e.output, s.output                FROM shadow_execution s JOIN execution e ON e.organisation = s.organisation AND e.id = s.compared_with                WHERE s.organisation = $1 AND s.rollout = $2 AND s.position < $3 ORDER BY s.position DESC LIMIT $4";
    let values = vec![
        organisation.into(),
        rollout.into(),
        before.unwrap_or(Position(i64::MAX)).into(),
        i64::try_from(limit).unwrap_or(i64::MAX).into(),
    ];
    let rows = connection.query(sql, values).await?;
    rows.into_iter()
        .map(|mut row| {
            Ok(StoredPair {
                position: row.take()?,
                decision: row.take()?,
                execution: row.take()?,
                current: (row.take()?, rows::metrics(row.take()?)?),
                shadow: (row.take()?, rows::metrics(row.take()?)?),
                same: same(&mut row)?,
            })
        })
        .collect()
}

/// Whether both said the same, from the keyed hashes of what they said.
fn same(row: &mut Row) -> Result<Option<bool>, StoreError> {
    let outputs: [Option<Vec<u8>>; 2] = [row.take()?, row.take()?];
    Ok(match outputs {
        [Some(current), Some(shadow)] => Some(current == shadow),
        _ => None,
    })
}

/// Saves what a piece came to; nothing where somebody else has saved since `before`.
pub(crate) async fn save(
    connection: &mut Connection,
    organisation: OrganisationId,
    rollout: RolloutId,
    now: Timestamp,
    before: &ShadowProgress,
    (piece, state): (&ShadowPiece, Vec<u8>),
) -> Result<(), StoreError> {
    // Whoever saves waits here, so that of two who read the same only one finds it unchanged.
    connection.advance(organisation, 0).await?;
    let sql = "UPDATE shadow_tally SET position = $3, revision = revision + 1, state = $4, saved_at = $5 \
               WHERE organisation = $1 AND rollout = $2 AND revision = $6";
    let values = vec![
        organisation.into(),
        rollout.into(),
        piece.to.into(),
        state.into(),
        now.into(),
        before.revision.into(),
    ];
    if connection.execute(sql, values).await? == 0 {
        return Err(StoreError::LeaseLost);
    }
    for pair in &piece.pairs {
        let sql = "UPDATE shadow_execution SET compared_with = $4 \
                   WHERE organisation = $1 AND rollout = $2 AND decision = $3";
        let values = vec![organisation.into(), rollout.into(), pair.decision.into(), pair.execution.into()];
        connection.execute(sql, values).await?;
    }
    Ok(())
}
