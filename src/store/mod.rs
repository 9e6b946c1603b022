//! Jobs, their events and their callbacks, kept so that none is ever lost: one trait, the databases behind it.
//!
//! The protocol, in the order of a job's life:
//!
//! 1. [`submit`](Store::submit) answers when the job, its first event and its callback's row are committed.
//! 2. [`claim`](Store::claim) leases queued jobs to a worker and gives each a [`Token`] whose fence grows with every
//!    claim of that job.
//! 3. Every later write names the token. A worker whose token is no longer the job's is told so by [`Held::Lost`], and
//!    must stop and tell nobody: another owns the job.
//! 4. [`heartbeat`](Store::heartbeat) extends leases and brings cancels back.
//! 5. [`reap`](Store::reap) takes back what dead workers held, [`recover`](Store::recover) does so at once where the
//!    database can have no other worker. The third death of a job is its last.
//! 6. [`finish`](Store::finish) writes state, result, events and callback in one transaction.
//!
//! The database's clock is the only one. [`Signals`] shorten waits and are never relied on: whoever misses one finds out
//! by asking again.

mod admin;
mod callback;
mod counts;
mod error;
mod idempotency;
mod key;
mod node;
pub mod postgres;
mod record;
mod rows;
mod signals;
pub mod sqlite;
mod sweeping;
mod timing;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::Value;

pub use admin::{AdminStore, CHANGED_AT_ONCE, Found, JobDetails, JobFilter, OwnerQueue, Retry};
pub use callback::{
    Attempt, Delivery, DeliveryId, DeliveryOutcome, DeliveryRecord, DeliveryState, DeliveryToken, KEEPS_UP,
    MOST_ATTEMPTS, PastAttempt, Redelivery, To, message_id, message_sequence, receiver,
};
pub use counts::{BatchCounts, Queue};
pub use error::{Result, StoreError};
pub use idempotency::IdempotencyKey;
pub use key::{KeyId, KeyStore, NewKey, StoredKey};
pub use node::{Node, SHOWN, SeenNode};
pub use signals::{JobSubscription, Signals};
pub use sweeping::{DOOM_LASTS, DOOMED_BACKOFF, REFER_WITHIN, SweepStore};
pub use timing::{DEATH_BACKOFF, LEASE, MOST_DEATHS, Timing};

use crate::job::{Event, Failure, JobId, JobState};

/// A job's row in the database: how the parts of the service name a job to each other. Never on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobKey(pub i64);

/// The right to write to a running job, until its lease ends and another takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token {
    /// The job.
    pub job: JobKey,
    /// Grows with every claim of that job.
    pub fence: i64,
}

/// A job to be accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    /// The API key's name; empty where keys are off. Ids are unique within an owner.
    pub owner: String,
    /// The caller's id, or one of ours.
    pub id: JobId,
    /// What kind of work it is; `mesh` is the only one yet.
    pub kind: String,
    /// What is asked for, as the kind's own JSON.
    pub request: Value,
    /// SHA-256 of everything that makes two submissions the same: request and callback. 64 hexadecimal digits.
    pub request_hash: String,
    /// The blob that the request needs, so that it is not swept before the job runs.
    pub source_hash: Option<String>,
    /// A moment before that blob was put.
    pub put_since: Instant,
    /// Where events are sent.
    pub callback_url: Option<String>,
    /// The submitting request's id, for log lines and callbacks.
    pub request_id: String,
    /// The `Idempotency-Key` header.
    pub idempotency_key: Option<IdempotencyKey>,
    /// The batch that it belongs to.
    pub batch: Option<String>,
}

/// What became of a submission.
#[derive(Debug, Clone, PartialEq)]
pub enum Submitted {
    /// A new job.
    Created(Job),
    /// The same id with the same request: the job that is already there.
    Existing(Job),
    /// The same again, after it had been cancelled or failed for a passing reason: it starts anew.
    Restarted(Job),
    /// The same idempotency key with the same request.
    Replayed(Job),
    /// The same id with another request.
    IdConflict,
    /// The same idempotency key with another request.
    KeyReused,
    /// As many jobs are queued as may be.
    QueueFull,
    /// Its blob is being deleted, or has been since it was put: to be put again in a while.
    Doomed,
}

/// A job as its caller may see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its row.
    pub key: JobKey,
    /// The API key's name; empty where keys are off.
    pub owner: String,
    /// Its id, unique within the owner.
    pub id: JobId,
    /// The batch that it belongs to.
    pub batch: Option<String>,
    /// The id of the request that submitted it last.
    pub request_id: String,
    /// Where it stands.
    pub state: JobState,
    /// What was asked for.
    pub request: Value,
    /// The sequence of its newest event.
    pub sequence: u64,
    /// Percent.
    pub progress: u8,
    /// What is being done.
    pub message: String,
    /// Whether its caller has asked to end it.
    pub cancel_requested: bool,
    /// How often a worker has begun it.
    pub attempt: u32,
    /// The result, if completed.
    pub result: Option<JobResult>,
    /// Why it failed, if failed or cancelled.
    pub error: Option<Failure>,
    /// ms since 1970-01-01 UTC.
    pub created_at_ms: i64,
    /// When it was last changed, ms since 1970-01-01 UTC.
    pub updated_at_ms: i64,
    /// When it ended, ms since 1970-01-01 UTC.
    pub finished_at_ms: Option<i64>,
}

/// Where a finished job's mesh is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobResult {
    /// The blob with the mesh as JSON: its SHA-256, lower-case hexadecimal.
    pub hash: String,
    /// Its size, bytes.
    pub bytes: u64,
    /// The blob with the image that it was made from, for formats that are drawn on demand.
    pub source_hash: String,
}

/// A job that a worker now holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// The right to write to it.
    pub token: Token,
    /// The job as of now, running.
    pub job: Job,
}

/// Something to be told of a running job; the store gives it its sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Percent.
    pub progress: u8,
    /// What is being done.
    pub message: String,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// With a result, which other requests with the same `cache_key` may share.
    Completed {
        /// Where it is; the blobs are already durable.
        result: JobResult,
        /// Digest of image, parameters and engine version.
        cache_key: String,
        /// A moment before the blobs were put, or found.
        put_since: Instant,
    },
    /// For good.
    Failed(Failure),
    /// Because its caller asked.
    Cancelled,
    /// For now: it goes back to the queue.
    Retry {
        /// Until when it waits there.
        after: Duration,
        /// Why, for the event's message.
        failure: Failure,
    },
}

/// Whether a write found its token to be the job's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// It did, and is written.
    Yes,
    /// Another owns the job, or it has ended. Nothing was written.
    Lost,
}

/// What a heartbeat says of one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// Its lease is extended.
    Alive,
    /// Its lease is extended, and its caller wants it to end.
    CancelRequested,
    /// Another owns it, or it has ended.
    Lost,
}

/// What [`Store::cancel`] did.
#[derive(Debug, Clone, PartialEq)]
pub enum Cancel {
    /// It was queued and has ended.
    Done(Job),
    /// It is running; its worker will hear of it.
    Requested(Job),
    /// It had ended before.
    AlreadyFinal(Job),
}

/// Which jobs to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those in one of these states; empty for all.
    pub states: Vec<JobState>,
    /// Only those of a batch.
    pub batch: Option<String>,
    /// Only those accepted before this one.
    pub before: Option<JobKey>,
    /// At most so many.
    pub limit: usize,
}

/// What a reaper found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reaped {
    /// Jobs that went back to the queue.
    pub requeued: u64,
    /// Jobs given up after too many deaths.
    pub poisoned: u64,
    /// Jobs that were to be called off anyway.
    pub cancelled: u64,
}

/// How long finished jobs are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Completed and cancelled jobs, and cached results that nobody asked for since.
    pub completed: Duration,
    /// Failed jobs.
    pub failed: Duration,
}

/// Jobs, events and callbacks in a database. The module's text has the protocol; `tests/store.rs` holds every database
/// to it.
#[async_trait]
pub trait Store: KeyStore + AdminStore + SweepStore {
    /// Where waits are shortened.
    fn signals(&self) -> &Arc<Signals>;

    /// Accepts jobs, all in one transaction, and answers in their order once they are durable. Where one is refused the
    /// others are accepted all the same. A job that is started anew joins the submission's batch; one that is merely
    /// there stays in its own.
    async fn submit(&self, jobs: Vec<NewJob>) -> Result<Vec<Submitted>>;

    /// A job by its caller's name for it.
    async fn job(&self, owner: &str, id: &JobId) -> Result<Option<Job>>;

    /// A job's events with a sequence above `after`, oldest first, at most `limit`.
    async fn events(&self, job: JobKey, after: u64, limit: usize) -> Result<Vec<Event>>;

    /// An owner's jobs, newest first.
    async fn list(&self, owner: &str, filter: &Filter) -> Result<Vec<Job>>;

    /// How far a batch is; `None` if the owner has no such batch.
    async fn batch(&self, owner: &str, batch: &str) -> Result<Option<BatchCounts>>;

    /// Ends a queued job, or asks the worker of a running one to; `None` if there is no such job.
    async fn cancel(&self, owner: &str, id: &JobId) -> Result<Option<Cancel>>;

    /// The queue as it is now.
    async fn queue(&self) -> Result<Queue>;

    /// Leases up to `most` jobs that may start to a worker, in the order of turns. `worker` is new with every boot.
    ///
    /// Owners with jobs that may start take turns in the order of their names, from the one behind whoever had the last
    /// turn of this store, around and around until there are enough: so each gets an equal share, and what one has no
    /// jobs for goes to the others. An owner's turn is its longest accepted job.
    ///
    /// A job that some worker has died of may be why: it waits until this worker holds no other, is the only one claimed,
    /// and keeps the turns behind it waiting, so that no innocent job dies beside it. Nor does it lose its turn thereby.
    async fn claim(&self, worker: &str, most: usize) -> Result<Vec<Claim>>;

    /// Extends leases, and answers for each token in order.
    async fn heartbeat(&self, tokens: &[Token]) -> Result<Vec<Beat>>;

    /// Records progress of a running job. One that does not exceed what is recorded is left out, and so is 100, which
    /// the final event of a completed job tells.
    async fn progress(&self, token: Token, news: Vec<Progress>) -> Result<Held>;

    /// Ends an attempt: progress not yet told, state, result, final event and its callback in one transaction. A job that
    /// goes back to the queue begins again at 0 percent; one whose cancel was requested is cancelled instead. One that is
    /// completed with a doomed blob goes back too, for [`DOOMED_BACKOFF`].
    async fn finish(&self, token: Token, news: Vec<Progress>, outcome: Outcome) -> Result<Held>;

    /// Gives jobs back unfinished, as a worker does that is asked to stop: they may start again at once, and it counts
    /// neither as an attempt nor as a death. One whose cancel was requested is cancelled.
    async fn release(&self, tokens: &[Token]) -> Result<()>;

    /// Takes back jobs whose lease has ended. Each counts as a death, waits a little longer with each, and the last one
    /// fails the job.
    async fn reap(&self) -> Result<Reaped>;

    /// Takes back, at once, what an earlier process of this single node held. Does nothing where other nodes may live.
    async fn recover(&self) -> Result<Reaped>;

    /// The result of an equal request: its hash and size, if it is still kept. Counts as use.
    async fn cached(&self, cache_key: &str) -> Result<Option<JobResult>>;

    /// Leases up to `most` callbacks that are due, final ones first, then the longest due. Of one job only one is in
    /// flight at a time, so that a receiver gets them in order. Every event is told while the receiver keeps up: while
    /// none of the job's is owed when it happens, none fails, and none takes longer than [`KEEPS_UP`]. Else only the
    /// newest progress waits. The final event waits for progress no longer than that and what is in flight then, and
    /// passes over the final event of an earlier run; progress from before is then not claimed with it or after it. Those
    /// to other receivers than `to` says are left where they are.
    async fn claim_deliveries(&self, worker: &str, most: usize, to: To<'_>) -> Result<Vec<Delivery>>;

    /// Records an attempt to deliver, and what follows from it.
    async fn delivered(&self, token: DeliveryToken, attempt: Attempt, outcome: DeliveryOutcome) -> Result<Held>;

    /// Gives a callback back unsent, due again after a while; it counts as no attempt.
    async fn put_off(&self, token: DeliveryToken, after: Duration) -> Result<Held>;

    /// A job's callbacks with a sequence below `before`, newest first, at most `limit`.
    async fn deliveries(&self, job: JobKey, before: u64, limit: usize) -> Result<Vec<DeliveryRecord>>;

    /// Makes a callback due again that has been sent, given up, or waits for another attempt: with the same content, and
    /// with its schedule from the start.
    async fn redeliver(&self, job: JobKey, sequence: u64) -> Result<Redelivery>;

    /// When the next callback can be claimed, if one is owed: one that is being sent counts with the end of its lease, one
    /// to another receiver than `to` says does not count.
    async fn next_delivery(&self, to: To<'_>) -> Result<Option<Duration>>;

    /// Deletes some of what has been kept long enough: how many jobs and cached results. 0 means that nothing is left to
    /// do. A job whose callbacks are still owed is kept.
    async fn prune(&self, retention: Retention) -> Result<u64>;

    /// Tells of this process, for people to look at, and drops those that have not told of themselves for [`SHOWN`].
    async fn note_node(&self, node: &Node) -> Result<()>;

    /// Takes back what was told of a process that ends.
    async fn forget_node(&self, name: &str) -> Result<()>;

    /// Commits a write that changes nothing of note: an error if the database cannot be written.
    async fn check_writable(&self) -> Result<()>;

    /// Writes what is under way and lets go of the database. Every later call ends in [`StoreError::Closed`].
    async fn close(&self);
}
