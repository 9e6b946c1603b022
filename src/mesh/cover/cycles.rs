//! The best outlines of every number of vertices at once, as shortest cycles through candidates.
//!
//! The area that an edge adds to a ring is that between the edge and the stretch of the ring which it replaces, so the
//! area of an outline is a sum over its edges: dynamic programming over "the cheapest way here in k edges" is exact
//! for the candidates given. An edge is allowed if the whole stretch lies to its inner side.

use super::candidates::{Candidate, Canvas};
use super::fixed::{Place, cross, distance2, minus, turn};
use crate::mesh::error::Result;
use crate::mesh::observer::{Observer, Stage, check_stop};

/// More than any way costs.
const FAR: i64 = i64::MAX / 4;

/// Which candidate can follow which, and what that adds.
pub(super) struct Ways {
    candidates: Vec<Candidate>,
    /// First edge of each candidate in `edges`, and their number at the end.
    starts: Vec<u32>,
    edges: Vec<Way>,
}

#[derive(Debug, Clone, Copy)]
struct Way {
    /// Candidates onwards from its start.
    onwards: u32,
    /// Twice the area that it adds.
    cost: i64,
}

/// What an outline's edges must be like besides.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// No edge is shorter; squared.
    pub(super) least_length2: i64,
    /// No edge adds more, twice the area.
    pub(super) most_cost: i64,
}

impl Ways {
    /// All allowed edges between candidates that are sorted along the ring. No edge takes in one of `others`.
    pub(super) fn new(
        ring: &[Place],
        candidates: Vec<Candidate>,
        terms: Terms,
        others: &[Place],
        is_forbidden: &dyn Fn(Place, Place) -> bool,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let mut ways = Self { candidates, starts: vec![0], edges: Vec::new() };
        let stretch = Stretch::new(ring);
        for from in 0..ways.candidates.len() {
            check_stop(observer, Stage::Simplify)?;
            let is_allowed = |a: Candidate, b: Candidate, steps| {
                !is_forbidden(a.place, b.place) && !stretch.encloses_any(a, b, steps, others)
            };
            ways.reach(&stretch, from, terms, &is_allowed);
            ways.starts.push(ways.edges.len() as u32);
        }
        Ok(ways)
    }

    /// Edges from one candidate: the directions to the corners passed are kept as a cone.
    fn reach(
        &mut self,
        stretch: &Stretch<'_>,
        from: usize,
        terms: Terms,
        is_allowed: &dyn Fn(Candidate, Candidate, usize) -> bool,
    ) {
        let (ring, count, all) = (stretch.ring, stretch.ring.len(), self.candidates.len());
        let start = self.candidates[from];
        let here = start.place;
        let mut cone = Cone::default();
        let anchor = start.anchor as usize;
        let mut passed = usize::from(here == ring[anchor] || !stretch.outwards[anchor]);
        for onwards in 1..all {
            let to = self.candidates[(from + onwards) % all];
            let mut steps = (to.anchor as usize + count - anchor) % count;
            if steps == 0 && from + onwards >= all {
                steps = count;
            }
            while passed < steps {
                if !cone.take(minus(ring[(anchor + passed) % count], here)) {
                    return;
                }
                passed += 1;
            }
            let there = minus(to.place, here);
            let corner = ring[to.anchor as usize];
            let clears =
                cone.is_left_of(there) && (!stretch.outwards[to.anchor as usize] || turn(here, to.place, corner) >= 0);
            if !clears || distance2(here, to.place) < terms.least_length2.max(1) {
                continue;
            }
            let cost = stretch.added(start, to, steps);
            if (0..=terms.most_cost).contains(&cost) && is_allowed(start, to, steps) {
                self.edges.push(Way { onwards: onwards as u32, cost });
            }
        }
    }

    /// Forbids edges that are no longer wanted.
    pub(super) fn ban(&mut self, is_banned: impl Fn(Place, Place) -> bool) {
        let all = self.candidates.len();
        for from in 0..all {
            for way in &mut self.edges[self.starts[from] as usize..self.starts[from + 1] as usize] {
                let to = (from + way.onwards as usize) % all;
                if is_banned(self.candidates[from].place, self.candidates[to].place) {
                    way.cost = FAR;
                }
            }
        }
    }

    fn edges_of(&self, from: usize) -> &[Way] {
        &self.edges[self.starts[from] as usize..self.starts[from + 1] as usize]
    }

    /// The cheapest cycles through one candidate, of 3 to `most` edges, that cost less than `below`.
    pub(super) fn through(&self, first: usize, most: usize, below: Option<i64>) -> Cycles<'_> {
        let all = self.candidates.len();
        // No edge costs less than nothing, so that what costs as much on the way becomes no such cycle.
        let below = below.unwrap_or(FAR);
        let mut layers = vec![vec![(below, 0); all + 1]];
        layers[0][0] = (0, 0);
        for used in 0..most {
            let mut next = vec![(below, 0); all + 1];
            for (step, &(cost, _)) in layers[used][..all].iter().enumerate().filter(|(_, (cost, _))| *cost < below) {
                for way in self.edges_of((first + step) % all) {
                    let Some(to) = next.get_mut(step + way.onwards as usize) else { break };
                    if cost + way.cost < to.0 {
                        *to = (cost + way.cost, step as u32);
                    }
                }
            }
            layers.push(next);
        }
        Cycles { ways: self, first, below, layers }
    }

    /// The index of a candidate.
    pub(super) fn find(&self, candidate: &Candidate) -> Option<usize> {
        self.candidates.iter().position(|c| c == candidate)
    }

    pub(super) fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }
}

/// What was found through one candidate.
pub(super) struct Cycles<'a> {
    ways: &'a Ways,
    first: usize,
    /// What no cycle costs.
    below: i64,
    layers: Vec<Vec<(i64, u32)>>,
}

impl Cycles<'_> {
    /// Twice the area that the best cycle of so many edges adds, if there is one.
    pub(super) fn cost(&self, edges: usize) -> Option<i64> {
        let &(cost, _) = self.layers.get(edges)?.last()?;
        (edges >= 3 && cost < self.below).then_some(cost)
    }

    /// Its vertices, as indices of candidates.
    pub(super) fn vertices(&self, edges: usize) -> Vec<usize> {
        let all = self.ways.candidates.len();
        let mut step = all;
        let mut vertices: Vec<usize> = (1..=edges)
            .rev()
            .map(|used| {
                step = self.layers[used][step].1 as usize;
                (self.first + step) % all
            })
            .collect();
        vertices.reverse();
        vertices
    }
}

/// A ring with the sums that give the area of any stretch at once.
pub(super) struct Stretch<'a> {
    ring: &'a [Place],
    /// Corners that point outwards.
    outwards: Vec<bool>,
    /// Sum of the cross products of the edges before each corner, over two rounds.
    sums: Vec<i64>,
}

impl<'a> Stretch<'a> {
    pub(super) fn new(ring: &'a [Place]) -> Self {
        let count = ring.len();
        let at = |i: usize| ring[i % count];
        let outwards = (0..count).map(|i| turn(at(i + count - 1), at(i), at(i + 1)) > 0).collect();
        let mut sums = vec![0];
        let mut sum = 0;
        for i in 0..2 * count {
            sum += cross(at(i), at(i + 1));
            sums.push(sum);
        }
        Self { ring, outwards, sums }
    }

    /// Twice the area between an edge and the `steps` of the ring from one anchor to the other.
    pub(super) fn added(&self, from: Candidate, to: Candidate, steps: usize) -> i64 {
        let anchor = from.anchor as usize;
        let stretch = self.sums[anchor + steps] - self.sums[anchor];
        let (start, end) = (self.ring[anchor], self.ring[to.anchor as usize]);
        cross(from.place, to.place) + cross(to.place, end) - stretch + cross(start, from.place)
    }

    /// Whether one of some places lies between an edge and the `steps` of the ring that it replaces.
    pub(super) fn encloses_any(&self, from: Candidate, to: Candidate, steps: usize, places: &[Place]) -> bool {
        if places.is_empty() {
            return false;
        }
        let count = self.ring.len();
        let corners = (0..=steps).map(|step| self.ring[(from.anchor as usize + step) % count]);
        // Most places lie outside the box around both.
        let around = Canvas::around_all([from.place, to.place].into_iter().chain(corners));
        places.iter().any(|&place| around.holds(place) && self.encloses(from, to, steps, place))
    }

    /// Whether a place lies between an edge and the `steps` of the ring that it replaces.
    fn encloses(&self, from: Candidate, to: Candidate, steps: usize, place: Place) -> bool {
        if turn(from.place, to.place, place) < 0 {
            return false;
        }
        let count = self.ring.len();
        let corner = |step: usize| self.ring[(from.anchor as usize + step) % count];
        let mut inside = false;
        let mut cross_over = |a: Place, b: Place| {
            if (a[1] <= place[1]) != (b[1] <= place[1]) {
                inside ^= (turn(a, b, place) > 0) == (b[1] > a[1]);
            }
        };
        (0..steps).for_each(|step| cross_over(corner(step), corner(step + 1)));
        cross_over(corner(steps), to.place);
        cross_over(to.place, from.place);
        cross_over(from.place, corner(0));
        inside
    }

    /// Whether the stretch between two candidates lies to the inner side of the edge that joins them.
    pub(super) fn clears(&self, from: Candidate, to: Candidate) -> bool {
        let count = self.ring.len();
        let steps = (to.anchor as usize + count - from.anchor as usize) % count;
        (0..=steps).all(|step| {
            let corner = (from.anchor as usize + step) % count;
            let place = self.ring[corner];
            let is_end = step == 0 || step == steps;
            (is_end && !self.outwards[corner]) || turn(from.place, to.place, place) >= 0
        })
    }
}

/// The directions seen so far, less than half a turn apart.
#[derive(Default)]
struct Cone {
    /// The rightmost and the leftmost.
    ends: Option<[Place; 2]>,
}

impl Cone {
    /// `false` if the directions no longer fit into half a turn.
    fn take(&mut self, way: Place) -> bool {
        let Some([right, left]) = &mut self.ends else {
            self.ends = (way != [0, 0]).then_some([way; 2]);
            return true;
        };
        let (over, under) = (cross(*right, way) < 0, cross(*left, way) > 0);
        if over && under {
            return false;
        }
        if over {
            *right = way;
        }
        if under {
            *left = way;
        }
        true
    }

    fn is_left_of(&self, way: Place) -> bool {
        self.ends.is_none_or(|[right, left]| cross(way, right) >= 0 && cross(way, left) >= 0)
    }
}
