//! `upswing serve`: the server, until it is asked to stop.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use super::print_text;
use crate::config::{LogForm, ServerArgs, Settings};
use crate::failure::Failure;
use crate::{server, signals};

/// Arguments of `serve`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    server: ServerArgs,
}

/// Serves until SIGINT or SIGTERM, then answers what is under way, writes what is queued, and ends.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let settings = Settings::new(&args.server)?;
    start_logging(&settings)?;
    for (option, part) in &settings.idle {
        tracing::warn!(option, "configured, but not used yet: it waits for {part}");
    }
    let stop = signals::stop()?;
    let server = server::start(&settings).await?;
    print_text(&format!(
        "Upswing listens on {}\n  the page        {0}/\n  the API drawn   {0}/docs\n  database        {}\n",
        server.url(),
        without_password(&settings.database_url),
    ));
    if !server.has_organisation().await {
        print_text("  no organisation yet: make one, with its first key: upswing init\n");
    }
    stop.await;
    tracing::info!("stopping: answering what is under way");
    server.shutdown().await;
    tracing::info!("stopped");
    Ok(())
}

/// Logs go to standard error, so that what a command prints stays apart.
fn start_logging(settings: &Settings) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&settings.log_filter).map_err(|error| {
        Failure::new(format!("the log filter '{}' is not understood: {error}", settings.log_filter))
            .hint("--log-filter info, or as in --log-filter warn,upswing_server=debug")
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let started = match settings.log {
        LogForm::Human => builder.try_init(),
        LogForm::Json => builder.json().flatten_event(true).with_current_span(true).try_init(),
    };
    started.map_err(|error| Failure::new(format!("cannot start logging: {error}")))
}

/// A database's address as it may be shown.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    match rest.rsplit_once('@') {
        Some((user, place)) => {
            format!("{scheme}://{}@{place}", user.split(':').next().unwrap_or_default())
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        assert_eq!(without_password("postgres://ada:p@ss@host/db"), "postgres://ada@host/db");
        assert_eq!(without_password("postgres://host/db"), "postgres://host/db");
        assert_eq!(without_password("sqlite:data/upswing.db"), "sqlite:data/upswing.db");
    }
}
