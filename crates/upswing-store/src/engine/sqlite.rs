//! SQLite: WAL, every commit flushed. All writes go through one connection on one thread.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::types::ValueRef;

use super::schema::{Dialect, migrations};
use super::table::{Lookup, Table};
use crate::StoreError;
use crate::value::{Row, Value};

/// One connection.
pub(crate) struct Sqlite {
    connection: rusqlite::Connection,
    /// `$1` is a name to SQLite and is numbered by first use; `?1` is a number. The texts that were translated.
    translated: HashMap<String, String>,
}

/// Memory for pages: a writer's and a reader's, in KiB. Together they stay small beside a server's other memory.
const WRITER_CACHE: i64 = 32 * 1024;
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
        for (name, text) in migrations(Dialect::Sqlite) {
            if !done.iter().any(|d| d == name) {
                self.connection.execute_batch(&text).map_err(database)?;
                self.connection.execute("INSERT INTO migration VALUES (?1)", [name]).map_err(database)?;
            }
        }
        Ok(())
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
