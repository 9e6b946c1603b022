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

/// Border steps between two looks at the observer, some microseconds, and room made for as many points.
const STEPS_PER_CHECK: usize = 1 << 10;

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
    let advice = if empty {
        "lower binary_threshold or alpha_threshold"
    } else {
        "lower binary_threshold, alpha_threshold or min_contour_area, or use outline cover"
    };
    let reason = format!("{reason}; {advice}");
    Error::ContourExtraction { reason, largest_area, min_contour_area }
}

/// Follows the outer border of a component from its first pixel in raster order.
fn trace(mask: &BitMask, component: Component, observer: &dyn Observer) -> Result<Vec<[i32; 2]>> {
    let [row, column] = component.first_pixel;
    let start = [column.cast_signed(), row.cast_signed()];
    let first = mask.place(column as usize, row as usize);
    // The border ends when it comes back to the start from its last pixel, the first found clockwise from the west.
    let Some(to_last) = (1..8).map(|turn| (12 - turn) & 7).find(|&d| mask.around(first) & BIT_OF_STEP[d] != 0) else {
        return Ok(vec![start]);
    };
    let along = STEPS.map(|[dx, dy]| mask.distance(dx as isize, dy as isize));
    let last = first.wrapping_add_signed(along[to_last]);
    let (mut point, mut place, mut from, mut came) = (start, first, to_last, to_last ^ 4);
    let mut contour = Vec::new();
    let mut count = 0;
    loop {
        check_stop(observer, Stage::Contour)?;
        contour.resize(count + STEPS_PER_CHECK, [0; 2]);
        for _ in 0..STEPS_PER_CHECK {
            let direction = usize::from(NEXT_DIRECTION[from][mask.around(place)]);
            // Written always and counted only at a turn: turns come too irregularly to be predicted.
            contour[count] = point;
            count += usize::from(direction != came);
            came = direction;
            let next = place.wrapping_add_signed(along[direction]);
            if next == first && place == last {
                contour.truncate(count);
                return Ok(contour);
            }
            place = next;
            point = [point[0] + STEPS[direction][0], point[1] + STEPS[direction][1]];
            from = (direction + 4) & 7;
        }
    }
}

/// The bit of [`BitMask::around`] that is the pixel in each direction of [`STEPS`].
const BIT_OF_STEP: [usize; 8] = [1 << 5, 1 << 2, 1 << 1, 1, 1 << 3, 1 << 6, 1 << 7, 1 << 8];

/// By the direction in which the last border pixel lies and what is around: the direction of the next one, the first
/// counter-clockwise after the last. A table, because a step must wait for the one before it.
static NEXT_DIRECTION: [[u8; 512]; 8] = next_directions();

const fn next_directions() -> [[u8; 512]; 8] {
    let mut table = [[0; 512]; 8];
    let mut from = 0;
    while from < 8 {
        let mut around = 0;
        while around < 512 {
            let mut turn = 8;
            while turn > 0 {
                // From the last possible turn to the first, so that the first found is what remains.
                let direction = (from + turn) & 7;
                if around & BIT_OF_STEP[direction] != 0 {
                    table[from][around] = direction as u8;
                }
                turn -= 1;
            }
            around += 1;
        }
        from += 1;
    }
    table
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesh::{AlphaPlane, MeshParameters, mask};

    fn contour_of(rows: &[&str]) -> Result<Vec<[i32; 2]>> {
        let values = rows.iter().flat_map(|row| row.bytes()).map(|pixel| if pixel == b'#' { 255 } else { 0 }).collect();
        let plane = AlphaPlane::new(rows[0].len() as u32, rows.len() as u32, values).unwrap();
        let mask = mask::threshold(&plane, &MeshParameters::default(), &()).unwrap();
        largest(&mask, 0.0, &())
    }

    #[test]
    fn the_border_is_followed_counter_clockwise_when_the_shape_fills_the_image() {
        assert_eq!(contour_of(&["###", "###"]).unwrap(), [[0, 0], [0, 1], [2, 1], [2, 0]]);
        let wide = "#".repeat(64);
        assert_eq!(contour_of(&[&wide, &wide]).unwrap(), [[0, 0], [0, 1], [63, 1], [63, 0]]);
    }

    #[test]
    fn a_line_is_walked_there_and_back_when_it_is_one_pixel_wide() {
        assert_eq!(contour_of(&[".....", ".###.", "....."]).unwrap(), [[1, 1], [3, 1]]);
        assert_eq!(contour_of(&["#"]).unwrap(), [[0, 0]]);
    }

    #[test]
    fn the_last_component_wins_when_areas_are_equal() {
        assert_eq!(contour_of(&["##.##", "##.##"]).unwrap()[0], [3, 0]);
        assert_eq!(contour_of(&["##...", "##.##", "...##"]).unwrap()[0], [3, 1]);
    }

    #[test]
    fn diagonal_neighbours_are_one_component_when_they_touch_by_a_corner() {
        assert_eq!(contour_of(&["##..", "##..", "..##", "..##"]).unwrap()[0], [0, 0]);
        assert_eq!(contour_of(&["##..", "##..", "..##", "..##"]).unwrap().len(), 10);
    }
}
