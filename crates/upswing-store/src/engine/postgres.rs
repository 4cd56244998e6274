//! PostgreSQL: one client a connection, statements prepared once, round trips shared by pipelining.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::{Either, join, join_all, join3, select};
use postgres_types::{ToSql, Type};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Statement};
use upswing_domain::OrganisationId;

use super::schema::{Dialect, migrations};
use super::table::{Form, Lookup, Question, Table};
use crate::StoreError;
use crate::value::{Column, Row, Value};

/// The role that the server works as: no superuser, no bypassing of row security, owner of nothing.
const ROLE: &str = "upswing_app";

/// One connection.
pub(crate) struct Postgres {
    client: Client,
    statements: HashMap<String, Statement>,
    /// Statements that write rows of these forms, all at once.
    writing: HashMap<Vec<Form>, Writing>,
    /// What [`LASTING_SCOPE`] was set to.
    looks_at: Vec<OrganisationId>,
    /// Ends when the connection does; kept so that it is dropped with it.
    _driver: Driver,
}

struct Driver(tokio::task::JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How many statements one connection keeps for rows of different forms.
const FORMS: usize = 200;
/// How often forms come together before they get a statement of their own.
const OFTEN: u32 = 3;

/// How rows of some forms are written.
enum Writing {
    /// Each by itself: they have come together so many times.
    Apart(u32),
    /// In one statement.
    Together(Statement),
}

/// What came of writing at once.
pub(super) enum AtOnce {
    Written,
    /// Something stood elsewhere: nothing was written.
    Moved,
    /// These rows do not come together often enough to have a statement. Nothing was written.
    TooRare(Vec<(&'static Table, Vec<Vec<Value>>)>),
}

/// Which organisations row security lets through, until the transaction ends.
const SCOPE: &str = "SELECT set_config('upswing.organisations', $1, true)";
/// The same, until another one is set.
const LASTING_SCOPE: &str = "SELECT set_config('upswing.organisations', $1, false)";
const HEADS: &str = "SELECT organisation, position FROM stream_head WHERE organisation = ANY ($1) \
                     ORDER BY organisation FOR UPDATE";

/// What one says on becoming a listener, and what tells listeners.
const LISTEN: &str = "LISTEN upswing_changes";
const NOTIFY: &str = "NOTIFY upswing_changes";

type Driving = tokio_postgres::Connection<
    tokio_postgres::Socket,
    <tokio_postgres_rustls::MakeRustlsConnect as tokio_postgres::tls::MakeTlsConnect<
        tokio_postgres::Socket,
    >>::Stream,
>;

/// A connection and what drives it.
async fn open(url: &str) -> Result<(Client, Driving), StoreError> {
    let mut config: tokio_postgres::Config =
        url.parse().map_err(|e| StoreError::Configuration(format!("DATABASE_URL is not understood: {e}")))?;
    config.application_name("upswing");
    config.connect_timeout(std::time::Duration::from_secs(5));
    if config.get_ssl_mode() == SslMode::Prefer {
        // Whoever does not say gets no half-measure: none on this machine, verified TLS to another one.
        config.ssl_mode(if is_local(&config) { SslMode::Disable } else { SslMode::Require });
    }
    let mut roots = rustls::RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(native.certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| StoreError::Configuration(format!("TLS: {e}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.connect(tokio_postgres_rustls::MakeRustlsConnect::new(tls)).await.map_err(database)
}

impl Postgres {
    /// Connects and drops to the unprivileged role.
    ///
    /// All joins go from a page of rows to single ones by their key. A planner that knows nothing of a table yet (it grew since
    /// it was last analysed, or never was) would read the whole of it instead, again for each page.
    pub(crate) async fn connect(url: &str) -> Result<Self, StoreError> {
        let mut connection = Self::connect_as_owner(url).await?;
        connection.drop_privileges().await?;
        connection.simple("SET enable_hashjoin = off; SET enable_mergejoin = off").await?;
        Ok(connection)
    }

    /// Connects for the write path, which reaches every row by its key. A plan that was made while a table was small, and
    /// is kept, must not read a large one from end to end later.
    pub(crate) async fn connect_writer(url: &str) -> Result<Self, StoreError> {
        let connection = Self::connect(url).await?;
        let by_key = "SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan";
        connection.client.batch_execute(by_key).await.map_err(database)?;
        Ok(connection)
    }

    async fn connect_as_owner(url: &str) -> Result<Self, StoreError> {
        let (client, driver) = open(url).await?;
        #[expect(
            clippy::disallowed_methods,
            reason = "the driver ends with its connection, which owns its handle"
        )]
        let driver = tokio::spawn(async move {
            if let Err(error) = driver.await {
                tracing::warn!(%error, "a connection to PostgreSQL ended");
            }
        });
        Ok(Self {
            client,
            statements: HashMap::new(),
            writing: HashMap::new(),
            looks_at: Vec::new(),
            _driver: Driver(driver),
        })
    }

    /// Tells of changes that are announced in the database, until the connection ends.
    pub(crate) async fn hear(url: &str, mut heard: impl FnMut()) -> Result<(), StoreError> {
        let (client, mut driver) = open(url).await?;
        let mut messages = std::pin::pin!(futures_util::stream::poll_fn(move |cx| driver.poll_message(cx)));
        // The connection is driven while it is asked to listen, and for as long as it lasts.
        let mut listening = std::pin::pin!(client.batch_execute(LISTEN));
        let mut asked = false;
        loop {
            tokio::select! {
                answer = &mut listening, if !asked => {
                    answer.map_err(database)?;
                    asked = true;
                    // What was announced before is to be looked for once.
                    heard();
                }
                message = futures_util::StreamExt::next(&mut messages) => match message {
                    Some(Ok(tokio_postgres::AsyncMessage::Notification(_))) => heard(),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(database(error)),
                    None => return Ok(()),
                },
            }
        }
    }

    async fn drop_privileges(&mut self) -> Result<(), StoreError> {
        self.simple(&format!("SET ROLE {ROLE}")).await.map_err(|error| {
            StoreError::Configuration(format!(
                "cannot work as the role {ROLE} ({error}): let the role in DATABASE_URL create roles, or create it \
                 and grant it to that role: CREATE ROLE {ROLE} NOLOGIN; GRANT {ROLE} TO <role in DATABASE_URL>"
            ))
        })?;
        let sql =
            "SELECT current_user::text, rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user";
        let mut row = self.query(sql, &[]).await?.pop().ok_or_else(|| {
            StoreError::Configuration("the current role is not in the catalogue".to_owned())
        })?;
        let (role, privileged): (String, bool) = (row.take()?, row.take()?);
        if privileged {
            return Err(StoreError::Configuration(format!(
                "the role {role} bypasses row security: ALTER ROLE {role} NOSUPERUSER NOBYPASSRLS"
            )));
        }
        Ok(())
    }

    /// Migrates as the role of the URL, then forces row security on every table with an organisation.
    ///
    /// Another server that is just ending, or one that starts on another database of the cluster and grants the same role, may
    /// lock what this needs in another order. PostgreSQL then ends one of the two, and trying again is all there is to do.
    pub(crate) async fn migrate(url: &str) -> Result<(), StoreError> {
        let mut attempts = 0;
        loop {
            match Self::migrate_once(url).await {
                Err(StoreError::Unavailable(reason))
                    if attempts < 5 && reason.contains(SqlState::T_R_DEADLOCK_DETECTED.code()) =>
                {
                    attempts += 1;
                }
                done => return done,
            }
        }
    }

    async fn migrate_once(url: &str) -> Result<(), StoreError> {
        let mut connection = Self::connect_as_owner(url).await?;
        // One migration at a time, whoever starts: the lock ends with the transaction.
        connection.simple("BEGIN; SELECT pg_advisory_xact_lock(7165294816)").await?;
        connection
            .simple("CREATE TABLE IF NOT EXISTS migration (name TEXT COLLATE \"C\" NOT NULL PRIMARY KEY)")
            .await?;
        let mut done: Vec<String> = Vec::new();
        for mut row in connection.query("SELECT name FROM migration", &[]).await? {
            done.push(row.take()?);
        }
        super::refuse_newer(&done)?;
        for (name, text) in migrations(Dialect::Postgres) {
            if !done.iter().any(|d| d == name) {
                connection.simple(&text).await?;
                connection.execute("INSERT INTO migration VALUES ($1)", &[name.into()]).await?;
            }
        }
        connection.simple(&ROW_SECURITY.replace("{role}", ROLE)).await?;
        connection.simple("COMMIT").await
    }

    pub(super) async fn begin(
        &mut self,
        organisations: &[OrganisationId],
        key_hash: Option<&[u8; 32]>,
    ) -> Result<(), StoreError> {
        let mut sql = begin_text(organisations, key_hash);
        // Not a batch of keys: planned for what it asks.
        sql.push_str("; SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL enable_seqscan = on");
        self.simple(&sql).await
    }

    /// Announces a change to every server, once the transaction is durable.
    pub(super) async fn announce(&mut self) -> Result<(), StoreError> {
        self.simple(NOTIFY).await
    }

    pub(super) async fn simple(&mut self, sql: &str) -> Result<(), StoreError> {
        self.client.batch_execute(sql).await.map_err(database)
    }

    pub(super) async fn query(&mut self, sql: &str, parameters: &[Value]) -> Result<Vec<Row>, StoreError> {
        let statement = self.prepare(sql).await?;
        self.run(&statement, parameters).await
    }

    pub(super) async fn execute(&mut self, sql: &str, parameters: &[Value]) -> Result<u64, StoreError> {
        let statement = self.prepare(sql).await?;
        self.client.execute(&statement, &references(parameters)).await.map_err(database)
    }

    pub(super) async fn look_up(
        &mut self,
        lookup: &Lookup,
        keys: &[Vec<Value>],
    ) -> Result<Vec<Row>, StoreError> {
        let (sql, parameters) = lookup.statement(keys)?;
        self.query(sql, &parameters).await
    }

    pub(super) async fn insert(&mut self, table: &Table, rows: Vec<Vec<Value>>) -> Result<(), StoreError> {
        let form = table.form(&rows);
        let statement = self.writing(&[(table, form)]).await?;
        let parameters = table.parameters(form, rows)?;
        self.client.execute(&statement, &references(&parameters)).await.map_err(database)?;
        Ok(())
    }

    pub(super) async fn begin_batch(
        &mut self,
        organisations: &[OrganisationId],
        lookups: &[Question<'_>],
    ) -> Result<(Vec<Row>, Vec<Vec<Row>>), StoreError> {
        let ids = organisations.iter().map(|o| Some(o.0)).collect();
        let heads = vec![Value::Column(Column::Uuid(ids))];
        let scope = vec![Value::Text(scope_of(organisations))];
        let mut queries = vec![(self.prepare(SCOPE).await?, scope), (self.prepare(HEADS).await?, heads)];
        queries.extend(self.queries(lookups).await?);
        let this = &*self;
        let run = join_all(queries.iter().map(|(statement, parameters)| this.run(statement, parameters)));
        // Polled in this order, the messages leave in this order, without waiting for each other's answers.
        let (begun, answers) = join(this.client.batch_execute("BEGIN"), run).await;
        begun.map_err(database)?;
        let mut answers = answers.into_iter();
        answers.next().transpose()?;
        let heads = answers.next().unwrap_or_else(|| Ok(Vec::new()))?;
        Ok((heads, answers.collect::<Result<_, _>>()?))
    }

    pub(super) async fn write_and_commit(
        &mut self,
        mut writes: Vec<(&'static Table, Vec<Vec<Value>>)>,
        rest: impl FnOnce(),
    ) -> Result<(), StoreError> {
        writes.retain(|(_, rows)| !rows.is_empty());
        let forms = forms(&writes);
        let mut queries = Vec::with_capacity(writes.len());
        if self.often(&forms) {
            // Each statement has its own price, in the database and on the way: all rows go in one.
            let mut parameters = Vec::new();
            for ((table, form), (_, rows)) in forms.iter().zip(writes) {
                parameters.extend(table.parameters(*form, rows)?);
            }
            queries.push((self.writing(&forms).await?, parameters));
        } else {
            for ((table, form), (_, rows)) in forms.into_iter().zip(writes) {
                queries.push((self.writing(&[(table, form)]).await?, table.parameters(form, rows)?));
            }
        }
        let this = &*self;
        let run = join_all(queries.iter().map(|(statement, parameters)| async move {
            this.client.execute(statement, &references(parameters)).await.map_err(database)
        }));
        // After a failed statement PostgreSQL turns the COMMIT into a ROLLBACK, so sending both at once is safe.
        let (written, committed, ()) =
            join3(run, this.client.batch_execute("COMMIT"), after_a_turn(async { rest() })).await;
        for outcome in written {
            outcome?;
        }
        committed.map_err(database)
    }

    /// Writes rows in a single statement, which is a transaction of its own and needs no other round trip; the first of the
    /// writes moves rows that must stand where they are expected.
    pub(super) async fn write_at_once(
        &mut self,
        organisations: &[OrganisationId],
        writes: Vec<(&'static Table, Vec<Vec<Value>>)>,
        meanwhile: impl Future<Output = ()>,
    ) -> Result<AtOnce, StoreError> {
        let forms = forms(&writes);
        if !self.often(&forms) {
            return Ok(AtOnce::TooRare(writes));
        }
        self.look_at(organisations).await?;
        let statement = self.writing(&forms).await?;
        let mut parameters = Vec::new();
        for ((table, form), (_, rows)) in forms.into_iter().zip(writes) {
            parameters.extend(table.parameters(form, rows)?);
        }
        let parameters = references(&parameters);
        // Polled first, the statement is under way before anything else is done.
        let written = std::pin::pin!(self.client.execute(&statement, &parameters));
        let written = match select(written, std::pin::pin!(after_a_turn(meanwhile))).await {
            Either::Left((written, _)) => written,
            Either::Right(((), written)) => written.await,
        };
        match written {
            Ok(_) => Ok(AtOnce::Written),
            Err(error) if error.code() == Some(&SqlState::DIVISION_BY_ZERO) => Ok(AtOnce::Moved),
            Err(error) => Err(database(error)),
        }
    }

    /// Questions as statements, with their parameters.
    async fn queries(
        &mut self,
        lookups: &[Question<'_>],
    ) -> Result<Vec<(Statement, Vec<Value>)>, StoreError> {
        let mut queries = Vec::with_capacity(lookups.len());
        for (lookup, keys) in lookups {
            let (sql, parameters) = lookup.statement(keys)?;
            queries.push((self.prepare(sql).await?, parameters));
        }
        Ok(queries)
    }

    /// Asks in one round trip, each question a transaction of its own.
    pub(super) async fn look_up_at_once(
        &mut self,
        organisations: &[OrganisationId],
        lookups: &[Question<'_>],
    ) -> Result<Vec<Vec<Row>>, StoreError> {
        self.look_at(organisations).await?;
        let queries = self.queries(lookups).await?;
        let this = &*self;
        let run = join_all(queries.iter().map(|(statement, parameters)| this.run(statement, parameters)));
        run.await.into_iter().collect()
    }

    /// Which organisations statements see that are transactions of their own. Every other transaction says so for itself.
    async fn look_at(&mut self, organisations: &[OrganisationId]) -> Result<(), StoreError> {
        if self.looks_at != organisations {
            let scope = self.prepare(LASTING_SCOPE).await?;
            self.run(&scope, &[Value::Text(scope_of(organisations))]).await?;
            self.looks_at = organisations.to_vec();
        }
        Ok(())
    }

    pub(super) async fn durability(&mut self) -> Result<Vec<(String, String)>, StoreError> {
        let mut settings = Vec::new();
        for name in ["fsync", "synchronous_commit", "full_page_writes"] {
            let mut rows = self.query("SELECT current_setting($1)", &[name.into()]).await?;
            let value: String = rows.pop().map_or_else(|| Ok(String::new()), |mut row| row.take())?;
            settings.push((name.to_owned(), value));
        }
        Ok(settings)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Whether these forms come together often enough for a statement of their own.
    fn often(&mut self, forms: &[(&Table, Form)]) -> bool {
        self.make_room();
        let key = forms.iter().map(|(_, form)| *form).collect::<Vec<_>>();
        match self.writing.entry(key).or_insert(Writing::Apart(0)) {
            Writing::Together(_) => true,
            Writing::Apart(times) => {
                *times += 1;
                *times >= OFTEN
            }
        }
    }

    /// Keeps what is remembered of forms bounded. What comes often is soon there again.
    fn make_room(&mut self) {
        if self.writing.len() >= FORMS {
            self.writing.clear();
        }
    }

    /// The statement that writes rows of these forms.
    async fn writing(&mut self, forms: &[(&Table, Form)]) -> Result<Statement, StoreError> {
        let key = forms.iter().map(|(_, form)| *form).collect::<Vec<_>>();
        if let Some(Writing::Together(statement)) = self.writing.get(&key) {
            return Ok(statement.clone());
        }
        let mut next = 1;
        let statements = forms.iter().map(|(table, form)| {
            let (statement, after) = table.statement(*form, next);
            next = after;
            statement
        });
        let statements = statements.collect::<Vec<_>>();
        let parts = statements.iter().enumerate().map(|(n, text)| format!("w{n} AS ({text})"));
        let parts = parts.collect::<Vec<_>>().join(", ");
        let text = match (&statements[..], forms) {
            (_, [(table, form), ..]) if form.moves() => {
                format!("WITH {parts} SELECT {}", table.all_moved(*form))
            }
            ([one], _) => one.clone(),
            _ => format!("WITH {parts} SELECT"),
        };
        let statement = self.client.prepare(&text).await.map_err(database)?;
        self.make_room();
        self.writing.insert(key, Writing::Together(statement.clone()));
        Ok(statement)
    }

    async fn prepare(&mut self, sql: &str) -> Result<Statement, StoreError> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).await.map_err(database)?;
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    async fn run(&self, statement: &Statement, parameters: &[Value]) -> Result<Vec<Row>, StoreError> {
        let rows = self.client.query(statement, &references(parameters)).await.map_err(database)?;
        rows.iter().map(read).collect()
    }
}

/// Row security, forced, on every table that has an organisation. An unset list of organisations shows nothing.
const ROW_SECURITY: &str = r"
DO $$
DECLARE t record;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
        BEGIN
            CREATE ROLE {role} NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
    END IF;
    -- From version 16 on the creator of a role may grant it, but not work as it.
    IF NOT pg_has_role(current_user, '{role}', CASE WHEN current_setting('server_version_num')::int >= 160000
                       THEN 'SET' ELSE 'MEMBER' END) THEN
        EXECUTE format('GRANT {role} TO %I', current_user);
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO {role}', current_schema());
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I TO {role}', current_schema());
    FOR t IN
        SELECT c.oid::regclass AS name, c.relname
        FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'organisation' AND NOT a.attisdropped
        WHERE c.relkind IN ('r', 'p') AND n.nspname = current_schema()
    LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', t.name);
        EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', t.name);
        EXECUTE format('DROP POLICY IF EXISTS organisation_scope ON %s', t.name);
        EXECUTE format(
            'CREATE POLICY organisation_scope ON %s USING (organisation = ANY (ARRAY(SELECT unnest(string_to_array('
            'current_setting(''upswing.organisations'', true), '',''))::uuid)))', t.name);
    END LOOP;
    -- Whoever presents a key sees that key's row, so that its organisation can be found.
    DROP POLICY IF EXISTS presented_key ON api_key;
    CREATE POLICY presented_key ON api_key FOR SELECT
        USING (hash = (SELECT decode(coalesce(current_setting('upswing.key_hash', true), ''), 'hex')));
END
$$";

fn is_local(config: &tokio_postgres::Config) -> bool {
    config.get_hosts().iter().all(|host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
    })
}

fn begin_text(organisations: &[OrganisationId], key_hash: Option<&[u8; 32]>) -> String {
    let mut sql =
        format!("BEGIN; SELECT set_config('upswing.organisations', '{}', true)", scope_of(organisations));
    if let Some(hash) = key_hash {
        let hex = blake3::Hash::from_bytes(*hash).to_hex();
        sql.push_str(&format!("; SELECT set_config('upswing.key_hash', '{hex}', true)"));
    }
    sql
}

fn scope_of(organisations: &[OrganisationId]) -> String {
    let organisations: Vec<_> = organisations.iter().map(ToString::to_string).collect();
    organisations.join(",")
}

fn forms(writes: &[(&'static Table, Vec<Vec<Value>>)]) -> Vec<(&'static Table, Form)> {
    writes.iter().map(|(table, rows)| (*table, table.form(rows))).collect()
}

/// What is done once everything is under way.
async fn after_a_turn(meanwhile: impl Future<Output = ()>) {
    tokio::task::yield_now().await;
    meanwhile.await;
}

fn references(parameters: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    parameters.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

fn read(row: &tokio_postgres::Row) -> Result<Row, StoreError> {
    let mut values = Vec::with_capacity(row.len());
    for (index, column) in row.columns().iter().enumerate() {
        macro_rules! get {
            ($ty:ty) => {
                row.try_get::<_, Option<$ty>>(index).map_err(database)?.into()
            };
        }
        values.push(match *column.type_() {
            Type::BOOL => get!(bool),
            Type::INT8 => get!(i64),
            Type::FLOAT8 => get!(f64),
            Type::TEXT => get!(String),
            Type::BYTEA => get!(Vec<u8>),
            Type::UUID => get!(uuid::Uuid),
            ref other => {
                return Err(StoreError::Corrupt(format!("column {} has the type {other}", column.name())));
            }
        });
    }
    Ok(Row::new(values))
}

fn database(error: tokio_postgres::Error) -> StoreError {
    let detail = error
        .as_db_error()
        .map_or_else(|| error.to_string(), |e| format!("{} ({})", e.message(), e.code().code()));
    match error.code() {
        None => StoreError::Unavailable(detail),
        Some(code) if *code == SqlState::UNIQUE_VIOLATION => StoreError::Conflict(detail),
        // Class 57: the server is going down or coming up; class 53: it has no resources; class 08: connection.
        Some(code) if ["57", "53", "08"].iter().any(|class| code.code().starts_with(class)) => {
            StoreError::Unavailable(detail)
        }
        Some(code)
            if [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED].contains(code) =>
        {
            StoreError::Unavailable(detail)
        }
        // U+0000 is a character to SQLite and none to PostgreSQL.
        Some(code) if *code == SqlState::CHARACTER_NOT_IN_REPERTOIRE => {
            StoreError::Invalid(upswing_domain::Invalid::new("text", "U+0000", "text without U+0000"))
        }
        Some(_) => StoreError::Database(detail),
    }
}
