//! What each step of the protocol does to a job: the same for every database, which only loads and saves.

use std::time::Duration;

use super::{DOOMED_BACKOFF, Job, JobKey, MOST_DEATHS, NewJob, Outcome, Progress, Retry};
use crate::job::{Event, Failure, FailureCode, JobState};

/// The message of a job that waits for a worker.
pub(super) const QUEUED: &str = "Queued";

/// The message of a job's last event when it has a result, in the specification's words.
const COMPLETED: &str = "Mesh generation complete";

/// The message and failure of a cancelled job.
const CANCELLED: &str = "Cancelled as asked";

/// The message of a job that its dead worker left.
const TAKEN_BACK: &str = "Retrying: the worker was lost";

impl NewJob {
    /// The job that it becomes.
    pub(super) fn created(&self, key: JobKey, now_ms: i64) -> Job {
        Job {
            key,
            owner: self.owner.clone(),
            id: self.id.clone(),
            batch: self.batch.clone(),
            request_id: self.request_id.clone(),
            state: JobState::Queued,
            request: self.request.clone(),
            sequence: 1,
            progress: 0,
            message: QUEUED.into(),
            cancel_requested: false,
            attempt: 0,
            result: None,
            error: None,
            created_at_ms: now_ms,
            updated_at_ms: now_ms,
            finished_at_ms: None,
        }
    }
}

/// A job's row while it is being changed, and the events that go with the change.
#[derive(Debug)]
pub(super) struct Record {
    /// What callers see of it.
    pub(super) job: Job,
    /// Workers that died of it.
    pub(super) deaths: u32,
    /// When it may start, if queued.
    pub(super) run_after_ms: i64,
    /// Where its events go.
    pub(super) callback_url: Option<String>,
    /// The state that it had when it was loaded.
    pub(super) loaded: JobState,
    /// The database's clock when it was loaded.
    pub(super) now_ms: i64,
    /// What has happened since.
    pub(super) events: Vec<Event>,
}

/// What became of a job whose worker died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is tried again.
    Requeued,
    /// It has cost too many workers.
    Poisoned,
    /// Its caller had wanted it to end anyway.
    Cancelled,
}

impl Record {
    /// Records progress; what does not exceed what is known is left out. 100 belongs to the final event, which alone may
    /// say that the result is there.
    pub(super) fn told(&mut self, news: &[Progress]) {
        for step in news {
            if step.progress > self.job.progress && step.progress < 100 {
                self.event(step.progress, step.message.clone(), None);
            }
        }
    }

    /// Ends an attempt. A job that is to be called off is not tried again.
    pub(super) fn ended(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Completed { result, .. } => {
                self.step(JobState::Completed);
                self.job.result = Some(result.clone());
                self.event(100, COMPLETED.into(), None);
            }
            Outcome::Failed(failure) => self.failed(failure.clone()),
            Outcome::Cancelled => self.cancelled(),
            Outcome::Retry { .. } if self.job.cancel_requested => self.cancelled(),
            Outcome::Retry { after, failure } => self.requeued(*after, format!("Retrying: {}", failure.message)),
        }
    }

    /// Puts it back, to be done again when its blobs are no longer doomed.
    pub(super) fn postponed(&mut self) {
        let failure = Failure::new(FailureCode::Internal, "an equal result is being deleted; it is made again");
        self.ended(&Outcome::Retry { after: DOOMED_BACKOFF, failure });
    }

    /// Ends it for good, without a result.
    fn failed(&mut self, failure: Failure) {
        self.step(JobState::Failed);
        self.stopped(failure);
    }

    /// Ends it because its caller asked.
    pub(super) fn cancelled(&mut self) {
        self.step(JobState::Cancelled);
        self.stopped(Failure::new(FailureCode::Cancelled, CANCELLED));
    }

    /// Progress stays where it was: the job did get so far.
    fn stopped(&mut self, failure: Failure) {
        self.job.error = Some(failure.clone());
        self.event(self.job.progress, failure.message.clone(), Some(failure));
    }

    /// Gives it back as if it had not been claimed.
    pub(super) fn released(&mut self) {
        self.job.attempt = self.job.attempt.saturating_sub(1);
        if self.job.cancel_requested {
            self.cancelled();
        } else if self.job.progress == 0 && self.job.message == QUEUED {
            // Nobody was told that it had begun, so there is nothing to take back.
            self.step(JobState::Queued);
            self.run_after_ms = self.now_ms;
        } else {
            self.requeued(Duration::ZERO, QUEUED.into());
        }
    }

    /// Takes it back from a dead worker. With each death it waits twice as long as before, so that a job that kills its
    /// workers leaves room for others.
    pub(super) fn died(&mut self, backoff: Duration) -> Fate {
        self.deaths += 1;
        if self.job.cancel_requested {
            self.cancelled();
            Fate::Cancelled
        } else if self.deaths >= MOST_DEATHS {
            let message = format!("The worker died {} times of this job; please report it with the image", self.deaths);
            self.failed(Failure::new(FailureCode::WorkerCrashed, message));
            Fate::Poisoned
        } else {
            self.requeued(backoff * (1 << (self.deaths - 1)), TAKEN_BACK.into());
            Fate::Requeued
        }
    }

    /// Starts it anew. Sequence and fence go on, so that no listener and no old worker is misled.
    pub(super) fn restarted(&mut self) {
        self.job.attempt = 0;
        self.deaths = 0;
        self.job.cancel_requested = false;
        self.job.error = None;
        self.job.finished_at_ms = None;
        self.requeued(Duration::ZERO, QUEUED.into());
    }

    /// Starts it again for its operator, whatever it ended of; one that waits for a later attempt need wait no more. What
    /// that is called; `None` if there was nothing to do.
    pub(super) fn retried(&mut self) -> Option<fn(Job) -> Retry> {
        match self.job.state {
            JobState::Failed | JobState::Cancelled => {
                self.restarted();
                Some(Retry::Restarted)
            }
            JobState::Queued if self.run_after_ms > self.now_ms => {
                // Nothing happened to it that its caller would have to be told of.
                self.run_after_ms = self.now_ms;
                Some(Retry::Hurried)
            }
            JobState::Queued | JobState::Running | JobState::Completed => None,
        }
    }

    /// Whether its caller may start it anew.
    pub(super) fn may_restart(&self) -> bool {
        let passing = self.job.error.as_ref().is_some_and(|failure| failure.code.is_passing());
        self.job.state == JobState::Cancelled || self.job.state == JobState::Failed && passing
    }

    /// Progress begins again at 0: it is of an attempt, and the next one has done nothing yet.
    fn requeued(&mut self, after: Duration, message: String) {
        self.step(JobState::Queued);
        self.run_after_ms = self.now_ms + milliseconds(after);
        self.event(0, message, None);
    }

    fn step(&mut self, next: JobState) {
        debug_assert!(self.job.state.may_become(next), "{} may not become {next}", self.job.state);
        self.job.state = next;
        if next.is_final() {
            self.job.finished_at_ms = Some(self.now_ms);
        }
    }

    fn event(&mut self, progress: u8, message: String, error: Option<Failure>) {
        self.job.sequence += 1;
        self.job.progress = progress;
        self.job.message.clone_from(&message);
        let (sequence, state) = (self.job.sequence, self.job.state);
        self.events.push(Event { sequence, at_ms: self.now_ms, state, progress, message, error });
    }
}

/// A duration as the databases keep it; absurd ones end with time itself.
pub(super) fn milliseconds(duration: Duration) -> i64 {
    // A quarter of the range, so that no sum with a clock overflows.
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).min(i64::MAX / 4)
}
