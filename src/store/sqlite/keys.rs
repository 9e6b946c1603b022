//! API keys: who may call, in the database.

use async_trait::async_trait;
use sqlx::SqliteExecutor;

use super::file::Reach;
use super::rows::{self, now};
use super::writer::{Command, Work};
use crate::store::{KeyId, KeyStore, NewKey, Result, StoredKey};

#[async_trait]
impl<D: Reach> KeyStore for D {
    async fn add_key(&self, key: NewKey) -> Result<KeyId> {
        self.write(Add(key)).await
    }

    async fn keys(&self) -> Result<Vec<StoredKey>> {
        all(&mut *self.reader().await?).await
    }

    async fn has_keys(&self) -> Result<bool> {
        any(&mut *self.reader().await?).await
    }

    async fn revoke_keys(&self, keys: &[KeyId]) -> Result<u64> {
        self.write(Revoke(keys.to_vec())).await
    }

    async fn note_key_use(&self, keys: &[KeyId]) -> Result<()> {
        self.write(NoteUse(keys.to_vec())).await
    }
}

const ADD: &str = concat!(
    "INSERT INTO api_keys (name, digest, scopes, rate_requests, rate_window_s, result_links, created_at_ms) \
     VALUES ($1, $2, $3, $4, $5, $6, ",
    now!(),
    ") RETURNING id"
);

async fn add(db: impl SqliteExecutor<'_>, key: &NewKey) -> Result<KeyId> {
    let (requests, window_s) = rows::kept_limit(key.limit);
    let query = sqlx::query_scalar(ADD)
        .bind(&key.name)
        .bind(key.digest.as_bytes().as_slice())
        .bind(key.scopes.to_string())
        .bind(requests)
        .bind(window_s)
        .bind(key.links.map(|links| links.to_string()));
    Ok(KeyId(query.fetch_one(db).await?))
}

/// Every key that can be read. The table is as long as the list of those who may call, and is read as a whole. A row that
/// cannot be read opens nothing, and is in no other's way: those must stay revocable.
async fn all(db: impl SqliteExecutor<'_>) -> Result<Vec<StoredKey>> {
    let sql = "SELECT id, name, digest, scopes, rate_requests, rate_window_s, result_links, created_at_ms, \
               last_used_at_ms, revoked_at_ms FROM api_keys ORDER BY id";
    Ok(rows::readable_keys(&sqlx::query(sql).fetch_all(db).await?))
}

/// Whether there is a row at all, readable or not.
async fn any(db: impl SqliteExecutor<'_>) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM api_keys)").fetch_one(db).await?)
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
struct Add(NewKey);

#[async_trait]
impl Command for Add {
    type Answer = KeyId;

    async fn run(&self, work: &mut Work) -> Result<KeyId> {
        add(&mut work.db, &self.0).await
    }
}

/// Revokes keys.
struct Revoke(Vec<KeyId>);

#[async_trait]
impl Command for Revoke {
    type Answer = u64;

    async fn run(&self, work: &mut Work) -> Result<u64> {
        revoke(&mut work.db, &self.0).await
    }
}

/// Notes that keys are in use.
struct NoteUse(Vec<KeyId>);

#[async_trait]
impl Command for NoteUse {
    type Answer = ();

    async fn run(&self, work: &mut Work) -> Result<()> {
        note_use(&mut work.db, &self.0).await
    }
}
