//! Databases for tests, and the world that most of them start from.

use std::collections::BTreeMap;
use std::future::Future;
use std::io::Write as _;
use std::sync::Arc;

use upswing_domain::{
    AgentId, AgentName, Context, ContextValue, Decision, DecisionId, DecisionReason, Dimensions, Execution,
    ExecutionId, Feedback, FeedbackId, FeedbackSource, FeedbackType, OrganisationId, Origin, PolicyConfig,
    Probability, RewardDefinition, Timestamp, Version, VersionId,
};
use upswing_store::{Ack, Actor, Event, Fingerprint, NewAgent, Store, StoreOptions};
use uuid::Uuid;

pub(crate) const NOW: Timestamp = Timestamp(1_790_000_000_000_000);

/// Names what a test could not run and why; a failure where everything is required.
pub(crate) fn skipped(test: &str, reason: &str) {
    let line = format!("SKIPPED {test}: {reason}");
    assert!(std::env::var_os("UPSWING_REQUIRE_ALL").is_none(), "{line}");
    eprintln!("{line}");
    if let Some(path) = std::env::var_os("UPSWING_SKIP_LOG") {
        let mut log = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(log, "{line}").unwrap();
    }
}

/// A database that is gone when the test ends.
pub(crate) struct Database {
    pub(crate) url: String,
    _folder: Option<tempfile::TempDir>,
}

impl Database {
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { url: format!("sqlite:{}", folder.path().join("upswing.db").display()), _folder: Some(folder) }
    }

    /// A fresh database on the server of `DATABASE_URL`, if there is one.
    pub(crate) async fn postgres() -> Option<Self> {
        let url = std::env::var("DATABASE_URL").ok()?;
        let name = format!("upswing_test_{}", Uuid::new_v4().simple());
        let admin = connect(&url).await;
        admin.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        Some(Self { url: with_database(&url, &name), _folder: None })
    }

    pub(crate) async fn store(&self) -> Store {
        Store::open(options(&self.url)).await.unwrap()
    }

    pub(crate) async fn drop(self) {
        if let Some(url) = std::env::var("DATABASE_URL").ok().filter(|_| self._folder.is_none()) {
            let name = self.url.rsplit('/').next().unwrap().split('?').next().unwrap().to_owned();
            let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            let admin = connect(&url).await;
            // A vacuum worker inside is a superuser's, which an owner may not end: it leaves by itself.
            while let Err(error) = admin.batch_execute(&sql).await {
                assert_eq!(error.code().map(|c| c.code()), Some("42501"), "{error}");
            }
        }
    }
}

/// A plain connection, with the rights of the URL's role.
pub(crate) async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::task::spawn(async move {
        let _ = connection.await;
    });
    client
}

/// Changes rows behind the store's back. There is one organisation in these databases.
pub(crate) async fn tamper(database: &Database, sql: &str) {
    if let Some(path) = database.url.strip_prefix("sqlite:") {
        rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
        return;
    }
    let client = connect(&database.url).await;
    let see = "SELECT set_config('upswing.organisations', coalesce(string_agg(id::text, ','), ''), false) \
               FROM organisation";
    client.execute(see, &[]).await.unwrap();
    client.batch_execute(sql).await.unwrap();
}

fn with_database(url: &str, name: &str) -> String {
    let (base, query) = url.split_once('?').map_or((url, None), |(b, q)| (b, Some(q)));
    let scheme = base.find("://").unwrap() + 3;
    let base = match base[scheme..].find('/') {
        Some(slash) => &base[..scheme + slash],
        None => base,
    };
    query.map_or_else(|| format!("{base}/{name}"), |q| format!("{base}/{name}?{q}"))
}

pub(crate) fn options(url: &str) -> StoreOptions {
    StoreOptions {
        url: url.to_owned(),
        queue_capacity: 4096,
        readers: 4,
        consent: upswing_domain::ConsentRule::UnlessRefused,
        key_checks: vec![(1, [7; 32])],
        content_hash: Arc::new(|organisation, content| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(organisation.0.as_bytes()).update(content);
            hasher.finalize().as_bytes()[..18].try_into().unwrap()
        }),
        audit_seal: Arc::new(|organisation, id, line| {
            // One key, of id 1.
            let mut hasher = blake3::Hasher::new_keyed(&[7; 32]);
            hasher.update(organisation.0.as_bytes()).update(line);
            matches!(id, None | Some(1)).then(|| (1, *hasher.finalize().as_bytes()))
        }),
    }
}

/// Runs a test on SQLite, and on PostgreSQL where there is one.
pub(crate) async fn on_both<F, Fut>(name: &str, test: F)
where
    F: Fn(Database) -> Fut,
    Fut: Future<Output = Database>,
{
    test(Database::sqlite()).await.drop().await;
    match Database::postgres().await {
        Some(database) => test(database).await.drop().await,
        None => skipped(name, "no PostgreSQL: set DATABASE_URL, or run scripts/postgres start"),
    }
}

/// An organisation with an agent that has two versions.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) organisation: OrganisationId,
    pub(crate) agent: AgentId,
    pub(crate) versions: Vec<VersionId>,
}

impl World {
    pub(crate) async fn new(database: &Database) -> Self {
        Self::within(database.store().await).await
    }

    pub(crate) async fn within(store: Store) -> Self {
        let organisation = OrganisationId(Uuid::now_v7());
        store.create_organisation(organisation, "Test".to_owned(), NOW).await.unwrap();
        let agent = AgentId(Uuid::now_v7());
        let new = NewAgent {
            id: agent,
            name: AgentName::new("answers").unwrap(),
            description: String::new(),
            salt: "salt".to_owned(),
            segments: vec!["task".to_owned()],
            output_schema: None,
            policy: PolicyConfig::default(),
            reward_definition: RewardDefinition::default(),
        };
        store.create_agent(actor(organisation), new).await.unwrap();
        let mut versions = Vec::new();
        for label in ["a", "b"] {
            let (id, config) = Version::content(&serde_json::json!({ "template": label })).unwrap();
            let version = Version {
                id,
                agent,
                label: label.to_owned(),
                config,
                parents: Vec::new(),
                eligible: true,
                created_at: NOW,
            };
            store.add_version(actor(organisation), version).await.unwrap();
            versions.push(id);
        }
        Self { store, organisation, agent, versions }
    }

    pub(crate) fn decision(&self, id: u128) -> Decision {
        let task = ContextValue::Category(format!("task-{}", id % 3));
        Decision {
            id: DecisionId(Uuid::from_u128(id)),
            agent: self.agent,
            version: self.versions[(id % 2) as usize],
            unit: None,
            context: Some(Context::new(BTreeMap::from([("task".to_owned(), task)])).unwrap()),
            reason: DecisionReason::Policy,
            origin: Origin::Live,
            propensity: Probability::new(0.25).unwrap(),
            probabilities: vec![0.25, 0.75],
            assignment: None,
            epoch: 3,
            policy_revision: 0,
            decided_at: NOW,
        }
    }

    pub(crate) fn execution(&self, id: u128) -> Execution {
        Execution {
            id: ExecutionId(Uuid::from_u128(id)),
            agent: self.agent,
            decision: None,
            version: None,
            unit: None,
            subject: None,
            session: None,
            trace: None,
            parent: None,
            step: None,
            context: None,
            input: Some("question".to_owned()),
            output: Some("answer".to_owned()),
            metrics: BTreeMap::from([("latency_ms".to_owned(), 120.0)]),
            error: None,
            record: None,
            enrichment: None,
            origin: Origin::Live,
            occurred_at: NOW,
        }
    }

    pub(crate) fn feedback(&self, id: u128, execution: u128, reward: f64) -> Feedback {
        Feedback {
            id: FeedbackId(Uuid::from_u128(id)),
            agent: self.agent,
            target: upswing_domain::Target::Execution(ExecutionId(Uuid::from_u128(execution))),
            feedback_type: FeedbackType::Metric,
            source: FeedbackSource::Program,
            author: None,
            rating: None,
            dimensions: Dimensions::default(),
            issue_categories: Vec::new(),
            metrics: BTreeMap::from([("reward".to_owned(), reward)]),
            text: None,
            correction: None,
            details: None,
            standing: upswing_domain::Standing::Counted,
            findings: Default::default(),
            occurred_at: NOW,
        }
    }

    pub(crate) async fn write(&self, events: Vec<Event>) -> Vec<Ack> {
        self.store.write(self.organisation, NOW, events).await.unwrap()
    }

    pub(crate) async fn ledger(&self) -> Vec<upswing_store::LedgerEntry> {
        let zero = upswing_domain::Position(0);
        self.store.ledger(self.organisation, self.agent, zero, 100_000).await.unwrap()
    }
}

pub(crate) fn actor(organisation: OrganisationId) -> Actor {
    Actor { organisation, key: None, now: NOW, request: Some("request".to_owned()) }
}

/// A fingerprint that follows from what is said.
pub(crate) fn fingerprint(what: &str) -> Vec<Fingerprint> {
    vec![blake3::hash(what.as_bytes()).as_bytes()[..18].try_into().unwrap()]
}

pub(crate) fn execution(execution: Execution) -> Event {
    let fingerprints = fingerprint(&format!("{execution:?}"));
    Event::Execution { execution: Box::new(execution), fingerprints, restore: None }
}

pub(crate) fn feedback(feedback: Feedback) -> Event {
    let fingerprints = fingerprint(&format!("{feedback:?}"));
    Event::Feedback {
        feedback: Box::new(feedback),
        fingerprints,
        restore: None,
        token_uses: None,
        defence: None,
    }
}
