//! Windows over an agent's implicit feedback.

use axum::extract::State;
use serde::Serialize;
use serde_json::value::RawValue;
use upswing_domain::Timestamp;
use upswing_store::StreamWindow;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::Shared;
use crate::auth::Caller;
use crate::problem::{Problem, Problems};
use crate::routes::deploy::agents;
use crate::wire::json::{Json, Params, Path};
use crate::wire::page::PageParams;
use crate::wire::time;

/// One window.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StreamWindow)]
pub(crate) struct WindowResponse {
    /// Its number, from 1.
    ordinal: i64,
    /// The position before its first signal.
    from_position: i64,
    /// The position of its last signal.
    to_position: i64,
    /// How many signals it holds.
    signals: i64,
    /// `processed`; `stopped`, where a stage was not confident enough; `retrying`; `set_aside` after five attempts.
    status: String,
    /// What each stage reported: `stage`, `input`, `output`, `confidence`, `milliseconds`.
    #[schema(value_type = Vec<Object>)]
    stages: Option<Box<RawValue>>,
    /// How often it was tried.
    attempts: i64,
    /// When it is tried again.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_attempt_at: Option<String>,
    /// Why it failed, or stopped.
    error: Option<String>,
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl From<StreamWindow> for WindowResponse {
    fn from(window: StreamWindow) -> Self {
        Self {
            ordinal: window.ordinal,
            from_position: window.from.0,
            to_position: window.to.0,
            signals: window.signals,
            status: window.status,
            stages: RawValue::from_string(window.stages).ok(),
            attempts: window.attempts,
            next_attempt_at: window.next_attempt_at.map(time::to_text),
            error: window.error,
            updated_at: window.updated_at,
        }
    }
}

/// An agent's windows.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WindowsResponse {
    /// Newest first.
    windows: Vec<WindowResponse>,
    /// Signals that wait for training.
    training_queue: i64,
    /// For the next page; `null` on the last.
    next_cursor: Option<String>,
}

/// The windows over an agent's implicit feedback, newest first.
#[utoipa::path(
    get,
    path = "/api/learning/agents/{agent_id}/windows",
    tag = "recognise",
    operation_id = "list_windows",
    params(("agent_id" = Uuid, Path), PageParams),
    responses((status = 200, description = "Its windows", body = WindowsResponse), Problems)
)]
pub(crate) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
    Params(page): Params<PageParams>,
) -> Result<Json<WindowsResponse>, Problem> {
    let agent = agents::find(&app, &caller, id)?;
    let limit = page.limit()?;
    let found = app.store.windows(agent.organisation, agent.id, page.number()?, limit).await?;
    let training_queue = app.store.training_signals(agent.organisation, agent.id).await?;
    let next_cursor = found.last().filter(|_| found.len() == limit).map(|last| last.ordinal.to_string());
    let windows = found.into_iter().map(Into::into).collect();
    Ok(Json(WindowsResponse { windows, training_queue, next_cursor }))
}

/// What was asked for is under way.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RetryResponse {
    /// The window's number.
    ordinal: i64,
    /// `retrying`.
    status: &'static str,
}

/// Tries a window again that was set aside.
#[utoipa::path(
    post,
    path = "/api/learning/agents/{agent_id}/windows/{ordinal}/retry",
    tag = "recognise",
    operation_id = "retry_window",
    params(("agent_id" = Uuid, Path), ("ordinal" = i64, Path)),
    responses((status = 200, description = "It will be tried again", body = RetryResponse), Problems)
)]
pub(crate) async fn retry(
    State(app): State<Shared>,
    caller: Caller,
    Path((id, ordinal)): Path<(Uuid, i64)>,
) -> Result<Json<RetryResponse>, Problem> {
    let agent = agents::find(&app, &caller, id)?;
    if !app.store.retry_window(caller.actor(app.now()), agent.id, ordinal).await? {
        return Err(Problem::not_found("window that was set aside", ordinal));
    }
    app.news.windows.add([((agent.organisation, agent.id), Default::default())]);
    Ok(Json(RetryResponse { ordinal, status: "retrying" }))
}
