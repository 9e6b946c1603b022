//! What a picture of a mesh shows: the image's canvas, and the mesh where `padding` puts it outside.

use crate::mesh::Mesh;

/// How far beyond the canvas rounding may put a vertex, px.
const ROUNDING_PX: f64 = 1e-6;

/// A rectangle of whole px around the canvas and the mesh; the canvas itself where the mesh lies within.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    /// What is shown to the left of the canvas, px.
    pub(super) left: u32,
    /// What is shown above the canvas, px.
    pub(super) top: u32,
    /// px, at least 1.
    pub(super) width: u32,
    /// px, at least 1.
    pub(super) height: u32,
}

impl Frame {
    pub(super) fn of(mesh: &Mesh) -> Self {
        let [left, width] = along(mesh, 0, mesh.width);
        let [top, height] = along(mesh, 1, mesh.height);
        Self { left, top, width, height }
    }

    /// The longer side, px.
    pub(super) fn longest(&self) -> u32 {
        self.width.max(self.height)
    }
}

/// What is shown before the canvas, and in all.
fn along(mesh: &Mesh, axis: usize, canvas: u32) -> [u32; 2] {
    let canvas = canvas.max(1);
    let reach = |sign: f64| mesh.vertices.iter().map(|vertex| sign * vertex[axis]).fold(0.0, f64::max);
    // Casts saturate.
    let beyond = |px: f64| (px - ROUNDING_PX).ceil() as u32;
    let (before, behind) = (beyond(reach(-1.0)), beyond(reach(1.0) - f64::from(canvas)));
    [before, canvas.saturating_add(before).saturating_add(behind)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::sample;

    #[test]
    fn a_mesh_within_the_canvas_changes_nothing() {
        let mut mesh = sample::mesh();
        mesh.vertices.push([0.0, 10.0]);
        mesh.vertices.push([16.0, -1e-13]);
        mesh.vertices.push([16.0 + 1e-13, 0.0]);
        assert_eq!(Frame::of(&mesh), Frame { left: 0, top: 0, width: 16, height: 10 });
    }

    #[test]
    fn it_grows_by_whole_pixels_on_the_sides_that_the_mesh_leaves() {
        let mut mesh = sample::mesh();
        mesh.vertices.push([-2.0625, 12.0]);
        assert_eq!(Frame::of(&mesh), Frame { left: 3, top: 0, width: 19, height: 12 });
        mesh.vertices.push([16.5, -1.0]);
        assert_eq!(Frame::of(&mesh), Frame { left: 3, top: 1, width: 20, height: 13 });
    }

    #[test]
    fn no_vertex_is_too_far_away() {
        let mut mesh = sample::mesh();
        mesh.vertices.push([f64::INFINITY, f64::NAN]);
        assert_eq!(Frame::of(&mesh), Frame { left: 0, top: 0, width: u32::MAX, height: 10 });
    }
}
