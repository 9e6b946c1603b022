//! What is only looked up, beside the writer: each call reads the database as of its last commit.

use std::time::Duration;

use sqlx::{Row, SqlitePool};

use super::rows::{self, job_columns, now};
use crate::job::{Event, JobId};
use crate::store::{BatchCounts, Filter, Job, JobKey, Queue, Result, To};

/// A job by its caller's name for it.
pub(super) async fn job(pool: &SqlitePool, owner: &str, id: &JobId) -> Result<Option<Job>> {
    let sql = concat!("SELECT ", job_columns!(), " FROM jobs WHERE owner = $1 AND id = $2");
    let row = sqlx::query(sql).bind(owner).bind(id.as_str()).fetch_optional(pool).await?;
    row.as_ref().map(rows::job).transpose()
}

/// A job's events after one of them.
pub(super) async fn events(pool: &SqlitePool, job: JobKey, after: u64, limit: usize) -> Result<Vec<Event>> {
    let sql = "SELECT sequence, at_ms, state, progress, message, error FROM events \
               WHERE job = $1 AND sequence > $2 ORDER BY sequence LIMIT $3";
    let query = sqlx::query(sql).bind(job.0).bind(rows::integer(after)).bind(rows::integer(limit as u64));
    query.fetch_all(pool).await?.iter().map(rows::event).collect()
}

pub(super) const LIST: &str = concat!(
    "SELECT ",
    job_columns!(),
    " FROM jobs WHERE owner = $1 AND key < $2 AND ($3 OR state IN (SELECT value FROM json_each($4))) \
     ORDER BY key DESC LIMIT $5"
);

pub(super) const LIST_BATCH: &str = concat!(
    "SELECT ",
    job_columns!(),
    " FROM jobs WHERE owner = $1 AND key < $2 AND ($3 OR state IN (SELECT value FROM json_each($4))) AND batch = $6 \
     ORDER BY key DESC LIMIT $5"
);

/// An owner's jobs, newest first.
pub(super) async fn list(pool: &SqlitePool, owner: &str, filter: &Filter) -> Result<Vec<Job>> {
    let states: Vec<&str> = filter.states.iter().map(|state| state.as_str()).collect();
    let query = sqlx::query(if filter.batch.is_some() { LIST_BATCH } else { LIST })
        .bind(owner)
        .bind(filter.before.map_or(i64::MAX, |key| key.0))
        .bind(states.is_empty())
        .bind(rows::json(&states)?)
        .bind(rows::integer(filter.limit as u64))
        .bind(&filter.batch);
    query.fetch_all(pool).await?.iter().map(rows::job).collect()
}

/// How far a batch is.
pub(super) async fn batch(pool: &SqlitePool, owner: &str, batch: &str) -> Result<Option<BatchCounts>> {
    let sql = "SELECT count(*) AS total, count(*) FILTER (WHERE state = 'queued') AS queued, \
               count(*) FILTER (WHERE state = 'running') AS running, \
               count(*) FILTER (WHERE state = 'completed') AS completed, \
               count(*) FILTER (WHERE state = 'failed') AS failed, \
               count(*) FILTER (WHERE state = 'cancelled') AS cancelled \
               FROM jobs WHERE owner = $1 AND batch = $2";
    let row = sqlx::query(sql).bind(owner).bind(batch).fetch_one(pool).await?;
    let counts = BatchCounts {
        total: rows::number(&row, "total")?,
        queued: rows::number(&row, "queued")?,
        running: rows::number(&row, "running")?,
        completed: rows::number(&row, "completed")?,
        failed: rows::number(&row, "failed")?,
        cancelled: rows::number(&row, "cancelled")?,
    };
    Ok((counts.total > 0).then_some(counts))
}

pub(super) const QUEUE: &str = concat!(
    "SELECT (SELECT count(*) FROM jobs WHERE state = 'queued') AS queued, \
     (SELECT count(*) FROM jobs WHERE state = 'running') AS running, \
     (SELECT count(*) FROM deliveries WHERE state = 'waiting') \
     + (SELECT count(*) FROM deliveries WHERE state = 'sending') AS deliveries, ",
    now!(),
    " - (SELECT min(run_after_ms) FROM jobs WHERE state = 'queued') AS oldest_ms"
);

/// The queue at a glance. Each part reads one partial index, as long as the queue is.
pub(super) async fn queue(pool: &SqlitePool) -> Result<Queue> {
    let row = sqlx::query(QUEUE).fetch_one(pool).await?;
    Ok(Queue {
        queued: rows::number(&row, "queued")?,
        running: rows::number(&row, "running")?,
        oldest: rows::positive(row.try_get("oldest_ms")?).unwrap_or_default(),
        deliveries: rows::number(&row, "deliveries")?,
    })
}

/// Receivers as statements have them.
pub(super) struct Listed {
    /// A list as JSON.
    pub(super) names: String,
    /// Whether these are asked for, or all others.
    pub(super) only: bool,
}

impl Listed {
    pub(super) fn new(to: To<'_>) -> Result<Self> {
        let (names, only) = match to {
            To::AllBut(names) => (names, false),
            To::Only(names) => (names, true),
        };
        Ok(Self { names: rows::json(&names)?, only })
    }
}

/// Whether a callback's receiver is among those that are asked for.
macro_rules! is_asked_for {
    ($names:literal, $only:literal) => {
        concat!("(due.host IN (SELECT value FROM json_each(", $names, "))) = ", $only)
    };
}

pub(super) use is_asked_for;

/// A callback that waits for another of its job is not counted: the other's end is when it can be claimed.
pub(super) const NEXT_DELIVERY: &str = concat!(
    "SELECT min(at_ms) - ",
    now!(),
    " FROM (SELECT lease_until_ms AS at_ms FROM deliveries WHERE state = 'sending' \
     UNION ALL SELECT * FROM (SELECT due_at_ms FROM deliveries AS due WHERE state = 'waiting' AND is_final = 1 \
     AND ",
    is_asked_for!("$1", "$2"),
    " AND NOT EXISTS (SELECT 1 FROM deliveries AS other WHERE other.job = due.job AND other.state = 'sending') \
     ORDER BY due_at_ms LIMIT 1) \
     UNION ALL SELECT * FROM (SELECT due_at_ms FROM deliveries AS due WHERE state = 'waiting' AND is_final = 0 \
     AND ",
    is_asked_for!("$1", "$2"),
    " AND NOT EXISTS (SELECT 1 FROM deliveries AS other WHERE other.job = due.job AND other.state = 'sending') \
     ORDER BY due_at_ms LIMIT 1))"
);

/// When the next callback can be claimed.
pub(super) async fn next_delivery(pool: &SqlitePool, to: To<'_>) -> Result<Option<Duration>> {
    let to = Listed::new(to)?;
    let query = sqlx::query_scalar(NEXT_DELIVERY).bind(to.names).bind(to.only);
    let wait_ms: Option<i64> = query.fetch_one(pool).await?;
    Ok(wait_ms.map(|wait| rows::positive(Some(wait)).unwrap_or_default()))
}

/// Which database this is.
pub(super) async fn identity(pool: &SqlitePool) -> Result<String> {
    Ok(sqlx::query_scalar("SELECT name FROM identity").fetch_one(pool).await?)
}
