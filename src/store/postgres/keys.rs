//! API keys. Every node hears of a change by asking, as it does on SQLite.

use sqlx::PgConnection;

use super::changes::now;
use crate::key::Digest;
use crate::store::rows;
use crate::store::{KeyId, NewKey, Result, StoredKey};

const ADD: &str = concat!(
    "INSERT INTO api_keys (name, digest, scopes, rate_requests, rate_window_s, result_links, created_at_ms) \
     VALUES ($1, $2, $3, $4, $5, $6, ",
    now!(),
    ") RETURNING id"
);

pub(super) async fn add(db: &mut PgConnection, key: &NewKey) -> Result<KeyId> {
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

/// The key that has a secret of this digest.
pub(super) async fn by_digest(db: &mut PgConnection, digest: &Digest) -> Result<Option<KeyId>> {
    let query = sqlx::query_scalar("SELECT id FROM api_keys WHERE digest = $1").bind(digest.as_bytes().as_slice());
    Ok(query.fetch_optional(db).await?.map(KeyId))
}

/// Every key that can be read. The table is as long as the list of those who may call, and is read as a whole.
pub(super) async fn all(db: &mut PgConnection) -> Result<Vec<StoredKey>> {
    let sql = "SELECT id, name, digest, scopes, rate_requests, rate_window_s, result_links, created_at_ms, \
               last_used_at_ms, revoked_at_ms FROM api_keys ORDER BY id";
    Ok(rows::readable_keys(&sqlx::query(sql).fetch_all(db).await?))
}

/// Whether there is a row at all, readable or not.
pub(super) async fn any(db: &mut PgConnection) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM api_keys)").fetch_one(db).await?)
}

pub(super) async fn revoke(db: &mut PgConnection, keys: &[KeyId]) -> Result<u64> {
    let sql = concat!("UPDATE api_keys SET revoked_at_ms = ", now!(), " WHERE id = ANY($1) AND revoked_at_ms IS NULL");
    Ok(sqlx::query(sql).bind(numbers(keys)).execute(db).await?.rows_affected())
}

pub(super) async fn note_use(db: &mut PgConnection, keys: &[KeyId]) -> Result<()> {
    let sql = concat!("UPDATE api_keys SET last_used_at_ms = ", now!(), " WHERE id = ANY($1)");
    sqlx::query(sql).bind(numbers(keys)).execute(db).await?;
    Ok(())
}

fn numbers(keys: &[KeyId]) -> Vec<i64> {
    keys.iter().map(|key| key.0).collect()
}
