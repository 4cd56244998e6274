//! `upswing keys`: create, list and revoke, straight in the database.

use clap::Subcommand;
use serde_json::json;
use upswing_domain::{KeyId, Role, Timestamp};
use upswing_store::ApiKey;
use uuid::Uuid;

use super::{print_json, print_text};
use crate::admin::{Admin, NewKey};
use crate::config::{DataArgs, ServerArgs, Settings};
use crate::failure::Failure;
use crate::server;

/// Arguments of `keys`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a key and show it this once
    Create(Create),
    /// List keys, without their secrets
    List(Which),
    /// End a key at once
    Revoke(Revoke),
}

#[derive(Debug, clap::Args)]
struct Which {
    #[command(flatten)]
    data: DataArgs,
    /// The organisation, where there are several
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Create {
    #[command(flatten)]
    which: Which,
    /// What it may do: publishable, member, expert or admin
    #[arg(long, default_value = "member", value_parser = role)]
    role: Role,
    /// What to call it
    #[arg(long, default_value = "command line")]
    name: String,
    /// For a publishable key: an origin that pages may call from, as in https://example.org (may be repeated)
    #[arg(long = "origin", value_name = "ORIGIN")]
    origins: Vec<String>,
    /// After how many days it ends [default: never]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3650))]
    expires_in_days: Option<u32>,
}

#[derive(Debug, clap::Args)]
struct Revoke {
    #[command(flatten)]
    which: Which,
    /// The key's id, as `upswing keys list` shows it
    key: Uuid,
}

fn role(text: &str) -> Result<Role, String> {
    Role::named(text).ok_or_else(|| "one of publishable, member, expert, admin".to_owned())
}

/// Does what is asked.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let (Action::Create(Create { which, .. }) | Action::List(which) | Action::Revoke(Revoke { which, .. })) =
        &args.action;
    let settings = Settings::new(&ServerArgs { data: which.data.clone(), ..ServerArgs::default() })?;
    let now = server::now();
    let admin = Admin::open(&settings, now).await?;
    let done = match args.action {
        Action::Create(args) => create(&admin, args, now).await,
        Action::List(which) => list(&admin, &which, now).await,
        Action::Revoke(args) => revoke(&admin, &args).await,
    };
    admin.close().await;
    done
}

async fn create(admin: &Admin, args: Create, now: Timestamp) -> Result<(), Failure> {
    if args.role == Role::Publishable && args.origins.is_empty() {
        return Err(Failure::new("a publishable key works only from the pages that it names")
            .hint("--origin https://example.org"));
    }
    if args.role != Role::Publishable && !args.origins.is_empty() {
        return Err(Failure::new("only a publishable key has origins").hint("--role publishable"));
    }
    let organisation = admin.organisation(args.which.organisation.as_deref()).await?;
    let expires_at = args.expires_in_days.map(|days| now.plus_seconds(i64::from(days) * 86_400));
    let new = NewKey { name: args.name, role: args.role, origins: args.origins, expires_at };
    let (key, secret) = admin.create_key(organisation.id, new).await?;
    if args.which.json {
        let mut shown = describe(&key, now);
        shown["secret"] = json!(secret.expose());
        print_json(&shown);
    } else {
        print_text(&format!(
            "The {} key '{}' of '{}', shown this once:\n\n    {}\n\n",
            key.role.name(),
            key.name,
            organisation.name,
            secret.expose()
        ));
    }
    Ok(())
}

async fn list(admin: &Admin, which: &Which, now: Timestamp) -> Result<(), Failure> {
    let organisation = admin.organisation(which.organisation.as_deref()).await?;
    let keys = admin.keys(organisation.id).await?;
    if which.json {
        print_json(&json!({ "keys": keys.iter().map(|key| describe(key, now)).collect::<Vec<_>>() }));
        return Ok(());
    }
    let mut text = format!("{:<36}  {:<11}  {:<10}  {:<8}  name\n", "id", "role", "begins", "state");
    for key in &keys {
        text.push_str(&format!(
            "{}  {:<11}  {:<10}  {:<8}  {}\n",
            key.id,
            key.role.name(),
            key.hint,
            state(key, now),
            key.name
        ));
    }
    print_text(&text);
    Ok(())
}

async fn revoke(admin: &Admin, args: &Revoke) -> Result<(), Failure> {
    let organisation = admin.organisation(args.which.organisation.as_deref()).await?;
    let key = admin.revoke(organisation.id, KeyId(args.key)).await?;
    if args.which.json {
        print_json(&json!({ "id": key.id, "state": "revoked" }));
    } else {
        print_text(&format!("The {} key '{}' ({}…) is revoked.\n", key.role.name(), key.name, key.hint));
    }
    Ok(())
}

fn state(key: &ApiKey, now: Timestamp) -> &'static str {
    match key {
        ApiKey { revoked_at: Some(_), .. } => "revoked",
        ApiKey { expires_at: Some(end), .. } if *end <= now => "expired",
        _ => "valid",
    }
}

fn describe(key: &ApiKey, now: Timestamp) -> serde_json::Value {
    json!({
        "id": key.id,
        "name": key.name,
        "role": key.role,
        "hint": key.hint,
        "origins": key.origins,
        "state": state(key, now),
    })
}
