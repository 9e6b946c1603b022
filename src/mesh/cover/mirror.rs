//! Shapes that are mirror-symmetric about an upright axis: found, made whole, halved, and doubled again as a mesh.

use std::collections::HashMap;

use super::fixed::STEPS;
use crate::mesh::geometry::{Point, polygon_area};
use crate::mesh::mask::BitMask;
use crate::mesh::triangulation::{BOUNDARY, Triangulation};

/// Largest share of a shape's pixels that may lack a partner where symmetry is looked for.
const MOST_UNPAIRED: f64 = 0.01;

/// Parts of a px that columns of a mirrored mesh are whole numbers of. So fine that no measure notices, and coarse enough
/// that an f64 holds a column of a canvas of 65,536 px: added to the axis and subtracted from it, none is rounded.
const PARTS: f64 = (1_u64 << 36) as f64;

/// An upright line, by twice its column: a shape may be symmetric about the middle of a pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Axis {
    twice: usize,
}

impl Axis {
    /// The middle of the box around a shape. `None` of an empty one.
    pub(super) fn of(mask: &BitMask) -> Option<Self> {
        let (mut left, mut right) = (usize::MAX, 0);
        for y in 0..mask.height() {
            mask.runs(y, |start, end| (left, right) = (left.min(start), right.max(end)));
        }
        (left < right).then_some(Self { twice: left + right })
    }

    /// In steps of the grid.
    pub(super) fn place(self) -> i32 {
        self.twice as i32 * STEPS / 2
    }

    /// The columns about the axis that a canvas has on both sides, in steps of the grid.
    pub(super) fn leftmost(self, width: usize) -> i32 {
        self.twice.saturating_sub(width) as i32 * STEPS
    }

    /// The shape as it is seen in a mirror; what falls beyond the mask is cut off.
    pub(super) fn mirrored(self, mask: &BitMask) -> BitMask {
        let mut mirrored = BitMask::empty(mask.width(), mask.height());
        for y in 0..mask.height() {
            mask.runs(y, |start, end| {
                let (from, to) = (self.twice.saturating_sub(end), self.twice.saturating_sub(start));
                mirrored.set_run(y, from.min(mask.width()), to.min(mask.width()));
            });
        }
        mirrored
    }

    /// Whether nearly every pixel has its partner.
    pub(super) fn is_of(self, mask: &BitMask) -> bool {
        let mirrored = self.mirrored(mask);
        mask.without(&mirrored).count() as f64 <= MOST_UNPAIRED * mask.count() as f64
    }

    /// The pixels to the left whose mirror images lie in the mask, with those on the axis.
    pub(super) fn left_half(self, mask: &BitMask) -> BitMask {
        let mut half = BitMask::empty(mask.width(), mask.height());
        let (start_of_half, end_of_half) = (self.twice.saturating_sub(mask.width()), self.twice.div_ceil(2));
        for y in 0..mask.height() {
            mask.runs(y, |start, end| {
                if start < end_of_half && end > start_of_half {
                    half.set_run(y, start.max(start_of_half), end.min(end_of_half));
                }
            });
        }
        half
    }

    /// Joins a half to the axis where nothing of it reaches there: by the shortest level bridge.
    pub(super) fn reach(self, half: &mut BitMask) {
        let end_of_half = self.twice.div_ceil(2);
        let mut nearest: Option<(usize, usize)> = None;
        for y in 0..half.height() {
            half.runs(y, |_, end| {
                if nearest.is_none_or(|(known, _)| end > known) {
                    nearest = Some((end, y));
                }
            });
        }
        if let Some((end, y)) = nearest.filter(|(end, _)| *end < end_of_half) {
            half.set_run(y, end, end_of_half);
        }
    }

    /// Joins an island of a half to the axis, from where it is nearest, by a level bridge of a width.
    pub(super) fn bridge(self, half: &mut BitMask, ring: &[[i32; 2]], width_px: usize) {
        let Some([x, y]) = ring.iter().copied().max() else { return };
        let (start, middle) = (x.max(1) as usize - 1, y.max(0) as usize);
        let first = middle.saturating_sub(width_px.div_ceil(2)).min(half.height().saturating_sub(width_px));
        for row in first..(first + width_px).min(half.height()) {
            half.set_run(row, start, self.twice.div_ceil(2).min(half.width()));
        }
    }
}

/// A half mesh whose columns count from the axis and its mirror image, joined along the axis: one part if it reaches the
/// axis, else two. Each with where the loops of its boundary begin, the hull's first. To the last bit, both sides are
/// mirror images of each other.
pub(in crate::mesh) fn double(half: &Triangulation, axis_px: f64) -> Vec<(Triangulation, Vec<u32>)> {
    let count = half.vertices.len() as u32;
    let own: Vec<Point> = half.vertices.iter().map(|&[x, y]| [(x * PARTS).round() / PARTS, y]).collect();
    let mut vertices: Vec<Point> = own.iter().map(|&[x, y]| [axis_px + x, y]).collect();
    let mut partners = Vec::with_capacity(vertices.len());
    for (&[x, y], vertex) in own.iter().zip(0..count) {
        if x == 0.0 {
            partners.push(vertex);
        } else {
            partners.push(vertices.len() as u32);
            vertices.push([axis_px - x, y]);
        }
    }
    let mirrored = half.triangles.iter().map(|&[a, b, c]| [a, c, b].map(|v| partners[v as usize]));
    let mirrored: Vec<[u32; 3]> = mirrored.collect();
    if vertices.len() as u32 == 2 * count {
        let other = vertices.split_off(count as usize);
        let triangles = mirrored.into_iter().map(|corners| corners.map(|v| v - count)).collect();
        return vec![joined(vertices, half.triangles.clone()), joined(other, triangles)];
    }
    vec![joined(vertices, half.triangles.iter().copied().chain(mirrored).collect())]
}

/// Triangles with their neighbours, and where the loops of the boundary begin: the one around the largest area first.
fn joined(vertices: Vec<Point>, triangles: Vec<[u32; 3]>) -> (Triangulation, Vec<u32>) {
    let edges = |&[a, b, c]: &[u32; 3]| [[a, b], [b, c], [c, a]];
    let owners: HashMap<[u32; 2], u32> =
        triangles.iter().zip(0..).flat_map(|(corners, t)| edges(corners).map(|edge| (edge, t))).collect();
    let across = |[a, b]: [u32; 2]| owners.get(&[b, a]).copied().unwrap_or(BOUNDARY);
    let neighbours: Vec<[u32; 3]> = triangles.iter().map(|corners| edges(corners).map(across)).collect();
    let mut onward = vec![BOUNDARY; vertices.len()];
    for edge in triangles.iter().flat_map(edges).filter(|&edge| across(edge) == BOUNDARY) {
        onward[edge[0] as usize] = edge[1];
    }
    let mut loops: Vec<(f64, u32)> = Vec::new();
    let mut seen = vec![false; vertices.len()];
    for start in 0..vertices.len() as u32 {
        let mut ring = Vec::new();
        let mut at = start;
        while onward[at as usize] != BOUNDARY && !seen[at as usize] {
            seen[at as usize] = true;
            ring.push(vertices[at as usize]);
            at = onward[at as usize];
        }
        if !ring.is_empty() {
            loops.push((polygon_area(&ring), start));
        }
    }
    loops.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let starts = loops.into_iter().map(|(_, start)| start).collect();
    (Triangulation::new(vertices, triangles, neighbours), starts)
}
