//! API keys: made, listed, revoked.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use upswing_domain::{Invalid, KeyId, Role, Timestamp};
use upswing_privacy::{ApiKeyKind, ApiKeySecret};
use upswing_store::ApiKey;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::{App, Shared};
use crate::auth::Caller;
use crate::problem::{Problem, Problems};
use crate::runtime::ids;
use crate::wire::json::{Json, Params, Path, Vetted};
use crate::wire::page::PageParams;
use crate::wire::time;

/// What a key may be used for.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Role)]
pub(crate) enum RoleRequest {
    /// A browser's: gives feedback for the execution that a token names.
    Publishable,
    /// An application.
    Member,
    /// A reviewer: also reads what people wrote.
    Expert,
    /// An administrator: everything in the organisation.
    Admin,
}

/// A key to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateKeyRequest {
    /// For people.
    name: String,
    /// What it may do.
    role: RoleRequest,
    /// For publishable keys: the origins that pages may call from, like `https://app.example.com`.
    #[serde(default)]
    origins: Vec<String>,
    /// When it ends; never unless given.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// A key. The secret is shown once, when it is made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Key)]
pub(crate) struct KeyResponse {
    /// Its id.
    id: Uuid,
    /// For people.
    name: String,
    /// What it may do.
    #[schema(value_type = RoleRequest)]
    role: Role,
    /// The secret's first characters.
    hint: String,
    /// The origins that pages may call from.
    origins: Vec<String>,
    /// When it was made.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it ends.
    #[serde(serialize_with = "time::serialize_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// When it was revoked.
    #[serde(serialize_with = "time::serialize_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked_at: Option<Timestamp>,
    /// The key itself; in the answer to its making, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl KeyResponse {
    fn new(key: ApiKey, secret: Option<&ApiKeySecret>) -> Self {
        Self {
            id: key.id.0,
            name: key.name,
            role: key.role,
            hint: key.hint,
            origins: key.origins,
            created_at: key.created_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            secret: secret.map(|secret| secret.expose().to_owned()),
        }
    }
}

/// Keys of the organisation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeysResponse {
    /// Revoked and expired ones too.
    keys: Vec<KeyResponse>,
    /// For the next page; `null` on the last.
    next_cursor: Option<String>,
}

/// Makes a key. The secret is shown this once.
#[utoipa::path(
    post,
    path = "/api/learning/keys",
    tag = "platform",
    operation_id = "create_key",
    request_body = CreateKeyRequest,
    responses((status = 201, description = "The key with its secret", body = KeyResponse), Problems)
)]
pub(crate) async fn create(
    State(app): State<Shared>,
    caller: Caller,
    Vetted(request): Vetted<CreateKeyRequest>,
) -> Result<Response, Problem> {
    let now = app.now();
    let (key, secret) = checked(&app, &caller, request, now)?;
    let hash = app.keyring.api_key_hashes(secret.expose()).into_iter().next();
    let hash = hash.ok_or_else(|| Problem::internal("the master key is empty"))?;
    let key = app.store.create_key(caller.actor(now), key, hash).await?;
    app.registry.load_origins(&app.store, &app.keys, caller.organisation()).await?;
    Ok((StatusCode::CREATED, Json(KeyResponse::new(key, Some(&secret)))).into_response())
}

fn checked(
    app: &App,
    caller: &Caller,
    request: CreateKeyRequest,
    now: Timestamp,
) -> Result<(ApiKey, ApiKeySecret), Problem> {
    if request.name.is_empty() || request.name.chars().count() > 100 {
        return Err(Invalid::new("name", &request.name, "1 to 100 characters").into());
    }
    let (role, kind) = match request.role {
        RoleRequest::Publishable => (Role::Publishable, ApiKeyKind::Publishable),
        RoleRequest::Member => (Role::Member, ApiKeyKind::Secret),
        RoleRequest::Expert => (Role::Expert, ApiKeyKind::Secret),
        RoleRequest::Admin => (Role::Admin, ApiKeyKind::Secret),
    };
    match (role, request.origins.len()) {
        (Role::Publishable, 1..=50) | (Role::Member | Role::Expert | Role::Admin, 0) => {}
        (Role::Publishable, count) => {
            return Err(Invalid::new("origins", count, "1 to 50 origins for a publishable key").into());
        }
        (_, count) => return Err(Invalid::new("origins", count, "empty for a secret key").into()),
    }
    for origin in &request.origins {
        check_origin(origin)?;
    }
    let expires_at = request.expires_at.as_deref().map(|text| time::parse("expires_at", text)).transpose()?;
    if let (Some(end), Some(text)) = (expires_at, &request.expires_at)
        && end <= now
    {
        return Err(Invalid::new("expires_at", text, "in the future").into());
    }
    let secret = ApiKeySecret::generate(kind).map_err(|e| Problem::internal(&e.to_string()))?;
    let key = ApiKey {
        id: KeyId(ids::fresh(app.now())),
        organisation: caller.organisation(),
        name: request.name,
        role,
        hint: secret.hint().to_owned(),
        origins: request.origins,
        created_at: now,
        expires_at,
        revoked_at: None,
    };
    Ok((key, secret))
}

/// An origin as browsers send it: scheme and host, a port perhaps, and nothing after.
fn check_origin(origin: &str) -> Result<(), Invalid> {
    let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://")).unwrap_or_default();
    let plain =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | ':' | '[' | ']');
    if host.is_empty() || host.len() > 250 || !host.chars().all(plain) {
        let expected = "an origin as browsers send it, like https://app.example.com, without a path";
        return Err(Invalid::new("origins", origin, expected));
    }
    Ok(())
}

/// The organisation's keys, without their secrets.
#[utoipa::path(
    get,
    path = "/api/learning/keys",
    tag = "platform",
    operation_id = "list_keys",
    params(PageParams),
    responses((status = 200, description = "A page of keys", body = KeysResponse), Problems)
)]
pub(crate) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    Params(page): Params<PageParams>,
) -> Result<Json<KeysResponse>, Problem> {
    let keys = app.store.keys(caller.organisation()).await?;
    let (keys, next_cursor) = page.of(keys, |key| key.id.to_string())?;
    let keys = keys.into_iter().map(|key| KeyResponse::new(key, None)).collect();
    Ok(Json(KeysResponse { keys, next_cursor }))
}

/// Revokes a key. It is refused here from now on, and on other servers within a second.
#[utoipa::path(
    delete,
    path = "/api/learning/keys/{key_id}",
    tag = "platform",
    operation_id = "revoke_key",
    params(("key_id" = Uuid, Path)),
    responses((status = 200, description = "The revoked key", body = KeyResponse), Problems)
)]
pub(crate) async fn revoke(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<KeyResponse>, Problem> {
    let key = app.store.revoke_key(caller.actor(app.now()), KeyId(id)).await?;
    app.keys.forget(key.id);
    app.registry.load_origins(&app.store, &app.keys, caller.organisation()).await?;
    Ok(Json(KeyResponse::new(key, None)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_no_path_and_no_wildcard() {
        for origin in ["https://app.example.com", "http://localhost:5173", "http://[::1]:8080"] {
            assert!(check_origin(origin).is_ok(), "{origin}");
        }
        for origin in
            ["https://app.example.com/", "*", "https://*.example.com", "app.example.com", "https://A.com", ""]
        {
            assert!(check_origin(origin).is_err(), "{origin}");
        }
    }
}
