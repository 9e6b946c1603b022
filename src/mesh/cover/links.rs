//! The corners of several rings in one list, each with its neighbours along its ring: so that corners can be taken out
//! without moving others.

use super::fixed::Place;

/// By number of the corner; all of the same length.
pub(super) struct Links {
    pub(super) places: Vec<Place>,
    /// The corner before each, and the one after it.
    pub(super) before: Vec<u32>,
    pub(super) after: Vec<u32>,
    /// The number of each corner's ring.
    pub(super) ring: Vec<u32>,
}

impl Links {
    pub(super) fn new(rings: &[Vec<Place>]) -> Self {
        let places = rings.iter().flatten().copied().collect();
        let (mut before, mut after, mut ring) = (Vec::new(), Vec::new(), Vec::new());
        for (number, corners) in rings.iter().enumerate() {
            let (first, count) = (ring.len() as u32, corners.len() as u32);
            before.extend((0..count).map(|i| first + (i + count - 1) % count));
            after.extend((0..count).map(|i| first + (i + 1) % count));
            ring.extend(corners.iter().map(|_| number as u32));
        }
        Self { places, before, after, ring }
    }
}
