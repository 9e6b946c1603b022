//! What is to be outlined: the kept islands, bridged or mirrored as asked for.

use std::cell::Cell;
use std::rc::Rc;

use super::candidates::Canvas;
use super::fixed::{Place, STEPS};
use super::mirror::Axis;
use super::rings::{self, Ring};
use super::{bridge, islands, pinches, simple};
use crate::mesh::error::Result;
use crate::mesh::mask::BitMask;
use crate::mesh::observer::Observer;
use crate::mesh::parameters::{Holes, Islands, MeshParameters, Symmetry};

/// What is to be outlined: all of it, or the left half of what is mirrored.
#[derive(Clone)]
pub(super) struct Shape {
    pub(super) rings: Vec<Ring>,
    pub(super) axis: Option<Axis>,
    pub(super) canvas: Canvas,
    /// Of the canvas, px.
    size: [usize; 2],
    /// What the keeping apart of vertices has taken so far, of all shapes of a request.
    pub(super) spread: Rc<Cell<usize>>,
    /// Least length of the edges that are sought, px.
    pub(super) least_sought_px: f64,
    /// The whole, as rings, without bridges where there is no axis: they need not be covered.
    pub(super) whole: Vec<Ring>,
}

impl Shape {
    /// A shape of islands; where they are bridged, each `way` is another, and 0 the shortest.
    pub(super) fn new(
        kept: Vec<Ring>,
        mask: &BitMask,
        least_sought_px: f64,
        way: u64,
        p: &MeshParameters,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let mut mask = rings::fill(kept.iter().map(|ring| ring.corners.as_slice()), mask.width(), mask.height());
        let axis = match p.symmetry {
            Symmetry::None => None,
            Symmetry::Auto => Axis::of(&mask).filter(|axis| axis.is_of(&mask)),
            Symmetry::X => Axis::of(&mask),
        };
        let mut canvas = Canvas { low: [0, 0], high: [mask.width() as i32 * STEPS, mask.height() as i32 * STEPS] };
        let mut rings = kept.clone();
        if let Some(axis) = axis {
            mask.add(&axis.mirrored(&mask));
            pinches::fill(&mut mask);
            // What both halves enclose together is a hole like others.
            let both = Self::all_of(&mask, p.holes, p.min_contour_area, p, observer)?;
            mask = rings::fill(both.iter().map(|ring| ring.corners.as_slice()), mask.width(), mask.height());
            mask = axis.left_half(&mask);
            canvas = Canvas { low: [axis.leftmost(mask.width()), 0], high: [axis.place(), canvas.high[1]] };
            rings = Self::all_of(&mask, Holes::Cut, 0.0, p, observer)?;
        }
        if p.islands == Islands::Bridge {
            if let Some(axis) = axis {
                axis.reach(&mut mask);
                rings = Self::all_of(&mask, Holes::Cut, 0.0, p, observer)?;
            }
            if rings.iter().filter(|ring| !ring.is_hole()).count() > 1 {
                bridge::draw(&mut mask, &rings, (p.min_edge_length.ceil() as u32).max(1), way)?;
                pinches::fill(&mut mask);
                // A wide bridge reaches over the axis.
                mask = axis.map_or(mask.clone(), |axis| axis.left_half(&mask));
                rings = Self::all_of(&mask, p.holes, p.min_contour_area, p, observer)?;
            }
        }
        let size = [mask.width(), mask.height()];
        let mut shape = Self { rings, axis, canvas, size, spread: Rc::default(), least_sought_px, whole: kept };
        shape.take_in_mirrored(observer)?;
        Ok(shape)
    }

    /// Joins islands by bridges, by pairs of their rings, or to the axis where a ring is named twice.
    pub(super) fn join(&mut self, pairs: &[[usize; 2]], p: &MeshParameters, observer: &dyn Observer) -> Result<()> {
        let [width, height] = self.size;
        let mut mask = rings::fill(self.rings.iter().map(|ring| ring.corners.as_slice()), width, height);
        let width_px = (p.min_edge_length.ceil() as u32).max(1);
        // Islands that are joined, directly or by others, have one number.
        let mut groups: Vec<u32> = self.rings.iter().map(|ring| ring.island).collect();
        for &[i, j] in pairs {
            let (one, other) = (groups[i], groups[j]);
            groups.iter_mut().filter(|group| **group == other).for_each(|group| *group = one);
        }
        for group in 0..self.rings.len() as u32 {
            let own = self.rings.iter().zip(&groups).filter(|(ring, of)| **of == group && !ring.is_hole());
            let own: Vec<Ring> = own.zip(0..).map(|((ring, _), island)| Ring { island, ..ring.clone() }).collect();
            if own.len() > 1 {
                bridge::draw(&mut mask, &own, width_px, 0)?;
            }
        }
        let own_image = pairs.iter().filter(|[i, j]| i == j).map(|[i, _]| self.rings[*i].island as usize);
        for (island, axis) in own_image.zip(self.axis.into_iter().cycle()) {
            axis.bridge(&mut mask, &self.rings[island].corners, width_px as usize);
        }
        pinches::fill(&mut mask);
        mask = self.axis.map_or(mask.clone(), |axis| axis.left_half(&mask));
        // Whatever is too small was left out before.
        self.rings = Self::all_of(&mask, p.holes, 0.0, p, observer)?;
        self.take_in_mirrored(observer)
    }

    /// How many islands there are.
    pub(super) fn islands(&self) -> usize {
        self.rings.iter().filter(|ring| !ring.is_hole()).count()
    }

    /// The whole of what is mirrored.
    fn take_in_mirrored(&mut self, observer: &dyn Observer) -> Result<()> {
        if let Some(axis) = self.axis {
            let [width, height] = self.size;
            let mut mask = rings::fill(self.rings.iter().map(|ring| ring.corners.as_slice()), width, height);
            mask.add(&axis.mirrored(&mask));
            self.whole = rings::trace(&mask, &mask, observer)?;
        }
        Ok(())
    }

    /// The rings of every island of a mask.
    fn all_of(
        mask: &BitMask,
        holes: Holes,
        least_hole_px2: f64,
        p: &MeshParameters,
        observer: &dyn Observer,
    ) -> Result<Vec<Ring>> {
        let p = MeshParameters { islands: Islands::All, holes, min_contour_area: least_hole_px2, ..p.clone() };
        Ok(islands::choose(&rings::trace(mask, mask, observer)?, &p)?.rings)
    }

    /// Vertices for a half, of those for the whole: a hull that reaches the axis has at least two vertices there, which its
    /// mirror image shares.
    pub(super) fn budget(&self, whole: usize) -> usize {
        let Some(axis) = self.axis else { return whole };
        let reaches = |ring: &&Ring| !ring.is_hole() && self.places(ring).iter().any(|place| place[0] == axis.place());
        whole / 2 + self.rings.iter().filter(reaches).count()
    }

    /// A ring's corners on the grid; a half ends at the axis.
    pub(super) fn places(&self, ring: &Ring) -> Vec<Place> {
        let end = self.axis.map_or(i32::MAX, Axis::place);
        let mut places: Vec<Place> =
            ring.corners.iter().map(|corner| [(corner[0] * STEPS).min(end), corner[1] * STEPS]).collect();
        places.dedup();
        places
    }

    /// The middle of a pixel within a ring, if it is no hole: it lies on no outline.
    pub(super) fn within(&self, ring: &Ring) -> Option<Place> {
        let places = self.places(ring);
        let middles = |place: Place| {
            [[-1, -1], [1, -1], [-1, 1], [1, 1]].map(|[x, y]| [place[0] + x * STEPS / 2, place[1] + y * STEPS / 2])
        };
        let of_half = |place: &Place| self.axis.is_none_or(|axis| place[0] < axis.place());
        let mut found = places.iter().flat_map(|&place| middles(place)).filter(of_half);
        found.find(|&place| !ring.is_hole() && simple::holds(&places, place))
    }

    /// Where the vertices of a ring may be: away from the axis, unless the ring lies on it.
    pub(super) fn canvas_of(&self, hull: &[Place]) -> Canvas {
        let mut canvas = self.canvas;
        if self.rings.iter().filter(|ring| !ring.is_hole()).count() > 1 {
            // Others are near; looking at all of them for each would take too long.
            canvas = canvas.near(&Canvas::around(hull));
        }
        if self.axis.is_some() && hull.iter().all(|place| place[0] < canvas.high[0]) {
            canvas.high[0] = (canvas.high[0] - STEPS / 2).max(canvas.low[0]);
        }
        canvas
    }

    /// Where the vertices of a ring may be if none may be nearer to another, mirror images included.
    pub(super) fn canvas_of_spread(&self, ring: &[Place], least: i32) -> Canvas {
        let mut canvas = self.canvas;
        if self.axis.is_some() && ring.iter().all(|place| place[0] < canvas.high[0]) {
            // A half that is narrower has its left side.
            canvas.high[0] = (canvas.high[0] - (STEPS / 2).max((least + 1) / 2)).max(canvas.low[0]);
        }
        canvas
    }
}
