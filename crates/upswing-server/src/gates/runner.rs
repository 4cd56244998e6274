//! Runners: what runs a version on an input, so that it can be tried before it meets traffic.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use utoipa::ToSchema;

use super::address;
use crate::problem::{Code, Problem};
use crate::server::Runners;

/// How many bytes an answer may have.
const MOST_BYTES: usize = 1024 * 1024;

/// What runs an agent's versions.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Runner {
    /// An endpoint: gets `{"config", "input"}`, answers `{"output", "latency_ms"?, "cost"?}`.
    Http {
        /// `https://...`; other addresses only where the server's configuration names their host.
        url: String,
        /// How long one answer may take, 100 to 60000; 10000 unless given.
        #[serde(default = "patience")]
        #[schema(minimum = 100, maximum = 60000, default = 10000)]
        timeout_ms: u64,
    },
    /// A program that the server's configuration names: the same on standard input and output.
    Command {
        /// Its name there.
        command: String,
        /// How long one answer may take, 100 to 60000; 10000 unless given.
        #[serde(default = "patience")]
        #[schema(minimum = 100, maximum = 60000, default = 10000)]
        timeout_ms: u64,
    },
}

fn patience() -> u64 {
    10_000
}

/// What a version answered.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Answer {
    pub(super) output: Value,
    /// As the runner says, or as was measured, whichever is more.
    #[serde(default)]
    pub(super) latency_ms: f64,
    #[serde(default)]
    pub(super) cost: Option<f64>,
}

/// A runner that can be asked.
pub(super) struct Opened {
    way: Way,
    patience: Duration,
}

enum Way {
    Http { client: reqwest::Client, url: String },
    Command(Vec<String>),
}

/// The program of that name.
pub(super) fn command(runners: &Runners, name: &str) -> Result<Vec<String>, Problem> {
    runners.commands.get(name).filter(|words| !words.is_empty()).cloned().ok_or_else(|| {
        let detail = format!("the server's configuration has no command {name} under gates.commands");
        Problem::new(Code::UnknownCommand, detail).about("command")
    })
}

impl Runner {
    /// Checks what can be checked without running anything.
    pub(crate) fn check(&self, runners: &Runners) -> Result<(), Problem> {
        let (Self::Http { timeout_ms, .. } | Self::Command { timeout_ms, .. }) = self;
        if !(100..=60_000).contains(timeout_ms) {
            let invalid = upswing_domain::Invalid::new("timeout_ms", timeout_ms, "100 to 60000");
            return Err(invalid.into());
        }
        match self {
            Self::Http { url, .. } => address::parse(url, &runners.hosts).map(drop),
            Self::Command { command: name, .. } => command(runners, name).map(drop),
        }
    }

    /// Makes it ready. The endpoint's name is looked up once, and what is found is checked and then connected to.
    pub(super) async fn open(&self, runners: &Runners) -> Result<Opened, Problem> {
        self.check(runners)?;
        let (Self::Http { timeout_ms, .. } | Self::Command { timeout_ms, .. }) = self;
        let patience = Duration::from_millis(*timeout_ms);
        let way = match self {
            Self::Command { command: name, .. } => Way::Command(command(runners, name)?),
            Self::Http { url, .. } => {
                let endpoint = address::parse(url, &runners.hosts)?;
                let addresses = endpoint.resolve().await?;
                // Another part of the program may have chosen already; either choice serves.
                let _ = rustls::crypto::ring::default_provider().install_default();
                let client = reqwest::Client::builder()
                    .resolve_to_addrs(endpoint.host(), &addresses)
                    .redirect(reqwest::redirect::Policy::none())
                    .no_proxy()
                    .build()
                    .map_err(|error| Problem::internal(&format!("an HTTP client: {error}")))?;
                Way::Http { client, url: url.clone() }
            }
        };
        Ok(Opened { way, patience })
    }
}

impl Opened {
    /// Asks a version, until `deadline` at the latest. What went wrong is said without what was answered.
    pub(super) async fn ask(
        &self,
        config: &RawValue,
        input: &Value,
        deadline: Instant,
    ) -> Result<Answer, String> {
        let question = json!({ "config": config, "input": input }).to_string();
        let patience = self.patience.min(deadline.saturating_duration_since(Instant::now()));
        let begun = Instant::now();
        let asked = async {
            match &self.way {
                Way::Http { client, url } => over_http(client, url, question).await,
                Way::Command(words) => through(words, &question).await,
            }
        };
        let bytes = tokio::time::timeout(patience, asked)
            .await
            .map_err(|_| format!("gave no answer within {} ms", patience.as_millis()))??;
        let measured = begun.elapsed().as_secs_f64() * 1000.0;
        let answer: Answer = serde_json::from_slice(&bytes).map_err(|_| {
            "answered something else than {\"output\", \"latency_ms\"?, \"cost\"?}".to_owned()
        })?;
        let odd = |number: f64| !(number.is_finite() && number >= 0.0);
        if odd(answer.latency_ms) || answer.cost.is_some_and(odd) {
            return Err("named a latency or a cost that is no number of 0 or more".to_owned());
        }
        Ok(Answer { latency_ms: answer.latency_ms.max(measured), ..answer })
    }
}

async fn over_http(client: &reqwest::Client, url: &str, question: String) -> Result<Vec<u8>, String> {
    let request = client.post(url).header("content-type", "application/json").body(question);
    let mut response = request.send().await.map_err(|_| "could not be reached".to_owned())?;
    // A redirection is not followed, so it is no success either.
    if !response.status().is_success() {
        return Err(format!("answered with status {}", response.status().as_u16()));
    }
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|_| "broke off its answer".to_owned())? {
        if bytes.len() + piece.len() > MOST_BYTES {
            return Err(too_long());
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

fn too_long() -> String {
    format!("answered more than {MOST_BYTES} bytes")
}

/// Runs a program with a text on its standard input; what it prints. It is ended when nobody waits for it any more.
pub(super) async fn through(words: &[String], text: &str) -> Result<Vec<u8>, String> {
    let Some((program, arguments)) = words.split_first() else { return Err("names no program".to_owned()) };
    let mut command = tokio::process::Command::new(program);
    // Its environment is not the server's, in which the master key may stand.
    command.args(arguments).env_clear().kill_on_drop(true);
    command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|_| "could not be started".to_owned())?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let write = async {
        if let Some(mut stdin) = stdin {
            // A program that does not read its input may still answer.
            let _ = stdin.write_all(text.as_bytes()).await;
        }
    };
    let read = async {
        let mut bytes = Vec::new();
        if let Some(stdout) = stdout {
            let most = MOST_BYTES as u64 + 1;
            stdout.take(most).read_to_end(&mut bytes).await.map_err(|_| "broke off its answer".to_owned())?;
        }
        if bytes.len() > MOST_BYTES { Err(too_long()) } else { Ok(bytes) }
    };
    let ((), bytes) = tokio::join!(write, read);
    let bytes = bytes?;
    match child.wait().await {
        Ok(status) if status.success() => Ok(bytes),
        _ => Err("ended with an error".to_owned()),
    }
}
