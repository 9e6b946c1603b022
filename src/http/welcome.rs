//! `GET /`: the page for people, and `GET /openapi.json` for their tools.

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{Html, IntoResponse, Response};

use super::face::Shared;

/// The page is one file that loads nothing.
const PAGE: &str = include_str!("welcome.html");

/// Where the page names the API.
const PREFIX: &str = "{PREFIX}";

/// The page.
pub(super) async fn welcome(State(face): State<Shared>) -> Response {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";
    let page = PAGE.replace(PREFIX, &face.app.config.http.api_prefix);
    ([(CONTENT_SECURITY_POLICY, policy)], Html(page)).into_response()
}

/// The OpenAPI document.
pub(super) async fn document(State(face): State<Shared>) -> Response {
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-cache")], face.document()).into_response()
}
