//! The one layer around every route: who calls, may they, how long did it take, and what stands in the log.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::future::BoxFuture;
use tower::{Layer, Service};
use upswing_domain::{Permission, Role};
use upswing_privacy::redact::Redactor;

use crate::app::Shared;
use crate::auth::{self, Caller};
use crate::problem::{Code, Problem};
use crate::runtime::ids;
use crate::runtime::logs::{self, RequestLine};
use crate::runtime::metrics::RouteMetrics;
use crate::wire::otlp;

/// What pages of declared origins may call.
const CROSS_ORIGIN: &[&str] = &["/api/learning/feedback", "/api/learning/signals"];

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What the gate knows about the route behind it.
struct Behind {
    app: Shared,
    permission: Permission,
    path: String,
    hot: bool,
    /// Whether pages of other origins may call it.
    cross_origin: bool,
    metrics: Arc<RouteMetrics>,
}

/// Puts a gate around a route.
#[derive(Clone)]
pub(crate) struct GateLayer(Arc<Behind>);

impl GateLayer {
    pub(crate) fn new(
        app: &Shared,
        method: &str,
        path: &str,
        permission: Permission,
        metrics: Arc<RouteMetrics>,
    ) -> Self {
        Self(Arc::new(Behind {
            app: Arc::clone(app),
            permission,
            path: path.to_owned(),
            hot: logs::is_hot(method, path),
            cross_origin: CROSS_ORIGIN.contains(&path),
            metrics,
        }))
    }
}

impl<S> Layer<S> for GateLayer {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Gate<S> {
        Gate { behind: Arc::clone(&self.0), inner }
    }
}

/// A route with its gate.
#[derive(Clone)]
pub(crate) struct Gate<S> {
    behind: Arc<Behind>,
    inner: S,
}

impl<S> Service<Request> for Gate<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // The clone takes the place of the one that was polled ready.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        let behind = Arc::clone(&self.behind);
        Box::pin(async move { Ok(behind.pass(request, inner).await) })
    }
}

impl Behind {
    async fn pass<S>(&self, mut request: Request, mut inner: S) -> Response
    where
        S: Service<Request, Response = Response, Error = Infallible>,
    {
        let started = Instant::now();
        let request_id = request_id(request.headers());
        let method = request.method().clone();
        // What exporters read when something is wrong.
        let exported = self.path.starts_with("/v1/").then(|| otlp::format(request.headers())).flatten();
        let origin = self.cross_origin.then(|| request.headers().get(header::ORIGIN).cloned()).flatten();
        let mut organisation = None;
        let admitted = match self.permission {
            Permission::Public => Ok(()),
            permission => match auth::authorise(&self.app, request.headers(), permission).await {
                Ok(key) => {
                    organisation = Some(key.organisation);
                    let admitted = may_call_from(&key, origin.as_ref());
                    request.extensions_mut().insert(Caller { key, request_id: Arc::clone(&request_id) });
                    admitted
                }
                Err(problem) => Err(problem),
            },
        };
        let mut response = match admitted {
            Ok(()) => match inner.call(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            },
            Err(problem) => problem.into_response(),
        };
        let mut code = None;
        if let Some(problem) = response.extensions_mut().remove::<Problem>() {
            code = Some(problem.code.name());
            let allow = response.headers_mut().remove(header::ALLOW);
            response = match exported {
                Some(format) => otlp::problem(&problem, format, &request_id),
                None => problem.answer(&request_id),
            };
            if let Some(allow) = allow {
                response.headers_mut().insert(header::ALLOW, allow);
            }
        }
        name(&mut response, &request_id);
        if self.cross_origin {
            self.allow_origin(origin, response.headers_mut());
        }
        let elapsed = started.elapsed();
        self.metrics.answered(response.status().as_u16(), elapsed);
        RequestLine {
            request_id: &request_id,
            method: &method,
            route: &self.path,
            hot: self.hot,
            status: response.status(),
            code,
            elapsed,
            organisation,
        }
        .write();
        response
    }

    /// Lets the page of a declared origin read the answer, problems included.
    fn allow_origin(&self, origin: Option<HeaderValue>, headers: &mut HeaderMap) {
        headers.insert(header::VARY, HeaderValue::from_static("Origin"));
        let declared = |value: &HeaderValue| value.to_str().is_ok_and(|o| self.app.keys.declares_origin(o));
        if let Some(origin) = origin.filter(declared) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            let exposed = HeaderValue::from_static("X-Request-Id, Retry-After");
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
    }
}

/// A publishable key is good only from pages of the origins that it declares.
fn may_call_from(key: &upswing_store::ApiKey, origin: Option<&HeaderValue>) -> Result<(), Problem> {
    if key.role != Role::Publishable {
        return Ok(());
    }
    let origin = origin.and_then(|o| o.to_str().ok());
    if origin.is_some_and(|origin| key.origins.iter().any(|declared| declared == origin)) {
        return Ok(());
    }
    let detail = match origin {
        Some(origin) => format!("the key does not declare the origin {origin}"),
        None => "a publishable key may only be used by a browser, which sends Origin".to_owned(),
    };
    Err(Problem::new(Code::OriginNotAllowed, detail))
}

/// Tells the client the request's id.
pub(crate) fn name(response: &mut Response, request_id: &str) {
    if let Ok(value) = HeaderValue::from_str(request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
}

/// The request's id: the client's where it is short and harmless, otherwise a fresh one.
pub(crate) fn request_id(headers: &HeaderMap) -> Arc<str> {
    let harmless = |text: &&str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':');
        (1..=100).contains(&text.len()) && text.bytes().all(plain) && Redactor::new().find(text).is_empty()
    };
    let given = headers.get(REQUEST_ID).and_then(|v| v.to_str().ok()).filter(harmless);
    given.map_or_else(|| ids::request_id().into(), Into::into)
}
