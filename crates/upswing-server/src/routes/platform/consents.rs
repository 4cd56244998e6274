//! What people agreed to.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use upswing_domain::{Consent, Invalid, Purpose, Timestamp};
use upswing_privacy::redact::Redactor;
use utoipa::{IntoParams, ToSchema};

use crate::app::Shared;
use crate::auth::Caller;
use crate::problem::{Problem, Problems};
use crate::wire::json::{Json, Params};
use crate::wire::time;

/// A person's decision about one purpose.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConsentRequest {
    /// Who, by the name that `author`, `subject` and `unit` have elsewhere; kept as a keyed hash.
    subject: String,
    /// `learning`: what the person says and does may teach. `personalisation`: what is known of the person may change what
    /// the person is served.
    #[schema(value_type = String)]
    purpose: Purpose,
    /// Given, or refused or taken back.
    granted: bool,
    /// Which text the person was shown: a version, a date.
    #[serde(default)]
    policy: String,
}

/// Whose decisions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ConsentParams {
    /// Who.
    subject: String,
}

/// One decision.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Consent)]
pub(crate) struct ConsentResponse {
    /// The person's keyed hash.
    subject: String,
    #[schema(value_type = String)]
    purpose: Purpose,
    /// Counts this person's decisions about this purpose; the latest holds.
    version: i64,
    granted: bool,
    policy: String,
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    recorded_at: Timestamp,
}

impl From<Consent> for ConsentResponse {
    fn from(consent: Consent) -> Self {
        Self {
            subject: consent.subject.to_string(),
            purpose: consent.purpose,
            version: consent.version,
            granted: consent.granted,
            policy: consent.policy,
            recorded_at: consent.recorded_at,
        }
    }
}

/// All decisions of a person.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConsentsResponse {
    /// By purpose, oldest first.
    consents: Vec<ConsentResponse>,
}

/// Records a person's decision. It is checked when feedback, signals and executions of the person arrive from then on.
#[utoipa::path(
    put,
    path = "/api/learning/consents",
    tag = "platform",
    operation_id = "decide_consent",
    request_body = ConsentRequest,
    responses((status = 200, description = "What holds now", body = ConsentResponse), Problems)
)]
pub(crate) async fn decide(
    State(app): State<Shared>,
    caller: Caller,
    Json(request): Json<ConsentRequest>,
) -> Result<Json<ConsentResponse>, Problem> {
    let subject = subject(&app, &caller, &request.subject)?;
    if request.policy.chars().count() > 200 {
        return Err(Invalid::new("policy", request.policy, "at most 200 characters").into());
    }
    let policy = Redactor::new().text(&request.policy).text.into_owned();
    let actor = caller.actor(app.now());
    let consent = app.store.decide_consent(actor, subject, request.purpose, request.granted, policy).await?;
    Ok(Json(consent.into()))
}

/// What a person has decided so far.
#[utoipa::path(
    get,
    path = "/api/learning/consents",
    tag = "platform",
    operation_id = "get_consents",
    params(ConsentParams),
    responses((status = 200, description = "The person's decisions", body = ConsentsResponse), Problems)
)]
pub(crate) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    Params(params): Params<ConsentParams>,
) -> Result<Json<ConsentsResponse>, Problem> {
    let subject = subject(&app, &caller, &params.subject)?;
    let consents = app.store.consents(caller.organisation(), subject).await?;
    Ok(Json(ConsentsResponse { consents: consents.into_iter().map(Into::into).collect() }))
}

fn subject(app: &Shared, caller: &Caller, name: &str) -> Result<upswing_domain::Pseudonym, Invalid> {
    if !(1..=500).contains(&name.chars().count()) {
        return Err(Invalid::new("subject", name, "1 to 500 characters"));
    }
    Ok(app.keyring.pseudonym(caller.organisation(), name))
}
