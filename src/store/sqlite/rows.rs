//! How a changed job is written back, and what the statements have in common.

use serde_json::Value;

use super::writer::Work;
use crate::job::{Event, JobState};
use crate::store::record::Record;
use crate::store::rows::unwritable;
pub(super) use crate::store::rows::{
    attempt, delivery, delivery_record, delivery_state, details, event, found, integer, job, job_columns, json,
    kept_limit, number, owner_queue, positive, readable_keys, record, result, seen_node,
};
use crate::store::{JobKey, Result, StoreError, Token, receiver};

/// The database's clock, ms. It stands still within a statement.
macro_rules! now {
    () => {
        "CAST(unixepoch('subsec') * 1000 AS INTEGER)"
    };
}

/// What [`record`] reads.
macro_rules! record_columns {
    () => {
        concat!(
            $crate::store::rows::job_columns!(),
            ", jobs.deaths, jobs.run_after_ms, jobs.callback_url, ",
            $crate::store::sqlite::rows::now!(),
            " AS now_ms"
        )
    };
}

pub(super) use {now, record_columns};

/// How long a row that cannot be read is left alone, ms: a day. Whoever repairs it, or brings the version that can read
/// it, need do no more; until then it is in nobody's way.
const SET_ASIDE_MS: i64 = 24 * 3600 * 1000;

/// Puts a job that cannot be read where nobody claims it, so that the others go on.
pub(super) async fn set_aside(work: &mut Work, key: i64, cause: &StoreError) -> Result<()> {
    tracing::error!(key, %cause, "a job's row cannot be read; it is left alone for a day");
    let sql = concat!(
        "UPDATE jobs SET state = 'queued', lease_until_ms = NULL, worker = NULL, run_after_ms = ",
        now!(),
        " + $2 WHERE key = $1"
    );
    sqlx::query(sql).bind(key).bind(SET_ASIDE_MS).execute(&mut work.db).await?;
    Ok(())
}

/// The same for a callback that was just claimed.
pub(super) async fn set_callback_aside(work: &mut Work, id: i64) -> Result<()> {
    tracing::error!(id, "a callback's row cannot be read; it is left alone for a day");
    let sql = concat!(
        "UPDATE deliveries SET state = 'waiting', lease_until_ms = NULL, worker = NULL, due_at_ms = ",
        now!(),
        " + $2 WHERE id = $1"
    );
    sqlx::query(sql).bind(id).bind(SET_ASIDE_MS).execute(&mut work.db).await?;
    Ok(())
}

/// A job, to be changed.
pub(super) async fn by_key(work: &mut Work, key: JobKey) -> Result<Option<Record>> {
    let sql = concat!("SELECT ", record_columns!(), " FROM jobs WHERE key = $1");
    let row = sqlx::query(sql).bind(key.0).fetch_optional(&mut work.db).await?;
    row.as_ref().map(record).transpose()
}

/// The running job of a token, if it is still the job's.
pub(super) async fn held(work: &mut Work, token: Token) -> Result<Option<Record>> {
    let sql = concat!("SELECT ", record_columns!(), " FROM jobs WHERE key = $1 AND fence = $2 AND state = 'running'");
    let row = sqlx::query(sql).bind(token.job.0).bind(token.fence).fetch_optional(&mut work.db).await?;
    row.as_ref().map(record).transpose()
}

/// The row, its new events, and its callbacks: one for each event if no other of the job is owed, else one for the newest,
/// in place of progress that waits to be told. The end passes over all that waited before, the end of an earlier run
/// included, as a receiver that hears of both would believe the later one. One trip to the database's thread, as trips
/// cost more than statements that find nothing to do.
pub(super) const SAVE: &str = "UPDATE jobs SET state = $2, attempt = $3, deaths = $4, run_after_ms = $5, cancel_requested = $6, sequence = $7, \
     progress = $8, message = $9, error = $10, finished_at_ms = $11, updated_at_ms = $12, result_hash = $13, \
     result_bytes = $14, source_hash = coalesce($15, source_hash), \
     lease_until_ms = CASE WHEN $2 = 'running' THEN lease_until_ms END, \
     worker = CASE WHEN $2 = 'running' THEN worker END \
     WHERE key = $1; \
     INSERT INTO events (job, sequence, at_ms, state, progress, message, error) \
     SELECT $1, value ->> 'sequence', $12, value ->> 'state', value ->> 'progress', value ->> 'message', \
     value -> 'error' FROM json_each($16); \
     INSERT INTO deliveries (job, sequence, is_final, url, host, state, due_at_ms) \
     SELECT $1, value ->> 'sequence', $17 = 'final' AND value ->> 'sequence' = $7, $18, $19, 'waiting', $12 \
     FROM json_each($16) WHERE $17 <> 'none' AND (value ->> 'sequence' = $7 OR NOT EXISTS (SELECT 1 FROM deliveries \
     WHERE job = $1 AND sequence <= $7 - json_array_length($16) AND state IN ('waiting', 'sending'))); \
     UPDATE deliveries SET state = 'superseded' WHERE job = $1 AND state = 'waiting' \
     AND sequence <= $7 - json_array_length($16) AND ($17 = 'final' OR $17 = 'progress' AND is_final = 0)";

/// Writes a changed job with its events and its callback.
pub(super) async fn save(work: &mut Work, record: &mut Record) -> Result<()> {
    let Record { job, deaths, run_after_ms, callback_url, now_ms, events, loaded, .. } = record;
    job.updated_at_ms = *now_ms;
    let callback = match (events.last(), &callback_url) {
        (Some(event), Some(_)) if event.state.is_final() => "final",
        (Some(_), Some(_)) => "progress",
        _ => "none",
    };
    sqlx::query(SAVE)
        .bind(job.key.0)
        .bind(job.state.as_str())
        .bind(job.attempt)
        .bind(*deaths)
        .bind(*run_after_ms)
        .bind(job.cancel_requested)
        .bind(integer(job.sequence))
        .bind(job.progress)
        .bind(&job.message)
        .bind(job.error.as_ref().map(json).transpose()?)
        .bind(job.finished_at_ms)
        .bind(*now_ms)
        .bind(job.result.as_ref().map(|result| &result.hash))
        .bind(job.result.as_ref().map(|result| integer(result.bytes)))
        .bind(job.result.as_ref().map(|result| &result.source_hash))
        .bind(events_json(events)?)
        .bind(callback)
        .bind(callback_url.as_ref())
        .bind(callback_url.as_deref().map(|url| receiver(&job.owner, url)))
        .execute(&mut work.db)
        .await?;
    let queued = |state: JobState| i64::from(state == JobState::Queued);
    work.effects.queue_growth += queued(job.state) - queued(*loaded);
    work.effects.queued |= job.state == JobState::Queued;
    work.effects.due |= callback != "none";
    if !events.is_empty() {
        work.effects.changed.push(job.key);
    }
    Ok(())
}

fn events_json(events: &[Event]) -> Result<String> {
    let row = |event: &Event| {
        let (state, error) = (event.state.as_str(), &event.error);
        let (sequence, progress, message) = (event.sequence, event.progress, &event.message);
        let mut row = serde_json::json!({
            "sequence": sequence, "state": state, "progress": progress, "message": message,
        });
        if let Some(error) = error {
            row["error"] = serde_json::to_value(error).map_err(unwritable)?;
        }
        Ok(row)
    };
    json(&events.iter().map(row).collect::<Result<Vec<Value>>>()?)
}
