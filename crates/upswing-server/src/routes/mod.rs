//! Every route, with its permission. A route that is not in this table does not exist.

mod collect;
mod deploy;
mod evaluate;
mod observe;
mod platform;
mod recognise;

use std::sync::Arc;

use axum::Router;
use axum::http::HeaderMap;
use axum::response::Response;
use tower::Layer as _;
use upswing_domain::Permission;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes as handlers;

pub(crate) use collect::proof::restored;
pub(crate) use deploy::config::confirmed;
pub(crate) use evaluate::experiments::effective_at;

use crate::app::Shared;
use crate::gate::{self, GateLayer};
use crate::problem::{Code, Problem, ProblemResponse};
use crate::runtime::metrics::RouteMetrics;

/// One route, as it is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteInfo {
    /// `GET`, `POST`, ...
    pub method: &'static str,
    /// With its parameters in braces.
    pub path: String,
    /// What a key must be allowed to do.
    pub permission: Permission,
}

/// The table while it is being laid.
struct Table {
    router: OpenApiRouter<Shared>,
    routes: Vec<RouteInfo>,
    metrics: Vec<Arc<RouteMetrics>>,
    /// `None` where only the description is wanted.
    app: Option<Shared>,
}

impl Table {
    fn new(app: Option<Shared>) -> Self {
        Self { router: OpenApiRouter::with_openapi(skeleton()), routes: Vec::new(), metrics: Vec::new(), app }
    }

    /// Registers a route: the only way there is, and it asks for the permission.
    fn route(mut self, permission: Permission, route: UtoipaMethodRouter<Shared>) -> Self {
        let (schemas, mut paths, mut handler) = route;
        for (path, item) in &mut paths.paths {
            for (method, operation) in operations(item) {
                describe(operation, permission);
                if let Some(app) = &self.app {
                    let metrics = Arc::new(RouteMetrics::new(method.to_owned(), path.clone()));
                    handler =
                        handler.layer(GateLayer::new(app, method, path, permission, Arc::clone(&metrics)));
                    self.metrics.push(metrics);
                }
                self.routes.push(RouteInfo { method, path: path.clone(), permission });
            }
        }
        self.router = self.router.routes((schemas, paths, handler));
        self
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    [
        ("GET", &mut item.get),
        ("PUT", &mut item.put),
        ("POST", &mut item.post),
        ("DELETE", &mut item.delete),
        ("OPTIONS", &mut item.options),
        ("HEAD", &mut item.head),
        ("PATCH", &mut item.patch),
        ("TRACE", &mut item.trace),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

fn describe(operation: &mut Operation, permission: Permission) {
    let name = serde_json::to_value(permission).unwrap_or_default();
    operation.extensions = Some(Extensions::builder().add("x-permission", name).build());
    operation.security = Some(match permission {
        Permission::Public => Vec::new(),
        _ => vec![SecurityRequirement::new("key", Vec::<String>::new())],
    });
}

fn skeleton() -> OpenApi {
    let key = SecurityScheme::Http(
        Http::builder()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("`up_sk_...`, or `up_pk_...` for feedback from a page"))
            .build(),
    );
    let problem = <ProblemResponse as utoipa::PartialSchema>::schema();
    let components =
        ComponentsBuilder::new().security_scheme("key", key).schema("ProblemResponse", problem).build();
    let info = InfoBuilder::new()
        .title("Upswing")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "A self-hosted learning loop for AI applications: ask which version to serve, say what happened, give \
             feedback; the next answer is better.",
        ))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
        .build();
    OpenApiBuilder::new().info(info).components(Some(components)).build()
}

fn table(app: Option<Shared>) -> Table {
    use Permission::{
        Approve, Decide, GiveFeedback, ManageAgents, ManageKeys, Public, Read, ReadContent, ReportExecutions,
    };
    Table::new(app)
        .route(Decide, handlers!(deploy::decide::decide))
        .route(ReportExecutions, handlers!(collect::executions::report))
        .route(Read, handlers!(collect::executions::get))
        .route(GiveFeedback, handlers!(collect::feedback::give))
        .route(Public, handlers!(collect::feedback::preflight))
        .route(Read, handlers!(observe::feedback_stats::stats))
        .route(Read, handlers!(collect::feedback::get))
        .route(Read, handlers!(observe::effects::effects))
        .route(GiveFeedback, handlers!(collect::signals::give))
        .route(Public, handlers!(collect::signals::preflight))
        .route(ReportExecutions, handlers!(collect::records::report))
        .route(Read, handlers!(collect::records::get))
        .route(ReportExecutions, handlers!(collect::corrections::correct))
        .route(ReportExecutions, handlers!(collect::telemetry::traces))
        .route(ReportExecutions, handlers!(collect::telemetry::logs))
        .route(ReportExecutions, handlers!(platform::consents::decide))
        .route(Read, handlers!(platform::consents::list))
        .route(Read, handlers!(recognise::windows::list))
        .route(ManageAgents, handlers!(recognise::windows::retry))
        .route(Read, handlers!(recognise::profiles::get))
        .route(ReadContent, handlers!(collect::export::export))
        .route(ManageAgents, handlers!(deploy::agents::create))
        .route(Read, handlers!(deploy::agents::list))
        .route(Read, handlers!(deploy::agents::get))
        .route(ManageAgents, handlers!(deploy::agents::set_reward_definition))
        .route(ManageAgents, handlers!(deploy::policies::set))
        .route(Read, handlers!(deploy::policies::get))
        .route(ManageAgents, handlers!(deploy::versions::add))
        .route(Read, handlers!(deploy::versions::list))
        .route(Read, handlers!(deploy::gates::diff))
        .route(ManageAgents, handlers!(deploy::gates::run))
        .route(Read, handlers!(deploy::gates::results))
        .route(Approve, handlers!(deploy::gates::approve))
        .route(ManageAgents, handlers!(deploy::gates::set))
        .route(Read, handlers!(deploy::gates::settings))
        .route(ManageAgents, handlers!(deploy::gates::set_runner))
        .route(ManageAgents, handlers!(deploy::datasets::add))
        .route(Read, handlers!(deploy::datasets::list))
        .route(ReadContent, handlers!(deploy::datasets::get))
        .route(ManageAgents, handlers!(deploy::deployments::promote))
        .route(ManageAgents, handlers!(deploy::deployments::roll_back))
        .route(Read, handlers!(deploy::deployments::list))
        .route(Read, handlers!(deploy::config::get))
        .route(Read, handlers!(deploy::config::follow))
        .route(ManageAgents, handlers!(deploy::config::set_safe_version))
        .route(ManageAgents, handlers!(deploy::rollouts::start))
        .route(Read, handlers!(deploy::rollouts::list))
        .route(Read, handlers!(deploy::rollouts::get))
        .route(ManageAgents, handlers!(deploy::rollouts::promote))
        .route(ManageAgents, handlers!(deploy::rollouts::hold))
        .route(ManageAgents, handlers!(deploy::rollouts::resume))
        .route(ManageAgents, handlers!(deploy::rollouts::roll_back))
        .route(Read, handlers!(deploy::rollouts::record))
        .route(Read, handlers!(deploy::evidence::list))
        .route(Read, handlers!(deploy::evidence::pairs))
        .route(ManageAgents, handlers!(evaluate::experiments::create))
        .route(Read, handlers!(evaluate::experiments::list))
        .route(Read, handlers!(evaluate::experiments::get))
        .route(ManageAgents, handlers!(evaluate::experiments::start))
        .route(ManageAgents, handlers!(evaluate::experiments::pause))
        .route(ManageAgents, handlers!(evaluate::experiments::stop))
        .route(ManageAgents, handlers!(evaluate::experiments::archive))
        .route(ManageAgents, handlers!(evaluate::experiments::split))
        .route(Read, handlers!(evaluate::results::results))
        .route(Read, handlers!(evaluate::results::history))
        .route(Read, handlers!(evaluate::power::power))
        .route(Read, handlers!(observe::performance::performance))
        .route(Read, handlers!(observe::learning_curve::learning_curve))
        .route(Read, handlers!(observe::trust::trust))
        .route(Read, handlers!(observe::lineage::lineage))
        .route(Read, handlers!(platform::organisation::get))
        .route(ManageKeys, handlers!(platform::keys::create))
        .route(ManageKeys, handlers!(platform::keys::list))
        .route(ManageKeys, handlers!(platform::keys::revoke))
        .route(ManageKeys, handlers!(platform::audit::list))
        .route(Public, handlers!(observe::health::live))
        .route(Public, handlers!(observe::health::ready))
        .route(Public, handlers!(observe::metrics::metrics))
        .route(Public, handlers!(platform::openapi::document))
        .route(Public, handlers!(platform::problems::explain))
        .route(Public, handlers!(platform::pages::home))
        .route(Public, handlers!(platform::pages::docs))
        .route(Public, handlers!(platform::pages::asset))
}

/// Reads a body as every route of collecting would, as far as that goes without a server: how many items could be
/// understood. For fuzzing: it must not panic, whatever the bytes.
pub fn read_collected(bytes: &[u8], ndjson: bool) -> usize {
    collect::read_all(bytes, ndjson)
}

/// Every route with its permission.
pub fn routes() -> Vec<RouteInfo> {
    table(None).routes
}

/// The description of the whole API.
pub fn openapi() -> OpenApi {
    table(None).router.into_openapi()
}

/// The routes of one server, ready to be served.
pub(crate) fn router(app: &Shared) -> Router {
    let mut table = table(Some(Arc::clone(app)));
    let unknown = Arc::new(RouteMetrics::new("*".to_owned(), "unknown".to_owned()));
    table.metrics.push(Arc::clone(&unknown));
    let gate = GateLayer::new(app, "*", "unknown", Permission::Public, unknown);
    // Set once, here.
    drop(app.route_metrics.set(table.metrics));
    let (router, _) = table.router.split_for_parts();
    let not_found = axum::routing::any(route_not_found).with_state::<()>(());
    router
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(Arc::clone(app))
        .fallback_service(gate.layer(not_found))
}

async fn route_not_found(uri: axum::http::Uri) -> Problem {
    Problem::new(Code::RouteNotFound, format!("there is nothing at {}", uri.path()))
}

/// Stands outside of the gates, because it belongs to a path and not to a route.
async fn method_not_allowed(method: axum::http::Method, headers: HeaderMap) -> Response {
    let problem = Problem::new(Code::MethodNotAllowed, format!("this address does not take {method}"));
    let request_id = gate::request_id(&headers);
    let mut response = problem.answer(&request_id);
    gate::name(&mut response, &request_id);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_every_route_and_no_route_twice() {
        let document = serde_json::to_value(openapi()).unwrap();
        let routes = routes();
        for (index, route) in routes.iter().enumerate() {
            let operation = &document["paths"][&route.path][route.method.to_lowercase()];
            assert!(operation.is_object(), "{} {} is not described", route.method, route.path);
            assert!(!routes[..index].iter().any(|r| (r.method, &r.path) == (route.method, &route.path)));
        }
    }
}
