//! Edges flipped until a mesh whose vertices were moved is Delaunay again.

use super::{BOUNDARY, Edge, Triangulation, next};
use crate::mesh::geometry::{in_circle, orient};

/// Flips for each triangle, at most: rounding could let two diagonals of a square give way to each other for ever.
const MOST_FLIPS: usize = 8;

impl Triangulation {
    /// By vertex, the triangles that it is a corner of.
    pub(in crate::mesh) fn triangles_around(&self) -> Vec<Vec<u32>> {
        let mut around = vec![Vec::new(); self.vertices.len()];
        for (corners, triangle) in self.triangles.iter().zip(0..) {
            corners.iter().for_each(|&v| around[v as usize].push(triangle));
        }
        around
    }

    /// Flips inner edges until none has a vertex within the circle of the triangle on its other side.
    pub(in crate::mesh) fn make_delaunay(&mut self) {
        let mut pending: Vec<Edge> = (0..self.triangles.len() as u32).rev().flat_map(edges).collect();
        let mut left = MOST_FLIPS * self.triangles.len();
        while let Some(edge) = pending.pop().filter(|_| left > 0) {
            if let Some(changed) = self.flip(edge) {
                left -= 1;
                pending.extend(changed.into_iter().flat_map(edges));
            }
        }
    }

    /// Gives two triangles the other diagonal, if it is the better one. Returns them.
    fn flip(&mut self, edge: Edge) -> Option<[u32; 2]> {
        let (t, u) = (edge.triangle, self.beyond(edge));
        if u == BOUNDARY {
            return None;
        }
        let entry = self.edge_towards(u, t);
        let [i, j, k] = [edge.index, next(edge.index), next(next(edge.index))];
        let [p, q, r] = [entry, next(entry), next(next(entry))];
        let (own, other) = (self.triangles[t as usize], self.triangles[u as usize]);
        let ([a, b, c], d) = ([own[i], own[j], own[k]], other[r]);
        let at = |v: u32| self.vertices[v as usize];
        let is_better = own[i] == other[q]
            && own[j] == other[p]
            && in_circle([at(a), at(b), at(c)], at(d))
            && orient(at(c), at(a), at(d)) > 0.0
            && orient(at(d), at(b), at(c)) > 0.0;
        if !is_better {
            return None;
        }
        let ([bc, ca], [ad, db]) = (
            [self.neighbours[t as usize][j], self.neighbours[t as usize][k]],
            [self.neighbours[u as usize][q], self.neighbours[u as usize][r]],
        );
        self.triangles[t as usize] = [c, a, d];
        self.neighbours[t as usize] = [ca, ad, u];
        self.triangles[u as usize] = [d, b, c];
        self.neighbours[u as usize] = [db, bc, t];
        for (outer, from, to) in [(ad, u, t), (bc, t, u)] {
            if outer != BOUNDARY {
                let back = self.edge_towards(outer, from);
                self.neighbours[outer as usize][back] = to;
            }
        }
        Some([t, u])
    }
}

fn edges(triangle: u32) -> [Edge; 3] {
    [0, 1, 2].map(|index| Edge { triangle, index })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_diagonal_of_a_kite_gives_way() {
        let corners = vec![[0.0, 0.0], [4.0, -1.0], [8.0, 0.0], [4.0, 1.0]];
        let (triangles, neighbours) =
            (vec![[0, 1, 2], [0, 2, 3]], vec![[BOUNDARY, BOUNDARY, 1], [0, BOUNDARY, BOUNDARY]]);
        let mut mesh = Triangulation::new(corners, triangles, neighbours);
        mesh.make_delaunay();
        let mut edges: Vec<[u32; 3]> = mesh.triangles.clone();
        edges.iter_mut().for_each(|corners| corners.sort_unstable());
        edges.sort_unstable();
        assert_eq!(edges, [[0, 1, 3], [1, 2, 3]]);
        assert_eq!(mesh.boundary().count(), 4);
    }
}
