//! What the program can be asked to do, one command a file.

mod audit;
mod config;
mod demo;
mod experiments;
mod init;
mod keys;
mod openapi;
mod redaction;
mod replay;
mod replay_log;
mod rollout;
mod serve;
mod versions;

use clap::Subcommand;

use crate::failure::Failure;

/// A command with its arguments.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server
    Serve(serve::Args),
    /// Make the first organisation and an administrator's key
    Init(init::Args),
    /// Create, list and revoke keys
    Keys(keys::Args),
    /// Check that the audit log still is what was written
    Audit(audit::Args),
    /// Show what versions change
    Versions(versions::Args),
    /// Run a server with a simulated application that teaches it
    Demo(demo::Args),
    /// Report what policies are worth: on known outcomes, played through a server, or from a log of decisions
    Replay(replay::Args),
    /// Roll a version out step by step, watch it, promote it or take it back
    Rollout(rollout::Args),
    /// Analyse and plan experiments without a server
    Experiments(experiments::Args),
    /// Take personal data and secrets out of a text, or measure how well that works
    Redaction(redaction::Args),
    /// Say what may be configured, and what is
    Config(config::Args),
    /// Print the API's description (OpenAPI)
    Openapi(openapi::Args),
}

impl Command {
    /// Does it.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Serve(args) => Box::pin(serve::run(args)).await,
            Self::Init(args) => Box::pin(init::run(args)).await,
            Self::Keys(args) => Box::pin(keys::run(args)).await,
            Self::Audit(args) => Box::pin(audit::run(args)).await,
            Self::Versions(args) => Box::pin(versions::run(args)).await,
            Self::Demo(args) => Box::pin(demo::run(args)).await,
            Self::Replay(args) => Box::pin(replay::run(args)).await,
            Self::Rollout(args) => Box::pin(rollout::run(args)).await,
            Self::Experiments(args) => experiments::run(args),
            Self::Redaction(args) => redaction::run(args),
            Self::Config(args) => config::run(args),
            Self::Openapi(args) => openapi::run(args),
        }
    }
}

/// Writes a value as JSON on standard output. A reader that has gone away is not an error.
fn print_json(value: &serde_json::Value) {
    print_text(&format!("{value:#}\n"));
}

/// Writes text on standard output. A reader that has gone away (`| head`) is not an error.
fn print_text(text: &str) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
