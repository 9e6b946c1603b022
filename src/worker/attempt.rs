//! One attempt at a job, from claim to final transaction: whatever happens, it ends in one of few ways.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::held::{Ending, HeldJob};
use super::mesh_job::{self, Done};
use super::shift::Shift;
use super::verdict::{self, Trouble};
use crate::crash_point;
use crate::store::{Held, Outcome};

/// Waits between attempts to write a job's end, ms. The last one is repeated while the lease lasts.
const WRITE_AGAIN_MS: [u64; 5] = [50, 200, 500, 1000, 2000];

/// Does the job, and writes how that ended while it is still ours to write.
pub(super) async fn carry_out(shift: &Arc<Shift>, job: &Arc<HeldJob>) {
    let began = Instant::now();
    let end = match decide(shift, job).await {
        Ok(outcome) => write(shift, job, outcome).await,
        Err(ending) => Err(ending),
    };
    let word = match end {
        Ok(word) => word,
        Err(Ending::Released) => {
            give_back(shift, job).await;
            "released"
        }
        Err(ending @ (Ending::Lost | Ending::LeaseOver | Ending::Cancelled)) => {
            if ending == Ending::LeaseOver {
                // If it can be, and nobody has it yet: then the outage does not count as a death.
                let _ = tokio::time::timeout(shift.pace.lease / 4, give_back(shift, job)).await;
            }
            tracing::warn!(job = %job.claim.job.id, ?ending, "stopped working on a job that is no longer ours");
            "lost"
        }
    };
    shift.app.metrics.job_finished(word, began.elapsed());
}

/// How the attempt ends; an error if it is not ours to say.
async fn decide(shift: &Arc<Shift>, job: &Arc<HeldJob>) -> Result<Outcome, Ending> {
    let worked = tokio::select! {
        // In this order, so that a process that was stopped for a while looks at its lease before it writes.
        biased;
        ending = job.ended() => return if ending == Ending::Cancelled { Ok(Outcome::Cancelled) } else { Err(ending) },
        () = job.lease_over(shift.lease_good_for()) => return Err(Ending::LeaseOver),
        worked = work(shift, job) => worked,
    };
    let timeout = shift.app.config.jobs.timeout;
    Ok(match worked {
        Ok(Done { result, cache_key, put_since }) => Outcome::Completed { result, cache_key, put_since },
        Err(trouble) => {
            trouble.log(&job.claim.job);
            verdict::outcome(&trouble, &job.claim.job, timeout)
        }
    })
}

/// The work on a task of its own, so that a panic is contained. Dropping this ends it.
async fn work(shift: &Arc<Shift>, job: &Arc<HeldJob>) -> Result<Done, Trouble> {
    let deadline = Instant::now() + shift.app.config.jobs.timeout;
    let mut alone = JoinSet::new();
    let (shift, job) = (Arc::clone(shift), Arc::clone(job));
    alone.spawn(async move { mesh_job::make(&shift, &job, deadline).await });
    match timeout_at(deadline, alone.join_next()).await {
        Err(_) => Err(Trouble::TimedOut),
        Ok(Some(Ok(made))) => made,
        Ok(Some(Err(_)) | None) => Err(Trouble::Panicked),
    }
}

/// Writes the end, again and again for the time of a lease: the work is done, and only the database is in the way. Not
/// for longer, although heartbeats may go on: what cannot be written then is left to another attempt.
async fn write(shift: &Shift, job: &HeldJob, outcome: Outcome) -> Result<&'static str, Ending> {
    crash_point::reached("before_final_transaction");
    let word = match &outcome {
        Outcome::Completed { .. } => "completed",
        Outcome::Failed(_) => "failed",
        Outcome::Cancelled => "cancelled",
        Outcome::Retry { .. } => "retried",
    };
    let give_up_at = Instant::now() + shift.pace.lease;
    let _writing = job.writing.lock().await;
    let news = job.news_older_than(Duration::ZERO);
    for attempt in 0.. {
        if job.lease_left(shift.lease_good_for()).is_zero() || Instant::now() >= give_up_at {
            break;
        }
        // A cancel comes too late for a job that is done.
        if let Some(ending) = job.ending().filter(|ending| attempt > 0 && *ending != Ending::Cancelled) {
            return Err(ending);
        }
        match shift.app.store.finish(job.token(), news.clone(), outcome.clone()).await {
            Ok(Held::Yes) => {
                crash_point::reached("after_final_transaction");
                return Ok(word);
            }
            Ok(Held::Lost) => {
                shift.app.metrics.stale_write();
                return Err(Ending::Lost);
            }
            Err(cause) => tracing::warn!(job = %job.claim.job.id, %cause, "cannot write how a job ended; trying again"),
        }
        let wait_ms = WRITE_AGAIN_MS.get(attempt).or(WRITE_AGAIN_MS.last()).copied().unwrap_or_default();
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
    }
    Err(Ending::LeaseOver)
}

/// Puts the job back into the queue. If that fails its lease ends by itself.
async fn give_back(shift: &Shift, job: &HeldJob) {
    let _writing = job.writing.lock().await;
    if let Err(cause) = shift.app.store.release(&[job.token()]).await {
        tracing::warn!(job = %job.claim.job.id, %cause, "cannot give a job back; it is taken back when its lease ends");
    }
}
