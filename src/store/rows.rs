//! Rows as values: how a job, an event and a callback are read from whichever database keeps them.

use std::time::Duration;

use serde_json::Value;
use sqlx::Row;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

use super::record::Record;
use super::{
    Attempt, Delivery, DeliveryId, DeliveryRecord, DeliveryState, DeliveryToken, Found, Job, JobDetails, JobKey,
    JobResult, KeyId, Node, OwnerQueue, PastAttempt, Result, SeenNode, StoreError, StoredKey,
};
use crate::job::{Event, Failure, JobId, JobState};
use crate::key::{Digest, Limit, Rate, Scopes};

/// What a row says under a column's name. Every number is one of 64 bits here, whatever the database makes of it.
pub(super) trait Columns {
    fn text(&self, column: &str) -> Result<&str>;
    fn maybe_text(&self, column: &str) -> Result<Option<&str>>;
    fn integer(&self, column: &str) -> Result<i64>;
    fn maybe_integer(&self, column: &str) -> Result<Option<i64>>;
    fn flag(&self, column: &str) -> Result<bool>;
    fn bytes(&self, column: &str) -> Result<&[u8]>;
}

macro_rules! columns_of {
    ($row:ty) => {
        impl Columns for $row {
            fn text(&self, column: &str) -> Result<&str> {
                Ok(self.try_get(column)?)
            }

            fn maybe_text(&self, column: &str) -> Result<Option<&str>> {
                Ok(self.try_get(column)?)
            }

            fn integer(&self, column: &str) -> Result<i64> {
                Ok(self.try_get(column)?)
            }

            fn maybe_integer(&self, column: &str) -> Result<Option<i64>> {
                Ok(self.try_get(column)?)
            }

            fn flag(&self, column: &str) -> Result<bool> {
                Ok(self.try_get(column)?)
            }

            fn bytes(&self, column: &str) -> Result<&[u8]> {
                Ok(self.try_get(column)?)
            }
        }
    };
}

columns_of!(SqliteRow);
columns_of!(PgRow);

/// What [`job`] reads.
macro_rules! job_columns {
    () => {
        "jobs.key, jobs.owner, jobs.id, jobs.batch, jobs.request_id, jobs.state, jobs.request, jobs.sequence, jobs.progress, \
         jobs.message, jobs.cancel_requested, jobs.attempt, jobs.result_hash, jobs.result_bytes, jobs.source_hash, \
         jobs.error, jobs.created_at_ms, jobs.updated_at_ms, jobs.finished_at_ms"
    };
}

pub(super) use job_columns;

/// A job as callers see it.
pub(super) fn job(row: &impl Columns) -> Result<Job> {
    Ok(Job {
        key: JobKey(row.integer("key")?),
        owner: row.text("owner")?.into(),
        id: id(row, "id")?,
        batch: row.maybe_text("batch")?.map(Into::into),
        request_id: row.text("request_id")?.into(),
        state: state(row)?,
        request: serde_json::from_str::<Value>(row.text("request")?)
            .map_err(|error| StoreError::Row(format!("request: {error}")))?,
        sequence: number(row, "sequence")?,
        progress: number(row, "progress")?,
        message: row.text("message")?.into(),
        cancel_requested: row.flag("cancel_requested")?,
        attempt: number(row, "attempt")?,
        result: result(row)?,
        error: failure(row)?,
        created_at_ms: row.integer("created_at_ms")?,
        updated_at_ms: row.integer("updated_at_ms")?,
        finished_at_ms: row.maybe_integer("finished_at_ms")?,
    })
}

/// A job's id.
pub(super) fn id(row: &impl Columns, column: &str) -> Result<JobId> {
    JobId::stored(row.text(column)?).map_err(|error| StoreError::Row(format!("id {error}")))
}

/// Where the mesh is, if there is one.
pub(super) fn result(row: &impl Columns) -> Result<Option<JobResult>> {
    let Some(hash) = row.maybe_text("result_hash")? else { return Ok(None) };
    let source_hash = row.text("source_hash")?.into();
    Ok(Some(JobResult { hash: hash.into(), bytes: number(row, "result_bytes")?, source_hash }))
}

/// A job to be changed.
pub(super) fn record(row: &impl Columns) -> Result<Record> {
    let job = job(row)?;
    Ok(Record {
        loaded: job.state,
        job,
        deaths: number(row, "deaths")?,
        run_after_ms: row.integer("run_after_ms")?,
        callback_url: row.maybe_text("callback_url")?.map(Into::into),
        now_ms: row.integer("now_ms")?,
        events: Vec::new(),
    })
}

/// An event of a job.
pub(super) fn event(row: &impl Columns) -> Result<Event> {
    Ok(Event {
        sequence: number(row, "sequence")?,
        at_ms: row.integer("at_ms")?,
        state: state(row)?,
        progress: number(row, "progress")?,
        message: row.text("message")?.into(),
        error: failure(row)?,
    })
}

fn state(row: &impl Columns) -> Result<JobState> {
    let name = row.text("state")?;
    JobState::named(name).ok_or_else(|| StoreError::Row(format!("no job has the state {name:?}")))
}

fn failure(row: &impl Columns) -> Result<Option<Failure>> {
    let text = row.maybe_text("error")?;
    text.map(serde_json::from_str).transpose().map_err(|error| StoreError::Row(format!("error: {error}")))
}

/// A callback that was just claimed, with its event.
pub(super) fn delivery(row: &impl Columns) -> Result<Delivery> {
    Ok(Delivery {
        token: DeliveryToken { id: DeliveryId(row.integer("delivery")?), fence: row.integer("fence")? },
        job: JobKey(row.integer("job")?),
        job_id: id(row, "job_id")?,
        owner: row.text("owner")?.into(),
        url: row.text("url")?.into(),
        host: row.text("host")?.into(),
        request_id: row.text("request_id")?.into(),
        event: event(row)?,
        attempts: number(row, "attempts")?,
    })
}

/// A callback as its job's caller sees it.
pub(super) fn delivery_record(row: &impl Columns, attempts: Vec<PastAttempt>) -> Result<DeliveryRecord> {
    let state = delivery_state(row.text("state")?)?;
    Ok(DeliveryRecord {
        sequence: number(row, "sequence")?,
        url: row.text("url")?.into(),
        state,
        next_attempt_at_ms: (state == DeliveryState::Waiting).then(|| row.integer("due_at_ms")).transpose()?,
        attempts,
    })
}

/// An attempt to deliver.
pub(super) fn attempt(row: &impl Columns) -> Result<PastAttempt> {
    let attempt = Attempt {
        status: maybe_number(row, "status")?,
        error: row.maybe_text("error")?.map(Into::into),
        took: Duration::from_millis(number(row, "took_ms")?),
    };
    Ok(PastAttempt { at_ms: row.integer("at_ms")?, attempt })
}

/// Jobs that were looked for, and those that cannot be read.
pub(super) fn found<R: Columns>(rows: &[R]) -> Result<Found> {
    let mut found = Found::default();
    for row in rows {
        match job(row) {
            Ok(job) => found.jobs.push(job),
            Err(_) => found.unreadable.push(JobKey(row.integer("key")?)),
        }
    }
    Ok(found)
}

/// All that is kept of a job, from its row, its newest events, newest first, and its callbacks.
pub(super) fn details<R: Columns>(row: &R, newest: &[R], callbacks: Vec<DeliveryRecord>) -> Result<JobDetails> {
    let job = job(row)?;
    let is_queued = job.state == JobState::Queued;
    Ok(JobDetails {
        deaths: number(row, "deaths")?,
        fence: row.integer("fence")?,
        worker: row.maybe_text("worker")?.map(Into::into),
        lease_until_ms: row.maybe_integer("lease_until_ms")?,
        run_after_ms: is_queued.then(|| row.integer("run_after_ms")).transpose()?,
        callback_url: row.maybe_text("callback_url")?.map(Into::into),
        events: newest.iter().rev().map(event).collect::<Result<_>>()?,
        callbacks,
        job,
    })
}

/// An owner's share of the queue.
pub(super) fn owner_queue(row: &impl Columns) -> Result<OwnerQueue> {
    Ok(OwnerQueue {
        owner: row.text("owner")?.into(),
        queued: number(row, "queued")?,
        later: number(row, "later")?,
        running: number(row, "running")?,
        oldest: Duration::from_millis(number(row, "oldest_ms")?),
        callbacks: number(row, "callbacks")?,
    })
}

/// A process of the service.
pub(super) fn seen_node(row: &impl Columns) -> Result<SeenNode> {
    Ok(SeenNode {
        node: Node {
            name: row.text("name")?.into(),
            role: row.text("role")?.into(),
            version: row.text("version")?.into(),
            host: row.text("host")?.into(),
            pid: number(row, "pid")?,
            slots: number(row, "slots")?,
            draining: row.flag("draining")?,
        },
        running: number(row, "running")?,
        started_at_ms: row.integer("started_at_ms")?,
        seen_at_ms: row.integer("seen_at_ms")?,
        unseen_for: Duration::from_millis(number(row, "unseen_ms")?),
    })
}

/// Where a callback stands.
pub(super) fn delivery_state(name: &str) -> Result<DeliveryState> {
    DeliveryState::named(name).ok_or_else(|| StoreError::Row(format!("no callback has the state {name:?}")))
}

/// An API key.
pub(super) fn key(row: &impl Columns) -> Result<StoredKey> {
    let unreadable = |what: &str| StoreError::Row(format!("{what} of an API key"));
    let rate: (Option<u32>, Option<u32>) = (maybe_number(row, "rate_requests")?, maybe_number(row, "rate_window_s")?);
    Ok(StoredKey {
        id: KeyId(row.integer("id")?),
        name: row.text("name")?.into(),
        digest: Digest::from_bytes(row.bytes("digest")?).ok_or_else(|| unreadable("digest"))?,
        scopes: Scopes::kept(row.text("scopes")?),
        limit: match rate {
            (None, None) => Limit::Usual,
            (Some(0), None) => Limit::Unlimited,
            (Some(requests), Some(window_s)) => {
                Limit::Own(Rate::new(requests, window_s).ok_or_else(|| unreadable("rate"))?)
            }
            _ => return Err(unreadable("rate")),
        },
        links: match row.maybe_text("result_links")? {
            Some(word) => Some(word.parse().map_err(|_| unreadable("result_links"))?),
            None => None,
        },
        created_at_ms: row.integer("created_at_ms")?,
        last_used_at_ms: row.maybe_integer("last_used_at_ms")?,
        revoked_at_ms: row.maybe_integer("revoked_at_ms")?,
    })
}

/// Every key that can be read. A row that cannot be read opens nothing, and is in no other's way: those must stay
/// revocable.
pub(super) fn readable_keys<R: Columns>(rows: &[R]) -> Vec<StoredKey> {
    let readable = |row: &R| {
        let unreadable = |error: &StoreError| {
            let id = row.integer("id").unwrap_or_default();
            tracing::error!(id, %error, "an API key cannot be read, and opens nothing; delete its row");
        };
        key(row).inspect_err(unreadable).ok()
    };
    rows.iter().filter_map(readable).collect()
}

/// How a key's limit is kept: requests and seconds.
pub(super) fn kept_limit(limit: Limit) -> (Option<i64>, Option<i64>) {
    match limit {
        Limit::Usual => (None, None),
        Limit::Unlimited => (Some(0), None),
        Limit::Own(rate) => (Some(rate.quota().into()), Some(rate.window_s().into())),
    }
}

/// A number that fits its place.
pub(super) fn number<T: TryFrom<i64>>(row: &impl Columns, column: &str) -> Result<T> {
    fitting(row.integer(column)?, column)
}

fn maybe_number<T: TryFrom<i64>>(row: &impl Columns, column: &str) -> Result<Option<T>> {
    row.maybe_integer(column)?.map(|number| fitting(number, column)).transpose()
}

fn fitting<T: TryFrom<i64>>(number: i64, column: &str) -> Result<T> {
    T::try_from(number).map_err(|_| StoreError::Row(format!("{column} is {number}, out of its range")))
}

/// A count as the databases keep it.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// As text for a column.
pub(super) fn json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(unwritable)
}

/// What cannot be made text of.
pub(super) fn unwritable(error: serde_json::Error) -> StoreError {
    StoreError::Row(format!("cannot be written: {error}"))
}

/// A wait that may be over.
pub(super) fn positive(milliseconds: Option<i64>) -> Option<Duration> {
    milliseconds.and_then(|wait| u64::try_from(wait).ok()).map(Duration::from_millis)
}
