//! Segments that cross become segments that meet at common ends.
//!
//! Crossings are rounded to a grid and the segments bent through them, which may bring about new crossings, so it is
//! done until there are none (iterated snap rounding; Hobby, Practical segment intersection with finite precision
//! output, 1999). Grid points are exact in `f64` and so are the signs of their triangles: what this returns can be
//! trusted, where splitting at unrounded crossings ends in contradictions.

use std::collections::BTreeSet;

use super::error::Result;
use super::geometry::{Point, distance2, lerp, orient};
use super::observer::{Observer, Stage, check_stop};

/// Steps of the grid in a pixel. Fine enough to be invisible, coarse enough that no triangle is a sliver by rounding.
const GRID_STEPS: f64 = 256.0;

/// Rounds after which an outline is given up; two or three are usual.
const ROUNDS: usize = 32;

/// Pairs of segments compared between two looks at the observer: about a millisecond.
const PAIRS_PER_CHECK: usize = 1 << 17;

/// A segment between grid points, in grid steps, the lesser end first.
pub(super) type Segment = [[i32; 2]; 2];

/// Segments that meet only at their ends and cover the closed rings, in order. `None` if rounding does not settle.
///
/// # Errors
/// [`Error::Stopped`](super::Error::Stopped).
pub(super) fn node(rings: &[Vec<Point>], observer: &dyn Observer) -> Result<Option<Vec<Segment>>> {
    let mut segments: BTreeSet<Segment> = rings.iter().flat_map(|ring| closed(ring)).collect();
    for _ in 0..ROUNDS {
        let list: Vec<Segment> = segments.iter().copied().collect();
        let splits = split_points(&list, observer)?;
        if splits.iter().all(Vec::is_empty) {
            return Ok(Some(list));
        }
        segments = list.iter().zip(splits).flat_map(|(segment, points)| chain(*segment, points)).collect();
    }
    Ok(None)
}

/// The position of a grid point, px.
pub(super) fn position(point: [i32; 2]) -> Point {
    point.map(|step| f64::from(step) / GRID_STEPS)
}

fn snap(point: Point) -> [i32; 2] {
    point.map(|x| (x * GRID_STEPS).round() as i32)
}

fn closed(ring: &[Point]) -> Vec<Segment> {
    let points: Vec<[i32; 2]> = ring.iter().copied().map(snap).collect();
    let previous = points.last().into_iter().chain(&points);
    previous.zip(&points).filter_map(|(&a, &b)| segment(a, b)).collect()
}

fn segment(a: [i32; 2], b: [i32; 2]) -> Option<Segment> {
    (a != b).then(|| if a < b { [a, b] } else { [b, a] })
}

/// The segment through points near it, in order along it.
fn chain([a, b]: Segment, mut points: Vec<[i32; 2]>) -> Vec<Segment> {
    let along = |p: &[i32; 2]| {
        let (from, to) = ([b[0] - a[0], b[1] - a[1]], [p[0] - a[0], p[1] - a[1]]);
        i64::from(from[0]) * i64::from(to[0]) + i64::from(from[1]) * i64::from(to[1])
    };
    points.sort_unstable_by_key(along);
    points.insert(0, a);
    points.push(b);
    points.windows(2).filter_map(|pair| segment(pair[0], pair[1])).collect()
}

/// For each segment the points at which another one meets it other than at its ends. Segments are in order of their
/// left ends, so those that reach over one begin before it.
fn split_points(segments: &[Segment], observer: &dyn Observer) -> Result<Vec<Vec<[i32; 2]>>> {
    let mut splits = vec![Vec::new(); segments.len()];
    let mut open: Vec<usize> = Vec::new();
    let mut unchecked_pairs = 0;
    for (index, segment) in segments.iter().enumerate() {
        unchecked_pairs += 1 + open.len();
        if unchecked_pairs > PAIRS_PER_CHECK {
            unchecked_pairs = 0;
            check_stop(observer, Stage::Triangulate)?;
        }
        open.retain(|&other| segments[other][1][0] >= segment[0][0]);
        for &other in &open {
            meet(segments, [other, index], &mut splits);
        }
        open.push(index);
    }
    Ok(splits)
}

fn meet(segments: &[Segment], pair: [usize; 2], splits: &mut [Vec<[i32; 2]>]) {
    let [s, t] = pair.map(|index| segments[index]);
    let apart = |axis: usize| {
        s[0][axis].max(s[1][axis]) < t[0][axis].min(t[1][axis])
            || t[0][axis].max(t[1][axis]) < s[0][axis].min(s[1][axis])
    };
    if apart(0) || apart(1) {
        return;
    }
    let [[a, b], [c, d]] = [s, t].map(|segment| segment.map(position));
    let sides = [orient(a, b, c), orient(a, b, d), orient(c, d, a), orient(c, d, b)];
    let mut touched = false;
    // An end of one on the other, or both on one line: the ends that lie within split it.
    for (side, point, on, index) in [
        (sides[0], t[0], s, pair[0]),
        (sides[1], t[1], s, pair[0]),
        (sides[2], s[0], t, pair[1]),
        (sides[3], s[1], t, pair[1]),
    ] {
        if side == 0.0 && strictly_within(on, point) {
            splits[index].push(point);
            touched = true;
        }
    }
    let opposite = |p: f64, q: f64| (p > 0.0) != (q > 0.0) && p != 0.0 && q != 0.0;
    if !touched && opposite(sides[0], sides[1]) && opposite(sides[2], sides[3]) {
        let share = sides[2] / (sides[2] - sides[3]);
        let at = snap(lerp(a, b, share));
        for (segment, index) in [(s, pair[0]), (t, pair[1])] {
            if !segment.contains(&at) {
                splits[index].push(at);
            }
        }
    }
}

/// Whether a point on the line of a segment lies between its ends.
fn strictly_within([a, b]: Segment, point: [i32; 2]) -> bool {
    let [a, b, p] = [a, b, point].map(position);
    let length2 = distance2(a, b);
    let (from_a, from_b) = (distance2(a, p), distance2(b, p));
    from_a > 0.0 && from_b > 0.0 && from_a < length2 && from_b < length2
}
