//! What is known of a person from what they did.

use std::collections::BTreeMap;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use upswing_domain::Invalid;
use upswing_learn::stream::Profile;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::app::Shared;
use crate::auth::Caller;
use crate::problem::{Problem, Problems};
use crate::routes::deploy::agents;
use crate::wire::json::{Json, Params, Path};

/// Whose.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ProfileParams {
    /// The person, as in `unit` of a decision.
    unit: String,
}

/// What an agent knows of a person.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Profile)]
pub(crate) struct ProfileResponse {
    /// The person's keyed hash.
    unit: String,
    /// The position of the last signal in it.
    position: i64,
    /// Signals it was made from.
    signals: u64,
    /// How well what was served was received, 0 to 1; decisions see it as `profile_engagement`.
    engagement: f64,
    /// By kind of behaviour: how often.
    kinds: BTreeMap<String, u64>,
    /// What the person turns to; decisions see the strongest as `profile_interest`.
    interests: BTreeMap<String, f64>,
}

/// What is known of a person from their behaviour with an agent.
#[utoipa::path(
    get,
    path = "/api/learning/agents/{agent_id}/profile",
    tag = "recognise",
    operation_id = "get_profile",
    params(("agent_id" = Uuid, Path), ProfileParams),
    responses((status = 200, description = "The profile", body = ProfileResponse), Problems)
)]
pub(crate) async fn get(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
    Params(params): Params<ProfileParams>,
) -> Result<Json<ProfileResponse>, Problem> {
    let agent = agents::find(&app, &caller, id)?;
    if !(1..=500).contains(&params.unit.chars().count()) {
        return Err(Invalid::new("unit", params.unit, "1 to 500 characters").into());
    }
    let unit = app.keyring.pseudonym(agent.organisation, &params.unit);
    let stored = app.store.profile(agent.organisation, agent.id, unit).await?;
    let stored = stored.ok_or_else(|| Problem::not_found("profile of", unit))?;
    let profile: Profile =
        serde_json::from_str(&stored.body).map_err(|e| Problem::internal(&format!("a profile: {e}")))?;
    Ok(Json(ProfileResponse {
        unit: unit.to_string(),
        position: stored.position.0,
        signals: profile.signals,
        engagement: profile.engagement,
        kinds: profile.kinds,
        interests: profile.interests,
    }))
}
