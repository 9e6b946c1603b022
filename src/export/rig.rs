//! Several meshes on one canvas: what the skeleton formats write, be it one image or a whole character.

use std::collections::HashSet;
use std::ops::Range;

use super::names::{folded, free, names};
use crate::mesh::{Component, Mesh};

/// A character: parts on a canvas. Canvas space is image space: origin top-left, x right, y down, px.
#[derive(Debug, Clone, Copy)]
pub struct Rig<'a> {
    /// What to call the skeleton.
    pub name: &'a str,
    /// `[width, height]` of the canvas, px.
    pub canvas: [u32; 2],
    /// Draw order: the first is at the back.
    pub parts: &'a [Part<'a>],
    /// The folder in which an editor looks for loose images, such as `./images/`, from the skeleton's file.
    pub images: &'a str,
}

/// One image of a character with its mesh, such as a layer of a PSD file.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// What to call it; [`names`] makes it unique. `/` stands between a group and what is in it.
    pub name: &'a str,
    /// The mesh, in the image's own space.
    pub mesh: &'a Mesh,
    /// `[x, y]` of the image's top-left corner on the canvas, px; may lie outside of it.
    pub offset: [f64; 2],
    /// From 0, not seen, to 1.
    pub opacity: f64,
    /// How it meets what is behind it.
    pub blend: Blend,
}

/// How a part meets what is behind it: the modes that Spine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Blend {
    /// Over it.
    #[default]
    Normal,
    /// Adds its light.
    Additive,
    /// Darkens it.
    Multiply,
    /// Lightens it.
    Screen,
}

/// One connected piece of a part: a slot of its own. The mesh attachments of Spine and DragonBones have one hull, so a
/// part of several islands becomes several slots, one after the other in draw order, that show the same image.
pub(super) struct Piece<'a> {
    /// Unique among all pieces.
    pub(super) slot: String,
    /// Index of its part.
    pub(super) part: usize,
    /// `[x, y]` in the image's space, px. Hull vertices come first, in hull order.
    pub(super) vertices: &'a [[f64; 2]],
    /// One per vertex.
    pub(super) uvs: &'a [[f64; 2]],
    /// Counted from the piece's own first vertex, as are all indices here.
    pub(super) triangles: Vec<[u32; 3]>,
    /// Vertices of its hull.
    pub(super) hull_length: u32,
    /// Edges off the hull: those of holes, then those between two triangles.
    pub(super) inner_edges: Vec<[u32; 2]>,
}

impl Piece<'_> {
    /// The hull's edges, in order.
    pub(super) fn hull_edges(&self) -> impl Iterator<Item = [u32; 2]> {
        let length = self.hull_length;
        (0..length).map(move |vertex| [vertex, (vertex + 1) % length])
    }
}

/// The canvas that takes images of these sizes, px, and where each lies on it: images of one size share one place, as
/// layers of one drawing do, others are centred, on whole pixels so that none is blurred.
#[must_use]
pub fn centred(sizes: &[[u32; 2]]) -> ([u32; 2], Vec<[f64; 2]>) {
    let largest = |axis: usize| sizes.iter().map(|size| size[axis]).max().unwrap_or(0);
    let canvas = [largest(0), largest(1)];
    let offset = |size: &[u32; 2]| [0, 1].map(|axis| f64::from((canvas[axis] - size[axis]) / 2));
    (canvas, sizes.iter().map(offset).collect())
}

impl<'a> Rig<'a> {
    /// The part's names, as in [`names`].
    pub(super) fn names(&self) -> Vec<String> {
        names(self.parts.iter().map(|part| part.name))
    }

    /// Every piece in draw order. A part of one piece gives it its name, otherwise they are counted: `arm-1`, `arm-2`.
    pub(super) fn pieces(&self, names: &[String]) -> Vec<Piece<'a>> {
        let mut taken: HashSet<String> = names.iter().map(|name| folded(name)).collect();
        let mut pieces = Vec::new();
        for (index, (part, name)) in self.parts.iter().zip(names).enumerate() {
            let of_part = split(part.mesh, index);
            let several = of_part.len() > 1;
            for (mut piece, number) in of_part.into_iter().zip(1..) {
                piece.slot = if several { free(format!("{name}-{number}"), &mut taken) } else { name.clone() };
                pieces.push(piece);
            }
        }
        pieces
    }
}

/// The components of a mesh, each with indices of its own; without names yet.
fn split(mesh: &Mesh, part: usize) -> Vec<Piece<'_>> {
    let mut pieces: Vec<Piece<'_>> = mesh.components.iter().map(|component| piece(mesh, component, part)).collect();
    for &edge in mesh.boundary_edges.iter().chain(&mesh.internal_edges) {
        // The last component that begins at or before the edge's first vertex.
        let index = mesh.components.partition_point(|component| component.first_vertex <= edge[0]).wrapping_sub(1);
        let Some((piece, component)) = pieces.get_mut(index).zip(mesh.components.get(index)) else { continue };
        let [a, b] = edge.map(|vertex| vertex.wrapping_sub(component.first_vertex));
        let on_hull = b < piece.hull_length && (b.wrapping_sub(a) == 1 || (a == 0 && b + 1 == piece.hull_length));
        // Neighbours on the hull are joined by the hull's own edge and no other.
        if !on_hull {
            piece.inner_edges.push([a, b]);
        }
    }
    pieces
}

fn piece<'a>(mesh: &'a Mesh, component: &Component, part: usize) -> Piece<'a> {
    let range = |first: u32, count: u32| -> Range<usize> { first as usize..first as usize + count as usize };
    let vertices = range(component.first_vertex, component.vertex_count);
    let triangles = range(component.first_triangle, component.triangle_count);
    let local = |triangle: &[u32; 3]| triangle.map(|vertex| vertex.wrapping_sub(component.first_vertex));
    Piece {
        slot: String::new(),
        part,
        vertices: mesh.vertices.get(vertices.clone()).unwrap_or_default(),
        uvs: mesh.uvs.get(vertices).unwrap_or_default(),
        triangles: mesh.triangles.get(triangles).unwrap_or_default().iter().map(local).collect(),
        hull_length: component.hull_length,
        inner_edges: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::sample;

    #[test]
    fn images_of_one_size_share_a_place_and_others_are_centred_on_whole_pixels() {
        assert_eq!(centred(&[[10, 20], [10, 20]]), ([10, 20], vec![[0.0, 0.0]; 2]));
        assert_eq!(centred(&[[10, 3], [5, 20]]), ([10, 20], vec![[0.0, 8.0], [2.0, 0.0]]));
        assert_eq!(centred(&[]), ([0, 0], vec![]));
    }

    #[test]
    fn each_component_is_a_piece_with_indices_of_its_own() {
        let mesh = sample::two_islands();
        let part = Part { name: "eyes", mesh: &mesh, offset: [0.0; 2], opacity: 1.0, blend: Blend::Normal };
        let rig = Rig { name: "face", canvas: [16, 10], parts: &[part, part], images: "./" };
        let pieces = rig.pieces(&rig.names());
        let slots: Vec<&str> = pieces.iter().map(|piece| piece.slot.as_str()).collect();
        assert_eq!(slots, ["eyes-1", "eyes-2-2", "eyes-2-1", "eyes-2-2-2"], "part 2 is called eyes-2 itself");
        assert_eq!(pieces[1].vertices, &mesh.vertices[5..]);
        assert_eq!(pieces[1].triangles, [[0, 1, 2]]);
        assert_eq!(pieces[0].inner_edges, mesh.internal_edges);
        assert_eq!(pieces[1].inner_edges, [[0; 2]; 0]);
        assert_eq!(pieces[1].hull_edges().collect::<Vec<_>>(), [[0, 1], [1, 2], [2, 0]]);
    }
    #[test]
    fn edges_of_a_hole_are_inner_edges() {
        let mesh = sample::frame();
        let piece = split(&mesh, 0).remove(0);
        assert_eq!(piece.hull_edges().collect::<Vec<_>>(), [[0, 1], [1, 2], [2, 3], [3, 0]]);
        assert_eq!(piece.inner_edges, [&mesh.boundary_edges[4..], &mesh.internal_edges[..]].concat());
        assert_eq!(piece.triangles, mesh.triangles);
    }
}
