//! Refinement: no triangle over the largest area, and none flatter than its outline forces it to be.
//!
//! Long pieces of the boundary are split evenly; the inside is filled from a [`Lattice`] of about the asked size; what
//! then is still too large or too flat is repaired by Delaunay refinement: a vertex at the triangle's circumcentre, or
//! nearer (Üngör, Off-centers, 2009), or in the middle of a piece of the boundary that stands in between (Ruppert, A
//! Delaunay Refinement Algorithm, 1995). The lattice does most of the work. At last vertices may be evened out.

mod pieces;
mod smooth;

use super::error::Result;
use super::geometry::{Point, cross, distance2, dot, minus, polygon_area};
use super::lattice::Lattice;
use super::nearby::Nearby;
use super::observer::{Observer, Stage, check_stop};
use super::rim;
use super::rings::Rings;
use super::triangulation::{BOUNDARY, Edge, Triangulation, Walk, next};

/// Smallest angle aimed at where nothing else is asked, degrees. Ruppert's algorithm is sure to end up to 20.7.
pub(super) const MIN_ANGLE_DEGREES: f64 = 20.0;

/// Area of a lattice triangle as a share of the largest allowed. Nearer to 1 means fewer triangles inside, but more
/// that are too large at the rim, where lattice and boundary do not fit.
const LATTICE_SHARE: f64 = 0.75;

/// Distance of the lattice from the boundary in spacings: over 0.5, or its points would come into the diametral
/// circles of the boundary's pieces and split them.
const LATTICE_MARGIN: f64 = 0.62;

/// Pieces of the boundary shorter than this are not split for an angle, px: between outlines that run nearly together.
const SHORTEST_PIECE_PX: f64 = 0.25;

/// Flat triangles with a shorter side stay, px: corners of outlines are no nearer to each other, and around vertices that
/// are, ever smaller triangles would gather down to the precision of `f64`.
const SHORTEST_SIDE_PX: f64 = 1.0 / 256.0;

/// Insertions for the sake of an angle, per triangle that the area alone asks for: beyond it, flat ones stay.
const ANGLE_BUDGET: usize = 4;

/// Triangles searched around a blocked walk: mostly a few dozen, in a labyrinth it may be all of them, again and again.
const MOST_SEARCHED: usize = 1024;

/// Insertions between two looks at the observer, about a millisecond.
const INSERTIONS_PER_CHECK: usize = 2048;

/// Distance between the vertices of an even mesh of this largest area, px.
pub(super) fn spacing_px(max_area_px2: f64) -> f64 {
    (LATTICE_SHARE * max_area_px2 * 4.0 / 3.0_f64.sqrt()).sqrt()
}

/// What refinement is to reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Goal {
    /// Largest area of a triangle, px2; infinite if any will do.
    pub(super) max_area_px2: f64,
    /// Least angle of a triangle where the outline allows it, degrees.
    pub(super) min_angle_degrees: f64,
    /// Distance of a ring of vertices from the boundary, px; 0 for none.
    pub(super) rim_px: f64,
    /// Whether the polygon is the left half of what is mirrored about the column 0, which is no outline.
    pub(super) is_half: bool,
    /// From so many triangles on nothing is inserted for the sake of an angle alone, of which no estimate knew before.
    pub(super) max_triangles: u64,
    /// Whether inner vertices are moved until they lie evenly.
    pub(super) even: bool,
}

/// How many triangles refining a polygon is going to make: those of the lattice, and one more for each piece of the
/// boundary. On real sprites from 0.4 % below the truth to 12 % above it, nearer the more there are.
pub(super) fn estimate_triangles(rings: &[&[Point]], max_area_px2: f64) -> u64 {
    if !max_area_px2.is_finite() {
        return 0;
    }
    let spacing = spacing_px(max_area_px2);
    let pieces = |ring: &[Point]| -> f64 {
        let previous = ring.last().into_iter().chain(ring);
        previous.zip(ring).map(|(&a, &b)| (distance2(a, b).sqrt() / spacing).ceil()).sum()
    };
    let area: f64 = rings.iter().map(|ring| polygon_area(ring)).sum();
    let pieces: f64 = rings.iter().copied().map(pieces).sum();
    (area.abs() / (LATTICE_SHARE * max_area_px2) + pieces).ceil() as u64
}

/// Refines the inside of a polygon given as a constrained Delaunay triangulation whose first vertices are its corners.
///
/// # Errors
/// [`Error::Stopped`](super::Error::Stopped).
pub(super) fn refine(mesh: &mut Triangulation, rings: &Rings, goal: Goal, observer: &dyn Observer) -> Result<()> {
    let corners = mesh.vertices.clone();
    let outlines = rings.corners(&corners);
    let spacing = spacing_px(goal.max_area_px2);
    let mut refinement = Refinement::new(mesh, rings, goal, spacing, observer);
    if goal.rim_px > 0.0 {
        refinement.fill(&rim::points(&outlines, goal.rim_px, goal.is_half, observer)?, goal.rim_px)?;
    }
    if spacing.is_finite() {
        refinement.split_boundary(spacing)?;
        let margin = LATTICE_MARGIN * spacing;
        let lattice = Lattice { spacing, margin: goal.rim_px + margin, axis_margin: goal.is_half.then_some(margin) };
        for (level, points) in lattice.levels(&outlines).iter().enumerate().rev() {
            refinement.fill(points, spacing * f64::from(1u32 << level))?;
        }
    }
    refinement.repair()?;
    if goal.even {
        refinement.even_out()?;
        refinement.repair()?;
    }
    Ok(())
}

/// A triangle to look at, with its corners then: if they have changed, it is gone.
type Suspect = (u32, [u32; 3]);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flaw {
    TooLarge,
    TooFlat,
}

struct Refinement<'a> {
    mesh: &'a mut Triangulation,
    max_area_px2: f64,
    sin2_min_angle: f64,
    shortest_piece_px2: f64,
    shortest_side_px2: f64,
    corner_count: u32,
    /// Per corner the next one of its ring.
    onward: Vec<u32>,
    /// Half the least angle's tangent.
    tan_half_angle: f64,
    /// Per vertex the piece of the outline it was put on, or [`BOUNDARY`] inside; corner `i` starts piece `i`.
    pieces: Vec<u32>,
    suspects: Vec<Suspect>,
    angle_budget: usize,
    max_triangles: u64,
    insertions: usize,
    observer: &'a dyn Observer,
}

impl<'a> Refinement<'a> {
    fn new(mesh: &'a mut Triangulation, rings: &Rings, goal: Goal, spacing: f64, observer: &'a dyn Observer) -> Self {
        let corner_count = mesh.vertices.len() as u32;
        let scale = spacing.min(1.0);
        Self {
            pieces: (0..corner_count).collect(),
            mesh,
            max_area_px2: goal.max_area_px2,
            sin2_min_angle: goal.min_angle_degrees.to_radians().sin().powi(2),
            shortest_piece_px2: (SHORTEST_PIECE_PX * scale).powi(2),
            shortest_side_px2: (SHORTEST_SIDE_PX * scale).powi(2),
            corner_count,
            onward: rings.onward(),
            tan_half_angle: (goal.min_angle_degrees / 2.0).to_radians().tan(),
            suspects: Vec::new(),
            angle_budget: 0,
            max_triangles: goal.max_triangles,
            insertions: 0,
            observer,
        }
    }

    fn count_insertion(&mut self) -> Result<()> {
        self.insertions += 1;
        if self.insertions.is_multiple_of(INSERTIONS_PER_CHECK) {
            check_stop(self.observer, Stage::Triangulate)?;
        }
        Ok(())
    }

    /// Inserts inner points that are `spacing` apart. A grid of triangles tells where to start walking.
    fn fill(&mut self, points: &[Point], spacing: f64) -> Result<()> {
        let mut nearby = Nearby::new(self.mesh, 2.5 * spacing);
        for &p in points {
            let start = nearby.triangle(self.mesh, p);
            let Some(triangle) = self.locate(start, p) else { continue };
            let insertion = self.mesh.insert(triangle, p);
            if insertion.refused() {
                continue;
            }
            self.pieces.push(BOUNDARY);
            nearby.remember(p, insertion.first);
            self.count_insertion()?;
        }
        Ok(())
    }

    /// The triangle that holds a point of the inside; where a boundary blocks the way, by searching around it. `None` if
    /// it is not near: the point is left out, and repair puts one where it is missed.
    fn locate(&self, start: u32, p: Point) -> Option<u32> {
        let edge = match self.mesh.walk_towards(start, p) {
            Walk::Inside(triangle) => return Some(triangle),
            Walk::Blocked(edge) => edge,
        };
        let mut seen = std::collections::HashSet::from([edge.triangle]);
        let mut queue = std::collections::VecDeque::from([edge.triangle]);
        while let Some(triangle) = queue.pop_front().filter(|_| seen.len() < MOST_SEARCHED) {
            if self.mesh.walk_towards(triangle, p) == Walk::Inside(triangle) {
                return Some(triangle);
            }
            let around = self.mesh.neighbours[triangle as usize];
            queue.extend(around.into_iter().filter(|&n| n != BOUNDARY && seen.insert(n)));
        }
        None
    }

    /// Looks at every triangle and at each that comes of it, until none is too large or needlessly flat.
    fn repair(&mut self) -> Result<()> {
        self.angle_budget = ANGLE_BUDGET * self.mesh.triangles.len() + 1000;
        let all = 0..self.mesh.triangles.len() as u32;
        self.suspects = all.rev().filter_map(|t| self.flaw(t).map(|_| self.suspect(t))).collect();
        while let Some((triangle, corners)) = self.suspects.pop() {
            if self.mesh.triangles[triangle as usize] != corners {
                continue;
            }
            let Some(flaw) = self.flaw(triangle) else { continue };
            if flaw == Flaw::TooFlat {
                if self.angle_budget == 0 || self.mesh.triangles.len() as u64 >= self.max_triangles {
                    continue;
                }
                self.angle_budget -= 1;
            }
            self.count_insertion()?;
            self.mend(triangle, flaw);
        }
        Ok(())
    }

    fn suspect(&self, triangle: u32) -> Suspect {
        (triangle, self.mesh.triangles[triangle as usize])
    }

    fn flaw(&self, triangle: u32) -> Option<Flaw> {
        let [a, b, c] = self.mesh.corners(triangle);
        let twice_area = cross(minus(b, a), minus(c, a));
        if twice_area > 2.0 * self.max_area_px2 {
            return Some(Flaw::TooLarge);
        }
        let sides = [distance2(a, b), distance2(b, c), distance2(c, a)];
        let shortest = shortest_side(sides);
        // The smallest angle lies between the two longer sides: sin = twice the area / their product.
        let product2 = sides[next(shortest)] * sides[next(next(shortest))];
        let flat = twice_area * twice_area < self.sin2_min_angle * product2;
        let flat = flat && sides[shortest] >= self.shortest_side_px2;
        (flat && !self.forced(triangle, shortest)).then_some(Flaw::TooFlat)
    }

    /// Whether the outline itself makes a triangle flat: its shortest side spans a corner of the outline, from one
    /// leg to the other, and a vertex in between would only repeat the same shape nearer to the corner (Miller, Pav
    /// and Walkington, When and why Delaunay refinement algorithms work, 2005).
    fn forced(&self, triangle: u32, shortest: usize) -> bool {
        let corners = self.mesh.triangles[triangle as usize];
        let [a, b] = [corners[shortest], corners[next(shortest)]];
        let apex = corners[next(next(shortest))];
        if apex < self.corner_count {
            let legs = [Edge { triangle, index: next(shortest) }, Edge { triangle, index: next(next(shortest)) }];
            if legs.iter().all(|&leg| self.mesh.is_boundary(leg)) {
                return true;
            }
        }
        let (p, q) = (self.pieces[a as usize], self.pieces[b as usize]);
        if p == BOUNDARY || q == BOUNDARY || a < self.corner_count || b < self.corner_count {
            return false;
        }
        let corner = if self.onward[p as usize] == q {
            q
        } else if self.onward[q as usize] == p {
            p
        } else {
            return false;
        };
        let at = self.mesh.vertices[corner as usize];
        let [u, v] = [a, b].map(|v| minus(self.mesh.vertices[v as usize], at));
        // Under 60 degrees the side is shorter than the legs, and splitting for it would never end.
        let acute = dot(u, v) > 0.5 * (dot(u, u) * dot(v, v)).sqrt();
        let ratio = dot(u, u) / dot(v, v);
        acute && (0.999..1.001).contains(&ratio)
    }

    /// Inserts one vertex for the sake of a triangle, where it does most good.
    fn mend(&mut self, triangle: u32, flaw: Flaw) {
        let suspect = self.suspect(triangle);
        let p = self.steiner_point(triangle, flaw);
        // A triangle without an area, as far as rounding can tell, has no circumcentre.
        let exists = p.iter().all(|x| x.is_finite());
        let insertion = match exists.then(|| self.mesh.walk_straight(triangle, p)) {
            None => None,
            Some(Walk::Blocked(edge)) => self.halve(edge, flaw),
            Some(Walk::Inside(found)) => match self.mesh.insert_unless_encroaching(found, p) {
                Err(edge) => self.halve(edge, flaw),
                Ok(insertion) => {
                    if !insertion.refused() {
                        self.pieces.push(BOUNDARY);
                    }
                    Some(insertion)
                }
            },
        };
        let mut done = insertion.filter(|insertion| !insertion.refused());
        if done.is_none() && flaw == Flaw::TooLarge {
            // Its middle is always inside, and the area must shrink.
            let [a, b, c] = self.mesh.corners(triangle);
            let middle = [(a[0] + b[0] + c[0]) / 3.0, (a[1] + b[1] + c[1]) / 3.0];
            done = Some(self.mesh.insert(triangle, middle)).filter(|insertion| !insertion.refused());
            self.pieces.extend(done.map(|_| BOUNDARY));
        }
        let Some(insertion) = done else { return };
        self.suspects.push(suspect);
        for &new in self.mesh.inserted(insertion) {
            self.suspects.push((new, self.mesh.triangles[new as usize]));
        }
    }

    /// The circumcentre, or for a flat triangle a point nearer to its shortest side that makes the angle just good.
    fn steiner_point(&self, triangle: u32, flaw: Flaw) -> Point {
        let corners = self.mesh.corners(triangle);
        let sides = [0, 1, 2].map(|i| distance2(corners[i], corners[next(i)]));
        let shortest = shortest_side(sides);
        let (a, b, c) = (corners[shortest], corners[next(shortest)], corners[next(next(shortest))]);
        let (u, v) = (minus(b, a), minus(c, a));
        let twice = 2.0 * cross(u, v);
        let (uu, vv) = (dot(u, u), dot(v, v));
        let out = [(v[1] * uu - u[1] * vv) / twice, (u[0] * vv - v[0] * uu) / twice];
        if flaw == Flaw::TooLarge {
            return [a[0] + out[0], a[1] + out[1]];
        }
        let half = [u[0] / 2.0, u[1] / 2.0];
        let up = minus(out, half);
        let (height, base) = (dot(up, up).sqrt(), uu.sqrt());
        // An isosceles triangle on the shortest side with the angle asked for at its apex.
        let enough = base / (2.0 * self.tan_half_angle);
        let share = if height > enough { enough / height } else { 1.0 };
        [a[0] + half[0] + up[0] * share, a[1] + half[1] + up[1] * share]
    }
}

fn shortest_side(sides: [f64; 3]) -> usize {
    let first = usize::from(sides[1] < sides[0]);
    if sides[2] < sides[first] { 2 } else { first }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesh::triangulate::triangulate;

    /// Repaired for their angles, triangles beside two vertices in nearly one place would need hundreds of others.
    #[test]
    fn nothing_gathers_around_vertices_that_are_nearly_one() {
        let square = [[0.0, 0.0], [20.0, 0.0], [20.0, 20.0], [0.0, 20.0]];
        let mut mesh = triangulate(&square).unwrap();
        let goal = Goal {
            max_area_px2: f64::INFINITY,
            min_angle_degrees: MIN_ANGLE_DEGREES,
            rim_px: 0.0,
            is_half: false,
            max_triangles: 100_000,
            even: false,
        };
        let mut refinement = Refinement::new(&mut mesh, &Rings(vec![4]), goal, f64::INFINITY, &());
        refinement.fill(&[[10.0, 9.0], [10.0 + 1e-13, 9.0]], 10.0).unwrap();
        refinement.repair().unwrap();
        assert!((6..30).contains(&mesh.vertices.len()), "{}", mesh.vertices.len());
    }
}
