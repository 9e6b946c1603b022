//! Which pages of other sites browsers let call, by CORS_ORIGINS. Without it there is nothing here, and none may.

use std::time::Duration;

use axum::http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
};
use axum::http::{HeaderValue, Method};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::config::CorsOrigins;

/// How long a browser may remember that a page may call.
const REMEMBERED: Duration = Duration::from_secs(3600);

const METHODS: [Method; 4] = [Method::GET, Method::HEAD, Method::POST, Method::DELETE];

/// What pages may send. By name: a `*` would not stand for Authorization.
const SENT: [HeaderName; 8] = [
    ACCEPT,
    AUTHORIZATION,
    CONTENT_TYPE,
    IF_NONE_MATCH,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("last-event-id"),
    HeaderName::from_static("prefer"),
    HeaderName::from_static("x-request-id"),
];

/// What pages may read beside what they always may.
const READ: [HeaderName; 8] = [
    ETAG,
    LOCATION,
    RETRY_AFTER,
    WWW_AUTHENTICATE,
    HeaderName::from_static("idempotent-replayed"),
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
    HeaderName::from_static("x-request-id"),
];

/// The layer around all routes; `None` where no page may call. It answers preflights, which carry no key, by itself.
///
/// Credentials, which are what browsers send by themselves, are allowed to nobody: a page has a key, or is as good as one
/// that has none.
pub(super) fn layer(origins: &CorsOrigins) -> Option<CorsLayer> {
    let origins = match origins {
        CorsOrigins::Off => return None,
        CorsOrigins::Any => AllowOrigin::any(),
        CorsOrigins::These(list) => AllowOrigin::list(list.iter().filter_map(|one| HeaderValue::try_from(one).ok())),
    };
    Some(
        CorsLayer::new()
            .allow_origin(origins)
            .allow_methods(METHODS)
            .allow_headers(SENT)
            .expose_headers(READ)
            .max_age(REMEMBERED),
    )
}
