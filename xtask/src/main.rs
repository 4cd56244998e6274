//! The project's own checks: `cargo xtask tidy` and `cargo xtask licences`.

use std::process::ExitCode;

use xtask::{Finding, licences, project::Project, tidy};

const USAGE: &str = "\
cargo xtask tidy       the rules of this project that no compiler knows
cargo xtask licences   the licences of all dependencies, against xtask/licences.toml";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let checked = match (arguments.next().as_deref(), arguments.next()) {
        (Some("tidy"), None) => Project::here().and_then(|project| tidy::check(&project)),
        (Some("licences"), None) => licences::check(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match checked {
        Ok(findings) => report(&findings),
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn report(findings: &[Finding]) -> ExitCode {
    for finding in findings {
        eprintln!("{finding}");
    }
    if findings.is_empty() {
        println!("nothing found");
        ExitCode::SUCCESS
    } else {
        eprintln!("{} found", findings.len());
        ExitCode::FAILURE
    }
}
