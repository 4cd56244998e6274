//! The databases that are measured on: a fresh one for each measurement, removed afterwards.

use std::path::{Path, PathBuf};

use tokio_postgres::NoTls;
use uuid::Uuid;

use crate::failure::{Doing as _, Failure, Result};

/// Where databases are made.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// A file in the folder of each server.
    Sqlite,
    /// A role that may create databases; the URL names any database of the cluster.
    Postgres(String),
}

impl Place {
    /// As people call it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres(_) => "PostgreSQL",
        }
    }

    /// Makes a database. `folder` also holds what a server keeps beside it.
    pub(crate) async fn make(&self, folder: &Path) -> Result<Database> {
        match self {
            Self::Sqlite => Ok(Database::Sqlite(folder.join("upswing.db"))),
            Self::Postgres(url) => {
                let name = format!("upswing_bench_{}", Uuid::now_v7().simple());
                let connection = Postgres::connect(url).await?;
                connection.run(&format!("CREATE DATABASE {name}")).await.map_err(|error| {
                    Failure::new(format!("{error}; the role in the URL must be allowed to create databases"))
                })?;
                Ok(Database::Postgres { server: url.clone(), url: in_database(url, &name)?, name })
            }
        }
    }
}

/// The same server's URL for another database.
fn in_database(url: &str, name: &str) -> Result<String> {
    let odd = || Failure::new("the URL of PostgreSQL must read postgres://USER@HOST/DATABASE");
    let (scheme, rest) = url.split_once("://").ok_or_else(odd)?;
    let (rest, options) = rest.split_once('?').map_or((rest, None), |(rest, options)| (rest, Some(options)));
    let (host, _) = rest.split_once('/').ok_or_else(odd)?;
    let options = options.map(|options| format!("?{options}")).unwrap_or_default();
    Ok(format!("{scheme}://{host}/{name}{options}"))
}

/// One database.
#[derive(Debug, Clone)]
pub(crate) enum Database {
    /// A file.
    Sqlite(PathBuf),
    /// A database of a cluster.
    Postgres {
        /// The URL of another database there.
        server: String,
        /// Its own URL.
        url: String,
        /// Its name.
        name: String,
    },
}

impl Database {
    /// As `upswing --database-url` takes it.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite:{}", path.display()),
            Self::Postgres { url, .. } => url.clone(),
        }
    }

    /// How many rows of a table an organisation has stored.
    pub(crate) async fn count(&self, organisation: Uuid, table: &str) -> Result<u64> {
        let sql = format!("SELECT count(*) FROM {table}");
        let count: i64 = match self {
            Self::Sqlite(path) => {
                let connection = rusqlite::Connection::open(path).doing("opening the database")?;
                connection.query_row(&sql, [], |row| row.get(0)).doing(&sql)?
            }
            Self::Postgres { url, .. } => {
                let connection = Postgres::connect(url).await?;
                connection
                    .run(&format!("SELECT set_config('upswing.organisations', '{organisation}', false)"))
                    .await?;
                connection.client.query_one(&sql, &[]).await.doing(&sql)?.get(0)
            }
        };
        u64::try_from(count).doing("counting")
    }

    /// Removes what does not go with the folder.
    pub(crate) async fn remove(&self) -> Result<()> {
        if let Self::Postgres { server, name, .. } = self {
            let connection = Postgres::connect(server).await?;
            connection.run(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
        }
        Ok(())
    }
}

/// A connection to PostgreSQL.
pub(crate) struct Postgres {
    pub(crate) client: tokio_postgres::Client,
    _driver: tokio::task::JoinSet<()>,
}

impl Postgres {
    /// Connects.
    pub(crate) async fn connect(url: &str) -> Result<Self> {
        let (client, driver) = tokio_postgres::connect(url, NoTls).await.doing("connecting to PostgreSQL")?;
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move {
            if let Err(error) = driver.await {
                eprintln!("a connection to PostgreSQL ended: {error}");
            }
        });
        Ok(Self { client, _driver: tasks })
    }

    /// Runs statements without parameters.
    pub(crate) async fn run(&self, sql: &str) -> Result<()> {
        self.client.batch_execute(sql).await.map_err(|error| {
            let message = error.as_db_error().map_or_else(|| error.to_string(), |e| e.message().to_owned());
            Failure::new(format!("{sql}: {message}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_changed_in_its_database_alone() {
        let changed = |url: &str| in_database(url, "b").ok();
        assert_eq!(changed("postgres://u:p@h:5/a?x=1").as_deref(), Some("postgres://u:p@h:5/b?x=1"));
        assert_eq!(changed("postgresql://h/a").as_deref(), Some("postgresql://h/b"));
        assert_eq!(changed("postgres:a"), None);
    }
}
