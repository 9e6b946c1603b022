//! What keeps the database small and known to be well: retention, the cache of results, the readiness check.

use sqlx::PgConnection;

use super::changes::now;
use crate::store::record::milliseconds;
use crate::store::rows;
use crate::store::{JobResult, Result, Retention};

/// Jobs, and cached results, deleted at a time: a few milliseconds' worth, as each takes its events and callbacks along.
const PRUNED_AT_ONCE: i64 = 200;

macro_rules! prune_jobs {
    ($states:literal) => {
        concat!(
            "DELETE FROM jobs WHERE key IN (SELECT key FROM jobs WHERE state IN (",
            $states,
            ") AND finished_at_ms <= ",
            now!(),
            " - $1 AND NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.job = jobs.key \
             AND deliveries.state IN ('waiting', 'sending')) LIMIT $2 FOR UPDATE SKIP LOCKED)"
        )
    };
}

pub(super) const PRUNE_DONE: &str = prune_jobs!("'completed', 'cancelled'");

pub(super) const PRUNE_FAILED: &str = prune_jobs!("'failed'");

pub(super) const PRUNE_RESULTS: &str = concat!(
    "DELETE FROM results WHERE cache_key IN (SELECT cache_key FROM results WHERE used_at_ms <= ",
    now!(),
    " - $1 LIMIT $2 FOR UPDATE SKIP LOCKED)"
);

/// Deletes some of what has been kept long enough. Several nodes may do so at a time.
pub(super) async fn prune(db: &mut PgConnection, retention: Retention) -> Result<u64> {
    let Retention { completed, failed } = retention;
    let mut deleted = 0;
    for (sql, kept) in [(PRUNE_DONE, completed), (PRUNE_FAILED, failed), (PRUNE_RESULTS, completed)] {
        let query = sqlx::query(sql).bind(milliseconds(kept)).bind(PRUNED_AT_ONCE);
        deleted += query.execute(&mut *db).await?.rows_affected();
    }
    Ok(deleted)
}

/// Looks for the result of an equal request, and counts that as use.
pub(super) async fn use_cached(db: &mut PgConnection, cache_key: &str) -> Result<Option<JobResult>> {
    let sql = concat!(
        "UPDATE results SET used_at_ms = ",
        now!(),
        " WHERE cache_key = $1 RETURNING result_hash, result_bytes, source_hash"
    );
    let row = sqlx::query(sql).bind(cache_key).fetch_optional(db).await?;
    Ok(row.as_ref().map(rows::result).transpose()?.flatten())
}

/// Writes a row that means nothing.
pub(super) async fn check_writable(db: &mut PgConnection) -> Result<()> {
    sqlx::query(concat!("UPDATE writable SET at_ms = ", now!())).execute(db).await?;
    Ok(())
}
