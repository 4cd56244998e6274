//! Who is believed: what was decided about accounts, and their feedback, which follows it in pieces.
//!
//! A decision is a row; feedback that contradicts it is found by author and standing, so that a piece that was written is
//! never looked at again, and a crash between two pieces loses nothing.

use std::collections::{BTreeMap, HashMap};

use upswing_domain::{
    AgentId, DecisionId, ExecutionId, FeedbackId, FeedbackSource, OrganisationId, Position, Pseudonym,
    Timestamp, VersionId,
};

use super::facts::signal;
use super::plan::{Cause, own_reward};
use super::{context_of, refold};
use crate::engine::{Connection, tables};
use crate::value::Value;
use crate::{AuthorTrust, Statement, StoreError};

/// Statements that change their standing in one piece: a bound on the time that the writer is kept busy.
const PIECE: usize = 200;
/// Accounts in one piece: each costs a few queries, also those that have said nothing that counted.
const ACCOUNTS: i64 = 50;

/// Notes who is believed from now on. Their feedback follows with [`settle`]; what they say from now on stands accordingly.
pub(crate) async fn decide(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: AgentId,
    now: Timestamp,
    changes: &[AuthorTrust],
) -> Result<(), StoreError> {
    // The head first: a batch of another server has looked up before this, or looks up after it.
    connection.advance(organisation, 0).await?;
    // An account once: two rows of one key cannot be written together.
    let changes: BTreeMap<Pseudonym, &AuthorTrust> = changes.iter().map(|c| (c.author, c)).collect();
    let row = |(author, change): (Pseudonym, &AuthorTrust)| -> Vec<Value> {
        vec![
            organisation.into(),
            agent.into(),
            author.into(),
            change.weight.into(),
            change.distrusted.into(),
            now.into(),
            change.distrusted.into(),
        ]
    };
    connection.insert(&tables::AUTHOR_TRUST, changes.into_iter().map(row).collect()).await
}

/// Brings one piece of feedback in line with what was decided about its authors, with the rewards and the ledger that
/// follow; true when nothing is left.
pub(crate) async fn settle(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: AgentId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let head = connection.advance(organisation, 0).await?;
    let sql = "SELECT author, distrusted FROM author_trust WHERE organisation = $1 AND agent = $2 AND pending \
               ORDER BY author LIMIT $3";
    let pending = connection.query(sql, vec![organisation.into(), agent.into(), ACCOUNTS.into()]).await?;
    if pending.is_empty() {
        return Ok(true);
    }
    let mut changed: BTreeMap<ExecutionId, Cause> = BTreeMap::new();
    let mut room = PIECE;
    for mut row in pending {
        let (author, distrusted): (Pseudonym, bool) = (row.take()?, row.take()?);
        let (from, to) = if distrusted { ("IS NULL", "'distrusted'") } else { ("= 'distrusted'", "NULL") };
        let whose = || -> Vec<Value> { vec![organisation.into(), agent.into(), author.into()] };
        let which = format!(
            "organisation = $1 AND agent = $2 AND author = $3 AND source = 'user' AND standing {from}"
        );
        let sql =
            format!("SELECT position, id, execution FROM feedback WHERE {which} ORDER BY position LIMIT $4");
        let mut parameters = whose();
        parameters.push(i64::try_from(room).unwrap_or(i64::MAX).into());
        let said = connection.query(&sql, parameters).await?;
        let complete = said.len() < room;
        room -= said.len();
        let mut last = Position(0);
        for mut row in said {
            last = row.take()?;
            let (id, execution): (FeedbackId, Option<ExecutionId>) = (row.take()?, row.take()?);
            changed.extend(execution.map(|execution| (execution, Cause::Said(id))));
        }
        let sql = format!("UPDATE feedback SET standing = {to} WHERE {which} AND position <= $4");
        let mut parameters = whose();
        parameters.push(last.into());
        connection.execute(&sql, parameters).await?;
        if !complete {
            break;
        }
        let sql =
            "UPDATE author_trust SET pending = $4 WHERE organisation = $1 AND agent = $2 AND author = $3";
        let mut parameters = whose();
        parameters.push(false.into());
        connection.execute(sql, parameters).await?;
    }
    let head = if changed.is_empty() {
        head
    } else {
        // That feedback stands otherwise takes a position: whoever has looked at it before has to look again.
        Position(connection.advance(organisation, 1).await?.0 + 1)
    };
    refold::fold_again(connection, organisation, head, now, changed).await?;
    Ok(false)
}

/// Agents with decisions that feedback may not have followed yet.
pub(crate) async fn unsettled(
    connection: &mut Connection,
    organisation: OrganisationId,
) -> Result<Vec<AgentId>, StoreError> {
    let sql = "SELECT DISTINCT agent FROM author_trust WHERE organisation = $1 AND pending ORDER BY agent";
    let rows = connection.query(sql, vec![organisation.into()]).await?;
    rows.into_iter().map(|mut row| row.take()).collect()
}

const SELECT: &str = "SELECT author, weight_millionths, distrusted, decided_at FROM author_trust \
                      WHERE organisation = $1 AND agent = $2";

/// Accounts that were decided about, in the order of pseudonyms.
pub(crate) async fn page(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: AgentId,
    after: Option<Pseudonym>,
    distrusted_only: bool,
    limit: usize,
) -> Result<Vec<AuthorTrust>, StoreError> {
    let only = if distrusted_only { "AND distrusted" } else { "" };
    let sql = format!("{SELECT} AND author > $3 {only} ORDER BY author LIMIT $4");
    let after = after.map_or_else(Vec::new, |author| author.0.to_vec());
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let parameters = vec![organisation.into(), agent.into(), after.into(), limit.into()];
    let read = |mut row: crate::value::Row| {
        Ok(AuthorTrust {
            author: row.take()?,
            weight: row.take()?,
            distrusted: row.take()?,
            decided_at: row.take()?,
        })
    };
    connection.query(&sql, parameters).await?.into_iter().map(read).collect()
}

/// How many accounts are not believed now.
pub(crate) async fn distrusted(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: AgentId,
) -> Result<i64, StoreError> {
    let sql = "SELECT count(*) FROM author_trust WHERE organisation = $1 AND agent = $2 AND distrusted";
    let row = connection.query_one(sql, vec![organisation.into(), agent.into()]).await?;
    row.map_or(Ok(0), |mut row| row.take())
}

/// Which statements to read.
pub(crate) enum Which {
    /// Those after a position, at most so many.
    After(Position, usize),
    /// Those at these positions.
    At(Vec<Position>),
}

/// What people with an account said about executions, oldest first.
pub(crate) async fn statements(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: AgentId,
    which: Which,
) -> Result<Vec<Statement>, StoreError> {
    let sql = |and: &str| {
        format!(
            "SELECT f.position, f.author, f.execution, e.decision, e.version, d.version, d.context, e.context \
             FROM feedback f \
             LEFT JOIN execution e ON e.organisation = f.organisation AND e.id = f.execution \
             LEFT JOIN decision d ON d.organisation = f.organisation \
             AND d.id = CASE WHEN e.decision IS NULL THEN f.execution ELSE e.decision END \
             WHERE f.organisation = $1 AND f.agent = $2 AND f.position > 0 AND f.source = 'user' \
             AND f.author IS NOT NULL AND f.execution IS NOT NULL AND {and}"
        )
    };
    let whose = |more: i64| -> Vec<Value> { vec![organisation.into(), agent.into(), more.into()] };
    let mut found = Vec::new();
    match which {
        Which::After(position, limit) => {
            let mut parameters = whose(position.0);
            parameters.push(i64::try_from(limit).unwrap_or(i64::MAX).into());
            let sql = sql("f.position > $3 ORDER BY f.position LIMIT $4");
            found.extend(connection.query(&sql, parameters).await?);
        }
        Which::At(positions) => {
            for position in positions {
                found.extend(connection.query(&sql("f.position = $3"), whose(position.0)).await?);
            }
        }
    }
    let mut statements = Vec::with_capacity(found.len());
    for mut row in found {
        let (position, author): (Position, Pseudonym) = (row.take()?, row.take()?);
        let execution: ExecutionId = row.take()?;
        let followed: Option<DecisionId> = row.take()?;
        let (ran, decided): (Option<VersionId>, Option<VersionId>) = (row.take()?, row.take()?);
        let (decision_context, execution_context): (Option<String>, Option<String>) =
            (row.take()?, row.take()?);
        // As its reward, what is said of an execution waits for the decision that the execution names.
        let waits = followed.is_some() && decided.is_none();
        let statement = Statement {
            position,
            author,
            version: if waits { None } else { ran.or(decided) },
            context: context_of(decision_context.or(execution_context))?,
            old: None,
            new: None,
        };
        statements.push((execution, statement));
    }
    let wanted: std::collections::BTreeSet<_> = statements.iter().map(|(e, s)| (*e, s.author)).collect();
    let wanted = wanted.iter().map(|&(e, a)| vec![organisation.into(), e.into(), a.into()]).collect();
    let mut said = HashMap::<(ExecutionId, Pseudonym), Vec<_>>::new();
    for mut row in connection.look_up(&tables::AUTHOR_SIGNALS, wanted).await? {
        let ((_, execution), position, facts) = signal(&mut row)?;
        if facts.source == FeedbackSource::User {
            said.entry((execution, row.take()?)).or_default().push((position, facts));
        }
    }
    if statements.is_empty() {
        return Ok(Vec::new());
    }
    let (_, definition) = refold::definition(connection, organisation, agent).await?;
    let with_rewards = |(execution, mut statement): (ExecutionId, Statement)| {
        let all = said.get(&(execution, statement.author)).map_or(&[][..], Vec::as_slice);
        let until = |last: i64| {
            let facts: Vec<_> = all.iter().filter(|(p, _)| p.0 <= last).map(|(_, f)| f.clone()).collect();
            own_reward(&facts, &definition)
        };
        statement.old = until(statement.position.0 - 1);
        statement.new = until(statement.position.0);
        statement
    };
    Ok(statements.into_iter().map(with_rewards).collect())
}
