//! How a job is changed: read, stepped on, and written back in one statement if nobody has changed it meanwhile.
//!
//! A statement is a transaction, so no lock is held between two messages of a node, and a connection that is cut leaves
//! either all of a change or nothing.

use std::time::Instant;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::news::News;
use super::sweeping::forbids;
use crate::job::{Event, JobState};
use crate::store::record::Record;
use crate::store::rows::{self, integer, json};
use crate::store::sweeping::put_ago_ms;
use crate::store::{JobResult, Result, StoreError, receiver};

/// The database's clock, ms. It stands still within a statement.
macro_rules! now {
    () => {
        "(extract(epoch FROM statement_timestamp()) * 1000)::bigint"
    };
}

/// What [`loaded`] reads. A clock that was set back does not bring a job's own time back.
macro_rules! record_columns {
    () => {
        concat!(
            $crate::store::rows::job_columns!(),
            ", jobs.deaths, jobs.run_after_ms, jobs.callback_url, jobs.fence, greatest(",
            $crate::store::postgres::changes::now!(),
            ", jobs.updated_at_ms) AS now_ms"
        )
    };
}

pub(super) use {now, record_columns};

pub(super) use crate::store::rows::job_columns;

/// How often a change is tried that others get in the way of. Few ever touch the same job.
pub(super) const TRIES: u32 = 20;

/// A job to be changed, and what it was when it was read.
pub(super) struct Loaded {
    pub(super) record: Record,
    fence: i64,
    cancel_requested: bool,
    /// Whether its lease must have ended, for who takes it back.
    pub(super) is_expired: bool,
    /// A result that equal requests may share.
    pub(super) kept: Option<Kept>,
}

/// A result, what it is found by, and when its blobs may have been put at the earliest.
pub(super) struct Kept {
    pub(super) cache_key: String,
    pub(super) result: JobResult,
    pub(super) put_since: Instant,
}

/// A job to be changed.
pub(super) fn loaded(row: &PgRow) -> Result<Loaded> {
    let record = rows::record(row)?;
    let cancel_requested = record.job.cancel_requested;
    Ok(Loaded { record, fence: row.try_get("fence")?, cancel_requested, is_expired: false, kept: None })
}

/// The row if it is still as it was read and none of its new blobs is doomed; its new events; and its callbacks: one for each event if no other of the job is
/// owed, else one for the newest, in place of progress that waits to be told. The end passes over all that waited before,
/// the end of an earlier run included, as a receiver that hears of both would believe the later one. Every part sees the
/// tables as they were before the statement.
pub(super) const SAVE: &str = concat!(
    "WITH changed AS (UPDATE jobs SET state = $2, attempt = $3, deaths = $4, run_after_ms = $5, cancel_requested = $6, \
     sequence = $7, progress = $8, message = $9, error = $10, finished_at_ms = $11, updated_at_ms = $12, \
     result_hash = $13, result_bytes = $14, source_hash = coalesce($15, source_hash), batch = $16, request_id = $17, \
     lease_until_ms = CASE WHEN $2 = 'running' THEN lease_until_ms END, \
     worker = CASE WHEN $2 = 'running' THEN worker END, claim = CASE WHEN $2 = 'running' THEN claim END \
     WHERE key = $1 AND state = $18 AND fence = $19 AND sequence = $20 AND cancel_requested = $21 \
     AND (NOT $22 OR lease_until_ms <= ",
    now!(),
    ") AND ($31::text IS NULL OR NOT EXISTS (SELECT 1 FROM doomed WHERE doomed.hash IN ($32, $34) AND ",
    forbids!("$35"),
    ")) RETURNING key), \
     told AS (INSERT INTO events (job, sequence, at_ms, state, progress, message, error) \
     SELECT changed.key, news.sequence, $12, news.state, news.progress, news.message, news.error FROM changed, \
     unnest($23::bigint[], $24::text[], $25::bigint[], $26::text[], $27::text[]) \
     AS news (sequence, state, progress, message, error)), \
     owed AS (INSERT INTO deliveries (job, sequence, is_final, url, host, state, due_at_ms) \
     SELECT changed.key, news.sequence, $28 = 'final' AND news.sequence = $7, $29, $30, 'waiting', $12 \
     FROM changed, unnest($23::bigint[]) AS news (sequence) WHERE $28 <> 'none' AND (news.sequence = $7 \
     OR NOT EXISTS (SELECT 1 FROM deliveries WHERE job = $1 AND state IN ('waiting', 'sending')))), \
     passed_over AS (UPDATE deliveries SET state = 'superseded' FROM changed \
     WHERE deliveries.job = changed.key AND deliveries.state = 'waiting' \
     AND ($28 = 'final' OR $28 = 'progress' AND NOT deliveries.is_final)), \
     kept AS (INSERT INTO results (cache_key, result_hash, result_bytes, source_hash, used_at_ms) \
     SELECT $31, $32, $33, $34, ",
    now!(),
    " FROM changed WHERE $31 IS NOT NULL ON CONFLICT (cache_key) DO UPDATE SET result_hash = excluded.result_hash, \
     result_bytes = excluded.result_bytes, source_hash = excluded.source_hash, used_at_ms = excluded.used_at_ms) \
     SELECT count(*) FROM changed"
);

/// What follows from a change that was written.
#[derive(Debug, Default)]
pub(super) struct Effects {
    pub(super) news: News,
    /// How many more jobs are queued than before.
    pub(super) queue_growth: i64,
}

/// Writes a changed job with its events and its callbacks; `None` if somebody was faster, and nothing is written.
pub(super) async fn save(db: &mut PgConnection, loaded: &mut Loaded) -> Result<Option<Effects>> {
    let Record { job, deaths, run_after_ms, callback_url, now_ms, events, loaded: state, .. } = &mut loaded.record;
    job.updated_at_ms = *now_ms;
    let callback = match (events.last(), &callback_url) {
        (Some(event), Some(_)) if event.state.is_final() => "final",
        (Some(_), Some(_)) => "progress",
        _ => "none",
    };
    let told = Told::new(events)?;
    let kept = loaded.kept.as_ref();
    let query = sqlx::query_scalar(SAVE)
        .bind(job.key.0)
        .bind(job.state.as_str())
        .bind(i64::from(job.attempt))
        .bind(i64::from(*deaths))
        .bind(*run_after_ms)
        .bind(job.cancel_requested)
        .bind(integer(job.sequence))
        .bind(i64::from(job.progress))
        .bind(text(&job.message))
        .bind(job.error.as_ref().map(json).transpose()?)
        .bind(job.finished_at_ms)
        .bind(*now_ms)
        .bind(job.result.as_ref().map(|result| &result.hash))
        .bind(job.result.as_ref().map(|result| integer(result.bytes)))
        .bind(job.result.as_ref().map(|result| &result.source_hash))
        .bind(&job.batch)
        .bind(&job.request_id)
        .bind(state.as_str())
        .bind(loaded.fence)
        .bind(integer(job.sequence - events.len() as u64))
        .bind(loaded.cancel_requested)
        .bind(loaded.is_expired)
        .bind(told.sequences)
        .bind(told.states)
        .bind(told.progress)
        .bind(told.messages)
        .bind(told.errors)
        .bind(callback)
        .bind(callback_url.as_ref())
        .bind(callback_url.as_deref().map(|url| receiver(&job.owner, url)))
        .bind(kept.map(|kept| &kept.cache_key))
        .bind(kept.map(|kept| &kept.result.hash))
        .bind(kept.map(|kept| integer(kept.result.bytes)))
        .bind(kept.map(|kept| &kept.result.source_hash))
        .bind(kept.map(|kept| put_ago_ms(kept.put_since)));
    let written: i64 = query.fetch_one(db).await?;
    if written == 0 {
        return Ok(None);
    }
    let queued = |state: JobState| i64::from(state == JobState::Queued);
    let changed = if events.is_empty() { None } else { Some(job.key) };
    let news = News {
        changed: changed.into_iter().collect(),
        queued: job.state == JobState::Queued,
        due: callback != "none",
        cancel: job.state == JobState::Running && job.cancel_requested && !loaded.cancel_requested,
    };
    Ok(Some(Effects { news, queue_growth: queued(job.state) - queued(*state) }))
}

/// Events as columns.
#[derive(Default)]
struct Told {
    sequences: Vec<i64>,
    states: Vec<&'static str>,
    progress: Vec<i64>,
    messages: Vec<String>,
    errors: Vec<Option<String>>,
}

impl Told {
    fn new(events: &[Event]) -> Result<Self> {
        let mut told = Self::default();
        for event in events {
            told.sequences.push(integer(event.sequence));
            told.states.push(event.state.as_str());
            told.progress.push(event.progress.into());
            told.messages.push(text(&event.message));
            told.errors.push(event.error.as_ref().map(json).transpose()?);
        }
        Ok(told)
    }
}

/// PostgreSQL keeps no NUL in a text; in JSON it is written as an escape.
pub(super) fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// How long a row that cannot be read is left alone, ms: a day. Whoever repairs it, or brings the version that can read
/// it, need do no more; until then it is in nobody's way.
const SET_ASIDE_MS: i64 = 24 * 3600 * 1000;

/// Puts a job that cannot be read where nobody claims it, so that the others go on.
pub(super) async fn set_aside(db: &mut PgConnection, key: i64, cause: &StoreError) -> Result<()> {
    tracing::error!(key, %cause, "a job's row cannot be read; it is left alone for a day");
    let sql = concat!(
        "UPDATE jobs SET state = 'queued', lease_until_ms = NULL, worker = NULL, claim = NULL, run_after_ms = ",
        now!(),
        " + $2 WHERE key = $1 AND state IN ('queued', 'running')"
    );
    sqlx::query(sql).bind(key).bind(SET_ASIDE_MS).execute(db).await?;
    Ok(())
}

/// The same for a callback that was just claimed.
pub(super) async fn set_callback_aside(db: &mut PgConnection, id: i64) -> Result<()> {
    tracing::error!(id, "a callback's row cannot be read; it is left alone for a day");
    let sql = concat!(
        "UPDATE deliveries SET state = 'waiting', lease_until_ms = NULL, worker = NULL, due_at_ms = ",
        now!(),
        " + $2 WHERE id = $1 AND state = 'sending'"
    );
    sqlx::query(sql).bind(id).bind(SET_ASIDE_MS).execute(db).await?;
    Ok(())
}
