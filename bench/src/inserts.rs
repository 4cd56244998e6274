//! What batches are compared with: the same rows, as they stand in the server's own database, in bare multi-row inserts
//! on one connection with the same schema, indexes and settings, a transaction for each batch.

use std::path::Path;
use std::time::{Duration, Instant};

use postgres_types::{ToSql, Type};
use rusqlite::types::Value;
use tokio_postgres::Statement;
use uuid::Uuid;

use crate::database::{Database, Postgres};
use crate::failure::{Doing as _, Failure, Result};

/// The tables that executions are written to, and which column of each must be fresh in each row.
const TABLES: [(&str, &str); 2] = [("execution", "id"), ("content", "id")];

/// Rows that the server has written, by table.
struct Sample {
    columns: Vec<String>,
    fresh: usize,
    rows: Vec<Vec<Value>>,
}

/// Inserts batches of `size` executions with everything that belongs to them for some time; executions a second.
pub(crate) async fn measure(
    written: &Database,
    organisation: Uuid,
    scratch: &Path,
    size: usize,
    seconds: f64,
) -> Result<f64> {
    match written {
        Database::Sqlite(path) => sqlite(path, scratch, size, seconds),
        Database::Postgres { url, .. } => postgres(url, organisation, size, seconds).await,
    }
}

fn sqlite(written: &Path, scratch: &Path, size: usize, seconds: f64) -> Result<f64> {
    let source = rusqlite::Connection::open(written).doing("opening the server's database")?;
    let path = scratch.join(format!("bare-{}.db", Uuid::now_v7().simple()));
    let bare = rusqlite::Connection::open(&path).doing("making a database")?;
    // As the server's writer sets its connection.
    bare.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -32768; \
         PRAGMA wal_autocheckpoint = 1000; PRAGMA journal_size_limit = 67108864",
    )
    .doing("settings")?;
    let mut samples = Vec::new();
    for (table, fresh) in TABLES {
        let sql = "SELECT sql FROM sqlite_master WHERE tbl_name = ?1 AND sql IS NOT NULL ORDER BY type DESC";
        let mut schema = source.prepare(sql).doing(sql)?;
        let schema = schema.query_map([table], |row| row.get::<_, String>(0)).doing(sql)?;
        for statement in schema {
            bare.execute_batch(&statement.doing(sql)?).doing("the schema")?;
        }
        let share = rows_per_execution(&source, table)? * size as f64;
        let sql = format!("SELECT * FROM {table} LIMIT {}", share.round() as usize);
        let mut statement = source.prepare(&sql).doing(&sql)?;
        let columns: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
        let rows = statement
            .query_map([], |row| {
                (0..columns.len()).map(|index| row.get(index)).collect::<rusqlite::Result<Vec<_>>>()
            })
            .doing(&sql)?;
        let rows = rows.collect::<rusqlite::Result<Vec<_>>>().doing(&sql)?;
        let fresh = columns.iter().position(|column| column == fresh).unwrap_or_default();
        samples.push((table, Sample { columns, fresh, rows }));
    }
    let mut statements = Vec::new();
    for (table, sample) in &samples {
        let marks = format!("({})", vec!["?"; sample.columns.len()].join(", "));
        let marks = vec![marks; sample.rows.len()].join(", ");
        let sql = format!("INSERT INTO {table} ({}) VALUES {marks}", sample.columns.join(", "));
        statements.push(bare.prepare(&sql).doing("preparing the insert")?);
    }
    let (mut batches, mut spent) = (0, Duration::ZERO);
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    while Instant::now() < until {
        for (_, sample) in &mut samples {
            sample.refresh();
        }
        let started = Instant::now();
        bare.execute_batch("BEGIN IMMEDIATE").doing("BEGIN")?;
        for (statement, (_, sample)) in statements.iter_mut().zip(&samples) {
            statement.execute(rusqlite::params_from_iter(sample.rows.iter().flatten())).doing("inserting")?;
        }
        bare.execute_batch("COMMIT").doing("COMMIT")?;
        spent += started.elapsed();
        batches += 1;
    }
    drop(statements);
    drop(bare);
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", path.display()));
    }
    Ok((batches * size) as f64 / spent.as_secs_f64())
}

fn rows_per_execution(source: &rusqlite::Connection, table: &str) -> Result<f64> {
    let count = |table: &str| {
        let sql = format!("SELECT count(*) FROM {table}");
        source.query_row(&sql, [], |row| row.get::<_, i64>(0)).doing(&sql)
    };
    Ok(count(table)? as f64 / count("execution")?.max(1) as f64)
}

impl Sample {
    /// Gives each row an id that no row has had.
    fn refresh(&mut self) {
        let first = Uuid::now_v7();
        for (number, row) in self.rows.iter_mut().enumerate() {
            let Some(Value::Blob(id)) = row.get_mut(self.fresh) else { continue };
            if id.len() == 16 {
                *id = Uuid::from_u128(first.as_u128() + number as u128).as_bytes().to_vec();
            } else {
                // Content is named by a hash: its ids are in no order.
                let random = [Uuid::new_v4(), Uuid::new_v4()];
                *id = random.iter().flat_map(Uuid::as_bytes).copied().take(id.len()).collect();
            }
        }
    }
}

/// A column of rows, as PostgreSQL takes arrays.
enum Column {
    Uuid(Vec<Option<Uuid>>),
    I64(Vec<Option<i64>>),
    Bytes(Vec<Option<Vec<u8>>>),
    Text(Vec<Option<String>>),
}

impl Column {
    fn parameter(&self) -> &(dyn ToSql + Sync) {
        match self {
            Self::Uuid(values) => values,
            Self::I64(values) => values,
            Self::Bytes(values) => values,
            Self::Text(values) => values,
        }
    }
}

struct Insert {
    statement: Statement,
    columns: Vec<Column>,
    fresh: usize,
}

async fn postgres(url: &str, organisation: Uuid, size: usize, seconds: f64) -> Result<f64> {
    let connection = Postgres::connect(url).await?;
    connection.run(&format!("SELECT set_config('upswing.organisations', '{organisation}', false)")).await?;
    connection.run("DROP SCHEMA IF EXISTS bare CASCADE; CREATE SCHEMA bare").await?;
    let mut inserts = Vec::new();
    for (table, fresh) in TABLES {
        connection.run(&format!("CREATE TABLE bare.{table} (LIKE public.{table} INCLUDING ALL)")).await?;
        inserts.push(Insert::prepare(&connection, table, fresh, size).await?);
    }
    let (mut batches, mut spent) = (0, Duration::ZERO);
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    while Instant::now() < until {
        for insert in &mut inserts {
            insert.refresh();
        }
        let started = Instant::now();
        let statements = inserts.iter().map(|insert| {
            let parameters: Vec<_> = insert.columns.iter().map(Column::parameter).collect();
            let client = &connection.client;
            async move { client.execute(&insert.statement, &parameters).await }
        });
        // Sent together, without waiting for each other's answers.
        let (begun, inserted, committed) = tokio::join!(
            biased;
            connection.client.batch_execute("BEGIN"),
            futures_util::future::join_all(statements),
            connection.client.batch_execute("COMMIT"),
        );
        begun.doing("BEGIN")?;
        for rows in inserted {
            rows.doing("inserting")?;
        }
        committed.doing("COMMIT")?;
        spent += started.elapsed();
        batches += 1;
    }
    connection.run("DROP SCHEMA bare CASCADE").await?;
    Ok((batches * size) as f64 / spent.as_secs_f64())
}

impl Insert {
    async fn prepare(connection: &Postgres, table: &str, fresh: &str, size: usize) -> Result<Self> {
        let count =
            format!("SELECT (SELECT count(*) FROM {table})::float8 / greatest(count(*), 1) FROM execution");
        let share: f64 = connection.client.query_one(&count, &[]).await.doing(&count)?.get(0);
        let sql = format!("SELECT * FROM {table} LIMIT {}", (share * size as f64).round() as usize);
        let rows = connection.client.query(&sql, &[]).await.doing(&sql)?;
        let first = rows.first().ok_or_else(|| Failure::new(format!("the server wrote no {table}")))?;
        let mut columns = Vec::new();
        let (mut names, mut arrays) = (Vec::new(), Vec::new());
        for (index, column) in first.columns().iter().enumerate() {
            macro_rules! column {
                ($variant:ident, $array:literal) => {{
                    arrays.push(format!("${}::{}[]", index + 1, $array));
                    Column::$variant(rows.iter().map(|row| row.get(index)).collect())
                }};
            }
            names.push(column.name().to_owned());
            columns.push(match *column.type_() {
                Type::UUID => column!(Uuid, "uuid"),
                Type::INT8 => column!(I64, "bigint"),
                Type::BYTEA => column!(Bytes, "bytea"),
                Type::TEXT => column!(Text, "text"),
                ref other => return Err(Failure::new(format!("{table}.{} is {other}", column.name()))),
            });
        }
        let fresh = names.iter().position(|name| name == fresh).unwrap_or_default();
        let (names, arrays) = (names.join(", "), arrays.join(", "));
        let sql = format!("INSERT INTO bare.{table} ({names}) SELECT * FROM UNNEST({arrays})");
        let statement = connection.client.prepare(&sql).await.doing(&sql)?;
        Ok(Self { statement, columns, fresh })
    }

    fn refresh(&mut self) {
        let first = Uuid::now_v7();
        match self.columns.get_mut(self.fresh) {
            Some(Column::Uuid(ids)) => {
                for (number, id) in ids.iter_mut().enumerate() {
                    *id = Some(Uuid::from_u128(first.as_u128() + number as u128));
                }
            }
            Some(Column::Bytes(ids)) => {
                for id in ids {
                    let random = [Uuid::new_v4(), Uuid::new_v4()];
                    *id = Some(random.iter().flat_map(Uuid::as_bytes).copied().take(18).collect());
                }
            }
            _ => {}
        }
    }
}
