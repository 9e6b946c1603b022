//! A refusal: how it comes about, and how it is written.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::body::BodyFault;
use super::codes::{Code, Row};
use crate::blob::BlobError;
use crate::compute::ComputeError;
use crate::job::{Failure, FailureCode};
use crate::mesh;
use crate::store::StoreError;

/// When to come back where nothing better is known: soon, as most load passes within a second.
const RETRY_SOON: Duration = Duration::from_secs(1);

/// How an error is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// `{"error":{...}}`.
    Json,
    /// RFC 9457.
    Problem,
    /// `{"detail":"..."}`, as the two old routes have it.
    Detail,
}

/// A refusal. As a response it is written plainly; the outermost layer writes it again as its caller asked for it.
#[derive(Debug, Clone)]
pub(super) struct ApiError {
    code: Code,
    message: String,
    details: Value,
    retry_after: Option<Duration>,
    challenge: Option<HeaderValue>,
}

impl ApiError {
    /// An error without numbers.
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: json!({}), retry_after: None, challenge: None }
    }

    /// The numbers; a JSON object.
    pub(super) fn with_details(mut self, details: Value) -> Self {
        self.details = details;
        self
    }

    /// One more of the details.
    pub(super) fn with_detail(mut self, name: &str, value: Value) -> Self {
        self.details[name] = value;
        self
    }

    /// When to come back.
    pub(super) fn with_retry_after(mut self, retry_after: Duration) -> Self {
        self.retry_after = Some(retry_after);
        self
    }

    /// What the caller must prove, as RFC 6750 puts it.
    pub(super) fn with_challenge(mut self, challenge: HeaderValue) -> Self {
        self.challenge = Some(challenge);
        self
    }

    /// No job of that id is the caller's.
    pub(super) fn job_not_found() -> Self {
        Self::new(Code::JobNotFound, "no job has this id; ids are kept for as long as results are")
    }

    /// A request that waited too long.
    pub(super) fn timed_out() -> Self {
        Self::new(Code::RequestTimeout, "the request could not be handled in time; submit a job, or ask for less")
    }

    /// Our own mistake. What it was is for the log.
    pub(super) fn internal() -> Self {
        Self::new(Code::Failure(FailureCode::Internal), "our own mistake; please report it with the request id")
    }

    /// The code.
    pub(super) fn code(&self) -> Code {
        self.code
    }

    /// As it is part of an answer: code, message, details.
    pub(super) fn to_json(&self) -> Value {
        json!({ "code": self.code.row().name, "message": self.message, "details": self.details })
    }

    fn body(&self, shape: Shape, request_id: &str) -> Value {
        let Row { name, status, .. } = self.code.row();
        let mut body = match shape {
            Shape::Detail => return json!({ "detail": self.message }),
            Shape::Json => json!({ "error": self.to_json() }),
            Shape::Problem => json!({
                "type": "about:blank",
                "title": status.canonical_reason().unwrap_or_default(),
                "status": status.as_u16(),
                "detail": self.message,
                "code": name,
                "details": self.details,
            }),
        };
        if !request_id.is_empty() {
            let inner = if shape == Shape::Json { &mut body["error"] } else { &mut body };
            inner["request_id"] = request_id.into();
        }
        body
    }

    /// Writes the error into a response that carries it.
    fn write(&self, response: &mut Response, shape: Shape, request_id: &str) {
        let Row { status, .. } = self.code.row();
        let media_type = if shape == Shape::Problem { "application/problem+json" } else { "application/json" };
        *response.status_mut() = status;
        *response.body_mut() = Body::from(self.body(shape, request_id).to_string());
        let headers = response.headers_mut();
        headers.remove(CONTENT_LENGTH);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        if let Some(challenge) = &self.challenge {
            headers.insert(WWW_AUTHENTICATE, challenge.clone());
        }
        let must_say_when = matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
        if let Some(after) = self.retry_after.or(must_say_when.then_some(RETRY_SOON)) {
            headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(after)));
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = Response::default();
        self.write(&mut response, Shape::Json, "");
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes an error anew in the shape that its caller asked for; leaves other responses as they are.
pub(super) fn reshape(response: &mut Response, shape: Shape, request_id: &str) {
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        error.write(response, shape, request_id);
    }
}

/// The code of a response that carries an error.
pub(super) fn code_of(response: &Response) -> Option<&'static str> {
    response.extensions().get::<ApiError>().map(|error| error.code.row().name)
}

/// Rounded up, at least 1: a caller must not come back too early.
pub(super) fn whole_seconds(duration: Duration) -> u64 {
    (duration.as_secs() + u64::from(duration.subsec_nanos() > 0)).max(1)
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store failed");
        Self::new(Code::StorageUnavailable, "jobs cannot be read or written now; try again later")
    }
}

impl From<BlobError> for ApiError {
    fn from(error: BlobError) -> Self {
        if let BlobError::NotFound(_) = error {
            return Self::new(Code::ResultExpired, "the result is no longer kept; submit the job again");
        }
        tracing::error!(%error, "the storage failed");
        Self::new(Code::StorageUnavailable, "images and results cannot be read or written now; try again later")
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        if failure.code == FailureCode::Internal {
            tracing::error!(message = failure.message, "our own mistake");
            return Self::internal();
        }
        Self::new(Code::Failure(failure.code), failure.message).with_details(failure.details)
    }
}

impl From<mesh::Error> for ApiError {
    fn from(error: mesh::Error) -> Self {
        match &error {
            mesh::Error::Parameters(_) => {
                Self::new(Code::ValidationFailed, error.to_string()).with_details(error.details())
            }
            _ => Failure::from(&error).into(),
        }
    }
}

impl From<ComputeError> for ApiError {
    fn from(error: ComputeError) -> Self {
        match error {
            ComputeError::Engine(error) => error.into(),
            ComputeError::Busy { retry_after, .. } => {
                Self::new(Code::Overloaded, error.to_string()).with_retry_after(retry_after)
            }
            ComputeError::TimedOut | ComputeError::Cancelled => Self::timed_out(),
            ComputeError::Panicked => Self::internal(),
        }
    }
}

/// The answer to a body that broke a limit.
pub(super) fn refuse_body(fault: BodyFault) -> Response {
    let code = match fault {
        BodyFault::TooLarge { .. } => Code::RequestTooLarge,
        BodyFault::NoRoom => Code::Overloaded,
        BodyFault::Idle { .. } | BodyFault::Slow { .. } => Code::RequestTooSlow,
    };
    ApiError::new(code, fault.to_string()).into_response()
}

/// The answer to a connection beyond the cap.
pub(super) fn too_many_connections() -> Response {
    ApiError::new(Code::Overloaded, "too many connections are open; try again later").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_must_come_back_is_told_when() {
        for code in Code::ALL.into_iter().filter(|code| code.row().status == StatusCode::SERVICE_UNAVAILABLE) {
            let response = ApiError::new(code, "later").into_response();
            assert_eq!(response.headers()[RETRY_AFTER], "1", "{code:?}");
        }
        assert_eq!(ApiError::new(Code::RateLimited, "later").into_response().headers()[RETRY_AFTER], "1");
    }

    #[test]
    fn seconds_are_rounded_up() {
        assert_eq!(whole_seconds(Duration::ZERO), 1);
        assert_eq!(whole_seconds(Duration::from_millis(2001)), 3);
        assert_eq!(whole_seconds(Duration::from_secs(2)), 2);
    }
}
