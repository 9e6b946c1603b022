//! Outlines whose vertices keep a distance from each other, whichever outlines they belong to: automatic weights fail
//! where vertices nearly coincide.
//!
//! The search keeps edges long enough, but two vertices may also face each other across a thin part, a narrow gap, or from
//! one island to the next. Pair by pair, the nearest first, some vertices around one of the two give way to a single one
//! or to none: wherever everything stays covered and simple, at the place that adds least area. No outline gets more
//! vertices, so a budget still holds. At last what was changed is drawn in again as far as it goes.

mod change;
mod crowd;

use std::cell::Cell;
use std::rc::Rc;

use super::candidates::Canvas;
use super::fixed::{Place, distance2};
use super::material::Material;
use crate::mesh::error::Result;
use crate::mesh::observer::{Observer, Stage, check_stop};
use change::Change;
use crowd::Crowd;

/// Rounds over all pairs: one that could not be mended may be when its neighbours are.
const PASSES: usize = 6;

/// Rounds of drawing in.
const DRAWN_IN: usize = 3;

/// The nearest vertices of each that are looked at in a round: the others are for the next.
const NEAREST: usize = 4;

/// Vertices passed over for one unit of work.
const PASSED_OVER: usize = 8;

/// Places looked at and edges compared for all outlines of a request together: a second or so. Only hostile masks ask for
/// more; what is left is told in a warning.
const MOST_WORK: usize = 4_000_000;

/// What the outlines must keep to.
pub(super) struct Terms<'a> {
    /// The rings that the outlines cling to, and the island of each.
    pub(super) rings: &'a [Vec<Place>],
    pub(super) islands: Vec<u32>,
    /// A place within the material of each that is a hull.
    pub(super) within: Vec<Option<Place>>,
    /// Where the vertices of each may be.
    pub(super) canvases: Vec<Canvas>,
    /// The axis, if the outlines are left halves.
    pub(super) axis: Option<i32>,
    /// Least distance, in steps of the grid.
    pub(super) least: i32,
    /// What was done so far; see [`MOST_WORK`].
    pub(super) work: Rc<Cell<usize>>,
}

impl Terms<'_> {
    fn count(&self, work: usize) {
        self.work.set(self.work.get() + work);
    }

    pub(super) fn is_over(&self) -> bool {
        self.work.get() > MOST_WORK
    }

    fn least2(&self) -> i64 {
        i64::from(self.least).pow(2)
    }

    fn is_on_axis(&self, place: Place) -> bool {
        self.axis == Some(place[0])
    }

    /// Whether no vertex of an outline lies on the axis, although there is one.
    pub(super) fn is_apart_from_axis(&self, outline: &[Place]) -> bool {
        self.axis.is_some() && !outline.iter().any(|&place| self.is_on_axis(place))
    }

    /// Whether a place is too near to its own mirror image.
    fn is_near_axis(&self, place: Place) -> bool {
        self.axis.is_some_and(|axis| place[0] != axis && 2 * (axis - place[0]) < self.least)
    }
}

/// Outlines while they are spread.
pub(super) struct Spread<'a> {
    terms: &'a Terms<'a>,
    outlines: Vec<Vec<Place>>,
    materials: Vec<Option<Material>>,
    crowd: Crowd,
    changed: Vec<bool>,
}

/// Two vertices that are too near, with their outlines; twice the same if it is near its mirror image.
type Pair = [(Place, u32); 2];

/// What came of it.
pub(super) struct Spreaded {
    pub(super) outlines: Vec<Vec<Place>>,
    /// The outlines of vertices that are too near all the same.
    pub(super) stuck: Vec<[usize; 2]>,
}

/// Spreads the vertices of outlines; empty ones are holes that are filled.
pub(super) fn spread(outlines: Vec<Vec<Place>>, terms: &Terms<'_>, observer: &dyn Observer) -> Result<Spreaded> {
    let mut crowd = Crowd::new(terms.least);
    for (outline, ring) in outlines.iter().zip(0..) {
        outline.iter().for_each(|&place| crowd.add(place, ring));
    }
    let mut spread = Spread {
        terms,
        materials: outlines.iter().map(|_| None).collect(),
        changed: vec![false; outlines.len()],
        outlines,
        crowd,
    };
    let mut pairs = spread.pairs();
    for pass in 0..PASSES {
        let mut mended = false;
        for &pair in &pairs {
            check_stop(observer, Stage::Simplify)?;
            if terms.is_over() {
                break;
            }
            mended |= spread.mend(pair, pass + 1 < PASSES);
        }
        if terms.is_over() {
            // Some of these may be apart by now; looking for those that are not would take longer still.
            break;
        }
        pairs = spread.pairs();
        if pairs.is_empty() || !mended {
            break;
        }
    }
    spread.draw_in(observer)?;
    let mut stuck: Vec<[usize; 2]> = pairs.iter().map(|pair| pair.map(|(_, ring)| ring as usize)).collect();
    stuck.sort_unstable();
    stuck.dedup();
    Ok(Spreaded { outlines: spread.outlines, stuck })
}

impl Spread<'_> {
    /// Pairs that are too near, the nearest first.
    fn pairs(&self) -> Vec<Pair> {
        let mut pairs: Vec<(i64, Pair)> = Vec::new();
        for (&place, ring) in
            self.outlines.iter().zip(0..).flat_map(|(outline, ring)| outline.iter().map(move |p| (p, ring)))
        {
            if self.terms.is_near_axis(place) {
                pairs.push((0, [(place, ring); 2]));
            }
            if self.terms.is_over() {
                break;
            }
            let mut passed_over = 0;
            let mut nearest: Vec<(i64, (Place, u32))> = Vec::new();
            for other in self.crowd.near(place) {
                passed_over += 1;
                let apart = distance2(place, other.0);
                if other.0 > place && apart < self.terms.least2() {
                    nearest.push((apart, other));
                    if nearest.len() > 2 * NEAREST {
                        nearest.sort_unstable();
                        nearest.truncate(NEAREST);
                    }
                }
            }
            self.terms.count(1 + passed_over / PASSED_OVER);
            nearest.sort_unstable();
            nearest.truncate(NEAREST);
            pairs.extend(nearest.into_iter().map(|(apart, other)| (apart, [(place, ring), other])));
        }
        pairs.sort_unstable();
        pairs.into_iter().map(|(_, pair)| pair).collect()
    }

    /// Takes a pair apart, if it is still there; at least a little with `partly`. Whether anything was changed.
    fn mend(&mut self, pair: Pair, partly: bool) -> bool {
        if self.terms.is_over() {
            return false;
        }
        let still = |(place, ring): (Place, u32)| {
            self.terms.count(1 + self.outlines[ring as usize].len() / PASSED_OVER);
            self.outlines[ring as usize].iter().position(|&p| p == place)
        };
        let [Some(i), Some(j)] = pair.map(still) else { return false };
        let mut chains = Vec::new();
        for ((_, ring), at) in pair.into_iter().zip([i, j]) {
            chains.extend(change::chains_around(ring as usize, at, self.outlines[ring as usize].len()));
        }
        if pair[0].1 == pair[1].1 && i != j {
            chains.extend(change::chains_between(pair[0].1 as usize, i, j, self.outlines[pair[0].1 as usize].len()));
        }
        chains.sort_unstable();
        chains.dedup();
        let apart = (distance2(pair[0].0, pair[1].0) as f64).sqrt() as i32;
        let halfway = (self.terms.least + apart) / 2;
        let enough = [self.terms.least, halfway];
        let tries = if partly && halfway > apart + 4 && pair[0] != pair[1] { 2 } else { 1 };
        enough[..tries].iter().any(|&enough| {
            let mut changes: Vec<(i64, Change)> = Vec::new();
            for &chain in &chains {
                self.offer(chain, pair.map(|(place, _)| place), enough, &mut changes);
            }
            self.make_best(changes)
        })
    }

    /// Makes the first change that is sound, the cheapest first.
    fn make_best(&mut self, mut changes: Vec<(i64, Change)>) -> bool {
        changes.sort_unstable();
        changes.dedup();
        for (_, change) in changes {
            if self.terms.is_over() {
                return false;
            }
            if let Some(outline) = self.sound(change) {
                self.make(change, outline);
                return true;
            }
        }
        false
    }

    fn make(&mut self, change: Change, outline: Vec<Place>) {
        let ring = change.chain.ring;
        for place in change.chain.places(&self.outlines[ring]) {
            self.crowd.remove(place);
        }
        if let Some(place) = change.place {
            self.crowd.add(place, ring as u32);
        }
        self.outlines[ring] = outline;
        self.changed[ring] = true;
    }

    /// Moves vertices of outlines that were changed to where they add less.
    fn draw_in(&mut self, observer: &dyn Observer) -> Result<()> {
        for _ in 0..DRAWN_IN {
            let mut moved = false;
            for ring in (0..self.outlines.len()).filter(|&ring| self.changed[ring]).collect::<Vec<_>>() {
                for at in 0..self.outlines[ring].len() {
                    check_stop(observer, Stage::Simplify)?;
                    let mut changes = Vec::new();
                    self.offer_inwards(ring, at, &mut changes);
                    moved |= self.make_best(changes);
                }
            }
            if !moved || self.terms.is_over() {
                break;
            }
        }
        Ok(())
    }

    /// The ring's material, which is looked at only where something is too near.
    fn material(&mut self, ring: usize) -> &Material {
        let terms = self.terms;
        if self.materials[ring].is_none() {
            terms.count(terms.rings[ring].len());
        }
        self.materials[ring].get_or_insert_with(|| Material::new(&[&terms.rings[ring]]))
    }
}
