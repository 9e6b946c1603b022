//! Islands joined to one by thin bridges of pixels, the shortest that do.
//!
//! The bridges are edges of the minimum spanning tree of the islands, which is a part of the Delaunay triangulation of
//! their outlines' points (Shamos and Hoey, Closest-point problems, 1975).

use spade::{DelaunayTriangulation, HasPosition, Point2, Triangulation as _};

use super::random::Random;
use super::rings::Ring;
use crate::mesh::error::{Error, Result};
use crate::mesh::mask::BitMask;

/// Straight pieces of an outline are given a point at least so often, px.
const SPACING_PX: i32 = 8;

/// Of more corners than this only every second, third, ... is looked at.
const MOST_CORNERS: usize = 1 << 17;

/// How much longer, squared, a link may be taken for than it is, where the shortest are not asked for.
const MOST_LONGER: f64 = 3.0;

/// A point of an island's outline.
struct Shore {
    at: [i32; 2],
    island: u32,
}

impl HasPosition for Shore {
    type Scalar = f64;

    fn position(&self) -> Point2<f64> {
        Point2::new(f64::from(self.at[0]), f64::from(self.at[1]))
    }
}

/// Draws bridges of at least `width_px` into the mask of the islands: the shortest, or others that are nearly as short, a
/// way for each number.
pub(super) fn draw(mask: &mut BitMask, rings: &[Ring], width_px: u32, way: u64) -> Result<()> {
    let corners: usize = rings.iter().map(|ring| ring.corners.len()).sum();
    let each = corners.div_ceil(MOST_CORNERS).max(1);
    let shores: Vec<Shore> = rings.iter().flat_map(|ring| shores(ring).into_iter().step_by(each)).collect();
    let delaunay = DelaunayTriangulation::<Shore>::bulk_load_stable(shores)
        .map_err(|error| Error::Internal(format!("bridges: {error}")))?;
    let mut links: Vec<(i64, [[i32; 2]; 2], [u32; 2])> = delaunay
        .undirected_edges()
        .map(|edge| edge.vertices().map(|v| (v.data().at, v.data().island)))
        .filter(|[a, b]| a.1 != b.1)
        .map(|[a, b]| {
            let (a, b) = if a <= b { (a, b) } else { (b, a) };
            let [dx, dy] = [0, 1].map(|axis| i64::from(b.0[axis] - a.0[axis]));
            (dx * dx + dy * dy, [a.0, b.0], [a.1, b.1])
        })
        .collect();
    links.sort_unstable();
    if way > 0 {
        let mut random = Random::new(way);
        links.iter_mut().for_each(|link| link.0 = (link.0 as f64 * (1.0 + MOST_LONGER * random.share())) as i64);
        links.sort_unstable();
    }
    let mut groups: Vec<u32> = (0..rings.len() as u32).collect();
    for (_, [from, to], islands) in links {
        let [a, b] = islands.map(|island| root(&mut groups, island));
        if a != b {
            groups[a as usize] = b;
            draw_line(mask, from, to, width_px);
        }
    }
    Ok(())
}

fn root(groups: &mut [u32], mut island: u32) -> u32 {
    while groups[island as usize] != island {
        groups[island as usize] = groups[groups[island as usize] as usize];
        island = groups[island as usize];
    }
    island
}

/// The corners of a ring and points between those that are far apart.
fn shores(ring: &Ring) -> Vec<Shore> {
    let next = ring.corners.iter().cycle().skip(1);
    let mut found = Vec::new();
    for (&from, &to) in ring.corners.iter().zip(next) {
        let length = (to[0] - from[0]).abs().max((to[1] - from[1]).abs());
        let way = [0, 1].map(|axis| (to[axis] - from[axis]).signum());
        found.extend(
            (0..length)
                .step_by(SPACING_PX as usize)
                .map(|step| Shore { at: [from[0] + way[0] * step, from[1] + way[1] * step], island: ring.island }),
        );
    }
    found
}

/// Takes in the pixels between two corners of pixels, each with one that is inside.
fn draw_line(mask: &mut BitMask, from: [i32; 2], to: [i32; 2], width_px: u32) {
    let (Some(mut at), Some(end)) = (pixel_at(mask, from), pixel_at(mask, to)) else { return };
    let (dx, dy) = ((end[0] - at[0]).abs(), (end[1] - at[1]).abs());
    let way = [(end[0] - at[0]).signum(), (end[1] - at[1]).signum()];
    // Steps along one axis at a time, so that each pixel shares a side with the one before it.
    let (mut along_x, mut along_y) = (0_i64, 0_i64);
    stamp(mask, at, width_px);
    while at != end {
        if along_y >= i64::from(dy)
            || (along_x < i64::from(dx) && (2 * along_x + 1) * i64::from(dy) <= (2 * along_y + 1) * i64::from(dx))
        {
            along_x += 1;
            at[0] += way[0];
        } else {
            along_y += 1;
            at[1] += way[1];
        }
        stamp(mask, at, width_px);
    }
}

/// The first pixel inside that has this corner.
fn pixel_at(mask: &BitMask, [x, y]: [i32; 2]) -> Option<[i32; 2]> {
    [[x - 1, y - 1], [x, y - 1], [x - 1, y], [x, y]].into_iter().find(|&pixel| mask.contains(pixel))
}

/// A square of pixels around one.
fn stamp(mask: &mut BitMask, [x, y]: [i32; 2], width_px: u32) {
    let before = (width_px as i32 - 1) / 2;
    let after = width_px as i32 - before;
    let range = |at: i32, size: usize| (at - before).max(0) as usize..((at + after).max(0) as usize).min(size);
    let columns = range(x, mask.width());
    for row in range(y, mask.height()) {
        mask.set_run(row, columns.start, columns.end);
    }
}
