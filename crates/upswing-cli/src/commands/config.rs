//! `upswing config`: what may be configured, and what is.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::{print_json, print_text};
use crate::config;
use crate::failure::Failure;
use crate::options::schema;

/// Arguments of `config`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Print the JSON Schema of the configuration file
    Schema,
    /// Read a file and the environment, and say what holds
    Check {
        /// A TOML, YAML or JSON file [default: upswing.toml, if there is one]
        file: Option<PathBuf>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Prints.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    match args.what {
        What::Schema => print_json(&schema()),
        What::Check { file, json } => {
            let given = config::given(file.as_deref())?;
            let idle: BTreeMap<_, _> = given.idle().into_iter().collect();
            if json {
                let entry = |(path, value, source): (&'static str, &Value, &str)| {
                    (
                        path.to_owned(),
                        json!({"value": value, "from": source, "in_effect": !idle.contains_key(path),
                            "waits_for": idle.get(path)}),
                    )
                };
                print_json(&Value::Object(given.all().map(entry).collect::<Map<_, _>>()));
                return Ok(());
            }
            let mut text = String::new();
            for (path, value, source) in given.all() {
                let mark = idle.get(path).map(|part| format!("  (not used yet: it waits for {part})"));
                let mark = mark.unwrap_or_default();
                text.push_str(&format!("  {path} = {value}  from {source}{mark}\n"));
            }
            if text.is_empty() {
                text.push_str("  nothing is configured: everything is as it is by default\n");
            }
            print_text(&text);
        }
    }
    Ok(())
}
