//! Closed outlines whose vertices are moved, put in and taken out one by one; no step cuts or touches what it must not.

use std::cell::Cell;

use super::candidates::Canvas;
use super::coarsen::outwards;
use super::fixed::{Place, cross, distance2, minus, turn, twice_area};
use super::links::Links;
use super::material::Material;
use super::simple::{folds_back, holds, touch};

/// What a step counts beside the corners and edges that it looks at.
const STEP: u64 = 20;

/// What outlines run around.
pub(super) struct Ground {
    pub(super) material: Material,
    /// A place strictly within each island.
    pub(super) within: Vec<Place>,
    pub(super) canvas: Canvas,
    /// No step makes a shorter edge, in steps of the grid.
    pub(super) least_length: i32,
    /// No step makes a narrower part, in steps of the grid; 0 where the material itself sees to that.
    pub(super) least_width: i32,
    /// No outlines have less, as long as all holes are open.
    pub(super) least_twice_area: i64,
    /// Corners and edges looked at so far.
    pub(super) looked_at: Cell<u64>,
}

impl Ground {
    /// Whether all islands are where they belong: in one hull more than in holes.
    fn is_covered_by(&self, rings: &[Vec<Place>]) -> bool {
        self.within.iter().all(|&place| {
            let around = rings.iter().filter(|ring| holds(ring, place));
            around.map(|ring| if twice_area(ring) > 0 { 1 } else { -1 }).sum::<i32>() == 1
        })
    }

    /// Whether outlines are simple and apart, cut nothing and leave nothing out, looked at all over again.
    pub(super) fn bears(&self, rings: &[Vec<Place>]) -> bool {
        let loops = Loops::new(rings);
        let vertices = &loops.alive;
        let apart = |&v: &u32| {
            let [u, w] = [v, loops.after(v)].map(|v| loops.place(v));
            !self.material.is_cut_by(u, w)
                && !folds_back([u, w], [w, loops.place(loops.after(loops.after(v)))])
                && loops.is_free(u, w, &[loops.before(v), v, loops.after(v)])
        };
        let hull_of = |i: usize| (0..=i).rev().find(|&j| twice_area(&rings[j]) > 0);
        rings.iter().all(|ring| ring.len() >= 3 && ring.iter().all(|&place| self.canvas.holds(place)))
            && vertices.iter().all(apart)
            && (0..rings.len()).all(|i| hull_of(i).is_some_and(|hull| holds(&rings[hull], rings[i][0])))
            && self.is_covered_by(rings)
    }

    fn is_cut_by(&self, u: Place, v: Place) -> bool {
        self.material.is_cut_counted(u, v, &self.looked_at)
    }
}

/// Vertices that know their neighbours.
#[derive(Clone)]
pub(super) struct Loops {
    places: Vec<Place>,
    before: Vec<u32>,
    after: Vec<u32>,
    /// Numbers of vertices in use, and of those that are not.
    pub(super) alive: Vec<u32>,
    unused: Vec<u32>,
    /// The ring of each vertex.
    ring: Vec<u32>,
    pub(super) twice_area: i64,
}

/// Up to two vertices in a row that give way to up to two places.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change {
    /// The vertices before and after them, which stay.
    ends: [u32; 2],
    old: [u32; 2],
    old_count: usize,
    new: [Place; 2],
    new_count: usize,
}

impl Change {
    fn going(&self) -> &[u32] {
        &self.old[..self.old_count]
    }

    fn coming(&self) -> &[Place] {
        &self.new[..self.new_count]
    }
}

impl Loops {
    pub(super) fn new(rings: &[Vec<Place>]) -> Self {
        let Links { places, before, after, ring } = Links::new(rings);
        let alive = (0..places.len() as u32).collect();
        let twice_area = rings.iter().map(|ring| twice_area(ring)).sum();
        Self { places, before, after, alive, unused: Vec::new(), ring, twice_area }
    }

    /// Takes over what another one is, without new memory.
    pub(super) fn copy(&mut self, other: &Self) {
        self.places.clone_from(&other.places);
        self.before.clone_from(&other.before);
        self.after.clone_from(&other.after);
        self.alive.clone_from(&other.alive);
        self.unused.clone_from(&other.unused);
        self.ring.clone_from(&other.ring);
        self.twice_area = other.twice_area;
    }

    /// The outlines, by their numbers.
    pub(super) fn rings(&self, count: usize) -> Vec<Vec<Place>> {
        let mut rings = vec![Vec::new(); count];
        let mut first: Vec<Option<u32>> = vec![None; count];
        for &vertex in &self.alive {
            let known = &mut first[self.ring[vertex as usize] as usize];
            *known = Some(known.map_or(vertex, |known| known.min(vertex)));
        }
        for (ring, first) in rings.iter_mut().zip(first) {
            let Some(first) = first else { continue };
            let mut vertex = first;
            loop {
                ring.push(self.place(vertex));
                vertex = self.after(vertex);
                if vertex == first {
                    break;
                }
            }
        }
        rings
    }

    pub(super) fn place(&self, vertex: u32) -> Place {
        self.places[vertex as usize]
    }

    pub(super) fn before(&self, vertex: u32) -> u32 {
        self.before[vertex as usize]
    }

    pub(super) fn after(&self, vertex: u32) -> u32 {
        self.after[vertex as usize]
    }

    pub(super) fn is_alive(&self, vertex: u32) -> bool {
        !self.unused.contains(&vertex)
    }

    fn is_triangle(&self, vertex: u32) -> bool {
        self.after(self.after(vertex)) == self.before(vertex)
    }

    /// A vertex that goes elsewhere.
    pub(super) fn moved(&self, vertex: u32, place: Place) -> Change {
        let ends = [self.before(vertex), self.after(vertex)];
        Change { ends, old: [vertex; 2], old_count: 1, new: [place; 2], new_count: 1 }
    }

    /// A vertex and the one after it that go elsewhere; `None` in a triangle.
    pub(super) fn both_moved(&self, vertex: u32, places: [Place; 2]) -> Option<Change> {
        let next = self.after(vertex);
        let ends = [self.before(vertex), self.after(next)];
        (ends[0] != ends[1]).then_some(Change { ends, old: [vertex, next], old_count: 2, new: places, new_count: 2 })
    }

    /// A vertex that is put in after another.
    pub(super) fn put_in(&self, vertex: u32, place: Place) -> Change {
        let ends = [vertex, self.after(vertex)];
        Change { ends, old: [vertex; 2], old_count: 0, new: [place; 2], new_count: 1 }
    }

    /// Every way to take one vertex out, with twice the area that it adds, the cheapest first: it is left out, or the
    /// edge after it is dropped and its neighbours are drawn on until they meet.
    pub(super) fn removals(&self, canvas: Canvas, found: &mut Vec<(i64, Change)>) {
        found.clear();
        for &vertex in self.alive.iter().filter(|&&vertex| !self.is_triangle(vertex)) {
            let (before, next) = (self.before(vertex), self.after(vertex));
            let end = self.after(next);
            let [a, b, c, d] = [before, vertex, next, end].map(|v| self.place(v));
            let out = Change { ends: [before, next], old: [vertex; 2], old_count: 1, new: [b; 2], new_count: 0 };
            found.push((-turn(a, b, c), out));
            if turn(a, b, c) > 0 && turn(b, c, d) > 0 && cross(minus(b, a), minus(d, c)) > 0 {
                let drop = outwards(a, b, c, d, canvas).map(|meet| {
                    let ends = [before, end];
                    (turn(b, meet, c), Change { ends, old: [vertex, next], old_count: 2, new: [meet; 2], new_count: 1 })
                });
                found.extend(drop);
            }
        }
        found.sort_by_key(|(cost, change)| (*cost, change.old, change.new_count));
    }

    /// Twice the area that a change adds.
    pub(super) fn cost(&self, change: &Change) -> i64 {
        let [from, to] = change.ends.map(|v| self.place(v));
        let way = |places: &mut dyn Iterator<Item = Place>| {
            let (sum, last) = places.fold((0, from), |(sum, last), place| (sum + cross(last, place), place));
            sum + cross(last, to)
        };
        way(&mut change.coming().iter().copied()) - way(&mut change.going().iter().map(|&v| self.place(v)))
    }

    /// Whether a change leaves the outlines sound.
    pub(super) fn allows(&self, change: &Change, ground: &Ground) -> bool {
        // A step costs something beside what it looks at.
        ground.looked_at.set(ground.looked_at.get() + STEP);
        if !change.coming().iter().all(|&place| ground.canvas.holds(place)) {
            return false;
        }
        let mut way = [self.place(change.ends[0]); 4];
        way[1..=change.new_count].copy_from_slice(change.coming());
        way[change.new_count + 1] = self.place(change.ends[1]);
        let way = &way[..change.new_count + 2];
        let least_length2 = i64::from(ground.least_length).pow(2).max(1);
        let is_short = |edge: &[Place]| distance2(edge[0], edge[1]) < least_length2;
        if way.windows(2).any(|edge| is_short(edge) || ground.is_cut_by(edge[0], edge[1])) {
            return false;
        }
        let [first, last] = [self.before(change.ends[0]), self.after(change.ends[1])];
        let edges = way.len() - 1;
        if folds_back([self.place(first), way[0]], [way[0], way[1]])
            || folds_back([way[edges - 1], way[edges]], [way[edges], self.place(last)])
            || way.windows(3).any(|way| folds_back([way[0], way[1]], [way[1], way[2]]))
            || (edges == 3 && touch([way[0], way[1]], [way[2], way[3]]))
        {
            return false;
        }
        let count = self.alive.len() as u64 * edges as u64 + ground.within.len() as u64;
        ground.looked_at.set(ground.looked_at.get() + count);
        (0..edges).all(|edge| {
            let mut own = [change.ends[0]; 5];
            own[1..=change.old_count].copy_from_slice(change.going());
            if edge == 0 {
                own[3] = first;
            }
            if edge == edges - 1 {
                own[4] = change.ends[1];
            }
            self.is_free(way[edge], way[edge + 1], &own)
        }) && self.passes_nothing(change, way, ground)
            && (ground.least_width == 0 && ground.least_length == 0 || self.is_wide(change, way, ground))
    }

    /// Whether no island lies between what a change takes out and what it puts in.
    fn passes_nothing(&self, change: &Change, way: &[Place], ground: &Ground) -> bool {
        let mut around = [way[0]; 6];
        around[..way.len()].copy_from_slice(way);
        for (place, &vertex) in around[way.len()..].iter_mut().zip(change.going().iter().rev()) {
            *place = self.place(vertex);
        }
        let around = &around[..way.len() + change.old_count];
        !ground.within.iter().any(|&place| holds(around, place))
    }

    /// Whether no edge touches one, but for those that begin at some vertices.
    fn is_free(&self, u: Place, v: Place, but: &[u32]) -> bool {
        self.alive.iter().all(|&vertex| {
            let edge = [self.place(vertex), self.place(self.after(vertex))];
            !touch([u, v], edge) || but.contains(&vertex)
        })
    }

    /// Whether new places stay away from other vertices, and from edges with material's side between.
    fn is_wide(&self, change: &Change, way: &[Place], ground: &Ground) -> bool {
        let width = ground.least_width;
        // Of two new places one is no neighbour of an end.
        let least_length2 = i64::from(ground.least_length).pow(2);
        let near2 = i64::from(width).pow(2).max(least_length2);
        let stays = |&vertex: &&u32| !change.going().contains(vertex);
        let is_narrow = |[u, v]: [Place; 2], place: Place| {
            let across = turn(u, v, place);
            let along = cross(minus(v, u), [-(place[1] - u[1]), place[0] - u[0]]);
            let length2 = distance2(u, v);
            across > 0 && (0..=length2).contains(&along) && (across as f64) < f64::from(width) * (length2 as f64).sqrt()
        };
        self.alive.iter().filter(stays).all(|&vertex| {
            let here = self.place(vertex);
            let is_end = change.ends.contains(&vertex);
            let beside = [self.before(change.ends[0]), self.after(change.ends[1])].contains(&vertex);
            let next = self.after(vertex);
            let edge = (!change.going().contains(&next) && vertex != change.ends[0]).then(|| [here, self.place(next)]);
            change.coming().iter().all(|&place| {
                distance2(here, place) >= if is_end { least_length2 } else { near2 }
                    && edge.is_none_or(|edge| is_end || change.ends.contains(&next) || !is_narrow(edge, place))
            }) && (is_end || beside || way.windows(2).all(|edge| !is_narrow([edge[0], edge[1]], here)))
        })
    }

    /// Makes a change; the vertex that is new, or stands where one was taken out.
    pub(super) fn make(&mut self, change: &Change) -> u32 {
        self.twice_area += self.cost(change);
        let [from, to] = change.ends;
        if change.new_count > change.old_count {
            let vertex = self.unused.pop().unwrap_or(self.places.len() as u32);
            if vertex as usize == self.places.len() {
                self.places.push(change.new[0]);
                self.before.push(from);
                self.after.push(to);
                self.ring.push(self.ring[from as usize]);
            }
            let at = vertex as usize;
            (self.places[at], self.before[at], self.after[at]) = (change.new[0], from, to);
            self.ring[at] = self.ring[from as usize];
            (self.after[from as usize], self.before[to as usize]) = (vertex, vertex);
            self.alive.push(vertex);
            return vertex;
        }
        for (&vertex, &place) in change.going().iter().zip(change.coming()) {
            self.places[vertex as usize] = place;
        }
        if change.new_count == change.old_count {
            return change.old[0];
        }
        let out = change.old[change.old_count - 1];
        let (before, after) = (self.before(out), self.after(out));
        (self.after[before as usize], self.before[after as usize]) = (after, before);
        self.alive.retain(|&vertex| vertex != out);
        self.unused.push(out);
        before
    }
}
