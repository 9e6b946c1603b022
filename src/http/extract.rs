//! What a request carries, taken out of it: fields and files, the query, the job's id.

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Multipart, Path, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri};
use bytes::{Bytes, BytesMut};
use serde_json::{Map, Value};

use super::codes::Code;
use super::error::ApiError;
use super::face::Shared;
use super::json;
use crate::job::{FailureCode, JobId};
use crate::mesh::echo::shorten;
use crate::mesh::parameters::PARAMETERS;

/// Largest JSON body and largest text field of a form, bytes: a thousand URLs of the longest kind, and far below what
/// reading it into values could cost of a body as large as an image's may be.
const TEXT_BYTES: usize = 4 << 20;

/// Parts of a form beside its images: the nine parameters and a few more, with room for what is ignored.
const MOST_FIELDS: usize = 100;

/// What today's SpineLift app calls the file of a PSD.
pub(super) const PSD_FILE: &str = "psd_file";

/// Fields that routes read as text, beside the parameters; a form may send any of them as a file.
const TEXTS: [&str; 6] = ["parameters", "image_url", "image_urls", "images", "callback_url", "job_id"];

/// Most names of strays that a message repeats.
const MOST_STRAYS: usize = 3;

/// Fields and files of a JSON object or of a multipart form, alike.
#[derive(Debug, Default)]
pub(super) struct Submission {
    /// By name. Those of a form are texts, except `parameters`, which holds an object in both cases.
    pub(super) fields: Map<String, Value>,
    /// The parts that are images, in order.
    pub(super) files: Vec<Bytes>,
    /// Files under names that no route reads.
    pub(super) strays: Strays,
}

/// The names of files that no route reads. The files are not kept.
#[derive(Debug, Default)]
pub(super) struct Strays(Vec<String>);

impl Strays {
    /// What to add to the message that a file is missing; nothing if there is none.
    pub(super) fn instead(&self) -> String {
        let shown: Vec<String> = self.0.iter().take(MOST_STRAYS).map(|name| format!("{:?}", shorten(name))).collect();
        match self.0.len() {
            0 => String::new(),
            1 => format!("; a file was sent as {} instead", shown.concat()),
            2..=MOST_STRAYS => format!("; files were sent as {} instead", shown.join(", ")),
            more => format!("; files were sent as {} and {} more instead", shown.join(", "), more - MOST_STRAYS),
        }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromRequest<Shared> for Submission {
    type Rejection = ApiError;

    async fn from_request(request: Request, face: &Shared) -> Result<Self, ApiError> {
        match media_type(request.headers()).as_str() {
            "application/json" => Ok(Self { fields: read_object(request.into_body()).await?, ..Self::default() }),
            "multipart/form-data" => read_form(request, face).await,
            other => Err(unsupported(other, "application/json or multipart/form-data")),
        }
    }
}

/// What routes take that read a file and nothing else: forms alone.
#[derive(Debug)]
pub(super) struct Form(pub(super) Submission);

impl FromRequest<Shared> for Form {
    type Rejection = ApiError;

    async fn from_request(request: Request, face: &Shared) -> Result<Self, ApiError> {
        match media_type(request.headers()).as_str() {
            "multipart/form-data" => read_form(request, face).await.map(Self),
            other => Err(unsupported(other, "multipart/form-data")),
        }
    }
}

fn unsupported(media_type: &str, expected: &str) -> ApiError {
    ApiError::new(Code::UnsupportedMediaType, format!("the Content-Type is {media_type:?}, must be {expected}"))
}

/// The media type in lower case, without its parameters; empty if there is none.
pub(super) fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

async fn read_object(body: Body) -> Result<Map<String, Value>, ApiError> {
    match json::read(&read_body(body, TEXT_BYTES).await?)? {
        Value::Object(fields) => Ok(fields),
        _ => Err(ApiError::new(Code::MalformedRequest, "the body is JSON, but must be an object")),
    }
}

/// A whole body. Why it broke off is said by the guard around all routes, which knows.
pub(super) async fn read_body(body: Body, most: usize) -> Result<Bytes, ApiError> {
    let too_large = ApiError::new(Code::RequestTooLarge, format!("the body may have at most {most} bytes"));
    let bytes = to_bytes(body, most).await;
    bytes.map_err(|error| {
        let source = std::error::Error::source(&error);
        if source.is_some_and(|source| source.is::<http_body_util::LengthLimitError>()) {
            too_large
        } else {
            ApiError::new(Code::MalformedRequest, "the body broke off")
        }
    })
}

/// The bytes of an image within the limit on images.
pub(super) async fn read_image(body: Body, most: u64) -> Result<Bytes, ApiError> {
    let limit = usize::try_from(most).unwrap_or(usize::MAX);
    read_body(body, limit).await.map_err(|error| if error.code() == Code::RequestTooLarge { over(most) } else { error })
}

fn over(limit: u64) -> ApiError {
    let message = format!("the image's file size is over the limit of {limit} bytes; scale the image down");
    let details = serde_json::json!({ "what": "file size", "limit": limit });
    ApiError::new(Code::Failure(FailureCode::ImageTooLarge), message).with_details(details)
}

async fn read_form(request: Request, face: &Shared) -> Result<Submission, ApiError> {
    let broken = |error: &dyn std::fmt::Display| {
        ApiError::new(Code::MalformedRequest, format!("the multipart body cannot be read: {error}"))
    };
    let limit = face.app.config.images.limits.max_bytes;
    let mut form = Multipart::from_request(request, &()).await.map_err(|error| broken(&error.body_text()))?;
    let mut submission = Submission::default();
    let mut parameters = Map::new();
    // As many files as a batch may have, and one more, so that a batch can say what is wrong.
    let mut parts_left = face.app.config.jobs.max_batch + 1 + MOST_FIELDS;
    while let Some(mut field) = form.next_field().await.map_err(|error| broken(&error.body_text()))? {
        parts_left = parts_left.checked_sub(1).ok_or_else(|| broken(&"it has too many parts; send fewer at once"))?;
        let name = field.name().unwrap_or_default().to_owned();
        let is_file = matches!(name.as_str(), "file" | "files" | "file[]" | "files[]" | PSD_FILE);
        let is_parameter = PARAMETERS.iter().any(|row| row.name == name);
        let is_stray = field.file_name().is_some() && !is_file && !is_parameter && !TEXTS.contains(&name.as_str());
        let most = if is_file || is_stray { limit } else { TEXT_BYTES as u64 };
        let mut bytes = BytesMut::new();
        let mut received = 0;
        while let Some(chunk) = field.chunk().await.map_err(|error| broken(&error.body_text()))? {
            received += chunk.len() as u64;
            if received > most {
                return Err(if is_file || is_stray { over(limit) } else { too_long(&name) });
            }
            if !is_stray {
                bytes.extend_from_slice(&chunk);
            }
        }
        if is_stray {
            submission.fields.entry(name.clone()).or_insert(Value::Null);
            submission.strays.0.push(name);
            continue;
        }
        if is_file {
            submission.files.push(bytes.freeze());
            continue;
        }
        // How forms say nothing: they have no null.
        if bytes.is_empty() {
            continue;
        }
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| broken(&format_args!("the field {:?} is a text, but not UTF-8", shorten(&name))))?;
        let (target, value) = match name.as_str() {
            "parameters" if text.trim().is_empty() => continue,
            "parameters" => (&mut submission.fields, json::read(text.as_bytes())?),
            _ if is_parameter => (&mut parameters, Value::from(text)),
            _ => (&mut submission.fields, Value::from(text)),
        };
        if target.insert(name.clone(), value).is_some() {
            return Err(broken(&format_args!("the field {:?} occurs twice", shorten(&name))));
        }
    }
    add_parameters(&mut submission.fields, parameters);
    Ok(submission)
}

fn too_long(name: &str) -> ApiError {
    let name = shorten(name);
    ApiError::new(Code::RequestTooLarge, format!("the field {name:?} may have at most {TEXT_BYTES} bytes"))
}

/// Single fields of a form win over the object, as the more particular. What is no object is refused later.
fn add_parameters(fields: &mut Map<String, Value>, single: Map<String, Value>) {
    if single.is_empty() {
        return;
    }
    match fields.get_mut("parameters") {
        Some(Value::Object(parameters)) => parameters.extend(single),
        None | Some(Value::Null) => drop(fields.insert("parameters".into(), Value::Object(single))),
        Some(_) => {}
    }
}

/// The query's names and values; of equal names the last counts, and an empty value is none.
#[derive(Debug, Default)]
pub(super) struct Query(Map<String, Value>);

impl Query {
    fn of(uri: &Uri) -> Self {
        let pairs = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        let given = pairs.filter(|(_, value)| !value.is_empty());
        Self(given.map(|(name, value)| (name.into_owned(), Value::String(value.into_owned()))).collect())
    }

    /// Takes a value out.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        match self.0.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// What was not taken out.
    pub(super) fn rest(self) -> Map<String, Value> {
        self.0
    }
}

impl FromRequestParts<Shared> for Query {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Self::Rejection> {
        Ok(Self::of(&parts.uri))
    }
}

/// The job's id in the path. What cannot be one is the id of no job.
#[derive(Debug)]
pub(super) struct PathId(pub(super) JobId);

impl FromRequestParts<Shared> for PathId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, face: &Shared) -> Result<Self, ApiError> {
        let text = Path::<String>::from_request_parts(parts, face).await.ok();
        Ok(Self(job_id(text.map(|Path(text)| text))?))
    }
}

/// The job's id in the path, and the callback's.
#[derive(Debug)]
pub(super) struct PathCallback(pub(super) JobId, pub(super) String);

impl FromRequestParts<Shared> for PathCallback {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, face: &Shared) -> Result<Self, ApiError> {
        let texts = Path::<(String, String)>::from_request_parts(parts, face).await.ok();
        let (job, callback) = texts.map(|Path(texts)| texts).unzip();
        Ok(Self(job_id(job)?, callback.unwrap_or_default()))
    }
}

fn job_id(text: Option<String>) -> Result<JobId, ApiError> {
    let id = text.and_then(|text| JobId::parse(&text).ok()).ok_or_else(ApiError::job_not_found)?;
    tracing::Span::current().record("job_id", id.as_str());
    Ok(id)
}
