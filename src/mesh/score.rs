//! How well triangles fit an image: what they leave out, what they draw beyond it, and their shape.
//!
//! A pixel (i, j) is the square from (i, j) to (i + 1, j + 1). It is the mesh's if its centre lies in a triangle; a centre
//! on an edge belongs to the triangle on its right, or below a level edge, as graphics processors decide it, so that
//! neighbours never share a pixel. The crossings of a row are plain `f64` arithmetic: where an edge that is neither
//! upright nor level runs exactly through a centre, rounding decides, and decides alike for both its triangles.

use std::ops::Range;

use serde::Serialize;
use thiserror::Error;

use super::alpha::AlphaPlane;
use super::geometry::{Point, cross, distance2, dot, minus};
use super::mask::{BitMask, clear_beyond, threshold_row};

/// Farthest a vertex may be from the image's origin, px. No image reaches a thousandth as far; beyond, the differences of
/// coordinates would lose the pixels.
const FARTHEST_PX: f64 = 1e9;

/// A triangle of less area, px2, has no angles worth the name: its least counts as 0.
const LEAST_AREA_PX2: f64 = 1e-6;

/// Nor has one of less area than this share of its longest side's square: its corners are in line but for rounding.
const LEAST_FLATNESS: f64 = 1e-9;

/// A least angle under this, degrees, makes a sliver: it shades and bends badly.
const SLIVER_DEGREES: f64 = 20.0;

/// How triangles fit an image. Opaque pixels are those whose alpha is at least the threshold; mesh pixels those whose
/// centre lies in a triangle.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Scores {
    /// Opaque pixels.
    pub opaque_px: u64,
    /// Mesh pixels.
    pub mesh_px: u64,
    /// Opaque pixels that are no mesh pixels: art that is cut off.
    pub lost_px: u64,
    /// Share of the opaque pixels that are mesh pixels, 0 to 1; 1 where nothing is opaque.
    pub coverage: f64,
    /// Mesh pixels that are not opaque, for each opaque one: 0 or more; 0 where nothing is opaque.
    pub overdraw: f64,
    /// Pixels that are both, as a share of those that are either, 0 to 1; 1 where there are none.
    pub iou: f64,
    /// The least angle of any triangle, degrees, 0 to 60. A triangle without area has 0.
    pub min_angle_deg: f64,
    /// Share of the triangles whose least angle is under 20 degrees, 0 to 1.
    pub sliver20: f64,
    /// Vertices, used or not.
    pub vertices: usize,
    /// Triangles.
    pub triangles: usize,
}

/// What cannot be scored.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ScoreError {
    /// There is nothing to draw.
    #[error("the mesh has no triangles, so there is nothing to score; make it again")]
    Empty,
    /// A position is no number, or absurd.
    #[error("vertex {vertex} is at {at:?}; each coordinate must be a number of px from -1e9 to 1e9")]
    Position {
        /// Its index.
        vertex: usize,
        /// Its position, px.
        at: [f64; 2],
    },
    /// A triangle names a vertex that does not exist.
    #[error("triangle {triangle} names the vertices {named:?}, but there are {vertices}; indices count from 0")]
    Index {
        /// Its index.
        triangle: usize,
        /// What it names.
        named: [u32; 3],
        /// How many vertices there are.
        vertices: usize,
    },
}

/// Scores triangles against the image they were made from. `vertices` are `[x, y]` in px, the origin at the image's upper
/// left *corner*: add 0.5 to positions that name pixels by their index, as those of a traced outline do. A vertex may
/// lie outside of the image; what is out there is neither opaque nor counted. `alpha_threshold` 0 takes every pixel for
/// opaque.
///
/// # Errors
/// [`ScoreError`] for the first triangle or vertex that makes no sense.
pub fn score(
    alpha: &AlphaPlane,
    alpha_threshold: u8,
    vertices: &[[f64; 2]],
    triangles: &[[u32; 3]],
) -> Result<Scores, ScoreError> {
    let corners = corners(vertices, triangles)?;
    let mut drawn = Drawn::new(alpha.width() as usize, alpha.height() as usize);
    corners.iter().for_each(|&triangle| drawn.fill(triangle));
    let [opaque_px, mesh_px, both_px] = drawn.count(alpha, alpha_threshold);
    let lost_px = opaque_px - both_px;
    let angles = corners.iter().map(|&triangle| least_angle_deg(triangle));
    let slivers = angles.clone().filter(|&angle| angle < SLIVER_DEGREES).count();
    Ok(Scores {
        opaque_px,
        mesh_px,
        lost_px,
        coverage: share(both_px, opaque_px, 1.0),
        overdraw: share(mesh_px - both_px, opaque_px, 0.0),
        iou: share(both_px, mesh_px + lost_px, 1.0),
        min_angle_deg: angles.fold(f64::INFINITY, f64::min),
        sliver20: share(slivers as u64, triangles.len() as u64, 0.0),
        vertices: vertices.len(),
        triangles: triangles.len(),
    })
}

/// Pixels of a shape that are no mesh pixels. Triangles that make no sense draw nothing.
pub(super) fn lost_px(shape: &BitMask, vertices: &[Point], triangles: &[[u32; 3]]) -> u64 {
    let mut drawn = Drawn::new(shape.width(), shape.height());
    corners(vertices, triangles).iter().flatten().for_each(|&triangle| drawn.fill(triangle));
    let rows = drawn.words.chunks_exact(drawn.words_per_row).enumerate();
    let lost = rows.flat_map(|(y, drawn)| shape.row(y).iter().zip(drawn).map(|(shape, drawn)| shape & !drawn));
    lost.map(|word| u64::from(word.count_ones())).sum()
}

fn share(part: u64, whole: u64, of_nothing: f64) -> f64 {
    if whole == 0 { of_nothing } else { part as f64 / whole as f64 }
}

/// The positions of each triangle's corners.
fn corners(vertices: &[Point], triangles: &[[u32; 3]]) -> Result<Vec<[Point; 3]>, ScoreError> {
    if triangles.is_empty() {
        return Err(ScoreError::Empty);
    }
    // Said this way round, since a comparison with NaN is false.
    let absurd = |at: &Point| !at.iter().all(|coordinate| coordinate.abs() <= FARTHEST_PX);
    if let Some(vertex) = vertices.iter().position(absurd) {
        return Err(ScoreError::Position { vertex, at: vertices[vertex] });
    }
    let corner = |index: u32| vertices.get(index as usize).copied();
    let place = |(triangle, &named): (usize, &[u32; 3])| match named.map(corner) {
        [Some(a), Some(b), Some(c)] => Ok([a, b, c]),
        _ => Err(ScoreError::Index { triangle, named, vertices: vertices.len() }),
    };
    triangles.iter().enumerate().map(place).collect()
}

/// The mesh's pixels: one bit each, rows of whole words, the top row first; bit 0 of a word is its leftmost pixel.
struct Drawn {
    width: usize,
    height: usize,
    words_per_row: usize,
    words: Vec<u64>,
}

impl Drawn {
    fn new(width: usize, height: usize) -> Self {
        let words_per_row = width.div_ceil(64);
        Self { width, height, words_per_row, words: vec![0; words_per_row * height] }
    }

    /// Adds the pixels of a triangle.
    fn fill(&mut self, triangle: [Point; 3]) {
        let [a, b, c] = triangle;
        let edges = [(a, b), (b, c), (c, a)].map(|(from, to)| downward(from, to));
        let ys = triangle.map(|[_, y]| y);
        let rows = pixels(ys.iter().copied(), self.height);
        for y in rows {
            let middle = y as f64 + 0.5;
            let crossings = edges.iter().filter_map(|&edge| crossing(edge, middle));
            let span = pixels(crossings, self.width);
            let start = y * self.words_per_row;
            set_bits(&mut self.words[start..start + self.words_per_row], span);
        }
    }

    /// How many pixels are opaque, how many the mesh's, how many both.
    fn count(&self, alpha: &AlphaPlane, alpha_threshold: u8) -> [u64; 3] {
        let mut counts = [0; 3];
        let mut opaque = vec![u64::MAX; self.words_per_row];
        clear_beyond(self.width, &mut opaque);
        for (y, drawn) in self.words.chunks_exact(self.words_per_row).enumerate() {
            if let Some(rows) = alpha.rows() {
                threshold_row(rows.row(y), u16::from(alpha_threshold), &mut opaque);
                clear_beyond(self.width, &mut opaque);
            }
            for (&opaque, &drawn) in opaque.iter().zip(drawn) {
                let words = [opaque, drawn, opaque & drawn];
                counts.iter_mut().zip(words).for_each(|(count, word)| *count += u64::from(word.count_ones()));
            }
        }
        counts
    }
}

/// An edge from its upper end to its lower, so that both its triangles compute the same crossings.
fn downward(from: Point, to: Point) -> [Point; 2] {
    if from[1] > to[1] { [to, from] } else { [from, to] }
}

/// Where an edge meets the level `y`; its upper end is part of it, its lower is not.
fn crossing([top, bottom]: [Point; 2], y: f64) -> Option<f64> {
    let meets = top[1] <= y && y < bottom[1];
    meets.then(|| top[0] + (bottom[0] - top[0]) * ((y - top[1]) / (bottom[1] - top[1])))
}

/// The pixels of a row or a column whose middles lie between the least and the largest of some places: the least
/// included, the largest not, and never over the row's end.
fn pixels(places: impl Iterator<Item = f64>, end: usize) -> Range<usize> {
    let (low, high) = places.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), at| (low.min(at), high.max(at)));
    // The cast takes what is below 0 to 0, and no places give an end before the start.
    let pixel = |at: f64| ((at - 0.5).ceil() as usize).min(end);
    pixel(low)..pixel(high)
}

fn set_bits(row: &mut [u64], span: Range<usize>) {
    if span.is_empty() {
        return;
    }
    let (first, last) = (span.start / 64, (span.end - 1) / 64);
    let (from_start, to_end) = (u64::MAX << (span.start % 64), u64::MAX >> (63 - (span.end - 1) % 64));
    if first == last {
        row[first] |= from_start & to_end;
        return;
    }
    row[first] |= from_start;
    row[first + 1..last].fill(u64::MAX);
    row[last] |= to_end;
}

/// A triangle's least angle in degrees.
fn least_angle_deg([a, b, c]: [Point; 3]) -> f64 {
    let twice_area = cross(minus(b, a), minus(c, a)).abs();
    let longest2 = distance2(a, b).max(distance2(b, c)).max(distance2(c, a));
    if twice_area / 2.0 < LEAST_AREA_PX2.max(LEAST_FLATNESS * longest2) {
        return 0.0;
    }
    // Of the three, the angle with the largest cosine for its sine is the least.
    let corners = [(a, b, c), (b, c, a), (c, a, b)];
    let cosine = corners.iter().map(|&(at, p, q)| dot(minus(p, at), minus(q, at))).fold(f64::NEG_INFINITY, f64::max);
    arc_tangent(twice_area / cosine).to_degrees()
}

/// The angle in radians of a tangent from 0 to that of 60 degrees, by halving it twice and then the power series. The
/// standard library's differs in its last digit from one machine to the next, and a result must not.
fn arc_tangent(tangent: f64) -> f64 {
    let halved = |t: f64| t / (1.0 + (1.0 + t * t).sqrt());
    let small = halved(halved(tangent));
    // Up to 15 degrees, where the first term left out is less than rounding.
    let series = (0..13).rev().fold(0.0, |sum, k| 1.0 / f64::from(2 * k + 1) - small * small * sum);
    4.0 * small * series
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::geometry::orient;
    use super::*;

    const SQUARE: [[u32; 3]; 2] = [[0, 1, 2], [0, 2, 3]];

    fn rectangle([left, top, right, bottom]: [f64; 4]) -> [Point; 4] {
        [[left, top], [right, top], [right, bottom], [left, bottom]]
    }

    /// A plane whose left `opaque` columns are opaque.
    fn columns(width: u32, height: u32, opaque: u32) -> AlphaPlane {
        let values = (0..width * height).map(|i| if i % width < opaque { 200 } else { 0 }).collect();
        AlphaPlane::new(width, height, values).unwrap()
    }

    #[test]
    fn a_square_off_by_two_columns_loses_two_and_draws_two_too_many() {
        let plane = columns(100, 10, 70);
        let scores = score(&plane, 10, &rectangle([2.0, 0.0, 72.0, 10.0]), &SQUARE).unwrap();
        assert_eq!([scores.opaque_px, scores.mesh_px, scores.lost_px], [700, 700, 20]);
        assert_eq!(scores.coverage, 680.0 / 700.0);
        assert_eq!(scores.overdraw, 20.0 / 700.0);
        assert_eq!(scores.iou, 680.0 / 720.0);
        assert_eq!([scores.vertices, scores.triangles], [4, 2]);
    }

    #[test]
    fn the_threshold_itself_is_opaque() {
        let square = rectangle([0.0, 0.0, 4.0, 4.0]);
        let opaque = |threshold| score(&columns(4, 4, 3), threshold, &square, &SQUARE).unwrap().opaque_px;
        assert_eq!([0, 1, 200, 201].map(opaque), [16, 12, 12, 0]);
    }

    #[test]
    fn an_image_without_transparency_is_opaque_at_any_threshold() {
        let plane = AlphaPlane::opaque(65, 3).unwrap();
        let scores = score(&plane, 255, &rectangle([0.0, 0.0, 65.0, 3.0]), &SQUARE).unwrap();
        assert_eq!([scores.opaque_px, scores.mesh_px, scores.lost_px], [195, 195, 0]);
        assert_eq!([scores.coverage, scores.overdraw, scores.iou], [1.0, 0.0, 1.0]);
    }

    #[test]
    fn coverage_is_whole_where_nothing_is_opaque() {
        let drawn = score(&columns(8, 8, 0), 10, &rectangle([0.0, 0.0, 2.0, 2.0]), &SQUARE).unwrap();
        assert_eq!([drawn.coverage, drawn.overdraw, drawn.iou], [1.0, 0.0, 0.0]);
        let outside = score(&columns(8, 8, 0), 10, &rectangle([-4.0, 0.0, -2.0, 2.0]), &SQUARE).unwrap();
        assert_eq!([outside.coverage, outside.overdraw, outside.iou], [1.0, 0.0, 1.0]);
    }

    #[test]
    fn centres_on_the_left_and_upper_edge_belong_to_the_triangle() {
        let scores = score(&columns(8, 8, 8), 10, &rectangle([1.5, 1.5, 3.5, 3.5]), &SQUARE).unwrap();
        assert_eq!(scores.mesh_px, 4);
        let scores = score(&columns(8, 8, 8), 10, &rectangle([1.51, 1.51, 3.51, 3.51]), &SQUARE).unwrap();
        assert_eq!(scores.mesh_px, 4);
        let scores = score(&columns(8, 8, 8), 10, &rectangle([1.49, 1.49, 3.51, 3.51]), &SQUARE).unwrap();
        assert_eq!(scores.mesh_px, 9);
    }

    #[test]
    fn what_lies_outside_of_the_image_is_not_counted() {
        let far = rectangle([-1e9, -1e9, 1e9, 1e9]);
        let scores = score(&columns(130, 9, 65), 10, &far, &SQUARE).unwrap();
        assert_eq!([scores.opaque_px, scores.mesh_px, scores.lost_px], [585, 1170, 0]);
    }

    #[test]
    fn pixels_under_two_triangles_count_once() {
        let triangles = [[0, 1, 2], [0, 2, 3], [0, 1, 3], [1, 2, 3]];
        let scores = score(&columns(9, 9, 9), 10, &rectangle([0.0, 0.0, 9.0, 9.0]), &triangles).unwrap();
        assert_eq!(scores.mesh_px, 81);
    }

    #[test]
    fn angles_are_those_of_the_worst_triangle() {
        let plane = columns(200, 200, 200);
        let height = 100.0 * 3f64.sqrt();
        let regular = [[0.0, 0.0], [200.0, 0.0], [100.0, height], [200.0, 200.0]];
        let least = |triangles: &[[u32; 3]]| score(&plane, 10, &regular, triangles).unwrap().min_angle_deg;
        assert!((least(&[[0, 1, 2]]) - 60.0).abs() < 1e-12);
        assert!((least(&[[0, 1, 2], [0, 1, 3]]) - 45.0).abs() < 1e-12);
        let line = [[0.0, 0.0], [50.0, 50.0], [100.0, 100.0], [0.0, 100.0]];
        let scores = score(&plane, 10, &line, &[[0, 1, 2], [0, 2, 3], [0, 0, 3], [0, 1, 3]]).unwrap();
        assert_eq!([scores.min_angle_deg, scores.sliver20], [0.0, 0.5]);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let plane = columns(4, 4, 4);
        let square = rectangle([0.0, 0.0, 4.0, 4.0]);
        let text = |vertices: &[Point], triangles: &[[u32; 3]]| {
            score(&plane, 10, vertices, triangles).unwrap_err().to_string()
        };
        assert!(text(&square, &[]).contains("no triangles"));
        assert!(
            text(&square, &[[0, 1, 2], [0, 1, 4]]).contains("triangle 1 names the vertices [0, 1, 4], but there are 4")
        );
        assert!(text(&[], &[[0, 1, u32::MAX]]).contains("but there are 0"));
        for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1.1e9] {
            let vertices = [[0.0, 0.0], [4.0, 0.0], [0.0, wrong]];
            assert!(text(&vertices, &[[0, 1, 2]]).contains("vertex 2 is at [0.0, "), "{wrong}");
        }
    }

    /// Whether each pixel's centre lies strictly inside one of the triangles, by exact signs.
    fn strictly_inside(width: u32, height: u32, triangles: &[[Point; 3]]) -> Vec<bool> {
        let centres = (0..width * height).map(|i| [f64::from(i % width) + 0.5, f64::from(i / width) + 0.5]);
        let holds = |&[a, b, c]: &[Point; 3], p: Point| {
            let signs = [orient(a, b, p), orient(b, c, p), orient(c, a, p)];
            signs.iter().all(|&s| s > 0.0) || signs.iter().all(|&s| s < 0.0)
        };
        centres.map(|p| triangles.iter().any(|triangle| holds(triangle, p))).collect()
    }

    /// Positions of no regularity, so that no edge runs through a centre; some far outside.
    fn place(side: f64) -> impl Strategy<Value = Point> {
        let coordinate = prop_oneof![8 => -2.0..side + 2.0, 1 => -1000.0..1000.0];
        [coordinate.clone(), coordinate]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn counts_are_those_of_asking_every_centre(
            (width, height) in (1u32..150, 1u32..40),
            places in proptest::collection::vec([place(100.0), place(40.0), place(70.0)], 1..6),
            seed in any::<u32>(),
            threshold in any::<u8>(),
        ) {
            let values: Vec<u8> =
                (0..width * height).map(|i| (i.wrapping_mul(seed | 1).wrapping_mul(2_654_435_761) >> 24) as u8).collect();
            let plane = AlphaPlane::new(width, height, values.clone()).unwrap();
            let triangles: Vec<[u32; 3]> = (0..places.len() as u32).map(|i| [3 * i, 3 * i + 1, 3 * i + 2]).collect();
            let scores = score(&plane, threshold, places.as_flattened(), &triangles).unwrap();
            let inside = strictly_inside(width, height, &places);
            let pixels = values.iter().map(|&alpha| alpha >= threshold).zip(inside.iter().copied());
            let count = |wanted: fn(bool, bool) -> bool| {
                pixels.clone().filter(|&(opaque, drawn)| wanted(opaque, drawn)).count() as u64
            };
            prop_assert_eq!(scores.opaque_px, count(|opaque, _| opaque));
            prop_assert_eq!(scores.mesh_px, count(|_, drawn| drawn));
            prop_assert_eq!(scores.lost_px, count(|opaque, drawn| opaque && !drawn));
        }

        #[test]
        fn neighbours_share_no_pixel_and_leave_none_between_them(
            corners in proptest::collection::vec((0i32..40, 0i32..40), 1..12),
        ) {
            // Half pixels, so that many edges run through centres. A rectangle is cut at each of the corners in turn: a
            // point inside a triangle makes three of it.
            let mut vertices = rectangle([-0.5, -0.5, 21.0, 21.0]).to_vec();
            let mut triangles = SQUARE.to_vec();
            for (x, y) in corners {
                let at = [f64::from(x) / 2.0, f64::from(y) / 2.0];
                let place = |index: u32| vertices[index as usize];
                let holds = |&[a, b, c]: &[u32; 3]| {
                    [(a, b), (b, c), (c, a)].iter().all(|&(from, to)| orient(place(from), place(to), at) > 0.0)
                };
                if let Some(index) = triangles.iter().position(holds) {
                    let [a, b, c] = triangles.swap_remove(index);
                    let new = vertices.len() as u32;
                    triangles.extend([[a, b, new], [b, c, new], [c, a, new]]);
                    vertices.push(at);
                }
            }
            let plane = columns(20, 20, 20);
            let pixels = |triangles: &[[u32; 3]]| score(&plane, 10, &vertices, triangles).unwrap().mesh_px;
            prop_assert_eq!(pixels(&triangles), 400);
            prop_assert_eq!(triangles.iter().map(|&triangle| pixels(&[triangle])).sum::<u64>(), 400);
        }

        #[test]
        fn least_angles_are_those_of_the_law_of_cosines(triangle in [place(100.0), place(40.0), place(70.0)]) {
            let [a, b, c] = triangle;
            let angle = |at: Point, p: Point, q: Point| {
                let (u, v) = (minus(p, at), minus(q, at));
                cross(u, v).abs().atan2(dot(u, v)).to_degrees()
            };
            let least = angle(a, b, c).min(angle(b, c, a)).min(angle(c, a, b));
            prop_assert!((least_angle_deg(triangle) - least).abs() <= 1e-12 * least.max(1.0), "{}", least);
        }

        #[test]
        fn anything_finite_or_not_gives_scores_or_a_sentence(
            vertices in proptest::collection::vec([any::<f64>(), any::<f64>()], 0..8),
            triangles in proptest::collection::vec([0u32..9, 0u32..9, 0u32..9], 0..8),
            scale in prop_oneof![Just(1.0), Just(1e-300), Just(1e-3)],
        ) {
            let vertices: Vec<Point> = vertices.iter().map(|at| at.map(|x| x * scale)).collect();
            match score(&columns(70, 5, 9), 10, &vertices, &triangles) {
                Ok(scores) => prop_assert!((0.0..=60.0 + 1e-9).contains(&scores.min_angle_deg), "{:?}", scores),
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
        }
    }
}
