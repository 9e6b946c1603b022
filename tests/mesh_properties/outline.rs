//! A repaired polygon against its outline, on samples: nothing lost but what the warning says, nothing gained but welds
//! and what the outline surrounds.

use spinelift::mesh::Mesh;

/// Samples in a pixel's length.
const PER_PX: usize = 4;

/// How far the polygon may run from the outline inwards, px: rounding to the repair's grid, and straightened vertices.
const INWARDS_PX: f64 = 0.05;

/// How far it may run from it outwards, px: the corner of a weld that is half a pixel wide.
const OUTWARDS_PX: f64 = 0.75;

/// Samples that do not tell areas exactly, px2 and as a share.
const AREA_TOLERANCE: [f64; 2] = [0.5, 0.05];

type Point = [f64; 2];

/// Says what is wrong, if anything.
pub(crate) fn verify(mesh: &Mesh, hull: &[Point]) -> Result<(), String> {
    if !was_repaired(mesh) {
        return Ok(());
    }
    let outline: Vec<Point> = mesh.outline.points.iter().map(|point| point.map(f64::from)).collect();
    let grid = Grid { columns: (mesh.width as usize + 2) * PER_PX, rows: (mesh.height as usize + 2) * PER_PX };
    let around = grid.flood(&outline);
    let (mut missing, mut first_gain) = (0, None);
    for row in 0..grid.rows {
        let [wound, filled] = [&outline, &hull.to_vec()].map(|ring| grid.windings(ring, row));
        for column in 0..grid.columns {
            let at = grid.position(column, row);
            if wound[column] != 0 && filled[column] == 0 && distance(&outline, at) > INWARDS_PX {
                missing += 1;
            }
            let outside = around[row * grid.columns + column];
            if outside && filled[column] != 0 && distance(&outline, at) > OUTWARDS_PX {
                first_gain.get_or_insert(at);
            }
        }
    }
    if let Some(at) = first_gain {
        return Err(format!("{at:?} is inside, but outside of the outline {:?}", mesh.outline.points));
    }
    let lost_px2 = lost_px2(mesh);
    let missing_px2 = missing as f64 / (PER_PX * PER_PX) as f64;
    if missing_px2 > lost_px2 * (1.0 + AREA_TOLERANCE[1]) + AREA_TOLERANCE[0] {
        return Err(format!("{missing_px2} px2 are missing of {:?}, said are {lost_px2}", mesh.outline.points));
    }
    Ok(())
}

pub(crate) fn was_repaired(mesh: &Mesh) -> bool {
    mesh.warnings.iter().any(|warning| warning.contains("was repaired"))
}

/// The area that a warning says was left out.
pub(crate) fn lost_px2(mesh: &Mesh) -> f64 {
    let words: Vec<&str> = mesh.warnings.iter().flat_map(|warning| warning.split_whitespace()).collect();
    words.windows(2).find(|pair| pair[1] == "px2").map_or(0.0, |pair| pair[0].parse().unwrap())
}

/// Samples from one pixel before the canvas to one beyond it.
struct Grid {
    columns: usize,
    rows: usize,
}

impl Grid {
    fn coordinate(index: usize) -> f64 {
        // An odd share of a pixel, so that no sample lies on an outline's own grid.
        (index as f64 + 0.437) / PER_PX as f64 - 1.0
    }

    fn position(&self, column: usize, row: usize) -> Point {
        [Self::coordinate(column), Self::coordinate(row)]
    }

    /// How often a ring runs around each sample of a row.
    fn windings(&self, ring: &[Point], row: usize) -> Vec<i32> {
        let y = Self::coordinate(row);
        let mut turns = vec![0; self.columns];
        for (a, b) in edges(ring).filter(|(a, b)| (a[1] <= y) != (b[1] <= y)) {
            let x = a[0] + (b[0] - a[0]) * (y - a[1]) / (b[1] - a[1]);
            let step = if a[1] <= y { 1 } else { -1 };
            (0..self.columns).filter(|&column| Self::coordinate(column) > x).for_each(|column| turns[column] += step);
        }
        turns
    }

    /// Which samples can be reached from the canvas's edge without coming near the ring.
    fn flood(&self, ring: &[Point]) -> Vec<bool> {
        let mut wall = vec![false; self.columns * self.rows];
        for (a, b) in edges(ring) {
            // Steps of less than a sample leave no gap that sideways steps could pass.
            let steps = (4.0 * PER_PX as f64 * (b[0] - a[0]).hypot(b[1] - a[1])).ceil().max(1.0) as usize;
            for step in 0..=steps {
                let share = step as f64 / steps as f64;
                let [column, row] =
                    [0, 1].map(|axis| ((a[axis] + (b[axis] - a[axis]) * share + 1.0) * PER_PX as f64) as usize);
                wall[row * self.columns + column] = true;
            }
        }
        let mut reached = vec![false; wall.len()];
        reached[0] = true;
        let mut pending = vec![0];
        while let Some(at) = pending.pop() {
            let (column, row) = (at % self.columns, at / self.columns);
            let around = [
                (column > 0).then(|| at - 1),
                (column + 1 < self.columns).then_some(at + 1),
                (row > 0).then(|| at - self.columns),
                (row + 1 < self.rows).then_some(at + self.columns),
            ];
            for next in around.into_iter().flatten().filter(|&next| !wall[next]) {
                if !std::mem::replace(&mut reached[next], true) {
                    pending.push(next);
                }
            }
        }
        reached
    }
}

pub(crate) fn edges(ring: &[Point]) -> impl Iterator<Item = (Point, Point)> {
    ring.iter().copied().zip(ring.iter().copied().cycle().skip(1))
}

/// From a ring to a point, px.
fn distance(ring: &[Point], at: Point) -> f64 {
    edges(ring).map(|(a, b)| to_segment(a, b, at)).fold(f64::MAX, f64::min)
}

pub(crate) fn to_segment(a: Point, b: Point, at: Point) -> f64 {
    let (along, to) = ([b[0] - a[0], b[1] - a[1]], [at[0] - a[0], at[1] - a[1]]);
    let length2 = along[0] * along[0] + along[1] * along[1];
    let share = if length2 > 0.0 { ((to[0] * along[0] + to[1] * along[1]) / length2).clamp(0.0, 1.0) } else { 0.0 };
    (to[0] - along[0] * share).hypot(to[1] - along[1] * share)
}
