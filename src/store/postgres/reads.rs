//! What is only looked up.

use std::time::Duration;

use sqlx::{AssertSqlSafe, PgConnection};

use super::changes::{job_columns, now};
use crate::job::{Event, JobId, JobState};
use crate::store::rows::{self, integer, number, positive};
use crate::store::{BatchCounts, Filter, Job, JobKey, Queue, Result, To};

/// A job by its caller's name for it.
pub(super) async fn job(db: &mut PgConnection, owner: &str, id: &JobId) -> Result<Option<Job>> {
    let sql = concat!("SELECT ", job_columns!(), " FROM jobs WHERE owner = $1 AND id = $2");
    let row = sqlx::query(sql).bind(owner).bind(id.as_str()).fetch_optional(db).await?;
    row.as_ref().map(rows::job).transpose()
}

/// A job's events after one of them.
pub(super) async fn events(db: &mut PgConnection, job: JobKey, after: u64, limit: usize) -> Result<Vec<Event>> {
    let sql = "SELECT sequence, at_ms, state, progress, message, error FROM events \
               WHERE job = $1 AND sequence > $2 ORDER BY sequence LIMIT $3";
    let query = sqlx::query(sql).bind(job.0).bind(integer(after)).bind(integer(limit as u64));
    query.fetch_all(db).await?.iter().map(rows::event).collect()
}

/// An owner's jobs, newest first.
pub(super) async fn list(db: &mut PgConnection, owner: &str, filter: &Filter) -> Result<Vec<Job>> {
    let query = sqlx::query(AssertSqlSafe(listing(filter)))
        .bind(owner)
        .bind(filter.before.map_or(i64::MAX, |key| key.0))
        .bind(integer(filter.limit as u64))
        .bind(&filter.batch);
    query.fetch_all(db).await?.iter().map(rows::job).collect()
}

/// The statement of a list: of each state asked for apart, as each has an index of its own to begin at the newest with.
/// Only names of states are put into the text.
pub(super) fn listing(filter: &Filter) -> String {
    let of = |condition: String| {
        let batch = if filter.batch.is_some() { " AND batch = $4" } else { " AND $4::text IS NULL" };
        let columns = job_columns!();
        format!(
            "(SELECT {columns} FROM jobs WHERE owner = $1 AND key < $2{batch}{condition} ORDER BY key DESC LIMIT $3)"
        )
    };
    if filter.states.is_empty() {
        return of(String::new());
    }
    let asked: Vec<String> = JobState::ALL
        .iter()
        .filter(|state| filter.states.contains(state))
        .map(|state| of(format!(" AND state = '{state}'")))
        .collect();
    format!("SELECT * FROM ({}) AS jobs ORDER BY key DESC LIMIT $3", asked.join(" UNION ALL "))
}

/// How far a batch is.
pub(super) async fn batch(db: &mut PgConnection, owner: &str, batch: &str) -> Result<Option<BatchCounts>> {
    let sql = "SELECT count(*) AS total, count(*) FILTER (WHERE state = 'queued') AS queued, \
               count(*) FILTER (WHERE state = 'running') AS running, \
               count(*) FILTER (WHERE state = 'completed') AS completed, \
               count(*) FILTER (WHERE state = 'failed') AS failed, \
               count(*) FILTER (WHERE state = 'cancelled') AS cancelled \
               FROM jobs WHERE owner = $1 AND batch = $2";
    let row = sqlx::query(sql).bind(owner).bind(batch).fetch_one(db).await?;
    let counts = BatchCounts {
        total: number(&row, "total")?,
        queued: number(&row, "queued")?,
        running: number(&row, "running")?,
        completed: number(&row, "completed")?,
        failed: number(&row, "failed")?,
        cancelled: number(&row, "cancelled")?,
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

/// The queue of all nodes at a glance. Each part reads one partial index, as long as the queue is.
pub(super) async fn queue(db: &mut PgConnection) -> Result<Queue> {
    let row = sqlx::query(QUEUE).fetch_one(db).await?;
    Ok(Queue {
        queued: number(&row, "queued")?,
        running: number(&row, "running")?,
        oldest: positive(rows::Columns::maybe_integer(&row, "oldest_ms")?).unwrap_or_default(),
        deliveries: number(&row, "deliveries")?,
    })
}

/// Jobs that are queued, counted to a limit.
pub(super) async fn queued(db: &mut PgConnection, limit: u64) -> Result<i64> {
    let sql = "SELECT count(*) FROM (SELECT 1 FROM jobs WHERE state = 'queued' LIMIT $1) AS queued";
    Ok(sqlx::query_scalar(sql).bind(integer(limit)).fetch_one(db).await?)
}

/// Receivers as statements have them: a list, and whether these are asked for or all others.
pub(super) fn listed(to: To<'_>) -> (&[String], bool) {
    match to {
        To::AllBut(names) => (names, false),
        To::Only(names) => (names, true),
    }
}

/// The first callback of one sort that can be claimed. One that waits for another of its job is not counted: the other's
/// end is when it can be.
macro_rules! first_due {
    ($is_final:literal) => {
        concat!(
            "SELECT * FROM (SELECT due_at_ms FROM deliveries AS due WHERE state = 'waiting' AND is_final = ",
            $is_final,
            " AND (due.host = ANY($1)) = $2 AND NOT EXISTS (SELECT 1 FROM deliveries AS other \
             WHERE other.job = due.job AND other.state = 'sending') ORDER BY due_at_ms LIMIT 1) AS first"
        )
    };
}

pub(super) const NEXT_DELIVERY: &str = concat!(
    "SELECT min(at_ms) - ",
    now!(),
    " FROM (SELECT lease_until_ms AS at_ms FROM deliveries WHERE state = 'sending' UNION ALL ",
    first_due!("TRUE"),
    " UNION ALL ",
    first_due!("FALSE"),
    ") AS owed"
);

/// When the next callback can be claimed.
pub(super) async fn next_delivery(db: &mut PgConnection, to: To<'_>) -> Result<Option<Duration>> {
    let (names, only) = listed(to);
    let wait_ms: Option<i64> = sqlx::query_scalar(NEXT_DELIVERY).bind(names).bind(only).fetch_one(db).await?;
    Ok(wait_ms.map(|wait| positive(Some(wait)).unwrap_or_default()))
}

/// Which database this is.
pub(super) async fn identity(db: &mut PgConnection) -> Result<String> {
    Ok(sqlx::query_scalar("SELECT name FROM identity").fetch_one(db).await?)
}
