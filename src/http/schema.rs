//! Shapes that exist for the OpenAPI document alone: what is sent to the service, and answers that are written by hand.

#![expect(dead_code, reason = "no value is ever made of them; the document reads their fields")]

use serde_json::{Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

use super::codes::Code;
use super::result_schema::{Bounds, Metadata};
use super::wire::{JobError, Status};
use crate::job::FailureCode;
use crate::mesh::parameters::{Kind, PARAMETERS};

/// A job to be done.
#[derive(ToSchema)]
pub(super) struct GenerateRequest {
    /// Where the image is: http or https, at a public address.
    #[schema(format = "uri", example = "https://example.com/hero.png")]
    image_url: String,
    parameters: Option<Parameters>,
    /// Where to post progress and the end.
    #[schema(format = "uri", example = "https://example.com/callbacks/mesh")]
    callback_url: Option<String>,
    /// 1 to 64 of `A-Z a-z 0-9 _ -`; a new one if absent.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$", example = "hero-42")]
    job_id: Option<String>,
}

/// A job to be done, with its image. Every parameter may also be a field of its own.
#[derive(ToSchema)]
pub(super) struct GenerateForm {
    /// The image: PNG, WebP, JPEG, GIF or BMP.
    #[schema(value_type = String, content_media_type = "application/octet-stream")]
    file: Vec<u8>,
    /// The parameters as JSON.
    #[schema(nullable = false, example = "{\"detail_factor\": 0.02}")]
    parameters: Option<String>,
    /// Where to post progress and the end.
    #[schema(nullable = false, format = "uri")]
    callback_url: Option<String>,
    /// 1 to 64 of `A-Z a-z 0-9 _ -`; a new one if absent.
    #[schema(nullable = false, pattern = "^[A-Za-z0-9_-]{1,64}$")]
    job_id: Option<String>,
}

/// Many jobs to be done. `images` and `image_urls` may be mixed.
#[derive(ToSchema)]
pub(super) struct BatchRequest {
    /// Images with ids.
    images: Option<Vec<BatchImage>>,
    /// Images without.
    image_urls: Option<Vec<String>>,
    parameters: Option<Parameters>,
    /// Where to post progress and the end of every job.
    #[schema(format = "uri")]
    callback_url: Option<String>,
}

/// One image of a batch.
#[derive(ToSchema)]
pub(super) struct BatchImage {
    /// Where the image is.
    #[schema(format = "uri", example = "https://example.com/hero.png")]
    image_url: String,
    /// 1 to 64 of `A-Z a-z 0-9 _ -`; a new one if absent.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$", example = "hero-42")]
    job_id: Option<String>,
}

/// Many jobs to be done, with their images.
#[derive(ToSchema)]
pub(super) struct BatchForm {
    /// The images.
    #[schema(value_type = Vec<String>)]
    file: Vec<Vec<u8>>,
    /// The parameters as JSON.
    #[schema(nullable = false)]
    parameters: Option<String>,
    /// Where to post progress and the end of every job.
    #[schema(nullable = false, format = "uri")]
    callback_url: Option<String>,
}

/// An image, as a form. Every parameter may also be a field of its own.
#[derive(ToSchema)]
pub(super) struct PreviewForm {
    /// The image.
    #[schema(value_type = String, content_media_type = "application/octet-stream")]
    file: Vec<u8>,
    /// The parameters as JSON.
    #[schema(nullable = false)]
    parameters: Option<String>,
}

/// What today's SpineLift app sends. Parameters are at the top level or under `parameters`.
#[derive(ToSchema)]
pub(super) struct LegacyRequest {
    /// Where the image is.
    #[schema(format = "uri")]
    image_url: String,
    parameters: Option<Parameters>,
}

/// What today's SpineLift app sends with a file. Every parameter may be a field of its own.
#[derive(ToSchema)]
pub(super) struct LegacyForm {
    /// The image.
    #[schema(value_type = String, content_media_type = "application/octet-stream")]
    file: Vec<u8>,
}

/// A layered picture. What else today's SpineLift app sends, `project_id` and `callback_url`, is ignored: all there is to
/// tell is in the answer.
#[derive(ToSchema)]
pub(super) struct PsdForm {
    /// The PSD or PSB.
    #[schema(value_type = String, content_media_type = "application/octet-stream")]
    psd_file: Vec<u8>,
}

/// What today's SpineLift app reads.
#[derive(ToSchema)]
pub(super) struct LegacyResult {
    mesh: LegacyMesh,
}

/// The parts of a mesh that today's SpineLift app reads.
#[derive(ToSchema)]
pub(super) struct LegacyMesh {
    /// Pixels from the top left corner.
    #[schema(value_type = Vec<Vec<f64>>)]
    vertices: Vec<[f64; 2]>,
    /// Indices of vertices.
    #[schema(value_type = Vec<Vec<u32>>)]
    triangles: Vec<[u32; 3]>,
    /// u and v of every vertex in turn, 0 to 1, v = 0 at the top.
    uvs: Vec<f64>,
    bounds: Bounds,
    metadata: Metadata,
}

/// What an event's `data` and a callback's body hold.
#[derive(ToSchema)]
pub(super) struct JobEvent {
    job_id: String,
    /// Percent.
    #[schema(maximum = 100)]
    progress: u8,
    /// What is being done.
    message: String,
    /// When it happened.
    #[schema(format = DateTime)]
    timestamp: String,
    status: Status,
    /// 1 for the job's first event; grows by one.
    sequence: u64,
    /// Where the result is, in the event of completion.
    #[schema(nullable = false, format = "uri")]
    result_url: Option<String>,
    #[schema(nullable = false)]
    error: Option<JobError>,
}

/// `{"error":{...}}`.
#[derive(ToSchema)]
pub(super) struct ErrorAnswer {
    error: ErrorBody,
}

/// Why a request was refused.
#[derive(ToSchema)]
pub(super) struct ErrorBody {
    code: ErrorCode,
    /// For people: what was wrong and what to do.
    message: String,
    /// The numbers. Of `VALIDATION_FAILED`: `violations`, each with `name`, `value` and `expected`.
    #[schema(value_type = Object)]
    details: Value,
    /// Names the request in the service's log.
    #[schema(nullable = false)]
    request_id: Option<String>,
}

/// An error as RFC 9457 has it.
#[derive(ToSchema)]
pub(super) struct Problem {
    #[schema(rename = "type", example = "about:blank")]
    r#type: String,
    title: String,
    status: u16,
    /// For people: what was wrong and what to do.
    detail: String,
    code: ErrorCode,
    /// The numbers.
    #[schema(value_type = Object)]
    details: Value,
    /// Names the request in the service's log.
    #[schema(nullable = false)]
    request_id: Option<String>,
}

/// An error of the two old routes.
#[derive(ToSchema)]
pub(super) struct Detail {
    detail: String,
}

/// Lines of `id:`, `event:` and `data:`; the last holds a `JobEvent`.
pub(super) struct EventStream;

/// The parameters; each absent or null one has its default.
pub(super) struct Parameters;

/// What a request is refused with.
pub(super) struct ErrorCode;

/// What a job fails with.
pub(super) struct FailureName;

impl ToSchema for EventStream {}
impl ToSchema for Parameters {}
impl ToSchema for ErrorCode {}
impl ToSchema for FailureName {}

impl PartialSchema for EventStream {
    fn schema() -> RefOr<Schema> {
        let about = "Lines of `id:`, `event:` and `data:`; the last holds a JobEvent as JSON.";
        ObjectBuilder::new().schema_type(Type::String).description(Some(about)).into()
    }
}

impl PartialSchema for Parameters {
    fn schema() -> RefOr<Schema> {
        let about = "The nine parameters; each absent or null one has its default.";
        let all = ObjectBuilder::new().schema_type(Type::Object).description(Some(about));
        PARAMETERS.iter().fold(all, |all, row| all.property(row.name, parameter(row.name))).into()
    }
}

impl PartialSchema for ErrorCode {
    fn schema() -> RefOr<Schema> {
        names(Code::ALL.iter().map(|code| code.row().name))
    }
}

impl PartialSchema for FailureName {
    fn schema() -> RefOr<Schema> {
        names(FailureCode::ALL.iter().map(|code| code.as_str()))
    }
}

fn names(names: impl Iterator<Item = &'static str>) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names)).into()
}

/// One parameter by the engine's own table.
pub(super) fn parameter(name: &str) -> Schema {
    let Some(row) = PARAMETERS.iter().find(|row| row.name == name) else { return ArrayBuilder::new().into() };
    let unit = if row.unit.is_empty() { String::new() } else { format!(" Unit: {}.", row.unit) };
    let described = ObjectBuilder::new().description(Some(format!("{}.{unit}", row.effect)));
    let (kind, number): (Type, fn(f64) -> Value) = match row.kind {
        Kind::Choice(words) => {
            let values = words.iter().map(|word| json!(word)).chain([Value::Null]);
            let schema = described.schema_type(SchemaType::from_iter([Type::String, Type::Null]));
            return schema.enum_values(Some(values)).default(Some(json!(row.default_value()))).into();
        }
        Kind::Whole => (Type::Integer, |number| json!(number as i64)),
        _ => (Type::Number, |number| json!(number)),
    };
    let schema = described
        .schema_type(SchemaType::from_iter([kind, Type::Null]))
        .minimum(Some(row.min))
        .maximum(Some(row.max))
        .default(Some(number(row.default)));
    schema.into()
}
