//! Points, exact signs and lengths. Image space: x right, y down, px; a positive turn is clockwise on screen.

use robust::Coord;

/// `[x, y]` in px.
pub(super) type Point = [f64; 2];

fn coord([x, y]: Point) -> Coord<f64> {
    Coord { x, y }
}

/// Twice the signed area of a triangle, px2; its sign is exact (Shewchuk's adaptive predicates, 1997).
pub(super) fn orient(a: Point, b: Point, c: Point) -> f64 {
    robust::orient2d(coord(a), coord(b), coord(c))
}

/// Whether `p` lies within the circle through a positively oriented triangle; exact.
pub(super) fn in_circle([a, b, c]: [Point; 3], p: Point) -> bool {
    robust::incircle(coord(a), coord(b), coord(c), coord(p)) > 0.0
}

pub(super) fn minus(a: Point, b: Point) -> Point {
    [a[0] - b[0], a[1] - b[1]]
}

/// The point at share `t` of the way from `a` to `b`.
pub(super) fn lerp(a: Point, b: Point, t: f64) -> Point {
    [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t]
}

pub(super) fn dot(a: Point, b: Point) -> f64 {
    a[0] * b[0] + a[1] * b[1]
}

/// Twice the signed area between two vectors; rounded, where `orient` is exact.
pub(super) fn cross(a: Point, b: Point) -> f64 {
    a[0] * b[1] - a[1] * b[0]
}

pub(super) fn distance2(a: Point, b: Point) -> f64 {
    let d = minus(a, b);
    dot(d, d)
}

/// Signed area of a closed polygon, px2.
pub(super) fn polygon_area(ring: &[Point]) -> f64 {
    // Relative to the first point, so that a small polygon far from the origin loses no digits.
    let Some(&origin) = ring.first() else { return 0.0 };
    ring.windows(2).map(|pair| cross(minus(pair[0], origin), minus(pair[1], origin))).sum::<f64>() / 2.0
}
