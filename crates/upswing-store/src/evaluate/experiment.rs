//! Experiments and their splits.

use std::collections::HashMap;

use serde_json::json;
use upswing_domain::assignment::Split;
use upswing_domain::{
    AgentId, Allocation, Experiment, ExperimentAction, ExperimentError, ExperimentId, ExperimentStatus,
    OrganisationId, RolloutError, Timestamp, check_split,
};

use super::ExperimentLook;
use crate::collect::rows;
use crate::deploy::rollout;
use crate::engine::Connection;
use crate::platform::audit;
use crate::value::{Row, Value};
use crate::{Actor, StoreError};

/// Writes an experiment down.
pub(crate) async fn create(
    connection: &mut Connection,
    actor: &Actor,
    new: &Experiment,
) -> Result<Experiment, StoreError> {
    let split = Split::fresh(&new.plan.weights(), new.plan.coverage);
    let allocations = vec![Allocation { epoch: 1, effective_at: actor.now, split }];
    insert(connection, actor.organisation, &Experiment { allocations, ..new.clone() }).await?;
    let details = json!({ "agent": new.agent, "name": new.name, "hypothesis": new.hypothesis });
    audit::record(connection, actor, "experiment.create", new.id, details).await?;
    required(connection, actor.organisation, new.id).await
}

/// Its rows.
pub(crate) async fn insert(
    connection: &mut Connection,
    organisation: OrganisationId,
    new: &Experiment,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO experiment (organisation, id, agent, name, description, hypothesis, status, plan, created_at, \
               started_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let values = vec![
        organisation.into(),
        new.id.into(),
        new.agent.into(),
        new.name.clone().into(),
        new.description.clone().into(),
        new.hypothesis.clone().into(),
        new.status.name().into(),
        json!(new.plan).to_string().into(),
        new.created_at.into(),
        new.started_at.into(),
    ];
    connection.execute(sql, values).await?;
    for allocation in &new.allocations {
        allocate(connection, organisation, new.id, allocation).await?;
    }
    Ok(())
}

/// Ends it.
pub(crate) async fn end(
    connection: &mut Connection,
    organisation: OrganisationId,
    id: ExperimentId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "UPDATE experiment SET status = 'stopped', stopped_at = $3 WHERE organisation = $1 AND id = $2";
    connection.execute(sql, vec![organisation.into(), id.into(), now.into()]).await?;
    Ok(())
}

async fn allocate(
    connection: &mut Connection,
    organisation: OrganisationId,
    experiment: ExperimentId,
    allocation: &Allocation,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO experiment_allocation (organisation, experiment, epoch, effective_at, split) \
               VALUES ($1, $2, $3, $4, $5)";
    let values = vec![
        organisation.into(),
        experiment.into(),
        allocation.epoch.into(),
        allocation.effective_at.into(),
        json!(allocation.split).to_string().into(),
    ];
    connection.execute(sql, values).await?;
    Ok(())
}

/// Starts, pauses, stops or archives; `note` goes into the audit log.
pub(crate) async fn act(
    connection: &mut Connection,
    actor: &Actor,
    id: ExperimentId,
    action: ExperimentAction,
    note: serde_json::Value,
) -> Result<Experiment, StoreError> {
    let organisation = actor.organisation;
    // Whoever changes experiments of the organisation waits here, so that two cannot both find a layer free.
    connection.advance(organisation, 0).await?;
    let experiment = required(connection, organisation, id).await?;
    let status = experiment.status.after(action)?;
    if status == ExperimentStatus::Running {
        for arm in &experiment.plan.arms {
            if rollout::retired(connection, organisation, experiment.agent, arm.version).await? {
                return Err(RolloutError::Retired(arm.version).into());
            }
        }
        check_layers(connection, organisation, &experiment).await?;
    }
    let started = experiment.started_at.or((status == ExperimentStatus::Running).then_some(actor.now));
    let stopped = experiment.stopped_at.or((status == ExperimentStatus::Stopped).then_some(actor.now));
    let sql = "UPDATE experiment SET status = $3, started_at = $4, stopped_at = $5 WHERE organisation = $1 AND id = $2";
    let values = vec![organisation.into(), id.into(), status.name().into(), started.into(), stopped.into()];
    connection.execute(sql, values).await?;
    let name = match action {
        ExperimentAction::Start => "experiment.start",
        ExperimentAction::Pause => "experiment.pause",
        ExperimentAction::Stop => "experiment.stop",
        ExperimentAction::Archive => "experiment.archive",
        ExperimentAction::Split => "experiment.split",
    };
    audit::record(connection, actor, name, id, json!({ "agent": experiment.agent, "note": note })).await?;
    required(connection, organisation, id).await
}

/// Experiments of one agent must not share units; experiments of several must not where they name the same layer.
async fn check_layers(
    connection: &mut Connection,
    organisation: OrganisationId,
    experiment: &Experiment,
) -> Result<(), StoreError> {
    let active = |e: &Experiment| matches!(e.status, ExperimentStatus::Running | ExperimentStatus::Paused);
    let others = load(connection, organisation, Wanted::All).await?;
    for other in others.iter().filter(|other| other.id != experiment.id && active(other)) {
        let apart = match (&experiment.plan.layer, &other.plan.layer) {
            (Some(mine), Some(theirs)) if mine.name == theirs.name => !mine.overlaps(theirs),
            _ => other.agent != experiment.agent,
        };
        if !apart {
            let other = format!("{} ({})", other.name, other.id);
            return Err(ExperimentError::LayersOverlap { other }.into());
        }
    }
    Ok(())
}

/// Another split from a moment on, which moves as few units as it can.
pub(crate) async fn split(
    connection: &mut Connection,
    actor: &Actor,
    id: ExperimentId,
    weights: &[f64],
    coverage: f64,
    effective_at: Timestamp,
) -> Result<Experiment, StoreError> {
    connection.advance(actor.organisation, 0).await?;
    let experiment = reallocate(connection, actor.organisation, id, weights, coverage, effective_at).await?;
    let epoch = experiment.allocations.last().map(|allocation| allocation.epoch);
    let details =
        json!({ "agent": experiment.agent, "weights": weights, "coverage": coverage, "epoch": epoch });
    audit::record(connection, actor, "experiment.split", id, details).await?;
    Ok(experiment)
}

/// The same without a line in the audit log, for what writes one of its own.
pub(crate) async fn reallocate(
    connection: &mut Connection,
    organisation: OrganisationId,
    id: ExperimentId,
    weights: &[f64],
    coverage: f64,
    effective_at: Timestamp,
) -> Result<Experiment, StoreError> {
    let mut experiment = required(connection, organisation, id).await?;
    experiment.status.after(ExperimentAction::Split)?;
    check_split(weights, coverage)?;
    if weights.len() != experiment.plan.arms.len() {
        let given = format!("{} weights for {} arms", weights.len(), experiment.plan.arms.len());
        return Err(ExperimentError::Arms(given).into());
    }
    let latest = experiment.allocations.last();
    let split = match latest {
        Some(latest) if experiment.started_at.is_some() => latest.split.moved(weights, coverage),
        _ => Split::fresh(weights, coverage),
    };
    // Splits take effect one after the other, also when clocks differ.
    let effective_at = latest.map_or(effective_at, |latest| effective_at.max(latest.effective_at));
    let epoch = latest.map_or(0, |latest| latest.epoch) + 1;
    allocate(connection, organisation, id, &Allocation { epoch, effective_at, split }).await?;
    for (arm, weight) in experiment.plan.arms.iter_mut().zip(weights) {
        arm.weight = *weight;
    }
    experiment.plan.coverage = coverage;
    let sql = "UPDATE experiment SET plan = $3 WHERE organisation = $1 AND id = $2";
    let plan = json!(experiment.plan).to_string();
    connection.execute(sql, vec![organisation.into(), id.into(), plan.into()]).await?;
    required(connection, organisation, id).await
}

/// Which experiments are asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted {
    All,
    Of(AgentId),
    One(ExperimentId),
}

/// One experiment.
pub(crate) async fn required(
    connection: &mut Connection,
    organisation: OrganisationId,
    id: ExperimentId,
) -> Result<Experiment, StoreError> {
    let found = load(connection, organisation, Wanted::One(id)).await?.pop();
    found.ok_or_else(|| StoreError::NotFound { noun: "experiment", id: id.to_string() })
}

/// Experiments with their splits, oldest first.
pub(crate) async fn load(
    connection: &mut Connection,
    organisation: OrganisationId,
    wanted: Wanted,
) -> Result<Vec<Experiment>, StoreError> {
    let nil = uuid::Uuid::nil();
    let (all, agent, one) = match wanted {
        Wanted::All => (true, nil, nil),
        Wanted::Of(agent) => (false, agent.0, nil),
        Wanted::One(id) => (false, nil, id.0),
    };
    let parameters = || -> Vec<Value> { vec![organisation.into(), all.into(), agent.into(), one.into()] };
    let sql = "SELECT a.experiment, a.epoch, a.effective_at, a.split FROM experiment_allocation a \
               JOIN experiment e ON e.organisation = a.organisation AND e.id = a.experiment \
               WHERE a.organisation = $1 AND ($2 OR e.agent = $3 OR e.id = $4) ORDER BY a.experiment, a.epoch";
    let mut allocations: HashMap<ExperimentId, Vec<Allocation>> = HashMap::new();
    for mut row in connection.query(sql, parameters()).await? {
        let experiment = row.take()?;
        let allocation = Allocation {
            epoch: row.take()?,
            effective_at: row.take()?,
            split: rows::parse("split", &row.take::<String>()?)?,
        };
        allocations.entry(experiment).or_default().push(allocation);
    }
    let sql = "SELECT id, agent, name, description, hypothesis, status, plan, created_at, started_at, stopped_at \
               FROM experiment WHERE organisation = $1 AND ($2 OR agent = $3 OR id = $4) ORDER BY created_at, id";
    let mut experiments = Vec::new();
    for row in connection.query(sql, parameters()).await? {
        let mut experiment = read(row)?;
        experiment.allocations = allocations.remove(&experiment.id).unwrap_or_default();
        experiments.push(experiment);
    }
    Ok(experiments)
}

fn read(mut row: Row) -> Result<Experiment, StoreError> {
    Ok(Experiment {
        id: row.take()?,
        agent: row.take()?,
        name: row.take()?,
        description: row.take()?,
        hypothesis: row.take()?,
        status: rows::named("status", &row.take::<String>()?, ExperimentStatus::named)?,
        plan: rows::parse("plan", &row.take::<String>()?)?,
        allocations: Vec::new(),
        created_at: row.take()?,
        started_at: row.take()?,
        stopped_at: row.take()?,
    })
}

/// What was known at each time, oldest first.
pub(crate) async fn looks(
    connection: &mut Connection,
    organisation: OrganisationId,
    experiment: ExperimentId,
) -> Result<Vec<ExperimentLook>, StoreError> {
    let sql =
        "SELECT at, results FROM experiment_look WHERE organisation = $1 AND experiment = $2 ORDER BY at";
    let rows = connection.query(sql, vec![organisation.into(), experiment.into()]).await?;
    rows.into_iter()
        .map(|mut row| Ok(ExperimentLook { experiment, at: row.take()?, results: row.take()? }))
        .collect()
}
