//! Spine JSON, for 4.2 and 3.8: a skeleton with one root bone and a slot with a mesh attachment for each piece.
//!
//! What is written is what both versions read, so they differ in the number in the header and in the atlas. Vertices hang
//! on the root bone without weights; `edges` lists the hull and every inner edge, so that the editor, which
//! triangulates anew what is edited, keeps these triangles. Spine's meshes have no holes: one that is cut is drawn as
//! a hole by every runtime, and closes when the mesh is edited.
//!
//! Runtimes count vertices in 16 bits, and those for browsers draw one mesh from buffers for 10,920 vertices and as many
//! triangles: of more they draw nothing, or end.

mod atlas;

use super::digits::Text;
use super::rig::{Blend, Part, Piece, Rig};
use super::rig_format::{self, HOW_TO_SIMPLIFY, RigFile, RigFormat};
use super::{Atlas, Beside, Format, Source};
use crate::mesh::{Error, Mesh, Result};

/// What the buffers take from which spine-webgl and spine-threejs draw a mesh, vertices and triangles each.
const MOST_IN_BROWSERS: usize = 10_920;

/// A version of Spine's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    /// 4.0 to 4.2 read it.
    V42,
    V38,
}

impl Version {
    /// What the header says. Runtimes compare the first two numbers; the third is one that the editor has had. (3.8.75
    /// is refused by the runtimes of 3.8.)
    fn number(self) -> &'static str {
        match self {
            Self::V42 => "4.2.43",
            Self::V38 => "3.8.99",
        }
    }
}

pub(super) const FORMAT: Format = Format {
    name: "spine",
    extension: "spine.json",
    media_type: "application/json",
    about: "a skeleton for Spine 4.2, and its .atlas",
    binary: false,
    draws_image: false,
    beside: &[Beside {
        extension: "spine.atlas",
        about: "the atlas that names the image as its page",
        write: |mesh, source| single_atlas(mesh, source, Version::V42),
    }],
    write: |mesh, source| single_skeleton(mesh, source, Version::V42),
};

pub(super) const FORMAT_38: Format = Format {
    name: "spine38",
    extension: "spine38.json",
    media_type: "application/json",
    about: "a skeleton for Spine 3.8, and its .atlas",
    binary: false,
    draws_image: false,
    beside: &[Beside {
        extension: "spine38.atlas",
        about: "the atlas that names the image as its page",
        write: |mesh, source| single_atlas(mesh, source, Version::V38),
    }],
    write: |mesh, source| single_skeleton(mesh, source, Version::V38),
};

pub(super) const RIG: RigFormat = RigFormat {
    name: FORMAT.name,
    extension: FORMAT.extension,
    skeleton: |rig, _| skeleton(rig, Version::V42),
    atlas: |rig, atlas, pages| Ok(vec![atlas_file(rig, atlas, pages, Version::V42)]),
    beyond_runtimes,
};

pub(super) const RIG_38: RigFormat = RigFormat {
    name: FORMAT_38.name,
    extension: FORMAT_38.extension,
    skeleton: |rig, _| skeleton(rig, Version::V38),
    atlas: |rig, atlas, pages| Ok(vec![atlas_file(rig, atlas, pages, Version::V38)]),
    beyond_runtimes,
};

fn beyond_runtimes(rig: &Rig<'_>) -> Vec<String> {
    let about = |piece: Piece<'_>| {
        let counts = [(piece.triangles.len(), "triangles"), (piece.vertices.len(), "vertices")];
        let (count, what) = counts.into_iter().find(|(count, _)| *count > MOST_IN_BROWSERS)?;
        let slot = piece.slot;
        Some(format!(
            "the mesh of {slot:?} has {count} {what}, and Spine's runtimes for browsers draw {MOST_IN_BROWSERS} of one \
             mesh; {HOW_TO_SIMPLIFY}"
        ))
    };
    rig.pieces(&rig.names()).into_iter().filter_map(about).collect()
}

fn single_skeleton(mesh: &Mesh, source: &Source<'_>, version: Version) -> Result<Vec<u8>> {
    rig_format::with_image(mesh, source, |rig, _| skeleton(rig, version))
}

fn single_atlas(mesh: &Mesh, source: &Source<'_>, version: Version) -> Result<Vec<u8>> {
    let page = rig_format::page_of(source);
    rig_format::with_image(mesh, source, |rig, atlas| Ok(atlas_file(rig, atlas, &[page], version).bytes))
}

fn atlas_file(rig: &Rig<'_>, atlas: &Atlas, pages: &[String], version: Version) -> RigFile {
    let text = atlas::text(&rig.names(), atlas, pages, version);
    let extension = if version == Version::V42 { "spine.atlas" } else { "spine38.atlas" };
    RigFile { extension: extension.into(), bytes: text.into_bytes() }
}

/// From an image's space to the skeleton's: y up, the origin in the middle of the canvas's bottom edge, where a
/// character stands and about which it is mirrored.
fn position([x, y]: [f64; 2], offset: [f64; 2], canvas: [u32; 2]) -> [f64; 2] {
    [offset[0] + x - f64::from(canvas[0]) / 2.0, f64::from(canvas[1]) - (offset[1] + y)]
}

fn skeleton(rig: &Rig<'_>, version: Version) -> Result<Vec<u8>> {
    let names = rig.names();
    let pieces = rig.pieces(&names);
    let mut text = Text::new(longest(&pieces), 0, 0);
    text.raw("\"bones\":[{\"name\":\"root\"}],\"slots\":[");
    separated(&mut text, &pieces, |text, piece| slot(text, piece, &rig.parts[piece.part]))?;
    text.raw("],\"skins\":[{\"name\":\"default\",\"attachments\":{");
    separated(&mut text, &pieces, |text, piece| attachment(text, piece, rig, &names))?;
    text.raw("}}],\"animations\":{}}");
    let body = text.finish();
    let mut bytes = header(rig, version, &body)?;
    bytes.extend(body);
    Ok(bytes)
}

/// Vertices of the largest piece.
fn longest(pieces: &[Piece<'_>]) -> usize {
    pieces.iter().map(|piece| piece.vertices.len()).max().unwrap_or(0)
}

/// The skeleton's own data. The hash, by which Spine's tools tell whether a file has changed, is required by some
/// runtimes; any text will do.
fn header(rig: &Rig<'_>, version: Version, body: &[u8]) -> Result<Vec<u8>> {
    let [width, height] = rig.canvas.map(f64::from);
    let left = -width / 2.0;
    let (hash, number, images) = (fnv1a(body), version.number(), quoted(rig.images)?);
    Ok(format!(
        "{{\"skeleton\":{{\"hash\":\"{hash:016x}\",\"spine\":\"{number}\",\"x\":{left},\"y\":0,\"width\":{width},\
         \"height\":{height},\"images\":{images},\"audio\":\"\"}},"
    )
    .into_bytes())
}

fn slot(text: &mut Text, piece: &Piece<'_>, part: &Part<'_>) -> Result<()> {
    let name = quoted(&piece.slot)?;
    text.raw(&format!("{{\"name\":{name},\"bone\":\"root\""));
    let alpha = (part.opacity * 255.0).round() as u8;
    if alpha < u8::MAX {
        text.raw(&format!(",\"color\":\"ffffff{alpha:02x}\""));
    }
    text.raw(&format!(",\"attachment\":{name}"));
    match part.blend {
        Blend::Normal => {}
        Blend::Additive => text.raw(",\"blend\":\"additive\""),
        Blend::Multiply => text.raw(",\"blend\":\"multiply\""),
        Blend::Screen => text.raw(",\"blend\":\"screen\""),
    }
    text.raw("}");
    Ok(())
}

fn attachment(text: &mut Text, piece: &Piece<'_>, rig: &Rig<'_>, names: &[String]) -> Result<()> {
    let part = &rig.parts[piece.part];
    let (slot, texture) = (quoted(&piece.slot)?, quoted(&names[piece.part])?);
    text.raw(&format!("{slot}:{{{slot}:{{\"type\":\"mesh\",\"path\":{texture},\"uvs\":["));
    text.numbers(piece.uvs.as_flattened());
    text.raw("],\"triangles\":[");
    text.indices(piece.triangles.as_flattened());
    text.raw("],\"vertices\":[");
    let vertices = piece.vertices.iter().map(|&vertex| position(vertex, part.offset, rig.canvas));
    text.numbers(vertices.collect::<Vec<_>>().as_flattened());
    text.raw(&format!("],\"hull\":{},\"edges\":[", piece.hull_length));
    // Spine counts coordinates here, two a vertex.
    let edges = piece.hull_edges().chain(piece.inner_edges.iter().copied());
    let doubled: Vec<u32> = edges.flatten().map(|vertex| vertex * 2).collect();
    text.indices(&doubled);
    text.raw(&format!("],\"width\":{},\"height\":{}}}}}", part.mesh.width, part.mesh.height));
    Ok(())
}

fn separated(
    text: &mut Text,
    pieces: &[Piece<'_>],
    mut write: impl FnMut(&mut Text, &Piece<'_>) -> Result<()>,
) -> Result<()> {
    for (piece, index) in pieces.iter().zip(0..) {
        if index > 0 {
            text.raw(",");
        }
        write(text, piece)?;
    }
    Ok(())
}

fn quoted(name: &str) -> Result<String> {
    serde_json::to_string(name).map_err(|error| Error::Internal(error.to_string()))
}

/// Fowler, Noll and Vo's hash 1a of 64 bits: tells changes apart, protects from nobody.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::export::sample;

    fn written(mesh: &Mesh, name: &str) -> Value {
        let source = Source { name, ..Source::default() };
        serde_json::from_slice(&(FORMAT.write)(mesh, &source).unwrap()).unwrap()
    }

    #[test]
    fn one_image_is_a_slot_on_the_root_bone() {
        let value = written(&sample::mesh(), "hero.png");
        let mut header = value["skeleton"].clone();
        assert_eq!(header["hash"].take().as_str().unwrap().len(), 16);
        assert_eq!(
            header,
            json!({ "hash": null, "spine": "4.2.43", "x": -8, "y": 0, "width": 16, "height": 10, "images": "./",
                "audio": "" })
        );
        assert_eq!(value["bones"], json!([{ "name": "root" }]));
        assert_eq!(value["slots"], json!([{ "name": "hero", "bone": "root", "attachment": "hero" }]));
        let skin = json!([{ "name": "default", "attachments": { "hero": { "hero": {
            "type": "mesh", "path": "hero", "width": 16, "height": 10, "hull": 4,
            "uvs": [0.25, 0.1, 0.25, 0.9, 0.75, 0.9, 0.75, 0.1, 0.515625, 0.51],
            "triangles": [0, 1, 4, 1, 2, 4, 2, 3, 4, 3, 0, 4],
            "vertices": [-4.0, 9.0, -4.0, 1.0, 4.0, 1.0, 4.0, 9.0, 0.25, 4.9],
            "edges": [0, 2, 2, 4, 4, 6, 6, 0, 0, 8, 2, 8, 4, 8, 6, 8],
        } } } }]);
        assert_eq!(value["skins"], skin);
    }

    #[test]
    fn the_older_version_differs_in_its_number() {
        let mesh = sample::mesh();
        let texts = [FORMAT, FORMAT_38].map(|format| (format.write)(&mesh, &Source::default()).unwrap());
        let [new, old] = texts.map(|text| String::from_utf8(text).unwrap());
        assert_eq!(new.replace("4.2.43", "3.8.99"), old);
    }

    #[test]
    fn islands_are_slots_that_share_the_image() {
        let value = written(&sample::two_islands(), "eyes.png");
        let slots = json!([
            { "name": "eyes-1", "bone": "root", "attachment": "eyes-1" },
            { "name": "eyes-2", "bone": "root", "attachment": "eyes-2" },
        ]);
        assert_eq!(value["slots"], slots);
        let second = &value["skins"][0]["attachments"]["eyes-2"]["eyes-2"];
        assert_eq!((&second["path"], &second["hull"]), (&json!("eyes"), &json!(3)));
        assert_eq!((&second["triangles"], &second["edges"]), (&json!([0, 1, 2]), &json!([0, 2, 2, 4, 4, 0])));
    }

    #[test]
    fn opacity_blend_and_offset_are_the_slots() {
        let mesh = sample::mesh();
        let part = |name, opacity, blend| Part { name, mesh: &mesh, offset: [1.0, 2.0], opacity, blend };
        let parts =
            [part("back", 0.5, Blend::Multiply), part("gone", -1.0, Blend::Screen), part("back", 1.0, Blend::Additive)];
        let rig = Rig { name: "hero", canvas: [20, 30], parts: &parts, images: "./" };
        let value: Value = serde_json::from_slice(&skeleton(&rig, Version::V42).unwrap()).unwrap();
        let slots = json!([
            { "name": "back", "bone": "root", "color": "ffffff80", "attachment": "back", "blend": "multiply" },
            { "name": "gone", "bone": "root", "color": "ffffff00", "attachment": "gone", "blend": "screen" },
            { "name": "back-2", "bone": "root", "attachment": "back-2", "blend": "additive" },
        ]);
        assert_eq!(value["slots"], slots);
        let vertices = &value["skins"][0]["attachments"]["back"]["back"]["vertices"];
        assert_eq!((&vertices[0], &vertices[1]), (&json!(-5.0), &json!(27.0)));
    }

    #[test]
    fn what_browsers_cannot_draw_is_said_of_each_mesh() {
        let mut mesh = sample::two_islands();
        let said = |mesh: &Mesh| {
            let part = Part { name: "eyes", mesh, offset: [0.0; 2], opacity: 1.0, blend: Blend::Normal };
            beyond_runtimes(&Rig { name: "face", canvas: [16, 10], parts: &[part], images: "./" })
        };
        mesh.triangles.splice(4..5, vec![[5, 6, 7]; MOST_IN_BROWSERS]);
        mesh.components[1].triangle_count = MOST_IN_BROWSERS as u32;
        assert_eq!(said(&mesh), Vec::<String>::new());
        mesh.triangles.push([5, 6, 7]);
        mesh.components[1].triangle_count += 1;
        let expected =
            "the mesh of \"eyes-2\" has 10921 triangles, and Spine's runtimes for browsers draw 10920 of one mesh; ";
        assert_eq!(said(&mesh), [format!("{expected}{HOW_TO_SIMPLIFY}")]);
    }

    #[test]
    fn hashes_are_those_of_the_reference() {
        assert_eq!((fnv1a(b""), fnv1a(b"foobar")), (0xcbf2_9ce4_8422_2325, 0x8594_4171_f739_67e8));
    }
}
