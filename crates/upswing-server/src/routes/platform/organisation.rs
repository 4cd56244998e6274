//! The organisation that a key belongs to.

use axum::extract::State;
use serde::Serialize;
use upswing_domain::{Role, Timestamp};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::Shared;
use crate::auth::Caller;
use crate::problem::{Problem, Problems};
use crate::wire::json::Json;
use crate::wire::time;

/// The organisation, and who asks.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Organisation)]
pub(crate) struct OrganisationResponse {
    /// Its id.
    id: Uuid,
    /// Its name.
    name: String,
    /// When it was made.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// The key that was used.
    key_id: Uuid,
    /// Its role.
    #[schema(value_type = String)]
    role: Role,
}

/// The organisation that the key belongs to.
#[utoipa::path(
    get,
    path = "/api/learning/organisation",
    tag = "platform",
    operation_id = "get_organisation",
    responses((status = 200, description = "The organisation", body = OrganisationResponse), Problems)
)]
pub(crate) async fn get(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<Json<OrganisationResponse>, Problem> {
    let id = caller.organisation();
    let organisation = app.store.organisations().await?.into_iter().find(|o| o.id == id);
    let organisation = organisation.ok_or_else(|| Problem::not_found("organisation", id))?;
    Ok(Json(OrganisationResponse {
        id: id.0,
        name: organisation.name,
        created_at: organisation.created_at,
        key_id: caller.key.id.0,
        role: caller.key.role,
    }))
}
