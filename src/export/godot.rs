//! A Godot scene with one `Polygon2D`: what is drawn are the mesh's triangles, however many parts and holes it has.
//!
//! Written in the scene format of Godot 3, which Godot 4 reads too: it knows the older names of arrays and numbers of
//! resources.

use std::fmt::{self, Write};

use super::{Format, Source};
use crate::mesh::{Error, Mesh, Result};

pub(super) const FORMAT: Format = Format {
    name: "godot",
    extension: "tscn",
    // As Godot registers it with desktops.
    media_type: "application/x-godot-scene",
    about: "a Godot scene: a Polygon2D; the image goes to the project's root",
    binary: false,
    draws_image: false,
    write,
    beside: &[],
};

fn write(mesh: &Mesh, source: &Source<'_>) -> Result<Vec<u8>> {
    let mut text = String::with_capacity(512 + mesh.vertices.len() * 64 + mesh.triangles.len() * 40);
    scene(&mut text, mesh, source).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(text.into_bytes())
}

fn scene(out: &mut String, mesh: &Mesh, source: &Source<'_>) -> fmt::Result {
    let order = Order::new(mesh);
    let has_texture = !source.name.is_empty();
    writeln!(out, "[gd_scene load_steps={} format=2]\n", if has_texture { 2 } else { 1 })?;
    if has_texture {
        writeln!(out, "[ext_resource path=\"res://{}\" type=\"Texture\" id=1]\n", Quoted(source.name))?;
    }
    writeln!(out, "[node name=\"{}\" type=\"Polygon2D\"]", NodeName(source.stem()))?;
    if has_texture {
        writeln!(out, "texture = ExtResource( 1 )")?;
    }
    // Godot's plane is image space, and its uv are px of the texture: both lists are the vertices.
    for list in ["polygon", "uv"] {
        let numbers = order.vertices.iter().filter_map(|&index| mesh.vertices.get(index)).flatten();
        write!(out, "{list} = PoolVector2Array( ")?;
        separated(out, numbers)?;
        writeln!(out, " )")?;
    }
    write!(out, "polygons = [ ")?;
    for (index, triangle) in mesh.triangles.iter().enumerate() {
        write!(out, "{}PoolIntArray( ", if index > 0 { ", " } else { "" })?;
        separated(out, triangle.iter().filter_map(|&vertex| order.places.get(vertex as usize)))?;
        write!(out, " )")?;
    }
    writeln!(out, " ]\ninternal_vertex_count = {}", order.vertices.len() - order.hulls)
}

fn separated<T: fmt::Display>(out: &mut String, items: impl Iterator<Item = T>) -> fmt::Result {
    for (index, item) in items.enumerate() {
        write!(out, "{}{item}", if index > 0 { ", " } else { "" })?;
    }
    Ok(())
}

/// Hulls first, one after the other, because Godot takes a number of vertices at the end for internal ones. A mesh of one
/// part keeps its order.
struct Order {
    /// The mesh's indices in the order in which they are written.
    vertices: Vec<usize>,
    /// For each of the mesh's vertices its place in that order.
    places: Vec<usize>,
    /// How many are of hulls.
    hulls: usize,
}

impl Order {
    fn new(mesh: &Mesh) -> Self {
        let mut on_hull = vec![false; mesh.vertices.len()];
        for component in &mesh.components {
            let first = component.first_vertex as usize;
            let hull = on_hull.iter_mut().skip(first).take(component.hull_length as usize);
            hull.for_each(|vertex| *vertex = true);
        }
        let (mut vertices, internal): (Vec<usize>, Vec<usize>) =
            (0..mesh.vertices.len()).partition(|&vertex| on_hull[vertex]);
        let hulls = vertices.len();
        vertices.extend(internal);
        let mut places = vec![0; vertices.len()];
        for (place, &vertex) in vertices.iter().enumerate() {
            places[vertex] = place;
        }
        Self { vertices, places, hulls }
    }
}

/// Text between quotation marks.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '"' | '\\' => write!(f, "\\{c}"),
            c if c.is_control() => f.write_char('_'),
            c => f.write_char(c),
        })
    }
}

/// A node's name, which may hold none of the signs that paths of nodes are made of.
struct NodeName<'a>(&'a str);

impl fmt::Display for NodeName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let odd = |c: char| c.is_control() || matches!(c, '.' | ':' | '@' | '/' | '"' | '%' | '\\');
        self.0.chars().try_for_each(|c| f.write_char(if odd(c) { '_' } else { c }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::sample;

    fn written(mesh: &Mesh, source: &Source<'_>) -> String {
        String::from_utf8(write(mesh, source).unwrap()).unwrap()
    }

    #[test]
    fn a_mesh_of_one_part_keeps_its_order() {
        let text = written(&sample::mesh(), &Source::default());
        let points = "PoolVector2Array( 4, 1, 4, 9, 12, 9, 12, 1, 8.25, 5.1 )";
        assert!(text.contains(&format!("\npolygon = {points}\nuv = {points}\n")), "{text}");
        assert!(text.contains("polygons = [ PoolIntArray( 0, 1, 4 ), PoolIntArray( 1, 2, 4 ), "), "{text}");
        assert!(text.ends_with("\ninternal_vertex_count = 1\n") && !text.contains("texture"), "{text}");
    }

    #[test]
    fn internal_vertices_of_all_parts_come_last() {
        let text = written(&sample::two_parts(), &Source::default());
        assert!(text.contains("12, 9, 12, 1, 20, 1, 20, 9, 28, 9, 28, 1, 8.25, 5.1, 24.25, 5.1 )"), "{text}");
        assert!(text.contains("PoolIntArray( 0, 1, 8 )") && text.contains("PoolIntArray( 4, 5, 9 )"), "{text}");
        assert!(text.ends_with("\ninternal_vertex_count = 2\n"), "{text}");
    }

    #[test]
    fn odd_names_are_quoted_or_replaced() {
        let source = Source { name: "a\"b\\\n.v2.png", ..Source::default() };
        let text = written(&sample::mesh(), &source);
        assert!(text.contains("path=\"res://a\\\"b\\\\_.v2.png\"") && text.contains("name=\"a_b___v2\""), "{text}");
    }
}
