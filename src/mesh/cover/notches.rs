//! From a staircase to a hull that clings to it: notches are filled, the smallest first.
//!
//! A notch is a corner that points inwards. Without it the ring runs straight between its neighbours, and the triangle
//! of the three is taken in. That is safe wherever no other corner lies in the triangle: the ring was simple, so an edge
//! could only come in past a corner. No point is moved, so what remains are corners of pixels.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::fixed::{Place, STEPS, turn, twice_area};
use super::links::Links;
use crate::mesh::error::Result;
use crate::mesh::observer::{Observer, Stage, check_stop};

/// Notches filled between two looks at the observer.
const NOTCHES_PER_CHECK: usize = 1 << 8;

/// How far the filling goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    /// Share of the area of all rings that may be added whatever the number of corners.
    pub(super) share: f64,
    /// Corners of all rings together down to which more is added.
    pub(super) corners: usize,
    /// Corners of one ring down to which more is added.
    pub(super) corners_of_each: usize,
}

/// Fills the smallest notches of rings that neither touch themselves nor each other; they stay so. Rings keep their
/// order; none falls under 3 corners.
pub(super) fn fill(rings: &[Vec<Place>], extent: Extent, observer: &dyn Observer) -> Result<Vec<Vec<Place>>> {
    let mut chain = Chain::new(rings);
    let area: i64 = rings.iter().map(|ring| twice_area(ring)).sum();
    let allowed = (area as f64 * extent.share) as i64;
    let mut added = 0;
    let mut queue: BinaryHeap<Reverse<(i64, u32)>> =
        (0..chain.places.len() as u32).filter_map(|corner| Some(Reverse((chain.notch(corner)?, corner)))).collect();
    let mut turns = 0_usize;
    while let Some(Reverse((size, corner))) = queue.pop() {
        if turns.is_multiple_of(NOTCHES_PER_CHECK) {
            check_stop(observer, Stage::Simplify)?;
        }
        turns += 1;
        if chain.notch(corner) != Some(size) {
            continue;
        }
        if added + size > allowed && chain.left <= extent.corners && !chain.is_long(corner, extent.corners_of_each) {
            continue;
        }
        if !chain.is_free(corner) {
            continue;
        }
        added += size;
        for neighbour in chain.remove(corner) {
            if let Some(size) = chain.notch(neighbour) {
                queue.push(Reverse((size, neighbour)));
            }
        }
    }
    Ok(chain.into_rings())
}

/// Corners that know their neighbours.
struct Chain {
    places: Vec<Place>,
    before: Vec<u32>,
    after: Vec<u32>,
    alive: Vec<bool>,
    /// The ring of each corner and how many corners each ring has.
    ring: Vec<u32>,
    lengths: Vec<u32>,
    left: usize,
    cells: Cells,
}

impl Chain {
    fn new(rings: &[Vec<Place>]) -> Self {
        let Links { places, before, after, ring } = Links::new(rings);
        let lengths = rings.iter().map(|ring| ring.len() as u32).collect();
        let (alive, left, cells) = (vec![true; places.len()], places.len(), Cells::new(&places));
        Self { places, before, after, alive, ring, lengths, left, cells }
    }

    fn ends(&self, corner: u32) -> [Place; 3] {
        [self.before[corner as usize], corner, self.after[corner as usize]].map(|c| self.places[c as usize])
    }

    fn is_long(&self, corner: u32, most: usize) -> bool {
        self.lengths[self.ring[corner as usize] as usize] as usize > most
    }

    /// Twice the area of the notch at a corner, if it is one that may be filled.
    fn notch(&self, corner: u32) -> Option<i64> {
        let [a, b, c] = self.ends(corner);
        let size = -turn(a, b, c);
        let fits = self.alive[corner as usize] && self.lengths[self.ring[corner as usize] as usize] > 3;
        (fits && size >= 0).then_some(size)
    }

    /// Whether no other corner lies in a notch or on its border.
    fn is_free(&self, corner: u32) -> bool {
        let [a, b, c] = self.ends(corner);
        // Straight on: nothing is taken in.
        turn(a, b, c) == 0
            || self.cells.all_in([a, b, c], |other| {
                let place = self.places[other as usize];
                !self.alive[other as usize]
                    || [self.before[corner as usize], corner, self.after[corner as usize]].contains(&other)
                    || turn(a, b, place) > 0
                    || turn(b, c, place) > 0
                    || turn(c, a, place) > 0
            })
    }

    /// Takes a corner out; its neighbours.
    fn remove(&mut self, corner: u32) -> [u32; 2] {
        let (before, after) = (self.before[corner as usize], self.after[corner as usize]);
        self.after[before as usize] = after;
        self.before[after as usize] = before;
        self.alive[corner as usize] = false;
        self.lengths[self.ring[corner as usize] as usize] -= 1;
        self.left -= 1;
        [before, after]
    }

    fn into_rings(self) -> Vec<Vec<Place>> {
        let mut rings: Vec<Vec<Place>> = vec![Vec::new(); self.lengths.len()];
        for (corner, place) in self.places.iter().enumerate() {
            if self.alive[corner] {
                rings[self.ring[corner] as usize].push(*place);
            }
        }
        rings
    }
}

/// Which corners lie where, on a coarse grid.
struct Cells {
    origin: Place,
    columns: usize,
    rows: usize,
    /// First corner of each cell in `corners`, and their number at the end.
    starts: Vec<u32>,
    corners: Vec<u32>,
}

/// Side of a cell: 32 px.
const CELL: i32 = 32 * STEPS;

impl Cells {
    fn new(places: &[Place]) -> Self {
        let fold = |pick: fn(i32, i32) -> i32, start| {
            places.iter().fold([start; 2], |m, p| [pick(m[0], p[0]), pick(m[1], p[1])])
        };
        let (low, high) = (fold(i32::min, i32::MAX), fold(i32::max, i32::MIN));
        let count = |axis: usize| ((high[axis].saturating_sub(low[axis]) / CELL).max(0) + 1) as usize;
        let (columns, rows) = (count(0), count(1));
        let mut cells =
            Self { origin: low, columns, rows, starts: vec![0; columns * rows + 1], corners: vec![0; places.len()] };
        let numbers: Vec<usize> = places.iter().map(|&place| cells.cell(place)).collect();
        numbers.iter().for_each(|&cell| cells.starts[cell + 1] += 1);
        (1..cells.starts.len()).for_each(|i| cells.starts[i] += cells.starts[i - 1]);
        let mut next = cells.starts.clone();
        for (corner, &cell) in numbers.iter().enumerate() {
            cells.corners[next[cell] as usize] = corner as u32;
            next[cell] += 1;
        }
        cells
    }

    fn cell(&self, place: Place) -> usize {
        let [column, row] = [0, 1].map(|axis| ((place[axis] - self.origin[axis]) / CELL) as usize);
        row * self.columns + column
    }

    /// Whether a condition holds for each corner in a cell that the box around some places touches, and that is not
    /// left out by the slope of a long triangle.
    fn all_in(&self, triangle: [Place; 3], holds: impl Fn(u32) -> bool) -> bool {
        let low = |axis: usize| triangle.iter().map(|p| p[axis]).min().unwrap_or(0) - self.origin[axis];
        let high = |axis: usize| triangle.iter().map(|p| p[axis]).max().unwrap_or(0) - self.origin[axis];
        let (first_row, last_row) = (low(1) / CELL, high(1) / CELL);
        (first_row..=last_row.min(self.rows as i32 - 1)).all(|row| {
            let (from, to) = self.columns_of(triangle, row);
            let start = self.starts[row as usize * self.columns + from] as usize;
            let end = self.starts[row as usize * self.columns + to + 1] as usize;
            self.corners[start..end].iter().all(|&corner| holds(corner))
        })
    }

    /// The columns that a triangle touches in a row of cells.
    fn columns_of(&self, triangle: [Place; 3], row: i32) -> (usize, usize) {
        let (top, bottom) = (self.origin[1] + row * CELL, self.origin[1] + (row + 1) * CELL);
        let (mut left, mut right) = (i32::MAX, i32::MIN);
        for i in 0..3 {
            let (p, q) = (triangle[i], triangle[(i + 1) % 3]);
            let (p, q) = if p[1] <= q[1] { (p, q) } else { (q, p) };
            if q[1] < top || p[1] > bottom {
                continue;
            }
            let height = i64::from(q[1] - p[1]).max(1);
            let at = |y: i32| {
                let y = i64::from(y.clamp(p[1], q[1]) - p[1]);
                p[0] + (i64::from(q[0] - p[0]) * y / height) as i32
            };
            // One step more to each side for what the division cut off; a level edge spans both its ends.
            let ends = if p[1] == q[1] { [p[0], q[0]] } else { [at(top), at(bottom)] };
            left = left.min(ends[0].min(ends[1]) - 1);
            right = right.max(ends[0].max(ends[1]) + 1);
        }
        let column = |x: i32| ((x - self.origin[0]).max(0) / CELL).min(self.columns as i32 - 1) as usize;
        (column(left), column(right))
    }
}
