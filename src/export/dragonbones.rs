//! DragonBones JSON 5.5: a skeleton (`_ske`) with one root bone and a slot with a mesh for each piece, and the textures
//! (`_tex`), one file for each page.
//!
//! The runtimes keep the numbers of all meshes, four a vertex, in one list, and say in 16 bits where a mesh begins in it.

use serde::Serialize;

use super::rig::{Blend, Part, Piece, Rig};
use super::rig_format::{self, HOW_TO_SIMPLIFY, RigFile, RigFormat};
use super::{Atlas, Beside, Format, Region, Source};
use crate::mesh::{Error, Mesh, Result};

pub(super) const FORMAT: Format = Format {
    name: "dragonbones",
    extension: "ske.json",
    media_type: "application/json",
    about: "an armature for DragonBones 5.5, and its textures' .tex.json",
    binary: false,
    draws_image: false,
    beside: &[Beside {
        extension: "tex.json",
        about: "the atlas that names the image as its page",
        write: single_textures,
    }],
    write: single_skeleton,
};

pub(super) const RIG: RigFormat =
    RigFormat { name: FORMAT.name, extension: FORMAT.extension, skeleton, atlas: textures, beyond_runtimes };

/// The version that editors and runtimes since 2017 read.
const VERSION: &str = "5.5";

/// Vertices before the last mesh of a skeleton that runtimes can count.
const MOST_BEFORE_A_MESH: usize = (u16::MAX / 4) as usize;

/// Vertices and triangles of one mesh that runtimes can count, each.
const MOST_OF_A_MESH: usize = i16::MAX as usize;

/// Frames a second of animations to come.
const FRAME_RATE: u32 = 24;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Skeleton<'a> {
    frame_rate: u32,
    name: &'a str,
    version: &'static str,
    compatible_version: &'static str,
    armature: [Armature<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Armature<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    frame_rate: u32,
    name: &'a str,
    aabb: Bounds,
    bone: [Named<'a>; 1],
    slot: Vec<Slot<'a>>,
    skin: [Skin<'a>; 1],
    ik: [(); 0],
    animation: [(); 0],
    default_actions: [(); 0],
}

#[derive(Serialize)]
struct Bounds {
    x: f64,
    y: f64,
    width: u32,
    height: u32,
}

#[derive(Serialize)]
struct Named<'a> {
    name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Slot<'a> {
    name: &'a str,
    parent: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    blend_mode: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    color: Option<Colour>,
}

#[derive(Serialize)]
struct Colour {
    /// Opacity, percent.
    #[serde(rename = "aM")]
    alpha: u32,
}

#[derive(Serialize)]
struct Skin<'a> {
    name: &'static str,
    slot: Vec<SkinSlot<'a>>,
}

#[derive(Serialize)]
struct SkinSlot<'a> {
    name: &'a str,
    display: [Display<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Display<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'a str,
    path: &'a str,
    width: u32,
    height: u32,
    vertices: Vec<f64>,
    uvs: Vec<f64>,
    triangles: &'a [u32],
    /// The hull's.
    edges: Vec<u32>,
    user_edges: &'a [u32],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Textures<'a> {
    name: &'a str,
    image_path: &'a str,
    width: u32,
    height: u32,
    #[serde(rename = "SubTexture")]
    textures: Vec<Texture<'a>>,
}

#[derive(Serialize)]
struct Texture<'a> {
    name: &'a str,
    x: u32,
    y: u32,
    width: u32,
    height: u32,
}

fn beyond_runtimes(rig: &Rig<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    let mut before = 0;
    for piece in rig.pieces(&rig.names()) {
        let (slot, vertices, triangles) = (&piece.slot, piece.vertices.len(), piece.triangles.len());
        if before > MOST_BEFORE_A_MESH {
            notes.push(format!(
                "{before} vertices come before the mesh of {slot:?}, and DragonBones' runtimes find no mesh after \
                 {MOST_BEFORE_A_MESH}; make several skeletons, or {HOW_TO_SIMPLIFY}"
            ));
            break;
        }
        let most = [(triangles, "triangles"), (vertices, "vertices")];
        if let Some((count, what)) = most.into_iter().find(|(count, _)| *count > MOST_OF_A_MESH) {
            notes.push(format!(
                "the mesh of {slot:?} has {count} {what}, and DragonBones' runtimes count to {MOST_OF_A_MESH}; \
                 {HOW_TO_SIMPLIFY}"
            ));
        }
        before += vertices;
    }
    notes
}

fn single_skeleton(mesh: &Mesh, source: &Source<'_>) -> Result<Vec<u8>> {
    rig_format::with_image(mesh, source, |rig, atlas| skeleton(rig, Some(atlas)))
}

fn single_textures(mesh: &Mesh, source: &Source<'_>) -> Result<Vec<u8>> {
    let page = rig_format::page_of(source);
    rig_format::with_image(mesh, source, |rig, atlas| page_file(rig, atlas, 0, &page))
}

/// From an image's space to the armature's: y down, the origin in the middle of the canvas's bottom edge, as in Spine.
fn position([x, y]: [f64; 2], offset: [f64; 2], canvas: [u32; 2]) -> [f64; 2] {
    [offset[0] + x - f64::from(canvas[0]) / 2.0, offset[1] + y - f64::from(canvas[1])]
}

/// From the whole image's texture coordinates to those of its region, which is what DragonBones counts in.
fn within([u, v]: [f64; 2], region: &Region) -> [f64; 2] {
    let part = |share: f64, axis: usize| {
        (share * f64::from(region.image[axis]) - f64::from(region.from[axis])) / f64::from(region.size[axis])
    };
    [part(u, 0), part(v, 1)]
}

fn skeleton(rig: &Rig<'_>, atlas: Option<&Atlas>) -> Result<Vec<u8>> {
    let names = rig.names();
    let pieces = rig.pieces(&names);
    let [width, height] = rig.canvas;
    let shown = pieces.iter().map(|piece| {
        let region = atlas.and_then(|atlas| atlas.regions.get(piece.part));
        SkinSlot { name: &piece.slot, display: [display(piece, rig, &names, region)] }
    });
    let armature = Armature {
        kind: "Armature",
        frame_rate: FRAME_RATE,
        name: rig.name,
        aabb: Bounds { x: -f64::from(width) / 2.0, y: -f64::from(height), width, height },
        bone: [Named { name: "root" }],
        slot: pieces.iter().map(|piece| slot(piece, &rig.parts[piece.part])).collect(),
        skin: [Skin { name: "default", slot: shown.collect() }],
        ik: [],
        animation: [],
        default_actions: [],
    };
    let skeleton = Skeleton {
        frame_rate: FRAME_RATE,
        name: rig.name,
        version: VERSION,
        compatible_version: VERSION,
        armature: [armature],
    };
    serde_json::to_vec(&skeleton).map_err(|error| Error::Internal(error.to_string()))
}

fn slot<'a>(piece: &'a Piece<'_>, part: &Part<'_>) -> Slot<'a> {
    let blend_mode = match part.blend {
        Blend::Normal => None,
        Blend::Additive => Some("add"),
        Blend::Multiply => Some("multiply"),
        Blend::Screen => Some("screen"),
    };
    let alpha = (part.opacity.clamp(0.0, 1.0) * 100.0).round() as u32;
    Slot { name: &piece.slot, parent: "root", blend_mode, color: (alpha < 100).then_some(Colour { alpha }) }
}

fn display<'a>(piece: &'a Piece<'_>, rig: &Rig<'_>, names: &'a [String], region: Option<&Region>) -> Display<'a> {
    let part = &rig.parts[piece.part];
    Display {
        kind: "mesh",
        name: &piece.slot,
        path: &names[piece.part],
        width: part.mesh.width,
        height: part.mesh.height,
        vertices: piece.vertices.iter().flat_map(|&vertex| position(vertex, part.offset, rig.canvas)).collect(),
        uvs: piece.uvs.iter().flat_map(|&uv| region.map_or(uv, |region| within(uv, region))).collect(),
        triangles: piece.triangles.as_flattened(),
        edges: piece.hull_edges().flatten().collect(),
        user_edges: piece.inner_edges.as_flattened(),
    }
}

fn textures(rig: &Rig<'_>, atlas: &Atlas, pages: &[String]) -> Result<Vec<RigFile>> {
    let file = |(index, page): (usize, &String)| {
        let extension = if index == 0 { "tex.json".into() } else { format!("tex-{}.json", index + 1) };
        Ok(RigFile { extension, bytes: page_file(rig, atlas, index, page)? })
    };
    pages.iter().enumerate().map(file).collect()
}

fn page_file(rig: &Rig<'_>, atlas: &Atlas, page: usize, file: &str) -> Result<Vec<u8>> {
    let names = rig.names();
    let regions = atlas.regions.iter().zip(&names).filter(|(region, _)| region.page == page);
    let textures =
        regions.map(|(&Region { at: [x, y], size: [width, height], .. }, name)| Texture { name, x, y, width, height });
    let [width, height] = atlas.pages.get(page).copied().unwrap_or_default();
    let textures = Textures { name: rig.name, image_path: file, width, height, textures: textures.collect() };
    serde_json::to_vec(&textures).map_err(|error| Error::Internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::export::sample;

    fn parsed(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn one_image_is_an_armature_of_one_slot() {
        let mesh = sample::mesh();
        let source = Source { name: "hero.png", ..Source::default() };
        let armature = &parsed(&single_skeleton(&mesh, &source).unwrap())["armature"][0];
        assert_eq!(armature["aabb"], json!({ "x": -8.0, "y": -10.0, "width": 16, "height": 10 }));
        assert_eq!(armature["slot"], json!([{ "name": "hero", "parent": "root" }]));
        let display = json!({
            "type": "mesh", "name": "hero", "path": "hero", "width": 16, "height": 10,
            "vertices": [-4.0, -9.0, -4.0, -1.0, 4.0, -1.0, 4.0, -9.0, 0.25, -4.9],
            "uvs": [0.25, 0.1, 0.25, 0.9, 0.75, 0.9, 0.75, 0.1, 0.515625, 0.51],
            "triangles": [0, 1, 4, 1, 2, 4, 2, 3, 4, 3, 0, 4],
            "edges": [0, 1, 1, 2, 2, 3, 3, 0], "userEdges": [0, 4, 1, 4, 2, 4, 3, 4],
        });
        assert_eq!(
            armature["skin"],
            json!([{ "name": "default", "slot": [{ "name": "hero", "display": [display] }] }])
        );
        let textures = json!({ "name": "hero", "imagePath": "hero.png", "width": 16, "height": 10, "SubTexture": [
            { "name": "hero", "x": 0, "y": 0, "width": 16, "height": 10 } ] });
        assert_eq!(parsed(&single_textures(&mesh, &source).unwrap()), textures);
    }

    #[test]
    fn opacity_and_blend_are_the_slots_and_uvs_count_within_the_region() {
        let mesh = sample::mesh();
        let part = |opacity, blend| Part { name: "a", mesh: &mesh, offset: [0.0; 2], opacity, blend };
        let parts = [part(0.504, Blend::Additive), part(2.0, Blend::Screen)];
        let rig = Rig { name: "hero", canvas: [16, 10], parts: &parts, images: "./" };
        let armature = &parsed(&skeleton(&rig, Some(&Atlas::packed(&parts))).unwrap())["armature"][0];
        let slots = json!([
            { "name": "a", "parent": "root", "blendMode": "add", "color": { "aM": 50 } },
            { "name": "a-2", "parent": "root", "blendMode": "screen" },
        ]);
        assert_eq!(armature["slot"], slots);
        let uvs = &armature["skin"][0]["slot"][0]["display"][0]["uvs"];
        // The region begins at x = 3 and is 10 px wide: x = 4 is a tenth of it.
        assert_eq!((&uvs[0], &uvs[1], &uvs[4]), (&json!(0.1), &json!(0.1), &json!(0.9)));
    }

    #[test]
    fn what_runtimes_cannot_count_is_said() {
        let mut mesh = sample::mesh();
        let said = |mesh: &Mesh, count: usize| {
            let part = Part { name: "a", mesh, offset: [0.0; 2], opacity: 1.0, blend: Blend::Normal };
            beyond_runtimes(&Rig { name: "hero", canvas: [16, 10], parts: &vec![part; count], images: "./" })
        };
        let mut grow = |vertices: u32| {
            mesh.vertices.resize(vertices as usize, [1.0, 1.0]);
            mesh.uvs.resize(vertices as usize, [0.0, 0.0]);
            mesh.components[0].vertex_count = vertices;
            [said(&mesh, 1), said(&mesh, 2)]
        };
        assert_eq!(grow(16_383), [Vec::<String>::new(), Vec::new()], "the second begins at number 65,532");
        let [one, two] = grow(16_384);
        assert_eq!(one, Vec::<String>::new());
        let expected =
            "16384 vertices come before the mesh of \"a-2\", and DragonBones' runtimes find no mesh after 16383; ";
        assert_eq!(two, [format!("{expected}make several skeletons, or {HOW_TO_SIMPLIFY}")]);
        let [one, _] = grow(32_768);
        assert!(one[0].starts_with("the mesh of \"a\" has 32768 vertices, and DragonBones' runtimes count to 32767; "));
    }
}
