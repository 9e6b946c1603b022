//! The HTTP face: requests in, answers out. Every route is in this file.
//!
//! `layers` surrounds them all, `error` is the registry of refusals, `wire` and `schema` are the shapes. The connection
//! loop is `server`, which knows no routes.

mod accept;
mod auth;
mod batch;
pub mod body;
mod callbacks;
mod codes;
mod cors;
mod error;
mod etag;
mod events;
mod extract;
mod face;
mod generate;
mod health;
mod jobs;
mod json;
mod layers;
mod legacy;
mod openapi;
mod origin;
mod place;
mod preview;
mod psd_layers;
mod request;
mod result;
mod result_schema;
mod schema;
pub mod server;
mod socket;
mod status;
mod throttle;
mod wait;
mod welcome;
mod wire;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::SwaggerUi;

use crate::app::App;
use crate::config::Role;
use crate::key::Scope;
use auth::Guard;
use body::{BodyGuard, BodyLimits, UploadMemory, limit_body};
use codes::Code;
use error::ApiError;
use face::{Face, Shared};

/// What the documentation's page needs: its own scripts and styles, and to call the API.
const DOCS_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; \
     connect-src 'self'; base-uri 'none'; frame-ancestors 'none'",
);

/// The service's routes.
pub fn router(app: App) -> Router {
    let face = Arc::new(Face::new(app));
    let prefix = face.app.config.http.api_prefix.clone();
    let api = api(&face);
    let described = OpenApiRouter::with_openapi(openapi::Document::openapi())
        .merge(if prefix.is_empty() { api } else { OpenApiRouter::new().nest(&prefix, api) })
        .merge(legacy(&face))
        .merge(machines(&face));
    let (routes, document) = described.split_for_parts();
    face.set_document(&openapi::complete(&document, face.public_path()));
    if face.app.config.role == Role::Worker {
        return surrounded(machines(&face).split_for_parts().0, face);
    }
    let routes = routes.route("/", get(welcome::welcome)).route("/openapi.json", get(welcome::document)).merge(docs());
    surrounded(routes, face)
}

/// What machines ask about the service itself. All that a worker answers.
fn machines(face: &Shared) -> OpenApiRouter<Shared> {
    let with_key = from_fn_with_state(Guard::new(face, Scope::Admin), auth::require_key);
    OpenApiRouter::new()
        .routes(routes!(health::metrics))
        .route_layer(with_key)
        .routes(routes!(health::health))
        .routes(routes!(health::ready))
}

/// Routes with what surrounds them all.
fn surrounded(routes: Router<Shared>, face: Shared) -> Router {
    let limits = BodyLimits::up_to(face.app.config.http.max_request_bytes);
    let memory = UploadMemory::new(face.app.config.http.upload_memory_bytes, Arc::clone(&face.app.metrics));
    let routes = routes
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        // The guard's limit is the one that counts.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(Arc::clone(&face), origin::refuse_foreign_pages))
        .layer(from_fn_with_state(BodyGuard { limits, memory, refuse: error::refuse_body }, limit_body))
        .layer(from_fn_with_state(Arc::clone(&face), layers::answer_always));
    let routes = match cors::layer(&face.app.config.access.cors_origins) {
        Some(cors) => routes.layer(cors),
        None => routes,
    };
    routes.layer(from_fn_with_state(Arc::clone(&face), layers::around)).with_state(face)
}

/// The routes under API_PREFIX.
fn api(face: &Shared) -> OpenApiRouter<Shared> {
    let to_submit = from_fn_with_state(Guard::new(face, Scope::Submit), auth::require_key);
    let to_read = from_fn_with_state(Guard::new(face, Scope::Read), auth::require_key);
    let with_link = from_fn_with_state(Guard::new(face, Scope::Read), auth::require_key_or_link);
    let unless_draining = from_fn_with_state(Arc::clone(face), layers::refuse_when_draining);
    let unless_busy = from_fn_with_state(Arc::clone(face), layers::refuse_when_busy);
    let new_work = OpenApiRouter::new()
        .routes(routes!(preview::preview))
        .route_layer(unless_busy)
        .routes(routes!(generate::generate))
        .routes(routes!(batch::submit))
        .route_layer(unless_draining);
    let submitting =
        new_work.routes(routes!(jobs::cancel)).routes(routes!(callbacks::redeliver)).route_layer(to_submit);
    let reading = OpenApiRouter::new()
        .routes(routes!(batch::status))
        .routes(routes!(jobs::list))
        .routes(routes!(status::status))
        .routes(routes!(events::events))
        .routes(routes!(callbacks::list))
        .route_layer(to_read);
    let results = OpenApiRouter::new().routes(routes!(result::result)).route_layer(with_link);
    submitting.merge(reading).merge(results)
}

/// The routes that today's SpineLift app calls.
fn legacy(face: &Shared) -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(legacy::from_url))
        .routes(routes!(legacy::from_file))
        .routes(routes!(psd_layers::extract_layers))
        .route_layer(from_fn_with_state(Arc::clone(face), layers::refuse_when_busy))
        .route_layer(from_fn_with_state(Arc::clone(face), layers::refuse_when_draining))
        .route_layer(from_fn_with_state(Guard::new(face, Scope::Submit), auth::require_key))
}

/// The documentation's page. Its assets are in the program, and nothing of it asks another host.
fn docs() -> Router<Shared> {
    let settings = utoipa_swagger_ui::Config::from("/openapi.json").validator_url("none").try_it_out_enabled(true);
    Router::from(SwaggerUi::new("/docs").config(settings)).layer(map_response(allow_docs))
}

async fn allow_docs(mut response: Response) -> Response {
    if response.status() == StatusCode::NOT_FOUND {
        return no_route().await.into_response();
    }
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, DOCS_POLICY);
    response
}

/// The answer to a connection beyond the cap, for [`server::Server::busy`].
#[must_use]
pub fn too_many_connections() -> Response {
    layers::finished(error::too_many_connections())
}

async fn no_route() -> ApiError {
    ApiError::new(Code::RouteNotFound, "there is no such route; see /docs")
}

/// `Allow` is added by the router.
async fn no_method(method: Method) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    ApiError::new(Code::MethodNotAllowed, "the route has other methods; see Allow").into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, HOST, ORIGIN, X_FRAME_OPTIONS};
    use tower::ServiceExt;

    use super::*;
    use crate::config::{Config, CorsOrigins};

    /// What breaks below the layers is an answer like any other: a page reads it, and is told what every page is.
    #[tokio::test]
    async fn a_page_that_may_call_reads_what_broke() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config { dev: true, ..Config::default() };
        config.database.url = format!("sqlite:{}", folder.path().join("jobs.db").display());
        config.storage.path = folder.path().join("blobs");
        config.access.cors_origins = CorsOrigins::These(vec!["https://app.example".into()]);
        let face = Arc::new(Face::new(App::open(config).await.unwrap()));
        let broken = || async {
            if true {
                panic!("a mistake in a handler")
            }
        };
        let routes = surrounded(Router::new().route("/broken", get(broken)), face);
        let ask = Request::get("/broken").header(HOST, "localhost").header(ORIGIN, "https://app.example");
        let answer = routes.oneshot(ask.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "https://app.example");
        assert_eq!(answer.headers()[X_FRAME_OPTIONS], "DENY");
    }
}
