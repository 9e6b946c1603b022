//! What an operator asks of the queue and does to it. Each job is changed by a call of its own, so that one that is made
//! again changes none twice.

use async_trait::async_trait;
use sqlx::PgConnection;
use sqlx::postgres::{PgArguments, Postgres};
use sqlx::query::Query;

use super::changes::{job_columns, now};
use super::connect::call;
use super::outcome::Meant;
use super::{PostgresStore, delivery_records, nodes, outcome};
use crate::job::JobId;
use crate::store::record::milliseconds;
use crate::store::rows::{self, integer, number};
use crate::store::{
    AdminStore, CHANGED_AT_ONCE, Cancel, Found, Job, JobDetails, JobFilter, JobKey, OwnerQueue, Result, Retry, SeenNode,
};

#[async_trait]
impl AdminStore for PostgresStore {
    async fn find_jobs(&self, filter: &JobFilter, limit: usize) -> Result<Found> {
        call!(self.callers, |db| find(db, filter, limit))
    }

    async fn count_jobs(&self, filter: &JobFilter) -> Result<u64> {
        call!(self.callers, |db| count(db, filter))
    }

    async fn jobs_named(&self, id: &JobId) -> Result<Vec<Job>> {
        call!(self.callers, |db| named(db, id))
    }

    async fn job_details(&self, job: JobKey, most: usize) -> Result<Option<JobDetails>> {
        call!(self.callers, |db| details(db, job, most))
    }

    async fn retry_jobs(&self, jobs: &[JobKey]) -> Result<Vec<Option<Retry>>> {
        let mut answers = Vec::with_capacity(jobs.len());
        for job in jobs {
            answers.push(self.announce(call!(self.callers, |db| outcome::retry(db, *job))?));
        }
        Ok(answers)
    }

    async fn cancel_jobs(&self, jobs: &[JobKey]) -> Result<Vec<Option<Cancel>>> {
        let mut answers = Vec::with_capacity(jobs.len());
        for job in jobs {
            answers.push(self.announce(call!(self.callers, |db| outcome::cancel(db, Meant::Row(*job)))?));
        }
        Ok(answers)
    }

    async fn purge_jobs(&self, jobs: &[JobKey], filter: &JobFilter) -> Result<u64> {
        let mut purged = 0;
        for part in jobs.chunks(CHANGED_AT_ONCE) {
            purged += call!(self.callers, |db| purge(db, part, filter))?;
        }
        Ok(purged)
    }

    async fn owner_queues(&self) -> Result<Vec<OwnerQueue>> {
        call!(self.callers, |db| owner_queues(db))
    }

    async fn nodes(&self) -> Result<Vec<SeenNode>> {
        call!(self.callers, |db| nodes::all(db))
    }
}

/// What a filter says of a row, with seven parameters as [`meant`] binds them. A failure is written with its code first.
macro_rules! is_meant {
    () => {
        concat!(
            "key < $1 AND ($2::text IS NULL OR owner = $2) AND (cardinality($3::text[]) = 0 OR state = ANY($3)) \
             AND ($4::text IS NULL OR batch = $4) \
             AND ($5::text IS NULL OR starts_with(error, '{\"code\":\"' || $5 || '\"')) \
             AND ($6::bigint IS NULL OR coalesce(finished_at_ms, created_at_ms) <= ",
            now!(),
            " - $6) AND ($7::boolean IS NULL OR $7 = EXISTS (SELECT 1 FROM deliveries WHERE deliveries.job = jobs.key \
             AND deliveries.state IN ('waiting', 'sending')))"
        )
    };
}

type Statement<'q> = Query<'q, Postgres, PgArguments>;

fn meant<'q>(sql: &'static str, filter: &'q JobFilter) -> Statement<'q> {
    let states: Vec<&str> = filter.states.iter().map(|state| state.as_str()).collect();
    sqlx::query(sql)
        .bind(filter.before.map_or(i64::MAX, |key| key.0))
        .bind(&filter.owner)
        .bind(states)
        .bind(&filter.batch)
        .bind(filter.code.map(|code| code.as_str()))
        .bind(filter.older_than.map(milliseconds))
        .bind(filter.callbacks_owed)
}

const FIND: &str = concat!("SELECT ", job_columns!(), " FROM jobs WHERE ", is_meant!(), " ORDER BY key DESC LIMIT $8");

const COUNT: &str = concat!("SELECT count(*) AS meant FROM jobs WHERE ", is_meant!());

async fn find(db: &mut PgConnection, filter: &JobFilter, limit: usize) -> Result<Found> {
    rows::found(&meant(FIND, filter).bind(integer(limit as u64)).fetch_all(db).await?)
}

async fn count(db: &mut PgConnection, filter: &JobFilter) -> Result<u64> {
    number(&meant(COUNT, filter).fetch_one(db).await?, "meant")
}

/// Owners are few: the index has each of them at one jump, and no index is on ids alone.
const NAMED: &str = concat!(
    "WITH RECURSIVE owners (owner) AS (SELECT min(owner) FROM jobs \
     UNION ALL SELECT (SELECT min(jobs.owner) FROM jobs WHERE jobs.owner > owners.owner) FROM owners \
     WHERE owners.owner IS NOT NULL) SELECT ",
    job_columns!(),
    " FROM owners JOIN jobs ON jobs.owner = owners.owner AND jobs.id = $1 ORDER BY owners.owner"
);

async fn named(db: &mut PgConnection, id: &JobId) -> Result<Vec<Job>> {
    sqlx::query(NAMED).bind(id.as_str()).fetch_all(db).await?.iter().map(rows::job).collect()
}

const DETAILS: &str = concat!(
    "SELECT ",
    job_columns!(),
    ", deaths, fence, worker, lease_until_ms, run_after_ms, callback_url FROM jobs WHERE key = $1"
);

const NEWEST_EVENTS: &str = "SELECT sequence, at_ms, state, progress, message, error FROM events \
     WHERE job = $1 ORDER BY sequence DESC LIMIT $2";

async fn details(db: &mut PgConnection, key: JobKey, most: usize) -> Result<Option<JobDetails>> {
    let Some(row) = sqlx::query(DETAILS).bind(key.0).fetch_optional(&mut *db).await? else { return Ok(None) };
    let newest = sqlx::query(NEWEST_EVENTS).bind(key.0).bind(integer(most as u64)).fetch_all(&mut *db).await?;
    let callbacks = delivery_records::of_job(db, key, i64::MAX.unsigned_abs(), most).await?;
    rows::details(&row, &newest, callbacks).map(Some)
}

const PURGE: &str = concat!("DELETE FROM jobs WHERE key = ANY($8) AND finished_at_ms IS NOT NULL AND ", is_meant!());

async fn purge(db: &mut PgConnection, jobs: &[JobKey], filter: &JobFilter) -> Result<u64> {
    let keys: Vec<i64> = jobs.iter().map(|key| key.0).collect();
    Ok(meant(PURGE, filter).bind(keys).execute(db).await?.rows_affected())
}

/// Each part reads one partial index, as long as the queue is.
const OWNER_QUEUES: &str = concat!(
    "SELECT owner, sum(queued)::bigint AS queued, sum(later)::bigint AS later, sum(running)::bigint AS running, \
     greatest(0, coalesce(max(waits_ms), 0)) AS oldest_ms, sum(callbacks)::bigint AS callbacks FROM (\
     SELECT owner, count(*) AS queued, count(*) FILTER (WHERE run_after_ms > ",
    now!(),
    ") AS later, 0 AS running, ",
    now!(),
    " - min(run_after_ms) AS waits_ms, 0 AS callbacks FROM jobs WHERE state = 'queued' GROUP BY owner \
     UNION ALL SELECT owner, 0, 0, count(*), NULL, 0 FROM jobs WHERE state = 'running' GROUP BY owner \
     UNION ALL SELECT jobs.owner, 0, 0, 0, NULL, count(*) FROM deliveries JOIN jobs ON jobs.key = deliveries.job \
     WHERE deliveries.state IN ('waiting', 'sending') GROUP BY jobs.owner) AS parts \
     GROUP BY owner ORDER BY queued DESC, owner"
);

async fn owner_queues(db: &mut PgConnection) -> Result<Vec<OwnerQueue>> {
    sqlx::query(OWNER_QUEUES).fetch_all(db).await?.iter().map(rows::owner_queue).collect()
}
