//! A database file beside the service that has it, for commands that are run by hand: its lock is not needed for a
//! transaction.

use std::io;
use std::ops::DerefMut;
use std::path::Path;

use sqlx::pool::PoolConnection;
use sqlx::{Connection, Sqlite, SqliteConnection};
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};

use super::lock::{BETWEEN_TRIES, InstanceLock, TRIES, make_file};
use super::writer::{Command, Work};
use super::{Durability, SqliteStore, connect_options, open_current, open_database};
use crate::store::{Result, StoreError};

/// Ways to a database: the service's own, and the one beside it. What only reads and runs commands needs no more.
pub(super) trait Reach: Send + Sync + 'static {
    /// A connection to read with.
    type Reader<'a>: DerefMut<Target = SqliteConnection> + Send
    where
        Self: 'a;

    /// Carries out a command in a transaction.
    fn write<C: Command>(&self, command: C) -> impl Future<Output = Result<C::Answer>> + Send;

    /// Waits for a connection to read with.
    fn reader(&self) -> impl Future<Output = Result<Self::Reader<'_>>> + Send;
}

impl Reach for SqliteStore {
    type Reader<'a> = PoolConnection<Sqlite>;

    async fn write<C: Command>(&self, command: C) -> Result<C::Answer> {
        self.writer.write(command).await
    }

    async fn reader(&self) -> Result<PoolConnection<Sqlite>> {
        self.readers.acquire().await.map_err(|error| match error {
            // A pool that was closed is a store that was closed.
            sqlx::Error::PoolClosed => StoreError::Closed,
            error => error.into(),
        })
    }
}

/// A database file, whether or not a service has it.
///
/// Transactions on a connection of its own, which wait a while for the service's as those do for them. The service hears
/// of nothing by it, and finds out when it looks the next time.
pub struct SqliteFile(Mutex<Work>);

impl SqliteFile {
    /// Makes the file or brings it up to date if need be, unless a service has it: its tables are not changed under it.
    ///
    /// # Errors
    /// [`StoreError::File`] if the folder or file cannot be used; [`StoreError::Outdated`] if a service of an older version
    /// has it; [`StoreError::Migration`] if a newer version of this program has written it.
    pub async fn open(path: &Path) -> Result<Self> {
        for _ in 0..TRIES {
            if let Some(db) = open_current(path).await? {
                return Ok(Self::with(db));
            }
            match InstanceLock::take(path) {
                Ok(_lock) => {
                    make_file(path);
                    let db = open_database(&connect_options(path, Durability::Power), path).await?;
                    return Ok(Self::with(db));
                }
                // It may be starting, and about to do the same.
                Err(StoreError::InUse(_)) => tokio::time::sleep(BETWEEN_TRIES).await,
                Err(error) => return Err(error),
            }
        }
        Err(outdated(path))
    }

    /// Opens the file as it is: neither makes it nor changes its tables.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`StoreError::File`] if it is not there, [`StoreError::Outdated`] if it would have to be
    /// brought up to date.
    pub async fn open_as_it_is(path: &Path) -> Result<Self> {
        let absent = || {
            let shown = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            let message = format!(
                "there is none at {}; run this in the service's folder, or with its DATABASE_URL",
                shown.display()
            );
            StoreError::File(io::Error::new(io::ErrorKind::NotFound, message))
        };
        match open_current(path).await? {
            Some(db) => Ok(Self::with(db)),
            None if path.exists() => Err(outdated(path)),
            None => Err(absent()),
        }
    }

    fn with(db: SqliteConnection) -> Self {
        Self(Mutex::new(Work::beside(db)))
    }

    /// Lets go of the file.
    ///
    /// # Errors
    /// [`StoreError::Database`] if the file could not be left in order; nothing that was written is lost.
    pub async fn close(self) -> Result<()> {
        Ok(self.0.into_inner().db.close().await?)
    }
}

fn outdated(path: &Path) -> StoreError {
    StoreError::Outdated(path.display().to_string())
}

impl Reach for SqliteFile {
    type Reader<'a> = MappedMutexGuard<'a, SqliteConnection>;

    async fn write<C: Command>(&self, command: C) -> Result<C::Answer> {
        let mut work = self.0.lock().await;
        let uncommitted = |error: sqlx::Error| StoreError::Commit(error.to_string());
        // At once for writing: one that has read and then must wait for another writer would be refused.
        sqlx::query("BEGIN IMMEDIATE").execute(&mut work.db).await.map_err(uncommitted)?;
        let answer = match command.run(&mut work).await {
            Ok(answer) => sqlx::query("COMMIT").execute(&mut work.db).await.map(|_| answer).map_err(uncommitted),
            Err(error) => Err(error),
        };
        if answer.is_err() {
            // A full disk makes SQLite roll back by itself, and then there is nothing left to roll back.
            let _ = sqlx::query("ROLLBACK").execute(&mut work.db).await;
        }
        answer
    }

    async fn reader(&self) -> Result<MappedMutexGuard<'_, SqliteConnection>> {
        Ok(MutexGuard::map(self.0.lock().await, |work| &mut work.db))
    }
}
