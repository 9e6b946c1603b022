//! Vertices that keep a distance from each other, across gaps and from part to part of a mesh: what refinement adds must
//! not come nearer to what is there than asked for.

use std::collections::HashMap;

use super::geometry::{Point, distance2};

/// Every vertex of a mesh so far, in square cells whose side is the least distance.
#[derive(Debug, Clone)]
pub(super) struct Spacing {
    least_px: f64,
    /// Whether each vertex off the column 0 has a mirror image beyond it.
    is_half: bool,
    cells: HashMap<[i64; 2], Vec<Point>>,
}

impl Spacing {
    /// `None` where any distance will do.
    pub(super) fn new(least_px: f64, is_half: bool) -> Option<Self> {
        (least_px > 0.0).then(|| Self { least_px, is_half, cells: HashMap::new() })
    }

    fn cell(&self, p: Point) -> [i64; 2] {
        p.map(|c| (c / self.least_px).floor() as i64)
    }

    /// Takes in a vertex.
    pub(super) fn add(&mut self, p: Point) {
        self.cells.entry(self.cell(p)).or_default().push(p);
    }

    /// Whether a vertex may be added here.
    pub(super) fn is_free(&self, p: Point) -> bool {
        self.is_free_but_for(p, None)
    }

    /// Whether a vertex may be moved.
    pub(super) fn may_move(&self, from: Point, to: Point) -> bool {
        self.is_free_but_for(to, Some(from))
    }

    /// Moves a vertex.
    pub(super) fn relocate(&mut self, from: Point, to: Point) {
        let cell = self.cell(from);
        if let Some(there) = self.cells.get_mut(&cell) {
            there.retain(|&other| other != from);
        }
        self.add(to);
    }

    fn is_free_but_for(&self, p: Point, own: Option<Point>) -> bool {
        // Half a mesh lies to one side of the axis, so that of all mirror images its own is the nearest.
        let by_itself = !self.is_half || p[0] == 0.0 || -2.0 * p[0] >= self.least_px;
        let [column, row] = self.cell(p);
        let around = (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| [column + dx, row + dy]));
        let mut near = around.filter_map(|cell| self.cells.get(&cell)).flatten();
        by_itself && near.all(|&other| own == Some(other) || distance2(p, other) >= self.least_px * self.least_px)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vertex_keeps_its_distance_from_others_and_from_its_mirror_image() {
        let mut spacing = Spacing::new(4.0, true).unwrap();
        spacing.add([-16.1, 3.9]);
        assert!(!spacing.is_free([-15.9, 4.1]));
        assert!(!spacing.is_free([-16.1, 7.8]));
        assert!(spacing.is_free([-16.1, 7.9]));
        assert!(spacing.is_free([0.0, 9.0]) && spacing.is_free([-2.0, 9.0]));
        assert!(!spacing.is_free([-1.9, 9.0]));
        assert!(spacing.may_move([-16.1, 3.9], [-15.9, 4.1]));
        spacing.relocate([-16.1, 3.9], [-11.0, 9.0]);
        assert!(spacing.is_free([-15.9, 4.1]) && !spacing.is_free([-11.0, 12.0]));
        assert!(Spacing::new(0.0, false).is_none());
    }
}
