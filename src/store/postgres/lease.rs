//! Leases: claiming jobs, keeping them, giving them back, and taking them from the dead.

use std::collections::HashMap;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::changes::{self, Effects, Loaded, TRIES, job_columns, loaded, now, record_columns, save};
use crate::store::record::{Fate, milliseconds};
use crate::store::rows::{self, integer};
use crate::store::{Beat, Claim, JobKey, Reaped, Result, StoreError, Timing, Token};

/// Who claims, and how much.
pub(super) struct Asked<'a> {
    pub(super) worker: &'a str,
    /// This call's number, by which it can be undone.
    pub(super) call: i64,
    pub(super) most: usize,
    /// The owner who had the last turn.
    pub(super) after: &'a str,
}

/// Owners with jobs that may start take turns, beginning after the one who was served last; of each the longest accepted.
/// In that order, all up to the first that a worker has died of; that one alone, once this worker holds nothing else.
///
/// Owners are hopped to one by one over the index `jobs_queued`, at most as many as there are jobs to claim, so that the
/// queue is never read as a whole. What other nodes are claiming at this moment is passed over.
pub(super) const CLAIM: &str = concat!(
    "WITH RECURSIVE owners (owner, first, place) AS ( \
     SELECT found.owner, found.owner, 1 FROM (SELECT coalesce( \
     (SELECT owner FROM jobs WHERE state = 'queued' AND owner COLLATE \"C\" > $5 AND run_after_ms <= ",
    now!(),
    " ORDER BY owner COLLATE \"C\" LIMIT 1), (SELECT owner FROM jobs WHERE state = 'queued' AND run_after_ms <= ",
    now!(),
    " ORDER BY owner COLLATE \"C\" LIMIT 1)) AS owner) AS found WHERE found.owner IS NOT NULL \
     UNION ALL SELECT found.owner, owners.first, owners.place + 1 FROM owners CROSS JOIN LATERAL (SELECT coalesce( \
     (SELECT owner FROM jobs WHERE state = 'queued' AND owner COLLATE \"C\" > owners.owner AND run_after_ms <= ",
    now!(),
    " ORDER BY owner COLLATE \"C\" LIMIT 1), (SELECT owner FROM jobs WHERE state = 'queued' AND run_after_ms <= ",
    now!(),
    " ORDER BY owner COLLATE \"C\" LIMIT 1)) AS owner) AS found WHERE owners.place < $3 AND found.owner <> owners.first), \
     picked AS MATERIALIZED (SELECT owners.place, job.key, job.deaths FROM owners CROSS JOIN LATERAL ( \
     SELECT key, deaths FROM jobs WHERE state = 'queued' AND jobs.owner COLLATE \"C\" = owners.owner AND run_after_ms <= ",
    now!(),
    " ORDER BY key + 0 LIMIT (SELECT ceil($3::numeric / count(*))::bigint FROM owners) FOR UPDATE SKIP LOCKED) AS job), \
     turns AS (SELECT key, row_number() OVER by_turn AS turn, max(deaths) OVER by_turn AS worst FROM ( \
     SELECT *, row_number() OVER (PARTITION BY place ORDER BY key) AS round FROM picked) AS rounds \
     WINDOW by_turn AS (ORDER BY round, place)) \
     UPDATE jobs SET state = 'running', fence = fence + 1, attempt = attempt + 1, worker = $1, claim = $4, \
     lease_until_ms = ",
    now!(),
    " + $2, updated_at_ms = greatest(updated_at_ms, ",
    now!(),
    ") FROM turns WHERE jobs.key = turns.key AND jobs.state = 'queued' AND turns.turn <= $3 AND ( \
     turns.worst = 0 AND NOT EXISTS (SELECT 1 FROM jobs WHERE state = 'running' AND worker = $1 AND deaths > 0) \
     OR turns.turn = 1 AND NOT EXISTS (SELECT 1 FROM jobs WHERE state = 'running' AND worker = $1)) \
     RETURNING turns.turn, fence, ",
    job_columns!()
);

/// Leases jobs to a worker, in the order of their turns. It writes no event: whoever watches a job hears of it with its
/// first progress.
pub(super) async fn claim(db: &mut PgConnection, asked: &Asked<'_>, timing: Timing) -> Result<Vec<Claim>> {
    let mut found = sqlx::query(CLAIM)
        .bind(asked.worker)
        .bind(milliseconds(timing.lease))
        .bind(integer(asked.most as u64))
        .bind(asked.call)
        .bind(asked.after)
        .fetch_all(&mut *db)
        .await?;
    // RETURNING promises no order.
    found.sort_by_cached_key(|row| row.try_get::<i64, _>("turn").unwrap_or_default());
    let claim = |row: &PgRow| -> Result<Claim> {
        let job = rows::job(row)?;
        Ok(Claim { token: Token { job: job.key, fence: row.try_get("fence")? }, job })
    };
    let mut claims = Vec::with_capacity(found.len());
    for row in &found {
        match claim(row) {
            Ok(claim) => claims.push(claim),
            Err(cause) => changes::set_aside(db, row.try_get("key")?, &cause).await?,
        }
    }
    Ok(claims)
}

/// What was claimed by calls whose answers nobody heard.
pub(super) async fn claimed_by(db: &mut PgConnection, calls: &[i64]) -> Result<Vec<Token>> {
    let sql = "SELECT key, fence FROM jobs WHERE state = 'running' AND claim = ANY($1)";
    let found = sqlx::query(sql).bind(calls).fetch_all(db).await?;
    found.iter().map(|row| Ok(Token { job: JobKey(row.try_get("key")?), fence: row.try_get("fence")? })).collect()
}

pub(super) const HEARTBEAT: &str = concat!(
    "UPDATE jobs SET lease_until_ms = ",
    now!(),
    " + $1 FROM unnest($2::bigint[], $3::bigint[]) AS held (key, fence) \
     WHERE jobs.key = held.key AND jobs.fence = held.fence AND jobs.state = 'running' \
     RETURNING jobs.key, jobs.fence, jobs.cancel_requested"
);

/// Extends leases.
pub(super) async fn heartbeat(db: &mut PgConnection, tokens: &[Token], timing: Timing) -> Result<Vec<Beat>> {
    let (keys, fences): (Vec<i64>, Vec<i64>) = tokens.iter().map(|token| (token.job.0, token.fence)).unzip();
    let query = sqlx::query(HEARTBEAT).bind(milliseconds(timing.lease)).bind(keys).bind(fences);
    let mut beats = HashMap::new();
    for row in query.fetch_all(db).await? {
        let token = Token { job: JobKey(row.try_get("key")?), fence: row.try_get("fence")? };
        beats.insert(token, if row.try_get("cancel_requested")? { Beat::CancelRequested } else { Beat::Alive });
    }
    Ok(tokens.iter().map(|token| beats.get(token).copied().unwrap_or(Beat::Lost)).collect())
}

/// The running job of a token, if it is still the job's.
pub(super) async fn held(db: &mut PgConnection, token: Token) -> Result<Option<Loaded>> {
    let sql = concat!("SELECT ", record_columns!(), " FROM jobs WHERE key = $1 AND fence = $2 AND state = 'running'");
    let row = sqlx::query(sql).bind(token.job.0).bind(token.fence).fetch_optional(db).await?;
    row.as_ref().map(loaded).transpose()
}

/// Changes a job for who holds it; `None` if nobody does by that token.
pub(super) async fn change_held(
    db: &mut PgConnection,
    token: Token,
    step: impl Fn(&mut Loaded) + Send + Sync,
) -> Result<Option<Effects>> {
    for _ in 0..TRIES {
        let Some(mut job) = held(db, token).await? else { return Ok(None) };
        step(&mut job);
        if let Some(effects) = save(db, &mut job).await? {
            return Ok(Some(effects));
        }
    }
    Err(contended())
}

/// Somebody changes a job again and again, which nothing here does.
pub(super) fn contended() -> StoreError {
    StoreError::Commit(format!("a job was changed by others {TRIES} times while it was being written"))
}

// The reaper of one node takes no more at a time than it can write within its call.
pub(super) const EXPIRED: &str = concat!(
    "SELECT ",
    record_columns!(),
    " FROM jobs WHERE state = 'running' AND lease_until_ms <= ",
    now!(),
    " ORDER BY jobs.key + 0 LIMIT 500"
);

/// Takes jobs from workers that are gone. Several nodes may do so at a time: each job is taken by one of them.
pub(super) async fn take_back_expired(db: &mut PgConnection, timing: Timing) -> Result<(Reaped, Effects)> {
    let (mut reaped, mut all) = (Reaped::default(), Effects::default());
    for row in sqlx::query(EXPIRED).fetch_all(&mut *db).await? {
        let mut job = match loaded(&row) {
            Ok(job) => job,
            Err(cause) => {
                changes::set_aside(db, row.try_get("key")?, &cause).await?;
                continue;
            }
        };
        job.is_expired = true;
        let fate = job.record.died(timing.death_backoff);
        let Some(effects) = save(db, &mut job).await? else { continue };
        match fate {
            Fate::Requeued => reaped.requeued += 1,
            Fate::Poisoned => reaped.poisoned += 1,
            Fate::Cancelled => reaped.cancelled += 1,
        }
        all.add(effects);
    }
    Ok((reaped, all))
}

impl Effects {
    pub(super) fn add(&mut self, other: Self) {
        self.news.add(other.news);
        self.queue_growth += other.queue_growth;
    }
}
