//! Every option of the servers and the administration: from flags, the environment, then a file, then defaults. What a file
//! may hold stands in `options.rs`.
//!
//! The master key is no option: it comes from `UPSWING_MASTER_KEY` or from a file of its own, never from a flag that
//! other users of the machine can see.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use upswing_domain::ConsentRule;

use crate::failure::Failure;
use crate::options::Given;

/// The file that is read when it is there and none is named.
const DEFAULT_FILE: &str = "upswing.toml";
/// Where to listen when nothing is said.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8787);
/// Where the data is when nothing is said.
const DEFAULT_DATA: &str = "upswing-data";

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
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
    /// A TOML, YAML or JSON file with options [default: upswing.toml, if there is one]
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

/// How the server learns, and what it keeps.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct LearningSettings {
    /// Whether policies learn.
    pub(crate) enabled: Option<bool>,
    /// Whether windows over behaviour make profiles.
    pub(crate) recognition: Option<bool>,
    /// Which share of executions people are asked about, and of behaviour is kept.
    pub(crate) collection_rate: Option<f64>,
    /// Up to how many stars details are asked for.
    pub(crate) details_threshold: Option<u8>,
    /// Whether texts are looked through for what they are about.
    pub(crate) enrichment: Option<bool>,
    /// How much of one author teaches.
    pub(crate) author_cap: Option<i64>,
    /// How many copies of a text teach.
    pub(crate) copies_cap: Option<i64>,
    /// Who may be learned from.
    pub(crate) consent: Option<ConsentRule>,
    /// For how many days texts are kept.
    pub(crate) content_days: Option<i64>,
    /// For how many days performance is kept.
    pub(crate) performance_days: Option<i64>,
    /// For how many days profiles and windows are kept.
    pub(crate) pattern_days: Option<i64>,
    /// Whether accounts that act in concert are looked for.
    pub(crate) reputation: Option<bool>,
    /// How many units an experiment needs that does not say it.
    pub(crate) experiment_samples: Option<u64>,
    /// For how many hours it runs at least.
    pub(crate) experiment_hours: Option<i64>,
    /// How often it may be wrong.
    pub(crate) experiment_significance: Option<f64>,
}

impl LearningSettings {
    fn new(given: &Given) -> Self {
        let switches = [given.flag("learning.enabled"), given.flag("learning.historical_learning_enabled")];
        let days = [
            given.whole("learning.feedback.retention_days"),
            given.whole("learning.data_retention.interaction_data_days"),
        ];
        Self {
            enabled: switches.into_iter().flatten().reduce(|a, b| a && b),
            recognition: given.flag("learning.pattern_recognition_enabled"),
            collection_rate: given.number("learning.feedback.collection_rate"),
            details_threshold: given
                .whole("learning.feedback.require_rating_threshold")
                .and_then(|stars| u8::try_from(stars).ok()),
            enrichment: given.flag("learning.enrichment_enabled"),
            author_cap: given.whole("learning.feedback.author_cap"),
            copies_cap: given.whole("learning.feedback.copies_cap"),
            consent: given.text("learning.feedback.consent").map(|rule| match rule.as_str() {
                "required" => ConsentRule::Required,
                _ => ConsentRule::UnlessRefused,
            }),
            content_days: days.into_iter().flatten().max(),
            performance_days: given.whole("learning.data_retention.performance_data_days"),
            pattern_days: given.whole("learning.data_retention.pattern_data_days"),
            reputation: given.flag("learning.reputation_enabled"),
            experiment_samples: given
                .whole("learning.experiments.min_samples")
                .and_then(|units| u64::try_from(units).ok()),
            experiment_hours: given.whole("learning.experiments.min_duration_hours"),
            experiment_significance: given.number("learning.experiments.significance_threshold"),
        }
    }
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
    /// How the server learns, and what it keeps.
    pub(crate) learning: LearningSettings,
    /// Hosts at which versions may be tried although they are not public.
    pub(crate) runner_hosts: Vec<String>,
    /// Programs that try versions or judge answers, by name, with their arguments.
    pub(crate) commands: BTreeMap<String, Vec<String>>,
    /// What was configured and has no effect yet, each with the part it waits for.
    pub(crate) idle: Vec<(&'static str, &'static str)>,
}

impl Settings {
    /// Decides: flags and environment (clap has read both), then the file, then defaults.
    pub(crate) fn new(args: &ServerArgs) -> Result<Self, Failure> {
        let given = given(args.data.config.as_deref())?;
        let data = args.data.data.clone().or(given.text("data").map(Into::into));
        let data = data.unwrap_or_else(|| DEFAULT_DATA.into());
        let database_url = args.data.database_url.clone().or(given.text("database_url"));
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
        let listen = match (args.listen, given.text("listen")) {
            (Some(listen), _) => listen,
            (None, Some(text)) => text.parse().map_err(|_| {
                Failure::new(format!("listen is '{text}'"))
                    .hint("an address with a port, as in 127.0.0.1:8787")
            })?,
            (None, None) => DEFAULT_LISTEN,
        };
        let log = given.text("log").map(|form| if form == "json" { LogForm::Json } else { LogForm::Human });
        let queue_capacity = given.whole("queue_capacity").and_then(|n| usize::try_from(n).ok());
        Ok(Self {
            listen,
            database_url,
            log: args.log.or(log).unwrap_or_default(),
            log_filter: args
                .log_filter
                .clone()
                .or(given.text("log_filter"))
                .unwrap_or_else(|| "info".to_owned()),
            queue_capacity: args.queue_capacity.or(queue_capacity),
            master_key: master_key_from_environment(),
            data,
            learning: LearningSettings::new(&given),
            runner_hosts: given.texts("gates.runner_hosts"),
            commands: commands(&given.texts("gates.commands"))?,
            idle: given.idle(),
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
            learning: LearningSettings::default(),
            runner_hosts: Vec::new(),
            commands: BTreeMap::new(),
            idle: Vec::new(),
        }
    }
}

/// Programs by name, out of `NAME=PROGRAM ARGUMENT ...`.
fn commands(texts: &[String]) -> Result<BTreeMap<String, Vec<String>>, Failure> {
    let mut commands = BTreeMap::new();
    for text in texts {
        let (name, program) = text.split_once('=').unwrap_or((text, ""));
        let words: Vec<_> = program.split_whitespace().map(str::to_owned).collect();
        if name.trim().is_empty() || words.is_empty() {
            return Err(Failure::new(format!("gates.commands has '{text}'"))
                .hint("NAME=PROGRAM ARGUMENT ..., as in judge=/usr/local/bin/judge --strict"));
        }
        commands.insert(name.trim().to_owned(), words);
    }
    Ok(commands)
}

fn sqlite_url(data: &Path) -> String {
    format!("sqlite:{}", data.join("upswing.db").display())
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads configuration")]
fn master_key_from_environment() -> Option<String> {
    std::env::var("UPSWING_MASTER_KEY").ok().filter(|text| !text.trim().is_empty())
}

/// What a file, if there is one, and the environment say.
pub(crate) fn given(named: Option<&Path>) -> Result<Given, Failure> {
    let path = named.unwrap_or(Path::new(DEFAULT_FILE));
    let file = match std::fs::read_to_string(path) {
        Ok(text) => Given::parse(&text, &path.display().to_string())?,
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => Given::default(),
        Err(error) => {
            return Err(Failure::new(format!("cannot read {}: {error}", path.display()))
                .hint("name a file that is there; without a name upswing.toml of this folder is read, if there is one"));
        }
    };
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads configuration")]
    let variable = |name: &str| std::env::var(name).ok();
    file.with_environment(variable)
}

#[cfg(test)]
mod tests {
    use super::*;

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
