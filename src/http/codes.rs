//! The registry: every code that a request can be refused with, its status, and what it means.
//!
//! The OpenAPI document and the tables of `docs/api.md` are made of it. No handler names a status of refusal.

use axum::http::StatusCode;

use crate::job::FailureCode;

/// What an answer of the service can refuse with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    MalformedRequest,
    Unauthorized,
    ScopeMissing,
    OriginNotAllowed,
    RouteNotFound,
    JobNotFound,
    BatchNotFound,
    CallbackNotFound,
    ResultExpired,
    MethodNotAllowed,
    NotAcceptable,
    RequestTooSlow,
    JobIdConflict,
    JobNotCompleted,
    JobFailed,
    CallbackInFlight,
    CallbackSuperseded,
    RequestTooLarge,
    UnsupportedMediaType,
    ValidationFailed,
    IdempotencyKeyReused,
    RateLimited,
    QueueFull,
    Overloaded,
    Draining,
    RequestTimeout,
    StorageUnavailable,
    /// What a job would have failed with, where the work is done within the request.
    Failure(FailureCode),
}

/// A row of the registry.
pub(super) struct Row {
    /// The code on the wire.
    pub(super) name: &'static str,
    /// The answer's status.
    pub(super) status: StatusCode,
    /// What it means and what to do, for the documents.
    pub(super) meaning: &'static str,
}

impl Code {
    /// Every code that a caller may read, in the order of the documents: by status. Those of sources are not among them:
    /// only the two old routes fetch within the request, and they tell the message alone.
    pub(super) const ALL: [Self; 35] = [
        Self::MalformedRequest,
        Self::Unauthorized,
        Self::ScopeMissing,
        Self::OriginNotAllowed,
        Self::RouteNotFound,
        Self::JobNotFound,
        Self::BatchNotFound,
        Self::CallbackNotFound,
        Self::ResultExpired,
        Self::MethodNotAllowed,
        Self::NotAcceptable,
        Self::RequestTooSlow,
        Self::JobIdConflict,
        Self::JobNotCompleted,
        Self::JobFailed,
        Self::CallbackInFlight,
        Self::CallbackSuperseded,
        Self::RequestTooLarge,
        Self::Failure(FailureCode::ImageTooLarge),
        Self::UnsupportedMediaType,
        Self::Failure(FailureCode::ImageFormatUnsupported),
        Self::ValidationFailed,
        Self::Failure(FailureCode::UrlNotAllowed),
        Self::IdempotencyKeyReused,
        Self::Failure(FailureCode::ImageLoadFailed),
        Self::Failure(FailureCode::ContourExtractionFailed),
        Self::Failure(FailureCode::TriangulationFailed),
        Self::Failure(FailureCode::MeshTooLarge),
        Self::RateLimited,
        Self::Failure(FailureCode::Internal),
        Self::QueueFull,
        Self::Overloaded,
        Self::Draining,
        Self::RequestTimeout,
        Self::StorageUnavailable,
    ];

    /// The code's row.
    pub(super) fn row(self) -> Row {
        use StatusCode as S;
        let (name, status, meaning) = match self {
            Self::MalformedRequest => (
                "MALFORMED_REQUEST",
                S::BAD_REQUEST,
                "the body is not the JSON or multipart that it should be, or the header names no host; the message says where",
            ),
            Self::Unauthorized => {
                ("UNAUTHORIZED", S::UNAUTHORIZED, "send `Authorization: Bearer` and one of the service's API keys")
            }
            Self::ScopeMissing => (
                "SCOPE_MISSING",
                S::FORBIDDEN,
                "the API key may not do this; `details.needed` is the scope that it lacks, for the operator to give",
            ),
            Self::OriginNotAllowed => (
                "ORIGIN_NOT_ALLOWED",
                S::FORBIDDEN,
                "without API keys no web page of another site may call; have its server call, or set CORS_ORIGINS, PUBLIC_URL or API keys",
            ),
            Self::RouteNotFound => ("ROUTE_NOT_FOUND", S::NOT_FOUND, "there is no such route; see /docs"),
            Self::JobNotFound => {
                ("JOB_NOT_FOUND", S::NOT_FOUND, "no job has this id, or no longer, or it is another API key's")
            }
            Self::BatchNotFound => {
                ("BATCH_NOT_FOUND", S::NOT_FOUND, "no batch has this id, or no longer, or it is another API key's")
            }
            Self::CallbackNotFound => (
                "CALLBACK_NOT_FOUND",
                S::NOT_FOUND,
                "the job has no callback of this id; its list names those that it has",
            ),
            Self::ResultExpired => {
                ("RESULT_EXPIRED", S::NOT_FOUND, "the result or its image is no longer kept; submit the job again")
            }
            Self::MethodNotAllowed => {
                ("METHOD_NOT_ALLOWED", S::METHOD_NOT_ALLOWED, "the route has other methods; `Allow` names them")
            }
            Self::NotAcceptable => (
                "NOT_ACCEPTABLE",
                S::NOT_ACCEPTABLE,
                "no format of the result fits `Accept`; the details name them all",
            ),
            Self::RequestTooSlow => {
                ("REQUEST_TOO_SLOW", S::REQUEST_TIMEOUT, "the body stopped or came too slowly; send it again")
            }
            Self::JobIdConflict => {
                ("JOB_ID_CONFLICT", S::CONFLICT, "the job_id belongs to a job with another request; choose another")
            }
            Self::JobNotCompleted => {
                ("JOB_NOT_COMPLETED", S::CONFLICT, "there is no result yet; wait for the callback or poll the status")
            }
            Self::JobFailed => {
                ("JOB_FAILED", S::CONFLICT, "there is no result; `details.error` says why the job failed")
            }
            Self::CallbackInFlight => (
                "CALLBACK_IN_FLIGHT",
                S::CONFLICT,
                "the callback is being sent at this moment; ask again once that attempt has ended, within 15 s",
            ),
            Self::CallbackSuperseded => {
                ("CALLBACK_SUPERSEDED", S::CONFLICT, "a later callback of the job has taken its place; send that again")
            }
            Self::RequestTooLarge => {
                ("REQUEST_TOO_LARGE", S::PAYLOAD_TOO_LARGE, "the body is larger than the limit; send less at once")
            }
            Self::UnsupportedMediaType => (
                "UNSUPPORTED_MEDIA_TYPE",
                S::UNSUPPORTED_MEDIA_TYPE,
                "the Content-Type is not one that the route reads; the message names those",
            ),
            Self::ValidationFailed => (
                "VALIDATION_FAILED",
                S::UNPROCESSABLE_ENTITY,
                "fields are missing or out of range; `details.violations` has each with name, value and what is expected",
            ),
            Self::IdempotencyKeyReused => (
                "IDEMPOTENCY_KEY_REUSED",
                S::UNPROCESSABLE_ENTITY,
                "the Idempotency-Key belongs to another request; use a new key for a new request",
            ),
            Self::RateLimited => (
                "RATE_LIMITED",
                S::TOO_MANY_REQUESTS,
                "the API key, or an address without a good one, comes too often; come back after Retry-After",
            ),
            Self::QueueFull => {
                ("QUEUE_FULL", S::SERVICE_UNAVAILABLE, "as many jobs wait as may; come back after Retry-After")
            }
            Self::Overloaded => (
                "OVERLOADED",
                S::SERVICE_UNAVAILABLE,
                "too many requests are being handled; come back after Retry-After",
            ),
            Self::Draining => {
                ("DRAINING", S::SERVICE_UNAVAILABLE, "the service is about to stop; come back after Retry-After")
            }
            Self::RequestTimeout => (
                "REQUEST_TIMEOUT",
                S::SERVICE_UNAVAILABLE,
                "the request could not be handled in time; submit a job, or use a smaller image or density",
            ),
            Self::StorageUnavailable => (
                "STORAGE_UNAVAILABLE",
                S::SERVICE_UNAVAILABLE,
                "jobs or images cannot be read or written now; come back after Retry-After",
            ),
            Self::Failure(code) => (code.as_str(), status_of_failure(code), code.meaning()),
        };
        Row { name, status, meaning }
    }
}

/// A failure's status where the work is done within the request. Exhaustive, so that a new code finds its status.
fn status_of_failure(code: FailureCode) -> StatusCode {
    match code {
        FailureCode::ImageTooLarge | FailureCode::SourceTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        FailureCode::ImageFormatUnsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        FailureCode::ImageLoadFailed
        | FailureCode::MeshTooLarge
        | FailureCode::SourceNotFound
        | FailureCode::UrlNotAllowed
        | FailureCode::ContourExtractionFailed
        | FailureCode::TriangulationFailed => StatusCode::UNPROCESSABLE_ENTITY,
        FailureCode::SourceUnavailable => StatusCode::BAD_GATEWAY,
        FailureCode::SourceTimeout => StatusCode::GATEWAY_TIMEOUT,
        FailureCode::JobTimeout | FailureCode::Cancelled => StatusCode::SERVICE_UNAVAILABLE,
        FailureCode::WorkerCrashed | FailureCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_code_has_a_name_of_its_own_and_goes_by_status() {
        let names: HashSet<&str> = Code::ALL.iter().map(|code| code.row().name).collect();
        assert_eq!(names.len(), Code::ALL.len());
        assert!(Code::ALL.is_sorted_by_key(|code| code.row().status.as_u16()));
    }

    /// `docs/api.md` has the registry as a table; `BLESS=1` writes it there and fails.
    #[test]
    fn the_documents_table_is_the_registry() {
        let row = |code: &Code| {
            let Row { name, status, meaning } = code.row();
            format!("| {} | `{name}` | {meaning} |\n", status.as_u16())
        };
        let codes: String = Code::ALL.iter().map(row).collect();
        let failure = |code: &FailureCode| format!("| `{}` | {} |\n", code.as_str(), code.meaning());
        let failures: String = FailureCode::ALL.iter().map(failure).collect();
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/api.md");
        let before = std::fs::read_to_string(path).unwrap();
        let after = between(&before, "codes", &format!("| status | code | meaning |\n|---|---|---|\n{codes}"));
        let after = between(&after, "failures", &format!("| code | meaning |\n|---|---|\n{failures}"));
        if before != after {
            if std::env::var_os("BLESS").is_some() {
                std::fs::write(path, after).unwrap();
            }
            panic!("docs/api.md does not have the registry's tables; BLESS=1 writes them");
        }
    }

    fn between(text: &str, name: &str, table: &str) -> String {
        let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
        let (before, rest) = text.split_once(&begin).unwrap();
        let (_, after) = rest.split_once(&end).unwrap();
        format!("{before}{begin}{table}{end}{after}")
    }
}
