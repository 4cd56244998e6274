//! The program `upswing`: the server, its administration, a demonstration, and replays of known outcomes.
//!
//! Each command is a file of `commands/`. What only computes is apart from what speaks with a server or the terminal.

mod admin;
mod client;
mod commands;
mod config;
mod demo;
mod experiments;
mod failure;
mod labelled;
mod master_key;
mod options;
mod random;
mod replay;
mod server;
mod signals;

use std::process::ExitCode;

use clap::Parser;

use crate::commands::Command;
use crate::failure::Failure;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Closes the learning loop of an AI application.
#[derive(Debug, Parser)]
#[command(name = "upswing", version, about, arg_required_else_help = true)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let program = Program::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report(&Failure::new(format!("cannot start threads: {error}"))),
    };
    match runtime.block_on(program.command.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure),
    }
}

fn report(failure: &Failure) -> ExitCode {
    eprintln!("{failure}");
    ExitCode::FAILURE
}
