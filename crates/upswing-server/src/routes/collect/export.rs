//! Export: decisions, executions and feedback as NDJSON, page by page, however much there is.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use upswing_domain::{
    AgentId, Context, DecisionId, DecisionReason, ExecutionId, FeedbackId, OrganisationId, Origin, Timestamp,
    VersionId,
};
use upswing_store::{ExportedDecision, StoreError, StoredDecision};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::executions::ExecutionResponse;
use super::feedback::FeedbackResponse;
use crate::app::Shared;
use crate::auth::Caller;
use crate::problem::{Code, Problem, Problems};
use crate::routes::deploy::agents;
use crate::wire::json::{Params, Path};
use crate::wire::schema::{ContextSchema, OriginSchema};
use crate::wire::time;

/// How many are read at once.
const PAGE: usize = 500;

/// Which part.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExportParams {
    /// Only this agent's.
    agent_id: Option<Uuid>,
    /// Go on after this id: the last one of an export that was broken off.
    cursor: Option<Uuid>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Decisions,
    Executions,
    Feedback,
}

/// How an export goes on.
enum Step {
    /// With the page that was read already.
    Send((Bytes, Option<Uuid>)),
    /// With the page after this id.
    Read(Uuid),
}

/// A stored decision.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Decision)]
pub(crate) struct DecisionResponse {
    id: Uuid,
    agent_id: Uuid,
    #[schema(value_type = String)]
    version: VersionId,
    /// The unit's keyed hash.
    unit: Option<String>,
    #[schema(value_type = Option<ContextSchema>)]
    context: Option<Context>,
    /// `forced`, `policy`, `champion` or `restored`.
    #[schema(value_type = String)]
    reason: DecisionReason,
    #[schema(value_type = OriginSchema)]
    origin: Origin,
    propensity: f64,
    /// Of every eligible version, in the order of `eligible`; empty where none was drawn.
    probabilities: Vec<f64>,
    /// The versions that were eligible.
    #[schema(value_type = Option<Vec<String>>)]
    eligible: Option<Vec<VersionId>>,
    /// The experiment, or the rollout, that assigned it.
    experiment_id: Option<Uuid>,
    /// Which of its splits assigned it: the number of the epoch of the split.
    allocation: Option<i64>,
    /// The arm, from 0; `null` also where the unit is kept out.
    arm: Option<u16>,
    /// The reward, from 0 to 1, of the execution that followed and ran this version (the mean where several did); `null` while it is
    /// unknown, which is not 0.
    reward: Option<f64>,
    epoch: i64,
    policy_revision: i64,
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    decided_at: Timestamp,
    /// Its place in the organisation's sequence.
    position: i64,
}

impl From<ExportedDecision> for DecisionResponse {
    fn from(exported: ExportedDecision) -> Self {
        let ExportedDecision { stored: StoredDecision { decision, position }, eligible, reward } = exported;
        Self {
            id: decision.id.0,
            agent_id: decision.agent.0,
            version: decision.version,
            unit: decision.unit.map(|unit| unit.to_string()),
            context: decision.context,
            reason: decision.reason,
            origin: decision.origin,
            propensity: decision.propensity.get(),
            probabilities: decision.probabilities,
            eligible,
            experiment_id: decision.assignment.map(|assignment| assignment.experiment.0),
            allocation: decision.assignment.map(|assignment| assignment.allocation),
            arm: decision.assignment.and_then(|assignment| assignment.arm),
            reward,
            epoch: decision.epoch,
            policy_revision: decision.policy_revision,
            decided_at: decision.decided_at,
            position: position.0,
        }
    }
}

/// Everything of one kind, one JSON object a line, in the order of the ids.
///
/// A connection that breaks in the middle is an incomplete export: go on with the last id as `cursor`.
#[utoipa::path(
    get,
    path = "/api/learning/export/{kind}",
    tag = "collect",
    operation_id = "export",
    params(("kind" = String, Path, description = "`decisions`, `executions` or `feedback`"), ExportParams),
    responses(
        (status = 200, description = "One object a line", content(
            (DecisionResponse = "application/x-ndjson"),
        )),
        Problems
    )
)]
pub(crate) async fn export(
    State(app): State<Shared>,
    caller: Caller,
    Path(kind): Path<String>,
    Params(params): Params<ExportParams>,
) -> Result<Response, Problem> {
    let kind = match kind.as_str() {
        "decisions" => Kind::Decisions,
        "executions" => Kind::Executions,
        "feedback" => Kind::Feedback,
        other => {
            let detail = format!("kind is {other}, but must be decisions, executions or feedback");
            return Err(Problem::new(Code::InvalidParameter, detail).about("kind"));
        }
    };
    let agent = match params.agent_id {
        Some(id) => Some(agents::find(&app, &caller, id)?.id),
        None => None,
    };
    let organisation = caller.organisation();
    // The first page is read before answering, so that a database that is away is a 503 and not a broken 200.
    let first = page(&app, organisation, agent, kind, params.cursor).await?;
    let pages = stream::unfold(Some(Step::Send(first)), move |step| {
        let app = app.clone();
        async move {
            let read = match step? {
                Step::Send(first) => Ok(first),
                Step::Read(cursor) => page(&app, organisation, agent, kind, Some(cursor)).await,
            };
            Some(match read {
                Ok((lines, next)) => (Ok(lines), next.map(Step::Read)),
                Err(error) => {
                    tracing::warn!(%error, "an export broke off");
                    (Err(error), None)
                }
            })
        }
    });
    let mut response = Response::new(Body::from_stream(pages));
    let ndjson = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(header::CONTENT_TYPE, ndjson);
    Ok(response)
}

/// One page as lines, and where the next begins.
async fn page(
    app: &Shared,
    organisation: OrganisationId,
    agent: Option<AgentId>,
    kind: Kind,
    after: Option<Uuid>,
) -> Result<(Bytes, Option<Uuid>), StoreError> {
    let store = &app.store;
    match kind {
        Kind::Decisions => {
            let page = store.export_decisions(organisation, agent, after.map(DecisionId), PAGE).await?;
            let last = page.last().map(|exported| exported.stored.decision.id.0);
            lines(page.len(), last, page.into_iter().map(DecisionResponse::from))
        }
        Kind::Executions => {
            let page = store.export_executions(organisation, agent, after.map(ExecutionId), PAGE).await?;
            let last = page.last().map(|stored| stored.execution.id.0);
            lines(page.len(), last, page.into_iter().map(|stored| ExecutionResponse::new(stored, true)))
        }
        Kind::Feedback => {
            let page = store.export_feedback(organisation, agent, after.map(FeedbackId), PAGE).await?;
            let last = page.last().map(|stored| stored.feedback.id.0);
            lines(page.len(), last, page.into_iter().map(|stored| FeedbackResponse::new(stored, true)))
        }
    }
}

fn lines<T: Serialize>(
    count: usize,
    last: Option<Uuid>,
    items: impl Iterator<Item = T>,
) -> Result<(Bytes, Option<Uuid>), StoreError> {
    let mut bytes = Vec::with_capacity(count * 512);
    for item in items {
        serde_json::to_writer(&mut bytes, &item).map_err(|e| StoreError::Corrupt(e.to_string()))?;
        bytes.push(b'\n');
    }
    Ok((bytes.into(), last.filter(|_| count == PAGE)))
}
