//! `GET /mesh/{job_id}/result`: the mesh as it was stored, or drawn from it on demand.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, VARY};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use chrono::Utc;
use serde_json::json;

use super::auth::Owner;
use super::codes::Code;
use super::error::ApiError;
use super::extract::{PathId, Query};
use super::face::{Face, Shared};
use super::request::Reader;
use super::result_schema::MeshFile;
use super::wire::JobError;
use super::{accept, etag};
use crate::compute::Task;
use crate::export::{ENGINE_VERSION, FORMATS, Format};
use crate::job::{Failure, FailureCode, JobState, MeshRequest};
use crate::store::{Job, JobResult};

/// A drawing changes with the program that draws it, so that it is asked for again; its ETag makes that cheap.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("private, no-cache");

/// When to ask again for the result of a job under way; most take less.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A picture that is opened by itself runs no script and loads nothing.
const PICTURE_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox");

/// The mesh of a completed job.
///
/// `format` wins over `Accept`. Where API keys are on, the `result_url` of a status is good without one.
#[utoipa::path(
    get, path = "/mesh/{job_id}/result", operation_id = "result", tag = "jobs",
    params(
        ("job_id" = String, Path, description = "The job's id"),
        ("format" = Option<String>, Query, description = "json, outline, svg or png", example = "json"),
        ("Accept" = Option<String>, Header, description = "The media type of a format"),
        ("If-None-Match" = Option<String>, Header, description = "An ETag of an earlier answer"),
    ),
    responses(
        (status = 200, description = "The mesh", content((MeshFile = "application/json"), (String = "image/svg+xml"), (Vec<u8> = "image/png"),
            (Vec<u8> = "model/gltf-binary"), (String = "model/obj"), (String = "application/x-godot-scene")),
            headers(("ETag" = String, description = "The result's digest"), ("Cache-Control" = String, description = "How long it is kept"))),
        (status = 304, description = "The caller has it"),
    ),
)]
pub(super) async fn result(
    State(face): State<Shared>,
    owner: Owner,
    PathId(id): PathId,
    method: Method,
    headers: HeaderMap,
    mut query: Query,
) -> Result<Response, ApiError> {
    let format = wanted(&headers, &mut query)?;
    let job = face.app.store.job(&owner.0, &id).await?.ok_or_else(ApiError::job_not_found)?;
    let result = completed(&job)?;
    let tag = tag(result, format);
    let mut response = if etag::matches(&headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else if method == Method::HEAD && !is_stored(format) {
        // Its length is not known before it is drawn, and who asks for the head does not want that.
        without_body(format)
    } else {
        written(format, bytes(&face, &job, result, format).await?)
    };
    let to_add = response.headers_mut();
    to_add.insert(CACHE_CONTROL, if is_stored(format) { while_kept(&face, &job) } else { ASK_AGAIN });
    to_add.insert(VARY, HeaderValue::from_static("accept, authorization"));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        to_add.insert(ETAG, tag);
    }
    Ok(response)
}

/// What is stored never changes under its URL, and is there for as long as its job is kept.
fn while_kept(face: &Face, job: &Job) -> HeaderValue {
    let kept = i64::try_from(face.app.config.jobs.result_ttl.as_secs()).unwrap_or(i64::MAX);
    let finished = job.finished_at_ms.unwrap_or(job.updated_at_ms) / 1000;
    let left = finished.saturating_add(kept).saturating_sub(Utc::now().timestamp()).max(0);
    HeaderValue::try_from(format!("private, max-age={left}, immutable")).unwrap_or(ASK_AGAIN)
}

/// The head of a drawing; a stream, so that nothing makes up a length for it.
fn without_body(format: &Format) -> Response {
    let mut response = written(format, Bytes::new());
    *response.body_mut() = Body::from_stream(futures_util::stream::empty::<Result<Bytes, Infallible>>());
    response.headers_mut().remove(CONTENT_LENGTH);
    response
}

/// A result as a response.
pub(super) fn written(format: &Format, bytes: Bytes) -> Response {
    let mut response = bytes.into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(format.media_type));
    if format.media_type == "image/svg+xml" {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, PICTURE_POLICY);
    }
    response
}

/// The format that is asked for: by name in the query, or by media type.
pub(super) fn wanted(headers: &HeaderMap, query: &mut Query) -> Result<&'static Format, ApiError> {
    if let Some(name) = query.take("format") {
        let mut reader = Reader::default();
        let format = Format::named(&name);
        if format.is_none() {
            reader.refuse("format", &name.into(), format_args!("one of {}", names().join(", ")));
        }
        reader.finish()?;
        return format.ok_or_else(ApiError::internal);
    }
    let media_types: Vec<&str> = FORMATS.iter().map(|format| format.media_type).collect();
    let best = accept::best(headers, &media_types).and_then(|index| FORMATS.get(index));
    // A caller that only says how it wants its errors has said nothing of results.
    let usual = || FORMATS.first().filter(|_| accept::names_only(headers, "application/problem+json"));
    best.or_else(usual).ok_or_else(|| {
        let formats: Vec<_> = FORMATS.iter().map(|f| json!({ "format": f.name, "media_type": f.media_type })).collect();
        let message = format!("no format fits Accept; there are {}", names().join(", "));
        ApiError::new(Code::NotAcceptable, message).with_details(json!({ "formats": formats }))
    })
}

fn names() -> Vec<&'static str> {
    FORMATS.iter().map(|format| format.name).collect()
}

fn completed(job: &Job) -> Result<&JobResult, ApiError> {
    match (job.state, &job.result) {
        (JobState::Completed, Some(result)) => Ok(result),
        (JobState::Queued | JobState::Running, _) => {
            let message = "the job is not completed yet; wait for its callback or poll its status";
            let details = json!({ "progress": job.progress, "message": job.message });
            Err(ApiError::new(Code::JobNotCompleted, message).with_details(details).with_retry_after(LOOK_AGAIN))
        }
        _ => {
            let unknown = Failure::new(FailureCode::Internal, "the job has no result");
            let error = JobError::from(job.error.as_ref().unwrap_or(&unknown));
            let message = "the job failed, there is no result; see details.error";
            Err(ApiError::new(Code::JobFailed, message).with_details(json!({ "error": error })))
        }
    }
}

/// What is stored is named by its digest; what is drawn also by who draws.
fn tag(result: &JobResult, format: &Format) -> String {
    if is_stored(format) {
        format!("\"{}\"", result.hash)
    } else {
        format!("\"{}-{}-{ENGINE_VERSION}\"", result.hash, format.name)
    }
}

/// Jobs keep their mesh in the first format.
fn is_stored(format: &Format) -> bool {
    FORMATS.first().is_some_and(|first| first.name == format.name)
}

async fn bytes(face: &Face, job: &Job, result: &JobResult, format: &'static Format) -> Result<Bytes, ApiError> {
    if is_stored(format) {
        return Ok(face.app.blobs.get(&result.hash).await?);
    }
    let request = MeshRequest::from_json(&job.request)?;
    // Refused before a large image is read that nobody would have time for.
    face.expect_room()?;
    let image = face.app.blobs.get(&result.source_hash).await?;
    let task = Task { image, parameters: request.parameters, warnings: request.warnings, format };
    Ok(face.compute(task).await?.bytes)
}
