//! Rollouts: where each stands, and everything that became of it.

use serde_json::json;
use upswing_domain::assignment::Split;
use upswing_domain::{
    AgentId, Allocation, Experiment, ExperimentArm, ExperimentId, ExperimentPlan, ExperimentStatus, Holdout,
    MetricRole, OrganisationId, Rollout, RolloutError, RolloutId, RolloutMargins, RolloutState, Transition,
};

use super::{agent, deployment, shadow};
use crate::collect::rows;
use crate::engine::Connection;
use crate::evaluate::experiment;
use crate::platform::audit;
use crate::value::{Row, Value};
use crate::{Actor, AgentState, RolloutTransition, StoreError};

/// Begins a rollout at its first step.
pub(crate) async fn start(
    connection: &mut Connection,
    actor: &Actor,
    new: &Rollout,
    note: serde_json::Value,
) -> Result<Rollout, StoreError> {
    let organisation = actor.organisation;
    // Whoever changes what an agent's traffic is compared by waits here.
    connection.advance(organisation, 0).await?;
    let state = agent::required(connection, organisation, new.agent).await?;
    let Some(version) = state.versions.iter().find(|version| version.id == new.version) else {
        return Err(StoreError::NotFound { noun: "version", id: new.version.to_string() });
    };
    let previous = state.agent.champion.ok_or(RolloutError::NoChampion)?;
    if previous == new.version {
        return Err(RolloutError::AlreadyLive(new.version).into());
    }
    if retired(connection, organisation, new.agent, new.version).await? {
        return Err(RolloutError::Retired(new.version).into());
    }
    if let Some(other) = state.rollouts.first() {
        return Err(RolloutError::Busy(format!("rollout {} of version {}", other.id, other.version)).into());
    }
    if let Some(other) = state.experiments.first() {
        return Err(RolloutError::Busy(format!("experiment {}", other.name)).into());
    }
    let label = version.label.clone();
    let rollout = Rollout { previous, ..new.clone() };
    save(connection, organisation, &rollout).await?;
    if rollout.shadow {
        shadow::begin(connection, organisation, &rollout, actor.now).await?;
    }
    compare(connection, actor, &rollout, &label).await?;
    // What is served otherwise is what it is compared with: policies do not serve it meanwhile.
    deployment::set_eligible(connection, organisation, rollout.agent, rollout.version, false).await?;
    let change = deployment::Change::RolloutStarted(rollout.version);
    deployment::change(connection, actor, rollout.agent, change, &rollout.reason).await?;
    let start = Transition::Advance { step: 0 };
    remember(connection, actor, &rollout, &start, &note, &rollout.reason).await?;
    required(connection, organisation, rollout.id).await
}

/// Ends what serves a version that is rolled back by hand: a rollout of it, or one that compares another version with it, and
/// experiments with it as an arm. Otherwise they would go on serving it, and a rollout could promote it by rule.
pub(crate) async fn end_with(
    connection: &mut Connection,
    actor: &Actor,
    state: &AgentState,
    version: upswing_domain::VersionId,
    reason: &str,
) -> Result<(), StoreError> {
    let organisation = actor.organisation;
    for rollout in state.rollouts.iter().filter(|r| r.version == version || r.previous == version) {
        let why = match rollout.version == version {
            true => "the version was rolled back by hand",
            false => "the version that it is compared with was rolled back by hand",
        };
        let transition = Transition::RollBack { why: why.to_owned() };
        let ended = transition.from(rollout.state)?;
        let next = Rollout { state: ended, revision: rollout.revision + 1, ..rollout.clone() };
        experiment::end(connection, organisation, ExperimentId(rollout.id.0), actor.now).await?;
        save(connection, organisation, &next).await?;
        remember(connection, actor, &next, &transition, &json!({ "rolled_back": version }), reason).await?;
    }
    let with_it = |e: &&Experiment| {
        e.plan.rollout.is_none()
            && e.status != ExperimentStatus::Stopped
            && e.plan.arms.iter().any(|arm| arm.version == version)
    };
    for running in state.experiments.iter().filter(with_it) {
        experiment::end(connection, organisation, running.id, actor.now).await?;
        let note = json!({ "agent": running.agent, "note": { "rolled_back": version, "reason": reason } });
        audit::record(connection, actor, "experiment.stop", running.id, note).await?;
    }
    Ok(())
}

/// Whether a version was rolled back and not promoted since.
pub(crate) async fn retired(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: AgentId,
    version: upswing_domain::VersionId,
) -> Result<bool, StoreError> {
    let sql = "SELECT kind FROM deployment WHERE organisation = $1 AND agent = $2 AND version = $3 \
               AND kind IN ('rolled_back', 'promoted') ORDER BY epoch DESC LIMIT 1";
    let row = connection.query_one(sql, vec![organisation.into(), agent.into(), version.into()]).await?;
    let kind: Option<String> = row.map(|mut row| row.take()).transpose()?;
    Ok(kind.as_deref() == Some("rolled_back"))
}

fn shares(weight: f64) -> [f64; 2] {
    [1.0 - weight, weight]
}

/// The comparison that judges a rollout: an experiment of the same id.
async fn compare(
    connection: &mut Connection,
    actor: &Actor,
    rollout: &Rollout,
    label: &str,
) -> Result<(), StoreError> {
    let weights = shares(rollout.plan.steps.first().map_or(0.0, |step| step.weight));
    // In the shadow nobody is a unit: who was one would stay the current version's, whatever it is served later.
    let coverage = if rollout.shadow { 0.0 } else { 1.0 };
    let arms = [rollout.previous, rollout.version].into_iter().zip(weights);
    let mut metrics = rollout.plan.guardrails.clone();
    for metric in &mut metrics {
        metric.role = MetricRole::Guardrail;
    }
    let mut goal = rollout.plan.goal.clone();
    goal.role = MetricRole::Goal;
    metrics.push(goal);
    let plan = ExperimentPlan {
        arms: arms.map(|(version, weight)| ExperimentArm { version, weight }).collect(),
        unit: rollout.plan.unit,
        seed: rollout.id.to_string(),
        coverage,
        layer: None,
        holdout: None::<Holdout>,
        targeting: Vec::new(),
        metrics,
        covariate: None,
        alpha: rollout.plan.alpha,
        minimum_units: 0,
        minimum_seconds: 0,
        planned_units: 5_000,
        adaptive: None,
        rollout: Some(RolloutMargins { goal: rollout.plan.margin, guardrail: rollout.plan.guardrail_margin }),
    };
    let experiment = Experiment {
        id: ExperimentId(rollout.id.0),
        agent: rollout.agent,
        name: format!("rollout of {label}"),
        description: String::new(),
        hypothesis: String::new(),
        status: ExperimentStatus::Running,
        plan,
        allocations: vec![Allocation {
            epoch: 1,
            effective_at: actor.now,
            split: Split::fresh(&weights, coverage),
        }],
        created_at: actor.now,
        started_at: Some(actor.now),
        stopped_at: None,
    };
    experiment::insert(connection, actor.organisation, &experiment).await
}

/// What becomes of a rollout, on which evidence, and for which reason where somebody gave one. Nothing where somebody else
/// has made something of it since `rollout` was read.
pub(crate) async fn transition(
    connection: &mut Connection,
    actor: &Actor,
    rollout: &Rollout,
    transition: &Transition,
    evidence: serde_json::Value,
    reason: &str,
) -> Result<Rollout, StoreError> {
    let organisation = actor.organisation;
    connection.advance(organisation, 0).await?;
    let now = required(connection, organisation, rollout.id).await?;
    if now.revision != rollout.revision {
        return Err(StoreError::LeaseLost);
    }
    let mut next = Rollout { state: transition.from(now.state)?, revision: now.revision + 1, ..now };
    let experiment = ExperimentId(rollout.id.0);
    match transition {
        Transition::Advance { step } => {
            next.step = *step;
            next.shadow = false;
            next.step_since = actor.now;
            let weights = shares(next.plan.steps.get(*step).map_or(0.0, |step| step.weight));
            experiment::reallocate(connection, organisation, experiment, &weights, 1.0, actor.now).await?;
        }
        Transition::Hold { .. } => {}
        // It is given the time of its step again, and another deadline.
        Transition::Resume => {
            next.step_since = actor.now;
            let seconds = i64::try_from(next.plan.deadline_seconds).unwrap_or(i64::MAX);
            next.deadline = actor.now.plus_seconds(seconds);
        }
        Transition::Promote { why } => {
            experiment::end(connection, organisation, experiment, actor.now).await?;
            deployment::promote(connection, actor, next.agent, next.version, why).await?;
        }
        Transition::RollBack { why } => {
            experiment::end(connection, organisation, experiment, actor.now).await?;
            // Over before its version is taken out, which ends what still serves it.
            save(connection, organisation, &next).await?;
            deployment::roll_back(connection, actor, next.agent, next.version, why).await?;
        }
    }
    save(connection, organisation, &next).await?;
    remember(connection, actor, &next, transition, &evidence, reason).await?;
    Ok(next)
}

async fn save(
    connection: &mut Connection,
    organisation: OrganisationId,
    rollout: &Rollout,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO rollout (organisation, id, agent, version, previous, state, step, step_since, plan, reason, \
               created_at, deadline, revision, shadow) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
               ON CONFLICT (organisation, id) DO UPDATE SET state = excluded.state, step = excluded.step, \
               step_since = excluded.step_since, deadline = excluded.deadline, revision = excluded.revision, \
               shadow = excluded.shadow";
    let values = vec![
        organisation.into(),
        rollout.id.into(),
        rollout.agent.into(),
        rollout.version.into(),
        rollout.previous.into(),
        rollout.state.name().into(),
        i64::try_from(rollout.step).unwrap_or(i64::MAX).into(),
        rollout.step_since.into(),
        json!(rollout.plan).to_string().into(),
        rollout.reason.clone().into(),
        rollout.created_at.into(),
        rollout.deadline.into(),
        rollout.revision.into(),
        rollout.shadow.into(),
    ];
    connection.execute(sql, values).await?;
    Ok(())
}

/// Where a transition stands that comes before the first step.
const BEFORE: i64 = -1;

async fn remember(
    connection: &mut Connection,
    actor: &Actor,
    rollout: &Rollout,
    transition: &Transition,
    evidence: &serde_json::Value,
    reason: &str,
) -> Result<(), StoreError> {
    let why = if reason.is_empty() {
        transition.why().to_owned()
    } else {
        format!("{}: {reason}", transition.why())
    };
    let first = rollout.revision == 0;
    let kind = if first { "start" } else { transition.name() };
    let sql = "INSERT INTO rollout_transition (organisation, rollout, revision, at, kind, state, step, why, evidence, api_key) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let values = vec![
        actor.organisation.into(),
        rollout.id.into(),
        rollout.revision.into(),
        actor.now.into(),
        kind.into(),
        rollout.state.name().into(),
        if rollout.shadow { BEFORE } else { i64::try_from(rollout.step).unwrap_or(i64::MAX) }.into(),
        if first { reason.to_owned() } else { why.clone() }.into(),
        evidence.to_string().into(),
        actor.key.into(),
    ];
    connection.execute(sql, values).await?;
    let details = json!({ "agent": rollout.agent, "version": rollout.version, "state": rollout.state,
        "shadow": rollout.shadow, "step": rollout.step, "why": why });
    audit::record(connection, actor, &format!("rollout.{kind}"), rollout.id, details).await
}

/// One rollout.
pub(crate) async fn required(
    connection: &mut Connection,
    organisation: OrganisationId,
    id: RolloutId,
) -> Result<Rollout, StoreError> {
    let sql = format!("{SELECT} AND id = $2");
    let row = connection.query_one(&sql, vec![organisation.into(), id.into()]).await?;
    row.map(read).transpose()?.ok_or_else(|| StoreError::NotFound { noun: "rollout", id: id.to_string() })
}

const SELECT: &str = "SELECT id, agent, version, previous, state, step, step_since, plan, reason, created_at, deadline, \
                      revision, shadow FROM rollout WHERE organisation = $1";

/// The rollouts of an agent, or of all, oldest first; those that serve a share alone, where that is asked for.
pub(crate) async fn load(
    connection: &mut Connection,
    organisation: OrganisationId,
    agent: Option<AgentId>,
    active: bool,
) -> Result<Vec<Rollout>, StoreError> {
    let sql = format!(
        "{SELECT} AND ($2 OR agent = $3) AND (NOT $4 OR state IN ('running', 'held')) ORDER BY created_at, id"
    );
    let parameters: Vec<Value> = vec![
        organisation.into(),
        agent.is_none().into(),
        agent.map_or(uuid::Uuid::nil(), |agent| agent.0).into(),
        active.into(),
    ];
    connection.query(&sql, parameters).await?.into_iter().map(read).collect()
}

fn read(mut row: Row) -> Result<Rollout, StoreError> {
    let mut rollout = Rollout {
        id: row.take()?,
        agent: row.take()?,
        version: row.take()?,
        previous: row.take()?,
        state: rows::named("state", &row.take::<String>()?, RolloutState::named)?,
        shadow: false,
        step: usize::try_from(row.take::<i64>()?).unwrap_or(0),
        step_since: row.take()?,
        plan: rows::parse("plan", &row.take::<String>()?)?,
        reason: row.take()?,
        created_at: row.take()?,
        deadline: row.take()?,
        revision: row.take()?,
    };
    // Rollouts of before there were shadows have none.
    rollout.shadow = row.take::<Option<bool>>()?.unwrap_or(false);
    Ok(rollout)
}

/// Everything that became of a rollout, oldest first.
pub(crate) async fn transitions(
    connection: &mut Connection,
    organisation: OrganisationId,
    id: RolloutId,
) -> Result<Vec<RolloutTransition>, StoreError> {
    let sql = "SELECT revision, at, kind, state, step, why, evidence, api_key FROM rollout_transition \
               WHERE organisation = $1 AND rollout = $2 ORDER BY revision";
    let rows = connection.query(sql, vec![organisation.into(), id.into()]).await?;
    rows.into_iter()
        .map(|mut row| {
            Ok(RolloutTransition {
                revision: row.take()?,
                at: row.take()?,
                kind: row.take()?,
                state: rows::named("state", &row.take::<String>()?, RolloutState::named)?,
                step: usize::try_from(row.take::<i64>()?).ok(),
                why: row.take()?,
                evidence: row.take()?,
                key: row.take()?,
            })
        })
        .collect()
}
