//! Which vertices are near a place.

use std::collections::HashMap;

use crate::mesh::cover::fixed::{Place, distance2};

/// Vertices of all outlines in square cells whose side is the least distance.
pub(super) struct Crowd {
    side: i32,
    cells: HashMap<Place, Vec<(Place, u32)>>,
}

impl Crowd {
    pub(super) fn new(side: i32) -> Self {
        Self { side: side.max(1), cells: HashMap::new() }
    }

    fn cell(&self, place: Place) -> Place {
        place.map(|c| c.div_euclid(self.side))
    }

    /// Takes in a vertex of an outline.
    pub(super) fn add(&mut self, place: Place, ring: u32) {
        self.cells.entry(self.cell(place)).or_default().push((place, ring));
    }

    pub(super) fn remove(&mut self, place: Place) {
        let cell = self.cell(place);
        if let Some(there) = self.cells.get_mut(&cell) {
            there.retain(|&(other, _)| other != place);
        }
    }

    /// The vertices within the least distance of a place, and some that are farther.
    pub(super) fn near(&self, place: Place) -> impl Iterator<Item = (Place, u32)> {
        let [column, row] = self.cell(place);
        let around = (-1..=1).flat_map(move |dy| (-1..=1).map(move |dx| [column + dx, row + dy]));
        around.filter_map(|cell| self.cells.get(&cell)).flatten().copied()
    }

    /// Whether no vertex but some is nearer than a distance, which is the least one or less.
    pub(super) fn is_clear(&self, place: Place, distance: i32, but: impl Fn(Place) -> bool) -> bool {
        let distance = i64::from(distance).pow(2);
        self.near(place).all(|(other, _)| distance2(place, other) >= distance || but(other))
    }
}
