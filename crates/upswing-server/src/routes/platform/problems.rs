//! What a problem's code means, and what to do.

use serde::Serialize;
use utoipa::ToSchema;

use crate::problem::{Code, Problem, Problems};
use crate::wire::json::{Json, Path};

/// A code of the table.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CodeResponse {
    /// The stable code.
    code: &'static str,
    /// The HTTP status it is answered with.
    status: u16,
    /// In a few words.
    title: &'static str,
    /// What a client can do about it.
    what_to_do: &'static str,
}

/// What a problem's code means, and what to do about it.
#[utoipa::path(
    get,
    path = "/problems/{code}",
    tag = "platform",
    operation_id = "explain_problem",
    params(("code" = String, Path)),
    responses((status = 200, description = "The code", body = CodeResponse), Problems)
)]
pub(crate) async fn explain(Path(code): Path<String>) -> Result<Json<CodeResponse>, Problem> {
    let found = Code::named(&code);
    let found = found.ok_or_else(|| Problem::new(Code::NotFound, format!("there is no code {code}")))?;
    Ok(Json(CodeResponse {
        code: found.name(),
        status: found.status().as_u16(),
        title: found.title(),
        what_to_do: found.what_to_do(),
    }))
}
