//! The best outline of a ring within a number of vertices.
//!
//! Candidates come from coarsening, the shortest cycle through them is found for every number of vertices at once, and
//! its vertices are moved to where it is smallest. What crosses itself is forbidden and sought anew. Whatever comes of it
//! must be sound by exact signs; else a coarsened outline that is sound is taken, in the end the ring itself.

use std::cell::RefCell;
use std::collections::HashSet;

use super::candidates::{self, Candidate, Canvas, Coarsened};
use super::cycles::{Terms, Ways};
use super::fixed::{Place, twice_area};
use super::material::Material;
use super::polish::{self, Polish};
use super::simple;
use crate::mesh::error::Result;
use crate::mesh::observer::{Observer, Stage, check_stop};
use crate::mesh::parameters::Effort;

/// Searches before an outline that crosses itself is given up.
const MOST_SEARCHES: usize = 24;

/// Passes of the shortest cycle: the vertex that a pass must go through is chosen by the one before.
const PASSES: usize = 3;

/// Most vertices that are sought; beyond it coarsening alone is near to lossless.
pub(super) const MOST_SOUGHT: usize = 192;

/// Coarsened outlines tried where none that was sought will do.
const MOST_FALLBACKS: usize = 16;

/// How often `best` begins anew from what it has found.
const RESTARTS: usize = 5;

/// What an outline is sought for.
pub(super) struct Task<'a> {
    /// A hull that clings to the shape; see [`super::notches`].
    pub(super) ring: &'a [Place],
    /// What must not be cut: this ring.
    pub(super) own: Material,
    /// What must not even be touched: other islands.
    pub(super) others: Material,
    pub(super) canvas: Canvas,
    /// Least length of an edge in steps of the grid.
    pub(super) least_length: i32,
    /// The upright axis, if the outline is the left half of one that is mirrored about it.
    pub(super) axis: Option<i32>,
    pub(super) effort: Effort,
}

/// Candidates and what coarsening can do, before a number of vertices is known.
pub(super) struct Prepared<'a> {
    task: Task<'a>,
    candidates: Vec<Candidate>,
    coarsened: Coarsened,
}

impl<'a> Prepared<'a> {
    pub(super) fn new(task: Task<'a>) -> Self {
        let (candidates, coarsened) = candidates::collect(task.ring, task.canvas, &task.others);
        Self { task, candidates, coarsened }
    }

    /// What coarsening can do.
    pub(super) fn coarsened(&self) -> &Coarsened {
        &self.coarsened
    }

    /// The same, where nothing is to be outlined yet: the rest takes much more memory.
    pub(super) fn into_coarsened(self) -> Coarsened {
        self.coarsened
    }

    /// The best outline of at most so many vertices. Where there is none, one of the fewest that there is.
    pub(super) fn outline(&self, most: usize, observer: &dyn Observer) -> Result<Vec<Place>> {
        if self.task.ring.len() <= most {
            return Ok(self.task.ring.to_vec());
        }
        let search = Search { prepared: self, banned: RefCell::new(HashSet::new()) };
        let places = |outline: Vec<Candidate>| outline.iter().map(|c| c.place).collect::<Vec<Place>>();
        let found = if most <= MOST_SOUGHT { search.run(most, observer)?.map(places) } else { None };
        if let Some(found) = found.filter(|outline| self.is_sound(outline)) {
            return Ok(found);
        }
        let coarse = self.coarsened.outlines(most).into_iter().map(places).find(|outline| self.is_sound(outline));
        if let Some(coarse) = coarse {
            return Ok(coarse);
        }
        // Coarsened less and less, in the end not at all: the ring itself is simple and leaves nothing out.
        for vertices in (most..self.task.ring.len()).step_by((self.task.ring.len() - most).div_ceil(MOST_FALLBACKS)) {
            check_stop(observer, Stage::Simplify)?;
            let coarse = places(self.coarsened.outline(vertices));
            if self.is_sound(&coarse) {
                return Ok(coarse);
            }
        }
        Ok(self.task.ring.to_vec())
    }

    /// Whether an outline is simple, cuts nothing, touches nothing else, and goes around the ring: its edges do not pass
    /// through the ring's material, so that one corner of the ring within a hull, or one of the outline within a hole,
    /// decides for all.
    fn is_sound(&self, outline: &[Place]) -> bool {
        let ring = self.task.ring;
        let is_hole = twice_area(ring) < 0;
        let (around, within) = if is_hole { (ring, outline) } else { (outline, ring) };
        let mut edges = outline.iter().zip(outline.iter().cycle().skip(1));
        outline.len() >= 3
            && (twice_area(outline) < 0) == is_hole
            && twice_area(outline) >= twice_area(ring)
            && within.first().is_some_and(|&place| simple::holds(around, place))
            && edges.all(|(&u, &v)| !self.task.own.is_cut_by(u, v) && !self.task.others.is_touched_by(u, v))
            && simple::crossings(outline).is_empty()
            && self.pinches(outline).is_empty()
            && self
                .task
                .others
                .places()
                .iter()
                .all(|&other| simple::holds(outline, other) == simple::holds(ring, other))
    }

    /// Vertices at which an outline would touch its mirror image, or come too close to it.
    fn pinches(&self, places: &[Place]) -> Vec<usize> {
        let Some(axis) = self.task.axis else { return Vec::new() };
        let count = places.len();
        let on = |i: usize| places[i % count][0] == axis;
        let lone = |i: &usize| if on(*i) { !on(i + count - 1) && !on(i + 1) } else { self.is_near(places[*i], axis) };
        (0..count).filter(lone).collect()
    }

    fn is_near(&self, place: Place, axis: i32) -> bool {
        2 * (axis - place[0]) < self.task.least_length
    }
}

struct Search<'a> {
    prepared: &'a Prepared<'a>,
    /// Edges that led to outlines which cross themselves.
    banned: RefCell<HashSet<(Place, Place)>>,
}

impl Search<'_> {
    fn run(&self, most: usize, observer: &dyn Observer) -> Result<Option<Vec<Candidate>>> {
        let task = &self.prepared.task;
        let coarse = self.prepared.coarsened.cost(most);
        let bound = coarse.unwrap_or(i64::MAX / 8);
        let starts = self.prepared.coarsened.starts(most);
        let Some(mut best) = self.cycle(self.prepared.candidates.clone(), &starts, bound, most, observer)? else {
            return Ok(None);
        };
        best = self.polished(best, observer)?;
        if task.effort == Effort::Best {
            for restart in 0..RESTARTS {
                let mut candidates = self.prepared.candidates.clone();
                candidates.extend(&best);
                candidates::sort(task.ring, &mut candidates);
                let start = [best[restart * best.len() / RESTARTS]];
                let Some(again) = self.cycle(candidates, &start, self.cost(&best), most, observer)? else { break };
                let again = self.polished(again, observer)?;
                if self.cost(&again) >= self.cost(&best) && restart > 1 {
                    break;
                }
                if self.cost(&again) < self.cost(&best) {
                    best = again;
                }
            }
        }
        Ok(Some(best))
    }

    /// Twice the area that an outline adds.
    fn cost(&self, outline: &[Candidate]) -> i64 {
        let places: Vec<Place> = outline.iter().map(|c| c.place).collect();
        twice_area(&places) - twice_area(self.prepared.task.ring)
    }

    fn is_forbidden(&self, u: Place, v: Place) -> bool {
        let task = &self.prepared.task;
        self.banned.borrow().contains(&(u, v)) || task.own.is_cut_by(u, v) || task.others.is_touched_by(u, v)
    }

    /// The best simple cycle through candidates, of at most so many edges.
    fn cycle(
        &self,
        candidates: Vec<Candidate>,
        starts: &[Candidate],
        bound: i64,
        most: usize,
        observer: &dyn Observer,
    ) -> Result<Option<Vec<Candidate>>> {
        let task = &self.prepared.task;
        let terms = Terms { least_length2: i64::from(task.least_length).pow(2), most_cost: bound };
        let mut ways =
            Ways::new(task.ring, candidates, terms, task.others.places(), &|u, v| self.is_forbidden(u, v), observer)?;
        for _ in 0..MOST_SEARCHES {
            let Some(vertices) = shortest(&ways, starts, most, observer)? else { return Ok(None) };
            let outline: Vec<Candidate> = vertices.iter().map(|&v| ways.candidates()[v]).collect();
            if !self.ban_crossings(&outline) {
                return Ok(Some(outline));
            }
            ways.ban(|u, v| self.banned.borrow().contains(&(u, v)));
        }
        Ok(None)
    }

    /// Forbids the larger of any two edges that meet where they should not; whether there were any.
    fn ban_crossings(&self, outline: &[Candidate]) -> bool {
        let places: Vec<Place> = outline.iter().map(|c| c.place).collect();
        let count = places.len();
        let edge = |i: usize| (places[i], places[(i + 1) % count]);
        let length2 = |i: usize| super::fixed::distance2(edge(i).0, edge(i).1);
        let crossings = simple::crossings(&places);
        let mut banned = self.banned.borrow_mut();
        for &(i, j) in &crossings {
            banned.insert(if length2(i) >= length2(j) { edge(i) } else { edge(j) });
        }
        let pinches = self.prepared.pinches(&places);
        for &i in &pinches {
            banned.extend([edge((i + count - 1) % count), edge(i)]);
        }
        !crossings.is_empty() || !pinches.is_empty()
    }

    fn polished(&self, outline: Vec<Candidate>, observer: &dyn Observer) -> Result<Vec<Candidate>> {
        let task = &self.prepared.task;
        let polish = Polish {
            ring: task.ring,
            others: task.others.places(),
            canvas: task.canvas,
            least_length2: i64::from(task.least_length).pow(2),
            effort: task.effort,
            is_forbidden: &|u, v| self.is_forbidden(u, v),
        };
        for _ in 0..MOST_SEARCHES {
            let moved = polish::polish(&polish, outline.clone(), observer)?;
            if !self.ban_crossings(&moved) {
                return Ok(moved);
            }
        }
        Ok(outline)
    }
}

/// The vertices of the shortest cycle of at most so many edges that is found from some places: through each of them, and
/// then through what that gave.
fn shortest(ways: &Ways, starts: &[Candidate], most: usize, observer: &dyn Observer) -> Result<Option<Vec<usize>>> {
    let mut best: Option<(i64, Vec<usize>)> = None;
    let mut known = HashSet::new();
    for start in starts {
        let mut through = ways.find(start);
        for _ in 0..PASSES {
            check_stop(observer, Stage::Simplify)?;
            let Some(first) = through.filter(|&first| known.insert(first)) else { break };
            let cycles = ways.through(first, most, best.as_ref().map(|(cost, _)| *cost));
            let found = (3..=most).filter_map(|edges| Some((cycles.cost(edges)?, edges))).min();
            let Some((cost, edges)) = found else { break };
            let vertices = cycles.vertices(edges);
            through = Some(vertices[vertices.len() / 2]);
            best = Some((cost, vertices));
        }
    }
    Ok(best.map(|(_, vertices)| vertices))
}
