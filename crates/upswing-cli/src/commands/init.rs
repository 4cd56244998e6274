//! `upswing init`: the first organisation and its administrator's key.

use serde_json::json;
use upswing_domain::Role;

use super::{print_json, print_text};
use crate::admin::{Admin, NewKey};
use crate::config::{DataArgs, ServerArgs, Settings};
use crate::failure::Failure;
use crate::server;

/// The first organisation's name when none is given.
const DEFAULT_NAME: &str = "default";

/// Arguments of `init`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    data: DataArgs,
    /// The organisation's name [default: default]; with another name, one more organisation
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Makes organisation and key, and shows the key this once.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let settings = Settings::new(&ServerArgs { data: args.data, ..ServerArgs::default() })?;
    let admin = Admin::open(&settings, server::now()).await?;
    let made = make(&admin, args.organisation.as_deref()).await;
    admin.close().await;
    let (organisation, key, secret) = made?;
    if args.json {
        print_json(&json!({
            "organisation": { "id": organisation.id, "name": organisation.name },
            "key": { "id": key.id, "name": key.name, "role": key.role, "secret": secret.expose() },
        }));
    } else {
        print_text(&format!(
            "Organisation '{}' is made. Its administrator's key, shown this once:\n\n    {}\n\n\
             Next: upswing serve\n",
            organisation.name,
            secret.expose(),
        ));
    }
    Ok(())
}

async fn make(
    admin: &Admin,
    name: Option<&str>,
) -> Result<(upswing_store::Organisation, upswing_store::ApiKey, upswing_privacy::ApiKeySecret), Failure> {
    let there = admin.organisations().await?;
    let refusal = match name {
        Some(name) => there.iter().find(|o| o.name == name),
        None => there.first(),
    };
    if let Some(organisation) = refusal {
        return Err(Failure::new(format!("there is an organisation '{}' already", organisation.name)).hint(
            format!(
                "a new key for it: upswing keys create --organisation '{}' --role admin; \
                 another organisation: upswing init --organisation NAME",
                organisation.name
            ),
        ));
    }
    let organisation = admin.create_organisation(name.unwrap_or(DEFAULT_NAME)).await?;
    let new = NewKey { name: "init".to_owned(), role: Role::Admin, origins: Vec::new(), expires_at: None };
    let (key, secret) = admin.create_key(organisation.id, new).await?;
    Ok((organisation, key, secret))
}
