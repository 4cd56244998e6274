//! What became of a piece of feedback.

use axum::extract::State;
use serde::Serialize;
use upswing_domain::{FeedbackId, Position, Reward, VersionId};
use upswing_store::LedgerEntry;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::Shared;
use crate::auth::Caller;
use crate::jobs::learner::folded::teaches;
use crate::problem::{Problem, Problems};
use crate::routes::deploy::deployments::DeploymentResponse;
use crate::routes::deploy::evidence::{TookPart, took_part};
use crate::wire::json::{Json, Path};

/// How many deployments since are named.
const DEPLOYMENTS: usize = 200;

/// What became of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EffectsResponse {
    /// The feedback.
    feedback_id: Uuid,
    /// The execution it is about.
    execution_id: Option<Uuid>,
    /// The agent.
    agent_id: Uuid,
    /// Where the feedback stands.
    position: i64,
    /// The changes of the execution's reward that it caused. Empty while the execution has not been reported, or when the
    /// reward definition does not count this kind.
    entries: Vec<EffectResponse>,
    /// Whether the policy knows it: `true` once it has read all the entries that teach; `null` when none does.
    learned: Option<bool>,
    /// How far the learner has read.
    learner_position: i64,
    /// The rollouts that it was evidence for or against, each with its decision record.
    rollouts: Vec<TookPart>,
    /// What was deployed since, newest first.
    deployments_since: Vec<DeploymentResponse>,
}

/// One change of the execution's reward.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EffectResponse {
    /// Where it stands in the ledger.
    position: i64,
    /// The version whose reward it is.
    #[schema(value_type = String)]
    version: VersionId,
    /// Which reward definition made it.
    definition_version: i64,
    /// The reward before; `null` where nothing was known.
    old_reward: Option<f64>,
    /// The reward after; `null` where nothing is known any more.
    new_reward: Option<f64>,
    /// Whether policies learn from it. They do not where no decision was made, or a version was forced.
    teaches: bool,
    /// From which revision on the policy knows it; `null` while it does not.
    learned_at_revision: Option<i64>,
}

impl EffectResponse {
    fn new(entry: &LedgerEntry, learner: Position) -> Self {
        let teaches = teaches(entry);
        Self {
            position: entry.position.0,
            version: entry.version,
            definition_version: entry.definition_version,
            old_reward: entry.old.map(Reward::get),
            new_reward: entry.new.map(Reward::get),
            teaches,
            // A revision is named by the last entry that it knows.
            learned_at_revision: (teaches && learner >= entry.position).then_some(entry.position.0),
        }
    }
}

/// Whether the policy knows all that teaches; `None` when nothing does.
fn learned(entries: &[EffectResponse]) -> Option<bool> {
    let mut teaching = entries.iter().filter(|entry| entry.teaches).peekable();
    teaching.peek()?;
    Some(teaching.all(|entry| entry.learned_at_revision.is_some()))
}

/// What became of a piece of feedback: the rewards it changed, whether the policy knows it, the rollouts it was evidence in,
/// what was deployed since.
#[utoipa::path(
    get,
    path = "/api/learning/feedback/{feedback_id}/effects",
    tag = "observe",
    operation_id = "get_feedback_effects",
    params(("feedback_id" = Uuid, Path)),
    responses((status = 200, description = "Its effects", body = EffectsResponse), Problems)
)]
pub(crate) async fn effects(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<EffectsResponse>, Problem> {
    let organisation = caller.organisation();
    let stored = app.store.feedback(organisation, FeedbackId(id)).await?;
    let stored = stored.ok_or_else(|| Problem::not_found("feedback", id))?;
    let agent = stored.feedback.agent;
    let entries = app.store.feedback_effects(organisation, FeedbackId(id)).await?;
    let known = app.registry.agent(organisation, agent).ok_or_else(|| Problem::unknown_agent(agent))?;
    let learner_position = known.policy().position;
    let entries: Vec<_> = entries.iter().map(|entry| EffectResponse::new(entry, learner_position)).collect();
    let learned = learned(&entries);
    let deployments = app.store.deployments(organisation, agent, None, DEPLOYMENTS).await?;
    let since = deployments.into_iter().filter(|deployment| deployment.position > stored.position);
    let about = stored.feedback.target.execution();
    let rollouts = match about {
        Some(execution) => took_part(&app, organisation, execution, stored.received_at).await?,
        None => Vec::new(),
    };
    Ok(Json(EffectsResponse {
        feedback_id: id,
        execution_id: about.map(|id| id.0),
        agent_id: agent.0,
        position: stored.position.0,
        entries,
        learned,
        learner_position: learner_position.0,
        rollouts,
        deployments_since: since.map(Into::into).collect(),
    }))
}
