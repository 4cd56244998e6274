//! Is it alive, and may it have traffic?

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::Shared;
use crate::problem::{Code, Problem, Problems};
use crate::routes::confirmed;
use crate::wire::json::Json;

const PATIENCE: Duration = Duration::from_secs(2);

/// How it is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HealthResponse {
    /// `ok`; anything else is a problem document.
    status: &'static str,
    /// The release.
    version: &'static str,
}

const OK: HealthResponse = HealthResponse { status: "ok", version: env!("CARGO_PKG_VERSION") };

/// Whether the process answers. Says nothing about the database: a restart would not bring that back.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "observe",
    operation_id = "get_health",
    responses((status = 200, description = "It answers", body = HealthResponse), Problems)
)]
pub(crate) async fn live() -> Json<HealthResponse> {
    Json(OK)
}

/// Whether it may have traffic: the database answers, the write queue has room, what is served can be confirmed, and it is not
/// shutting down.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "observe",
    operation_id = "get_readiness",
    responses((status = 200, description = "It may have traffic", body = HealthResponse), Problems)
)]
pub(crate) async fn ready(State(app): State<Shared>) -> Result<Json<HealthResponse>, Problem> {
    if app.stopping.load(SeqCst) {
        return Err(Problem::new(Code::ShuttingDown, Code::ShuttingDown.title()));
    }
    let silent =
        |_| Problem::new(Code::DatabaseUnavailable, "the database does not answer within two seconds");
    tokio::time::timeout(PATIENCE, app.store.ping()).await.map_err(silent)??;
    let queue = app.store.queue();
    if !queue.connected {
        return Err(Problem::new(Code::DatabaseUnavailable, Code::DatabaseUnavailable.title()));
    }
    if queue.capacity > 0 && queue.queued >= queue.capacity {
        let detail = format!("the write queue is full ({} items)", queue.capacity);
        return Err(Problem::new(Code::QueueFull, detail));
    }
    confirmed(&app)?;
    Ok(Json(OK))
}
