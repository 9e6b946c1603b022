//! Places where a vertex of a good outline may be.
//!
//! The corners of the ring are some. The others come from coarsening it, step by step and the cheapest step first: a
//! notch is filled, or an edge between two corners that point outwards is dropped and its neighbours are drawn on until
//! they meet. Each meeting point is remembered, so that there are places for outlines of any number of vertices.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::fixed::{Place, cross, distance2, meeting, minus, turn, twice_area};
use super::material::Material;

/// The rectangle that vertices must not leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Canvas {
    pub(super) low: Place,
    pub(super) high: Place,
}

impl Canvas {
    /// The box around a ring.
    pub(super) fn around(ring: &[Place]) -> Self {
        let fold = |pick: fn(i32, i32) -> i32, start| {
            ring.iter().fold([start; 2], |m, p| [pick(m[0], p[0]), pick(m[1], p[1])])
        };
        Self { low: fold(i32::min, i32::MAX), high: fold(i32::max, i32::MIN) }
    }

    /// Its corners, in the order of an outer ring.
    pub(super) fn corners(&self) -> [Place; 4] {
        let Self { low, high } = *self;
        [low, [high[0], low[1]], high, [low[0], high[1]]]
    }

    pub(super) fn holds(&self, place: Place) -> bool {
        (0..2).all(|axis| (self.low[axis]..=self.high[axis]).contains(&place[axis]))
    }
}

/// A place and the corner of the ring that it lies near.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) place: Place,
    pub(super) anchor: u32,
}

/// The corners and what coarsening finds, in order around the ring, and the coarsening itself.
/// What coarsening takes in must not touch `others`. Where there are none, the box around an outer ring is an outline too.
pub(super) fn collect(ring: &[Place], canvas: Canvas, others: &Material) -> (Vec<Candidate>, Coarsening) {
    let mut found: Vec<Candidate> = ring.iter().zip(0..).map(|(&place, anchor)| Candidate { place, anchor }).collect();
    let mut coarse = Coarse::new(ring, canvas, others);
    let mut coarsening = coarse.run(&mut found);
    let last = ring.len().saturating_sub(1) as u32;
    let near = |place: Place| Candidate { place, anchor: nearest(ring, place, 0, last) };
    found.extend(canvas.corners().map(near));
    if others.is_empty() && twice_area(ring) > 0 {
        let around = Canvas::around(ring).corners();
        coarsening.around = Some((around.map(near).to_vec(), twice_area(&around) - twice_area(ring)));
        found.extend(around.map(near));
    }
    sort(ring, &mut found);
    (found, coarsening)
}

/// What coarsening a ring came to, step by step.
pub(super) struct Coarsening {
    corners: Vec<Candidate>,
    /// Twice the area that is added after each step, from none on.
    costs: Vec<i64>,
    /// The vertex that each step took out, and what became of the one after it.
    steps: Vec<(u32, Option<(u32, Candidate)>)>,
    /// The box around the ring, which four vertices can always make, and twice the area that it adds.
    around: Option<(Vec<Candidate>, i64)>,
}

impl Coarsening {
    /// Fewest vertices that it reached.
    pub(super) fn fewest(&self) -> usize {
        let reached = self.reached();
        if self.around.is_some() { reached.min(4) } else { reached }
    }

    fn reached(&self) -> usize {
        self.corners.len() - self.steps.len()
    }

    /// Twice the area that it adds for at most so many vertices; `None` if it did not come so far.
    pub(super) fn cost(&self, vertices: usize) -> Option<i64> {
        let stepwise = self.costs.get(self.corners.len().saturating_sub(vertices)).copied();
        let around = self.around.as_ref().filter(|_| vertices >= 4).map(|(_, cost)| *cost);
        stepwise.into_iter().chain(around).min()
    }

    /// The ring coarsened to so many vertices, or as few as it came to.
    pub(super) fn outline(&self, vertices: usize) -> Vec<Candidate> {
        if let Some((around, _)) = self.around.as_ref().filter(|_| vertices < self.reached()) {
            return around.clone();
        }
        let mut kept: Vec<Option<Candidate>> = self.corners.iter().copied().map(Some).collect();
        for &(out, moved) in self.steps.iter().take(self.corners.len().saturating_sub(vertices)) {
            kept[out as usize] = None;
            if let Some((vertex, candidate)) = moved {
                kept[vertex as usize] = Some(candidate);
            }
        }
        kept.into_iter().flatten().collect()
    }
}

/// Sorts candidates along the ring and takes doubles out.
pub(super) fn sort(ring: &[Place], candidates: &mut Vec<Candidate>) {
    let count = ring.len();
    candidates.sort_by_cached_key(|c| {
        let at = c.anchor as usize;
        let along = minus(ring[(at + 1) % count], ring[(at + count - 1) % count]);
        let [x, y] = minus(c.place, ring[at]).map(i64::from);
        (c.anchor, x * i64::from(along[0]) + y * i64::from(along[1]), c.place)
    });
    candidates.dedup();
}

/// The corner of a stretch of the ring, ends included, that is nearest to a place.
pub(super) fn nearest(ring: &[Place], place: Place, from: u32, to: u32) -> u32 {
    let count = ring.len() as u32;
    let steps = (to + count - from) % count;
    (0..=steps)
        .map(|step| (from + step) % count)
        .min_by_key(|&corner| distance2(ring[corner as usize], place))
        .unwrap_or(from)
}

/// A step that takes one vertex out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    FillNotch,
    DropEdge { meet: Place },
}

struct Coarse<'a> {
    ring: &'a [Place],
    canvas: Canvas,
    others: &'a Material,
    vertices: Vec<Candidate>,
    before: Vec<u32>,
    after: Vec<u32>,
    alive: Vec<bool>,
    left: usize,
}

impl<'a> Coarse<'a> {
    fn new(ring: &'a [Place], canvas: Canvas, others: &'a Material) -> Self {
        let count = ring.len() as u32;
        Self {
            ring,
            canvas,
            others,
            vertices: ring.iter().zip(0..).map(|(&place, anchor)| Candidate { place, anchor }).collect(),
            before: (0..count).map(|i| (i + count - 1) % count).collect(),
            after: (0..count).map(|i| (i + 1) % count).collect(),
            alive: vec![true; ring.len()],
            left: ring.len(),
        }
    }

    fn run(&mut self, found: &mut Vec<Candidate>) -> Coarsening {
        let mut coarsening =
            Coarsening { corners: self.vertices.clone(), costs: vec![0], steps: Vec::new(), around: None };
        let mut queue = BinaryHeap::new();
        (0..self.vertices.len() as u32).for_each(|vertex| self.offer(vertex, &mut queue, found));
        while self.left > 3 {
            let Some(Reverse((cost, vertex, step))) = queue.pop() else { break };
            if self.steps(vertex).all(|current| current != (cost, step)) || !self.is_free(vertex, step) {
                continue;
            }
            let mut moved = None;
            let changed = match step {
                Step::FillNotch => vec![self.before[vertex as usize], self.after[vertex as usize]],
                Step::DropEdge { meet } => {
                    let next = self.after[vertex as usize];
                    let anchors = [vertex, next].map(|v| self.vertices[v as usize].anchor);
                    let anchor = nearest(self.ring, meet, anchors[0], anchors[1]);
                    self.vertices[next as usize] = Candidate { place: meet, anchor };
                    found.push(self.vertices[next as usize]);
                    moved = Some((next, self.vertices[next as usize]));
                    vec![self.before[vertex as usize], next, self.after[next as usize]]
                }
            };
            self.unlink(vertex);
            coarsening.costs.push(coarsening.costs[coarsening.costs.len() - 1] + cost);
            coarsening.steps.push((vertex, moved));
            for &near in &changed {
                self.offer(self.before[near as usize], &mut queue, found);
                self.offer(near, &mut queue, found);
            }
        }
        coarsening
    }

    fn unlink(&mut self, vertex: u32) {
        let (before, after) = (self.before[vertex as usize], self.after[vertex as usize]);
        self.after[before as usize] = after;
        self.before[after as usize] = before;
        self.alive[vertex as usize] = false;
        self.left -= 1;
    }

    fn offer(&self, vertex: u32, queue: &mut BinaryHeap<Reverse<(i64, u32, Step)>>, found: &mut Vec<Candidate>) {
        self.steps(vertex).for_each(|(cost, step)| queue.push(Reverse((cost, vertex, step))));
        self.clipped(vertex, found);
    }

    /// A vertex, the one before it and the two after it.
    fn around(&self, vertex: u32) -> [Place; 4] {
        let next = self.after[vertex as usize];
        [self.before[vertex as usize], vertex, next, self.after[next as usize]].map(|v| self.vertices[v as usize].place)
    }

    /// What can be done at a vertex, with twice the area that it adds.
    fn steps(&self, vertex: u32) -> impl Iterator<Item = (i64, Step)> + use<> {
        let [a, b, c, d] = self.around(vertex);
        let alive = self.alive[vertex as usize];
        let notch = -turn(a, b, c);
        let fill = (alive && notch >= 0).then_some((notch, Step::FillNotch));
        let drop = if alive && turn(a, b, c) > 0 && turn(b, c, d) > 0 && cross(minus(b, a), minus(d, c)) > 0 {
            outwards(a, b, c, d, self.canvas).map(|meet| (turn(b, meet, c), Step::DropEdge { meet }))
        } else {
            None
        };
        fill.into_iter().chain(drop)
    }

    /// Where the canvas's border cuts the neighbours of an edge that would meet beyond it, and its corner between.
    fn clipped(&self, vertex: u32, found: &mut Vec<Candidate>) {
        let [a, b, c, d] = self.around(vertex);
        if turn(a, b, c) <= 0 || turn(b, c, d) <= 0 || outwards(a, b, c, d, self.canvas).is_some() {
            return;
        }
        let next = self.after[vertex as usize];
        let anchors = [vertex, next].map(|v| self.vertices[v as usize].anchor);
        let mut add = |place: Place, anchor: u32| found.push(Candidate { place, anchor });
        let exits = [(a, b, anchors[0]), (d, c, anchors[1])].map(|(from, to, anchor)| {
            let exit = exit(from, to, self.canvas);
            exit.into_iter().for_each(|place| add(place, anchor));
            exit
        });
        if let [Some(p), Some(q)] = exits {
            let on = |corner: Place| {
                let touches = |place: Place| place[0] == corner[0] || place[1] == corner[1];
                touches(p) && touches(q) && p[0] != q[0] && p[1] != q[1]
            };
            for corner in self.canvas.corners() {
                if on(corner) {
                    add(corner, nearest(self.ring, corner, anchors[0], anchors[1]));
                }
            }
        }
    }

    /// Whether a step takes nothing in but empty space: no vertex lies in it, no edge crosses its new edges.
    fn is_free(&self, vertex: u32, step: Step) -> bool {
        let [a, b, c, _] = self.around(vertex);
        let next = self.after[vertex as usize];
        let (triangle, own) = match step {
            Step::FillNotch => ([a, b, c], [self.before[vertex as usize], vertex, next]),
            Step::DropEdge { meet } => ([c, meet, b], [vertex, next, next]),
        };
        let [p, q, r] = triangle;
        // The edges that are new.
        let edges = if step == Step::FillNotch { [(p, r), (p, r)] } else { [(p, q), (q, r)] };
        if edges.iter().any(|&(from, to)| self.others.is_touched_by(from, to)) || self.others.has_corner_in(triangle) {
            return false;
        }
        let inside = |x: Place| turn(p, q, x) <= 0 && turn(q, r, x) <= 0 && turn(r, p, x) <= 0;
        let mut others = (0..self.vertices.len() as u32).filter(|&v| self.alive[v as usize]);
        others.all(|v| {
            let here = self.vertices[v as usize].place;
            let onward = self.vertices[self.after[v as usize] as usize].place;
            let crosses = |s: Place, t: Place| {
                opposite(turn(s, t, here), turn(s, t, onward)) && opposite(turn(here, onward, s), turn(here, onward, t))
            };
            (own.contains(&v) || !inside(here)) && (step == Step::FillNotch || !(crosses(p, q) || crosses(q, r)))
        })
    }
}

fn opposite(s: i64, t: i64) -> bool {
    (s > 0 && t < 0) || (s < 0 && t > 0)
}

/// Where the way from `a` through `b` meets that from `d` through `c`, rounded so that nothing between is cut.
pub(super) fn outwards(a: Place, b: Place, c: Place, d: Place, canvas: Canvas) -> Option<Place> {
    let base = meeting(a, b, c, d)?;
    let near = (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| [base[0] + dx, base[1] + dy]));
    near.filter(|&p| canvas.holds(p) && turn(a, p, b) >= 0 && turn(p, d, c) >= 0 && turn(b, p, c) >= 0)
        .min_by_key(|&p| (turn(b, p, c) + turn(a, p, b) + turn(p, d, c), p))
}

/// Where the way from `a` through `b` leaves the canvas.
fn exit(a: Place, b: Place, canvas: Canvas) -> Option<Place> {
    let along = minus(b, a);
    let mut share = f64::MAX;
    for axis in 0..2 {
        let border = if along[axis] > 0 { canvas.high[axis] } else { canvas.low[axis] };
        if along[axis] != 0 {
            share = share.min(f64::from(border - b[axis]) / f64::from(along[axis]));
        }
    }
    if share == f64::MAX {
        return None;
    }
    let base = [0, 1].map(|axis| b[axis] + (share * f64::from(along[axis])).round() as i32);
    let near = (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| [base[0] + dx, base[1] + dy]));
    let on_border = |p: Place| (0..2).any(|axis| p[axis] == canvas.low[axis] || p[axis] == canvas.high[axis]);
    let side = |p: Place| turn(a, p, b);
    near.filter(|&p| canvas.holds(p) && on_border(p)).min_by_key(|&p| (side(p).abs(), p))
}
