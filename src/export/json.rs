//! `MeshResult`: everything about a mesh, as the reference's consumers read it.

use serde::Serialize;

use super::{ENGINE_VERSION, Format, Source};
use crate::mesh::{Component, Error, Mesh, MeshParameters, Result};

pub(super) const FORMAT: Format = Format {
    name: "json",
    extension: "json",
    media_type: "application/json",
    about: "the mesh: vertices, triangles, uvs, edges, metadata",
    binary: false,
    draws_image: false,
    write,
};

#[derive(Serialize)]
struct MeshResult<'a> {
    vertices: &'a [[f64; 2]],
    triangles: &'a [[u32; 3]],
    /// `u0, v0, u1, v1, ...`
    uvs: &'a [f64],
    /// `a0, b0, a1, b1, ...`
    boundary_edges: &'a [u32],
    /// `a0, b0, a1, b1, ...`
    internal_edges: &'a [u32],
    boundary_indices: &'a [u32],
    bounds: Bounds,
    components: Vec<Part>,
    metadata: Metadata<'a>,
}

#[derive(Serialize)]
struct Bounds {
    x: u32,
    y: u32,
    width: u32,
    height: u32,
}

#[derive(Serialize)]
struct Part {
    first_vertex: u32,
    hull_length: u32,
    vertex_count: u32,
    first_triangle: u32,
    triangle_count: u32,
}

#[derive(Serialize)]
struct Metadata<'a> {
    width: u32,
    height: u32,
    vertex_count: usize,
    triangle_count: usize,
    parameters: &'a MeshParameters,
    warnings: Vec<&'a String>,
    engine_version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_sha256: Option<&'a str>,
}

impl<'a> MeshResult<'a> {
    fn new(mesh: &'a Mesh, source: &Source<'a>) -> Self {
        Self {
            vertices: &mesh.vertices,
            triangles: &mesh.triangles,
            uvs: mesh.uvs.as_flattened(),
            boundary_edges: mesh.boundary_edges.as_flattened(),
            internal_edges: mesh.internal_edges.as_flattened(),
            boundary_indices: &mesh.boundary_indices,
            bounds: Bounds { x: 0, y: 0, width: mesh.width, height: mesh.height },
            components: mesh.components.iter().map(Part::from).collect(),
            metadata: Metadata {
                width: mesh.width,
                height: mesh.height,
                vertex_count: mesh.vertices.len(),
                triangle_count: mesh.triangles.len(),
                parameters: &mesh.parameters,
                warnings: mesh.warnings.iter().chain(source.warnings).collect(),
                engine_version: ENGINE_VERSION,
                source_sha256: source.sha256,
            },
        }
    }
}

impl From<&Component> for Part {
    fn from(component: &Component) -> Self {
        let &Component { first_vertex, hull_length, vertex_count, first_triangle, triangle_count } = component;
        Self { first_vertex, hull_length, vertex_count, first_triangle, triangle_count }
    }
}

fn write(mesh: &Mesh, source: &Source<'_>) -> Result<Vec<u8>> {
    serde_json::to_vec(&MeshResult::new(mesh, source)).map_err(|error| Error::Internal(error.to_string()))
}
