//! A database with an organisation and two agents, and the servers on it.

use std::fs::{File, OpenOptions};
use std::process::Stdio;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use upswing_domain::{AgentId, OrganisationId};
use upswing_privacy::Keyring;
use upswing_store::{Store, StoreOptions};
use uuid::Uuid;

use crate::client::Client;

/// Where the data is, and who may use it.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    /// `None` for the embedded database.
    database_url: Option<String>,
    key: String,
    pub(crate) organisation: OrganisationId,
    pub(crate) agents: Vec<Agent>,
    /// A database on somebody else's server, to be dropped at the end.
    borrowed: Option<(String, String)>,
}

pub(crate) struct Agent {
    pub(crate) id: AgentId,
    pub(crate) versions: Vec<String>,
}

/// A server in a process of its own.
pub(crate) struct Server {
    process: Child,
    /// Held, so that what it prints has somewhere to go.
    _output: BufReader<ChildStdout>,
    pub(crate) client: Client,
}

/// The program with nothing of the surroundings in it.
fn clean(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        if name == "DATABASE_URL" || name.to_string_lossy().starts_with("UPSWING_") {
            command.env_remove(name);
        }
    }
    command
}

impl Place {
    /// The embedded database.
    pub(crate) async fn sqlite() -> Self {
        Self::new(None, None).await
    }

    /// A fresh database on the server of `DATABASE_URL`, if there is one.
    pub(crate) async fn postgres() -> Option<Self> {
        let server = std::env::var_os("DATABASE_URL")?.into_string().unwrap();
        let name = format!("upswing_crash_{}", Uuid::new_v4().simple());
        execute(&server, &format!("CREATE DATABASE {name}")).await;
        let start = server.find("://").unwrap() + 3;
        let (address, options) =
            server.split_once('?').map_or((server.as_str(), None), |(a, o)| (a, Some(o)));
        let host = address[start..].find('/').map_or(address, |slash| &address[..start + slash]);
        let url = match options {
            Some(options) => format!("{host}/{name}?{options}"),
            None => format!("{host}/{name}"),
        };
        Some(Self::new(Some(url), Some((server, name))).await)
    }

    /// The database at that address.
    pub(crate) async fn at(url: &str) -> Self {
        Self::new(Some(url.to_owned()), None).await
    }

    async fn new(database_url: Option<String>, borrowed: Option<(String, String)>) -> Self {
        let mut place = Self {
            folder: tempfile::tempdir().unwrap(),
            database_url,
            key: String::new(),
            organisation: OrganisationId(Uuid::nil()),
            agents: Vec::new(),
            borrowed,
        };
        let output =
            place.command(&[env!("CARGO_BIN_EXE_upswing")], &["init", "--json"]).output().await.unwrap();
        assert!(output.status.success(), "upswing init: {}", String::from_utf8_lossy(&output.stderr));
        let made: Value = serde_json::from_slice(&output.stdout).unwrap();
        place.key = made["key"]["secret"].as_str().unwrap().to_owned();
        place.organisation = OrganisationId(made["organisation"]["id"].as_str().unwrap().parse().unwrap());
        let server = place.serve().await;
        for (name, policy) in [("answers", "linear_thompson"), ("titles", "thompson")] {
            let body = json!({ "name": name, "segments": ["task"], "policy": { "name": policy } });
            let agent = server.client.expect("POST", "/api/learning/agents", Some(body)).await;
            let id = agent["id"].as_str().unwrap();
            let mut versions = Vec::new();
            for label in ["a", "b", "c"] {
                let body = json!({ "label": label, "config": { "template": label } });
                let path = format!("/api/learning/agents/{id}/versions");
                let made = server.client.expect("POST", &path, Some(body)).await;
                let version = made.get("id").or(made.get("version")).and_then(Value::as_str).unwrap();
                versions.push(version.to_owned());
            }
            place.agents.push(Agent { id: AgentId(id.parse().unwrap()), versions });
        }
        server.stop().await;
        place
    }

    fn command(&self, program: &[&str], arguments: &[&str]) -> Command {
        let mut command = Command::new(program[0]);
        clean(&mut command).args(&program[1..]).args(arguments).arg("--data").arg(self.folder.path());
        if let Some(url) = &self.database_url {
            command.args(["--database-url", url]);
        }
        command.current_dir(self.folder.path()).kill_on_drop(true);
        command
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default()
    }

    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// A server on this database.
    pub(crate) async fn serve(&self) -> Server {
        self.serve_under(&[env!("CARGO_BIN_EXE_upswing")]).await
    }

    /// A server that another program starts.
    pub(crate) async fn serve_under(&self, program: &[&str]) -> Server {
        let log: File =
            OpenOptions::new().create(true).append(true).open(self.folder.path().join("server.log")).unwrap();
        let mut process = self
            .command(program, &["serve", "--listen", "127.0.0.1:0", "--log-filter", "warn"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).await.unwrap();
        let Some(url) = line.trim().strip_prefix("Upswing listens on ") else {
            panic!("the server did not start; it said {line:?} and logged\n{}", self.log());
        };
        let client = Client::new(url, &self.key);
        Server { process, _output: output, client }
    }

    /// The database itself, while no server has it.
    pub(crate) async fn store(&self) -> Store {
        let ring =
            Keyring::parse(&std::fs::read_to_string(self.folder.path().join("master.key")).unwrap()).unwrap();
        let sealing = ring.clone();
        let embedded = format!("sqlite:{}", self.folder.path().join("upswing.db").display());
        let options = StoreOptions {
            url: self.database_url.clone().unwrap_or(embedded),
            queue_capacity: 1024,
            readers: 2,
            key_checks: ring.checks(),
            consent: Default::default(),
            content_hash: Arc::new(move |organisation, content| ring.content_hash(organisation, content)),
            audit_seal: Arc::new(move |organisation, id, line| sealing.audit_seal(organisation, id, line)),
        };
        Store::open(options).await.unwrap()
    }

    /// Leaves nothing behind.
    pub(crate) async fn remove(mut self) {
        if let Some((server, name)) = self.borrowed.take() {
            execute(&server, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            println!("The end of the servers' log:\n{}", lines[lines.len().saturating_sub(60)..].join("\n"));
        }
    }
}

impl Server {
    /// The process's number.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id().unwrap()
    }

    /// Ends it without a chance to do anything.
    pub(crate) async fn kill(mut self) {
        self.process.kill().await.unwrap();
    }

    /// Asks it to end and waits until it has.
    pub(crate) async fn stop(self) {
        let pid = self.pid();
        self.stop_process(pid).await;
    }

    /// Asks the process of that number to end, and waits until the one that was started has.
    pub(crate) async fn stop_process(mut self, pid: u32) {
        let sent = Command::new("kill").args(["-TERM", &pid.to_string()]).status().await.unwrap();
        assert!(sent.success());
        let status = self.process.wait().await.unwrap();
        assert!(status.success(), "the server ended with {status}");
    }
}

/// A connection of its own.
pub(crate) async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    #[expect(clippy::disallowed_methods, reason = "it ends when the client is dropped")]
    tokio::task::spawn(async move {
        drop(connection.await);
    });
    client
}

async fn execute(url: &str, sql: &str) {
    connect(url).await.batch_execute(sql).await.unwrap();
}
