//! What an agent serves now, for applications that keep it themselves: once with an ETag, or as a stream of changes.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use upswing_domain::{Permission, RolloutState, VersionId};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::{App, Shared};
use crate::auth::{Caller, authorise};
use crate::gates;
use crate::problem::{Code, Problem, Problems};
use crate::registry::{AgentEntry, Arm};
use crate::routes::deploy::agents::{self, AgentResponse};
use crate::wire::json::{Json, Path};

/// What an agent serves now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServedConfigResponse {
    /// The agent.
    agent_id: Uuid,
    /// Counts changes of what is served.
    epoch: i64,
    /// What serves when nothing else decides.
    champion: Option<ServedVersion>,
    /// A version on its way, with its share.
    rollout: Option<ServedRollout>,
    /// What is served where nothing can be confirmed.
    #[schema(value_type = Option<String>)]
    safe_version: Option<VersionId>,
}

/// A version that serves.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServedVersion {
    /// The version.
    #[schema(value_type = String)]
    version: VersionId,
    /// Its name for people.
    label: String,
    /// Its configuration.
    #[schema(value_type = Object)]
    config: Box<RawValue>,
}

/// A version on its way.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServedRollout {
    /// The rollout.
    rollout_id: Uuid,
    /// The version.
    #[serde(flatten)]
    served: ServedVersion,
    /// Its share of the traffic.
    weight: f64,
}

/// What is to be served where nothing can be confirmed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SafeVersionRequest {
    /// One of the agent's versions; `null` for none.
    #[schema(value_type = Option<String>)]
    version: Option<VersionId>,
}

impl From<&Arm> for ServedVersion {
    fn from(arm: &Arm) -> Self {
        Self { version: arm.version, label: arm.label.clone(), config: arm.config.clone() }
    }
}

impl ServedConfigResponse {
    fn of(agent: &AgentEntry) -> Self {
        let serving = agent.serving();
        let rollout = serving.state.rollouts.iter().find(|rollout| rollout.state != RolloutState::RolledBack);
        let rollout = rollout.and_then(|rollout| {
            Some(ServedRollout {
                rollout_id: rollout.id.0,
                served: serving.arm(rollout.version)?.into(),
                weight: rollout.weight(),
            })
        });
        Self {
            agent_id: agent.id.0,
            epoch: serving.state.agent.epoch,
            champion: serving.champion.and_then(|index| serving.arms.get(index)).map(ServedVersion::from),
            rollout,
            safe_version: serving.state.agent.safe_version,
        }
    }

    /// The body and what names it.
    fn tagged(&self) -> Result<(String, String), Problem> {
        let body = serde_json::to_string(self).map_err(|error| Problem::internal(&error.to_string()))?;
        let tag = blake3::hash(body.as_bytes()).to_hex();
        Ok((format!("\"{}\"", tag.chars().take(32).collect::<String>()), body))
    }
}

/// Refuses to say what is to be served when that cannot be confirmed.
pub(crate) fn confirmed(app: &App) -> Result<(), Problem> {
    let since = app.registry.unconfirmed_for();
    if app.shared_database && since > app.limits.state_lease {
        let detail = format!(
            "the database was last heard of {} ms ago; after {} ms another server may have changed what is served",
            since.as_millis(),
            app.limits.state_lease.as_millis()
        );
        return Err(Problem::new(Code::StateUnconfirmed, detail));
    }
    Ok(())
}

/// What an agent serves now. With `If-None-Match` and the ETag of an earlier answer, 304 while it is the same.
#[utoipa::path(
    get,
    path = "/api/learning/agents/{agent_id}/config",
    tag = "deploy",
    operation_id = "served_config",
    params(("agent_id" = Uuid, Path)),
    responses(
        (status = 200, description = "What is served", body = ServedConfigResponse),
        (status = 304, description = "As before"),
        Problems
    )
)]
pub(crate) async fn get(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let agent = agents::find(&app, &caller, id)?;
    confirmed(&app)?;
    let (tag, body) = ServedConfigResponse::of(&agent).tagged()?;
    let etag = HeaderValue::from_str(&tag).map_err(|error| Problem::internal(&error.to_string()))?;
    let known = headers.get(header::IF_NONE_MATCH).and_then(|known| known.to_str().ok());
    if known.is_some_and(|known| known.split(',').any(|known| known.trim().trim_start_matches("W/") == tag)) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    let json = HeaderValue::from_static("application/json");
    let no_cache = HeaderValue::from_static("no-cache");
    let headers = [(header::ETAG, etag), (header::CONTENT_TYPE, json), (header::CACHE_CONTROL, no_cache)];
    Ok((headers, body).into_response())
}

/// The same as server-sent events: `config` at once and whenever it changes, with its ETag as the event's id.
#[utoipa::path(
    get,
    path = "/api/learning/agents/{agent_id}/config/stream",
    tag = "deploy",
    operation_id = "follow_config",
    params(("agent_id" = Uuid, Path)),
    responses((status = 200, description = "A stream of changes", body = String, content_type = "text/event-stream"), Problems)
)]
pub(crate) async fn follow(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let agent = agents::find(&app, &caller, id)?;
    let mut key = HeaderMap::new();
    key.extend(headers.get(header::AUTHORIZATION).map(|key| (header::AUTHORIZATION, key.clone())));
    let following = Following {
        key,
        changed: app.registry.changed(),
        stop: app.http_stop.stop_signal(),
        app: Arc::clone(&app),
        agent,
        told: None,
    };
    let events = stream::unfold(following, |mut following| async move {
        let event = following.next().await?;
        Some((Ok::<_, Infallible>(event), following))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))).into_response())
}

/// One application that follows an agent.
struct Following {
    app: Shared,
    /// With what it asked: a key that is revoked or has expired hears no more.
    key: HeaderMap,
    agent: Arc<AgentEntry>,
    changed: tokio::sync::watch::Receiver<u64>,
    stop: crate::runtime::tasks::Stop,
    told: Option<String>,
}

impl Following {
    /// The next change; nothing when the server stops or cannot confirm what it would say.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if confirmed(&self.app).is_err()
                || authorise(&self.app, &self.key, Permission::Read).await.is_err()
            {
                return None;
            }
            self.changed.borrow_and_update();
            let (tag, body) = ServedConfigResponse::of(&self.agent).tagged().ok()?;
            if self.told.as_ref() != Some(&tag) {
                self.told = Some(tag.clone());
                return Some(Event::default().event("config").id(tag).data(body));
            }
            tokio::select! {
                () = self.stop.requested() => return None,
                changed = self.changed.changed() => changed.ok()?,
                // Whether it can still be confirmed is asked also where nothing changes.
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
    }
}

/// Names the version that is served where nothing can be confirmed.
#[utoipa::path(
    put,
    path = "/api/learning/agents/{agent_id}/safe-version",
    tag = "deploy",
    operation_id = "set_safe_version",
    params(("agent_id" = Uuid, Path)),
    request_body = SafeVersionRequest,
    responses((status = 200, description = "The agent", body = AgentResponse), Problems)
)]
pub(crate) async fn set_safe_version(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
    Json(request): Json<SafeVersionRequest>,
) -> Result<Json<AgentResponse>, Problem> {
    let agent = agents::find(&app, &caller, id)?;
    if let Some(version) = request.version
        && agent.serving().arm(version).is_none()
    {
        return Err(Problem::unknown_version(version).about("version"));
    }
    if let Some(version) = request.version.filter(|v| agent.serving().state.agent.champion != Some(*v)) {
        gates::require(&app, caller.organisation(), agent.id, version).await?;
    }
    let state = app.store.set_safe_version(caller.actor(app.now()), agent.id, request.version).await?;
    app.registry.reload_agent(&app.store, caller.organisation(), agent.id).await?;
    Ok(Json(AgentResponse::new(&state.agent)))
}
