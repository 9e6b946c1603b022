//! Where inner vertices go: the points of a triangular lattice that keep a distance from the boundary.
//!
//! Equilateral triangles have the best angles there are and need the fewest points for a given largest area. What the
//! lattice leaves to do is the rim between it and the boundary.

use super::geometry::{Point, minus};

/// Levels of ever fewer points; the coarsest has one in four to the power of this.
const COARSEST_LEVEL: u32 = 12;

/// Rows of points, `row_height` apart, every second one shifted by half a `spacing`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lattice {
    /// Distance between neighbours, px.
    pub(super) spacing: f64,
    /// Least distance of a point from the boundary, px.
    pub(super) margin: f64,
    /// Least distance from the column 0 where the boundary runs along it as the axis of a half, px.
    pub(super) axis_margin: Option<f64>,
}

/// The `y` of a row and the stretches of it that are inside and away from the boundary.
struct Row {
    index: i64,
    stretches: Vec<[f64; 2]>,
}

impl Lattice {
    fn row_height(&self) -> f64 {
        self.spacing * 0.75_f64.sqrt()
    }

    /// The points within a simple polygon by level, the finest first. A level's points are twice as far apart as those
    /// of the finer one; inserted from the coarsest on, each meets a mesh that is even everywhere. Rows run there and
    /// back, so that the next point is never far.
    pub(super) fn levels(&self, rings: &[&[Point]]) -> Vec<Vec<Point>> {
        let mut levels: Vec<Vec<Point>> = Vec::new();
        for row in self.rows(rings) {
            let y = row.index as f64 * self.row_height();
            let shift = if row.index.rem_euclid(2) == 1 { 0.5 } else { 0.0 };
            let row_starts: Vec<usize> = levels.iter().map(Vec::len).collect();
            for [start, end] in row.stretches {
                let first = (start / self.spacing - shift).ceil() as i64;
                let last = (end / self.spacing - shift).floor() as i64;
                for column in first..=last {
                    // Along the lattice's own axes, 60 degrees apart, every second point of every second row is a
                    // lattice of twice the spacing.
                    let along = column - row.index.div_euclid(2);
                    let level = row.index.trailing_zeros().min(along.trailing_zeros()).min(COARSEST_LEVEL) as usize;
                    if levels.len() <= level {
                        levels.resize_with(level + 1, Vec::new);
                    }
                    let x = (column as f64 + shift + jitter(row.index, column)) * self.spacing;
                    levels[level].push([x, y]);
                }
            }
            for (level, points) in levels.iter_mut().enumerate().filter(|(level, _)| row.index >> level & 1 != 0) {
                points[row_starts.get(level).copied().unwrap_or(0)..].reverse();
            }
        }
        levels
    }

    /// For each row that meets the polygon, what is inside less what is within `margin` of an edge.
    fn rows(&self, rings: &[&[Point]]) -> Vec<Row> {
        let height = self.row_height();
        let (low, high) =
            rings.iter().copied().flatten().fold((f64::MAX, f64::MIN), |(l, h), p| (l.min(p[1]), h.max(p[1])));
        let (first, last) = ((low / height).ceil() as i64, (high / height).floor() as i64);
        let count = usize::try_from(last - first + 1).unwrap_or(0);
        let mut crossings: Vec<Vec<f64>> = vec![Vec::new(); count];
        let mut near: Vec<Vec<[f64; 2]>> = vec![Vec::new(); count];
        let edges = |ring: &'_ [Point]| {
            let previous = ring.last().into_iter().chain(ring);
            previous.zip(ring).map(|(&a, &b)| (a, b)).collect::<Vec<_>>()
        };
        for (a, b) in rings.iter().copied().flat_map(edges) {
            let margin = self.axis_margin.filter(|_| a[0] == 0.0 && b[0] == 0.0).unwrap_or(self.margin);
            let (low, high) = (a[1].min(b[1]) - margin, a[1].max(b[1]) + margin);
            let rows = ((low / height).ceil() as i64).max(first)..=((high / height).floor() as i64).min(last);
            for index in rows {
                let (row, y) = ((index - first) as usize, index as f64 * height);
                near[row].extend(capsule(a, b, margin, y));
                // Half open, so that a vertex on the row counts once.
                if (a[1] <= y) != (b[1] <= y) {
                    crossings[row].push(a[0] + (b[0] - a[0]) * ((y - a[1]) / (b[1] - a[1])));
                }
            }
        }
        let stretches = crossings.into_iter().zip(near).map(|(mut crossings, near)| {
            crossings.sort_unstable_by(f64::total_cmp);
            let inside = crossings.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect();
            subtract(inside, near)
        });
        (first..).zip(stretches).map(|(index, stretches)| Row { index, stretches }).collect()
    }
}

/// A fixed irregularity of less than a millionth of the spacing. The points of an exact lattice lie on the edges and
/// circles of its coarser levels, where only slow exact arithmetic can tell the side.
fn jitter(row: i64, column: i64) -> f64 {
    // Multiples of these spread evenly over the unit square (Roberts, The Unreasonable Effectiveness of Quasirandom
    // Sequences, 2018), so no four neighbours are moved alike.
    const STEPS: [f64; 2] = [0.754_877_666_246_692_8, 0.569_840_290_998_053_3];
    let place = row as f64 * STEPS[0] + column as f64 * STEPS[1];
    1e-6 * (place - place.floor())
}

/// Where the row at `y` is within `margin` of the segment from `a` to `b`.
fn capsule(a: Point, b: Point, margin: f64, y: f64) -> Option<[f64; 2]> {
    let disc = |p: Point| {
        let reach2 = margin * margin - (y - p[1]) * (y - p[1]);
        (reach2 > 0.0).then(|| [p[0] - reach2.sqrt(), p[0] + reach2.sqrt()])
    };
    let along = minus(b, a);
    let length = along[0].hypot(along[1]);
    let band = (length > 0.0).then(|| {
        // The sides of the band are parallel to the segment; it ends where the discs begin.
        let side = [-along[1] / length * margin, along[0] / length * margin];
        let corners = [
            [a[0] + side[0], a[1] + side[1]],
            [b[0] + side[0], b[1] + side[1]],
            [b[0] - side[0], b[1] - side[1]],
            [a[0] - side[0], a[1] - side[1]],
        ];
        let crossing = |(p, q): (Point, Point)| {
            ((p[1] <= y) != (q[1] <= y)).then(|| p[0] + (q[0] - p[0]) * ((y - p[1]) / (q[1] - p[1])))
        };
        let each = (0..4).filter_map(|i| crossing((corners[i], corners[(i + 1) % 4])));
        each.fold(None, |span: Option<[f64; 2]>, x| Some(span.map_or([x, x], |[low, high]| [low.min(x), high.max(x)])))
    });
    [disc(a), disc(b), band.flatten()]
        .into_iter()
        .flatten()
        .reduce(|[low, high], [from, to]| [low.min(from), high.max(to)])
}

/// The stretches less the gaps; both in any order, gaps may overlap.
fn subtract(stretches: Vec<[f64; 2]>, mut gaps: Vec<[f64; 2]>) -> Vec<[f64; 2]> {
    gaps.sort_unstable_by(|a, b| a[0].total_cmp(&b[0]));
    let mut left = Vec::new();
    let mut first_gap = 0;
    for [mut start, end] in stretches {
        // Gaps are sorted by start only, so one that ends early may hide behind one that ends late.
        while gaps.get(first_gap).is_some_and(|gap| gap[1] < start) {
            first_gap += 1;
        }
        for &[from, to] in &gaps[first_gap..] {
            if from > end {
                break;
            }
            if from > start {
                left.push([start, from]);
            }
            start = start.max(to);
        }
        if start < end {
            left.push([start, end]);
        }
    }
    left
}
