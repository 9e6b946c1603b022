//! 8-connected components of a mask with their bounding boxes, by runs and union-find in one pass over the rows.

use super::error::Result;
use super::mask::BitMask;
use super::observer::{Observer, Stage, check_stop};

/// Rows between two looks at the observer.
const ROWS_PER_CHECK: usize = 256;

/// A component that may have the largest contour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Component {
    /// `[row, column]` of its first pixel in raster order.
    pub(super) first_pixel: [u32; 2],
    left: u32,
    right: u32,
    bottom: u32,
}

impl Component {
    /// Twice the area of the box around its pixel centres, px2: no contour of it has more.
    pub(super) fn largest_twice_area(&self) -> i64 {
        2 * i64::from(self.right - self.left) * i64::from(self.bottom - self.first_pixel[0])
    }

    /// Both are the same component: the box of both, the first pixel of the earlier.
    fn absorb(&mut self, other: &Self) {
        self.first_pixel = self.first_pixel.min(other.first_pixel);
        self.left = self.left.min(other.left);
        self.right = self.right.max(other.right);
        self.bottom = self.bottom.max(other.bottom);
    }
}

/// Inside pixels `start..end` of one row.
#[derive(Debug, Clone, Copy)]
struct Run {
    start: u32,
    end: u32,
    label: u32,
}

/// The components whose contour may have `min_contour_area` px2, and always the one with the largest box.
pub(super) fn label(mask: &BitMask, min_contour_area: f64, observer: &dyn Observer) -> Result<Vec<Component>> {
    let mut labels = Labels::default();
    let (mut above, mut runs): (Vec<Run>, Vec<Run>) = (Vec::new(), Vec::new());
    for y in 0..mask.height() {
        if y % ROWS_PER_CHECK == 0 {
            check_stop(observer, Stage::Contour)?;
        }
        if y > 0 && mask.row(y) == mask.row(y - 1) {
            // The same runs again, so the same labels: only the boxes grow. Most rows of flat art are like that.
            above.iter().for_each(|run| labels.extend_to(run.label, y as u32));
            continue;
        }
        find_runs(mask.row(y), mask.width(), &mut runs);
        labels.join_to_above(&mut runs, &above, y as u32);
        std::mem::swap(&mut above, &mut runs);
    }
    Ok(labels.into_candidates(min_contour_area))
}

/// The runs of a row. A run starts or ends where a pixel differs from its western neighbour.
fn find_runs(row: &[u64], width: usize, runs: &mut Vec<Run>) {
    runs.clear();
    let mut carry = 0;
    let mut start: Option<u32> = None;
    for (index, &word) in row.iter().enumerate() {
        let mut changes = word ^ (word << 1 | carry);
        carry = word >> 63;
        while changes != 0 {
            let at = (index * 64) as u32 + changes.trailing_zeros();
            changes &= changes - 1;
            match start.take() {
                None => start = Some(at),
                Some(start) => runs.push(Run { start, end: at, label: 0 }),
            }
        }
    }
    if let Some(start) = start {
        runs.push(Run { start, end: width as u32, label: 0 });
    }
}

/// Union-find over labels; a root carries its component.
#[derive(Default)]
struct Labels {
    parents: Vec<u32>,
    components: Vec<Component>,
}

impl Labels {
    /// Gives each run the label of a run above that it touches, also diagonally, or a new one.
    fn join_to_above(&mut self, runs: &mut [Run], above: &[Run], y: u32) {
        let mut first_touching = 0;
        for run in runs {
            while above.get(first_touching).is_some_and(|up| up.end < run.start) {
                first_touching += 1;
            }
            let mut label: Option<u32> = None;
            for up in above[first_touching..].iter().take_while(|up| up.start <= run.end) {
                let root = self.root(up.label);
                label = Some(label.map_or(root, |label| self.union(label, root)));
            }
            run.label = label.unwrap_or_else(|| self.create(run, y));
            let component = &mut self.components[run.label as usize];
            component.left = component.left.min(run.start);
            component.right = component.right.max(run.end - 1);
            component.bottom = y;
        }
    }

    fn create(&mut self, run: &Run, y: u32) -> u32 {
        let label = self.parents.len() as u32;
        self.parents.push(label);
        let first_pixel = [y, run.start];
        self.components.push(Component { first_pixel, left: run.start, right: run.end - 1, bottom: y });
        label
    }

    fn root(&mut self, mut label: u32) -> u32 {
        while self.parents[label as usize] != label {
            // Path halving keeps the trees flat.
            let grandparent = self.parents[self.parents[label as usize] as usize];
            self.parents[label as usize] = grandparent;
            label = grandparent;
        }
        label
    }

    /// The older label stays the root: it is the smaller, and its first pixel comes first.
    fn union(&mut self, a: u32, b: u32) -> u32 {
        let (older, younger) = (a.min(b), a.max(b));
        if older != younger {
            self.parents[younger as usize] = older;
            let absorbed = self.components[younger as usize];
            self.components[older as usize].absorb(&absorbed);
        }
        older
    }

    fn extend_to(&mut self, label: u32, y: u32) {
        let root = self.root(label);
        self.components[root as usize].bottom = y;
    }

    fn into_candidates(self, min_contour_area: f64) -> Vec<Component> {
        let roots = || self.components.iter().zip(&self.parents).zip(0..).filter(|((_, p), i)| **p == *i);
        let largest = roots().map(|((c, _), _)| c.largest_twice_area()).max().unwrap_or(0);
        roots()
            .map(|((c, _), _)| *c)
            .filter(|c| {
                let twice_area = c.largest_twice_area();
                twice_area == largest || twice_area as f64 >= 2.0 * min_contour_area
            })
            .collect()
    }
}
