//! What is done with outlines that were found ring by ring: they are made smaller together, and for the effort `best` so
//! are those of a shape that is bridged in other ways.

use std::cell::Cell;

use super::fixed::{Place, STEPS, minus, twice_area};
use super::loops::Ground;
use super::material::Material;
use super::rings::Ring;
use super::{Found, Shape, Simplified, exchange, outline, steps};
use crate::mesh::error::{Error, Result};
use crate::mesh::observer::Observer;
use crate::mesh::parameters::{Effort, Islands, MeshParameters};

/// Corners and edges looked at by the exchange of vertices: a little for each outline, more for those that are best, and
/// much for the one that is best then.
pub(super) const LITTLE: u64 = 1_000_000;
const MORE: u64 = 6_000_000;
const MUCH: u64 = 16_000_000;

/// How often outlines over the budget are sought with fewer vertices, of how many rings, and the fewest that a mesh can
/// have.
const MOST_SOUGHT_WITH_FEWER: usize = 4;
const MOST_RINGS_SOUGHT_WITH_FEWER: usize = 64;
const FEWEST: u32 = 3;

/// The narrowest that a bridge becomes, in steps of the grid: an eighth of a pixel.
const NARROWEST: i32 = STEPS / 8;

/// Outlines that the exchange goes on from.
const MOST_PURSUED: usize = 3;

/// Ways in which islands are bridged besides the shortest: fewer where there are many.
const OTHER_WAYS: usize = 8;
const ISLANDS_TIMES_WAYS: usize = 96;

/// Most islands, and most corners of them, that are bridged in several ways.
const MOST_REBRIDGED: usize = 64;
const MOST_REBRIDGED_CORNERS: usize = 1 << 14;

/// Most corners of a shape whose outlines are made smaller together.
const MOST_EXCHANGED_AROUND: usize = 1 << 16;

/// What is better than a first shape with its outlines: bridged in other ways, or sought longer.
pub(super) fn best(
    first: Found,
    shape: &dyn Fn(u64) -> Result<Shape>,
    p: &MeshParameters,
    observer: &dyn Observer,
) -> Result<Found> {
    let mut found = vec![first];
    for way in 1..=found[0].shape.other_ways(p) {
        let other = Found::new(shape(way)?, Simplified::filled, Effort::Fast, p, observer)?;
        found.push(other.exchanged(LITTLE, p, observer)?);
    }
    found.sort_by_key(|found| found.rank(p));
    let longer = Found::new(found[0].shape.clone(), Simplified::found, Effort::Best, p, observer)?;
    found.push(Found { joined: found[0].joined + longer.joined, ..longer }.exchanged(LITTLE, p, observer)?);
    found.sort_by_key(|found| found.rank(p));
    found.truncate(MOST_PURSUED);
    let further = found.into_iter().map(|found| found.exchanged(MORE, p, observer)).collect::<Result<Vec<_>>>()?;
    let best =
        further.into_iter().min_by_key(|found| found.rank(p)).ok_or_else(|| Error::Internal("no outlines".into()))?;
    best.exchanged(MUCH, p, observer)
}

impl Simplified {
    /// Outlines sought ring by ring. Where they take more vertices than they may, as one came in the way of the next, they
    /// are sought with fewer.
    pub(super) fn found(shape: &Shape, effort: Effort, p: &MeshParameters, observer: &dyn Observer) -> Result<Self> {
        let mut best = Self::open_or_filled(shape, effort, p, observer)?;
        let mut fewer = p.clone();
        let mut over = best.over(shape, p);
        for _ in 0..MOST_SOUGHT_WITH_FEWER {
            if over == 0 || fewer.max_vertices <= FEWEST || shape.rings.len() > MOST_RINGS_SOUGHT_WITH_FEWER {
                break;
            }
            fewer.max_vertices = fewer.max_vertices.saturating_sub(over as u32).max(FEWEST);
            let found = Self::open_or_filled(shape, effort, &fewer, observer)?;
            over = found.over(shape, p);
            if found.rank(shape, p) < best.rank(shape, p) {
                best = found;
            }
        }
        Ok(best)
    }

    /// Outlines sought ring by ring, without any hole where that is better: each hole saves something, but the hull may do
    /// more with the vertices of all.
    fn open_or_filled(shape: &Shape, effort: Effort, p: &MeshParameters, observer: &dyn Observer) -> Result<Self> {
        let open = Self::new(shape, effort, p, observer)?;
        let has_holes =
            shape.rings.iter().zip(&open.outlines).any(|(ring, outline)| ring.is_hole() && !outline.is_empty());
        if p.max_vertices == 0 || !has_holes || shape.islands() > 1 {
            return Ok(open);
        }
        let filled = Self::filled(shape, effort, p, observer)?;
        Ok(if filled.rank(shape, p) < open.rank(shape, p) { filled } else { open })
    }

    /// Outlines of the hulls alone.
    fn filled(shape: &Shape, effort: Effort, p: &MeshParameters, observer: &dyn Observer) -> Result<Self> {
        let mut hulls = shape.clone();
        // What lies in a hole is covered with it.
        let is_left = |ring: &Ring| !ring.is_hole() && ring.within.is_none();
        hulls.rings.retain(is_left);
        let Self { outlines, stuck } = Self::new(&hulls, effort, p, observer)?;
        let places: Vec<usize> = (0..shape.rings.len()).filter(|&ring| is_left(&shape.rings[ring])).collect();
        let mut found = Self { outlines: vec![Vec::new(); shape.rings.len()], stuck: Vec::new() };
        found.stuck.extend(stuck.into_iter().map(|pair| pair.map(|hull| places[hull])));
        places.iter().zip(outlines).for_each(|(&ring, outline)| found.outlines[ring] = outline);
        Ok(found)
    }

    /// What is better comes first: fewer vertices over the budget, fewer that are too near, then the smaller area.
    fn rank(&self, shape: &Shape, p: &MeshParameters) -> (usize, usize, i64) {
        (self.over(shape, p), self.stuck.len(), self.twice_area())
    }
}

impl Found {
    /// The outlines made smaller together, where they are few enough for that.
    pub(super) fn exchanged(
        mut self,
        most_looked_at: u64,
        p: &MeshParameters,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let (shape, outlines) = (&self.shape, &mut self.outlines.outlines);
        let open: Vec<Vec<Place>> = outlines.iter().filter(|outline| !outline.is_empty()).cloned().collect();
        let vertices: usize = open.iter().map(Vec::len).sum();
        let corners: usize = shape.whole.iter().map(|ring| ring.corners.len()).sum();
        let is_asked = p.max_vertices > 0 && shape.axis.is_none();
        if !is_asked || vertices > outline::MOST_SOUGHT || corners > MOST_EXCHANGED_AROUND {
            return Ok(self);
        }
        let ground = shape.ground();
        let most = vertices.max(p.max_vertices as usize);
        let found = exchange::exchange(&ground, &open, most, most_looked_at, observer)?;
        let areas = [&found, &open].map(|rings| rings.iter().map(|ring| twice_area(ring)).sum::<i64>());
        if areas[0] < areas[1] && ground.bears(&found) {
            let open = outlines.iter_mut().filter(|outline| !outline.is_empty());
            open.zip(found).for_each(|(outline, found)| *outline = found);
        }
        Ok(self)
    }
}

impl Shape {
    /// In how many other ways it is worth to be bridged.
    fn other_ways(&self, p: &MeshParameters) -> u64 {
        let islands = self.islands_of_whole();
        let corners: usize = self.whole.iter().map(|ring| ring.corners.len()).sum();
        let is_bridged = p.islands == Islands::Bridge && self.axis.is_none() && p.max_vertices > 0;
        let is_worth_it = (2..=MOST_REBRIDGED).contains(&islands) && corners <= MOST_REBRIDGED_CORNERS;
        if is_bridged && is_worth_it { (ISLANDS_TIMES_WAYS / islands).min(OTHER_WAYS) as u64 } else { 0 }
    }

    fn islands_of_whole(&self) -> usize {
        self.whole.iter().filter(|ring| !ring.is_hole()).count()
    }

    /// What outlines of the whole run around.
    fn ground(&self) -> Ground {
        let rings: Vec<Vec<Place>> = self.whole.iter().map(|ring| self.places(ring)).collect();
        let within = rings.iter().filter(|ring| twice_area(ring) > 0).map(|ring| {
            // The middle of the pixel beside the ring's first edge.
            let [x, y] = minus(ring[1], ring[0]).map(|c| c.signum() * STEPS / 2);
            [ring[0][0] + x - y, ring[0][1] + y + x]
        });
        let least_length = steps(self.least_sought_px);
        let has_bridges = self.islands() < self.islands_of_whole();
        Ground {
            within: within.collect(),
            material: Material::new(&rings.iter().collect::<Vec<_>>()),
            canvas: self.canvas,
            least_length,
            least_width: if has_bridges { least_length.max(NARROWEST) } else { 0 },
            least_twice_area: rings.iter().map(|ring| twice_area(ring)).sum(),
            looked_at: Cell::new(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A box 16 px wide with another one 32 px to its right; outlines of both have a bridge.
    fn two_boxes() -> Ground {
        let at = |x: i32| [[x, 0], [x + 16, 0], [x + 16, 16], [x, 16]].map(|place| place.map(|c| c * STEPS)).to_vec();
        let (left, right) = (at(0), at(48));
        Ground {
            within: vec![[8 * STEPS; 2], [56 * STEPS, 8 * STEPS]],
            least_twice_area: twice_area(&left) + twice_area(&right),
            material: Material::new(&[&left, &right]),
            canvas: super::super::candidates::Canvas { low: [0, 0], high: [64 * STEPS, 16 * STEPS] },
            least_length: 0,
            least_width: NARROWEST,
            looked_at: Cell::new(0),
        }
    }

    fn in_steps(outline: &[[i32; 2]]) -> Vec<Vec<Place>> {
        vec![outline.iter().map(|place| place.map(|c| c * STEPS)).collect()]
    }

    #[test]
    fn only_outlines_that_leave_nothing_out_are_borne() {
        let ground = two_boxes();
        assert!(ground.bears(&in_steps(&[[0, 0], [64, 0], [64, 16], [0, 16]])));
        let left = [[0, 0], [16, 0], [16, 16], [0, 16]];
        assert!(!ground.bears(&in_steps(&left)), "the right box is left out");
        assert!(!ground.bears(&in_steps(&[[0, 0], [64, 0], [64, 15], [0, 16]])), "a box is cut");
        assert!(!ground.bears(&in_steps(&[[0, 0], [64, 16], [64, 0], [0, 16]])), "it crosses itself");
        assert!(!ground.bears(&in_steps(&[[0, 0], [65, 0], [64, 16], [0, 16]])), "it leaves the canvas");
        assert!(!ground.bears(&[in_steps(&left), in_steps(&left)].concat()), "a box is in two hulls");
    }

    #[test]
    fn an_exchange_finds_the_narrowest_bridge() -> Result<()> {
        let ground = two_boxes();
        let corners = [[0, 0], [16, 0], [48, 0], [64, 0], [64, 16], [48, 16], [16, 16], [0, 16]];
        let around = in_steps(&corners);
        let found = exchange::exchange(&ground, &around, 12, LITTLE, &())?;
        assert!(ground.bears(&found));
        assert!(found[0].len() <= 12);
        // 32 px long and an eighth of a pixel wide, or little more.
        let bridge = twice_area(&found[0]) - ground.least_twice_area;
        let narrowest = i64::from(2 * 32 * STEPS * NARROWEST);
        assert!((narrowest..2 * narrowest).contains(&bridge), "{bridge} {narrowest}");
        assert_eq!(found, exchange::exchange(&ground, &around, 12, LITTLE, &())?);
        Ok(())
    }
}
