//! Folding stored feedback again under a new reward definition, in pieces.

use upswing_domain::{
    AgentId, DecisionId, ExecutionId, OrganisationId, Position, Reward, RewardDefinition, Timestamp,
};
use uuid::Uuid;

use super::facts::signal_facts;
use super::plan::reward_of;
use super::read::decision_of;
use crate::StoreError;
use crate::engine::{Connection, tables};
use crate::value::Value;

/// Outcomes looked at in one piece, whoever's they are: a bound on the time that the writer is kept busy.
const PIECE: i64 = 500;

/// Marks that every outcome of the agent has to be folded again.
pub(crate) async fn reset_refold(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: AgentId,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO refold (organisation, agent, cursor) VALUES ($1, $2, $3) \
               ON CONFLICT (organisation, agent) DO UPDATE SET cursor = excluded.cursor";
    connection.execute(sql, vec![organisation.into(), agent.into(), Uuid::nil().into()]).await?;
    Ok(())
}

/// Folds one piece; true when nothing is left.
pub(crate) async fn refold(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: AgentId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let o = || Value::from(organisation);
    // The head first: other servers' batches wait, so that what is read here is what is changed here.
    connection.advance(organisation, 0).await?;
    let sql = "SELECT cursor FROM refold WHERE organisation = $1 AND agent = $2";
    let Some(mut row) = connection.query_one(sql, vec![o(), agent.into()]).await? else { return Ok(true) };
    let mut cursor: Uuid = row.take()?;
    let (version, definition) = definition(connection, organisation, agent).await?;

    let sql = "SELECT execution, agent, reward, definition_version, first_position FROM outcome \
               WHERE organisation = $1 AND execution > $2 ORDER BY execution LIMIT $3";
    let page = connection.query(sql, vec![o(), cursor.into(), PIECE.into()]).await?;
    let last = (page.len() as i64) < PIECE;
    let mut stale: Vec<(ExecutionId, Option<Reward>, Option<Position>)> = Vec::new();
    for mut row in page {
        let execution: ExecutionId = row.take()?;
        let of: AgentId = row.take()?;
        let (reward, under): (Option<Reward>, i64) = (row.take()?, row.take()?);
        cursor = execution.0;
        if of == agent && under < version {
            stale.push((execution, reward, row.take()?));
        }
    }
    let keys = stale.iter().map(|(e, ..)| vec![o(), (*e).into()]).collect();
    let mut feedback = std::collections::HashMap::<ExecutionId, Vec<_>>::new();
    for row in connection.look_up(&tables::FEEDBACK_SIGNALS, keys).await? {
        let ((_, execution), facts) = signal_facts(row)?;
        feedback.entry(execution).or_default().push(facts);
    }
    for (execution, old, first) in stale {
        let said = feedback.remove(&execution).unwrap_or_default();
        let new = reward_of(&said, &definition);
        let mut first = first;
        if new != old {
            let position = Position(connection.advance(organisation, 1).await?.0 + 1);
            let begins = *first.get_or_insert(position);
            enter(connection, organisation, agent, execution, (position, begins), version, (old, new), now)
                .await?;
            connection.announce(organisation, agent, position).await?;
        }
        let sql = "UPDATE outcome SET reward = $3, definition_version = $4, first_position = $5 \
                   WHERE organisation = $1 AND execution = $2";
        let reward = new.map(Reward::millionths);
        connection
            .execute(sql, vec![o(), execution.into(), reward.into(), version.into(), first.into()])
            .await?;
    }
    if last {
        connection
            .execute("DELETE FROM refold WHERE organisation = $1 AND agent = $2", vec![o(), agent.into()])
            .await?;
    } else {
        let sql = "UPDATE refold SET cursor = $3 WHERE organisation = $1 AND agent = $2";
        connection.execute(sql, vec![o(), agent.into(), cursor.into()]).await?;
    }
    Ok(last)
}

/// The agent's reward definition now.
pub(super) async fn definition(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: AgentId,
) -> Result<(i64, RewardDefinition), StoreError> {
    let sql = "SELECT a.definition_version, d.body FROM agent a JOIN reward_definition d \
               ON d.organisation = a.organisation AND d.agent = a.id AND d.version = a.definition_version \
               WHERE a.organisation = $1 AND a.id = $2";
    let mut row = connection
        .query_one(sql, vec![organisation.into(), agent.into()])
        .await?
        .ok_or_else(|| StoreError::NotFound { noun: "agent", id: agent.to_string() })?;
    Ok((row.take()?, super::rows::parse("reward definition", &row.take::<String>()?)?))
}

/// Writes a ledger entry that differs from the execution's latest one in reward and definition, or, where the execution
/// never had a reward, from what its decision says.
#[expect(
    clippy::too_many_arguments,
    reason = "an entry has that many parts, and this is its one writer here"
)]
async fn enter(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: AgentId,
    execution: ExecutionId,
    (position, first): (Position, Position),
    version: i64,
    (old, new): (Option<Reward>, Option<Reward>),
    now: Timestamp,
) -> Result<(), StoreError> {
    let entry = |values: [Value; 6]| {
        let [decision, what, source, propensity, origin, occurred] = values;
        vec![
            organisation.into(),
            agent.into(),
            position.into(),
            first.into(),
            execution.into(),
            decision,
            what,
            version.into(),
            old.map(Reward::millionths).into(),
            new.map(Reward::millionths).into(),
            Value::Null,
            source,
            propensity,
            origin,
            occurred,
            now.into(),
        ]
    };
    let sql = "SELECT decision, version, context_source, propensity, origin, occurred_at FROM reward_ledger \
               WHERE organisation = $1 AND execution = $2 ORDER BY position DESC LIMIT 1";
    let mut row = connection.query_one(sql, vec![organisation.into(), execution.into()]).await?;
    if row.is_none() {
        let sql = "SELECT d.id, d.version, CAST(CASE WHEN d.context IS NULL THEN 0 ELSE 1 END AS BIGINT), d.propensity, d.origin, \
                   d.decided_at FROM decision d WHERE d.organisation = $1 AND d.id = $2";
        let decision = decision_of(connection, organisation, execution).await?;
        row = connection.query_one(sql, vec![organisation.into(), decision.into()]).await?;
    }
    if row.is_none() {
        let sql = "SELECT e.decision, e.version, CAST(CASE WHEN e.context IS NULL THEN 0 ELSE 2 END AS BIGINT), \
                   CAST(1.0 AS DOUBLE PRECISION), e.origin, \
                   e.occurred_at FROM execution e WHERE e.organisation = $1 AND e.id = $2";
        row = connection.query_one(sql, vec![organisation.into(), execution.into()]).await?;
    }
    let Some(mut row) = row else { return Ok(()) };
    let decision: Option<DecisionId> = row.take()?;
    let ran: Option<Vec<u8>> = row.take()?;
    let (source, propensity, origin): (i64, f64, String) = (row.take()?, row.take()?, row.take()?);
    let occurred: Timestamp = row.take()?;
    let values = [
        decision.into(),
        ran.unwrap_or_else(|| vec![0; 32]).into(),
        source.into(),
        propensity.into(),
        origin.into(),
        occurred.into(),
    ];
    connection.insert(&tables::LEDGER, vec![entry(values)]).await
}
