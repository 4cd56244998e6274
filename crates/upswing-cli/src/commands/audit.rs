//! `upswing audit`: whether the log of administrative changes still is what was written, straight from the database.

use clap::Subcommand;
use serde_json::json;
use upswing_store::{AuditBreak, AuditFault, AuditVerdict, Organisation};

use super::{print_json, print_text};
use crate::admin::Admin;
use crate::config::{DataArgs, ServerArgs, Settings};
use crate::failure::Failure;
use crate::server;

/// Arguments of `audit`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Walk the chain of every line: edits, deletions, swaps and a cut tail are found; fails when there is one
    Verify(Verify),
}

#[derive(Debug, clap::Args)]
struct Verify {
    #[command(flatten)]
    data: DataArgs,
    /// The organisation [default: all of them]
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
    /// A head that was kept elsewhere: the log must still hold it
    #[arg(long, value_name = "HASH", value_parser = hash)]
    expect_head: Option<[u8; 32]>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn hash(text: &str) -> Result<[u8; 32], String> {
    let parsed = blake3::Hash::from_hex(text.trim());
    parsed
        .map(|hash| *hash.as_bytes())
        .map_err(|_| "64 hexadecimal characters, as `head` shows them".to_owned())
}

/// Walks, prints what was found, and fails when a log is not what was written.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let Action::Verify(args) = args.action;
    let settings = Settings::new(&ServerArgs { data: args.data.clone(), ..ServerArgs::default() })?;
    // What is not there is not intact, and is not made either.
    if let Some(path) = settings.database_url.strip_prefix("sqlite:")
        && !std::path::Path::new(path).exists()
    {
        return Err(Failure::new(format!("there is no database {path}"))
            .hint("--data FOLDER or --database-url URL: where the server has it"));
    }
    let admin = Admin::open(&settings, server::now()).await?;
    let done = verify(&admin, &args).await;
    admin.close().await;
    let found = done?;
    if found.is_empty() {
        return Err(Failure::new("there is no organisation, and so no log to verify")
            .hint("--data FOLDER or --database-url URL: where the server has its database"));
    }
    if args.json {
        let logs: Vec<_> =
            found.iter().map(|(organisation, verdict)| describe(organisation, verdict)).collect();
        print_json(&json!({ "intact": found.iter().all(|(_, v)| v.broken.is_none()), "logs": logs }));
    } else {
        print_text(&found.iter().map(|(o, verdict)| in_words(o, verdict)).collect::<String>());
    }
    match found.iter().filter(|(_, verdict)| verdict.broken.is_some()).count() {
        0 => Ok(()),
        broken => Err(Failure::new(format!(
            "{broken} of {} audit logs are not what was written",
            found.len()
        ))
        .hint("compare with a backup from before; heads that were kept elsewhere tell when it still held")),
    }
}

async fn verify(admin: &Admin, args: &Verify) -> Result<Vec<(Organisation, AuditVerdict)>, Failure> {
    let organisations = match (&args.organisation, args.expect_head) {
        // A head is of one log.
        (Some(_), _) | (_, Some(_)) => vec![admin.organisation(args.organisation.as_deref()).await?],
        (None, None) => admin.organisations().await?,
    };
    let mut found = Vec::with_capacity(organisations.len());
    for organisation in organisations {
        let verdict = admin.verify_audit(organisation.id, args.expect_head).await?;
        found.push((organisation, verdict));
    }
    Ok(found)
}

fn describe(organisation: &Organisation, verdict: &AuditVerdict) -> serde_json::Value {
    json!({
        "organisation": { "id": organisation.id, "name": organisation.name },
        "intact": verdict.broken.is_none(),
        "lines": verdict.chained,
        "lines_before_the_chain": verdict.unchained,
        "head": verdict.head.map(|head| json!({ "sequence": head.sequence, "hash": hex(&head.hash) })),
        "expected_head_at": verdict.expected_at,
        "broken": verdict.broken.map(|broken| json!({
            "sequence": broken.sequence,
            "fault": name(broken.fault),
            "detail": explain(broken),
        })),
    })
}

fn in_words(organisation: &Organisation, verdict: &AuditVerdict) -> String {
    let mut text = format!("'{}': ", organisation.name);
    match verdict.broken {
        None => text.push_str(&format!("intact, {} lines", verdict.chained)),
        Some(broken) => {
            text.push_str(&format!(
                "NOT intact: {}; {} lines before it hold",
                explain(broken),
                verdict.chained
            ));
        }
    }
    if verdict.unchained > 0 {
        text.push_str(&format!(
            "\n  {} lines are older than the chain: nothing can be said of them",
            verdict.unchained
        ));
    }
    if let Some(head) = verdict.head {
        text.push_str(&format!("\n  head {} at line {}", hex(&head.hash), head.sequence));
    }
    if let Some(line) = verdict.expected_at {
        text.push_str(&format!("\n  the expected head stands at line {line}"));
    }
    text.push('\n');
    text
}

fn name(fault: AuditFault) -> &'static str {
    match fault {
        AuditFault::Edited => "edited",
        AuditFault::Deleted => "deleted",
        AuditFault::Swapped { .. } => "swapped",
        AuditFault::Cut => "cut",
        AuditFault::Unchained => "unchained",
        AuditFault::KeyUnknown { .. } => "key_unknown",
        AuditFault::HeadMissing => "head_missing",
    }
}

fn explain(broken: AuditBreak) -> String {
    let line = broken.sequence;
    match broken.fault {
        AuditFault::Edited => format!("line {line} is not what was written there"),
        AuditFault::Deleted => format!("line {line} is missing"),
        AuditFault::Swapped { with } => format!("line {line} has changed places with line {with}"),
        AuditFault::Cut => format!("the log was cut off: line {line} was written and is missing"),
        AuditFault::Unchained => format!("line {line} has no value of the chain, and should have one"),
        AuditFault::KeyUnknown { key } => {
            format!("line {line} was chained with master key {key}, which is not in the master key's file")
        }
        AuditFault::HeadMissing => {
            format!(
                "the expected head is not in the log, which ends before line {line}: its tail was cut off, or it is another log's"
            )
        }
    }
}

fn hex(hash: &[u8; 32]) -> String {
    blake3::Hash::from_bytes(*hash).to_hex().to_string()
}
