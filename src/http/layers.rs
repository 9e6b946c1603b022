//! What surrounds every handler: a name for the request, an end to it, and what is said of it afterwards.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::time::{Duration, Instant};

use axum::body::HttpBody;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tokio::time::{Instant as Deadline, timeout_at};
use tracing::{Instrument, Span, field};
use uuid::Uuid;

use super::accept;
use super::body::BodyClock;
use super::error::{self, ApiError, Shape};
use super::face::Shared;
use super::legacy;

/// Names a request in answers and logs.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id of a request that is taken over, characters.
const LONGEST_REQUEST_ID: usize = 128;

/// The media type of RFC 9457.
const PROBLEM: &str = "application/problem+json";

/// Asked many times a second by sliders, or every few seconds by machines: not worth a line each unless they fail.
const QUIET_ROUTES: [&str; 4] = ["/mesh/preview", "/health", "/ready", "/metrics"];

/// How often a request is looked at whose time would be over but for its body, at most.
const LEAST_STEP: Duration = Duration::from_millis(20);

/// Refusals for load: they come by the thousand, and are counted.
const FOR_LOAD: [&str; 4] = ["RATE_LIMITED", "QUEUE_FULL", "OVERLOADED", "DRAINING"];

/// Answers are data: nothing in them is run, loaded or framed.
const DATA_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// Which pages may load an answer without asking: those of the service itself, unless a handler says otherwise.
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Browsers that have seen the service under https come back under https, for a year. Said only where PUBLIC_URL is.
const HTTPS_ONLY: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// The id of a request: its caller's, or a new one.
#[derive(Debug, Clone)]
struct RequestId(HeaderValue);

impl RequestId {
    fn of(headers: &HeaderMap) -> Self {
        let fits = |c: &u8| c.is_ascii_alphanumeric() || b"._-".contains(c);
        let is_good =
            |id: &&HeaderValue| (1..=LONGEST_REQUEST_ID).contains(&id.len()) && id.as_bytes().iter().all(fits);
        let given = headers.get(&REQUEST_ID).filter(is_good).cloned();
        Self(given.unwrap_or_else(|| {
            let made = Uuid::now_v7().simple().to_string();
            HeaderValue::try_from(made).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
        }))
    }

    fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

/// The id of the request that a handler sees, as [`around`] has set it.
pub(super) fn request_id(headers: &HeaderMap) -> String {
    headers.get(&REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned()
}

/// The outermost layer of every route, and of those that do not exist.
pub(super) async fn around(State(face): State<Shared>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = RequestId::of(request.headers());
    request.headers_mut().insert(REQUEST_ID, id.0.clone());
    let method = method_name(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let shape = shape_of(&request);
    let span = tracing::info_span!(
        "request",
        request_id = id.as_str(),
        peer = field::Empty,
        owner = field::Empty,
        job_id = field::Empty
    );
    if let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>() {
        span.record("peer", field::display(peer.ip()));
    }
    let mut response = next.run(request).instrument(span.clone()).await;

    let code = error::code_of(&response);
    error::reshape(&mut response, shape, id.as_str());
    add_headers(response.headers_mut(), &id);
    if face.is_https() {
        response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, HTTPS_ONLY);
    }
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    let status = response.status().as_u16();
    face.app.metrics.request(method, route, status, began.elapsed());
    if let Some(code) = code {
        face.app.metrics.error(code);
    }
    log(&span, method, route, status, code, began);
    response
}

/// Whatever becomes of the handler, there is an answer, which [`around`] then treats as any other.
pub(super) async fn answer_always(State(face): State<Shared>, mut request: Request, next: Next) -> Response {
    let clock = BodyClock::default();
    if !request.body().is_end_stream() {
        request.extensions_mut().insert(clock.clone());
    }
    // What a handler was doing is dropped with it; what it shares with others is whole after a panic.
    let handled = AssertUnwindSafe(next.run(request)).catch_unwind();
    match in_time(face.app.config.http.request_timeout, &clock, handled).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            tracing::error!("a handler panicked");
            ApiError::internal().into_response()
        }
        Err(TooLate) => ApiError::timed_out().into_response(),
    }
}

/// The time of a handler is over.
struct TooLate;

/// A future's end, if it comes within a time from which waits for the body are left out: those have limits of their own,
/// and a large image over a poor link takes longer than a handler may.
async fn in_time<T>(limit: Duration, clock: &BodyClock, handled: impl Future<Output = T>) -> Result<T, TooLate> {
    let mut handled = pin!(handled);
    let began = Deadline::now();
    let mut end = began + limit;
    loop {
        if let Ok(done) = timeout_at(end, handled.as_mut()).await {
            return Ok(done);
        }
        let now = Deadline::now();
        end = began + limit + clock.waited();
        if end <= now {
            return Err(TooLate);
        }
        // While the body is waited for, what is left to the handler may be next to nothing.
        end = end.max(now + LEAST_STEP);
    }
}

fn shape_of(request: &Request) -> Shape {
    if legacy::PATHS.contains(&request.uri().path()) {
        Shape::Detail
    } else if wants_problem(request.headers()) {
        Shape::Problem
    } else {
        Shape::Json
    }
}

/// Only who asks for problems gets them: a wildcard is no such wish.
fn wants_problem(headers: &HeaderMap) -> bool {
    accept::names(headers, PROBLEM) && accept::best(headers, &[PROBLEM, "application/json"]) == Some(0)
}

/// An answer that no request has led to the router for, as if one had.
pub(super) fn finished(mut response: Response) -> Response {
    let id = RequestId::of(&HeaderMap::new());
    error::reshape(&mut response, Shape::Json, id.as_str());
    add_headers(response.headers_mut(), &id);
    response
}

fn add_headers(headers: &mut HeaderMap, id: &RequestId) {
    headers.insert(REQUEST_ID, id.0.clone());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.entry(RESOURCE_POLICY).or_insert(HeaderValue::from_static("same-origin"));
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(DATA_POLICY);
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

/// One line a request. The path is left out for the route: it may hold what a caller would not want in a log.
fn log(span: &Span, method: &str, route: &str, status: u16, code: Option<&str>, began: Instant) {
    let _entered = span.enter();
    let ms = began.elapsed().as_secs_f64() * 1000.0;
    if code.is_some_and(|code| FOR_LOAD.contains(&code)) {
        tracing::debug!(method, route, status, code, ms, "refused");
    } else if status >= 500 && code.is_some() {
        tracing::warn!(method, route, status, code, ms, "answered");
    } else if QUIET_ROUTES.iter().any(|quiet| route.ends_with(quiet)) {
        tracing::debug!(method, route, status, code, ms, "answered");
    } else {
        tracing::info!(method, route, status, code, ms, "answered");
    }
}

/// From a closed set, so that callers cannot make labels.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        _ => "other",
    }
}

/// The middleware around work that is done within the request. It refuses on the header: a body that nobody has time for
/// is not received, and an image not fetched.
pub(super) async fn refuse_when_busy(
    State(face): State<Shared>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    face.expect_room()?;
    Ok(next.run(request).await)
}

/// The middleware around new work.
pub(super) async fn refuse_when_draining(
    State(face): State<Shared>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    face.refuse_when_draining()?;
    Ok(next.run(request).await)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::Router;
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use tower::ServiceExt;

    use super::super::face::Face;
    use super::*;
    use crate::app::App;
    use crate::config::Config;

    #[tokio::test]
    async fn a_panic_is_an_answer() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.database.url = format!("sqlite:{}", folder.path().join("jobs.db").display());
        config.storage.path = folder.path().join("blobs");
        let face = Arc::new(Face::new(App::open(config).await.unwrap()));
        let broken = || async {
            if true {
                panic!("a mistake in a handler")
            }
        };
        let routes = Router::new()
            .route("/broken", get(broken))
            .layer(from_fn_with_state(Arc::clone(&face), answer_always))
            .layer(from_fn_with_state(Arc::clone(&face), around));
        let asked = Request::get("/broken").header("x-request-id", "web-1").body(Body::empty()).unwrap();
        let response = routes.oneshot(asked).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&body["error"]["code"], &body["error"]["request_id"]), (&"INTERNAL".into(), &"web-1".into()));
        assert!(!body.to_string().contains("mistake in a handler"));
        let counted = "spinelift_http_requests_total{method=\"GET\",route=\"/broken\",status=\"500\"} 1";
        assert!(face.app.metrics.encode().unwrap().contains(counted));
    }
}
