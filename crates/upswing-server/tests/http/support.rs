//! A server with an organisation, an agent with two versions, and keys of every role.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use upswing_domain::{KeyId, OrganisationId, Role, Timestamp};
use upswing_privacy::{ApiKeyKind, ApiKeySecret, Keyring};
use upswing_server::{Clock, Config, ManualClock, Server, SystemClock};
use upswing_store::{Actor, ApiKey};
use uuid::Uuid;

/// Where a manual clock begins.
pub(crate) const START: Timestamp = Timestamp(1_790_000_000_000_000);
/// The origin that the publishable key declares.
pub(crate) const ORIGIN: &str = "https://app.example.com";

/// Names what a test could not run and why; a failure where everything is required.
pub(crate) fn skipped(test: &str, reason: &str) {
    let line = format!("SKIPPED {test}: {reason}");
    assert!(std::env::var_os("UPSWING_REQUIRE_ALL").is_none_or(|v| v != "1"), "{line}");
    eprintln!("{line}");
    if let Some(path) = std::env::var_os("UPSWING_SKIP_LOG") {
        let mut log = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(log, "{line}").unwrap();
    }
}

/// A database that is gone when the test ends.
pub(crate) struct Database {
    pub(crate) url: String,
    folder: Option<tempfile::TempDir>,
}

impl Database {
    fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { url: format!("sqlite:{}", folder.path().join("upswing.db").display()), folder: Some(folder) }
    }

    /// A fresh database on the server of `DATABASE_URL`, if there is one.
    pub(crate) async fn postgres() -> Option<Self> {
        let url = database_url()?;
        let name = format!("upswing_test_{}", Uuid::new_v4().simple());
        admin(&url).await.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        Some(Self { url: with_database(&url, &name), folder: None })
    }

    /// All that stands in it, as text.
    pub(crate) async fn dump(&self) -> String {
        let Some(folder) = &self.folder else {
            let client = admin(&self.url).await;
            // Row security holds for whoever owns the tables as well.
            let see = "SELECT set_config('upswing.organisations', coalesce(string_agg(id::text, ','), ''), false) \
                       FROM organisation";
            client.execute(see, &[]).await.unwrap();
            let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'";
            let mut all = String::new();
            for table in client.query(tables, &[]).await.unwrap() {
                let name: String = table.get(0);
                // Bytes are written as the text that they might be.
                let rows = client.query(&format!("SELECT t::text FROM \"{name}\" t"), &[]).await.unwrap();
                for row in rows {
                    all.push_str(&row.get::<_, String>(0));
                    all.push('\n');
                }
            }
            return all;
        };
        let mut all = String::new();
        for file in std::fs::read_dir(folder.path()).unwrap() {
            all.push_str(&String::from_utf8_lossy(&std::fs::read(file.unwrap().path()).unwrap()));
        }
        all
    }

    pub(crate) async fn remove(self) {
        if let (None, Some(url)) = (&self.folder, database_url()) {
            let name = self.url.rsplit('/').next().unwrap().split('?').next().unwrap().to_owned();
            let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            let admin = admin(&url).await;
            // A worker of autovacuum may be in there, which only a superuser could send away: it leaves by itself.
            for _ in 0..100 {
                match admin.batch_execute(&drop).await {
                    Err(error) if error.code().is_some_and(|code| code.code() == "42501") => {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                    dropped => return dropped.unwrap(),
                }
            }
            panic!("{name} is still in use");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a test has no configuration to read it from")]
fn database_url() -> Option<String> {
    std::env::var("DATABASE_URL").ok()
}

#[expect(clippy::disallowed_methods, reason = "the connection's task ends with its client")]
async fn admin(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(async move {
        let _ = connection.await;
    });
    client
}

fn with_database(url: &str, name: &str) -> String {
    let (base, query) = url.split_once('?').map_or((url, None), |(b, q)| (b, Some(q)));
    let scheme = base.find("://").unwrap() + 3;
    let base = base[scheme..].find('/').map_or(base, |slash| &base[..scheme + slash]);
    query.map_or_else(|| format!("{base}/{name}"), |q| format!("{base}/{name}?{q}"))
}

/// A way to a database that can be cut and mended.
pub(crate) struct Wire {
    /// The database's address through the wire.
    pub(crate) url: String,
    here: std::net::SocketAddr,
    there: String,
    carrying: Option<tokio::task::JoinHandle<()>>,
}

impl Wire {
    /// A wire to the database; `None` where it is reached in a way that cannot be cut here.
    pub(crate) async fn to(database: &Database) -> Option<Self> {
        let config: tokio_postgres::Config = database.url.parse().unwrap();
        let host = match config.get_hosts() {
            [tokio_postgres::config::Host::Tcp(host)] => host.clone(),
            _ => return None,
        };
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let here = free.local_addr().unwrap();
        drop(free);
        let there = format!("{host}:{port}");
        let authority = |url: &str| {
            let start = url.find("://").unwrap() + 3;
            let start = url[start..].find('@').map_or(start, |at| start + at + 1);
            let end = url[start..].find(['/', '?']).map_or(url.len(), |end| start + end);
            (start, end)
        };
        let (start, end) = authority(&database.url);
        let url = format!("{}{here}{}", &database.url[..start], &database.url[end..]);
        let mut wire = Self { url, here, there, carrying: None };
        wire.mend().await;
        Some(wire)
    }

    pub(crate) fn cut(&mut self) {
        if let Some(carrying) = self.carrying.take() {
            carrying.abort();
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the task ends when the wire is cut")]
    pub(crate) async fn mend(&mut self) {
        let listener = tokio::net::TcpListener::bind(self.here).await.unwrap();
        let there = self.there.clone();
        self.carrying = Some(tokio::spawn(async move {
            // Connections live in this task: when it is cut, they are.
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let there = there.clone();
                connections.spawn(async move {
                    if let Ok(mut far) = tokio::net::TcpStream::connect(there).await {
                        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                    }
                });
            }
        }));
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.cut();
    }
}

/// Runs a test on SQLite, and on PostgreSQL where there is one.
pub(crate) async fn on_both(name: &str, test: impl AsyncFn(&mut World)) {
    run(Database::sqlite(), Arc::new(SystemClock), &test).await;
    match Database::postgres().await {
        Some(database) => run(database, Arc::new(SystemClock), &test).await,
        None => skipped(&format!("{name} on PostgreSQL"), "DATABASE_URL is not set"),
    }
}

/// The same with a clock that stands at [`START`] until it is moved.
pub(crate) async fn on_both_with_clock(name: &str, test: impl AsyncFn(&mut World, &ManualClock)) {
    let clock = ManualClock::new(START);
    run(Database::sqlite(), Arc::new(clock.clone()), &async |world: &mut World| test(world, &clock).await)
        .await;
    match Database::postgres().await {
        Some(database) => {
            let clock = ManualClock::new(START);
            let test = async |world: &mut World| test(world, &clock).await;
            run(database, Arc::new(clock.clone()), &test).await;
        }
        None => skipped(&format!("{name} on PostgreSQL"), "DATABASE_URL is not set"),
    }
}

/// Runs a test on PostgreSQL alone.
pub(crate) async fn on_postgres(name: &str, test: impl AsyncFn(&mut World)) {
    match Database::postgres().await {
        Some(database) => run(database, Arc::new(SystemClock), &test).await,
        None => skipped(name, "DATABASE_URL is not set"),
    }
}

async fn run(database: Database, clock: Arc<dyn Clock>, test: &impl AsyncFn(&mut World)) {
    let mut world = World::start(database, clock).await;
    test(&mut world).await;
    world.end().await;
}

/// What an answer said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, text: response.text().await.unwrap() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    /// The answer has this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        if self.text.is_empty() { Value::Null } else { self.json() }
    }

    /// The answer is a problem with this status and code.
    #[track_caller]
    pub(crate) fn problem(self, status: u16, code: &str) -> Value {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text);
        let body = self.json();
        assert_eq!((self.status, body["code"].as_str().unwrap()), (status, code), "{}", self.text);
        assert_eq!(body["status"], status);
        assert_eq!(body["request_id"], self.header("x-request-id"));
        for field in ["type", "title", "detail"] {
            assert!(body[field].as_str().is_some_and(|text| !text.is_empty()), "{}", self.text);
        }
        body
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub(crate) struct World {
    pub(crate) database: Database,
    pub(crate) keyring: Keyring,
    pub(crate) clock: Arc<dyn Clock>,
    server: Option<Server>,
    pub(crate) client: reqwest::Client,
    pub(crate) organisation: OrganisationId,
    pub(crate) admin: String,
    pub(crate) expert: String,
    pub(crate) member: String,
    pub(crate) publishable: String,
    pub(crate) agent: String,
    pub(crate) versions: Vec<String>,
}

impl World {
    pub(crate) async fn start(database: Database, clock: Arc<dyn Clock>) -> Self {
        // Whatever TLS another crate of the workspace turns on, these tests speak plainly.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let keyring = Keyring::generate().unwrap();
        let server = Server::start(config(&database.url, &keyring, &clock)).await.unwrap();
        let organisation = OrganisationId(Uuid::now_v7());
        server.store().create_organisation(organisation, "Test".to_owned(), clock.now()).await.unwrap();
        let mut world = Self {
            database,
            keyring,
            clock,
            server: Some(server),
            client: reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap(),
            organisation,
            admin: String::new(),
            expert: String::new(),
            member: String::new(),
            publishable: String::new(),
            agent: String::new(),
            versions: Vec::new(),
        };
        world.admin = world.key(organisation, Role::Admin, None).await.0;
        world.expert = world.key(organisation, Role::Expert, None).await.0;
        world.member = world.key(organisation, Role::Member, None).await.0;
        world.publishable = world.key(organisation, Role::Publishable, None).await.0;
        world.server().refresh().await.unwrap();
        let agent =
            world.post("/api/learning/agents", &json!({"name": "answers", "segments": ["task"]})).await;
        world.agent = agent.expect(201)["id"].as_str().unwrap().to_owned();
        for label in ["direct", "steps"] {
            let version = world.add_version(label).await;
            world.versions.push(version);
        }
        world
    }

    pub(crate) fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    pub(crate) async fn end(mut self) {
        self.stop().await;
        self.database.remove().await;
    }

    pub(crate) async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.shutdown().await;
        }
    }

    /// Ends the server and starts one on the same database.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.server = Some(self.another().await);
    }

    /// Goes on with a server that was started otherwise.
    pub(crate) fn resume(&mut self, server: Server) {
        self.server = Some(server);
    }

    /// Ends the server and starts one that reaches its database elsewhere.
    pub(crate) async fn restart_at(&mut self, url: &str) {
        self.stop().await;
        self.server = Some(Server::start(config(url, &self.keyring, &self.clock)).await.unwrap());
    }

    /// Ends the server and starts one that is configured otherwise.
    pub(crate) async fn restart_with(&mut self, change: impl FnOnce(&mut Config)) {
        self.stop().await;
        let mut config = config(&self.database.url, &self.keyring, &self.clock);
        change(&mut config);
        self.server = Some(Server::start(config).await.unwrap());
    }

    /// One more server on the same database.
    pub(crate) async fn another(&self) -> Server {
        Server::start(config(&self.database.url, &self.keyring, &self.clock)).await.unwrap()
    }

    /// A key straight from the store.
    pub(crate) async fn key(
        &self,
        organisation: OrganisationId,
        role: Role,
        expires_at: Option<Timestamp>,
    ) -> (String, KeyId) {
        let kind = if role == Role::Publishable { ApiKeyKind::Publishable } else { ApiKeyKind::Secret };
        let secret = ApiKeySecret::generate(kind).unwrap();
        let now = self.clock.now();
        let key = ApiKey {
            id: KeyId(Uuid::now_v7()),
            organisation,
            name: role.name().to_owned(),
            role,
            hint: secret.hint().to_owned(),
            origins: if role == Role::Publishable { vec![ORIGIN.to_owned()] } else { Vec::new() },
            created_at: now,
            expires_at,
            revoked_at: None,
        };
        let actor = Actor { organisation, key: None, now, request: None };
        let hash = self.keyring.api_key_hashes(secret.expose())[0];
        let key = self.server().store().create_key(actor, key, hash).await.unwrap();
        (secret.expose().to_owned(), key.id)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.server().url()))
    }

    /// As the administrator.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path).bearer_auth(&self.admin)).await
    }

    /// As the administrator.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(Method::POST, path).bearer_auth(&self.admin).json(body)).await
    }

    /// As the administrator.
    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(Method::PUT, path).bearer_auth(&self.admin).json(body)).await
    }

    /// Text as it is, as the administrator.
    pub(crate) async fn post_text(
        &self,
        path: &str,
        content_type: &str,
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let request =
            self.request(Method::POST, path).bearer_auth(&self.admin).header("content-type", content_type);
        Answer::of(request.body(body)).await
    }

    /// `agents/{agent_id}` and what follows.
    pub(crate) fn agent_path(&self, rest: &str) -> String {
        format!("/api/learning/agents/{}{rest}", self.agent)
    }

    pub(crate) async fn add_version(&self, label: &str) -> String {
        let body = json!({"label": label, "config": {"template": label}});
        let version = self.post(&self.agent_path("/versions"), &body).await.expect(201);
        version["version"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn decide(&self, more: &Value) -> Value {
        self.decide_answer(more).await.expect(200)
    }

    pub(crate) async fn decide_answer(&self, more: &Value) -> Answer {
        let mut body = json!({"agent_id": self.agent});
        merge(&mut body, more);
        self.post("/api/learning/decide", &body).await
    }

    /// Reports the execution of a decision.
    pub(crate) async fn execute(&self, decision: &Value) -> Value {
        let body = json!({"agent_id": self.agent, "decision_id": decision["decision_id"], "token": decision["token"]});
        self.post("/api/learning/executions", &body).await.expect(201)
    }

    /// Says how good an execution was.
    pub(crate) async fn reward(&self, execution: &Value, reward: f64) -> Value {
        let body = json!({"agent_id": self.agent, "execution_id": execution, "feedback_type": "metric",
                          "source": "program", "metrics": {"reward": reward}});
        self.post("/api/learning/feedback", &body).await.expect(201)
    }

    /// Decides, executes, gives feedback; the feedback.
    pub(crate) async fn turn(&self, more: &Value, reward: impl Fn(&str) -> f64) -> Value {
        let decision = self.decide(more).await;
        let execution = self.execute(&decision).await;
        self.reward(&execution["id"], reward(decision["label"].as_str().unwrap())).await
    }

    /// Waits until the learner has read up to a position.
    pub(crate) async fn learned(&self, position: &Value) {
        self.decide(&json!({"min_position": position})).await;
    }

    /// Asks until the condition holds. A bound, not a pause: it is as quick as what it waits for.
    pub(crate) async fn until(&self, path: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        for _ in 0..400 {
            last = self.get(path).await.expect(200);
            if condition(&last) {
                return last;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{path} did not come to that; at last {last}");
    }
}

pub(crate) fn config(url: &str, keyring: &Keyring, clock: &Arc<dyn Clock>) -> Config {
    let mut config = Config::new(url, keyring.clone());
    config.clock = Arc::clone(clock);
    config
}

pub(crate) fn merge(body: &mut Value, more: &Value) {
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
}
