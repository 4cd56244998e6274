//! Reading connections.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;
use upswing_domain::OrganisationId;

use crate::StoreError;
use crate::engine::Connection;
use crate::writer::{Place, unavailable};

/// Idle reading connections, at most so many in use at once.
pub(crate) struct Pool {
    place: Place,
    idle: Mutex<Vec<Connection>>,
    room: Semaphore,
}

/// Under what a read sees rows.
pub(crate) enum Scope {
    Organisation(Option<OrganisationId>),
    Organisations(Vec<OrganisationId>),
    Key([u8; 32]),
}

impl Scope {
    async fn begin(&self, connection: &mut Connection) -> Result<(), StoreError> {
        match self {
            Self::Organisation(organisation) => connection.begin(organisation.as_slice(), false).await,
            Self::Organisations(organisations) => connection.begin(organisations, false).await,
            Self::Key(hash) => connection.begin_with_key(hash).await,
        }
    }
}

impl Pool {
    pub(crate) fn new(place: Place, size: usize) -> Arc<Self> {
        Arc::new(Self { place, idle: Mutex::new(Vec::new()), room: Semaphore::new(size.max(1)) })
    }

    /// Where the database is.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Runs a read in a transaction of its own.
    pub(crate) async fn read<T, F>(self: &Arc<Self>, scope: Scope, f: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Connection) -> BoxFuture<'a, Result<T, StoreError>> + Send + 'static,
    {
        let _room = self.room.acquire().await.map_err(|_| StoreError::Closing)?;
        match self.place {
            Place::Postgres(_) => self.run(scope, f).await,
            Place::Sqlite(_) => {
                let pool = self.clone();
                // SQLite's calls block; none of them suspends.
                let read = move || pool.run(scope, f).now_or_never();
                match tokio::task::spawn_blocking(read).await {
                    Ok(Some(outcome)) => outcome,
                    Ok(None) | Err(_) => Err(StoreError::Closing),
                }
            }
        }
    }

    async fn run<T, F>(&self, scope: Scope, f: F) -> Result<T, StoreError>
    where
        F: for<'a> FnOnce(&'a mut Connection) -> BoxFuture<'a, Result<T, StoreError>>,
    {
        let idle = self.lock().pop();
        let (mut connection, reused) = match idle {
            Some(connection) if !connection.is_broken() => (connection, true),
            _ => (self.connect().await?, false),
        };
        if let Err(error) = scope.begin(&mut connection).await {
            // An idle connection may have died with its server: a fresh one tells.
            if !(reused && matches!(error, StoreError::Unavailable(_))) {
                return Err(error);
            }
            self.lock().clear();
            connection = self.connect().await?;
            scope.begin(&mut connection).await?;
        }
        let outcome = f(&mut connection).await;
        if connection.roll_back().await.is_ok() {
            self.lock().push(connection);
        }
        outcome
    }

    /// A connection of its own. Boxed: it is rare, and large, and every read would carry room for it.
    fn connect(&self) -> BoxFuture<'_, Result<Connection, StoreError>> {
        async { self.place.connect(false).await.map_err(unavailable) }.boxed()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
