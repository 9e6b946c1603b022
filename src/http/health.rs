//! `/health`, `/ready` and `/metrics`: what machines ask about the service itself.

use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::error::ApiError;
use super::face::{Face, Shared};
use crate::export::ENGINE_VERSION;
use crate::job::timestamp;

/// How old an answer about readiness may be. Each look writes to the disk, which impatient probes must not multiply.
const CHECKS_AGE: Duration = Duration::from_secs(1);

/// How long one check may take. A disk that answers later is of no use to callers.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// The media type of what Prometheus reads.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// That the process lives.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// Always `healthy`.
    #[schema(example = "healthy")]
    status: &'static str,
    /// The program's version.
    #[schema(example = "0.1.0")]
    version: &'static str,
    /// Now.
    #[schema(format = DateTime)]
    timestamp: String,
}

/// Whether the service takes work.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Ready {
    /// `ready` or `unready`.
    #[schema(example = "ready")]
    status: &'static str,
    checks: Checks,
}

/// What readiness depends on: `ok`, or what is wrong.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(super) struct Checks {
    /// The database takes writes.
    #[schema(example = "ok")]
    database: &'static str,
    /// The storage of images and results takes writes.
    #[schema(example = "ok")]
    storage: &'static str,
    /// Fewer jobs wait than may.
    #[schema(example = "ok")]
    queue: &'static str,
    /// No stop has begun.
    #[schema(example = "ok")]
    draining: &'static str,
}

impl Checks {
    async fn run(face: &Face) -> Self {
        let app = &face.app;
        let database = timeout(CHECK_TIMEOUT, app.store.check_writable());
        let storage = timeout(CHECK_TIMEOUT, app.blobs.check_writable());
        let queue = timeout(CHECK_TIMEOUT, app.store.queue());
        let (database, storage, queue) = tokio::join!(database, storage, queue);
        let word = |is_fine: bool, otherwise: &'static str| if is_fine { "ok" } else { otherwise };
        let queue = match queue {
            Ok(Ok(queue)) => word(queue.queued < app.config.jobs.queue_limit, "full"),
            // Not known to be full: the database cannot be read.
            _ => "unknown",
        };
        Self {
            database: word(database.is_ok_and(|done| done.is_ok()), "not writable"),
            storage: word(storage.is_ok_and(|done| done.is_ok()), "not writable"),
            queue,
            draining: "ok",
        }
    }

    fn are_fine(&self) -> bool {
        [self.database, self.storage, self.queue, self.draining].iter().all(|check| *check == "ok")
    }
}

/// Whether the process lives. Depends on nothing.
#[utoipa::path(
    get, path = "/health", operation_id = "health", tag = "service",
    responses((status = 200, body = Health, description = "It does")),
)]
pub(super) async fn health() -> Response {
    let timestamp = timestamp(Utc::now().timestamp_millis());
    Json(Health { status: "healthy", version: ENGINE_VERSION, timestamp }).into_response()
}

/// Whether the service takes work, by what that depends on.
#[utoipa::path(
    get, path = "/ready", operation_id = "ready", tag = "service",
    responses((status = 200, body = Ready, description = "It does"), (status = 503, body = Ready, description = "A check fails")),
)]
pub(super) async fn ready(State(face): State<Shared>) -> Response {
    let mut seen = face.checks.lock().await;
    let known = seen.filter(|(at, _)| at.elapsed() < CHECKS_AGE);
    let mut checks = match known {
        Some((_, checks)) => checks,
        None => {
            let checks = Checks::run(&face).await;
            *seen = Some((Instant::now(), checks));
            checks
        }
    };
    drop(seen);
    if face.app.is_draining() {
        checks.draining = "stopping";
    }
    let (code, status) =
        if checks.are_fine() { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "unready") };
    let mut response = (code, Json(Ready { status, checks })).into_response();
    if code == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// Metrics for Prometheus.
#[utoipa::path(
    get, path = "/metrics", operation_id = "metrics", tag = "service",
    responses((status = 200, body = String, content_type = "application/openmetrics-text", description = "Every metric")),
)]
pub(super) async fn metrics(State(face): State<Shared>) -> Result<Response, ApiError> {
    // Without the database the other metrics are wanted all the more.
    if let Ok(queue) = face.queue().await {
        face.app.metrics.queue(&queue);
    }
    let text = face.app.metrics.encode().map_err(|_| ApiError::internal())?;
    Ok(([(CONTENT_TYPE, OPENMETRICS)], text).into_response())
}
