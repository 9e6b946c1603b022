//! Which islands and holes of a mask count.

use super::rings::Ring;
use super::rings::no_more;
use crate::mesh::error::{Error, Result};
use crate::mesh::parameters::{Holes, Islands, MeshParameters, Symmetry};
use crate::mesh::ragged;

/// Most islands that are kept apart, and most that are bridged: each costs a search for its outline, or a place to bridge.
const MOST_APART: usize = 2048;
const MOST_BRIDGED: usize = 1 << 14;

/// Most holes that stay open: the largest.
const MOST_HOLES: usize = 512;

/// What is kept, and what the caller should know about the rest.
pub(super) struct Kept {
    /// Outer rings and the holes that are cut, in raster order, an island's outer ring before its holes.
    pub(super) rings: Vec<Ring>,
    pub(super) warnings: Vec<String>,
}

/// Chooses islands: those of `min_contour_area` or more, or the largest alone. Islands within a hole that is filled are
/// covered with it and are none of their own.
///
/// # Errors
/// [`Error::ContourExtraction`] if none is large enough.
pub(super) fn choose(rings: &[Ring], p: &MeshParameters) -> Result<Kept> {
    let largest = rings.iter().zip(0..).filter(|(ring, _)| !ring.is_hole()).max_by_key(|(ring, _)| ring.pixels);
    let least_hole_px2 = least_hole_px2(rings, p);
    let largest: Option<u32> = largest.map(|(_, i)| i);
    let largest_px2 = largest.map_or(0, |i| rings[i as usize].pixels);
    if largest_px2 == 0 || (largest_px2 as f64) < p.min_contour_area {
        return Err(nothing(largest_px2, p));
    }
    let mut kept = Kept { rings: Vec::new(), warnings: Vec::new() };
    let is_cut = |hole: &Ring| p.holes == Holes::Cut && -hole.area_px2 >= least_hole_px2;
    let holes = holes_of_islands(rings);
    let mut islands = 0;
    // By the number of an outer ring: its number among the kept, or none if a hole was filled over it.
    let mut numbers: Vec<Option<u32>> = vec![None; rings.len()];
    let mut covered = vec![false; rings.len()];
    // By the number of a hole: its number among the kept.
    let mut open_holes: Vec<Option<u32>> = vec![None; rings.len()];
    let (mut specks, mut specks_px2, mut others, mut others_px2) = (0, 0, 0, 0);
    // Of a mirrored pair neither is the largest.
    let is_twin = |area_px2: i64| p.symmetry != Symmetry::None && area_px2 == largest_px2;
    for (i, ring) in rings.iter().enumerate().filter(|(_, ring)| !ring.is_hole()) {
        let hole = ring.within.map(|hole| &rings[hole as usize]);
        covered[i] = hole.is_some_and(|hole| {
            let around = hole.island as usize;
            covered[around] || (numbers[around].is_some() && !is_cut(hole))
        });
        if covered[i] {
            continue;
        }
        if (ring.pixels as f64) < p.min_contour_area {
            (specks, specks_px2) = (specks + 1, specks_px2 + ring.pixels);
        } else if p.islands == Islands::Largest && largest != Some(i as u32) && !is_twin(ring.pixels) {
            (others, others_px2) = (others + 1, others_px2 + ring.pixels);
        } else {
            islands += 1;
            match p.islands {
                Islands::Bridge => no_more(islands, MOST_BRIDGED, ragged::BRIDGED)?,
                _ => no_more(islands, MOST_APART, ragged::KEPT_APART)?,
            }
            let number = kept.rings.len() as u32;
            numbers[i] = Some(number);
            // Of holes around it, the innermost that stays open.
            let around = |&hole: &u32| rings[rings[hole as usize].island as usize].within;
            let within = std::iter::successors(ring.within, around).find_map(|hole| open_holes[hole as usize]);
            kept.rings.push(Ring { island: number, within, ..ring.clone() });
            for &hole in holes[i].iter().filter(|&&hole| is_cut(&rings[hole as usize])) {
                open_holes[hole as usize] = Some(kept.rings.len() as u32);
                kept.rings.push(Ring { island: number, ..rings[hole as usize].clone() });
            }
        }
    }
    if specks > 0 {
        kept.warnings.push(format!(
            "{specks} islands under {} px2 were left out, {specks_px2} px2 in all; lower min_contour_area to keep them",
            p.min_contour_area
        ));
    }
    if others > 0 {
        kept.warnings.push(format!(
            "only the largest island was kept, {others} {} of {others_px2} px2 {} left out; set islands to all or bridge to \
             keep all",
            if others == 1 { "other" } else { "others" },
            if others == 1 { "was" } else { "were" },
        ));
    }
    Ok(kept)
}

/// Area from which a hole stays open, px2.
fn least_hole_px2(rings: &[Ring], p: &MeshParameters) -> i64 {
    let mut areas: Vec<i64> = rings.iter().filter(|ring| ring.is_hole()).map(|hole| -hole.area_px2).collect();
    areas.sort_unstable_by_key(|&area| std::cmp::Reverse(area));
    let one_too_many = areas.get(MOST_HOLES).map_or(0, |&area| area + 1);
    one_too_many.max(p.min_contour_area.ceil() as i64)
}

/// By the number of an outer ring, the numbers of its holes.
fn holes_of_islands(rings: &[Ring]) -> Vec<Vec<u32>> {
    let mut holes = vec![Vec::new(); rings.len()];
    for (ring, number) in rings.iter().zip(0..).filter(|(ring, _)| ring.is_hole()) {
        holes[ring.island as usize].push(number);
    }
    holes
}

fn nothing(largest_px2: i64, p: &MeshParameters) -> Error {
    let reason = if largest_px2 == 0 {
        "no pixel is inside; lower alpha_threshold".to_owned()
    } else {
        format!("the largest island has {largest_px2}; lower min_contour_area or alpha_threshold")
    };
    Error::ContourExtraction { reason, largest_area: largest_px2 as f64, min_contour_area: p.min_contour_area }
}
