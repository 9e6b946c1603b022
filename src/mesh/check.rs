//! Every invariant of a mesh, verified in one place: tests, fuzzing and debug builds call it on each mesh made.

mod fault;

pub use fault::Fault;

use super::Mesh;
use super::edges::Edges;
use super::geometry::{Point, cross, distance2, minus, orient, polygon_area};

/// Difference of areas that rounding may cause, px2 for each px2 of the mesh and at the least.
const AREA_TOLERANCE: f64 = 1e-6;

/// Largest difference of a texture coordinate from `position / size`.
const UV_TOLERANCE: f64 = 1e-9;

/// How far beyond the canvas rounding may put a vertex, px.
const CANVAS_TOLERANCE_PX: f64 = 1e-6;

/// Least distance of two vertices and least height of a triangle, px: far more than the rounding of a position, and far
/// less than anything that can be seen.
const LEAST_DISTANCE_PX: f64 = 1e-9;

impl Mesh {
    /// Verifies every invariant: indices, orientation, no coincident vertices, no degenerate or overlapping triangle, a
    /// watertight boundary that is the hull in order, texture coordinates, edge lists and area.
    ///
    /// # Errors
    /// The first [`Fault`] found.
    pub fn check(&self) -> Result<(), Fault> {
        self.check_counts()?;
        self.check_vertices()?;
        self.check_apart()?;
        self.check_triangles()?;
        let edges = self.check_topology()?;
        check_list("boundary", &self.boundary_edges, edges.boundary)?;
        check_list("internal", &self.internal_edges, edges.internal)?;
        let loops = self.check_loops()?;
        let euler = self.vertices.len() as i64 - (self.boundary_edges.len() + self.internal_edges.len()) as i64
            + self.triangles.len() as i64;
        // A disc each, less one for every loop but the hull.
        let expected = 2 * self.components.len() as i64 - loops.len() as i64;
        if euler != expected {
            return Err(Fault::NotADisc { found: euler, expected });
        }
        self.check_simple(&loops)?;
        self.check_beside(&loops)?;
        self.check_area(&loops)?;
        self.check_coverage()
    }

    fn check_counts(&self) -> Result<(), Fault> {
        if self.triangles.is_empty() {
            return Err(Fault::Empty);
        }
        let count = |list, found, expected| {
            if found == expected { Ok(()) } else { Err(Fault::Count { list, found, expected }) }
        };
        count("uvs", self.uvs.len(), self.vertices.len())?;
        let (mut vertices, mut triangles) = (0, 0);
        let mut hulls = Vec::new();
        for c in &self.components {
            count("component's first vertex", c.first_vertex as usize, vertices)?;
            count("component's first triangle", c.first_triangle as usize, triangles)?;
            let (within, rim) = (c.hull_length <= c.rim_length, c.rim_length <= c.vertex_count);
            count("component's rim", if within && rim { 0 } else { c.rim_length as usize }, 0)?;
            vertices += c.vertex_count as usize;
            triangles += c.triangle_count as usize;
            hulls.extend(c.first_vertex..c.first_vertex.saturating_add(c.hull_length));
        }
        count("vertices of the components", vertices, self.vertices.len())?;
        count("triangles of the components", triangles, self.triangles.len())?;
        count("boundary_indices", self.boundary_indices.len(), hulls.len())?;
        let in_order = self.boundary_indices == hulls;
        count("boundary_indices in order", if in_order { hulls.len() } else { 0 }, hulls.len())
    }

    fn check_vertices(&self) -> Result<(), Fault> {
        let (width, height) = (f64::from(self.width), f64::from(self.height));
        // With padding the mesh may reach beyond the canvas.
        let beyond = CANVAS_TOLERANCE_PX + self.parameters.padding.ceil();
        let within = |x: f64, limit: f64| (-beyond..=limit + beyond).contains(&x);
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

    /// No two vertices in one place, of islands that touch each other either. In order of their columns, those to compare
    /// with are near.
    fn check_apart(&self) -> Result<(), Fault> {
        let at = |v: usize| self.vertices[v];
        let mut order: Vec<usize> = (0..self.vertices.len()).collect();
        order.sort_unstable_by(|&a, &b| at(a)[0].total_cmp(&at(b)[0]).then(at(a)[1].total_cmp(&at(b)[1])));
        for (i, &first) in order.iter().enumerate() {
            let near = order[i + 1..].iter().take_while(|&&other| at(other)[0] - at(first)[0] < LEAST_DISTANCE_PX);
            for &second in near {
                if distance2(at(first), at(second)) < LEAST_DISTANCE_PX * LEAST_DISTANCE_PX {
                    return Err(Fault::Coincident { first, second, at: at(first) });
                }
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
            let longest_px = distance2(a, b).max(distance2(b, c)).max(distance2(c, a)).sqrt();
            if twice_area_px2 <= LEAST_DISTANCE_PX * longest_px {
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
        for &[a, b] in &directed {
            let edge = [a.min(b), a.max(b)];
            if directed.binary_search(&[b, a]).is_err() {
                boundary.push(edge);
            } else if a < b {
                internal.push(edge);
            }
        }
        boundary.sort_unstable();
        Ok(Edges { boundary, internal })
    }

    /// The loops of the boundary as ranges of vertices: of each component the hull, then its holes. Each runs from its
    /// first vertex through the following ones back to the first.
    fn check_loops(&self) -> Result<Vec<Loop>, Fault> {
        let mut loops: Vec<Loop> = Vec::new();
        for (component, c) in self.components.iter().enumerate() {
            let (start, end) = (c.first_vertex as usize, (c.first_vertex + c.hull_length) as usize);
            loops.push(Loop { component, start, end });
            let rim_end = (c.first_vertex + c.rim_length) as usize;
            let mut start = end;
            // An edge back from a vertex to an earlier one, not its neighbour, closes a hole.
            let mut closing: Vec<[u32; 2]> = self.boundary_edges.clone();
            closing.retain(|&[a, b]| (end..rim_end).contains(&(a as usize)) && b - a > 1);
            closing.sort_unstable();
            for [a, b] in closing {
                if a as usize != start {
                    return Err(Fault::Hull { edge: [a, b] });
                }
                loops.push(Loop { component, start, end: b as usize + 1 });
                start = b as usize + 1;
            }
            if start != rim_end {
                return Err(Fault::Count { list: "rim", found: start, expected: rim_end });
            }
        }
        let mut expected: Vec<[u32; 2]> = loops.iter().flat_map(Loop::edges).collect();
        let mut found = self.boundary_edges.clone();
        expected.sort_unstable();
        found.sort_unstable();
        if let Some(edge) = found.iter().find(|edge| expected.binary_search(edge).is_err()) {
            return Err(Fault::Hull { edge: *edge });
        }
        if found.len() != expected.len() {
            return Err(Fault::Count { list: "boundary", found: found.len(), expected: expected.len() });
        }
        Ok(loops)
    }

    /// With simple loops and triangles of one orientation that form a disc with holes, equal areas leave no room for
    /// overlaps.
    fn check_area(&self, loops: &[Loop]) -> Result<(), Fault> {
        let area = |&[a, b, c]: &[u32; 3]| {
            let [a, b, c] = [a, b, c].map(|v| self.vertices[v as usize]);
            cross(minus(b, a), minus(c, a)) / 2.0
        };
        for (component, c) in self.components.iter().enumerate() {
            let rings = loops.iter().filter(|l| l.component == component).map(|l| &self.vertices[l.start..l.end]);
            let hull_px2 = rings.map(polygon_area).sum::<f64>().abs();
            let own = &self.triangles[c.first_triangle as usize..(c.first_triangle + c.triangle_count) as usize];
            let triangles_px2: f64 = own.iter().map(area).sum();
            if (triangles_px2 - hull_px2).abs() > AREA_TOLERANCE * hull_px2.max(1.0) {
                return Err(Fault::Area { triangles_px2, hull_px2 });
            }
        }
        Ok(())
    }

    /// As no loops touch, one vertex of each component decides: it lies in as many holes of others as in hulls.
    fn check_beside(&self, loops: &[Loop]) -> Result<(), Fault> {
        for (component, c) in self.components.iter().enumerate() {
            let Some(&[x, y]) = self.vertices.get(c.first_vertex as usize) else { continue };
            let edges = loops.iter().filter(|l| l.component != component).flat_map(Loop::edges);
            let crossed = edges.filter(|edge| {
                let [a, b] = edge.map(|v| self.vertices[v as usize]);
                let [low, high] = if a[1] <= b[1] { [a, b] } else { [b, a] };
                low[1] <= y && y < high[1] && orient(low, high, [x, y]) > 0.0
            });
            if crossed.count() % 2 == 1 {
                return Err(Fault::Overlap { component });
            }
        }
        Ok(())
    }

    /// Every pixel of what must be covered has its centre in a triangle.
    pub(super) fn check_coverage(&self) -> Result<(), Fault> {
        let shape = super::cover::mask_of(&self.outline.shape, [self.width, self.height]);
        let lost_px = super::score::lost_px(&shape, &self.vertices, &self.triangles);
        if lost_px > 0 { Err(Fault::NotCovered { lost_px }) } else { Ok(()) }
    }

    /// No two edges of the loops touch, but for neighbours at their common end. Edges are sorted by their left end and
    /// compared with those that reach over it.
    fn check_simple(&self, loops: &[Loop]) -> Result<(), Fault> {
        let edges: Vec<[u32; 2]> = loops.iter().flat_map(Loop::edges).collect();
        let at = |v: u32| self.vertices[v as usize];
        let ends = |edge: usize| edges[edge].map(at);
        let span = |edge: usize, axis: usize| {
            let [a, b] = ends(edge);
            (a[axis].min(b[axis]), a[axis].max(b[axis]))
        };
        // Along the longer side of the shape, edges overlap least.
        let length = |axis: usize| {
            let corners = edges.iter().map(|&[a, _]| at(a)[axis]);
            let (low, high) = corners.fold((f64::MAX, f64::MIN), |(l, h), c| (l.min(c), h.max(c)));
            high - low
        };
        let axis = usize::from(length(1) > length(0));
        let mut order: Vec<usize> = (0..edges.len()).collect();
        order.sort_unstable_by(|&a, &b| span(a, axis).0.total_cmp(&span(b, axis).0));
        let mut open: Vec<usize> = Vec::new();
        for &edge in &order {
            let (start, _) = span(edge, axis);
            open.retain(|&other| span(other, axis).1 >= start);
            let (low, high) = span(edge, 1 - axis);
            for &other in &open {
                let (other_low, other_high) = span(other, 1 - axis);
                if other_low <= high && low <= other_high && touch(edges[edge], edges[other], &at) {
                    let (a, b) = (edges[edge][0] as usize, edges[other][0] as usize);
                    return Err(Fault::HullCrosses { first: a.min(b), second: a.max(b) });
                }
            }
            open.push(edge);
        }
        Ok(())
    }
}

/// A closed run of boundary vertices, `start..end`.
#[derive(Debug, Clone, Copy)]
struct Loop {
    component: usize,
    start: usize,
    end: usize,
}

impl Loop {
    /// `[lower index, higher index]` each.
    fn edges(&self) -> impl Iterator<Item = [u32; 2]> + use<> {
        let Self { start, end, .. } = *self;
        (start..end).map(move |v| if v + 1 < end { [v as u32, v as u32 + 1] } else { [start as u32, v as u32] })
    }
}

fn check_list(list: &'static str, found: &[[u32; 2]], expected: Vec<[u32; 2]>) -> Result<(), Fault> {
    let mut found = found.to_vec();
    found.sort_unstable();
    if found == expected { Ok(()) } else { Err(Fault::Edges { list }) }
}

/// Whether two edges, by their ends, touch elsewhere than at an end that they share.
fn touch(one: [u32; 2], other: [u32; 2], at: &impl Fn(u32) -> Point) -> bool {
    let on_segment = |p: Point, q: Point, r: Point| {
        orient(p, q, r) == 0.0 && distance2(p, r) <= distance2(p, q) && distance2(q, r) <= distance2(p, q)
    };
    if let Some(&shared) = one.iter().find(|v| other.contains(v)) {
        let far = |edge: [u32; 2]| at(if edge[0] == shared { edge[1] } else { edge[0] });
        let (p, q) = (far(one), far(other));
        return on_segment(at(shared), p, q) || on_segment(at(shared), q, p);
    }
    let [[a, b], [c, d]] = [one, other].map(|edge| edge.map(at));
    let opposite = |s: f64, t: f64| (s > 0.0 && t < 0.0) || (s < 0.0 && t > 0.0);
    let crossing = opposite(orient(a, b, c), orient(a, b, d)) && opposite(orient(c, d, a), orient(c, d, b));
    crossing || on_segment(a, b, c) || on_segment(a, b, d) || on_segment(c, d, a) || on_segment(c, d, b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesh::{AlphaPlane, MeshLimits, MeshParameters, OutlineMode, build};

    /// A square of 20 px with vertices inside, one of which is moved.
    fn moved(to: impl Fn(&Mesh, usize) -> Point) -> Mesh {
        let alpha = AlphaPlane::new(20, 20, vec![255; 400]).unwrap();
        let p = MeshParameters { outline: OutlineMode::Cover, max_triangle_area: 20.0, ..MeshParameters::default() };
        let mut mesh = build(&alpha, &p, &MeshLimits::default(), &()).unwrap();
        assert_eq!(mesh.check(), Ok(()));
        let last = mesh.vertices.len() - 1;
        assert!(last >= mesh.components[0].rim_length as usize);
        let to = to(&mesh, last);
        mesh.vertices[last] = to;
        mesh.uvs[last] = to.map(|c| c / 20.0);
        mesh
    }

    #[test]
    fn vertices_in_one_place_are_refused() {
        let mesh = moved(|mesh, last| mesh.vertices[last - 1].map(|c| c + 1e-13));
        assert!(matches!(mesh.check(), Err(Fault::Coincident { .. })), "{:?}", mesh.check());
    }

    #[test]
    fn triangles_without_height_are_refused() {
        let mesh = moved(|mesh, last| {
            let own = mesh.triangles.iter().find(|corners| corners.contains(&(last as u32))).unwrap();
            let i = own.iter().position(|&v| v as usize == last).unwrap();
            let [here, from, to] = [i, i + 1, i + 2].map(|i| mesh.vertices[own[i % 3] as usize]);
            let middle = [0, 1].map(|axis| f64::midpoint(from[axis], to[axis]));
            [0, 1].map(|axis| middle[axis] + 1e-12 * (here[axis] - middle[axis]))
        });
        assert!(matches!(mesh.check(), Err(Fault::Orientation { .. })), "{:?}", mesh.check());
    }
}
