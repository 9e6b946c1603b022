//! Wavefront OBJ, with its materials in an MTL file beside it: what every 3D tool reads.
//!
//! Names stand as they are up to the end of their line, because that is how readers take names with spaces.

use std::fmt::{self, Write};

use super::{Beside, Format, Source, upright};
use crate::mesh::{Error, Mesh, Result};

pub(super) const FORMAT: Format = Format {
    name: "obj",
    extension: "obj",
    media_type: "model/obj",
    about: "Wavefront OBJ, 1 unit a px, y up; its MTL names the image",
    binary: false,
    draws_image: false,
    write,
    beside: &[Beside { extension: "mtl", about: "the materials", write: write_materials }],
};

fn write(mesh: &Mesh, source: &Source<'_>) -> Result<Vec<u8>> {
    let mut text = String::with_capacity(256 + mesh.vertices.len() * 48 + mesh.triangles.len() * 24);
    model(&mut text, mesh, source).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(text.into_bytes())
}

fn model(out: &mut String, mesh: &Mesh, source: &Source<'_>) -> fmt::Result {
    let word = OneWord(source.stem());
    writeln!(out, "# {} vertices, {} triangles", mesh.vertices.len(), mesh.triangles.len())?;
    writeln!(out, "# px; the origin is the image's bottom-left corner, y is up")?;
    writeln!(out, "mtllib {}.mtl\no {word}\nusemtl {word}", OneLine(source.stem()))?;
    for &vertex in &mesh.vertices {
        let [x, y] = upright::point(mesh, vertex);
        writeln!(out, "v {x} {y} 0")?;
    }
    for [u, v] in &mesh.uvs {
        // OBJ counts v from the bottom.
        writeln!(out, "vt {u} {}", 1.0 - v)?;
    }
    for triangle in upright::triangles(mesh) {
        // OBJ counts from 1.
        let [a, b, c] = triangle.map(|index| u64::from(index) + 1);
        writeln!(out, "f {a}/{a} {b}/{b} {c}/{c}")?;
    }
    Ok(())
}

/// One material: the image as it is, without light.
fn write_materials(_: &Mesh, source: &Source<'_>) -> Result<Vec<u8>> {
    let mut text = format!("newmtl {}\nKa 1 1 1\nKd 1 1 1\nKs 0 0 0\nillum 0\n", OneWord(source.stem()));
    if !source.name.is_empty() {
        // Once for its colours, once for its alpha.
        // A name that begins with a dash would be an option.
        let here = if source.name.starts_with('-') { "./" } else { "" };
        text.push_str(&format!("map_Kd {here}{0}\nmap_d {here}{0}\n", OneLine(source.name)));
    }
    Ok(text.into_bytes())
}

/// A file's name for the rest of a line. A control character would end the line or hide in it, so that such a name
/// cannot be written; what stands for it keeps the file readable.
struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| f.write_char(if c.is_control() { '_' } else { c }))
    }
}

/// A name of our own choice, made of the file's: without spaces, which some readers end names at, and without the
/// signs that mean something to OBJ.
struct OneWord<'a>(&'a str);

impl fmt::Display for OneWord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let odd = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '#' | '\\');
        self.0.chars().try_for_each(|c| f.write_char(if odd(c) { '_' } else { c }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::sample;

    fn written(write: fn(&Mesh, &Source<'_>) -> Result<Vec<u8>>, source: &Source<'_>) -> String {
        String::from_utf8(write(&sample::mesh(), source).unwrap()).unwrap()
    }

    #[test]
    fn y_and_v_are_turned_over_and_indices_begin_at_one() {
        let text = written(write, &Source::default());
        assert!(text.contains("\nv 4 9 0\n") && text.contains("\nv 8.25 4.9 0\n"), "{text}");
        assert!(text.contains("\nvt 0.25 0.9\n") && text.contains("\nf 1/1 2/2 5/5\n"), "{text}");
        assert!(text.contains("\nmtllib mesh.mtl\no mesh\nusemtl mesh\n"), "{text}");
    }

    #[test]
    fn odd_names_stay_on_their_line() {
        let source = Source { name: "my hero#1.png", stem: "my hero\n\u{7}#1", ..Source::default() };
        let (model, materials) = (written(write, &source), written(write_materials, &source));
        assert!(model.contains("\nmtllib my hero__#1.mtl\no my_hero___1\nusemtl my_hero___1\n"), "{model}");
        assert!(materials.starts_with("newmtl my_hero___1\n"), "{materials}");
        assert!(materials.ends_with("\nmap_Kd my hero#1.png\nmap_d my hero#1.png\n"), "{materials}");
    }

    #[test]
    fn without_a_name_there_is_no_texture() {
        assert!(!written(write_materials, &Source::default()).contains("map"));
    }
}
