//! Places where a vertex of a good outline may be.
//!
//! The corners of the ring are some. The others come from coarsening it, step by step and the cheapest step first: a
//! notch is filled, or an edge between two corners that point outwards is dropped and its neighbours are drawn on until
//! they meet. Each meeting point is remembered, so that there are places for outlines of any number of vertices.

use super::coarsen::{Course, coarsen};
use super::fixed::{Place, STEPS, distance2, minus, turn, twice_area};
use super::material::Material;
use super::simple::holds;

/// The rectangle that vertices must not leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Canvas {
    pub(super) low: Place,
    pub(super) high: Place,
}

impl Canvas {
    /// The box around a ring.
    pub(super) fn around(ring: &[Place]) -> Self {
        Self::around_all(ring.iter().copied())
    }

    /// The box around places.
    pub(super) fn around_all(places: impl Iterator<Item = Place>) -> Self {
        places.fold(Self { low: [i32::MAX; 2], high: [i32::MIN; 2] }, |Self { low, high }, place| Self {
            low: [low[0].min(place[0]), low[1].min(place[1])],
            high: [high[0].max(place[0]), high[1].max(place[1])],
        })
    }

    /// Whether two have a point in common.
    pub(super) fn meets(&self, other: &Self) -> bool {
        (0..2).all(|axis| self.low[axis] <= other.high[axis] && other.low[axis] <= self.high[axis])
    }

    /// The part within half its size and 16 px around a box.
    pub(super) fn near(&self, around: &Self) -> Self {
        let room = [0, 1].map(|axis| (around.high[axis] - around.low[axis]) / 2 + 16 * STEPS);
        let room = room[0].max(room[1]);
        Self {
            low: [0, 1].map(|axis| self.low[axis].max(around.low[axis] - room)),
            high: [0, 1].map(|axis| self.high[axis].min(around.high[axis] + room)),
        }
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

/// Most places that a search begins from where coarsening did not come as far as asked.
const MOST_STARTS: usize = 16;

/// Corners of a ring times places that its search begins from, as long as they are few.
const STARTS_OF_SMALL_RINGS: usize = 600;

/// A place and the corner of the ring that it lies near.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) place: Place,
    pub(super) anchor: u32,
}

/// The corners of a ring and what coarsening finds, in order around the ring; and what coarsening came to. Nothing that it
/// takes in touches `others`. Where these are not in the way, an outer ring's convex hull and the box around it are
/// coarsened too.
pub(super) fn collect(ring: &[Place], canvas: Canvas, others: &Material) -> (Vec<Candidate>, Coarsened) {
    let corners: Vec<Candidate> = ring.iter().zip(0..).map(|(&place, anchor)| Candidate { place, anchor }).collect();
    let mut found = corners.clone();
    let last = ring.len().saturating_sub(1) as u32;
    let near = |place: Place| Candidate { place, anchor: nearest(ring, place, 0, last) };
    found.extend(canvas.corners().map(near));
    let mut courses = vec![(0, coarsen(ring, corners.clone(), canvas, others, &mut found))];
    if twice_area(ring) > 0 {
        for shape in [hull(&corners), Canvas::around(ring).corners().map(near).to_vec()] {
            let places: Vec<Place> = shape.iter().map(|c| c.place).collect();
            if !is_clear_of(&places, others) {
                continue;
            }
            found.extend(&shape);
            let added = twice_area(&places) - twice_area(ring);
            courses.push((added, coarsen(ring, shape, canvas, others, &mut found)));
        }
    }
    sort(ring, &mut found);
    (found, Coarsened { corners: ring.len(), courses })
}

/// Whether an outline neither touches others nor goes around one.
fn is_clear_of(outline: &[Place], others: &Material) -> bool {
    let mut edges = outline.iter().zip(outline.iter().cycle().skip(1));
    others.is_empty()
        || edges.all(|(&u, &v)| !others.is_touched_by(u, v))
            && !others.places().iter().any(|&other| holds(outline, other))
}

/// The corners on the convex hull, by Andrew's monotone chain (1979), in the order of an outer ring.
fn hull(corners: &[Candidate]) -> Vec<Candidate> {
    let mut sorted = corners.to_vec();
    sorted.sort_by_key(|c| c.place);
    let half = |sorted: &mut dyn Iterator<Item = &Candidate>| {
        let mut chain: Vec<Candidate> = Vec::new();
        for &corner in sorted {
            while let [.., a, b] = chain[..] {
                if turn(a.place, b.place, corner.place) > 0 {
                    break;
                }
                chain.pop();
            }
            chain.push(corner);
        }
        chain.pop();
        chain
    };
    let mut ring = half(&mut sorted.iter());
    ring.extend(half(&mut sorted.iter().rev()));
    ring
}

/// What coarsening came to, from the ring itself and from simpler shapes around it: each with twice the area that the
/// shape adds.
pub(super) struct Coarsened {
    corners: usize,
    courses: Vec<(i64, Course)>,
}

impl Coarsened {
    /// The corners of the ring: more vertices are never needed.
    pub(super) fn corners(&self) -> usize {
        self.corners
    }

    /// Fewest vertices that were reached.
    pub(super) fn fewest(&self) -> usize {
        self.courses.iter().map(|(_, course)| course.reached()).min().unwrap_or(self.corners)
    }

    /// Twice the area that is added by the best of at most so many vertices; `None` if there is none.
    pub(super) fn cost(&self, vertices: usize) -> Option<i64> {
        self.best(vertices).map(|(cost, _)| cost)
    }

    fn best(&self, vertices: usize) -> Option<(i64, &Course)> {
        let costs = self.courses.iter().filter_map(|(added, course)| Some((added + course.cost(vertices)?, course)));
        costs.min_by_key(|(cost, _)| *cost)
    }

    /// The best outline of at most so many vertices; of the fewest that there is, where there is none.
    pub(super) fn outline(&self, vertices: usize) -> Vec<Candidate> {
        match self.best(vertices) {
            Some((_, course)) => course.outline(vertices),
            None => self.courses.first().map(|(_, course)| course.outline(vertices)).unwrap_or_default(),
        }
    }

    /// All outlines of at most so many vertices, the best first.
    pub(super) fn outlines(&self, vertices: usize) -> Vec<Vec<Candidate>> {
        let costs = self.courses.iter().filter_map(|(added, course)| Some((added + course.cost(vertices)?, course)));
        let mut costs: Vec<(i64, &Course)> = costs.collect();
        costs.sort_by_key(|(cost, _)| *cost);
        costs.into_iter().map(|(_, course)| course.outline(vertices)).collect()
    }

    /// Vertices through which, or near which, a cheapest way of so many vertices passes.
    pub(super) fn starts(&self, vertices: usize) -> Vec<Candidate> {
        // A small ring is searched from many places, as it costs little.
        let each = (STARTS_OF_SMALL_RINGS / self.corners.max(1)).clamp(2, MOST_STARTS);
        let reaching = self.courses.iter().filter(|(_, course)| course.reached() <= vertices);
        let mut starts: Vec<Candidate> =
            reaching.flat_map(|(_, course)| course.outline(vertices).into_iter().take(each)).collect();
        if let Some((_, course)) = self.courses.first().filter(|(_, course)| course.reached() > vertices) {
            // It did not come so far. What was left is where the shape is bent most.
            starts.extend(course.outline(vertices).into_iter().take(MOST_STARTS));
        }
        starts
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
