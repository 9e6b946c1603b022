//! GLB: binary glTF 2.0, one file with the mesh and its image, shown as it is, without light.

use std::borrow::Cow;
use std::io::Cursor;

use serde_json::{Value, json};

use super::{ENGINE_VERSION, Format, Source, encode, upright};
use crate::decode::{self, Kind};
use crate::mesh::{Error, Mesh, Result};

pub(super) const FORMAT: Format = Format {
    name: "glb",
    extension: "glb",
    media_type: "model/gltf-binary",
    about: "binary glTF 2.0 with the image in it, unlit, 100 px a unit, y up",
    binary: true,
    draws_image: true,
    write,
    beside: &[],
};

/// Units of glTF, which are metres, for each px: 100 px are a metre, as engines commonly take sprites. The node carries
/// it, so that vertices stay in px.
const UNITS_PER_PX: f64 = 0.01;

/// Numbers that glTF gives its notions.
const FLOAT: u32 = 5126;
const UNSIGNED_SHORT: u32 = 5123;
const UNSIGNED_INT: u32 = 5125;
const ARRAY_BUFFER: u32 = 34962;
const ELEMENT_ARRAY_BUFFER: u32 = 34963;
const LINEAR: u32 = 9729;
const LINEAR_MIPMAP_LINEAR: u32 = 9987;
const CLAMP_TO_EDGE: u32 = 33071;

/// Up to this many vertices indices take two bytes; the highest of those means something else to glTF.
const MOST_SHORT: usize = 65_535;

fn write(mesh: &Mesh, source: &Source<'_>) -> Result<Vec<u8>> {
    let image = source.bytes.map(|bytes| embeddable(bytes, source)).transpose()?;
    let mut binary = Binary::default();
    let accessors = [positions(mesh, &mut binary), texture_coordinates(mesh, &mut binary), indices(mesh, &mut binary)?];
    let name = source.stem();
    let mut document = json!({
        "asset": { "version": "2.0", "generator": format!("SpineLift {ENGINE_VERSION}") },
        "extensionsUsed": ["KHR_materials_unlit"],
        "scene": 0,
        "scenes": [{ "nodes": [0] }],
        "nodes": [{ "name": name, "mesh": 0, "scale": [UNITS_PER_PX, UNITS_PER_PX, UNITS_PER_PX] }],
        "meshes": [{
            "name": name,
            "primitives": [{ "attributes": { "POSITION": 0, "TEXCOORD_0": 1 }, "indices": 2, "material": 0 }],
        }],
        "materials": [material(name, image.is_some())],
        "accessors": accessors,
    });
    if let Some((bytes, media_type)) = image {
        let view = binary.view(&bytes, None);
        document["images"] = json!([{ "name": name, "bufferView": view, "mimeType": media_type }]);
        document["samplers"] = json!([{
            "magFilter": LINEAR, "minFilter": LINEAR_MIPMAP_LINEAR, "wrapS": CLAMP_TO_EDGE, "wrapT": CLAMP_TO_EDGE,
        }]);
        document["textures"] = json!([{ "sampler": 0, "source": 0 }]);
    }
    document["bufferViews"] = Value::Array(binary.views);
    document["buffers"] = json!([{ "byteLength": binary.bytes.len() }]);
    container(&document, &binary.bytes)
}

fn material(name: &str, has_texture: bool) -> Value {
    // Readers that know nothing of unlit get the dullest of surfaces.
    let mut surface = json!({ "metallicFactor": 0.0, "roughnessFactor": 1.0 });
    if has_texture {
        surface["baseColorTexture"] = json!({ "index": 0 });
    }
    json!({
        "name": name,
        "pbrMetallicRoughness": surface,
        "extensions": { "KHR_materials_unlit": {} },
        "alphaMode": "BLEND",
        "doubleSided": true,
    })
}

/// The image as glTF may hold it, PNG or JPEG: as it came if it is one that every reader shows as it is stored.
fn embeddable<'a>(bytes: &'a [u8], source: &Source<'_>) -> Result<(Cow<'a, [u8]>, &'static str)> {
    match Kind::of(bytes) {
        Some(kind @ (Kind::Png | Kind::Jpeg)) if !may_be_turned(bytes) => Ok((Cow::from(bytes), kind.media_type())),
        _ => {
            let picture = decode::rgba(Cursor::new(bytes), &source.limits, &())?;
            let bytes = encode::rgba(picture.width(), picture.height(), picture.pixels())?;
            Ok((Cow::from(bytes), Kind::Png.media_type()))
        }
    }
}

/// Whether the file may have an EXIF part, where an orientation may stand. The mesh lies over pixels as they are stored.
///
/// The whole file is searched: profiles and previews of any length may come before it in a JPEG, the pixels in a PNG. Where
/// pixels look like it by chance, the image is written anew in vain.
fn may_be_turned(bytes: &[u8]) -> bool {
    bytes.windows(5).any(|part| part == b"Exif\0" || part.starts_with(b"eXIf"))
}

/// `[x, y, 0]` as [`upright::point`] has it, px.
fn positions(mesh: &Mesh, binary: &mut Binary) -> Value {
    let points: Vec<[f32; 3]> = mesh
        .vertices
        .iter()
        .map(|&vertex| {
            let [x, y] = upright::point(mesh, vertex);
            [x as f32, y as f32, 0.0]
        })
        .collect();
    let bytes: Vec<u8> = points.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
    let view = binary.view(&bytes, Some(ARRAY_BUFFER));
    let fold = |start: f32, pick: fn(f32, f32) -> f32| {
        // By way of f64, so that the text says exactly what the bytes say.
        points.iter().fold([start; 3], |ends, point| [0, 1, 2].map(|axis| pick(ends[axis], point[axis]))).map(f64::from)
    };
    json!({
        "bufferView": view, "componentType": FLOAT, "type": "VEC3", "count": points.len(),
        "min": fold(f32::INFINITY, f32::min), "max": fold(f32::NEG_INFINITY, f32::max),
    })
}

/// As the mesh's: `v = 0` is the top in glTF too.
fn texture_coordinates(mesh: &Mesh, binary: &mut Binary) -> Value {
    let bytes: Vec<u8> = mesh.uvs.iter().flatten().flat_map(|&value| (value as f32).to_le_bytes()).collect();
    let view = binary.view(&bytes, Some(ARRAY_BUFFER));
    json!({ "bufferView": view, "componentType": FLOAT, "type": "VEC2", "count": mesh.uvs.len() })
}

fn indices(mesh: &Mesh, binary: &mut Binary) -> Result<Value> {
    let indices: Vec<u32> = upright::triangles(mesh).flatten().collect();
    if indices.is_empty() {
        return Err(Error::Internal("a GLB file needs a triangle, the mesh has none".to_owned()));
    }
    let is_short = mesh.vertices.len() <= MOST_SHORT;
    let bytes: Vec<u8> = if is_short {
        indices.iter().flat_map(|&index| (index as u16).to_le_bytes()).collect()
    } else {
        indices.iter().flat_map(|index| index.to_le_bytes()).collect()
    };
    let view = binary.view(&bytes, Some(ELEMENT_ARRAY_BUFFER));
    let component = if is_short { UNSIGNED_SHORT } else { UNSIGNED_INT };
    Ok(json!({ "bufferView": view, "componentType": component, "type": "SCALAR", "count": indices.len() }))
}

/// The one buffer, and the views that cut it up.
#[derive(Default)]
struct Binary {
    bytes: Vec<u8>,
    views: Vec<Value>,
}

impl Binary {
    /// Appends a part that begins at a multiple of four, as every number in it must; returns the view's index.
    fn view(&mut self, part: &[u8], target: Option<u32>) -> usize {
        let mut view = json!({ "buffer": 0, "byteOffset": self.bytes.len(), "byteLength": part.len() });
        if let Some(target) = target {
            view["target"] = json!(target);
        }
        self.bytes.extend_from_slice(part);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self.views.push(view);
        self.views.len() - 1
    }
}

/// The header and two chunks: the document and the buffer.
fn container(document: &Value, binary: &[u8]) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec(document).map_err(|error| Error::Internal(error.to_string()))?;
    text.resize(text.len().next_multiple_of(4), b' ');
    let length = |bytes: usize| {
        u32::try_from(bytes).map_err(|_| Error::Internal(format!("a GLB file ends at 4 GiB, this has {bytes} bytes")))
    };
    let whole = 12 + 8 + text.len() + 8 + binary.len();
    let mut bytes = Vec::with_capacity(whole);
    bytes.extend_from_slice(b"glTF");
    bytes.extend_from_slice(&2_u32.to_le_bytes());
    bytes.extend_from_slice(&length(whole)?.to_le_bytes());
    for (name, chunk) in [(b"JSON", text.as_slice()), (b"BIN\0", binary)] {
        bytes.extend_from_slice(&length(chunk.len())?.to_le_bytes());
        bytes.extend_from_slice(name);
        bytes.extend_from_slice(chunk);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::sample;

    /// The document and the buffer, by the lengths that the chunks give.
    fn read(glb: &[u8]) -> (Value, Vec<u8>) {
        let number = |at: usize| u32::from_le_bytes(glb[at..at + 4].try_into().unwrap()) as usize;
        assert_eq!((&glb[..4], number(4), number(8)), (&b"glTF"[..], 2, glb.len()));
        let text_end = 20 + number(12);
        assert_eq!((&glb[16..20], &glb[text_end + 4..text_end + 8]), (&b"JSON"[..], &b"BIN\0"[..]));
        assert_eq!(text_end + 8 + number(text_end), glb.len());
        (serde_json::from_slice(&glb[20..text_end]).unwrap(), glb[text_end + 8..].to_vec())
    }

    fn view<'a>(document: &Value, binary: &'a [u8], index: usize) -> &'a [u8] {
        let number = |key: &str| document["bufferViews"][index][key].as_u64().unwrap() as usize;
        &binary[number("byteOffset")..number("byteOffset") + number("byteLength")]
    }

    #[test]
    fn positions_are_px_upright_with_their_bounds() {
        let (document, binary) = read(&write(&sample::mesh(), &Source::default()).unwrap());
        let numbers: Vec<f32> =
            view(&document, &binary, 0).chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        assert_eq!(numbers[..6], [4.0, 9.0, 0.0, 4.0, 1.0, 0.0]);
        assert_eq!(document["accessors"][0]["min"], json!([4.0, 1.0, 0.0]));
        assert_eq!(document["accessors"][0]["max"], json!([12.0, 9.0, 0.0]));
        assert_eq!(document["nodes"][0]["scale"], json!([0.01, 0.01, 0.01]));
    }

    #[test]
    fn indices_take_two_bytes_until_they_need_four() {
        let of = |count: usize| {
            let mut mesh = sample::mesh();
            mesh.vertices.resize(count, [1.0, 1.0]);
            mesh.uvs.resize(count, [0.0, 0.0]);
            let (document, binary) = read(&write(&mesh, &Source::default()).unwrap());
            (document["accessors"][2]["componentType"].clone(), view(&document, &binary, 2).len())
        };
        assert_eq!(of(65_535), (json!(UNSIGNED_SHORT), 4 * 3 * 2));
        assert_eq!(of(65_536), (json!(UNSIGNED_INT), 4 * 3 * 4));
    }

    #[test]
    fn png_and_jpeg_go_in_as_they_are_and_the_rest_as_png() {
        let embedded = |file: &str| {
            let bytes = std::fs::read(format!("testdata/corpus/{file}")).unwrap();
            let source = Source { bytes: Some(&bytes), ..Source::default() };
            let (document, binary) = read(&write(&sample::mesh(), &source).unwrap());
            let image = view(&document, &binary, 3).to_vec();
            (document["images"][0]["mimeType"].as_str().unwrap().to_owned(), image == bytes, image)
        };
        assert_eq!((embedded("tiny-star-12.png").0.as_str(), embedded("tiny-star-12.png").1), ("image/png", true));
        let (media_type, same, image) = embedded("webp-soft-dash-256.webp");
        assert_eq!((media_type.as_str(), same), ("image/png", false));
        let webp = std::fs::read("testdata/corpus/webp-soft-dash-256.webp").unwrap();
        let pixels = |bytes: &[u8]| decode::rgba(Cursor::new(bytes), &decode::Limits::default(), &()).unwrap();
        assert_eq!(pixels(&image), pixels(&webp));
    }

    #[test]
    fn images_that_may_be_turned_are_written_anew() {
        assert!(may_be_turned(b"\xff\xd8\xff\xe1\0\x10Exif\0\0"));
        assert!(!may_be_turned(b"\xff\xd8\xff\xe0\0\x10JFIF\0"));
        // After two segments of a profile.
        let profile = [&b"\xff\xe2\xff\xff"[..], &[7; 65_533]].concat();
        let late = [b"\xff\xd8", &profile[..], &profile, b"\xff\xe1\0\x10Exif\0\0"].concat();
        assert!(may_be_turned(&late));
    }

    #[test]
    fn what_is_no_image_and_what_is_no_mesh_are_errors() {
        let source = Source { bytes: Some(b"<html>"), ..Source::default() };
        assert!(matches!(write(&sample::mesh(), &source), Err(Error::ImageFormat { .. })));
        let mut empty = sample::mesh();
        empty.triangles.clear();
        assert!(write(&empty, &Source::default()).is_err());
    }
}
