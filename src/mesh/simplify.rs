//! Douglas-Peucker on a closed contour, point for point as OpenCV 5 does it.
//!
//! Three things make it OpenCV's: where it starts (three rounds of farthest-point search from point 0), what distance
//! it takes (to the segment, not to the line through it), and the last pass, which drops points that lie almost on
//! the line between their neighbours. All sums and products of pixel coordinates are exact in `f64`, so a comparison
//! goes the same way on every machine.

use super::error::Result;
use super::observer::{Observer, Stage, check_stop};
use super::parameters::MeshParameters;

/// Rounds of the search for two points far apart; OpenCV's choice.
const FARTHEST_ROUNDS: usize = 3;

/// Points looked at between two looks at the observer: some milliseconds.
const POINTS_PER_CHECK: usize = 1 << 20;

/// The tolerance in px: a share of the contour's length between 0.2 % (`detail_factor` 0.05) and 3 % (0.001),
/// up to five times that with `concave_factor`.
pub(crate) fn epsilon_px(contour: &[[i32; 2]], p: &MeshParameters) -> f64 {
    let detail = p.detail_factor.clamp(0.001, 0.050);
    let share = ((detail - 0.001) / 0.049).sqrt();
    let epsilon = (0.002 + (1.0 - share) * 0.028) * arc_length_px(contour);
    (epsilon * (1.0 + p.concave_factor.clamp(0.0, 100.0) / 25.0)).max(0.1)
}

/// Length of the closed contour. Each edge is rounded to `f32` before they are summed, as OpenCV has it.
fn arc_length_px(contour: &[[i32; 2]]) -> f64 {
    closed_edges(contour)
        .map(|(a, b)| {
            let (dx, dy) = ((b[0] - a[0]) as f32, (b[1] - a[1]) as f32);
            f64::from((dx * dx + dy * dy).sqrt())
        })
        .sum()
}

/// Each point with its predecessor, beginning with the edge that closes the ring.
fn closed_edges(ring: &[[i32; 2]]) -> impl Iterator<Item = ([i32; 2], [i32; 2])> {
    let before = ring.last().into_iter().chain(ring);
    before.copied().zip(ring.iter().copied())
}

/// The points of the contour that remain within `epsilon_px`; 1 or 2 where nothing else does.
///
/// # Errors
/// [`Error::Stopped`](super::Error::Stopped).
pub(crate) fn simplify(contour: &[[i32; 2]], epsilon_px: f64, observer: &dyn Observer) -> Result<Vec<[i32; 2]>> {
    let epsilon2 = epsilon_px * epsilon_px;
    let Some((start, farthest)) = two_far_points(contour, epsilon2) else {
        return Ok(Vec::new());
    };
    let Some(farthest) = farthest else {
        return Ok(vec![contour[start]]);
    };
    let kept = split(contour, start, farthest, epsilon2, observer)?;
    Ok(drop_near_collinear(kept, epsilon2))
}

/// Two points far apart: each round jumps to the first point that is farthest from the last. The second is `None`
/// if all points are within the tolerance of the first; nothing for an empty contour.
fn two_far_points(contour: &[[i32; 2]], epsilon2: f64) -> Option<(usize, Option<usize>)> {
    let count = contour.len();
    let (mut at, mut offset, mut distance2) = (0, 0, 0.0);
    for _ in 0..FARTHEST_ROUNDS {
        at = (at + offset) % count.max(1);
        let start = contour.get(at)?;
        distance2 = 0.0;
        let others = contour[at + 1..].iter().chain(&contour[..at]).zip(1..);
        for (point, step) in others {
            let d2 = squared_length(between(*start, *point));
            if d2 > distance2 {
                (distance2, offset) = (d2, step);
            }
        }
    }
    Some((at, (distance2 > epsilon2).then_some((at + offset) % count)))
}

/// A part of the contour from one kept point to the next, walking forwards, the end included.
#[derive(Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
}

/// Splits both sides at the point farthest from the segment until every point is within the tolerance; returns the
/// start of each span in order.
fn split(
    contour: &[[i32; 2]],
    start: usize,
    farthest: usize,
    epsilon2: f64,
    observer: &dyn Observer,
) -> Result<Vec<[i32; 2]>> {
    // The left part is on top, so points come out in contour order.
    let mut stack = vec![Span { start: farthest, end: start }, Span { start, end: farthest }];
    let mut kept = Vec::new();
    let mut unchecked_points = 0;
    while let Some(span) = stack.pop() {
        let length = (span.end + contour.len() - span.start) % contour.len();
        unchecked_points += length;
        if unchecked_points > POINTS_PER_CHECK {
            unchecked_points = 0;
            check_stop(observer, Stage::Simplify)?;
        }
        match farthest_from_segment(contour, span, epsilon2) {
            None => kept.push(contour[span.start]),
            Some(middle) => {
                stack.push(Span { start: middle, end: span.end });
                stack.push(Span { start: span.start, end: middle });
            }
        }
    }
    Ok(kept)
}

/// The first of the points farthest from the segment between the span's ends; `None` if all are within the tolerance.
fn farthest_from_segment(contour: &[[i32; 2]], span: Span, epsilon2: f64) -> Option<usize> {
    let (first, last) = (contour[span.start], contour[span.end]);
    let along = between(first, last);
    let length2 = squared_length(along);
    let mut farthest = None;
    // Squared distances stay multiplied by the segment's squared length: no division, so no rounding.
    let mut greatest = 0.0;
    let mut look = |from: usize, to: usize| {
        for (point, index) in contour[from..to].iter().zip(from..) {
            let out = between(first, *point);
            let projection = out[0] * along[0] + out[1] * along[1];
            let distance2 = if projection < 0.0 {
                squared_length(out) * length2
            } else if projection > length2 {
                squared_length(between(last, *point)) * length2
            } else {
                let cross = out[1] * along[0] - out[0] * along[1];
                cross * cross
            };
            if distance2 > greatest {
                (greatest, farthest) = (distance2, Some(index));
            }
        }
    };
    if span.start < span.end {
        look(span.start + 1, span.end);
    } else {
        look(span.start + 1, contour.len());
        look(0, span.end);
    }
    farthest.filter(|_| greatest > epsilon2 * length2)
}

/// Drops a point if it is within the tolerance, divided by the square root of 2, of the line between its neighbours,
/// that line is neither horizontal nor vertical, and the outline does not turn back there. The point after a dropped
/// one stays.
fn drop_near_collinear(points: Vec<[i32; 2]>, epsilon2: f64) -> Vec<[i32; 2]> {
    let count = points.len();
    let mut remaining = count;
    let mut kept = points;
    let Some(&(mut previous)) = kept.last() else { return kept };
    // Reads run ahead of writes and may come round to what was written: one array, as in OpenCV.
    let (mut read, mut write) = (0, 0);
    let mut take = |kept: &[[i32; 2]]| {
        let point = kept[read];
        read = (read + 1) % count;
        point
    };
    let mut point = take(&kept);
    let mut index = 0;
    while index < count && remaining > 2 {
        let next = take(&kept);
        let along = between(previous, next);
        let out = between(previous, point);
        let cross = out[0] * along[1] - out[1] * along[0];
        let onward = between(point, next);
        let goes_on = out[0] * onward[0] + out[1] * onward[1] >= 0.0;
        let near = cross * cross <= 0.5 * epsilon2 * squared_length(along);
        if near && along[0] != 0.0 && along[1] != 0.0 && goes_on {
            remaining -= 1;
            kept[write] = next;
            previous = next;
            write = (write + 1) % count;
            point = take(&kept);
            index += 2;
        } else {
            kept[write] = point;
            previous = point;
            write = (write + 1) % count;
            point = next;
            index += 1;
        }
    }
    kept.truncate(remaining);
    kept
}

fn between(a: [i32; 2], b: [i32; 2]) -> [f64; 2] {
    [f64::from(b[0]) - f64::from(a[0]), f64::from(b[1]) - f64::from(a[1])]
}

fn squared_length([x, y]: [f64; 2]) -> f64 {
    x * x + y * y
}
