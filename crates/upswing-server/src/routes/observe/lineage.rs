//! What something was derived from.

use axum::extract::State;
use serde::Serialize;
use serde_json::value::RawValue;
use upswing_domain::Timestamp;
use upswing_store::LineageEdge;
use utoipa::ToSchema;

use crate::app::Shared;
use crate::auth::Caller;
use crate::problem::{Code, Problem, Problems};
use crate::wire::json::{Json, Path};
use crate::wire::time;

/// What something was derived from.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LineageResponse {
    /// One for each source.
    edges: Vec<EdgeResponse>,
}

/// From something to its source.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LineageEdge)]
pub(crate) struct EdgeResponse {
    /// `policy`, `version`, `rollup` or `reputation`.
    derived_kind: String,
    /// Which.
    derived_id: String,
    /// `ledger`, `version`, `executions` or `feedback`.
    source_kind: String,
    /// Which.
    source_id: String,
    /// After this position, where the source is a stretch of events.
    from: Option<i64>,
    /// Up to this position.
    to: Option<i64>,
    /// Which code, encoder and definitions made it.
    #[schema(value_type = Object)]
    made_with: Box<RawValue>,
    /// When.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

impl TryFrom<LineageEdge> for EdgeResponse {
    type Error = Problem;

    fn try_from(edge: LineageEdge) -> Result<Self, Problem> {
        Ok(Self {
            derived_kind: edge.derived_kind,
            derived_id: edge.derived_id,
            source_kind: edge.source_kind,
            source_id: edge.source_id,
            from: edge.from.map(|position| position.0),
            to: edge.to.map(|position| position.0),
            made_with: RawValue::from_string(edge.made_with)
                .map_err(|e| Problem::internal(&e.to_string()))?,
            at: edge.at,
        })
    }
}

/// What a policy, a version, a rollup or reputations were derived from.
#[utoipa::path(
    get,
    path = "/api/learning/lineage/{kind}/{id}",
    tag = "observe",
    operation_id = "get_lineage",
    params(
        ("kind" = String, Path, description = "`policy`, `version`, `rollup` or `reputation`"),
        ("id" = String, Path, description = "The version's id for `version`, otherwise the agent's")
    ),
    responses((status = 200, description = "Its sources", body = LineageResponse), Problems)
)]
pub(crate) async fn lineage(
    State(app): State<Shared>,
    caller: Caller,
    Path((kind, id)): Path<(String, String)>,
) -> Result<Json<LineageResponse>, Problem> {
    if !["policy", "version", "rollup", "reputation"].contains(&kind.as_str()) {
        let detail = format!("kind is {kind}, but must be policy, version, rollup or reputation");
        return Err(Problem::new(Code::InvalidParameter, detail).about("kind"));
    }
    let edges = app.store.lineage(caller.organisation(), &kind, &id).await?;
    let edges = edges.into_iter().map(EdgeResponse::try_from).collect::<Result<_, _>>()?;
    Ok(Json(LineageResponse { edges }))
}
