//! Inner vertices moved to the middle of what surrounds them: the row along the outline comes to an even distance from it,
//! and triangles to an even size.
//!
//! Each goes to the centroid of the triangles around it (Chen and Holst, Efficient mesh optimization schemes based on
//! optimal Delaunay triangulations, 2011), where no triangle gets too flat or too large by that, and edges are flipped
//! until the mesh is Delaunay again (Lawson, 1977).

use super::{Refinement, shortest_side};
use crate::mesh::error::Result;
use crate::mesh::geometry::{Point, cross, distance2, minus};
use crate::mesh::observer::{Stage, check_stop};
use crate::mesh::triangulation::{BOUNDARY, next};

/// Times that every vertex is moved. More change little.
const SWEEPS: usize = 12;

/// Of more inner vertices the lattice is even by itself but for its rim, and moving all would take long.
const MOST_MOVED: usize = 20_000;

/// Squared sine of an angle that is good enough to be given up: 33 degrees.
const GOOD_ENOUGH: f64 = 0.297;

impl Refinement<'_> {
    /// Moves the inner vertices, as far as it does good.
    pub(super) fn even_out(&mut self) -> Result<()> {
        let inner: Vec<u32> =
            (0..).zip(&self.pieces).filter(|(_, piece)| **piece == BOUNDARY).map(|(v, _)| v).collect();
        if inner.is_empty() || inner.len() > MOST_MOVED {
            return Ok(());
        }
        for _ in 0..SWEEPS {
            check_stop(self.observer, Stage::Triangulate)?;
            let around = self.mesh.triangles_around();
            for &vertex in &inner {
                self.center(vertex, &around[vertex as usize]);
            }
            self.mesh.make_delaunay();
        }
        Ok(())
    }

    /// Moves a vertex to the middle of the triangles around it, or half or a quarter of the way.
    fn center(&mut self, vertex: u32, around: &[u32]) {
        let here = self.mesh.vertices[vertex as usize];
        let (mut sum, mut twice_area) = ([0.0; 2], 0.0);
        for &triangle in around {
            let [a, b, c] = self.mesh.corners(triangle);
            let weight = cross(minus(b, a), minus(c, a));
            twice_area += weight;
            (0..2).for_each(|axis| sum[axis] += weight * (a[axis] + b[axis] + c[axis]) / 3.0);
        }
        let before = self.worst(around).unwrap_or(0.0).min(GOOD_ENOUGH);
        for share in [1.0, 0.5, 0.25] {
            let place = [0, 1].map(|axis| here[axis] + share * (sum[axis] / twice_area - here[axis]));
            if self.mesh.spacing.as_ref().is_some_and(|spacing| !spacing.may_move(here, place)) {
                continue;
            }
            self.mesh.vertices[vertex as usize] = place;
            if self.worst(around).is_some_and(|after| after >= before) {
                if let Some(spacing) = &mut self.mesh.spacing {
                    spacing.relocate(here, place);
                }
                return;
            }
        }
        self.mesh.vertices[vertex as usize] = here;
    }

    /// The squared sine of the smallest angle of some triangles. `None` if one is turned over or too large.
    fn worst(&self, triangles: &[u32]) -> Option<f64> {
        let mut sines = triangles.iter().map(|&triangle| {
            let [a, b, c]: [Point; 3] = self.mesh.corners(triangle);
            let twice_area = cross(minus(b, a), minus(c, a));
            let sides = [distance2(a, b), distance2(b, c), distance2(c, a)];
            let shortest = shortest_side(sides);
            let product2 = sides[next(shortest)] * sides[next(next(shortest))];
            (twice_area > 0.0 && twice_area <= 2.0 * self.max_area_px2).then_some(twice_area * twice_area / product2)
        });
        sines.try_fold(f64::INFINITY, |worst, sine| Some(worst.min(sine?)))
    }
}
