//! Accepting jobs.

use async_trait::async_trait;
use sqlx::Row;

use super::rows::{self, job_columns, now, record_columns};
use super::sweeping::forbids;
use super::writer::{Command, Work};
use crate::store::record::{QUEUED, Record};
use crate::store::sweeping::put_ago_ms;
use crate::store::{Job, JobKey, NewJob, Result, Submitted, receiver};

/// Jobs to accept.
pub(super) struct Submit(pub(super) Vec<NewJob>);

#[async_trait]
impl Command for Submit {
    type Answer = Vec<Submitted>;

    async fn run(&self, work: &mut Work) -> Result<Vec<Submitted>> {
        let mut answers = Vec::with_capacity(self.0.len());
        let mut reused = None;
        for new in &self.0 {
            let covers = new.idempotency_key.as_ref().and_then(|key| key.covers.as_deref());
            // A key that covers several jobs is another request's for all of them, or for none.
            let is_reused = covers.is_some() && covers == reused;
            let answer = if is_reused { Submitted::KeyReused } else { submit(work, new).await? };
            if answer == Submitted::KeyReused {
                reused = covers;
            }
            answers.push(answer);
        }
        Ok(answers)
    }
}

/// Nearly all jobs are new, so that is tried first; only if it is not, or the queue is full, is looked for what is there.
async fn submit(work: &mut Work, new: &NewJob) -> Result<Submitted> {
    if !work.queue_is_full()
        && !new.is_late()
        && let Some(job) = create(work, new).await?
    {
        return Ok(Submitted::Created(job));
    }
    if let Some(seen) = by_idempotency_key(work, new).await? {
        return Ok(seen);
    }
    match by_id(work, new).await? {
        Some((_, hash)) if hash != new.request_hash => Ok(Submitted::IdConflict),
        Some((record, _)) if !record.may_restart() => {
            remember(work, record.job.key, new).await?;
            Ok(Submitted::Existing(record.job))
        }
        Some((record, _)) if !work.queue_is_full() => restart(work, record, new).await,
        // It would have been created, but for its image.
        None if !work.queue_is_full() => Ok(Submitted::Doomed),
        _ => Ok(Submitted::QueueFull),
    }
}

pub(super) const CREATE: &str = concat!(
    "INSERT INTO jobs (owner, id, kind, request, request_hash, source_hash, batch, callback_url, request_id, state, \
     run_after_ms, sequence, progress, message, created_at_ms, updated_at_ms) \
     SELECT $1, $2, $3, $4, $5, $6, $7, $8, $11, 'queued', ",
    now!(),
    ", 1, 0, $9, ",
    now!(),
    ", ",
    now!(),
    " WHERE ($10 IS NULL OR NOT EXISTS (SELECT 1 FROM idempotency WHERE owner = $1 AND key = $10)) \
     AND ($6 IS NULL OR NOT EXISTS (SELECT 1 FROM doomed WHERE hash = $6 AND ",
    forbids!("$12"),
    ")) ON CONFLICT (owner, id) DO NOTHING RETURNING key, created_at_ms"
);

pub(super) const CREATE_REST: &str = "INSERT INTO events (job, sequence, at_ms, state, progress, message) \
     VALUES ($1, 1, $2, 'queued', 0, $3); \
     INSERT INTO deliveries (job, sequence, is_final, url, host, state, due_at_ms) \
     SELECT $1, 1, 0, $4, $8, 'waiting', $2 WHERE $4 IS NOT NULL; \
     INSERT INTO idempotency (owner, key, job, request_hash) SELECT $5, $6, $1, $7 WHERE $6 IS NOT NULL";

/// The job as a new one, unless its id or its key is taken.
async fn create(work: &mut Work, new: &NewJob) -> Result<Option<Job>> {
    let row = sqlx::query(CREATE)
        .bind(&new.owner)
        .bind(new.id.as_str())
        .bind(&new.kind)
        .bind(rows::json(&new.request)?)
        .bind(&new.request_hash)
        .bind(&new.source_hash)
        .bind(&new.batch)
        .bind(&new.callback_url)
        .bind(QUEUED)
        .bind(new.idempotency_key.as_ref().map(|key| &key.text))
        .bind(&new.request_id)
        .bind(put_ago_ms(new.put_since))
        .fetch_optional(&mut work.db)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let (key, now_ms): (i64, i64) = (row.try_get("key")?, row.try_get("created_at_ms")?);
    sqlx::query(CREATE_REST)
        .bind(key)
        .bind(now_ms)
        .bind(QUEUED)
        .bind(&new.callback_url)
        .bind(&new.owner)
        .bind(new.idempotency_key.as_ref().map(|key| &key.text))
        .bind(covered(new))
        .bind(new.callback_url.as_deref().map(|url| receiver(&new.owner, url)))
        .execute(&mut work.db)
        .await?;
    work.effects.queue_growth += 1;
    work.effects.queued = true;
    work.effects.due |= new.callback_url.is_some();
    Ok(Some(new.created(JobKey(key), now_ms)))
}

/// What must be the same in a repeat by the idempotency key.
fn covered(new: &NewJob) -> &str {
    new.idempotency_key.as_ref().and_then(|key| key.covers.as_deref()).unwrap_or(&new.request_hash)
}

async fn by_idempotency_key(work: &mut Work, new: &NewJob) -> Result<Option<Submitted>> {
    let Some(key) = &new.idempotency_key else { return Ok(None) };
    let sql = concat!(
        "SELECT idempotency.request_hash AS seen_hash, ",
        job_columns!(),
        " FROM idempotency JOIN jobs ON jobs.key = idempotency.job \
         WHERE idempotency.owner = $1 AND idempotency.key = $2"
    );
    let row = sqlx::query(sql).bind(&new.owner).bind(&key.text).fetch_optional(&mut work.db).await?;
    let Some(row) = row else { return Ok(None) };
    let seen: &str = row.try_get("seen_hash")?;
    Ok(Some(if seen == covered(new) { Submitted::Replayed(rows::job(&row)?) } else { Submitted::KeyReused }))
}

async fn by_id(work: &mut Work, new: &NewJob) -> Result<Option<(Record, String)>> {
    let sql = concat!("SELECT ", record_columns!(), ", request_hash FROM jobs WHERE owner = $1 AND id = $2");
    let row = sqlx::query(sql).bind(&new.owner).bind(new.id.as_str()).fetch_optional(&mut work.db).await?;
    row.map(|row| Ok((rows::record(&row)?, row.try_get("request_hash")?))).transpose()
}

async fn restart(work: &mut Work, mut record: Record, new: &NewJob) -> Result<Submitted> {
    record.restarted();
    rows::save(work, &mut record).await?;
    let sql = "UPDATE jobs SET batch = coalesce($2, batch), request_id = $3 WHERE key = $1";
    let changed = sqlx::query(sql).bind(record.job.key.0).bind(&new.batch).bind(&new.request_id);
    changed.execute(&mut work.db).await?;
    record.job.batch = new.batch.clone().or(record.job.batch);
    record.job.request_id.clone_from(&new.request_id);
    remember(work, record.job.key, new).await?;
    Ok(Submitted::Restarted(record.job))
}

/// A job may be asked for under several idempotency keys.
async fn remember(work: &mut Work, job: JobKey, new: &NewJob) -> Result<()> {
    let Some(key) = &new.idempotency_key else { return Ok(()) };
    let sql = "INSERT INTO idempotency (owner, key, job, request_hash) VALUES ($1, $2, $3, $4)";
    sqlx::query(sql).bind(&new.owner).bind(&key.text).bind(job.0).bind(covered(new)).execute(&mut work.db).await?;
    Ok(())
}
