//! From an alpha plane to a triangle mesh: [`build`] is the list of stages.

pub mod alpha;
mod assemble;
mod blur;
pub mod check;
mod components;
mod contour;
mod cover;
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
mod ragged;
mod refine;
mod repair;
mod rim;
mod rings;
pub mod score;
mod simplify;
mod spacing;
mod triangulate;
mod triangulation;
mod uv;

pub use alpha::AlphaPlane;
pub use error::{Error, Result};
pub use observer::{Observer, Stage};
pub use parameters::MeshParameters;
pub use score::Scores;

use assemble::Part;
use parameters::OutlineMode;
use rings::Rings;
use spacing::Spacing;

/// A triangle mesh over an image. Image space: origin top-left, x right, y down, px.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Mesh {
    /// Width of the image, px.
    pub width: u32,
    /// Height of the image, px.
    pub height: u32,
    /// `[x, y]` in px, one per vertex. Of each component the hull's come first, in hull order.
    pub vertices: Vec<[f64; 2]>,
    /// Three vertex indices per triangle, one orientation throughout.
    pub triangles: Vec<[u32; 3]>,
    /// `[u, v]`, one per vertex, `v = 0` at the top.
    pub uvs: Vec<[f64; 2]>,
    /// Edges of one triangle, `[lower index, higher index]`.
    pub boundary_edges: Vec<[u32; 2]>,
    /// Edges of two triangles, `[lower index, higher index]`.
    pub internal_edges: Vec<[u32; 2]>,
    /// The hulls' vertices in order; `0..hull length` where there is one component.
    pub boundary_indices: Vec<u32>,
    /// The connected parts; one unless asked otherwise.
    pub components: Vec<Component>,
    /// What the mesh was made from, before repair and refinement.
    pub outline: Outline,
    /// The parameters that made it.
    pub parameters: MeshParameters,
    /// What the caller should know, in sentences.
    pub warnings: Vec<String>,
    /// How it fits the image; measured with `outline = cover` alone.
    pub scores: Option<Scores>,
}

/// One connected part of a mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Component {
    /// Index of its first vertex; its hull starts there.
    pub first_vertex: u32,
    /// How many vertices its hull has.
    pub hull_length: u32,
    /// How many lie on its boundary: the hull's, then those around its holes, hole by hole.
    pub rim_length: u32,
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
    /// Douglas-Peucker tolerance, px; 0 with `outline = cover`.
    pub epsilon_px: f64,
    /// `[x, y]` pixel indices in order; none with `outline = cover`, where the hulls are the simplified outlines.
    pub points: Vec<[i32; 2]>,
    /// With `outline = cover` what the mesh must cover, as rings of pixel corners: outer ones with a positive area,
    /// holes with a negative one.
    pub shape: Vec<Vec<[i32; 2]>>,
}

/// Said of every image that is a rectangle.
const OPAQUE: &str = "the image has no transparency, so that its whole rectangle counts as the shape";

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
/// [`Error::MeshTooLarge`], [`Error::AreaTooSmall`] or [`Error::RimTooNarrow`] if refinement would exceed the limit,
/// [`Error::TooRagged`] if there is more to outline than a cover can, [`Error::Triangulation`] if the outline has no area,
/// [`Error::Stopped`] if the observer asks for it.
pub fn build(
    alpha: &AlphaPlane,
    parameters: &MeshParameters,
    limits: &MeshLimits,
    observer: &dyn Observer,
) -> Result<Mesh> {
    parameters.check()?;
    observer::enter(observer, Stage::Mask)?;
    let mesh = match parameters.outline {
        OutlineMode::Trace => trace(alpha, parameters, limits, observer)?,
        OutlineMode::Cover => cover(alpha, parameters, limits, observer)?,
    };
    if cfg!(debug_assertions) {
        mesh.check().map_err(|fault| Error::Internal(fault.to_string()))?;
    }
    observer::enter(observer, Stage::Complete)?;
    Ok(mesh)
}

/// The reference's way: the largest contour, simplified.
fn trace(alpha: &AlphaPlane, p: &MeshParameters, limits: &MeshLimits, observer: &dyn Observer) -> Result<Mesh> {
    observer::enter(observer, Stage::Blur)?;
    let mask = mask::threshold(alpha, p, observer)?;
    observer::enter(observer, Stage::Contour)?;
    let contour = contour::largest(&mask, p.min_contour_area, observer)?;
    observer::enter(observer, Stage::Simplify)?;
    let epsilon_px = simplify::epsilon_px(&contour, p);
    let points = simplify::simplify(&contour, epsilon_px, observer)?;
    observer::enter(observer, Stage::Triangulate)?;
    let size = [alpha.width(), alpha.height()];
    let outline = Outline { contour_points: contour.len(), epsilon_px, points, shape: Vec::new() };
    let mut shape = polygon::triangulate(&contour, outline, size, observer)?;
    if alpha.is_opaque() {
        shape.warnings.push(OPAQUE.to_owned());
    }
    let rings = Rings(vec![shape.triangulation.vertices.len()]);
    density::allow(&[&shape.triangulation.vertices], 1, size, p, limits)?;
    density::apply(&mut shape.triangulation, &rings, false, size, p, limits, observer)?;
    let part = Part::new(shape.triangulation, &rings.starts(), shape.signed_area_px2 > 0.0);
    assemble::mesh(vec![part], size, p, shape.outline, shape.warnings, observer)
}

/// Outlines that leave nothing out, a part for each island.
fn cover(alpha: &AlphaPlane, p: &MeshParameters, limits: &MeshLimits, observer: &dyn Observer) -> Result<Mesh> {
    let mut covered = cover::cover(alpha, p, observer).map_err(|error| ragged::advise(error, alpha, p))?;
    observer::enter(observer, Stage::Triangulate)?;
    // A half is refined as seen from its axis, so that the mirrored image's comes out the same to the last bit.
    let axis_px = covered.axis_px.unwrap_or(0.0);
    let corners = covered.islands.iter_mut().flat_map(|island| &mut island.rings).flatten();
    corners.for_each(|corner| corner[0] -= axis_px);
    let size = [alpha.width(), alpha.height()];
    let outlines: Vec<&[geometry::Point]> =
        covered.islands.iter().flat_map(|island| &island.rings).map(Vec::as_slice).collect();
    let is_half = covered.axis_px.is_some();
    density::allow(&outlines, if is_half { 2 } else { 1 }, size, p, limits)?;
    let mut parts = Vec::new();
    let mut spacing = Spacing::new(p.min_edge_length, is_half);
    if let Some(spacing) = &mut spacing {
        outlines.iter().copied().flatten().for_each(|&corner| spacing.add(corner));
    }
    for island in &covered.islands {
        let rings: Vec<&[geometry::Point]> = island.rings.iter().map(Vec::as_slice).collect();
        let lengths = Rings(rings.iter().map(|ring| ring.len()).collect());
        let mut triangulation = triangulate::triangulate_with_holes(&rings)
            .ok_or_else(|| Error::Internal("a covering outline touches itself".to_owned()))?;
        triangulation.spacing = spacing.take();
        density::apply(&mut triangulation, &lengths, is_half, size, p, limits, observer)?;
        spacing = triangulation.spacing.take();
        if is_half {
            let doubled = cover::double(&triangulation, axis_px);
            parts.extend(doubled.into_iter().map(|(whole, starts)| Part::new(whole, &starts, true)));
        } else {
            parts.push(Part::new(triangulation, &lengths.starts(), true));
        }
    }
    if alpha.is_opaque() {
        covered.warnings.push(OPAQUE.to_owned());
    }
    let outline =
        Outline { contour_points: covered.corners, epsilon_px: 0.0, points: Vec::new(), shape: covered.shape };
    let mut mesh = assemble::mesh(parts, size, p, outline, covered.warnings, observer)?;
    mesh.warnings.extend(density::warn_of_largest(&mesh, p));
    let scores = score::score(alpha, p.alpha_threshold, &mesh.vertices, &mesh.triangles);
    mesh.scores = Some(scores.map_err(|error| Error::Internal(error.to_string()))?);
    // Proven before by exact signs; measured besides, on what was drawn, as nothing may be left out unnoticed.
    mesh.check_coverage().map_err(|fault| Error::Internal(fault.to_string()))?;
    Ok(mesh)
}
