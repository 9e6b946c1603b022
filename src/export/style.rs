//! How a drawn mesh looks, in SVG and PNG alike.

use super::frame::Frame;
use crate::mesh::Mesh;

/// Pictures are shown at about this many px at least, so that strokes do not cover a small sprite. Larger ones stay as
/// they are.
pub(super) const SHOWN_PX: u32 = 1024;

/// Pictures are shown at this many px at most where a whole factor can do it: a 4096 px drawing shows no more and is
/// several times the bytes.
pub(super) const LARGEST_PX: u32 = 2048;

/// Room around the image, px on screen, so that a hull at its border is seen whole.
pub(super) const MARGIN_PX: u32 = 16;

/// Side of the backdrop's squares, px on screen.
pub(super) const SQUARE_PX: u32 = 16;

/// The backdrop: a soft checkerboard of middle greys, so that transparent parts are seen as such and neither light nor
/// dark art vanishes in it.
pub(super) const SQUARES: [u8; 2] = [0x9a, 0x8c];

/// How many px on screen a px of the image takes, at least 1. What lies outside the image makes the picture larger rather
/// than the sprite smaller.
pub(super) fn zoom(mesh: &Mesh, frame: &Frame) -> u32 {
    (SHOWN_PX / mesh.width.max(mesh.height).max(1)).min(LARGEST_PX / frame.longest()).max(1)
}

/// Which part of a mesh a stroke draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Inner edges.
    Wire,
    /// Boundary edges.
    Hull,
    /// Vertices.
    Dots,
}

/// One pass of the pen over one part.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stroke {
    pub(super) part: Part,
    /// Red, green, blue.
    pub(super) colour: [u8; 3],
    /// 0 to 1.
    pub(super) opacity: f64,
    /// Width of a line, diameter of a dot; px on screen.
    pub(super) width_px: f64,
}

/// The passes in order. Each part is drawn dark and wide, then light and thin, so that it shows on any art. Where edges
/// are short, all grows thinner and the dots shrink away: the mesh must not hide itself.
pub(super) fn strokes(mean_edge_px: f64) -> [Stroke; 6] {
    let wire = (mean_edge_px / 16.0).clamp(0.6, 1.5);
    let hull = (mean_edge_px / 6.0).clamp(1.6, 3.0);
    let dots = (mean_edge_px / 5.0).clamp(0.0, 6.5);
    let casing = (mean_edge_px / 12.0).clamp(0.2, 1.6);
    let dark = |part, width_px, opacity| Stroke { part, colour: [0, 0, 0], opacity, width_px };
    let light = |part, width_px, colour| Stroke { part, colour, opacity: 1.0, width_px };
    [
        dark(Part::Wire, wire + casing, 0.5),
        light(Part::Wire, wire, [0x66, 0xe0, 0xff]),
        dark(Part::Hull, hull + 2.0 * casing, 0.7),
        light(Part::Hull, hull, [0xff, 0xd2, 0x3f]),
        dark(Part::Dots, dots + 2.0 * casing, 0.75),
        light(Part::Dots, dots, [0xff, 0xff, 0xff]),
    ]
    .map(|stroke| if stroke.part == Part::Dots && dots < 2.0 { Stroke { opacity: 0.0, ..stroke } } else { stroke })
}

/// The lines of a part, from point to point in px of the image; a dot is a line of no length.
pub(super) fn lines(mesh: &Mesh, part: Part) -> impl Iterator<Item = [[f64; 2]; 2]> {
    let edges = match part {
        Part::Wire => mesh.internal_edges.as_slice(),
        Part::Hull => mesh.boundary_edges.as_slice(),
        Part::Dots => &[],
    };
    let dots = if part == Part::Dots { mesh.vertices.as_slice() } else { &[] };
    let point = |index: u32| mesh.vertices.get(index as usize).copied();
    let edges = edges.iter().filter_map(move |&[a, b]| Some([point(a)?, point(b)?]));
    edges.chain(dots.iter().map(|&dot| [dot, dot]))
}

/// Mean length of all edges, in px of the image; 0 without edges.
pub(super) fn mean_edge(mesh: &Mesh) -> f64 {
    let edges = || lines(mesh, Part::Wire).chain(lines(mesh, Part::Hull));
    let total: f64 = edges().map(|[[ax, ay], [bx, by]]| ((bx - ax) * (bx - ax) + (by - ay) * (by - ay)).sqrt()).sum();
    total / edges().count().max(1) as f64
}
