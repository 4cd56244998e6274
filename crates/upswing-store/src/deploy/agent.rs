//! Agents and versions.

use std::collections::HashMap;

use serde_json::json;
use upswing_domain::{
    Agent, AgentId, AgentName, Experiment, ExperimentStatus, OrganisationId, PolicyConfig, Position,
    RewardDefinition, RolloutError, Timestamp, Version, VersionId,
};

use super::deployment::{self, Change};
use super::rollout;
use crate::collect::{reset_refold, rows};
use crate::engine::Connection;
use crate::evaluate::experiment::{self, Wanted};
use crate::platform::{audit, checkpoint};
use crate::value::{Row, Value};
use crate::{Actor, AgentState, LineageEdge, NewAgent, StoreError};

pub(crate) async fn create(
    connection: &mut Connection,
    actor: &Actor,
    new: NewAgent,
) -> Result<AgentState, StoreError> {
    let organisation = Value::from(actor.organisation);
    let sql = "INSERT INTO agent (organisation, id, name, description, salt, segments, output_schema, policy, \
               definition_version, epoch, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, 0, $9)";
    let values = vec![
        organisation.clone(),
        new.id.into(),
        new.name.as_str().into(),
        new.description.into(),
        new.salt.into(),
        json!(new.segments).to_string().into(),
        new.output_schema.into(),
        json!(new.policy).to_string().into(),
        actor.now.into(),
    ];
    connection.execute(sql, values).await.map_err(|error| match error {
        StoreError::Conflict(_) => {
            StoreError::Conflict(format!("there is already an agent {}", new.name.as_str()))
        }
        other => other,
    })?;
    define(connection, actor, new.id, 1, &new.reward_definition).await?;
    let position = Position(0);
    let head = vec![organisation, new.id.into(), position.into()];
    connection.insert(&crate::engine::tables::AGENT_HEAD, vec![head]).await?;
    let details = json!({ "name": new.name.as_str(), "policy": new.policy });
    audit::record(connection, actor, "agent.create", new.id, details).await?;
    deployment::change(connection, actor, new.id, Change::Created, "").await?;
    required(connection, actor.organisation, new.id).await
}

async fn define(
    connection: &mut Connection,
    actor: &Actor,
    agent: AgentId,
    version: i64,
    definition: &RewardDefinition,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO reward_definition (organisation, agent, version, body, created_at) \
               VALUES ($1, $2, $3, $4, $5)";
    let body = json!(definition).to_string();
    let values = vec![actor.organisation.into(), agent.into(), version.into(), body.into(), actor.now.into()];
    connection.execute(sql, values).await?;
    Ok(())
}

/// A new reward definition; the stored feedback is folded again from the next piece on.
pub(crate) async fn redefine(
    connection: &mut Connection,
    actor: &Actor,
    agent: AgentId,
    definition: &RewardDefinition,
) -> Result<AgentState, StoreError> {
    // Batches of all servers wait for the head: each sees either definition, none sees both. That it moves tells those that
    // remember a definition to look again.
    connection.advance(actor.organisation, 1).await?;
    let sql = "UPDATE agent SET definition_version = definition_version + 1 WHERE organisation = $1 AND id = $2 \
               RETURNING definition_version";
    let row = connection.query_one(sql, vec![actor.organisation.into(), agent.into()]).await?;
    let version: i64 = row.ok_or_else(|| unknown(agent))?.take()?;
    define(connection, actor, agent, version, definition).await?;
    reset_refold(connection, actor.organisation, agent).await?;
    let details = json!({ "version": version, "definition": definition });
    audit::record(connection, actor, "agent.redefine_reward", agent, details).await?;
    required(connection, actor.organisation, agent).await
}

pub(crate) async fn set_policy(
    connection: &mut Connection,
    actor: &Actor,
    agent: AgentId,
    policy: PolicyConfig,
) -> Result<AgentState, StoreError> {
    let sql = "UPDATE agent SET policy = $3 WHERE organisation = $1 AND id = $2";
    let values = vec![actor.organisation.into(), agent.into(), json!(policy).to_string().into()];
    if connection.execute(sql, values).await? == 0 {
        return Err(unknown(agent));
    }
    audit::record(connection, actor, "agent.set_policy", agent, json!({ "policy": policy })).await?;
    deployment::change(connection, actor, agent, Change::PolicyChanged, "").await?;
    required(connection, actor.organisation, agent).await
}

/// Names the version that is served where nothing can be confirmed.
pub(crate) async fn set_safe_version(
    connection: &mut Connection,
    actor: &Actor,
    agent: AgentId,
    version: Option<VersionId>,
) -> Result<AgentState, StoreError> {
    connection.advance(actor.organisation, 0).await?;
    if let Some(version) = version
        && rollout::retired(connection, actor.organisation, agent, version).await?
    {
        return Err(RolloutError::Retired(version).into());
    }
    let sql = "UPDATE agent SET safe_version = $3 WHERE organisation = $1 AND id = $2";
    let values = vec![actor.organisation.into(), agent.into(), version.into()];
    if connection.execute(sql, values).await? == 0 {
        return Err(unknown(agent));
    }
    audit::record(connection, actor, "agent.set_safe_version", agent, json!({ "version": version })).await?;
    required(connection, actor.organisation, agent).await
}

/// Stores a version; the flag says whether it is new.
pub(crate) async fn add_version(
    connection: &mut Connection,
    actor: &Actor,
    version: &Version,
) -> Result<(AgentState, bool), StoreError> {
    let organisation = actor.organisation;
    let state = required(connection, organisation, version.agent).await?;
    if let Some(known) = state.versions.iter().find(|v| v.id == version.id) {
        if known.label != version.label {
            return Err(StoreError::Conflict(format!(
                "this configuration is already there as {:?}; versions are named by their content",
                known.label
            )));
        }
        return Ok((state, false));
    }
    if let Some(parent) = version.parents.iter().find(|p| !state.versions.iter().any(|v| v.id == **p)) {
        return Err(StoreError::NotFound { noun: "version", id: parent.to_string() });
    }
    if state.versions.iter().any(|v| v.label == version.label) {
        return Err(StoreError::Conflict(format!("another version has the label {:?}", version.label)));
    }
    let sql = "INSERT INTO version (organisation, agent, id, ordinal, label, config, parents, eligible, created_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let values = vec![
        organisation.into(),
        version.agent.into(),
        version.id.into(),
        i64::try_from(state.versions.len()).unwrap_or(i64::MAX).into(),
        version.label.clone().into(),
        version.config.clone().into(),
        json!(version.parents).to_string().into(),
        version.eligible.into(),
        actor.now.into(),
    ];
    connection.execute(sql, values).await?;
    for parent in &version.parents {
        let edge = LineageEdge {
            derived_kind: "version".to_owned(),
            derived_id: version.id.to_string(),
            source_kind: "version".to_owned(),
            source_id: parent.to_string(),
            from: None,
            to: None,
            made_with: "{}".to_owned(),
            at: actor.now,
        };
        checkpoint::link(connection, organisation, &edge).await?;
    }
    let details = json!({ "agent": version.agent, "label": version.label, "eligible": version.eligible });
    audit::record(connection, actor, "version.add", version.id, details).await?;
    if version.eligible {
        deployment::change(connection, actor, version.agent, Change::VersionAdded(version.id), "").await?;
    }
    Ok((required(connection, organisation, version.agent).await?, true))
}

pub(crate) async fn required(
    connection: &mut Connection,
    organisation: OrganisationId,
    id: AgentId,
) -> Result<AgentState, StoreError> {
    load(connection, organisation, Some(id)).await?.pop().ok_or_else(|| unknown(id))
}

/// One agent, or all of an organisation, by name.
pub(crate) async fn load(
    connection: &mut Connection,
    organisation: OrganisationId,
    id: Option<AgentId>,
) -> Result<Vec<AgentState>, StoreError> {
    let parameters = || -> Vec<Value> {
        vec![organisation.into(), id.is_none().into(), id.map_or(uuid::Uuid::nil(), |id| id.0).into()]
    };
    let sql = "SELECT agent, id, label, config, parents, eligible, created_at FROM version \
               WHERE organisation = $1 AND ($2 OR agent = $3) ORDER BY agent, ordinal";
    let mut versions: HashMap<AgentId, Vec<Version>> = HashMap::new();
    for row in connection.query(sql, parameters()).await? {
        let version = read_version(row)?;
        versions.entry(version.agent).or_default().push(version);
    }
    let sql = "SELECT a.id, a.name, a.description, a.salt, a.segments, a.output_schema, a.policy, a.champion, \
               a.safe_version, d.body, a.definition_version, a.epoch FROM agent a JOIN reward_definition d \
               ON d.organisation = a.organisation AND d.agent = a.id AND d.version = a.definition_version \
               WHERE a.organisation = $1 AND ($2 OR a.id = $3) ORDER BY a.name";
    let mut agents = Vec::new();
    for row in connection.query(sql, parameters()).await? {
        let agent = read_agent(row)?;
        let versions = versions.remove(&agent.id).unwrap_or_default();
        agents.push(AgentState { agent, versions, experiments: Vec::new(), rollouts: Vec::new() });
    }
    let wanted = id.map_or(Wanted::All, Wanted::Of);
    let active = |e: &Experiment| matches!(e.status, ExperimentStatus::Running | ExperimentStatus::Paused);
    for experiment in experiment::load(connection, organisation, wanted).await?.into_iter().filter(active) {
        if let Some(state) = agents.iter_mut().find(|state| state.agent.id == experiment.agent) {
            state.experiments.push(experiment);
        }
    }
    for rollout in rollout::load(connection, organisation, id, true).await? {
        if let Some(state) = agents.iter_mut().find(|state| state.agent.id == rollout.agent) {
            state.rollouts.push(rollout);
        }
    }
    Ok(agents)
}

fn read_agent(mut row: Row) -> Result<Agent, StoreError> {
    Ok(Agent {
        id: row.take()?,
        name: AgentName::new(row.take::<String>()?)?,
        description: row.take()?,
        salt: row.take()?,
        segments: rows::parse("segments", &row.take::<String>()?)?,
        output_schema: row.take()?,
        policy: rows::parse("policy", &row.take::<String>()?)?,
        champion: row.take()?,
        safe_version: row.take()?,
        reward_definition: rows::parse("reward definition", &row.take::<String>()?)?,
        definition_version: row.take()?,
        epoch: row.take()?,
    })
}

fn read_version(mut row: Row) -> Result<Version, StoreError> {
    Ok(Version {
        agent: row.take()?,
        id: row.take()?,
        label: row.take()?,
        config: row.take()?,
        parents: rows::parse::<Vec<VersionId>>("parents", &row.take::<String>()?)?,
        eligible: row.take()?,
        created_at: row.take::<Timestamp>()?,
    })
}

pub(crate) fn unknown(agent: AgentId) -> StoreError {
    StoreError::NotFound { noun: "agent", id: agent.to_string() }
}
