//! `GET /mesh/jobs` and `DELETE /mesh/{job_id}`: a caller's jobs, and calling one off.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::Owner;
use super::error::ApiError;
use super::extract::{PathId, Query};
use super::face::Shared;
use super::request::Reader;
use super::wire::JobStatus;
use crate::job::JobState;
use crate::store::{Cancel, Filter, JobKey};

/// Jobs on a page unless asked otherwise.
const USUAL_PAGE: usize = 20;

/// Most jobs on a page.
const LARGEST_PAGE: usize = 100;

/// One page of jobs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JobList {
    /// Newest first.
    jobs: Vec<JobStatus>,
    /// What to send as `cursor` for the next page; null on the last one.
    next_cursor: Option<String>,
}

/// A caller's jobs, newest first.
#[utoipa::path(
    get, path = "/mesh/jobs", operation_id = "jobs", tag = "jobs",
    params(
        ("status" = Option<String>, Query, description = "processing, completed or failed"),
        ("batch" = Option<String>, Query, description = "A batch's id"),
        ("limit" = Option<u64>, Query, description = "Jobs on a page, 20 unless given", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, body = JobList, description = "A page of jobs")),
)]
pub(super) async fn list(
    State(face): State<Shared>,
    owner: Owner,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, ApiError> {
    let mut filter = read_filter(query)?;
    let size = filter.limit;
    // One more than is shown tells whether there is a next page.
    filter.limit += 1;
    let mut jobs = face.app.store.list(&owner.0, &filter).await?;
    let has_more = jobs.len() > size;
    jobs.truncate(size);
    let next_cursor = jobs.last().filter(|_| has_more).map(|job| cursor(job.key));
    let jobs = JobStatus::all(&face, &headers, &jobs).await;
    Ok(Json(JobList { jobs, next_cursor }).into_response())
}

fn read_filter(mut query: Query) -> Result<Filter, ApiError> {
    let mut reader = Reader::default();
    let mut filter = Filter { limit: USUAL_PAGE, batch: query.take("batch"), ..Filter::default() };
    if let Some(status) = query.take("status") {
        filter.states = JobState::ALL.into_iter().filter(|state| state.status() == status).collect();
        if filter.states.is_empty() {
            reader.refuse("status", &status.into(), "processing, completed or failed");
        }
    }
    if let Some(limit) = query.take("limit") {
        match limit.parse().ok().filter(|limit| (1..=LARGEST_PAGE).contains(limit)) {
            Some(limit) => filter.limit = limit,
            None => reader.refuse("limit", &limit.into(), format_args!("a whole number from 1 to {LARGEST_PAGE}")),
        }
    }
    if let Some(text) = query.take("cursor") {
        filter.before = read_cursor(&text);
        if filter.before.is_none() {
            reader.refuse("cursor", &text.into(), "next_cursor of an earlier page");
        }
    }
    reader.finish()?;
    Ok(filter)
}

/// Opaque, so that callers do not build their own and the row's number may give way to something else.
fn cursor(key: JobKey) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(format!("before {}", key.0))
}

fn read_cursor(text: &str) -> Option<JobKey> {
    let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    text.strip_prefix("before ")?.parse().ok().map(JobKey)
}

/// Call a job off.
///
/// A queued job ends at once, a running one within 10 s: its status then says failed, with the code `CANCELLED`. A job
/// that has ended stays as it is.
#[utoipa::path(
    delete, path = "/mesh/{job_id}", operation_id = "cancel", tag = "jobs",
    params(("job_id" = String, Path, description = "The job's id")),
    responses(
        (status = 200, body = JobStatus, description = "The job has ended, now or before"),
        (status = 202, body = JobStatus, description = "The job is running and will end soon"),
    ),
)]
pub(super) async fn cancel(
    State(face): State<Shared>,
    owner: Owner,
    PathId(id): PathId,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let cancel = face.app.store.cancel(&owner.0, &id).await?.ok_or_else(ApiError::job_not_found)?;
    let (status, job) = match cancel {
        Cancel::Done(job) | Cancel::AlreadyFinal(job) => (StatusCode::OK, job),
        Cancel::Requested(job) => (StatusCode::ACCEPTED, job),
    };
    Ok((status, Json(JobStatus::new(&face, &headers, &job).await)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_nothing_else_is() {
        assert_eq!(read_cursor(&cursor(JobKey(77))), Some(JobKey(77)));
        for bad in ["", "77", "YmVmb3JlIHg", "!!", &BASE64_URL_SAFE_NO_PAD.encode("before -")] {
            assert_eq!(read_cursor(bad), None, "{bad}");
        }
    }
}
