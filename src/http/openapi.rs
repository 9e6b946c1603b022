//! The OpenAPI document: what the routes say of themselves, and the errors that each may answer with.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::OpenApi;

use super::codes::{Code, Row};
use super::schema;
use crate::job::FailureCode as F;
use crate::mesh::parameters::{PARAMETERS, Parameter};

/// What the document says beside the routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "SpineLift",
        description = "Turns images into 2D triangle meshes for skeletal animation.\n\nNull in any optional field means \
                       absent. Errors are `application/problem+json` for who asks for that with `Accept`. Every answer \
                       carries `X-Request-Id`."
    ),
    tags(
        (name = "jobs", description = "One image, one job, one mesh"),
        (name = "batches", description = "Many images at once"),
        (name = "preview", description = "A mesh at once, without a job"),
        (name = "legacy", description = "The routes that the first SpineLift app calls"),
        (name = "service", description = "What machines ask about the service itself"),
    ),
    components(schemas(
        schema::ErrorAnswer, schema::ErrorBody, schema::ErrorCode, schema::Problem, schema::Detail, schema::JobEvent,
        schema::Parameters, schema::FailureName
    ))
)]
pub(super) struct Document;

/// Any route of the API.
const ANY: &[Code] = &[
    Code::MalformedRequest,
    Code::Unauthorized,
    Code::OriginNotAllowed,
    Code::RequestTimeout,
    Code::Failure(F::Internal),
];

/// Any route that asks the store.
const STORED: &[Code] = &[Code::StorageUnavailable];

/// Any route with a body.
const BODY: &[Code] = &[
    Code::Overloaded,
    Code::RequestTooLarge,
    Code::RequestTooSlow,
    Code::UnsupportedMediaType,
    Code::ValidationFailed,
    Code::Draining,
    Code::Failure(F::ImageTooLarge),
    Code::Failure(F::ImageFormatUnsupported),
];

/// Any route that submits jobs.
const SUBMIT: &[Code] =
    &[Code::Failure(F::UrlNotAllowed), Code::JobIdConflict, Code::IdempotencyKeyReused, Code::QueueFull];

/// Any route that runs the engine.
const ENGINE: &[Code] = &[
    Code::Failure(F::ImageLoadFailed),
    Code::Failure(F::ContourExtractionFailed),
    Code::Failure(F::TriangulationFailed),
    Code::Failure(F::MeshTooLarge),
];

/// Any route that fetches an image.
const FETCH: &[Code] = &[
    Code::Failure(F::UrlNotAllowed),
    Code::Failure(F::SourceNotFound),
    Code::Failure(F::SourceTooLarge),
    Code::Failure(F::SourceUnavailable),
    Code::Failure(F::SourceTimeout),
];

/// What each operation may refuse with. The tests hold every answer against the document made of this.
const ERRORS: &[(&str, &[&[Code]])] = &[
    ("generate", &[ANY, STORED, BODY, SUBMIT]),
    ("status", &[ANY, STORED, &[Code::JobNotFound, Code::ValidationFailed, Code::Overloaded]]),
    ("result", &[ANY, STORED, ENGINE, RESULT]),
    ("events", &[ANY, STORED, &[Code::JobNotFound, Code::Overloaded]]),
    ("cancel", &[ANY, STORED, &[Code::JobNotFound]]),
    ("jobs", &[ANY, STORED, &[Code::ValidationFailed]]),
    ("preview", &[ANY, BODY, ENGINE, &[Code::NotAcceptable]]),
    ("submit_batch", &[ANY, STORED, BODY, SUBMIT]),
    ("batch", &[ANY, STORED, &[Code::BatchNotFound]]),
    ("legacy_generate_mesh", &[ANY, BODY, ENGINE, FETCH]),
    ("legacy_generate_mesh_from_file", &[ANY, BODY, ENGINE, FETCH]),
    ("health", &[&[Code::RequestTimeout, Code::Failure(F::Internal)]]),
    ("ready", &[&[Code::Failure(F::Internal)]]),
    ("metrics", &[&[Code::RequestTimeout, Code::Failure(F::Internal)]]),
];

/// A result that is not there, or not as it is wanted.
const RESULT: &[Code] = &[
    Code::Overloaded,
    Code::JobNotFound,
    Code::ResultExpired,
    Code::JobNotCompleted,
    Code::JobFailed,
    Code::NotAcceptable,
    Code::ValidationFailed,
    Code::Failure(F::ImageTooLarge),
    Code::Failure(F::ImageFormatUnsupported),
];

/// Completes the routes' own document.
///
/// Paths are under `public_path` where callers reach the service through a proxy that takes it away.
pub(super) fn complete(routes: &utoipa::openapi::OpenApi, public_path: &str) -> Value {
    let mut document = serde_json::to_value(routes).unwrap_or_default();
    if let Some(paths) = document["paths"].as_object_mut() {
        for operation in paths.values_mut().filter_map(Value::as_object_mut).flat_map(|item| item.values_mut()) {
            complete_operation(operation);
        }
    }
    if !public_path.is_empty() {
        document["servers"] = json!([{ "url": public_path }]);
    }
    document["components"]["securitySchemes"] = json!({
        "key": { "type": "http", "scheme": "bearer", "description": "Needed where the service has API keys" }
    });
    document
}

fn complete_operation(operation: &mut Value) {
    let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
    let lists = ERRORS.iter().find(|(name, _)| *name == id).map_or(&[][..], |(_, lists)| lists);
    let mut by_status: BTreeMap<u16, Vec<Row>> = BTreeMap::new();
    for row in lists.iter().flat_map(|list| list.iter()).map(|code| code.row()) {
        by_status.entry(row.status.as_u16()).or_default().push(row);
    }
    let is_legacy = id.starts_with("legacy");
    for (status, rows) in by_status {
        operation["responses"][status.to_string()] = refusal(&rows, is_legacy, status);
    }
    if lists.iter().any(|list| list.contains(&Code::Unauthorized)) {
        operation["security"] = json!([{}, { "key": [] }]);
    }
    // Indexing would leave a null where there are no parameters.
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    if let (true, Some(parameters)) = (id == "preview", parameters) {
        parameters.extend(PARAMETERS.iter().map(query_parameter));
    }
}

fn refusal(rows: &[Row], is_legacy: bool, status: u16) -> Value {
    let lines: Vec<String> = rows.iter().map(|row| format!("`{}`: {}", row.name, row.meaning)).collect();
    let of = |name: &str| json!({ "schema": { "$ref": format!("#/components/schemas/{name}") } });
    let content = if is_legacy {
        json!({ "application/json": of("Detail") })
    } else {
        json!({ "application/json": of("ErrorAnswer"), "application/problem+json": of("Problem") })
    };
    let mut response = json!({ "description": lines.join("\n\n"), "content": content });
    if status == 503 {
        let about = "Seconds after which to come back";
        response["headers"] = json!({ "Retry-After": { "description": about, "schema": { "type": "integer" } } });
    }
    response
}

fn query_parameter(row: &Parameter) -> Value {
    let mut schema = serde_json::to_value(schema::parameter(row.name)).unwrap_or_default();
    let about = schema["description"].take();
    if let Some(schema) = schema.as_object_mut() {
        schema.remove("description");
        // A query has no null.
        let kind = schema.get("type").and_then(|kind| kind.get(0)).cloned();
        schema.extend(kind.map(|kind| ("type".to_owned(), kind)));
    }
    json!({ "name": row.name, "in": "query", "required": false, "description": about, "schema": schema })
}
