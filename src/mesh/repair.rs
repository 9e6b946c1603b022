//! A simple polygon from an outline that touches or crosses itself.
//!
//! The edges are split where they cross and drawn into a Delaunay triangulation. What cannot be reached from
//! outside without crossing one is inside: lobes, overlaps and the holes between them. Lobes that hang together by a
//! point or by a line without width are welded there, half a pixel to each side, as wide as the pixels were that the
//! outline ran along. Spikes without an inside disappear. Where welding does not lead to one simple polygon, the
//! largest lobe is kept.

use std::collections::{HashMap, HashSet};

use spade::{Point2, Triangulation as _, handles::FixedVertexHandle};

use super::error::Result;
use super::geometry::{Point, cross, distance2, dot, minus, polygon_area};
use super::noding::{node, position};
use super::observer::{Observer, Stage, check_stop};
use super::triangulate::{Cdt, triangulate};

/// Half the width of a weld, px; a smaller one is tried where a larger one touches something new.
const WELD_HALF_WIDTHS_PX: [f64; 4] = [0.5, 0.36, 0.24, 0.15];

/// A vertex of a repaired outline closer than this to the line between its neighbours is not needed, px.
const STRAIGHT_PX: f64 = 1.0 / 64.0;

/// Segments drawn between two looks at the observer: some milliseconds where they cross many triangles.
const SEGMENTS_PER_CHECK: usize = 64;

/// Where a lobe that ends in a pinch is thinner than this, it counts as a line without width, px. Two steps of the
/// noding's grid: its two sides would meet again in one grid point where they come out of the weld.
const THIN_PX: f64 = 1.0 / 128.0;

/// A repaired outline.
pub(super) struct Repaired {
    pub(super) ring: Vec<Point>,
    /// Area of the lobes that had to be left out, px2.
    pub(super) lost_px2: f64,
}

/// Makes a closed outline simple, in the orientation it had. `None` if nothing is inside.
///
/// The result lies within `[0, size]`; the outline must.
///
/// # Errors
/// [`Error::Stopped`](super::Error::Stopped).
pub(super) fn repair(outline: &[Point], size: Point, observer: &dyn Observer) -> Result<Option<Repaired>> {
    let positive = polygon_area(outline) > 0.0;
    let mut drawing = vec![outline.to_vec()];
    let mut best: Option<Repaired> = None;
    let mut half_widths = WELD_HALF_WIDTHS_PX.into_iter();
    while let Some(arrangement) = Arrangement::draw(&drawing, observer)? {
        let mut found = lobes(&arrangement).into_iter();
        let Some(ring) = found.next() else { break };
        let lost_px2 = found.map(|ring| polygon_area(&ring).abs()).sum();
        if best.as_ref().is_none_or(|best| lost_px2 < best.lost_px2) {
            best = Some(Repaired { ring, lost_px2 });
        }
        let Some(half_width) = half_widths.next().filter(|_| lost_px2 > 0.0) else { break };
        drawing.extend(arrangement.welds(half_width, size));
    }
    let Some(Repaired { ring, lost_px2 }) = best else { return Ok(None) };
    let mut ring = straighten(ring);
    if (polygon_area(&ring) > 0.0) != positive {
        ring.reverse();
    }
    Ok((ring.len() >= 3).then_some(Repaired { ring, lost_px2 }))
}

/// Vertices and edges with each face marked as inside or outside.
struct Arrangement {
    cdt: Cdt,
    outside: Vec<bool>,
}

impl Arrangement {
    /// Draws closed rings. `None` if they cannot be drawn without contradiction.
    fn draw(rings: &[Vec<Point>], observer: &dyn Observer) -> Result<Option<Self>> {
        let Some(segments) = node(rings, observer)? else { return Ok(None) };
        let mut cdt = Cdt::new();
        for (index, segment) in segments.into_iter().enumerate() {
            if index.is_multiple_of(SEGMENTS_PER_CHECK) {
                check_stop(observer, Stage::Triangulate)?;
            }
            let ends = segment.map(|point| {
                let [x, y] = position(point);
                cdt.insert(Point2::new(x, y)).ok()
            });
            let [Some(from), Some(to)] = ends else { return Ok(None) };
            if cdt.try_add_constraint(from, to).is_empty() {
                return Ok(None);
            }
        }
        let mut outside = vec![false; cdt.num_all_faces()];
        let mut pending = vec![cdt.outer_face().fix()];
        outside[cdt.outer_face().index()] = true;
        // The hull of the drawing is the outer face's border; inwards the flood goes across everything not drawn.
        for edge in cdt.convex_hull().filter(|edge| !edge.is_constraint_edge()) {
            for face in [edge.face(), edge.rev().face()] {
                if !std::mem::replace(&mut outside[face.index()], true) {
                    pending.push(face.fix());
                }
            }
        }
        while let Some(face) = pending.pop() {
            let Some(inner) = cdt.face(face).as_inner() else { continue };
            for edge in inner.adjacent_edges().into_iter().filter(|edge| !edge.is_constraint_edge()) {
                let beyond = edge.rev().face();
                if !std::mem::replace(&mut outside[beyond.index()], true) {
                    pending.push(beyond.fix());
                }
            }
        }
        Ok(Some(Self { cdt, outside }))
    }

    fn position(&self, vertex: usize) -> Point {
        let p = self.cdt.vertex(FixedVertexHandle::from_index(vertex)).position();
        [p.x, p.y]
    }

    /// Closed rings that join the lobes where they touch and along the lines between them.
    fn welds(&self, half_width: f64, size: Point) -> Vec<Vec<Point>> {
        let clamp = |[x, y]: Point| [x.clamp(0.0, size[0]), y.clamp(0.0, size[1])];
        let square =
            |[x, y]: Point| vec![[x - half_width, y], [x, y - half_width], [x + half_width, y], [x, y + half_width]];
        let band = |[a, b]: [Point; 2]| {
            let along = minus(b, a);
            let scale = half_width / along[0].hypot(along[1]);
            let [x, y] = [along[0] * scale, along[1] * scale];
            // It reaches past both ends, into what it joins.
            vec![
                [a[0] - x - y, a[1] - y + x],
                [a[0] - x + y, a[1] - y - x],
                [b[0] + x + y, b[1] + y - x],
                [b[0] + x - y, b[1] + y + x],
            ]
        };
        let pinches = self.pinches();
        let needles = pinches
            .iter()
            .flat_map(|&vertex| self.needles(vertex))
            .filter(|&[a, b]| distance2(a, b) > half_width * half_width);
        let bridges = self.bridges().into_iter().map(|ends| ends.map(|vertex| self.position(vertex)));
        let bands = needles.chain(bridges).map(band);
        let squares = pinches.iter().map(|&vertex| square(self.position(vertex)));
        squares.chain(bands).map(|ring| ring.into_iter().map(clamp).collect()).collect()
    }

    /// Vertices at which more than one lobe, or one lobe twice, meets the outside, in order.
    fn pinches(&self) -> Vec<usize> {
        let mut starts = vec![0u8; self.cdt.num_vertices()];
        for edge in self.cdt.directed_edges().filter(|e| self.on_border(e.face().index(), e.rev().face().index())) {
            starts[edge.from().index()] = starts[edge.from().index()].saturating_add(1);
        }
        (0..starts.len()).filter(|&vertex| starts[vertex] > 1).collect()
    }

    /// Lines from a pinch along each lobe that is a thin point there, to where it is no longer thin.
    fn needles(&self, vertex: usize) -> Vec<[Point; 2]> {
        let at = self.position(vertex);
        let edges = self.cdt.vertex(FixedVertexHandle::from_index(vertex)).out_edges();
        let sides = edges.filter(|edge| self.on_border(edge.face().index(), edge.rev().face().index())).map(|first| {
            let mut last = first.ccw();
            while last != first && !self.outside[last.face().index()] {
                last = last.ccw();
            }
            [first, last].map(|edge| minus(self.position(edge.to().index()), at))
        });
        let needle = |[u, v]: [Point; 2]| {
            let lengths = [u, v].map(|side| side[0].hypot(side[1]));
            let sine = cross(u, v) / (lengths[0] * lengths[1]);
            let reach = lengths[0].min(lengths[1]).min(THIN_PX / sine);
            let narrow = sine > 0.0 && dot(u, v) > 0.0;
            let middle = [0, 1].map(|axis| (u[axis] / lengths[0] + v[axis] / lengths[1]) / 2.0);
            narrow.then(|| [at, [at[0] + middle[0] * reach, at[1] + middle[1] * reach]])
        };
        sides.filter_map(needle).collect()
    }

    fn on_border(&self, left: usize, right: usize) -> bool {
        !self.outside[left] && self.outside[right]
    }

    /// Drawn edges with the outside on both sides that lead from one lobe to another; spikes end nowhere.
    fn bridges(&self) -> Vec<[usize; 2]> {
        let on_lobe: HashSet<usize> = self
            .cdt
            .directed_edges()
            .filter(|edge| !self.outside[edge.face().index()])
            .map(|edge| edge.from().index())
            .collect();
        let mut lines: Vec<[usize; 2]> = self
            .cdt
            .undirected_edges()
            .filter(|edge| edge.is_constraint_edge())
            .map(|edge| edge.as_directed())
            .filter(|edge| self.outside[edge.face().index()] && self.outside[edge.rev().face().index()])
            .map(|edge| [edge.from().index(), edge.to().index()])
            .collect();
        let mut at_vertex: HashMap<usize, Vec<usize>> = HashMap::new();
        for (line, ends) in lines.iter().enumerate() {
            ends.iter().for_each(|&vertex| at_vertex.entry(vertex).or_default().push(line));
        }
        let mut degree: HashMap<usize, usize> =
            at_vertex.iter().map(|(&vertex, lines)| (vertex, lines.len())).collect();
        // What a spike's last line leaves behind is the end of a shorter spike.
        let mut free_ends: Vec<usize> =
            degree.keys().copied().filter(|v| degree[v] == 1 && !on_lobe.contains(v)).collect();
        let mut is_spike = vec![false; lines.len()];
        while let Some(end) = free_ends.pop() {
            let Some(&line) = at_vertex[&end].iter().find(|&&line| !is_spike[line]) else { continue };
            is_spike[line] = true;
            for vertex in lines[line] {
                let left = degree.entry(vertex).or_default();
                *left -= 1;
                if *left == 1 && vertex != end && !on_lobe.contains(&vertex) {
                    free_ends.push(vertex);
                }
            }
        }
        let mut is_spike = is_spike.into_iter();
        lines.retain(|_| is_spike.next() == Some(false));
        lines
    }
}

/// The border of each lobe, positively oriented, the largest first, of equals the first drawn.
fn lobes(arrangement: &Arrangement) -> Vec<Vec<Point>> {
    let cdt = &arrangement.cdt;
    let mut lobe_of = vec![usize::MAX; cdt.num_all_faces()];
    let mut rings: Vec<(f64, Vec<Point>)> = Vec::new();
    for seed in cdt.inner_faces().filter(|face| !arrangement.outside[face.index()]) {
        if lobe_of[seed.index()] != usize::MAX {
            continue;
        }
        let lobe = rings.len();
        let mut pending = vec![seed];
        let mut onward: HashMap<usize, usize> = HashMap::new();
        let mut first = None;
        lobe_of[seed.index()] = lobe;
        while let Some(face) = pending.pop() {
            for edge in face.adjacent_edges() {
                let beyond = edge.rev().face();
                if arrangement.outside[beyond.index()] {
                    onward.insert(edge.from().index(), edge.to().index());
                    first.get_or_insert(edge.from().index());
                } else if lobe_of[beyond.index()] == usize::MAX {
                    lobe_of[beyond.index()] = lobe;
                    pending.extend(beyond.as_inner());
                }
            }
        }
        // A lobe has no holes and does not touch itself: what it would enclose is inside too. One loop is all of it.
        let Some(first) = first else { continue };
        let mut ring = vec![arrangement.position(first)];
        let mut at = onward.get(&first).copied();
        while let Some(vertex) = at.filter(|&vertex| vertex != first && ring.len() <= onward.len()) {
            ring.push(arrangement.position(vertex));
            at = onward.get(&vertex).copied();
        }
        rings.push((polygon_area(&ring).abs(), ring));
    }
    rings.sort_by(|a, b| b.0.total_cmp(&a.0));
    rings.into_iter().map(|(_, ring)| ring).collect()
}

/// Drops vertices that lie between their neighbours on a straight line: welds and crossings leave some.
fn straighten(ring: Vec<Point>) -> Vec<Point> {
    let mut kept = ring.clone();
    let mut index = 0;
    // One by one, each against what is left: of two vertices that make a corner together, neither is needed beside the
    // other.
    while kept.len() > 3 && index < kept.len() {
        let [before, at, after] = [kept.len() - 1, 0, 1].map(|step| kept[(index + step) % kept.len()]);
        let along = minus(after, before);
        let out = minus(at, before);
        let length2 = distance2(before, after);
        let off = cross(along, out);
        if off * off > STRAIGHT_PX * STRAIGHT_PX * length2 || dot(along, out) < 0.0 {
            index += 1;
        } else {
            kept.remove(index);
        }
    }
    if triangulate(&kept).is_some() { kept } else { ring }
}
