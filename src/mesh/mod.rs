//! From an alpha plane to a triangle mesh: [`build`] is the list of stages.

pub mod alpha;
mod blur;
pub mod check;
mod components;
mod contour;
mod density;
pub(crate) mod echo;
mod edges;
pub mod error;
mod geometry;
mod lattice;
mod mask;
mod nearby;
mod noding;
pub mod observer;
mod pack;
pub mod parameters;
mod polygon;
mod refine;
mod repair;
pub mod score;
mod simplify;
mod triangulate;
mod triangulation;
mod uv;

pub use alpha::AlphaPlane;
pub use error::{Error, Result};
pub use observer::{Observer, Stage};
pub use parameters::MeshParameters;

/// A triangle mesh over an image. Image space: origin top-left, x right, y down, px.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Mesh {
    /// Width of the image, px.
    pub width: u32,
    /// Height of the image, px.
    pub height: u32,
    /// `[x, y]` in px, one per vertex. Hull vertices come first, in hull order.
    pub vertices: Vec<[f64; 2]>,
    /// Three vertex indices per triangle, one orientation throughout.
    pub triangles: Vec<[u32; 3]>,
    /// `[u, v]`, one per vertex, `v = 0` at the top.
    pub uvs: Vec<[f64; 2]>,
    /// Edges of one triangle, `[lower index, higher index]`.
    pub boundary_edges: Vec<[u32; 2]>,
    /// Edges of two triangles, `[lower index, higher index]`.
    pub internal_edges: Vec<[u32; 2]>,
    /// The hull's vertices in order: `0..hull length`.
    pub boundary_indices: Vec<u32>,
    /// The connected parts; one unless asked otherwise.
    pub components: Vec<Component>,
    /// What the mesh was made from, before repair and refinement.
    pub outline: Outline,
    /// The parameters that made it.
    pub parameters: MeshParameters,
    /// What the caller should know, in sentences.
    pub warnings: Vec<String>,
}

/// One connected part of a mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Component {
    /// Index of its first vertex; its hull starts there.
    pub first_vertex: u32,
    /// How many vertices its hull has.
    pub hull_length: u32,
    /// How many vertices it has in all, hull included.
    pub vertex_count: u32,
    /// Index of its first triangle.
    pub first_triangle: u32,
    /// How many triangles it has.
    pub triangle_count: u32,
}

/// The simplified outline, before repair.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Outline {
    /// Points of the compressed contour before simplification.
    pub contour_points: usize,
    /// Douglas-Peucker tolerance, px.
    pub epsilon_px: f64,
    /// `[x, y]` pixel indices in order.
    pub points: Vec<[i32; 2]>,
}

/// Limits on what is made; those on what is read are [`crate::decode::Limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeshLimits {
    /// Most triangles that refinement may make. More are refused by an estimate beforehand; at the limit triangles are
    /// no longer split for a better angle, so that the result exceeds it by a few in a thousand at most.
    pub max_triangles: u64,
}

impl Default for MeshLimits {
    fn default() -> Self {
        Self { max_triangles: 500_000 }
    }
}

/// Makes a mesh from an alpha plane: the stages, in order.
///
/// The same plane and parameters give the same mesh on any machine and with any number of threads.
///
/// # Errors
/// [`Error::Parameters`] if one is out of range, [`Error::ContourExtraction`] if nothing large enough is inside,
/// [`Error::MeshTooLarge`] if refinement would exceed the limit, [`Error::Triangulation`] if the outline has no area,
/// [`Error::Stopped`] if the observer asks for it.
pub fn build(
    alpha: &AlphaPlane,
    parameters: &MeshParameters,
    limits: &MeshLimits,
    observer: &dyn Observer,
) -> Result<Mesh> {
    parameters.check()?;
    observer::enter(observer, Stage::Mask)?;
    observer::enter(observer, Stage::Blur)?;
    let mask = mask::threshold(alpha, parameters, observer)?;
    observer::enter(observer, Stage::Contour)?;
    let contour = contour::largest(&mask, parameters.min_contour_area, observer)?;
    observer::enter(observer, Stage::Simplify)?;
    let epsilon_px = simplify::epsilon_px(&contour, parameters);
    let points = simplify::simplify(&contour, epsilon_px, observer)?;
    observer::enter(observer, Stage::Triangulate)?;
    let size = [alpha.width(), alpha.height()];
    let outline = Outline { contour_points: contour.len(), epsilon_px, points };
    let mut shape = polygon::triangulate(&contour, outline, size, observer)?;
    if alpha.rows().is_none() {
        shape.warnings.push("the image has no transparency, so the mesh is its rectangle".to_owned());
    }
    density::apply(&mut shape.triangulation, size, parameters, limits, observer)?;
    let (triangulation, hull_length) = shape.triangulation.hull_first(shape.signed_area_px2 > 0.0);
    observer::enter(observer, Stage::Uvs)?;
    let uvs = uv::coordinates(&triangulation.vertices, alpha.width(), alpha.height());
    observer::enter(observer, Stage::Edges)?;
    let edges = edges::collect(&triangulation);
    let mesh = Mesh {
        width: alpha.width(),
        height: alpha.height(),
        components: vec![Component {
            first_vertex: 0,
            hull_length,
            vertex_count: triangulation.vertices.len() as u32,
            first_triangle: 0,
            triangle_count: triangulation.triangles.len() as u32,
        }],
        vertices: triangulation.vertices,
        triangles: triangulation.triangles,
        uvs,
        boundary_edges: edges.boundary,
        internal_edges: edges.internal,
        boundary_indices: (0..hull_length).collect(),
        outline: shape.outline,
        parameters: parameters.clone(),
        warnings: shape.warnings,
    };
    if cfg!(debug_assertions) {
        mesh.check().map_err(|fault| Error::Internal(fault.to_string()))?;
    }
    observer::enter(observer, Stage::Complete)?;
    Ok(mesh)
}
