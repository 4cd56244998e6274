//! What can go wrong in the store.

use upswing_domain::{ExperimentError, Invalid, RolloutError};

/// Why the store did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The write queue is full. Try again later.
    #[error("the write queue is full ({capacity} items)")]
    QueueFull {
        /// How many items it holds.
        capacity: usize,
    },
    /// The database cannot be reached. What was acknowledged is safe; the connection is tried again by itself.
    #[error("the database cannot be reached: {0}")]
    Unavailable(String),
    /// The store is closing.
    #[error("the store is closing")]
    Closing,
    /// A value was refused.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// An experiment is not made so, or its state does not allow the change.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// A rollout is not made so, or its state does not allow the change.
    #[error(transparent)]
    Rollout(#[from] RolloutError),
    /// There is no such thing in this organisation.
    #[error("there is no {noun} {id}")]
    NotFound {
        /// What was looked for.
        noun: &'static str,
        /// Its id, as given.
        id: String,
    },
    /// It exists with other content, or its state does not allow the change.
    #[error("{0}")]
    Conflict(String),
    /// The database refused the statement.
    #[error("the database refused: {0}")]
    Database(String),
    /// The database holds something that this program does not understand.
    #[error("stored data is not understood: {0}")]
    Corrupt(String),
    /// The store cannot be opened as it is configured.
    #[error("{0}")]
    Configuration(String),
    /// The lease that the write depends on is held by another server.
    #[error("the lease is held by another server")]
    LeaseLost,
}
