//! Folding stored feedback again under a new reward definition, in pieces.

use std::collections::BTreeMap;

use upswing_domain::{
    AgentId, ConsentRule, DecisionId, ExecutionId, OrganisationId, Position, RewardDefinition, Timestamp,
};
use uuid::Uuid;

use super::definition::Definitions;
use super::facts::{learn_agent_definition, learn_decision, learn_execution, learn_reward, learn_signal};
use super::plan::{Cause, Known, Plan, Rows};
use super::wanted::{Keys, keys};
use crate::StoreError;
use crate::engine::{Connection, tables};
use crate::value::Value;

/// Statements looked at in one piece, whatever they are about: a bound on the time that the writer is kept busy.
const PIECE: i64 = 500;

/// Marks that all feedback about the agent has to be folded again.
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
    let head = connection.advance(organisation, 0).await?;
    let sql = "SELECT cursor FROM refold WHERE organisation = $1 AND agent = $2";
    let Some(mut row) = connection.query_one(sql, vec![o(), agent.into()]).await? else { return Ok(true) };
    let mut cursor: Uuid = row.take()?;
    let sql = "SELECT execution, agent FROM feedback WHERE organisation = $1 AND execution IS NOT NULL \
               AND execution > $2 ORDER BY execution LIMIT $3";
    let page = connection.query(sql, vec![o(), cursor.into(), PIECE.into()]).await?;
    let last = (page.len() as i64) < PIECE;
    let mut executions = BTreeMap::new();
    for mut row in page {
        let (execution, of): (ExecutionId, AgentId) = (row.take()?, row.take()?);
        cursor = execution.0;
        if of == agent {
            executions.insert(execution, Cause::Definition);
        }
    }
    fold_again(connection, organisation, head, now, executions).await?;
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

/// Folds executions again whose feedback has changed its standing, or its definition, as if it had just arrived so.
pub(super) async fn fold_again(
    connection: &mut Connection,
    organisation: OrganisationId,
    head: Position,
    now: Timestamp,
    executions: BTreeMap<ExecutionId, Cause>,
) -> Result<(), StoreError> {
    let mut known = Known::default();
    let asked: Keys<ExecutionId> = executions.keys().map(|&id| (organisation, id)).collect();
    for row in connection.look_up(&tables::EXECUTION_FACTS, keys(&asked)).await? {
        learn_execution(&mut known, row)?;
    }
    for row in connection.look_up(&tables::FEEDBACK_SIGNALS, keys(&asked)).await? {
        learn_signal(&mut known, row)?;
    }
    for row in connection.look_up(&tables::LAST_REWARD, keys(&asked)).await? {
        learn_reward(&mut known, row)?;
    }
    let followed = known.executions.iter().filter_map(|(&(o, _), e)| e.decision.map(|d| (o, d)));
    let decisions: Keys<DecisionId> =
        followed.chain(asked.iter().map(|&(o, id)| (o, DecisionId(id.0)))).collect();
    for row in connection.look_up(&tables::DECISION_FACTS, keys(&decisions)).await? {
        learn_decision(&mut known, row)?;
    }
    let agents = known.executions.iter().map(|(&(o, _), execution)| (o, execution.agent));
    let agents = agents.chain(known.decisions.iter().map(|(&(o, _), decision)| (o, decision.agent)));
    let agents: Keys<AgentId> = agents.collect();
    for row in connection.look_up(&tables::AGENT_DEFINITION, keys(&agents)).await? {
        learn_agent_definition(&mut known, row)?;
    }
    let mut definitions = Definitions::default();
    definitions.refresh(connection, &known.definitions).await?;

    let mut rows = Rows::default();
    let mut plan = Plan {
        known: &mut known,
        rows: &mut rows,
        definitions: &definitions,
        // Nothing new is said here, by nobody: there is no content to name and nobody to ask.
        content_hash: &|_, _| [0; 18],
        consent: ConsentRule::UnlessRefused,
    };
    plan.rows.heads.insert(organisation, head);
    for (execution, cause) in executions {
        plan.settle_again(organisation, now, execution, cause);
    }
    connection.insert(&tables::LEDGER, rows.ledger).await?;
    let reached = rows.heads.get(&organisation).copied().unwrap_or(head);
    connection.advance(organisation, reached.0 - head.0).await?;
    for ((_, agent), position) in rows.agent_heads {
        connection.announce(organisation, agent, position).await?;
    }
    Ok(())
}
