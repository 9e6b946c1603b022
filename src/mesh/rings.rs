//! Where the boundary of a polygon runs among the first vertices: its hull, then its holes.

use super::geometry::Point;

/// The rings that bound a polygon: the hull and its holes, one after the other among the first vertices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rings(pub(super) Vec<usize>);

impl Rings {
    /// The corners of each.
    pub(super) fn corners<'a>(&self, vertices: &'a [Point]) -> Vec<&'a [Point]> {
        let mut rest = vertices;
        let mut rings = Vec::new();
        for &length in &self.0 {
            let (ring, others) = rest.split_at(length.min(rest.len()));
            rings.push(ring);
            rest = others;
        }
        rings
    }

    /// The first corner of each.
    pub(super) fn starts(&self) -> Vec<u32> {
        let firsts = self.0.iter().scan(0, |next, &length| {
            let first = *next;
            *next += length as u32;
            Some(first)
        });
        firsts.collect()
    }

    /// By corner, the next one around its ring.
    pub(super) fn onward(&self) -> Vec<u32> {
        let starts = self.starts();
        let ring = |(&start, &length): (&u32, &usize)| {
            let length = length as u32;
            (0..length).map(move |i| start + (i + 1) % length)
        };
        starts.iter().zip(&self.0).flat_map(ring).collect()
    }
}
