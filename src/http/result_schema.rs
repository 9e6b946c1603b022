//! The shapes of results as the document describes them: what `export` writes, seen from a caller.

#![expect(dead_code, reason = "no value is ever made of them; the document reads their fields")]

use serde_json::Value;
use utoipa::ToSchema;

use super::schema::Parameters;

/// A mesh, or its outline alone, as `format` says.
#[derive(ToSchema)]
#[serde(untagged)]
pub(super) enum MeshFile {
    /// `json`.
    Mesh(Box<MeshResult>),
    /// `outline`.
    Outline(OutlineResult),
    /// `spine` and `spine38`.
    Spine(SpineSkeleton),
    /// `dragonbones`.
    DragonBones(DragonBonesSkeleton),
}

/// A skeleton as Spine reads it, with one slot for each part of the mesh.
#[derive(ToSchema)]
pub(super) struct SpineSkeleton {
    #[schema(value_type = Object)]
    skeleton: Value,
    #[schema(value_type = Vec<Object>)]
    bones: Vec<Value>,
    #[schema(value_type = Vec<Object>)]
    slots: Vec<Value>,
}

/// A skeleton as DragonBones reads it.
#[derive(ToSchema)]
pub(super) struct DragonBonesSkeleton {
    name: String,
    version: String,
    #[schema(value_type = Vec<Object>)]
    armature: Vec<Value>,
}

/// The simplified outline of a mesh, before repair: for physics shapes.
#[derive(ToSchema)]
pub(super) struct OutlineResult {
    /// Points of the contour before simplification.
    contour_points: u64,
    /// Tolerance of the simplification, px.
    epsilon: f64,
    /// x and y in order: indices of pixels, or with `outline` cover the first hull in px.
    #[schema(value_type = Vec<Vec<f64>>)]
    outline: Vec<[f64; 2]>,
    /// With `outline` cover every hull and after it its holes, px.
    #[schema(value_type = Option<Vec<Vec<Vec<f64>>>>, nullable = false)]
    rings: Option<Vec<Vec<[f64; 2]>>>,
}

/// A mesh.
#[derive(ToSchema)]
pub(super) struct MeshResult {
    /// Pixels from the top left corner.
    #[schema(value_type = Vec<Vec<f64>>)]
    vertices: Vec<[f64; 2]>,
    /// Indices of vertices.
    #[schema(value_type = Vec<Vec<u32>>)]
    triangles: Vec<[u32; 3]>,
    /// u and v of every vertex in turn, 0 to 1, v = 0 at the top.
    uvs: Vec<f64>,
    /// Two vertices for each edge of the outline.
    boundary_edges: Vec<u32>,
    /// Two vertices for each other edge.
    internal_edges: Vec<u32>,
    /// The outline in order.
    boundary_indices: Vec<u32>,
    bounds: Bounds,
    /// The parts of which the mesh consists.
    components: Vec<Component>,
    metadata: Metadata,
}

/// The image's rectangle.
#[derive(ToSchema)]
pub(super) struct Bounds {
    x: u32,
    y: u32,
    width: u32,
    height: u32,
}

/// A part of the mesh, by its range of vertices and triangles.
#[derive(ToSchema)]
pub(super) struct Component {
    first_vertex: u32,
    hull_length: u32,
    /// How many vertices lie on its boundary, those around holes with the hull's; left out where there are no holes.
    #[schema(nullable = false)]
    rim_length: Option<u32>,
    vertex_count: u32,
    first_triangle: u32,
    triangle_count: u32,
}

/// How the mesh fits the image; with `outline` cover.
#[derive(ToSchema)]
pub(super) struct Scores {
    /// Pixels of at least `alpha_threshold`.
    opaque_px: u64,
    /// Pixels whose centre lies in a triangle.
    mesh_px: u64,
    /// Opaque pixels that are not the mesh's.
    lost_px: u64,
    /// Share of the opaque pixels that are the mesh's.
    coverage: f64,
    /// Pixels of the mesh that are not opaque, for each opaque one.
    overdraw: f64,
    /// Pixels that are both, as a share of those that are either.
    iou: f64,
    /// The least angle of any triangle, degrees.
    min_angle_deg: f64,
    /// Share of triangles with an angle under 20 degrees.
    sliver20: f64,
    vertices: u64,
    triangles: u64,
}

/// How the mesh was made.
#[derive(ToSchema)]
pub(super) struct Metadata {
    /// The image's, px.
    width: u32,
    /// The image's, px.
    height: u32,
    vertex_count: u64,
    triangle_count: u64,
    parameters: Parameters,
    /// What was odd, such as unknown parameters.
    warnings: Vec<String>,
    #[schema(nullable = false)]
    scores: Option<Scores>,
    engine_version: String,
    /// The image's digest.
    #[schema(nullable = false)]
    source_sha256: Option<String>,
}
