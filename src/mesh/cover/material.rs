//! Whether an edge cuts into material, exactly.

use std::cell::Cell;

use super::fixed::{Place, minus, turn};
use super::simple::{boxes_are_apart, touch};

/// Rings of material: outer rings and holes, none of which touch.
pub(super) struct Material {
    corners: Vec<Corner>,
    firsts: Vec<Place>,
    low: Place,
    /// Width and height of a cell.
    side: [i32; 2],
    /// How many there are along each side.
    across: i32,
    /// The corners of all cells in a row, and where those of each cell begin.
    in_cells: Vec<Corner>,
    starts: Vec<u32>,
}

/// A corner with its neighbours along the ring.
#[derive(Debug, Clone, Copy)]
struct Corner {
    before: Place,
    here: Place,
    after: Place,
}

impl Corner {
    /// Whether the way from the corner towards `to` leads into material at once.
    fn leads_in(&self, to: Place) -> bool {
        let (came, goes) = (turn(self.before, self.here, to) > 0, turn(self.here, self.after, to) > 0);
        if turn(self.before, self.here, self.after) > 0 { came && goes } else { came || goes }
    }

    /// Whether the edge from `u` to `v` cuts into material at this corner or at the edge that follows it.
    #[inline]
    fn is_cut(&self, u: Place, v: Place) -> bool {
        !boxes_are_apart([u, v], [self.here, self.after]) && self.is_cut_near(u, v)
    }

    fn is_cut_near(&self, u: Place, v: Place) -> bool {
        let (here, after) = (self.here, self.after);
        let (of_here, of_after) = (turn(u, v, here), turn(u, v, after));
        if (of_here > 0 && of_after > 0) || (of_here < 0 && of_after < 0) {
            return false;
        }
        let (of_u, of_v) = (turn(here, after, u), turn(here, after, v));
        if opposite(of_here, of_after) && opposite(of_u, of_v) {
            return true;
        }
        if of_here == 0 && is_between(u, v, here) {
            return (here != v && self.leads_in(v)) || (here != u && self.leads_in(u));
        }
        let rests = |end: Place, of_end: i64| of_end == 0 && end != after && is_between(here, after, end);
        (rests(u, of_u) && of_v > 0) || (rests(v, of_v) && of_u > 0)
    }
}

/// Fewest and most cells along each side of the grid that finds corners near an edge: in between, about as many as there
/// are corners.
const FEWEST_CELLS: i32 = 24;
const MOST_CELLS: i32 = 96;

impl Material {
    pub(super) fn new(rings: &[&Vec<Place>]) -> Self {
        let firsts = rings.iter().filter_map(|ring| ring.first().copied()).collect();
        let corners = rings.iter().flat_map(|ring| {
            let count = ring.len();
            (0..count).map(move |i| Corner {
                before: ring[(i + count - 1) % count],
                here: ring[i],
                after: ring[(i + 1) % count],
            })
        });
        let corners: Vec<Corner> = corners.collect();
        let fold = |pick: fn(i32, i32) -> i32, start| {
            corners.iter().fold([start; 2], |m, c| [pick(m[0], c.here[0]), pick(m[1], c.here[1])])
        };
        let (low, high) =
            if corners.is_empty() { ([0; 2], [0; 2]) } else { (fold(i32::min, i32::MAX), fold(i32::max, i32::MIN)) };
        let across = (corners.len().isqrt() as i32).clamp(FEWEST_CELLS, MOST_CELLS);
        let side = [0, 1].map(|axis| ((high[axis].saturating_sub(low[axis])) / across + 1).max(1));
        let mut material = Self { corners, firsts, low, side, across, in_cells: Vec::new(), starts: Vec::new() };
        material.sort_into_cells();
        material
    }

    /// Puts each corner into the cells that the edge after it passes through.
    fn sort_into_cells(&mut self) {
        let mut found: Vec<(u32, u32)> = Vec::with_capacity(2 * self.corners.len());
        for (corner, index) in self.corners.iter().zip(0..) {
            self.pass(corner.here, corner.after, |cell| {
                found.push((cell as u32, index));
                false
            });
        }
        let mut starts = vec![0; (self.across * self.across) as usize + 1];
        for &(cell, _) in &found {
            starts[cell as usize + 1] += 1;
        }
        for cell in 1..starts.len() {
            starts[cell] += starts[cell - 1];
        }
        let mut next = starts.clone();
        let mut in_cells = match self.corners.first() {
            Some(&any) => vec![any; found.len()],
            None => Vec::new(),
        };
        for (cell, index) in found {
            let at = &mut next[cell as usize];
            in_cells[*at as usize] = self.corners[index as usize];
            *at += 1;
        }
        (self.in_cells, self.starts) = (in_cells, starts);
    }

    fn cell(&self, cell: usize) -> &[Corner] {
        &self.in_cells[self.starts[cell] as usize..self.starts[cell + 1] as usize]
    }

    fn column(&self, axis: usize, value: i32) -> i32 {
        ((value - self.low[axis]).max(0) / self.side[axis]).min(self.across - 1)
    }

    /// The cells that an edge passes through, and some beside it, until one is enough.
    fn pass(&self, u: Place, v: Place, mut each: impl FnMut(usize) -> bool) -> bool {
        let (u, v) = if u[1] <= v[1] { (u, v) } else { (v, u) };
        let (first, last) = (self.column(1, u[1]), self.column(1, v[1]));
        let height = i64::from(v[1] - u[1]).max(1);
        for row in first..=last {
            let at = |y: i32| {
                let down = i64::from(y.clamp(u[1], v[1]) - u[1]);
                u[0] + (i64::from(v[0] - u[0]) * down / height) as i32
            };
            let (top, bottom) = (self.low[1] + row * self.side[1], self.low[1] + (row + 1) * self.side[1]);
            let level = first == last;
            let (from, to) = if level {
                (u[0], v[0])
            } else {
                (at(if row == first { u[1] } else { top }), at(if row == last { v[1] } else { bottom }))
            };
            let (left, right) = (self.column(0, from.min(to) - 1), self.column(0, from.max(to) + 1));
            for column in left..=right {
                if each((row * self.across + column) as usize) {
                    return true;
                }
            }
        }
        false
    }

    /// Whether an edge passes through the inside of a ring's material.
    pub(super) fn is_cut_by(&self, u: Place, v: Place) -> bool {
        self.pass(u, v, |cell| self.cell(cell).iter().any(|corner| corner.is_cut(u, v)))
    }
}
impl Material {
    /// As [`Self::is_cut_by`]; adds how many corners were looked at.
    pub(super) fn is_cut_counted(&self, u: Place, v: Place, looked_at: &Cell<u64>) -> bool {
        self.pass(u, v, |cell| {
            let corners = self.cell(cell);
            looked_at.set(looked_at.get() + 1 + corners.len() as u64);
            corners.iter().any(|corner| corner.is_cut(u, v))
        })
    }

    /// Whether a corner lies in a triangle of negative orientation.
    pub(super) fn has_corner_in(&self, [p, q, r]: [Place; 3]) -> bool {
        let inside = |x: Place| turn(p, q, x) <= 0 && turn(q, r, x) <= 0 && turn(r, p, x) <= 0;
        self.corners.iter().any(|corner| inside(corner.here))
    }

    /// One place of each ring.
    pub(super) fn places(&self) -> &[Place] {
        &self.firsts
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.corners.is_empty()
    }

    /// Whether an edge has a point in common with a ring.
    pub(super) fn is_touched_by(&self, u: Place, v: Place) -> bool {
        let touches = |corner: &Corner| touch([u, v], [corner.here, corner.after]);
        self.pass(u, v, |cell| self.cell(cell).iter().any(touches))
    }
}

fn opposite(s: i64, t: i64) -> bool {
    (s > 0 && t < 0) || (s < 0 && t > 0)
}

/// Whether a place on the line through `u` and `v` lies between them, ends included.
fn is_between(u: Place, v: Place, place: Place) -> bool {
    let ([ax, ay], [bx, by]) = (minus(u, place), minus(v, place));
    i64::from(ax) * i64::from(bx) <= 0 && i64::from(ay) * i64::from(by) <= 0
}
