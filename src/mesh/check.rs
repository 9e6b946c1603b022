//! Every invariant of a mesh, verified in one place: tests, fuzzing and debug builds call it on each mesh made.

use thiserror::Error;

use super::Mesh;
use super::edges::Edges;
use super::geometry::{Point, cross, distance2, minus, orient, polygon_area};

/// Difference of areas that rounding may cause, px2 for each px2 of the mesh and at the least.
const AREA_TOLERANCE: f64 = 1e-6;

/// Largest difference of a texture coordinate from `position / size`.
const UV_TOLERANCE: f64 = 1e-9;

/// How far beyond the canvas rounding may put a vertex, px.
const CANVAS_TOLERANCE_PX: f64 = 1e-6;

/// The first invariant found broken, with where.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// No triangles at all.
    #[error("the mesh is empty")]
    Empty,
    /// A list's length does not fit the others.
    #[error("{list} has {found} entries, not {expected}")]
    Count {
        /// Which list.
        list: &'static str,
        /// Entries it has.
        found: usize,
        /// Entries it should have.
        expected: usize,
    },
    /// A vertex is no number, or outside the canvas.
    #[error("vertex {vertex} at {at:?} is outside the canvas of {width} x {height} px")]
    OutsideCanvas {
        /// Its index.
        vertex: usize,
        /// Its position, px.
        at: [f64; 2],
        /// Of the canvas, px.
        width: u32,
        /// Of the canvas, px.
        height: u32,
    },
    /// A triangle names a vertex that does not exist or the same one twice.
    #[error("triangle {triangle} has the vertices {vertices:?}")]
    Index {
        /// Its index.
        triangle: usize,
        /// What it names.
        vertices: [u32; 3],
    },
    /// A triangle is degenerate or turned over.
    #[error("triangle {triangle} has twice the area {twice_area_px2}")]
    Orientation {
        /// Its index.
        triangle: usize,
        /// Signed, px2.
        twice_area_px2: f64,
    },
    /// An edge is used twice in the same direction: triangles overlap or three meet at an edge.
    #[error("the edge {edge:?} is used twice in one direction")]
    NotManifold {
        /// From, to.
        edge: [u32; 2],
    },
    /// The boundary is not the hull: `0, 1, ... n - 1` and back.
    #[error("the boundary edge {edge:?} is not one of the hull's")]
    Hull {
        /// From, to.
        edge: [u32; 2],
    },
    /// Euler's formula does not give a disc: there is a hole, or a vertex without a triangle.
    #[error("vertices - edges + triangles is {found}, not 1")]
    NotADisc {
        /// What it gives.
        found: i64,
    },
    /// Two edges of the hull meet other than at a common end.
    #[error("the hull's edges from {first} and from {second} touch")]
    HullCrosses {
        /// Vertex at which one begins.
        first: usize,
        /// Vertex at which the other begins.
        second: usize,
    },
    /// The triangles do not fill the hull exactly once.
    #[error("the triangles have {triangles_px2} px2, the hull has {hull_px2} px2")]
    Area {
        /// Sum over the triangles.
        triangles_px2: f64,
        /// Of the hull's polygon.
        hull_px2: f64,
    },
    /// A texture coordinate is not `position / size`.
    #[error("the uv of vertex {vertex} is {uv:?}")]
    Uv {
        /// Its index.
        vertex: usize,
        /// What it has.
        uv: [f64; 2],
    },
    /// The lists of edges are not the edges of the triangles.
    #[error("the list of {list} edges is not that of the triangles")]
    Edges {
        /// `boundary` or `internal`.
        list: &'static str,
    },
}

impl Mesh {
    /// Verifies every invariant: indices, orientation, no degenerate or overlapping triangle, a watertight boundary
    /// that is the hull in order, texture coordinates, edge lists and area.
    ///
    /// # Errors
    /// The first [`Fault`] found.
    pub fn check(&self) -> Result<(), Fault> {
        self.check_counts()?;
        self.check_vertices()?;
        self.check_triangles()?;
        let edges = self.check_topology()?;
        let hull = &self.vertices[..self.boundary_indices.len()];
        check_simple(hull)?;
        self.check_area(hull)?;
        check_list("boundary", &self.boundary_edges, edges.boundary)?;
        check_list("internal", &self.internal_edges, edges.internal)
    }

    fn check_counts(&self) -> Result<(), Fault> {
        if self.triangles.is_empty() {
            return Err(Fault::Empty);
        }
        let count = |list, found, expected| {
            if found == expected { Ok(()) } else { Err(Fault::Count { list, found, expected }) }
        };
        count("uvs", self.uvs.len(), self.vertices.len())?;
        count("components", self.components.len(), 1)?;
        let hull = self.components.first().map_or(0, |c| c.hull_length as usize);
        count("boundary_indices", self.boundary_indices.len(), hull)?;
        let in_order = self.boundary_indices.iter().zip(0..).all(|(&index, expected)| index == expected);
        count("boundary_indices in order", if in_order { hull } else { 0 }, hull)
    }

    fn check_vertices(&self) -> Result<(), Fault> {
        let (width, height) = (f64::from(self.width), f64::from(self.height));
        let within = |x: f64, limit: f64| (-CANVAS_TOLERANCE_PX..=limit + CANVAS_TOLERANCE_PX).contains(&x);
        for (vertex, (&at, &uv)) in self.vertices.iter().zip(&self.uvs).enumerate() {
            if !within(at[0], width) || !within(at[1], height) {
                return Err(Fault::OutsideCanvas { vertex, at, width: self.width, height: self.height });
            }
            let off = (uv[0] - at[0] / width).abs().max((uv[1] - at[1] / height).abs());
            if off.is_nan() || off > UV_TOLERANCE {
                return Err(Fault::Uv { vertex, uv });
            }
        }
        Ok(())
    }

    fn check_triangles(&self) -> Result<(), Fault> {
        for (triangle, &vertices) in self.triangles.iter().enumerate() {
            let [a, b, c] = vertices;
            if a == b || b == c || c == a || vertices.iter().any(|&v| v as usize >= self.vertices.len()) {
                return Err(Fault::Index { triangle, vertices });
            }
            let [a, b, c] = vertices.map(|v| self.vertices[v as usize]);
            let twice_area_px2 = orient(a, b, c);
            if twice_area_px2 <= 0.0 {
                return Err(Fault::Orientation { triangle, twice_area_px2 });
            }
        }
        Ok(())
    }

    /// Returns the boundary and the internal edges, sorted.
    fn check_topology(&self) -> Result<Edges, Fault> {
        let mut directed: Vec<[u32; 2]> =
            self.triangles.iter().flat_map(|&[a, b, c]| [[a, b], [b, c], [c, a]]).collect();
        directed.sort_unstable();
        if let Some(pair) = directed.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Fault::NotManifold { edge: pair[0] });
        }
        let (mut boundary, mut internal) = (Vec::new(), Vec::new());
        let hull = self.boundary_indices.len() as u32;
        // The hull runs around the triangles or against them, but all of it the same way.
        let mut ways = [false; 2];
        for &[a, b] in &directed {
            if directed.binary_search(&[b, a]).is_ok() {
                if a < b {
                    internal.push([a, b]);
                }
                continue;
            }
            let onward = a < hull && b == (a + 1) % hull;
            let backward = b < hull && a == (b + 1) % hull;
            if !onward && !backward {
                return Err(Fault::Hull { edge: [a, b] });
            }
            ways[usize::from(onward)] = true;
            boundary.push([a.min(b), a.max(b)]);
        }
        if ways == [true; 2] || boundary.len() != hull as usize {
            return Err(Fault::Count { list: "boundary", found: boundary.len(), expected: hull as usize });
        }
        let edges = boundary.len() + internal.len();
        let euler = self.vertices.len() as i64 - edges as i64 + self.triangles.len() as i64;
        if euler != 1 {
            return Err(Fault::NotADisc { found: euler });
        }
        boundary.sort_unstable();
        Ok(Edges { boundary, internal })
    }

    /// With a simple hull and triangles of one orientation that form a disc, equal areas leave no room for overlaps.
    fn check_area(&self, hull: &[Point]) -> Result<(), Fault> {
        let hull_px2 = polygon_area(hull).abs();
        let area = |&[a, b, c]: &[u32; 3]| {
            let [a, b, c] = [a, b, c].map(|v| self.vertices[v as usize]);
            cross(minus(b, a), minus(c, a)) / 2.0
        };
        let triangles_px2: f64 = self.triangles.iter().map(area).sum();
        if (triangles_px2 - hull_px2).abs() > AREA_TOLERANCE * hull_px2.max(1.0) {
            return Err(Fault::Area { triangles_px2, hull_px2 });
        }
        Ok(())
    }
}

fn check_list(list: &'static str, found: &[[u32; 2]], expected: Vec<[u32; 2]>) -> Result<(), Fault> {
    let mut found = found.to_vec();
    found.sort_unstable();
    if found == expected { Ok(()) } else { Err(Fault::Edges { list }) }
}

/// No two edges of a ring touch, but for neighbours at their common end. Edges are sorted by their left end and
/// compared with those that reach over it.
fn check_simple(ring: &[Point]) -> Result<(), Fault> {
    let count = ring.len();
    let ends = |edge: usize| (ring[edge], ring[(edge + 1) % count]);
    let span = |edge: usize, axis: usize| {
        let (a, b) = ends(edge);
        (a[axis].min(b[axis]), a[axis].max(b[axis]))
    };
    // Along the longer side of the shape, edges overlap least.
    let length = |axis: usize| {
        let (low, high) = ring.iter().fold((f64::MAX, f64::MIN), |(l, h), p| (l.min(p[axis]), h.max(p[axis])));
        high - low
    };
    let axis = usize::from(length(1) > length(0));
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_unstable_by(|&a, &b| span(a, axis).0.total_cmp(&span(b, axis).0));
    let mut open: Vec<usize> = Vec::new();
    for &edge in &order {
        let (start, _) = span(edge, axis);
        open.retain(|&other| span(other, axis).1 >= start);
        let (low, high) = span(edge, 1 - axis);
        for &other in &open {
            let (other_low, other_high) = span(other, 1 - axis);
            if other_low <= high && low <= other_high && touch(edge, other, count, ends(edge), ends(other)) {
                return Err(Fault::HullCrosses { first: edge.min(other), second: edge.max(other) });
            }
        }
        open.push(edge);
    }
    Ok(())
}

fn touch(i: usize, j: usize, count: usize, (a, b): (Point, Point), (c, d): (Point, Point)) -> bool {
    let on_segment = |p: Point, q: Point, r: Point| {
        orient(p, q, r) == 0.0 && distance2(p, r) <= distance2(p, q) && distance2(q, r) <= distance2(p, q)
    };
    if (i + 1) % count == j {
        return on_segment(a, b, d) || on_segment(c, d, a);
    }
    if (j + 1) % count == i {
        return on_segment(c, d, b) || on_segment(a, b, c);
    }
    let opposite = |s: f64, t: f64| (s > 0.0 && t < 0.0) || (s < 0.0 && t > 0.0);
    let crossing = opposite(orient(a, b, c), orient(a, b, d)) && opposite(orient(c, d, a), orient(c, d, b));
    crossing || on_segment(a, b, c) || on_segment(a, b, d) || on_segment(c, d, a) || on_segment(c, d, b)
}
