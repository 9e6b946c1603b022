//! A ring of vertices inside the outline: where a mesh is bent, the art's edge then moves with its outline.

use std::collections::HashSet;

use super::geometry::{Point, distance2, dot, lerp, minus};

/// Least distance from any piece of the boundary, as a share of the ring's own: nearer ones lie around a corner.
const CLEAR_SHARE: f64 = 0.9;

/// Points at so many px from a polygon's boundary, as far apart as from it, wherever there is room. The rings have the
/// polygon to their positive side.
pub(super) fn points(rings: &[&[Point]], distance_px: f64) -> Vec<Point> {
    let edges: Vec<[Point; 2]> = rings
        .iter()
        .flat_map(|ring| ring.iter().copied().zip(ring.iter().copied().cycle().skip(1)).map(|(a, b)| [a, b]))
        .collect();
    let clear2 = (CLEAR_SHARE * distance_px).powi(2);
    let mut found = Vec::new();
    // One in each cell of about that size keeps them apart.
    let mut taken = HashSet::new();
    for &[a, b] in &edges {
        let length = distance2(a, b).sqrt();
        let inward = [-(b[1] - a[1]) / length * distance_px, (b[0] - a[0]) / length * distance_px];
        let steps = (length / distance_px).ceil().max(1.0) as u32;
        for step in 0..steps {
            let on = lerp(a, b, (f64::from(step) + 0.5) / f64::from(steps));
            let point = [on[0] + inward[0], on[1] + inward[1]];
            let cell = point.map(|c| (c / (0.75 * distance_px)).floor() as i64);
            if edges.iter().all(|&edge| distance2_to(edge, point) >= clear2) && taken.insert(cell) {
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
        let ring = points(&[&square], 10.0);
        assert!(ring.len() >= 24, "{}", ring.len());
        for [x, y] in ring {
            let nearest = x.min(y).min(100.0 - x).min(100.0 - y);
            assert!((9.0..=10.0).contains(&nearest), "{x} {y}");
        }
    }

    #[test]
    fn there_is_none_where_there_is_no_room() {
        assert_eq!(points(&[&[[0.0, 0.0], [100.0, 0.0], [100.0, 12.0], [0.0, 12.0]]], 10.0), [[0.0; 2]; 0]);
    }
}
