//! The shapes of answers, as the OpenAPI document has them.

use axum::http::HeaderMap;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::face::Face;
use super::schema::FailureName;
use crate::job::{Failure, FailureCode, JobState, timestamp};
use crate::store::Job;

/// Where a job stands. A queued job is processing; a cancelled one has failed, with the code `CANCELLED`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Processing,
    Completed,
    Failed,
}

impl From<JobState> for Status {
    fn from(state: JobState) -> Self {
        match state {
            JobState::Queued | JobState::Running => Self::Processing,
            JobState::Completed => Self::Completed,
            JobState::Failed | JobState::Cancelled => Self::Failed,
        }
    }
}

/// Why a job failed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JobError {
    /// For machines.
    #[schema(value_type = FailureName)]
    code: FailureCode,
    /// For people: what was wrong and what to do.
    #[schema(example = "nothing is at the image's URL; check it")]
    message: String,
    /// The numbers.
    #[schema(value_type = Object)]
    details: Value,
}

impl From<&Failure> for JobError {
    fn from(failure: &Failure) -> Self {
        // A failure that was written without numbers has null here.
        let details = if failure.details.is_object() { failure.details.clone() } else { serde_json::json!({}) };
        Self { code: failure.code, message: failure.message.clone(), details }
    }
}

/// A job as its caller sees it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JobStatus {
    /// The job's id.
    #[schema(example = "hero-42")]
    job_id: String,
    status: Status,
    /// Percent.
    #[schema(maximum = 100, example = 40)]
    progress: u8,
    /// What is being done.
    #[schema(example = "Extracting contours")]
    message: String,
    /// Where the result is, once completed: an absolute URL that needs no header.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = "uri")]
    result_url: Option<String>,
    /// Why it failed, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<JobError>,
    /// The batch that it belongs to, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    batch_id: Option<String>,
    /// When it was accepted.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was last changed.
    #[schema(format = DateTime)]
    updated_at: String,
}

impl JobStatus {
    /// Several, in their order.
    pub(super) async fn all(face: &Face, headers: &HeaderMap, jobs: &[Job]) -> Vec<Self> {
        let mut all = Vec::with_capacity(jobs.len());
        for job in jobs {
            all.push(Self::new(face, headers, job).await);
        }
        all
    }

    pub(super) async fn new(face: &Face, headers: &HeaderMap, job: &Job) -> Self {
        Self {
            job_id: job.id.as_str().to_owned(),
            status: job.state.into(),
            progress: job.progress,
            message: job.message.clone(),
            result_url: face.result_url(&face.base(headers), job, job.finished_at_ms).await,
            error: job.error.as_ref().map(JobError::from),
            batch_id: job.batch.clone(),
            created_at: timestamp(job.created_at_ms),
            updated_at: timestamp(job.updated_at_ms),
        }
    }
}

/// A job that was accepted.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Accepted {
    /// The job's id: the caller's, or a new one.
    #[schema(example = "0199aa10-7d1c-7c3e-9d0a-3f6a7e0c9b1d")]
    pub(super) job_id: String,
    pub(super) status: Status,
    /// Whole seconds until it should be done, from measured speed and the queue.
    #[schema(minimum = 1, example = 1)]
    pub(super) estimated_time: u64,
}
