//! `/mesh/batch`: many images with one set of parameters, one job each, under one id.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::auth::{Caller, Owner};
use super::codes::Code;
use super::error::ApiError;
use super::extract::{Strays, Submission};
use super::face::{Face, Shared};
use super::generate::{self, Image, Outcome, new_job};
use super::request::{self, Parameters, Reader};
use super::schema::{BatchForm, BatchRequest, ErrorBody};
use super::wire::{JobStatus, Status};
use crate::blob::sha256;
use crate::job::{ImageSource, JobId};
use crate::store::{BatchCounts, Filter, IdempotencyKey, NewJob};

/// A batch that was accepted.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BatchAccepted {
    /// The batch's id; absent if every job was there already and belongs to no batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    batch_id: Option<String>,
    /// One for each image, in their order.
    jobs: Vec<BatchItem>,
    /// Whole seconds until all should be done.
    #[schema(minimum = 1, example = 3)]
    estimated_time: u64,
}

/// What became of one image: a job, or a refusal.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BatchItem {
    /// The job's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    job_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    status: Option<Status>,
    /// The batch that the job belongs to, if any: another one, if the job was there already.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    batch_id: Option<String>,
    /// Why there is no job.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<ErrorBody>)]
    error: Option<Value>,
}

/// How far a batch is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BatchStatus {
    /// The batch's id.
    batch_id: String,
    /// Processing while a job is; failed if all jobs have; otherwise completed.
    status: Status,
    /// Percent of jobs that have ended.
    #[schema(maximum = 100)]
    progress: u8,
    counts: Counts,
    /// Every job, in the order of the images.
    jobs: Vec<JobStatus>,
}

/// How many jobs of a batch stand where.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Counts {
    /// Jobs in all.
    total: u64,
    /// Waiting or being done.
    processing: u64,
    /// With a result.
    completed: u64,
    /// Without one, those called off included.
    failed: u64,
}

/// Submit many images.
///
/// One job each, with the same parameters and callback. Where one is refused the others are accepted all the same, and
/// the refusal stands in its place.
#[utoipa::path(
    post, path = "/mesh/batch", operation_id = "submit_batch", tag = "batches",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters: a repeat is answered with the same jobs")),
    request_body(content((BatchRequest = "application/json"), (BatchForm = "multipart/form-data"))),
    responses((status = 202, body = BatchAccepted, description = "At least one job was accepted",
        headers(("Location" = Option<String>, description = "The batch's status")))),
)]
pub(super) async fn submit(
    State(face): State<Shared>,
    owner: Owner,
    caller: Caller,
    headers: HeaderMap,
    submission: Submission,
) -> Result<Response, ApiError> {
    let batch = read(&face, &headers, submission)?;
    // The first of them is the request itself.
    caller.count(&face, batch.images.len().saturating_sub(1))?;
    let id = Uuid::now_v7().hyphenated().to_string();
    let batch = Arc::new(batch);
    let covers = digest(&batch).await?;
    let mut items: Vec<Result<NewJob, ApiError>> = Vec::with_capacity(batch.images.len());
    let mut valid = 0;
    for item in &batch.images {
        let ahead = items.iter().filter(|item| item.is_ok()).count() as u64;
        let job = to_job(&face, &owner, &headers, &batch, item, ahead).await;
        // A space is in no caller's key, so no other request can have this one. Only what could be a job is numbered: any
        // batch under the key then begins with the same row, which tells it from another one.
        let key = batch.idempotency_key.as_ref().map(|key| format!("{key} {valid}"));
        valid += usize::from(item.is_ok());
        let idempotency_key = key.map(|text| IdempotencyKey { text, covers: covers.clone() });
        items.push(job.map(|job| NewJob { batch: Some(id.clone()), idempotency_key, ..job }));
    }
    let jobs = items.iter().filter_map(|item| item.as_ref().ok().cloned()).collect();
    let mut submitted = face.app.store.submit(jobs).await?.into_iter();
    let mut outcomes = Vec::with_capacity(items.len());
    for item in items {
        outcomes.push(match item {
            Ok(_) => submitted.next().ok_or_else(ApiError::internal).and_then(|one| Outcome::of(&face, one)),
            Err(refusal) => Err(refusal),
        });
    }
    if outcomes.iter().all(Result::is_err) {
        return Err(refuse_all(outcomes));
    }
    let is_replayed = outcomes.iter().flatten().any(|outcome| outcome.is_replayed);
    let batch_id = batch_of(&outcomes, &id).map(str::to_owned);
    let location = batch_id.as_ref().map(|id| face.location(&format!("/mesh/batch/{id}")));
    let jobs = outcomes.into_iter().map(BatchItem::from).collect();
    let accepted = BatchAccepted { batch_id, jobs, estimated_time: face.estimated_seconds().await? };
    let mut response = (StatusCode::ACCEPTED, Json(accepted)).into_response();
    if let Some(location) = location.and_then(|location| HeaderValue::try_from(location).ok()) {
        response.headers_mut().insert(LOCATION, location);
    }
    if is_replayed {
        response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// The batch to answer with: that of the first time, for a repeat; else the new one, unless every job was there already;
/// then theirs. One that no job belongs to does not exist.
fn batch_of<'a>(outcomes: &'a [Result<Outcome, ApiError>], new: &str) -> Option<&'a str> {
    let in_a_batch = || outcomes.iter().flatten().filter_map(|outcome| Some((outcome, outcome.job.batch.as_deref()?)));
    let replayed = in_a_batch().find(|(outcome, _)| outcome.is_replayed);
    let found = replayed.or_else(|| in_a_batch().find(|(_, batch)| *batch == new)).or_else(|| in_a_batch().next());
    found.map(|(_, batch)| batch)
}

/// What must be the same for the batch's idempotency key to mean the same batch, if it has one: all that was asked for.
async fn digest(batch: &Arc<Asked>) -> Result<Option<String>, ApiError> {
    if batch.idempotency_key.is_none() {
        return Ok(None);
    }
    let batch = Arc::clone(batch);
    // The files of a batch may be a tenth of a second's work.
    let digest = tokio::task::spawn_blocking(move || {
        let item = |item: &Result<(Image, Option<JobId>), ApiError>| match item {
            Ok((Image::Url(url), id)) => json!([url, id.as_ref().map(JobId::as_str)]),
            Ok((Image::File(bytes), id)) => json!({ "file": sha256(bytes), "id": id.as_ref().map(JobId::as_str) }),
            Err(error) => json!({ "error": error.to_json() }),
        };
        let items: Vec<Value> = batch.images.iter().map(item).collect();
        let none = request::mesh_request(ImageSource::Url(String::new()), batch.parameters.clone());
        let rest = request::digest(&none, batch.callback_url.as_deref());
        sha256(json!([items, rest]).to_string().as_bytes())
    });
    digest.await.map(Some).map_err(|_| ApiError::internal())
}

/// A batch as it was asked for; what is wrong with one image is kept in its place.
struct Asked {
    images: Vec<Result<(Image, Option<JobId>), ApiError>>,
    parameters: Parameters,
    callback_url: Option<String>,
    idempotency_key: Option<String>,
}

fn read(face: &Face, headers: &HeaderMap, submission: Submission) -> Result<Asked, ApiError> {
    let Submission { mut fields, files, strays } = submission;
    let mut reader = Reader::default();
    let items = read_list(&mut reader, &mut fields, "images");
    let urls = read_list(&mut reader, &mut fields, "image_urls");
    let most = face.app.config.jobs.max_batch;
    let count = files.len() + items.len() + urls.len();
    let mut images = Vec::new();
    // Counted before any is read: each that is wrong costs a thousand times what it takes to send.
    if (1..=most).contains(&count) {
        images.extend(files.into_iter().map(|file| request::expect_image(&file).map(|()| (Image::File(file), None))));
        images.extend(items.into_iter().map(|item| read_item(face, item)));
        images.extend(urls.into_iter().map(|url| read_item(face, json!({ "image_url": url }))));
    } else {
        let instead = strays.instead();
        let expected = "images in all, as `images`, `image_urls` or `file`s of a multipart form";
        reader.refuse("images", &count.into(), format_args!("1 to {most} {expected}{instead}"));
    }
    let callback_url = reader.url(face, &mut fields, "callback_url");
    let mut parameters = reader.parameters(&mut fields);
    let idempotency_key = reader.idempotency_key(headers);
    request::warn_of_unknown(&fields, &mut parameters.1);
    reader.finish()?;
    Ok(Asked { images, parameters, callback_url, idempotency_key })
}

fn read_list(reader: &mut Reader, fields: &mut Map<String, Value>, name: &str) -> Vec<Value> {
    match fields.remove(name) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(items)) => items,
        Some(other) => {
            reader.refuse(name, &other, "an array");
            Vec::new()
        }
    }
}

fn read_item(face: &Face, item: Value) -> Result<(Image, Option<JobId>), ApiError> {
    let mut reader = Reader::default();
    let mut fields = match item {
        Value::Object(fields) => fields,
        Value::String(url) => Map::from_iter([("image_url".to_owned(), Value::String(url))]),
        other => {
            reader.refuse("images", &other, "objects with image_url and, if you like, job_id");
            Map::new()
        }
    };
    let url = generate::read_image(face, &mut reader, &mut fields, Vec::new(), &Strays::default());
    let job_id = reader.job_id(&mut fields);
    reader.finish()?;
    Ok((url.ok_or_else(ApiError::internal)?, job_id))
}

async fn to_job(
    face: &Face,
    owner: &Owner,
    headers: &HeaderMap,
    batch: &Asked,
    item: &Result<(Image, Option<JobId>), ApiError>,
    ahead: u64,
) -> Result<NewJob, ApiError> {
    let (image, job_id) = item.as_ref().map_err(Clone::clone)?;
    let put_since = Instant::now();
    let source = match image {
        Image::Url(url) => ImageSource::Url(url.clone()),
        Image::File(bytes) => {
            generate::expect_place(face, owner, job_id.as_ref(), bytes, ahead).await?;
            ImageSource::Blob(face.app.blobs.put(bytes.clone()).await?)
        }
    };
    let request = request::mesh_request(source, batch.parameters.clone());
    Ok(new_job(owner, headers, job_id.clone(), &request, batch.callback_url.clone(), put_since))
}

/// Without a single job there is no batch: the first refusal is the answer, with all of them in its details.
fn refuse_all(outcomes: Vec<Result<Outcome, ApiError>>) -> ApiError {
    let errors: Vec<ApiError> = outcomes.into_iter().filter_map(Result::err).collect();
    let all: Vec<Value> = errors.iter().map(|error| json!({ "error": error.to_json() })).collect();
    let first = errors.into_iter().next();
    first.unwrap_or_else(|| ApiError::new(Code::ValidationFailed, "no image was given")).with_detail("jobs", all.into())
}

impl From<Result<Outcome, ApiError>> for BatchItem {
    fn from(outcome: Result<Outcome, ApiError>) -> Self {
        match outcome {
            Ok(Outcome { job, .. }) => Self {
                job_id: Some(job.id.to_string()),
                status: Some(job.state.into()),
                batch_id: job.batch,
                error: None,
            },
            Err(error) => Self { job_id: None, status: None, batch_id: None, error: Some(error.to_json()) },
        }
    }
}

/// How far a batch is.
#[utoipa::path(
    get, path = "/mesh/batch/{batch_id}", operation_id = "batch", tag = "batches",
    params(("batch_id" = String, Path, description = "The batch's id")),
    responses((status = 200, body = BatchStatus, description = "Counts, and every job")),
)]
pub(super) async fn status(
    State(face): State<Shared>,
    owner: Owner,
    path: Result<Path<String>, axum::extract::rejection::PathRejection>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let unknown =
        || ApiError::new(Code::BatchNotFound, "no batch has this id; ids are kept for as long as results are");
    // An id of ours, so that nothing else reaches the database.
    let id = path.ok().and_then(|Path(id)| Uuid::parse_str(&id).ok()).ok_or_else(unknown)?.hyphenated().to_string();
    let counts = face.app.store.batch(&owner.0, &id).await?.ok_or_else(unknown)?;
    let limit = usize::try_from(counts.total).unwrap_or(usize::MAX);
    let filter = Filter { batch: Some(id.clone()), limit, ..Filter::default() };
    let mut jobs = face.app.store.list(&owner.0, &filter).await?;
    // The list is newest first, the batch in the order of its images.
    jobs.reverse();
    let jobs = JobStatus::all(&face, &headers, &jobs).await;
    let counts = Counts::from(counts);
    let status = match &counts {
        Counts { processing: 1.., .. } => Status::Processing,
        Counts { completed: 0, .. } => Status::Failed,
        _ => Status::Completed,
    };
    let ended = 100 * (counts.completed + counts.failed) / counts.total.max(1);
    let progress = u8::try_from(ended).unwrap_or(100);
    Ok(Json(BatchStatus { batch_id: id, status, progress, counts, jobs }).into_response())
}

impl From<BatchCounts> for Counts {
    fn from(counts: BatchCounts) -> Self {
        Self {
            total: counts.total,
            processing: counts.queued + counts.running,
            completed: counts.completed,
            failed: counts.failed + counts.cancelled,
        }
    }
}
