//! `GET /mesh/{job_id}/status`: where a job stands, at once or when it changes.

use axum::Json;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, ETAG};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::auth::Owner;
use super::error::ApiError;
use super::etag;
use super::extract::{PathId, Query};
use super::face::Shared;
use super::request::Reader;
use super::wait::{self, LONGEST_WAIT};
use super::wire::JobStatus;
use crate::store::Job;

/// A job's status.
///
/// With `wait` the answer comes when the job changes from what `If-None-Match` names, or from what it is now, or ends.
#[utoipa::path(
    get, path = "/mesh/{job_id}/status", operation_id = "status", tag = "jobs",
    params(
        ("job_id" = String, Path, description = "The job's id"),
        ("wait" = Option<u64>, Query, description = "Seconds to wait for a change, 1 to 60", minimum = 1, maximum = 60),
        ("If-None-Match" = Option<String>, Header, description = "An ETag of an earlier answer"),
    ),
    responses(
        (status = 200, body = JobStatus, description = "Where it stands", headers(("ETag" = String, description = "Changes with the job"))),
        (status = 304, description = "It has not changed since"),
    ),
)]
pub(super) async fn status(
    State(face): State<Shared>,
    owner: Owner,
    PathId(id): PathId,
    headers: HeaderMap,
    mut query: Query,
) -> Result<Response, ApiError> {
    let seconds = read_wait(&mut query)?;
    let mut job = face.app.store.job(&owner.0, &id).await?.ok_or_else(ApiError::job_not_found)?;
    if let Some(seconds) = seconds {
        let seen = tag(&job);
        let is_known = |job: &Job| match etag::given(&headers) {
            true => etag::matches(&headers, &tag(job)),
            false => tag(job) == seen,
        };
        job = wait::until(&face, job, seconds, &face.listen(&owner.0)?, |job| !is_known(job)).await?;
    }
    let tag = tag(&job);
    let mut response = if etag::matches(&headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Json(JobStatus::new(&face, &headers, &job).await).into_response()
    };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    Ok(response)
}

/// Changes with every event, and with the job itself should its id be used again after it was deleted.
fn tag(job: &Job) -> String {
    format!("\"{:x}-{}-{}\"", job.created_at_ms, job.sequence, job.state)
}

fn read_wait(query: &mut Query) -> Result<Option<u64>, ApiError> {
    let Some(text) = query.take("wait") else { return Ok(None) };
    let mut reader = Reader::default();
    let seconds = text.parse().ok().filter(|seconds| (1..=LONGEST_WAIT).contains(seconds));
    if seconds.is_none() {
        reader.refuse("wait", &text.into(), format_args!("a whole number from 1 to {LONGEST_WAIT}"));
    }
    reader.finish()?;
    Ok(seconds)
}
