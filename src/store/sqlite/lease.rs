//! Leases: claiming jobs, keeping them, giving them back, and taking them from the dead.

use std::collections::HashMap;

use async_trait::async_trait;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::rows::{self, job_columns, now, record_columns};
use super::writer::{Command, Pending, Work, unattended};
use crate::job::JobState;
use crate::store::record::{Fate, milliseconds};
use crate::store::{Beat, Claim, JobKey, Reaped, Result, Token};

/// Leases jobs to a worker. It writes no event: whoever watches the job hears of it with its first progress.
pub(super) struct ClaimJobs {
    pub(super) worker: String,
    pub(super) most: usize,
}

/// The longest accepted that may run, up to the first that a worker has died of; that one alone, once this worker holds
/// nothing else.
pub(super) const CLAIM: &str = concat!(
    "UPDATE jobs SET state = 'running', fence = fence + 1, attempt = attempt + 1, worker = $1, lease_until_ms = ",
    now!(),
    " + $2, updated_at_ms = ",
    now!(),
    " WHERE key IN (SELECT key FROM (SELECT key, row_number() OVER by_age AS place, max(deaths) OVER by_age AS worst \
     FROM (SELECT key, deaths FROM jobs WHERE state = 'queued' AND run_after_ms <= ",
    now!(),
    " ORDER BY key LIMIT $3) WINDOW by_age AS (ORDER BY key)) \
     WHERE worst = 0 AND NOT EXISTS (SELECT 1 FROM jobs WHERE state = 'running' AND worker = $1 AND deaths > 0) \
     OR place = 1 AND NOT EXISTS (SELECT 1 FROM jobs WHERE state = 'running' AND worker = $1)) RETURNING fence, ",
    job_columns!()
);

#[async_trait]
impl Command for ClaimJobs {
    type Answer = Vec<Claim>;

    async fn run(&self, work: &mut Work) -> Result<Vec<Claim>> {
        let rows = sqlx::query(CLAIM)
            .bind(&self.worker)
            .bind(milliseconds(work.timing.lease))
            .bind(rows::integer(self.most as u64))
            .fetch_all(&mut work.db)
            .await?;
        let claim = |row: &SqliteRow| -> Result<Claim> {
            let job = rows::job(row)?;
            Ok(Claim { token: Token { job: job.key, fence: row.try_get("fence")? }, job })
        };
        let mut claims: Vec<Claim> = Vec::with_capacity(rows.len());
        for row in &rows {
            match claim(row) {
                Ok(claim) => claims.push(claim),
                Err(cause) => rows::set_aside(work, row.try_get("key")?, &cause).await?,
            }
        }
        // RETURNING promises no order.
        claims.sort_by_key(|claim| claim.token.job);
        work.effects.queue_growth -= claims.len() as i64;
        Ok(claims)
    }

    /// A worker that was stopped while it waited must not keep jobs from others for the time of a lease.
    fn unheard(&self, claims: Vec<Claim>) -> Option<Box<dyn Pending>> {
        (!claims.is_empty()).then(|| unattended(Release(claims.into_iter().map(|claim| claim.token).collect())))
    }
}

/// Extends leases.
pub(super) struct Heartbeat(pub(super) Vec<Token>);

pub(super) const HEARTBEAT: &str = concat!(
    "UPDATE jobs SET lease_until_ms = ",
    now!(),
    " + $1 FROM json_each($2) AS held \
     WHERE jobs.key = held.value ->> 0 AND jobs.fence = held.value ->> 1 AND jobs.state = 'running' \
     RETURNING jobs.key, jobs.fence, jobs.cancel_requested"
);

#[async_trait]
impl Command for Heartbeat {
    type Answer = Vec<Beat>;

    async fn run(&self, work: &mut Work) -> Result<Vec<Beat>> {
        let held: Vec<(i64, i64)> = self.0.iter().map(|token| (token.job.0, token.fence)).collect();
        let rows = sqlx::query(HEARTBEAT)
            .bind(milliseconds(work.timing.lease))
            .bind(rows::json(&held)?)
            .fetch_all(&mut work.db)
            .await?;
        let mut beats = HashMap::new();
        for row in rows {
            let token = Token { job: JobKey(row.try_get("key")?), fence: row.try_get("fence")? };
            beats.insert(token, if row.try_get("cancel_requested")? { Beat::CancelRequested } else { Beat::Alive });
        }
        Ok(self.0.iter().map(|token| beats.get(token).copied().unwrap_or(Beat::Lost)).collect())
    }
}

/// Gives jobs back.
pub(super) struct Release(pub(super) Vec<Token>);

#[async_trait]
impl Command for Release {
    type Answer = ();

    async fn run(&self, work: &mut Work) -> Result<()> {
        for token in &self.0 {
            if let Some(mut record) = rows::held(work, *token).await? {
                record.released();
                rows::save(work, &mut record).await?;
            }
        }
        Ok(())
    }
}

/// Takes jobs from workers that are gone.
pub(super) enum TakeBack {
    /// Those whose lease has ended.
    Expired,
    /// All of them, at once.
    All,
}

// The plus keeps SQLite from reading every job in the order of keys to save itself the sorting of a few.
pub(super) const EXPIRED: &str = concat!(
    "SELECT ",
    record_columns!(),
    " FROM jobs WHERE state = 'running' AND lease_until_ms <= ",
    now!(),
    " ORDER BY +jobs.key"
);

pub(super) const RUNNING: &str =
    concat!("SELECT ", record_columns!(), " FROM jobs WHERE state = 'running' ORDER BY +jobs.key");

#[async_trait]
impl Command for TakeBack {
    type Answer = Reaped;

    async fn run(&self, work: &mut Work) -> Result<Reaped> {
        let sql = match self {
            Self::Expired => EXPIRED,
            Self::All => RUNNING,
        };
        let mut reaped = Reaped::default();
        for row in sqlx::query(sql).fetch_all(&mut work.db).await? {
            let mut record = match rows::record(&row) {
                Ok(record) => record,
                Err(cause) => {
                    rows::set_aside(work, row.try_get("key")?, &cause).await?;
                    continue;
                }
            };
            match record.died(work.timing.death_backoff) {
                Fate::Requeued => reaped.requeued += 1,
                Fate::Poisoned => reaped.poisoned += 1,
                Fate::Cancelled => reaped.cancelled += 1,
            }
            if matches!(self, Self::All) && record.job.state == JobState::Queued {
                // Its worker did not die of it for certain: the whole process ended, and the wait with it.
                record.run_after_ms = record.now_ms;
            }
            rows::save(work, &mut record).await?;
        }
        if matches!(self, Self::All) {
            super::deliveries::take_back_all(work).await?;
        }
        work.count_queue().await?;
        Ok(reaped)
    }
}
