//! `GET /`: the page for people, and `GET /openapi.json` for their tools.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{Html, IntoResponse, Response};

use super::face::Shared;

/// The page is one file that loads nothing.
const PAGE: &str = include_str!("welcome.html");

/// Where the page names the API, as its reader has reached it.
const URL: &str = "{URL}";

/// Where the page shows how to send a key, if one is needed.
const KEY: &str = "{KEY}";

/// The page.
pub(super) async fn welcome(State(face): State<Shared>, headers: HeaderMap) -> Response {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";
    let url = format!("{}{}", face.base(&headers), face.app.config.http.api_prefix);
    // A path in PUBLIC_URL may hold these two; quotes and angle brackets no URL keeps.
    let url = url.replace('&', "&amp;").replace('\'', "&#39;");
    let key = if face.app.keys.is_on() { " -H \"Authorization: Bearer $KEY\"" } else { "" };
    let page = PAGE.replace(URL, &url).replace(KEY, key);
    ([(CONTENT_SECURITY_POLICY, policy)], Html(page)).into_response()
}

/// The OpenAPI document.
pub(super) async fn document(State(face): State<Shared>) -> Response {
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-cache")], face.document()).into_response()
}
