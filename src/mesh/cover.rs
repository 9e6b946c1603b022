//! `outline = cover`: outlines that leave out no pixel, within a budget of vertices.
//!
//! Everything runs on pixel edges and a grid of sixteenths of a pixel, in integers: that a pixel is covered is decided
//! by exact signs.

mod bridge;
mod budget;
mod candidates;
mod coarsen;
mod cycles;
mod fixed;
mod grow;
mod islands;
mod material;
mod mirror;
mod notches;
mod outline;
mod pinches;
mod polish;
mod rings;
mod simple;

use super::alpha::AlphaPlane;
use super::error::Result;
use super::geometry::{Point, distance2};
use super::mask::{self, BitMask};
use super::observer::{self, Observer, Stage};
use super::parameters::{Effort, Holes, Islands, MeshParameters, Symmetry};
use super::simplify::epsilon_px;
use budget::Claim;
use candidates::Canvas;
use fixed::{Place, STEPS, in_px, twice_area};
use material::Material;
use mirror::Axis;
pub(super) use mirror::double;
use notches::Extent;
use outline::{Prepared, Task};
use rings::Ring;

/// Outlines of a shape, px.
pub(super) struct Covered {
    /// A hull each with its holes; the left halves where there is an axis.
    pub(super) islands: Vec<Island>,
    /// The column about which the mesh is to be mirrored.
    pub(super) axis_px: Option<f64>,
    /// What must be covered: rings on pixel edges.
    pub(super) shape: Vec<Vec<[i32; 2]>>,
    /// Corners of all rings before simplification.
    pub(super) corners: usize,
    pub(super) warnings: Vec<String>,
}

/// An island's outlines, px: the hull with a positive area, then the holes with negative ones.
pub(super) struct Island {
    pub(super) rings: Vec<Vec<Point>>,
}

/// Finds the outlines, in steps.
pub(super) fn cover(alpha: &AlphaPlane, p: &MeshParameters, observer: &dyn Observer) -> Result<Covered> {
    let margin_px = p.padding.ceil() as usize;
    let mut mask = mask::at_least(alpha, p.alpha_threshold, observer)?;
    if margin_px > 0 {
        observer::enter(observer, Stage::Blur)?;
        mask = grow::grow(&mask, p.padding, margin_px, observer)?;
    }
    pinches::fill(&mut mask);
    observer::enter(observer, Stage::Contour)?;
    let kept = islands::choose(&rings::trace(&mask, observer)?, p)?;
    let shape = Shape::new(kept.rings, &mask, p, observer)?;
    observer::enter(observer, Stage::Simplify)?;
    let mut found = Simplified::new(&shape, Effort::Fast, p, observer)?;
    if p.effort == Effort::Best {
        let longer = Simplified::new(&shape, Effort::Best, p, observer)?;
        if longer.twice_area() < found.twice_area() {
            found = longer;
        }
    }
    let mut covered = found.into_covered(shape, p);
    covered.warnings.splice(0..0, kept.warnings);
    covered.shift(margin_px);
    Ok(covered)
}

/// What is to be outlined: all of it, or the left half of what is mirrored.
struct Shape {
    rings: Vec<Ring>,
    axis: Option<Axis>,
    canvas: Canvas,
    /// The whole, as rings.
    whole: Vec<Ring>,
}

impl Shape {
    fn new(kept: Vec<Ring>, mask: &BitMask, p: &MeshParameters, observer: &dyn Observer) -> Result<Self> {
        let mut mask = rings::fill(kept.iter().map(|ring| ring.corners.as_slice()), mask.width(), mask.height());
        let axis = match p.symmetry {
            Symmetry::None => None,
            Symmetry::Auto => Axis::of(&mask).filter(|axis| axis.is_of(&mask)),
            Symmetry::X => Axis::of(&mask),
        };
        let mut canvas = Canvas { low: [0, 0], high: [mask.width() as i32 * STEPS, mask.height() as i32 * STEPS] };
        let mut rings = kept;
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
                bridge::draw(&mut mask, &rings, (p.min_edge_length.ceil() as u32).max(1))?;
                pinches::fill(&mut mask);
                // A wide bridge reaches over the axis.
                mask = axis.map_or(mask.clone(), |axis| axis.left_half(&mask));
                rings = Self::all_of(&mask, p.holes, p.min_contour_area, p, observer)?;
            }
        }
        let whole = match axis {
            None => rings.clone(),
            Some(axis) => {
                mask = rings::fill(rings.iter().map(|ring| ring.corners.as_slice()), mask.width(), mask.height());
                mask.add(&axis.mirrored(&mask));
                rings::trace(&mask, observer)?
            }
        };
        Ok(Self { rings, axis, canvas, whole })
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
        Ok(islands::choose(&rings::trace(mask, observer)?, &p)?.rings)
    }

    /// A ring's corners on the grid; a half ends at the axis.
    fn places(&self, ring: &Ring) -> Vec<Place> {
        let end = self.axis.map_or(i32::MAX, Axis::place);
        let mut places: Vec<Place> =
            ring.corners.iter().map(|corner| [(corner[0] * STEPS).min(end), corner[1] * STEPS]).collect();
        places.dedup();
        places
    }

    /// Where the vertices of a ring may be: away from the axis, unless the ring lies on it.
    fn canvas_of(&self, hull: &[Place]) -> Canvas {
        let mut canvas = self.canvas;
        if self.rings.iter().filter(|ring| !ring.is_hole()).count() > 1 {
            // Others are near; looking at all of them for each would take too long.
            canvas = canvas.near(&Canvas::around(hull));
        }
        if self.axis.is_some() && hull.iter().all(|place| place[0] < canvas.high[0]) {
            canvas.high[0] -= STEPS / 2;
        }
        canvas
    }
}

/// The pixels within rings, as far as they lie in the image.
pub(super) fn mask_of(shape: &[Vec<[i32; 2]>], size: [u32; 2]) -> BitMask {
    let [width, height] = size.map(|side| side as usize);
    rings::fill(shape.iter().map(Vec::as_slice), width, height)
}

/// Most corners of one ring that the search looks at, but for a budget that is larger.
const MOST_LOOKED_AT: usize = 600;

/// Corners that the search looks at for a budget, of all rings together; a budget so large that all corners have a
/// vertex needs no search.
fn corners_looked_at(effort: Effort, budget: usize, rings: usize) -> usize {
    let (few, many, each) = match effort {
        Effort::Fast => (12 * budget, 300, 12),
        Effort::Best => (12 * budget, 480, 24),
    };
    let wanted = if budget == 0 { many } else { few.clamp(many / 2, many) };
    wanted.max(budget) + each * rings
}

/// Outlines on the grid, one for each ring; empty for a hole that is filled.
struct Simplified {
    outlines: Vec<Vec<Place>>,
}

impl Simplified {
    /// Simplifies all rings outwards, under one budget.
    fn new(shape: &Shape, effort: Effort, p: &MeshParameters, observer: &dyn Observer) -> Result<Self> {
        let exact: Vec<Vec<Place>> = shape.rings.iter().map(|ring| shape.places(ring)).collect();
        let looked_at = corners_looked_at(effort, p.max_vertices as usize, exact.len());
        let extent =
            Extent { share: 0.0003, corners: looked_at, corners_of_each: MOST_LOOKED_AT.max(p.max_vertices as usize) };
        let hulls = notches::fill(&exact, extent, observer)?;
        let prepare = |i: usize, current: &[Vec<Place>]| {
            let canvas = shape.canvas_of(&hulls[i]);
            let others = current.iter().zip(&shape.rings).filter(|(outline, ring)| {
                ring.island != shape.rings[i].island && canvas.meets(&Canvas::around(outline))
            });
            let others: Vec<&Vec<Place>> = others.map(|(outline, _)| outline).collect();
            Prepared::new(Task {
                ring: &hulls[i],
                own: Material::new(&[&hulls[i]]),
                others: Material::new(&others),
                canvas,
                least_length: (p.min_edge_length * f64::from(STEPS)).ceil() as i32,
                axis: shape.axis.map(Axis::place),
                effort,
            })
        };
        let prepared: Vec<Prepared<'_>> = (0..hulls.len()).map(|i| prepare(i, &hulls)).collect();
        let claims: Vec<Claim<'_>> = prepared
            .iter()
            .zip(&shape.rings)
            .zip(&hulls)
            .map(|((prepared, ring), hull)| Claim { prepared, without: ring.is_hole().then(|| -twice_area(hull)) })
            .collect();
        let given = vertices_of_each(&claims, shape, p);
        let mut outlines = hulls.clone();
        for (i, &vertices) in given.iter().enumerate() {
            if vertices == 0 {
                outlines[i].clear();
                continue;
            }
            // What was outlined before has grown.
            let again = (i > 0).then(|| prepare(i, &outlines));
            outlines[i] = again.as_ref().unwrap_or(&prepared[i]).outline(vertices, observer)?;
            if shape.rings[i].is_hole() && outlines[i].len() > vertices {
                // No outline of so few: a hole can always be filled.
                outlines[i].clear();
            }
        }
        Ok(Self { outlines })
    }

    fn twice_area(&self) -> i64 {
        self.outlines.iter().map(|outline| twice_area(outline)).sum()
    }

    fn into_covered(self, shape: Shape, p: &MeshParameters) -> Covered {
        let used = self.vertices(shape.axis);
        let filled = self.outlines.iter().filter(|outline| outline.is_empty()).count();
        let mut covered = Covered {
            islands: Vec::new(),
            axis_px: shape.axis.map(|axis| f64::from(axis.place()) / f64::from(STEPS)),
            corners: shape.rings.iter().map(|ring| ring.corners.len()).sum(),
            shape: shape.whole.into_iter().map(|ring| ring.corners).collect(),
            warnings: Vec::new(),
        };
        for (ring, outline) in shape.rings.iter().zip(self.outlines).filter(|(_, outline)| !outline.is_empty()) {
            let points = outline.iter().map(|&place| in_px(place)).collect();
            match covered.islands.last_mut() {
                Some(island) if ring.is_hole() => island.rings.push(points),
                _ => covered.islands.push(Island { rings: vec![points] }),
            }
        }
        covered.report(p, used, filled);
        covered
    }

    /// Vertices of the whole: those off the axis count twice.
    fn vertices(&self, axis: Option<Axis>) -> usize {
        let on_axis = |place: &Place| axis.is_none_or(|axis| place[0] == axis.place());
        self.outlines.iter().flatten().map(|place| if on_axis(place) { 1 } else { 2 }).sum()
    }
}

/// A budget is shared; without one `detail_factor` says how far an outline may run from its ring on average.
fn vertices_of_each(claims: &[Claim<'_>], shape: &Shape, p: &MeshParameters) -> Vec<usize> {
    if p.max_vertices > 0 {
        // A half has at least two vertices on the axis, which its mirror image shares.
        let budget = p.max_vertices as usize;
        return budget::share(claims, if shape.axis.is_some() { budget / 2 + 1 } else { budget });
    }
    claims
        .iter()
        .zip(&shape.rings)
        .map(|(claim, ring)| {
            let allowed = allowed_twice_area(ring, p);
            let prepared = claim.prepared;
            (prepared.fewest().max(3)..=prepared.corners())
                .find(|&vertices| prepared.coarse_cost(vertices).is_some_and(|cost| cost as f64 <= allowed))
                .unwrap_or(prepared.corners())
        })
        .collect()
}

/// An eighth of the tolerance along the whole ring, in steps of the grid.
fn allowed_twice_area(ring: &Ring, p: &MeshParameters) -> f64 {
    let around = ring.corners.iter().zip(ring.corners.iter().cycle().skip(1));
    let length: f64 = around.map(|(a, b)| f64::from((a[0] - b[0]).abs() + (a[1] - b[1]).abs())).sum();
    2.0 * length * epsilon_px(&ring.corners, p) / 8.0 * f64::from(STEPS * STEPS)
}

impl Covered {
    fn report(&mut self, p: &MeshParameters, used: usize, filled: usize) {
        let least_px = if p.min_edge_length > 0.0 { self.least_distance_px() } else { f64::INFINITY };
        if least_px < p.min_edge_length {
            self.warnings.push(format!(
                "two vertices of the outline are {least_px:.2} px apart, as the shape asks for it, although \
                 min_edge_length is {}",
                p.min_edge_length
            ));
        }
        if p.max_vertices > 0 && used > p.max_vertices as usize {
            self.warnings.push(format!(
                "max_vertices {} is too few for {} islands, {used} were used; raise it, or set islands to bridge",
                p.max_vertices,
                self.islands.len()
            ));
        }
        if p.holes == Holes::Cut && filled > 0 {
            self.warnings.push(format!(
                "{filled} holes were filled, as the vertices do more elsewhere; raise max_vertices to cut them"
            ));
        }
    }

    /// Between any two vertices of the outlines.
    fn least_distance_px(&self) -> f64 {
        let points: Vec<Point> = self.islands.iter().flat_map(|island| &island.rings).flatten().copied().collect();
        let pairs = points.iter().enumerate().flat_map(|(i, &a)| points[..i].iter().map(move |&b| distance2(a, b)));
        pairs.fold(f64::INFINITY, f64::min).sqrt()
    }

    /// Back from the canvas with a margin to the image's.
    fn shift(&mut self, margin_px: usize) {
        let by = margin_px as i32;
        let points = self.islands.iter_mut().flat_map(|island| &mut island.rings).flatten();
        points.for_each(|point| *point = point.map(|c| c - f64::from(by)));
        self.axis_px = self.axis_px.map(|column| column - f64::from(by));
        self.shape.iter_mut().flatten().for_each(|corner| *corner = corner.map(|c| c - by));
    }
}
