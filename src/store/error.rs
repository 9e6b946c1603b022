//! How a store fails.

use thiserror::Error;

/// What a store returns.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Why the store could not do its work. The text is for logs; callers are told that storage is unavailable, no more.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Another process has the database file.
    #[error("another process uses the database {0}; stop it, or give this one a DATABASE_URL of its own")]
    InUse(String),
    /// The tables are not those of this version, and this is not the one to change them.
    #[error(
        "the database {0} was written by an older version; restart the service with this version first, which brings it up to date"
    )]
    Outdated(String),
    /// The database server cannot be used at all. For the operator, at the start.
    #[error("{0}")]
    Unreachable(String),
    /// The database refused, failed or could not be reached.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// A transaction could not be begun or committed. What was being written may or may not be there.
    #[error("the database could not be written: {0}")]
    Commit(String),
    /// A migration is missing, was changed or failed.
    #[error("the database cannot be brought up to date: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The database's file or folder cannot be made or locked.
    #[error("the database file cannot be opened: {0}")]
    File(#[from] std::io::Error),
    /// A row says what no version of this program writes.
    #[error("a row of the database cannot be read: {0}")]
    Row(String),
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
}
