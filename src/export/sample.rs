//! A small mesh for tests: a square of 8 px in an image of 16 by 10, with one vertex in its middle.

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
            vertex_count: 5,
            first_triangle: 0,
            triangle_count: 4,
        }],
        outline: Outline { contour_points: 4, epsilon_px: 0.75, points: vec![[4, 1], [4, 9], [12, 9], [12, 1]] },
        parameters: MeshParameters::default(),
        warnings: vec!["the outline was repaired".into()],
    }
}
