//! Structured log lines: one JSON object each, with the id of the request. The program that starts the server installs a
//! subscriber; without one nothing is written.
//!
//! Every request writes one line with `request_id`, `method`, `route`, `status`, `milliseconds` and `organisation`:
//! at `debug` for the three hot routes when they succeed, at `warn` for answers of 500 and above, at `info` otherwise.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use upswing_domain::OrganisationId;

/// Routes that are called thousands of times a second.
pub(crate) fn is_hot(method: &str, path: &str) -> bool {
    let hot = ["/api/learning/decide", "/api/learning/executions", "/api/learning/feedback"];
    method == "POST" && hot.contains(&path)
}

/// What is written about a request.
pub(crate) struct RequestLine<'a> {
    pub(crate) request_id: &'a str,
    pub(crate) method: &'a Method,
    pub(crate) route: &'a str,
    pub(crate) hot: bool,
    pub(crate) status: StatusCode,
    pub(crate) code: Option<&'static str>,
    pub(crate) elapsed: Duration,
    pub(crate) organisation: Option<OrganisationId>,
}

impl RequestLine<'_> {
    pub(crate) fn write(&self) {
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    request_id = self.request_id,
                    method = self.method.as_str(),
                    route = self.route,
                    status = self.status.as_u16(),
                    code = self.code,
                    milliseconds = self.elapsed.as_secs_f64() * 1000.0,
                    organisation = self.organisation.map(tracing::field::display),
                    "request"
                )
            };
        }
        if self.status.is_server_error() {
            line!(warn);
        } else if self.hot && self.status.is_success() {
            line!(debug);
        } else {
            line!(info);
        }
    }
}
