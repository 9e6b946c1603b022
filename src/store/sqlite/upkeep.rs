//! What keeps the database small and known to be well: retention, the cache of results, the readiness check.

use async_trait::async_trait;

use super::rows::{self, now};
use super::writer::{Command, Work};
use crate::store::record::milliseconds;
use crate::store::{JobResult, Result, Retention};

/// Jobs, and cached results, deleted in one command. Others wait for the writer meanwhile, so it is a few milliseconds'
/// worth.
const PRUNED_AT_ONCE: i64 = 200;

/// Deletes what has been kept long enough.
pub(super) struct Prune(pub(super) Retention);

macro_rules! prune_jobs {
    ($states:literal) => {
        concat!(
            "DELETE FROM jobs WHERE key IN (SELECT key FROM jobs WHERE state IN (",
            $states,
            ") AND finished_at_ms IS NOT NULL AND finished_at_ms <= ",
            now!(),
            " - $1 AND NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.job = jobs.key \
             AND deliveries.state IN ('waiting', 'sending')) LIMIT $2)"
        )
    };
}

pub(super) const PRUNE_DONE: &str = prune_jobs!("'completed', 'cancelled'");

pub(super) const PRUNE_FAILED: &str = prune_jobs!("'failed'");

pub(super) const PRUNE_RESULTS: &str = concat!(
    "DELETE FROM results WHERE cache_key IN (SELECT cache_key FROM results WHERE used_at_ms <= ",
    now!(),
    " - $1 LIMIT $2)"
);

#[async_trait]
impl Command for Prune {
    type Answer = u64;

    async fn run(&self, work: &mut Work) -> Result<u64> {
        let Retention { completed, failed } = self.0;
        let mut deleted = 0;
        let steps = [(PRUNE_DONE, completed), (PRUNE_FAILED, failed), (PRUNE_RESULTS, completed)];
        for (sql, kept) in steps {
            let query = sqlx::query(sql).bind(milliseconds(kept)).bind(PRUNED_AT_ONCE);
            deleted += query.execute(&mut work.db).await?.rows_affected();
        }
        Ok(deleted)
    }
}

/// Looks for the result of an equal request, and counts that as use.
pub(super) struct UseCached(pub(super) String);

#[async_trait]
impl Command for UseCached {
    type Answer = Option<JobResult>;

    async fn run(&self, work: &mut Work) -> Result<Option<JobResult>> {
        let sql = concat!(
            "UPDATE results SET used_at_ms = ",
            now!(),
            " WHERE cache_key = $1 RETURNING result_hash, result_bytes, source_hash"
        );
        let row = sqlx::query(sql).bind(&self.0).fetch_optional(&mut work.db).await?;
        Ok(row.as_ref().map(rows::result).transpose()?.flatten())
    }
}

/// Writes a row that means nothing.
pub(super) struct CheckWritable;

#[async_trait]
impl Command for CheckWritable {
    type Answer = ();

    async fn run(&self, work: &mut Work) -> Result<()> {
        let sql = concat!("UPDATE writable SET at_ms = ", now!());
        sqlx::query(sql).execute(&mut work.db).await?;
        Ok(())
    }
}
