//! Which islands lie in which holes: where a hole is filled, they are covered with it and have no outlines of their own.

use super::budget::Claim;
use super::fixed::Place;
use super::rings::Ring;

/// For rings in an order in which what is around comes first.
pub(super) struct Nesting {
    /// By ring: the hull around a hole, or the hole around a hull.
    around: Vec<Option<usize>>,
    is_occupied: Vec<bool>,
}

impl Nesting {
    pub(super) fn of(rings: &[Ring]) -> Self {
        let around = |ring: &Ring| if ring.is_hole() { Some(ring.island) } else { ring.within };
        let around: Vec<Option<usize>> = rings.iter().map(|ring| around(ring).map(|i| i as usize)).collect();
        let mut is_occupied = vec![false; rings.len()];
        for (ring, around) in rings.iter().zip(&around) {
            if let Some(hole) = around.filter(|_| !ring.is_hole()) {
                is_occupied[hole] = true;
            }
        }
        Self { around, is_occupied }
    }

    /// Whether a ring is a hole in which islands lie.
    pub(super) fn is_occupied(&self, ring: usize) -> bool {
        self.is_occupied[ring]
    }

    /// Whether a ring lies within another.
    pub(super) fn is_in(&self, ring: usize, other: usize) -> bool {
        std::iter::successors(self.around[ring], |&ring| self.around[ring]).any(|around| around == other)
    }

    /// Takes away the outlines of all that lies in holes without one.
    pub(super) fn absorb(&self, outlines: &mut [Vec<Place>]) {
        for ring in 0..outlines.len() {
            if self.around[ring].is_some_and(|around| outlines[around].is_empty()) {
                outlines[ring].clear();
            }
        }
    }

    /// Fills holes with all that lies in them until a budget is enough: those that add least for each vertex that is freed.
    /// By ring, whether it still has an outline.
    pub(super) fn open_within(&self, budget: usize, claims: &[Claim<'_>], twice_areas: &[i64]) -> Vec<bool> {
        let mut is_open = vec![true; claims.len()];
        loop {
            // With all that lies within: vertices needed, and twice the area.
            let mut least: Vec<usize> = claims.iter().map(Claim::least).collect();
            let mut areas = twice_areas.to_vec();
            let mut needed = 0;
            for ring in (0..claims.len()).rev().filter(|&ring| is_open[ring]) {
                match self.around[ring] {
                    Some(around) => {
                        least[around] += least[ring];
                        areas[around] += areas[ring];
                    }
                    None => needed += least[ring],
                }
            }
            let occupied = (0..claims.len()).filter(|&ring| is_open[ring] && self.is_occupied(ring));
            // A hole's area is negative: what is saved by keeping it open.
            let cheapest = occupied.min_by_key(|&ring| (-areas[ring] / least[ring].max(1) as i64, ring));
            let Some(hole) = cheapest.filter(|_| needed > budget) else { return is_open };
            is_open[hole] = false;
            for ring in hole + 1..claims.len() {
                is_open[ring] &= self.around[ring].is_none_or(|around| is_open[around]);
            }
        }
    }
}
