//! The description of the API.

use std::sync::OnceLock;

use axum::http::header;
use axum::response::IntoResponse;

use crate::problem::Problems;

/// The OpenAPI document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "platform",
    operation_id = "get_openapi",
    responses((status = 200, description = "OpenAPI 3.1", body = Object), Problems)
)]
pub(crate) async fn document() -> impl IntoResponse {
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = TEXT.get_or_init(|| crate::routes::openapi().to_pretty_json().unwrap_or_default());
    ([(header::CONTENT_TYPE, "application/json")], text.as_str())
}
