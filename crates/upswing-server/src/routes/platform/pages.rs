//! Pages for people. They load nothing from elsewhere and may do nothing that they need not.

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};

use crate::problem::{Code, Problem, Problems};
use crate::wire::json::Path;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file that pages load: of `pages/`, or what other people's pages load from here.
struct Asset {
    name: &'static str,
    content_type: &'static str,
    text: &'static str,
    /// Whether pages of every origin may load it, and read it.
    for_all: bool,
}

impl Asset {
    const fn own(name: &'static str, content_type: &'static str, text: &'static str) -> Self {
        Self { name, content_type, text, for_all: false }
    }
}

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

const ASSETS: [Asset; 5] = [
    Asset::own("app.js", JAVASCRIPT, include_str!("pages/app.js")),
    Asset::own("style.css", CSS, include_str!("pages/style.css")),
    Asset::own("docs.js", JAVASCRIPT, include_str!("pages/docs.js")),
    Asset::own("docs.css", CSS, include_str!("pages/docs.css")),
    Asset {
        name: "behaviour.js",
        content_type: JAVASCRIPT,
        text: include_str!("../../../../../web/packages/behaviour/upswing-behaviour.js"),
        for_all: true,
    },
];

fn page(content_type: &'static str, text: &'static str) -> Response {
    let mut response = text.into_response();
    let headers: [(HeaderName, &'static str); 5] = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // The text changes with the release alone; asking again is cheap.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// How an agent learns, drawn.
#[utoipa::path(
    get,
    path = "/",
    tag = "platform",
    operation_id = "get_home_page",
    responses((status = 200, description = "A page", body = String, content_type = "text/html"), Problems)
)]
pub(crate) async fn home() -> Response {
    page(HTML, include_str!("pages/index.html"))
}

/// The API, drawn from its OpenAPI document.
#[utoipa::path(
    get,
    path = "/docs",
    tag = "platform",
    operation_id = "get_docs_page",
    responses((status = 200, description = "A page", body = String, content_type = "text/html"), Problems)
)]
pub(crate) async fn docs() -> Response {
    page(HTML, include_str!("pages/docs.html"))
}

/// What the pages load.
#[utoipa::path(
    get,
    path = "/assets/{name}",
    tag = "platform",
    operation_id = "get_asset",
    params(("name" = String, Path)),
    responses((status = 200, description = "A script or a style sheet", body = String), Problems)
)]
pub(crate) async fn asset(Path(name): Path<String>) -> Result<Response, Problem> {
    let asset = ASSETS.iter().find(|asset| asset.name == name);
    let asset = asset.ok_or_else(|| Problem::new(Code::NotFound, format!("there is no file {name}")))?;
    let mut response = page(asset.content_type, asset.text);
    if asset.for_all {
        let headers: [(HeaderName, &'static str); 3] = [
            // An application's every page loads it: an hour old is fresh enough, and a day old while a fresh one comes.
            (header::CACHE_CONTROL, "public, max-age=3600, stale-while-revalidate=86400"),
            // For pages that check what they load (`integrity`), and the script's question whether the server is there.
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
            // For isolated pages, which load nothing that does not say this.
            (HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
        ];
        for (name, value) in headers {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_load_only_what_there_is_and_nothing_inline() {
        for html in [include_str!("pages/index.html"), include_str!("pages/docs.html")] {
            for part in html.split(['"', '\'']).filter_map(|text| text.strip_prefix("/assets/")) {
                assert!(ASSETS.iter().any(|asset| asset.name == part), "/assets/{part} does not exist");
            }
            assert!(!html.contains("<style"), "the policy refuses inline styles");
            assert!(!html.contains("<script>"), "the policy refuses inline scripts");
            assert!(!html.contains("style=\""), "the policy refuses inline styles");
            assert!(
                !html.contains("//cdn") && !html.contains("src=\"http"),
                "pages load nothing from elsewhere"
            );
        }
    }
}
