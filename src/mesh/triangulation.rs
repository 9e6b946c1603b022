//! Triangles that know their neighbours, and the one way to add a point to them.
//!
//! The inside of a polygon: every edge without a neighbour is a piece of the polygon's boundary, and no other edge is
//! constrained. A point is inserted as Bowyer and Watson do it (1981): the triangles whose circumcircle holds the
//! point, reached without crossing the boundary, give way to a fan around it. What was constrained Delaunay stays so.

mod flips;

use super::geometry::{Point, in_circle, minus, orient};
use super::spacing::Spacing;

/// No neighbour: the boundary.
pub(super) const BOUNDARY: u32 = u32::MAX;

/// Edge `i` of a triangle runs from its vertex `i` to its vertex `i + 1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edge {
    pub(super) triangle: u32,
    pub(super) index: usize,
}

/// Where a straight walk to a point ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Walk {
    /// In this triangle, border included.
    Inside(u32),
    /// At this piece of the boundary, the point lies beyond it.
    Blocked(Edge),
}

#[derive(Debug, Clone, Default)]
pub(super) struct Triangulation {
    pub(super) vertices: Vec<Point>,
    /// Positively oriented.
    pub(super) triangles: Vec<[u32; 3]>,
    /// `neighbours[t][i]` lies across edge `i` of triangle `t`, or is [`BOUNDARY`].
    pub(super) neighbours: Vec<[u32; 3]>,
    /// Where a vertex may be inserted; anywhere without.
    pub(super) spacing: Option<Spacing>,
    cavity: Cavity,
}

/// What a point would replace; kept between insertions to save allocations.
#[derive(Debug, Clone, Default)]
struct Cavity {
    triangles: Vec<u32>,
    /// The ring around it in order: each edge with what lies beyond.
    rim: Vec<Rim>,
    pending: Vec<Edge>,
    /// The epoch in which a triangle was last taken in: no triangle twice, even where rounding broke Delaunay.
    taken: Vec<u32>,
    epoch: u32,
}

#[derive(Debug, Clone, Copy)]
struct Rim {
    from: u32,
    to: u32,
    beyond: u32,
}

pub(super) fn next(index: usize) -> usize {
    (index + 1) % 3
}

impl Triangulation {
    pub(super) fn new(vertices: Vec<Point>, triangles: Vec<[u32; 3]>, neighbours: Vec<[u32; 3]>) -> Self {
        Self { vertices, triangles, neighbours, spacing: None, cavity: Cavity::default() }
    }

    pub(super) fn corners(&self, triangle: u32) -> [Point; 3] {
        self.triangles[triangle as usize].map(|v| self.vertices[v as usize])
    }

    /// The vertices of an edge in the triangle's order.
    pub(super) fn ends(&self, edge: Edge) -> [u32; 2] {
        let corners = self.triangles[edge.triangle as usize];
        [corners[edge.index], corners[next(edge.index)]]
    }

    fn beyond(&self, edge: Edge) -> u32 {
        self.neighbours[edge.triangle as usize][edge.index]
    }

    pub(super) fn is_boundary(&self, edge: Edge) -> bool {
        self.beyond(edge) == BOUNDARY
    }

    /// The pieces of the boundary.
    pub(super) fn boundary(&self) -> impl Iterator<Item = Edge> {
        let edges = |triangle| (0..3).map(move |index| Edge { triangle, index });
        (0..self.triangles.len() as u32).flat_map(edges).filter(|&edge| self.is_boundary(edge))
    }

    /// Numbers the vertices anew: those of the boundary first, loop by loop from each of `starts`, forwards in the
    /// triangles' orientation or against it. Returns how many vertices each loop has.
    pub(super) fn boundary_first(mut self, starts: &[u32], forwards: bool) -> (Self, Vec<u32>) {
        let mut onward = vec![BOUNDARY; self.vertices.len()];
        for [from, to] in self.boundary().map(|edge| self.ends(edge)).collect::<Vec<_>>() {
            let (from, to) = if forwards { (from, to) } else { (to, from) };
            onward[from as usize] = to;
        }
        let mut order = Vec::new();
        let mut lengths = Vec::new();
        for &start in starts {
            let first = order.len();
            order.push(start);
            let mut at = onward.get(start as usize).copied().unwrap_or(BOUNDARY);
            while at != start && at != BOUNDARY {
                order.push(at);
                at = onward[at as usize];
            }
            lengths.push((order.len() - first) as u32);
        }
        order.extend((0..).zip(&onward).filter(|(_, next)| **next == BOUNDARY).map(|(v, _): (u32, _)| v));
        let mut numbers = vec![0; self.vertices.len()];
        order.iter().zip(0..).for_each(|(&old, new)| numbers[old as usize] = new);
        self.triangles.iter_mut().flatten().for_each(|v| *v = numbers[*v as usize]);
        self.vertices = order.iter().map(|&old| self.vertices[old as usize]).collect();
        (self, lengths)
    }

    /// Goes from triangle to triangle towards `p`, by the shortest way that the signs allow; fast, but it may be
    /// stopped by a boundary although the point lies inside, behind a corner.
    pub(super) fn walk_towards(&self, mut triangle: u32, p: Point) -> Walk {
        'walk: loop {
            let corners = self.corners(triangle);
            let mut blocked = None;
            for index in 0..3 {
                if orient(corners[index], corners[next(index)], p) < 0.0 {
                    let edge = Edge { triangle, index };
                    if self.is_boundary(edge) {
                        blocked = Some(edge);
                    } else {
                        triangle = self.beyond(edge);
                        continue 'walk;
                    }
                }
            }
            return blocked.map_or(Walk::Inside(triangle), Walk::Blocked);
        }
    }

    /// Follows the straight line from the middle of a triangle to `p`.
    pub(super) fn walk_straight(&self, mut triangle: u32, p: Point) -> Walk {
        let [a, b, c] = self.corners(triangle);
        let from = [(a[0] + b[0] + c[0]) / 3.0, (a[1] + b[1] + c[1]) / 3.0];
        let out = (0..3).find(|&i| {
            let (v, w) = ([a, b, c][i], [a, b, c][next(i)]);
            orient(from, v, p) >= 0.0 && orient(from, w, p) < 0.0
        });
        let mut index = out.unwrap_or(0);
        loop {
            let edge = Edge { triangle, index };
            let [v, w] = self.ends(edge).map(|v| self.vertices[v as usize]);
            if orient(v, w, p) >= 0.0 {
                return Walk::Inside(triangle);
            }
            let beyond = self.beyond(edge);
            if beyond == BOUNDARY {
                return Walk::Blocked(edge);
            }
            let entry = self.edge_towards(beyond, triangle);
            let apex = self.corners(beyond)[next(next(entry))];
            // The line leaves on the side of the apex on which it passes.
            index = if orient(from, apex, p) >= 0.0 { next(next(entry)) } else { next(entry) };
            triangle = beyond;
        }
    }

    /// The edge of `triangle` beyond which lies `other`.
    fn edge_towards(&self, triangle: u32, other: u32) -> usize {
        self.neighbours[triangle as usize].iter().position(|&n| n == other).unwrap_or(0)
    }

    /// Inserts a point that lies in `triangle`, unless it would come into the diametral circle of a piece of the
    /// boundary: then that piece is returned and nothing is changed.
    pub(super) fn insert_unless_encroaching(&mut self, triangle: u32, p: Point) -> Result<Insertion, Edge> {
        self.open_cavity(triangle, p);
        let encroached = self.cavity.rim.iter().find(|rim| {
            rim.beyond == BOUNDARY && {
                let (a, b) = (self.vertices[rim.from as usize], self.vertices[rim.to as usize]);
                super::geometry::dot(minus(a, p), minus(b, p)) < 0.0
            }
        });
        let Some(&rim) = encroached else { return Ok(self.close_cavity(p, false)) };
        let edges =
            self.cavity.triangles.iter().flat_map(|&triangle| (0..3).map(move |index| Edge { triangle, index }));
        match edges.into_iter().find(|&edge| self.ends(edge) == [rim.from, rim.to]) {
            Some(edge) => Err(edge),
            None => Ok(Insertion::REFUSED),
        }
    }

    /// Inserts a point that lies in `triangle`.
    pub(super) fn insert(&mut self, triangle: u32, p: Point) -> Insertion {
        self.open_cavity(triangle, p);
        self.close_cavity(p, false)
    }

    /// Splits a piece of the boundary at a point on it.
    pub(super) fn split(&mut self, edge: Edge, p: Point) -> Insertion {
        let [a, b] = self.ends(edge);
        self.open_cavity(edge.triangle, p);
        // The piece itself leaves the rim, which then runs from its end to its start.
        match self.cavity.rim.iter().position(|rim| rim.from == a && rim.to == b && rim.beyond == BOUNDARY) {
            Some(at) => {
                self.cavity.rim.rotate_left(at);
                self.close_cavity(p, true)
            }
            None => Insertion::REFUSED,
        }
    }

    /// Collects the triangles that `p` replaces and the rim around them, in order.
    fn open_cavity(&mut self, triangle: u32, p: Point) {
        let mut cavity = std::mem::take(&mut self.cavity);
        cavity.triangles.clear();
        cavity.rim.clear();
        cavity.pending.clear();
        cavity.epoch += 1;
        cavity.taken.resize(self.triangles.len(), 0);
        cavity.take(triangle);
        cavity.pending.extend([2, 1, 0].map(|index| Edge { triangle, index }));
        while let Some(edge) = cavity.pending.pop() {
            let beyond = self.beyond(edge);
            let free = beyond != BOUNDARY && cavity.taken[beyond as usize] != cavity.epoch;
            if free && in_circle(self.corners(beyond), p) {
                cavity.take(beyond);
                let entry = self.edge_towards(beyond, edge.triangle);
                // The next edge of the rim must be popped first.
                cavity.pending.push(Edge { triangle: beyond, index: next(next(entry)) });
                cavity.pending.push(Edge { triangle: beyond, index: next(entry) });
            } else {
                let [from, to] = self.ends(edge);
                cavity.rim.push(Rim { from, to, beyond });
            }
        }
        self.cavity = cavity;
    }

    /// Puts a fan around `p` in the place of the cavity. With `opened`, `p` lies on the first edge of the rim, which
    /// is not a part of the fan. Refuses, changing nothing, if a triangle would not be positive.
    fn close_cavity(&mut self, p: Point, opened: bool) -> Insertion {
        let mut cavity = std::mem::take(&mut self.cavity);
        let fan = &cavity.rim[usize::from(opened)..];
        let positive = |rim: &Rim| orient(p, self.vertices[rim.from as usize], self.vertices[rim.to as usize]) > 0.0;
        // Without inner vertices a cavity of n triangles has a rim of n + 2.
        let sound = cavity.rim.len() == cavity.triangles.len() + 2
            && fan.iter().all(positive)
            && self.spacing.as_ref().is_none_or(|spacing| spacing.is_free(p));
        if !sound {
            self.cavity = cavity;
            return Insertion::REFUSED;
        }
        let apex = self.vertices.len() as u32;
        self.vertices.push(p);
        if let Some(spacing) = &mut self.spacing {
            spacing.add(p);
        }
        while cavity.triangles.len() < fan.len() {
            cavity.triangles.push(self.triangles.len() as u32);
            self.triangles.push([0; 3]);
            self.neighbours.push([BOUNDARY; 3]);
        }
        let slots = &cavity.triangles[..fan.len()];
        for (i, rim) in fan.iter().enumerate() {
            let slot = slots[i];
            let before = if i > 0 {
                slots[i - 1]
            } else if opened {
                BOUNDARY
            } else {
                slots[fan.len() - 1]
            };
            let after = if i + 1 < fan.len() {
                slots[i + 1]
            } else if opened {
                BOUNDARY
            } else {
                slots[0]
            };
            self.triangles[slot as usize] = [apex, rim.from, rim.to];
            self.neighbours[slot as usize] = [before, rim.beyond, after];
            if rim.beyond != BOUNDARY {
                let outer = rim.beyond as usize;
                let back = (0..3).find(|&j| self.triangles[outer][j] == rim.to).unwrap_or(0);
                self.neighbours[outer][back] = slot;
            }
        }
        let insertion = Insertion { first: slots[0], last: slots[fan.len() - 1], count: fan.len() };
        self.cavity = cavity;
        insertion
    }

    /// The triangles of the last insertion.
    pub(super) fn inserted(&self, insertion: Insertion) -> &[u32] {
        &self.cavity.triangles[..insertion.count.min(self.cavity.triangles.len())]
    }
}

impl Cavity {
    fn take(&mut self, triangle: u32) {
        self.taken[triangle as usize] = self.epoch;
        self.triangles.push(triangle);
    }
}

/// The fan that an insertion left: edge 0 of its first triangle and edge 2 of its last are the halves of a split
/// piece of the boundary, the one towards its end first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Insertion {
    pub(super) first: u32,
    pub(super) last: u32,
    count: usize,
}

impl Insertion {
    const REFUSED: Self = Self { first: BOUNDARY, last: BOUNDARY, count: 0 };

    /// Nothing was changed: the point is too close to something for the precision of `f64`.
    pub(super) fn refused(self) -> bool {
        self.count == 0
    }
}
