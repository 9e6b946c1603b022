//! Every format against a golden file in `testdata/export`. `BLESS=1 cargo test --test export` writes them anew and
//! fails, so that nobody passes while doing it; look at the difference before committing.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

use std::fs;
use std::io::Cursor;
use std::path::Path;

use serde_json::Value;
use spinelift::decode::{Limits, alpha_plane};
use spinelift::export::{ENGINE_VERSION, FORMATS, Format, Source};
use spinelift::mesh::{Mesh, MeshLimits, MeshParameters, build};

/// A sprite of 12 by 12 px with a soft edge, and its mesh.
fn star() -> (Mesh, Vec<u8>) {
    let image = fs::read(root().join("corpus/tiny-star-12.png")).unwrap();
    let plane = alpha_plane(Cursor::new(&image), &Limits::default(), &()).unwrap();
    let parameters = MeshParameters { detail_factor: 0.05, ..MeshParameters::default() };
    (build(&plane, &parameters, &MeshLimits::default(), &()).unwrap(), image)
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata"))
}

fn rgb(bytes: &[u8]) -> (u32, u32, Vec<u8>) {
    let mut reader = png::Decoder::new(Cursor::new(bytes)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    (info.width, info.height, pixels)
}

/// The document of a GLB file, the release in it left out, and its buffer.
fn glb(bytes: &[u8]) -> (Value, Vec<u8>) {
    let text_end = 20 + u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    let mut document: Value = serde_json::from_slice(&bytes[20..text_end]).unwrap();
    document["asset"]["generator"].take();
    (document, bytes[text_end..].to_vec())
}

fn hold_against_golden(extension: &str, binary: bool, written: &[u8]) {
    let path = root().join("export/star_with_its_mesh").with_extension(extension);
    // A release changes the version in every result, and nothing else.
    let mut written = written.to_vec();
    if !binary {
        let text = String::from_utf8(written).unwrap();
        written = text.replace(&format!("\"engine_version\":\"{ENGINE_VERSION}\""), "\"engine_version\":\"X\"").into();
    }
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, &written).unwrap();
        return;
    }
    let golden = fs::read(&path).unwrap();
    // The same pixels may be packed in other bytes by another release of the encoder.
    let same = match extension {
        "glb" => glb(&written) == glb(&golden),
        _ if binary => rgb(&written) == rgb(&golden),
        _ => written == golden,
    };
    if !same {
        let actual = Path::new(env!("CARGO_TARGET_TMPDIR")).join(path.file_name().unwrap());
        fs::write(&actual, &written).unwrap();
        panic!("{} differs; what was written is in {}", path.display(), actual.display());
    }
}

#[test]
fn every_format_writes_its_golden_file() {
    let (mesh, image) = star();
    let warnings = ["a \"quoted\" warning".to_owned()];
    let source = Source {
        name: "star.png",
        stem: "star_with_its_mesh",
        bytes: Some(&image),
        sha256: Some("00ff"),
        warnings: &warnings,
        ..Source::default()
    };
    for format in FORMATS {
        hold_against_golden(format.extension, format.binary, &(format.write)(&mesh, &source).unwrap());
        for file in format.beside {
            hold_against_golden(file.extension, false, &(file.write)(&mesh, &source).unwrap());
        }
    }
    assert!(std::env::var_os("BLESS").is_none(), "golden files written; look at them, then run without BLESS");
}

#[test]
fn every_format_can_do_without_the_image() {
    let (mesh, _) = star();
    for format in FORMATS {
        let once = (format.write)(&mesh, &Source::default()).unwrap();
        assert_eq!(once, (format.write)(&mesh, &Source::default()).unwrap(), "{} is not repeatable", format.name);
    }
}

#[test]
fn formats_have_names_of_their_own() {
    let mut extensions: Vec<&str> = Vec::new();
    for format in FORMATS {
        assert_eq!(Format::named(format.name).map(|found| found.extension), Some(format.extension));
        extensions.push(format.extension);
        extensions.extend(format.beside.iter().map(|file| file.extension));
    }
    let count = extensions.len();
    extensions.sort_unstable();
    extensions.dedup();
    assert_eq!(extensions.len(), count);
    assert!(Format::named("gif").is_none());
}
