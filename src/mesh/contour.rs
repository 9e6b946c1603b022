//! The main contour: outer borders of 8-connected components, the largest area wins.
//!
//! Components come from runs of inside pixels, found by XOR of a row's words with themselves shifted by one, and
//! joined by union-find. Only candidates are traced, the largest bounding box first: a contour's area cannot exceed
//! that of the box around its pixel centres, so most images need a single trace. The trace visits the border as
//! Suzuki and Abe's following does (Topological Structural Analysis of Digitized Binary Images, 1985), in OpenCV's
//! order, and keeps the points where the direction changes (`CHAIN_APPROX_SIMPLE`).

use super::components::{Component, label};
use super::error::{Error, Result};
use super::mask::BitMask;
use super::observer::{Observer, Stage, check_stop};

/// Steps of eight directions counter-clockwise from east, as seen on screen (y down).
const STEPS: [[i32; 2]; 8] = [[1, 0], [1, -1], [0, -1], [-1, -1], [-1, 0], [-1, 1], [0, 1], [1, 1]];

/// Border steps between two looks at the observer: about a millisecond.
const STEPS_PER_CHECK: usize = 1 << 17;

/// The contour of the component with the largest area, `[x, y]` pixel indices; on equal area that of the component
/// whose first pixel comes last in raster order.
///
/// # Errors
/// [`Error::ContourExtraction`] if no contour has `min_contour_area` px2, [`Error::Stopped`].
pub(crate) fn largest(mask: &BitMask, min_contour_area: f64, observer: &dyn Observer) -> Result<Vec<[i32; 2]>> {
    let mut components = label(mask, min_contour_area, observer)?;
    // By largest possible area, then last in raster order: the first of equals wins.
    components.sort_unstable_by_key(|c| std::cmp::Reverse((c.largest_twice_area(), c.first_pixel)));
    let mut best: Option<(i64, [u32; 2], Vec<[i32; 2]>)> = None;
    for component in components {
        if best.as_ref().is_some_and(|(area, ..)| component.largest_twice_area() < *area) {
            break;
        }
        let contour = trace(mask, component, observer)?;
        let rank = (twice_area(&contour), component.first_pixel);
        if best.as_ref().is_none_or(|(area, first, _)| rank > (*area, *first)) {
            best = Some((rank.0, rank.1, contour));
        }
    }
    let largest_area = best.as_ref().map_or(0.0, |(area, ..)| *area as f64 / 2.0);
    match best {
        Some((.., contour)) if largest_area >= min_contour_area => Ok(contour),
        _ => Err(nothing(mask, largest_area, min_contour_area)),
    }
}

fn nothing(mask: &BitMask, largest_area: f64, min_contour_area: f64) -> Error {
    let empty = (0..mask.height()).all(|y| mask.row(y).iter().all(|&word| word == 0));
    let reason = if empty {
        "no pixel is inside".to_owned()
    } else if largest_area > 0.0 {
        format!("the largest has {largest_area}")
    } else {
        "only specks are inside".to_owned()
    };
    Error::ContourExtraction { reason, largest_area, min_contour_area }
}

/// Follows the outer border of a component from its first pixel in raster order.
fn trace(mask: &BitMask, component: Component, observer: &dyn Observer) -> Result<Vec<[i32; 2]>> {
    let [row, column] = component.first_pixel;
    let start = [column.cast_signed(), row.cast_signed()];
    let neighbours = neighbours_of(mask, start);
    if neighbours == 0 {
        return Ok(vec![start]);
    }
    // The border ends when it comes back to the start from its last pixel, the first found clockwise from the west.
    let to_last = (1..8).map(|turn| (4 - turn) & 7).find(|&d| neighbours & (1 << d) != 0).unwrap_or(4) as usize;
    let last = step(start, to_last);
    let mut contour = Vec::new();
    let (mut at, mut from, mut came) = (start, to_last, to_last ^ 4);
    for steps in 0.. {
        if steps % STEPS_PER_CHECK == STEPS_PER_CHECK - 1 {
            check_stop(observer, Stage::Contour)?;
        }
        // The next border pixel is the first one counter-clockwise after the one we came from.
        let after = (from + 1) & 7;
        let turns = neighbours_of(mask, at).rotate_right(after as u32).trailing_zeros() as usize;
        let direction = (after + turns) & 7;
        if direction != came {
            contour.push(at);
            came = direction;
        }
        let next = step(at, direction);
        if next == start && at == last {
            break;
        }
        at = next;
        from = (direction + 4) & 7;
    }
    Ok(contour)
}

fn step([x, y]: [i32; 2], direction: usize) -> [i32; 2] {
    let [dx, dy] = STEPS[direction];
    [x + dx, y + dy]
}

/// Bit `d` is the pixel in direction `d` of [`STEPS`]; outside the image nothing is inside.
fn neighbours_of(mask: &BitMask, [x, y]: [i32; 2]) -> u8 {
    let (x, y) = (x as usize, y as usize);
    let above = if y > 0 { three(mask.row(y - 1), x) } else { 0 };
    let level = three(mask.row(y), x);
    let below = if y + 1 < mask.height() { three(mask.row(y + 1), x) } else { 0 };
    // `three` has the western pixel in bit 0; the upper row runs from direction 3 down to 1, the lower from 5 to 7.
    let upper = (above >> 2 & 1) << 1 | (above & 2) << 1 | (above & 1) << 3;
    level >> 2 & 1 | upper | (level & 1) << 4 | below << 5
}

/// The pixels x - 1, x and x + 1 of a row in bits 0, 1 and 2.
fn three(row: &[u64], x: usize) -> u8 {
    let (word, bit) = (x / 64, x % 64);
    let bits = match bit {
        0 => row[word] << 1 | if word > 0 { row[word - 1] >> 63 } else { 0 },
        63 => row[word] >> 62 | row.get(word + 1).map_or(0, |next| (next & 1) << 2),
        _ => row[word] >> (bit - 1),
    };
    bits as u8 & 7
}

/// Twice the area within a closed contour, px2.
fn twice_area(contour: &[[i32; 2]]) -> i64 {
    let Some(&last) = contour.last() else { return 0 };
    let mut previous = last;
    let mut sum = 0;
    for &point in contour {
        sum += i64::from(previous[0]) * i64::from(point[1]) - i64::from(previous[1]) * i64::from(point[0]);
        previous = point;
    }
    sum.abs()
}
