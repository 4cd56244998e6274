//! The processes that are measured: the server, its baseline, the load generator. Each ends with its owner.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use uuid::Uuid;

use crate::client::Client;
use crate::database::{Database, Place};
use crate::failure::{Doing as _, Failure, Result};
use crate::generate::{Load, Outcome};

/// What the surroundings may not decide.
const VARIABLES: [&str; 8] = [
    "DATABASE_URL",
    "UPSWING_CONFIG",
    "UPSWING_DATA",
    "UPSWING_LISTEN",
    "UPSWING_LOG",
    "UPSWING_LOG_FILTER",
    "UPSWING_MASTER_KEY",
    "UPSWING_QUEUE_CAPACITY",
];

fn this_program() -> Result<PathBuf> {
    std::env::current_exe().doing("finding this program")
}

fn upswing(folder: &Path) -> Result<Command> {
    let program = this_program()?.with_file_name("upswing");
    if !program.exists() {
        let message = format!("{} is not there: build it with cargo build --release", program.display());
        return Err(Failure::new(message));
    }
    let mut command = Command::new(program);
    for variable in VARIABLES {
        command.env_remove(variable);
    }
    command.current_dir(folder).kill_on_drop(true);
    Ok(command)
}

/// A program that says where it listens.
struct Listening {
    process: Child,
    address: String,
    // Held open, so that what it prints later does not end it.
    _output: BufReader<ChildStdout>,
}

impl Listening {
    async fn start(mut command: Command) -> Result<Self> {
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .doing("starting a server")?;
        let output = process.stdout.take().ok_or_else(|| Failure::new("a server without output"))?;
        let mut output = BufReader::new(output);
        let mut line = String::new();
        let read = tokio::time::timeout(Duration::from_secs(60), output.read_line(&mut line)).await;
        read.doing("waiting for a server")?.doing("reading what a server prints")?;
        let Some((_, address)) = line.trim().split_once("http://") else {
            return Err(Failure::new(format!("a server did not start: {line:?}")));
        };
        Ok(Self { process, address: address.to_owned(), _output: output })
    }

    async fn stop(mut self) -> Result<()> {
        if let Some(id) = self.process.id() {
            Command::new("kill").args(["-TERM", &id.to_string()]).status().await.doing("kill")?;
        }
        tokio::time::timeout(Duration::from_secs(60), self.process.wait())
            .await
            .doing("waiting for a server's end")?
            .doing("waiting for a server's end")?;
        Ok(())
    }
}

/// `upswing serve` on a fresh database, with an organisation and an agent of two versions.
pub(crate) struct Server {
    process: Listening,
    folder: PathBuf,
    /// Its database.
    pub(crate) database: Database,
    /// The organisation.
    pub(crate) organisation: Uuid,
    /// An administrator's key.
    pub(crate) key: String,
    /// The agent.
    pub(crate) agent: Uuid,
    /// Its versions.
    pub(crate) versions: Vec<String>,
    /// For what is asked beside the load.
    pub(crate) client: Client,
}

impl Server {
    /// Starts it.
    pub(crate) async fn start(place: &Place, scratch: &Path) -> Result<Self> {
        let folder = scratch.join(Uuid::now_v7().simple().to_string());
        std::fs::create_dir_all(&folder).doing("making a folder")?;
        let database = place.make(&folder).await?;
        let url = database.url();
        let data = folder.display().to_string();
        let options = ["--data", &data, "--database-url", &url];
        let made =
            upswing(&folder)?.args(["init", "--json"]).args(options).output().await.doing("upswing init")?;
        if !made.status.success() {
            return Err(Failure::new(format!("upswing init: {}", String::from_utf8_lossy(&made.stderr))));
        }
        let made: Value = serde_json::from_slice(&made.stdout).doing("reading what upswing init prints")?;
        let key = text(&made["key"]["secret"])?;
        let organisation = id(&made["organisation"]["id"])?;
        let mut serve = upswing(&folder)?;
        serve.args(["serve", "--listen", "127.0.0.1:0", "--log-filter", "warn"]).args(options);
        let process = Listening::start(serve).await?;
        let mut client = Client::connect(&process.address, &key).await?;
        let agent = serde_json::json!({"name": "bench", "segments": ["task"]});
        let agent = id(&client.post("/api/learning/agents", &agent).await?["id"])?;
        let mut versions = Vec::new();
        for label in ["brief", "thorough"] {
            let config = serde_json::json!({
                "model": "a-model-1", "temperature": 0.2, "max_tokens": 800,
                "prompt": format!("Answer the question below in a {label} way. Say what you are not sure of."),
            });
            let version = serde_json::json!({"label": label, "config": config});
            let answer = client.post(&format!("/api/learning/agents/{agent}/versions"), &version).await?;
            versions.push(text(answer.get("version").unwrap_or(&answer["id"]))?);
        }
        Ok(Self { process, folder, database, organisation, key, agent, versions, client })
    }

    /// One more server on the same database.
    pub(crate) async fn another(&self) -> Result<Another> {
        let mut serve = upswing(&self.folder)?;
        serve.args(["serve", "--listen", "127.0.0.1:0", "--log-filter", "warn"]);
        serve.args(["--data", &self.folder.display().to_string(), "--database-url", &self.database.url()]);
        Listening::start(serve).await.map(Another)
    }

    /// Ends it, changes its database, and starts it again.
    pub(crate) async fn around(
        self,
        change: impl AsyncFnOnce(&Database, Uuid) -> Result<()>,
    ) -> Result<Self> {
        let Self { process, folder, database, organisation, key, agent, versions, client: _ } = self;
        process.stop().await?;
        change(&database, organisation).await?;
        let mut serve = upswing(&folder)?;
        serve.args(["serve", "--listen", "127.0.0.1:0", "--log-filter", "warn"]);
        serve.args(["--data", &folder.display().to_string(), "--database-url", &database.url()]);
        let process = Listening::start(serve).await?;
        let client = Client::connect(&process.address, &key).await?;
        Ok(Self { process, folder, database, organisation, key, agent, versions, client })
    }

    /// Host and port.
    pub(crate) fn address(&self) -> &str {
        &self.process.address
    }

    /// A POST with a key.
    pub(crate) fn request(&self, path: &str, body: &str) -> String {
        Client::text(self.address(), &self.key, "POST", path, body)
    }

    /// Waits until everything that was queued is written, and learned.
    pub(crate) async fn drain(&mut self) -> Result<()> {
        let patience = tokio::time::Instant::now() + Duration::from_secs(120);
        for gauge in ["upswing_queue_depth", "upswing_learner_lag_positions"] {
            while self.client.gauge::<i64>(gauge).await? > 0 {
                if tokio::time::Instant::now() > patience {
                    return Err(Failure::new(format!("{gauge} does not fall to 0")));
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(())
    }

    /// Resident memory now and at its highest, in bytes.
    pub(crate) fn memory(&self) -> Result<(u64, u64)> {
        let id = self.process.process.id().ok_or_else(|| Failure::new("the server has ended"))?;
        let status =
            std::fs::read_to_string(format!("/proc/{id}/status")).doing("reading the server's memory")?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kilobytes = line.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
            kilobytes
                .map(|number| number * 1024)
                .ok_or_else(|| Failure::new(format!("no {name} of the server")))
        };
        Ok((field("VmRSS:")?, field("VmHWM:")?))
    }

    /// Seconds of processor time it has used.
    pub(crate) fn processor_time(&self) -> Result<f64> {
        let id = self.process.process.id().ok_or_else(|| Failure::new("the server has ended"))?;
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).doing("reading the server's time")?;
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        // User and system time are fields 14 and 15, in hundredths of a second.
        let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        Ok(ticks as f64 / 100.0)
    }

    /// Ends it.
    pub(crate) async fn stop(self) -> Result<()> {
        self.process.stop().await?;
        self.database.remove().await?;
        std::fs::remove_dir_all(&self.folder).doing("removing a folder")
    }
}

/// A server beside the one that has the database.
pub(crate) struct Another(Listening);

impl Another {
    /// Host and port.
    pub(crate) fn address(&self) -> &str {
        &self.0.address
    }

    /// Ends it.
    pub(crate) async fn stop(self) -> Result<()> {
        self.0.stop().await
    }
}

/// A server behind the same middleware that answers one constant.
pub(crate) struct Baseline(Listening);

impl Baseline {
    /// Starts it.
    pub(crate) async fn start(scratch: &Path, path: &str, answer: &str) -> Result<Self> {
        let mut command = Command::new(this_program()?);
        for variable in VARIABLES {
            command.env_remove(variable);
        }
        command.arg("baseline").arg("--folder").arg(scratch).args(["--path", path, "--answer", answer]);
        Listening::start(command).await.map(Self)
    }

    /// Host and port.
    pub(crate) fn address(&self) -> &str {
        &self.0.address
    }

    /// Ends it.
    pub(crate) async fn stop(self) -> Result<()> {
        self.0.stop().await
    }
}

/// Runs the load generator to its end.
pub(crate) async fn generate(load: &Load) -> Result<Outcome> {
    let mut command = Command::new(this_program()?);
    command.arg("generate").stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut process = command.spawn().doing("starting the load generator")?;
    let text = serde_json::to_string(load).doing("writing the load")?;
    let mut input = process.stdin.take().ok_or_else(|| Failure::new("a load generator without input"))?;
    input.write_all(text.as_bytes()).await.doing("writing the load")?;
    drop(input);
    let output = process.wait_with_output().await.doing("the load generator")?;
    if !output.status.success() {
        return Err(Failure::new("the load generator failed"));
    }
    serde_json::from_slice(&output.stdout).doing("reading the outcome")
}

fn text(value: &Value) -> Result<String> {
    value.as_str().map(str::to_owned).ok_or_else(|| Failure::new(format!("{value} is no text")))
}

fn id(value: &Value) -> Result<Uuid> {
    Uuid::parse_str(&text(value)?).doing("reading an id")
}
