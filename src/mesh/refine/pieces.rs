//! The pieces of a polygon's boundary: split evenly before the inside is filled, and where they stand in the way of it.

use super::{Flaw, Refinement};
use crate::mesh::error::Result;
use crate::mesh::geometry::{Point, distance2, lerp};
use crate::mesh::triangulation::{BOUNDARY, Edge, Insertion};

impl Refinement<'_> {
    /// Splits every piece of the outline that is longer than `longest_px` into equal parts.
    pub(super) fn split_boundary(&mut self, longest_px: f64) -> Result<()> {
        // Where the piece that starts at a corner is now: a split moves the triangles around it.
        let mut piece_at = vec![Edge { triangle: BOUNDARY, index: 0 }; self.corner_count as usize];
        self.mesh.boundary().for_each(|edge| piece_at[self.mesh.ends(edge)[0] as usize] = edge);
        for corner in 0..self.corner_count {
            let mut edge = piece_at[corner as usize];
            let [a, b] = self.mesh.ends(edge).map(|v| self.mesh.vertices[v as usize]);
            let parts = (distance2(a, b).sqrt() / longest_px).ceil().max(1.0) as u32;
            for part in 1..parts {
                let insertion = self.split(edge, lerp(a, b, f64::from(part) / f64::from(parts)));
                if insertion.refused() {
                    break;
                }
                for &triangle in self.mesh.inserted(insertion) {
                    for moved in (0..3).map(|index| Edge { triangle, index }) {
                        let start = self.mesh.ends(moved)[0];
                        if start < self.corner_count && self.mesh.is_boundary(moved) {
                            piece_at[start as usize] = moved;
                        }
                    }
                }
                self.count_insertion()?;
                edge = Edge { triangle: insertion.first, index: 0 };
            }
        }
        Ok(())
    }

    /// Splits a piece of the boundary; the new vertex belongs to the piece of the outline that it is a part of.
    fn split(&mut self, edge: Edge, p: Point) -> Insertion {
        let piece = self.outline_piece(self.mesh.ends(edge));
        let insertion = self.mesh.split(edge, p);
        if !insertion.refused() {
            self.pieces.push(piece);
        }
        insertion
    }

    /// The piece of the outline that holds both ends of a piece of the boundary.
    fn outline_piece(&self, [a, b]: [u32; 2]) -> u32 {
        let added = |v: u32| v >= self.corner_count;
        match (added(a), added(b)) {
            (true, _) => self.pieces[a as usize],
            (_, true) => self.pieces[b as usize],
            // Two corners: the outline runs either way round, and the piece has the name of its first corner.
            _ if self.onward[a as usize] == b => a,
            _ => b,
        }
    }

    /// Splits a piece of the boundary in its middle; at an acute corner on a circle around the corner whose radius is
    /// a power of two, so that both legs are split at the same distances and the pieces do not provoke each other.
    pub(super) fn halve(&mut self, edge: Edge, flaw: Flaw) -> Option<Insertion> {
        let ends = self.mesh.ends(edge);
        let [a, b] = ends.map(|v| self.mesh.vertices[v as usize]);
        let length2 = distance2(a, b);
        if flaw == Flaw::TooFlat && length2 < 4.0 * self.shortest_piece_px2 {
            return None;
        }
        let length = length2.sqrt();
        let shell = (2.0 * length / 3.0).log2().floor().exp2() / length;
        let share = match ends.map(|v| v < self.corner_count) {
            [true, false] => shell,
            [false, true] => 1.0 - shell,
            _ => 0.5,
        };
        Some(self.split(edge, lerp(a, b, share)))
    }
}
