//! An outline with a vertex less, again and again, the cheapest step first: a notch is filled, or an edge between two
//! corners that point outwards is dropped and its neighbours are drawn on until they meet.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::candidates::{Candidate, Canvas, nearest};
use super::fixed::{Place, cross, meeting, minus, turn};
use super::material::Material;

/// A step that takes one vertex out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    FillNotch,
    DropEdge { meet: Place },
}

/// Coarsens an outline around a ring as far as it goes; the places that come up are added to `found`.
pub(super) fn coarsen(
    ring: &[Place],
    outline: Vec<Candidate>,
    canvas: Canvas,
    others: &Material,
    found: &mut Vec<Candidate>,
) -> Course {
    Coarse::new(ring, outline, canvas, others).run(found)
}

/// How an outline was coarsened, step by step.
pub(super) struct Course {
    vertices: Vec<Candidate>,
    /// Twice the area that is added after each step, from none on.
    costs: Vec<i64>,
    /// The vertex that each step took out, and what became of the one after it.
    steps: Vec<(u32, Option<(u32, Candidate)>)>,
}

impl Course {
    /// Fewest vertices that it came to.
    pub(super) fn reached(&self) -> usize {
        self.vertices.len() - self.steps.len()
    }

    /// Twice the area that it adds for at most so many vertices; `None` if it did not come so far.
    pub(super) fn cost(&self, vertices: usize) -> Option<i64> {
        self.costs.get(self.vertices.len().saturating_sub(vertices)).copied()
    }

    /// The outline of at most so many vertices, or as few as it came to.
    pub(super) fn outline(&self, vertices: usize) -> Vec<Candidate> {
        let mut kept: Vec<Option<Candidate>> = self.vertices.iter().copied().map(Some).collect();
        for &(out, moved) in self.steps.iter().take(self.vertices.len().saturating_sub(vertices)) {
            kept[out as usize] = None;
            if let Some((vertex, candidate)) = moved {
                kept[vertex as usize] = Some(candidate);
            }
        }
        kept.into_iter().flatten().collect()
    }
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
    fn new(ring: &'a [Place], vertices: Vec<Candidate>, canvas: Canvas, others: &'a Material) -> Self {
        let count = vertices.len() as u32;
        Self {
            ring,
            canvas,
            others,
            before: (0..count).map(|i| (i + count - 1) % count).collect(),
            after: (0..count).map(|i| (i + 1) % count).collect(),
            alive: vec![true; vertices.len()],
            left: vertices.len(),
            vertices,
        }
    }

    fn run(mut self, found: &mut Vec<Candidate>) -> Course {
        let mut course = Course { vertices: self.vertices.clone(), costs: vec![0], steps: Vec::new() };
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
            course.costs.push(course.costs[course.costs.len() - 1] + cost);
            course.steps.push((vertex, moved));
            for &near in &changed {
                self.offer(self.before[near as usize], &mut queue, found);
                self.offer(near, &mut queue, found);
            }
        }
        course
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
