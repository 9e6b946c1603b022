//! The two routes that today's SpineLift app calls: an image in, its mesh out, errors as `{"detail"}`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::extract::Submission;
use super::face::Shared;
use super::generate::{Image, read_image};
use super::request::{self, Reader};
use super::schema::{LegacyForm, LegacyRequest, LegacyResult};
use crate::compute::Task;
use crate::export::Format;
use crate::mesh::parameters::PARAMETERS;

/// Their paths. Errors there are `{"detail"}` whatever `Accept` says and wherever they come from: the app reads no other.
pub(super) const PATHS: [&str; 3] = ["/api/generate_mesh", "/api/generate_mesh_from_file", super::psd_layers::PATH];

/// What the app reads of a mesh.
const PARTS: [&str; 5] = ["vertices", "triangles", "uvs", "bounds", "metadata"];

/// A mesh from a URL.
#[utoipa::path(
    post, path = "/api/generate_mesh", operation_id = "legacy_generate_mesh", tag = "legacy",
    request_body(content = LegacyRequest),
    responses((status = 200, body = LegacyResult, description = "The mesh")),
)]
pub(super) async fn from_url(State(face): State<Shared>, submission: Submission) -> Result<Response, ApiError> {
    generate(&face, submission).await
}

/// A mesh from a file.
#[utoipa::path(
    post, path = "/api/generate_mesh_from_file", operation_id = "legacy_generate_mesh_from_file", tag = "legacy",
    request_body(content = LegacyForm, content_type = "multipart/form-data"),
    responses((status = 200, body = LegacyResult, description = "The mesh")),
)]
pub(super) async fn from_file(State(face): State<Shared>, submission: Submission) -> Result<Response, ApiError> {
    generate(&face, submission).await
}

async fn generate(face: &Shared, submission: Submission) -> Result<Response, ApiError> {
    let Submission { mut fields, files, strays } = submission;
    let mut reader = Reader::default();
    let image = read_image(face, &mut reader, &mut fields, files, &strays);
    let (parameters, warnings) = reader.parameters_of(&Value::Object(gather_parameters(&mut fields)));
    reader.finish()?;
    let image = match image.ok_or_else(ApiError::internal)? {
        Image::File(bytes) => bytes,
        Image::Url(url) => {
            let most = face.app.config.images.limits.max_bytes;
            face.app.net.fetch(&url, most).await.map_err(|error| ApiError::from(error.failure))?
        }
    };
    request::expect_image(&image)?;
    let format = Format::named("json").ok_or_else(ApiError::internal)?;
    let made = face.compute(Task { image, parameters, warnings, format }).await?;
    let mesh: Map<String, Value> = serde_json::from_slice(&made.bytes).map_err(|_| ApiError::internal())?;
    let mesh: Map<String, Value> = mesh.into_iter().filter(|(name, _)| PARTS.contains(&name.as_str())).collect();
    Ok(Json(json!({ "mesh": mesh })).into_response())
}

/// Parameters are at the top level or under `parameters`; what is at the top wins.
fn gather_parameters(fields: &mut Map<String, Value>) -> Map<String, Value> {
    let mut parameters = match fields.remove("parameters") {
        Some(Value::Object(parameters)) => parameters,
        _ => Map::new(),
    };
    let at_the_top = PARAMETERS.iter().filter_map(|row| fields.remove_entry(row.name));
    parameters.extend(at_the_top);
    parameters
}
