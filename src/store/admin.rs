//! The queue as its operator sees it: jobs of all owners, looked for, started again, called off and deleted.
//!
//! To look and to act are two steps. Looking reads, and may take its time; acting names rows, a few at a time, and looks
//! at each of them again, so that a service at work is held up for milliseconds and what has changed meanwhile is left
//! alone.

use std::time::Duration;

use async_trait::async_trait;

use super::{Cancel, DeliveryRecord, Job, JobKey, Result, SeenNode};
use crate::job::{Event, FailureCode, JobId, JobState};

/// Rows that one call may change or delete: others wait for the writer meanwhile.
pub const CHANGED_AT_ONCE: usize = 200;

/// Which jobs are meant. Each part that is given narrows it down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Only those of an owner; empty is one, where keys are off.
    pub owner: Option<String>,
    /// Only those in one of these states; empty for all.
    pub states: Vec<JobState>,
    /// Only those of a batch.
    pub batch: Option<String>,
    /// Only those that failed, or were called off, with this code.
    pub code: Option<FailureCode>,
    /// Only those that ended so long ago; of those that have not ended, that were accepted so long ago.
    pub older_than: Option<Duration>,
    /// Only those to whose caller a callback is owed, or only the others.
    pub callbacks_owed: Option<bool>,
    /// Only those accepted before this one.
    pub before: Option<JobKey>,
}

/// Jobs that were looked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// Newest first.
    pub jobs: Vec<Job>,
    /// Those whose rows this version cannot read.
    pub unreadable: Vec<JobKey>,
}

impl Found {
    /// The oldest of them, from which the next page goes on.
    #[must_use]
    pub fn last(&self) -> Option<JobKey> {
        self.jobs.iter().map(|job| job.key).chain(self.unreadable.iter().copied()).min()
    }
}

/// All that is kept of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct JobDetails {
    /// The job.
    pub job: Job,
    /// Workers that died of it.
    pub deaths: u32,
    /// Grows with every claim.
    pub fence: i64,
    /// Who holds it, if it is running.
    pub worker: Option<String>,
    /// Until when it is held unless a heartbeat comes, ms since 1970-01-01 UTC, if it is running.
    pub lease_until_ms: Option<i64>,
    /// When it may start, ms since 1970-01-01 UTC, if it is queued.
    pub run_after_ms: Option<i64>,
    /// Where its events go.
    pub callback_url: Option<String>,
    /// The newest of its events, oldest first.
    pub events: Vec<Event>,
    /// The newest of its callbacks with their attempts, newest first.
    pub callbacks: Vec<DeliveryRecord>,
}

/// What became of the wish to start a job again.
#[derive(Debug, Clone, PartialEq)]
pub enum Retry {
    /// It had failed or been called off, and starts anew.
    Restarted(Job),
    /// It was waiting for a later attempt, and need wait no more.
    Hurried(Job),
    /// It can start already, is running, or has its result.
    LeftAlone(Job),
}

/// An owner's share of the queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnerQueue {
    /// The API key's name; empty where keys are off.
    pub owner: String,
    /// Jobs waiting, those that wait for a later attempt included.
    pub queued: u64,
    /// Of these, those that wait for a later attempt.
    pub later: u64,
    /// Jobs being done.
    pub running: u64,
    /// How long the oldest job that could start has been waiting.
    pub oldest: Duration,
    /// Callbacks not yet delivered.
    pub callbacks: u64,
}

/// What an operator needs of a database. A part of [`Store`](super::Store).
#[async_trait]
pub trait AdminStore: Send + Sync + 'static {
    /// Jobs of whatever owner, newest first, at most `limit`. Of those that cannot be read a filter sees the columns.
    async fn find_jobs(&self, filter: &JobFilter, limit: usize) -> Result<Found>;

    /// How many jobs are meant.
    async fn count_jobs(&self, filter: &JobFilter) -> Result<u64>;

    /// The jobs of that id, one for each owner that has it, by owner.
    async fn jobs_named(&self, id: &JobId) -> Result<Vec<Job>>;

    /// All that is kept of a job, with at most `most` of its events and of its callbacks.
    async fn job_details(&self, job: JobKey, most: usize) -> Result<Option<JobDetails>>;

    /// Starts jobs anew that failed, of whatever, or were called off, and hurries those that wait for a later attempt. The
    /// limit of the queue does not hold for them. Answers in order; `None` for one that is not there.
    async fn retry_jobs(&self, jobs: &[JobKey]) -> Result<Vec<Option<Retry>>>;

    /// Calls jobs off, as their callers may. Answers in order; `None` for one that is not there.
    async fn cancel_jobs(&self, jobs: &[JobKey]) -> Result<Vec<Option<Cancel>>>;

    /// Deletes those of these jobs that have ended and still are as the filter has them, with all that is theirs; how many
    /// there were.
    async fn purge_jobs(&self, jobs: &[JobKey], filter: &JobFilter) -> Result<u64>;

    /// The queue by owner, of those that have something in it, the longest first.
    async fn owner_queues(&self) -> Result<Vec<OwnerQueue>>;

    /// The processes of the service that were seen within a day, the longest running first.
    async fn nodes(&self) -> Result<Vec<SeenNode>>;
}
