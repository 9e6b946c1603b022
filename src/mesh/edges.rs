//! Boundary and internal edges, straight from what each triangle knows of its neighbours.

use super::triangulation::{BOUNDARY, Edge, Triangulation};

/// `[lower index, higher index]` each.
pub(super) struct Edges {
    /// Of one triangle, in hull order.
    pub(super) boundary: Vec<[u32; 2]>,
    /// Of two triangles, in the order of the first.
    pub(super) internal: Vec<[u32; 2]>,
}

/// The edges of a triangulation.
pub(super) fn collect(mesh: &Triangulation) -> Edges {
    let count = mesh.triangles.len() * 3 / 2;
    let mut edges = Edges { boundary: Vec::new(), internal: Vec::with_capacity(count) };
    for (neighbours, triangle) in mesh.neighbours.iter().zip(0..) {
        for (index, &beyond) in neighbours.iter().enumerate() {
            // Each internal edge is seen from both sides: the lower number takes it. No neighbour is the highest.
            if triangle < beyond {
                let [a, b] = mesh.ends(Edge { triangle, index });
                let edge = [a.min(b), a.max(b)];
                if beyond == BOUNDARY { edges.boundary.push(edge) } else { edges.internal.push(edge) }
            }
        }
    }
    // Hull vertices are numbered in hull order, so this is it, the closing edge [0, n - 1] aside.
    edges.boundary.sort_unstable_by_key(|&[a, b]| if b - a > 1 { b } else { a });
    edges
}
