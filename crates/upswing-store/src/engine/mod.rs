//! The two engines behind one face: parameters and rows are [`Value`]s, the SQL text is the same.

mod postgres;
mod schema;
mod sqlite;
pub(crate) mod table;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use upswing_domain::{AgentId, OrganisationId, Position};

use crate::value::{Row, Value};
use crate::{AuditSeal, News, StoreError};

use postgres::AtOnce;
pub(crate) use postgres::Postgres;
pub(crate) use sqlite::Sqlite;
pub(crate) use table as tables;
pub(crate) use table::{Lookup, Question, Table};

/// An open connection, with the news that its transaction makes.
pub(crate) struct Connection {
    engine: Engine,
    news: Vec<News>,
    organisations: Vec<OrganisationId>,
    /// What chains lines of the audit log; a connection without it writes none.
    audit_seal: Option<Arc<AuditSeal>>,
    /// What is left to be done after a commit that somebody waited for.
    later: Option<Box<dyn FnOnce() + Send>>,
}

enum Engine {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl Connection {
    pub(crate) fn sqlite(engine: Sqlite) -> Self {
        Self::new(Engine::Sqlite(engine))
    }

    pub(crate) fn postgres(engine: Postgres) -> Self {
        Self::new(Engine::Postgres(engine))
    }

    fn new(engine: Engine) -> Self {
        Self { engine, news: Vec::new(), organisations: Vec::new(), audit_seal: None, later: None }
    }

    /// From now on it may write lines of the audit log, chained with this.
    pub(crate) fn seal_audit_with(&mut self, seal: &Arc<AuditSeal>) {
        self.audit_seal = Some(Arc::clone(seal));
    }

    /// What chains lines of the audit log.
    pub(crate) fn audit_seal(&self) -> Option<Arc<AuditSeal>> {
        self.audit_seal.clone()
    }

    /// Begins a transaction that sees these organisations alone.
    pub(crate) async fn begin(
        &mut self,
        organisations: &[OrganisationId],
        write: bool,
    ) -> Result<(), StoreError> {
        self.news.clear();
        self.organisations = organisations.to_vec();
        match &mut self.engine {
            Engine::Sqlite(c) => c.begin(write),
            Engine::Postgres(c) => c.begin(organisations, None).await,
        }
    }

    /// Makes the transaction durable.
    pub(crate) async fn commit(&mut self) -> Result<(), StoreError> {
        match &mut self.engine {
            Engine::Sqlite(c) => c.commit(),
            Engine::Postgres(c) => c.simple("COMMIT").await,
        }
    }

    /// Forgets the transaction.
    pub(crate) async fn roll_back(&mut self) -> Result<(), StoreError> {
        self.news.clear();
        match &mut self.engine {
            Engine::Sqlite(c) => c.roll_back(),
            Engine::Postgres(c) => c.simple("ROLLBACK").await,
        }
    }

    /// Presents a key's hash, so that its row can be seen before its organisation is known.
    pub(crate) async fn begin_with_key(&mut self, hash: &[u8; 32]) -> Result<(), StoreError> {
        match &mut self.engine {
            Engine::Sqlite(c) => c.begin(false),
            Engine::Postgres(c) => c.begin(&[], Some(hash)).await,
        }
    }

    pub(crate) async fn query(&mut self, sql: &str, parameters: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        match &mut self.engine {
            Engine::Sqlite(c) => c.query(sql, &parameters),
            Engine::Postgres(c) => c.query(sql, &parameters).await,
        }
    }

    pub(crate) async fn query_one(
        &mut self,
        sql: &str,
        parameters: Vec<Value>,
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.query(sql, parameters).await?.into_iter().next())
    }

    /// How many rows it changed.
    pub(crate) async fn execute(&mut self, sql: &str, parameters: Vec<Value>) -> Result<u64, StoreError> {
        match &mut self.engine {
            Engine::Sqlite(c) => c.execute(sql, &parameters),
            Engine::Postgres(c) => c.execute(sql, &parameters).await,
        }
    }

    /// Begins a writing transaction, takes the organisations' heads for itself and looks keys up, in one round trip
    /// where the engine can. The heads come sorted.
    pub(crate) async fn begin_batch(
        &mut self,
        organisations: &[OrganisationId],
        lookups: &[Question<'_>],
    ) -> Result<(Vec<(OrganisationId, Position)>, Vec<Vec<Row>>), StoreError> {
        self.news.clear();
        self.organisations = organisations.to_vec();
        let (heads, answers) = match &mut self.engine {
            Engine::Sqlite(c) => {
                c.begin(true)?;
                let mut heads = Vec::new();
                for organisation in organisations {
                    let sql = "SELECT organisation, position FROM stream_head WHERE organisation = $1";
                    heads.extend(c.query(sql, &[(*organisation).into()])?);
                }
                let mut answers = Vec::with_capacity(lookups.len());
                for (lookup, keys) in lookups {
                    answers.push(c.look_up(lookup, keys)?);
                }
                (heads, answers)
            }
            Engine::Postgres(c) => c.begin_batch(organisations, lookups).await?,
        };
        let heads = heads
            .into_iter()
            .map(|mut row| Ok((row.take()?, row.take()?)))
            .collect::<Result<Vec<_>, StoreError>>()?;
        if heads.len() != organisations.len() {
            return Err(StoreError::Database("an organisation has no stream head".to_owned()));
        }
        Ok((heads, answers))
    }

    /// Looks many keys up by several lookups, outside of a transaction: in one round trip where there is one.
    pub(crate) async fn look_up_at_once(
        &mut self,
        organisations: &[OrganisationId],
        lookups: &[Question<'_>],
    ) -> Result<Vec<Vec<Row>>, StoreError> {
        match &mut self.engine {
            Engine::Sqlite(c) => lookups.iter().map(|(lookup, keys)| c.look_up(lookup, keys)).collect(),
            Engine::Postgres(c) => c.look_up_at_once(organisations, lookups).await,
        }
    }

    /// Looks many keys up.
    pub(crate) async fn look_up(
        &mut self,
        lookup: &Lookup,
        keys: Vec<Vec<Value>>,
    ) -> Result<Vec<Row>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        match &mut self.engine {
            Engine::Sqlite(c) => c.look_up(lookup, &keys),
            Engine::Postgres(c) => c.look_up(lookup, &keys).await,
        }
    }

    /// Writes rows table by table, then commits: in one round trip where the engine can. No write may depend on another one
    /// of these, nor touch the same row. Nobody needs to wait for the `rest`: it is done while the database works, or, where that
    /// works in this thread, by [`Connection::do_rest`].
    pub(crate) async fn write_and_commit(
        &mut self,
        writes: Vec<(&'static Table, Vec<Vec<Value>>)>,
        rest: impl FnOnce() + Send + 'static,
    ) -> Result<(), StoreError> {
        match &mut self.engine {
            Engine::Sqlite(c) => {
                for (table, rows) in &writes {
                    c.insert(table, rows)?;
                }
                c.commit()?;
                self.later = Some(Box::new(move || {
                    drop(writes);
                    rest();
                }));
                Ok(())
            }
            Engine::Postgres(c) => c.write_and_commit(writes, rest).await,
        }
    }

    /// Writes rows table by table in a transaction of its own and commits, if the organisations' heads stand where they are
    /// expected, and moves them: organisation, from, to. Whether they did; where they did not, nothing was written. Where the
    /// database is at the end of a round trip, something else may go on `meanwhile`, until it answers.
    pub(crate) async fn write_at(
        &mut self,
        moves: &[(OrganisationId, Position, Position)],
        mut writes: Vec<(&'static Table, Vec<Vec<Value>>)>,
        rest: impl FnOnce() + Send + 'static,
        meanwhile: BoxFuture<'_, ()>,
    ) -> Result<bool, StoreError> {
        let organisations: Vec<_> = moves.iter().map(|(organisation, ..)| *organisation).collect();
        let mut rest = Some(rest);
        if let Engine::Postgres(c) = &mut self.engine {
            let moved = moves.iter().map(|&(o, from, to)| vec![o.into(), from.into(), to.into()]).collect();
            writes.retain(|(_, rows)| !rows.is_empty());
            writes.insert(0, (&*table::STREAM_HEAD_AT, moved));
            self.news.clear();
            let meanwhile = async {
                if let Some(rest) = rest.take() {
                    rest();
                }
                meanwhile.await;
            };
            match c.write_at_once(&organisations, writes, meanwhile).await? {
                AtOnce::Written => return Ok(true),
                AtOnce::Moved => return Ok(false),
                AtOnce::TooRare(back) => writes = back,
            }
            writes.remove(0);
        }
        let (heads, _) = self.begin_batch(&organisations, &[]).await?;
        if heads.iter().zip(moves).any(|(&(_, head), &(_, from, _))| head != from) {
            self.roll_back().await?;
            return Ok(false);
        }
        let moved = moves.iter().map(|&(o, _, to)| vec![o.into(), to.into()]).collect();
        writes.push((&*table::STREAM_HEAD, moved));
        let rest = move || {
            if let Some(rest) = rest {
                rest();
            }
        };
        self.write_and_commit(writes, rest).await?;
        Ok(true)
    }

    /// Does what the last [`Connection::write_and_commit`] left to be done.
    pub(crate) fn do_rest(&mut self) {
        if let Some(rest) = self.later.take() {
            rest();
        }
    }

    /// Writes rows of one table.
    pub(crate) async fn insert(&mut self, table: &Table, rows: Vec<Vec<Value>>) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        match &mut self.engine {
            Engine::Sqlite(c) => c.insert(table, &rows),
            Engine::Postgres(c) => c.insert(table, rows).await,
        }
    }

    /// Takes an organisation's sequence for this transaction and moves it on by `count`; the position before.
    pub(crate) async fn advance(
        &mut self,
        organisation: OrganisationId,
        count: i64,
    ) -> Result<Position, StoreError> {
        let sql =
            "UPDATE stream_head SET position = position + $2 WHERE organisation = $1 RETURNING position";
        let row = self.query_one(sql, vec![organisation.into(), count.into()]).await?;
        let head: i64 = row
            .ok_or_else(|| StoreError::NotFound { noun: "organisation", id: organisation.to_string() })?
            .take()?;
        Ok(Position(head - count))
    }

    /// Tells followers, once the transaction is durable, that an agent has something new.
    pub(crate) async fn announce(
        &mut self,
        organisation: OrganisationId,
        agent: AgentId,
        position: Position,
    ) -> Result<(), StoreError> {
        self.insert(&table::AGENT_HEAD, vec![vec![organisation.into(), agent.into(), position.into()]])
            .await?;
        self.news.push(News { organisation, agent, position });
        Ok(())
    }

    /// Tells other servers, once the transaction is durable, that agents or keys have changed. An embedded database has none.
    pub(crate) async fn announce_change(&mut self) -> Result<(), StoreError> {
        match &mut self.engine {
            Engine::Sqlite(_) => Ok(()),
            Engine::Postgres(c) => c.announce().await,
        }
    }

    pub(crate) fn push_news(&mut self, news: Vec<News>) {
        self.news.extend(news);
    }

    pub(crate) fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// Whether the connection can still be used.
    pub(crate) fn is_broken(&self) -> bool {
        match &self.engine {
            Engine::Sqlite(_) => false,
            Engine::Postgres(c) => c.is_closed(),
        }
    }

    /// Whether everything written is on disk when a commit answers, as the live connection says.
    pub(crate) async fn durability(&mut self) -> Result<Vec<(String, String)>, StoreError> {
        match &mut self.engine {
            Engine::Sqlite(c) => c.durability(),
            Engine::Postgres(c) => c.durability().await,
        }
    }
}

/// An older program must not write to a newer database.
fn refuse_newer(done: &[String]) -> Result<(), StoreError> {
    let known: Vec<_> = schema::migrations(schema::Dialect::Sqlite).map(|(name, _)| name).collect();
    match done.iter().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(StoreError::Configuration(format!(
            "the database was migrated by a newer program ({name}): start that one, or restore a backup"
        ))),
        None => Ok(()),
    }
}
