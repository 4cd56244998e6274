//! Measurements for Prometheus.

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use crate::app::Shared;
use crate::problem::Problems;
use crate::runtime::metrics::exposition;

/// Measurements of this server in Prometheus's text format.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "observe",
    operation_id = "get_metrics",
    responses((status = 200, description = "Text format 0.0.4", body = String, content_type = "text/plain"), Problems)
)]
pub(crate) async fn metrics(State(app): State<Shared>) -> impl IntoResponse {
    let routes = app.route_metrics.get().map_or(&[][..], Vec::as_slice);
    let text = exposition(routes, &app.counts, &app.store.queue());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}
