//! Datasets: what versions are tried on before they meet traffic.

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use upswing_domain::{Invalid, Timestamp, VersionId};
use upswing_privacy::redact::Redactor;
use upswing_store::Dataset;
use utoipa::{IntoParams, ToSchema};

use crate::app::Shared;
use crate::auth::Caller;
use crate::gates::dataset::{self, Case};
use crate::problem::{Problem, Problems};
use crate::wire::json::{self, Json, Params, Path};
use crate::wire::page::PageParams;
use crate::wire::time;

/// How the dataset is called.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DatasetParams {
    /// For people; at most 100 characters.
    #[serde(default)]
    name: String,
}

/// A dataset.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Dataset)]
pub(crate) struct DatasetResponse {
    /// BLAKE3 of its canonical lines.
    dataset: String,
    /// For people.
    name: String,
    /// How many cases.
    cases: i64,
    /// The cases; absent in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<Vec<Case>>,
    /// When it was first stored.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<Dataset> for DatasetResponse {
    fn from(dataset: Dataset) -> Self {
        Self {
            dataset: VersionId(dataset.id).to_string(),
            name: dataset.name,
            cases: dataset.cases,
            lines: None,
            created_at: dataset.created_at,
        }
    }
}

/// Datasets of the organisation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DatasetsResponse {
    /// Oldest first, without their cases.
    datasets: Vec<DatasetResponse>,
    /// For the next page; `null` on the last.
    next_cursor: Option<String>,
}

/// Stores a dataset: one case, or one a line. The same content again changes nothing.
#[utoipa::path(
    post,
    path = "/api/learning/datasets",
    tag = "deploy",
    operation_id = "add_dataset",
    params(DatasetParams),
    request_body(content((Case = "application/json"), (String = "application/x-ndjson"))),
    responses(
        (status = 201, description = "The new dataset", body = DatasetResponse),
        (status = 200, description = "The dataset, which was there", body = DatasetResponse),
        Problems
    )
)]
pub(crate) async fn add(
    State(app): State<Shared>,
    caller: Caller,
    Params(params): Params<DatasetParams>,
    body: Body,
) -> Result<Response, Problem> {
    if params.name.chars().count() > 100 {
        return Err(Invalid::new("name", &params.name, "at most 100 characters").into());
    }
    let frozen = dataset::freeze(&json::read(body).await?)?;
    let now = app.now();
    let dataset = Dataset {
        id: frozen.id,
        name: Redactor::new().text(&params.name).text.into_owned(),
        cases: i64::try_from(frozen.cases).unwrap_or(i64::MAX),
        body: frozen.body,
        created_at: now,
    };
    let new = app.store.put_dataset(caller.actor(now), dataset).await?;
    let stored = app.store.dataset(caller.organisation(), frozen.id).await?;
    let stored = stored.ok_or_else(|| Problem::internal("a dataset that was stored is not there"))?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(DatasetResponse::from(stored))).into_response())
}

/// The organisation's datasets.
#[utoipa::path(
    get,
    path = "/api/learning/datasets",
    tag = "deploy",
    operation_id = "list_datasets",
    params(PageParams),
    responses((status = 200, description = "A page of datasets", body = DatasetsResponse), Problems)
)]
pub(crate) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    Params(page): Params<PageParams>,
) -> Result<Json<DatasetsResponse>, Problem> {
    let all = app.store.datasets(caller.organisation()).await?;
    let (page, next_cursor) = page.of(all, |dataset| VersionId(dataset.id).to_string())?;
    Ok(Json(DatasetsResponse { datasets: page.into_iter().map(Into::into).collect(), next_cursor }))
}

/// A dataset with its cases.
#[utoipa::path(
    get,
    path = "/api/learning/datasets/{dataset}",
    tag = "deploy",
    operation_id = "get_dataset",
    params(("dataset" = String, Path)),
    responses((status = 200, description = "The dataset", body = DatasetResponse), Problems)
)]
pub(crate) async fn get(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<DatasetResponse>, Problem> {
    let parsed: VersionId = id.parse().map_err(|_| Problem::unknown_dataset(&id))?;
    let found = app.store.dataset(caller.organisation(), parsed.0).await?;
    let found = found.ok_or_else(|| Problem::unknown_dataset(&id))?;
    let lines = Some(dataset::cases(&found.body)?);
    Ok(Json(DatasetResponse { lines, ..found.into() }))
}
