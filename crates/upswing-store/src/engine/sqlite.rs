//! SQLite: WAL, every commit flushed. All writes go through one connection on one thread.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::types::ValueRef;

use super::schema::{Dialect, migrations};
use super::table::{Lookup, Table};
use crate::StoreError;
use crate::value::{Row, Value};

/// How many rows the planner is to take tables for.
const ROWS: u64 = 1_000_000;
/// Of columns that begin indexes and have few values, how many; all others are taken to have nearly as many as there are rows.
const FEW: &[(&str, u64)] = &[
    ("organisation", 8),
    ("agent", 8),
    ("experiment", 8),
    ("rollout", 8),
    ("follower", 8),
    ("segment_key", 8),
    ("metric", 8),
    ("state", 4),
    ("status", 4),
    ("standing", 4),
    ("purpose", 2),
];

/// One connection.
pub(crate) struct Sqlite {
    connection: rusqlite::Connection,
    /// `$1` is a name to SQLite and is numbered by first use; `?1` is a number. The texts that were translated.
    translated: HashMap<String, String>,
}

/// Memory for pages: a writer's and a reader's, in KiB. Together they stay small beside a server's other memory.
const WRITER_CACHE: i64 = 16 * 1024;
const READER_CACHE: i64 = 4 * 1024;
/// After how many pages the log is brought into the database. Pages that every batch touches are then written once for many batches,
/// and the flushes that this takes are seldom in somebody's way; 16 MB of log are soon read again after a crash.
const CHECKPOINT: i64 = 4_000;

impl Sqlite {
    pub(crate) fn open_writer(path: &Path) -> Result<Self, StoreError> {
        if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent).map_err(|e| {
                StoreError::Configuration(format!("cannot make the folder {}: {e}", parent.display()))
            })?;
        }
        let connection = rusqlite::Connection::open(path)
            .map_err(|e| StoreError::Configuration(format!("cannot open {}: {e}", path.display())))?;
        let mode: String =
            connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(database)?;
        if mode != "wal" {
            return Err(StoreError::Configuration(format!(
                "{} is on a file system without shared memory (journal mode {mode}); put it on a local disk",
                path.display()
            )));
        }
        connection
            .execute_batch(&format!(
                "PRAGMA synchronous = FULL; PRAGMA busy_timeout = 10000; PRAGMA foreign_keys = ON; \
                 PRAGMA cache_size = -{WRITER_CACHE}; PRAGMA temp_store = MEMORY; PRAGMA wal_autocheckpoint = {CHECKPOINT}; \
                 PRAGMA journal_size_limit = 67108864"
            ))
            .map_err(database)?;
        connection.set_prepared_statement_cache_capacity(128);
        Ok(Self { connection, translated: HashMap::new() })
    }

    pub(crate) fn open_reader(path: &Path) -> Result<Self, StoreError> {
        let connection = rusqlite::Connection::open(path).map_err(database)?;
        connection
            .execute_batch(&format!(
                "PRAGMA busy_timeout = 10000; PRAGMA query_only = ON; PRAGMA cache_size = -{READER_CACHE}"
            ))
            .map_err(database)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(Self { connection, translated: HashMap::new() })
    }

    pub(crate) fn migrate(&mut self) -> Result<(), StoreError> {
        self.connection.execute_batch("BEGIN IMMEDIATE").map_err(database)?;
        let outcome = self.migrate_within();
        self.connection
            .execute_batch(if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" })
            .map_err(database)?;
        outcome
    }

    fn migrate_within(&mut self) -> Result<(), StoreError> {
        self.connection
            .execute_batch("CREATE TABLE IF NOT EXISTS migration (name TEXT NOT NULL PRIMARY KEY) STRICT")
            .map_err(database)?;
        let done: Vec<String> = {
            let mut statement = self.connection.prepare("SELECT name FROM migration").map_err(database)?;
            let names = statement.query_map([], |row| row.get(0)).map_err(database)?;
            names.collect::<Result<_, _>>().map_err(database)?
        };
        super::refuse_newer(&done)?;
        let mut complete = true;
        for (name, text) in migrations(Dialect::Sqlite) {
            if !done.iter().any(|d| d == name) {
                self.connection.execute_batch(&text).map_err(database)?;
                self.connection.execute("INSERT INTO migration VALUES (?1)", [name]).map_err(database)?;
                complete = false;
            }
        }
        if complete { Ok(()) } else { self.describe_tables().map_err(database) }
    }

    /// Tells the planner what tables will be like, in the form of an analysis. Where it knows nothing it takes the first column
    /// of every index for selective, and would read all that an organisation has to find the feedback of one execution.
    fn describe_tables(&self) -> rusqlite::Result<()> {
        // The smallest table: what this is for is that the analysis has a place.
        self.connection.execute_batch("ANALYZE migration; DELETE FROM sqlite_stat1")?;
        let sql = "SELECT t.name, i.name, i.origin = 'pk' AND t.sql LIKE '%WITHOUT ROWID', i.\"unique\" \
                   FROM sqlite_schema t JOIN pragma_index_list(t.name) i WHERE t.type = 'table' AND t.name <> 'migration'";
        let mut indexes = self.connection.prepare(sql)?;
        let mut columns = self.connection.prepare("SELECT name FROM pragma_index_info(?1) ORDER BY seqno")?;
        let mut describe = self.connection.prepare("INSERT INTO sqlite_stat1 VALUES (?1, ?2, ?3)")?;
        let mut indexes = indexes.query([])?;
        while let Some(row) = indexes.next()? {
            let (table, index): (String, String) = (row.get(0)?, row.get(1)?);
            let (is_the_table, unique): (bool, bool) = (row.get(2)?, row.get(3)?);
            let mut alike = vec![ROWS];
            let mut left = ROWS;
            for column in columns.query_map([&index], |row| row.get::<_, String>(0))? {
                let column = column?;
                let few = FEW.iter().find(|(name, _)| *name == column);
                left = (left / few.map_or(ROWS / 2, |(_, values)| *values)).max(1);
                alike.push(left);
            }
            if let (true, Some(last)) = (unique, alike.last_mut()) {
                *last = 1;
            }
            let alike = alike.iter().map(u64::to_string).collect::<Vec<_>>().join(" ");
            describe.execute([&table, if is_the_table { &table } else { &index }, &alike])?;
        }
        self.connection.execute_batch("ANALYZE sqlite_schema")
    }

    pub(super) fn begin(&mut self, write: bool) -> Result<(), StoreError> {
        self.control(if write { "BEGIN IMMEDIATE" } else { "BEGIN" })
    }

    pub(super) fn commit(&mut self) -> Result<(), StoreError> {
        self.control("COMMIT")
    }

    pub(super) fn roll_back(&mut self) -> Result<(), StoreError> {
        if self.connection.is_autocommit() { Ok(()) } else { self.control("ROLLBACK") }
    }

    fn control(&mut self, sql: &'static str) -> Result<(), StoreError> {
        self.connection.prepare_cached(sql).and_then(|mut s| s.execute([])).map_err(database)?;
        Ok(())
    }

    pub(super) fn query(&mut self, sql: &str, parameters: &[Value]) -> Result<Vec<Row>, StoreError> {
        let mut rows = Vec::new();
        let sql = translate(&mut self.translated, sql);
        let mut statement = self.connection.prepare_cached(sql).map_err(database)?;
        collect(&mut statement, parameters, &mut rows)?;
        Ok(rows)
    }

    pub(super) fn execute(&mut self, sql: &str, parameters: &[Value]) -> Result<u64, StoreError> {
        let sql = translate(&mut self.translated, sql);
        let mut statement = self.connection.prepare_cached(sql).map_err(database)?;
        let changed = statement.execute(rusqlite::params_from_iter(parameters)).map_err(database)?;
        Ok(changed as u64)
    }

    pub(super) fn look_up(&mut self, lookup: &Lookup, keys: &[Vec<Value>]) -> Result<Vec<Row>, StoreError> {
        let mut rows = Vec::new();
        if keys.is_empty() {
            return Ok(rows);
        }
        let mut statement = self.connection.prepare_cached(&lookup.sqlite).map_err(database)?;
        for key in keys {
            collect(&mut statement, key, &mut rows)?;
        }
        Ok(rows)
    }

    pub(super) fn insert(&mut self, table: &Table, rows: &[Vec<Value>]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut statement = self.connection.prepare_cached(&table.sqlite).map_err(database)?;
        for row in rows {
            statement.execute(rusqlite::params_from_iter(row)).map_err(database)?;
        }
        Ok(())
    }

    pub(super) fn durability(&mut self) -> Result<Vec<(String, String)>, StoreError> {
        let mut settings = Vec::new();
        for name in ["journal_mode", "synchronous"] {
            let value: rusqlite::types::Value = self
                .connection
                .query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
                .map_err(database)?;
            let value = match value {
                rusqlite::types::Value::Integer(number) => number.to_string(),
                rusqlite::types::Value::Text(text) => text,
                other => format!("{other:?}"),
            };
            settings.push((name.to_owned(), value));
        }
        Ok(settings)
    }
}

fn translate<'a>(translated: &'a mut HashMap<String, String>, sql: &str) -> &'a str {
    // Not `entry`: that would copy the text on every call.
    if !translated.contains_key(sql) {
        translated.insert(sql.to_owned(), sql.replace('$', "?").replace(" FOR UPDATE", ""));
    }
    translated.get(sql).map_or("", String::as_str)
}

fn collect(
    statement: &mut rusqlite::CachedStatement<'_>,
    parameters: &[Value],
    into: &mut Vec<Row>,
) -> Result<(), StoreError> {
    let columns = statement.column_count();
    let mut rows = statement.query(rusqlite::params_from_iter(parameters)).map_err(database)?;
    while let Some(row) = rows.next().map_err(database)? {
        let mut values = Vec::with_capacity(columns);
        for index in 0..columns {
            values.push(match row.get_ref(index).map_err(database)? {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(v) => Value::I64(v),
                ValueRef::Real(v) => Value::F64(v),
                ValueRef::Text(v) => Value::Text(String::from_utf8_lossy(v).into_owned()),
                ValueRef::Blob(v) => Value::Bytes(v.to_vec()),
            });
        }
        into.push(Row::new(values));
    }
    Ok(())
}

pub(super) fn database(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(
            rusqlite::ErrorCode::DiskFull
            | rusqlite::ErrorCode::SystemIoFailure
            | rusqlite::ErrorCode::DatabaseBusy,
        ) => StoreError::Unavailable(error.to_string()),
        Some(rusqlite::ErrorCode::ConstraintViolation) => StoreError::Conflict(error.to_string()),
        _ => StoreError::Database(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tables;

    /// Rows are many: whoever looks some up by key finds them by key.
    #[test]
    fn nothing_reads_all_of_an_organisation_to_find_a_row() {
        let folder = tempfile::tempdir().unwrap();
        let mut sqlite = Sqlite::open_writer(&folder.path().join("upswing.db")).unwrap();
        sqlite.migrate().unwrap();
        let texts = tables::texts();
        assert!(texts.len() > 50);
        for (name, text) in texts {
            let mut plan = sqlite.connection.prepare(&format!("EXPLAIN QUERY PLAN {text}")).unwrap();
            let parameters = vec![Value::Null; plan.parameter_count()];
            let steps = plan.query_map(rusqlite::params_from_iter(parameters), |row| row.get::<_, String>(3));
            for step in steps.unwrap() {
                let step = step.unwrap();
                let all = step.ends_with("(organisation=?)") && !step.contains("stream_head");
                assert!(!all, "{name}: {step}");
            }
        }
    }
}
