//! What an operator asks of the queue and does to it: reads that may take their time, and commands that do not.

use async_trait::async_trait;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Sqlite, SqliteConnection};

use super::file::Reach;
use super::rows::{self, job_columns, now};
use super::writer::{Command, Work};
use super::{delivery_records, nodes, outcome};
use crate::job::JobId;
use crate::store::record::milliseconds;
use crate::store::{
    AdminStore, CHANGED_AT_ONCE, Cancel, Found, Job, JobDetails, JobFilter, JobKey, OwnerQueue, Result, Retry, SeenNode,
};

#[async_trait]
impl<D: Reach> AdminStore for D {
    async fn find_jobs(&self, filter: &JobFilter, limit: usize) -> Result<Found> {
        find(&mut *self.reader().await?, filter, limit).await
    }

    async fn count_jobs(&self, filter: &JobFilter) -> Result<u64> {
        let row = meant(COUNT, filter)?.fetch_one(&mut *self.reader().await?).await?;
        rows::number(&row, "meant")
    }

    async fn jobs_named(&self, id: &JobId) -> Result<Vec<Job>> {
        let found = sqlx::query(NAMED).bind(id.as_str()).fetch_all(&mut *self.reader().await?).await?;
        found.iter().map(rows::job).collect()
    }

    async fn job_details(&self, job: JobKey, most: usize) -> Result<Option<JobDetails>> {
        details(&mut *self.reader().await?, job, most).await
    }

    async fn retry_jobs(&self, jobs: &[JobKey]) -> Result<Vec<Option<Retry>>> {
        in_parts(jobs, |part| self.write(RetryJobs(part))).await
    }

    async fn cancel_jobs(&self, jobs: &[JobKey]) -> Result<Vec<Option<Cancel>>> {
        in_parts(jobs, |part| self.write(CancelJobs(part))).await
    }

    async fn purge_jobs(&self, jobs: &[JobKey], filter: &JobFilter) -> Result<u64> {
        let purge = |jobs| self.write(PurgeJobs { jobs, filter: filter.clone() });
        let purged = in_parts(jobs, async |part| Ok(vec![purge(part).await?])).await?;
        Ok(purged.into_iter().sum())
    }

    async fn owner_queues(&self) -> Result<Vec<OwnerQueue>> {
        let found = sqlx::query(OWNER_QUEUES).fetch_all(&mut *self.reader().await?).await?;
        found.iter().map(rows::owner_queue).collect()
    }

    async fn nodes(&self) -> Result<Vec<SeenNode>> {
        nodes::all(&mut *self.reader().await?).await
    }
}

/// The answers of transactions with a few jobs each.
async fn in_parts<T, F>(jobs: &[JobKey], act: impl Fn(Vec<JobKey>) -> F) -> Result<Vec<T>>
where
    F: Future<Output = Result<Vec<T>>>,
{
    let mut answers = Vec::with_capacity(jobs.len());
    for part in jobs.chunks(CHANGED_AT_ONCE) {
        answers.extend(act(part.to_vec()).await?);
    }
    Ok(answers)
}

/// What a filter says of a row, with seven parameters as [`meant`] binds them.
macro_rules! is_meant {
    () => {
        concat!(
            "key < $1 AND ($2 IS NULL OR owner = $2) \
             AND (json_array_length($3) = 0 OR state IN (SELECT value FROM json_each($3))) \
             AND ($4 IS NULL OR batch = $4) \
             AND ($5 IS NULL OR CASE WHEN json_valid(error) THEN error ->> 'code' END = $5) \
             AND ($6 IS NULL OR coalesce(finished_at_ms, created_at_ms) <= ",
            now!(),
            " - $6) AND ($7 IS NULL OR $7 = EXISTS (SELECT 1 FROM deliveries WHERE deliveries.job = jobs.key \
             AND deliveries.state IN ('waiting', 'sending')))"
        )
    };
}

type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

fn meant<'q>(sql: &'static str, filter: &'q JobFilter) -> Result<Statement<'q>> {
    let states: Vec<&str> = filter.states.iter().map(|state| state.as_str()).collect();
    Ok(sqlx::query(sql)
        .bind(filter.before.map_or(i64::MAX, |key| key.0))
        .bind(&filter.owner)
        .bind(rows::json(&states)?)
        .bind(&filter.batch)
        .bind(filter.code.map(|code| code.as_str()))
        .bind(filter.older_than.map(milliseconds))
        .bind(filter.callbacks_owed))
}

const FIND: &str = concat!("SELECT ", job_columns!(), " FROM jobs WHERE ", is_meant!(), " ORDER BY key DESC LIMIT $8");

const COUNT: &str = concat!("SELECT count(*) AS meant FROM jobs WHERE ", is_meant!());

async fn find(db: &mut SqliteConnection, filter: &JobFilter, limit: usize) -> Result<Found> {
    rows::found(&meant(FIND, filter)?.bind(rows::integer(limit as u64)).fetch_all(db).await?)
}

/// Owners are few: the index has each of them at one jump, and no index is on ids alone.
pub(super) const NAMED: &str = concat!(
    "WITH RECURSIVE owners (owner) AS (SELECT min(owner) FROM jobs \
     UNION ALL SELECT (SELECT min(owner) FROM jobs WHERE jobs.owner > owners.owner) FROM owners \
     WHERE owners.owner IS NOT NULL) SELECT ",
    job_columns!(),
    " FROM owners CROSS JOIN jobs ON jobs.owner = owners.owner AND jobs.id = $1 ORDER BY owners.owner"
);

pub(super) const DETAILS: &str = concat!(
    "SELECT ",
    job_columns!(),
    ", deaths, fence, worker, lease_until_ms, run_after_ms, callback_url FROM jobs WHERE key = $1"
);

pub(super) const NEWEST_EVENTS: &str = "SELECT sequence, at_ms, state, progress, message, error FROM events \
     WHERE job = $1 ORDER BY sequence DESC LIMIT $2";

async fn details(db: &mut SqliteConnection, key: JobKey, most: usize) -> Result<Option<JobDetails>> {
    let Some(row) = sqlx::query(DETAILS).bind(key.0).fetch_optional(&mut *db).await? else { return Ok(None) };
    let newest = sqlx::query(NEWEST_EVENTS).bind(key.0).bind(rows::integer(most as u64));
    let newest = newest.fetch_all(&mut *db).await?;
    let callbacks = delivery_records::of_job(db, key, u64::MAX, most).await?;
    rows::details(&row, &newest, callbacks).map(Some)
}

/// Each part reads one partial index, as long as the queue is. The plus keeps SQLite from reading every job in the order
/// of owners to save itself the sorting of a few.
pub(super) const OWNER_QUEUES: &str = concat!(
    "SELECT owner, sum(queued) AS queued, sum(later) AS later, sum(running) AS running, \
     max(0, coalesce(max(waits_ms), 0)) AS oldest_ms, sum(callbacks) AS callbacks FROM (\
     SELECT owner, count(*) AS queued, count(*) FILTER (WHERE run_after_ms > ",
    now!(),
    ") AS later, 0 AS running, ",
    now!(),
    " - min(run_after_ms) AS waits_ms, 0 AS callbacks FROM jobs WHERE state = 'queued' GROUP BY +owner \
     UNION ALL SELECT owner, 0, 0, count(*), NULL, 0 FROM jobs WHERE state = 'running' GROUP BY +owner \
     UNION ALL SELECT owner, 0, 0, 0, NULL, count(*) FROM deliveries CROSS JOIN jobs ON jobs.key = deliveries.job \
     WHERE deliveries.state = 'waiting' GROUP BY +owner \
     UNION ALL SELECT owner, 0, 0, 0, NULL, count(*) FROM deliveries CROSS JOIN jobs ON jobs.key = deliveries.job \
     WHERE deliveries.state = 'sending' GROUP BY +owner) GROUP BY owner ORDER BY queued DESC, owner"
);

/// Starts jobs again.
struct RetryJobs(Vec<JobKey>);

#[async_trait]
impl Command for RetryJobs {
    type Answer = Vec<Option<Retry>>;

    async fn run(&self, work: &mut Work) -> Result<Self::Answer> {
        let mut answers = Vec::with_capacity(self.0.len());
        for key in &self.0 {
            let Some(mut record) = rows::by_key(work, *key).await? else {
                answers.push(None);
                continue;
            };
            let retried = record.retried();
            if retried.is_some() {
                rows::save(work, &mut record).await?;
            }
            answers.push(Some(retried.unwrap_or(Retry::LeftAlone)(record.job)));
        }
        Ok(answers)
    }
}

/// Calls jobs off.
struct CancelJobs(Vec<JobKey>);

#[async_trait]
impl Command for CancelJobs {
    type Answer = Vec<Option<Cancel>>;

    async fn run(&self, work: &mut Work) -> Result<Self::Answer> {
        let mut answers = Vec::with_capacity(self.0.len());
        for key in &self.0 {
            answers.push(match rows::by_key(work, *key).await? {
                Some(record) => Some(outcome::cancel(work, record).await?),
                None => None,
            });
        }
        Ok(answers)
    }
}

/// Deletes jobs that have ended.
struct PurgeJobs {
    jobs: Vec<JobKey>,
    filter: JobFilter,
}

pub(super) const PURGE: &str = concat!(
    "DELETE FROM jobs WHERE key IN (SELECT value FROM json_each($8)) AND finished_at_ms IS NOT NULL AND ",
    is_meant!()
);

#[async_trait]
impl Command for PurgeJobs {
    type Answer = u64;

    async fn run(&self, work: &mut Work) -> Result<u64> {
        let keys: Vec<i64> = self.jobs.iter().map(|key| key.0).collect();
        Ok(meant(PURGE, &self.filter)?.bind(rows::json(&keys)?).execute(&mut work.db).await?.rows_affected())
    }
}
