//! Points on a grid of sixteenths of a pixel, where every sign is exact: integers, so that "no pixel is cut" is proven
//! and not measured. Image space: x right, y down; a positive turn is clockwise on screen. Material lies to the side of
//! positive turns.

/// Steps of the grid in a pixel.
pub(super) const STEPS: i32 = 16;

/// `[x, y]` in sixteenths of a px.
pub(super) type Place = [i32; 2];

/// `[x, y]` in px.
pub(super) fn in_px(place: Place) -> [f64; 2] {
    place.map(|c| f64::from(c) / f64::from(STEPS))
}

/// The cross product of two places as vectors.
pub(super) fn cross(a: Place, b: Place) -> i64 {
    i64::from(a[0]) * i64::from(b[1]) - i64::from(a[1]) * i64::from(b[0])
}

pub(super) fn minus(a: Place, b: Place) -> Place {
    [a[0] - b[0], a[1] - b[1]]
}

/// Twice the signed area of a triangle; positive if `c` lies to the material's side of the way from `a` to `b`.
pub(super) fn turn(a: Place, b: Place, c: Place) -> i64 {
    cross(minus(b, a), minus(c, a))
}

pub(super) fn distance2(a: Place, b: Place) -> i64 {
    let [x, y] = minus(a, b).map(i64::from);
    x * x + y * y
}

/// Twice the signed area within a ring.
pub(super) fn twice_area(ring: &[Place]) -> i64 {
    let Some(&last) = ring.last() else { return 0 };
    ring.iter().fold((0, last), |(sum, previous), &place| (sum + cross(previous, place), place)).0
}

/// Farthest from `a` that a meeting point is looked for, in steps.
const FARTHEST: f64 = 1e8;

/// The place nearest to where the lines through `a`, `b` and through `c`, `d` meet. `None` if they are parallel or nearly.
pub(super) fn meeting(a: Place, b: Place, c: Place, d: Place) -> Option<Place> {
    let (along, other) = (minus(b, a), minus(d, c));
    let divisor = cross(along, other);
    if divisor == 0 {
        return None;
    }
    // Rounded as seen from `a`: a picture that is moved gives places moved alike.
    let share = cross(minus(c, a), other) as f64 / divisor as f64;
    let way = along.map(|c| (share * f64::from(c)).round());
    way.iter().all(|c| c.abs() < FARTHEST).then(|| [a[0] + way[0] as i32, a[1] + way[1] as i32])
}
