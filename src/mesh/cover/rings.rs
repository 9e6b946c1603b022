//! Outlines on pixel edges: a mask to rings and back, without loss.
//!
//! A ring runs along the edges between pixels inside and outside, material to its positive side, so that an outer ring
//! has a positive area and a hole's a negative one. The mask must be free of pinches (see [`super::pinches`]): then no
//! ring touches itself or another.

use crate::mesh::error::{Error, Result};
use crate::mesh::mask::BitMask;
use crate::mesh::observer::{Observer, Stage, check_stop};

/// Steps along a ring between two looks at the observer.
const STEPS_PER_CHECK: usize = 1 << 16;

/// Most runs of a mask, rings and corners of rings: bounds on memory. The most ragged art has some ten thousand corners.
const MOST_RUNS: usize = 1 << 21;
const MOST_RINGS: usize = 1 << 16;
const MOST_CORNERS: usize = 1 << 20;

/// No ring yet.
const NONE: u32 = u32::MAX;

/// A closed outline on pixel edges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ring {
    /// Its corners in px.
    pub(super) corners: Vec<[i32; 2]>,
    /// px2; negative for a hole.
    pub(super) area_px2: i64,
    /// Pixels of its island that count; 0 for a hole.
    pub(super) pixels: i64,
    /// The number of its island's outer ring, its own if it is one.
    pub(super) island: u32,
    /// The hole's ring in which an island lies.
    pub(super) within: Option<u32>,
    /// Its first row of pixels.
    pub(super) top: usize,
}

impl Ring {
    pub(super) fn is_hole(&self) -> bool {
        self.area_px2 < 0
    }
}

/// Runs of inside pixels, and the ring that passes at either end of each.
struct Runs {
    /// Index of each row's first run, and the number of all.
    rows: Vec<usize>,
    /// Columns `[start, end)`.
    columns: Vec<[i32; 2]>,
    rings: Vec<[u32; 2]>,
}

impl Runs {
    fn of(mask: &BitMask) -> Result<Self> {
        let mut runs = Self { rows: vec![0], columns: Vec::new(), rings: Vec::new() };
        for y in 0..mask.height() {
            mask.runs(y, |start, end| runs.columns.push([start as i32, end as i32]));
            no_more(runs.columns.len(), MOST_RUNS, "stretches of pixels")?;
            runs.rows.push(runs.columns.len());
        }
        runs.rings = vec![[NONE; 2]; runs.columns.len()];
        Ok(runs)
    }

    /// The run of a row that starts (`end` 0) or ends (`end` 1) at a column.
    fn at(&self, y: i32, x: i32, end: usize) -> Option<usize> {
        let first = *self.rows.get(y as usize)?;
        let row = &self.columns[first..*self.rows.get(y as usize + 1)?];
        row.binary_search_by_key(&x, |run| run[end]).ok().map(|index| first + index)
    }
}

/// Refuses what no art has.
pub(super) fn no_more(found: usize, limit: usize, what: &'static str) -> Result<()> {
    if found > limit { Err(Error::TooRagged { what, limit, advice: String::new() }) } else { Ok(()) }
}

/// Every ring of a mask, in raster order of their first run. `counted` has those of its pixels that count as an island's: a
/// mask may have grown, or had pinches.
pub(super) fn trace(mask: &BitMask, counted: &BitMask, observer: &dyn Observer) -> Result<Vec<Ring>> {
    let mut runs = Runs::of(mask)?;
    let mut rings: Vec<Ring> = Vec::new();
    let mut corner_count = 0;
    for y in 0..mask.height() {
        check_stop(observer, Stage::Contour)?;
        for run in runs.rows[y]..runs.rows[y + 1] {
            if runs.rings[run][0] != NONE {
                continue;
            }
            let number = rings.len() as u32;
            let start = [runs.columns[run][0], y as i32 + 1];
            let corners = follow(mask, &mut runs, start, number, observer)?;
            corner_count += corners.len();
            no_more(corner_count, MOST_CORNERS, "corners of outlines")?;
            no_more(rings.len() + 1, MOST_RINGS, "islands and holes")?;
            let area_px2 = area_px2(&corners);
            // The run to the left of a hole's right side is of the hole's own island.
            let island = if area_px2 > 0 { number } else { rings[runs.rings[run - 1][0] as usize].island };
            rings.push(Ring { corners, area_px2, pixels: 0, island, within: None, top: y });
        }
    }
    nest(&mut rings, &runs);
    count(&mut rings, &runs, counted);
    Ok(rings)
}

/// Follows a ring up from the lower end of a run's left side.
fn follow(
    mask: &BitMask,
    runs: &mut Runs,
    start: [i32; 2],
    number: u32,
    observer: &dyn Observer,
) -> Result<Vec<[i32; 2]>> {
    let (mut at, mut way) = (start, [0, -1]);
    let mut corners = Vec::new();
    for step in 0_usize.. {
        if step % STEPS_PER_CHECK == 0 {
            check_stop(observer, Stage::Contour)?;
            no_more(corners.len(), MOST_CORNERS, "corners of outlines")?;
        }
        match way {
            [0, -1] => note(runs.at(at[1] - 1, at[0], 0), &mut runs.rings, 0, number),
            [0, 1] => note(runs.at(at[1], at[0], 1), &mut runs.rings, 1, number),
            _ => {}
        }
        at = [at[0] + way[0], at[1] + way[1]];
        let (towards_material, away) = ([-way[1], way[0]], [way[1], -way[0]]);
        let next = if inside(mask, at, way, away) {
            away
        } else if inside(mask, at, way, towards_material) {
            way
        } else {
            towards_material
        };
        if next != way {
            corners.push(at);
        }
        way = next;
        if at == start && way == [0, -1] {
            break;
        }
    }
    Ok(corners)
}

fn note(run: Option<usize>, rings: &mut [[u32; 2]], end: usize, number: u32) {
    if let Some(run) = run {
        rings[run][end] = number;
    }
}

/// Whether the pixel ahead of a corner, to one side of the way, is inside.
fn inside(mask: &BitMask, at: [i32; 2], way: [i32; 2], side: [i32; 2]) -> bool {
    // The corner's pixel in a direction: the lower of the two coordinates that the direction's signs span.
    let pixel = [0, 1].map(|axis| at[axis] + (way[axis] + side[axis] - 1) / 2);
    mask.contains(pixel)
}

/// Finds the hole in which each island lies: the ring on the right of the run to the left of the island's first.
fn nest(rings: &mut [Ring], runs: &Runs) {
    for y in 0..runs.rows.len() - 1 {
        for run in runs.rows[y] + 1..runs.rows[y + 1] {
            let number = runs.rings[run][0] as usize;
            if rings[number].top != y || rings[number].is_hole() || rings[number].within.is_some() {
                continue;
            }
            let left = runs.rings[run - 1][1];
            let beside = &rings[left as usize];
            rings[number].within = if beside.is_hole() { Some(left) } else { beside.within };
        }
    }
}

/// Counts the pixels of each island.
fn count(rings: &mut [Ring], runs: &Runs, counted: &BitMask) {
    for y in 0..runs.rows.len() - 1 {
        for run in runs.rows[y]..runs.rows[y + 1] {
            let [start, end] = runs.columns[run].map(|column| column as usize);
            let island = rings[runs.rings[run][0] as usize].island as usize;
            rings[island].pixels += i64::from(counted.count_run(y, start, end));
        }
    }
}

fn area_px2(corners: &[[i32; 2]]) -> i64 {
    let Some(&last) = corners.last() else { return 0 };
    let product = |a: [i32; 2], b: [i32; 2]| i64::from(a[0]) * i64::from(b[1]) - i64::from(a[1]) * i64::from(b[0]);
    corners.iter().fold((0, last), |(sum, previous), &corner| (sum + product(previous, corner), corner)).0 / 2
}

/// The pixels within rings, holes left out. What lies beyond the mask is cut off.
pub(super) fn fill<'a>(rings: impl Iterator<Item = &'a [[i32; 2]]>, width: usize, height: usize) -> BitMask {
    let mut mask = BitMask::empty(width, height);
    for ring in rings {
        let next = ring.iter().cycle().skip(1);
        for (from, to) in ring.iter().zip(next).filter(|(from, to)| from[0] == to[0]) {
            let column = from[0].max(0) as usize;
            let rows = from[1].min(to[1]).max(0) as usize..(from[1].max(to[1]).max(0) as usize).min(height);
            rows.for_each(|row| mask.flip_from(column, row));
        }
    }
    mask
}
