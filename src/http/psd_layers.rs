//! `POST /api/extract_layers`: the route by which today's SpineLift app takes a PSD apart.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};
use serde_json::Value;
use utoipa::ToSchema;

use super::codes::Code;
use super::error::ApiError;
use super::extract::{Form, PSD_FILE};
use super::face::Shared;
use super::request::Reader;
use super::schema::PsdForm;
use crate::compute::PngLayer;
use crate::decode::psd;
use crate::job::FailureCode;
use crate::mesh;

/// Its path.
pub(super) const PATH: &str = "/api/extract_layers";

/// The visible layers, bottom to top.
#[derive(Serialize, ToSchema)]
pub(super) struct ExtractedLayers {
    total_layers: usize,
    layers: Vec<ExtractedLayer>,
}

/// One layer.
#[derive(Serialize, ToSchema)]
struct ExtractedLayer {
    name: String,
    /// A PNG of the layer's pixels, its masks applied, in Base64.
    #[serde(serialize_with = "as_base64")]
    #[schema(value_type = String)]
    image_data: Vec<u8>,
    /// Counted from 0 at the bottom.
    position: usize,
    bounds: LayerBounds,
    /// `bounds.x`.
    x: i32,
    /// `bounds.y`.
    y: i32,
    /// `bounds.width`.
    width: u32,
    /// `bounds.height`.
    height: u32,
    /// 0 to 1, that of the layer's groups included.
    opacity: f64,
    /// How the layer meets what is below it, as `BlendMode.NORMAL`.
    blend_mode: String,
    metadata: LayerMetadata,
}

/// Where a layer lies on the canvas, px; it may reach beyond it.
#[derive(Serialize, ToSchema)]
struct LayerBounds {
    x: i32,
    y: i32,
    width: u32,
    height: u32,
}

/// What else is known of a layer.
#[derive(Serialize, ToSchema)]
struct LayerMetadata {
    /// Always true: others are not extracted.
    visible: bool,
    has_mask: bool,
    /// The names of the groups that it is in, outermost first.
    groups: Vec<String>,
}

/// The layers of a PSD.
#[utoipa::path(
    post, path = "/api/extract_layers", operation_id = "legacy_extract_layers", tag = "legacy",
    request_body(content = PsdForm, content_type = "multipart/form-data"),
    responses((status = 200, body = ExtractedLayers, description = "The visible layers, bottom to top")),
)]
pub(super) async fn extract_layers(State(face): State<Shared>, Form(submission): Form) -> Result<Response, ApiError> {
    let mut files = submission.files;
    let mut reader = Reader::default();
    if files.len() != 1 {
        let found = if files.is_empty() { Value::Null } else { files.len().into() };
        let instead = submission.strays.instead();
        reader.refuse(PSD_FILE, &found, format_args!("one file, a part of a multipart form{instead}"));
    }
    reader.finish()?;
    let file = files.pop().ok_or_else(ApiError::internal)?;
    if !psd::is_psd(&file) {
        let message = "the file is not a PSD: it does not begin with 8BPS";
        return Err(ApiError::new(Code::Failure(FailureCode::ImageFormatUnsupported), message));
    }
    let answer = face.layers(file, write).await?;
    Ok(([(CONTENT_TYPE, "application/json")], answer).into_response())
}

/// The answer, in one piece that does not grow while it is written.
fn write(layers: Vec<PngLayer>) -> mesh::Result<Vec<u8>> {
    let text_bytes = layers.iter().map(PngLayer::text_bytes).sum();
    let layers: Vec<ExtractedLayer> = layers.into_iter().enumerate().map(ExtractedLayer::from).collect();
    let mut text = Vec::with_capacity(text_bytes);
    serde_json::to_writer(&mut text, &ExtractedLayers { total_layers: layers.len(), layers })
        .map_err(|error| mesh::Error::Internal(format!("the layers cannot be written as JSON: {error}")))?;
    Ok(text)
}

/// Text by text, as the whole would be a copy more.
fn as_base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&Base64Display::new(bytes, &STANDARD))
}

impl From<(usize, PngLayer)> for ExtractedLayer {
    fn from((position, layer): (usize, PngLayer)) -> Self {
        let PngLayer { name, groups, bounds, opacity, blend, has_mask, png } = layer;
        let psd::Bounds { x, y, width, height } = bounds;
        Self {
            name,
            image_data: png,
            position,
            bounds: LayerBounds { x, y, width, height },
            x,
            y,
            width,
            height,
            opacity,
            blend_mode: format!("BlendMode.{}", blend.name().to_uppercase()),
            metadata: LayerMetadata { visible: true, has_mask, groups },
        }
    }
}
