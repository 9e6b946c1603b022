//! What is found, in px, and what is to be told of it.

use super::fixed::{Place, STEPS, in_px};
use super::mirror::Axis;
use super::{Found, Shape, Simplified};
use crate::mesh::geometry::{Point, distance2};
use crate::mesh::parameters::{Holes, Islands, MeshParameters, can_rise};
use crate::mesh::ragged::one_of;

/// Outlines of a shape, px.
pub(in crate::mesh) struct Covered {
    /// A hull each with its holes; the left halves where there is an axis.
    pub(in crate::mesh) islands: Vec<Island>,
    /// The column about which the mesh is to be mirrored.
    pub(in crate::mesh) axis_px: Option<f64>,
    /// What must be covered: rings on pixel edges.
    pub(in crate::mesh) shape: Vec<Vec<[i32; 2]>>,
    /// Corners of all rings before simplification.
    pub(in crate::mesh) corners: usize,
    pub(in crate::mesh) warnings: Vec<String>,
}

/// An island's outlines, px: the hull with a positive area, then the holes with negative ones.
pub(in crate::mesh) struct Island {
    pub(in crate::mesh) rings: Vec<Vec<Point>>,
}

impl Found {
    /// The outlines in px, with what is to be told of them.
    pub(super) fn into_covered(self, p: &MeshParameters) -> Covered {
        let Self { shape, outlines, joined } = self;
        let used = outlines.vertices(shape.axis);
        let filled = outlines.outlines.iter().zip(&shape.rings);
        let filled = filled.filter(|(outline, ring)| ring.is_hole() && outline.is_empty()).count();
        let mut covered = Covered {
            islands: Vec::new(),
            axis_px: shape.axis.map(|axis| f64::from(axis.place()) / f64::from(STEPS)),
            corners: shape.rings.iter().map(|ring| ring.corners.len()).sum(),
            shape: shape.whole.into_iter().map(|ring| ring.corners).collect(),
            warnings: Vec::new(),
        };
        for (ring, outline) in shape.rings.iter().zip(outlines.outlines).filter(|(_, outline)| !outline.is_empty()) {
            let points = outline.iter().map(|&place| in_px(place)).collect();
            match covered.islands.last_mut() {
                Some(island) if ring.is_hole() => island.rings.push(points),
                _ => covered.islands.push(Island { rings: vec![points] }),
            }
        }
        covered.report(p, used, filled);
        if joined > 0 {
            covered.warnings.push(format!(
                "{joined} islands were joined to others that are nearer than min_edge_length {}; lower it to keep them apart",
                p.min_edge_length
            ));
        }
        covered
    }
}

impl Simplified {
    /// Vertices of the whole: those off the axis count twice.
    fn vertices(&self, axis: Option<Axis>) -> usize {
        let on_axis = |place: &Place| axis.is_none_or(|axis| place[0] == axis.place());
        self.outlines.iter().flatten().map(|place| if on_axis(place) { 1 } else { 2 }).sum()
    }

    /// Vertices beyond the budget.
    pub(super) fn over(&self, shape: &Shape, p: &MeshParameters) -> usize {
        if p.max_vertices == 0 { 0 } else { self.vertices(shape.axis).saturating_sub(p.max_vertices as usize) }
    }
}

impl Covered {
    fn report(&mut self, p: &MeshParameters, used: usize, filled: usize) {
        let bridge = (self.islands.len() > 1 && p.islands != Islands::Bridge).then_some("set islands to bridge");
        let least_px = if p.min_edge_length > 0.0 { self.least_distance_px() } else { f64::INFINITY };
        if least_px < p.min_edge_length {
            let pad = can_rise("padding", p.padding).then_some("raise padding");
            let ways: Vec<&str> = std::iter::once("lower it").chain(pad).chain(bridge).collect();
            self.warnings.push(format!(
                "two vertices of the outline are {least_px:.2} px apart, as no way was found to keep them apart, although \
                 min_edge_length is {}; {}",
                p.min_edge_length,
                one_of(&ways)
            ));
        }
        if p.max_vertices > 0 && used > p.max_vertices as usize {
            let more = if can_rise("max_vertices", used as f64 - 1.0) { "raise it" } else { "set it to 0" };
            let ways: Vec<&str> = std::iter::once(more).chain(bridge).collect();
            self.warnings.push(format!(
                "max_vertices {} is too few for {}, {used} were used; {}",
                p.max_vertices,
                if self.islands.len() == 1 {
                    "the shape".to_owned()
                } else {
                    format!("{} islands", self.islands.len())
                },
                one_of(&ways)
            ));
        }
        if p.holes == Holes::Cut && filled > 0 {
            let (reason, more) = match p.max_vertices {
                0 => ("no outline of theirs was found", "raise detail_factor"),
                few if can_rise("max_vertices", f64::from(few)) => {
                    ("the vertices do more elsewhere", "raise max_vertices")
                }
                _ => ("the vertices do more elsewhere", "set max_vertices to 0"),
            };
            let shorter = (p.min_edge_length > 0.0).then_some("lower min_edge_length");
            let ways: Vec<&str> = std::iter::once(more).chain(shorter).collect();
            let (what, them) = if filled == 1 { ("hole was", "it") } else { ("holes were", "them") };
            self.warnings.push(format!("{filled} {what} filled, as {reason}; {} to cut {them}", one_of(&ways)));
        }
    }

    /// Between any two vertices of the outlines, or of them and their mirror images.
    fn least_distance_px(&self) -> f64 {
        let points: Vec<Point> = self.islands.iter().flat_map(|island| &island.rings).flatten().copied().collect();
        let pairs = points.iter().enumerate().flat_map(|(i, &a)| points[..i].iter().map(move |&b| distance2(a, b)));
        let nearest = pairs.fold(f64::INFINITY, f64::min).sqrt();
        let off_axis =
            points.iter().filter_map(|point| Some(2.0 * (self.axis_px? - point[0]))).filter(|&gap| gap > 0.0);
        off_axis.fold(nearest, f64::min)
    }

    /// Back from the canvas with a margin to the image's.
    pub(super) fn shift(&mut self, margin_px: usize) {
        let by = margin_px as i32;
        let points = self.islands.iter_mut().flat_map(|island| &mut island.rings).flatten();
        points.for_each(|point| *point = point.map(|c| c - f64::from(by)));
        self.axis_px = self.axis_px.map(|column| column - f64::from(by));
        self.shape.iter_mut().flatten().for_each(|corner| *corner = corner.map(|c| c - by));
    }
}
