//! Vertices moved a little, all at once, to where the outline is smallest.
//!
//! Each vertex has some places to go, along its two edges and around it; the best choice for all of them together is
//! found by dynamic programming around the ring. The distances shrink from round to round.

use super::candidates::{Candidate, Canvas, nearest};
use super::cycles::Stretch;
use super::fixed::{Place, distance2, minus, twice_area};
use crate::mesh::error::Result;
use crate::mesh::observer::{Observer, Stage, check_stop};
use crate::mesh::parameters::Effort;

const FAR: i64 = i64::MAX / 4;

/// What is polished, and how far.
pub(super) struct Polish<'a> {
    pub(super) ring: &'a [Place],
    /// Places that must not be taken in.
    pub(super) others: &'a [Place],
    pub(super) canvas: Canvas,
    pub(super) least_length2: i64,
    pub(super) effort: Effort,
    pub(super) is_forbidden: &'a dyn Fn(Place, Place) -> bool,
}

/// The distances tried in steps of the grid, and the rounds at each.
fn schedule(effort: Effort) -> (&'static [i32], usize) {
    match effort {
        Effort::Fast => (&[128, 48, 16, 6, 2], 2),
        Effort::Best => (&[256, 128, 64, 32, 16, 8, 4, 2, 1], 4),
    }
}

/// Moves the vertices of an outline around a ring; the result adds no more than before.
pub(super) fn polish(
    polish: &Polish<'_>,
    mut outline: Vec<Candidate>,
    observer: &dyn Observer,
) -> Result<Vec<Candidate>> {
    let stretch = Stretch::new(polish.ring);
    let (distances, rounds) = schedule(polish.effort);
    for &distance in distances {
        for round in 0..rounds {
            check_stop(observer, Stage::Simplify)?;
            let count = outline.len();
            outline.rotate_left((count / 2 + round) % count);
            let moved = sweep(polish, &stretch, &outline, distance);
            let changed = moved != outline;
            outline = moved;
            if !changed && round > 0 {
                break;
            }
        }
    }
    Ok(outline)
}

/// The best choice for all vertices but the first, which stays.
fn sweep(polish: &Polish<'_>, stretch: &Stretch<'_>, outline: &[Candidate], distance: i32) -> Vec<Candidate> {
    let count = outline.len();
    let ring_area = twice_area(polish.ring).abs();
    let around = |i: usize| [(i + count - 1) % count, i, (i + 1) % count].map(|j| outline[j]);
    let mut options: Vec<Vec<Candidate>> =
        (0..count).map(|i| if i == 0 { vec![outline[0]] } else { places(polish, around(i), distance) }).collect();
    options.push(vec![outline[0]]);
    let mut best: Vec<Vec<(i64, usize)>> = vec![vec![(0, 0)]];
    for pair in options.windows(2) {
        let costs = &best[best.len() - 1];
        let reached = pair[1].iter().map(|&to| {
            let mut cheapest = (FAR, 0);
            for (index, (&from, &(cost, _))) in pair[0].iter().zip(costs).enumerate() {
                if cost >= FAR || distance2(from.place, to.place) < polish.least_length2.max(1) {
                    continue;
                }
                let steps = (to.anchor as usize + polish.ring.len() - from.anchor as usize) % polish.ring.len();
                let added = stretch.added(from, to, steps);
                let total = cost + added;
                // An anchor may lie a little off, but only the whole ring taken the wrong way round adds so much less.
                if added > -ring_area / 2
                    && total < cheapest.0
                    && stretch.clears(from, to)
                    && !(polish.is_forbidden)(from.place, to.place)
                    && !stretch.encloses_any(from, to, steps, polish.others)
                {
                    cheapest = (total, index);
                }
            }
            cheapest
        });
        let reached = reached.collect();
        best.push(reached);
    }
    if best[count][0].0 >= FAR {
        return outline.to_vec();
    }
    let mut chosen = vec![outline[0]; count];
    let mut option = 0;
    for i in (1..=count).rev() {
        option = best[i][option].1;
        chosen[i - 1] = options[i - 1][option];
    }
    chosen
}

/// Where a vertex may go: nowhere, along either edge, or around.
fn places(polish: &Polish<'_>, [before, vertex, after]: [Candidate; 3], distance: i32) -> Vec<Candidate> {
    let mut found = vec![vertex];
    let mut add = |place: Place| {
        if polish.canvas.holds(place) && found.iter().all(|other| other.place != place) {
            found.push(Candidate { place, anchor: nearest(polish.ring, place, before.anchor, after.anchor) });
        }
    };
    let here = vertex.place;
    for end in [before.place, after.place] {
        let way = minus(end, here).map(f64::from);
        let length = way[0].hypot(way[1]);
        if length == 0.0 {
            continue;
        }
        let unit = way.map(|c| c / length);
        let aside = [-unit[1], unit[0]];
        for (along, across) in [(1.0, 0.0), (-1.0, 0.0), (1.0, 0.7), (1.0, -0.7), (-1.0, 0.7), (-1.0, -0.7)] {
            // A share of a step aside decides to which side the place is rounded.
            let far = f64::from(distance) * along;
            let place = [0, 1].map(|axis| here[axis] + (far * unit[axis] + across * aside[axis]).round() as i32);
            add(place);
        }
    }
    for [dx, dy] in [[1, 0], [0, 1], [-1, 0], [0, -1]] {
        add([here[0] + dx * distance, here[1] + dy * distance]);
    }
    found
}
