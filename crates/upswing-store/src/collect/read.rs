//! Reading events back.

use std::sync::Arc;

use upswing_domain::{
    AgentId, Assignment, Context, Decision, DecisionId, DecisionReason, Enrichment, Execution, ExecutionId,
    Feedback, FeedbackId, FeedbackSource, FeedbackType, Findings, OrganisationId, Origin, Payload, Position,
    Probability, Target, Timestamp,
};
use uuid::Uuid;

use super::rows;
use crate::engine::Connection;
use crate::value::{Row, Value};
use crate::{ContentClass, LedgerEntry, StoreError, StoredDecision, StoredExecution, StoredFeedback};

/// The decision that an execution followed from: the one it names, else the one of the same id.
pub(crate) async fn decision_of(
    connection: &mut Connection,
    organisation: OrganisationId,
    execution: ExecutionId,
) -> Result<DecisionId, StoreError> {
    let sql = "SELECT decision FROM execution WHERE organisation = $1 AND id = $2";
    let row = connection.query_one(sql, vec![organisation.into(), execution.into()]).await?;
    let named: Option<DecisionId> = row.map_or(Ok(None), |mut row| row.take())?;
    Ok(named.unwrap_or(DecisionId(execution.0)))
}

const DECISION: &str = "SELECT position, id, agent, version, unit, context, reason, origin, propensity, \
    probabilities, epoch, policy_revision, decided_at, experiment, allocation, arm, assigned FROM decision \
    WHERE organisation = $1";

const EXECUTION: &str = "SELECT e.position, e.received_at, \
    (SELECT t.new_reward FROM \
    (SELECT * FROM (SELECT l.position, l.new_reward FROM reward_ledger l WHERE l.organisation = e.organisation \
    AND l.execution = e.id ORDER BY l.position DESC LIMIT 1) AS own \
    UNION ALL SELECT * FROM (SELECT f.position, f.new_reward FROM feedback f WHERE f.organisation = e.organisation \
    AND f.execution = e.id AND f.first_position IS NOT NULL ORDER BY f.position DESC LIMIT 1) AS caused) AS t \
    ORDER BY t.position DESC LIMIT 1), e.id, e.agent, e.decision, e.version, e.unit, \
    e.subject, e.session, e.trace, e.parent, e.step, e.context, i.body, p.body, e.metrics, e.error, e.origin, \
    e.occurred_at, e.record_kind, r.body, n.body FROM execution e \
    LEFT JOIN content i ON i.organisation = e.organisation AND i.id = e.input \
    LEFT JOIN content p ON p.organisation = e.organisation AND p.id = e.output \
    LEFT JOIN content r ON r.organisation = e.organisation AND r.id = e.record \
    LEFT JOIN content n ON n.organisation = e.organisation AND n.id = e.enrichment \
    WHERE e.organisation = $1";

const FEEDBACK: &str = "SELECT f.position, f.received_at, f.id, f.agent, f.execution, f.session, f.unit, \
    f.feedback_type, f.source, f.author, f.rating, f.dimensions, f.issue_categories, f.metrics, c.body, k.body, \
    f.details_kind, d.body, f.standing, f.occurred_at, f.flags, n.body FROM feedback f \
    LEFT JOIN content c ON c.organisation = f.organisation AND c.id = f.comment \
    LEFT JOIN content k ON k.organisation = f.organisation AND k.id = f.correction \
    LEFT JOIN content d ON d.organisation = f.organisation AND d.id = f.details \
    LEFT JOIN content n ON n.organisation = f.organisation AND n.id = f.enrichment \
    WHERE f.organisation = $1";

/// Entries of the ledger: those in rows of their own and those in the rows of feedback, each found in its own way, and no more
/// of either than is read. Contexts are asked for one by one, not joined: a planner that does not know yet how large these
/// tables are reads all of an organisation's decisions otherwise.
fn ledger_of(own: &str, caused: &str, limit: &str) -> String {
    format!(
        "SELECT l.position, l.first_position, l.execution, l.decision, l.version, l.definition_version, l.old_reward, \
         l.new_reward, l.cause, l.propensity, l.origin, l.occurred_at, CASE l.context_source \
         WHEN 1 THEN (SELECT d.context FROM decision d WHERE d.organisation = $1 AND d.id = l.decision) \
         WHEN 2 THEN (SELECT e.context FROM execution e WHERE e.organisation = $1 AND e.id = l.execution) END FROM \
         (SELECT * FROM (SELECT r.position, r.first_position, r.execution, r.decision, r.version, \
         r.definition_version, r.old_reward, r.new_reward, r.cause, r.propensity, r.origin, r.occurred_at, \
         r.context_source FROM reward_ledger r WHERE r.organisation = $1 AND {own} ORDER BY r.position {limit}) AS own \
         UNION ALL SELECT * FROM (SELECT f.position, f.first_position, f.execution, f.decision, f.version, \
         f.definition_version, f.old_reward, f.new_reward, f.id, f.propensity, f.origin, f.executed_at, \
         f.context_source FROM feedback f WHERE f.organisation = $1 AND f.first_position IS NOT NULL AND {caused} \
         ORDER BY f.position {limit}) AS caused) AS l ORDER BY l.position {limit}"
    )
}

/// One page of a table in the order of ids.
pub(crate) struct Page {
    pub(crate) organisation: OrganisationId,
    pub(crate) agent: Option<AgentId>,
    pub(crate) after: Option<Uuid>,
    pub(crate) limit: usize,
}

impl Page {
    fn parameters(&self) -> Vec<Value> {
        vec![
            self.organisation.into(),
            self.after.unwrap_or(Uuid::nil()).into(),
            i64::try_from(self.limit).unwrap_or(i64::MAX).into(),
            self.agent.is_none().into(),
            self.agent.map_or(Uuid::nil(), |a| a.0).into(),
        ]
    }
}

macro_rules! reads {
    ($one:ident, $page:ident, $select:ident, $prefix:literal, $id:ty, $row:ident, $stored:ty) => {
        pub(crate) async fn $one(
            connection: &mut Connection,
            organisation: OrganisationId,
            id: $id,
        ) -> Result<Option<$stored>, StoreError> {
            let sql = format!("{} AND {}id = $2", $select, $prefix);
            connection.query_one(&sql, vec![organisation.into(), id.into()]).await?.map($row).transpose()
        }

        pub(crate) async fn $page(
            connection: &mut Connection,
            page: Page,
        ) -> Result<Vec<$stored>, StoreError> {
            let sql = format!(
                "{} AND {p}id > $2 AND ($4 OR {p}agent = $5) ORDER BY {p}id LIMIT $3",
                $select,
                p = $prefix
            );
            connection.query(&sql, page.parameters()).await?.into_iter().map($row).collect()
        }
    };
}

reads!(decision, decisions, DECISION, "", DecisionId, stored_decision, StoredDecision);
reads!(execution, executions, EXECUTION, "e.", ExecutionId, stored_execution, StoredExecution);
reads!(feedback, feedback_page, FEEDBACK, "f.", FeedbackId, stored_feedback, StoredFeedback);

/// Entries of an agent after a position.
pub(crate) async fn ledger(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: AgentId,
    after: Position,
    limit: usize,
) -> Result<Vec<LedgerEntry>, StoreError> {
    let own = "r.agent = $2 AND r.position > $3";
    let caused = "f.agent = $2 AND f.position > $3 AND f.position > 0";
    let sql = ledger_of(own, caused, "LIMIT $4");
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let parameters = vec![organisation.into(), agent.into(), after.into(), limit.into()];
    connection.query(&sql, parameters).await?.into_iter().map(entry).collect()
}

/// Entries that a piece of feedback caused.
pub(crate) async fn effects(
    connection: &mut Connection,
    organisation: OrganisationId,
    id: FeedbackId,
) -> Result<Vec<LedgerEntry>, StoreError> {
    let own = "r.cause = $2 AND r.execution = \
               (SELECT s.execution FROM feedback s WHERE s.organisation = $1 AND s.id = $2)";
    let sql = ledger_of(own, "f.id = $2", "");
    connection.query(&sql, vec![organisation.into(), id.into()]).await?.into_iter().map(entry).collect()
}

/// A piece of the texts of a class that nothing refers to since a moment.
pub(crate) async fn old_content(
    connection: &mut Connection,
    organisation: OrganisationId,
    class: ContentClass,
    before: Timestamp,
    limit: usize,
) -> Result<Vec<Vec<u8>>, StoreError> {
    const PERFORMANCE: &str = "EXISTS (SELECT 1 FROM feedback f WHERE f.details = c.id \
                               AND f.organisation = c.organisation AND f.details_kind = 'performance')";
    let which = match class {
        ContentClass::All => "",
        ContentClass::Performance => &format!("AND {PERFORMANCE}"),
        ContentClass::Interaction => &format!("AND NOT {PERFORMANCE}"),
    };
    let sql = format!(
        "SELECT c.id FROM content c WHERE c.organisation = $1 AND c.created_at < $2 {which} LIMIT $3"
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = connection.query(&sql, vec![organisation.into(), before.into(), limit.into()]).await?;
    rows.into_iter().map(|mut row| row.take()).collect()
}

/// Deletes texts, unless something has referred to them meanwhile.
pub(crate) async fn delete_content(
    connection: &mut Connection,
    organisation: OrganisationId,
    before: Timestamp,
    ids: Vec<Vec<u8>>,
) -> Result<(), StoreError> {
    for id in ids {
        let sql = "DELETE FROM content WHERE organisation = $1 AND id = $2 AND created_at < $3";
        connection.execute(sql, vec![organisation.into(), id.into(), before.into()]).await?;
    }
    Ok(())
}

/// Reads a stored context.
pub(crate) fn context_of(text: Option<String>) -> Result<Option<Context>, StoreError> {
    Ok(text.map(|text| Context::from_json(&text)).transpose()?)
}

fn stored_decision(mut row: Row) -> Result<StoredDecision, StoreError> {
    let position = row.take()?;
    let decision = Decision {
        id: row.take()?,
        agent: row.take()?,
        version: row.take()?,
        unit: row.take()?,
        context: context_of(row.take()?)?,
        reason: rows::named("reason", &row.take::<String>()?, DecisionReason::named)?,
        origin: rows::named("origin", &row.take::<String>()?, Origin::named)?,
        propensity: Probability::new(row.take()?)?,
        probabilities: floats(&row.take::<Vec<u8>>()?),
        epoch: row.take()?,
        policy_revision: row.take()?,
        decided_at: row.take()?,
        assignment: assignment(&mut row)?,
    };
    Ok(StoredDecision { decision, position })
}

/// Reads which experiment assigned a decision.
pub(crate) fn assignment(row: &mut Row) -> Result<Option<Assignment>, StoreError> {
    let (experiment, allocation, arm, unit): (_, Option<i64>, Option<i64>, _) =
        (row.take()?, row.take()?, row.take()?, row.take()?);
    let (Some(experiment), Some(unit)) = (experiment, unit) else { return Ok(None) };
    let arm = arm
        .map(|arm| u16::try_from(arm).map_err(|_| StoreError::Corrupt(format!("arm {arm}"))))
        .transpose()?;
    Ok(Some(Assignment { experiment, allocation: allocation.unwrap_or_default(), arm, unit }))
}

fn floats(bytes: &[u8]) -> Vec<f64> {
    bytes.chunks_exact(8).filter_map(|c| c.try_into().ok().map(f64::from_be_bytes)).collect()
}

fn stored_execution(mut row: Row) -> Result<StoredExecution, StoreError> {
    let (position, received_at, reward) = (row.take()?, row.take()?, row.take()?);
    let execution = Execution {
        id: row.take()?,
        agent: row.take()?,
        decision: row.take()?,
        version: row.take()?,
        unit: row.take()?,
        subject: row.take()?,
        session: row.take()?,
        trace: row.take()?,
        parent: row.take()?,
        step: row.take()?,
        context: context_of(row.take()?)?,
        input: row.take()?,
        output: row.take()?,
        metrics: rows::metrics(row.take()?)?,
        error: row.take()?,
        origin: rows::named("origin", &row.take::<String>()?, Origin::named)?,
        occurred_at: row.take()?,
        record: payload(row.take()?, row.take()?),
        enrichment: enrichment(row.take()?)?,
    };
    Ok(StoredExecution { execution, position, received_at, reward })
}

fn stored_feedback(mut row: Row) -> Result<StoredFeedback, StoreError> {
    let (position, received_at) = (row.take()?, row.take()?);
    let parse_list =
        |text: Option<String>| text.map_or(Ok(Vec::new()), |t| rows::parse("issue_categories", &t));
    let feedback = Feedback {
        id: row.take()?,
        agent: row.take()?,
        target: target(&mut row)?,
        feedback_type: rows::named("feedback_type", &row.take::<String>()?, FeedbackType::named)?,
        source: rows::named("source", &row.take::<String>()?, FeedbackSource::named)?,
        author: row.take()?,
        rating: rows::rating(row.take()?)?,
        dimensions: row
            .take::<Option<String>>()?
            .map_or(Ok(Default::default()), |t| rows::parse("dimensions", &t))?,
        issue_categories: parse_list(row.take()?)?,
        metrics: rows::metrics(row.take()?)?,
        text: row.take()?,
        correction: row.take()?,
        details: payload(row.take()?, row.take()?),
        standing: rows::standing(row.take()?)?,
        occurred_at: row.take()?,
        findings: Findings {
            flags: row
                .take::<Option<String>>()?
                .map_or(Ok(Vec::new()), |text| rows::parse("flags", &text))?,
            enrichment: enrichment(row.take()?)?,
        },
    };
    Ok(StoredFeedback { feedback, position, received_at })
}

fn target(row: &mut Row) -> Result<Target, StoreError> {
    let (execution, session, unit) = (row.take()?, row.take()?, row.take()?);
    match (execution, session, unit) {
        (Some(execution), None, None) => Ok(Target::Execution(execution)),
        (None, Some(session), None) => Ok(Target::Session(session)),
        (None, None, Some(unit)) => Ok(Target::Unit(unit)),
        _ => Err(StoreError::Corrupt("a piece of feedback is about nothing, or about several".to_owned())),
    }
}

fn enrichment(text: Option<String>) -> Result<Option<Enrichment>, StoreError> {
    text.map(|text| rows::parse("enrichment", &text)).transpose()
}

fn payload(kind: Option<String>, body: Option<String>) -> Option<Payload> {
    Some(Payload { kind: kind?, body: body? })
}

fn entry(mut row: Row) -> Result<LedgerEntry, StoreError> {
    Ok(LedgerEntry {
        position: row.take()?,
        first_position: row.take()?,
        execution: row.take()?,
        decision: row.take()?,
        version: row.take()?,
        definition_version: row.take()?,
        old: row.take()?,
        new: row.take()?,
        cause: row.take()?,
        propensity: row.take()?,
        origin: rows::named("origin", &row.take::<String>()?, Origin::named)?,
        occurred_at: row.take()?,
        context: context_of(row.take()?)?.map(Arc::new),
    })
}
