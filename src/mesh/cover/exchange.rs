//! Outlines made smaller by exchange: a vertex is put in where it saves area and another one taken out where it costs
//! least, the surroundings of both are moved, and what is smaller is kept.
//!
//! It sees all outlines at once and the islands themselves, without bridges: so it also finds how one budget is best
//! shared and where a bridge is best put. It is random, from a fixed seed, and ends after a fixed amount of work.

use super::candidates::Canvas;
use super::fixed::{Place, minus};
use super::loops::{Change, Ground, Loops};
use super::random::Random;
use crate::mesh::error::Result;
use crate::mesh::observer::{Observer, Stage, check_stop};

/// Tries to move a vertex after each vertex that is put in or taken out.
const MOVES: usize = 40;

/// Tries to move any vertex between two exchanges.
const MOVES_BETWEEN: usize = 30;

/// Share of the area that an exchange may cost at first, so that the search gets away from where it is.
const MOST_LOST: f64 = 0.002;

/// Tries to put a vertex in, edges and depths.
const TRIES: usize = 6;

/// Shortest edge that a vertex is put into, steps of the grid.
const SHORTEST_SPLIT: f64 = 32.0;

/// Looks for smaller outlines of together at most so many vertices, until so many corners and edges were looked at; the
/// result is never larger.
pub(super) fn exchange(
    ground: &Ground,
    outlines: &[Vec<Place>],
    most: usize,
    most_looked_at: u64,
    observer: &dyn Observer,
) -> Result<Vec<Vec<Place>>> {
    let places: Vec<Place> = outlines.iter().flatten().copied().collect();
    let around = Canvas::around(&places);
    let size = minus(around.high, around.low).map(f64::from);
    let loops = Loops::new(outlines);
    let mut search = Search {
        ground,
        most,
        size: (size[0] * size[0] + size[1] * size[1]).sqrt(),
        best: loops.clone(),
        trial: loops.clone(),
        loops,
        random: Random::new(1),
        removals: Vec::new(),
    };
    search.run(most_looked_at, observer)?;
    Ok(search.best.rings(outlines.len()))
}

struct Search<'a> {
    ground: &'a Ground,
    /// Most vertices.
    most: usize,
    /// The diagonal of the box around all.
    size: f64,
    loops: Loops,
    trial: Loops,
    best: Loops,
    random: Random,
    removals: Vec<(i64, Change)>,
}

impl Search<'_> {
    fn run(&mut self, most_looked_at: u64, observer: &dyn Observer) -> Result<()> {
        let start = self.ground.looked_at.get();
        let lost = MOST_LOST * self.best.twice_area as f64;
        loop {
            check_stop(observer, Stage::Simplify)?;
            let done = (self.ground.looked_at.get() - start) as f64 / most_looked_at as f64;
            if done >= 1.0 || self.best.twice_area <= self.ground.least_twice_area {
                break;
            }
            let most_lost = lost * (1.0 - done).powi(2) * self.random.share().powi(4);
            self.trial.copy(&self.loops);
            // Each round costs something, so that it ends.
            self.ground.looked_at.set(self.ground.looked_at.get() + 100);
            if !self.exchange_one() || (self.trial.twice_area - self.loops.twice_area) as f64 > most_lost {
                self.trial.copy(&self.loops);
            }
            for _ in 0..MOVES_BETWEEN {
                let vertex = self.trial.alive[self.random.below(self.trial.alive.len())];
                let far = self.size * 0.05 * self.random.share().powi(3) + 3.0;
                self.shift(vertex, far);
            }
            std::mem::swap(&mut self.loops, &mut self.trial);
            if self.loops.twice_area < self.best.twice_area {
                self.best.copy(&self.loops);
            }
        }
        self.trial.copy(&self.best);
        let all = self.trial.alive.clone();
        self.settle(&all, 100 * all.len(), 24.0);
        std::mem::swap(&mut self.best, &mut self.trial);
        Ok(())
    }

    /// Puts a vertex in and takes one out, or the other way round; whether both could be done.
    fn exchange_one(&mut self) -> bool {
        let mut touched = Vec::new();
        let done = if self.random.below(4) == 0 {
            self.take_out(&mut touched) && self.put_in(&mut touched)
        } else {
            self.put_in(&mut touched) && (self.trial.alive.len() <= self.most || self.take_out(&mut touched))
        };
        touched.retain(|&vertex| self.trial.is_alive(vertex));
        if done && !touched.is_empty() {
            self.settle(&touched, MOVES, self.size * 0.02);
        }
        done && self.trial.alive.len() <= self.most
    }

    fn put_in(&mut self, touched: &mut Vec<u32>) -> bool {
        for _ in 0..TRIES {
            let vertex = self.trial.alive[self.random.below(self.trial.alive.len())];
            let [from, to] = [vertex, self.trial.after(vertex)].map(|v| self.trial.place(v));
            let edge = minus(to, from).map(f64::from);
            let length = (edge[0] * edge[0] + edge[1] * edge[1]).sqrt();
            if length < SHORTEST_SPLIT {
                continue;
            }
            let at = 0.02 + 0.96 * self.random.share();
            let mut depth = self.size * 0.5 * self.random.share().powi(2);
            let lean = self.random.sway();
            let way = [0, 1].map(|axis| ([-edge[1], edge[0]][axis] + lean * edge[axis]) / length);
            for _ in 0..TRIES {
                let place = [0, 1].map(|axis| from[axis] + (at * edge[axis] + depth * way[axis]).round() as i32);
                let change = self.trial.put_in(vertex, place);
                if self.trial.cost(&change) < 0 && self.trial.allows(&change, self.ground) {
                    let vertex = self.trial.make(&change);
                    self.settle_around(vertex, touched);
                    return true;
                }
                depth *= 0.5;
            }
        }
        false
    }

    fn take_out(&mut self, touched: &mut Vec<u32>) -> bool {
        // Not always the cheapest, nor what has just been put in.
        let mut passed_over = if self.random.below(3) == 0 { self.random.below(4) } else { 0 };
        let mut removals = std::mem::take(&mut self.removals);
        self.trial.removals(self.ground.canvas, &mut removals);
        let chosen = removals.iter().find(|(_, change)| {
            let is_chosen = self.trial.allows(change, self.ground) && passed_over == 0;
            if !is_chosen {
                passed_over = passed_over.saturating_sub(1);
            }
            is_chosen
        });
        let vertex = chosen.map(|(_, change)| self.trial.make(change));
        self.removals = removals;
        if let Some(vertex) = vertex {
            self.settle_around(vertex, touched);
        }
        vertex.is_some()
    }

    fn settle_around(&mut self, vertex: u32, touched: &mut Vec<u32>) {
        let near = [self.trial.before(vertex), vertex, vertex, self.trial.after(vertex)];
        self.settle(&near, MOVES, self.size * 0.06);
        touched.extend(near);
    }

    /// Moves some vertices, less and less far.
    fn settle(&mut self, vertices: &[u32], moves: usize, mut far: f64) {
        for done in 0..moves {
            let vertex = vertices[self.random.below(vertices.len())];
            self.shift(vertex, far);
            if done % 8 == 7 {
                far = (far * 0.85).max(2.0);
            }
        }
    }

    /// Moves a vertex anywhere or along an edge, or an edge along both its neighbours, if that saves area.
    fn shift(&mut self, vertex: u32, far: f64) {
        let far = far * self.random.share().powi(2).max(0.02);
        let (before, next) = (self.trial.before(vertex), self.trial.after(vertex));
        let change = match self.random.below(8) {
            0 | 1 => {
                let [x, y] = self.trial.place(vertex);
                let [dx, dy] = [self.random.sway(), self.random.sway()].map(|sway| (sway * far).round() as i32);
                Some(self.trial.moved(vertex, [x + dx, y + dy]))
            }
            kind @ 2..=5 => {
                let place = self.slid(vertex, if kind < 4 { before } else { next }, far);
                Some(self.trial.moved(vertex, place))
            }
            _ => {
                let places = [self.slid(vertex, before, far), self.slid(next, self.trial.after(next), far)];
                self.trial.both_moved(vertex, places)
            }
        };
        let saves = |change: &Change| self.trial.cost(change) < 0 && self.trial.allows(change, self.ground);
        if let Some(change) = change.filter(saves) {
            self.trial.make(&change);
        }
    }

    /// A place on the line through a vertex and a neighbour, rounded to either side.
    fn slid(&mut self, vertex: u32, neighbour: u32, far: f64) -> Place {
        let [here, there] = [vertex, neighbour].map(|v| self.trial.place(v));
        let way = minus(here, there).map(f64::from);
        let length = (way[0] * way[0] + way[1] * way[1]).sqrt();
        let far = far * self.random.sway() / length;
        [0, 1].map(|axis| here[axis] + (far * way[axis] + self.random.share() - 0.5).round() as i32)
    }
}
