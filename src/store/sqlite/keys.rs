//! API keys: beside a running service too, whose lock is not needed to change them.

use std::io;
use std::path::Path;

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, Row, SqliteConnection, SqliteExecutor};
use tokio::sync::Mutex;

use super::lock::{BETWEEN_TRIES, InstanceLock, TRIES, make_file};
use super::rows::{self, now};
use super::writer::{Command, Work};
use super::{Durability, connect_options, open_current, open_database};
use crate::key::{Digest, Limit, Rate, Scopes};
use crate::store::{KeyId, KeyStore, NewKey, Result, StoreError, StoredKey};

/// The keys of a database file, whether or not a service has it.
///
/// Single statements on a connection of its own, which wait a while for the service's transactions as those do for them.
pub struct KeyFile(Mutex<SqliteConnection>);

impl KeyFile {
    /// Makes the file or brings it up to date if need be, unless a service has it: its tables are not changed under it.
    ///
    /// # Errors
    /// [`StoreError::File`] if the folder or file cannot be used; [`StoreError::Outdated`] if a service of an older version
    /// has it; [`StoreError::Migration`] if a newer version of this program has written it.
    pub async fn open(path: &Path) -> Result<Self> {
        for _ in 0..TRIES {
            if let Some(db) = open_current(path).await? {
                return Ok(Self(Mutex::new(db)));
            }
            match InstanceLock::take(path) {
                Ok(_lock) => {
                    make_file(path);
                    let db = open_database(&connect_options(path, Durability::Power), path).await?;
                    return Ok(Self(Mutex::new(db)));
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
            Some(db) => Ok(Self(Mutex::new(db))),
            None if path.exists() => Err(outdated(path)),
            None => Err(absent()),
        }
    }

    /// Lets go of the file.
    ///
    /// # Errors
    /// [`StoreError::Database`] if the file could not be left in order; nothing that was written is lost.
    pub async fn close(self) -> Result<()> {
        Ok(self.0.into_inner().close().await?)
    }
}

fn outdated(path: &Path) -> StoreError {
    StoreError::Outdated(path.display().to_string())
}

#[async_trait]
impl KeyStore for KeyFile {
    async fn add_key(&self, key: NewKey) -> Result<KeyId> {
        add(&mut *self.0.lock().await, &key).await
    }

    async fn keys(&self) -> Result<Vec<StoredKey>> {
        all(&mut *self.0.lock().await).await
    }

    async fn has_keys(&self) -> Result<bool> {
        any(&mut *self.0.lock().await).await
    }

    async fn revoke_keys(&self, keys: &[KeyId]) -> Result<u64> {
        revoke(&mut *self.0.lock().await, keys).await
    }

    async fn note_key_use(&self, keys: &[KeyId]) -> Result<()> {
        note_use(&mut *self.0.lock().await, keys).await
    }
}

const ADD: &str = concat!(
    "INSERT INTO api_keys (name, digest, scopes, rate_requests, rate_window_s, created_at_ms) \
     VALUES ($1, $2, $3, $4, $5, ",
    now!(),
    ") RETURNING id"
);

async fn add(db: impl SqliteExecutor<'_>, key: &NewKey) -> Result<KeyId> {
    let (requests, window_s) = match key.limit {
        Limit::Usual => (None, None),
        Limit::Unlimited => (Some(0), None),
        Limit::Own(rate) => (Some(rate.quota()), Some(rate.window_s())),
    };
    let query = sqlx::query_scalar(ADD)
        .bind(&key.name)
        .bind(key.digest.as_bytes().as_slice())
        .bind(key.scopes.to_string())
        .bind(requests)
        .bind(window_s);
    Ok(KeyId(query.fetch_one(db).await?))
}

/// Every key that can be read. The table is as long as the list of those who may call, and is read as a whole. A row that
/// cannot be read opens nothing, and is in no other's way: those must stay revocable.
pub(super) async fn all(db: impl SqliteExecutor<'_>) -> Result<Vec<StoredKey>> {
    let sql = "SELECT id, name, digest, scopes, rate_requests, rate_window_s, created_at_ms, last_used_at_ms, \
               revoked_at_ms FROM api_keys ORDER BY id";
    let readable = |row: &SqliteRow| {
        let unreadable = |error: &StoreError| {
            let id: i64 = row.try_get("id").unwrap_or_default();
            tracing::error!(id, %error, "an API key cannot be read, and opens nothing; delete its row");
        };
        key(row).inspect_err(unreadable).ok()
    };
    Ok(sqlx::query(sql).fetch_all(db).await?.iter().filter_map(readable).collect())
}

/// Whether there is a row at all, readable or not.
pub(super) async fn any(db: impl SqliteExecutor<'_>) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM api_keys)").fetch_one(db).await?)
}

fn key(row: &SqliteRow) -> Result<StoredKey> {
    let digest: &[u8] = row.try_get("digest")?;
    let scopes: &str = row.try_get("scopes")?;
    let rate: (Option<u32>, Option<u32>) = (row.try_get("rate_requests")?, row.try_get("rate_window_s")?);
    let unreadable = |what: &str| StoreError::Row(format!("{what} of an API key"));
    Ok(StoredKey {
        id: KeyId(row.try_get("id")?),
        name: row.try_get("name")?,
        digest: Digest::from_bytes(digest).ok_or_else(|| unreadable("digest"))?,
        scopes: Scopes::kept(scopes),
        limit: match rate {
            (None, None) => Limit::Usual,
            (Some(0), None) => Limit::Unlimited,
            (Some(requests), Some(window_s)) => {
                Limit::Own(Rate::new(requests, window_s).ok_or_else(|| unreadable("rate"))?)
            }
            _ => return Err(unreadable("rate")),
        },
        created_at_ms: row.try_get("created_at_ms")?,
        last_used_at_ms: row.try_get("last_used_at_ms")?,
        revoked_at_ms: row.try_get("revoked_at_ms")?,
    })
}

const REVOKE: &str = concat!(
    "UPDATE api_keys SET revoked_at_ms = ",
    now!(),
    " WHERE id IN (SELECT value FROM json_each($1)) AND revoked_at_ms IS NULL"
);

async fn revoke(db: impl SqliteExecutor<'_>, keys: &[KeyId]) -> Result<u64> {
    Ok(sqlx::query(REVOKE).bind(list(keys)?).execute(db).await?.rows_affected())
}

const NOTE_USE: &str =
    concat!("UPDATE api_keys SET last_used_at_ms = ", now!(), " WHERE id IN (SELECT value FROM json_each($1))");

async fn note_use(db: impl SqliteExecutor<'_>, keys: &[KeyId]) -> Result<()> {
    sqlx::query(NOTE_USE).bind(list(keys)?).execute(db).await?;
    Ok(())
}

fn list(keys: &[KeyId]) -> Result<String> {
    rows::json(&keys.iter().map(|key| key.0).collect::<Vec<_>>())
}

/// Adds a key.
pub(super) struct Add(pub(super) NewKey);

#[async_trait]
impl Command for Add {
    type Answer = KeyId;

    async fn run(&self, work: &mut Work) -> Result<KeyId> {
        add(&mut work.db, &self.0).await
    }
}

/// Revokes keys.
pub(super) struct Revoke(pub(super) Vec<KeyId>);

#[async_trait]
impl Command for Revoke {
    type Answer = u64;

    async fn run(&self, work: &mut Work) -> Result<u64> {
        revoke(&mut work.db, &self.0).await
    }
}

/// Notes that keys are in use.
pub(super) struct NoteUse(pub(super) Vec<KeyId>);

#[async_trait]
impl Command for NoteUse {
    type Answer = ();

    async fn run(&self, work: &mut Work) -> Result<()> {
        note_use(&mut work.db, &self.0).await
    }
}
