//! The OpenAPI document: what the routes say of themselves, and the errors that each may answer with.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::OpenApi;

use super::codes::{Code, Row};
use super::schema;
use crate::job::FailureCode as F;
use crate::key::Scope;
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
const ANY: &[Code] =
    &[Code::MalformedRequest, Code::OriginNotAllowed, Code::RequestTimeout, Code::Failure(F::Internal)];

/// Any route that needs a key where keys are on.
const KEYED: &[Code] = &[Code::Unauthorized, Code::ScopeMissing, Code::RateLimited];

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
    ("generate", &[ANY, KEYED, STORED, BODY, SUBMIT]),
    ("status", &[ANY, KEYED, STORED, &[Code::JobNotFound, Code::ValidationFailed, Code::Overloaded]]),
    ("result", &[ANY, KEYED, STORED, ENGINE, RESULT]),
    ("events", &[ANY, KEYED, STORED, &[Code::JobNotFound, Code::Overloaded]]),
    ("callbacks", &[ANY, KEYED, STORED, &[Code::JobNotFound, Code::ValidationFailed]]),
    ("redeliver", &[ANY, KEYED, STORED, REDELIVER]),
    ("cancel", &[ANY, KEYED, STORED, &[Code::JobNotFound]]),
    ("jobs", &[ANY, KEYED, STORED, &[Code::ValidationFailed]]),
    ("preview", &[ANY, KEYED, BODY, ENGINE, &[Code::NotAcceptable]]),
    ("submit_batch", &[ANY, KEYED, STORED, BODY, SUBMIT]),
    ("batch", &[ANY, KEYED, STORED, &[Code::BatchNotFound]]),
    ("legacy_generate_mesh", &[ANY, KEYED, BODY, ENGINE, FETCH]),
    ("legacy_generate_mesh_from_file", &[ANY, KEYED, BODY, ENGINE, FETCH]),
    ("legacy_extract_layers", &[ANY, KEYED, BODY, &[Code::Failure(F::ImageLoadFailed)]]),
    ("health", &[&[Code::RequestTimeout, Code::Failure(F::Internal)]]),
    ("ready", &[&[Code::Failure(F::Internal)]]),
    ("metrics", &[KEYED, &[Code::RequestTimeout, Code::Failure(F::Internal)]]),
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

/// A callback that cannot be sent again.
const REDELIVER: &[Code] = &[
    Code::JobNotFound,
    Code::CallbackNotFound,
    Code::CallbackInFlight,
    Code::CallbackSuperseded,
    Code::Failure(F::UrlNotAllowed),
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
        "key": {
            "type": "http",
            "scheme": "bearer",
            "description": "Needed where the service has API keys. A key has scopes: `submit` to have meshes made and call \
                            jobs off, `read` to see jobs and results, `admin` to see the service's metrics."
        }
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
        operation["security"] = json!([{}, { "key": [scope_of(&id)] }]);
        if let Some(responses) = operation["responses"].as_object_mut() {
            // Who has no good key has no rate.
            let to_keys = responses.iter_mut().filter(|(status, _)| *status != "401");
            to_keys.for_each(|(_, response)| describe_rate(response));
        }
    }
    // Indexing would leave a null where there are no parameters.
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    if let (true, Some(parameters)) = (id == "preview", parameters) {
        parameters.extend(PARAMETERS.iter().map(query_parameter));
    }
}

/// The scope that a key needs for an operation. The tests hold the routes against it.
fn scope_of(operation: &str) -> &'static str {
    let scope = match operation {
        "generate" | "submit_batch" | "preview" | "cancel" | "redeliver" => Scope::Submit,
        "legacy_generate_mesh" | "legacy_generate_mesh_from_file" | "legacy_extract_layers" => Scope::Submit,
        "metrics" => Scope::Admin,
        _ => Scope::Read,
    };
    scope.as_str()
}

/// What every answer to a key with a rate says of it.
fn describe_rate(response: &mut Value) {
    let about = [
        ("RateLimit-Policy", "Requests `q` that the key may make in `w` seconds, where it has a rate"),
        ("RateLimit", "Requests `r` that the key has left, and the seconds `t` until all are there again"),
    ];
    for (name, about) in about {
        response["headers"][name] = json!({ "description": about, "schema": { "type": "string" } });
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
    if matches!(status, 429 | 503) {
        let about = "Seconds after which to come back";
        response["headers"]["Retry-After"] = json!({ "description": about, "schema": { "type": "integer" } });
    }
    if matches!(status, 401 | 403) {
        let about = "What is wanted of the key, as RFC 6750 has it";
        response["headers"]["WWW-Authenticate"] = json!({ "description": about, "schema": { "type": "string" } });
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
        if let Some(words) = schema.get_mut("enum").and_then(Value::as_array_mut) {
            words.retain(|word| !word.is_null());
        }
    }
    json!({ "name": row.name, "in": "query", "required": false, "description": about, "schema": schema })
}
