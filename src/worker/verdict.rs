//! What follows from each way in which the work on a job can fail: decided here, and nowhere else.

use std::time::Duration;

use crate::blob::BlobError;
use crate::compute::ComputeError;
use crate::job::{Failure, FailureCode};
use crate::mesh;
use crate::net::FetchError;
use crate::retry;
use crate::store::{Job, Outcome, StoreError};

/// Why an attempt brought no result.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The stored request cannot be read.
    Request(mesh::Error),
    /// The image could not be fetched.
    Source(FetchError),
    /// The uploaded image could not be read, or what was made not be kept.
    Storage(BlobError),
    /// The cache could not be asked.
    Database(StoreError),
    /// The engine made nothing of it.
    Engine(ComputeError),
    /// JOB_TIMEOUT came first.
    TimedOut,
    /// A mistake of ours outside the engine.
    Panicked,
}

/// Whether the same job is tried again.
enum Again {
    /// It would fail the same way.
    Never,
    /// It may well succeed, after what was asked for at the earliest.
    Later(Option<Duration>),
    /// It will once what the service stands on is back.
    AfterTheOutage,
}

/// What happens to the job. `timeout` is JOB_TIMEOUT.
pub(super) fn outcome(trouble: &Trouble, job: &Job, timeout: Duration) -> Outcome {
    let (failure, again) = judge(trouble, timeout);
    let backoff = match again {
        Again::Never => None,
        Again::Later(asked) => retry::job_backoff(job.id.as_str(), job.attempt, asked),
        Again::AfterTheOutage => retry::outage_backoff(job.id.as_str(), job.attempt),
    };
    match backoff {
        Some(after) => Outcome::Retry { after, failure },
        None => Outcome::Failed(failure),
    }
}

/// The one list of what is passing and what is not.
fn judge(trouble: &Trouble, timeout: Duration) -> (Failure, Again) {
    match trouble {
        Trouble::Request(error) => (Failure::from(error), Again::Never),
        Trouble::Source(error) => {
            let again = if error.transient { Again::Later(error.retry_after) } else { Again::Never };
            (error.failure.clone(), again)
        }
        Trouble::Storage(BlobError::NotFound(_) | BlobError::Damaged(_)) => {
            (internal("the job's image is no longer whole in the storage; submit it again"), Again::Never)
        }
        Trouble::Storage(_) => (internal("the service's storage failed; try again later"), Again::AfterTheOutage),
        Trouble::Database(_) => (internal("the service's database failed; try again later"), Again::AfterTheOutage),
        Trouble::Engine(ComputeError::Engine(error)) => (Failure::from(error), Again::Never),
        Trouble::Engine(ComputeError::Busy { retry_after, .. }) => {
            (internal("the service was too busy; try again later"), Again::Later(Some(*retry_after)))
        }
        // Nobody asked for that who would still wait for an outcome.
        Trouble::Engine(ComputeError::Cancelled) => {
            (internal("the work was interrupted; try again later"), Again::Later(None))
        }
        Trouble::Engine(ComputeError::TimedOut) | Trouble::TimedOut => {
            let seconds = timeout.as_secs_f64();
            let message = format!("the job took longer than {seconds} s, the limit; use a smaller image or density");
            (Failure::new(FailureCode::JobTimeout, message), Again::Never)
        }
        Trouble::Engine(ComputeError::Panicked) | Trouble::Panicked => {
            (internal("internal error: the job failed by a mistake of ours; please report it"), Again::Never)
        }
    }
}

fn internal(message: &str) -> Failure {
    Failure::new(FailureCode::Internal, message)
}

impl Trouble {
    /// Tells the operator what the caller is not told.
    pub(super) fn log(&self, job: &Job) {
        let (id, attempt) = (&job.id, job.attempt);
        match self {
            Self::Source(error) => tracing::info!(job = %id, attempt, %error, cause = ?error.cause, "no image"),
            Self::Storage(cause) => tracing::error!(job = %id, attempt, %cause, "the storage failed a job"),
            Self::Database(cause) => tracing::error!(job = %id, attempt, %cause, "the database failed a job"),
            Self::Request(cause) => tracing::error!(job = %id, attempt, %cause, "a stored request cannot be read"),
            Self::Engine(ComputeError::Panicked) | Self::Panicked => tracing::error!(job = %id, attempt, "a panic"),
            Self::Engine(cause) => tracing::info!(job = %id, attempt, %cause, "no mesh"),
            Self::TimedOut => tracing::info!(job = %id, attempt, "out of time"),
        }
    }
}
