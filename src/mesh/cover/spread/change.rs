//! One step of spreading: some vertices in a row give way to one, or to none.

use std::collections::HashSet;

use super::Spread;
use crate::mesh::cover::candidates::Canvas;
use crate::mesh::cover::coarsen::outwards;
use crate::mesh::cover::fixed::{Place, cross, minus, turn, twice_area};
use crate::mesh::cover::simple;

/// Vertices in a row around one that is too near, at most.
const LONGEST_CHAIN: usize = 4;

/// Directions and distances, in quarters of the least one, in which a place is sought.
const DIRECTIONS: usize = 16;
const QUARTERS: [i32; 7] = [1, 2, 3, 4, 5, 6, 8];

/// Distances of places to draw a vertex in to, in steps of the grid.
const INWARDS: [i32; 6] = [128, 48, 16, 6, 2, 1];

/// Vertices in a row of one outline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Chain {
    pub(super) ring: usize,
    from: usize,
    count: usize,
}

impl Chain {
    pub(super) fn places(self, outline: &[Place]) -> Vec<Place> {
        (0..self.count).map(|k| outline[(self.from + k) % outline.len()]).collect()
    }

    /// The vertices before and after it.
    fn ends(self, outline: &[Place]) -> [Place; 2] {
        let count = outline.len();
        [outline[(self.from + count - 1) % count], outline[(self.from + self.count) % count]]
    }

    /// The outline with something else in its place: the vertex before it comes last, what replaces it first.
    fn replaced(self, outline: &[Place], place: Option<Place>) -> Vec<Place> {
        let rest = self.from + self.count..self.from + outline.len();
        place.into_iter().chain(rest.map(|k| outline[k % outline.len()])).collect()
    }
}

/// The chains of some vertices that one is part of.
pub(super) fn chains_around(ring: usize, at: usize, all: usize) -> Vec<Chain> {
    let counts = 1..=LONGEST_CHAIN.min(all.saturating_sub(2));
    counts
        .flat_map(|count| (0..count).map(move |before| Chain { ring, from: (at + all - before) % all, count }))
        .collect()
}

/// The chains between two vertices, either way round and with one of them or both.
pub(super) fn chains_between(ring: usize, i: usize, j: usize, all: usize) -> Vec<Chain> {
    let way = |from: usize, to: usize| {
        let steps = (to + all - from) % all;
        [(from, steps + 1), (from, steps), ((from + 1) % all, steps)]
    };
    let both = way(i, j).into_iter().chain(way(j, i));
    both.map(|(from, count)| Chain { ring, from, count }).filter(|chain| chain.count + 2 <= all).collect()
}

/// A chain, and the one vertex that takes its place, if any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Change {
    pub(super) chain: Chain,
    pub(super) place: Option<Place>,
}

impl Spread<'_> {
    /// The changes of a chain after which what replaces it is clear of everything else by `enough`, each with twice the
    /// area that it adds.
    pub(super) fn offer(&mut self, chain: Chain, pair: [Place; 2], enough: i32, changes: &mut Vec<(i64, Change)>) {
        let outline = &self.outlines[chain.ring];
        let places = chain.places(outline);
        let own: HashSet<Place> = places.iter().copied().collect();
        let ends = chain.ends(outline);
        let mut found = Vec::new();
        if outline.len() > chain.count + 2 {
            changes.push((added(&places, ends, None), Change { chain, place: None }));
        }
        if outline.len() >= chain.count + 2 {
            self.sites(chain, &places, ends, pair, &mut found);
        }
        self.terms.count(found.len());
        let weight = |place: &Place| if self.terms.is_on_axis(*place) { 1 } else { 2 };
        let allowed: i32 = places.iter().map(weight).sum();
        for place in found {
            let is_clear = self.crowd.is_clear(place, enough, |other| own.contains(&other));
            if is_clear && weight(&place) <= allowed && !self.terms.is_near_axis(place) {
                changes.push((added(&places, ends, Some(place)), Change { chain, place: Some(place) }));
            }
        }
    }

    /// Where the vertex that replaces a chain may be.
    fn sites(&self, chain: Chain, places: &[Place], [a, z]: [Place; 2], pair: [Place; 2], found: &mut Vec<Place>) {
        let canvas = self.terms.canvases[chain.ring];
        let least = self.terms.least;
        let (Some(&first), Some(&last)) = (places.first(), places.last()) else { return };
        if first != last {
            found.extend(outwards(a, first, last, z, canvas));
        }
        found.extend(places.iter().copied().take(2 * LONGEST_CHAIN));
        let middle = [0, 1].map(|axis| (pair[0][axis] + pair[1][axis]).div_euclid(2));
        for from in [pair[0], pair[1], middle] {
            for quarters in QUARTERS {
                found.extend((0..DIRECTIONS).map(|i| aside(from, i, quarters * least / 4 + 2)));
            }
        }
        for (end, near, side) in [(a, first, 1), (z, last, -1)] {
            for quarters in QUARTERS.into_iter().chain([12, 16]) {
                found.extend(onward(end, near, quarters * least / 4, side));
            }
        }
        let clamped = |place: Place| [0, 1].map(|axis| place[axis].clamp(canvas.low[axis], canvas.high[axis]));
        found.iter_mut().for_each(|place| *place = clamped(*place));
        found.extend(canvas.corners());
        if let Some(axis) = self.terms.axis.filter(|axis| places.iter().any(|p| p[0] == *axis)) {
            let projected: Vec<Place> = found.iter().map(|place| [axis, place[1]]).collect();
            found.extend(projected);
        }
        found.sort_unstable();
        found.dedup();
    }

    /// The places where a vertex adds less and is clear of all others.
    pub(super) fn offer_inwards(&mut self, ring: usize, at: usize, changes: &mut Vec<(i64, Change)>) {
        let chain = Chain { ring, from: at, count: 1 };
        let (outline, canvas) = (&self.outlines[ring], self.terms.canvases[ring]);
        let (here, ends) = (outline[at], chain.ends(outline));
        let mut found = Vec::new();
        for distance in INWARDS {
            found.extend((0..DIRECTIONS).map(|i| aside(here, i, distance)));
            found.extend(ends.into_iter().zip([1, -1]).flat_map(|(end, side)| onward(end, here, -distance, side)));
        }
        self.terms.count(found.len());
        for place in found {
            let cost = added(&[here], ends, Some(place));
            if cost < 0
                && canvas.holds(place)
                && self.terms.is_on_axis(here) == self.terms.is_on_axis(place)
                && !self.terms.is_near_axis(place)
                && self.crowd.is_clear(place, self.terms.least, |other| other == here)
            {
                changes.push((cost, Change { chain, place: Some(place) }));
            }
        }
    }

    /// The outline after a change, if it leaves nothing out, is simple and touches no other.
    pub(super) fn sound(&mut self, change: Change) -> Option<Vec<Place>> {
        let Change { chain: Chain { ring, .. }, place } = change;
        let outline = &self.outlines[ring];
        let [a, z] = change.chain.ends(outline);
        let edges = match place {
            Some(place) => vec![[a, place], [place, z]],
            None => vec![[a, z]],
        };
        let swept: Vec<Place> = [a].into_iter().chain(change.chain.places(outline)).chain([z]).chain(place).collect();
        let changed = change.chain.replaced(outline, place);
        if changed.len() < 3 || edges.iter().any(|[u, v]| u == v) {
            return None;
        }
        self.terms.count(1);
        let material = self.material(ring);
        if edges.iter().any(|&[u, v]| material.is_cut_by(u, v)) {
            return None;
        }
        self.terms.count(changed.len());
        // The last vertex is the one before what is new.
        let last = changed.len() - 1;
        let new = if place.is_some() { vec![last, 0] } else { vec![last] };
        if new.iter().any(|&edge| simple::meets_another(&changed, edge)) || self.pinches(&changed, place) {
            return None;
        }
        // New edges are outside the material: one place decides on which side all of it is.
        let around = &self.terms.rings[ring];
        let is_hole = twice_area(around) < 0;
        let holds = match self.terms.within[ring] {
            Some(within) => simple::holds(&changed, within),
            None => is_hole && changed.first().is_some_and(|&place| simple::holds(around, place)),
        };
        if (twice_area(&changed) < 0) != is_hole || !holds {
            return None;
        }
        (!self.meets_others(ring, &edges, &swept)).then_some(changed)
    }

    /// Whether new edges touch the outline of another island, or one lies in what they take in.
    fn meets_others(&mut self, ring: usize, edges: &[[Place; 2]], swept: &[Place]) -> bool {
        let island = self.terms.islands[ring];
        let reach = Canvas::around(swept);
        let others = self.outlines.iter().zip(&self.terms.islands).filter(|(outline, other)| {
            **other != island && !outline.is_empty() && Canvas::around(outline).meets(&reach)
        });
        let mut work = self.outlines.len();
        let mut met = false;
        for (outline, _) in others {
            work += outline.len();
            let touched = outline.iter().zip(outline.iter().cycle().skip(1));
            met = met
                || touched.into_iter().any(|(&u, &v)| edges.iter().any(|&edge| simple::touch(edge, [u, v])))
                || simple::holds(swept, outline[0]);
        }
        self.terms.count(work);
        met
    }

    /// Whether a changed outline touches its mirror image in a point, near what is new.
    fn pinches(&self, changed: &[Place], place: Option<Place>) -> bool {
        let count = changed.len();
        let on = |i: usize| self.terms.is_on_axis(changed[i % count]);
        let reach = if place.is_some() { vec![count - 1, 0, 1] } else { vec![count - 1, 0] };
        reach.into_iter().any(|i| on(i) && !on(i + count - 1) && !on(i + 1))
    }
}

/// Twice the area that is added when a chain between two vertices gives way.
fn added(places: &[Place], [a, z]: [Place; 2], place: Option<Place>) -> i64 {
    let along = |way: &mut dyn Iterator<Item = Place>| {
        way.fold((0, a), |(sum, from), to| (sum + cross(minus(from, a), minus(to, a)), to)).0
    };
    along(&mut place.into_iter().chain([z])) - along(&mut places.iter().copied().chain([z]))
}

/// A place at a distance, in one of the directions all around.
fn aside(from: Place, direction: usize, distance: i32) -> Place {
    // An eighth of the circle by its tangents; the rest by turning it.
    const TANGENTS: [[f64; 2]; 4] = [
        [1.0, 0.0],
        [0.923_879_532_511_286_7, 0.382_683_432_365_089_8],
        [std::f64::consts::FRAC_1_SQRT_2, std::f64::consts::FRAC_1_SQRT_2],
        [0.382_683_432_365_089_8, 0.923_879_532_511_286_7],
    ];
    let [x, y] = TANGENTS[direction % 4].map(|c| (c * f64::from(distance)).round() as i32);
    let [x, y] = match direction / 4 % 4 {
        0 => [x, y],
        1 => [-y, x],
        2 => [-x, -y],
        _ => [y, -x],
    };
    [from[0] + x, from[1] + y]
}

/// The place some way beyond `near` as seen from `end`, rounded so that `near` is not cut off: `side` is 1 where the
/// outline runs from `end` to `near`, and -1 where it runs back.
fn onward(end: Place, near: Place, distance: i32, side: i64) -> Option<Place> {
    let way = minus(near, end).map(f64::from);
    let length = (way[0] * way[0] + way[1] * way[1]).sqrt();
    if length == 0.0 {
        return None;
    }
    let base = [0, 1].map(|axis| near[axis] + (way[axis] / length * f64::from(distance)).round() as i32);
    let around = (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| [base[0] + dx, base[1] + dy]));
    around.filter(|&p| side * turn(end, p, near) >= 0).min_by_key(|&p| (side * turn(end, p, near), p))
}
