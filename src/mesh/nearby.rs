//! Where to begin a walk: a triangle close to a point, without searching for one.

use super::geometry::{Point, distance2};
use super::triangulation::{BOUNDARY, Triangulation};

/// Most cells, 4 MB: a thin shape across a large image has few triangles, but could ask for many cells.
const MOST_CELLS: f64 = (1 << 20) as f64;

/// A grid that remembers a triangle near each place. Triangles are replaced by others at the same spot, so what it
/// remembers stays near, and is only where a walk begins.
pub(super) struct Nearby {
    /// Cells in a pixel: asked for twice for each vertex, and multiplying is faster than dividing.
    cells_per_px: f64,
    origin: Point,
    columns: usize,
    triangles: Vec<u32>,
    last: u32,
}

impl Nearby {
    /// Square cells of that side over the whole mesh, larger ones if that would be too many.
    pub(super) fn new(mesh: &Triangulation, cell_px: f64) -> Self {
        let fold = |pick: fn(f64, f64) -> f64, start: f64| {
            mesh.vertices.iter().fold([start; 2], |m, v| [pick(m[0], v[0]), pick(m[1], v[1])])
        };
        let (low, high) = (fold(f64::min, f64::MAX), fold(f64::max, f64::MIN));
        let sides = [high[0] - low[0], high[1] - low[1]];
        let cells_per_px = 1.0 / cell_px.max((sides[0] * sides[1] / MOST_CELLS).sqrt());
        let cells = |axis: usize| (sides[axis] * cells_per_px) as usize + 1;
        let (columns, rows) = (cells(0), cells(1));
        let mut grid = Self { cells_per_px, origin: low, columns, triangles: vec![BOUNDARY; columns * rows], last: 0 };
        for (corners, triangle) in mesh.triangles.iter().zip(0..) {
            corners.iter().for_each(|&v| grid.remember(mesh.vertices[v as usize], triangle));
        }
        grid
    }

    fn cell(&self, p: Point) -> usize {
        let [column, row] = [0, 1].map(|axis| ((p[axis] - self.origin[axis]) * self.cells_per_px).max(0.0) as usize);
        (row * self.columns + column).min(self.triangles.len().saturating_sub(1))
    }

    /// The nearer of what was remembered here and what was inserted last.
    pub(super) fn triangle(&self, mesh: &Triangulation, p: Point) -> u32 {
        let here = self.triangles[self.cell(p)];
        if here == BOUNDARY {
            return self.last;
        }
        let away = |triangle: u32| distance2(mesh.vertices[mesh.triangles[triangle as usize][0] as usize], p);
        if away(here) < away(self.last) { here } else { self.last }
    }

    /// The triangle is near here from now on, and is the last one seen.
    pub(super) fn remember(&mut self, p: Point, triangle: u32) {
        let cell = self.cell(p);
        self.triangles[cell] = triangle;
        self.last = triangle;
    }
}
