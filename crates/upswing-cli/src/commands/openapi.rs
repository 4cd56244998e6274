//! `upswing openapi`: the API's description, as the server gives it at `/openapi.json`.

use super::print_text;
use crate::failure::Failure;
use crate::server;

/// Arguments of `openapi`: none.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Prints the document.
pub(crate) fn run(_args: Args) -> Result<(), Failure> {
    print_text(&format!("{}\n", server::openapi()?));
    Ok(())
}
