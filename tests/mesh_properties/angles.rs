//! Which triangles may be flat.
//!
//! A refined triangle has no angle under 15 degrees, unless the outline forces it:
//! - both legs of a corner of the outline under 60 degrees come within the triangle's own length of it: every vertex
//!   on one leg calls for another on the other leg, ever nearer to the corner;
//! - or the boundary has a piece near it, within the same length, that is so short that refinement must not split it:
//!   outline parts that run nearly together would be cut to dust.

use spinelift::mesh::Mesh;

use crate::outline::{edges, to_segment};

const MIN_ANGLE_DEGREES: f64 = 15.0;
const SHARP_DEGREES: f64 = 60.0;

/// Pieces of the boundary up to this length stay whole, px.
const SHORT_PIECE_PX: f64 = 0.5;

type Point = [f64; 2];

/// A triangle that is flat for no reason.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Flat {
    pub(crate) corners: [Point; 3],
    pub(crate) degrees: f64,
}

/// The triangles that the rule above does not excuse; `outline` is the hull before refinement.
pub(crate) fn needlessly_flat(mesh: &Mesh, outline: &[Point]) -> Vec<Flat> {
    let flat = mesh.triangles.iter().filter_map(|triangle| {
        let corners = triangle.map(|vertex| mesh.vertices[vertex as usize]);
        let degrees = smallest_angle(corners);
        (degrees < MIN_ANGLE_DEGREES).then_some(Flat { corners, degrees })
    });
    let flat: Vec<Flat> = flat.collect();
    if flat.is_empty() {
        return flat;
    }
    let sharp = sharp_corners(outline);
    let hull = &mesh.vertices[..mesh.boundary_indices.len()];
    let short: Vec<(Point, Point)> = edges(hull).filter(|&(a, b)| length(a, b) <= SHORT_PIECE_PX).collect();
    let excused = |flat: &Flat| {
        let [a, b, c] = flat.corners;
        let reach = length(a, b).max(length(b, c)).max(length(c, a));
        let near = |a: Point, b: Point| distance(flat.corners, a, b) <= reach;
        sharp.iter().any(|&[before, at, after]| near(before, at) && near(at, after))
            || short.iter().any(|&(a, b)| near(a, b))
    };
    flat.into_iter().filter(|flat| !excused(flat)).collect()
}

/// Corners of less than 60 degrees on the inside, each between the ends of its legs.
fn sharp_corners(outline: &[Point]) -> Vec<[Point; 3]> {
    let area: f64 = edges(outline).map(|(a, b)| a[0] * b[1] - a[1] * b[0]).sum();
    let around =
        edges(outline).zip(outline.iter().copied().cycle().skip(2)).map(|((before, at), after)| [before, at, after]);
    let sharp = around.filter(|&[before, at, after]| {
        let [u, v] = [before, after].map(|end| [end[0] - at[0], end[1] - at[1]]);
        let turn = (v[0] * u[1] - v[1] * u[0]) * area.signum();
        let angle = turn.atan2(u[0] * v[0] + u[1] * v[1]).to_degrees();
        (0.0..SHARP_DEGREES).contains(&angle)
    });
    sharp.collect()
}

fn smallest_angle([a, b, c]: [Point; 3]) -> f64 {
    let angle = |at: Point, p: Point, q: Point| {
        let [u, v] = [p, q].map(|end| [end[0] - at[0], end[1] - at[1]]);
        (u[0] * v[1] - u[1] * v[0]).abs().atan2(u[0] * v[0] + u[1] * v[1]).to_degrees()
    };
    angle(a, b, c).min(angle(b, c, a)).min(angle(c, a, b))
}

fn length(a: Point, b: Point) -> f64 {
    (b[0] - a[0]).hypot(b[1] - a[1])
}

/// Between a triangle and a segment that does not cross it.
fn distance(corners: [Point; 3], a: Point, b: Point) -> f64 {
    let from_corners = corners.iter().map(|&corner| to_segment(a, b, corner));
    let from_ends = edges(&corners).flat_map(|(p, q)| [a, b].map(|end| to_segment(p, q, end))).collect::<Vec<_>>();
    from_corners.chain(from_ends).fold(f64::MAX, f64::min)
}
