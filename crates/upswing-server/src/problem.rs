//! What can be wrong, as the client sees it: one table of stable codes, answered as `application/problem+json`.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use upswing_domain::{ExperimentError, Invalid};
use upswing_privacy::TokenError;
use upswing_privacy::redact::Redactor;
use upswing_store::StoreError;
use utoipa::ToSchema;

/// One row of the table.
struct Row {
    code: Code,
    name: &'static str,
    status: StatusCode,
    title: &'static str,
    what_to_do: &'static str,
}

macro_rules! codes {
    ($($variant:ident $name:literal $status:ident $title:literal $what_to_do:literal;)*) => {
        /// A stable code. Programs may branch on it; titles and details are for people and may change.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $title] $variant,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            fn row(self) -> &'static Row {
                match self {
                    $(Self::$variant => &Row {
                        code: Self::$variant,
                        name: $name,
                        status: StatusCode::$status,
                        title: $title,
                        what_to_do: $what_to_do,
                    },)*
                }
            }
        }
    };
}

codes! {
    MalformedJson "malformed_json" BAD_REQUEST "The body is not JSON"
        "Send complete JSON. NaN and Infinity are not JSON; the detail names line and column.";
    MalformedTelemetry "malformed_telemetry" BAD_REQUEST "The body is no OTLP"
        "Send what OTLP over HTTP prescribes, complete, in the encoding that Content-Type names.";
    InvalidBody "invalid_body" UNPROCESSABLE_ENTITY "A field is missing, unknown or of the wrong type"
        "Compare the named field with the description at /docs.";
    InvalidParameter "invalid_parameter" UNPROCESSABLE_ENTITY "A parameter of the address or a header is wrong"
        "Compare the named parameter with the description at /docs.";
    ValueOutOfRange "value_out_of_range" UNPROCESSABLE_ENTITY "A value is outside of what is allowed"
        "The detail names the value and what would be accepted.";
    BodyTooLarge "body_too_large" PAYLOAD_TOO_LARGE "The body is too large"
        "Send smaller batches: at most 8 MiB and 10,000 items each.";
    UnsupportedMediaType "unsupported_media_type" UNSUPPORTED_MEDIA_TYPE "The body's type is not accepted"
        "Send Content-Type: application/json, or application/x-ndjson where batches are taken.";
    RouteNotFound "route_not_found" NOT_FOUND "There is no such address"
        "See /docs for the addresses there are.";
    MethodNotAllowed "method_not_allowed" METHOD_NOT_ALLOWED "This address does not take this method"
        "See /docs, and the Allow header of this answer.";
    KeyMissing "key_missing" UNAUTHORIZED "No key was given"
        "Send the header Authorization with Bearer and a key. Keys begin with up_sk_; upswing keys create makes one.";
    KeyMalformed "key_malformed" UNAUTHORIZED "That cannot be a key"
        "A key begins with up_sk_ or up_pk_, followed by 43 characters. Look for one that was cut short.";
    KeyUnknown "key_unknown" UNAUTHORIZED "There is no such key here"
        "Was it made on another server, or with another master key? Make a new one.";
    KeyRevoked "key_revoked" UNAUTHORIZED "The key has been revoked"
        "Use another key.";
    KeyExpired "key_expired" UNAUTHORIZED "The key has expired"
        "Make a new key.";
    Forbidden "forbidden" FORBIDDEN "The key may not do this"
        "Use a key whose role allows it; the detail names the permission.";
    OriginNotAllowed "origin_not_allowed" FORBIDDEN "A page of this origin may not use the key"
        "Declare the origin when making the publishable key. Programs outside of a browser use a secret key.";
    TokenRequired "token_required" FORBIDDEN "A publishable key needs the feedback token of the execution"
        "Hand the page the feedback_token that came with the decision or the execution, and send it as token.";
    TokenInvalid "token_invalid" FORBIDDEN "The token is not one of this organisation's, or not for this use"
        "Send the token unaltered; from a browser, the feedback_token.";
    TokenExpired "token_expired" FORBIDDEN "The token has expired"
        "Feedback tokens last an hour. Give later feedback through your own server with a secret key.";
    TokenMismatch "token_mismatch" FORBIDDEN "The token belongs to something else"
        "Send the token of this very execution, decision and agent.";
    UnknownAgent "unknown_agent" NOT_FOUND "There is no such agent"
        "List the agents with GET /api/learning/agents.";
    UnknownVersion "unknown_version" NOT_FOUND "The agent has no such version"
        "List the versions with GET /api/learning/agents/{agent_id}/versions.";
    UnknownDataset "unknown_dataset" NOT_FOUND "There is no such dataset"
        "List the datasets with GET /api/learning/datasets; upload one with POST.";
    UnknownCommand "unknown_command" UNPROCESSABLE_ENTITY "The server's configuration names no such program"
        "Programs are named under gates.commands in the server's configuration, never through the API.";
    RunnerRefused "runner_refused" UNPROCESSABLE_ENTITY "The runner's address is not allowed"
        "Use https:// and a public host, or have the host named under gates.runner_hosts in the server's configuration.";
    RunnerMissing "runner_missing" CONFLICT "Nothing is set that runs the agent's versions"
        "Set one with PUT /api/learning/agents/{agent_id}/runner.";
    GateFailed "gate_failed" CONFLICT "The version has not passed its gates"
        "The detail names the gates; GET /api/learning/agents/{agent_id}/versions/{version}/gates says what was found. Run them again, or override them with a reason.";
    NotFound "not_found" NOT_FOUND "There is no such thing in this organisation"
        "Check the id, and that the key is of the right organisation.";
    IdConflict "id_conflict" CONFLICT "The id is taken by something else"
        "The same id with the same content is fine; new content needs a new id.";
    Conflict "conflict" CONFLICT "The present state does not allow this"
        "The detail says what stands against it.";
    NoEligibleVersion "no_eligible_version" CONFLICT "The agent has no version to serve"
        "Add a version, or promote one.";
    PositionNotReached "position_not_reached" CONFLICT "The learner has not read that far yet"
        "Try again, or ask without min_position. The detail says how far it is.";
    TokenExhausted "token_exhausted" TOO_MANY_REQUESTS "The token has been used up"
        "A feedback token may be used ten times. Give more feedback through your own server with a secret key.";
    SecretFound "secret_found" UNPROCESSABLE_ENTITY "A text holds a secret or a number that identifies a person"
        "Nothing was stored. Refer to secrets by name and let the application put them in.";
    ContentRefused "content_refused" UNPROCESSABLE_ENTITY "The text is not accepted"
        "The detail names the category. Nothing was stored.";
    Spam "spam" UNPROCESSABLE_ENTITY "The feedback looks like spam"
        "The detail names the score and its reasons; above 0.8 nothing is stored.";
    ConsentMissing "consent_missing" FORBIDDEN "The person has not agreed, or has taken it back"
        "Record the person's agreement with PUT /api/learning/consents, or leave the person's data out.";
    WeightsDoNotSum "weights_do_not_sum" UNPROCESSABLE_ENTITY "The arms' shares are no shares of one whole"
        "Give each arm its share of the traffic, so that together they are 1 (or 100 percent).";
    ExperimentArms "experiment_arms" UNPROCESSABLE_ENTITY "These versions cannot be compared"
        "Name two to twenty different versions, the control first.";
    ExperimentGoal "experiment_goal" UNPROCESSABLE_ENTITY "An experiment has exactly one goal"
        "Give one metric the role goal; others may be secondary or guardrail.";
    UnknownMetric "unknown_metric" UNPROCESSABLE_ENTITY "Nothing reports this metric"
        "Use reward, rating, satisfied, error, executions, latency_ms, input_tokens, output_tokens, cost, confidence, or a metric of the agent's reward definition.";
    BoundsNeeded "bounds_needed" UNPROCESSABLE_ENTITY "The metric needs bounds"
        "Give its smallest and largest value as bounds, or judge it by the method asymptotic.";
    LayersOverlap "layers_overlap" CONFLICT "Another experiment may have the same units"
        "Put both into one layer with parts that do not overlap, or stop the other one.";
    ExperimentState "experiment_state" CONFLICT "The experiment's state does not allow this"
        "A draft is started, a running one paused or stopped, a stopped one archived.";
    MinimumDuration "minimum_duration" CONFLICT "The experiment has not run for its minimum duration"
        "Wait, or send confirm: true; that you did is recorded.";
    ShadowUnproven "shadow_unproven" UNPROCESSABLE_ENTITY "Nothing proves that this ran in a shadow"
        "Send the token that stands under shadow in the decision's answer; leave origin out where it ran for somebody.";
    RolloutSteps "rollout_steps" UNPROCESSABLE_ENTITY "The steps do not rise"
        "Give each step a larger weight than the one before; going down is a rollback.";
    AlreadyLive "already_live" CONFLICT "The version serves already"
        "It is the champion: there is nothing to roll out.";
    VersionRetired "version_retired" CONFLICT "The version was rolled back"
        "Promote it by hand if it is to serve although (upswing versions promote VERSION --agent NAME), or make another version.";
    NoChampion "no_champion" CONFLICT "There is nothing to compare the version with"
        "Promote the version that serves now (upswing versions promote VERSION --agent NAME), then roll the new one out.";
    TrafficBusy "traffic_busy" CONFLICT "Another comparison has the agent's traffic"
        "End the rollout or the experiment that the detail names.";
    RolloutState "rollout_state" CONFLICT "The rollout's state does not allow this"
        "A running one is held, promoted or rolled back; a held one also resumed.";
    NotProven "not_proven" CONFLICT "The version is not proven to be as good"
        "Wait for more outcomes, or send override: true with a reason; that you did is recorded.";
    StateUnconfirmed "state_unconfirmed" SERVICE_UNAVAILABLE "This server cannot confirm what is to be served"
        "Ask another server, or try again; name a safe version for the agent to be served meanwhile.";
    QueueFull "queue_full" SERVICE_UNAVAILABLE "More is coming in than can be written"
        "Nothing of this request was stored. Send it again with the same ids after Retry-After seconds.";
    DatabaseUnavailable "database_unavailable" SERVICE_UNAVAILABLE "The database cannot be reached"
        "Send it again with the same ids after Retry-After seconds; what was acknowledged is safe.";
    ShuttingDown "shutting_down" SERVICE_UNAVAILABLE "The server is shutting down"
        "Send it again with the same ids; another server, or this one after its restart, will take it.";
    Internal "internal" INTERNAL_SERVER_ERROR "Something went wrong here"
        "Look for the request_id in the server's log. Sending it again with the same ids is safe.";
}

impl Code {
    /// As on the wire.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The HTTP status it is answered with.
    pub fn status(self) -> StatusCode {
        self.row().status
    }

    /// In a few words.
    pub fn title(self) -> &'static str {
        self.row().title
    }

    /// What a client can do about it.
    pub fn what_to_do(self) -> &'static str {
        self.row().what_to_do
    }

    /// The code of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().map(Self::row).find(|row| row.name == name).map(|row| row.code)
    }

    fn retry_after(self) -> Option<HeaderValue> {
        (self.status() == StatusCode::SERVICE_UNAVAILABLE).then(|| HeaderValue::from_static("1"))
    }
}

/// What is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which of the table.
    pub code: Code,
    /// This case of it.
    pub detail: String,
    /// The field it is about, as a path from the body's root.
    pub field: Option<String>,
}

impl Problem {
    /// A problem of that code.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), field: None }
    }

    /// The same, about a field.
    #[must_use]
    pub fn about(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// There is no such agent.
    pub fn unknown_agent(id: impl std::fmt::Display) -> Self {
        Self::new(Code::UnknownAgent, format!("there is no agent {id} in this organisation"))
    }

    /// The agent has no such version.
    pub fn unknown_version(id: impl std::fmt::Display) -> Self {
        Self::new(Code::UnknownVersion, format!("the agent has no version {id}"))
    }

    /// There is no such dataset.
    pub fn unknown_dataset(id: impl std::fmt::Display) -> Self {
        Self::new(Code::UnknownDataset, format!("there is no dataset {id} in this organisation"))
    }

    /// There is no such thing.
    pub fn not_found(noun: &str, id: impl std::fmt::Display) -> Self {
        Self::new(Code::NotFound, format!("there is no {noun} {id} in this organisation"))
    }

    /// The document as it is sent.
    pub fn document(&self, request_id: Option<&str>) -> ProblemResponse {
        ProblemResponse {
            problem_type: format!("https://upswing.dev/problems/{}", self.code.name()),
            title: self.code.title().to_owned(),
            status: self.code.status().as_u16(),
            code: self.code.name().to_owned(),
            // A value that is wrong may be a secret in the wrong place.
            detail: Redactor::new().text(&self.detail).text.into_owned(),
            field: self.field.as_ref().map(|field| Redactor::new().text(field).text.into_owned()),
            request_id: request_id.map(str::to_owned),
        }
    }

    /// The answer, with the request's id.
    pub fn answer(&self, request_id: &str) -> Response {
        let body = serde_json::to_vec(&self.document(Some(request_id))).unwrap_or_default();
        let json = HeaderValue::from_static("application/problem+json");
        let mut response = (self.code.status(), [(header::CONTENT_TYPE, json)], body).into_response();
        if let Some(seconds) = self.code.retry_after() {
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        if self.code.status() == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Leaves the problem in the response's extensions, where the gate finds it and writes the document with the request's id.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        Self::new(Code::ValueOutOfRange, invalid.to_string()).about(invalid.field)
    }
}

impl From<ExperimentError> for Problem {
    fn from(error: ExperimentError) -> Self {
        let detail = error.to_string();
        let (code, field) = match error {
            ExperimentError::Invalid(invalid) => return invalid.into(),
            ExperimentError::WeightsDoNotSum { .. } => (Code::WeightsDoNotSum, "weights"),
            ExperimentError::Arms(_) => (Code::ExperimentArms, "arms"),
            ExperimentError::Goals(_) => (Code::ExperimentGoal, "metrics"),
            ExperimentError::UnknownMetric { .. } => (Code::UnknownMetric, "metrics"),
            ExperimentError::BoundsNeeded { .. } => (Code::BoundsNeeded, "metrics.bounds"),
            ExperimentError::LayersOverlap { .. } => (Code::LayersOverlap, "layer"),
            ExperimentError::State { .. } => return Self::new(Code::ExperimentState, detail),
        };
        Self::new(code, detail).about(field)
    }
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        let code = match error {
            TokenError::Invalid => Code::TokenInvalid,
            TokenError::Expired => Code::TokenExpired,
        };
        Self::new(code, error.to_string()).about("token")
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let detail = error.to_string();
        match error {
            StoreError::QueueFull { .. } => Self::new(Code::QueueFull, detail),
            StoreError::Unavailable(_) => {
                tracing::warn!(error = detail, "the database cannot be reached");
                Self::new(Code::DatabaseUnavailable, Code::DatabaseUnavailable.title())
            }
            StoreError::Closing => Self::new(Code::ShuttingDown, detail),
            StoreError::Invalid(invalid) => invalid.into(),
            StoreError::Experiment(error) => error.into(),
            StoreError::Rollout(error) => error.into(),
            StoreError::NotFound { noun: "agent", id } => Self::unknown_agent(id),
            StoreError::NotFound { noun: "version", id } => Self::unknown_version(id),
            StoreError::NotFound { .. } => Self::new(Code::NotFound, detail),
            StoreError::Conflict(_) => Self::new(Code::Conflict, detail),
            StoreError::LeaseLost => {
                Self::new(Code::RolloutState, "somebody else has just changed it: look, and ask again")
            }
            // What the database says may hold people's content: it stands in the log, not in the answer.
            StoreError::Database(_) | StoreError::Corrupt(_) | StoreError::Configuration(_) => {
                Self::internal(&detail)
            }
        }
    }
}

impl Problem {
    /// Something that is not the client's fault. The cause stands in the log.
    pub fn internal(cause: &str) -> Self {
        tracing::error!(cause, "internal error");
        Self::new(Code::Internal, "the cause stands in the server's log under the request_id")
    }
}

/// An error, as `application/problem+json` (RFC 9457).
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ProblemResponse {
    /// An address that names the code.
    #[serde(rename = "type")]
    pub problem_type: String,
    /// The code in a few words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The stable code; `GET /problems/{code}` says what to do.
    pub code: String,
    /// This case of it.
    pub detail: String,
    /// The field it is about, as a path from the body's root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The request, as in the server's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// The answers that every route may give instead of its own, for the OpenAPI document.
pub(crate) struct Problems;

impl utoipa::IntoResponses for Problems {
    fn responses() -> std::collections::BTreeMap<String, utoipa::openapi::RefOr<utoipa::openapi::Response>> {
        let schema = utoipa::openapi::Ref::from_schema_name("ProblemResponse");
        let content = utoipa::openapi::ContentBuilder::new().schema(Some(schema)).build();
        let response = utoipa::openapi::ResponseBuilder::new()
            .description("What is wrong; `code` is stable")
            .content("application/problem+json", content)
            .build();
        [("default".to_owned(), response.into())].into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_name_of_its_own() {
        for (index, code) in Code::ALL.iter().enumerate() {
            assert_eq!(Code::named(code.name()), Some(*code));
            assert!(Code::ALL[..index].iter().all(|other| other.name() != code.name()));
            assert!(code.status().is_client_error() || code.status().is_server_error());
        }
    }
}
