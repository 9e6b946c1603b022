//! `outline = cover`: outlines that leave out no pixel, within a budget of vertices.
//!
//! Everything runs on pixel edges and a grid of sixteenths of a pixel, in integers: that a pixel is covered is decided
//! by exact signs.

mod bridge;
mod budget;
mod candidates;
mod coarsen;
mod covered;
mod cycles;
mod exchange;
mod fixed;
mod grow;
mod islands;
mod links;
mod loops;
mod material;
mod mirror;
mod nesting;
mod notches;
mod outline;
mod pinches;
mod polish;
mod pursuit;
mod random;
mod rings;
mod shape;
mod simple;
mod spread;

use std::rc::Rc;

use super::alpha::AlphaPlane;
use super::density;
use super::error::Result;
use super::mask::{self, BitMask};
use super::observer::{self, Observer, Stage};
use super::parameters::{Effort, MeshParameters};
use super::simplify::epsilon_px;
use budget::Claim;
use candidates::{Canvas, Coarsened};
pub(super) use covered::Covered;
use fixed::{Place, STEPS, twice_area};
use material::Material;
use mirror::Axis;
pub(super) use mirror::double;
use nesting::Nesting;
use notches::Extent;
use outline::{Prepared, Task};
use rings::Ring;
use shape::Shape;

/// Finds the outlines, in steps.
pub(super) fn cover(alpha: &AlphaPlane, p: &MeshParameters, observer: &dyn Observer) -> Result<Covered> {
    let margin_px = p.padding.ceil() as usize;
    let mut mask = mask::at_least(alpha, p.alpha_threshold, observer)?;
    let mut counted = mask.clone();
    if margin_px > 0 {
        observer::enter(observer, Stage::Blur)?;
        counted = grow::grow(&mask, 0.0, margin_px, observer)?;
        mask = grow::grow(&mask, p.padding, margin_px, observer)?;
    }
    pinches::fill(&mut mask);
    observer::enter(observer, Stage::Contour)?;
    let kept = islands::choose(&rings::trace(&mask, &counted, observer)?, p)?;
    // Short edges would make small triangles beside larger ones inside.
    let inside_px = density::spacing_px([alpha.width(), alpha.height()], p);
    let least_sought_px =
        if inside_px.is_finite() { p.min_edge_length.max(inside_px * EVEN_SHARE) } else { p.min_edge_length };
    let first = Shape::new(kept.rings.clone(), &mask, least_sought_px, 0, p, observer)?;
    let spread = Rc::clone(&first.spread);
    let shape = |way: u64| {
        let mut other = Shape::new(kept.rings.clone(), &mask, least_sought_px, way, p, observer)?;
        other.spread = Rc::clone(&spread);
        Ok(other)
    };
    observer::enter(observer, Stage::Simplify)?;
    let first =
        Found::new(first, Simplified::found, Effort::Fast, p, observer)?.exchanged(pursuit::LITTLE, p, observer)?;
    let found = match p.effort {
        Effort::Fast => first,
        Effort::Best => pursuit::best(first, &shape, p, observer)?,
    };
    let mut covered = found.into_covered(p);
    covered.warnings.splice(0..0, kept.warnings);
    covered.shift(margin_px);
    Ok(covered)
}

/// Least length of an edge that is sought where there are vertices inside, as a share of the distance between them.
const EVEN_SHARE: f64 = 0.35;

/// How often islands are joined whose vertices nothing else keeps apart.
const MOST_JOININGS: usize = 4;

/// A way to find outlines.
type Seek = fn(&Shape, Effort, &MeshParameters, &dyn Observer) -> Result<Simplified>;

/// A shape with its outlines.
#[derive(Clone)]
struct Found {
    shape: Shape,
    outlines: Simplified,
    /// Islands that were joined to others.
    joined: usize,
}

impl Found {
    /// Outlines a shape as `seek` does; islands whose vertices nothing else keeps apart are joined.
    fn new(mut shape: Shape, seek: Seek, effort: Effort, p: &MeshParameters, observer: &dyn Observer) -> Result<Self> {
        let islands = shape.islands();
        let mut outlines = seek(&shape, effort, p, observer)?;
        for _ in 0..MOST_JOININGS {
            if outlines.stuck.is_empty() {
                break;
            }
            shape.join(&outlines.stuck, p, observer)?;
            outlines = seek(&shape, effort, p, observer)?;
        }
        Ok(Self { joined: islands.saturating_sub(shape.islands()), shape, outlines })
    }

    /// What is better comes first: fewer vertices over the budget, fewer islands joined, then the smaller area.
    fn rank(&self, p: &MeshParameters) -> (usize, usize, usize, i64) {
        let over = self.outlines.over(&self.shape, p);
        (over, self.outlines.stuck.len(), self.joined, self.outlines.twice_area())
    }
}

/// The pixels within rings, as far as they lie in the image.
pub(super) fn mask_of(shape: &[Vec<[i32; 2]>], size: [u32; 2]) -> BitMask {
    let [width, height] = size.map(|side| side as usize);
    rings::fill(shape.iter().map(Vec::as_slice), width, height)
}

/// Most corners of one ring that the search looks at, but for a budget that is larger.
const MOST_LOOKED_AT: usize = 600;

/// Corners that the search looks at for a budget, of all rings together; a budget so large that all corners have a
/// vertex needs no search.
fn corners_looked_at(effort: Effort, budget: usize, rings: usize) -> usize {
    let (few, many, each) = match effort {
        Effort::Fast => (12 * budget, 300, 12),
        Effort::Best => (12 * budget, 480, 24),
    };
    let wanted = if budget == 0 { many } else { few.clamp(many / 2, many) };
    wanted.max(budget) + each * rings
}

/// Outlines on the grid, one for each ring; empty for a hole that is filled and for all that lies in it.
#[derive(Clone)]
struct Simplified {
    outlines: Vec<Vec<Place>>,
    /// Pairs of rings, not of one island, whose vertices are nearer than they may be; a ring twice if it is too near to
    /// its own mirror image.
    stuck: Vec<[usize; 2]>,
}

/// Outlines a ring by at most so many vertices, beside other outlines.
type Outliner<'a> = dyn Fn(usize, usize, &[Vec<Place>]) -> Result<Vec<Place>> + 'a;

/// How often an outline with vertices that nothing keeps apart is sought with fewer.
const MOST_ATTEMPTS: usize = 5;

/// The same for outlines of two islands, which can be joined.
const MOST_ATTEMPTS_APART: usize = 2;

impl Simplified {
    /// Simplifies all rings outwards, under one budget.
    fn new(shape: &Shape, effort: Effort, p: &MeshParameters, observer: &dyn Observer) -> Result<Self> {
        let exact: Vec<Vec<Place>> = shape.rings.iter().map(|ring| shape.places(ring)).collect();
        let looked_at = corners_looked_at(effort, p.max_vertices as usize, exact.len());
        let extent =
            Extent { share: 0.0003, corners: looked_at, corners_of_each: MOST_LOOKED_AT.max(p.max_vertices as usize) };
        let hulls = notches::fill(&exact, extent, observer)?;
        let least = steps(p.min_edge_length);
        let nesting = Nesting::of(&shape.rings);
        let prepare = |i: usize, current: &[Vec<Place>], least_sought_px: f64, effort: Effort| {
            let canvas = shape.canvas_of(&hulls[i]);
            let own = &shape.rings[i];
            let is_other = |j: usize| {
                // A hull grows away from what lies in its holes.
                shape.rings[j].island != own.island
                    && canvas.meets(&Canvas::around(&current[j]))
                    && (own.is_hole() || !nesting.is_in(j, i))
            };
            let others: Vec<&Vec<Place>> = (0..current.len()).filter(|&j| is_other(j)).map(|j| &current[j]).collect();
            Prepared::new(Task {
                ring: &hulls[i],
                own: Material::new(&[&hulls[i]]),
                others: Material::new(&others),
                canvas,
                least_length: steps(least_sought_px),
                axis: shape.axis.map(Axis::place),
                effort,
            })
        };
        let first = prepare(0, &hulls, shape.least_sought_px, effort);
        let others = (1..hulls.len()).map(|i| prepare(i, &hulls, shape.least_sought_px, effort).into_coarsened());
        let others: Vec<Coarsened> = others.collect();
        let is_free = |i: usize| shape.rings[i].is_hole() && !nesting.is_occupied(i);
        let claims: Vec<Claim<'_>> = (std::iter::once(first.coarsened()).chain(&others).zip(0..))
            .map(|(coarsened, i)| Claim { coarsened, without: is_free(i).then(|| -twice_area(&hulls[i])) })
            .collect();
        let areas: Vec<i64> = hulls.iter().map(|hull| twice_area(hull)).collect();
        let mut given = vertices_of_each(claims, &areas, &nesting, shape, p);
        if least > 0 {
            // More edges of that length do not fit around a ring.
            given
                .iter_mut()
                .zip(&hulls)
                .for_each(|(vertices, hull)| *vertices = (*vertices).min(most_edges(hull, least)));
        }
        let mut outlines = hulls.clone();
        for (i, &vertices) in given.iter().enumerate() {
            if vertices == 0 {
                outlines[i].clear();
                continue;
            }
            // What was outlined before has grown.
            let again = (i > 0).then(|| prepare(i, &outlines, shape.least_sought_px, effort));
            let found = again.as_ref().unwrap_or(&first).outline(vertices, observer)?;
            outlines[i] = if found.len() > vertices && shape.least_sought_px > 0.0 {
                // No edges are so long: rather shorter ones than more.
                let shorter = prepare(i, &outlines, 0.0, Effort::Fast).outline(vertices, observer)?;
                if shorter.len() < found.len() { shorter } else { found }
            } else {
                found
            };
            if is_free(i) && outlines[i].len() > vertices {
                // No outline of so few: a hole can be filled.
                outlines[i].clear();
            }
        }
        let mut found = Self { outlines, stuck: Vec::new() };
        if least > 0 {
            found.spread(&hulls, shape, &nesting, least, observer, &|i, vertices, outlines| {
                let found = prepare(i, outlines, shape.least_sought_px, Effort::Fast).outline(vertices, observer)?;
                if found.len() <= outlines[i].len() { Ok(found) } else { Ok(outlines[i].clone()) }
            })?;
        }
        Ok(found)
    }

    /// Keeps all vertices apart. What is stuck is outlined anew with fewer vertices; a hole is filled at last.
    fn spread(
        &mut self,
        hulls: &[Vec<Place>],
        shape: &Shape,
        nesting: &Nesting,
        least: i32,
        observer: &dyn Observer,
        outline: &Outliner<'_>,
    ) -> Result<()> {
        let mut terms = spread::Terms {
            rings: hulls,
            islands: shape.rings.iter().map(|ring| ring.island).collect(),
            within: shape.rings.iter().map(|ring| shape.within(ring)).collect(),
            canvases: hulls.iter().map(|hull| shape.canvas_of_spread(hull, least)).collect(),
            axis: shape.axis.map(Axis::place),
            least,
            work: Rc::clone(&shape.spread),
        };
        let island = |ring: usize| shape.rings[ring].island;
        let is_apart = |&[i, j]: &[usize; 2]| island(i) != island(j);
        for attempt in 0..MOST_ATTEMPTS {
            self.stuck = self.spread_once(&terms, observer)?;
            if terms.is_over() {
                break;
            }
            let anew = self.stuck.iter().filter(|pair| !is_apart(pair) || attempt < MOST_ATTEMPTS_APART);
            let mut rings: Vec<usize> = anew.flatten().copied().collect();
            rings.sort_unstable();
            rings.dedup();
            if rings.is_empty() || attempt + 1 == MOST_ATTEMPTS {
                break;
            }
            let last = attempt + 2 == MOST_ATTEMPTS;
            for ring in rings {
                let fewer = if last { 4 } else { (self.outlines[ring].len() * 2 / 3).max(4) };
                self.outlines[ring] = if shape.rings[ring].is_hole() && (last || self.outlines[ring].len() <= 4) {
                    Vec::new()
                } else {
                    outline(ring, fewer, &self.outlines)?
                };
            }
            nesting.absorb(&mut self.outlines);
        }
        self.stuck
            .retain(|pair| is_apart(pair) || (pair[0] == pair[1] && terms.is_apart_from_axis(&self.outlines[pair[0]])));
        // What cannot be as far apart as asked for is as far as it can.
        while terms.least > STEPS && !terms.is_over() && !self.spread_once(&terms, observer)?.is_empty() {
            terms.least /= 2;
        }
        Ok(())
    }

    /// Spreads the vertices as far as it goes; returns the pairs of outlines that are too near all the same.
    fn spread_once(&mut self, terms: &spread::Terms<'_>, observer: &dyn Observer) -> Result<Vec<[usize; 2]>> {
        let spreaded = spread::spread(std::mem::take(&mut self.outlines), terms, observer)?;
        self.outlines = spreaded.outlines;
        Ok(spreaded.stuck)
    }

    fn twice_area(&self) -> i64 {
        self.outlines.iter().map(|outline| twice_area(outline)).sum()
    }
}

/// At least so many px in steps of the grid.
fn steps(length_px: f64) -> i32 {
    (length_px * f64::from(STEPS)).ceil() as i32
}

/// Most edges of a least length that an outline around a ring has use for.
fn most_edges(hull: &[Place], least: i32) -> usize {
    let around = hull.iter().zip(hull.iter().cycle().skip(1));
    let length: f64 = around.map(|(&a, &b)| (fixed::distance2(a, b) as f64).sqrt()).sum();
    (1.25 * length / f64::from(least)) as usize + 4
}

/// A budget is shared; without one `detail_factor` says how far an outline may run from its ring on average.
fn vertices_of_each(
    claims: Vec<Claim<'_>>,
    twice_areas: &[i64],
    nesting: &Nesting,
    shape: &Shape,
    p: &MeshParameters,
) -> Vec<usize> {
    if p.max_vertices > 0 {
        let budget = shape.budget(p.max_vertices as usize);
        let is_open = nesting.open_within(budget, &claims, twice_areas);
        let open: Vec<Claim<'_>> =
            claims.into_iter().zip(&is_open).filter(|(_, open)| **open).map(|(c, _)| c).collect();
        let mut shares = budget::share(&open, budget).into_iter();
        return is_open.iter().map(|&open| if open { shares.next().unwrap_or(0) } else { 0 }).collect();
    }
    claims
        .iter()
        .zip(&shape.rings)
        .map(|(claim, ring)| {
            let allowed = allowed_twice_area(ring, p);
            let coarsened = claim.coarsened;
            (coarsened.fewest().max(3)..=coarsened.corners())
                .find(|&vertices| coarsened.cost(vertices).is_some_and(|cost| cost as f64 <= allowed))
                .unwrap_or(coarsened.corners())
        })
        .collect()
}

/// An eighth of the tolerance along the whole ring, in steps of the grid.
fn allowed_twice_area(ring: &Ring, p: &MeshParameters) -> f64 {
    let around = ring.corners.iter().zip(ring.corners.iter().cycle().skip(1));
    let length: f64 = around.map(|(a, b)| f64::from((a[0] - b[0]).abs() + (a[1] - b[1]).abs())).sum();
    2.0 * length * epsilon_px(&ring.corners, p) / 8.0 * f64::from(STEPS * STEPS)
}
