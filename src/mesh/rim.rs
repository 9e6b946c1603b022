//! A ring of vertices inside the outline: where a mesh is bent, the art's edge then moves with its outline.

use super::geometry::{Point, distance2, dot, lerp, minus};
use super::spacing::Spacing;

/// Least distance from any piece of the boundary, as a share of the ring's own: nearer ones lie around a corner.
const CLEAR_SHARE: f64 = 0.9;

/// Least distance from each other: in a part as wide as twice the ring's distance both sides ask for the same points.
const APART_SHARE: f64 = 0.6;

/// Points at so many px from a polygon's boundary, about as far apart as from it, wherever there is room. The rings have
/// the polygon to their positive side. Of a half, what runs along the axis, the column 0, is no boundary, and points keep
/// their distance from their mirror images too.
pub(super) fn points(rings: &[&[Point]], distance_px: f64, is_half: bool) -> Vec<Point> {
    let edges = rings.iter().flat_map(|ring| ring.iter().copied().zip(ring.iter().copied().cycle().skip(1)));
    let is_outline = |a: Point, b: Point| !is_half || a[0] < 0.0 || b[0] < 0.0;
    let edges: Vec<[Point; 2]> = edges.filter(|&(a, b)| is_outline(a, b)).map(|(a, b)| [a, b]).collect();
    let clear2 = (CLEAR_SHARE * distance_px).powi(2);
    let mut found = Vec::new();
    let Some(mut taken) = Spacing::new(APART_SHARE * distance_px, is_half) else { return found };
    for &[a, b] in &edges {
        let length = distance2(a, b).sqrt();
        let inward = [-(b[1] - a[1]) / length * distance_px, (b[0] - a[0]) / length * distance_px];
        let steps = (length / distance_px).ceil().max(1.0) as u32;
        for step in 0..steps {
            let on = lerp(a, b, (f64::from(step) + 0.5) / f64::from(steps));
            let point = [on[0] + inward[0], on[1] + inward[1]];
            // Beyond the axis there are the mirror images.
            let is_within = !is_half || point[0] < 0.0;
            let is_clear = || edges.iter().all(|&edge| distance2_to(edge, point) >= clear2);
            if is_within && taken.is_free(point) && is_clear() {
                taken.add(point);
                found.push(point);
            }
        }
    }
    found
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
        let ring = points(&[&square], 10.0, false);
        assert!(ring.len() >= 24, "{}", ring.len());
        for [x, y] in ring {
            let nearest = x.min(y).min(100.0 - x).min(100.0 - y);
            assert!((9.0..=10.0).contains(&nearest), "{x} {y}");
        }
    }

    #[test]
    fn there_is_none_where_there_is_no_room() {
        assert_eq!(points(&[&[[0.0, 0.0], [100.0, 0.0], [100.0, 12.0], [0.0, 12.0]]], 10.0, false), [[0.0; 2]; 0]);
    }

    /// A vertex as near to another as rounding allows would draw hundreds around it.
    #[test]
    fn both_sides_of_a_narrow_part_share_their_points() {
        // So long that its points are not the same to the last bit as seen from either end.
        let strip = [[0.0, 0.0], [2.0, 0.0], [2.0, 13.0], [0.0, 13.0]];
        let ring = points(&[&strip], 1.0, false);
        assert!((8..=14).contains(&ring.len()), "{}", ring.len());
        for (i, &a) in ring.iter().enumerate() {
            assert!(ring[..i].iter().all(|&b| distance2(a, b) >= 0.36), "{a:?}");
        }
    }

    #[test]
    fn the_axis_of_a_half_is_no_outline() {
        let half = [[-100.0, 0.0], [0.0, 0.0], [0.0, 100.0], [-100.0, 100.0]];
        let ring = points(&[&half], 10.0, true);
        assert!(ring.len() >= 24, "{}", ring.len());
        for [x, y] in ring {
            assert!(x <= -3.0 && (x + 100.0).min(y).min(100.0 - y) <= 10.0, "{x} {y}");
        }
    }
}
