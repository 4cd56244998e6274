//! Shadows of rollouts: pairs of executions on the same decision, read in order and kept all together.

use std::collections::{BTreeMap, BTreeSet};

use upswing_domain::{
    AgentId, DecisionId, Did, ExecutionId, OrganisationId, Position, Rollout, RolloutId, ShadowPair,
    Timestamp, VersionId,
};

use crate::collect::rows;
use crate::engine::{Connection, tables};
use crate::platform::checkpoint;
use crate::value::{Row, Value};
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
    let head = checkpoint::head(connection, organisation, rollout.agent).await?;
    let sql = "INSERT INTO shadow_tally (organisation, rollout, position, revision, state, saved_at) \
               VALUES ($1, $2, $3, 0, NULL, $4)";
    connection.execute(sql, vec![organisation.into(), rollout.id.into(), head.into(), now.into()]).await?;
    Ok(())
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

/// The pairs that became complete after a position, in the order in which they did: a shadow that came to an execution that was
/// there, and an execution that came to a shadow. Each step goes from keys to rows: what it costs follows from what is new.
pub(crate) async fn piece(
    connection: &mut Connection,
    organisation: OrganisationId,
    rollout: &Rollout,
    from: Position,
) -> Result<ShadowPiece, StoreError> {
    let head = checkpoint::head(connection, organisation, rollout.agent).await?;
    let to = Position(head.0.min(from.0.saturating_add(PIECE)));
    if to <= from {
        return Ok(ShadowPiece { pairs: Vec::new(), to: from, complete: true });
    }
    let range = |of: Value| vec![organisation.into(), of, from.into(), to.into()];
    let sql = "SELECT decision FROM shadow_execution WHERE organisation = $1 AND rollout = $2 AND position > $3 \
               AND position <= $4 AND compared_with IS NULL";
    let mut decisions = BTreeSet::new();
    for mut row in connection.query(sql, range(rollout.id.into())).await? {
        decisions.insert(row.take::<DecisionId>()?);
    }
    let sql = "SELECT COALESCE(decision, id) FROM execution WHERE organisation = $1 AND agent = $2 AND position > $3 \
               AND position <= $4 AND position > 0";
    for mut row in connection.query(sql, range(rollout.agent.into())).await? {
        decisions.insert(row.take()?);
    }
    let keys = decisions.iter().map(|id| vec![organisation.into(), rollout.id.into(), (*id).into()]);
    let mut waiting: BTreeMap<DecisionId, (Position, Ran)> = BTreeMap::new();
    for mut row in connection.look_up(&tables::SHADOW_WAITING, keys.collect()).await? {
        let (decision, position) = (row.take()?, row.take::<Position>()?);
        let ran = Ran::read(&mut row)?;
        if position <= to {
            waiting.insert(decision, (position, ran));
        }
    }
    let served = served(connection, organisation, rollout, waiting.keys().copied(), to).await?;
    let mut pairs = Vec::new();
    for (decision, (position, shadow)) in waiting {
        let Some((served_at, execution, current)) = served.get(&decision) else { continue };
        let same = same(current.output.as_ref(), shadow.output.as_ref());
        let (current, shadow) = (current.did(), shadow.did());
        let pair = ShadowPair { decision, execution: *execution, current, shadow, same };
        pairs.push((position.max(*served_at), *served_at, pair));
    }
    pairs.sort_unstable_by_key(|(complete, served_at, _)| (*complete, *served_at));
    let pairs = pairs.into_iter().map(|(_, _, pair)| pair).collect();
    Ok(ShadowPiece { pairs, to, complete: to == head })
}

/// What an execution, or a shadow, did.
struct Ran {
    error: Option<String>,
    metrics: BTreeMap<String, f64>,
    /// The keyed hash of what came out.
    output: Option<Vec<u8>>,
}

impl Ran {
    fn read(row: &mut Row) -> Result<Self, StoreError> {
        Ok(Self { error: row.take()?, metrics: rows::metrics(row.take()?)?, output: row.take()? })
    }

    fn did(&self) -> Did {
        Did { failed: self.error.is_some(), metrics: self.metrics.clone() }
    }
}

/// Whether both said the same, from the keyed hashes of what they said.
fn same(current: Option<&Vec<u8>>, shadow: Option<&Vec<u8>>) -> Option<bool> {
    current.zip(shadow).map(|(current, shadow)| current == shadow)
}

/// The execution of what was served for each decision: of several the first. Who reports the new version's run as the decision's
/// does not make it what was served.
async fn served(
    connection: &mut Connection,
    organisation: OrganisationId,
    rollout: &Rollout,
    decisions: impl Iterator<Item = DecisionId>,
    to: Position,
) -> Result<BTreeMap<DecisionId, (Position, ExecutionId, Ran)>, StoreError> {
    let keys: Vec<Vec<Value>> = decisions.map(|id| vec![organisation.into(), id.into()]).collect();
    // Most executions have their decision's id; those that have another are found by an index of their own.
    let mut rows = connection.look_up(&tables::SERVED_EXECUTION, keys.clone()).await?;
    rows.extend(connection.look_up(&tables::SERVED_FOLLOWING, keys).await?);
    let mut found: BTreeMap<DecisionId, (Position, ExecutionId, Ran)> = BTreeMap::new();
    for mut row in rows {
        let (decision, execution, position) = (row.take()?, row.take()?, row.take::<Position>()?);
        let (agent, version): (AgentId, Option<VersionId>) = (row.take()?, row.take()?);
        let counts = agent == rollout.agent
            && version != Some(rollout.version)
            && (Position(1)..=to).contains(&position);
        if counts && found.get(&decision).is_none_or(|(first, _, _)| position < *first) {
            found.insert(decision, (position, execution, Ran::read(&mut row)?));
        }
    }
    Ok(found)
}

/// The pairs of a rollout's shadow that were compared, newest first, before a position.
pub(crate) async fn pairs(
    connection: &mut Connection,
    organisation: OrganisationId,
    rollout: RolloutId,
    before: Option<Position>,
    limit: usize,
) -> Result<Vec<StoredPair>, StoreError> {
    let sql = "SELECT position, decision, compared_with, error, metrics, output FROM shadow_execution \
               WHERE organisation = $1 AND rollout = $2 AND position < $3 AND compared_with IS NOT NULL \
               ORDER BY position DESC LIMIT $4";
    let values = vec![
        organisation.into(),
        rollout.into(),
        before.unwrap_or(Position(i64::MAX)).into(),
        i64::try_from(limit).unwrap_or(i64::MAX).into(),
    ];
    let mut shadows = Vec::new();
    for mut row in connection.query(sql, values).await? {
        let (position, decision, execution) = (row.take()?, row.take()?, row.take::<ExecutionId>()?);
        shadows.push((position, decision, execution, Ran::read(&mut row)?));
    }
    let keys = shadows.iter().map(|(_, _, execution, _)| vec![organisation.into(), (*execution).into()]);
    let mut served: BTreeMap<ExecutionId, Ran> = BTreeMap::new();
    for mut row in connection.look_up(&tables::COMPARED_EXECUTION, keys.collect()).await? {
        served.insert(row.take()?, Ran::read(&mut row)?);
    }
    let pair = |(position, decision, execution, shadow): (Position, DecisionId, ExecutionId, Ran)| {
        // What has been erased since is no pair any more.
        let current = served.remove(&execution)?;
        let same = same(current.output.as_ref(), shadow.output.as_ref());
        let (current, shadow) = ((current.error, current.metrics), (shadow.error, shadow.metrics));
        Some(StoredPair { position, decision, execution, current, shadow, same })
    };
    Ok(shadows.into_iter().filter_map(pair).collect())
}

/// Saves what a piece came to; nothing where somebody else has saved since `before`, or the shadow is over.
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
               WHERE organisation = $1 AND rollout = $2 AND revision = $6 \
               AND EXISTS (SELECT 1 FROM rollout r WHERE r.organisation = $1 AND r.id = $2 AND r.shadow)";
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
