//! Constrained Delaunay triangulation of a simple polygon's inside.

use spade::{ConstrainedDelaunayTriangulation, Point2, Triangulation as _, handles::FixedVertexHandle};

use super::geometry::{Point, polygon_area};
use super::triangulation::{BOUNDARY, Triangulation};

pub(super) type Cdt = ConstrainedDelaunayTriangulation<Point2<f64>>;

/// Triangulates the inside of a closed polygon, its corners becoming the first vertices in order. `None` if the
/// polygon is not simple: a corner repeated, on an edge, or edges that cross.
pub(super) fn triangulate(ring: &[Point]) -> Option<Triangulation> {
    triangulate_with_holes(&[ring])
}

/// Triangulates what lies within the first ring and in none of the others, which lie within it. Their corners become
/// the first vertices, ring by ring. `None` if rings touch themselves or each other.
pub(super) fn triangulate_with_holes(rings: &[&[Point]]) -> Option<Triangulation> {
    let cdt = constrain(rings)?;
    let positive = polygon_area(rings.first()?) > 0.0;
    let (first, second) = if positive { (0, 1) } else { (1, 0) };
    let handle = FixedVertexHandle::from_index;
    // The inside lies to the left of an edge that runs around it positively.
    let seed = cdt.get_edge_from_neighbors(handle(first), handle(second))?.face().as_inner()?;
    let mut slots = vec![BOUNDARY; cdt.num_all_faces()];
    let mut faces = vec![seed];
    slots[seed.index()] = 0;
    let (mut triangles, mut neighbours) = (Vec::new(), Vec::new());
    while let Some(&face) = faces.get(triangles.len()) {
        triangles.push(face.vertices().map(|v| v.index() as u32));
        neighbours.push(face.adjacent_edges().map(|edge| {
            let Some(beyond) = edge.rev().face().as_inner().filter(|_| !edge.is_constraint_edge()) else {
                return BOUNDARY;
            };
            let slot = &mut slots[beyond.index()];
            if *slot == BOUNDARY {
                *slot = faces.len() as u32;
                faces.push(beyond);
            }
            *slot
        }));
    }
    Some(Triangulation::new(rings.concat(), triangles, neighbours))
}

/// The Delaunay triangulation of the corners with the rings' edges in it.
fn constrain(rings: &[&[Point]]) -> Option<Cdt> {
    let mut cdt = Cdt::new();
    for (index, &[x, y]) in rings.iter().copied().flatten().enumerate() {
        if cdt.insert(Point2::new(x, y)).ok()?.index() != index {
            return None;
        }
    }
    let mut first = 0;
    for ring in rings {
        for index in 0..ring.len() {
            let ends = [first + index, first + (index + 1) % ring.len()];
            let [from, to] = ends.map(FixedVertexHandle::from_index);
            // More than one piece: a corner lies on the edge. None: it crosses another.
            if from == to || cdt.try_add_constraint(from, to).len() != 1 {
                return None;
            }
        }
        first += ring.len();
    }
    Some(cdt)
}
