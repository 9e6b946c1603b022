//! `POST /mesh/preview`: an image in, its mesh out, at once and without a trace. The hot path: sliders call it.

use axum::extract::{FromRequest, Request, State};
use axum::response::Response;
use bytes::Bytes;
use serde_json::Value;

use super::error::ApiError;
use super::extract::{self, Query, Submission};
use super::face::Shared;
use super::request::Reader;
use super::result::{wanted, written};
use super::result_schema::MeshFile;
use super::schema::PreviewForm;
use crate::compute::Task;
use crate::mesh::MeshParameters;

/// A mesh at once.
///
/// For live sliders: nothing is stored. The image is the body, or `file` of a multipart form; the nine parameters are in
/// the query. Answers 503 with `Retry-After` when too many wait.
#[utoipa::path(
    post, path = "/mesh/preview", operation_id = "preview", tag = "preview",
    params(
        ("format" = Option<String>, Query, description = "json, outline, svg or png", example = "json"),
        ("Accept" = Option<String>, Header, description = "The media type of a format"),
    ),
    request_body(content((Vec<u8> = "application/octet-stream"), (Vec<u8> = "image/*"), (PreviewForm = "multipart/form-data"))),
    responses((status = 200, description = "The mesh",
        content((MeshFile = "application/json"), (String = "image/svg+xml"), (Vec<u8> = "image/png"),
            (Vec<u8> = "model/gltf-binary"), (String = "model/obj"), (String = "application/x-godot-scene")))),
)]
pub(super) async fn preview(
    State(face): State<Shared>,
    mut query: Query,
    request: Request,
) -> Result<Response, ApiError> {
    let format = wanted(request.headers(), &mut query)?;
    let mut given = query.rest();
    let image = read_image(&face, request, &mut given).await?;
    // Most sliders send most parameters; most scripts send none.
    let (parameters, warnings) = if given.is_empty() {
        (MeshParameters::default(), Vec::new())
    } else {
        let mut reader = Reader::default();
        let parameters = reader.parameters_of(&Value::Object(given));
        reader.finish()?;
        parameters
    };
    let made = face.compute(Task { image, parameters, warnings, format }).await?;
    Ok(written(format, made.bytes))
}

/// The image; parameters in a form join those of the query.
async fn read_image(
    face: &Shared,
    request: Request,
    given: &mut serde_json::Map<String, Value>,
) -> Result<Bytes, ApiError> {
    if extract::media_type(request.headers()) != "multipart/form-data" {
        return extract::read_image(request.into_body(), face.app.config.images.limits.max_bytes).await;
    }
    let Submission { mut fields, mut files, strays } = Submission::from_request(request, face).await?;
    let mut reader = Reader::default();
    match fields.remove("parameters") {
        Some(Value::Object(parameters)) => given.extend(parameters),
        None | Some(Value::Null) => {}
        Some(other) => reader.refuse("parameters", &other, "a JSON object such as {\"detail_factor\": 0.02}"),
    }
    if files.len() != 1 {
        let found = if files.is_empty() { Value::Null } else { files.len().into() };
        reader.refuse("file", &found, format_args!("one file{}", strays.instead()));
    }
    reader.finish()?;
    files.pop().ok_or_else(ApiError::internal)
}
