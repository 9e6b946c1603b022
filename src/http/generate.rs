//! `POST /mesh/generate`: a job is accepted, once, whatever is sent twice.

use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::auth::Owner;
use super::body::BodyShare;
use super::codes::Code;
use super::error::ApiError;
use super::extract::{Strays, Submission};
use super::face::{Face, Shared};
use super::layers::request_id;
use super::request::{self, Parameters, Reader};
use super::schema::{GenerateForm, GenerateRequest};
use super::wait;
use super::wire::{Accepted, JobStatus, Status};
use crate::blob::sha256;
use crate::job::{ImageSource, JobId, MeshRequest};
use crate::store::{DOOMED_BACKOFF, IdempotencyKey, Job, NewJob, Submitted};

/// What kind of job it is.
pub(super) const MESH: &str = "mesh";

/// When to come back to a full queue: by then the workers have taken many jobs from it.
const QUEUE_FULL_RETRY: Duration = Duration::from_secs(5);

/// Submit a job.
///
/// Answers once the job is durable. The image comes from a URL, or with the request as a multipart form. The same
/// `job_id` with the same request is the same job. With `Prefer: wait=N` the answer is the finished job if it ends in
/// time.
#[utoipa::path(
    post, path = "/mesh/generate", operation_id = "generate", tag = "jobs",
    params(
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds, 1 to 60, for the job's end", example = "wait=10"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters: a repeat is answered with the same job", example = "order-17"),
    ),
    request_body(content((GenerateRequest = "application/json"), (GenerateForm = "multipart/form-data"))),
    responses(
        (status = 202, body = Accepted, description = "Accepted",
            headers(("Location" = String, description = "The job's status"), ("Idempotent-Replayed" = Option<String>, description = "`true` for a repeat"))),
        (status = 200, body = JobStatus, description = "The job was there already, or ended within the wait",
            headers(("Location" = String, description = "The job's status"), ("Preference-Applied" = Option<String>, description = "`wait=N`"))),
    ),
)]
pub(super) async fn generate(
    State(face): State<Shared>,
    owner: Owner,
    share: Option<Extension<BodyShare>>,
    headers: HeaderMap,
    submission: Submission,
) -> Result<Response, ApiError> {
    let asked = read(&face, &headers, submission)?;
    let put_since = Instant::now();
    let source = match asked.image {
        Image::Url(url) => ImageSource::Url(url),
        Image::File(bytes) => {
            expect_place(&face, &owner, asked.job_id.as_ref(), &bytes, 0).await?;
            ImageSource::Blob(face.app.blobs.put(bytes).await?)
        }
    };
    // The wait for the job's end, if its caller prefers one, is not to keep other uploads out.
    if let Some(Extension(share)) = share {
        share.give_back();
    }
    let request = request::mesh_request(source, asked.parameters);
    let given_id = asked.job_id.clone();
    let job = new_job(&owner, &headers, asked.job_id, &request, asked.callback_url, put_since);
    let key = asked.idempotency_key.map(|text| {
        // With another id it is another request.
        let covers = given_id.map(|id| sha256(json!([job.request_hash, id.as_str()]).to_string().as_bytes()));
        IdempotencyKey { text, covers }
    });
    let job = NewJob { idempotency_key: key, ..job };
    let submitted = face.app.store.submit(vec![job]).await?;
    let submitted = submitted.into_iter().next().ok_or_else(ApiError::internal)?;
    answer(&face, &headers, Outcome::of(&face, submitted)?).await
}

/// A checked submission.
struct Asked {
    image: Image,
    parameters: Parameters,
    callback_url: Option<String>,
    job_id: Option<JobId>,
    idempotency_key: Option<String>,
}

/// Where the image is.
pub(super) enum Image {
    Url(String),
    File(Bytes),
}

fn read(face: &Face, headers: &HeaderMap, submission: Submission) -> Result<Asked, ApiError> {
    let Submission { mut fields, files, strays } = submission;
    let mut reader = Reader::default();
    let image = read_image(face, &mut reader, &mut fields, files, &strays);
    let callback_url = reader.url(face, &mut fields, "callback_url");
    let job_id = reader.job_id(&mut fields);
    let mut parameters = reader.parameters(&mut fields);
    let idempotency_key = reader.idempotency_key(headers);
    request::warn_of_unknown(&fields, &mut parameters.1);
    reader.finish()?;
    // A missing image is among the mistakes, so there is one here.
    let image = image.ok_or_else(ApiError::internal)?;
    if let Image::File(bytes) = &image {
        request::expect_image(bytes)?;
    }
    Ok(Asked { image, parameters, callback_url, job_id, idempotency_key })
}

/// The image: one file, or one URL.
pub(super) fn read_image(
    face: &Face,
    reader: &mut Reader,
    fields: &mut Map<String, Value>,
    mut files: Vec<Bytes>,
    strays: &Strays,
) -> Option<Image> {
    let is_given = fields.get("image_url").is_some_and(|url| !url.is_null());
    match (files.len(), is_given) {
        (0, true) => reader.url(face, fields, "image_url").map(Image::Url),
        (1, false) => {
            fields.remove("image_url");
            files.pop().map(Image::File)
        }
        (0, false) if !strays.is_empty() => {
            let expected = format_args!("the image, a file of a multipart form{}", strays.instead());
            reader.refuse("file", &Value::Null, expected);
            None
        }
        (0, false) => {
            reader.refuse(
                "image_url",
                &Value::Null,
                "the URL of an image, or send the image as `file` of a multipart form",
            );
            None
        }
        (_, true) => {
            reader.refuse("file", &Value::Null, "absent where image_url is given");
            None
        }
        (count, false) => {
            reader.refuse("file", &count.into(), "one file; POST .../mesh/batch takes many");
            None
        }
    }
}

/// Refuses an upload before it is written, where the queue has no place for its job behind `ahead` others, or its id is a
/// job's with another image: what is refused later lies on the disk until the sweep.
pub(super) async fn expect_place(
    face: &Face,
    owner: &Owner,
    job_id: Option<&JobId>,
    image: &Bytes,
    ahead: u64,
) -> Result<(), ApiError> {
    let known = match job_id {
        Some(id) => face.app.store.job(&owner.0, id).await?,
        None => None,
    };
    let refused = match known {
        Some(job) if is_of(&job, image).await? => return Ok(()),
        Some(_) => Submitted::IdConflict,
        None if face.queue().await?.queued + ahead < face.app.config.jobs.queue_limit => return Ok(()),
        None => Submitted::QueueFull,
    };
    Outcome::of(face, refused).map(|_| ())
}

/// Whether the job was made of this image.
async fn is_of(job: &Job, image: &Bytes) -> Result<bool, ApiError> {
    let ImageSource::Blob(source) = MeshRequest::from_json(&job.request)?.source else { return Ok(false) };
    let image = image.clone();
    // A tenth of a second's work, if the image is large.
    let hash = tokio::task::spawn_blocking(move || sha256(&image)).await.map_err(|_| ApiError::internal())?;
    Ok(hash == source)
}

/// The row of a job to be accepted.
pub(super) fn new_job(
    owner: &Owner,
    headers: &HeaderMap,
    id: Option<JobId>,
    request: &MeshRequest,
    callback_url: Option<String>,
    put_since: Instant,
) -> NewJob {
    let source_hash = match &request.source {
        ImageSource::Blob(hash) => Some(hash.clone()),
        ImageSource::Url(_) => None,
    };
    NewJob {
        owner: owner.0.to_string(),
        id: id.unwrap_or_else(|| JobId::from_uuid(Uuid::now_v7())),
        kind: MESH.to_owned(),
        request: request.to_json(),
        request_hash: request::digest(request, callback_url.as_deref()),
        source_hash,
        put_since,
        callback_url,
        request_id: request_id(headers),
        idempotency_key: None,
        batch: None,
    }
}

/// A submission that came to a job.
pub(super) struct Outcome {
    pub(super) job: Job,
    /// New, or begun anew.
    pub(super) is_new: bool,
    /// By its idempotency key.
    pub(super) is_replayed: bool,
}

impl Outcome {
    /// Counts what became of a submission, and refuses where that was no job.
    pub(super) fn of(face: &Face, submitted: Submitted) -> Result<Self, ApiError> {
        let (word, outcome) = match submitted {
            Submitted::Created(job) => ("created", Ok((job, true, false))),
            Submitted::Restarted(job) => ("restarted", Ok((job, true, false))),
            Submitted::Existing(job) => ("existing", Ok((job, false, false))),
            Submitted::Replayed(job) => ("replayed", Ok((job, false, true))),
            Submitted::IdConflict => ("conflict", Err(id_conflict())),
            Submitted::KeyReused => ("conflict", Err(key_reused())),
            Submitted::Doomed => ("doomed", Err(doomed())),
            Submitted::QueueFull => ("queue_full", Err(queue_full())),
        };
        face.app.metrics.submitted(word);
        if word == "queue_full" {
            face.app.metrics.rejected(word);
        }
        let (job, is_new, is_replayed) = outcome?;
        tracing::Span::current().record("job_id", job.id.as_str());
        Ok(Self { job, is_new, is_replayed })
    }
}

fn id_conflict() -> ApiError {
    ApiError::new(Code::JobIdConflict, "the job_id belongs to a job with another request; choose another")
}

fn key_reused() -> ApiError {
    let message = "the Idempotency-Key belongs to another request; use a new key for a new request";
    ApiError::new(Code::IdempotencyKeyReused, message)
}

fn queue_full() -> ApiError {
    let message = "as many jobs are waiting as may be; try again later";
    ApiError::new(Code::QueueFull, message).with_retry_after(QUEUE_FULL_RETRY)
}

fn doomed() -> ApiError {
    let message = "an equal image that nobody needed any more is being deleted at this moment; send it again later";
    ApiError::new(Code::StorageUnavailable, message).with_retry_after(DOOMED_BACKOFF)
}

/// 202 for a job that is to be done; 200 with its status for one that was there, or has ended while its caller waited.
async fn answer(face: &Face, headers: &HeaderMap, outcome: Outcome) -> Result<Response, ApiError> {
    let Outcome { mut job, is_new, is_replayed } = outcome;
    // A preference that cannot be met is ignored, also for want of a place to wait.
    let wait = wait::preferred(headers).and_then(|seconds| Some((seconds, face.listen(&job.owner).ok()?)));
    if let Some((seconds, place)) = &wait {
        job = wait::until(face, job, *seconds, place, |_| false).await?;
    }
    let is_over = job.state.is_final();
    let location = face.location(&format!("/mesh/{}/status", job.id));
    // What is replayed is the first answer, as long as it is still true.
    let mut response = if is_over || !is_new && !is_replayed {
        Json(JobStatus::new(face, headers, &job).await).into_response()
    } else {
        let estimated_time = face.estimated_seconds().await?;
        let accepted = Accepted { job_id: job.id.to_string(), status: Status::Processing, estimated_time };
        (StatusCode::ACCEPTED, Json(accepted)).into_response()
    };
    let to_add = response.headers_mut();
    if let Ok(location) = HeaderValue::try_from(location) {
        to_add.insert(LOCATION, location);
    }
    if let Some((seconds, _)) = wait.filter(|_| is_over)
        && let Ok(applied) = HeaderValue::try_from(format!("wait={seconds}"))
    {
        to_add.insert("preference-applied", applied);
    }
    if is_replayed {
        to_add.insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
    Ok(response)
}
