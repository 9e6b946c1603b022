//! A ring of vertices inside the outline: where a mesh is bent, the art's edge then moves with its outline.

use std::collections::HashMap;

use super::error::Result;
use super::geometry::{Point, distance2, dot, lerp, minus};
use super::observer::{Observer, Stage, check_stop};
use super::spacing::Spacing;

/// Least distance from any piece of the boundary, as a share of the ring's own: nearer ones lie around a corner.
const CLEAR_SHARE: f64 = 0.9;

/// Least distance from each other: in a part as wide as twice the ring's distance both sides ask for the same points.
const APART_SHARE: f64 = 0.6;

/// Triangles that a point of a narrow ring brings with it.
const TRIANGLES_OF_POINT: f64 = 5.0;

/// Most triangles beside a ring, whatever is allowed in all: what admission to a service counts with, as the outline that
/// makes them is not known then.
pub(super) const MOST_TRIANGLES: u64 = 100_000;

/// Points between two looks at the observer.
const POINTS_PER_CHECK: usize = 4096;

/// How many triangles a ring at so many px from a polygon's boundary is going to make, if it is narrow; of a wide one, which
/// has no room everywhere, it makes fewer.
pub(super) fn estimate_triangles(rings: &[&[Point]], distance_px: f64) -> u64 {
    if distance_px <= 0.0 {
        return 0;
    }
    let length: f64 = edges_of(rings).map(|[a, b]| distance2(a, b).sqrt()).sum();
    // The cast saturates.
    (TRIANGLES_OF_POINT * length / distance_px).ceil() as u64
}

/// Points at so many px from a polygon's boundary, about as far apart as from it, wherever there is room. The rings have
/// the polygon to their positive side. Of a half, what runs along the axis, the column 0, is no boundary, and points keep
/// their distance from their mirror images too.
///
/// # Errors
/// [`Error::Stopped`](super::Error::Stopped).
pub(super) fn points(
    rings: &[&[Point]],
    distance_px: f64,
    is_half: bool,
    observer: &dyn Observer,
) -> Result<Vec<Point>> {
    let is_outline = |[a, b]: &[Point; 2]| !is_half || a[0] < 0.0 || b[0] < 0.0;
    let boundary = Boundary::new(edges_of(rings).filter(is_outline).collect(), distance_px);
    let mut found = Vec::new();
    let Some(mut taken) = Spacing::new(APART_SHARE * distance_px, is_half) else { return Ok(found) };
    let mut until_check = 0;
    for &[a, b] in &boundary.edges {
        let length = distance2(a, b).sqrt();
        let inward = [-(b[1] - a[1]) / length * distance_px, (b[0] - a[0]) / length * distance_px];
        let steps = (length / distance_px).ceil().max(1.0) as u32;
        for step in 0..steps {
            if until_check == 0 {
                check_stop(observer, Stage::Triangulate)?;
                until_check = POINTS_PER_CHECK;
            }
            until_check -= 1;
            let on = lerp(a, b, (f64::from(step) + 0.5) / f64::from(steps));
            let point = [on[0] + inward[0], on[1] + inward[1]];
            // Beyond the axis there are the mirror images.
            let is_within = !is_half || point[0] < 0.0;
            if is_within && taken.is_free(point) && boundary.is_clear(point) {
                taken.add(point);
                found.push(point);
            }
        }
    }
    Ok(found)
}

fn edges_of<'a>(rings: &'a [&'a [Point]]) -> impl Iterator<Item = [Point; 2]> + 'a {
    rings.iter().flat_map(|ring| ring.iter().copied().zip(ring.iter().copied().cycle().skip(1))).map(|(a, b)| [a, b])
}

/// The edges that a ring keeps away from, in square cells: what is as near to a point as the ring's distance passes through
/// its cell or one beside it.
struct Boundary {
    edges: Vec<[Point; 2]>,
    distance_px: f64,
    cells: HashMap<[i64; 2], Vec<u32>>,
}

/// Side of a cell, and distance of the places along an edge whose cells are noted, in distances of the ring. Half of the
/// latter and the distance itself are no more than a side.
const CELL_SHARE: f64 = 1.25;
const NOTED_SHARE: f64 = 0.5;

impl Boundary {
    fn new(edges: Vec<[Point; 2]>, distance_px: f64) -> Self {
        let mut boundary = Self { edges: Vec::new(), distance_px, cells: HashMap::new() };
        for (&[a, b], index) in edges.iter().zip(0..) {
            let steps = (distance2(a, b).sqrt() / (NOTED_SHARE * distance_px)).ceil().max(1.0) as u32;
            let mut last = None;
            for step in 0..=steps {
                let cell = boundary.cell(lerp(a, b, f64::from(step) / f64::from(steps)));
                if last.replace(cell) != Some(cell) {
                    boundary.cells.entry(cell).or_default().push(index);
                }
            }
        }
        Self { edges, ..boundary }
    }

    fn cell(&self, point: Point) -> [i64; 2] {
        point.map(|c| (c / (CELL_SHARE * self.distance_px)).floor() as i64)
    }

    /// Whether no edge is much nearer to a point than the ring's distance.
    fn is_clear(&self, point: Point) -> bool {
        let clear2 = (CLEAR_SHARE * self.distance_px).powi(2);
        let [column, row] = self.cell(point);
        let around = (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| [column + dx, row + dy]));
        let mut near = around.filter_map(|cell| self.cells.get(&cell)).flatten();
        near.all(|&edge| distance2_to(self.edges[edge as usize], point) >= clear2)
    }
}

/// Squared distance of a point from a segment.
fn distance2_to([a, b]: [Point; 2], point: Point) -> f64 {
    let along = minus(b, a);
    let share = (dot(minus(point, a), along) / dot(along, along)).clamp(0.0, 1.0);
    distance2(lerp(a, b, share), point)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_square_has_a_ring_all_around() {
        let square = [[0.0, 0.0], [100.0, 0.0], [100.0, 100.0], [0.0, 100.0]];
        let ring = points(&[&square], 10.0, false, &()).unwrap();
        assert!(ring.len() >= 24, "{}", ring.len());
        for [x, y] in ring {
            let nearest = x.min(y).min(100.0 - x).min(100.0 - y);
            assert!((9.0..=10.0).contains(&nearest), "{x} {y}");
        }
    }

    #[test]
    fn there_is_none_where_there_is_no_room() {
        let strip = [[0.0, 0.0], [100.0, 0.0], [100.0, 12.0], [0.0, 12.0]];
        assert_eq!(points(&[&strip], 10.0, false, &()).unwrap(), [[0.0; 2]; 0]);
    }

    /// A vertex as near to another as rounding allows would draw hundreds around it.
    #[test]
    fn both_sides_of_a_narrow_part_share_their_points() {
        // So long that its points are not the same to the last bit as seen from either end.
        let strip = [[0.0, 0.0], [2.0, 0.0], [2.0, 13.0], [0.0, 13.0]];
        let ring = points(&[&strip], 1.0, false, &()).unwrap();
        assert!((8..=14).contains(&ring.len()), "{}", ring.len());
        for (i, &a) in ring.iter().enumerate() {
            assert!(ring[..i].iter().all(|&b| distance2(a, b) >= 0.36), "{a:?}");
        }
    }

    #[test]
    fn the_axis_of_a_half_is_no_outline() {
        let half = [[-100.0, 0.0], [0.0, 0.0], [0.0, 100.0], [-100.0, 100.0]];
        let ring = points(&[&half], 10.0, true, &()).unwrap();
        assert!(ring.len() >= 24, "{}", ring.len());
        for [x, y] in ring {
            assert!(x <= -3.0 && (x + 100.0).min(y).min(100.0 - y) <= 10.0, "{x} {y}");
        }
    }
}
