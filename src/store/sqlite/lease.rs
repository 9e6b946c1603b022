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

/// Jobs that may run, in the one index whose order is theirs; any other would read those that must wait.
macro_rules! startable {
    ($columns:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM jobs INDEXED BY jobs_turns WHERE state = 'queued' AND run_after_ms <= ",
            now!()
        )
    };
}

/// Turns are taken out of a queue that is sorted by round, lap and owner, and each brings along who comes after it: in
/// the first round the next owner, and in every round the same owner's next job. So a turn costs two looks into the
/// index, however many jobs or owners wait. Lap 0 is of the owners behind the one that was served last, lap 1 of those
/// before it and of itself.
///
/// Claimed are the turns up to the first job that a worker has died of; that one alone, once this worker holds nothing
/// else.
pub(super) const CLAIM: &str = concat!(
    "WITH RECURSIVE turns (round, lap, owner, key, deaths) AS (SELECT * FROM (",
    startable!("1, 0, owner, key, deaths"),
    " AND owner > $4 ORDER BY owner, key LIMIT 1) UNION ALL SELECT * FROM (",
    startable!("1, 1, owner, key, deaths"),
    " AND owner <= $4 ORDER BY owner, key LIMIT 1) \
     UNION ALL SELECT 1, lap, jobs.owner, jobs.key, jobs.deaths FROM turns CROSS JOIN jobs ON jobs.key = (",
    startable!("key"),
    " AND owner > turns.owner ORDER BY owner, key LIMIT 1) WHERE round = 1 AND (lap = 0 OR jobs.owner <= $4) \
     UNION ALL SELECT round + 1, lap, turns.owner, jobs.key, jobs.deaths FROM turns CROSS JOIN jobs ON jobs.key = (",
    startable!("key"),
    " AND owner = turns.owner AND key > turns.key ORDER BY key LIMIT 1) ORDER BY 1, 2, 3 LIMIT $3) \
     UPDATE jobs SET state = 'running', fence = fence + 1, attempt = attempt + 1, worker = $1, lease_until_ms = ",
    now!(),
    " + $2, updated_at_ms = ",
    now!(),
    " WHERE key IN (SELECT key FROM (SELECT key, row_number() OVER by_turn AS place, max(deaths) OVER by_turn AS worst \
     FROM turns WINDOW by_turn AS (ORDER BY round, lap, owner)) \
     WHERE worst = 0 AND NOT EXISTS (SELECT 1 FROM jobs WHERE state = 'running' AND worker = $1 AND deaths > 0) \
     OR place = 1 AND NOT EXISTS (SELECT 1 FROM jobs WHERE state = 'running' AND worker = $1)) RETURNING fence, ",
    job_columns!()
);

#[async_trait]
impl Command for ClaimJobs {
    type Answer = Vec<Claim>;

    async fn run(&self, work: &mut Work) -> Result<Vec<Claim>> {
        let served = work.last_served().to_owned();
        let rows = sqlx::query(CLAIM)
            .bind(&self.worker)
            .bind(milliseconds(work.timing.lease))
            .bind(rows::integer(self.most as u64))
            .bind(&served)
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
        work.effects.queue_growth -= claims.len() as i64;
        let claims = in_turn(claims, &served);
        if let Some(last) = claims.last() {
            work.effects.served = Some(last.job.owner.clone());
        }
        Ok(claims)
    }

    /// A worker that was stopped while it waited must not keep jobs from others for the time of a lease.
    fn unheard(&self, claims: Vec<Claim>) -> Option<Box<dyn Pending>> {
        (!claims.is_empty()).then(|| unattended(Release(claims.into_iter().map(|claim| claim.token).collect())))
    }
}

/// The order of turns, as RETURNING promises none: round after round, owners behind the one that was served last first.
fn in_turn(mut claims: Vec<Claim>, served: &str) -> Vec<Claim> {
    claims.sort_by_key(|claim| claim.token.job);
    let mut rounds: HashMap<String, usize> = HashMap::new();
    let mut turns: Vec<(usize, Claim)> = Vec::with_capacity(claims.len());
    for claim in claims {
        let round = rounds.entry(claim.job.owner.clone()).or_default();
        *round += 1;
        turns.push((*round, claim));
    }
    turns.sort_by(|(round, a), (other, b)| {
        let place = |claim: &Claim| claim.job.owner.as_str() <= served;
        (round, place(a), &a.job.owner).cmp(&(other, place(b), &b.job.owner))
    });
    turns.into_iter().map(|(_, claim)| claim).collect()
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
