//! Every way in which an image can fail to become a mesh.

use serde_json::{Value, json};
use thiserror::Error;

/// What the engine returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Why no mesh was made. [`code`](Error::code) is stable and fit for machines, the text says what to do, and
/// [`details`](Error::details) carries the numbers. No variant holds a path or an address.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are of a known format but broken, truncated or unreadable.
    #[error("the {format} image cannot be read: {reason}; export it again from its source")]
    ImageLoad {
        /// The format found by its magic bytes, such as `PNG`.
        format: &'static str,
        /// What the decoder objected to.
        reason: String,
    },
    /// A limit stands against the image's size; found in its header, before anything was allocated.
    #[error("the image's {what} is {value}, the limit is {limit}; scale the image down or raise the limit")]
    ImageTooLarge {
        /// The measure: `width`, `height` (px) or `file size` (bytes).
        what: &'static str,
        /// The image's value, in that measure.
        value: u64,
        /// The limit, in that measure.
        limit: u64,
    },
    /// The first bytes are of none of the formats read.
    #[error("the file is not an image SpineLift reads: {found}; use PNG, WebP, JPEG, GIF or BMP")]
    ImageFormat {
        /// What was there instead, such as `an empty file` or the first bytes in hexadecimal.
        found: String,
    },
    /// Nothing, or nothing large enough, is inside after threshold and blur.
    #[error("no contour of at least {min_contour_area} px2: {reason}")]
    ContourExtraction {
        /// What was there, no pixel inside or the largest contour's area, and what to change.
        reason: String,
        /// The largest contour's area in px2; 0 if there was none.
        largest_area: f64,
        /// The parameter that it missed.
        min_contour_area: f64,
    },
    /// The outline cannot be made into a polygon with an area.
    #[error("the outline of {vertices} vertices cannot be triangulated: {reason}")]
    Triangulation {
        /// Vertices of the simplified outline.
        vertices: usize,
        /// What was wrong and what to change.
        reason: String,
    },
    /// Refinement would make more triangles than allowed; estimated before it starts.
    #[error(
        "internal_vertex_density {density} would make about {estimate} triangles, the limit is {limit}; \
         use internal_vertex_density {}, or raise min_triangle_area", or_less(.fitting_density)
    )]
    MeshTooLarge {
        /// Triangles expected.
        estimate: u64,
        /// Triangles allowed.
        limit: u64,
        /// The parameter as it was given.
        density: u32,
        /// The largest value of it that fits.
        fitting_density: u32,
    },
    /// Refinement to `max_triangle_area` would make more triangles than allowed; estimated before it starts.
    #[error(
        "max_triangle_area {max_triangle_area} would make about {estimate} triangles, the limit is {limit}; \
         raise max_triangle_area, or set it to 0"
    )]
    AreaTooSmall {
        /// Triangles expected.
        estimate: u64,
        /// Triangles allowed.
        limit: u64,
        /// The parameter as it was given, px2.
        max_triangle_area: f64,
    },
    /// A ring at `rim` would make more triangles than allowed; estimated before it starts.
    #[error("rim {rim} would make about {estimate} triangles, the limit is {limit}; raise rim, or set it to 0")]
    RimTooNarrow {
        /// Triangles expected.
        estimate: u64,
        /// Triangles allowed.
        limit: u64,
        /// The parameter as it was given, px.
        rim: f64,
    },
    /// With `outline = cover`, more to outline than any art has: noise, or a sheet of thousands of specks.
    #[error("there are more than {limit} {what}, too many for outline cover; {advice}")]
    TooRagged {
        /// What there is too much of, such as `islands`.
        what: &'static str,
        /// Most of it that is allowed.
        limit: usize,
        /// What to change, by the parameters in force.
        advice: String,
    },
    /// Parameters that are no number, no known type or out of range; all of them at once.
    #[error("{}", list_violations(.0))]
    Parameters(Vec<Violation>),
    /// The observer asked to stop: cancelled, or out of time.
    #[error("stopped while {stage}")]
    Stopped {
        /// The stage that was interrupted, such as `loading the image`.
        stage: &'static str,
    },
    /// Our own mistake: a result failed its check. Nothing is returned rather than a broken mesh.
    #[error("internal error: {0}; please report it with the image")]
    Internal(String),
}

/// One parameter that was refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Violation {
    /// The parameter.
    pub name: String,
    /// Its value as it was given.
    pub value: Value,
    /// What it must be, such as `a number from 0.001 to 0.05`.
    pub expected: String,
}

impl Error {
    /// The stable code, as on the wire.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::ImageLoad { .. } => "IMAGE_LOAD_FAILED",
            Self::ImageTooLarge { .. } => "IMAGE_TOO_LARGE",
            Self::ImageFormat { .. } => "IMAGE_FORMAT_UNSUPPORTED",
            Self::ContourExtraction { .. } => "CONTOUR_EXTRACTION_FAILED",
            Self::Triangulation { .. } => "TRIANGULATION_FAILED",
            Self::MeshTooLarge { .. }
            | Self::AreaTooSmall { .. }
            | Self::RimTooNarrow { .. }
            | Self::TooRagged { .. } => "MESH_TOO_LARGE",
            Self::Parameters(_) => "VALIDATION_FAILED",
            Self::Stopped { .. } => "CANCELLED",
            Self::Internal(_) => "INTERNAL",
        }
    }

    /// The numbers behind the text, as a JSON object.
    #[must_use]
    pub fn details(&self) -> Value {
        match self {
            Self::ImageLoad { format, reason } => json!({ "format": format, "reason": reason }),
            Self::ImageTooLarge { what, value, limit } => json!({ "what": what, "value": value, "limit": limit }),
            Self::ImageFormat { found } => json!({ "found": found }),
            Self::ContourExtraction { largest_area, min_contour_area, .. } => {
                json!({ "largest_area": largest_area, "min_contour_area": min_contour_area })
            }
            Self::Triangulation { vertices, reason } => json!({ "vertices": vertices, "reason": reason }),
            Self::MeshTooLarge { estimate, limit, density, fitting_density } => json!({
                "estimated_triangles": estimate, "limit": limit,
                "internal_vertex_density": density, "fitting_internal_vertex_density": fitting_density,
            }),
            Self::TooRagged { what, limit, .. } => json!({ "what": what, "limit": limit }),
            Self::AreaTooSmall { estimate, limit, max_triangle_area } => json!({
                "estimated_triangles": estimate, "limit": limit, "max_triangle_area": max_triangle_area,
            }),
            Self::RimTooNarrow { estimate, limit, rim } => json!({
                "estimated_triangles": estimate, "limit": limit, "rim": rim,
            }),
            Self::Parameters(violations) => {
                let fields: Vec<Value> = violations
                    .iter()
                    .map(|v| json!({ "name": v.name, "value": v.value, "expected": v.expected }))
                    .collect();
                json!({ "violations": fields })
            }
            Self::Stopped { stage } => json!({ "stage": stage }),
            Self::Internal(_) => json!({}),
        }
    }
}

fn or_less(density: &u32) -> String {
    if *density == 0 { "0, which does not refine".to_owned() } else { format!("{density} or less") }
}

fn list_violations(violations: &[Violation]) -> String {
    let each: Vec<String> =
        violations.iter().map(|v| format!("{} is {}, must be {}", v.name, v.value, v.expected)).collect();
    each.join("; ")
}
