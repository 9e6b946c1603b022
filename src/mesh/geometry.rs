//! Points, exact signs and lengths. Image space: x right, y down, px; a positive turn is clockwise on screen.

use robust::Coord;

/// `[x, y]` in px.
pub(super) type Point = [f64; 2];

fn coord([x, y]: Point) -> Coord<f64> {
    Coord { x, y }
}

/// Rounding of `orient`'s determinant as a share of its terms, and of `in_circle`'s: the filters of Shewchuk's Adaptive
/// Precision Floating-Point Arithmetic and Fast Robust Geometric Predicates (1997). A larger result has the right sign.
const ORIENT_ERROR: f64 = (3.0 + 16.0 * HALF_ULP) * HALF_ULP;
const IN_CIRCLE_ERROR: f64 = (10.0 + 96.0 * HALF_ULP) * HALF_ULP;
const HALF_ULP: f64 = f64::EPSILON / 2.0;

/// Twice the signed area of a triangle, px2; its sign is exact. The filter is inlined, as refinement asks
/// it for every corner it touches; what it cannot decide goes to the adaptive predicate.
#[inline]
pub(super) fn orient(a: Point, b: Point, c: Point) -> f64 {
    let left = (a[0] - c[0]) * (b[1] - c[1]);
    let right = (a[1] - c[1]) * (b[0] - c[0]);
    let determinant = left - right;
    if determinant.abs() > ORIENT_ERROR * (left.abs() + right.abs()) {
        determinant
    } else {
        robust::orient2d(coord(a), coord(b), coord(c))
    }
}

/// Whether `p` lies within the circle through a positively oriented triangle; exact.
#[inline]
pub(super) fn in_circle(corners: [Point; 3], p: Point) -> bool {
    let [a, b, c] = corners.map(|corner| minus(corner, p));
    let (aa, bb, cc) = (dot(a, a), dot(b, b), dot(c, c));
    let terms = [(aa, b, c), (bb, c, a), (cc, a, b)];
    let determinant: f64 = terms.iter().map(|(square, u, v)| square * (u[0] * v[1] - u[1] * v[0])).sum();
    let size: f64 = terms.iter().map(|(square, u, v)| square * ((u[0] * v[1]).abs() + (u[1] * v[0]).abs())).sum();
    if determinant.abs() > IN_CIRCLE_ERROR * size {
        return determinant > 0.0;
    }
    let [a, b, c] = corners;
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
