//! The parameters of a mesh: their values, their table, and how they are read.

mod choices;
mod lenient;
mod preset;
mod read;
mod table;

use serde::Serialize;
use serde_json::Value;

pub use choices::{Effort, Holes, Islands, OutlineMode, Preset, Symmetry};
pub use table::{Kind, PARAMETERS, Parameter};

use super::error::Result;

/// The nine parameters, in the specification's names and units, and those of `outline = cover`, whose defaults change
/// nothing.
///
/// The fields are public so that a caller may write a literal; [`check`](Self::check) finds what is out of range.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MeshParameters {
    /// How closely the outline follows the shape. No unit. Range 0.001 to 0.05, default 0.01.
    /// Higher keeps MORE detail: the simplification tolerance falls from 3 % to 0.2 % of the outline's length.
    pub detail_factor: f64,
    /// Alpha below this counts as fully transparent. Alpha units. Range 0 to 255, default 10.
    /// Higher drops more of a soft edge; it acts before blur and [`binary_threshold`](Self::binary_threshold).
    pub alpha_threshold: u8,
    /// How much the outline is smoothed. No unit. Range 0 to 100, default 0.
    /// Higher smooths MORE: the simplification tolerance grows up to five times.
    pub concave_factor: f64,
    /// How many inner vertices to add. No unit. Range 0 to 100, default 0.
    /// 0 triangulates the outline alone; higher adds more and smaller triangles inside.
    pub internal_vertex_density: u32,
    /// Width of the box blur that closes gaps and rounds corners of the mask. In px. Range 1 to 21, default 1.
    /// 1 does not blur; an even value is used as the next odd one, see [`blur_kernel`](Self::blur_kernel).
    pub blur_kernel_size: u32,
    /// After blur, a pixel is inside if its value is strictly above this. Alpha units. Range 0 to 255, default 128.
    /// Higher shrinks the shape; 255 leaves nothing inside.
    pub binary_threshold: u8,
    /// Shapes with a smaller contour are ignored. In px2. Range 1 to 1000, default 10.
    /// Higher ignores larger specks; if nothing is left, that is an error.
    pub min_contour_area: f64,
    /// Triangles per step of `internal_vertex_density` on the whole image. No unit. Range 100 to 10000, default 1000.
    /// Higher makes smaller triangles: none exceeds width * height / (density * this).
    pub density_scaling_factor: f64,
    /// The largest allowed triangle area is never set below this. In px2. Range 0.1 to 100, default 1.
    /// Higher makes fewer triangles where the density asks for very small ones.
    pub min_triangle_area: f64,
    /// How the outline is found. Default trace.
    /// Trace is the reference; what follows acts with cover alone.
    #[serde(skip_serializing_if = "is_default")]
    pub outline: OutlineMode,
    /// Room around the shape. In px. Range 0 to 64, default 0.
    /// Higher moves the outline further out, also beyond the image's border.
    #[serde(skip_serializing_if = "is_default")]
    pub padding: f64,
    /// Most vertices of all outlines together. No unit. Range 0 to 1000, default 0.
    /// 0 sets no budget: [`detail_factor`](Self::detail_factor) decides. A hull needs at least 3.
    #[serde(skip_serializing_if = "is_default")]
    pub max_vertices: u32,
    /// How long an outline is sought. Default fast.
    #[serde(skip_serializing_if = "is_default")]
    pub effort: Effort,
    /// Which islands are kept. Default largest.
    #[serde(skip_serializing_if = "is_default")]
    pub islands: Islands,
    /// What becomes of holes. Default fill.
    #[serde(skip_serializing_if = "is_default")]
    pub holes: Holes,
    /// Least angle of a triangle where the outline allows it. Degrees. Range 0 to 30, default 0.
    /// Above 0 vertices are added inside and on the outline's edges.
    #[serde(skip_serializing_if = "is_default")]
    pub min_angle: f64,
    /// Least distance between two vertices. In px. Range 0 to 256, default 0.
    /// Vertices that are too close break automatic weights.
    #[serde(skip_serializing_if = "is_default")]
    pub min_edge_length: f64,
    /// Largest area of a triangle. In px2. Range 0 to 1000000000, default 0.
    /// 0 allows any; smaller ones mean more vertices inside.
    #[serde(skip_serializing_if = "is_default")]
    pub max_triangle_area: f64,
    /// Distance of a ring of vertices inside the outline, for meshes that are bent. In px. Range 0 to 256, default 0.
    /// 0 adds none; there is none either where the shape is too thin for it.
    #[serde(skip_serializing_if = "is_default")]
    pub rim: f64,
    /// Whether the mesh is mirrored about an upright axis. Default none.
    #[serde(skip_serializing_if = "is_default")]
    pub symmetry: Symmetry,
}

/// Whether a number parameter can be higher than this.
pub(super) fn can_rise(name: &str, value: f64) -> bool {
    PARAMETERS.iter().any(|row| row.name == name && value < row.max)
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Default for MeshParameters {
    fn default() -> Self {
        Self {
            detail_factor: table::DETAIL_FACTOR.default,
            alpha_threshold: table::ALPHA_THRESHOLD.default as u8,
            concave_factor: table::CONCAVE_FACTOR.default,
            internal_vertex_density: table::INTERNAL_VERTEX_DENSITY.default as u32,
            blur_kernel_size: table::BLUR_KERNEL_SIZE.default as u32,
            binary_threshold: table::BINARY_THRESHOLD.default as u8,
            min_contour_area: table::MIN_CONTOUR_AREA.default,
            density_scaling_factor: table::DENSITY_SCALING_FACTOR.default,
            min_triangle_area: table::MIN_TRIANGLE_AREA.default,
            outline: OutlineMode::default(),
            padding: table::PADDING.default,
            max_vertices: table::MAX_VERTICES.default as u32,
            effort: Effort::default(),
            islands: Islands::default(),
            holes: Holes::default(),
            min_angle: table::MIN_ANGLE.default,
            min_edge_length: table::MIN_EDGE_LENGTH.default,
            max_triangle_area: table::MAX_TRIANGLE_AREA.default,
            rim: table::RIM.default,
            symmetry: Symmetry::default(),
        }
    }
}

impl MeshParameters {
    /// Reads parameters from a JSON object as pydantic 2 does in its lax mode: an integer may come as `20.0`, `"20"` or
    /// `true`, a number as `"0.02"`; null means absent, and absent means the default. Returns the parameters and a
    /// warning for each unknown name, with the nearest known one.
    ///
    /// # Errors
    /// [`Error::Parameters`](super::Error::Parameters) with every violation at once, in the order of [`PARAMETERS`].
    ///
    /// ```
    /// use spinelift::mesh::MeshParameters;
    /// let given = serde_json::json!({ "detail_factor": "0.02", "blur_kernel": 5 });
    /// let (parameters, warnings) = MeshParameters::from_json(&given)?;
    /// assert_eq!(parameters.detail_factor, 0.02);
    /// assert!(warnings[0].contains("blur_kernel_size"));
    /// # Ok::<(), spinelift::mesh::Error>(())
    /// ```
    pub fn from_json(value: &Value) -> Result<(Self, Vec<String>)> {
        read::from_json(value)
    }

    /// Reads `NAME=VALUE` assignments on top of a JSON object of parameters; `{}` and null are no parameters at all.
    /// Later assignments win over earlier ones, and all of them over the object.
    ///
    /// # Errors
    /// As [`from_json`](Self::from_json), with a violation also for each assignment that has no `=`.
    pub fn from_assignments<S: AsRef<str>>(base: &Value, assignments: &[S]) -> Result<(Self, Vec<String>)> {
        read::from_assignments(base, assignments)
    }

    /// Checks values that did not come through [`from_json`](Self::from_json).
    ///
    /// # Errors
    /// [`Error::Parameters`](super::Error::Parameters) with every value that is out of range or not a number.
    pub fn check(&self) -> Result<()> {
        read::check(self)
    }

    /// The blur's width in px as it is used: odd, so that it has a middle; 1 does not blur.
    #[must_use]
    pub fn blur_kernel(&self) -> u32 {
        self.blur_kernel_size | 1
    }
}
