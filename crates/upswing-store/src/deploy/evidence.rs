//! What a rollout was judged by: the decisions it made, the executions that followed, and what was said of them.

use std::collections::{BTreeMap, HashMap, HashSet};

use upswing_domain::{
    AgentId, Assignment, DecisionId, ExecutionId, ExperimentId, FeedbackSource, FeedbackType, OrganisationId,
    Position, Reward, Rollout, Standing, Timestamp, VersionId,
};

use crate::collect::{assignment, decision_of, rows};
use crate::engine::{Connection, tables};
use crate::value::{Row, Value};
use crate::{EvidenceFeedback, RolloutEvidence, StoreError};

/// A decision of a rollout.
struct Decided {
    position: Position,
    id: DecisionId,
    arm: u16,
    version: VersionId,
    at: Timestamp,
}

/// What came of a rollout's latest decisions before a position: at most `limit` decisions, newest first, each with its
/// executions. What arrived after `until` was no evidence any more.
pub(crate) async fn page(
    connection: &mut Connection,
    organisation: OrganisationId,
    rollout: &Rollout,
    (before, until): (Option<Position>, Option<Timestamp>),
    limit: usize,
) -> Result<Vec<RolloutEvidence>, StoreError> {
    let decided = decisions(connection, organisation, rollout, before, limit).await?;
    let ids = || decided.iter().map(|decided| vec![organisation.into(), decided.id.into()]).collect();
    let until = until.unwrap_or(Timestamp(i64::MAX));
    // Most executions have their decision's id.
    let mut executions: BTreeMap<DecisionId, Vec<Execution>> = BTreeMap::new();
    let mut rows = connection.look_up(&tables::EVIDENCE_EXECUTION, ids()).await?;
    rows.extend(connection.look_up(&tables::EVIDENCE_FOLLOWING, ids()).await?);
    for row in rows {
        let (decision, execution) = read(row, rollout.agent)?;
        if execution.received_at <= until && execution.of_agent {
            executions.entry(decision).or_default().push(execution);
        }
    }
    // What is said of an execution that has not been reported is said of the decision of the same id.
    let mut about: HashSet<ExecutionId> = decided.iter().map(|decided| ExecutionId(decided.id.0)).collect();
    about.extend(executions.values().flatten().map(|execution| execution.id));
    let mut about: Vec<_> = about.into_iter().collect();
    about.sort_unstable();
    let keys = || about.iter().map(|id| vec![organisation.into(), (*id).into()]).collect::<Vec<Vec<Value>>>();
    let mut feedback: HashMap<ExecutionId, Vec<EvidenceFeedback>> = HashMap::new();
    for mut row in connection.look_up(&tables::EVIDENCE_FEEDBACK, keys()).await? {
        let (execution, received_at) = (row.take()?, row.take::<Timestamp>()?);
        let said = EvidenceFeedback {
            id: row.take()?,
            feedback_type: rows::named("feedback_type", &row.take::<String>()?, FeedbackType::named)?,
            source: rows::named("source", &row.take::<String>()?, FeedbackSource::named)?,
            rating: row.take()?,
            counts: row.take::<Option<String>>()?.is_none_or(|name| name == Standing::Counted.name()),
        };
        if received_at <= until {
            feedback.entry(execution).or_default().push(said);
        }
    }
    let mut rewards: HashMap<ExecutionId, Option<Reward>> = HashMap::new();
    for mut row in connection.look_up(&tables::LAST_REWARD, keys()).await? {
        row.skip(1);
        rewards.insert(row.take()?, row.take()?);
    }
    let mut found = Vec::with_capacity(decided.len());
    for Decided { position, id, arm, version, at } in decided {
        let reported = executions.remove(&id).unwrap_or_default();
        let mut of = |execution: ExecutionId, reported: Option<Execution>| {
            let ran = reported.as_ref().and_then(|reported| reported.version);
            found.push(RolloutEvidence {
                position,
                decision: id,
                new: arm > 0,
                version: ran.unwrap_or(version),
                at,
                execution,
                reported: reported.is_some(),
                error: reported.and_then(|reported| reported.error),
                reward: rewards.get(&execution).copied().flatten(),
                feedback: feedback.remove(&execution).unwrap_or_default(),
            });
        };
        if reported.is_empty() {
            of(ExecutionId(id.0), None);
        }
        for execution in reported {
            of(execution.id, Some(execution));
        }
    }
    Ok(found)
}

async fn decisions(
    connection: &mut Connection,
    organisation: OrganisationId,
    rollout: &Rollout,
    before: Option<Position>,
    limit: usize,
) -> Result<Vec<Decided>, StoreError> {
    let sql = "SELECT position, id, arm, version, decided_at FROM decision WHERE organisation = $1 AND agent = $2 \
               AND experiment IS NOT NULL AND experiment = $3 AND position < $4 ORDER BY position DESC LIMIT $5";
    let values = vec![
        organisation.into(),
        rollout.agent.into(),
        ExperimentId(rollout.id.0).into(),
        before.unwrap_or(Position(i64::MAX)).into(),
        i64::try_from(limit).unwrap_or(i64::MAX).into(),
    ];
    let rows = connection.query(sql, values).await?;
    rows.into_iter()
        .map(|mut row| {
            Ok(Decided {
                position: row.take()?,
                id: row.take()?,
                arm: u16::try_from(row.take::<Option<i64>>()?.unwrap_or(0)).unwrap_or(0),
                version: row.take()?,
                at: row.take()?,
            })
        })
        .collect()
}

/// An execution that followed.
struct Execution {
    id: ExecutionId,
    of_agent: bool,
    version: Option<VersionId>,
    error: Option<String>,
    received_at: Timestamp,
}

fn read(mut row: Row, agent: AgentId) -> Result<(DecisionId, Execution), StoreError> {
    let id: ExecutionId = row.take()?;
    let decision: Option<DecisionId> = row.take()?;
    let execution = Execution {
        id,
        of_agent: row.take::<AgentId>()? == agent,
        version: row.take()?,
        error: row.take()?,
        received_at: row.take()?,
    };
    Ok((decision.unwrap_or(DecisionId(id.0)), execution))
}

/// By what, if anything, the decision behind an execution was assigned.
pub(crate) async fn assigned(
    connection: &mut Connection,
    organisation: OrganisationId,
    execution: ExecutionId,
) -> Result<Option<Assignment>, StoreError> {
    let sql = "SELECT d.experiment, d.allocation, d.arm, d.assigned FROM decision d \
               WHERE d.organisation = $1 AND d.id = $2";
    let decision = decision_of(connection, organisation, execution).await?;
    let row = connection.query_one(sql, vec![organisation.into(), decision.into()]).await?;
    row.map_or(Ok(None), |mut row| assignment(&mut row))
}
