//! Small meshes for tests: a square of 8 px in an image of 16 by 10, with one vertex in its middle; two of them; one with
//! a triangle beside it; one with a hole.

use crate::mesh::{Component, Mesh, MeshParameters, Outline};

pub(super) fn mesh() -> Mesh {
    let vertices = vec![[4.0, 1.0], [4.0, 9.0], [12.0, 9.0], [12.0, 1.0], [8.25, 5.1]];
    Mesh {
        width: 16,
        height: 10,
        uvs: vertices.iter().map(|[x, y]| [x / 16.0, y / 10.0]).collect(),
        vertices,
        triangles: vec![[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]],
        boundary_edges: vec![[0, 1], [1, 2], [2, 3], [0, 3]],
        internal_edges: vec![[0, 4], [1, 4], [2, 4], [3, 4]],
        boundary_indices: vec![0, 1, 2, 3],
        components: vec![Component {
            first_vertex: 0,
            hull_length: 4,
            rim_length: 4,
            vertex_count: 5,
            first_triangle: 0,
            triangle_count: 4,
        }],
        outline: Outline {
            contour_points: 4,
            epsilon_px: 0.75,
            points: vec![[4, 1], [4, 9], [12, 9], [12, 1]],
            shape: Vec::new(),
        },
        parameters: MeshParameters::default(),
        warnings: vec!["the outline was repaired".into()],
        scores: None,
    }
}

/// The square grown by 7 px, as padding would: beyond the image's left, top and bottom and over its right side.
pub(super) fn padded() -> Mesh {
    let mut mesh = mesh();
    mesh.vertices = vec![[-3.0, -6.0], [-3.0, 16.0], [19.0, 16.0], [19.0, -6.0], [8.25, 5.1]];
    mesh.uvs = mesh.vertices.iter().map(|[x, y]| [x / 16.0, y / 10.0]).collect();
    mesh
}

/// The square twice, 16 px apart, in an image of 32 by 10.
pub(super) fn two_parts() -> Mesh {
    let mut mesh = mesh();
    let moved = mesh.vertices.clone().into_iter().map(|[x, y]| [x + 16.0, y]);
    mesh.vertices.extend(moved);
    mesh.width = 32;
    mesh.uvs = mesh.vertices.iter().map(|[x, y]| [x / 32.0, y / 10.0]).collect();
    mesh.triangles.extend_from_within(..);
    mesh.triangles[4..].as_flattened_mut().iter_mut().for_each(|index| *index += 5);
    for edges in [&mut mesh.boundary_edges, &mut mesh.internal_edges] {
        edges.extend_from_within(..);
        edges[4..].as_flattened_mut().iter_mut().for_each(|index| *index += 5);
    }
    mesh.boundary_indices.extend([5, 6, 7, 8]);
    mesh.components.push(Component { first_vertex: 5, first_triangle: 4, ..mesh.components[0] });
    mesh
}

/// A square frame: 8 px outside, 4 px inside, in an image of 16 by 10. The hole's vertices follow the hull's.
pub(super) fn frame() -> Mesh {
    let mut mesh = mesh();
    mesh.vertices.truncate(4);
    mesh.vertices.extend([[6.0, 3.0], [6.0, 7.0], [10.0, 7.0], [10.0, 3.0]]);
    mesh.uvs = mesh.vertices.iter().map(|[x, y]| [x / 16.0, y / 10.0]).collect();
    mesh.triangles = vec![[0, 1, 5], [0, 5, 4], [1, 2, 6], [1, 6, 5], [2, 3, 7], [2, 7, 6], [3, 0, 4], [3, 4, 7]];
    mesh.boundary_edges = vec![[0, 1], [1, 2], [2, 3], [0, 3], [4, 5], [5, 6], [6, 7], [4, 7]];
    mesh.internal_edges = vec![[0, 5], [0, 4], [1, 6], [1, 5], [2, 7], [2, 6], [3, 4], [3, 7]];
    mesh.components[0] = Component { rim_length: 8, vertex_count: 8, triangle_count: 8, ..mesh.components[0] };
    mesh
}

/// The same with a second island, a triangle to its right.
pub(super) fn two_islands() -> Mesh {
    let mut mesh = mesh();
    mesh.vertices.extend([[13.0, 2.0], [13.0, 6.0], [15.5, 4.0]]);
    mesh.uvs = mesh.vertices.iter().map(|[x, y]| [x / 16.0, y / 10.0]).collect();
    mesh.triangles.push([5, 6, 7]);
    mesh.boundary_edges.extend([[5, 6], [6, 7], [5, 7]]);
    mesh.boundary_indices.extend([5, 6, 7]);
    mesh.components.push(Component {
        first_vertex: 5,
        hull_length: 3,
        rim_length: 3,
        vertex_count: 3,
        first_triangle: 4,
        triangle_count: 1,
    });
    mesh
}
