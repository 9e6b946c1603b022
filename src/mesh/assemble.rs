//! From triangulated parts to one mesh: vertices numbered through, coordinates for the texture, edges.

use super::edges;
use super::error::Result;
use super::observer::{self, Observer, Stage};
use super::parameters::MeshParameters;
use super::triangulation::Triangulation;
use super::{Component, Mesh, Outline, uv};

/// A connected part whose boundary vertices come first: the hull's, then those of each hole.
pub(super) struct Part {
    triangulation: Triangulation,
    hull_length: u32,
    rim_length: u32,
}

impl Part {
    /// Numbers the vertices anew, loop by loop of the boundary from each of `starts`, the hull's first; `forwards` if they
    /// are to run as the triangles do.
    pub(super) fn new(triangulation: Triangulation, starts: &[u32], forwards: bool) -> Self {
        let (triangulation, lengths) = triangulation.boundary_first(starts, forwards);
        let hull_length = lengths.first().copied().unwrap_or(0);
        Self { triangulation, hull_length, rim_length: lengths.iter().sum() }
    }
}

/// Joins the parts, in order.
///
/// # Errors
/// [`Error::Stopped`](super::Error::Stopped).
pub(super) fn mesh(
    parts: Vec<Part>,
    [width, height]: [u32; 2],
    p: &MeshParameters,
    outline: Outline,
    warnings: Vec<String>,
    observer: &dyn Observer,
) -> Result<Mesh> {
    let mut mesh = Mesh {
        width,
        height,
        vertices: Vec::new(),
        triangles: Vec::new(),
        uvs: Vec::new(),
        boundary_edges: Vec::new(),
        internal_edges: Vec::new(),
        boundary_indices: Vec::new(),
        components: Vec::new(),
        outline,
        parameters: p.clone(),
        warnings,
        scores: None,
    };
    observer::enter(observer, Stage::Uvs)?;
    let mut collected = Vec::new();
    for part in parts {
        let (first_vertex, first_triangle) = (mesh.vertices.len() as u32, mesh.triangles.len() as u32);
        let Part { triangulation, hull_length, rim_length } = part;
        collected.push((first_vertex, edges::collect(&triangulation)));
        mesh.components.push(Component {
            first_vertex,
            hull_length,
            rim_length,
            vertex_count: triangulation.vertices.len() as u32,
            first_triangle,
            triangle_count: triangulation.triangles.len() as u32,
        });
        mesh.boundary_indices.extend(first_vertex..first_vertex + hull_length);
        append(&mut mesh.vertices, triangulation.vertices);
        append(&mut mesh.triangles, triangulation.triangles);
        if first_vertex > 0 {
            let own = &mut mesh.triangles[first_triangle as usize..];
            own.as_flattened_mut().iter_mut().for_each(|v| *v += first_vertex);
        }
    }
    mesh.uvs = uv::coordinates(&mesh.vertices, width, height);
    observer::enter(observer, Stage::Edges)?;
    for (first, mut edges) in collected {
        for list in [&mut edges.boundary, &mut edges.internal] {
            list.as_flattened_mut().iter_mut().for_each(|v| *v += first);
        }
        append(&mut mesh.boundary_edges, edges.boundary);
        append(&mut mesh.internal_edges, edges.internal);
    }
    Ok(mesh)
}

/// Moves a list behind another; the first is not copied.
fn append<T>(list: &mut Vec<T>, mut more: Vec<T>) {
    if list.is_empty() {
        *list = more;
    } else {
        list.append(&mut more);
    }
}
