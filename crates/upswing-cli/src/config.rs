//! Every option of the servers and the administration: from flags, the environment, then a TOML file, then defaults.
//!
//! The master key is no option: it comes from `UPSWING_MASTER_KEY` or from a file of its own, never from a flag that
//! other users of the machine can see.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Deserialize;

use crate::failure::Failure;

/// The file that is read when it is there and none is named.
const DEFAULT_FILE: &str = "upswing.toml";
/// Where to listen when nothing is said.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8787);
/// Where the data is when nothing is said.
const DEFAULT_DATA: &str = "upswing-data";
/// What the configuration file may hold.
const KEYS: [&str; 6] = ["listen", "data", "database_url", "log", "log_filter", "queue_capacity"];

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogForm {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// Where the database is.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct DataArgs {
    /// A TOML file with options [default: upswing.toml, if there is one]
    #[arg(long, value_name = "FILE", env = "UPSWING_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// The folder of the SQLite database and the master key [default: ./upswing-data]
    #[arg(long, value_name = "FOLDER", env = "UPSWING_DATA")]
    pub(crate) data: Option<PathBuf>,
    /// A PostgreSQL (postgres://...) or SQLite (sqlite:FILE) database [default: upswing.db in the data folder]
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
}

/// How a server runs.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ServerArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Where to listen [default: 127.0.0.1:8787]
    #[arg(long, value_name = "ADDRESS", env = "UPSWING_LISTEN")]
    pub(crate) listen: Option<SocketAddr>,
    /// How logs are written [default: human]
    #[arg(long, value_name = "FORM", env = "UPSWING_LOG")]
    pub(crate) log: Option<LogForm>,
    /// Which logs are written, as in 'info' or 'upswing=debug' [default: info]
    #[arg(long, value_name = "FILTER", env = "UPSWING_LOG_FILTER")]
    pub(crate) log_filter: Option<String>,
    /// How many events may wait to be written; a full queue answers 503 [default: the server's]
    #[arg(long, value_name = "EVENTS", env = "UPSWING_QUEUE_CAPACITY")]
    pub(crate) queue_capacity: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct FileOptions {
    listen: Option<SocketAddr>,
    data: Option<PathBuf>,
    database_url: Option<String>,
    log: Option<LogForm>,
    log_filter: Option<String>,
    queue_capacity: Option<usize>,
}

/// All options, decided.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    /// Where to listen.
    pub(crate) listen: SocketAddr,
    /// The folder of database and master key.
    pub(crate) data: PathBuf,
    /// The database.
    pub(crate) database_url: String,
    /// How logs are written.
    pub(crate) log: LogForm,
    /// Which logs are written.
    pub(crate) log_filter: String,
    /// How many events may wait; `None` for the server's default.
    pub(crate) queue_capacity: Option<usize>,
    /// The master key's text, where the environment gives it.
    pub(crate) master_key: Option<String>,
}

impl Settings {
    /// Decides: flags and environment (clap has read both), then the file, then defaults.
    pub(crate) fn new(args: &ServerArgs) -> Result<Self, Failure> {
        let file = read_file(args.data.config.as_deref())?;
        let data = args.data.data.clone().or(file.data).unwrap_or_else(|| DEFAULT_DATA.into());
        let database_url = args.data.database_url.clone().or(file.database_url);
        let database_url = match database_url {
            Some(url) if ["sqlite:", "postgres://", "postgresql://"].iter().any(|s| url.starts_with(s)) => {
                url
            }
            Some(url) => {
                let scheme = url.split(':').next().unwrap_or_default();
                return Err(Failure::new(format!("the database URL begins with '{scheme}:'"))
                    .hint("give postgres://... or sqlite:FILE, or nothing for a file in the data folder"));
            }
            None => sqlite_url(&data),
        };
        Ok(Self {
            listen: args.listen.or(file.listen).unwrap_or(DEFAULT_LISTEN),
            database_url,
            log: args.log.or(file.log).unwrap_or_default(),
            log_filter: args.log_filter.clone().or(file.log_filter).unwrap_or_else(|| "info".to_owned()),
            queue_capacity: args.queue_capacity.or(file.queue_capacity),
            master_key: master_key_from_environment(),
            data,
        })
    }

    /// The settings of a server with a database of its own in this folder, whatever else is configured.
    pub(crate) fn embedded(data: PathBuf, listen: SocketAddr) -> Self {
        Self {
            listen,
            database_url: sqlite_url(&data),
            data,
            log: LogForm::Human,
            log_filter: "warn".to_owned(),
            queue_capacity: None,
            master_key: None,
        }
    }
}

fn sqlite_url(data: &Path) -> String {
    format!("sqlite:{}", data.join("upswing.db").display())
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads configuration")]
fn master_key_from_environment() -> Option<String> {
    std::env::var("UPSWING_MASTER_KEY").ok().filter(|text| !text.trim().is_empty())
}

fn read_file(named: Option<&Path>) -> Result<FileOptions, Failure> {
    let path = named.unwrap_or(Path::new(DEFAULT_FILE));
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&text, &path.display().to_string()),
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            Ok(FileOptions::default())
        }
        Err(error) => Err(Failure::new(format!("cannot read {}: {error}", path.display()))
            .hint("--config with a file that is there")),
    }
}

fn parse(text: &str, path: &str) -> Result<FileOptions, Failure> {
    let bad = |error: toml::de::Error| Failure::new(format!("{path}: {}", error.to_string().trim_end()));
    let table: toml::Table = toml::from_str(text).map_err(bad)?;
    if let Some(unknown) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(Failure::new(format!("{path}: there is no option '{unknown}'")).hint(
            match nearest(unknown) {
                Some(key) => format!("did you mean '{key}'? There are {}", KEYS.join(", ")),
                None => format!("there are {}", KEYS.join(", ")),
            },
        ));
    }
    toml::from_str(text).map_err(bad)
}

/// The option that was probably meant.
fn nearest(unknown: &str) -> Option<&'static str> {
    let close = |key: &&str| strsim::jaro_winkler(unknown, key);
    KEYS.into_iter().max_by(|a, b| close(a).total_cmp(&close(b))).filter(|key| close(key) > 0.6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_option_names_the_nearest() {
        let complaint = parse("listne = \"127.0.0.1:1\"", "upswing.toml").unwrap_err().to_string();
        assert!(
            complaint.contains("'listne'") && complaint.contains("did you mean 'listen'?"),
            "{complaint}"
        );
        let complaint = parse("qqq = 1", "upswing.toml").unwrap_err().to_string();
        assert!(!complaint.contains("did you mean"), "{complaint}");
    }

    #[test]
    fn a_wrong_value_names_file_and_place() {
        let complaint = parse("listen = 8787", "upswing.toml").unwrap_err().to_string();
        assert!(complaint.contains("upswing.toml") && complaint.contains("listen"), "{complaint}");
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("upswing.toml");
        std::fs::write(&path, "listen = \"127.0.0.1:1\"\ndata = \"/d\"\nlog = \"json\"\n").unwrap();
        let data = DataArgs { config: Some(path), ..DataArgs::default() };
        let listen = Some("127.0.0.1:2".parse().unwrap());
        let settings = Settings::new(&ServerArgs { data, listen, ..ServerArgs::default() }).unwrap();
        assert_eq!(settings.listen, "127.0.0.1:2".parse().unwrap());
        assert_eq!(settings.database_url, "sqlite:/d/upswing.db");
        assert_eq!((settings.log, settings.log_filter.as_str()), (LogForm::Json, "info"));
    }

    #[test]
    fn a_database_that_is_neither_is_refused_without_repeating_its_password() {
        let data = DataArgs { database_url: Some("mysql://u:secret@h/d".to_owned()), ..DataArgs::default() };
        let complaint = Settings::new(&ServerArgs { data, ..ServerArgs::default() }).unwrap_err().to_string();
        assert!(complaint.contains("'mysql:'") && !complaint.contains("secret"), "{complaint}");
    }
}
