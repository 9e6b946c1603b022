//! Layered files by three writers: what is read of them, and the picture that their parts give.
//!
//! testdata/psd is made by tests/psd/make.py, which tells where its lists and pictures come from.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]
#![expect(unsafe_code, reason = "an allocator that counts")]

#[path = "psd/damage.rs"]
mod damage;
#[path = "hostile_images/memory.rs"]
mod memory;

use std::fs;
use std::io::Cursor;
use std::path::Path;

use serde_json::{Value, json};
use spinelift::decode::psd::{self, Document, Layer, LayerLimits};
use spinelift::decode::{self, Limits};
use spinelift::mesh::{self, AlphaPlane, Error, Mesh, MeshLimits, MeshParameters, Result};

/// Levels of 255 that a part's picture may be off in any channel.
const MOST_OFF: f64 = 2.0;

fn file(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/psd").join(name)).unwrap()
}

fn read(file: &[u8]) -> Result<Document> {
    psd::layers(file, &Limits::default(), &LayerLimits::default(), &())
}

fn names() -> Vec<String> {
    let folder = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/psd")).unwrap();
    let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".psd") || name.ends_with(".psb")).collect();
    names.sort();
    assert!(names.len() >= 15, "{names:?}");
    names
}

#[test]
fn layers_are_those_that_were_written() {
    for name in names() {
        let document = read(&file(&name)).unwrap();
        let expected: Vec<Value> = serde_json::from_slice(&file(&format!("{name}.json"))).unwrap();
        let found: Vec<&str> = document.layers.iter().map(|layer| &*layer.name).collect();
        assert_eq!(found.len(), expected.len(), "{name}: {found:?}");
        for (layer, expected) in document.layers.iter().zip(&expected) {
            compare(layer, expected, &format!("{name}, {}", layer.name));
        }
    }
}

fn compare(layer: &Layer, expected: &Value, context: &str) {
    assert_eq!(layer.name, expected["name"], "{context}");
    assert_eq!(serde_json::json!(layer.groups), expected["groups"], "{context}");
    let psd::Bounds { x, y, width, height } = layer.bounds;
    let bounds = ["x", "y", "width", "height"].map(|key| expected[key].as_i64().unwrap());
    assert_eq!([i64::from(x), i64::from(y), width.into(), height.into()], bounds, "{context}");
    assert!((layer.opacity - expected["opacity"].as_f64().unwrap()).abs() < 1e-9, "{context}: {}", layer.opacity);
    assert_eq!(layer.blend.name(), expected["blend"], "{context}");
    assert_eq!(layer.has_mask, expected["has_mask"], "{context}");
    assert_eq!(layer.is_clipped, expected["is_clipped"], "{context}");
    if let Some(crc) = expected["crc"].as_u64() {
        assert_eq!(u64::from(crc32fast::hash(layer.picture.pixels())), crc, "{context}: other pixels");
    }
}

#[test]
fn what_is_left_out_is_named() {
    let document = read(&file("character.psd")).unwrap();
    let left_out: Vec<(&str, &str)> = document.left_out.iter().map(|layer| (&*layer.name, layer.reason)).collect();
    let expected =
        [("glow", "its opacity is 0"), ("off", "hidden"), ("never", "hidden"), ("nothing", "it shows nothing")];
    assert_eq!(left_out, expected);
    let notes = read(&file("shared.psd")).unwrap().notes;
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[0].starts_with("\"half\" is a group that is partly transparent"), "{}", notes[0]);
}

#[test]
fn parts_drawn_one_over_the_other_give_the_composite() {
    for name in names() {
        let document = read(&file(&name)).unwrap();
        let expected = file(&format!("{name}.png"));
        let expected = decode::rgba(Cursor::new(expected), &Limits::default(), &()).unwrap();
        let drawn = draw(&document, mesh_of);
        let expected = expected.pixels().as_chunks::<4>().0.iter().map(|pixel| premultiplied(*pixel, 1.0));
        let off = drawn.iter().zip(expected).enumerate().map(|(at, (drawn, expected))| {
            let off = drawn.iter().zip(expected).map(|(drawn, expected)| (drawn - expected).abs()).fold(0.0, f64::max);
            (off, at)
        });
        let (off, at) = off.fold((0.0, 0), |most, next| if next.0 > most.0 { next } else { most });
        let (x, y) = (at % document.width as usize, at / document.width as usize);
        assert!(off <= MOST_OFF, "{name}: {off:.2} levels off at ({x}, {y})");
    }
}

/// The layer's mesh as the command makes it. One that shows nothing has none.
fn mesh_of(layer: &Layer) -> Option<Mesh> {
    let picture = &layer.picture;
    let alpha = picture.pixels().as_chunks::<4>().0.iter().map(|pixel| pixel[3]).collect();
    let alpha = AlphaPlane::new(picture.width(), picture.height(), alpha).unwrap();
    let given = json!({
        "outline": "cover", "islands": "bridge", "alpha_threshold": 1, "min_contour_area": 0, "max_vertices": 12,
    });
    let (parameters, _) = MeshParameters::from_json(&given).unwrap();
    mesh::build(&alpha, &parameters, &MeshLimits::default(), &()).ok()
}

/// Whether a pixel's centre lies in a triangle, its border included.
fn covers(mesh: &Mesh, x: i32, y: i32) -> bool {
    let at = [f64::from(x) + 0.5, f64::from(y) + 0.5];
    mesh.triangles.iter().any(|corners| {
        let corners = corners.map(|v| mesh.vertices[v as usize]);
        (0..3).all(|i| {
            let (a, b) = (corners[i], corners[(i + 1) % 3]);
            (b[0] - a[0]) * (at[1] - a[1]) - (b[1] - a[1]) * (at[0] - a[0]) >= 0.0
        })
    })
}

/// Draws every layer over those before it, where its mesh is: colours times alpha, and alpha, 0 to 255.
fn draw(document: &Document, mesh_of: impl Fn(&Layer) -> Option<Mesh>) -> Vec<[f64; 4]> {
    let (width, height) = (document.width as i32, document.height as i32);
    let mut canvas = vec![[0.0; 4]; (width * height) as usize];
    for layer in &document.layers {
        let Some(mesh) = mesh_of(layer) else { continue };
        let places = (0..layer.bounds.height as i32).flat_map(|y| (0..layer.bounds.width as i32).map(move |x| (x, y)));
        for ((x, y), pixel) in places.zip(layer.picture.pixels().as_chunks::<4>().0) {
            let is_covered = covers(&mesh, x, y);
            let (x, y) = (x + layer.bounds.x, y + layer.bounds.y);
            if !(0..width).contains(&x) || !(0..height).contains(&y) || !is_covered {
                continue;
            }
            let source = premultiplied(*pixel, layer.opacity);
            for (below, above) in canvas[(y * width + x) as usize].iter_mut().zip(source) {
                *below = above + *below * (1.0 - source[3] / 255.0);
            }
        }
    }
    canvas
}

fn premultiplied(pixel: [u8; 4], opacity: f64) -> [f64; 4] {
    let alpha = f64::from(pixel[3]) * opacity;
    let times = |value: u8| f64::from(value) * alpha / 255.0;
    [times(pixel[0]), times(pixel[1]), times(pixel[2]), alpha]
}

#[test]
fn limits_hold_before_anything_is_decoded() {
    let too_large = |limits: Limits, layer_limits: LayerLimits| match psd::layers(
        &file("character.psd"),
        &limits,
        &layer_limits,
        &(),
    ) {
        Err(Error::ImageTooLarge { what, value, limit }) => (what, value, limit),
        other => panic!("{:?}", other.map(|document| document.layers.len())),
    };
    let (limits, layer_limits) = (Limits::default(), LayerLimits::default());
    assert_eq!(too_large(Limits { max_bytes: 100, ..limits }, layer_limits), ("file size", 12816, 100));
    assert_eq!(too_large(Limits { max_width: 47, ..limits }, layer_limits), ("width", 48, 47));
    assert_eq!(too_large(Limits { max_height: 39, ..limits }, layer_limits), ("height", 40, 39));
    assert_eq!(too_large(limits, LayerLimits { max_layers: 6, ..layer_limits }), ("number of layers", 7, 6));
    let pixels = 48 * 40 + 17 * 17 + 20 * 20 + 7 * 7 + 15 * 15 + 9 * 9 + 6 * 6;
    let just = LayerLimits { max_layers: 7, max_pixels: pixels };
    assert_eq!(psd::survey(&file("character.psd"), &limits, &just).unwrap().pixels, pixels);
    let less = LayerLimits { max_pixels: pixels - 1, ..just };
    assert_eq!(too_large(limits, less), ("number of pixels of all layers", pixels, pixels - 1));
}

#[test]
fn what_is_not_read_is_refused_with_advice() {
    let reason = |at: usize, bytes: &[u8]| {
        let mut file = file("character.psd");
        file[at..at + bytes.len()].copy_from_slice(bytes);
        read(&file).unwrap_err().to_string()
    };
    assert!(reason(0, b"\x89PNG").contains("the file is not an image SpineLift reads"));
    assert!(reason(0, b"GIF89a").contains("it is a GIF, not a PSD"));
    assert!(reason(4, &[0, 3]).contains("its version is 3"));
    assert!(reason(22, &[0, 32]).contains("it has 32 bits a channel"));
    assert!(reason(24, &[0, 4]).contains("its colour mode is CMYK (4)"));
    assert!(reason(18, &[0, 0, 0, 0]).contains("it has no pixels"));
}

#[test]
fn a_caller_can_stop() {
    struct Stop;
    impl mesh::Observer for Stop {
        fn should_stop(&self) -> bool {
            true
        }
    }
    let stopped = psd::layers(&file("shared.psd"), &Limits::default(), &LayerLimits::default(), &Stop);
    assert!(matches!(stopped, Err(Error::Stopped { .. })));
}
