//! Which accounts are believed, and what was found about those that are not.

use axum::extract::State;
use serde::Serialize;
use upswing_domain::{Pseudonym, Timestamp};
use upswing_trust::Direction;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::Shared;
use crate::auth::Caller;
use crate::jobs::reputation;
use crate::problem::{Problem, Problems};
use crate::routes::deploy::agents;
use crate::wire::json::{Json, Params, Path};
use crate::wire::page::PageParams;
use crate::wire::time;

/// How far an agent's accounts are believed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Trust)]
pub(crate) struct TrustResponse {
    /// Whether this server looks for accounts that act in concert.
    enabled: bool,
    /// Accounts that are told apart.
    accounts_seen: u64,
    /// Statements of theirs that were looked at.
    reports: u64,
    /// Accounts whose feedback does not teach now.
    accounts_distrusted: i64,
    /// What looks like accounts in concert; `null` while it is likelier that there are none.
    suspicion: Option<SuspicionResponse>,
    /// Up to where the last fit had read; `null` before the first one.
    refit_position: Option<i64>,
    /// Up to where statements were looked at.
    position: i64,
    /// A page of the accounts whose feedback does not teach, in the order of pseudonyms.
    distrusted: Vec<DistrustedResponse>,
    /// For the next page; `null` on the last.
    next_cursor: Option<String>,
}

/// Evidence that accounts act in concert.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Suspicion)]
pub(crate) struct SuspicionResponse {
    /// How probable it is that there is such a group.
    probability: f64,
    /// Its share of the accounts.
    share: f64,
    /// How often its accounts do as the script says.
    consistency: f64,
    /// What the script says.
    script: Vec<DirectionResponse>,
}

/// What accounts in concert say of a version.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ScriptDirection)]
pub(crate) struct DirectionResponse {
    /// The version.
    version: String,
    /// The number of the segment, by the agent's first segment key; 0 without one.
    segment: u16,
    /// `praise`, `condemn`, or `leave`.
    says: &'static str,
}

/// An account that is not believed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DistrustedAccount)]
pub(crate) struct DistrustedResponse {
    /// The account's keyed hash, as `author` of its feedback.
    author: String,
    /// The probability that it acts for itself.
    weight: f64,
    /// Since when.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
}

/// How far an agent's accounts are believed, and what was found about those that are not.
#[utoipa::path(
    get,
    path = "/api/learning/agents/{agent_id}/trust",
    tag = "observe",
    operation_id = "get_trust",
    params(("agent_id" = Uuid, Path), PageParams),
    responses((status = 200, description = "What is known of its accounts", body = TrustResponse), Problems)
)]
pub(crate) async fn trust(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<Uuid>,
    Params(page): Params<PageParams>,
) -> Result<Json<TrustResponse>, Problem> {
    let agent = agents::find(&app, &caller, id)?;
    let limit = page.limit()?;
    let after: Option<Pseudonym> = page.parsed()?;
    let found = reputation::summary(&app, (agent.organisation, agent.id)).await?;
    let accounts_distrusted = app.store.distrusted(agent.organisation, agent.id).await?;
    let listed = app.store.author_trust(agent.organisation, agent.id, after, true, limit).await?;
    let next_cursor = listed.last().filter(|_| listed.len() == limit).map(|last| last.author.to_string());
    let distrusted = listed.into_iter().map(|trust| DistrustedResponse {
        author: trust.author.to_string(),
        weight: trust.weight as f64 / 1e6,
        since: trust.decided_at,
    });
    let refit_position = found.fit.as_ref().map(|fit| fit.position.0);
    let suspicion = found.fit.and_then(|fit| fit.script).map(|script| SuspicionResponse {
        probability: script.probability,
        share: script.share,
        consistency: script.consistency,
        script: script
            .says
            .into_iter()
            .map(|(item, direction)| DirectionResponse {
                version: item.version.to_string(),
                segment: item.segment,
                says: match direction {
                    Direction::Condemn => "condemn",
                    Direction::Leave => "leave",
                    Direction::Praise => "praise",
                },
            })
            .collect(),
    });
    Ok(Json(TrustResponse {
        enabled: app.reputation,
        accounts_seen: found.accounts,
        reports: found.reports,
        accounts_distrusted,
        suspicion,
        refit_position,
        position: found.position.0,
        distrusted: distrusted.collect(),
        next_cursor,
    }))
}
