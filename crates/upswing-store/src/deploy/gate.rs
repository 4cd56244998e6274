//! Gates: datasets, what an agent asks of its versions, what was found, who approved.

use serde_json::json;
use upswing_domain::{AgentId, KeyId, OrganisationId, Timestamp, VersionId};

use crate::StoreError;
use crate::engine::Connection;
use crate::platform::audit;
use crate::types::Actor;
use crate::value::Row;

/// A frozen dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// BLAKE3 of its lines.
    pub id: [u8; 32],
    /// For people.
    pub name: String,
    /// How many lines.
    pub cases: i64,
    /// Canonical JSON, one object a line; empty in lists.
    pub body: String,
    /// When it was stored.
    pub created_at: Timestamp,
}

/// What may be set of an agent's gates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateSetting {
    /// Which gates, and their thresholds.
    Plan,
    /// What runs a version.
    Runner,
}

impl GateSetting {
    fn name(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Runner => "runner",
        }
    }
}

/// An agent's gates, as they are set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GateSettings {
    /// Which gates, and their thresholds, as JSON.
    pub plan: Option<String>,
    /// What runs a version, as JSON.
    pub runner: Option<String>,
}

/// What a gate found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateResult {
    /// Its number among the version's results, from 1; given by the store.
    pub number: i64,
    /// `regression`, `off_policy`, `safety`.
    pub gate: String,
    /// `passed`, `failed`, `insufficient`, `not_applicable`.
    pub outcome: String,
    /// Why, in words.
    pub why: String,
    /// The numbers, as JSON.
    pub details: String,
    /// A hash of the settings that it was found under.
    pub settings: [u8; 32],
    /// When.
    pub at: Timestamp,
    /// Who asked.
    pub key: Option<KeyId>,
}

/// An approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateApproval {
    /// Whose.
    pub key: KeyId,
    /// The key's role then.
    pub role: String,
    /// Why, as somebody wrote.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// What is known of a version before its gates.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GateRecord {
    /// Newest first.
    pub results: Vec<GateResult>,
    /// Oldest first.
    pub approvals: Vec<GateApproval>,
}

/// How many results of a version are read.
const MOST_RESULTS: i64 = 500;

/// Stores a dataset; false when it is there.
pub(crate) async fn put_dataset(
    connection: &mut Connection,
    actor: &Actor,
    dataset: &Dataset,
) -> Result<bool, StoreError> {
    let sql = "INSERT INTO gate_dataset (organisation, id, name, cases, body, created_at) \
               VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (organisation, id) DO NOTHING";
    let values = vec![
        actor.organisation.into(),
        dataset.id.into(),
        dataset.name.clone().into(),
        dataset.cases.into(),
        dataset.body.clone().into(),
        dataset.created_at.into(),
    ];
    if connection.execute(sql, values).await? == 0 {
        return Ok(false);
    }
    let details = json!({ "name": dataset.name, "cases": dataset.cases });
    audit::record(connection, actor, "dataset.add", VersionId(dataset.id), details).await?;
    Ok(true)
}

/// Datasets without their lines, oldest first.
pub(crate) async fn datasets(
    connection: &mut Connection,
    organisation: OrganisationId,
) -> Result<Vec<Dataset>, StoreError> {
    let sql = "SELECT id, name, cases, '' AS body, created_at FROM gate_dataset WHERE organisation = $1 \
               ORDER BY created_at, id";
    connection.query(sql, vec![organisation.into()]).await?.into_iter().map(read_dataset).collect()
}

pub(crate) async fn dataset(
    connection: &mut Connection,
    organisation: OrganisationId,
    id: [u8; 32],
) -> Result<Option<Dataset>, StoreError> {
    let sql =
        "SELECT id, name, cases, body, created_at FROM gate_dataset WHERE organisation = $1 AND id = $2";
    connection.query_one(sql, vec![organisation.into(), id.into()]).await?.map(read_dataset).transpose()
}

fn read_dataset(mut row: Row) -> Result<Dataset, StoreError> {
    Ok(Dataset {
        id: row.take()?,
        name: row.take()?,
        cases: row.take()?,
        body: row.take()?,
        created_at: row.take()?,
    })
}

pub(crate) async fn set(
    connection: &mut Connection,
    actor: &Actor,
    agent: AgentId,
    setting: GateSetting,
    body: &str,
) -> Result<(), StoreError> {
    super::agent::required(connection, actor.organisation, agent).await?;
    let sql = "INSERT INTO gate_setting (organisation, agent, kind, body, changed_at) VALUES ($1, $2, $3, $4, $5) \
               ON CONFLICT (organisation, agent, kind) DO UPDATE SET body = excluded.body, \
               changed_at = excluded.changed_at";
    let values =
        vec![actor.organisation.into(), agent.into(), setting.name().into(), body.into(), actor.now.into()];
    connection.execute(sql, values).await?;
    let details = serde_json::from_str(body).unwrap_or_default();
    audit::record(connection, actor, &format!("gate.set_{}", setting.name()), agent, details).await
}

pub(crate) async fn settings(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: AgentId,
) -> Result<GateSettings, StoreError> {
    let sql = "SELECT kind, body FROM gate_setting WHERE organisation = $1 AND agent = $2";
    let mut settings = GateSettings::default();
    for mut row in connection.query(sql, vec![organisation.into(), agent.into()]).await? {
        let (kind, body): (String, String) = (row.take()?, row.take()?);
        match kind.as_str() {
            "plan" => settings.plan = Some(body),
            "runner" => settings.runner = Some(body),
            other => return Err(StoreError::Corrupt(format!("a gate's setting {other}"))),
        }
    }
    Ok(settings)
}

/// Stores what a gate found. Its number is given here.
pub(crate) async fn record(
    connection: &mut Connection,
    actor: &Actor,
    agent: AgentId,
    version: VersionId,
    result: &GateResult,
) -> Result<(), StoreError> {
    let details =
        json!({ "agent": agent, "gate": result.gate, "outcome": result.outcome, "why": result.why });
    // First, because it takes the organisation's revision for itself: numbers follow each other.
    audit::record(connection, actor, "gate.run", version, details).await?;
    let sql = "SELECT max(number) FROM gate_result WHERE organisation = $1 AND agent = $2 AND version = $3";
    let which = vec![actor.organisation.into(), agent.into(), version.into()];
    let last = match connection.query_one(sql, which).await? {
        Some(mut row) => row.take::<Option<i64>>()?,
        None => None,
    };
    let sql = "INSERT INTO gate_result (organisation, agent, version, number, gate, outcome, why, details, settings, at, \
               api_key) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    let values = vec![
        actor.organisation.into(),
        agent.into(),
        version.into(),
        (last.unwrap_or(0) + 1).into(),
        result.gate.clone().into(),
        result.outcome.clone().into(),
        result.why.clone().into(),
        result.details.clone().into(),
        result.settings.into(),
        actor.now.into(),
        actor.key.into(),
    ];
    connection.execute(sql, values).await?;
    Ok(())
}

/// Approves a version; doing so again with the same key changes nothing.
pub(crate) async fn approve(
    connection: &mut Connection,
    actor: &Actor,
    agent: AgentId,
    version: VersionId,
    approval: &GateApproval,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO gate_approval (organisation, agent, version, api_key, role, reason, at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (organisation, agent, version, api_key) DO NOTHING";
    let values = vec![
        actor.organisation.into(),
        agent.into(),
        version.into(),
        approval.key.into(),
        approval.role.clone().into(),
        approval.reason.clone().into(),
        approval.at.into(),
    ];
    if connection.execute(sql, values).await? == 0 {
        return Ok(());
    }
    let details = json!({ "agent": agent, "role": approval.role, "reason": approval.reason });
    audit::record(connection, actor, "gate.approve", version, details).await
}

pub(crate) async fn of_version(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: AgentId,
    version: VersionId,
) -> Result<GateRecord, StoreError> {
    let sql = "SELECT number, gate, outcome, why, details, settings, at, api_key FROM gate_result \
               WHERE organisation = $1 AND agent = $2 AND version = $3 ORDER BY number DESC LIMIT $4";
    let which = || vec![organisation.into(), agent.into(), version.into()];
    let mut limited = which();
    limited.push(MOST_RESULTS.into());
    let mut record = GateRecord::default();
    for mut row in connection.query(sql, limited).await? {
        record.results.push(GateResult {
            number: row.take()?,
            gate: row.take()?,
            outcome: row.take()?,
            why: row.take()?,
            details: row.take()?,
            settings: row.take()?,
            at: row.take()?,
            key: row.take()?,
        });
    }
    let sql = "SELECT api_key, role, reason, at FROM gate_approval \
               WHERE organisation = $1 AND agent = $2 AND version = $3 ORDER BY at, api_key";
    for mut row in connection.query(sql, which()).await? {
        record.approvals.push(GateApproval {
            key: row.take()?,
            role: row.take()?,
            reason: row.take()?,
            at: row.take()?,
        });
    }
    Ok(record)
}
