//! Metrics that mean zero when nothing came within their window.

use std::collections::{BTreeMap, BTreeSet};

use upswing_domain::{
    Absence, AgentId, Dimensions, ExecutionId, Feedback, FeedbackId, FeedbackSource, FeedbackType,
    OrganisationId, Position, RewardDefinition, Timestamp,
};
use uuid::Uuid;

use crate::collect::rows;
use crate::engine::Connection;
use crate::platform::checkpoint;
use crate::{Checkpoint, StoreError};

/// Executions looked at in one piece.
const PIECE: i64 = 500;

/// What a piece of executions lacks, and how far it goes.
#[derive(Default)]
pub(crate) struct Due {
    pub(crate) feedback: Vec<Feedback>,
    pub(crate) checkpoints: Vec<(String, Position)>,
}

/// Finds executions whose window has passed without a value of a metric.
pub(crate) async fn due(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: AgentId,
    now: Timestamp,
) -> Result<Due, StoreError> {
    let mut due = Due::default();
    let state = crate::deploy::agent::required(connection, organisation, agent).await?;
    let definition: RewardDefinition = state.agent.reward_definition;
    for (metric, rule) in &definition.metrics {
        let Absence::ZeroAfter(window) = rule.absence else { continue };
        // The definition's version is part of the name: a metric declared later looks at all executions again.
        let follower = format!("absence:{metric}:{}", state.agent.definition_version);
        let before = checkpoint::load(connection, organisation, agent, &follower).await?;
        let from = before.map_or(Position(0), |c| c.position);
        let sql = "SELECT id, position, received_at FROM execution \
                   WHERE organisation = $1 AND agent = $2 AND position > $3 AND position > 0 ORDER BY position LIMIT $4";
        let page = vec![organisation.into(), agent.into(), from.into(), PIECE.into()];
        let mut to = from;
        for mut row in connection.query(sql, page).await? {
            let (execution, position): (ExecutionId, Position) = (row.take()?, row.take()?);
            if row.take::<Timestamp>()?.plus_seconds(i64::from(window)) > now {
                break;
            }
            to = position;
            if !has_metric(connection, organisation, execution, metric).await? {
                due.feedback.push(zero(agent, execution, metric, now));
            }
        }
        if to > from {
            due.checkpoints.push((follower, to));
        }
    }
    Ok(due)
}

async fn has_metric(
    connection: &mut Connection,
    organisation: OrganisationId,
    execution: ExecutionId,
    metric: &str,
) -> Result<bool, StoreError> {
    let sql =
        "SELECT metrics FROM feedback WHERE organisation = $1 AND execution = $2 AND metrics IS NOT NULL";
    for mut row in connection.query(sql, vec![organisation.into(), execution.into()]).await? {
        if rows::metrics(row.take()?)?.contains_key(metric) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The zero, with an id that follows from what it is about: written twice, it is there once.
fn zero(agent: AgentId, execution: ExecutionId, metric: &str, now: Timestamp) -> Feedback {
    Feedback {
        id: FeedbackId(Uuid::new_v5(&execution.0, format!("absence:{metric}").as_bytes())),
        agent,
        target: upswing_domain::Target::Execution(execution),
        feedback_type: FeedbackType::Metric,
        source: FeedbackSource::Absence,
        author: None,
        rating: None,
        dimensions: Dimensions::default(),
        issue_categories: Vec::new(),
        metrics: BTreeMap::from([(metric.to_owned(), 0.0)]),
        text: None,
        correction: None,
        details: None,
        standing: upswing_domain::Standing::Counted,
        findings: Default::default(),
        occurred_at: now,
    }
}

/// Remembers how far executions were looked at, once their zeros are on disk.
pub(crate) async fn done(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: AgentId,
    now: Timestamp,
    checkpoints: &[(String, Position)],
) -> Result<(), StoreError> {
    let names: BTreeSet<_> = checkpoints.iter().map(|(name, _)| name).collect();
    debug_assert_eq!(names.len(), checkpoints.len());
    for (follower, position) in checkpoints {
        let made_with = "{\"absence\":1}".to_owned();
        let checkpoint = Checkpoint { position: *position, revision: 0, state: Vec::new(), made_with };
        checkpoint::save(connection, organisation, agent, follower, now, &checkpoint).await?;
    }
    Ok(())
}
